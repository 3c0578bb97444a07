"""Positions that games can begin from, of standard chess and of Chess960."""

from __future__ import annotations

import chess


class OpeningError(ValueError):
    """A book, or an entry of it, that no match can start from: where, why, and what to do."""

    def __init__(self, where: str, reason: str, remedy: str):
        super().__init__(f"{where}: {reason}\n{remedy}")


def legal_board(fen: str) -> chess.Board:
    """Set up the position of a FEN.

    Raises ValueError where it is not a FEN, or no game of standard chess can reach it.
    """
    return _sound(_board(fen), fen)


def start_board(fen: str) -> chess.Board:
    """Set up the position of a FEN, of Chess960 where its castling rights are of no other chess.

    They may be written as Shredder-FEN (``HAha``: the rooks' files) or X-FEN (``KQkq``: the
    outermost rooks). Raises ValueError where it is not a FEN, or no game can reach it.
    """
    board = _board(fen)
    if board.status() == chess.STATUS_BAD_CASTLING_RIGHTS:
        other = chess.Board(fen, chess960=True)
        board = other if other.is_valid() else board
    return _sound(board, fen)


def start_fen(board: chess.Board) -> str:
    """Return the FEN by which ``Opening.board`` knows Chess960: with the rooks' files."""
    return board.fen(shredder=board.chess960)


def _board(fen: str) -> chess.Board:
    try:
        return chess.Board(fen)
    except ValueError as error:
        raise ValueError(f"invalid FEN: {error}") from None


def _sound(board: chess.Board, fen: str) -> chess.Board:
    status = board.status()
    if status != chess.STATUS_VALID:
        faults = ", ".join(flag.name.lower().replace("_", " ") for flag in status if flag.name)
        raise ValueError(f"impossible position ({faults}): {fen}")
    return board


def check_not_over(board: chess.Board) -> None:
    """Refuse a position in which there is nothing left to play.

    Raises ValueError on checkmate, stalemate, insufficient material, the 50-move rule and a third
    occurrence: what ends a game at once also ends it before it starts.
    """
    if not any(board.generate_legal_moves()):
        over = "checkmate" if board.is_check() else "stalemate"
    elif board.is_insufficient_material():
        over = "insufficient material"
    elif board.halfmove_clock >= 100:
        over = "the 50-move rule"
    elif board.is_repetition(3):
        over = "a third occurrence of the position"
    else:
        return
    raise ValueError(f"the game is already over by {over}: {board.fen()}")
