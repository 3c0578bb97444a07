"""Searches until it is told to stop, answers isready, and obeys."""

from __future__ import annotations

import sys

import chess
from uci_engine import after, move_of, say, serve


def think(board: chess.Board, limits: dict[str, int]) -> None:
    for line in sys.stdin:
        if line.strip() == "isready":
            say("readyok")
        if line.strip() == "stop":
            break
    say(f"bestmove {move_of(board)}")


serve(after(12, think))
