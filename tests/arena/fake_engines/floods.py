"""Never stops talking: lines without end, or with the argument 'line' one without an end."""

from __future__ import annotations

import sys

import chess
from uci_engine import after, serve

ENDLESS = sys.argv[1] == "line"


def flood(board: chess.Board, limits: dict[str, int]) -> None:
    words = "info depth 1 score cp 10 nodes 3 " * 2000
    while True:
        sys.stdout.write(words + ("" if ENDLESS else "\n"))


serve(after(12, flood))
