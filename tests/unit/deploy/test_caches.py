"""`make clear-cache`."""

from pathlib import Path

import pytest

from deploy.caches import clear


def test_caches_go_and_all_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stay = ["shared/times.py", ".venv/lib/__pycache__/x.pyc", "var/queues/leads/1.queue", ".git/HEAD"]
    go = ["shared/__pycache__/times.pyc", "tests/unit/__pycache__/x.pyc", ".mypy_cache/x", ".ruff_cache/x"]
    go += [".venv-bench/lib/__pycache__/x.pyc"]
    for name in stay + go:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert clear(tmp_path) == 0
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(stay)
    assert "5 folders" in capsys.readouterr().out
