"""``swa``: nets from the command line.

Each command parses, calls the library and prints; what it needs is imported after parsing, so that
``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from swa.command_line import Parser, ShowVersion, run_command
from swa.commands import average, build, convert, eval, inspect, latest, train

COMMANDS = (train, average, build, convert, eval, inspect, latest)

EPILOG = """\
exit codes:
  0    finished
  2    could not: bad usage, bad input, or an internal error

examples:
  swa inspect maia-1500.pb.gz
  swa eval maia-1500.pb.gz maia-1900.pb.gz --data games/
  swa average run-100000.pb.gz run-110000.pb.gz run-120000.pb.gz -o mean.pb.gz
  swa build --nets run-1*0000.pb.gz --data games/ -o swa.pb.gz
  swa convert mean.pb.gz mean-exact.pb.gz --encoding float32
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0, or 2 for input that cannot be used."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Build the parser of all commands; ``execute`` of the parsed namespace runs the chosen one."""
    parser = Parser(
        prog="swa",
        description="Nets of Leela Chess Zero: average, evaluate, convert and look into them.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    for command_parser in commands.choices.values():
        command_parser.set_defaults(parser=command_parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
