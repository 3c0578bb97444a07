"""How a match that a command plays is shown: progress and notes on stderr."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena.run import ProgressOf

REPORT_EVERY = 50
"""Pairs between two blocks where the output is no terminal."""


def add_watching_flags(group: argparse._ActionsContainer) -> None:
    """Add ``--report-every``."""
    group.add_argument(
        "--report-every",
        type=positive,
        default=REPORT_EVERY,
        metavar="PAIRS",
        help="pairs between two blocks of figures where stderr is no terminal "
        f"(default: {REPORT_EVERY})",
    )


def positive(text: str) -> int:
    """Read a count of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def watching(arguments: argparse.Namespace) -> tuple[ProgressOf, Callable[[str], None]]:
    """Return what shows a match, and what takes single lines about its beginning."""
    from arena.console import PaceSource, Progress, progress, write_lines
    from arena.report.block import Heading

    def note(line: str) -> None:
        if not arguments.quiet:
            write_lines([line], sys.stderr)

    def show(heading: Heading, pace: PaceSource) -> Progress:
        return progress(
            heading,
            pace,
            report_every=arguments.report_every,
            quiet=arguments.quiet,
            stream=sys.stderr,
        )

    return show, note


def say_how_to_go_on(why: str, command: Sequence[str]) -> None:
    """Show the command that goes on with a match."""
    from arena.console import write_lines

    write_lines([f"{why}. To go on:", f"  {shlex.join(command)}"], sys.stderr)
