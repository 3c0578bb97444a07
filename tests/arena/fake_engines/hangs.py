"""Says nothing any more and reads nothing."""

from __future__ import annotations

import time

import chess
from uci_engine import after, serve


def hang(board: chess.Board, limits: dict[str, int]) -> None:
    time.sleep(600)


serve(after(12, hang))
