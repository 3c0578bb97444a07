"""Planes of real records against planes that python-chess makes of the same games."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chess
import numpy as np
import pytest

from swa.chunks import read_records
from swa.policy_map import MOVES
from swa.records import planes_of

ALL = 0xFFFF_FFFF_FFFF_FFFF
PIECES = (chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING)


def twelve_planes(board: chess.Board, viewer: chess.Color) -> list[int]:
    """The pieces on a board: the viewer's six kinds, the other's six."""
    masks = [
        board.pieces_mask(piece, colour) for colour in (viewer, not viewer) for piece in PIECES
    ]
    return masks if viewer == chess.WHITE else [chess.flip_vertical(mask) for mask in masks]


class Replay:
    """A game on python-chess's board, and its 112 planes at any point."""

    def __init__(self, start: chess.Board) -> None:
        self.board = start
        self.seen: set[Any] = set()
        self.history: list[dict[bool, list[int]]] = []
        self._remember()

    def push(self, move: chess.Move) -> None:
        self.board.push(move)
        self._remember()

    def _remember(self) -> None:
        board = self.board
        # lc0 keeps the en passant square if a pawn attacks it, be that pawn pinned or not.
        en_passant = board.ep_square if board.has_pseudo_legal_en_passant() else None
        sides = (board.occupied_co[chess.WHITE], board.occupied_co[chess.BLACK])
        kinds = (board.pawns, board.knights, board.bishops, board.rooks, board.queens)
        key = (sides, kinds, board.turn, board.clean_castling_rights(), en_passant)
        repeated = ALL if key in self.seen else 0
        self.seen.add(key)
        self.history.append(
            {viewer: [*twelve_planes(board, viewer), repeated] for viewer in chess.COLORS}
        )

    def planes(self) -> tuple[list[int], list[float]]:
        board, viewer = self.board, self.board.turn
        masks = [mask for back in self.history[:-9:-1] for mask in back[viewer]]
        masks += [0] * (104 - len(masks))
        for colour in (viewer, not viewer):
            masks.append(ALL if board.has_queenside_castling_rights(colour) else 0)
            masks.append(ALL if board.has_kingside_castling_rights(colour) else 0)
        masks += [0 if viewer == chess.WHITE else ALL, ALL, 0, ALL]
        values = [1.0] * 112
        values[109] = board.halfmove_clock
        return masks, values


def move_at(board: chess.Board, index: int) -> chess.Move:
    """The move that a policy index is on this board."""
    move = chess.Move.from_uci(MOVES[index])
    if board.turn == chess.BLACK:
        move.from_square ^= 56
        move.to_square ^= 56
    pawn = board.piece_type_at(move.from_square) == chess.PAWN
    if pawn and chess.square_rank(move.to_square) in (0, 7) and move.promotion is None:
        move.promotion = chess.KNIGHT
    return board.parse_uci(move.uci())  # raises for an illegal move


def start_of(game: Any) -> chess.Board:
    """Chess960's start position with the game's back rank: only that much is taken on trust."""
    back_rank = ""
    for file in range(8):
        at = 1 << (7 - file)  # on disk, h is the lowest bit of each byte
        (piece,) = (kind for kind in range(6) if int(game["planes"][0, kind]) & at)
        back_rank += "PNBRQK"[piece]
    board = chess.Board(
        f"{back_rank.lower()}/pppppppp/8/8/8/8/PPPPPPPP/{back_rank} w KQkq - 0 1", chess960=True
    )
    assert board.chess960_pos() is not None
    return board


def followed_by_moves(game: Any) -> Iterator[tuple[Replay, int]]:
    """The positions of a V6 or V7 game, from the first on, by the moves that it says it played."""
    replay = Replay(start_of(game))
    for number, record in enumerate(game):
        yield replay, number
        replay.push(move_at(replay.board, int(record["played_idx"])))


@pytest.mark.parametrize(("folder", "positions"), [("v6", 159), ("v7", 7385)])
def test_planes_equal_python_chess(shared: Path, folder: str, positions: int) -> None:
    compared = repeated = 0
    for chunk in read_records(shared / "chunks" / folder):
        masks, values = planes_of(chunk.records)
        assert masks.shape == values.shape == (len(chunk.records), 112)
        for replay, number in followed_by_moves(chunk.records):
            expected_masks, expected_values = replay.planes()
            where = f"{chunk.path.name}, record {number}"
            np.testing.assert_array_equal(
                masks[number], np.array(expected_masks, np.uint64), err_msg=where
            )
            np.testing.assert_array_equal(values[number], expected_values, err_msg=where)
            if number % 8 == 0:
                marked = np.flatnonzero(chunk.records["probabilities"][number] >= 0)
                moves = {move_at(replay.board, int(index)) for index in marked}
                assert moves == set(replay.board.legal_moves), where
            compared += 1
            repeated += expected_masks[12] == ALL
    assert compared == positions
    assert repeated or folder == "v6"  # else the repetition planes were never put to the test


def move_between(board: chess.Board, after: list[int]) -> chess.Move | None:
    """The legal move by which a position becomes the one with these twelve planes."""
    occupied = 0
    for mask in after:
        occupied |= mask
    if board.turn == chess.WHITE:  # black sees the planes
        occupied = chess.flip_vertical(occupied)
    for move in board.legal_moves:
        board.push(move)
        found = board.occupied == occupied and twelve_planes(board, board.turn) == after
        board.pop()
        if found:
            return move
    return None


@pytest.mark.parametrize(
    ("file", "positions", "games"),
    [("ac404f_game_000000.gz", 4096, 59), ("game_000000.gz", 11, 1)],
)
def test_planes_of_v4_games_equal_python_chess(
    shared: Path, file: str, positions: int, games: int
) -> None:
    """V4 does not say what was played: a move is found by the position it leads to."""
    (chunk,) = read_records(shared / "chunks" / "v4" / file)
    masks, values = planes_of(chunk.records)
    assert len(masks) == positions
    replay, starts = Replay(chess.Board()), 0
    for number in range(len(masks)):
        if masks[number, 13:26].any():  # there was a position before
            move = move_between(replay.board, masks[number, :12].tolist())
            assert move is not None, number
            replay.push(move)
        else:
            replay = Replay(chess.Board())
            starts += 1
        expected_masks, expected_values = replay.planes()
        np.testing.assert_array_equal(masks[number], np.array(expected_masks, np.uint64))
        np.testing.assert_array_equal(values[number], expected_values)
    assert starts == games
