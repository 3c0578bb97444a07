"""More than two nets: who plays whom, in which folder, and what an interrupt leaves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripted_match import (
    ScriptedEvaluator,
    ScriptedSearch,
    scripted_choice,
    scripted_net,
    write_book,
)

from arena.cli import main
from arena.ledger import read_pairs_in_issue_order
from arena.match_file import read_identity
from arena.tournament import pairings, unique_names


@pytest.fixture
def tournament(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A round robin of three nets, played by script: the words to extend."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arena.run.load_net", scripted_net)
    monkeypatch.setattr("arena.run.choose_evaluator", scripted_choice)
    monkeypatch.setattr("arena.run.make_evaluator", ScriptedEvaluator)
    monkeypatch.setattr("arena.run.BatchedSearch", ScriptedSearch)
    write_book(tmp_path / "book.pgn")
    words = ["run", "--nets", "a.pb", "b.pb", "c.pb", "--openings", "book.pgn", "--pairs", "6"]
    return [*words, "--out", "cup"]


def test_pairings() -> None:
    assert list(pairings(4, "roundrobin")) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert list(pairings(4, "gauntlet")) == [(0, 1), (0, 2), (0, 3)]
    assert list(pairings(2, "roundrobin")) == list(pairings(2, "gauntlet")) == [(0, 1)]


def test_namesakes_are_told_apart_by_hash() -> None:
    nets = [SimpleNamespace(name=name, sha256=sha * 64) for name, sha in (("a", "1"), ("a", "2"))]
    nets.append(SimpleNamespace(name="b", sha256="3" * 64))
    assert unique_names(nets) == ["a@11111111", "a@22222222", "b"]


def test_everybody_plays_everybody_from_the_same_openings(
    tournament: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*tournament, "--json"]) == 0
    folders = sorted(path.name for path in Path("cup").iterdir() if path.is_dir())
    assert folders == ["b-vs-a", "c-vs-a", "c-vs-b"]
    openings = []
    for name in folders:
        identity = read_identity(Path("cup") / name)
        assert [net.name for net in identity.nets] == [name[-1], name[0]]
        assert identity.sprt is None
        openings.append([p.opening for p in read_pairs_in_issue_order(Path("cup") / name)])
    assert openings[0] == openings[1] == openings[2]
    assert len(openings[0]) == 6
    ratings = json.loads(capsys.readouterr().out)
    assert [row["net"] for row in ratings["nets"]] == ["c", "b", "a"]  # 1.5 points a pair
    assert ratings == json.loads((Path("cup") / "ratings.json").read_text())
    report = (Path("cup") / "report.html").read_text(encoding="utf-8")
    assert "cup: 3 nets" in report
    assert all(f'href="{name}/report.' in report for name in folders)
    assert (Path("cup") / "report.md").exists()


def test_a_gauntlet_is_the_first_against_the_others(tournament: list[str]) -> None:
    assert main([*tournament, "--tournament", "gauntlet", "-q"]) == 0
    folders = sorted(path.name for path in Path("cup").iterdir() if path.is_dir())
    assert folders == ["b-vs-a", "c-vs-a"]


def test_an_interrupt_is_resumed_where_it_was(
    tournament: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 5)
    assert main(tournament) == 130
    assert "To go on:" in capsys.readouterr().err
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", None)
    assert main(tournament) == 0
    for name in ("b-vs-a", "c-vs-a", "c-vs-b"):
        assert len(read_pairs_in_issue_order(Path("cup") / name)) == 6


def test_a_net_that_joins_later_plays_only_its_own_encounters(tournament: list[str]) -> None:
    assert main([*tournament, "-q"]) == 0
    before = (Path("cup") / "b-vs-a" / "games.jsonl").read_bytes()
    words = ["d.pb" if word == "c.pb" else word for word in tournament]
    assert main([*words, "-q"]) == 0
    assert (Path("cup") / "b-vs-a" / "games.jsonl").read_bytes() == before
    assert {path.name for path in Path("cup").iterdir() if path.is_dir()} == {
        "b-vs-a",
        "c-vs-a",
        "c-vs-b",
        "d-vs-a",
        "d-vs-b",
    }


@pytest.mark.parametrize(
    "flags", [["--sprt", "0", "5"], ["--preset", "pick-best"], ["--certified"]]
)
def test_a_test_is_between_two_nets(
    tournament: list[str], flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*tournament, *flags]) == 2
    assert "3 nets play a tournament" in capsys.readouterr().err
    assert not Path("cup").exists()
