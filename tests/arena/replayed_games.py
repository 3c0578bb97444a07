"""Games with everything that a board must know how to show, and what python-chess makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import chess

from arena.game import GameRecord, Opening, PairRecord, Termination, written

CASTLING_960 = "rk5r/pppppppp/8/8/8/8/PPPPPPPP/R1K3R1 w GAha - 0 1"

STARTS = [
    chess.STARTING_FEN,
    "r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 3 40",  # black to move, every castling
    "8/PPPPPPPP/8/2k5/8/5K2/pppppppp/8 b - - 0 1",  # promotions with and without capture
    "rnbqkbnr/ppp1pppp/8/8/3pP3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 3",  # en passant at once
    "8/8/8/K2pP2q/8/8/8/7k w - d6 0 1",  # en passant that the pin forbids
    CASTLING_960,
]


def rare(board: chess.Board, move: chess.Move) -> bool:
    return bool(board.is_castling(move) or move.promotion or board.is_en_passant(move))


def random_moves(board: chess.Board, rng: random.Random, most: int) -> tuple[str, ...]:
    """Legal moves as the ledger spells them, rare kinds preferred; ``board`` is left at the end."""
    moves = []
    while len(moves) < most and (legal := list(board.legal_moves)):
        choices = [move for move in legal if rare(board, move)]
        move = rng.choice(choices if choices and rng.random() < 0.7 else legal)
        moves.append(written(board, move))
        board.push(move)
    return tuple(moves)


def random_game(opening: Opening, white: bool, rng: random.Random, most: int = 60) -> GameRecord:
    """A game of random moves with the evaluations of players who change their minds slowly."""
    board = opening.board()
    for move in opening.moves:
        board.push_uci(move)
    moves = random_moves(board, rng, most)
    q, d, value, draw = [], [], 0.0, 0.3
    for _ in moves:
        value = min(max(-value + rng.gauss(0, 0.05), -1.0), 1.0)
        draw = min(max(draw + rng.gauss(0, 0.015), 0.0), 1.0)
        q.append(round(value, 4))
        d.append(round(draw, 4))
    result = rng.choice(("1-0", "0-1", "1/2-1/2"))
    end = rng.choice((Termination.RESIGNATION, Termination.MAX_LENGTH))
    return GameRecord(white, moves, result, end, tuple(q), tuple(d), (1,) * len(moves))


def random_pairs(count: int, seed: int = 8, most: int = 60) -> list[PairRecord]:
    """Pairs from all kinds of starts, the special ones first."""
    rng = random.Random(seed)
    pairs = []
    for number in range(count):
        if number < len(STARTS):
            start = chess.Board(STARTS[number], chess960=STARTS[number] == CASTLING_960)
        else:
            start = chess.Board.from_chess960_pos(rng.randrange(960))
        fen = start.fen(shredder=start.chess960)
        opening = Opening(fen, random_moves(start, rng, rng.randrange(4)), f"start {number}")
        first, second = (random_game(opening, white, rng, most) for white in (True, False))
        pairs.append(PairRecord(number, opening, (first, second)))
    return pairs


def walk(pair: PairRecord, game: GameRecord) -> Iterator[tuple[chess.Board, chess.Move | None]]:
    """Every position of a game, with the move that is played there; None at the end."""
    board = pair.opening.board()
    for spelled in (*pair.opening.moves, *game.moves):
        move = board.parse_uci(spelled)
        yield board, move
        board.push(move)
    yield board, None
