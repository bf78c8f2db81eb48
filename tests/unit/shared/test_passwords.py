"""Passwords are kept as hashes, and a check says nothing by how long it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest

from shared.passwords import Passwords
from tests.factories import PASSWORD, PASSWORD_HASH

P = ParamSpec("P")
T = TypeVar("T")


class CountingOffload:
    """Runs the work here and counts it."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.runs += 1
        return work(*args, **kwargs)


def test_the_password_that_made_a_hash_matches_it() -> None:
    assert Passwords().matches(PASSWORD_HASH, PASSWORD)


@pytest.mark.parametrize("other", ["", PASSWORD + " ", PASSWORD.upper(), "pässwörd", "\0", "x" * 1024])
def test_another_password_does_not(other: str) -> None:
    assert not Passwords().matches(PASSWORD_HASH, other)


def test_a_hash_is_argon2id_with_19_mib_and_two_passes() -> None:
    assert PASSWORD_HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_the_same_password_has_another_hash_each_time() -> None:
    passwords = Passwords()
    assert passwords.hash("word") != passwords.hash("word")


def test_nobody_has_no_password() -> None:
    passwords = Passwords()
    assert not passwords.matches(None, "a password nobody has")
    assert not passwords.matches(None, "a password nobody has")
    assert not passwords.matches(None, "")


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$broken", "$2b$12$abcdefghijklmnopqrstuv"])
def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not Passwords().matches(stored, stored)


@pytest.mark.parametrize("stored", [PASSWORD_HASH, None], ids=["known", "unknown"])
def test_each_check_is_one_run_of_argon2_whether_the_user_is_known_or_not(stored: str | None) -> None:
    offload = CountingOffload()
    passwords = Passwords(offload)
    for checks in (1, 2, 3):
        passwords.matches(stored, "word")
        assert offload.runs == checks
