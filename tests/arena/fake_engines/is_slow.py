"""Takes 0.3 s for each of its first moves, whatever its clock says."""

from __future__ import annotations

import time

import chess
from uci_engine import play, serve


def dawdle(board: chess.Board, limits: dict[str, int]) -> None:
    if board.ply() < 24:
        time.sleep(0.3)
    play(board, limits)


serve(dawdle)
