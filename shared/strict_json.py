"""JSON as the contract takes it (section 2): what would be changed or lost on its way is refused here."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

MAX_DEPTH = 64
_LOW, _HIGH = -(2**63), 2**63 - 1
_WHITESPACE = re.compile(r"[ \t\n\r]*")
_COMMA_OR_END = re.compile(r"[ \t\n\r]*([,\]])[ \t\n\r]*")
# Possessive and with an optional end quote: a string that never ends is read once, not once a quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
_SURROGATE = re.compile("[\ud800-\udfff]")
# NUL, and halves of surrogate pairs: also whole pairs, so the text has to be looked at.
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class JsonRefused(ValueError):
    """The text is no JSON, or JSON that two readers could understand differently; says which."""


def loads(body: bytes) -> Any:
    """The value in `body`, UTF-8.

    Raises JsonRefused for malformed JSON and for duplicate keys, NaN and infinities, lone surrogates,
    NUL, integers beyond 64 bits and nesting past 64 levels.
    """
    value = _read_as_written(body)
    if value is not None:
        return value
    text = _decoded(body)
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper_than(text, MAX_DEPTH):
        raise _too_deep()
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error) from None
    # Both can only come out of an escape: raw ones do not get through the decoder above.
    if b"\\u" in body and _SUSPECT_ESCAPE.search(text):
        _refuse_unstorable_text(value)
    return value


def _read_as_written(body: bytes) -> Any:
    """The value in `body` if writing it gives that body again, to the byte; then nothing of it was changed or
    lost. None for all else: that takes the closer look, which takes three times as long.
    """
    if b"\\u" in body or body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        return None
    try:
        value = orjson.loads(body)
        # No integers beyond 53 bits, because orjson writes some that are beyond 64.
        return value if orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == body else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def list_items(body: bytes, name: str) -> Iterator[tuple[Any, int]]:
    """The items of the list `name`, which is all that the JSON object in `body` has, each with its length.

    An item is parsed when it is its turn, so that a long list is neither in memory as a whole nor parsed in
    one go. Raises JsonRefused as `loads` does.
    """
    text = _decoded(body)
    end = len(text)
    at = _after(text, 0, "{", f"a JSON object with a list `{name}`")
    at = _after(text, at, f'"{name}"', f"the list `{name}` and nothing else")
    at = _after(text, at, ":", "a colon")
    at = _after(text, at, "[", f"a list as `{name}`")
    if text[at : at + 1] == "]":
        at = _space(text, at + 1)
    else:
        while True:
            begin = at
            value, at = _item(text, begin)
            yield value, at - begin
            separator = _COMMA_OR_END.match(text, at)
            if separator is None:
                raise _unexpected(text, _space(text, at), "a comma or the end of the list")
            at = separator.end()
            if separator[1] == "]":
                break
    at = _after(text, at, "}", f"the end of the object, which has the list `{name}` and nothing else")
    if at != end:
        raise _unexpected(text, at, "nothing more")


def _item(text: str, begin: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends."""
    try:
        value, end = _decoder.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        raise _malformed(error) from None
    except RecursionError:
        raise _too_deep() from None
    # Two levels are around it.
    brackets = text.count("[", begin, end) + text.count("{", begin, end)
    if brackets > MAX_DEPTH - 2 and _deeper_than(text[begin:end], MAX_DEPTH - 2):
        raise _too_deep()
    if text.find("\\u", begin, end) >= 0 and _SUSPECT_ESCAPE.search(text, begin, end):
        _refuse_unstorable_text(value)
    return value, end


def _after(text: str, at: int, token: str, expected: str) -> int:
    """Where it goes on after `token`, which must come next."""
    if not text.startswith(token, at := _space(text, at)):
        raise _unexpected(text, at, expected)
    return _space(text, at + len(token))


def _space(text: str, at: int) -> int:
    """Where the next token begins."""
    return _WHITESPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _unexpected(text: str, at: int, expected: str) -> JsonRefused:
    place = json.JSONDecodeError("", text, at)
    return JsonRefused(f"The JSON should have {expected} at line {place.lineno}, column {place.colno}")


def _malformed(error: json.JSONDecodeError) -> JsonRefused:
    return JsonRefused(f"Malformed JSON: {error.msg} at line {error.lineno}, column {error.colno}")


def _too_deep() -> JsonRefused:
    return JsonRefused(f"The JSON is nested more than {MAX_DEPTH} levels deep")


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise JsonRefused(f"The JSON is not UTF-8 (byte {error.start})") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonRefused(f"The JSON has the key {key[:100]!r} twice")
            seen.add(key)
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or not _LOW <= (number := int(digits)) <= _HIGH:
        raise JsonRefused(f"The JSON has an integer beyond 64 bits ({digits[:20]}…)")
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise JsonRefused(f"The JSON has a number beyond the range of a double ({digits[:20]})")
    return number


def _constant(name: str) -> Any:
    raise JsonRefused(f"The JSON has {name}, which is not a JSON number")


def _deeper_than(text: str, limit: int) -> bool:
    """Counts brackets outside of strings, so that no depth can exhaust the stack of the decoder.

    All in C: a loop in Python took 0.35 s for a mebibyte of brackets, this takes 0.05.
    """
    brackets = _STRING.sub("", text).encode("ascii", "replace").translate(None, _NO_BRACKETS)
    return max(itertools.accumulate(map(_STEPS.__getitem__, brackets)), default=0) > limit


def _refuse_unstorable_text(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise JsonRefused("The JSON has a NUL character (\\u0000)")
        if _SURROGATE.search(value):
            raise JsonRefused("The JSON has half of a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable_text(key)
            _refuse_unstorable_text(item)


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_int=_integer, parse_float=_finite, parse_constant=_constant
)
