"""``arena import-pgn``: training records from games that were played elsewhere."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.commands.output import add_output_flags, write_json, write_text
from swa.command_line import whole_number

if TYPE_CHECKING:
    from arena.pgn_game import Date, Filters
    from arena.pgn_import import Counts, Progress

RESULTS = ("1-0", "0-1", "1/2-1/2")

LIVE_SECONDS, LOG_SECONDS = 0.5, 10.0
"""Between two lines of progress: on a terminal, where the line is redrawn, and elsewhere."""

MOST_WORKERS = 8
"""Unless asked for: more than this wait for the one process that splits files and writes games."""

EXAMPLES = """\
A position's target is the move that was played, as in Maia's training: 1 for
it, 0 for the other legal ones, -1 for the rest; q and d are the game's result,
plies-left its length. Moves with the comment {book} are not learned. Games that
are broken (an illegal move, no result) are counted and left out. DIR gets a
.gz of V6 records a game, a folder for every thousand, and import.json.

exit codes:
  0    finished; broken games or damaged files may have been left out
  2    could not, or there was nothing to import
  130  interrupted: DIR holds whole games, but no import.json

examples:
  arena import-pgn masters.pgn.gz --out records/ --min-elo 2500
  arena import-pgn reports/run-1/games.pgn --out records/
  arena import-pgn *.pgn --out records/ --min-plies 20 --max-games 100000
  zstd -dc lichess.pgn.zst | arena import-pgn - --out records/ --min-elo 1800 \\
    --max-elo 2000 --min-clock 180 --skip-plies 10
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "import-pgn",
        help="training records from games in PGN",
        description="Turn games of people or engines into lc0's training records (V6).",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="games in PGN, plain or packed (gzip, bzip2, xz, zip); - for stdin",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the records"
    )
    _add_filters(parser)
    speed = parser.add_argument_group("speed")
    speed.add_argument(
        "--workers",
        type=whole_number,
        metavar="N",
        help="processes; the records do not depend on it (default: one a core, at most "
        f"{MOST_WORKERS})",
    )
    output = parser.add_argument_group("output")
    add_output_flags(output, json_help="counts and rates on stdout, as one JSON document")
    parser.set_defaults(execute=execute)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "filters", "A game that does not say what a filter asks for is left out."
    )
    group.add_argument(
        "--min-elo", type=whole_number, metavar="ELO", help="lowest rating of a player"
    )
    group.add_argument(
        "--max-elo", type=whole_number, metavar="ELO", help="highest rating of a player"
    )
    group.add_argument(
        "--elo-of",
        choices=("both", "either"),
        default="both",
        help="players whose rating has to be within these (default: both)",
    )
    group.add_argument(
        "--min-plies", type=whole_number, default=1, metavar="N", help="shortest game (default: 1)"
    )
    group.add_argument("--max-plies", type=whole_number, metavar="N", help="longest game")
    group.add_argument(
        "--results",
        choices=RESULTS,
        nargs="+",
        default=RESULTS,
        metavar="RESULT",
        help="1-0, 0-1, 1/2-1/2 (default: all)",
    )
    group.add_argument("--since", type=_date, metavar="DATE", help="2013, 2013-06 or 2013-06-30")
    group.add_argument("--until", type=_date, metavar="DATE", help="likewise, and included")
    group.add_argument(
        "--min-clock",
        type=whole_number,
        metavar="SECONDS",
        help="shortest time for 40 moves of a player, increments included; 180 leaves out bullet",
    )
    group.add_argument(
        "--skip-plies",
        type=_not_negative,
        default=0,
        metavar="N",
        help="moves at a game's beginning that are not learned, but seen as history (default: 0)",
    )
    group.add_argument("--max-games", type=whole_number, metavar="N", help="stop after so many")


def _not_negative(word: str) -> int:
    return whole_number(word, 0)


