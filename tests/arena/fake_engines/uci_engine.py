"""A UCI engine that plays quick moves and does as it is told; the other files here misbehave.

It has no search: its move is a pure function of the position. With an argument log=FILE it appends
there what it is told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import chess

LOG = next((Path(word[4:]) for word in sys.argv if word.startswith("log=")), None)
Search = Callable[[chess.Board, dict[str, int]], None]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def move_of(board: chess.Board) -> str:
    """A legal move, the same one whenever the position is; late in a game back where it was.

    So two of them soon repeat a position three times.
    """
    if board.ply() >= 30 and len(board.move_stack) > 1:
        last = board.move_stack[-2]
        back = chess.Move(last.to_square, last.from_square)
        if board.is_legal(back):
            return back.uci()
    moves = sorted(move.uci() for move in board.legal_moves)
    return moves[crc32(board.fen().encode()) % len(moves)]


def play(board: chess.Board, limits: dict[str, int]) -> None:
    nodes = limits.get("nodes", 7)
    move = move_of(board)
    say(f"info depth 3 multipv 1 score cp 35 wdl 100 800 100 nodes {nodes} time 1 pv {move}")
    say(f"bestmove {move}")


def serve(search: Search = play, ready: Callable[[], None] = lambda: say("readyok")) -> None:
    """Answer until ``quit``; ``search`` has to print a bestmove before it returns."""
    board, known = chess.Board(), ["position"]
    for line in sys.stdin:
        if LOG is not None:
            with LOG.open("a") as file:
                file.write(f"{time.monotonic():.3f} {line}")
        words = line.split()
        match words[0] if words else "":
            case "uci":
                say("id name Fake 1.0")
                say("option name Hash type spin default 16 min 1 max 64")
                say("option name Wild type check default false")
                say("option name UCI_ShowWDL type check default false")
                say("uciok")
            case "isready":
                ready()
            case "position":
                if words[: len(known)] != known or "moves" not in known:
                    board, known = position(words), words
                for move in words[len(known) :]:
                    board.push_uci(move)
                known = words
            case "go":
                numbers = [int(word) if word.isdigit() else 0 for word in words]
                search(board, dict(zip(words[1::2], numbers[2::2], strict=False)))
            case "quit":
                return


def position(words: list[str]) -> chess.Board:
    moves = words.index("moves") if "moves" in words else len(words)
    board = chess.Board(" ".join(words[2:moves]) if words[1] == "fen" else chess.STARTING_FEN)
    for move in words[moves + 1 :]:
        board.push_uci(move)
    return board


def after(plies: int, fault: Search) -> Search:
    """Play well until the game has so many plies, then do something else."""

    def search(board: chess.Board, limits: dict[str, int]) -> None:
        (fault if board.ply() >= plies else play)(board, limits)

    return search


def wait_for_stop() -> None:
    """Read until ``stop`` comes; other commands are lost."""
    for line in sys.stdin:
        if line.strip() == "stop":
            return


if __name__ == "__main__":
    serve()
