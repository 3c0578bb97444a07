"""What is played and what is kept of it: openings, games, pairs.

The pair is the atom of everything above: one opening, two games, colours swapped.
Moves are UCI strings, castling as the king moves (``e1g1``). Only castling that Chess960 alone
knows, of a king or a rook on another file, is the king taking its rook (``b1a1``).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

import chess

Result = Literal["1-0", "0-1", "1/2-1/2"]

PairPoints = tuple[float, float]
"""The candidate's points in the two games of a pair, each 0, 0.5 or 1."""


class PairResult(NamedTuple):
    """What the statistics want of a pair: the points, and a sign by which games are known again."""

    points: PairPoints
    fingerprints: tuple[int, int]  # of both games, 64 bits each


WHITE_POINTS: dict[Result, float] = {"1-0": 1.0, "1/2-1/2": 0.5, "0-1": 0.0}


class Termination(StrEnum):
    """Why a game ended; the words that the PGN header ``Termination`` and reports show."""

    CHECKMATE = "checkmate"
    STALEMATE = "stalemate"
    INSUFFICIENT_MATERIAL = "insufficient material"
    FIFTY_MOVES = "50-move rule"
    THREEFOLD = "3-fold repetition"
    # By a rule of the run and not of chess:
    RESIGNATION = "resignation"
    DRAW_ADJUDICATION = "draw adjudication"
    TABLEBASE = "tablebase adjudication"
    MAX_LENGTH = "maximal length"
    # By a fault of an engine, which loses the game:
    TIME_FORFEIT = "time forfeit"
    ILLEGAL_MOVE = "illegal move"
    CRASH = "engine crashed"
    STALL = "engine stalled"
    BABBLE = "engine flooded its output"


ADJUDICATIONS = frozenset(
    {
        Termination.RESIGNATION,
        Termination.DRAW_ADJUDICATION,
        Termination.TABLEBASE,
        Termination.MAX_LENGTH,
    }
)
"""Ends by a rule of the run and not of chess."""

FORFEITS = frozenset(
    {
        Termination.TIME_FORFEIT,
        Termination.ILLEGAL_MOVE,
        Termination.CRASH,
        Termination.STALL,
        Termination.BABBLE,
    }
)
"""Ends by a fault of an engine: the side to move loses."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a pair starts: a position and the moves played from it before the nets take over.

    The castling rights of a Chess960 position are the rooks' files (Shredder-FEN: ``HAha``).
    """

    fen: str
    moves: tuple[str, ...] = ()
    name: str = ""

    @property
    def chess960(self) -> bool:
        """Whether a castling right is one that only Chess960 knows."""
        return re.match(r"\S+ +\S+ +\S*[A-Ha-h]", self.fen) is not None

    def board(self) -> chess.Board:
        """Return the position before the opening's moves. Raises ValueError for a wrong FEN."""
        return chess.Board(self.fen, chess960=self.chess960)


def written(board: chess.Board, move: chess.Move) -> str:
    """Return a legal move as the whole project writes it, castling as the king moves."""
    return board.uci(move, chess960=False)


@dataclass(frozen=True, slots=True)
class GameTask:
    """One game to be played: ``white`` and ``black`` index the players of the match.

    ``seed`` (64 bits) is that of all it leaves to chance. A player whose expected score is below
    ``resign``, in [0, 1], resigns; after ``most_plies`` of the game, if not 0, it is a draw.
    """

    pair: int
    candidate_white: bool
    opening: Opening
    white: int
    black: int
    seed: int = 0
    resign: float = 0.0
    most_plies: int = 0


class Remark(NamedTuple):
    """What is known of a move beyond q, d and visits, where players are engines or have clocks."""

    score: str = ""  # as PGN comments have it, of the mover: "+0.35", "-M3"; "": q says it
    depth: int = 0  # 0: not known
    seconds: float = 0.0  # spent on the move
    clock: float | None = None  # seconds left after it, increment included; None: there is none


NO_REMARK = Remark()

NO_SCORE = "?"
"""The score of a move whose player did not say what it is worth: its q and d are 0."""


@dataclass(frozen=True, slots=True)
class PlayedOn:
    """How an adjudicated game went on when it was played to its end, for an audit."""

    moves: tuple[str, ...]  # from the adjudication on
    result: Result
    termination: Termination
    evaluations: int = 0  # that this took until the last but one move, those from caches included


@dataclass(frozen=True, slots=True)
class GameRecord:
    """One finished game, from the first move that a player chose.

    ``q``, ``d`` and ``visits`` have one entry a move: the mover's expected result in [-1, 1], its
    draw probability in [0, 1] and the root's visits (an engine's nodes) when the move was chosen.
    ``remarks`` has one a move, or none at all. ``forfeit`` says in a line what the side to move did
    at the end to lose the game by a fault.
    """

    candidate_white: bool
    moves: tuple[str, ...]
    result: Result
    termination: Termination
    q: tuple[float, ...]
    d: tuple[float, ...]
    visits: tuple[int, ...]
    remarks: tuple[Remark, ...] = ()
    played_on: PlayedOn | None = None
    forfeit: str = ""

    @property
    def candidate_points(self) -> float:
        """1, 0.5 or 0, from the candidate's side."""
        white = WHITE_POINTS[self.result]
        return white if self.candidate_white else 1.0 - white


def game_seed(run_seed: int, number: int, purpose: str = "moves") -> int:
    """The seed of game ``number`` of a run: 64 bits that depend on these arguments alone."""
    text = f"{run_seed} {number} {purpose}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


@dataclass(frozen=True, slots=True)
class PairRecord:
    """Two games from one opening, the candidate with white first: one line of the ledger."""

    number: int
    opening: Opening
    games: tuple[GameRecord, GameRecord]

    @property
    def candidate_points(self) -> float:
        """0, 0.5, 1, 1.5 or 2."""
        return self.games[0].candidate_points + self.games[1].candidate_points

    @property
    def points(self) -> PairPoints:
        """The candidate's points with white and with black."""
        return self.games[0].candidate_points, self.games[1].candidate_points

    @property
    def result(self) -> PairResult:
        """Points and fingerprints: those of two games agree if and only if all of their moves do.

        The opening's moves count like the nets' own, since a longer opening may lead into a game
        that a shorter one has led into before; so does the candidate's colour. That two games of a
        match agree by chance has a probability of some games^2 / 2^65.
        """
        first, second = (self._fingerprint(game) for game in self.games)
        return PairResult(self.points, (first, second))

    def _fingerprint(self, game: GameRecord) -> int:
        moves = " ".join((*self.opening.moves, *game.moves))
        text = f"{self.opening.fen} {game.candidate_white} {moves}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
