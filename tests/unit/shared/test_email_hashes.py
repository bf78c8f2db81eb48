"""Keyed hashes of emails, and the key they are made with."""

from __future__ import annotations

import hmac
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.email_hashes import EmailHashes, NoEmailHashKey, open_email_hashes
from shared.settings import Settings

SECRET = "x" * 32


def test_a_hash_is_an_hmac_of_the_normalised_email() -> None:
    assert EmailHashes(b"key")("ＡDA@Example.com") == hmac.digest(b"key", b"ada@example.com", "sha256")


def test_emails_have_the_same_hash_if_they_are_the_same_email() -> None:
    hashes = EmailHashes(b"key")
    assert hashes("Ada@Example.COM") == hashes("ada@example.com")
    assert hashes("straße@example.com") == hashes("STRASSE@example.com")
    assert len({hashes(email) for email in ("jose@example.com", "josé@example.com", "jose@example.co")}) == 3


def test_another_key_makes_other_hashes() -> None:
    assert EmailHashes(b"key")("ada@example.com") != EmailHashes(b"other")("ada@example.com")


def test_the_key_is_that_of_the_setting(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, email_hash_key=SECRET)
    assert open_email_hashes(settings)("a@b.co") == EmailHashes(SECRET.encode())("a@b.co")
    assert list(tmp_path.iterdir()) == []


def test_without_a_setting_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    first = open_email_hashes(settings)("a@b.co")
    assert open_email_hashes(settings)("a@b.co") == first
    assert open_email_hashes(Settings(data_dir=tmp_path / "other"))("a@b.co") != first
    path = tmp_path / "new" / "email-hash-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 64


def test_all_who_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    gate = threading.Barrier(8)

    def start(_: int) -> bytes:
        gate.wait()
        return open_email_hashes(Settings(data_dir=tmp_path))("a@b.co")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1


def test_a_start_that_was_cut_off_leaves_no_empty_key(tmp_path: Path) -> None:
    (tmp_path / "email-hash-key").touch()
    open_email_hashes(Settings(data_dir=tmp_path))
    assert len((tmp_path / "email-hash-key").read_bytes()) == 64


def test_a_key_that_cannot_be_kept_stops_the_start_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoEmailHashKey, match=r"^EMAIL_HASH_KEY: .*DATA_DIR.*") as stopped:
        open_email_hashes(Settings(data_dir=tmp_path / "file"))
    assert "\n" not in str(stopped.value)
