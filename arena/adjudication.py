"""Games that are ended before chess ends them, by rules that the players agreed to.

A judge looks at one game after each of its moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import chess

from arena.game import GameRecord, GameTask, Result, Termination


class MovedGame(NamedTuple):
    """A game after a move, as its judge sees it; ``q`` and ``d`` are of the mover."""

    ply: int  # of the game from its first position, the opening's moves included, 1 after one move
    move_number: int  # the full move that was just played, as a score sheet numbers it
    white_moved: bool
    q: float  # expected result in [-1, 1]
    d: float  # draw probability in [0, 1]
    rule50: int  # plies since the last capture or pawn move, after the move
    pieces: int  # on the board, kings included
    castling: bool  # whether anybody may still castle
    board: Callable[[], chess.Board]  # made when it is asked for, without the moves before


class Adjudication(NamedTuple):
    """How a game is to end now."""

    result: Result
    termination: Termination


class GameJudge(Protocol):
    """Judges one game."""

    def moved(self, game: MovedGame) -> Adjudication | None:
        """Look at the game after a move; None lets it go on. Not asked where chess has ended it."""

    def record(self, game: GameRecord) -> GameRecord:
        """The record to keep of a finished game, which may have been played on for an audit."""


JudgeOf = Callable[[GameTask], GameJudge]
"""Makes the judge of a game that begins."""
