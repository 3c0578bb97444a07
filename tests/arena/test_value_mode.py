"""The value-only mode against a net asked for every move's position; the draw score in searches."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import chess
import numpy as np
import pytest
from scripted_nets import WhiteWins

from arena.analyze import Analysis
from arena.boards import policy_index, position_of
from arena.config import SearchParams
from arena.evaluator import Evaluation, Leaves
from arena.game import GameTask, Opening, PairRecord
from arena.kernel import flight as in_flight
from arena.kernel import games, turns
from arena.openings import default_book
from arena.referee import check_pair
from arena.search import BatchedSearch
from arena.search_settings import Player, open_questions, put_answers, questions_for
from arena.stand_ins import HashEvaluator

VALUE = SearchParams(mode="value")

POSITIONS: list[tuple[str, list[str]]] = [
    ("startpos", []),
    ("startpos", ["e2e4", "c7c5", "g1f3", "d7d6"]),
    ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", []),
    ("8/P7/8/8/8/7k/p7/7K w - - 0 1", []),
    ("7k/8/5K2/8/8/8/8/R7 w - - 99 80", []),
    ("8/8/8/4p3/4K3/8/8/k7 w - - 0 1", []),
    ("k7/8/1Q6/8/8/8/8/K7 w - - 0 1", []),
    ("k7/8/8/8/8/8/8/K6R w - - 0 1", ["h1h2", "a8b8", "h2h1", "b8a8", "h1h2", "a8b8", "h2h1"]),
    ("startpos", ["g1f3", "g8f6", "f3g1", "f6g8", "g1f3", "g8f6", "f3g1"]),
]


def value_search(evaluator, fen: str, moves: list[str], **chosen):
    player = Player("x", evaluator, replace(VALUE, **chosen))
    return Analysis(player, [(fen, moves)]).search()[0]


def board_at(fen: str, moves: list[str]) -> chess.Board:
    board = chess.Board() if fen == "startpos" else chess.Board(fen)
    for move in moves:
        board.push_uci(move)
    return board


def one_ply_ahead(evaluator, fen: str, moves: list[str]) -> dict[str, float]:
    """The value of each move for its mover: the rules' where they end the game, else the net's."""
    board = board_at(fen, moves)
    values: dict[str, float] = {}
    for move in list(board.legal_moves):
        board.push(move)
        outcome = board.outcome()
        if outcome is None and (board.halfmove_clock >= 100 or board.is_repetition(3)):
            values[move.uci()] = 0.0
        elif outcome is not None:
            values[move.uci()] = 0.0 if outcome.winner is None else 1.0
        else:
            after = [*moves, move.uci()]
            net = Analysis(Player("x", evaluator, SearchParams(visits=1)), [(fen, after)])
            values[move.uci()] = -net.evaluate()[0].q
        board.pop()
    return values


@pytest.mark.parametrize(("fen", "moves"), POSITIONS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_best_value_one_ply_ahead_is_played(fen: str, moves: list[str], seed: int) -> None:
    evaluator = HashEvaluator(seed)
    expected = one_ply_ahead(evaluator, fen, moves)
    result = value_search(evaluator, fen, moves)
    assert {child.move: child.q for child in result.children} == pytest.approx(expected, abs=1e-6)
    assert all(child.visits == 1 for child in result.children)
    assert result.visits == len(expected)
    assert expected[result.bestmove] == max(expected.values())
    assert result.q == pytest.approx(max(expected.values()), abs=1e-6)


def test_what_the_rules_decide_is_not_asked_of_the_net() -> None:
    """One move mates, every other one is the fiftieth without a capture or a pawn's move."""
    mate = "k7/8/1K6/8/8/8/8/6Q1 w - - 99 90"
    nobody = HashEvaluator(1)
    result = value_search(nobody, mate, [])
    assert result.bestmove == "g1g8"
    assert {child.q for child in result.children if child.move != "g1g8"} == {0.0}
    search = BatchedSearch([Player("x", nobody, VALUE)] * 2, 1)
    (game,) = search.play([iter([GameTask(0, True, Opening(mate), 0, 1)])])
    assert game.record.moves == ("g1g8",)
    assert search.throughput.evaluations == 0
    assert search.throughput.visits == len(result.children)


def test_a_mate_is_better_than_a_net_that_is_sure() -> None:
    result = value_search(WhiteWins(1.0, 0.0), "6k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1", [])
    assert {child.q for child in result.children} == {1.0}
    assert result.bestmove == "a1a8"


@pytest.mark.parametrize(("win", "repeats"), [(0.8, True), (0.2, False)])
def test_a_third_repetition_is_a_draw_and_a_second_one_is_not(win: float, repeats: bool) -> None:
    """Black's ...a8 brings the start back; it is the worse side's wish the third time."""
    fen, _ = POSITIONS[7]
    shuffle = ["h1h2", "a8b8", "h2h1", "b8a8"]
    for played, expected in ((shuffle[:3], 1 - 2 * win), ((shuffle * 2)[:7], 0.0)):
        result = value_search(WhiteWins(win, 0.0), fen, played)
        back = next(child.q for child in result.children if child.move == "b8a8")
        assert back == pytest.approx(expected)
    assert (result.bestmove == "b8a8") == repeats


