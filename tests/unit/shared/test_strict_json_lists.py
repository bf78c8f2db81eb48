"""A list that is read item by item is what it would be if it were read as a whole, and as strict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.strict_json import MAX_DEPTH, JsonRefused, list_items, loads
from tests.unit.shared.test_strict_json import ORDINARY


def items(body: bytes) -> list[Any]:
    return [value for value, _ in list_items(body, "leads")]


@given(st.lists(ORDINARY, max_size=5), st.sampled_from([None, 1, "\t"]))
def test_the_items_of_a_list_are_those_that_the_whole_would_have(values: list[Any], indent: Any) -> None:
    body = json.dumps({"leads": values}, indent=indent).encode()
    assert items(body) == loads(body)["leads"]
    assert items(b"\xef\xbb\xbf \n" + body + b" \r\n") == values


@given(st.lists(ORDINARY, max_size=3), st.data())
def test_a_list_that_is_cut_off_is_refused(values: list[Any], data: st.DataObject) -> None:
    body = json.dumps({"leads": values}).encode()
    end = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(JsonRefused):
        items(body[:end])


def test_an_item_comes_with_its_length_and_before_the_next_is_read() -> None:
    found = list_items(b'{"leads": [ {"a": 1} , {"a": ', "leads")
    assert next(found) == ({"a": 1}, len('{"a": 1}'))
    with pytest.raises(JsonRefused, match="Malformed JSON"):
        next(found)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "a JSON object with a list `leads` at line 1, column 1"),
        (b"[]", "a JSON object with a list `leads`"),
        (b'{"more":1,"leads":[]}', "the list `leads` and nothing else at line 1, column 2"),
        (b'{"leads":1}', "a list as `leads`"),
        (b'{"leads":[]', "the end of the object"),
        (b'{"leads":[],"leads":[]}', "the end of the object"),
        (b'{"leads":[1\n2]}', "a comma or the end of the list at line 2, column 1"),
        (b'{"leads":[1,]}', "Malformed JSON"),
        (b'{"leads":[]} x', "nothing more"),
        (b'{"leads":[{"a":1,"a":1}]}', "twice"),
        (b'{"leads":[NaN]}', "NaN"),
        (b'{"leads":["\\u0000"]}', "NUL"),
        (b'{"leads":["\\ud800"]}', "surrogate"),
        (b'{"leads":[9223372036854775808]}', "beyond 64 bits"),
        (b'{"leads":["\xff"]}', "not UTF-8"),
        (b'{"leads":[' + b"[" * 100_000, "levels deep"),
    ],
)
def test_a_list_is_as_strict_as_the_whole(body: bytes, fault: str) -> None:
    with pytest.raises(JsonRefused, match=fault):
        items(body)


@pytest.mark.parametrize(("depth", "is_taken"), [(MAX_DEPTH - 2, True), (MAX_DEPTH - 1, False)])
def test_the_list_counts_in_how_deep_an_item_may_be(depth: int, is_taken: bool) -> None:
    body = b'{"leads":[' + b"[" * depth + b"]" * depth + b"]}"
    taken = []
    for read in (items, loads):
        try:
            read(body)
        except JsonRefused:
            taken.append(False)
        else:
            taken.append(True)
    assert taken == [is_taken, is_taken]
