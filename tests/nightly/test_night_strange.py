"""Nights in strange surroundings: what was moved, removed, renamed or repeated."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from season import DRAWING, Season, begin_season

from arena.config import MatchConfig
from arena.match import Ending
from arena.nightly.night import NightError, NightOutcome, run_night
from arena.nightly.reading import read_nightly
from arena.registry.records import NightRecord
from arena.registry.store import Registry
from arena.stats.verdict import Verdict
from swa.provenance import file_sha256
from swa.spec import NetError


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, instead in DRAWING.items():
        monkeypatch.setattr(name, instead)


def begun(folder: Path, **of_run: Any) -> Season:
    """A season whose nets are so much stronger each night that few games are needed."""
    season = begin_season(folder, drift=200.0, noise=0.0, **{"averages": {}, **of_run})
    season.train(1)
    return season


def night(season: Season, told: list[str] | None = None, **changed: Any) -> NightOutcome:
    play = changed.pop("play", season.play)
    tell = told.append if told is not None else lambda line: None
    return run_night(changed.pop("settings", season.settings), play, tell, **changed)


def nights(season: Season) -> list[NightRecord]:
    with Registry.open(season.home / "registry.sqlite") as registry:
        return registry.nights()


def interrupted(season: Season, stage: str, *, after: bool) -> Callable[..., Ending]:
    """Play until a stage begins, or has ended."""

    def play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        if folder.name == stage and not after:
            raise KeyboardInterrupt
        ending = season.play(match, folder, report)
        if folder.name == stage:
            raise KeyboardInterrupt
        return ending

    return play


def test_games_of_a_stage_that_was_broken_off_are_not_given_up(tmp_path: Path) -> None:
    season = begun(tmp_path)

    def play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        season.play(match, folder, report)
        games = folder / "games.jsonl"
        games.write_bytes(b"".join(games.read_bytes().splitlines(keepends=True)[:3]))
        return Ending.INTERRUPTED

    with pytest.raises(KeyboardInterrupt):
        night(season, play=play)
    season.train(2)
    outcome = night(season)
    assert outcome.decision is not None
    assert outcome.decision.document["latest"]["name"] == "run-4000"
    assert [one.state for one in nights(season)] == ["decided"]


def test_a_run_that_is_gone_keeps_no_open_night_back(tmp_path: Path) -> None:
    season = begun(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        night(season, play=interrupted(season, "gate", after=True))
    shutil.rmtree(season.run.snapshots)
    assert night(season).decision is not None
    with pytest.raises(NetError, match="no such folder"):
        night(season)


@pytest.mark.parametrize("fault", ["nets", "settings"])
def test_a_gate_that_is_not_the_night_s_promotes_nobody(tmp_path: Path, fault: str) -> None:
    season = begun(tmp_path, averages={"three": 3})
    asked: list[tuple[MatchConfig, Path]] = []

    def play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        asked.append((match, folder))
        if folder.name == "confirm":
            raise KeyboardInterrupt
        return season.play(match, folder, report)

    with pytest.raises(KeyboardInterrupt):
        night(season, play=play)
    before = file_sha256(season.home / "champion.pb.gz")
    gate, folder = next(each for each in asked if each[1].name == "gate")
    assert gate.nets is not None
    nets = gate.nets[0], next(match.nets[1] for match, to in asked if to.name == "three-vs-raw")
    changed = {"nets": nets} if fault == "nets" else {"sprt": (-200.0, -100.0)}
    shutil.rmtree(folder)
    season.play(replace(gate, **changed), folder, True)
    with pytest.raises(NightError, match=r"gate: (is a match of other nets|was played by other)"):
        night(season)
    assert file_sha256(season.home / "champion.pb.gz") == before
    assert [one.state for one in nights(season)] == ["open"]


def test_a_run_may_be_moved_between_two_nights_of_a_net(tmp_path: Path) -> None:
    season = begun(tmp_path, averages={"three": 3})
    with pytest.raises(KeyboardInterrupt):
        night(season, play=interrupted(season, "three-vs-raw", after=False))
    season.run.snapshots.rename(season.run.snapshots.with_name("moved"))
    file = season.folder / "nightly.toml"
    file.write_text(file.read_text().replace('training/run"', 'training/moved"'))
    outcome = night(season, settings=read_nightly(file))
    assert outcome.decision is not None
    assert [entry["name"] for entry in outcome.decision.document["entries"]] == ["raw", "three"]


def test_names_that_are_no_utf8_are_judged_and_told(tmp_path: Path) -> None:
    season = begun(tmp_path, averages={"three": 3}, hook="cat > told.json")
    strange = os.fsdecode(b"r\xffn-")
    for path in season.run.snapshots.iterdir():
        path.rename(path.with_name(path.name.replace("run-", strange)))
    first = season.run.snapshots / f"{strange}3000.pb.gz"
    settings = replace(season.settings, first_champion=first)
    outcome = night(season, settings=settings)
    assert outcome.decision is not None
    assert outcome.decision.verdict is Verdict.PROMOTE
    assert json.loads((season.home / "told.json").read_bytes())["night"] == 1


def test_a_night_s_folder_that_is_gone_keeps_no_hook_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = begun(tmp_path, hook="cat > told.json")

    def dies(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("arena.nightly.publication.write_index", dies)
        with pytest.raises(KeyboardInterrupt):
            night(season)
    shutil.rmtree(season.home / nights(season)[0].folder)
    night(season)
    assert (season.home / "told.json").exists()


def test_a_book_that_repeats_itself_leads_no_stage_into_the_next_one_s_openings(
    tmp_path: Path,
) -> None:
    season = begun(tmp_path, quick=20, gate=30, confirm=6)
    book = season.folder / "book.epd"
    lines = book.read_text().splitlines()
    file = season.folder / "nightly.toml"

    book.write_text("\n".join(lines[:40] + lines[:17]) + "\n")
    with pytest.raises(NightError, match=r"the \w+ stage takes \d+ of them for \d+ pairs"):
        night(season, settings=read_nightly(file), play=_refuses_to_play)

    book.write_text("\n".join(lines[:200] + lines[:50]) + "\n")  # there is room for repeats
    assert night(season, settings=read_nightly(file)).decision is not None


def test_a_race_whose_report_cannot_be_made_still_has_a_winner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = begun(tmp_path, averages={"three": 3})

    def fails(folder: Path) -> None:
        raise ZeroDivisionError("in a picture")

    monkeypatch.setattr("arena.nightly.race.write_tournament", fails)
    told: list[str] = []
    assert night(season, told).decision is not None
    assert "note: the race's report is not whole: in a picture" in told


def _refuses_to_play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
    raise AssertionError(f"{folder} is played")
