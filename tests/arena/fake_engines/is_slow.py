"""Takes 0.3 s for a move, whatever its clock says."""

from __future__ import annotations

import time

import chess
from uci_engine import after, play, serve


def dawdle(board: chess.Board, limits: dict[str, int]) -> None:
    time.sleep(0.3)
    play(board, limits)


serve(after(0, dawdle))
