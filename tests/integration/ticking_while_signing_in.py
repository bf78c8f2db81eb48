"""A program: signs a partner in under gevent, as a worker does, and prints for each login how often a
greenlet that ticks every 5 ms got its turn while the password was checked."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

import ingest_service  # noqa: E402
from shared.database import open_database  # noqa: E402
from shared.identity import Identity  # noqa: E402
from shared.offload import one_thread  # noqa: E402
from shared.passwords import Passwords  # noqa: E402
from shared.settings import Settings, read_settings  # noqa: E402
from tests.fakes import FakeProducer  # noqa: E402

LOGINS = 20
TICK_SECONDS = 0.005


class WatchedPasswords(Passwords):
    """Notes the ticks during each check."""

    def __init__(self) -> None:
        super().__init__(one_thread())
        self.ticks = 0
        self.during: list[int] = []

    def tick(self) -> None:
        while True:
            gevent.sleep(TICK_SECONDS)
            self.ticks += 1

    def matches(self, stored: str | None, password: str) -> bool:
        before = self.ticks
        matches = super().matches(stored, password)
        self.during.append(self.ticks - before)
        return matches


def main(email: str, password: str) -> None:
    settings: Settings = read_settings()
    passwords = WatchedPasswords()
    app = ingest_service.create_app(
        settings,
        producer=FakeProducer(),
        identity=Identity(open_database(settings.leads_database_url, one_thread())),
        passwords=passwords,
    )

    def log_in() -> int:
        body = {"email": email, "password": password}
        return app.test_client().post("/api/login_check", json=body).status_code

    ticking = gevent.spawn(passwords.tick)
    logins = [gevent.spawn(log_in) for _ in range(LOGINS)]
    gevent.joinall(logins)
    ticking.kill()
    print(json.dumps({"statuses": [login.value for login in logins], "during": passwords.during}))


if __name__ == "__main__":
    main(*sys.argv[1:])
