"""Where blocking work runs: in a thread of its own beneath gevent's hub, or right here without gevent.

SQLite and Argon2 block; on the hub of a gevent worker they would stall every other request of it
(docs/decisions/0002-blocking-work.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


class Offload(Protocol):
    """Calls a blocking function and returns what it returns or raises what it raises."""

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


def run_here(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For processes without gevent."""
    return work(*args, **kwargs)


def one_thread() -> Offload:
    """A thread of its own that runs one call at a time if gevent has patched this process, else `run_here`.

    gevent's own pool, because the patched ThreadPoolExecutor was seen to stall the hub for a second.
    """
    from gevent import monkey

    if not monkey.is_module_patched("threading"):
        return run_here
    from gevent.threadpool import ThreadPool
    from gevent.util import wrap_errors

    pool: Any = ThreadPool(1)

    def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # As a value: of what is raised in there gevent prints the stack, if it is but a wrong password.
        result = pool.apply(wrap_errors((Exception,), work), args, kwargs)
        if isinstance(result, Exception):
            raise result
        return cast(T, result)

    return in_thread
