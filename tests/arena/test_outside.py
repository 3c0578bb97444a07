"""Games in which somebody from outside has a say: players with moves of their own, and judges."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import chess
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.adjudication import Adjudication, MovedGame
from arena.boards import board_of, position_of
from arena.config import SearchParams
from arena.external import Answer, Fault, Forfeit, FoundMove, GameState
from arena.game import GameRecord, GameTask, Opening, Remark, Termination
from arena.openings import default_book, final_position
from arena.referee import check_game
from arena.search import BatchedSearch, FinishedGame, Player, Visitor
from arena.stand_ins import HashEvaluator

NET = Player("net", HashEvaluator(1), SearchParams(visits=6))


def random_move(state: GameState) -> FoundMove:
    board = final_position(state.task.opening)
    for move in state.moves:
        board.push_uci(move)
    chosen = random.Random(" ".join(state.moves)).choice(list(board.legal_moves)).uci()
    return FoundMove(chosen, q=0.5, d=0.25, visits=3, remark=Remark("+0.35", 7, 0.01))


class Guest:
    """Answers as it is told to, from a thread of its own or at once."""

    def __init__(self, answer: Callable[[GameState], Answer] = random_move, threads: bool = True):
        self._answer = answer
        self._threads = threads
        self.over: list[int] = []

    def find_move(self, state: GameState, answer: Callable[[Answer], None]) -> None:
        def work() -> None:
            time.sleep(0.001 * (state.game % 3))
            answer(self._answer(state))

        threading.Thread(target=work).start() if self._threads else work()

    def game_over(self, game: int) -> None:
        self.over.append(game)


def play(
    *players: Player | Visitor,
    games: int = 6,
    judge_of: Callable[[GameTask], object] | None = None,
    lanes: int = 2,
) -> list[FinishedGame]:
    book = default_book()
    tasks = [
        GameTask(pair, first, book.opening(7 * pair), white=int(first), black=int(not first))
        for pair in range(games // 2)
        for first in (True, False)
    ]
    search = BatchedSearch(players, 4, lanes, judge_of=judge_of)  # type: ignore[arg-type]
    finished = list(search.play([iter(tasks[lane::lanes]) for lane in range(lanes)]))
    return sorted(finished, key=lambda game: (game.task.pair, not game.task.candidate_white))


@pytest.mark.parametrize("threads", [True, False])
def test_a_net_plays_somebody_from_outside(threads: bool) -> None:
    guest = Guest(threads=threads)
    finished = play(Visitor("guest", guest), NET)
    assert len(finished) == len(guest.over) == 6
    for game in finished:
        check_game(game.task.opening, game.record)
        guest_white = game.task.white == 0
        first_is_white = final_position(game.task.opening).turn
        for ply, remark in enumerate(game.record.remarks):
            of_guest = (ply % 2 == 0) == (first_is_white == guest_white)
            assert remark == (
                Remark("+0.35", 7, 0.01) if of_guest else Remark("", 0, remark.seconds)
            )
            assert game.record.visits[ply] == 3 if of_guest else game.record.visits[ply] >= 6
        assert len(game.record.remarks) == len(game.record.moves)


def test_two_from_outside_play_each_other_and_the_result_is_that_of_their_moves() -> None:
    once = play(Visitor("a", Guest()), Visitor("b", Guest()))
    again = play(Visitor("a", Guest(threads=False)), Visitor("b", Guest()), lanes=1)
    assert [game.record for game in once] == [game.record for game in again]
    for game in once:
        check_game(game.task.opening, game.record)


@pytest.mark.parametrize("move", ["e2e5", "0000", "nonsense", ""])
def test_an_illegal_move_loses(move: str) -> None:
    guest = Visitor("guest", Guest(lambda state: FoundMove(move, 0.0, 0.0, 1)))
    for game in play(guest, NET):
        assert game.record.termination is Termination.ILLEGAL_MOVE
        assert game.record.result == ("0-1" if game.task.white == 0 else "1-0")
        check_game(game.task.opening, game.record)


def test_a_forfeit_is_a_loss_and_a_fault_is_nobodys() -> None:
    def answer(state: GameState) -> Answer:
        if len(state.moves) < 4:
            return random_move(state)
        if state.task.pair == 0:
            return Fault("the machine is on fire")
        return Forfeit(Termination.CRASH, "exit code 1")

    for game in play(Visitor("guest", Guest(answer)), NET):
        if game.task.pair == 0:
            assert game.outcome == Fault("the machine is on fire")
            with pytest.raises(RuntimeError, match="on fire"):
                _ = game.record
        else:
            assert game.record.termination is Termination.CRASH
            assert game.record.result == ("0-1" if game.task.white == 0 else "1-0")
            assert len(game.record.moves) in (4, 5)
            check_game(game.task.opening, game.record)


class Judge:
    """Writes down what it sees, and ends the game where it was told to."""

    def __init__(self, task: GameTask, at: int):
        self.board = final_position(task.opening)
        self.seen: list[MovedGame] = []
        self.at = at

    def moved(self, game: MovedGame) -> Adjudication | None:
        board = game.board()
        assert board.is_valid()
        assert game.white_moved is (board.turn == chess.BLACK)
        assert game.pieces == chess.popcount(board.occupied)
        assert game.castling is bool(board.castling_rights)
        assert game.rule50 == board.halfmove_clock
        assert board.ply() + 1 == 2 * game.move_number + (not game.white_moved)
        self.seen.append(game._replace(board=lambda: board))
        if len(self.seen) == self.at:
            return Adjudication("1/2-1/2", Termination.DRAW_ADJUDICATION)
        return None

    def record(self, game: GameRecord) -> GameRecord:
        for move, seen in zip(game.moves, self.seen, strict=False):
            self.board.push_uci(move)
            assert self.board.board_fen() == seen.board().board_fen()
            assert self.board.turn == seen.board().turn
        return game


def test_a_judge_sees_every_move_and_can_end_the_game() -> None:
    judges: dict[GameTask, Judge] = {}

    def judge_of(task: GameTask) -> Judge:
        return judges.setdefault(task, Judge(task, at=25))

    other = Player("other", HashEvaluator(2), SearchParams(visits=3))
    for game in play(NET, other, judge_of=judge_of):
        seen = judges[game.task].seen
        if game.record.termination is Termination.DRAW_ADJUDICATION:
            assert len(seen) == len(game.record.moves) == 25
        else:  # the last move is the rules' to judge
            assert len(seen) == len(game.record.moves) - 1
        assert [view.ply for view in seen] == [
            len(game.task.opening.moves) + move + 1 for move in range(len(seen))
        ]
        assert [round(view.q, 4) for view in seen] == list(game.record.q[: len(seen)])
        check_game(game.task.opening, game.record)


def test_a_judge_who_says_nothing_changes_nothing() -> None:
    other = Player("other", HashEvaluator(2), SearchParams(visits=3))
    watched = play(NET, other, judge_of=lambda task: Judge(task, at=0))
    assert [game.record for game in watched] == [game.record for game in play(NET, other)]


@given(st.integers(0, 2**32), st.integers(0, 120))
def test_a_position_gives_back_its_board(seed: int, plies: int) -> None:
    board = chess.Board()
    chance = random.Random(seed)
    for _ in range(plies):
        moves = list(board.legal_moves)
        if not moves:
            break
        board.push(chance.choice(moves))
    again = board_of(position_of(board), board.ply())
    assert again.fen(en_passant="fen") == board.fen(en_passant="fen")


def test_an_opening_that_is_over_asks_nobody() -> None:
    guest = Guest(lambda state: pytest.fail("asked"))
    mated = Opening("rnb1kbnr/pppp1ppp/8/4p3/6Pq/5P2/PPPPP2P/RNBQKBNR w KQkq - 1 3")
    search = BatchedSearch([Visitor("a", guest), Visitor("b", guest)], 1, 1)
    (game,) = search.play([iter([GameTask(0, True, mated, 0, 1)])])
    assert game.record.termination is Termination.CHECKMATE
