"""Endgames at random, for the tests of tablebases, and how Syzygy's own numbers play them out."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import chess
import chess.syzygy

FOUR_MEN = (
    "KQvKR",
    "KRvKB",
    "KBNvK",
    "KPvKP",
    "KRvKP",
    "KQvKP",
    "KNvKP",
    "KBPvK",
    "KRvKN",
    "KNNvK",
)


def random_board(pieces: str, chance: random.Random, clock: int = 0) -> chess.Board:
    """A legal position of these pieces (white's, "v", black's) that is not over."""
    white, black = pieces.split("v")
    if chance.random() < 0.5:
        white, black = black, white
    symbols = white + black.lower()
    while True:
        board = chess.Board(None)
        for square, symbol in zip(chance.sample(chess.SQUARES, len(symbols)), symbols, strict=True):
            board.set_piece_at(square, chess.Piece.from_symbol(symbol))
        board.turn = chance.random() < 0.5
        board.halfmove_clock = clock
        over = board.is_checkmate() or board.is_stalemate() or board.is_insufficient_material()
        if board.is_valid() and not over:
            return board


def random_win(pieces: str, chance: random.Random, tables: chess.syzygy.Tablebase) -> chess.Board:
    """A position that the side to move wins, at the beginning of its fifty moves."""
    while True:
        board = random_board(pieces, chance)
        if tables.probe_wdl(board) == 2:
            return board


def dtz_after(board: chess.Board, move: chess.Move, tables: chess.syzygy.Tablebase) -> int:
    """DTZ of a move for its mover: its sign says who wins, its size in how many plies."""
    board.push(move)
    try:
        if board.is_checkmate():
            return 1
        if board.is_stalemate() or board.is_insufficient_material():
            return 0
        if board.halfmove_clock == 0:
            return {2: 1, 1: 101, 0: 0, -1: -101, -2: -1}[-tables.probe_wdl(board)]
        dtz = -tables.probe_dtz(board)
        return dtz + (dtz > 0) - (dtz < 0)
    finally:
        board.pop()


def best_move(board: chess.Board, tables: chess.syzygy.Tablebase) -> chess.Move:
    """The fastest winning move, else a drawing one, else the most stubborn one."""
    values = {move: dtz_after(board, move, tables) for move in board.legal_moves}
    winning = [move for move, dtz in values.items() if dtz > 0]
    if winning:
        return min(winning, key=values.__getitem__)
    drawing = [move for move, dtz in values.items() if dtz == 0]
    return drawing[0] if drawing else min(values, key=values.__getitem__)


def played_out(board: chess.Board, tables: chess.syzygy.Tablebase) -> int:
    """Play a position with both sides by ``best_move``; the mover's result by the rules."""
    mover, board = board.turn, board.copy(stack=False)
    while True:
        if board.is_checkmate():
            return 1 if board.turn != mover else -1
        drawn = board.is_stalemate() or board.is_insufficient_material()
        if drawn or board.halfmove_clock >= 100 or board.is_repetition(3):
            return 0
        board.push(best_move(board, tables))


def folder_of(names: Sequence[str], source: Path, target: Path) -> None:
    """Copy some tables, named like ``KQvK.rtbw``, from one folder to another."""
    for name in names:
        shutil.copyfile(source / name, target / name)