def test_positions_the_net_thinks_alike_are_played_by_the_policy_index() -> None:
    moves = {value_search(WhiteWins(0.5, 0.5), "startpos", []).bestmove for _ in range(3)}
    assert len(moves) == 1


@pytest.mark.parametrize(("parallel", "lanes"), [(1, 1), (5, 1), (32, 2)])
def test_games_against_a_search_are_chess_and_do_not_depend_on_their_number(
    parallel: int, lanes: int
) -> None:
    players = [
        Player("value", HashEvaluator(1), VALUE),
        Player("search", HashEvaluator(2), SearchParams(visits=5)),
    ]
    book = default_book()
    tasks = [
        GameTask(pair, first, book.opening(9 * pair), int(first), int(not first))
        for pair in range(4)
        for first in (True, False)
    ]

    def play(count: int, lanes: int):
        search = BatchedSearch(players, count, lanes)
        split = [iter(tasks[lane :: search.lanes]) for lane in range(search.lanes)]
        return {
            (game.task.pair, game.task.candidate_white): game.record for game in search.play(split)
        }

    games = play(parallel, lanes)
    assert games == play(2, 1)
    for task in tasks:
        board = board_at(task.opening.fen, list(task.opening.moves))
        record = games[task.pair, task.candidate_white]
        for move, visits in zip(record.moves, record.visits, strict=True):
            mover = task.white if board.turn else task.black
            assert visits == (board.legal_moves.count() if mover == 0 else 5)
            board.push_uci(move)
    for pair in range(4):
        check_pair(
            PairRecord(pair, tasks[2 * pair].opening, (games[pair, True], games[pair, False]))
        )


class Noting(HashEvaluator):
    """Notes how many positions and how many moves each batch has."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.asked: list[tuple[int, int]] = []

    def evaluate(self, leaves: Leaves) -> Evaluation:
        self.asked.append((len(leaves.offsets) - 1, len(leaves.moves)))
        return super().evaluate(leaves)


def test_each_position_is_evaluated_once_in_batches_of_all_games() -> None:
    counter = Noting(4)
    book = default_book()
    tasks = [GameTask(n, True, book.opening(n), 0, 0, most_plies=20) for n in range(16)]
    search = BatchedSearch([Player("x", counter, VALUE)], 16, lanes=1)
    expected = 0
    for game in search.play([iter(tasks)]):
        board = board_at(game.task.opening.fen, list(game.task.opening.moves))
        for move in game.record.moves:
            for reply in list(board.legal_moves):
                board.push(reply)
                expected += not board.is_game_over() and not board.is_repetition(3)
                board.pop()
            board.push_uci(move)
    asked = [count for count, _ in counter.asked]
    assert sum(asked) == search.throughput.evaluations == expected
    assert np.mean(asked) > 64


def test_all_moves_are_asked_about_at_once_and_no_logits() -> None:
    """Of 48 moves as many as there is room for, then the others."""
    net = Noting(1)
    task = GameTask(0, True, Opening(POSITIONS[2][0]), 0, 0, most_plies=1)
    (_,) = BatchedSearch([Player("x", net, VALUE)], 1).play([iter([task])])
    assert net.asked == [(32, 0), (16, 0)]


@pytest.mark.parametrize("room", [1, 2, 7, 256])
def test_games_do_not_depend_on_the_room_for_leaves(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One net searches, and is asked for values alone: both share its batches and their room."""
    tasks = [
        GameTask(n, True, default_book().opening(n), n % 2, 1 - n % 2, most_plies=24)
        for n in range(6)
    ]

    def play(parallel: int):
        net = Noting(1)
        players = [Player("a", net, VALUE), Player("b", net, SearchParams(visits=5))]
        search = BatchedSearch(players, parallel, lanes=1)
        games = {game.task.pair: game.record for game in search.play([iter(tasks)])}
        assert max(count for count, _ in net.asked) <= parallel * room
        return games

    alone = [
        next(
            BatchedSearch(
                [
                    Player("a", HashEvaluator(1), VALUE),
                    Player("b", HashEvaluator(1), SearchParams(visits=5)),
                ],
                1,
            ).play([iter([task])])
        ).record
        for task in tasks
    ]
    monkeypatch.setattr(in_flight, "LEAVES_OF_VALUES", room)
    assert play(4) == dict(enumerate(alone))


def with_room(rows: int, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, list[str]]]):
    """An analysis whose batches have room for so many leaves."""
    monkeypatch.setattr(
        "arena.analyze.questions_for",
        lambda evaluators, games: questions_for(evaluators, games, rows),
    )
    return Analysis(Player("x", HashEvaluator(1), VALUE), asked)


