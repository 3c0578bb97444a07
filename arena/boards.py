"""The rim between python-chess and the kernel: what comes from outside is checked here.

python-chess reads FENs and moves and is the referee; the kernel plays. Inside the kernel a move is
its policy index and a position is seen from the mover; everywhere else moves are UCI, castling as
the king moves (``e1g1``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import chess
import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import NO_SQUARE
from arena.kernel.movegen import MAX_MOVES, legal_moves
from arena.kernel.position import (
    OUR_KINGSIDE,
    OUR_QUEENSIDE,
    POSITION,
    THEIR_KINGSIDE,
    THEIR_QUEENSIDE,
    Line,
    Position,
    castling_right,
    count_repetitions,
    king_square,
    make_move,
    position_key,
)
from arena.kernel.ranks import KNIGHT
from swa.policy_map import (
    BISHOP,
    FROM,
    INDEX,
    NO_PROMOTION,
    PROMOTION,
    PROMOTION_INDEX,
    QUEEN,
    ROOK,
    TO,
)


class PositionError(ValueError):
    """A position that chess does not know, or that the kernel has no room for."""


class MoveError(ValueError):
    """A move that is not legal where it was given."""


@dataclass(frozen=True, slots=True)
class GameLine:
    """A game as the kernel keeps it.

    ``positions`` is an array of POSITION of the capacity asked for, ``positions[last]`` the
    current one; ``fill`` is what ``encode.pack_planes`` wants to know: 1 if the game began from a
    position other than the start position.
    """

    positions: Line  # POSITION [capacity]
    last: int
    fill: int


_CORNERS = (chess.A1, chess.H1)

_HARMLESS = chess.STATUS_TOO_MANY_CHECKERS | chess.STATUS_IMPOSSIBLE_CHECK
"""Oddities that break no rule of play; python-chess counts them as invalid, lc0 plays on."""

_SET_PIECES = {chess.KNIGHT: 2, chess.BISHOP: 2, chess.ROOK: 2, chess.QUEEN: 1}
"""How many of each a side begins with; more come from promoted pawns."""

_PROMOTIONS = {
    NO_PROMOTION: chess.KNIGHT,
    QUEEN: chess.QUEEN,
    ROOK: chess.ROOK,
    BISHOP: chess.BISHOP,
}
_CODES = {piece: code for code, piece in _PROMOTIONS.items()}

SPELLED = {
    chess.Move(origin, target, piece).uci(): origin | target << 6 | code << 12
    for origin in chess.SQUARES
    for target in chess.SQUARES
    if origin != target
    for piece, code in ((None, NO_PROMOTION), *(_CODES | {chess.KNIGHT: KNIGHT}).items())
}
"""Moves in UCI as the kernel's ``ranks`` and ``notation`` read them."""
"""A promotion as the policy index tells it, and as python-chess does."""


def _faults(board: chess.Board) -> list[str]:
    status = board.status() & ~_HARMLESS
    faults = [str(flag.name).lower().replace("_", " ") for flag in chess.Status if flag & status]
    for colour in chess.COLORS:
        extra = sum(
            max(0, len(board.pieces(piece, colour)) - count) for piece, count in _SET_PIECES.items()
        )
        if extra + len(board.pieces(chess.PAWN, colour)) > 8:
            faults.append(f"{chess.COLOR_NAMES[colour]} has more promoted pieces than lost pawns")
    return faults


def _right(board: chess.Board, colour: chess.Color, kingside: bool) -> int:
    """One castling right as the kernel keeps it: ``8 | file of the rook``, or 0."""
    king = board.king(colour)
    rank = chess.BB_RANK_1 if colour == chess.WHITE else chess.BB_RANK_8
    for rook in chess.scan_forward(board.clean_castling_rights() & rank):
        if king is not None and (rook > king) == kingside:
            return 8 | chess.square_file(rook)
    return 0


def position_of(board: chess.Board) -> Position:
    """The record of POSITION for a board, without its history; raises ``PositionError``.

    The en passant square is taken as the FEN gives it, whether or not a pawn attacks it (lc0
    src/chess/board.cc:1099).
    """
    if faults := _faults(board):
        raise PositionError(
            f"not a playable position: {board.fen()}\n{', '.join(faults)}; correct the FEN"
        )
    us, them = board.turn, not board.turn
    seen = chess.flip_vertical if us == chess.BLACK else int
    position = np.zeros(1, POSITION)[0]
    position.ours = seen(board.occupied_co[us])
    position.theirs = seen(board.occupied_co[them])
    position.pawns = seen(board.pawns)
    position.diagonals = seen(board.bishops | board.queens)
    position.straights = seen(board.rooks | board.queens)
    position.kings = seen(board.kings)
    position.castling = (
        _right(board, us, kingside=False) << OUR_QUEENSIDE
        | _right(board, us, kingside=True) << OUR_KINGSIDE
        | _right(board, them, kingside=False) << THEIR_QUEENSIDE
        | _right(board, them, kingside=True) << THEIR_KINGSIDE
    )
    position.rule50 = min(board.halfmove_clock, np.iinfo(np.uint16).max)
    position.ep = NO_SQUARE if board.ep_square is None else _mirrored(board.ep_square, us)
    position.black = us == chess.BLACK
    position.key = position_key(position)
    return position


