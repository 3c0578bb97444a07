"""Is killed once, as by a kernel that has run out of memory; its argument is a file to remember."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import chess
from uci_engine import after, play, serve

KILLED = Path(sys.argv[1])


def be_killed(board: chess.Board, limits: dict[str, int]) -> None:
    try:
        KILLED.touch(exist_ok=False)
    except FileExistsError:
        play(board, limits)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


serve(after(12, be_killed))
