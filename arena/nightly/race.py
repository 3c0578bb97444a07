"""The race of a night: several entries play each other until the best ones are left.

All entries that are still in it play all others, each encounter a match of its own in a run folder,
from the same openings. They do so in rounds: when every encounter has its pairs of the round, those
whose gambler got rich are dropped (``arena.stats.racing``), and the others go on. At the end the
one of the highest score against the others that are left is the winner, which has yet to meet the
champion, on other openings.

Nothing is remembered but the ledgers. A call works out all rounds anew from what they hold and
plays only what is missing, so that a race that was interrupted goes on to the same result.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from arena.config import MatchConfig
from arena.judgement import in_issue_order
from arena.ledger import read_pairs
from arena.match import Ending
from arena.match_file import MATCH_FILE, read_identity
from arena.nightly.playing import PlayMatch
from arena.nightly.settings import NightlySettings
from arena.report.folder import write_reports
from arena.report.ratings.field import RatingsError
from arena.report.ratings.tournament import write_tournament
from arena.report.run import read_run
from arena.run import file_name
from arena.stats.pentanomial import PairCounts
from arena.stats.racing import Race

LAST_WRITTEN = "report.html"
"""Of what ``write_tournament`` writes: where it is, all of it is."""


class RaceError(Exception):
    """A race that cannot begin or go on: what, why, what to do."""


class Racer(Protocol):
    """An entry of a race."""

    @property
    def name(self) -> str:
        """What it is called, differently from all others."""

    @property
    def path(self) -> Path:
        """Its net's file."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An entry that left the race."""

    name: str
    round: int  # from 1, after which it was dropped
    pairs: int  # against each of the others that were left, until then
    evidence: float  # ln of the capital that was won by betting against it


