"""A move's place in the policy by python-chess alone: an oracle."""

from __future__ import annotations

import chess

from swa.policy_map import MOVES

INDEX = {name: index for index, name in enumerate(MOVES)}


def index_of(board: chess.Board, move: chess.Move) -> int:
    """A move's place in the policy: seen by its side, castling onto the rook."""
    target = move.to_square
    if board.is_castling(move):
        file = 7 if chess.square_file(target) == 6 else 0
        target = chess.square(file, chess.square_rank(target))
    flip = 56 if board.turn == chess.BLACK else 0
    name = chess.square_name(move.from_square ^ flip) + chess.square_name(target ^ flip)
    if move.promotion and move.promotion != chess.KNIGHT:
        name += chess.piece_symbol(move.promotion)
    return INDEX[name]
