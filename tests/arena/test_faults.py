"""Faults of a match: void pairs are played again, and too much of it leaves no verdict."""

from __future__ import annotations

import functools
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import chess
import chess.pgn
import pytest
import scripted_match
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_games import ScriptedGames, Watcher, play_match, write_book

from arena.external import Fault
from arena.faults import (
    FAULTS_FILE,
    Faults,
    VoidPair,
    faults_of,
    note_void,
    read_void,
    too_many_void,
)
from arena.game import GameRecord, GameTask, Remark, Termination
from arena.ledger import GAMES_FILE, decode_pair, encode_pair, read_pairs
from arena.match import Ending
from arena.openings import Book
from arena.referee import check_pair
from arena.report.folder import write_reports

ON_FIRE = Fault("the machine is on fire")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return write_book(tmp_path_factory.mktemp("book"))


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@dataclass
class FaultyGames(ScriptedGames):
    """Games some of which are void, by the task and how often it was played before."""

    faulty: Callable[[GameTask, int], bool] = lambda task, time: False
    times: dict[GameTask, int] = field(default_factory=dict)

    def play(  # type: ignore[override]
        self, tasks: Sequence[Iterator[GameTask]], /
    ) -> Iterator[tuple[GameTask, GameRecord | Fault]]:
        for task, record in super().play(tasks):
            time = self.times[task] = self.times.get(task, -1) + 1
            yield task, ON_FIRE if self.faulty(task, time) else record


class WinningGames(ScriptedGames):
    win, draw = 0.9, 0.05


def pairs_of(folder: Path) -> dict[int, object]:
    return {pair.number: pair for pair in read_pairs(folder)}


# --- pairs are played again ---

VOID = st.sets(st.tuples(st.integers(0, 39), st.booleans(), st.integers(0, 1)), max_size=10)


@functools.cache
def small_book() -> Book:
    return write_book(Path(tempfile.mkdtemp()), entries=40)


@settings(max_examples=12)
@given(void=VOID, lanes=st.integers(1, 3), parallel=st.integers(3, 20))
def test_a_match_with_void_pairs_ends_like_one_without(
    void: set[tuple[int, bool, int]], lanes: int, parallel: int
) -> None:
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        patched.setattr("arena.match.too_many_void", lambda void, pairs: False)
        compare_with_a_quiet_match(void, lanes, parallel, Path(folder))


def compare_with_a_quiet_match(
    void: set[tuple[int, bool, int]], lanes: int, parallel: int, folder: Path
) -> None:
    book, one, other = small_book(), folder / "one", folder / "other"
    games = FaultyGames(
        lanes=lanes,
        parallel=parallel,
        faulty=lambda task, time: (task.pair, task.candidate_white, time) in void,
    )
    asked = {"pairs": 40, "sprt": None}
    disturbed = play_match(one, book, games, Watcher(), **asked)
    quiet = play_match(other, book, ScriptedGames(lanes=lanes), Watcher(), **asked)
    assert disturbed.ending is quiet.ending is Ending.LIMIT
    assert disturbed.state.judgement == quiet.state.judgement
    assert pairs_of(one) == pairs_of(other)
    attempts = {(pair, time) for pair, _, time in void}
    # What would have been void at a second time counts only if there was one.
    attempts = {(p, t) for p, t in attempts if t == 0 or (p, 0) in attempts}
    noted = read_void(one)
    assert sorted(void.pair for void in noted) == sorted(pair for pair, _ in attempts)
    assert {void.what for void in noted} <= {ON_FIRE.what}
    assert disturbed.state.void == len(attempts)
    seeds = {(task.pair, task.candidate_white, task.seed) for task in games.begun}
    assert len(seeds) == len({seed for _, _, seed in seeds}) == 80, "replays have the same seeds"


