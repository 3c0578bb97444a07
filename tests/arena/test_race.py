"""The race of a night: who is dropped when, and that no interrupt changes it."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scripted_games import ScriptedGames, Watcher, chance, write_book

from arena.books import Book
from arena.config import MatchConfig
from arena.faults import VoidPair, note_void
from arena.ledger import GAMES_FILE, Ledger, read_pairs, read_pairs_in_issue_order
from arena.match import Ending, deck_of, match_identity, run_match
from arena.match_file import NetIdentity
from arena.nightly.race import RaceError, RaceOutcome, race, report_race
from arena.nightly.settings import BuildSettings, NightlySettings, RaceSettings, SanitySettings
from arena.stats.racing import Race

STRENGTHS = {"raw": 0.3, "mean-5": 0.48, "mean-10": 0.5, "ema": 0.05}


@dataclass(frozen=True)
class Net:
    """An entry."""

    name: str

    @property
    def path(self) -> Path:
        return Path(f"{self.name}.pb.gz")


@dataclass
class Players:
    """Plays matches by script, by the strengths of both nets.

    ``stop_after``: pairs of all matches together from which on Ctrl-C is pressed after each.
    """

    book: Book
    stop_after: int | None = None
    calls: list[tuple[str, int, bool]] = field(default_factory=list)
    played: int = 0

    def __call__(self, match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        self.calls.append((folder.name, match.pairs, report))
        names = [path.name.removesuffix(".pb.gz") for path in match.nets]
        shas = [f"{int(chance(name) * 2**60):064x}" for name in names]
        nets = (
            NetIdentity("baseline", names[0], shas[0]),
            NetIdentity("candidate", names[1], shas[1]),
        )
        games = ScriptedGames(parallel=10, seed=int(chance(names) * 2**32))
        baseline, candidate = (STRENGTHS[name] for name in names)
        games.draw = 0.2
        games.win = 0.4 + 0.5 * (candidate - baseline)
        stop = threading.Event()
        watcher = Watcher(on_pair=lambda state: self._count(stop))
        identity = match_identity(match, nets, self.book)
        with Ledger.open_or_create(folder, identity) as ledger:
            return run_match(ledger, deck_of(identity, self.book), games, watcher, stop).ending

    def _count(self, stop: threading.Event) -> None:
        self.played += 1
        if self.stop_after is not None and self.played >= self.stop_after:
            stop.set()


def settings_of(home: Path, book: Book, racing: RaceSettings | None = None) -> NightlySettings:
    return NightlySettings(
        home=home,
        latest="run",
        entries="better",
        first_champion=None,
        seed=0,
        on_decision=(),
        averages=(),
        build=BuildSettings(),
        sanity=SanitySettings(),
        racing=racing or RaceSettings(round=20, pairs=100),
        # A test in the table is left out, since all pairs of a round are to be played.
        race={"openings": book.path, "sprt": (0.0, 400.0), "certified": True},
        quick=None,
        gate={},
        confirm=None,
    )


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return write_book(tmp_path)


ENTRIES = [Net(name) for name in STRENGTHS]


def run_race(tmp_path: Path, players: Players, *, entries: Sequence[Net] = ENTRIES) -> RaceOutcome:
    settings = settings_of(tmp_path, players.book)
    return race(entries, settings, players, tmp_path / "race", seed=7, start=11)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RaceOutcome:
    """A race that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return run_race(folder, Players(write_book(folder)))


def test_the_hopeless_leave_first_and_play_no_more(tmp_path: Path, book: Book) -> None:
    players = Players(book)
    outcome = run_race(tmp_path, players)
    assert outcome.winner == outcome.left[0].name in {"mean-5", "mean-10"}
    assert outcome.dropped[0].name == "ema"
    assert outcome.dropped[0].evidence >= np.log(10.0)
    assert {*(one.name for one in outcome.left), *(one.name for one in outcome.dropped)} == {
        *STRENGTHS
    }
    pairs = {(m.baseline, m.candidate): m.pairs for m in outcome.meetings}
    assert list(pairs) == list(itertools.combinations(STRENGTHS, 2))
    until = {one.name: one.pairs for one in outcome.dropped}
    for both, played in pairs.items():
        assert played == min(until.get(name, 100) for name in both)
        assert played % 20 == 0
    assert outcome.pairs == sum(pairs.values())
    assert outcome.rounds == max(pairs.values()) // 20
    assert outcome.doubts == ()
    assert not any(report for _, _, report in players.calls)


