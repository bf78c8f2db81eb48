"""What may come with leads: flags in the URL, and the list of a batch."""

from __future__ import annotations

from marshmallow import EXCLUDE, RAISE, Schema, fields, validate

from shared.current import current_request
from shared.json_fields import UrlFlag
from shared.lead_forms import LeadSchema

MAX_LEADS = 1000  # in a batch


class LeadFlags(Schema):
    """How a lead is to be taken; parameters that others add are none of ours."""

    class Meta:
        unknown = EXCLUDE

    strict = UrlFlag(load_default=False)
    dryRun = UrlFlag(load_default=False)


FLAGS = LeadFlags()


def flags_of_request() -> dict[str, bool]:
    """`strict` and `dryRun` of the current request. Raises ValidationError."""
    request = current_request()
    if not request.query_string:
        return {"strict": False, "dryRun": False}  # marshmallow would need 35 µs to say so
    flags: dict[str, bool] = FLAGS.load(request.args.to_dict())
    return flags


class BatchSchema(Schema):
    """The JSON of `POST /api/leads/batch`, for the document: its leads are read one by one."""

    class Meta:
        unknown = RAISE

    leads = fields.List(
        fields.Nested(LeadSchema), required=True, validate=validate.Length(min=1, max=MAX_LEADS)
    )
