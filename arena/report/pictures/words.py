"""What pictures and their tables say: names that fit, intervals, and a few rows out of many."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from arena.report.block import number, percent
from arena.report.characters import printable
from arena.report.schema import Summary

T = TypeVar("T")

MOST_ROWS = 12
"""Of a curve's table; summary.json has all points."""


def baseline_name(summary: Summary, width: int) -> str:
    """Return the baseline's name, at most so many letters wide."""
    return short(summary["nets"][0]["name"], width)


def candidate_name(summary: Summary, width: int) -> str:
    """Return the candidate's name, at most so many letters wide."""
    return short(summary["nets"][-1]["name"], width)


def short(text: str, width: int) -> str:
    """Return one printable line; of a longer one the middle goes, as names differ at their ends.

    ``width`` is in small Latin letters.
    """
    text = printable(text) or "-"
    if _width(text) <= width:
        return text
    end = _beginning(text[::-1], (width - 1) / 2)[::-1]
    return f"{_beginning(text, width - 1 - _width(end))}…{end}"


def interval(ends: Sequence[float | None] | None) -> str:
    """``-3.10 to 22.62``; an end that does not exist is ``n/a``."""
    return "n/a" if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def percent_interval(ends: Sequence[float] | None) -> str:
    """``41.20 % to 60.14 %``, or ``n/a``."""
    return "n/a" if ends is None else f"{percent(ends[0])} to {percent(ends[1])}"


def some(items: Sequence[T], most: int = MOST_ROWS) -> list[T]:
    """Return at most so many of the items, evenly spaced, the last always."""
    if len(items) <= most:
        return list(items)
    return [items[(place * len(items)) // most - 1] for place in range(1, most + 1)]


def _width(text: str) -> float:
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    """About, in a font without serifs."""
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return 2.0
    if letter in "MWmw@%":
        return 1.6
    return 1.2 if letter.isupper() else 1.0


def _beginning(text: str, width: float) -> str:
    kept = ""
    for letter in text:
        width -= _letter_width(letter)
        if width < 0:
            break
        kept += letter
    return kept