def test_all_play_from_the_same_openings_from_the_place_that_was_asked_for(
    whole: RaceOutcome, book: Book
) -> None:
    openings = [
        [pair.opening for pair in read_pairs_in_issue_order(meeting.folder)]
        for meeting in whole.meetings
    ]
    longest = max(openings, key=len)
    assert all(mine == longest[: len(mine)] for mine in openings)
    config = MatchConfig(nets=(Path("a"), Path("b")), openings=book.path, seed=7)
    nets = NetIdentity("baseline", "a", "a" * 64), NetIdentity("candidate", "b", "b" * 64)
    deck = deck_of(match_identity(config, nets, book), book)
    assert longest == [deck.opening(10 + number) for number in range(len(longest))]


def test_the_outcome_is_that_of_the_pure_race(whole: RaceOutcome) -> None:
    """Worked out again from the ledgers, opening by opening."""
    names = list(STRENGTHS)
    shares = np.full((100, 4, 4), np.nan)
    for meeting in whole.meetings:
        one, other = names.index(meeting.baseline), names.index(meeting.candidate)
        for pair in read_pairs(meeting.folder):
            shares[pair.number, other, one] = pair.candidate_points / 2
            shares[pair.number, one, other] = 1 - pair.candidate_points / 2
    pure = Race.start(4, 0.1)
    dropped = []
    for number, table in enumerate(shares, start=1):
        pure = pure.then(table)
        if number % 20 == 0:
            gone = set(pure.survivors) - set(pure.cut().survivors)
            dropped += [(names[one], number, float(pure.evidence[one])) for one in sorted(gone)]
            pure = pure.cut()
            if len(pure.survivors) == 1:
                break
    assert [(one.name, one.pairs, one.evidence) for one in whole.dropped] == dropped
    assert {one.name: one.score for one in whole.left} == {
        names[one]: score for one, score in pure.scores.items()
    }
    assert whole.winner == names[pure.leader]


@pytest.mark.parametrize("stop_after", [1, 47, 120])
def test_an_interrupt_changes_nothing(
    tmp_path: Path, book: Book, whole: RaceOutcome, stop_after: int
) -> None:
    with pytest.raises(KeyboardInterrupt):  # of a match's last pair: in the one after it
        run_race(tmp_path, Players(book, stop_after=stop_after))
    again = run_race(tmp_path, Players(book))
    assert again.winner == whole.winner
    assert again.dropped == whole.dropped
    assert again.left == whole.left
    assert [(m.pairs, m.counts) for m in again.meetings] == [
        (m.pairs, m.counts) for m in whole.meetings
    ]


def test_one_interrupt_after_another_comes_to_an_end(
    tmp_path: Path, book: Book, whole: RaceOutcome
) -> None:
    for interrupts in itertools.count():
        try:
            outcome = run_race(tmp_path, Players(book, stop_after=30))
            break
        except KeyboardInterrupt:
            assert interrupts < 40
    assert interrupts > 3
    assert (outcome.winner, outcome.dropped, outcome.left) == (
        whole.winner,
        whole.dropped,
        whole.left,
    )


def test_a_race_that_is_over_plays_nothing(book: Book, whole: RaceOutcome) -> None:
    players = Players(book)
    assert run_race(whole.meetings[0].folder.parents[1], players) == whole
    assert players.calls == []


