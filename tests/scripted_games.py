"""Players for tests of the match: real, legal games whose results a seed decides, in no time.

Every opening is a back-rank position in which one move mates for White, one blunder lets Black
mate, and both sides can shuffle their rooks to a draw: any result is at most eight plies away.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import chess

from arena.config import MatchConfig
from arena.game import GameRecord, GameTask, Opening, Result, Termination
from arena.ledger import Ledger
from arena.match import MatchOutcome, MatchState, deck_of, match_identity, run_match
from arena.match_file import MatchIdentity, NetIdentity
from arena.openings import Book, read_book

NETS = (NetIdentity("baseline", "raw", "a" * 64), NetIdentity("candidate", "swa", "b" * 64))

SHUFFLE = ("a1b1", "a8b8", "b1a1", "b8a8") * 2


def back_rank_positions() -> Iterator[str]:
    """702 positions that differ in the pawns of the b, c and d files."""
    for white in itertools.product((None, 2, 3), repeat=3):
        for black in itertools.product((None, 7, 6), repeat=3):
            if not any(white):
                continue
            board = chess.Board("r5k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1")
            for colour, ranks in ((chess.WHITE, white), (chess.BLACK, black)):
                for file, rank in enumerate(ranks, start=1):
                    if rank:
                        square = chess.square(file, rank - 1)
                        board.set_piece_at(square, chess.Piece(chess.PAWN, colour))
            yield board.epd()


def write_book(folder: Path, entries: int = 702) -> Book:
    path = folder / "book.epd"
    path.write_text("\n".join(itertools.islice(back_rank_positions(), entries)) + "\n")
    return read_book(path)


def game_with(result: Result, opening: Opening, *, candidate_white: bool) -> GameRecord:
    """A legal game from a back-rank position with that result."""
    board = chess.Board(opening.fen)
    moves: tuple[str, ...]
    match result:
        case "1-0":
            moves, termination = ("a1a8",), Termination.CHECKMATE
        case "0-1":
            pawn = next(
                square
                for square in board.pieces(chess.PAWN, chess.WHITE)
                if chess.square_file(square) in (1, 2, 3)
            )
            push = chess.Move(pawn, pawn + 8).uci()
            moves, termination = (push, "a8a1"), Termination.CHECKMATE
        case _:
            moves, termination = SHUFFLE, Termination.THREEFOLD
    plies = len(moves)
    return GameRecord(
        candidate_white, moves, result, termination, (0.25,) * plies, (0.5,) * plies, (1,) * plies
    )


def chance(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


@dataclass
class ScriptedGames:
    """Games whose results depend on the seed and whose durations depend on the results."""

    lanes: int = 2
    parallel: int = 16
    seed: int = 0
    win, draw = 0.4, 0.25  # for the candidate
    duration: Callable[[float], float] = lambda points: 1.4 - 0.8 * points  # wins are short
    seconds_a_game: float = 0.0
    tamper: Callable[[GameTask, GameRecord], GameRecord] = lambda task, record: record
    begun: list[GameTask] = field(default_factory=list)
    closed: bool = False

    def play(self, tasks: Sequence[Iterator[GameTask]], /) -> Iterator[tuple[GameTask, GameRecord]]:
        assert len(tasks) == self.lanes
        in_flight: list[tuple[float, int, int, GameTask, GameRecord]] = []
        try:
            for slot in range(self.parallel):
                self._begin(in_flight, 0.0, slot % self.lanes, tasks)
            while in_flight:
                now, _, lane, task, record = heapq.heappop(in_flight)
                if self.seconds_a_game:
                    time.sleep(self.seconds_a_game)
                yield task, record
                self._begin(in_flight, now, lane, tasks)
        finally:
            self.closed = True

    def _begin(
        self,
        in_flight: list[tuple[float, int, int, GameTask, GameRecord]],
        now: float,
        lane: int,
        tasks: Sequence[Iterator[GameTask]],
    ) -> None:
        task = next(tasks[lane], None)
        if task is None:
            return
        self.begun.append(task)
        record = self.tamper(task, self.record(task))
        jitter = 0.2 * chance("jitter", self.seed, task.pair, task.candidate_white)
        end = now + self.duration(record.candidate_points) + jitter
        heapq.heappush(in_flight, (end, len(self.begun), lane, task, record))

    def record(self, task: GameTask) -> GameRecord:
        luck = chance("result", self.seed, task.pair, task.candidate_white)
        points = 1.0 if luck < self.win else 0.5 if luck < self.win + self.draw else 0.0
        white = points if task.candidate_white else 1.0 - points
        results: dict[float, Result] = {1.0: "1-0", 0.5: "1/2-1/2", 0.0: "0-1"}
        return game_with(results[white], task.opening, candidate_white=task.candidate_white)


@dataclass
class Watcher:
    """An observer that remembers."""

    states: list[MatchState] = field(default_factory=list)
    outcomes: list[MatchOutcome] = field(default_factory=list)
    on_pair: Callable[[MatchState], None] = lambda state: None

    def started(self, state: MatchState) -> None:
        self.states.append(state)

    def pair_counted(self, state: MatchState) -> None:
        self.states.append(state)
        self.on_pair(state)

    def finished(self, outcome: MatchOutcome) -> None:
        self.outcomes.append(outcome)


def identity_of(book: Book, **settings: object) -> MatchIdentity:
    """A match of the scripted nets; ``settings`` are those of MatchConfig."""
    nets = (Path("raw.pb"), Path("swa.pb"))
    return match_identity(MatchConfig(**{"nets": nets, "pairs": 300, **settings}), NETS, book)


def play_match(
    folder: Path, book: Book, games: ScriptedGames, watcher: Watcher, **settings: object
) -> MatchOutcome:
    identity = identity_of(book, **settings)
    with Ledger.open_or_create(folder, identity) as ledger:
        return run_match(ledger, deck_of(identity, book), games, watcher)


# --- matches that are killed ---

PAIRS_TO_KILL = 250


def match_to_kill(folder: Path, book_file: Path, seconds_a_game: float = 0.0) -> MatchOutcome:
    """What the tests kill, in a process of its own."""
    games = ScriptedGames(parallel=20, seconds_a_game=seconds_a_game)
    return play_match(
        folder, read_book(book_file), games, Watcher(), pairs=PAIRS_TO_KILL, sprt=None
    )


def match_that_dies(
    folder: Path, book_file: Path, call: str, number: int, written: float = 0.0
) -> None:
    """Die as by a power cut in a certain call of os.write or os.fsync, counted from 0.

    Of a write that the process dies in, a share of the bytes is written.
    """
    real, count = getattr(os, call), itertools.count()

    def dying(descriptor: int, *data: bytes) -> int | None:
        if next(count) == number:
            for part in data:
                real(descriptor, part[: int(written * len(part))])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(descriptor, *data)

    setattr(os, call, dying)
    match_to_kill(folder, book_file)
