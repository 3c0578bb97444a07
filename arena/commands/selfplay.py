"""``arena selfplay``: games of a net against itself, as training records."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.commands.nets import newest
from arena.commands.output import add_output_flags, write_json, write_text
from arena.options import add_flags, load_config
from arena.selfplay_config import SelfplayConfig

if TYPE_CHECKING:
    from arena.selfplay import Progress

LIVE_SECONDS, LOG_SECONDS = 0.5, 10.0
"""Between two lines of progress: on a terminal, where the line is redrawn, and elsewhere."""

EXAMPLES = """\
A position's target is the share of its search's visits; DIR gets a .gz of V6
records a game, as lc0's tools read them, a folder for every thousand. Killed or
interrupted, the same command goes on; with a larger --games it adds to them.
With winograd the games are the same for the same seed, however many at a time.
As in lc0, moves are left to chance all game long unless told otherwise: with
--temp-cutoff-move won games are won, and resignations seldom wrong.

exit codes:
  0    DIR holds all games
  2    could not: bad usage, bad input, or an internal error
  130  interrupted; finished games are kept

examples:
  arena selfplay --net raw.pb.gz --games 1000 --out selfplay/
  arena selfplay --net raw.pb.gz --games 5000 --out selfplay/ --visits 400 \\
    --temperature 0.9 --temp-cutoff-move 60 --temp-endgame 0.6 \\
    --resign-percentage 4 --resign-playthrough 20
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; its settings are those of ``SelfplayConfig``."""
    parser = commands.add_parser(
        "selfplay",
        help="training records from games of a net against itself",
        description="Let a net play against itself with noise and temperature, and write lc0's "
        "training records (V6). Settings of the search are those of lc0 selfplay.",
        epilog=EXAMPLES,
    )
    output = add_flags(parser, SelfplayConfig)["output"]
    add_output_flags(output, json_help="counts and rates on stdout, as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Play and tell."""
    config = load_config(SelfplayConfig, arguments)  # before the imports, which take seconds
    if config.net is not None:
        config = replace(config, net=newest(config.net, quiet=arguments.quiet))

    from arena.selfplay import play_games

    assert config.out is not None
    with _progress(arguments.quiet, config.out) as (notify, note):
        progress = play_games(config, notify, note)
    if arguments.json:
        write_json(_document(progress, config.out))
    elif not arguments.quiet:
        write_text(_lines(progress, config.out))
    return 0


@contextmanager
def _progress(
    quiet: bool, out: Path
) -> Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    """Say on stderr how far it is: in place on a terminal, else a line now and then."""
    terminal = sys.stderr.isatty()
    shown = time.monotonic()

    def clear() -> None:
        if terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def show(progress: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        if quiet or now - shown < (LIVE_SECONDS if terminal else LOG_SECONDS):
            return
        shown = now
        line = _progress_line(progress)
        sys.stderr.write(f"\r\033[K{line}" if terminal else f"{line}\n")
        sys.stderr.flush()

    def note(line: str) -> None:
        if not quiet:
            clear()
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    try:
        yield show, note
    except KeyboardInterrupt:
        clear()
        sys.stderr.write(f"finished games are in {out}; the same command goes on\n")
        raise
    clear()


def _progress_line(progress: Progress) -> str:
    from arena.console import duration

    tally = progress.tally
    played = tally.games - progress.resumed
    parts = [
        f"{tally.games:,}/{progress.games:,} games",
        f"{tally.positions:,} positions",
        f"{60 * played / progress.seconds:,.0f} games/min",
        f"{progress.search.evaluations / progress.seconds:,.0f} evaluations/s",
    ]
    if played:
        left = (progress.games - tally.games) * progress.seconds / played
        parts.append(f"ETA {duration(left)}")
    return ", ".join(parts)


def _document(progress: Progress, out: Path) -> dict[str, Any]:
    played = progress.tally.games - progress.resumed
    return {
        "out": str(out),
        **progress.tally.as_json(),
        "resumed": progress.resumed,
        "seconds": round(progress.seconds, 3),
        "games_per_minute": round(60 * played / progress.seconds, 2),
        "visits": progress.search.visits,
        "evaluations": progress.search.evaluations,
    }


def _lines(progress: Progress, out: Path) -> list[str]:
    tally = progress.tally
    played = tally.games - progress.resumed
    lines = [
        f"{tally.games:,} games, {tally.positions:,} positions: white {tally.white_wins:,}, "
        f"draw {tally.draws:,}, black {tally.black_wins:,}"
    ]
    if played:
        lines.append(
            f"Played now: {played:,} in {progress.seconds:.1f} s "
            f"({60 * played / progress.seconds:,.0f} games/min)"
        )
    if tally.max_length:
        lines.append(f"Stopped for their length: {tally.max_length:,}")
    if tally.resigned or tally.played_through:
        lines.append(f"Resigned: {tally.resigned:,}; played through: {tally.played_through:,}")
    if tally.wrong_share is not None:
        lines.append(
            f"  of these {tally.would_have_resigned:,} would have been resigned, "
            f"{tally.wrong_share:.1%} wrongly ({tally.wrongly_drawn:,} drawn, "
            f"{tally.wrongly_won:,} won)"
        )
    return [*lines, f"Records: {out}"]
