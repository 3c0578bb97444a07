"""The report that ships is what its ledger gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from arena.report.folder import write_reports

pytestmark = pytest.mark.draws

EXAMPLE = Path(__file__).parents[2] / "reports" / "fledgling-swa"


def test_the_example_is_made_from_its_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    made = ("summary.json", "report.md", "games.pgn", "openings.csv")
    for name in made:
        (folder / name).unlink()
    write_reports(folder)
    for name in made:
        assert (folder / name).read_bytes() == (EXAMPLE / name).read_bytes(), (
            f"{name}: arena report reports/fledgling-swa makes it anew"
        )
    pictures = {path.name for path in (EXAMPLE / "pictures").iterdir()}
    assert {path.name for path in (folder / "pictures").iterdir()} == pictures
