"""``arena uci``: a net as a UCI engine, for GUIs, fastchess and cutechess."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from importlib.metadata import version
from typing import TYPE_CHECKING, BinaryIO

from arena.commands.nets import NET_HELP, take_player
from arena.config import SearchParams
from arena.options import add_flags, load_config, whole_number
from swa.command_line import BAD_INPUT, DISTRIBUTION

if TYPE_CHECKING:
    from arena.evaluator import Evaluator
    from arena.uci.options import Settings
    from arena.uci.search import Searcher

LONGEST_LINE = 1 << 20
"""Bytes; what is longer is nonsense. A game of 10,000 moves has 50,000."""

COMPILES_SECONDS = 5.0
"""What takes longer to start is being compiled."""

VISITS = (
    "end each search there that is not infinite and has no nodes of its own (default: no limit)"
)

EXAMPLES = """\
examples:
  arena uci --net swa.pb.gz
  arena uci --net swa.pb.gz --visits 800
  fastchess -engine cmd=arena args="uci --net swa.pb.gz" name=swa nodes=800 ...
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; the search's settings are those of ``SearchParams``."""
    parser = commands.add_parser(
        "uci",
        help="a net as a UCI engine",
        description="Play as an engine that speaks UCI on stdin and stdout. The settings of the "
        "search are the defaults of its options, which have lc0's names; one leaf is evaluated at "
        "a time, so that nodes mean what visits mean in arena run.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--net", required=True, metavar="NET", help=NET_HELP)
    parser.add_argument(
        "--seed",
        type=whole_number,
        metavar="NUMBER",
        help="of what is left to chance, by --temperature and noise (default: another each time)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="where the net runs (default: auto)",
    )
    parser.add_argument(
        "--evaluator",
        choices=("auto", "torch", "winograd"),
        default="auto",
        help="what computes it (default: auto: winograd on a CPU where it can, else torch)",
    )
    add_flags(parser, SearchParams)
    parser._option_string_actions["--visits"].help = VISITS
    parser.add_argument("-q", "--quiet", action="store_true", help="show errors only")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an error"
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Load the net, then answer until ``quit`` or the end of the input."""
    from arena.evaluator import choose_evaluator, make_evaluator
    from arena.uci.session import Session
    from swa.net import load_net

    settings = take_settings(arguments)
    player = take_player(arguments.net, quiet=arguments.quiet)
    net = load_net(player.path, **player.reading.asked)
    choice = choose_evaluator(net.spec, arguments.evaluator, arguments.device)
    seed = secrets.randbits(63) if arguments.seed is None else arguments.seed
    searcher = in_the_making(make_evaluator(net, choice), seed)
    if not arguments.quiet:
        tell_if_it_takes_long(searcher)
    name = f"swa-arena {version(DISTRIBUTION)} {net.name}"
    Session(name, searcher, write_line, settings).run(lines_of(sys.stdin.buffer))
    sys.stdout.flush()
    if not searcher.done():  # a compiler at work would make the interpreter's end wait, or crash
        os._exit(0)
    return 0


def take_settings(arguments: argparse.Namespace) -> Settings:
    """The settings to begin with; a limit of visits only where the command line has one.

    A configuration file's is that of matches: an engine is told by ``go`` how long to search.
    """
    from arena.uci.options import Settings

    visits = getattr(arguments, "visits", 0)
    return Settings(search=load_config(SearchParams, arguments), visits=visits)


def in_the_making(evaluator: Evaluator, seed: int) -> Future[Searcher]:
    """Make the searcher on a thread of its own: the first one waits for a compiler, GUIs do not."""
    made: Future[Searcher] = Future()

    def make() -> None:
        from arena.uci.search import warmed_up

        try:
            made.set_result(warmed_up(evaluator, seed))
        except BaseException as error:  # raised again where the searcher is asked for
            made.set_exception(error)

    threading.Thread(target=make, daemon=True).start()
    return made


def tell_if_it_takes_long(searcher: Future[Searcher]) -> None:
    """Say on stderr what is waited for, if anything."""

    def tell() -> None:
        if not searcher.done():
            sys.stderr.write("the search is being compiled, which it is once: up to a minute\n")

    timer = threading.Timer(COMPILES_SECONDS, tell)
    timer.daemon = True
    timer.start()


def lines_of(stream: BinaryIO) -> Iterator[str]:
    """Yield lines, whatever bytes they consist of; of one that is too long only that it is."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line.decode("utf-8", "backslashreplace")
            continue
        while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        yield f"(a-line-of-more-than-{LONGEST_LINE}-bytes)"


def write_line(line: str) -> None:
    """Write a line to stdout at once; where nobody reads any more, leave."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        # On whatever thread this is, the other one waits for input that may never end.
        os._exit(BAD_INPUT)
