"""Making moves, counting repetitions and recognising draws, against python-chess and lc0's rule."""

from __future__ import annotations

import random
from collections.abc import Iterator

import chess
import numpy as np
import pytest
from test_movegen import TRICKY, assert_agrees

from arena.boards import line_from_game, policy_index, position_of
from arena.kernel.bitboard import NO_SQUARE
from arena.kernel.position import (
    POSITION,
    Line,
    cache_key,
    count_repetitions,
    game_occurrences,
    in_check,
    insufficient_material,
    make_move,
)

ENDGAMES = [
    "8/8/4k3/8/8/3NK3/8/8 w - - 0 1",
    "8/8/4kb2/8/8/3BK3/8/8 w - - 0 1",
    "8/8/4kr2/8/8/3RK3/8/8 b - - 0 1",
    "8/8/4kr2/8/6p1/3RK3/7P/8 w - - 0 1",
    "8/8/4k3/8/8/3QK3/8/8 w - - 90 120",
]


def random_game(source: random.Random, fen: str, plies: int) -> Iterator[chess.Board]:
    """The boards of a game that often moves back and forth, so that positions recur."""
    board = chess.Board(fen)
    yield board
    while len(board.move_stack) < plies and any(board.legal_moves):
        moves = list(board.legal_moves)
        stack = board.move_stack
        if len(stack) > 1 and source.random() < 0.5:
            back = chess.Move(stack[-2].to_square, stack[-2].from_square)
            moves = [back] if back in moves else moves
        board.push(source.choice(moves))
        yield board


def lc0_repetitions(boards: list[tuple[str, int]]) -> int:
    """lc0's rule, on (position as text, rule50): position.cc, ComputeLastMoveRepetitions."""
    last, rule50 = boards[-1]
    if rule50 < 4:
        return 0
    for index in range(len(boards) - 3, -1, -2):
        if boards[index][0] == last:
            return 1 + lc0_repetitions(boards[: index + 1])
        if boards[index][1] < 2:
            return 0
    return 0


def occurrences(board: chess.Board) -> int:
    count = 1
    while board.is_repetition(count + 1):
        count += 1
    return count


def assert_same_state(line: Line, last: int, board: chess.Board) -> None:
    """All but the counters: pieces, rights, en passant, clock, colour, key, from scratch."""
    fresh = position_of(board)
    if not board.has_pseudo_legal_en_passant() and last > 0:
        fresh = position_of(chess.Board(board.fen(en_passant="xfen")))
    played = line[last]
    for field in POSITION.names or ():
        if field not in ("repetitions", "cycle"):
            assert played[field] == fresh[field], (field, board.fen())


def test_ten_thousand_random_positions() -> None:
    source = random.Random(20260101)
    checked = recurring = drawn = 0
    while checked < 10_000:
        fen = source.choice(TRICKY + ENDGAMES)
        line = np.zeros(121, POSITION)
        line[0] = position_of(chess.Board(fen))
        texts: list[tuple[str, int]] = []
        for last, board in enumerate(random_game(source, fen, 120)):
            if last > 0:
                move = policy_index(line[last - 1], board.peek())
                make_move(line[last - 1], move, line[last])
                count_repetitions(line, last)
            text = board.epd(en_passant="xfen" if last > 0 else "fen")
            texts.append((text, board.halfmove_clock))
            assert_same_state(line, last, board)
            assert_agrees(line[last], board)
            assert line[last].repetitions == lc0_repetitions(texts)
            assert game_occurrences(line, last) == occurrences(board)
            assert insufficient_material(line[last]) == board.is_insufficient_material()
            assert in_check(line[last]) == board.is_check()
            if line[last].cycle:
                assert texts[last - line[last].cycle][0] == text
            checked += 1
            recurring += occurrences(board) >= 3
            drawn += board.is_insufficient_material()
    assert recurring > 100
    assert drawn > 100


def test_en_passant_square_needs_an_attacker_but_not_a_legal_capture() -> None:
    def ep_after(fen: str, move: str) -> int:
        game = line_from_game(chess.Board(fen), [move], 2)
        return int(game.positions[1].ep)

    assert ep_after(chess.STARTING_FEN, "e2e4") == NO_SQUARE
    assert ep_after("4k3/8/8/8/3p4/8/4P3/4K3 w - - 0 1", "e2e4") == chess.E6
    assert ep_after("8/8/8/8/k2p3R/8/4P3/4K3 w - - 0 1", "e2e4") == chess.E6
    assert ep_after("4k3/4p3/8/3P4/8/8/8/4K3 b - - 0 1", "e7e5") == chess.E6


