"""What JSON is taken, what is refused, and that neither takes long (contract, section 2)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.strict_json import JsonRefused, loads

SECONDS = 2.0  # of processor time; each takes some hundredths

ORDINARY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text().filter(lambda text: "\0" not in text),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text().filter(lambda text: "\0" not in text), inner, max_size=5)
    ),
    max_leaves=30,
)


def refusal(body: bytes) -> str:
    """Why `body` is refused."""
    with pytest.raises(JsonRefused) as refused:
        loads(body)
    return str(refused.value)


@contextmanager
def bounded() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < SECONDS


@given(ORDINARY, st.booleans(), st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}]))
def test_ordinary_values_come_back_as_they_were(value: Any, ascii_only: bool, style: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, **style)
    assert repr(loads(text.encode())) == repr(value)


@given(
    st.binary(max_size=40) | st.text(alphabet='{}[]",:0123456789.eE+-\\u tfn', max_size=40).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = loads(body)
    except JsonRefused:
        return
    assert loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"c":2,"a":3}}]',
        b'{"a":1,"\\u0061":2}',
        b'{"x":[{"a":null,"a":null}]}',
    ],
)
def test_duplicate_keys_are_refused_at_any_depth(body: bytes) -> None:
    assert refusal(body) == "The JSON has the key 'a' twice"


def test_the_same_key_in_two_objects_is_no_duplicate() -> None:
    assert loads(b'{"a":{"a":1},"b":[{"a":2},{"a":3}]}') == {"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}


def test_a_long_duplicate_key_is_named_by_its_beginning() -> None:
    key = json.dumps("k" * 10_000)
    assert len(refusal(f"{{{key}:1,{key}:2}}".encode())) < 200


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_javascript_has_and_json_has_not_is_refused(name: str) -> None:
    assert refusal(f'{{"a":{name}}}'.encode()) == f"The JSON has {name}, which is not a JSON number"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1.5E+400", "9" * 400 + ".0"])
def test_a_number_beyond_a_double_is_refused(number: str) -> None:
    assert "beyond the range of a double" in refusal(number.encode())


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 0, -1])
def test_integers_of_64_bits_are_exact(number: int) -> None:
    assert loads(str(number).encode()) == number


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775809", "1" * 5000, "-" + "1" * 5000]
)
def test_integers_beyond_64_bits_are_refused(number: str) -> None:
    why = refusal(f'{{"a":[{number}]}}'.encode())
    assert "integer beyond 64 bits" in why
    assert len(why) < 100


@pytest.mark.parametrize(
    "text", [r'"\ud800"', r'"a\udc00b"', r'"\udc00\ud800"', r'{"\ud800":1}', r'[{"a":{"b":["\udfff"]}}]']
)
def test_half_of_a_surrogate_pair_is_refused(text: str) -> None:
    assert refusal(text.encode()) == "The JSON has half of a surrogate pair"


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert loads(rb'"\ud83d\ude00"') == "😀"


@pytest.mark.parametrize("text", [r'"\u0000"', r'{"a\u0000":1}', r'[["a\u0000b"]]'])
def test_an_escaped_nul_is_refused(text: str) -> None:
    assert refusal(text.encode()) == r"The JSON has a NUL character (\u0000)"


def test_an_escaped_backslash_before_u0000_is_text() -> None:
    assert loads(rb'"\\u0000"') == r"\u0000"


@pytest.mark.parametrize("char", [chr(code) for code in range(0x20)])
def test_raw_control_characters_are_refused(char: str) -> None:
    assert refusal(f'"a{char}b"'.encode()).startswith("Malformed JSON: Invalid control character")


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")], ids=["lists", "objects", "both"]
)
def test_64_levels_are_accepted_and_65_refused(opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    times, rest = divmod(64, levels)
    deep = "1" if not rest else "[1]"
    loads(f"{opening * times}{deep}{closing * times}".encode())
    assert refusal(f"[{opening * times}{deep}{closing * times}]".encode()) == (
        "The JSON is nested more than 64 levels deep"
    )


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert loads(b"[" + b",".join([b"[{}]"] * 1000) + b"]") == [[{}]] * 1000


def test_brackets_in_strings_are_not_deep() -> None:
    text = "[{" * 1000 + '"\\' + "]}" * 10
    assert loads(json.dumps([text, {text: text}]).encode()) == [text, {text: text}]


@pytest.mark.parametrize("levels", [50_000, 500_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'["]",'])
def test_a_bottomless_nest_is_refused_at_once(opening: bytes, levels: int) -> None:
    with bounded():
        assert refusal(opening * levels) == "The JSON is nested more than 64 levels deep"


@pytest.mark.parametrize("piece", [b'\\"', b"\\\\", b"[", b'\\"[', b"a"])
def test_an_endless_string_is_refused_at_once(piece: bytes) -> None:
    body = b"[" * 60 + b'"' + piece * (1024 * 1024 // len(piece))
    with bounded():
        assert refusal(body).startswith("Malformed JSON: Unterminated string")


def test_many_endless_looking_strings_are_refused_at_once() -> None:
    with bounded():
        assert refusal(b"[[" * 40 + b'"\\' * (512 * 1024)).startswith("The JSON is nested")


def test_a_byte_order_mark_is_no_content() -> None:
    assert loads(b"\xef\xbb\xbf" + b'{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    "body", [b'"\xff"', b'"\xe4"', b'"\xed\xa0\x80"', b'"\xc0\x80"', '{"a":1}'.encode("utf-16")]
)
def test_what_is_not_utf8_is_refused(body: bytes) -> None:
    assert refusal(body).startswith("The JSON is not UTF-8 (byte ")


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b'{"a"}', b"[1,]", b'{"a":1,}', b"'a'", b"01", b"1 2", b"nul", b"+1", b".5", b"/**/1"],
)
def test_malformed_json_is_refused_with_its_place(body: bytes) -> None:
    why = refusal(body)
    assert why.startswith("Malformed JSON: ")
    assert " at line 1, column " in why