@dataclass(frozen=True, slots=True)
class Left:
    """An entry that was in the race to its end."""

    name: str
    score: float  # share of the points against the others that were left, 1/2 if it was alone
    evidence: float


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two entries' encounter; ``counts`` are the candidate's, of the pairs that are not repeats."""

    baseline: str
    candidate: str
    folder: Path
    pairs: int
    counts: PairCounts


@dataclass(frozen=True, slots=True)
class RaceOutcome:
    """How a race ended: on the same ledgers always the same."""

    winner: str
    dropped: tuple[Dropped, ...]  # in the order in which they were
    left: tuple[Left, ...]  # the best one first
    rounds: int
    error: float  # chance that the best was dropped, at most
    meetings: tuple[Meeting, ...]
    doubts: tuple[str, ...]  # why figures of an encounter may not be the players'; as a rule none

    @property
    def pairs(self) -> int:
        """Pairs of all encounters together."""
        return sum(meeting.pairs for meeting in self.meetings)


def race(
    entries: Sequence[Racer],
    settings: NightlySettings,
    play: PlayMatch,
    folder: Path,
    *,
    seed: int,
    start: int = 1,
) -> RaceOutcome:
    """Play a race, or go on with it; ``report_race`` writes its ratings and reports.

    ``entries``: at least two, of different names and nets; of equal scores the one that stands
    first wins. ``folder`` has a run folder for each encounter. ``seed`` and ``start`` say which
    openings are taken; their number is ``settings.racing.pairs`` at most.

    Raises ValueError for fewer entries and for settings without a pair; RaceError for names that
    are the same, for a filter of openings (each encounter's baseline would choose others), and
    where too many pairs were void; KeyboardInterrupt where a match was interrupted, and whatever
    ``play`` raises.
    """
    return _Running(entries, settings, play, folder, seed, start).outcome()


class _Running:
    def __init__(
        self,
        entries: Sequence[Racer],
        settings: NightlySettings,
        play: PlayMatch,
        folder: Path,
        seed: int,
        start: int,
    ) -> None:
        self._names = [entry.name for entry in entries]
        in_files = [file_name(name) for name in self._names]
        if len(set(in_files)) < len(in_files):
            raise RaceError(
                f"the entries {', '.join(self._names)} are not told apart by their names\n"
                "Give each average a name of its own."
            )
        self._folders = {
            (one, other): folder / f"{in_files[other]}-vs-{in_files[one]}"
            for one, other in itertools.combinations(range(len(entries)), 2)
        }
        self._matches = {
            (one, other): _without_test(
                settings, (entries[one].path, entries[other].path), seed, start
            )
            for one, other in self._folders
        }
        self._settings = settings.racing
        if min(settings.racing.round, settings.racing.pairs) < 1:
            raise ValueError("a race needs at least 1 pair a round")
        self._play = play

    def outcome(self) -> RaceOutcome:
        race = Race.start(len(self._names), self._settings.error)
        dropped: list[Dropped] = []
        rounds = pairs = 0
        while len(race.survivors) > 1 and pairs < self._settings.pairs:
            before, rounds = pairs, rounds + 1
            pairs = min(before + self._settings.round, self._settings.pairs)
            for shares in self._round(race.survivors, before, pairs):
                race = race.then(shares)
            left = race.cut()
            out = sorted(set(race.survivors) - set(left.survivors))
            dropped += [
                Dropped(self._names[one], rounds, pairs, float(race.evidence[one])) for one in out
            ]
            race = left
        scores = race.scores
        order = sorted(race.survivors, key=lambda one: -scores[one])
        meetings, doubts = self._meetings()
        return RaceOutcome(
            winner=self._names[race.leader],
            dropped=tuple(dropped),
            left=tuple(
                Left(self._names[one], scores[one], float(race.evidence[one])) for one in order
            ),
            rounds=rounds,
            error=race.error,
            meetings=meetings,
            doubts=doubts,
        )

    def _round(self, survivors: Sequence[int], before: int, pairs: int) -> npt.NDArray[np.float64]:
        """Return the shares [opening, player, opponent] of a round, played as far as it was not."""
        size = len(self._names)
        shares = np.full((pairs - before, size, size), np.nan)
        for one, other in itertools.combinations(survivors, 2):
            for number, share in enumerate(self._pairs((one, other), pairs)[before:pairs]):
                if share is not None:
                    shares[number, other, one] = share
                    shares[number, one, other] = 1.0 - share
        return shares

    def _pairs(self, both: tuple[int, int], pairs: int) -> list[float | None]:
        """Return the second one's share of each of the first ``pairs``, None for repeats."""
        folder = self._folders[both]
        found = _shares(folder)
        if len(found) < pairs:
            # A limit is never lowered, so lines that were lost from a later round come first.
            limit = max(pairs, _limit(folder))
            ending = self._play(replace(self._matches[both], pairs=limit), folder, False)
            if ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt
            if ending is Ending.FAULTS:
                raise RaceError(
                    f"{folder}: too many pairs are void, so the race cannot go on\n"
                    "Its faults.jsonl says what happened; the same command goes on."
                )
            found = _shares(folder)
            if len(found) < pairs:
                raise RaceError(
                    f"{folder}: has {len(found)} pairs of {pairs}, though its match ended "
                    f"({ending})\nThe same command goes on."
                )
        return found

    def _meetings(self) -> tuple[tuple[Meeting, ...], tuple[str, ...]]:
        meetings: list[Meeting] = []
        doubts: list[str] = []
        for (one, other), folder in self._folders.items():
            run = read_run(folder)
            counts = run.judgement.counts
            names = self._names[one], self._names[other]
            meetings.append(Meeting(*names, folder, len(run.pairs), counts))
            doubts += [f"{folder.name}: {doubt}" for doubt in run.doubts]
        return tuple(meetings), tuple(doubts)


def _without_test(
    settings: NightlySettings, nets: tuple[Path, Path], seed: int, start: int
) -> MatchConfig:
    """The match of an encounter: of fixed length, whatever the stage's own table says."""
    plain = {"sprt": None, "preset": None, "delta": None, "certified": False, "overshoot": False}
    match = settings.match({**settings.race, **plain}, nets, seed=seed, start=start)
    if match.opening_filter is not None:
        raise RaceError(
            "opening-filter: in a race each encounter has a baseline of its own, which would "
            "choose other openings\nLeave it out of [match], or set it in [gate] alone."
        )
    return match


def _limit(folder: Path) -> int:
    """The pairs that an encounter was last asked for."""
    return read_identity(folder).pairs if (folder / MATCH_FILE).exists() else 0


def _shares(folder: Path) -> list[float | None]:
    """The candidate's share of each pair's points from the first on to the first that is missing.

    None stands for a pair that repeats a game of an earlier one and brings no news.
    """
    if not (folder / MATCH_FILE).exists():
        return []
    results = {pair.number: pair.result for pair in read_pairs(folder)}
    in_order = in_issue_order(results)
    return [None if points is None else sum(points) / 2.0 for points in in_order]


def report_race(folder: Path, outcome: RaceOutcome) -> None:
    """Write what is not there yet: reports of the encounters in a folder, then of all together."""
    if (folder / LAST_WRITTEN).exists():
        return
    for meeting in outcome.meetings:
        write_reports(meeting.folder)
    with suppress(RatingsError):  # too little was played to compare everybody
        write_tournament(folder)
