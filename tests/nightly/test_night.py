"""Calls of ``arena nightly``: what is done, what is refused, and what is never done on doubt."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from season import DRAWING, Season, begin_season

from arena.config import MatchConfig
from arena.ledger import read_pairs
from arena.match import Ending
from arena.match_file import LedgerError
from arena.nightly.night import NightError, NightOutcome, run_night
from arena.nightly.reading import read_nightly
from arena.nightly.rehearsal import rehearse
from arena.registry.champion import ChampionError
from arena.registry.home import BusyError, Home, HomeError, lock
from arena.registry.records import NetRecord, NightRecord
from arena.registry.store import Registry
from arena.registry.telling import RegistryError
from arena.registry.verify import verify
from arena.stats.verdict import Verdict
from swa.provenance import file_sha256
from swa.spec import NetError

PLAIN: dict[str, Any] = {"drift": 200.0, "noise": 0.0, "averages": {}}
"""Each snapshot is so much stronger that it is promoted, with few games."""


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, instead in DRAWING.items():
        monkeypatch.setattr(name, instead)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Season:
    """A season before its first night, whose net is there; not to be changed."""
    season = begin_season(tmp_path_factory.mktemp("begun"), **PLAIN)
    season.train(1)
    return season


@pytest.fixture
def season(begun: Season, tmp_path: Path) -> Season:
    """The same, to be played."""
    return begun.copied(tmp_path / "season")


def night(season: Season, told: list[str] | None = None, **changed: Any) -> NightOutcome:
    play = changed.pop("play", season.play)
    tell = told.append if told is not None else lambda line: None
    return run_night(changed.pop("settings", season.settings), play, tell, **changed)


def registry_of(season: Season) -> Registry:
    return Registry.open(season.home / "registry.sqlite")


def champion(season: Season) -> str:
    return file_sha256(season.home / "champion.pb.gz")


def nights(season: Season) -> list[NightRecord]:
    with registry_of(season) as registry:
        return registry.nights()


def nothing_disagrees(season: Season) -> bool:
    with registry_of(season) as registry:
        return not verify(Home(season.home), registry)


# --- what a call does ---


def test_a_stronger_net_becomes_champion_and_its_night_is_told(season: Season) -> None:
    told: list[str] = []
    outcome = night(season, told)
    assert outcome.decision is not None
    assert outcome.decision.verdict is Verdict.PROMOTE
    assert champion(season) == outcome.decision.candidate == outcome.champion.sha256
    assert outcome.folder is not None
    document = json.loads((outcome.folder / "decision.json").read_text())
    assert document == outcome.decision.document
    assert document["gate"] == "gate"
    gate = document["stages"]["gate"]
    summary = json.loads((outcome.folder / "gate" / "summary.json").read_text())
    for key in ("pairs", "pentanomial", "elo", "llr", "llr_bounds", "sprt", "verdict", "headline"):
        assert gate[key] == summary[key]
    assert (outcome.folder / "gate" / "report.html").exists()
    assert (season.home / "index.html").exists()
    assert any(line.startswith("gate stage:") for line in told)
    assert nothing_disagrees(season)


def test_what_was_judged_is_not_judged_again(season: Season) -> None:
    first = night(season)
    assert first.decision is not None
    again = night(season, play=_refuses_to_play)
    assert again.decision is None
    assert again.nothing == "run-4000.pb.gz was judged in night 1: promote"
    assert len(nights(season)) == 1


def test_a_net_may_be_judged_again(season: Season) -> None:
    shutil.copy(season.run.path(1), season.run.path(5))  # weaker than the champion
    first = night(season)
    again = night(season, again=True)
    assert first.decision is not None
    assert again.decision is not None
    assert (first.decision.night, again.decision.night) == (1, 2)
    assert first.decision.verdict is again.decision.verdict is Verdict.KEEP
    assert nothing_disagrees(season)


def test_a_net_that_was_read_once_is_not_read_again(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(season)
    night(season)

    def unread(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("swa.net.load_net", unread)
    monkeypatch.setattr("swa.latest.load_net", unread)
    assert night(season).nothing is not None


def test_the_champion_itself_is_nothing_new(tmp_path: Path) -> None:
    season = begin_season(tmp_path, **PLAIN)
    outcome = night(season, play=_refuses_to_play)
    assert outcome.nothing == "run-3000.pb.gz is the champion"
    assert champion(season) == outcome.champion.sha256
    assert nothing_disagrees(season)


def test_the_champion_in_another_packing_does_not_play_itself(season: Season) -> None:
    first = season.settings.first_champion
    assert first is not None
    season.run.path(4).write_bytes(gzip.compress(gzip.decompress(first.read_bytes()), 1))
    outcome = night(season, play=_refuses_to_play)
    assert outcome.decision is not None
    assert outcome.decision.verdict is Verdict.KEEP
    assert outcome.decision.reason == "run-4000 is the same net as the champion, run-3000"
    assert nothing_disagrees(season)


def test_stages_share_no_opening(tmp_path: Path) -> None:
    season = begin_season(tmp_path, drift=200.0, noise=0.0, bonus=0.0)
    season.train(1)
    outcome = night(season)
    assert outcome.folder is not None
    seen: dict[str, str] = {}
    stages = {"quick", "gate", "confirm", "race"}
    for folder in sorted(path.parent for path in outcome.folder.rglob("games.jsonl")):
        stage = folder.relative_to(outcome.folder).parts[0]
        stages.discard(stage)
        for pair in read_pairs(folder):
            assert seen.setdefault(pair.opening.fen, stage) == stage
    assert not stages


def test_each_night_has_openings_of_its_own(season: Season) -> None:
    firsts = []
    for number in (1, 2):
        season.train(number)
        outcome = night(season)
        assert outcome.folder is not None
        firsts.append([pair.opening.fen for pair in read_pairs(outcome.folder / "gate")][:10])
    assert firsts[0] != firsts[1]


def _refuses_to_play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
    raise AssertionError(f"{folder} is played")


# --- what was interrupted goes on ---


class Interrupts:
    """Plays, and is interrupted in a stage, at its end or before it."""

    def __init__(self, season: Season, stage: str, error: BaseException, *, after: bool) -> None:
        self._season, self._stage, self._error, self._after = season, stage, error, after
        self.played: list[str] = []

    def __call__(self, match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        at = folder.name == self._stage
        if at and not self._after:
            raise self._error
        self.played.append(folder.name)
        ending = self._season.play(match, folder, report)
        if at:
            raise self._error
        return ending


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("stage", ["quick", "gate", "confirm"])
def test_a_night_goes_on_where_it_was(season: Season, stage: str, after: bool) -> None:
    broken = Interrupts(season, stage, KeyboardInterrupt(), after=after)
    with pytest.raises(KeyboardInterrupt):
        night(season, play=broken)
    assert [one.state for one in nights(season)] == ["open"]
    before = champion(season)

    played: list[str] = []

    def play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        played.append(folder.name)
        return season.play(match, folder, report)

    outcome = night(season, play=play)
    assert outcome.decision is not None
    assert outcome.decision.verdict is Verdict.PROMOTE
    assert before != champion(season) == outcome.decision.candidate
    assert not set(broken.played) & set(played)
    assert {*broken.played, *played} == {"quick", "gate", "confirm"}
    assert len(nights(season)) == 1
    assert nothing_disagrees(season)


def test_a_match_that_is_interrupted_interrupts_the_night(season: Season) -> None:
    def interrupted(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        return Ending.INTERRUPTED

    with pytest.raises(KeyboardInterrupt):
        night(season, play=interrupted)
    assert night(season).decision is not None


def test_a_night_under_other_settings_is_abandoned(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "gate", KeyboardInterrupt(), after=False))
    file = season.folder / "nightly.toml"
    file.write_text(file.read_text().replace("seed = 7", "seed = 8"))
    told: list[str] = []
    outcome = night(season, told, settings=read_nightly(file))
    assert [one.state for one in nights(season)] == ["abandoned", "decided"]
    assert "night 1 is abandoned: the settings have changed since it began" in told
    assert outcome.decision is not None
    assert outcome.decision.night == 2


def test_settings_that_decide_nothing_may_change(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "gate", KeyboardInterrupt(), after=False))
    file = season.folder / "nightly.toml"
    file.write_text(file.read_text().replace("[match]", "[match]\nparallel = 3"))
    night(season, settings=read_nightly(file))
    assert [one.state for one in nights(season)] == ["decided"]


def test_a_newer_net_takes_the_place_of_one_that_has_not_played(season: Season) -> None:
    broken = Interrupts(season, "quick", KeyboardInterrupt(), after=False)
    with pytest.raises(KeyboardInterrupt):
        night(season, play=broken)
    season.train(2)
    told: list[str] = []
    night(season, told)
    assert [one.state for one in nights(season)] == ["abandoned", "decided"]
    assert "night 1 is abandoned: there is a newer net, and no game had been played" in told


def test_a_night_that_has_played_is_ended_before_a_newer_net_is_looked_at(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "gate", KeyboardInterrupt(), after=True))
    season.train(2)
    first, second = night(season), night(season)
    assert first.decision is not None
    assert second.decision is not None
    assert first.decision.document["latest"]["name"] == "run-4000"
    assert second.decision.document["latest"]["name"] == "run-5000"


def test_a_night_can_be_given_up(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "gate", KeyboardInterrupt(), after=True))
    outcome = night(season, abandon=True)
    assert [one.state for one in nights(season)] == ["abandoned", "decided"]
    assert nights(season)[0].note == "it was asked for"
    assert outcome.decision is not None
    assert outcome.decision.night == 2


# --- nothing is promoted on doubt ---


def test_without_a_champion_there_is_no_night(season: Season) -> None:
    with pytest.raises(NightError, match="there is no champion yet"):
        night(season, settings=replace(season.settings, first_champion=None))


def test_a_champion_that_was_swapped_by_hand_stops_everything(season: Season) -> None:
    night(season)
    shutil.copy(season.run.path(1), season.home / "champion.pb.gz")
    season.train(2)
    with pytest.raises(ChampionError, match="somebody has changed it") as refused:
        night(season, play=_refuses_to_play)
    assert "--restore" in str(refused.value)
    assert len(nights(season)) == 1
    assert champion(season) == file_sha256(season.run.path(1))  # nobody has touched it


def test_a_champion_that_is_swapped_while_its_successor_plays_is_not_written_over(
    season: Season,
) -> None:
    def play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        if folder.name == "confirm":
            shutil.copy(season.run.path(1), season.home / "champion.pb.gz")
        return season.play(match, folder, report)

    with pytest.raises(ChampionError, match="somebody has changed it"):
        night(season, play=play)
    assert champion(season) == file_sha256(season.run.path(1))
    with registry_of(season) as registry:
        assert registry.pending() is not None  # decided, and not lost
    with pytest.raises(ChampionError, match="somebody has changed it"):
        night(season, play=_refuses_to_play)


def test_a_damaged_registry_stops_everything(season: Season) -> None:
    night(season)
    before = champion(season)
    season.train(2)
    file = season.home / "registry.sqlite"
    data = bytearray(file.read_bytes())
    data[4096:8192] = b"x" * 4096  # a page
    file.write_bytes(data)
    with pytest.raises(RegistryError, match="damaged") as refused:
        night(season, play=_refuses_to_play)
    assert "registry.backup.sqlite" in str(refused.value)
    assert champion(season) == before
    shutil.copy(season.home / "registry.backup.sqlite", file)  # as it says
    assert night(season).decision is not None
    assert nothing_disagrees(season)


def test_a_stage_whose_folder_is_gone_is_not_played_again(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "confirm", KeyboardInterrupt(), after=False))
    before = champion(season)
    shutil.rmtree(season.home / nights(season)[0].folder / "gate")
    with pytest.raises(NightError, match="gate: is gone"):
        night(season, play=_refuses_to_play)
    assert champion(season) == before
    assert night(season, abandon=True).decision is not None


def test_a_broken_ledger_stops_the_night(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "gate", KeyboardInterrupt(), after=True))
    games = season.home / nights(season)[0].folder / "gate" / "games.jsonl"
    lines = games.read_bytes().splitlines(keepends=True)
    games.write_bytes(b"".join([lines[0], b"{}\n", *lines[2:]]))
    before = champion(season)
    with pytest.raises(LedgerError, match="line 2: broken"):
        night(season)
    assert champion(season) == before


def test_the_newest_net_may_disappear_once_its_night_has_begun(season: Season) -> None:
    with pytest.raises(KeyboardInterrupt):
        night(season, play=Interrupts(season, "gate", KeyboardInterrupt(), after=True))
    season.run.path(4).unlink()
    outcome = night(season)
    assert outcome.decision is not None
    assert outcome.decision.document["latest"]["name"] == "run-4000"
    assert nothing_disagrees(season)


def test_a_net_that_disappears_while_it_is_read_is_told(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arena.registry.keeping import keep

    def late(home: Home, path: Path, *rest: Any) -> NetRecord:
        if path == season.run.path(4):
            path.unlink()
        return keep(home, path, *rest)

    monkeypatch.setattr("arena.nightly.night.keep", late)
    with pytest.raises(Exception, match=r"run-4000\.pb\.gz: cannot"):
        night(season)
    assert nights(season) == []
    assert night(season).nothing == "run-3000.pb.gz is the champion"


def test_a_torn_snapshot_is_passed_over(tmp_path: Path) -> None:
    season = begin_season(tmp_path, **PLAIN, damage={4: "torn"})
    season.train(1)
    told: list[str] = []
    assert night(season, told).nothing == "run-3000.pb.gz is the champion"
    assert any(line.startswith("passed over") and "run-4000" in line for line in told)


def test_a_clock_that_jumps_back_is_told_and_changes_nothing(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(season)
    for place in ("arena.nightly.night.now", "arena.nightly.judging.now"):
        monkeypatch.setattr(place, lambda: "2001-01-01T00:00:00+00:00")
    monkeypatch.setattr("arena.registry.store._now", lambda: "2001-01-01T00:00:00+00:00")
    season.train(2)
    told: list[str] = []
    outcome = night(season, told)
    assert any(line.startswith("note: the clock says 2001-01-01") for line in told)
    assert outcome.decision is not None
    assert outcome.decision.night == 2
    assert champion(season) == outcome.champion.sha256
    assert nothing_disagrees(season)


def test_another_call_at_work_is_told(season: Season) -> None:
    with lock(Home(season.home)), pytest.raises(BusyError, match="another process is at work"):
        night(season)


def test_faults_are_no_verdict(season: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.report.run.Run.doubts", property(lambda run: ["3 pairs were void"]))
    before = season.settings.first_champion
    outcome = night(season)
    assert outcome.decision is not None
    assert outcome.decision.verdict is Verdict.UNDECIDED
    assert outcome.decision.reason == "the quick stage cannot be trusted: 3 pairs were void"
    assert before is not None
    assert champion(season) == file_sha256(before)


def test_too_many_faults_leave_the_night_open(season: Season) -> None:
    def fails(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        season.play(replace(match, sprt=None, pairs=match.pairs), folder, report)
        (folder / "games.jsonl").write_bytes(b"")
        return Ending.FAULTS

    with pytest.raises(NightError, match="too many pairs are void"):
        night(season, play=fails)
    assert [one.state for one in nights(season)] == ["open"]


# --- a full disk ---


class _Full:
    """Every n-th step of a call finds no room."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise OSError(28, "No space left on device", str(words[0]))
            return real(*words, **named)

        return step


