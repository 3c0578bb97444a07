"""What a net of any input format sees of a game, by python-chess alone and plainly written.

From the description of lc0's encoder (src/neural/encoder.cc), square by square: no bit tricks, and
nothing of arena's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import chess

PIECES = (chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING)
ALL = frozenset(chess.SQUARES)
Plane = frozenset[int]


class Snapshot(NamedTuple):
    """A position of the game."""

    board: chess.Board
    ep: int | None  # the square, where the FEN gave it or an enemy pawn attacks it
    repeated: bool


class Seen(NamedTuple):
    """Planes by number, without the empty ones, plane 109's value, and the transform."""

    planes: dict[int, Plane]
    rule50: float
    transform: int


def history(start: chess.Board, moves: Sequence[chess.Move]) -> list[Snapshot]:
    """The game's positions, oldest first."""
    board, found, keys = start.copy(stack=False), [], []
    for move in (None, *moves):
        if move is not None:
            board.push(move)
        known = move is None or board.has_pseudo_legal_en_passant()
        ep = board.ep_square if known else None
        key = (board.board_fen(), board.turn, board.clean_castling_rights(), ep)
        found.append(Snapshot(board.copy(stack=False), ep, key in keys))
        keys.append(key)
    return found


def seen_by(square: int, viewer: chess.Color) -> int:
    return square if viewer == chess.WHITE else square ^ 56


def thirteen(shot: Snapshot, viewer: chess.Color, undo: bool) -> list[Plane]:
    board = shot.board.copy(stack=False)
    if undo and shot.ep is not None:
        step = 8 if board.turn == chess.BLACK else -8
        pawn = board.remove_piece_at(shot.ep + step)
        assert pawn is not None
        board.set_piece_at(shot.ep - step, pawn)
    planes = [
        frozenset(seen_by(square, viewer) for square in board.pieces(piece, colour))
        for colour in (viewer, not viewer)
        for piece in PIECES
    ]
    return [*planes, ALL if shot.repeated else frozenset()]


def rights(board: chess.Board, viewer: chess.Color) -> tuple[Plane, Plane]:
    """Rooks that may castle, as the viewer sees them: on the king's a-side, on its h-side."""
    sides: tuple[set[int], set[int]] = (set(), set())
    for rook in chess.SquareSet(board.clean_castling_rights()):
        king = board.king(board.color_at(rook))  # type: ignore[arg-type]
        assert king is not None
        sides[rook > king].add(seen_by(rook, viewer))
    return frozenset(sides[0]), frozenset(sides[1])


def what_is_seen(
    start: chess.Board, moves: Sequence[chess.Move], input_format: int, fill: bool
) -> Seen:
    """The planes of the last position; ``fill``: the game did not begin at the start position."""
    shots = history(start, moves)
    now = shots[-1].board
    us = now.turn
    canonical, repeats_only = input_format >= 3, input_format in (5, 133)
    planes: dict[int, Plane] = {}
    boards: list[list[Plane]] = []
    for back in range(len(shots) + 8):
        if len(boards) == 8:
            break
        known = back < len(shots)
        shot = shots[-1 - back] if known else shots[0]
        if canonical and back:
            if shot.board.clean_castling_rights() != now.clean_castling_rights():
                break
            if shot.ep is not None:
                break
        if not known and (repeats_only or not fill):
            break
        if not repeats_only or not back or shot.repeated:
            boards.append(thirteen(shot, us, undo=not known))
        if canonical and shot.board.halfmove_clock == 0:
            break
    for slot, thirteen_planes in enumerate(boards):
        planes |= {13 * slot + kind: plane for kind, plane in enumerate(thirteen_planes)}
    a_side, h_side = rights(now, us)
    if input_format == 1:
        for place, plane, ranks in (
            (104, a_side, (0,)),
            (105, h_side, (0,)),
            (106, a_side, (7,)),
            (107, h_side, (7,)),
        ):
            if any(square // 8 in ranks for square in plane):
                planes[place] = ALL
    else:
        planes[104], planes[105] = a_side, h_side
    if canonical:
        ep = shots[-1].ep
        planes[108] = frozenset() if ep is None else frozenset({56 + ep % 8})
    elif us == chess.BLACK:
        planes[108] = ALL
    if input_format >= 128 and us == chess.BLACK:
        planes[110] = ALL
    planes[109] = planes[111] = ALL
    transform = chosen(planes) if canonical and not (a_side | h_side) else 0
    turn = turned(transform)
    planes = {place: frozenset(map(turn, plane)) for place, plane in planes.items() if plane}
    rule50 = now.halfmove_clock / (100 if input_format >= 4 else 1)
    return Seen(planes, rule50, transform)


def turned(transform: int) -> Callable[[int], int]:
    def image(square: int) -> int:
        file, rank = square % 8, square // 8
        file = 7 - file if transform & 1 else file
        rank = 7 - rank if transform & 2 else rank
        if transform & 4:
            file, rank = 7 - rank, 7 - file
        return 8 * rank + file

    return image


def chosen(planes: dict[int, Plane]) -> int:
    """The transform of a position without castling rights."""
    (king,) = planes[5]
    file, rank, transform = king % 8, king // 8, 0
    if file < 4:
        file, transform = 7 - file, 1
    if planes[0] or planes[6]:
        return transform
    if rank > 3:
        rank, transform = 7 - rank, transform | 2
    # The diagonal from a8 to h1 is where file and rank add up to 7.
    if file + rank != 7:
        return transform | 4 if file + rank > 7 else transform
    ours = frozenset().union(*(planes[kind] for kind in range(6)))
    theirs = frozenset().union(*(planes[kind] for kind in range(6, 12)))
    kinds = [planes[kind] | planes[kind + 6] for kind in (5, 4, 3, 1, 2)]
    for squares in (ours | theirs, ours, *kinds):
        as_it_is, image = (
            sum(2 ** turned(how)(square) for square in squares)
            for how in (transform, transform | 4)
        )
        if as_it_is != image:
            return transform | 4 if image < as_it_is else transform
    return transform
