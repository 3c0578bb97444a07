"""Prints a lot of what nobody understands, bytes that are no text among it, and plays well."""

from __future__ import annotations

import sys

import chess
from uci_engine import play, say, serve


def babble(board: chess.Board, limits: dict[str, int]) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\xfe\x00 info\n\n   \n")
    sys.stdout.buffer.flush()
    for line in ("info", "info score", "info depth x score cp", "info score cp q nodes -", "hello"):
        say(line)
    for depth in range(300):
        say(f"info depth {depth} score cp -900 lowerbound nodes {depth} pv e2e4 zz")
        say(f"info depth {depth} multipv 2 score cp -100 nodes {depth}")
        say(f"info string depth {depth} score cp 1")
    sys.stderr.write("a word on stderr\n")
    play(board, limits)


serve(babble)