def board_of(position: Position, plies: int) -> chess.Board:
    """The board of a position, without the moves before it; ``plies`` of the game came before."""
    black = bool(position.black)
    seen = chess.flip_vertical if black else int
    ours, theirs = int(position.ours), int(position.theirs)
    pawns, kings = int(position.pawns), int(position.kings)
    diagonals, straights = int(position.diagonals), int(position.straights)
    board = chess.Board(None)
    board.pawns, board.kings = seen(pawns), seen(kings)
    board.queens = seen(diagonals & straights)
    board.bishops, board.rooks = seen(diagonals & ~straights), seen(straights & ~diagonals)
    board.occupied = seen(ours | theirs)
    board.knights = seen((ours | theirs) & ~(pawns | kings | diagonals | straights))
    board.turn = chess.BLACK if black else chess.WHITE
    board.occupied_co[board.turn], board.occupied_co[not board.turn] = seen(ours), seen(theirs)
    for side, rank in (
        (OUR_QUEENSIDE, 0),
        (OUR_KINGSIDE, 0),
        (THEIR_QUEENSIDE, 56),
        (THEIR_KINGSIDE, 56),
    ):
        right = castling_right(position, side)
        if right:
            board.castling_rights |= chess.BB_SQUARES[_mirrored((right & 7) + rank, board.turn)]
    board.chess960 = board.clean_castling_rights() != board.castling_rights
    if position.ep != NO_SQUARE:
        board.ep_square = _mirrored(int(position.ep), board.turn)
    board.halfmove_clock = int(position.rule50)
    board.fullmove_number = plies // 2 + 1
    return board


def is_standard_start(board: chess.Board) -> bool:
    """Whether it is the start position: pieces, side to move, castling rights, en passant."""
    return board.epd(en_passant="fen") == chess.Board().epd()


def line_from_game(root: chess.Board, moves: Sequence[str | chess.Move], capacity: int) -> GameLine:
    """The positions of a game from ``root`` on, ``root``'s own move stack left aside.

    Raises ``PositionError`` for a root that is no position, ``MoveError`` for an illegal move, and
    ``ValueError`` if the game needs more than ``capacity`` positions.
    """
    return replay(root, moves, capacity)[0]


def replay(
    root: chess.Board, moves: Sequence[str | chess.Move], capacity: int
) -> tuple[GameLine, npt.NDArray[np.uint16]]:
    """The line of ``line_from_game``, and the policy indices [len(moves)] of its moves."""
    if len(moves) >= capacity:
        raise ValueError(f"{len(moves)} moves need {len(moves) + 1} positions, not {capacity}")
    positions = np.zeros(capacity, POSITION)
    positions[0] = position_of(root)
    indices = np.zeros(len(moves), np.uint16)
    for last, move in enumerate(moves):
        index = policy_index(positions[last], move)
        make_move(positions[last], index, positions[last + 1])
        count_repetitions(positions, last + 1)
        indices[last] = index
    return GameLine(positions, len(moves), 0 if is_standard_start(root) else 1), indices


def _mirrored(square: int, turn: chess.Color) -> int:
    """A square as the side to move sees it, or back."""
    return square if turn == chess.WHITE else chess.square_mirror(square)


def _holds(word: np.uint64, square: int) -> bool:
    return bool(int(word) >> square & 1)


def _castling_rook(position: Position, king: int, target: int) -> int | None:
    """The rook's square if a king's move is castling, written either way; else None."""
    if target >= 8 or king != king_square(position):
        return None
    for side, king_to in ((OUR_QUEENSIDE, 2), (OUR_KINGSIDE, 6)):
        right = castling_right(position, side)
        rook = right & 7
        if right and (target == rook or (target == king_to and abs(target - king) == 2)):
            return rook
    return None


def policy_index(position: Position, move: str | chess.Move) -> int:
    """The index of a legal move; castling may be written ``e1g1`` or ``e1h1``.

    Raises ``MoveError`` if the move cannot be read or is not legal in ``position``.
    """
    index = _index_of(position, _parsed(move))
    moves = np.empty(MAX_MOVES, np.uint16)
    if index not in moves[: legal_moves(position, moves)]:
        raise MoveError(f"illegal move {move}: not one of {', '.join(legal_uci(position))}")
    return index


def _parsed(move: str | chess.Move) -> chess.Move:
    if isinstance(move, chess.Move):
        return move
    try:
        return chess.Move.from_uci(move)
    except ValueError as error:
        raise MoveError(f"not a move: {move!r}; write UCI, as e2e4 or a7a8q") from error


def _index_of(position: Position, move: chess.Move) -> int:
    """The policy index of a move if it has one, else -1."""
    turn = not position.black
    origin, target = _mirrored(move.from_square, turn), _mirrored(move.to_square, turn)
    promotes = target >= 56 and _holds(position.pawns, origin)
    if promotes != (move.promotion is not None):
        return -1
    if move.promotion is not None and move.promotion != chess.KNIGHT:
        return int(PROMOTION_INDEX[origin & 7, target & 7, _CODES.get(move.promotion, 0)])
    rook = _castling_rook(position, origin, target)
    return int(INDEX[origin, target if rook is None else rook])


def move_of(position: Position, index: int) -> chess.Move:
    """The legal move of a policy index as python-chess writes it, castling as the king moves.

    Castling that only Chess960 knows, with another file of king or rook, stays king takes rook.
    """
    turn = not position.black
    origin, target = int(FROM[index]), int(TO[index])
    promotion = None
    if target >= 56 and _holds(position.pawns, origin):
        promotion = _PROMOTIONS[int(PROMOTION[index])]
    elif origin == chess.E1 and target in _CORNERS and _holds(position.ours, target):
        target = chess.G1 if target > origin else chess.C1
    return chess.Move(_mirrored(origin, turn), _mirrored(target, turn), promotion)


def uci(position: Position, index: int) -> str:
    """The UCI string of a legal move, as everything outside of the kernel knows it."""
    return move_of(position, index).uci()


def legal_uci(position: Position) -> list[str]:
    """All legal moves as UCI, in the kernel's order."""
    moves = np.empty(MAX_MOVES, np.uint16)
    return [uci(position, int(move)) for move in moves[: legal_moves(position, moves)]]
