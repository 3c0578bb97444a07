"""A position as ``position`` gives it: where the game began, and every move since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import chess
import numpy as np
import numpy.typing as npt

from arena.boards import is_standard_start, legal_uci, policy_index, position_of
from arena.kernel.position import POSITION, Line, Position, count_repetitions, make_move

STARTPOS = "startpos"

LONGEST_FEN = 200
"""Characters; a FEN of chess has fewer than 100."""


class StandingError(ValueError):
    """No position, or no moves that lead to one: one line that says what is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A game up to its current position."""

    fen: str  # as given: two that differ are two games
    moves: tuple[str, ...]  # as given
    indices: npt.NDArray[np.uint16]  # [len(moves)]: policy indices
    line: Line  # POSITION [len(moves) + 1]
    fill: int  # see ``encode.pack_planes``
    first_ply: int  # plies of the game before its first position

    @property
    def position(self) -> Position:
        """The current position."""
        return self.line[len(self.moves)]

    @property
    def ply(self) -> int:
        """Plies of the game before the current position."""
        return self.first_ply + len(self.moves)

    @property
    def white(self) -> bool:
        """Whether white is to move."""
        return not self.position.black

    def legal(self) -> list[str]:
        """The legal moves, UCI."""
        return legal_uci(self.position)

    def leads_to(self, other: Standing) -> bool:
        """Whether ``other`` is this game, perhaps some moves later."""
        count = len(self.moves)
        same = self.fen == other.fen and count <= len(other.moves)
        return same and np.array_equal(self.indices, other.indices[:count])


def standing(fen: str, moves: Sequence[str], known: Standing | None = None) -> Standing:
    """The position after ``moves`` from a FEN, or from ``STARTPOS``.

    What it has in common with a game that is ``known`` is not looked at anew: each move of a long
    game costs one move. Raises StandingError.
    """
    count = len(moves)
    shared = 0
    if known is not None and known.fen == fen:
        shared = len(known.moves)
        if tuple(moves[:shared]) != known.moves:
            known, shared = None, 0
    else:
        known = None
    line = np.zeros(count + 1, POSITION)
    indices = np.zeros(count, np.uint16)
    try:
        if known is not None:
            fill, first_ply = known.fill, known.first_ply
            line[: shared + 1], indices[:shared] = known.line, known.indices
        else:
            board = _board(fen)
            fill, first_ply = 0 if is_standard_start(board) else 1, board.ply()
            line[0] = position_of(board)
        for place in range(shared, count):
            indices[place] = policy_index(line[place], moves[place])
            make_move(line[place], indices[place], line[place + 1])
            count_repetitions(line, place + 1)
    except ValueError as error:  # of python-chess, PositionError, MoveError
        raise StandingError(" ".join(str(error).split())) from None
    return Standing(fen, tuple(moves), indices, line, fill, first_ply)


def _board(fen: str) -> chess.Board:
    if fen == STARTPOS:
        return chess.Board()
    if len(fen) > LONGEST_FEN:
        raise StandingError(f"a FEN of {len(fen)} characters is none")
    return chess.Board(fen)


def read_position(words: Sequence[str], known: Standing | None = None) -> Standing:
    """Read the words behind ``position``; raises StandingError."""
    end = words.index("moves") if "moves" in words else len(words)
    match words[:end]:
        case ["startpos"]:
            fen = STARTPOS
        case ["fen", *fields] if fields:
            fen = " ".join(fields)
        case _:
            raise StandingError("position: write startpos or fen FEN, then moves MOVE MOVE ...")
    return standing(fen, words[end + 1 :], known)