def test_a_test_decides_by_the_same_pairs_whatever_was_void(book: Book, tmp_path: Path) -> None:
    wide = {"sprt": (0.0, 80.0), "pairs": 300}
    games = FaultyGames(faulty=lambda task, time: task.pair in (3, 90) and time == 0)
    disturbed = play_match(tmp_path / "one", book, games, Watcher(), **wide)
    quiet = play_match(tmp_path / "other", book, ScriptedGames(), Watcher(), **wide)
    assert disturbed.ending is Ending.DECIDED
    assert disturbed.state.judgement == quiet.state.judgement


def test_where_nearly_everything_is_void_the_match_stops_and_goes_on_later(
    book: Book, tmp_path: Path
) -> None:
    asked = {"pairs": 40, "sprt": (0.0, 80.0)}
    burning = FaultyGames(faulty=lambda task, time: task.pair % 2 == 0)
    stopped = play_match(tmp_path, book, burning, Watcher(), **asked)
    assert stopped.ending is Ending.FAULTS
    assert stopped.state.void == 3
    _, summary = write_reports(tmp_path)
    assert (summary["state"], summary["verdict"]) == ("unfinished", "undecided")
    ended = play_match(tmp_path, book, WinningGames(), Watcher(), **asked)
    assert ended.ending is Ending.DECIDED
    run, summary = write_reports(tmp_path)
    assert run.judgement.verdict == "promote"
    assert summary["verdict"] == "undecided", "of some pairs too many were void"
    assert summary["faults"]["void"] == 3
    (doubt,) = summary["doubts"]
    assert doubt.startswith("3 pairs were void by faults of harness or machine, to ")
    report = (tmp_path / "report.md").read_text()
    assert "**swa against raw: no verdict, since 3 pairs were void" in report
    assert "| harness or machine | pair void: the machine is on fire | 3 |" in report
    assert "- There were more faults than can be passed over: no verdict is given" in report
    assert "verdict rests on" not in report


