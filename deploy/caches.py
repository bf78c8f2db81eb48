"""Removes what was kept to be faster and can be made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

OF_TOOLS = (".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".venv-bench")
KEPT = {".venv", ".git", "var"}  # `.venv` is made anew by itself when it is stale, and `var` holds leads


def clear(root: Path) -> int:
    """Removes compiled Python and the caches of tools below `root`, and says what; the exit status."""
    caches = [root / name for name in OF_TOOLS if (root / name).is_dir()]
    ours = (path for path in root.iterdir() if path.is_dir() and path.name not in KEPT.union(OF_TOOLS))
    for folder in sorted(ours):
        caches += sorted(folder.rglob("__pycache__"))
    for cache in caches:
        shutil.rmtree(cache, ignore_errors=True)
    print(f"Removed {len(caches)} folders; data and .venv stay")
    return 0
