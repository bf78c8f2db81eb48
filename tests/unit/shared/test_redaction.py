"""No credential is kept, however it is written and however deep it lies; all else is, up to 16 KiB."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.redaction import (
    LIMIT_BYTES,
    READ_BYTES,
    REDACTED,
    are_harmless,
    is_credential,
    redacted_body,
    redacted_query,
)

SECRET = "s3cr3t-Zoë"
NAMES = (
    "Authorization",
    "X-AUTH-Token",
    "Cookie",
    "Set-Cookie",
    "password",
    "token",
    "api_token",
    "api-key",
    "passwd",
    "client_secret",
)
JSON = "application/json"
LINES = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"


def kept(body: bytes | str, content_type: str = JSON, *, only_objects: bool = False) -> str:
    body = body.encode() if isinstance(body, str) else body
    return redacted_body(body, len(body), content_type, only_objects=only_objects)


def any_case(name: str) -> st.SearchStrategy[str]:
    return st.tuples(*[st.sampled_from([letter.lower(), letter.upper()]) for letter in name]).map("".join)


names = st.sampled_from(NAMES).flatmap(any_case)
others = st.text(max_size=8).filter(lambda name: not is_credential(name))
plain = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text('abc é\n"\\{[', max_size=8)
secrets = st.recursive(
    st.just(SECRET),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2) | st.dictionaries(others, inner, min_size=1, max_size=2)
    ),
    max_leaves=3,
)


def bearing(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects and lists around what bears a secret."""
    beside = st.dictionaries(others, plain, max_size=2)
    return st.builds(lambda name, value, more: {**more, name: value}, others, inner, beside) | st.builds(
        lambda before, value, after: [*before, value, *after],
        st.lists(plain, max_size=2),
        inner,
        st.lists(plain, max_size=2),
    )


bodies = st.recursive(
    st.builds(
        lambda name, secret, more: {**more, name: secret}, names, secrets, st.dictionaries(others, plain)
    ),
    bearing,
    max_leaves=4,
)


@given(bodies, st.booleans())
def test_no_credential_in_json_is_kept_at_any_depth(body: Any, escaped: bool) -> None:
    text = kept(json.dumps(body, ensure_ascii=escaped))
    assert SECRET not in text
    assert "s3cr3t" not in text
    assert REDACTED in text


@given(bodies, st.data())
def test_no_credential_in_json_that_was_broken_off_is_kept(body: Any, data: st.DataObject) -> None:
    whole = json.dumps(body, ensure_ascii=False).encode()
    end = data.draw(st.integers(0, len(whole) - 1))
    assert "s3cr3t" not in kept(whole[:end])


@given(st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(others, inner), max_leaves=8))
def test_what_names_no_credential_is_kept_as_it_is(body: Any) -> None:
    text = json.dumps(body, ensure_ascii=False)
    assert json.loads(kept(text)) == body


def test_names_beside_a_credential_are_kept() -> None:
    body = {"email": "ada@example.com", "password": SECRET, "deep": [{"API-Token": 5, "tokens": 7, "n": 1.5}]}
    assert json.loads(kept(json.dumps(body))) == {
        "email": "ada@example.com",
        "password": REDACTED,
        "deep": [{"API-Token": REDACTED, "tokens": 7, "n": 1.5}],
    }


def test_a_name_spelled_in_escapes_is_the_same_name() -> None:
    assert kept(r'{"pass\u0077ord":"s3cr3t"}') == f'{{"password":"{REDACTED}"}}'
    assert kept(r'{"\u0050ASSWORD": "s3cr3t') == REDACTED


@pytest.mark.parametrize(
    "body",
    [
        '{"email": "ada", "password": "s3cr3t',
        '{"email": "ada", "password": s3cr3t}',
        "{'password': 's3cr3t'}",
        '{"password": ["a", "s3cr3t"',
        '{"a": "x" " , "password": "s3cr3t"}',
        "password=s3cr3t",
        "pass%77ord=s3cr3t",
        "Authorization: Bearer s3cr3t",
        "email,password\nada,s3cr3t\n",
        '{"password": "s3cr3t"}{"password": "s3cr3t"}',
        '{"n": NaN, "token": "s3cr3t"}',
        "[" * 2000 + '{"token": "s3cr3t"}' + "]" * 2000,
    ],
)
def test_a_text_that_names_a_credential_and_is_no_json_is_not_kept(body: str) -> None:
    assert kept(body) == REDACTED
    assert kept(body.encode("utf-16"), "text/plain") == REDACTED


def test_a_broken_text_without_credentials_is_kept() -> None:
    assert kept('{"firstName": "Zoë", ') == '{"firstName": "Zoë", '


