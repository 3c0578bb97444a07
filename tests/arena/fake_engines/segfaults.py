"""Reads memory that is not its own."""

from __future__ import annotations

import os
import signal

import chess
from uci_engine import after, serve


def crash(board: chess.Board, limits: dict[str, int]) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


serve(after(12, crash))
