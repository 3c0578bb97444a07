"""Many games at once give the games that each would give alone, whatever happens to them."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import chess
import numpy as np
import pytest

from arena.analyze import Analysis
from arena.boards import MoveError, PositionError
from arena.config import SearchParams
from arena.evaluator import Evaluation, EvaluationError, Leaves, TorchEvaluator
from arena.game import GameRecord, GameTask, Opening, PairRecord, Termination
from arena.judgement import Judgement, judge
from arena.kernel import flight as in_flight
from arena.ledger import read_pairs_in_issue_order
from arena.openings import default_book
from arena.referee import check_pair
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.stand_ins import DelayEvaluator, HashEvaluator
from arena.stats.sprt import Sprt
from swa.net import load_net

FEW = SearchParams(visits=6)


def players(params: SearchParams = FEW) -> list[Player]:
    return [
        Player("base", HashEvaluator(1), params),
        Player("candidate", HashEvaluator(2), params),
    ]


def openings(count: int) -> list[Opening]:
    book = default_book()
    return [book.opening(7 * number) for number in range(count)]


def tasks_of(starts: Sequence[Opening]) -> list[GameTask]:
    return [
        GameTask(pair, first, opening, white=int(first), black=int(not first))
        for pair, opening in enumerate(starts)
        for first in (True, False)
    ]


def played(search: BatchedSearch, tasks: Sequence[GameTask]) -> dict[tuple[int, bool], GameRecord]:
    lanes = [iter(tasks[lane :: search.lanes]) for lane in range(search.lanes)]
    return {(game.task.pair, game.task.candidate_white): game.record for game in search.play(lanes)}


def test_every_game_is_one_the_referee_accepts() -> None:
    starts = openings(40)
    games = played(BatchedSearch(players(), 32), tasks_of(starts))
    assert len(games) == 80
    for number, opening in enumerate(starts):
        check_pair(PairRecord(number, opening, (games[number, True], games[number, False])))
    assert {game.termination for game in games.values()} >= {
        Termination.CHECKMATE,
        Termination.INSUFFICIENT_MATERIAL,
    }


@pytest.mark.parametrize(("parallel", "lanes"), [(16, 1), (16, 2), (128, 2)])
@pytest.mark.parametrize("chance", [{}, {"temperature": 1.0, "noise_epsilon": 0.25}])
def test_games_do_not_depend_on_how_many_are_in_flight(
    parallel: int, lanes: int, chance: dict[str, float]
) -> None:
    pair = players(SearchParams(visits=6, **chance))
    tasks = [replace(task, seed=seed) for seed, task in enumerate(tasks_of(openings(12)))]
    alone = played(BatchedSearch(pair, 1), tasks)
    together = played(BatchedSearch(pair, parallel, lanes), tasks)
    assert together == alone


def test_a_seed_matters_where_something_is_left_to_chance_and_nowhere_else() -> None:
    tasks = tasks_of(openings(3))
    others = [replace(task, seed=1) for task in tasks]

    def games(params: SearchParams, asked: list[GameTask]) -> dict[tuple[int, bool], GameRecord]:
        return played(BatchedSearch(players(params), 6), asked)

    assert games(FEW, tasks) == games(FEW, others)
    chancy = SearchParams(visits=6, temperature=1.0)
    assert games(chancy, tasks) == games(chancy, list(tasks))
    assert all(record != games(chancy, others)[key] for key, record in games(chancy, tasks).items())


def test_players_that_share_an_evaluator_share_its_batches_and_nothing_else() -> None:
    tasks = tasks_of(openings(6))
    one = HashEvaluator(3)
    shared = BatchedSearch([Player("a", one, FEW), Player("b", one, FEW)], 12, lanes=1)
    apart = BatchedSearch(
        [Player("a", HashEvaluator(3), FEW), Player("b", HashEvaluator(3), FEW)], 12, lanes=1
    )
    assert played(shared, tasks) == played(apart, tasks)
    assert shared.throughput.evaluations == apart.throughput.evaluations
    assert shared.throughput.batches < apart.throughput.batches


def test_players_search_by_their_own_settings() -> None:
    sharp = Player("sharp", HashEvaluator(1), SearchParams(visits=20))
    blunt = Player("blunt", HashEvaluator(1), SearchParams(visits=2))
    games = played(BatchedSearch([sharp, blunt], 8), tasks_of(openings(4)))
    for (_, candidate_white), game in games.items():
        # White is player 1 (blunt) where the candidate has white.
        white, black = game.visits[::2], game.visits[1::2]
        few, many = (white, black) if candidate_white else (black, white)
        assert set(few) == {2}
        assert set(many) == {20}


def wandering(plies: int) -> Opening:
    """Random moves that end no game: fifty quiet moves or a position three times over neither."""
    for seed in itertools.count():
        choose = random.Random(seed).choice
        board = chess.Board()
        while len(board.move_stack) < plies and not board.is_game_over(claim_draw=True):
            board.push(choose(list(board.legal_moves)))
        if not board.is_game_over(claim_draw=True):
            return Opening(chess.STARTING_FEN, tuple(move.uci() for move in board.move_stack))
    raise AssertionError("unreachable")


@pytest.mark.parametrize("plies", [140, 260])
def test_openings_longer_than_the_history_kept_are_played_on(plies: int) -> None:
    opening = wandering(plies)
    assert len(opening.moves) > in_flight.HISTORY_KEPT
    games = played(BatchedSearch(players(), 2, lanes=1), tasks_of([opening]))
    check_pair(PairRecord(0, opening, (games[0, True], games[0, False])))


def test_a_game_that_is_over_before_its_first_move_ends_at_once() -> None:
    bare = Opening("8/8/4k3/8/8/4K3/8/6N1 w - - 0 1")
    (game,) = played(BatchedSearch(players(), 1), [GameTask(0, True, bare, 1, 0)]).values()
    assert game.moves == ()
    assert game.termination is Termination.INSUFFICIENT_MATERIAL


@pytest.mark.parametrize("field", ["logits", "wdl", "moves_left"])
def test_a_net_that_says_nan_stops_the_match(field: str) -> None:
    class Overflown(HashEvaluator):
        def evaluate(self, leaves: Leaves) -> Evaluation:
            evaluation = super().evaluate(leaves)
            getattr(evaluation, field).flat[-1] = np.nan
            return evaluation

    search = BatchedSearch([Player("x", Overflown(), FEW)] * 2, 2)
    with pytest.raises(EvaluationError, match="float32"):
        played(search, tasks_of(openings(2)))


def test_closing_the_generator_stops_all_lanes() -> None:
    slow = [DelayEvaluator(HashEvaluator(seed), 0.002) for seed in (1, 2)]
    search = BatchedSearch([Player(net.name, net, FEW) for net in slow], 8)
    tasks = tasks_of(openings(200))
    games = search.play([iter(tasks[lane::2]) for lane in range(2)])
    next(games)
    games.close()
    visits = search.throughput.visits
    time.sleep(0.05)
    assert search.throughput.visits == visits


def test_an_error_in_a_lane_is_raised_where_the_games_are_asked_for() -> None:
    class Broken(HashEvaluator):
        def evaluate(self, leaves: Leaves) -> Evaluation:
            raise RuntimeError("out of memory on the device")

    search = BatchedSearch([Player("x", Broken(), FEW)] * 2, 4)
    tasks = tasks_of(openings(4))
    with pytest.raises(RuntimeError, match="out of memory"):
        list(search.play([iter(tasks[lane::2]) for lane in range(2)]))


def test_trees_that_run_out_of_room_get_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = tasks_of(openings(3))
    params = SearchParams(visits=60)
    roomy = played(BatchedSearch(players(params), 6, lanes=1), tasks)
    monkeypatch.setattr(in_flight, "EDGES_A_POSITION", 1)
    grown = in_flight.InFlight.grown
    calls = []
    monkeypatch.setattr(
        in_flight.InFlight, "grown", lambda flight: calls.append(1) or grown(flight)
    )
    assert played(BatchedSearch(players(params), 6, lanes=1), tasks) == roomy
    assert calls


def test_memory_of_256_games_at_800_visits_is_below_a_gibibyte() -> None:
    flight = in_flight.InFlight.allocate(256, 800)
    questions = in_flight.Questions.allocate([1, 1], 256, 256)
    assert flight.nbytes + sum(array.nbytes for array in questions) < 2**30


def test_one_game_at_a_time_on_torch_is_the_same_game_twice(shared: Path) -> None:
    """torch's sums depend on the batch in the last digits, so this holds for batches of one."""
    nets = [
        TorchEvaluator(load_net(shared / "nets" / f"{name}.pb.gz"), "cpu")
        for name in ("tinygyal-8", "meangirl-8")
    ]
    tasks = tasks_of(openings(1))
    pair = [Player(net.name, net, SearchParams(visits=4)) for net in nets]
    assert played(BatchedSearch(pair, 1), tasks) == played(BatchedSearch(pair, 1), tasks)


