"""Who is calling: users and keys, kept in memory so that no request reads the database for it.

The snapshot is read anew when the one row of `identity_version` has changed, looked at every second and
when someone unknown calls. While the database is gone, or does not answer, the last snapshot holds.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from shared.columns import sort_key
from shared.models import app_user_api_keys, app_users, identity_version
from shared.times import Clock, utc_now

log = logging.getLogger("leadgate.identity")

ROLE_ADMIN = "ROLE_ADMIN"
ROLE_API_CLIENT = "ROLE_API_CLIENT"
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 3.0  # how long callers wait for a database that does not answer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    """An active user as every process knows it."""

    id: int
    email: str
    roles: frozenset[str]
    password_hash: str | None
    rate_limit_per_minute: int | None
    token_version: int

    def may(self, role: str) -> bool:
        """Whether the user has `role`; an admin may do all that a partner may."""
        return role in self.roles or ROLE_ADMIN in self.roles


@dataclass(frozen=True, slots=True)
class _Key:
    user_id: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Snapshot:
    version: int = -1
    users: dict[int, User] = field(default_factory=dict)
    user_by_email: dict[bytes, User] = field(default_factory=dict)
    keys: dict[bytes, _Key] = field(default_factory=dict)


class Identity:
    """Users and keys as of at most POLL_SECONDS ago. `elapsed` counts seconds from anywhere."""

    def __init__(
        self, engine: Engine, now: Clock = utc_now, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._now = now
        self._elapsed = elapsed
        self._snapshot = _Snapshot()
        self._reading = threading.Lock()
        self._read_began = float("-inf")
        self._gone_until = float("-inf")
        self._stopped = threading.Event()
        self._wanted = threading.Event()
        self._progress = threading.Condition()
        self._looks_begun = self._looks_ended = 0
        self._look_began = float("-inf")
        self._is_started = False

    def start(self) -> None:
        """Reads the snapshot and keeps it fresh from a thread of its own, until `stop`."""
        self._is_started = True
        threading.Thread(target=self._keep_fresh, name="identity", daemon=True).start()
        self.refresh()

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.set()

    def is_loaded(self) -> bool:
        """Whether the users were ever read."""
        return self._snapshot.version >= 0

    def user(self, user_id: int) -> User | None:
        """The active user with this id."""
        return self._known_or_new(lambda snapshot: snapshot.users.get(user_id))

    def user_by_email(self, email: str) -> User | None:
        """The active user with this email, however it is written."""
        key = sort_key(email)
        return self._known_or_new(lambda snapshot: snapshot.user_by_email.get(key))

    def user_of_key(self, api_key: str) -> User | None:
        """The active user whose API key this is, if it is neither disabled nor expired."""
        digest = hash_of_key(api_key)
        key = self._known_or_new(lambda snapshot: snapshot.keys.get(digest))
        if key is None or (key.expires_at is not None and key.expires_at <= self._now()):
            return None
        return self._snapshot.users.get(key.user_id)

    def refresh(self) -> None:
        """Reads the snapshot again if the database has a newer one; keeps it if the database is gone.

        Once started, waits for a database that does not answer no longer than PATIENCE_SECONDS.
        """
        if not self._is_started:
            self._look()
            return
        with self._progress:
            asked = self._looks_begun
            is_looking = self._looks_begun > self._looks_ended
            waited = self._elapsed() - self._look_began if is_looking else 0.0
            self._wanted.set()
            # One that has not ended for so long will not end soon: nobody waits for it any more.
            self._progress.wait_for(lambda: self._looks_ended > asked, max(PATIENCE_SECONDS - waited, 0.0))

    def _look(self) -> None:
        asked = self._elapsed()
        with self._reading:
            # Somebody has looked since we asked, or found a moment ago that the database is gone.
            if self._read_began > asked or asked < self._gone_until:
                return
            self._read_began = self._elapsed()
            try:
                with self._engine.connect() as connection:
                    version = connection.scalar(select(identity_version.c.version))
                    if version is not None and version != self._snapshot.version:
                        self._snapshot = _read_snapshot(connection, version)
            except SQLAlchemyError as error:
                self._gone_until = self._elapsed() + POLL_SECONDS
                cause = getattr(error, "orig", None) or error
                log.warning("users cannot be read, the last known ones hold: %s", cause)

    def _known_or_new(self, look_up: Callable[[_Snapshot], T | None]) -> T | None:
        found = look_up(self._snapshot)
        if found is None:
            self.refresh()
            found = look_up(self._snapshot)
        return found

    def _keep_fresh(self) -> None:
        while not self._stopped.is_set():
            with self._progress:
                self._looks_begun += 1
                self._look_began = self._elapsed()
            self._look()
            with self._progress:
                self._looks_ended = self._looks_begun
                self._progress.notify_all()
            self._wanted.wait(POLL_SECONDS)
            self._wanted.clear()


def hash_of_key(api_key: str) -> bytes:
    """What is kept of an API key. Keys are random and long, so a plain SHA-256 does."""
    return hashlib.sha256(api_key.encode()).digest()


def identity_changed(connection: Connection) -> None:
    """To be called first in every transaction that changes a user or a key.

    Makes every process read them anew, and such transactions wait for each other: what one of them has
    looked at is still so when it commits.
    """
    connection.execute(update(identity_version).values(version=identity_version.c.version + 1))


def _read_snapshot(connection: Connection, version: int) -> _Snapshot:
    users, by_email = {}, {}
    for row in connection.execute(
        select(app_users).where(app_users.c.is_active, app_users.c.deleted_at.is_(None))
    ):
        user = User(
            id=row.id,
            email=row.email,
            roles=frozenset(row.roles),
            password_hash=row.password_hash,
            rate_limit_per_minute=row.rate_limit_per_minute,
            token_version=row.token_version,
        )
        users[user.id] = user
        by_email[bytes(row.email_key)] = user
    keys = {
        bytes(row.key_hash): _Key(row.user_id, row.expires_at)
        for row in connection.execute(
            select(app_user_api_keys).where(app_user_api_keys.c.disabled_at.is_(None))
        )
    }
    return _Snapshot(version, users, by_email, keys)
