"""``swa eval``: how good nets are on positions from training records, and how they differ."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swa.command_line import whole_number
from swa.commands.output import add_output_flags, take_nets, write_json, write_text

if TYPE_CHECKING:
    from swa.batches import Batch, BatchCounts
    from swa.chunks import ReadCounts

EXAMPLES = """\
examples:
  swa eval maia-1500.pb.gz --data games/
  swa eval raw.pb.gz swa.pb.gz --data held-out/ more.tar --plot losses.png
  swa eval a.pb.gz b.pb.gz --data games/ --every 32 --positions 100000 --json

An interval is from drawing whole games anew, 10,000 times: positions of one
game are alike. Differences of 0.001 nats take some 100,000 positions to show.
"""

PLOT_FORMATS = (".png", ".svg", ".pdf")

SEED = 0
"""Of the draws: the same data gives the same intervals."""

SECONDS_BETWEEN = 0.5  # lines of progress

STARTING = "Starting; a first run compiles for up to a minute ..."


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "eval",
        help="how good nets are on positions from training records",
        description="Evaluate nets on the same positions: losses and accuracy of policy (legal "
        "moves only) and value, calibration, and what every other net differs from the first in, "
        "paired, with 95 % intervals.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "nets",
        metavar="NET",
        nargs="+",
        help=".pb.gz or .pb files, latest:DIR; others compare to the first",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        nargs="+",
        type=Path,
        required=True,
        help="training records, V1 to V7: folders, .gz files of a game each, tars of these",
    )
    parser.add_argument(
        "--positions", metavar="N", type=whole_number, help="take the first N only (default: all)"
    )
    parser.add_argument(
        "--every",
        metavar="K",
        type=whole_number,
        default=1,
        help="take one position in K, the same ones each time, chosen by a hash (default: 1)",
    )
    parser.add_argument(
        "--q-ratio",
        metavar="R",
        type=float,
        default=0.0,
        help="part of the search's verdict in the value's target, 0 to 1, the rest is the game's "
        "result; for cross entropy and MSE (default: 0)",
    )
    parser.add_argument("--plot", metavar="FILE", type=Path, help="a picture: .png, .svg or .pdf")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a picture that is there already, but never a file that is read",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, mps or torch's name (default: auto)"
    )
    parser.add_argument(
        "--evaluator",
        choices=("auto", "winograd", "torch"),
        default="auto",
        help="what computes: winograd on a CPU, torch anywhere (default: auto)",
    )
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Read, evaluate, draw, show."""
    _check(arguments)
    from swa.batches import BatchCounts, read_batches
    from swa.chunks import ReadCounts
    from swa.commands.eval_output import Settings, as_json, names_of, text_lines
    from swa.evaluation import evaluate
    from swa.net import load_net

    nets = [load_net(path) for path in take_nets(arguments.nets)]
    read, counts = ReadCounts(), BatchCounts()
    batches = read_batches(
        arguments.data,
        positions=arguments.positions,
        every=arguments.every,
        read=read,
        counts=counts,
        input_format=nets[0].spec.input_format,
    )
    with _progress() as progress:
        evaluation = evaluate(
            nets,
            _at_least_one(batches, read, counts, arguments),
            q_ratio=arguments.q_ratio,
            device=arguments.device,
            kind=arguments.evaluator,
            seed=SEED,
            progress=progress,
        )
    settings = Settings(
        arguments.data, arguments.q_ratio, arguments.every, arguments.positions, SEED
    )
    if arguments.json:
        write_json(as_json(evaluation, read, counts, settings))
    else:
        write_text(text_lines(evaluation, read, counts, settings))
    if arguments.plot:  # last: where it cannot be written, the figures are not lost
        from swa.evaluation_plot import save_plot

        save_plot(evaluation, names_of(evaluation), arguments.plot)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Errors of usage that argparse does not find."""
    error, plot = arguments.parser.error, arguments.plot
    if not 0 <= arguments.q_ratio <= 1:
        error(f"--q-ratio is from 0 to 1, not {arguments.q_ratio}")
    if plot:
        if plot.suffix.lower() not in PLOT_FORMATS:
            error(f"--plot {plot}: name it {', '.join(PLOT_FORMATS)}")
        if plot.is_dir() or not plot.parent.is_dir():
            error(f"--plot {plot}: there is no such folder, or it is one itself")
        if plot.exists():
            _check_replaced(arguments, plot)


def _check_replaced(arguments: argparse.Namespace, plot: Path) -> None:
    """Error of usage where a file is not to be replaced, or is one that is read."""
    for path in map(Path, (*arguments.nets, *arguments.data)):
        if path.exists() and plot.samefile(path):
            arguments.parser.error(f"--plot {plot}: is an input: it would be lost")
    if not arguments.overwrite:
        arguments.parser.error(
            f"--plot {plot}: is there already; choose another name, or add --overwrite"
        )


def _at_least_one(
    batches: Iterator[Batch],
    read: ReadCounts,
    counts: BatchCounts,
    arguments: argparse.Namespace,
) -> Iterator[Batch]:
    """The batches; raises RecordError with all that is known where there are none."""
    from swa.records import Damage, RecordError

    first = next(batches, None)
    if first is None:
        lines = ["no positions to evaluate on"]
        if read.skipped or read.records or counts.placeholders:
            lines[0] += f" ({read})"
        lines += [f"{error}".splitlines()[0] for error in list(read.examples.values())[:1]]
        if counts.placeholders:
            lines.append(f"{counts.placeholders:,} positions were never searched")
        where = ", ".join(map(str, arguments.data[:3]))
        if read.records and arguments.every > 1:
            lines.append(f"None is taken with --every {arguments.every}: make it smaller.")
        lines.append("Give .gz files of training records, folders or tars of them.")
        raise RecordError(Damage.NOT_RECORDS, "\n".join(lines[:3]), path=where)
    return itertools.chain([first], batches)


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """Show on a terminal how far it is, on one line that is empty in the end."""
    if not sys.stderr.isatty():
        yield None
        return
    shown = 0.0

    def write(line: str) -> None:
        sys.stderr.write(f"\r{line:<{len(STARTING)}}")
        sys.stderr.flush()

    def show(done: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > SECONDS_BETWEEN:
            shown = time.monotonic()
            write(f"{done:,} positions")

    write(STARTING)
    try:
        yield show
    finally:
        write("")
        sys.stderr.write("\r")
