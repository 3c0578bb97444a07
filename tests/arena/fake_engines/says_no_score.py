"""Plays quick moves and never says what it thinks of them, as from a book of its own."""

from __future__ import annotations

import chess
from uci_engine import move_of, say, serve


def play_silently(board: chess.Board, limits: dict[str, int]) -> None:
    say(f"info depth 1 nodes {limits.get('nodes', 7)}")
    say(f"bestmove {move_of(board)}")


serve(play_silently)
