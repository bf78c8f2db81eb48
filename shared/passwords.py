"""Passwords are kept as Argon2id hashes (RFC 9106), 19 MiB and two passes: about 30 ms each."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from shared.offload import Offload, run_here

MIN_PASSWORD = 8  # characters


class Passwords:
    """Hashes and checks passwords; `offload` is where that work runs."""

    def __init__(self, offload: Offload = run_here) -> None:
        self._offload = offload
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._nobody = ""

    def hash(self, password: str) -> str:
        """The hash to keep of a password."""
        return self._offload(self._hasher.hash, password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether `password` made the hash `stored`.

        Without a stored hash the answer is no and takes as long, so that time does not tell whether an
        email is known.
        """
        if stored is None:
            if self._nobody:
                self._verify(self._nobody, password)
            else:  # making a hash takes as long as checking one
                self._nobody = self.hash("a password nobody has")
            return False
        return self._verify(stored, password)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._offload(self._hasher.verify, stored, password)
        except (Argon2Error, InvalidHashError):
            return False
