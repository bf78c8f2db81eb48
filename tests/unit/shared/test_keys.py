"""The folder of keys that sign JWTs: made, read, rotated, published."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.keys import REREAD_SECONDS, SETTLE_SECONDS, KeyRing, NoKeys, make_key, read_keys
from tests.factories import NOON
from tests.fakes import FakeElapsed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one key."""
    make_key(tmp_path / "keys", NOON)
    return tmp_path / "keys"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def test_a_key_is_named_by_when_it_was_made_and_readable_by_its_owner_only(folder: Path) -> None:
    (path,) = folder.iterdir()
    assert path.name == "20260601T120000000000.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_key_that_is_there_is_not_made_over(folder: Path) -> None:
    before = read_keys(folder).signing_key.private_numbers()
    make_key(folder, NOON + timedelta(microseconds=1))
    assert read_keys(folder).private["20260601T120000000000"].private_numbers() == before


def test_the_last_key_signs_once_it_has_settled_and_every_key_verifies(folder: Path) -> None:
    old = read_keys(folder)
    made_at = make_key(folder, datetime(2026, 6, 2, tzinfo=UTC)).stat().st_mtime
    assert read_keys(folder, lambda: made_at + SETTLE_SECONDS - 0.1).signing_kid == old.signing_kid
    keys = read_keys(folder, lambda: made_at + SETTLE_SECONDS)
    assert keys.signing_kid == "20260602T000000000000"
    signed_before = jwt.encode({"sub": "1"}, old.signing_key, "RS256")
    verifier = keys.public_key(old.signing_kid)
    assert verifier is not None
    assert jwt.decode(signed_before, verifier, ["RS256"]) == {"sub": "1"}


def test_a_key_id_that_is_none_of_ours_has_no_key(folder: Path) -> None:
    keys = read_keys(folder)
    assert keys.public_key("other") is None
    assert keys.public_key(None) is None
    assert keys.public_key("") is None


def test_published_keys_verify_and_have_no_private_part(folder: Path) -> None:
    make_key(folder, datetime(2026, 6, 2, tzinfo=UTC))
    keys = read_keys(folder)
    published = keys.jwks()["keys"]
    assert [key["kid"] for key in published] == ["20260601T120000000000", "20260602T000000000000"]
    assert all(set(key) == {"kty", "use", "alg", "kid", "n", "e"} for key in published)
    token = jwt.encode({"sub": "1"}, keys.signing_key, "RS256")
    assert keys.signing_kid == published[0]["kid"]
    assert jwt.decode(token, jwt.PyJWK(published[0]), ["RS256"]) == {"sub": "1"}


def test_a_folder_without_keys_stops_the_start_and_says_how_to_get_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NoKeys, match=f"JWT_KEYS_DIR: no key in {folder}; `make keys` makes one"):
            read_keys(folder)


@pytest.mark.parametrize("kind", ["empty", "text", "elliptic curve"])
def test_a_file_that_is_no_rsa_key_stops_the_start_and_is_named(folder: Path, kind: str) -> None:
    broken = folder / "x.pem"
    curve = ec.generate_private_key(ec.SECP256R1())
    broken.write_bytes({"empty": b"", "text": b"no key", "elliptic curve": pem(curve)}[kind])
    with pytest.raises(NoKeys, match=f"JWT_KEYS_DIR: {broken} is no ") as refused:
        read_keys(folder)
    assert len(str(refused.value).splitlines()) == 1


def test_a_key_with_a_password_stops_the_start(folder: Path) -> None:
    (folder / "x.pem").write_bytes(pem(read_keys(folder).signing_key, b"word"))
    with pytest.raises(NoKeys, match="without a password"):
        read_keys(folder)


def test_an_unfinished_key_is_not_read(folder: Path) -> None:
    (folder / "20270101T000000000000.new").write_bytes(b"-----BEGIN")
    assert read_keys(folder).signing_kid == "20260601T120000000000"


def test_a_new_key_joins_in_while_the_service_runs(folder: Path) -> None:
    elapsed = FakeElapsed()
    clock = [0.0]
    ring = KeyRing(folder, elapsed, lambda: clock[0])
    assert len(ring.current().private) == 1
    clock[0] = make_key(folder, datetime(2026, 6, 2, tzinfo=UTC)).stat().st_mtime
    assert len(ring.current().private) == 1  # looked at not so long ago
    elapsed.pass_by(REREAD_SECONDS)
    assert ring.current().signing_kid == "20260601T120000000000"
    clock[0] += SETTLE_SECONDS
    elapsed.pass_by(REREAD_SECONDS)
    assert ring.current().signing_kid == "20260602T000000000000"


def test_a_key_that_was_taken_away_verifies_no_more(folder: Path) -> None:
    elapsed = FakeElapsed()
    ring = KeyRing(folder, elapsed)
    make_key(folder, datetime(2026, 6, 2, tzinfo=UTC))
    assert ring.current().public_key("20260601T120000000000")
    (folder / "20260601T120000000000.pem").unlink()
    elapsed.pass_by(REREAD_SECONDS)
    assert ring.current().public_key("20260601T120000000000") is None


@pytest.mark.parametrize("leave", ["a broken key", "no key"])
def test_the_last_keys_stay_in_force_whatever_becomes_of_the_folder(folder: Path, leave: str) -> None:
    elapsed = FakeElapsed()
    ring = KeyRing(folder, elapsed)
    kid = ring.current().signing_kid
    if leave == "no key":
        (folder / f"{kid}.pem").unlink()
    else:
        (folder / "z.pem").write_bytes(b"")
    elapsed.pass_by(REREAD_SECONDS)
    assert ring.current().signing_kid == kid


def test_a_ring_that_never_had_a_key_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoKeys):
        KeyRing(tmp_path).current()
