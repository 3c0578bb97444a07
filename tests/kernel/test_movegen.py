"""Legal moves against counts everybody knows, lc0's own lists and python-chess."""

from __future__ import annotations

import random
import re
from pathlib import Path

import chess
import numpy as np
import pytest
from conftest import read_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.boards import line_from_game, policy_index, position_of, uci
from arena.kernel.movegen import MAX_MOVES, legal_moves, perft
from arena.kernel.position import Position, make_move

# The positions of chessprogramming.org/Perft_Results: (FEN, depth, nodes).
KNOWN = [
    (chess.STARTING_FEN, 5, 4_865_609),
    ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", 4, 4_085_603),
    ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", 6, 11_030_083),
    ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", 5, 15_833_292),
    ("rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8", 4, 2_103_487),
    ("r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10", 4, 3_894_594),
]

# Chess960 (chessprogramming.org/Chess960_Perft_Results): castling over and beside the king.
KNOWN_960 = [
    ("bqnb1rkr/pp3ppp/3ppn2/2p5/5P2/P2P4/NPP1P1PP/BQ1BNRKR w HFhf - 2 9", 4, 326_672),
    ("2nnrbkr/p1qppppp/8/1ppb4/6PP/3PP3/PPP2P2/BQNNRBKR w HEhe - 1 9", 4, 667_366),
    ("b1q1rrkb/pppppppp/3nn3/8/P7/1PPP4/4PPPP/BQNNRKRB w GE - 1 9", 4, 273_318),
]

TRICKY = [
    chess.STARTING_FEN,
    *(fen for fen, _, _ in KNOWN[1:]),
    "8/8/8/2k5/3Pp3/8/8/4K3 b - d3 0 1",  # en passant out of check
    "8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1",  # en passant opens the rank
    "7k/8/8/1pP5/8/K7/8/5b2 w - b6 0 1",
    "n1n5/PPPk4/8/8/8/8/4Kppp/5N1N b - - 0 1",  # promotions
    "r3k2r/8/8/8/8/8/8/1R2K2R w Kkq - 0 1",
    "4k3/8/8/8/8/8/8/R3K2r w Q - 0 1",
    "8/8/3k4/8/8/3K4/4R3/8 w - - 96 150",
]


def legal(position: Position) -> list[int]:
    moves = np.zeros(MAX_MOVES, np.uint16)
    return moves[: legal_moves(position, moves)].tolist()


def assert_agrees(position: Position, board: chess.Board) -> None:
    ours = [board.parse_uci(uci(position, index)) for index in legal(position)]
    assert len(ours) == len(set(ours))
    assert set(ours) == set(board.legal_moves), board.fen()


@pytest.mark.parametrize(("fen", "depth", "nodes"), KNOWN)
def test_perft_of_known_positions(fen: str, depth: int, nodes: int) -> None:
    assert perft(position_of(chess.Board(fen)), depth) == nodes


@pytest.mark.parametrize(("fen", "depth", "nodes"), KNOWN_960)
def test_perft_of_chess960(fen: str, depth: int, nodes: int) -> None:
    assert perft(position_of(chess.Board(fen, chess960=True)), depth) == nodes


def perft_lines(shared: Path) -> list[tuple[str, dict[int, int]]]:
    lines = (shared / "epd" / "perft.epd").read_text().splitlines()
    return [
        (line.split(";")[0].strip(), {int(d): int(n) for d, n in re.findall(r"D(\d+) (\d+)", line)})
        for line in lines
        if line.strip()
    ]


def test_perft_file_to_20_million_nodes(shared: Path) -> None:
    checked = 0
    for fen, counts in perft_lines(shared):
        affordable = [depth for depth, nodes in counts.items() if nodes <= 20_000_000]
        for depth in affordable[-1:]:
            assert perft(position_of(chess.Board(fen)), depth) == counts[depth], fen
            checked += 1
    assert checked > 150


@pytest.mark.slow
def test_perft_file_whole(shared: Path) -> None:
    for fen, counts in perft_lines(shared):
        deepest = max(counts)
        assert perft(position_of(chess.Board(fen)), deepest) == counts[deepest], fen


def test_same_moves_by_index_and_by_name_as_lc0(shared: Path) -> None:
    rows = read_jsonl(shared / "golden" / "eval.jsonl.gz")
    assert len(rows) == 155
    for row in rows:
        game = line_from_game(chess.Board(row["fen"]), row["moves"], 512)
        position = game.positions[game.last]
        named = {index: uci(position, index) for index in legal(position)}
        theirs = dict(zip(row["policy_index"], row["moves_legal"], strict=True))
        assert named == theirs, row["id"]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TRICKY), st.lists(st.integers(0, 10_000), max_size=40))
def test_any_walk_agrees_with_python_chess(fen: str, choices: list[int]) -> None:
    board = chess.Board(fen)
    game = line_from_game(board, [], 1)
    assert_agrees(game.positions[0], board)
    for choice in choices:
        moves = list(board.legal_moves)
        if not moves:
            break
        board.push(moves[choice % len(moves)])
    game = line_from_game(chess.Board(fen), board.move_stack, len(choices) + 1)
    assert_agrees(game.positions[game.last], board)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 959), st.integers(0, 1 << 32))
def test_any_chess960_walk_agrees_with_python_chess(start: int, seed: int) -> None:
    source = random.Random(seed)
    board = chess.Board.from_chess960_pos(start)
    position = position_of(board)
    for _ in range(40):
        assert_agrees(position, board)
        moves = list(board.legal_moves)
        if not moves:
            break
        castling = [move for move in moves if board.is_castling(move)]
        board.push(source.choice(castling or moves))
        make_move(position, policy_index(position, board.peek()), position)


@pytest.mark.parametrize(
    ("fen", "count"),
    [
        ("R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1", 218),  # the most known
        ("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", 0),  # stalemate
        ("7k/6Q1/6K1/8/8/8/8/8 b - - 0 1", 0),  # mate
        ("4k3/8/8/8/8/5n2/3b4/4K3 w - - 0 1", 4),  # double check
    ],
)
def test_extreme_counts(fen: str, count: int) -> None:
    board = chess.Board(fen)
    assert len(legal(position_of(board))) == count == board.legal_moves.count()


def test_nothing_is_written_beyond_the_moves() -> None:
    board = chess.Board("R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1")
    moves = np.full(MAX_MOVES, 9999, np.uint16)
    count = legal_moves(position_of(board), moves)
    assert (moves[:count] < 1858).all()
    assert (moves[count:] == 9999).all()
