"""Figures as the pages of many matches show them: short, and with their sign."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_LABEL = 24
"""Characters of a name in a picture."""


def signed(value: float | None) -> str:
    """``+12.3`` or ``−4.5``, ``n/a`` for None."""
    if value is None:
        return "n/a"
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if float(f"{value:.1f}") == 0 else text


def bounds(interval: Sequence[float | None] | None) -> str:
    """``[+2.1, +22.4]``; nothing where there is no interval."""
    return "" if interval is None else f"[{', '.join(map(signed, interval))}]"


def day(moment: str | None) -> str:
    """Return the date of an ISO 8601 time."""
    return "n/a" if moment is None else moment[:10]


def minute(moment: str | None) -> str:
    """Return hours and minutes of an ISO 8601 time, if it has some."""
    return "" if moment is None else moment[11:16]


def short(name: str) -> str:
    """Cut a name that is too long for a picture in its middle, where names differ least."""
    if len(name) <= LONGEST_LABEL:
        return name
    half = LONGEST_LABEL // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def matches_in(number: int) -> str:
    """Return ``1 match`` or ``1,234 matches``."""
    return f"{number:,} {'match' if number == 1 else 'matches'}"
