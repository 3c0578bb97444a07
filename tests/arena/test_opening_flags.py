"""``arena run`` with settings of the openings; games by script."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from polyglot_writer import write_polyglot
from scripted_match import OPENINGS, ScriptedSearch, scripted_choice, scripted_net, write_book

from arena.cli import main
from arena.game import Opening
from arena.ledger import read_pairs_in_issue_order
from arena.opening_filter import OpeningFilter
from arena.stand_ins import HashEvaluator

FILTER = (0.15, 0.7)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arena.run.load_net", scripted_net)
    monkeypatch.setattr("arena.tournament.load_net", scripted_net, raising=False)
    monkeypatch.setattr("arena.run.choose_evaluator", scripted_choice)
    monkeypatch.setattr("arena.run.make_evaluator", of_name)
    monkeypatch.setattr("arena.run.BatchedSearch", ScriptedSearch)
    write_book(tmp_path / "book.pgn")
    return ["run", "--nets", "raw.pb", "swa.pb", "--no-sprt", "-q", "--out", "run"]


def of_name(net, choice, dtype) -> HashEvaluator:
    return HashEvaluator({"raw": 1, "swa": 2, "other": 3}[net.name])


def played() -> list[Opening]:
    return [pair.opening for pair in read_pairs_in_issue_order(Path("run"))]


def test_start_and_plies(run: list[str]) -> None:
    words = ["--openings", "book.pgn", "--order", "sequential", "--pairs", "3"]
    assert main([*run, *words, "--start", "6"]) == 0
    assert played() == OPENINGS[5:8]


def test_plies_of_a_book_of_lines(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    games = Path("book.pgn").read_text()
    Path("book.pgn").write_text(games.replace(" *", " 2. Nf3 (2. Nc3) Nf6 {and mate} 3. Ke4 *"))
    words = ["--openings", "book.pgn", "--order", "sequential", "--pairs", "4"]
    assert main([*run, *words, "--plies", "2"]) == 0
    assert played() == OPENINGS[:4]
    assert main([*run, *words]) == 2  # the games go on as no game can
    assert "3. Ke4 is not a legal move" in capsys.readouterr().err
    assert main([*run, *words, "--plies", "3"]) == 2  # another match
    assert "openings.plies: 2 -> 3" in capsys.readouterr().err


def test_a_polyglot_book(run: list[str]) -> None:
    lines = [opening.moves for opening in OPENINGS]
    entries = {("", white): 1 for white, _ in lines} | dict.fromkeys(lines, 1)
    write_polyglot(Path("book.bin"), [(*key, weight) for key, weight in entries.items()])
    assert main([*run, "--openings", "book.bin", "--pairs", "16"]) == 0
    assert sorted(opening.moves for opening in played()) == sorted(lines)
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["openings"]["entries"] == len(entries)
    assert summary["openings"]["distinct"] == 16


def kept(seed: int) -> list[Opening]:
    passed = OpeningFilter(HashEvaluator(seed), *FILTER)(OPENINGS)
    return [opening for opening, passes in zip(OPENINGS, passed, strict=True) if passes]


def filtered(run: list[str], pairs: int) -> list[str]:
    bounds = [f"{bound:g}" for bound in FILTER]
    words = ["--openings", "book.pgn", "--order", "sequential", "--pairs", str(pairs)]
    return [*run, *words, "--opening-filter", *bounds]


def test_the_baseline_chooses_its_openings(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 < len(kept(1)) < 14
    assert kept(1) != kept(2)
    assert main(filtered(run, len(kept(1)))) == 0
    assert played() == kept(1)
    assert main([*filtered(run, len(kept(1)) + 1)[:-5], "0.9", "1"]) == 2


def test_a_book_that_the_filter_leaves_too_small(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(filtered(run, len(kept(1)) + 1)) == 2
    shown = capsys.readouterr().err
    assert f"{16 - len(kept(1))} more are outside of --opening-filter" in shown
    assert f"too few for {len(kept(1)) + 1} pairs" in shown


def test_a_filter_that_now_says_otherwise_is_noticed(
    run: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = filtered(run, len(kept(1)))
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 7)
    assert main(words) == 130
    assert len(played()) == 3
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", None)
    other = next(seed for seed in range(10, 99) if kept(seed)[1:2] != kept(1)[1:2])
    monkeypatch.setattr("arena.run.make_evaluator", lambda net, *rest: HashEvaluator(other))
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert re.search("the filter now gives pair [012] another opening", shown)
    assert len(played()) == 3
    monkeypatch.setattr("arena.run.make_evaluator", of_name)
    assert main(words) == 0
    assert played() == kept(1)


def test_no_round_robin_with_a_filter(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = filtered(run, 3)
    words[2:4] = ["raw.pb", "swa.pb", "other.pb"]
    assert main(words) == 2
    assert "each match has a baseline of its own" in capsys.readouterr().err
    assert not Path("run").exists()
    assert main([*words, "--tournament", "gauntlet"]) == 0


def test_chess960_is_refused_before_anything_is_written(
    run: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("960.epd").write_text("bbqnnrkr/pppppppp/8/8/8/8/PPPPPPPP/BBQNNRKR w KQkq - 0 1\n")
    words = [*run, "--openings", "960.epd", "--pairs", "1"]
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "960.epd: castling as in Chess960: bbqnnrkr" in shown
    assert "raw and swa cannot play it" in shown
    assert not Path("run").exists()
