"""What a view says of itself for the API's document: `@takes` what it reads, `@answers` what it gives.

Both only attach words to the view; a request pays nothing for them. shared/api_document.py puts the document
together from them, from the docstring (its first line is the summary) and from who may call the view, so what
follows from those is not said again: a signed-in route may answer 401, 403, 429 and 503, one that takes
something 400, one that takes a body 413 and 415, and every one 500.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

from shared.api_schemas import JsonSchema, enveloped

View = TypeVar("View", bound=Callable[..., Any])

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """One answer of a view: what it means, its body (none if that is None) and the headers it always has."""

    about: str
    body: JsonSchema | None = None
    headers: tuple[str, ...] = ()
    media_types: tuple[str, ...] = (JSON,)


@dataclass(frozen=True)
class Takes:
    """What a view reads of a request. `body` is the schema that validates it, `example` a good body;
    `bodies` are examples of bodies in other media types."""

    body: Schema | None = None
    example: Any = None
    bodies: Mapping[str, str] = field(default_factory=dict)
    body_required: bool = True
    query: Schema | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What a view answers by itself; `errors` are the codes of errors that do not follow from elsewhere."""

    by_code: Mapping[int, Answer]
    errors: tuple[int, ...] = ()
    is_limited: bool = False


@dataclass(frozen=True)
class Description:
    """All that a view says of itself; `role` is None for what is open to all."""

    takes: Takes
    answers: Answers
    role: str | None


def takes(
    *,
    body: Schema | None = None,
    example: Any = None,
    bodies: Mapping[str, str] | None = None,
    body_required: bool = True,
    query: Schema | None = None,
    headers: tuple[str, ...] = (),
) -> Callable[[View], View]:
    """See Takes; `headers` are names of REQUEST_HEADERS."""
    words = Takes(body, example, bodies or {}, body_required, query, headers)

    def attach(view: View) -> View:
        view.takes = words  # type: ignore[attr-defined]
        return view

    return attach


def answers(
    by_code: Mapping[int, Answer], errors: tuple[int, ...] = (), *, is_limited: bool = False
) -> Callable[[View], View]:
    """See Answers; `is_limited` is for a route that is open to all and counts its callers all the same."""
    words = Answers(by_code, errors, is_limited)

    def attach(view: View) -> View:
        view.answers = words  # type: ignore[attr-defined]
        return view

    return attach


def not_of_the_api(view: View) -> View:
    """The view is a page or a part of one, which the API's document leaves out."""
    view.answers = None  # type: ignore[attr-defined]
    return view


def is_described(view: Callable[..., Any]) -> bool:
    """Whether the view says what it answers, or that it is none of the API."""
    return hasattr(view, "answers")


def description_of(view: Callable[..., Any]) -> Description | None:
    """What the view says of itself; None if it is none of the API, or has not said anything."""
    words: Answers | None = getattr(view, "answers", None)
    role: str = getattr(view, "access_rule", "anyone")
    if words is None:
        return None
    return Description(getattr(view, "takes", Takes()), words, None if role == "anyone" else role)


def success_of(code: int, message: str, data: JsonSchema, headers: tuple[str, ...] = ()) -> dict[int, Answer]:
    """The one answer of a view that succeeds in one way: `data` in the envelope."""
    return {code: Answer(message, enveloped(code, message, data), headers)}


DONE = {204: Answer("Done")}
