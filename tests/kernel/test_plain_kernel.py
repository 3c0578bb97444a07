"""The kernel's sources run as plain Python and compiled, with the same outcome.

Compiled code checks no bounds and has its own rules for mixed integers; the plain run would raise
on an index out of range.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import chess
import numpy as np

from arena.boards import line_from_game
from arena.kernel.encode import pack_planes
from arena.kernel.movegen import MAX_MOVES, legal_moves, perft
from arena.kernel.position import cache_key, game_occurrences, in_check, insufficient_material

GAMES = [
    (chess.STARTING_FEN, "e2e4 c7c5 g1f3 d7d6 f1b5 c8d7 e1g1 g8f6 b5d7 d8d7 e4e5 f6d5 c2c4"),
    (chess.STARTING_FEN, "g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1 f6g8"),
    ("n1n5/PPPk4/8/8/8/8/4Kppp/5N1N b - - 0 1", "g2h1q b7a8n h1a8"),
    ("8/8/8/2k5/3Pp3/8/8/4K3 b - d3 0 1", "e4d3 e1d2"),
    ("r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 3 9", "e8c8 a1a8 c8b7"),
]


def outcomes() -> list[object]:
    """Everything the chess part computes about a few games."""
    found: list[object] = []
    moves = np.zeros(MAX_MOVES, np.uint16)
    masks, values = np.zeros(112, np.uint64), np.zeros(112, np.float32)
    for fen, played in GAMES:
        game = line_from_game(chess.Board(fen), played.split(), 32)
        for last in range(game.last + 1):
            position = game.positions[last]
            pack_planes(game.positions, last, game.fill, masks, values)
            found.append(
                [
                    [int(field) for field in position],
                    moves[: legal_moves(position, moves)].tolist(),
                    [int(half) for half in cache_key(game.positions, last, game.fill)],
                    [int(game_occurrences(game.positions, last)), bool(in_check(position))],
                    bool(insufficient_material(position)),
                    masks.tolist(),
                    values.tolist(),
                ]
            )
        found.append(int(perft(game.positions[game.last], 2)))
    return found


def test_plain_python_agrees_with_compiled_code() -> None:
    repository = Path(__file__).parents[2]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(repository)}
    plain = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False
    )
    assert plain.returncode == 0, plain.stderr
    assert json.loads(plain.stdout) == outcomes()


if __name__ == "__main__":
    with np.errstate(over="ignore"):  # words wrap around, as they do in compiled code
        json.dump(outcomes(), sys.stdout)
