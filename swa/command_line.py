"""What the commands of both packages have in common: how they parse, help and fail.

Exit codes are read by scripts: Python leaves with 1 where an exception escapes, and argparse shows
a screenful of usage above its one line of error. Here a command that could not do its work leaves
with 2 and says in one to three lines what is wrong, why, and what to do; a traceback is shown to
those who ask for one.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

BAD_INPUT = 2
"""Exit code of a command that could not do its work."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit code after Ctrl-C, as shells have it."""

DISTRIBUTION = "swa-arena"

PACKAGES = ("arena", "swa")
"""Their own exceptions carry a text for the user."""

LONGEST_REASON = 300
"""Characters that are shown of an unforeseen error; a compiler's can be pages long."""


_MOST_DIGITS = 1000  # Python itself refuses 4300 of them


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines, and which tells the option that was probably meant.

    Flags are not to be abbreviated: a script that does so breaks when another flag is added.
    """

    def __init__(self, **settings: Any):
        settings.setdefault("formatter_class", _Help)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Say it in two lines and exit."""
        sys.stderr.write(f"error: {message}\n  try: {self.prog} --help\n")
        sys.exit(BAD_INPUT)

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Say that there are no such options or arguments, and exit."""
        flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
        close = difflib.get_close_matches(words[0].partition("=")[0], flags, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")


class _Help(argparse.HelpFormatter):
    """Wraps what is one paragraph; what has line breaks of its own keeps them."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text.splitlines(keepends=True))


class ShowVersion(argparse.Action):
    """``--version``, looked up only when asked for: that takes longer than all of ``--help``."""

    def __init__(self, option_strings: Sequence[str], dest: str):
        super().__init__(
            option_strings,
            argparse.SUPPRESS,
            nargs=0,
            default=argparse.SUPPRESS,
            help="show the program's version and exit",
        )

    def __call__(self, parser: argparse.ArgumentParser, *parsed: object) -> NoReturn:
        """Show it and exit."""
        from importlib.metadata import version

        sys.stdout.write(f"{parser.prog} {version(DISTRIBUTION)}\n")
        sys.exit(0)


def run_command(make_parser: Callable[[], Parser], argv: Sequence[str] | None) -> int:
    """Parse and run one command; returns its exit code and raises nothing.

    The parsed namespace must have ``execute``, which takes it and returns the exit code, and
    ``parser``, that of the command; it may have ``verbose``. ``words`` is added: the command line
    without the program's name.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    verbose = False
    try:
        arguments, unknown = make_parser().parse_known_args(words, argparse.Namespace(words=words))
        if unknown:
            arguments.parser.refuse(unknown)
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
            _write_traceback(error)
        with contextlib.suppress(OSError):  # stderr may be gone or full as well
            sys.stderr.write(message_of(error, verbose) + "\n")
        return BAD_INPUT


def whole_number(word: str, lowest: int = 1) -> int:
    """A flag's value as a whole number, for argparse. Raises ArgumentTypeError below ``lowest``."""
    is_number = word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS
    if not is_number or int(word) < lowest:
        raise argparse.ArgumentTypeError(f"{word[:40]!r} is no whole number from {lowest}")
    return int(word)


def message_of(error: Exception, verbose: bool) -> str:
    """Return one to three lines: what, why, what to do."""
    if type(error).__module__.split(".")[0] in PACKAGES:
        first, *rest = str(error).splitlines() or [type(error).__name__]
        return "\n".join([f"error: {first}", *(f"  {line.strip()}" for line in rest)])
    reason = textwrap.shorten(str(error), LONGEST_REASON, placeholder=" ...")
    if isinstance(error, OSError) and error.strerror is not None:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"error: {where}{error.strerror.lower()}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        advice = "Ask for less at a time: games in flight, visits, or a smaller net."
        return f"error: not enough memory: {reason or 'none is left'}\n  {advice}"
    advice = "please report it" if verbose else "run again with -v for the traceback; please report"
    return f"error: internal: {type(error).__name__}: {reason}\n  {advice}"


def _write_traceback(error: Exception) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)
