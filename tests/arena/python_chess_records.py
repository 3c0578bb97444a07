"""Training records made with python-chess alone, a field at a time: what arena's must equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import chess
import numpy as np
from policy_index import index_of

ALL = 0xFFFF_FFFF_FFFF_FFFF
PIECES = (chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING)


def thirteen_planes(board: chess.Board, viewer: chess.Color, repeated: bool) -> list[int]:
    """The viewer's six kinds of pieces, the other's six, whether the position was there before."""
    masks = [
        board.pieces_mask(piece, colour) for colour in (viewer, not viewer) for piece in PIECES
    ]
    seen = masks if viewer == chess.WHITE else [chess.flip_vertical(mask) for mask in masks]
    return [*seen, ALL if repeated else 0]


def before_the_start(start: chess.Board) -> chess.Board | None:
    """What lc0 shows as the positions before a FEN's; None at the standard start.

    It is the FEN's own position, a pawn that has just gone two steps being where it came from.
    """
    standard = chess.Board()
    if start.board_fen() == standard.board_fen() and (
        start.turn == chess.WHITE and start.castling_rights == standard.castling_rights
    ):
        return None
    earlier = start.copy(stack=False)
    if start.ep_square is not None:
        step = 8 if start.turn == chess.BLACK else -8
        pawn = earlier.remove_piece_at(start.ep_square + step)
        assert pawn is not None
        earlier.set_piece_at(start.ep_square - step, pawn)
    return earlier


def key_of(board: chess.Board) -> tuple[object, ...]:
    """What makes two positions the same: lc0 knows en passant where a pawn attacks the square.

    Of the start it knows what the FEN says, attacked or not.
    """
    known = board.has_pseudo_legal_en_passant() or not board.move_stack
    passed = board.ep_square if known else None
    return (board.board_fen(), board.turn, board.clean_castling_rights(), passed)


def expected_records(
    start: chess.Board, moves: Sequence[chess.Move], result: str
) -> Iterator[dict[str, object]]:
    """For each move the fields of its record, of a game without searches."""
    board = start.copy(stack=False)
    earlier = before_the_start(board)
    boards: list[tuple[chess.Board, bool]] = []
    keys: set[tuple[object, ...]] = set()
    for ply, move in enumerate(moves):
        boards.insert(0, (board.copy(stack=False), key_of(board) in keys))
        keys.add(key_of(board))
        us = board.turn
        stack = boards[:8]
        if earlier is not None:
            stack = stack + [(earlier, False)] * (8 - len(stack))
        masks = [mask for each, again in stack for mask in thirteen_planes(each, us, again)]
        masks += [0] * (104 - len(masks))
        bits = np.unpackbits(np.array(masks, "<u8").view(np.uint8), bitorder="little")
        probabilities = np.full(1858, -1, np.float32)
        probabilities[[index_of(board, legal) for legal in board.legal_moves]] = 0
        played = index_of(board, move)
        probabilities[played] = 1
        points = {"1-0": 1, "0-1": -1, "1/2-1/2": 0}[result]
        q, d = (points if us == chess.WHITE else -points), float(points == 0)
        left = len(moves) - ply
        yield {
            "version": 6,
            "input_format": 1,
            "probabilities": probabilities,
            "planes": np.packbits(bits, bitorder="big").view("<u8"),
            "castling_us_ooo": board.has_queenside_castling_rights(us),
            "castling_us_oo": board.has_kingside_castling_rights(us),
            "castling_them_ooo": board.has_queenside_castling_rights(not us),
            "castling_them_oo": board.has_kingside_castling_rights(not us),
            "side_to_move": us == chess.BLACK,
            "rule50": board.halfmove_clock,
            "invariance_info": 0,
            "result": 0,
            **{f"{what}_q": q for what in ("root", "best", "played", "result")},
            **{f"{what}_d": d for what in ("root", "best", "played", "result")},
            **dict.fromkeys(("root_m", "best_m", "played_m", "plies_left"), left),
            **dict.fromkeys(("orig_q", "orig_d", "orig_m"), np.nan),
            "visits": 1,
            "played_idx": played,
            "best_idx": played,
            "policy_kld": 0,
            "q_st": 0,
        }
        board.push(move)