# --- a match that is killed ---

MATCH = """
import sys
sys.path.append("..")  # where scripted_games.py is
from pathlib import Path
from test_search import play_hash_match
play_hash_match(Path(sys.argv[1]), int(sys.argv[2]))
"""


def play_hash_match(folder: Path, parallel: int) -> None:
    """A match of two hash nets through the whole of match, search, referee and ledger."""
    from scripted_games import Watcher

    from arena.config import MatchConfig
    from arena.ledger import Ledger
    from arena.match import deck_of, match_identity, run_match
    from arena.match_file import NetIdentity

    config = MatchConfig(
        nets=(Path("base"), Path("candidate")), sprt=(0.0, 60.0), pairs=60, search=FEW
    )
    nets = (
        NetIdentity("baseline", "base", "0" * 64),
        NetIdentity("candidate", "candidate", "1" * 64),
    )
    book = default_book()
    identity = match_identity(config, nets, book)
    with Ledger.open_or_create(folder, identity) as ledger:
        run_match(ledger, deck_of(identity, book), BatchedSearch(players(), parallel), Watcher())


def pairs_of(folder: Path) -> list[PairRecord]:
    return list(read_pairs_in_issue_order(folder))


def test_a_killed_match_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    play_hash_match(whole, 16)
    expected = pairs_of(whole)
    killed = tmp_path / "killed"
    rng = np.random.default_rng(5)
    kills = 0
    for attempt in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", MATCH, str(killed), str((1, 16, 128)[attempt % 3])],
            cwd=Path(__file__).parent,
        )
        try:
            # Long enough to start up, at times long enough to play some pairs.
            process.wait(timeout=float(rng.uniform(1.5, 4.0)) if kills < 4 else 120.0)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0
        break
    assert judged(pairs_of(killed)) == judged(expected)
    counted = judged(expected).counts.pairs
    assert pairs_of(killed)[:counted] == expected[:counted]


