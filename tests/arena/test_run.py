"""A match from its configuration to its report, and without one for whoever goes on at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_match import ScriptedSearch, play_by_script, write_book

from arena.config import MatchConfig
from arena.console import PaceSource
from arena.match import Ending, MatchOutcome, MatchState
from arena.report.block import Heading
from arena.report.folder import write_reports
from arena.report.run import read_run
from arena.report.summary import summarize
from arena.run import play

LEDGER = {"match.toml", "games.jsonl", "sessions.jsonl"}


class Nobody:
    """Looks at a match and says nothing."""

    def started(self, state: MatchState) -> None: ...

    def pair_counted(self, state: MatchState) -> None: ...

    def finished(self, outcome: MatchOutcome) -> None: ...


@contextmanager
def unseen(heading: Heading, pace: PaceSource) -> Iterator[Nobody]:
    yield Nobody()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MatchConfig:
    play_by_script(monkeypatch)
    book = write_book(tmp_path / "book.pgn")
    nets = Path("raw.pb"), Path("swa.pb")
    return MatchConfig(nets=nets, openings=book, sprt=None, pairs=4, out=tmp_path / "run")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_without_a_report_there_is_the_ledger_alone(config, monkeypatch):
    asked = []
    monkeypatch.setattr("arena.run.after_match", lambda *words: asked.append(words))
    played = play(config, ["arena"], unseen, lambda line: None, report=False)
    assert (played.ending, played.written, played.trouble) == (Ending.LIMIT, None, None)
    assert files(config.out) == LEDGER
    assert asked == []  # nobody asks the nets for opinions
    assert played.summary == summarize(read_run(config.out))
    assert played.summary["pairs"] == 4


def test_it_goes_on_in_rounds_to_what_one_match_would_be(config, tmp_path):
    for pairs in (2, 4, 6):
        raised = replace(config, pairs=pairs)
        played = play(raised, ["arena"], unseen, lambda line: None, report=False)
        assert played.run.judgement.counts.pairs == pairs
    whole = replace(config, pairs=6, out=tmp_path / "whole")
    once = play(whole, ["arena"], unseen, lambda line: None)
    assert played.run.pairs == once.run.pairs
    assert played.run.judgement.counts == once.run.judgement.counts
    # Its report can be made at any time, by going on with it or from the ledger.
    again = play(raised, ["arena"], unseen, lambda line: None)
    assert again.written == again.summary
    assert {"report.html", "summary.json", "opinions.json"} <= files(config.out)
    assert write_reports(config.out)[1]["pentanomial"] == once.summary["pentanomial"]


def test_an_interrupt_is_an_ending_without_a_report_too(config, monkeypatch):
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 5)
    played = play(config, ["arena"], unseen, lambda line: None, report=False)
    assert (played.ending, played.run.judgement.counts.pairs) == (Ending.INTERRUPTED, 2)
    assert files(config.out) == LEDGER


def test_the_numbers_are_there_where_the_report_is_not_whole(config, monkeypatch):
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("arena.report.folder.write_pictures", broken)
    played = play(config, ["arena"], unseen, lambda line: None)
    assert isinstance(played.trouble, KeyboardInterrupt)
    assert (played.written, played.summary["pairs"]) == (None, 4)
