"""``arena ratings``: the ratings of all nets that played in a number of run folders."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from arena.commands.output import add_output_flags, write_json, write_text

PRIOR_PAIRS = 1.0

EXAMPLES = """\
A folder may be a run folder or have any number of them in it. A net is known by
its file's sha256; of two nets of one name, each is shown as NAME@SHA256.

examples:
  arena ratings reports/night-1 reports/night-2
  arena ratings reports/tournament --anchor raw=0 --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "ratings",
        help="ratings of all nets in several run folders",
        description="Fit ratings to all counted pairs of several matches at once, with intervals "
        "from whole pairs, and test whether one number a net explains them.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="RUN_DIR",
        help="a run folder, or a folder of run folders",
    )
    parser.add_argument(
        "--anchor",
        type=_anchor,
        action="append",
        default=[],
        metavar="NET=ELO",
        help="a net whose Elo is given, by name or sha256; may be repeated (default: the mean of "
        "all is 0)",
    )
    parser.add_argument(
        "--prior",
        type=_not_negative,
        default=PRIOR_PAIRS,
        metavar="PAIRS",
        help="drawn pairs of each net against the field, which keep the rating of one that won "
        f"everything finite; 0 for none (default: {PRIOR_PAIRS:g})",
    )
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="take folders with different visits, search, dtype or book all the same",
    )
    add_output_flags(parser, json_help="one JSON document on stdout")
    parser.set_defaults(execute=execute)


def _anchor(text: str) -> tuple[str, float]:
    name, _, elo = text.rpartition("=")  # a name may have "=" in it
    try:
        value = float(elo)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NET=ELO, such as raw=0")
    return name, value


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 0 or more")
    return value


def execute(arguments: argparse.Namespace) -> int:
    """Read, rate and show."""
    from arena.config import ConfigError

    anchors = dict(arguments.anchor)
    if len(anchors) != len(arguments.anchor):
        raise ConfigError("--anchor: a net is named twice")

    from arena.report.ratings.field import rate_field, read_field
    from arena.report.ratings.table import document_of, ratings_lines

    field = read_field(arguments.folders)
    ratings = rate_field(field, prior_pairs=arguments.prior, anchors=anchors, mixed=arguments.mixed)
    document = document_of(field, ratings)
    if arguments.json:
        write_json(document)
    elif not arguments.quiet:
        write_text(ratings_lines(document))
    return 0
