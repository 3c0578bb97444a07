"""Every input format: lc0's own planes, an oracle by python-chess, and what turning means."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import chess
import numpy as np
import pytest
from conftest import read_jsonl
from format_oracle import what_is_seen
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_index import index_of

from arena.boards import line_from_game, position_of
from arena.kernel.encode import pack_planes
from arena.kernel.formats import flip_files, input_key, pack_input, transpose, turn
from arena.kernel.movegen import MAX_MOVES, legal_moves
from arena.kernel.position import cache_key
from swa import planes
from swa.policy_map import (
    FROM,
    LC0_TRANSFORMED,
    MOVE_COUNT,
    NO_PROMOTION,
    PROMOTION,
    TO,
    TRANSFORMED,
    turned,
)
from swa.spec import InputFormat

FORMATS = [int(each) for each in InputFormat]


def packed(board: chess.Board, moves: list[str], input_format: int) -> tuple[Any, Any, int]:
    game = line_from_game(board, moves, len(moves) + 1)
    masks = np.full(planes.PLANE_COUNT, 12345, np.uint64)
    values = np.full(planes.PLANE_COUNT, np.nan, np.float32)
    transform = pack_input(game.positions, game.last, game.fill, input_format, masks, values)
    return masks, values, int(transform)


def test_planes_equal_lc0s_in_all_formats(shared: Path) -> None:
    rows = read_jsonl(shared / "golden" / "zoo" / "planes.jsonl.gz")
    assert {row["input_format"] for row in rows} == set(FORMATS)
    for row in rows:
        where = f"{row['input_format']} {row['id']}"
        masks, values, transform = packed(
            chess.Board(row["fen"]), row["moves"], row["input_format"]
        )
        expected = np.zeros(planes.PLANE_COUNT, np.uint64)
        factors = np.ones(planes.PLANE_COUNT, np.float32)
        factors[planes.RULE50] = 0
        for plane, (word, factor) in row["planes"].items():
            expected[int(plane)], factors[int(plane)] = int(word, 16), factor
        # Of a plane that is 0 everywhere lc0's own mask is not told.
        expected[planes.RULE50] = planes.FULL_BOARD
        np.testing.assert_array_equal(masks, expected, err_msg=where)
        np.testing.assert_array_equal(values, factors, err_msg=where)
        assert transform == row["transform"], where


def test_moves_are_turned_as_lc0_should_and_as_it_does(shared: Path) -> None:
    rows = read_jsonl(shared / "golden" / "zoo" / "rows.jsonl.gz")
    turned_by_lc0 = 0
    for row in rows:
        board = chess.Board(row["fen"])
        for move in row["moves"]:
            board.push_uci(move)
        own = np.array([index_of(board, board.parse_uci(move)) for move in row["legal"]])
        assert TRANSFORMED[row["transform"], own].tolist() == row["index"]
        read_by_lc0 = row.get("lc0_032plus_index", row["index"])
        assert LC0_TRANSFORMED[row["transform"], own].tolist() == read_by_lc0
        turned_by_lc0 += read_by_lc0 != row["index"]
    assert turned_by_lc0 >= 50


# --- the oracle ---

STARTS = [
    chess.STARTING_FEN,
    "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1",
    "4k3/2p5/8/3P4/8/8/8/R3K2R w KQ - 3 30",
    "rnbqkbnr/ppp1pppp/8/8/3pP3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 3",
    "8/8/8/2k5/3Pp3/8/8/4K3 b - d3 0 1",
    "8/3q4/2N2n2/8/3R4/k7/6K1/8 b - - 40 90",
    "8/8/8/4k3/8/2K5/8/R6r w - - 17 50",
    "6k1/5ppp/8/8/8/8/5PPP/1R4K1 w - - 2 20",
    "1k6/8/8/8/3Q4/8/8/6K1 w - - 98 120",
]


def played(seed: int, start: str, plies: int) -> tuple[chess.Board, list[chess.Move]]:
    """A game by chance, in which pieces often go back to where they were."""
    dice, first = random.Random(seed), chess.Board(start)
    board, moves = first.copy(), []
    while len(moves) < plies and any(board.legal_moves):
        legal = list(board.legal_moves)
        back = None
        if len(moves) > 1:
            back = chess.Move(moves[-2].to_square, moves[-2].from_square)
        move = back if back in legal and dice.random() < 0.6 else dice.choice(legal)
        board.push(move)
        moves.append(move)
    return first, moves


@pytest.mark.parametrize("input_format", FORMATS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), start=st.sampled_from(STARTS), plies=st.integers(0, 40))
def test_planes_equal_an_oracles(input_format: int, seed: int, start: str, plies: int) -> None:
    first, moves = played(seed, start, plies)
    seen = what_is_seen(first, moves, input_format, fill=start != chess.STARTING_FEN)
    masks, values, transform = packed(first, [move.uci() for move in moves], input_format)
    expected = [sum(2**square for square in seen.planes.get(place, ())) for place in range(112)]
    assert masks.tolist() == expected
    assert transform == seen.transform
    assert values[planes.RULE50] == np.float32(seen.rule50)
    assert (np.delete(values, planes.RULE50) == 1).all()


def test_rooks_of_chess960_are_told_by_their_files() -> None:
    board = chess.Board("1r2k1r1/8/8/8/8/8/8/R1K4R w HAgb - 0 1", chess960=True)
    masks, _, transform = packed(board, [], 2)
    assert masks[planes.A_SIDE_ROOKS] == 1 << chess.A1 | 1 << chess.B8
    assert masks[planes.H_SIDE_ROOKS] == 1 << chess.H1 | 1 << chess.G8
    assert not masks[[106, 107]].any()
    assert transform == 0


def test_only_repeated_positions_are_told_however_long_ago() -> None:
    """Formats 5 and 133: a position of twelve plies ago stands in the second place."""
    board = chess.Board("7k/8/8/8/8/8/R7/6K1 w - - 1 1")
    there_and_back = ["g1f1", "h8g8", "f1g1", "g8h8"]
    afterwards = ["a2b2", "h8g8", "b2c2", "g8f8", "c2d2", "f8g8", "d2e2", "g8h8"]
    masks, _, _ = packed(board, there_and_back + afterwards, 5)
    boards = masks[: planes.OUR_QUEENSIDE].reshape(planes.HISTORY, -1)
    assert [bool(each.any()) for each in boards] == [True, True] + [False] * 6
    assert [int(each[planes.REPETITION]) for each in boards[:2]] == [0, planes.FULL_BOARD]
    # ... and so the key must know of it, which that of format 1 need not.
    game = line_from_game(board, there_and_back + afterwards, 32)
    other = board.copy()
    for move in there_and_back:
        other.push_uci(move)
    anew = line_from_game(chess.Board(other.fen()), afterwards, 32)
    found = []
    for each in (game, anew):
        masks, values = np.zeros(112, np.uint64), np.zeros(112, np.float32)
        pack_input(each.positions, each.last, 0, 5, masks, values)
        found.append(
            (
                input_key(each.positions, each.last, 0, 5, masks),
                cache_key(each.positions, each.last, 0),
            )
        )
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


def test_format_1_is_what_it_was() -> None:
    game = line_from_game(chess.Board(STARTS[6]), ["c3d3", "e5d5"], 8)
    one, other = (np.full(112, fill, np.uint64) for fill in (1, 2))
    values, others = np.zeros(112, np.float32), np.ones(112, np.float32)
    assert pack_input(game.positions, game.last, game.fill, 1, one, values) == 0
    pack_planes(game.positions, game.last, game.fill, other, others)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(values, others)
    assert input_key(game.positions, 2, 1, 1, one) == cache_key(game.positions, 2, 1)


# --- turning ---


@given(word=st.integers(0, 2**64 - 1), transform=st.integers(0, 7))
def test_words_are_turned_as_squares_are(word: int, transform: int) -> None:
    squares = np.array([square for square in range(64) if word >> square & 1], np.int64)
    expected = sum(2 ** int(square) for square in turned(squares, transform))
    assert int(turn(np.uint64(word), transform)) == expected


def test_flips_and_transposes_are_python_chess_s() -> None:
    word = 0x0123_4567_89AB_CDEF
    assert int(flip_files(np.uint64(word))) == chess.flip_horizontal(word)
    assert int(transpose(np.uint64(word))) == chess.flip_anti_diagonal(word)


@pytest.mark.parametrize("table", [TRANSFORMED, LC0_TRANSFORMED])
def test_each_transform_is_one_to_one(table: Any) -> None:
    assert table.dtype == np.uint16
    assert table[0].tolist() == list(range(MOVE_COUNT))
    for row in table:
        assert sorted(row.tolist()) == list(range(MOVE_COUNT))
        np.testing.assert_array_equal(PROMOTION[row], PROMOTION)
    np.testing.assert_array_equal(table[:4], TRANSFORMED[:4])


def test_moves_are_turned_by_both_their_squares() -> None:
    plain = np.flatnonzero(PROMOTION == NO_PROMOTION)
    for transform in range(8):
        images = TRANSFORMED[transform, plain]
        np.testing.assert_array_equal(FROM[images], turned(FROM[plain].astype(int), transform))
        np.testing.assert_array_equal(TO[images], turned(TO[plain].astype(int), transform))


PAWNLESS = st.lists(
    st.tuples(st.integers(0, 63), st.sampled_from("NBRQnbrq")), max_size=4, unique_by=lambda p: p[0]
)


@settings(max_examples=150, deadline=None)
@given(kings=st.tuples(st.integers(0, 63), st.integers(0, 63)), others=PAWNLESS)
def test_images_of_a_position_are_one_position_to_a_net(
    kings: tuple[int, int], others: list[tuple[int, str]]
) -> None:
    """All eight images of a position without pawns: the same planes, and the same moves."""
    pieces = dict(others) | {kings[0]: "K", kings[1]: "k"}
    views = set()
    for transform in range(8):
        board = chess.Board(None)
        for square, letter in pieces.items():
            image = int(turned(np.array([square]), transform)[0])
            board.set_piece_at(image, chess.Piece.from_symbol(letter))
        if not board.is_valid():
            return
        masks, _, chosen = packed(board, [], 3)
        moves = np.empty(MAX_MOVES, np.uint16)
        legal = moves[: legal_moves(position_of(board), moves)]
        views.add((masks.tobytes(), tuple(sorted(TRANSFORMED[chosen, legal].tolist()))))
    assert len(views) == 1