@pytest.mark.parametrize("at", range(1, 9))
def test_a_full_disk_loses_nothing(
    season: Season, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    full = _Full(at)
    with monkeypatch.context() as patched:
        for place in (
            "arena.registry.home",
            "arena.registry.champion",
            "arena.nightly.night",
            "arena.nightly.publication",
            "arena.nightly.sanity",
        ):
            module = __import__(place, fromlist=["write_whole"])
            patched.setattr(module, "write_whole", full(module.write_whole))
        with contextlib.suppress(HomeError, ChampionError, NetError, OSError):
            night(season)
    outcome = night(season)
    with registry_of(season) as registry:
        (decision,) = registry.decisions()
    assert decision.verdict is Verdict.PROMOTE
    assert champion(season) == decision.candidate == outcome.champion.sha256
    assert nothing_disagrees(season)


# --- what tells of a decision ---


def test_a_hook_gets_the_decision(tmp_path: Path) -> None:
    season = begin_season(tmp_path, **PLAIN, hook="cat > told.json")
    season.train(1)
    outcome = night(season)
    assert outcome.decision is not None
    assert json.loads((season.home / "told.json").read_text()) == outcome.decision.document
    with registry_of(season) as registry:
        assert [one.hook for one in registry.decisions()] == ["done"]


def test_a_hook_that_fails_is_told_and_undoes_nothing(tmp_path: Path) -> None:
    season = begin_season(tmp_path, **PLAIN, hook="exit 7")
    season.train(1)
    told: list[str] = []
    outcome = night(season, told)
    assert outcome.decision is not None
    assert champion(season) == outcome.decision.candidate
    assert "note: on-decision: sh ended with exit code 7" in told
    with registry_of(season) as registry:
        assert [one.hook for one in registry.decisions()] == ["failed"]
    assert night(season).nothing is not None


def test_a_decision_whose_call_died_is_told_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = begin_season(tmp_path, **PLAIN, hook="cat > told.json")
    season.train(1)

    def dies(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("arena.nightly.publication.write_index", dies)
        with pytest.raises(KeyboardInterrupt):
            night(season)
    assert not (season.home / "told.json").exists()
    outcome = night(season)
    assert outcome.nothing is not None
    assert json.loads((season.home / "told.json").read_text())["verdict"] == "promote"
    assert (season.home / "index.html").exists()


def test_a_report_that_cannot_be_made_keeps_no_decision_back(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(root: Path) -> None:
        raise ZeroDivisionError("in a picture")

    monkeypatch.setattr("arena.nightly.publication.write_index", fails)
    told: list[str] = []
    outcome = night(season, told)
    assert outcome.decision is not None
    assert champion(season) == outcome.decision.candidate
    assert any("its report is not whole: in a picture" in line for line in told)


# --- rehearsals ---


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".sqlite-shm", ".sqlite-wal"):
            yield path, path.stat().st_mtime_ns


def test_a_rehearsal_writes_nothing(season: Season) -> None:
    before = list(_files(season.folder))
    lines = list(rehearse(season.settings))
    assert list(_files(season.folder)) == before
    assert any("run-4000" in line for line in lines)
    assert any(line.startswith("gate: SPRT [0, 150]") for line in lines)
    night(season)
    before = list(_files(season.folder))
    assert any("was judged in night 1" in line for line in rehearse(season.settings))
    again = list(rehearse(season.settings, again=True))
    assert "nothing to do: run-4000.pb.gz is the champion" in again
    assert list(_files(season.folder)) == before


def test_a_run_without_nets_is_told(tmp_path: Path) -> None:
    season = begin_season(tmp_path, **PLAIN)
    for path in season.run.snapshots.iterdir():
        path.unlink()
    settings = replace(season.settings, first_champion=None)
    with pytest.raises((NetError, NightError)):
        night(season, settings=settings)
