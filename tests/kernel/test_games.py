"""The search compiled and as plain Python is the same search; games spell their moves as UCI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import chess
import numpy as np
import pytest

from arena.boards import line_from_game, policy_index
from arena.kernel import games
from arena.kernel.position import make_move

SCRIPT = """
import itertools, warnings
warnings.simplefilter("ignore")  # wrap-around of scalars is meant
import chess
from arena.analyze import Analysis
from arena.config import SearchParams
from arena.game import GameTask, Opening
from arena.search import Lane, Player
from arena.stand_ins import HashEvaluator

player = Player("hash", HashEvaluator(3), SearchParams(visits=40))
positions = [
    ("startpos", ["e2e4", "c7c5", "g1f3"]),
    ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", []),
    ("6k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1", []),
    ("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", ["a1a2", "a8a7", "a2a1", "a7a8"]),
]
for result in Analysis(player, positions).search():
    print(result)
few = Player("hash", HashEvaluator(3), SearchParams(visits=4))
endgame = Opening("8/8/8/8/8/4k3/4p3/4K2R w - - 90 80")
tasks = [GameTask(pair, True, endgame, 0, 1) for pair in range(2)]
lane = Lane([few, few], 2, iter(tasks))
for game in itertools.islice((game for game in lane.run() if game is not None), 2):
    print(game.record)
chancy = SearchParams(visits=8, temperature=0.8, tempdecay_moves=30, noise_epsilon=0.25)
task = GameTask(0, True, Opening(chess.STARTING_FEN), 0, 0, seed=11, resign=0.3, most_plies=12)
for game in Lane([Player("hash", HashEvaluator(3), chancy)], 1, iter([task]), 0, True).run():
    if game is not None:
        print(game.record.moves, game.record.notes.tolist(), game.record.shares.tolist())
own = SearchParams(
    visits=40,
    smart_pruning_factor=1.33,
    draw_score=-0.25,
    fpu_strategy="absolute",
    fpu_strategy_at_root="reduction",
    root_has_own_cpuct_params=True,
    cpuct_at_root=2.5,
)
for params in (own, SearchParams(mode="value")):
    for result in Analysis(Player("hash", HashEvaluator(3), params), positions).search():
        print(result)
drawn = SearchParams(visits=1, temperature=1.0, temp_visit_offset=0.5)
task = GameTask(0, True, Opening(chess.STARTING_FEN), 0, 1, seed=11, most_plies=12)
players = [Player("hash", HashEvaluator(3), params) for params in (drawn, params)]
for game in Lane(players, 1, iter([task])).run():
    if game is not None:
        print(game.record)
"""


def test_the_plain_python_form_gives_the_same_searches_and_games() -> None:
    def run(**extra: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | extra,
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    compiled = run()
    assert len(compiled.splitlines()) == 16
    assert run(NUMBA_DISABLE_JIT="1") == compiled


@pytest.mark.parametrize(
    ("fen", "moves"),
    [
        (chess.STARTING_FEN, ["e2e4", "e7e5", "g1f3", "b8c6", "f1c4", "f8c5", "e1g1", "g8f6"]),
        ("r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 0 1", ["e8c8", "e1g1", "d8d1", "f1d1"]),
        ("4k3/P6P/8/8/8/8/p6p/4K3 b - - 0 1", ["a2a1n", "a7a8b", "h2h1r", "e1d2", "h1h7"]),
        ("4k3/P6P/8/8/8/8/p6p/4K3 w - - 0 1", ["a7a8q", "e8d7", "h7h8n", "a2a1q"]),
        ("4k3/8/8/8/3p4/8/4P3/4K3 w - - 0 1", ["e2e4", "d4e3"]),
    ],
)
def test_moves_are_spelled_as_python_chess_does(fen: str, moves: list[str]) -> None:
    line = line_from_game(chess.Board(fen), moves, len(moves) + 1)
    indices = np.array(
        [policy_index(line.positions[ply], move) for ply, move in enumerate(moves)], np.uint16
    )
    squares = np.zeros((len(moves), 3), np.uint8)
    games.spell(line.positions[0], indices, squares)
    spelled = [
        chess.Move(int(origin), int(target), int(promotion) or None).uci()
        for origin, target, promotion in squares
    ]
    assert spelled == moves
    child = np.zeros(1, line.positions.dtype)[0]
    make_move(line.positions[0], int(indices[0]), child)
    assert child == line.positions[1]
