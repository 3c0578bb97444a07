"""Packed planes against those that lc0 itself made, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chess
import numpy as np
from conftest import read_jsonl

from arena.boards import line_from_game
from arena.kernel.encode import pack_planes
from swa import planes


def packed(fen: str, moves: list[str]) -> tuple[Any, Any]:
    game = line_from_game(chess.Board(fen), moves, 512)
    masks = np.full(planes.PLANE_COUNT, 12345, np.uint64)
    values = np.full(planes.PLANE_COUNT, np.nan, np.float32)
    pack_planes(game.positions, game.last, game.fill, masks, values)
    return masks, values


def test_planes_equal_lc0s(shared: Path) -> None:
    rows = read_jsonl(shared / "golden" / "eval.jsonl.gz")
    with np.load(shared / "golden" / "eval_planes.npz") as golden:
        identities, all_masks, all_values = (golden[name] for name in ("id", "mask", "value"))
    order = {int(identity): number for number, identity in enumerate(identities)}
    assert len(rows) == len(order) == 155
    for row in rows:
        masks, values = packed(row["fen"], row["moves"])
        number = order[row["id"]]
        differing = np.flatnonzero(masks != all_masks[number])
        assert differing.size == 0, (row["id"], row["tags"], differing)
        np.testing.assert_array_equal(values, all_values[number], err_msg=str(row["id"]))


def test_history_is_left_empty_only_at_the_real_start() -> None:
    older = slice(planes.PLANES_PER_POSITION, planes.HISTORY * planes.PLANES_PER_POSITION)
    at_start, _ = packed(chess.STARTING_FEN, [])
    assert not at_start[older].any()
    from_fen, _ = packed("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQq - 0 1", [])
    seen = from_fen[: planes.HISTORY * planes.PLANES_PER_POSITION].reshape(planes.HISTORY, -1)
    assert (seen == seen[0]).all()


def test_filled_history_takes_the_double_push_back() -> None:
    masks, _ = packed("4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 1", [])
    theirs = planes.THEIR_PAWNS
    assert masks[theirs] == 1 << chess.D5
    assert masks[planes.PLANES_PER_POSITION + theirs] == 1 << chess.D7


def test_unpack_puts_a1_first() -> None:
    masks, values = packed(chess.STARTING_FEN, ["e2e4"])
    board = planes.unpack(masks[None], values[None])
    assert board.shape == (1, 112, 8, 8)
    assert board.dtype == np.float32
    assert board[0, planes.OUR_ROOKS].nonzero()[1].tolist() == [0, 7]
    assert board[0, planes.THEIR_PAWNS, 4, 4] == 1  # e4, seen by black on e5
    assert (board[0, planes.BLACK_TO_MOVE] == 1).all()
    assert (board[0, planes.RULE50] == 0).all()
    assert not board[0, planes.ZEROS].any()
    assert (board[0, planes.ONES] == 1).all()


def test_rule50_is_a_value_over_the_whole_board() -> None:
    masks, values = packed("4k3/8/8/8/8/8/8/R3K3 w - - 37 60", [])
    assert values[planes.RULE50] == 37
    assert (planes.unpack(masks[None], values[None])[0, planes.RULE50] == 37).all()
