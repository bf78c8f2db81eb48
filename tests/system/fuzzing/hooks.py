"""What schemathesis is told beside the documents: values that schemas cannot describe, and whom to spare."""

from __future__ import annotations

import datetime
import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

# The demo users; the admin among them is the one who asks.
SPARED = ("1", "2")
# Parameters of paths, and what is there under them: made-up ids would find nothing.
KNOWN: dict[str, str] = json.loads(os.environ["FUZZ_KNOWN"])
LONGEST_WAIT = 0.05

YEAR = datetime.datetime.now(datetime.UTC).year
past_dates = st.dates(datetime.date(1900, 1, 1), datetime.date(YEAR - 1, 12, 31))
future_times = st.datetimes(datetime.datetime(YEAR + 1, 1, 1), datetime.datetime(YEAR + 99, 1, 1))  # noqa: DTZ001

schemathesis.openapi.format("date", past_dates.map(datetime.date.isoformat))
schemathesis.openapi.format("future-time", future_times.map(lambda time: f"{time:%Y-%m-%d %H:%M:%S}"))


schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Nobody harms the one who asks, what is good is good and there, and no answer is waited for."""
    if str(case.path_parameters.get("user_id")) in SPARED:
        case.path_parameters["user_id"] = 1_000_000
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name in KNOWN.keys() & case.path_parameters.keys():
            case.path_parameters[name] = KNOWN[name]
    if is_number(case.query.get("wait")):
        case.query["wait"] = min(float(case.query["wait"]), LONGEST_WAIT)
    if case.query.get("strict") in (True, "true"):
        case.query["strict"] = "false"
    if isinstance(case.body, dict):
        body = without_clashes(in_64_bits(case.body))
        if body != case.body:  # one that was touched is judged anew, even if it is the same
            case.body = body


def is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def in_64_bits(value: Any) -> Any:
    """The same without integers that are refused in any JSON."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return value % 2**63
    if isinstance(value, list):
        return [in_64_bits(item) for item in value]
    if isinstance(value, dict):
        return {name: in_64_bits(item) for name, item in value.items()}
    return value


def without_clashes(lead: dict[str, Any]) -> dict[str, Any]:
    """The same without additional fields that are called as another field is: unknown ones join them."""
    return {
        name: {inner: item for inner, item in value.items() if inner not in lead}
        if name in ("additionalData", "extraData") and isinstance(value, dict)
        else value
        for name, value in lead.items()
    }