def judged(pairs: list[PairRecord]) -> Judgement:
    return judge((pair.points for pair in pairs), Sprt(0.0, 60.0), limit=60)


# --- analysis ---


def test_positions_are_searched_together_as_alone() -> None:
    asked = [(opening.fen, opening.moves) for opening in openings(8)]
    player = Player("hash", HashEvaluator(4), SearchParams(visits=50))
    together = Analysis(player, asked).search()
    assert together == [Analysis(player, [position]).search()[0] for position in asked]
    assert all(result.visits == 50 for result in together)
    assert all(sum(child.visits for child in result.children) == 49 for result in together)


@pytest.mark.parametrize(
    ("fen", "moves", "error"),
    [
        ("startpos", ["e2e5"], MoveError),
        ("8/8/8/8/8/8/8/8 w - - 0 1", [], PositionError),
        ("rnb1kbnr/pppp1ppp/8/4p3/6Pq/5P2/PPPPP2P/RNBQKBNR w KQkq - 1 3", [], ValueError),
    ],
)
def test_what_cannot_be_analysed_is_refused(
    fen: str, moves: list[str], error: type[Exception]
) -> None:
    player = Player("hash", HashEvaluator(), FEW)
    with pytest.raises(error):
        Analysis(player, [(fen, moves)])
