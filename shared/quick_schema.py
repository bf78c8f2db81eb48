"""A marshmallow schema that loads at once what is plainly valid.

Around each field's own check, marshmallow's `load` puts a closure, two wrappers and a list of validators that
it makes anew each time: 75 µs for a lead, of which the checks themselves are 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from marshmallow import Schema, ValidationError, fields, missing, validate


class QuickSchema(Schema):
    """For JSON objects: where every field's own checks accept what is there, that is loaded.

    All else is for marshmallow's `load`, from a fault and its words to names of no field. The two agree:
    tests/unit/shared/test_quick_schema.py. Hooks, defaults and processors are not for such a schema.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._checks = [_check_of(name, field) for name, field in self.load_fields.items()]

    def load(self, data: Any, **options: Any) -> Any:
        loaded = self._loaded_quickly(data) if type(data) is dict and not options else None
        return super().load(data, **options) if loaded is None else loaded

    def _loaded_quickly(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """What `load` returns for `data`, or None if that takes a closer look."""
        loaded: dict[str, Any] = {}
        try:
            for (
                name,
                called,
                required,
                allow_none,
                deserialize,
                shortest,
                longest,
                validators,
            ) in self._checks:
                value = data.get(called, missing)
                if value is missing:
                    if required:
                        return None
                    continue
                if value is None:
                    if not allow_none:
                        return None
                    loaded[name] = None
                    continue
                if deserialize is None:
                    if type(value) is not str or not shortest <= len(value) <= longest:
                        return None
                else:
                    value = deserialize(value, called, data)
                for validator in validators:
                    validator(value)
                loaded[name] = value
        except ValidationError:
            return None
        return loaded if len(loaded) == len(data) else None


class _Check(NamedTuple):
    """How one field is checked: `deserialize` is None for a text, of which the length is checked at once."""

    name: str
    called: str  # in the JSON
    required: bool
    allow_none: bool
    deserialize: Callable[[Any, str, Mapping[str, Any]], Any] | None
    shortest: int
    longest: float
    validators: Sequence[Callable[[Any], Any]]


def _check_of(name: str, field: Any) -> _Check:
    if field.load_default is not missing or field.pre_load or field.post_load or field.attribute:
        raise TypeError(f"{name}: a QuickSchema has no defaults, processors or attributes")
    check = _Check(
        name,
        field.data_key or name,
        field.required,
        field.allow_none,
        field._deserialize,
        0,
        math.inf,
        field.validators,
    )
    if type(field) is not fields.String:
        return check
    lengths = [validator for validator in field.validators if type(validator) is validate.Length]
    shortest = max((length.equal or length.min or 0 for length in lengths), default=0)
    longest = min((length.equal or length.max or math.inf for length in lengths), default=math.inf)
    others = [validator for validator in field.validators if validator not in lengths]
    return check._replace(deserialize=None, shortest=shortest, longest=longest, validators=others)
