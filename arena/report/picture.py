"""A picture of a report: what it says in words, its table, and how matplotlib draws it.

It is that of ``swa``, whose nets have pictures too: colours and style are the same in all.
"""

from __future__ import annotations

from swa.picture import (
    BASELINE,
    CANDIDATE,
    DPI,
    INK,
    LINE,
    MUTED,
    PAPER,
    STYLE,
    VARIABLES,
    Picture,
    drawn,
    png,
    svg,
    write_png,
)

__all__ = [
    "BASELINE",
    "CANDIDATE",
    "DPI",
    "INK",
    "LINE",
    "MUTED",
    "PAPER",
    "STYLE",
    "VARIABLES",
    "Picture",
    "drawn",
    "png",
    "svg",
    "write_png",
]