def _date(text: str) -> Date:
    from datetime import date

    parts = text.replace(".", "-").split("-")
    try:
        numbers = tuple(map(int, parts))
        date(*numbers, *(1,) * (3 - len(numbers)))
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date; write 2013, 2013-06 or 2013-06-30"
        ) from None
    return numbers


def execute(arguments: argparse.Namespace) -> int:
    """Import and tell."""
    for what in ("elo", "plies"):
        low, high = getattr(arguments, f"min_{what}"), getattr(arguments, f"max_{what}")
        if low is not None and high is not None and low > high:
            arguments.parser.error(f"--min-{what} {low} is above --max-{what} {high}")
    from arena.pgn_game import is_before
    from arena.pgn_import import import_games
    from swa.cores import usable_cores

    if is_before(arguments.until, arguments.since):
        arguments.parser.error("--since is after --until")
    began = time.monotonic()
    with _progress(arguments) as notify:
        counts = import_games(
            arguments.files,
            arguments.out,
            _filters(arguments),
            max_games=arguments.max_games,
            workers=arguments.workers or min(usable_cores(), MOST_WORKERS),
            notify=notify,
        )
    seconds = time.monotonic() - began
    if arguments.json:
        write_json(_document(counts, arguments.out, seconds))
    elif not arguments.quiet:
        write_text(_lines(counts, arguments.out, seconds))
    return 0


def _filters(arguments: argparse.Namespace) -> Filters:
    from dataclasses import fields

    from arena.pgn_game import Filters

    given = {setting.name: getattr(arguments, setting.name) for setting in fields(Filters)}
    return Filters(**given | {"results": tuple(arguments.results)})


@contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Callable[[Progress], None]]:
    """Say on stderr how far it is: in place on a terminal, else a line now and then."""
    terminal = sys.stderr.isatty()
    shown = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        if arguments.quiet or now - shown < (LIVE_SECONDS if terminal else LOG_SECONDS):
            return
        shown = now
        line = _progress_line(progress)
        sys.stderr.write(f"\r\033[K{line}" if terminal else f"{line}\n")
        sys.stderr.flush()

    def clear() -> None:
        if terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    try:
        yield show
    except KeyboardInterrupt:
        clear()
        if arguments.out.exists():
            sys.stderr.write(
                f"what is in {arguments.out} are whole games; remove it to import anew\n"
            )
        raise
    clear()


def _progress_line(progress: Progress) -> str:
    from arena.console import duration

    counts, share = progress.counts, 0.0
    parts = [f"{counts.games:,} games", f"{counts.positions:,} positions"]
    if left_out := counts.seen - counts.games:
        parts.append(f"{left_out:,} left out")
    parts.append(f"{counts.games / max(progress.seconds, 1e-9):,.0f} games/s")
    if progress.size:
        share = min(progress.read / progress.size, 1.0)
        parts.append(f"{share:.0%}")
    if share > 0:
        parts.append(f"ETA {duration(progress.seconds * (1 - share) / share)}")
    return ", ".join(parts)


def _document(counts: Counts, out: Path, seconds: float) -> dict[str, Any]:
    from arena.pgn_import import counts_json

    return {
        "out": str(out),
        **counts_json(counts),
        "seconds": round(seconds, 3),
        "games_per_second": round(counts.games / seconds, 1),
        "positions_per_second": round(counts.positions / seconds, 1),
    }


def _lines(counts: Counts, out: Path, seconds: float) -> list[str]:
    lines = [
        f"{counts.games:,} games, {counts.positions:,} positions in {seconds:.1f} s "
        f"({counts.games / seconds:,.0f} games/s, {counts.positions / seconds:,.0f} positions/s)"
    ]
    for title, reasons in (("Unwanted", counts.unwanted), ("Broken", counts.broken)):
        if reasons:
            told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
            lines.append(f"{title}: {told}")
            lines += [
                f"  {counts.examples[reason]}" for reason in reasons if reason in counts.examples
            ]
    lines += [f"Damaged: {where}" for where in counts.damaged]
    return [*lines, f"Records: {out}"]
