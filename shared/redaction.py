"""What of a request or response may be kept: no credentials, and not more than LIMIT_BYTES.

A value goes by its name: `password`, `secret`, `token`, `api_token`, `api_key`, `Authorization`,
`X-AUTH-Token`, cookies, and whatever else ends in one of these words. Where a text names a credential and we
cannot tell where its value ends, because the text is neither JSON nor a form, nothing of it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, unquote_plus

import orjson

LIMIT_BYTES = 16 * 1024
# A body is read to find credentials in it; of a longer one only the beginning is looked at.
READ_BYTES = 128 * 1024
REDACTED = "[REDACTED]"

_CREDENTIALS = ("password", "passwd", "secret", "token", "apikey", "authorization", "cookie", "cookies")
# What no such name can do without.
_WORDS = (b"passw", b"secret", b"token", b"apikey", b"api_key", b"api-key", b"authorization", b"cookie")
# ASCII in JSON's escapes and in a URL's; each begins with what is quickly found.
_ESCAPES_OF_JSON = re.compile(rb"\\u00[2-7]")
_ESCAPES_OF_URLS = re.compile(rb"%[2-7]")
_NO_LETTER = re.compile(r"[\W_]+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_JWT = re.compile(r"eyJ[\w-]{8,256}\.[\w-]+\.[\w-]*")
_NAME_AND_VALUE = re.compile(
    r"(?i)(password|passwd|secret|token|api[_-]?key|authorization|cookies?)[^\w\s]*\s*[:=]"
)
_LINES = "application/x-ndjson"
_FORM = "application/x-www-form-urlencoded"


def is_credential(name: str) -> bool:
    """Whether the value that goes by `name` is a credential, however the name is written."""
    return _NO_LETTER.sub("", name).lower().endswith(_CREDENTIALS)


def redacted_body(
    body: bytes, size: int, content_type: str = "", *, only_objects: bool = False, is_harmless: bool = False
) -> str:
    """What is kept of a body, as text.

    `size` is the length of the whole, which `body` is only the beginning of where that is shorter. With
    `only_objects` nothing is kept of what is no JSON object. `is_harmless`: `are_harmless` has said so.
    """
    beginning = body[:LIMIT_BYTES]
    if not only_objects and (is_harmless or not _names_credential(beginning)):
        # No more than that is kept, and a value does not stand before its name.
        return _cut(beginning.decode("utf-8", "replace"), size, goes_on=size > LIMIT_BYTES)
    if len(body) < size:
        return REDACTED
    if content_type.startswith(_FORM) and not only_objects:
        return _cut(redacted_query(body.decode("utf-8", "replace")), size)
    try:
        values = _json_values(body, in_lines=content_type.startswith(_LINES))
        if only_objects and not all(isinstance(value, dict) for value in values):
            return REDACTED
        return _cut("\n".join(orjson.dumps(_redacted(value)).decode() for value in values), size)
    except (orjson.JSONDecodeError, RecursionError):
        return REDACTED


def are_harmless(bodies: Iterable[bytes | None]) -> bool:
    """Whether no word of a credential's name is in what may be kept of any of these bodies.

    Looked for in many at once, it is found missing in a quarter of the time.
    """
    return not _names_credential(b"\n".join([body[:LIMIT_BYTES] for body in bodies if body]))


def redacted_query(query: str) -> str:
    """The query string, or form, with the values of credentials replaced."""
    return _without_jwts("&".join(_redacted_pair(pair) for pair in query.split("&")))


def redacted_text(text: str, length: int) -> str:
    """The first `length` characters of a text that is not made of names and values."""
    return _without_jwts(text)[:length]


def _names_credential(body: bytes) -> bool:
    """Whether the body has a word in it that is part of every credential's name."""
    in_utf_16 = b"\0" in body
    # A pattern is only looked for where it can be: 0.3 µs each, twice a request.
    if (
        in_utf_16
        or (b"\\u00" in body and _ESCAPES_OF_JSON.search(body))
        or (b"%" in body and _ESCAPES_OF_URLS.search(body))
    ):
        text = body.decode("utf-8", "replace").replace("\0", "")
        text = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), unquote(text))
        body = text.encode("utf-8", "replace")
    body = body.lower()
    for word in _WORDS:  # noqa: SIM110 - any() with a generator takes five times as long, twice a request
        if word in body:
            return True
    return False


def _json_values(body: bytes, *, in_lines: bool) -> list[Any]:
    """The one value of a body, or that of each line. Raises JSONDecodeError for what is no JSON."""
    lines = [line for line in body.split(b"\n") if line.strip()] if in_lines else [body]
    return [orjson.loads(line) for line in lines]


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: REDACTED if is_credential(name) else _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner) for inner in value]
    if isinstance(value, str) and _NAME_AND_VALUE.search(value):
        return REDACTED  # a text that carries names and values in itself
    return value


def _redacted_pair(pair: str) -> str:
    name, separator, _ = pair.partition("=")
    if separator and is_credential(unquote_plus(name)):
        return f"{name}={REDACTED}"
    return REDACTED if _NAME_AND_VALUE.search(unquote_plus(pair)) else pair


def _without_jwts(text: str) -> str:
    return _JWT.sub(REDACTED, text) if "eyJ" in text else text


def _cut(text: str, size: int, *, goes_on: bool = False) -> str:
    """The text without JWTs in LIMIT_BYTES of UTF-8; where there is more of it, it ends in saying so."""
    if goes_on or (len(text) * 4 > LIMIT_BYTES and len(text.encode()) > LIMIT_BYTES):
        encoded = text.encode()
        end = f"… [CUT, {size} bytes in all]"
        text = encoded[: LIMIT_BYTES - len(end.encode())].decode("utf-8", "ignore") + end
    return _without_jwts(text)
