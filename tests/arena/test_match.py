"""The match as a whole: what counts, in which order, and what an interrupt leaves."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_games import (
    NETS,
    PAIRS_TO_KILL,
    ScriptedGames,
    Watcher,
    identity_of,
    match_that_dies,
    match_to_kill,
    play_match,
    write_book,
)
from scripted_match import pair as scripted_pair

from arena.config import MatchConfig
from arena.game import GameRecord, GameTask, PairRecord, PairResult
from arena.ledger import GAMES_FILE, Ledger, read_pairs, read_pairs_in_issue_order
from arena.match import (
    Ending,
    Judgement,
    MatchError,
    MatchState,
    deck_of,
    in_issue_order,
    judge,
    match_identity,
    run_match,
)
from arena.match_file import MATCH_FILE, LedgerError
from arena.openings import Book, OpeningError, read_book
from arena.referee import RefereeError
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import Method, Sprt, Verdict

WIDE = {"sprt": (0.0, 80.0)}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return write_book(tmp_path_factory.mktemp("book"))


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of fsyncs would be most of the time; other processes and test_ledger do them."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def points_of(folder: Path) -> list[tuple[float, float]]:
    return [pair.points for pair in read_pairs_in_issue_order(folder)]


# --- the judgement ---

GAME = st.sampled_from([0.0, 0.5, 1.0])
PAIRS = st.lists(st.tuples(GAME, GAME), max_size=60)
TEST = Sprt(0.0, 100.0)


@given(PAIRS, st.integers(1, 60))
def test_the_first_crossing_decides_and_nothing_after_it_counts(
    points: list[tuple[float, float]], limit: int
) -> None:
    judgement = judge(points, TEST, limit)
    expected = PairCounts()
    verdict, decided_at = Verdict.UNDECIDED, None
    for number, pair in enumerate(points[:limit]):
        expected += PairCounts.of_pair(*pair)
        verdict = TEST.verdict(TEST.llr(expected))
        if verdict is not Verdict.UNDECIDED:
            decided_at = number
            break
    assert (judgement.counts, judgement.verdict) == (expected, verdict)
    assert judgement.decided_at == decided_at
    assert judgement.settled == (decided_at is not None or len(points) >= limit)


@given(PAIRS)
def test_a_judgement_grows_by_one_pair_at_a_time(points: list[tuple[float, float]]) -> None:
    judgement = Judgement.start(TEST, limit=40)
    for pair in points:
        judgement = judgement.then(pair)
    assert judgement == judge(points, TEST, limit=40)


def test_without_a_test_all_pairs_count_and_nothing_is_decided() -> None:
    judgement = judge([(1.0, 1.0)] * 50, None, limit=40)
    assert judgement.counts == PairCounts(WW=40)
    assert (judgement.verdict, judgement.llr) == (Verdict.UNDECIDED, None)
    assert judgement.settled


def test_the_order_of_issue_ends_at_the_first_gap() -> None:
    finished = {
        3: PairResult((1.0, 1.0), (1, 2)),
        0: PairResult((0.0, 0.5), (3, 4)),
        1: PairResult((0.5, 0.5), (5, 6)),
    }
    assert list(in_issue_order(finished)) == [(0.0, 0.5), (0.5, 0.5)]


def test_a_pair_that_repeats_a_game_is_not_counted() -> None:
    finished = {
        0: PairResult((1.0, 0.5), (1, 2)),
        1: PairResult((1.0, 1.0), (1, 3)),  # its first game is pair 0's
        2: PairResult((0.0, 0.5), (4, 2)),  # its second is
        3: PairResult((0.5, 0.5), (3, 5)),  # its first is the repeated pair's
        4: PairResult((0.0, 0.0), (6, 7)),
    }
    points = list(in_issue_order(finished))
    assert points == [(1.0, 0.5), None, None, None, (0.0, 0.0)]
    judgement = judge(points, TEST, limit=5)
    assert judgement.counts == PairCounts(WD=1, LL=1)
    assert judgement.repeats == (1, 2, 3)
    assert judgement.seen == 5
    assert judgement.settled
    assert judgement.llr == TEST.llr(judgement.counts)


def test_a_long_opening_that_leads_into_an_earlier_game_is_a_repeat(tmp_path: Path) -> None:
    short = scripted_pair(0, 1.0, 0.5)
    moves = short.games[0].moves
    opening = replace(short.opening, moves=(*short.opening.moves, *moves[:2]))
    first = replace(
        short.games[0],
        moves=moves[2:],
        **{key: getattr(short.games[0], key)[2:] for key in ("q", "d", "visits")},
    )
    longer = PairRecord(1, opening, (first, short.games[1]))
    assert longer.result.fingerprints[0] == short.result.fingerprints[0]
    assert longer.result.fingerprints[1] != short.result.fingerprints[1]
    assert len(set(short.result.fingerprints)) == 2


@pytest.mark.parametrize("method", list(Method))
def test_every_method_decides_by_its_own_evidence(method: Method) -> None:
    test = Sprt(0.0, 100.0, method=method)
    judgement = judge([(1.0, 0.5), (1.0, 1.0), (0.5, 0.5)] * 40, test, limit=120)
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.decided_at is not None
    progress = judgement.progress
    assert progress is not None
    assert progress.llr == test.llr(judgement.counts)
    if method is Method.CERTIFIED:
        assert progress.betting is not None
        assert progress.betting.against_elo0 >= progress.betting.thresholds[0]
    else:
        assert progress.llr >= progress.bounds[1]
        before = judge([(1.0, 0.5), (1.0, 1.0), (0.5, 0.5)] * 40, test, judgement.decided_at)
        assert before.progress is not None
        assert before.progress.llr is not None
        assert before.progress.llr < before.progress.bounds[1]
    if method is Method.OVERSHOOT:
        assert progress.bounds[1] < test.bounds[1]


# --- whole matches ---


@pytest.mark.parametrize("settings", [WIDE, {"sprt": None, "pairs": 150}], ids=["sprt", "fixed"])
def test_games_in_flight_and_their_durations_change_nothing(
    book: Book, tmp_path: Path, settings: dict[str, object]
) -> None:
    durations: list[Callable[[float], float]] = [
        lambda points: 1.4 - 0.8 * points,
        lambda points: 5.0 if points == 0.5 else 0.1,
    ]
    judgements, counted = [], []
    for parallel in (1, 16, 128):
        for number, duration in enumerate(durations):
            folder = tmp_path / f"{parallel}-{number}"
            games = ScriptedGames(
                lanes=min(2, parallel), parallel=parallel, seed=3, duration=duration
            )
            outcome = play_match(folder, book, games, Watcher(), **settings)
            judgements.append(outcome.state.judgement)
            counted.append(points_of(folder)[: outcome.state.judgement.counts.pairs])
    assert judgements[0].counts.pairs > 50
    assert all(judgement == judgements[0] for judgement in judgements)
    assert all(points == counted[0] for points in counted)


def test_a_test_on_whatever_finishes_first_would_be_wrong(book: Book, tmp_path: Path) -> None:
    """The scripted durations do bias which pairs finish first; else the test above is void."""
    games = ScriptedGames(parallel=256, seed=3)
    play_match(tmp_path, book, games, Watcher(), sprt=None, pairs=256)
    as_finished = [sum(pair.points) for pair in read_pairs(tmp_path)]
    assert sum(as_finished[:64]) > 1.3 * sum(as_finished[-64:])


def test_the_verdict_stops_the_match(book: Book, tmp_path: Path) -> None:
    games, watcher = ScriptedGames(), Watcher()
    games.win = 0.6
    outcome = play_match(tmp_path, book, games, watcher, **WIDE)
    judgement = outcome.state.judgement
    assert outcome.ending is Ending.DECIDED
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.decided_at == judgement.counts.pairs - 1
    assert games.closed
    assert len(games.begun) < 2 * 300
    assert outcome.state.beyond == len(points_of(tmp_path)) - judgement.counts.pairs
    assert watcher.outcomes == [outcome]
    assert [state.judgement.counts.pairs for state in watcher.states] == list(
        range(judgement.counts.pairs + 1)
    )


def test_the_limit_stops_the_match_undecided(book: Book, tmp_path: Path) -> None:
    outcome = play_match(tmp_path, book, ScriptedGames(), Watcher(), sprt=(0.0, 1.0), pairs=20)
    assert outcome.ending is Ending.LIMIT
    assert outcome.state.judgement.verdict is Verdict.UNDECIDED
    assert outcome.state.judgement.counts.pairs == outcome.state.finished == 20
    assert outcome.state.games == 40


def test_both_games_of_a_pair_share_an_opening_with_colours_swapped(
    book: Book, tmp_path: Path
) -> None:
    games = ScriptedGames()
    play_match(tmp_path, book, games, Watcher(), sprt=None, pairs=30)
    by_pair: dict[int, list[GameTask]] = {}
    for task in games.begun:
        by_pair.setdefault(task.pair, []).append(task)
    for tasks in by_pair.values():
        first, second = sorted(tasks, key=lambda task: not task.candidate_white)
        assert first.opening == second.opening
        assert (first.white, first.black) == (second.black, second.white) == (1, 0)
    pairs = read_pairs_in_issue_order(tmp_path)
    assert len({pair.opening for pair in pairs}) == 30


@pytest.mark.parametrize("order", ["random", "sequential"])
def test_openings_come_in_the_asked_order(book: Book, tmp_path: Path, order: str) -> None:
    play_match(tmp_path, book, ScriptedGames(), Watcher(), sprt=None, pairs=9, order=order, seed=5)
    played = [pair.opening for pair in read_pairs_in_issue_order(tmp_path)]
    in_book = [book.opening(index) for index in range(9)]
    assert (played == in_book) == (order == "sequential")


# --- interrupts ---


def test_a_finished_match_plays_nothing_again(book: Book, tmp_path: Path) -> None:
    first = play_match(tmp_path, book, ScriptedGames(), Watcher(), **WIDE)
    games, watcher = ScriptedGames(), Watcher()
    again = play_match(tmp_path, book, games, watcher, **WIDE)
    assert games.begun == []
    assert again.ending is first.ending
    assert again.state.judgement == first.state.judgement
    assert again.state.resumed == again.state.finished == first.state.finished
    assert watcher.outcomes == [again]


@pytest.mark.parametrize("how", ["ctrl-c", "stop"])
def test_an_interrupt_drops_what_is_unfinished_and_resumes(
    book: Book, tmp_path: Path, how: str
) -> None:
    stop = threading.Event()

    def interrupt(state: MatchState) -> None:
        if state.judgement.counts.pairs >= 10:
            if how == "ctrl-c":
                raise KeyboardInterrupt
            stop.set()

    settings = {"sprt": None, "pairs": 60}
    identity = identity_of(book, **settings)
    games = ScriptedGames()
    with Ledger.open_or_create(tmp_path / "run", identity) as ledger:
        outcome = run_match(
            ledger, deck_of(identity, book), games, Watcher(on_pair=interrupt), stop
        )
    assert outcome.ending is Ending.INTERRUPTED
    assert games.closed
    assert 10 <= outcome.state.judgement.counts.pairs < 20
    assert len(points_of(tmp_path / "run")) == outcome.state.finished

    resumed = play_match(tmp_path / "run", book, ScriptedGames(parallel=3), Watcher(), **settings)
    whole = play_match(tmp_path / "whole", book, ScriptedGames(), Watcher(), **settings)
    assert resumed.state.resumed == outcome.state.finished
    assert resumed.state.judgement == whole.state.judgement
    assert points_of(tmp_path / "run") == points_of(tmp_path / "whole")


def lines_of(folder: Path) -> list[bytes]:
    return sorted((folder / GAMES_FILE).read_bytes().splitlines())


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Processes that have imported everything and share no thread with pytest."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["arena.match"])
    return context


def test_a_match_that_is_killed_again_and_again_loses_nothing(
    book: Book, tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    expected = match_to_kill(tmp_path / "whole", book.path)
    folder = tmp_path / "killed"
    moments = random.Random(1)
    seen = 0
    for kill in range(10):
        process = processes.Process(target=match_to_kill, args=(folder, book.path, 0.003))
        process.start()
        if kill % 3:  # else it may be killed before it has done anything
            wait_for_pairs(folder, process, more_than=seen)
        process.join(moments.uniform(0.0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -9, f"ended by itself after {kill} kills"
        finished = list(read_pairs(folder)) if (folder / MATCH_FILE).exists() else []
        assert len(finished) >= seen, "a pair that was on the disk is gone"
        seen = len(finished)
    assert 6 <= seen < PAIRS_TO_KILL
    outcome = match_to_kill(folder, book.path)
    assert outcome.state.judgement == expected.state.judgement
    assert lines_of(folder) == lines_of(tmp_path / "whole")


def wait_for_pairs(
    folder: Path, process: multiprocessing.process.BaseProcess, more_than: int
) -> None:
    """Wait until the process has got somewhere, so that the kills are spread over the match."""
    games = folder / GAMES_FILE
    while process.is_alive():
        if games.exists() and games.read_bytes().count(b"\n") > more_than:
            return
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("deaths", "kept"),
    [
        ([("write", 0, 0.0), ("write", 3, 0.0)], 3),
        ([("write", 0, 0.5), ("write", 3, 0.9)], 3),
        ([("write", 0, 1.0), ("write", 3, 1.0)], 5),
        # match.toml not renamed yet, renamed, and a line that is written but not synced
        ([("fsync", 0, 0.0), ("fsync", 1, 0.0), ("fsync", 2, 0.0)], 1),
    ],
    ids=["before a line", "within a line", "after a line", "before a sync"],
)
def test_a_match_that_dies_while_writing_loses_nothing(
    book: Book,
    tmp_path: Path,
    processes: multiprocessing.context.ForkServerContext,
    deaths: list[tuple[str, int, float]],
    kept: int,
) -> None:
    folder = tmp_path / "killed"
    for death in deaths:
        process = processes.Process(target=match_that_dies, args=(folder, book.path, *death))
        process.start()
        process.join()
        assert process.exitcode == -9
    outcome = match_to_kill(folder, book.path)
    expected = match_to_kill(tmp_path / "whole", book.path)
    assert outcome.state.resumed == kept
    assert outcome.state.judgement == expected.state.judgement
    assert lines_of(folder) == lines_of(tmp_path / "whole")


# --- what a match refuses ---


def test_a_game_that_breaks_the_rules_ends_the_match_and_is_not_written(
    book: Book, tmp_path: Path
) -> None:
    def cheat(task: GameTask, record: GameRecord) -> GameRecord:
        return replace(record, result="1/2-1/2") if task.pair == 12 else record

    games = ScriptedGames(parallel=2, tamper=cheat)
    with pytest.raises(RefereeError, match="pair 12, game"):
        play_match(tmp_path, book, games, Watcher(), sprt=None, pairs=30)
    assert games.closed
    assert 12 not in {pair.number for pair in read_pairs(tmp_path)}
    assert len(points_of(tmp_path)) >= 11


def test_a_full_disk_ends_the_match_and_it_can_go_on(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"sprt": None, "pairs": 30}

    def full(descriptor: int) -> None:
        if (tmp_path / "run" / GAMES_FILE).stat().st_size > 5_000:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(LedgerError, match="no space left on device"):
            play_match(tmp_path / "run", book, ScriptedGames(), Watcher(), **settings)
    kept = len(points_of(tmp_path / "run"))
    assert 0 < kept < 30
    outcome = play_match(tmp_path / "run", book, ScriptedGames(), Watcher(), **settings)
    assert outcome.state.resumed == kept
    play_match(tmp_path / "whole", book, ScriptedGames(), Watcher(), **settings)
    assert lines_of(tmp_path / "run") == lines_of(tmp_path / "whole")


def test_a_book_smaller_than_the_match_is_refused_before_any_game(tmp_path: Path) -> None:
    games = ScriptedGames()
    with pytest.raises(OpeningError, match=r"20 openings, too few for 21 pairs"):
        play_match(tmp_path / "run", write_book(tmp_path, 20), games, Watcher(), pairs=21)
    assert games.begun == []


def test_a_broken_opening_far_ahead_is_found_early(tmp_path: Path) -> None:
    book = write_book(tmp_path, 300)
    lines = book.path.read_text().splitlines()
    lines[250] = "r5k1/5ppp/8/8/8/8/5PPP/R7 w - -"  # no white king
    book.path.write_text("\n".join(lines))
    games = ScriptedGames(parallel=2, seconds_a_game=0.005)
    with pytest.raises(OpeningError, match="line 251"):
        play_match(
            tmp_path / "run", read_book(book.path), games, Watcher(), order="sequential", sprt=None
        )
    assert len(games.begun) < 400
    assert games.closed


def test_the_same_net_twice_is_refused(book: Book) -> None:
    copy = replace(NETS[1], sha256=NETS[0].sha256, name="copy-of-raw")
    config = MatchConfig(nets=(Path("raw.pb"), Path("copy-of-raw.pb")))
    with pytest.raises(MatchError, match="raw and copy-of-raw are the same net"):
        match_identity(config, [NETS[0], copy], book)


def test_players_that_give_up_do_not_make_a_result(book: Book, tmp_path: Path) -> None:
    class Lazy(ScriptedGames):
        def play(
            self, tasks: Sequence[Iterator[GameTask]], /
        ) -> Iterator[tuple[GameTask, GameRecord]]:
            return iter(())

    with pytest.raises(MatchError, match="stopped before"):
        play_match(tmp_path, book, Lazy(), Watcher())
