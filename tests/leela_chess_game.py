"""Records and planes of leela-chess, by its own rules (src/Network.cpp, src/Training.cpp)."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import chess

PIECES = (chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING)
ALL = 0xFFFF_FFFF_FFFF_FFFF


def move_list() -> list[chess.Move]:
    """The 1924 moves: queens' and knights' by square, then promotions of white and of black."""
    empty = chess.Board(None)
    moves = []
    for square in chess.SQUARES:
        reached = chess.SquareSet()
        for piece in (chess.QUEEN, chess.KNIGHT):
            empty.set_piece_at(square, chess.Piece(piece, chess.WHITE))
            reached |= empty.attacks(square)
            empty.remove_piece_at(square)
        moves += [chess.Move(square, target) for target in sorted(reached)]
    for rank, last in ((6, 7), (1, 0)):
        for file in range(8):
            for target in range(max(file - 1, 0), min(file + 2, 8)):
                for piece in (chess.QUEEN, chess.ROOK, chess.BISHOP):
                    squares = chess.square(file, rank), chess.square(target, last)
                    moves.append(chess.Move(*squares, promotion=piece))
    return moves


PLACES = {move: place for place, move in enumerate(move_list())}


def place_of(board: chess.Board, move: chess.Move) -> int:
    """Where a move stands: as on the board, castling as the king that takes its rook."""
    target, promotion = move.to_square, move.promotion
    if board.is_castling(move):
        target = chess.square(7 if chess.square_file(target) == 6 else 0, target // 8)
    return PLACES[
        chess.Move(move.from_square, target, None if promotion == chess.KNIGHT else promotion)
    ]


@dataclass
class Position:
    """What ``gather_features`` says of a position, and what is to be learned of it."""

    planes: list[int]  # 112 sets of squares, a1 = 1
    flags: list[int]  # castling of us (long, short) and them, black to move
    rule50: int
    move_count: int
    probabilities: list[float]  # of 1924 moves
    result: int  # for the side to move

    def v2(self) -> bytes:
        """The record of version 2: the bits of each rank in reverse."""
        words = [int(f"{mask:064b}"[::-1], 2).to_bytes(8, "big") for mask in self.planes]
        counts = (*self.flags, min(self.rule50, 255), min(self.move_count, 255))
        head = struct.pack("<i1924f", 2, *self.probabilities)
        return head + b"".join(words) + struct.pack("<7Bb", *counts, self.result)

    def v1(self) -> bytes:
        """The record of version 1: four squares a digit, the first one's bit the highest."""
        lines = []
        for mask in self.planes:
            bits = [mask >> square & 1 for square in range(64)]
            fours = (bits[at : at + 4] for at in range(0, 64, 4))
            lines.append("".join(f"{8 * a + 4 * b + 2 * c + d:x}" for a, b, c, d in fours))
        lines += map(str, (*self.flags, self.rule50, self.move_count))
        lines.append(" ".join(f"{p:.6g}" for p in self.probabilities))
        lines.append(str(self.result))
        return "".join(f"{line}\n" for line in lines).encode()


def board_planes(board: chess.Board, times_before: int) -> list[int]:
    """The 14 planes of a board, from the side of who is to move on it."""
    us = board.turn
    masks = [board.pieces_mask(piece, colour) for colour in (us, not us) for piece in PIECES]
    if us == chess.BLACK:
        masks = [chess.flip_vertical(mask) for mask in masks]
    return [*masks, ALL if times_before >= 1 else 0, ALL if times_before >= 2 else 0]


def random_game(seed: int, plies: int) -> Iterator[tuple[chess.Board, Position]]:
    """Positions of a game of random moves, each as a board and as leela-chess has it."""
    dice, board = random.Random(seed), chess.Board()
    history: list[list[int]] = []
    seen: dict[str, int] = {}
    for _ in range(plies):
        key = board.epd()
        history.append(board_planes(board, seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
        moves = list(board.legal_moves)
        if not moves:
            return
        us = board.turn
        planes = [mask for one in history[:-9:-1] for mask in one]
        visits = [dice.randrange(1, 50) for _ in moves]
        probabilities = [0.0] * 1924
        for move, count in zip(moves, visits, strict=True):
            probabilities[place_of(board, move)] = count / sum(visits)
        flags = [
            int(right(colour))
            for colour in (us, not us)
            for right in (board.has_queenside_castling_rights, board.has_kingside_castling_rights)
        ]
        yield (
            board,
            Position(
                planes + [0] * (112 - len(planes)),
                [*flags, int(us == chess.BLACK)],
                board.halfmove_clock,
                board.ply(),
                probabilities,
                dice.choice((-1, 0, 1)),
            ),
        )
        board.push(dice.choice(moves))
