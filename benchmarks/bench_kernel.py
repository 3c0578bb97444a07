"""Nanoseconds a call of the kernel's chess part, in compiled loops: ``pytest benchmarks``.

``extra_info["ns_a_call"]`` of each benchmark is the figure to compare: its best round over the
calls in it. The positions come from games that a fixed seed plays at random for 40 plies, so
that they have some 30 legal moves and a full history.
"""

from __future__ import annotations

import random
from typing import Any

import chess
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from arena.boards import line_from_game, position_of
from arena.kernel.encode import pack_planes
from arena.kernel.movegen import MAX_MOVES, legal_moves, perft
from arena.kernel.position import Line, cache_key, count_repetitions, make_move
from swa.jit import kernel

GAMES = 64
PLIES = 40
ROUNDS = 100
KIWIPETE = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"


@pytest.fixture(scope="module")
def lines() -> Any:
    """POSITION[GAMES, PLIES + 2]: random games, the last place free for one more move."""
    source = random.Random(1)
    games = []
    while len(games) < GAMES:
        board = chess.Board()
        while len(board.move_stack) < PLIES and not board.is_game_over():
            board.push(source.choice(list(board.legal_moves)))
        if len(board.move_stack) == PLIES and not board.is_game_over():
            games.append(line_from_game(chess.Board(), board.move_stack, PLIES + 2).positions)
    return np.stack(games)


@kernel
def all_legal_moves(lines: Line, rounds: int) -> int:
    """Generate the moves of every game's last position."""
    moves = np.zeros(MAX_MOVES, np.uint16)
    total = 0
    for _ in range(rounds):
        for game in range(GAMES):
            total += legal_moves(lines[game, PLIES], moves)
    return total


@kernel
def all_moves_made(lines: Line, moves: Line, rounds: int) -> int:
    """Play a move in every game and count the repetitions of the new position."""
    total = 0
    for index in range(rounds):
        for game in range(GAMES):
            line = lines[game]
            make_move(line[PLIES], moves[game, index % 8], line[PLIES + 1])
            count_repetitions(line, PLIES + 1)
            total += line[PLIES + 1].rule50
    return total


@kernel
def all_planes(lines: Line, rounds: int) -> np.uint64:
    """Pack the planes of every game's last position."""
    masks = np.zeros(112, np.uint64)
    values = np.zeros(112, np.float32)
    total = np.uint64(0)
    for index in range(rounds):
        for game in range(GAMES):
            pack_planes(lines[game], PLIES, 0, masks, values)
            total += masks[index % 112]
    return total


@kernel
def all_cache_keys(lines: Line, rounds: int) -> np.uint64:
    """Hash every game's last position with its history."""
    total = np.uint64(0)
    for _ in range(rounds):
        for game in range(GAMES):
            total += cache_key(lines[game], PLIES, 0)[0]
    return total


def measure(benchmark: BenchmarkFixture, calls: int, function: Any, *arguments: Any) -> None:
    """Time a function that makes so many calls."""
    benchmark.pedantic(function, args=arguments, rounds=20, warmup_rounds=1)
    benchmark.extra_info["ns_a_call"] = round(benchmark.stats.stats.min / calls * 1e9, 1)


def test_legal_moves(benchmark: BenchmarkFixture, lines: Any) -> None:
    benchmark.extra_info["moves_a_position"] = round(all_legal_moves(lines, 1) / GAMES, 1)
    measure(benchmark, GAMES * ROUNDS, all_legal_moves, lines, ROUNDS)


def test_make_move_and_repetitions(benchmark: BenchmarkFixture, lines: Any) -> None:
    moves = np.zeros((GAMES, MAX_MOVES), np.uint16)
    for game in range(GAMES):
        count = legal_moves(lines[game, PLIES], moves[game])
        moves[game, :8] = np.resize(moves[game, :count], 8)
    measure(benchmark, GAMES * ROUNDS, all_moves_made, lines, moves, ROUNDS)


def test_pack_planes(benchmark: BenchmarkFixture, lines: Any) -> None:
    measure(benchmark, GAMES * ROUNDS, all_planes, lines, ROUNDS)


def test_cache_key(benchmark: BenchmarkFixture, lines: Any) -> None:
    measure(benchmark, GAMES * ROUNDS, all_cache_keys, lines, ROUNDS)


def test_perft(benchmark: BenchmarkFixture) -> None:
    position = position_of(chess.Board(KIWIPETE))
    measure(benchmark, perft(position, 4), perft, position, 4)
