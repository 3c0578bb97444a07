"""``arena``: the command line, its exit codes and what a user sees when something goes wrong.

Exit codes are read by scripts, and 1 means "rejected" where a verdict is asked for; an exception
that escaped would exit with 1. So ``main`` catches everything: what the project itself raises is
written for the user and shown as it is, anything else is a fault of ours and says so.

Heavy modules (torch, numba, scipy) are imported by a command when it runs, so that ``--help``
answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from arena.commands import analyze, bench, doctor, report, run, sprt

COMMANDS = (run, report, analyze, bench, doctor, sprt)

BAD_INPUT = 2
"""Exit code where a command could not do its work."""

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""

EPILOG = """\
exit codes:
  0    finished
  2    could not: bad usage, bad input, or an internal error
  130  interrupted; a match can be resumed

examples:
  arena run --nets raw.pb.gz swa.pb.gz
  arena report reports/swa-vs-raw-1
  arena sprt 11 240 560 297 14 --elo0 0 --elo1 10
"""


class Parser(argparse.ArgumentParser):
    """Errors in the manner of the other errors: what is wrong, and where to look."""

    def error(self, message: str) -> NoReturn:
        """Say it in two lines and exit."""
        sys.stderr.write(f"error: {message}\n  try: {self.prog} --help\n")
        sys.exit(BAD_INPUT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing."""
    words = sys.argv[1:] if argv is None else list(argv)
    verbose = False
    try:
        arguments = build_parser().parse_args(words, argparse.Namespace(words=words))
        verbose = arguments.verbose
        code = int(arguments.execute(arguments))
        sys.stdout.flush()
        return code
    except SystemExit as leaving:  # argparse: --help, or an error that it has shown
        return leaving.code if isinstance(leaving.code, int) else BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_INPUT
    except Exception as error:
        if verbose:
            write_traceback(error)
        sys.stderr.write(message_of(error, verbose) + "\n")
        return BAD_INPUT


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands; ``execute`` of the parsed namespace runs the chosen one."""
    parser = Parser(
        prog="arena",
        description="Play nets of Leela Chess Zero against each other and say which is stronger.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def message_of(error: Exception, verbose: bool) -> str:
    """Return one to three lines: what, why, what to do."""
    if type(error).__module__.split(".")[0] in ("arena", "swa"):
        # An exception type of the project's own carries a text for the user.
        first, *rest = str(error).splitlines() or [type(error).__name__]
        return "\n".join([f"error: {first}", *(f"  {line}" for line in rest)])
    if isinstance(error, OSError) and error.filename is not None:
        return f"error: {error.filename}: {(error.strerror or str(error)).lower()}"
    advice = "please report it" if verbose else "run again with -v for the traceback; please report"
    return f"error: internal: {type(error).__name__}: {' '.join(str(error).split())}\n  {advice}"


def write_traceback(error: Exception) -> None:
    """Write the traceback."""
    import traceback

    traceback.print_exception(error, file=sys.stderr)
