"""The consumer as it is, sampled: `python -m tests.bench.profiled_consumer`."""

from __future__ import annotations

import sys

from consumer.__main__ import main
from tests.bench.sampling import sample

if __name__ == "__main__":
    sample()
    sys.exit(main())
