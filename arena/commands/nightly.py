"""``arena nightly``: one night, started by cron, systemd, CI or by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.output import add_output_flags, write_json, write_text
from arena.commands.waiting import add_wait_flag
from arena.commands.watching import add_watching_flags, watching

if TYPE_CHECKING:
    from arena.config import MatchConfig
    from arena.match import Ending
    from arena.nightly.playing import PlayMatch

EXIT_CODES = {"promote": 0, "keep": 1, "undecided": 3, None: 4}
"""By the verdict, None where there was nothing new to judge."""

DESCRIPTION = """\
Find the newest net of a training run, build its average with batch norm
refreshed, let it play the champion, decide, promote, report, remember. Does
once what is due and ends; what was interrupted goes on where it was.
"""

EXAMPLES = """\
exit codes:
  0    promoted: there is a new champion
  1    kept: the net did not pass
  2    did not run: bad settings, another call at work, an error
  3    undecided: the limit of pairs came first, or something speaks against a
       verdict
  4    nothing new to judge
  130  interrupted; the same command goes on
With --exit-zero all but 2 and 130 are 0. On stdout is one line, for a mail.

examples:
  arena nightly nightly.toml
  arena nightly nightly.toml --dry-run
  arena nightly nightly.toml 2>> nightly.log
  arena nightly nightly.toml --wait 3600 --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; all that decides a night stands in its file."""
    parser = commands.add_parser(
        "nightly",
        help="judge the newest net of a training run, and promote it if it is better",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "config", type=Path, metavar="CONFIG.toml", help="settings; docs/nightly.md explains them"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and write nothing"
    )
    add_wait_flag(parser)
    parser.add_argument(
        "--abandon",
        action="store_true",
        help="give up the night that was interrupted, with what it had found, and begin anew",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="judge the newest net even if it was judged before: each test errs with its alpha",
    )
    parser.add_argument(
        "--exit-zero",
        action="store_true",
        help="end with 0 whatever was decided, for schedulers that take all else for a failure",
    )
    add_watching_flags(parser)
    add_output_flags(parser, json_help="the decision as one JSON document on stdout")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Run the night and show what it came to, in one line for a mail's subject."""
    from arena.nightly.night import run_night
    from arena.nightly.reading import read_nightly
    from arena.nightly.telling import nothing_document, outcome_line
    from arena.report.characters import printable

    settings = read_nightly(arguments.config)
    if arguments.dry_run:
        from arena.nightly.rehearsal import rehearse

        write_text(list(rehearse(settings, again=arguments.again)))
        return 0

    def tell(line: str) -> None:
        if not arguments.quiet:
            sys.stderr.write(f"{printable(line)}\n")
            sys.stderr.flush()

    try:
        outcome = run_night(
            settings,
            _player(arguments, tell),
            tell,
            wait=arguments.wait,
            abandon=arguments.abandon,
            again=arguments.again,
        )
    except KeyboardInterrupt:
        tell("stopped; the same command goes on")
        raise
    document = (
        nothing_document(outcome.nothing or "", outcome.champion)
        if outcome.decision is None
        else outcome.decision.document
    )
    if arguments.json:
        write_json(document)
    elif not arguments.quiet:
        write_text([printable(f"arena nightly: {outcome_line(document)}")])
    return 0 if arguments.exit_zero else EXIT_CODES[document["verdict"]]


def _player(arguments: argparse.Namespace, tell: Callable[[str], None]) -> PlayMatch:
    """What plays the night's matches; loaded when the first of them begins."""

    def play(match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        from arena.console import COMPILING, SilentProgress
        from arena.run import play as play_match

        show, note = watching(arguments)

        def note_compiling(line: str) -> None:
            if line == COMPILING:
                note(line)

        command = ["arena", *arguments.words]
        if report:
            played = play_match(match, command, show, note, folder)
        else:  # a race goes on with the same matches round after round: no word of each
            silent = SilentProgress()
            played = play_match(
                match, command, lambda *_: silent, note_compiling, folder, report=False
            )
        if isinstance(played.trouble, KeyboardInterrupt):
            raise played.trouble
        if played.trouble is not None:  # the games count; a report can be made later
            tell(f"{folder}: its report is not whole: {played.trouble}")
        return played.ending

    return play