@pytest.mark.parametrize("rows", [5, 6, 23, 90])
def test_each_game_has_a_leaf_in_every_batch(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in front leave room for those that come after them."""
    book = default_book()
    openings = [book.opening(number) for number in range(5)]
    asked = [(opening.fen, list(opening.moves)) for opening in openings]
    analysis = with_room(rows, monkeypatch, asked)
    questions = analysis._questions
    askers = questions.game[0, : questions.rows[0]]
    assert len(askers) == rows
    assert set(askers.tolist()) == set(range(5))
    expected = Analysis(Player("x", HashEvaluator(1), VALUE), asked).search()
    assert analysis.search() == expected


@pytest.mark.parametrize("rows", [1, 6])
def test_a_clock_stops_it_when_no_answer_is_on_its_way(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that came later would be taken for that of another root's move."""
    analysis = with_room(rows, monkeypatch, [("startpos", [])])
    questions = analysis._questions
    leaves = open_questions(questions, 0)
    assert leaves is not None
    put_answers(questions, 0, HashEvaluator(1).evaluate(leaves))
    games.receive(analysis._flight, analysis._settings.params, questions, 0)
    analysis._advance()  # as many are on their way once more
    analysis._flight.games["stop"] = 1
    analysis._advance()
    assert analysis._flight.games[0]["state"] == in_flight.SEARCHING
    (result,) = analysis.search()
    values = {child.move: child.q for child in result.children if child.q is not None}
    assert result.visits == len(values) == 2 * rows
    assert values[result.bestmove] == max(values.values())


def test_only_allowed_moves_are_evaluated() -> None:
    player = Player("x", HashEvaluator(1), VALUE)
    analysis = Analysis(player, [("startpos", [])])
    start = position_of(chess.Board())
    indices = [policy_index(start, move) for move in ("a2a3", "h2h4")]
    analysis._questions.rows[:] = 0
    turns.allow_only(analysis._flight, 0, np.array(indices, np.uint16))
    analysis._flight.games[0].state = in_flight.SEARCHING
    games.advance(
        analysis._flight,
        analysis._settings.params,
        analysis._settings.exploration,
        analysis._questions,
    )
    result = analysis.search()[0]
    assert {child.move for child in result.children} == {"a2a3", "h2h4"}


def test_evaluate_is_still_of_the_position_itself() -> None:
    evaluator = HashEvaluator(1)
    asked = POSITIONS[:3]
    plain = Analysis(Player("x", evaluator, SearchParams()), asked).evaluate()
    analysis = Analysis(Player("x", evaluator, VALUE), asked)
    assert analysis.evaluate() == plain
    assert [result.visits for result in analysis.search()] == [20, 28, 48]


# --- the draw score ---


@pytest.mark.parametrize("mode", ["search", "value"])
@pytest.mark.parametrize(
    ("fen", "capture", "win", "draw_score", "captures"),
    [
        # A king that may bare the other one; elsewhere the net gives its side 0.4 - 0.6 = -0.2.
        ("8/8/8/4p3/4K3/8/8/k7 w - - 0 1", "e4e5", 0.4, 0.0, True),
        ("8/8/8/4p3/4K3/8/8/k7 w - - 0 1", "e4e5", 0.4, -0.5, False),
        ("8/8/8/4p3/4K3/8/8/k7 w - - 0 1", "e4e5", 0.6, 0.5, True),
        ("8/8/8/4p3/4K3/8/8/k7 w - - 0 1", "e4e5", 0.6, 0.0, False),
        ("K7/8/8/4k3/4P3/8/8/8 b - - 0 1", "e5e4", 0.6, 0.0, True),
        ("K7/8/8/4k3/4P3/8/8/8 b - - 0 1", "e5e4", 0.6, 0.5, False),
        ("K7/8/8/4k3/4P3/8/8/8 b - - 0 1", "e5e4", 0.4, -0.5, True),
        ("K7/8/8/4k3/4P3/8/8/8 b - - 0 1", "e5e4", 0.4, 0.0, False),
    ],
)
def test_a_draw_is_worth_its_score_to_white_and_less_to_black(
    mode: str, fen: str, capture: str, win: float, draw_score: float, captures: bool
) -> None:
    params = SearchParams(visits=300, mode=mode, draw_score=draw_score)
    player = Player("x", WhiteWins(win, 0.0), params)
    result = Analysis(player, [(fen, [])]).search()[0]
    assert (result.bestmove == capture) == captures
    # What is recorded of a move stays its expected result: a draw is 0 whatever it is worth.
    taken = next(child for child in result.children if child.move == capture)
    assert taken.q in (0.0, None)


def test_the_draw_score_changes_no_recorded_value_of_a_search() -> None:
    one = Player("x", HashEvaluator(1), SearchParams(visits=1, draw_score=0.7))
    other = Player("x", HashEvaluator(1), SearchParams(visits=1))
    (first,), (second,) = (Analysis(player, POSITIONS[:1]).search() for player in (one, other))
    assert first == second
    assert all(a.visits >= b.visits for a, b in pairwise(first.children))
