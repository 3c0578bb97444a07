from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from arena.simulation.experiments import SECTIONS

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import experiment_stats

    return experiment_stats


def test_every_cell_has_its_own_name() -> None:
    for section, jobs in SECTIONS.items():
        made = list(jobs())
        assert {job.section for job in made} == {section}
        assert len({job.name for job in made}) == len(made)


@pytest.mark.slow
def test_a_small_experiment_is_written_up(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {
        "errors": ["logistic", "..80", "85 %"],
        "order": ["256 lanes, +0.4", "plain"],
        "anytime": ["85 %"],
        "stopping": ["logistic", "..80", "85 %"],
        "plan": ["logistic", "..80", "85 %"],
    }
    assert set(words) == set(SECTIONS)
    for section, wanted in words.items():
        matches = [part for word in wanted for part in ("--match", word)]
        arguments = ["--only", section, *matches, "--runs", "20", "--out", str(tmp_path)]
        assert script.main(arguments) == 0
    cells = json.loads((tmp_path / "results.json").read_text())
    assert {section: len(rows) for section, rows in cells.items()} == {
        "errors": 7,
        "order": 4,
        "anytime": 2,
        "stopping": 3,
        "plan": 1,
    }
    text = (tmp_path / "README.md").read_text()
    for heading in ("Error rates", "Issue order", "While a match runs", "After a stop", "The plan"):
        assert f"## {heading}" in text
    # With 256 in flight equal nets are promoted if pairs count when they finish.
    failing = next(line for line in text.splitlines() if "must fail" in line)
    assert "100.00% to 100.00%" in failing
    assert "not run in full" in text
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".svg"}
    assert f"report: {tmp_path / 'README.md'}" in capsys.readouterr().out


def test_a_part_run_again_leaves_the_rest(script: ModuleType, tmp_path: Path) -> None:
    def run(*arguments: str) -> dict[str, dict[str, dict[str, object]]]:
        cell = ["--only", "errors", "--match", "85 % draws, logistic, elo0 of 0..80"]
        script.main([*cell, *arguments, "--out", str(tmp_path)])
        return dict(json.loads((tmp_path / "results.json").read_text()))

    first = run("--runs", "30", "--workers", "2")["errors"]
    assert len(first) == 3
    assert run("--runs", "30", "--workers", "1")["errors"] == first
    again = run("--runs", "10", "--match", "plain")["errors"]
    changed = [name for name in first if again[name] != first[name]]
    assert changed == ["85 % draws, logistic, elo0 of 0..80, plain"]
    kept = run("--runs", "10", "--match", "plain", "--keep")["errors"]
    assert kept == again
