"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy import local

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PARITY = ROOT / "docs" / "seed-parity.md"


def targets_of_make() -> dict[str, str]:
    """Each target of the Makefile with what `make help` says of it."""
    return dict(re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_target_that_a_document_names_is_there(document: Path) -> None:
    named = set(re.findall(r"`make ([a-z][a-z-]*)|^make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE))
    assert {first or second for first, second in named} - targets_of_make().keys() == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    named = set(re.findall(rf"`((?:{folders})/[\w./-]*\w/?)[:`]", document.read_text()))
    assert [
        path for path in sorted(named) if not path.startswith("var/") and not (ROOT / path).exists()
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_make_and_local_have_the_same_targets() -> None:
    assert targets_of_make().keys() == local.TARGETS.keys()


def rows_of_parity() -> list[tuple[str, str]]:
    """Promise and proof of each line."""
    cells = [line.strip("|").split(" | ") for line in PARITY.read_text().splitlines() if line.startswith("|")]
    return [
        (promise.strip(), proof.strip()) for promise, proof in cells if proof.strip() not in ("proof", "---")
    ]


def test_every_promise_of_the_seeds_has_a_proof_a_reason_or_a_later() -> None:
    rows = rows_of_parity()
    assert len(rows) > 60
    bare = [
        promise
        for promise, proof in rows
        if not re.search(r"`tests/\S+::\w+`|\*\*(differs|later)\*\*: \w", proof)
    ]
    assert bare == []


@pytest.mark.parametrize("row", rows_of_parity(), ids=lambda row: row[0][:60])
def test_the_test_that_proves_a_promise_is_there(row: tuple[str, str]) -> None:
    for file, name in re.findall(r"`(tests/[\w/.]+)::(\w+)`", row[1]):
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{name}"