def test_a_void_pair_is_on_the_disk_before_anything_else(book: Book, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    class DyingGames(FaultyGames):
        def play(self, tasks):  # type: ignore[no-untyped-def]
            for task, record in super().play(tasks):
                yield task, record
                if isinstance(record, Fault):
                    raise KilledError

    games = DyingGames(faulty=lambda task, time: task.pair == 2)
    with pytest.raises(KilledError):
        play_match(tmp_path, book, games, Watcher(), pairs=40, sprt=None)
    assert [void.pair for void in read_void(tmp_path)] == [2]


# --- faults.jsonl ---

SOME = [VoidPair(7, 1, "a", "2025-01-01"), VoidPair(8, 2, 'q"\n\u00e9 }', "2025-01-02")]


def test_void_pairs_are_read_back_and_a_torn_line_swallows_no_other(tmp_path: Path) -> None:
    assert read_void(tmp_path) == []
    for void in SOME:
        note_void(tmp_path, void)
    path = tmp_path / FAULTS_FILE
    whole = path.read_bytes()
    assert read_void(tmp_path) == SOME
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        note_void(tmp_path, SOME[1])
        kept = [SOME[0], SOME[1]] if cut < len(whole) - 1 else [*SOME, SOME[1]]
        assert read_void(tmp_path) == kept, cut


# --- what is too much ---


@pytest.mark.parametrize(
    ("void", "pairs", "too_many"),
    [(0, 0, False), (2, 0, False), (3, 0, True), (3, 57, False), (3, 56, True), (50, 950, False)],
)
def test_how_many_void_pairs_are_too_many(void: int, pairs: int, too_many: bool) -> None:
    assert too_many_void(void, pairs) is too_many


def test_forfeits_are_counted_for_who_lost_them() -> None:
    lost = {
        # the candidate has white and lost; has black and won
        True: replace(scripted_match.game(True, 0.0), termination=Termination.CRASH),
        False: replace(scripted_match.game(False, 1.0), termination=Termination.TIME_FORFEIT),
    }
    fine = [scripted_match.game(True, 0.5), scripted_match.game(False, 0.5)]
    faults = faults_of([lost[True], lost[False], *fine], [])
    assert dict(faults.candidate) == {"engine crashed": 1}
    assert dict(faults.baseline) == {"time forfeit": 1}
    assert faults.pairs == 2
    assert faults.doubts("raw", "swa") == [], "one is no more than an accident"
    many = faults_of([*[lost[True]] * 3, *fine * 10, fine[0]], [])
    assert many.doubts("raw", "swa") == [
        "swa lost 3 of 24 games by faults (more than 1%): 3 engine crashed"
    ]
    assert faults_of([*[lost[False]] * 3, *fine * 149, fine[0]], []).doubts("raw", "swa") == []
    assert not Faults().any


# --- what is kept of them ---

REMARKS = (
    Remark("+0.35", 18, 0.123, 59.877),
    Remark(),
    Remark("-M3", 5, 0.0, None),
    Remark("", 0, 1.5, 3725.25),
)


def crashed_pair() -> object:
    first, second = scripted_match.pair(0, 0.5, 1.0).games
    first = replace(
        first,
        moves=first.moves[:4],
        q=first.q[:4],
        d=first.d[:4],
        visits=first.visits[:4],
        result="0-1",
        termination=Termination.CRASH,
        remarks=REMARKS,
        forfeit="SIGSEGV: {oh}",
    )
    return replace(scripted_match.pair(0, 0.5, 1.0), games=(first, second))


def test_remarks_and_forfeits_are_in_the_ledger_where_there_are_some() -> None:
    pair = crashed_pair()
    check_pair(pair)  # type: ignore[arg-type]
    line = encode_pair(pair)  # type: ignore[arg-type]
    games = json.loads(line)["games"]
    assert games[0]["remarks"] == {
        "score": ["+0.35", "", "-M3", ""],
        "depth": [18, 0, 5, 0],
        "seconds": [0.123, 0.0, 0.0, 1.5],
        "clock": [59.877, None, None, 3725.25],
    }
    assert games[0]["forfeit"] == "SIGSEGV: {oh}"
    assert games[1].keys() == {"candidate", "result", "termination", "moves", "q", "d", "visits"}, (
        "a plain game is written as ever"
    )
    assert decode_pair(json.loads(line)) == pair


@pytest.mark.parametrize(
    "remarks",
    [
        [],
        None,
        {"depth": [1] * 3},
        {"depth": [-1] * 4},
        {"depth": [1.5] * 4},
        {"score": ["0,35"] * 4},
        {"score": [1] * 4},
        {"seconds": [-0.1] * 4},
        {"seconds": [float("inf")] * 4},
        {"clock": [float("nan")] * 4},
        {"colour": ["red"] * 4},
    ],
)
def test_remarks_that_arena_did_not_write_are_refused(remarks: object) -> None:
    values = json.loads(encode_pair(crashed_pair()))  # type: ignore[arg-type]
    values["games"][0]["remarks"] = remarks
    with pytest.raises(ValueError, match=r"remarks must have|must be one a move"):
        decode_pair(values)


def test_pgn_has_clocks_depths_nodes_and_what_happened(tmp_path: Path) -> None:
    folder = scripted_match.run_folder(tmp_path, scripted_match.identity(), [crashed_pair()])  # type: ignore[list-item]
    write_reports(folder)
    text = (folder / "games.pgn").read_text()
    assert (folder / GAMES_FILE).exists()
    game = chess.pgn.read_game(io.StringIO(text))
    assert game is not None
    assert not game.errors
    assert game.headers["Termination"] == "engine crashed"
    comments = [" ".join(node.comment.split()) for node in game.mainline()][2:]
    assert comments == [
        "+0.35/18 0.123s, n=100 [%clk 0:00:59.877]",
        "-0.29/101 0.000s",
        "-M3/5 0.000s, n=102",
        "+0.00/103 1.500s [%clk 1:02:05.250] White: engine crashed: SIGSEGV: (oh)",
    ]
    clocks = [node.clock() for node in game.mainline()]
    assert clocks[2:] == [59.877, None, None, 3725.25]
