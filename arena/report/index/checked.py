"""Values that came out of a file which anybody may have written, checked before they are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

MOST = 2**53
"""Of a count: a float has every number up to it."""


def moment(text: str | None) -> str | None:
    """Return a time as ISO 8601 in UTC, or None where it is none."""
    try:
        when = datetime.fromisoformat(text or "")
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return when.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return None


def mapping(value: object) -> dict[str, Any]:
    """Return an object that came out of a file. TypeError where it is none."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def one_of(value: object, known: Sequence[str]) -> str:
    """Return a word that came out of a file. ValueError where it is none of those known."""
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def finite(value: object) -> float | None:
    """Return a number that came out of a file, or None for null. ValueError for all else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    if not abs(value) <= sys.float_info.max:
        raise ValueError(f"{value!r:.40} is not a finite number")
    return float(value)


def count_of(value: object) -> int:
    """Return a whole number from 0 that came out of a file. ValueError for all else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise ValueError(f"{value!r:.40} is not a count")
    return value
