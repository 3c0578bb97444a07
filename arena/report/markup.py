"""Markdown as GitHub reads it: text that stays text, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"([\\`*_|~#]|\](?=\())")
"""What begins or ends markup; a bracket only does where a link's target follows."""

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
"""HTML, and the sign by which GitHub would notify a stranger."""


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, HTML or table cell comes of it."""
    return escape_within(text).strip()


def escape_within(text: str) -> str:
    """Return part of a text as ``escape`` does, with the spaces at its ends."""
    text = SPECIAL.sub(r"\\\1", "".join(c if c.isprintable() else " " for c in text))
    return "".join(ENTITIES.get(c, c) for c in text)


def table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay out a table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