@pytest.mark.parametrize("text", ['{"password":"s3cr3t"}', "token=s3cr3t", "Cookie: s3cr3t"])
def test_a_text_within_json_that_carries_credentials_is_not_kept(text: str) -> None:
    assert json.loads(kept(json.dumps({"note": text, "n": 1}))) == {"note": REDACTED, "n": 1}


def test_our_own_messages_about_tokens_are_kept() -> None:
    body = '{"status":"error","code":401,"message":"JWT Token not found"}'
    assert kept(body) == body


def test_a_jwt_is_kept_under_no_name() -> None:
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    for body in (json.dumps({"note": f"my {jwt}!"}), jwt, f"{{{jwt}"):
        assert "c2lnbmF0dXJl" not in kept(body)
    assert "c2lnbmF0dXJl" not in redacted_query(f"page=1&next={jwt}")


def test_lines_of_json_are_redacted_one_by_one() -> None:
    body = '{"email":"a"}\n{"email":"b","token":"s3cr3t"}\n'
    assert kept(body, LINES) == f'{{"email":"a"}}\n{{"email":"b","token":"{REDACTED}"}}'
    assert kept('{\n"token":\n"s3cr3t"\n}', LINES) == REDACTED


def test_a_form_is_redacted_like_a_query() -> None:
    assert kept("email=a&password=s3cr3t&x=1", FORM) == f"email=a&password={REDACTED}&x=1"


@given(names, st.text(min_size=1))
def test_no_credential_in_a_query_is_kept(name: str, around: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in name.encode())
    for written in (name, encoded, f"user[{name}]", quote(f'{{"{name}"')):
        query = f"page=1&{written}=s3cr3t&q={quote(around)}"
        redacted = redacted_query(query)
        assert "s3cr3t" not in redacted
        assert redacted.startswith("page=1&")


def test_a_query_without_credentials_stays_as_it_is() -> None:
    assert redacted_query("page=2&q=a%20b&&x") == "page=2&q=a%20b&&x"


@pytest.mark.parametrize("body", [b'["s3cr3t"]', b'"s3cr3t"', b"s3cr3t", b"\xffs3cr3t", b'{"a": "s3cr3t"'])
def test_where_bodies_are_credentials_only_objects_are_kept(body: bytes) -> None:
    assert redacted_body(body, len(body), only_objects=True) == REDACTED


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_text_in_the_end(body: bytes) -> None:
    kept(body).encode()


def padded(length: int) -> str:
    return json.dumps({"a": "é" * length}, ensure_ascii=False)


@pytest.mark.parametrize("make", [padded, lambda length: f'{{"token":"s3cr3t",{padded(length)[1:]}'])
@pytest.mark.parametrize("length", [LIMIT_BYTES // 2, LIMIT_BYTES // 2 + 1, LIMIT_BYTES, READ_BYTES // 3])
def test_a_long_body_is_cut_on_a_character_and_says_so(make: Callable[[int], str], length: int) -> None:
    body = make(length)
    text = kept(body)
    assert len(text.encode()) <= LIMIT_BYTES
    assert text.endswith(f"… [CUT, {len(body.encode())} bytes in all]")
    assert "s3cr3t" not in text
    assert "�" not in text


def test_a_body_of_just_the_limit_is_whole() -> None:
    body = padded((LIMIT_BYTES - len(padded(0))) // 2)
    assert len(body.encode()) in (LIMIT_BYTES, LIMIT_BYTES - 1)
    assert kept(body) == body


def test_of_a_body_too_long_to_read_the_beginning_is_kept_if_it_names_no_credential() -> None:
    beginning = padded(LIMIT_BYTES).encode()[:LIMIT_BYTES]
    assert redacted_body(beginning, 8_000_000).endswith("… [CUT, 8000000 bytes in all]")
    assert redacted_body(b'{"token":"s3cr3t",' + beginning, 8_000_000) == REDACTED


PIECES = [
    b"token",
    b"tok",
    b"en",
    b"pass",
    b"word",
    b"%6",
    b"%65",
    b"\\u00",
    b"\\u0065",
    b"\0",
    b"\xff",
    b'"',
    b":",
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join), max_size=5))
def test_bodies_are_harmless_together_only_if_each_is(bodies: list[bytes]) -> None:
    if are_harmless(bodies):
        assert all(are_harmless([body]) for body in bodies)
        for body in bodies:
            assert redacted_body(body, len(body), is_harmless=True) == redacted_body(body, len(body))


def test_one_body_with_a_credential_is_enough_to_look_at_each() -> None:
    assert not are_harmless([b"{}", None, b'{"token":"s3cr3t"}', b"{}"])
    assert are_harmless([b"{}", None, b'{"name":"Ada"}'])
