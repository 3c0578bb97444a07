"""``--wait``: how long a command waits for another one at work in the same home."""

from __future__ import annotations

import argparse

FOREVER = "forever"


def add_wait_flag(parser: argparse._ActionsContainer) -> None:
    """Add ``--wait``; None stands for as long as it takes."""
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help=f"wait so long for another call that is at work, or {FOREVER} (default: 0: say so "
        "and end with 2)",
    )


def _seconds(text: str) -> float | None:
    if text == FOREVER:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds
