"""Players whose moves come from outside of the batched search, such as UCI engines.

A lane asks for a move and goes on with its other games; the answer comes when it comes, from any
thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from arena.clocks import Clock
from arena.game import NO_REMARK, GameTask, Remark, Termination


class GameState(NamedTuple):
    """A game whose move is asked for."""

    game: int  # a number of this very game, of no other one in any lane
    task: GameTask
    moves: tuple[str, ...]  # since the opening
    clocks: tuple[Clock | None, Clock | None] = (None, None)  # white's, black's, before the move


@dataclass(frozen=True, slots=True)
class FoundMove:
    """A move with what its player says of it; see GameRecord. A clock is charged the seconds."""

    move: str
    q: float
    d: float
    visits: int
    remark: Remark = NO_REMARK


@dataclass(frozen=True, slots=True)
class Forfeit:
    """The player has lost the game by a fault of its own."""

    termination: Termination  # one of game.FORFEITS
    what: str  # one line for the report


@dataclass(frozen=True, slots=True)
class Fault:
    """Harness or machine failed, not a player: the pair is void and has to be played again."""

    what: str


Answer = FoundMove | Forfeit | Fault


class ExternalPlayer(Protocol):
    """Finds moves; asked from a lane's thread, answers from any other one."""

    def find_move(self, state: GameState, answer: Callable[[Answer], None]) -> None:
        """Begin to look for a move and return; ``answer`` is called once, when it is found."""

    def game_over(self, game: int) -> None:
        """A game in which it was asked for moves has ended, perhaps while it is still looking."""
