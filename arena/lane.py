"""A lane: a group of games that are searched in step, from their first moves to their records.

What the kernel cannot know is done here, once a move: judges and players from outside are asked,
clocks are kept.
"""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import chess
import numpy as np
import numpy.typing as npt

from arena.adjudication import GameJudge, JudgeOf, MovedGame
from arena.boards import MoveError, board_of, line_from_game, policy_index
from arena.cache import CachedEvaluator
from arena.clocks import GameClocks
from arena.evaluator import EvaluationError, Evaluator
from arena.external import Answer, Fault, Forfeit, FoundMove, GameState
from arena.game import NO_REMARK, NO_SCORE, GameRecord, GameTask, Remark, Result, Termination
from arena.kernel import flight as in_flight
from arena.kernel import games, turns
from arena.kernel.puct import VALUE_ONLY
from arena.search_settings import (
    Player,
    SearchSettings,
    Visitor,
    has_clock,
    open_questions,
    prober_of,
    put_answers,
    questions_for,
)
from swa.jit import compiled_for

_TERMINATIONS = {
    in_flight.CHECKMATE: Termination.CHECKMATE,
    in_flight.STALEMATE: Termination.STALEMATE,
    in_flight.INSUFFICIENT_MATERIAL: Termination.INSUFFICIENT_MATERIAL,
    in_flight.FIFTY_MOVES: Termination.FIFTY_MOVES,
    in_flight.THREEFOLD: Termination.THREEFOLD,
    in_flight.RESIGNATION: Termination.RESIGNATION,
    in_flight.MAX_LENGTH: Termination.MAX_LENGTH,
}
ANSWER_SECONDS = 0.1
"""How long a lane without anything to do waits for an answer before it looks around."""

_RESULTS: dict[int, Result] = {1: "1-0", 0: "1/2-1/2", -1: "0-1"}


class FinishedGame(NamedTuple):
    """A task and the game that came of it, or the fault that made it void."""

    task: GameTask
    outcome: GameRecord | Fault

    @property
    def record(self) -> GameRecord:
        """The game where no fault is possible: no player comes from outside."""
        if isinstance(self.outcome, Fault):
            raise RuntimeError(self.outcome.what)
        return self.outcome


@dataclass(frozen=True, slots=True, eq=False)
class SearchedGame(GameRecord):
    """A finished game with what its searches found."""

    notes: npt.NDArray[np.void] = field(kw_only=True)  # kernel.notes.NOTE, one a move
    shares: npt.NDArray[np.void] = field(kw_only=True)  # kernel.notes.SHARE


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a search has done since it began; counts of all lanes."""

    visits: int = 0
    evaluations: int = 0  # positions that a net saw
    batches: int = 0
    largest_batch: int = 0
    cache_hits: int = 0  # positions that a cache answered instead
    tb_hits: int = 0  # positions that were found in tablebases

    def __add__(self, other: Throughput) -> Throughput:
        return Throughput(
            self.visits + other.visits,
            self.evaluations + other.evaluations,
            self.batches + other.batches,
            max(self.largest_batch, other.largest_batch),
            self.cache_hits + other.cache_hits,
            self.tb_hits + other.tb_hits,
        )


@dataclass(slots=True)
class _Playing:
    """What a lane knows of a game in flight, beside what stands in the kernel's arrays."""

    task: GameTask
    number: int  # of all games of the search, from 0
    start: npt.NDArray[np.void]  # POSITION: where the players took over
    judge: GameJudge | None
    remarks: dict[int, Remark]  # by move, of those that came from outside
    asked: bool = False  # whether a move from outside is on its way
    clocks: GameClocks | None = None
    ended: Termination | None = None  # by whom the kernel knows nothing of
    forfeit: str = ""
    fault: Fault | None = None


