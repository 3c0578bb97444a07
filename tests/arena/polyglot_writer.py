"""Writes polyglot books: 16 bytes an entry (key, move, weight, learn), sorted by key."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import chess
import chess.polyglot

Entry = tuple[str, str, int]
"""Moves that lead to a position (UCI), the move that the book has there, its weight."""


def raw_move(board: chess.Board, text: str) -> int:
    """As the format has it: castling is king takes rook, promotions count from the knight, 1."""
    move = chess.Move.from_uci(text)
    if board.is_castling(move) and abs(move.to_square - move.from_square) == 2:
        rook = 7 if move.to_square > move.from_square else 0
        move = chess.Move(move.from_square, chess.square(rook, chess.square_rank(move.to_square)))
    promotion = (move.promotion or 1) - 1
    return move.to_square | move.from_square << 6 | promotion << 12


def write_polyglot(path: Path, entries: Iterable[Entry]) -> Path:
    packed = []
    for line, text, weight in entries:
        board = chess.Board()
        for move in line.split():
            board.push_uci(move)
        key = chess.polyglot.zobrist_hash(board)
        packed.append(struct.pack(">QHHI", key, raw_move(board, text), weight, 0))
    path.write_bytes(b"".join(sorted(packed, key=lambda entry: entry[:8])))
    return path
