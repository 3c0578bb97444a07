"""Names from outside as they can be shown: no character of them does anything."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return one line without control characters, which could rewrite a terminal or a table."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