class Lane:
    """A group of games that are searched in step.

    ``slots`` games are in flight; ``cache_positions`` answers of each evaluator are remembered.
    With ``keep_searches`` a finished game's record is a SearchedGame. ``judge_of`` makes a judge
    for each game.
    """

    def __init__(
        self,
        players: Sequence[Player | Visitor],
        slots: int,
        tasks: Iterator[GameTask],
        cache_positions: int = 0,
        keep_searches: bool = False,
        judge_of: JudgeOf | None = None,
        numbers: Iterator[int] | None = None,
    ):
        self._players = players
        self._visited = any(isinstance(player, Visitor) for player in players)
        self._timed = self._visited or any(has_clock(player) for player in players)
        self._settings = SearchSettings.of(players)
        self._flight = in_flight.InFlight.allocate(slots, self._settings.most_visits, keep_searches)
        self._keep_searches = keep_searches
        self._judge_of = judge_of
        evaluators = self._settings.evaluators
        self._questions = questions_for(evaluators, slots, self._room(slots))
        self._tasks = tasks
        self._playing: dict[int, _Playing] = {}
        self._numbers = numbers if numbers is not None else itertools.count()
        self._deadlines = np.full(slots, np.inf)  # when nets should move, by time.monotonic
        self._step_seconds = 0.0  # of a recent long one
        self._answers: queue.SimpleQueue[tuple[int, int, Answer]] = queue.SimpleQueue()
        self._caches = (
            [CachedEvaluator(evaluator, cache_positions) for evaluator in evaluators]
            if cache_positions
            else []
        )
        self._evaluators: Sequence[Evaluator] = self._caches or evaluators
        self._prober = prober_of(players)
        self._leaves = self._batches = self._largest_batch = 0
        self._evaluated = np.zeros(slots, np.int64)  # of each game, whoever answered
        self._turn = 0
        params, exploration = self._settings.params, self._settings.exploration
        self._advance = compiled_for(
            games.advance, self._flight, params, exploration, self._questions
        )
        self._receive = compiled_for(games.receive, self._flight, params, self._questions, 0)
        if self._timed:  # what compiles during a game is on somebody's clock
            turns.has_room(self._flight, 0)
            compiled_for(turns.play_given, self._flight, 0, 0, 0, 0.0, 0.0, params)
            children, edges = self._flight.children[0], self._flight.edges[0]
            compiled_for(turns.play_move, self._flight, 0, children, edges, params)
        for slot in range(slots):
            self._refill(slot)

    def run(self) -> Iterator[FinishedGame | None]:
        """Play until the tasks are used up; yields each game as it ends, None after each step."""
        if self._timed:
            for number in self._playing:
                self._begin_turn(number)
        while self._playing:
            answered = self._take_answers() if self._visited else False
            if self._step() or answered:
                states = self._flight.games["state"]
                for slot in np.flatnonzero(states == in_flight.HELD):
                    self._play_held(int(slot))
                for slot in np.flatnonzero(states == in_flight.MOVED):
                    self._judge(int(slot))
                for slot in np.flatnonzero(states == in_flight.AWAY):
                    self._ask(int(slot))
                for slot in np.flatnonzero(states == in_flight.OVER):
                    yield self._finish(int(slot))
                    self._refill(int(slot))
            yield None

    def _room(self, slots: int) -> int:
        """How many leaves may wait for an evaluator."""
        values = (self._settings.params["mode"] == VALUE_ONLY).any()
        if self._timed or not values:  # a clock looks up after each leaf
            return slots
        return max(slots, min(slots * in_flight.LEAVES_OF_VALUES, in_flight.MOST_LEAVES))

    @property
    def throughput(self) -> Throughput:
        """What this lane has done so far."""
        hits = sum(cache.hits for cache in self._caches)
        return Throughput(
            visits=int(self._flight.visits[0]),
            evaluations=self._leaves - hits,
            batches=self._batches,
            largest_batch=self._largest_batch,
            cache_hits=hits,
            tb_hits=self._prober.hits,
        )

    def _step(self) -> bool:
        """Answer one evaluator's leaves and walk on; returns whether a game needs the caller."""
        began = time.monotonic()
        if self._timed:
            # A leaf waits for the other nets' turns, and its move for the end of a step.
            reserve = (len(self._evaluators) + 1) * self._step_seconds
            late = self._deadlines <= began + reserve
            self._flight.games["stop"][late] = 1
        params, exploration = self._settings.params, self._settings.exploration
        news = self._advance(self._flight, params, exploration, self._questions)
        while news & in_flight.PROBES:
            self._prober.answer(self._flight, params)
            news &= ~in_flight.PROBES
            news |= self._advance(self._flight, params, exploration, self._questions)
        if news & in_flight.NO_ROOM:
            self._flight = self._flight.grown()
        self._turn = self._next_turn()
        if leaves := open_questions(self._questions, self._turn):
            answers = self._evaluators[self._turn].evaluate(leaves)
            put_answers(self._questions, self._turn, answers)
            count = answers.moves_left.size
            askers = self._questions.game[self._turn, :count]
            self._evaluated += np.bincount(askers, minlength=self._evaluated.size)
            self._leaves += count
            self._batches += 1
            self._largest_batch = max(self._largest_batch, count)
            if not self._receive(self._flight, params, self._questions, self._turn):
                # A search would go on with NaN, and lose the game.
                raise EvaluationError(
                    f"{self._evaluators[self._turn].name}: an evaluation is not a finite number\n"
                    "Half precision overflows with some nets: try --dtype float32."
                )
        self._step_seconds = max(time.monotonic() - began, 0.9 * self._step_seconds)
        return bool(news & in_flight.NEWS)

    def _next_turn(self) -> int:
        """Whose leaves are answered next: the last one's, until few of the waiting leaves are its.

        A game asks the same net for most of a move, so the games fall into step: nearly all wait
        for one net, then for the other, and batches are twice as large as if both were answered.
        """
        waiting = self._questions.rows
        if self._timed:  # nobody's time is spent on filling the other one's batches
            order = np.roll(np.arange(len(waiting)), -self._turn - 1)
            return int(order[np.argmax(waiting[order] > 0)])
        if len(waiting) > 1 and 4 * waiting[self._turn] < waiting.sum():
            return int(waiting.argmax())
        return self._turn

    def _refill(self, slot: int) -> None:
        task = next(self._tasks, None)
        if task is None:
            self._playing.pop(slot, None)
            self._flight.games[slot].state = in_flight.IDLE
            return
        moves = task.opening.moves
        board = task.opening.board()
        line = line_from_game(board, moves, len(moves) + 1)
        kept = min(line.last + 1, in_flight.HISTORY_KEPT)
        self._flight.lines[slot, :kept] = line.positions[line.last + 1 - kept : line.last + 1]
        judge = self._judge_of(task) if self._judge_of else None
        playing = _Playing(task, next(self._numbers), line.positions[line.last], judge, {})
        self._playing[slot] = playing
        self._evaluated[slot] = 0
        rules = self._flight.rules[slot]
        rules.seed, rules.resign, rules.most_plies = task.seed, task.resign, task.most_plies
        rules.first_ply = board.ply() + len(moves)
        rules.watched = judge is not None
        turns.start_game(self._flight, slot, task.white, task.black, line.fill, kept - 1, 0)
        if self._timed:
            white, black = (self._players[player].limits for player in (task.white, task.black))
            playing.clocks = GameClocks(white, black, time.monotonic())
            self._flight.games[slot].hold = 1  # no move is played behind its clock's back
            self._begin_turn(slot)

    def _begin_turn(self, slot: int) -> None:
        """Let the clock of the side to move run."""
        clocks = self._playing[slot].clocks
        assert clocks is not None
        clocks.begin(time.monotonic())
        guest = isinstance(self._players[self._mover(slot)], Visitor)
        self._deadlines[slot] = np.inf if guest else clocks.deadline(self._side(slot))

    def _end_turn(self, slot: int, seconds: float) -> Remark | None:
        """Stop the mover's clock; None if it has lost on time, which ends the game."""
        clocks = self._playing[slot].clocks
        assert clocks is not None
        side = self._side(slot)
        if clocks.press(side, seconds):
            return Remark(seconds=round(seconds, 3), clock=clocks.shown(side))
        clock = clocks.clocks[side]
        assert clock is not None
        late = f"moved after {seconds:.3f} of {clock.left:.3f} s"
        self._forfeit(slot, Forfeit(Termination.TIME_FORFEIT, late))
        return None

    def _play_held(self, slot: int) -> None:
        """Play the move of a net whose search is done, if its clock allows it."""
        playing, game = self._playing[slot], self._flight.games[slot]
        assert playing.clocks is not None
        remark = self._end_turn(slot, playing.clocks.elapsed(time.monotonic()))
        if remark is None:
            return
        playing.remarks[int(game.played)] = remark
        if not turns.has_room(self._flight, slot):
            self._flight = self._flight.grown()
        tree = int(self._flight.trees[2 * slot + self._side(slot)].slot)
        game.state = in_flight.SEARCHING
        children, edges = self._flight.children[tree], self._flight.edges[tree]
        turns.play_move(self._flight, slot, children, edges, self._settings.params)
        self._begin_turn(slot)

    def _judge(self, slot: int) -> None:
        """Let a game's judge look at its last move; it goes on or is over."""
        playing = self._playing[slot]
        game, rules = self._flight.games[slot], self._flight.rules[slot]
        assert playing.judge is not None
        played = self._flight.played[slot, game.played - 1]
        position = self._flight.lines[slot, game.ply]
        plies = int(rules.first_ply) + int(game.played)
        remark = playing.remarks.get(int(game.played) - 1)
        ruling = playing.judge.moved(
            MovedGame(
                ply=len(playing.task.opening.moves) + int(game.played),
                move_number=(plies + 1) // 2,
                white_moved=bool(position.black),
                q=float(played.q),
                d=float(played.d),
                rule50=int(position.rule50),
                pieces=(int(position.ours) | int(position.theirs)).bit_count(),
                castling=bool(position.castling),
                evaluations=int(self._evaluated[slot]),
                board=lambda: board_of(position, plies),
                scored=remark is None or remark.score != NO_SCORE,
            )
        )
        game.state = in_flight.SEARCHING
        if ruling is not None:
            self._end(slot, ruling.termination, ruling.result)

    def _end(self, slot: int, termination: Termination, result: Result) -> None:
        self._playing[slot].ended = termination
        game = self._flight.games[slot]
        game.state, game.termination = in_flight.OVER, in_flight.OUTSIDE
        game.result = next(points for points, word in _RESULTS.items() if word == result)

    def _ask(self, slot: int) -> None:
        """Ask a player from outside for the move of a game, once."""
        playing = self._playing[slot]
        if playing.asked:
            return
        playing.asked = True
        player = self._players[self._mover(slot)]
        assert isinstance(player, Visitor)
        number, answers = playing.number, self._answers
        clocks = playing.clocks.both if playing.clocks else (None, None)
        state = GameState(number, playing.task, self._moves(slot), clocks)
        player.moves.find_move(state, lambda answer: answers.put((slot, number, answer)))

    def _mover(self, slot: int) -> int:
        """Which player is to move in a game."""
        return int(self._flight.games[slot].players[self._side(slot)])

    def _side(self, slot: int) -> int:
        """Whose turn it is in a game: 0 for white."""
        return int(self._flight.lines[slot, self._flight.games[slot].ply].black)

    def _take_answers(self) -> bool:
        """Play the moves that came from outside; wait for one where no game has anything to do."""
        states = self._flight.games["state"]
        idle = not np.isin(states, (in_flight.SEARCHING, in_flight.WAITING)).any()
        answered = False
        with suppress(queue.Empty):
            while True:
                wait = ANSWER_SECONDS if idle and not answered else 0.0
                slot, number, answer = (
                    self._answers.get(timeout=wait) if wait else (self._answers.get_nowait())
                )
                if slot in self._playing and self._playing[slot].number == number:
                    self._take(slot, answer)
                    answered = True
        return answered

    def _take(self, slot: int, answer: Answer) -> None:
        playing = self._playing[slot]
        playing.asked = False
        game = self._flight.games[slot]
        position = self._flight.lines[slot, game.ply]
        if isinstance(answer, FoundMove):
            try:
                move = policy_index(position, answer.move)
            except MoveError:
                answer = Forfeit(Termination.ILLEGAL_MOVE, f"played {answer.move}")
        match answer:
            case FoundMove(_, q, d, visits, remark):
                clocked = self._end_turn(slot, remark.seconds)
                if clocked is None:
                    return
                playing.remarks[int(game.played)] = remark._replace(clock=clocked.clock)
                if not turns.has_room(self._flight, slot):
                    self._flight = self._flight.grown()
                turns.play_given(self._flight, slot, move, visits, q, d, self._settings.params)
                self._begin_turn(slot)
            case Forfeit():
                self._forfeit(slot, answer)
            case Fault():
                playing.fault = answer
                game.state = in_flight.OVER

    def _forfeit(self, slot: int, forfeit: Forfeit) -> None:
        """Let the side to move lose."""
        self._playing[slot].forfeit = forfeit.what
        self._end(slot, forfeit.termination, "0-1" if self._side(slot) == 0 else "1-0")

    def _moves(self, slot: int) -> tuple[str, ...]:
        """The moves of a game since the opening, UCI."""
        played = self._flight.played[slot, : self._flight.games[slot].played]
        return tuple(_uci_moves(self._playing[slot].start, played["move"]))

    def _finish(self, slot: int) -> FinishedGame:
        playing = self._playing[slot]
        task = playing.task
        if self._visited:
            for player in {task.white, task.black}:
                if isinstance(visitor := self._players[player], Visitor):
                    visitor.moves.game_over(playing.number)
        if playing.fault is not None:
            return FinishedGame(task, playing.fault)
        game = self._flight.games[slot]
        played = self._flight.played[slot, : game.played]
        record = GameRecord(
            candidate_white=task.candidate_white,
            moves=self._moves(slot),
            result=_RESULTS[int(game.result)],
            termination=playing.ended or _TERMINATIONS[int(game.termination)],
            q=tuple(np.round(played["q"].astype(np.float64), 4).tolist()),
            d=tuple(np.round(played["d"].astype(np.float64), 4).tolist()),
            visits=tuple(played["visits"].tolist()),
            forfeit=playing.forfeit,
        )
        if playing.remarks:
            count = len(record.moves)
            remarks = tuple(playing.remarks.get(move, NO_REMARK) for move in range(count))
            record = replace(record, remarks=remarks)
        if self._keep_searches:
            record = self._with_searches(slot, record)
        if playing.judge is not None:
            record = playing.judge.record(record)
        return FinishedGame(task, record)

    def _with_searches(self, slot: int, record: GameRecord) -> SearchedGame:
        notes = self._flight.notes[slot, : len(record.moves)].copy()
        used = int(notes["end"][-1]) if notes.size else 0
        known = {part.name: getattr(record, part.name) for part in fields(record)}
        return SearchedGame(**known, notes=notes, shares=self._flight.shares[slot, :used].copy())


def _uci_moves(start: npt.NDArray[np.void], moves: npt.NDArray[np.uint16]) -> list[str]:
    squares = np.zeros((moves.size, 3), np.uint8)
    games.spell(start, np.ascontiguousarray(moves), squares)
    names, pieces = chess.SQUARE_NAMES, chess.PIECE_SYMBOLS
    return [
        names[origin] + names[target] + (pieces[promotion] or "" if promotion else "")
        for origin, target, promotion in squares.tolist()
    ]
