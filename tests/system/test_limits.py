"""The limit of requests a minute, as it is without a setting."""

from __future__ import annotations

from collections import Counter

from tests.system.posting import post_at_once
from tests.system.running import System

LIMIT = 1000


def test_after_1000_requests_of_a_minute_no_more_are_taken(own_system: System, kind: str) -> None:
    del own_system.environment["RATE_LIMIT_PER_MINUTE"]
    if kind == "servers":
        own_system.environment["WEB_WORKERS"] = "2"  # Redis lets them count together
    own_system.start()

    answers = post_at_once(own_system.port, own_system.token(), connections=8, leads_each=130)

    assert Counter(answer.status for answer in answers) == {201: LIMIT, 429: 8 * 130 - LIMIT}
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers]
    assert (min(left), max(left)) == (0, LIMIT - 1)
    for refused in (answer for answer in answers if answer.status == 429):
        seconds = refused.json["retry_after"]
        assert isinstance(seconds, int)
        assert 1 <= seconds <= 60
        assert refused.json == {
            "status": "error",
            "code": 429,
            "message": "Rate limit exceeded",
            "retry_after": seconds,
        }
        assert {name: refused.headers[name] for name in refused.headers if "rate" in name.lower()} == {
            "X-RateLimit-Limit": "1000",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(seconds),
            "RateLimit-Policy": '"client";q=1000;w=60',
            "RateLimit": f'"client";r=0;t={seconds}',
        }
        assert refused.headers["Retry-After"] == str(seconds)
        assert refused.headers["X-Request-ID"]

    with own_system.client() as partner:
        partner.wait_for_total(LIMIT)  # reading has a bucket of its own
        assert partner.total() == LIMIT
