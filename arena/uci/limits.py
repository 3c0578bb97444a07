"""What ``go`` asks for, and how much of a clock a move may take.

UCI counts in milliseconds and nodes; here times are seconds. Numbers that make no sense are made
the nearest that do: a GUI may send a clock below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

HORIZON = 30
"""Moves among which the time that is left is divided where nobody says how many there are."""

OVERHEAD_SHARE = 0.1
"""Of ``movetime``, or of a clock that is nearly empty: what is kept back at most, or spent."""

MOST = 10**12
"""Larger numbers are this one: 30 years, or more nodes than any memory holds."""

_NUMBERS = (
    "nodes",
    "movetime",
    "wtime",
    "btime",
    "winc",
    "binc",
    "movestogo",
    "depth",
    "mate",
)
_FLAGS = ("infinite", "ponder")
_WORDS = frozenset((*_NUMBERS, *_FLAGS, "searchmoves", "perft"))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a search is limited by; None where it is not."""

    nodes: int | None = None
    movetime: int | None = None  # milliseconds, as the next four
    wtime: int | None = None
    btime: int | None = None
    winc: int | None = None
    binc: int | None = None
    movestogo: int | None = None
    depth: int | None = None
    mate: int | None = None
    infinite: bool = False
    ponder: bool = False
    searchmoves: tuple[str, ...] = ()
    faults: tuple[str, ...] = field(default=(), compare=False)  # what could not be read

    def is_endless(self, white: bool) -> bool:
        """Whether the search of a side goes on until it is told to stop."""
        clock = self.wtime if white else self.btime
        ends = (self.nodes, self.movetime, self.depth, self.mate, clock)
        return self.infinite or self.ponder or all(limit is None for limit in ends)


def read_limits(words: Sequence[str]) -> Limits:
    """Read the words behind ``go``; those that mean nothing are passed over, as UCI wants it."""
    found: dict[str, int | bool] = {}
    searchmoves: list[str] = []
    faults: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word in _FLAGS:
            found[word] = True
        elif word in _NUMBERS:
            text = words[place] if place < len(words) else ""
            number = whole_number(text)
            if number is None:
                faults.append(f"go {word}: {text!r} is not a whole number")
                place += text not in _WORDS
                continue
            found[word] = number
            place += 1
        elif word == "searchmoves":
            while place < len(words) and words[place] not in _WORDS:
                searchmoves.append(words[place])
                place += 1
    return Limits(**found, searchmoves=tuple(searchmoves), faults=tuple(faults))  # type: ignore[arg-type]


def whole_number(text: str) -> int | None:
    """Return a whole number, at most ``MOST`` to either side of 0; None for what is none."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    size = MOST if len(digits.lstrip("0")) > len(str(MOST)) else min(int(digits), MOST)
    return -size if text[0] == "-" else size


def seconds_for_move(limits: Limits, white: bool, overhead: float) -> float | None:
    """How long a side may think about its move, in seconds; None where there is no clock.

    ``overhead`` seconds are kept back for what lies between us and the clock; of ``movetime`` a
    tenth at most. On a clock a move takes its share of the time left and its increment, never more
    than there is: the time is divided among the moves to the next control, or among ``HORIZON``.
    """
    allowed = None
    if limits.movetime is not None:
        moment = max(limits.movetime, 0) / 1000.0
        allowed = moment - min(overhead, OVERHEAD_SHARE * moment)
    clock = limits.wtime if white else limits.btime
    if clock is not None:
        left = max(clock, 0) / 1000.0
        increment = max((limits.winc if white else limits.binc) or 0, 0) / 1000.0
        usable = max(left - overhead, OVERHEAD_SHARE * left)
        moves = min(limits.movestogo or HORIZON, HORIZON) if (limits.movestogo or 0) >= 0 else 1
        share = min(usable / max(moves, 1) + increment, usable)
        allowed = share if allowed is None else min(allowed, share)
    return allowed