@pytest.mark.parametrize("share", [0.0, 0.33, 0.995])
def test_lines_that_were_lost_are_played_again(
    tmp_path: Path, book: Book, whole: RaceOutcome, share: float
) -> None:
    """Of the encounter that went on to the end, so that pairs of all rounds are missing."""
    shutil.copytree(whole.meetings[0].folder.parent, tmp_path / "race")
    lost = max(whole.meetings, key=lambda meeting: meeting.pairs)
    games = tmp_path / "race" / lost.folder.name / GAMES_FILE
    os.truncate(games, int(share * games.stat().st_size))
    players = Players(book)
    again = run_race(tmp_path, players)
    assert (again.winner, again.dropped, again.left) == (whole.winner, whole.dropped, whole.left)
    assert {name for name, _, _ in players.calls} == {lost.folder.name}


def test_its_reports_are_written_once(tmp_path: Path, book: Book) -> None:
    entries = ENTRIES[:2]
    outcome = run_race(tmp_path, Players(book), entries=entries)
    folder = tmp_path / "race"
    report_race(folder, outcome)
    assert f'href="{outcome.meetings[0].folder.name}/report.html"' in (
        folder / "report.html"
    ).read_text(encoding="utf-8")
    (folder / "report.md").unlink()
    report_race(folder, outcome)
    assert not (folder / "report.md").exists()
    (folder / "report.html").unlink()  # as if it had been killed before
    report_race(folder, outcome)
    assert (folder / "report.md").exists()


def test_too_many_faults_are_an_error(tmp_path: Path, book: Book) -> None:
    def broken(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        return Ending.FAULTS

    settings = settings_of(tmp_path, book)
    with pytest.raises(RaceError, match=r"void.*\nIts faults.jsonl"):
        race(ENTRIES, settings, broken, tmp_path / "race", seed=7)


def test_a_player_that_stops_early_is_an_error(tmp_path: Path, book: Book) -> None:
    def idle(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        return Ending.LIMIT

    settings = settings_of(tmp_path, book)
    with pytest.raises(RaceError, match="has 0 pairs of 20"):
        race(ENTRIES, settings, idle, tmp_path / "race", seed=7)


def test_doubts_are_handed_on(tmp_path: Path, book: Book) -> None:
    run_race(tmp_path, Players(book), entries=[ENTRIES[0], ENTRIES[3]])
    for number in range(20):
        note_void(tmp_path / "race" / "ema-vs-raw", VoidPair(number, 1, "no memory", "now"))
    (doubt,) = run_race(tmp_path, Players(book), entries=[ENTRIES[0], ENTRIES[3]]).doubts
    assert doubt.startswith("ema-vs-raw: ")


def test_what_makes_no_race_is_refused_before_a_game(tmp_path: Path, book: Book) -> None:
    players = Players(book)
    with pytest.raises(RaceError, match="name of its own"):
        run_race(tmp_path, players, entries=[Net("raw"), Net("raw")])
    with pytest.raises(ValueError, match="at least 2"):
        run_race(tmp_path, players, entries=[Net("raw")])
    settings = settings_of(tmp_path, book)
    sifted = replace(settings, race={**settings.race, "opening_filter": (0.1, 0.5)})
    with pytest.raises(RaceError, match="opening-filter"):
        race(ENTRIES, sifted, players, tmp_path / "race", seed=7)
    for racing in (RaceSettings(round=0), RaceSettings(pairs=0), RaceSettings(error=1.0)):
        with pytest.raises(ValueError, match=r"1 pair|between 0 and 1"):
            race(ENTRIES, replace(settings, racing=racing), players, tmp_path / "race", seed=7)
    assert players.calls == []
    assert not (tmp_path / "race").exists()


def test_a_budget_that_is_no_multiple_of_a_round_is_used_up(tmp_path: Path, book: Book) -> None:
    racing = RaceSettings(round=20, pairs=30, error=1e-9)
    settings = settings_of(tmp_path, book, racing)
    outcome = race(ENTRIES, settings, Players(book), tmp_path / "race", seed=7)
    assert [meeting.pairs for meeting in outcome.meetings] == [30] * 6
    assert outcome.rounds == 2
    assert outcome.dropped == ()
    scores = [one.score for one in outcome.left]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
