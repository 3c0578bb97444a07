"""A second opinion on every finished game, from a program that shares no code with the kernel.

The compiled kernel plays; python-chess replays its games and must come to the same end. A kernel
that miscounts a repetition would otherwise decide a match by games that were never drawn. A game
is over as soon as one of these has *occurred*, in this order where several occur at once (as in
lc0 src/chess/position.cc, ``PositionHistory::ComputeGameResult``): checkmate, stalemate,
insufficient material, 100 plies without capture or pawn move, third occurrence of a position.
python-chess's ``claim_draw`` would also end a game that could only repeat, and is not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

import chess

from arena.game import (
    ADJUDICATIONS,
    FORFEITS,
    GameRecord,
    Opening,
    PairRecord,
    Result,
    Termination,
    written,
)

FIFTY_MOVES_PLIES = 100


class RefereeError(Exception):
    """A game that breaks the rules of chess, or does not end as they say: a fault of arena's own.

    ``ply`` is that of the move at fault, 1 for the first one after the opening; 0 is the opening.
    """

    def __init__(self, where: str, ply: int, what: str):
        super().__init__(
            f"{where}, ply {ply}: {what}\n"
            "This is a fault of arena, not of the nets: please report it. The pair does not count."
        )
        self.ply = ply
        self.what = what


def check_pair(pair: PairRecord) -> None:
    """Replay both games. Raises RefereeError, which names the pair, the game and the ply."""
    for number, game in enumerate(pair.games, start=1):
        check_game(pair.opening, game, where=f"pair {pair.number}, game {number}")


def check_game(opening: Opening, game: GameRecord, where: str = "game") -> None:
    """Replay a game from its opening, some 40 us a ply.

    Every move must be legal, none may follow the end of the game, and result and termination must
    be what the rules say; so also of a game that was played on after its adjudication. Raises
    RefereeError, which begins with ``where``.
    """
    if (after := game.played_on) is not None:
        if game.termination not in ADJUDICATIONS:
            raise RefereeError(where, len(game.moves), f"played on after {game.termination}")
        whole = replace(
            game,
            moves=game.moves + after.moves,
            result=after.result,
            termination=after.termination,
            played_on=None,
        )
        check_game(opening, whole, f"{where}, played on")
    board = opening.board()
    occurrences = Counter([position_key(board)])
    for text in opening.moves:
        _push(board, text, where, 0)
        occurrences[position_key(board)] += 1
    drawn = _drawn(board, occurrences[position_key(board)])
    for ply, text in enumerate(game.moves, start=1):
        _push(board, text, where, ply)
        if drawn:
            raise RefereeError(where, ply, f"played on after {drawn}")
        key = position_key(board)
        occurrences[key] += 1
        drawn = _drawn(board, occurrences[key])
    _check_end(board, drawn, game, where)


def _check_end(board: chess.Board, drawn: Termination | None, game: GameRecord, where: str) -> None:
    """Compare how a game ended with what the rules say of its last position."""
    claim = f"{game.result} by {game.termination}"
    ending = _without_moves(board)
    if ending is None and drawn:
        ending = "1/2-1/2", drawn
    if ending is None and game.termination in ADJUDICATIONS | FORFEITS:
        ending = _by_the_run(board, game)
    if ending is None:
        what = f"{claim}, but the game is not over: {board.fen()}"
        raise RefereeError(where, len(game.moves), what)
    if ending != (game.result, game.termination):
        what = f"{claim}, but by the rules it is {' by '.join(ending)}: {board.fen()}"
        raise RefereeError(where, len(game.moves), what)


def _by_the_run(board: chess.Board, game: GameRecord) -> tuple[Result, Termination]:
    """Return how the run ends a game that chess has not.

    A fault loses for the side to move; anybody may have resigned; what tablebases say is theirs.
    """
    result: Result = "1/2-1/2"
    if game.termination in FORFEITS:
        result = "0-1" if board.turn else "1-0"
    elif game.termination is Termination.RESIGNATION:
        result = "1-0" if game.result == "1-0" else "0-1"
    elif game.termination is Termination.TABLEBASE:
        result = game.result
    return result, game.termination


def position_key(board: chess.Board) -> Hashable:
    """Tell positions apart as the third occurrence does (FIDE Laws of Chess, article 9.2).

    That is by pieces, side to move, castling rights, and the right to capture en passant where
    there is a legal move that does so.
    """
    return (
        board.pawns,
        board.knights,
        board.bishops,
        board.rooks,
        board.queens,
        board.kings,
        board.occupied_co[chess.WHITE],
        board.turn,
        board.clean_castling_rights(),
        board.ep_square if board.has_legal_en_passant() else None,
    )


def _push(board: chess.Board, text: str, where: str, ply: int) -> None:
    try:
        move = board.parse_uci(text)
    except ValueError:
        raise RefereeError(where, ply, f"{text} is not legal in {board.fen()}") from None
    if written(board, move) != text:  # castling as king takes rook, which is understood too
        raise RefereeError(where, ply, f"{text} should be written {written(board, move)}")
    board.push(move)


def _drawn(board: chess.Board, occurrences: int) -> Termination | None:
    """Return by which rule a position is drawn, if it has a legal move.

    ``occurrences`` of it in the whole game, which are three just when ``board.is_repetition(3)``
    says so: no position comes back after an irreversible move. python-chess would take back half
    the game to find that out.
    """
    if board.is_insufficient_material():
        return Termination.INSUFFICIENT_MATERIAL
    if board.halfmove_clock >= FIFTY_MOVES_PLIES:
        return Termination.FIFTY_MOVES
    if occurrences >= 3:
        return Termination.THREEFOLD
    return None


def _without_moves(board: chess.Board) -> tuple[Result, Termination] | None:
    """Return how a game ends in which there is no legal move left."""
    if any(board.generate_legal_moves()):
        return None
    if not board.is_check():
        return "1/2-1/2", Termination.STALEMATE
    return ("0-1" if board.turn else "1-0"), Termination.CHECKMATE
