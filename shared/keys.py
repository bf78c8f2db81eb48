"""The keys that sign JWTs: a folder of RSA private keys, `<kid>.pem` each, the last by name signs.

Every key in the folder verifies, so two may be live at once. A new key signs only once every process has
had the time to read it, so a rotation refuses nobody. The public halves are published as JWKS (RFC 7517).
"""

from __future__ import annotations

import base64
import itertools
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

log = logging.getLogger("leadgate.keys")

ALGORITHM = "RS256"
KEY_BITS = 2048
REREAD_SECONDS = 1.0
SETTLE_SECONDS = 5.0


class NoKeys(SystemExit):
    """Stops the start: there is no usable key; the message names the folder and how to get one."""


@dataclass(frozen=True, slots=True)
class JwtKeys:
    """Keys by `kid`, and since when each is there, in seconds of the epoch; `signing_kid` names the one
    that signs."""

    private: dict[str, rsa.RSAPrivateKey]
    made_at: dict[str, float]
    signing_kid: str

    @property
    def signing_key(self) -> rsa.RSAPrivateKey:
        return self.private[self.signing_kid]

    def as_of(self, now: float) -> JwtKeys:
        """The same keys, of which the newest signs that every process must have read by `now`; the oldest
        of all if there is no such."""
        settled = [kid for kid, made_at in self.made_at.items() if now - made_at >= SETTLE_SECONDS]
        return JwtKeys(self.private, self.made_at, max(settled) if settled else min(self.private))

    def public_key(self, kid: str | None) -> rsa.RSAPublicKey | None:
        """The key a token says it was signed with, or None if it is none of ours."""
        key = self.private.get(kid or "")
        return key.public_key() if key else None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set."""
        return {"keys": [_jwk(kid, key.public_key()) for kid, key in sorted(self.private.items())]}


def read_keys(folder: Path, now: Callable[[], float] = time.time) -> JwtKeys:
    """The keys of `folder`, as of `now`. Raises NoKeys if there is none or one cannot be read."""
    private: dict[str, rsa.RSAPrivateKey] = {}
    made_at: dict[str, float] = {}
    for path in _key_files(folder):
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            made_at[path.stem] = path.stat().st_mtime
        except (ValueError, TypeError, OSError) as error:
            raise NoKeys(
                f"JWT_KEYS_DIR: {path} is no private key in PEM without a password ({error})"
            ) from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise NoKeys(f"JWT_KEYS_DIR: {path} is no RSA key; {ALGORITHM} needs one")
        private[path.stem] = key
    if not private:
        raise NoKeys(f"JWT_KEYS_DIR: no key in {folder}; `make keys` makes one")
    return JwtKeys(private, made_at, signing_kid="").as_of(now())


class KeyRing:
    """The keys of `folder` as they are now: looked at again every REREAD_SECONDS, a new key joins in.

    `elapsed` counts seconds from anywhere, `now` those of the epoch.
    """

    def __init__(
        self,
        folder: Path,
        elapsed: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._elapsed = elapsed
        self._now = now
        self._keys: JwtKeys | None = None
        self._names: list[str] = []
        self._look_again = float("-inf")

    def current(self) -> JwtKeys:
        """The keys. Raises NoKeys if there never was one; later faults leave the last keys in force."""
        if self._keys is None or self._elapsed() >= self._look_again:
            self._look_again = self._elapsed() + REREAD_SECONDS
            names = [path.name for path in _key_files(self._folder)]
            if self._keys is None or names != self._names:
                try:
                    self._keys, self._names = read_keys(self._folder, self._now), names
                except NoKeys as error:
                    if self._keys is None:
                        raise
                    log.error("the last JWT keys stay in force: %s", error)
            self._keys = self._keys.as_of(self._now())
        return self._keys


def has_key(folder: Path) -> bool:
    """Whether there is a key in `folder`."""
    return bool(_key_files(folder))


def remove_outlived_keys(folder: Path, now: float, lifetime: float) -> list[str]:
    """Removes keys whose last token has expired by `now`: those with a successor older than `lifetime`
    seconds and the time to settle. Returns their kids."""
    files = _key_files(folder)
    outlived = [
        path
        for path, successor in itertools.pairwise(files)
        if now - successor.stat().st_mtime > lifetime + SETTLE_SECONDS
    ]
    for path in outlived:
        path.unlink()
    return [path.stem for path in outlived]


def _key_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pem"))


def make_key(folder: Path, now: datetime) -> Path:
    """Makes a key in `folder` that sorts after those made before it, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{now:%Y%m%dT%H%M%S%f}.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Under another name first: whoever reads the folder meanwhile sees a whole key or none.
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return path


def _jwk(kid: str, key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": ALGORITHM,
        "kid": kid,
        "n": _base64url(numbers.n),
        "e": _base64url(numbers.e),
    }


def _base64url(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
