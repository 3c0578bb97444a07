"""Who plays: nets with settings of their own, and UCI engines, as frozen values.

A match's baseline and candidate are two of these. How people write them down is
``arena.player_words``; here is what they mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from swa.spec import POLICY_HEAD, VALUE_HEAD

Setting = bool | int | float | str

TIME_MARGIN = 0
"""Milliseconds past its time that a player is forgiven, as in fastchess and cutechess."""

LONGEST = 1e6
"""Seconds, some eleven days: more is a slip of the pen."""


class TimeControl(NamedTuple):
    """A clock: ``seconds`` for ``moves`` moves, 0 for all of them, and what each move adds."""

    seconds: float
    increment: float = 0.0
    moves: int = 0

    def __str__(self) -> str:
        """``40/60+0.6``, as fastchess, cutechess and the PGN header TimeControl have it."""
        moves = f"{self.moves}/" if self.moves else ""
        increment = f"+{self.increment:.15g}" if self.increment else ""
        return f"{moves}{self.seconds:.15g}{increment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a player may think; whatever is reached first ends the search of a move."""

    nodes: int | None = None
    depth: int | None = None
    st: float | None = None  # seconds for each move
    tc: TimeControl | None = None
    timemargin: int = TIME_MARGIN  # milliseconds

    def __post_init__(self) -> None:
        """Raise ValueError for limits that are none, or of which one makes the other idle."""
        for name, number in (("nodes", self.nodes), ("depth", self.depth)):
            if number is not None and not 1 <= number <= 10**12:
                raise ValueError(f"{name}={number}: must be from 1 to 10^12")
        if self.st is not None and not 0.001 <= self.st <= LONGEST:
            raise ValueError(f"st={self.st:g}: must be from 0.001 to {LONGEST:g} seconds")
        if self.tc is not None:
            self._refuse_clock(self.tc)
        if self.st is not None and self.tc is not None:
            raise ValueError("st and tc contradict each other: use one of them")
        if not 0 <= self.timemargin <= 1000 * LONGEST:
            raise ValueError(f"timemargin={self.timemargin}: must be 0 or more milliseconds")
        if self.timemargin and not self.timed:
            raise ValueError("timemargin: there is no clock to be late by: give tc or st")

    @staticmethod
    def _refuse_clock(tc: TimeControl) -> None:
        parts = (tc.seconds, tc.increment)
        if not all(math.isfinite(part) and 0 <= part <= LONGEST for part in parts):
            raise ValueError(f"tc={tc}: times must be from 0 to {LONGEST:g} seconds")
        if max(parts) < 0.001:
            raise ValueError(f"tc={tc}: nobody can move in no time")
        if not 0 <= tc.moves <= 1000:
            raise ValueError(f"tc={tc}: must be for at most 1000 moves")

    @property
    def timed(self) -> bool:
        """Whether time is one of them: games then depend on how fast the machine is."""
        return self.st is not None or self.tc is not None

    @property
    def words(self) -> dict[str, str]:
        """Those that there are, as they are written: ``{"nodes": "5000", "tc": "10+0.1"}``."""
        default = Limits.__dataclass_fields__
        return {
            limit.name: f"{value:.15g}" if isinstance(value, float) else str(value)
            for limit in fields(self)
            if (value := getattr(self, limit.name)) != default[limit.name].default
        }


NO_LIMITS = Limits()


class Reading(NamedTuple):
    """How a net's file is read where it does not say all: the words of ``swa.net.load_net``.

    Heads have lc0's names and defaults (lc0 src/neural/shared_params.cc, its options policy-head
    and value-head).
    """

    policy_head: str = POLICY_HEAD
    value_head: str = VALUE_HEAD
    lc0_transpose: bool = False

    @property
    def asked(self) -> dict[str, Any]:
        """What is not the default, by its name there."""
        defaults = self._field_defaults
        return {name: value for name, value in self._asdict().items() if value != defaults[name]}

    @property
    def words(self) -> dict[str, str]:
        """The same as it is written: ``{"value-head": "q", "lc0-transpose": "true"}``."""
        return {
            name.replace("_", "-"): value if isinstance(value, str) else "true"
            for name, value in self.asked.items()
        }


AS_LC0 = Reading()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetPlayer:
    """A net; ``own`` are the settings of its search that are not the match's, in their order.

    Its ``limits`` are clocks alone: how many visits it has is a setting of the search.
    """

    path: Path
    name: str | None = None  # None: the file's
    reading: Reading = AS_LC0
    own: tuple[tuple[str, Setting], ...] = ()
    limits: Limits = NO_LIMITS

    @property
    def plain(self) -> bool:
        """Whether its path says all there is to say."""
        return self == NetPlayer(path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlayer:
    """A UCI engine: how it is started, what is set, how long it thinks."""

    command: str  # a program's name or path
    args: tuple[str, ...] = ()
    directory: Path | None = None  # to run in
    name: str | None = None  # None: the program's file
    options: tuple[tuple[str, str], ...] = ()  # by the engine's names, in the order given
    limits: Limits

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line that starts it."""
        return (self.command, *self.args)


Entrant = NetPlayer | EnginePlayer