def test_unlawful_en_passant_tells_positions_apart_for_lc0_but_not_for_the_laws() -> None:
    # After e2e4 the pawn on d4 attacks e3, but capturing would expose its king along the rank.
    board = chess.Board("8/8/8/8/k2p3R/8/4P3/4K3 w - - 0 1")
    moves = ["e2e4", "a4a5", "e1e2", "a5a4", "e2e1", "a4a5", "e1e2", "a5a4", "e2e1"]
    game = line_from_game(board, moves, 16)
    assert game.positions[1].ep == chess.E6
    assert game.positions[5].repetitions == 0
    assert game_occurrences(game.positions, 5) == 2
    assert game.positions[9].repetitions == 1
    assert game_occurrences(game.positions, 9) == 3


def test_repetitions_and_cycle_of_knights_dancing() -> None:
    moves = ["g1f3", "g8f6", "f3g1", "f6g8"] * 2
    game = line_from_game(chess.Board(), moves, 9)
    assert game.positions["repetitions"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert game.positions["cycle"].tolist() == [0, 0, 0, 0, 4, 4, 4, 4, 4]


def test_lost_castling_right_is_no_repetition() -> None:
    start = chess.Board("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1")
    game = line_from_game(start, ["h1g1", "a8b8", "g1h1", "b8a8"], 5)
    assert game.positions[4].repetitions == 0
    assert game_occurrences(game.positions, 4) == 1


def test_make_move_may_overwrite_its_parent() -> None:
    position = position_of(chess.Board())
    expected = np.zeros(1, POSITION)[0]
    make_move(position, 322, expected)
    make_move(position, 322, position)
    assert position == expected


@pytest.mark.parametrize(
    ("fen", "draw"),
    [
        ("8/8/4k3/8/8/4K3/8/8 w - - 0 1", True),
        ("8/8/4k3/8/8/3NK3/8/8 w - - 0 1", True),
        ("8/8/4kn2/8/8/3NK3/8/8 w - - 0 1", False),
        ("8/8/4k3/8/8/2NNK3/8/8 w - - 0 1", False),
        ("8/8/4kb2/8/8/3BK3/8/8 w - - 0 1", False),  # d3 light, f6 dark
        ("8/8/4k1b1/8/8/3BK3/8/8 w - - 0 1", True),
        ("8/8/4kn2/8/8/3BK3/8/8 w - - 0 1", False),
        ("8/8/4k3/8/8/3PK3/8/8 w - - 0 1", False),
    ],
)
def test_insufficient_material(fen: str, draw: bool) -> None:
    board = chess.Board(fen)
    assert board.is_insufficient_material() == draw
    assert insufficient_material(position_of(board)) == draw


KNIGHTS = ["g1f3", "g8f6", "f3g1", "f6g8", "b1c3", "b8c6", "c3b1", "c6b8"]


def key_of(fen: str, moves: list[str], fill: int | None = None) -> tuple[int, int]:
    game = line_from_game(chess.Board(fen), moves, 64)
    return cache_key(game.positions, game.last, game.fill if fill is None else fill)


def test_cache_key_sees_all_that_the_net_sees() -> None:
    plain = key_of(chess.STARTING_FEN, KNIGHTS[:3])
    others = [
        key_of(chess.STARTING_FEN, ["b1c3", "g8f6", "c3b1"]),  # another way to the same board
        key_of(chess.STARTING_FEN, KNIGHTS[:3] + KNIGHTS[3:] + KNIGHTS[:3]),  # repeated
        key_of("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 7 5", KNIGHTS[:3]),  # rule50
        key_of(chess.STARTING_FEN, KNIGHTS[:3], fill=1),
        key_of("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR b KQkq - 0 1", ["g8f6"]),
    ]
    assert plain == key_of(chess.STARTING_FEN, KNIGHTS[:3])
    for other in others:
        assert other[0] != plain[0]
        assert other[1] != plain[1]


def test_cache_key_forgets_what_the_net_does_not_see() -> None:
    # Two ways to the same eight boards; the pawn moves reset rule50 and end any repetition.
    tail = ["a2a3", "a7a6", "b2b3", "b7b6", "c2c3", "c7c6", "d2d3", "d7d6"]
    one = key_of(chess.STARTING_FEN, KNIGHTS[:4] + tail)
    other = key_of(chess.STARTING_FEN, KNIGHTS[4:] + tail)
    assert one == other == key_of(chess.STARTING_FEN, KNIGHTS[4:] + tail, fill=1)
