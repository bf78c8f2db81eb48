"""Emails that stand somewhere in a text which nobody can read for sure: one that was cut, or is no JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

LENGTH = 255  # of an email, in characters

# What an email has before its @ (shared/json_fields.py takes no more), and of that what may as well be
# around it, as in `to=ada@example.com`. Read from the @ backwards.
_LOCAL = re.compile(r"[-!#$%&'*+/=?^`{}|~.\w]+")
_AROUND = re.compile(r"[!#$%&'*/=?^`{}|~]")
_QUOTED = re.compile(r'"[^"\s]+"')
_DOMAIN = re.compile(r"\[[^]]+\]|[-.\w]+")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")


def emails_in(text: str) -> set[str]:
    """Whatever may be an email in the text, in plain words or as JSON or a URL has it.

    Where nobody knows where one begins, it is there with each beginning it may have.
    """
    views = {text}
    if "\\" in text:
        views.add(_unescaped(text))
    if "%" in text:
        views |= {unquote(view) for view in views}
    return {email for view in views for email in _emails(view)}


def _emails(text: str) -> Iterator[str]:
    at = text.find("@")
    while at >= 0:
        if domain := _DOMAIN.match(text, at + 1, at + 1 + LENGTH):
            ending = domain[0].rstrip(".-")
            for local in _locals(text[max(0, at - LENGTH) : at]):
                yield f"{local}@{ending}"
        at = text.find("@", at + 1)


def _locals(before: str) -> Iterator[str]:
    backwards = before[::-1]
    if quoted := _QUOTED.match(backwards):
        yield quoted[0][::-1]
    if found := _LOCAL.match(backwards):
        local = found[0][::-1].lstrip(".")
        yield local
        yield from (local[around.end() :] for around in _AROUND.finditer(local))


def _unescaped(text: str) -> str:
    """The text without the escapes of JSON; pairs of surrogates are the letter they stand for."""
    plain = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[2], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
