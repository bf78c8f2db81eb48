"""Keyed hashes of emails: what is kept where the email itself must not be, or may be erased later."""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
from pathlib import Path

from shared.columns import normalised
from shared.settings import Settings

KEY_BYTES = 32


class NoEmailHashKey(SystemExit):
    """Stops the start: the key of this installation cannot be read or made; says why."""


class EmailHashes:
    """HMAC-SHA256 of emails in the form in which two of them are the same."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod="sha256")

    def __call__(self, email: str) -> bytes:
        hashing = self._keyed.copy()  # the key is prepared once
        hashing.update(normalised(email).encode())
        return hashing.digest()


def open_email_hashes(settings: Settings) -> EmailHashes:
    """Hashes under EMAIL_HASH_KEY; without it, under a key made once and kept in DATA_DIR.

    Raises NoEmailHashKey.
    """
    if settings.email_hash_key:
        return EmailHashes(settings.email_hash_key.encode())
    try:
        return EmailHashes(_kept_key(settings.email_hash_key_path))
    except OSError as error:
        raise NoEmailHashKey(f"EMAIL_HASH_KEY: not set, and none can be kept in DATA_DIR: {error}") from None


def _kept_key(path: Path) -> bytes:
    """The key in the file, made if it is empty or not there; all who start at once get the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        key = file.read()
        if not key:
            key = secrets.token_hex(KEY_BYTES).encode()
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        return key
