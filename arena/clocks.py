"""Chess clocks: how much time a player has, and when it has lost by it.

A clock is right when nobody is charged for what others do: an engine's time runs from the moment
its ``go`` was written until its ``bestmove`` was read, a net's from its opponent's move to its own,
the waiting for a batch included, as that is how the net thinks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from arena.players import Limits

MOVES_EXPECTED = 30
"""Moves for which a net saves time where no control is in sight."""

INCREMENT_USED = 0.75
"""Share of the increment that a net spends on each move beside its share of the rest."""

MOST_OF_THE_REST = 0.5
"""Share of its time that a net spends on a move at most, however few moves are to go."""

KEPT_BACK, KEPT_SHARE = 0.1, 0.1
"""Seconds, and share, of a time for each move that a net keeps back, the less of both: its last
visit and the way to its clock take what nobody knows beforehand, and there is no other time."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One side's clock before its move; all in seconds.

    The first move has its increment already, and what a move is late within the margin is not
    charged to the next one (both as in fastchess, app/src/game/timecontrol; cutechess gives the
    increment after the move alone).
    """

    left: float  # for this move, and the others until the control
    increment: float = 0.0
    per_control: float = 0.0  # comes after ``moves_to_go`` moves
    moves: int = 0  # of a control; 0: one for the whole game
    moves_to_go: int = 0
    per_move: float | None = None  # instead of all of this
    margin: float = 0.0

    @classmethod
    def start(cls, limits: Limits | None) -> Self | None:
        """A clock before the first move; None for a player without one."""
        if limits is None:
            return None
        margin = limits.timemargin / 1000.0
        if limits.st is not None:
            return cls(limits.st, per_move=limits.st, margin=margin)
        if limits.tc is None:
            return None
        seconds, increment, moves = limits.tc.seconds, limits.tc.increment, limits.tc.moves
        return cls(seconds + increment, increment, seconds, moves, moves, None, margin)

    @property
    def most(self) -> float:
        """Seconds after which a move is too late."""
        return self.left + self.margin

    @property
    def remaining(self) -> float | None:
        """What a clock would show; None where every move has its own time."""
        return self.left if self.per_move is None else None

    def after(self, seconds: float) -> Self | None:
        """The clock after a move that took so long; None if the time was over."""
        if seconds > self.most:
            return None
        if self.per_move is not None:
            return self
        left = max(0.0, self.left - seconds) + self.increment
        if self.moves == 0:
            return replace(self, left=left)
        if self.moves_to_go == 1:
            return replace(self, left=left + self.per_control, moves_to_go=self.moves)
        return replace(self, left=left, moves_to_go=self.moves_to_go - 1)

    @property
    def budget(self) -> float:
        """Seconds that a net spends on this move: an even share of the rest, and of the increment.

        Never so much that the moves after it would have no time.
        """
        if self.per_move is not None:
            return self.per_move - min(KEPT_BACK, KEPT_SHARE * self.per_move)
        moves = min(self.moves_to_go, MOVES_EXPECTED) if self.moves else MOVES_EXPECTED
        share = (self.left - self.increment) / moves + INCREMENT_USED * self.increment
        return max(0.0, min(share, MOST_OF_THE_REST * self.left))


class GameClocks:
    """Both clocks of a game in flight, and since when the side to move is thinking.

    Times are those of one monotonic clock, in seconds.
    """

    def __init__(self, white: Limits | None, black: Limits | None, now: float):
        self.clocks = [Clock.start(white), Clock.start(black)]
        self._began = now

    @property
    def both(self) -> tuple[Clock | None, Clock | None]:
        """White's and black's."""
        return self.clocks[0], self.clocks[1]

    def begin(self, now: float) -> None:
        """Let the time of the side to move run from here."""
        self._began = now

    def elapsed(self, now: float) -> float:
        """How long the side to move has thought."""
        return now - self._began

    def deadline(self, side: int) -> float:
        """When a net should move (side 0: white); infinity where it has all the time there is."""
        clock = self.clocks[side]
        return float("inf") if clock is None else self._began + clock.budget

    def press(self, side: int, seconds: float) -> bool:
        """Charge a side for its move; returns False if it has lost on time."""
        clock = self.clocks[side]
        if clock is None:
            return True
        after = clock.after(seconds)
        if after is not None:
            self.clocks[side] = after
        return after is not None

    def shown(self, side: int) -> float | None:
        """What a side's clock shows, to the millisecond; None where it has none."""
        clock = self.clocks[side]
        if clock is None or clock.remaining is None:
            return None
        return round(clock.remaining, 3)
