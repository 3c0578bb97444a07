"""Moves in standard algebraic notation, many at a time: python-chess takes some 25 µs for one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import chess
import numpy as np

from arena.boards import SPELLED, position_of
from arena.kernel.movegen import MAX_MOVES
from arena.kernel.notation import (
    BY_FILE,
    BY_RANK,
    CAPTURE,
    CHECK,
    LONG,
    MATE,
    PIECE,
    SHORT,
    note_moves,
)
from arena.kernel.position import POSITION

LETTERS = ("", "N", "B", "R", "Q", "K")


class Notation:
    """Writes the moves of games; its arrays are made once."""

    def __init__(self) -> None:
        self._line = np.zeros(2, POSITION)
        self._room = np.empty(MAX_MOVES, np.uint16)

    def moves(self, board: chess.Board, moves: Sequence[str]) -> list[str]:
        """Return the moves from ``board`` on, which stays as it is, as python-chess's ``san`` does.

        Raises ValueError for one that is illegal.
        """
        spelled = np.array([SPELLED[move] for move in moves], np.uint16)
        notes = np.empty(len(moves), np.uint16)
        self._line[0] = position_of(board)
        legal = note_moves(self._line, spelled, notes, self._room)
        if legal < len(moves):
            raise ValueError(f"move {legal + 1} of a game, {moves[legal]}, is illegal")
        return list(map(_san, moves, notes.tolist()))


@cache
def _san(move: str, note: int) -> str:
    """Write a move (UCI) by what the kernel noted of it."""
    if note & (SHORT | LONG):
        text = "O-O" if note & SHORT else "O-O-O"
    else:
        piece = note & PIECE
        by_file = note & BY_FILE or (piece == 0 and note & CAPTURE)
        text = LETTERS[piece] + (move[0] if by_file else "") + (move[1] if note & BY_RANK else "")
        text += "x" if note & CAPTURE else ""
        text += move[2:4] + (f"={move[4].upper()}" if len(move) > 4 else "")
    return text + ("#" if note & MATE else "+" if note & CHECK else "")
