"""Ends in the middle of a game, with a word on stderr."""

from __future__ import annotations

import sys

import chess
from uci_engine import after, say, serve


def crash(board: chess.Board, limits: dict[str, int]) -> None:
    say("info depth 1 score cp 10 nodes 3")
    sys.exit("assertion failed: king is on the board")


serve(after(12, crash))
