"""``arena``: the command line and its exit codes.

Heavy modules (torch, numba, scipy) are imported by a command when it runs, so that ``--help``
answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from arena.commands import (
    analyze,
    bench,
    doctor,
    gate,
    import_pgn,
    merge,
    nightly,
    plan,
    ratings,
    registry,
    report,
    run,
    selfplay,
    sprt,
    uci,
)
from swa.command_line import Parser, ShowVersion, run_command

COMMANDS = (
    run,
    gate,
    nightly,
    report,
    merge,
    ratings,
    registry,
    plan,
    analyze,
    import_pgn,
    selfplay,
    uci,
    bench,
    doctor,
    sprt,
)

EPILOG = """\
exit codes:
  0    finished
  2    could not: bad usage, bad input, or an internal error
  130  interrupted; a match can be resumed

examples:
  arena run --nets raw.pb.gz swa.pb.gz
  arena gate --nets champion.pb.gz candidate.pb.gz
  arena report reports/swa-vs-raw-1
  arena sprt 11 240 560 297 14 --elo0 0 --elo1 10
  arena plan --elo0 0 --elo1 10 --draw-rate 0.5
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Build the parser of all commands; ``execute`` of the parsed namespace runs the chosen one."""
    parser = Parser(
        prog="arena",
        description="Play nets of Leela Chess Zero against each other and say which is stronger.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    for command_parser in commands.choices.values():
        command_parser.set_defaults(parser=command_parser)
    return parser
