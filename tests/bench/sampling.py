"""Where a process spends its CPU, by module: samples of its main thread, written to a file in the end.

The kernel sends SIGPROF after so much CPU, not after so much time, and the handler sees what the main thread
is doing, which under gevent is every greenlet. A sample counts for the innermost frame that is no part of
Python's own library, by the name of its package or, if it is ours, of its file; C code and the standard
library count for whoever called them.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType

VARIABLE = "BENCH_PROFILE"  # names the file
INTERVAL_SECONDS = 0.002
PACKAGES = "/site-packages/"
ROOT = f"{Path(__file__).resolve().parent.parent.parent}/"
OF_BENCH = f"{ROOT}tests/bench/"
SHOWN = 12
REST = "everything else"


def sample() -> Callable[[], None]:
    """From now on until the process ends, or what is returned is called."""
    found: Counter[str] = Counter()

    def take(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            layer = layer_of(frame.f_code.co_filename)
            if layer:
                found[layer] += 1
                return
            frame = frame.f_back

    def finish() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)  # without its handler the signal would end the process
        Path(os.environ[VARIABLE]).write_text(json.dumps(found))

    signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)
    atexit.register(finish)
    return finish


def layer_of(file: str) -> str:
    """The package or the file of ours; empty for the standard library, and for what only measures."""
    if PACKAGES in file:
        return file.partition(PACKAGES)[2].partition("/")[0].removesuffix(".py")
    if file.startswith(ROOT) and not file.startswith(OF_BENCH):
        return file.removeprefix(ROOT)
    return ""


def shares_in(path: Path, costs: Iterable[float]) -> dict[str, float]:
    """The median of `costs` divided as the samples in that file are."""
    return shares(json.loads(path.read_text()), statistics.median(costs))


def shares(samples: Mapping[str, int], whole: float) -> dict[str, float]:
    """`whole` divided as the samples are: the SHOWN largest, then the rest."""
    total = sum(samples.values())
    largest = Counter(samples).most_common(SHOWN)
    divided = {layer: whole * count / total for layer, count in largest}
    rest = total - sum(count for _, count in largest)
    return divided | ({REST: whole * rest / total} if rest else {})
