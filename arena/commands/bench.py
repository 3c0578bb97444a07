"""``arena bench``: how fast this machine is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.nets import take_nets
from arena.commands.output import add_output_flags, write_json
from arena.commands.watching import positive
from arena.config import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from arena.bench.figures import (
        BenchConfig,
        DeviceLoad,
        EvaluatorSpeed,
        Figures,
        MatchSpeed,
        Range,
        RefreshSpeed,
        SearchSpeed,
        StartSpeed,
        What,
    )

BENCHMARKS = ("evaluator", "start", "refresh", "search", "device", "match")

DESCRIPTION = """\
Measure how fast this machine is, each figure with the size that it was
measured at.

  evaluator  evaluations/s of a net by winograd and by torch, against a bare
             forward pass by torch; on one core, and on all
  start      seconds until winograd has evaluated a position, compiled anew and
             from the cache, and its memory: 10x128 filters, batches of 256
  refresh    exact refresh of a net's batch norms, against a forward pass
  search     visits/s of search alone: whole games, one thread
  device     how busy search keeps a stand-in for an accelerator, which takes
             5 ms for a batch of 256 positions
  match      visits and pairs of a match between two nets, and where its time
             goes; on a CPU the same match is played on torch too
"""

EXAMPLES = """\
Every figure is the median of five slices, shown with their range. Ratios
compare slices that take turns; other figures suffer from whatever else runs on
the machine. Where onnxruntime and onnx are installed, evaluators are compared
with it as well.

examples:
  arena bench --quick
  arena bench --evaluator --net raw.pb.gz
  arena bench --what search --games 64 1024 --visits 100 100
  arena bench --what match --net raw.pb.gz swa.pb.gz --device cuda --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bench",
        help="how fast nets, search and matches are here",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--what",
        type=benchmarks,
        default=BENCHMARKS,
        metavar="NAME,...",
        help=f"some of {','.join(BENCHMARKS)} (default: all)",
    )
    what.add_argument(
        "--evaluator",
        action="store_const",
        dest="what",
        const=("evaluator",),
        help="short for --what evaluator: takes no name, every kind is timed",
    )
    what.add_argument("stray", nargs="*", help=argparse.SUPPRESS)  # to say so
    what.add_argument(
        "--net",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="NET",
        help="nets to time; the first two play the match, a single one plays itself (default: nets "
        "with random weights; in the match, Maia nets of ARENA_SHARED or ../shared if present)",
    )
    what.add_argument(
        "--quick",
        action="store_true",
        help="shorter slices, no large batch of a large net, nothing compiled anew: within 40 s in "
        "all instead of some eight minutes",
    )
    size = parser.add_argument_group("sizes")
    size.add_argument(
        "--games",
        type=positive,
        nargs="+",
        default=[64, 256],
        metavar="GAMES",
        help="search: games in flight, one number for each number of --visits (default: 64 256)",
    )
    size.add_argument(
        "--visits",
        type=positive,
        nargs="+",
        default=[100, 800],
        metavar="VISITS",
        help="search: visits a move (default: 100 800)",
    )
    size.add_argument(
        "--parallel",
        type=positive,
        default=64,
        metavar="GAMES",
        help="match: games in flight (default: 64)",
    )
    device = parser.add_argument_group("device")
    device.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="where the nets run (default: auto)",
    )
    device.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="numbers that they compute with (default: float32)",
    )
    output = parser.add_argument_group("output")
    add_output_flags(output, json_help="one JSON document on stdout")
    parser.set_defaults(execute=execute)


def benchmarks(text: str) -> tuple[str, ...]:
    """Read names of benchmarks, separated by commas."""
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(BENCHMARKS)}")
    return names


def execute(arguments: argparse.Namespace) -> int:
    """Measure and show."""
    config = config_of(arguments)  # before the imports, which take seconds

    from arena.bench.suite import measure
    from arena.compilation import kernels_compiled
    from arena.console import COMPILING, write_lines

    def note(line: str) -> None:
        if not arguments.quiet:
            write_lines([f"{line} ..."], sys.stderr)

    if not kernels_compiled(forward=True):
        note(COMPILING.removesuffix(" ..."))
    figures = measure(config, note)
    if arguments.json:
        write_json(figures.as_json())
    elif not arguments.quiet:
        from rich.console import Console

        console = Console(file=sys.stdout, highlight=False)
        versions = ", ".join(f"{name} {version}" for name, version in figures.versions.items())
        console.print(f"{figures.processor}, {versions}")
        for table in tables_of(figures):
            console.print()
            console.print(table)
    return 0


def config_of(arguments: argparse.Namespace) -> BenchConfig:
    """Return what is asked for; ConfigError where the sizes of search do not match.

    And where a word stands alone, as in ``--evaluator torch``.
    """
    from arena.bench.figures import QUICK, THOROUGH, BenchConfig

    if arguments.stray:
        raise ConfigError(
            f"unrecognized arguments: {' '.join(arguments.stray)}\n"
            "--evaluator takes no name here: it is short for --what evaluator, which times all."
        )
    if len(arguments.games) != len(arguments.visits):
        raise ConfigError(
            f"--games has {len(arguments.games)} numbers, --visits {len(arguments.visits)}\n"
            "Give one number of visits for each number of games."
        )
    what: tuple[What, ...] = arguments.what
    return BenchConfig(
        what=what,
        nets=take_nets(arguments.net, quiet=arguments.quiet),
        sizes=tuple(zip(arguments.games, arguments.visits, strict=True)),
        parallel=arguments.parallel,
        device=arguments.device,
        dtype=arguments.dtype,
        effort=QUICK if arguments.quick else THOROUGH,
    )


# --- tables ---


def tables_of(figures: Figures) -> Iterator[Table]:
    """Yield a table for each benchmark, at most 80 columns wide."""
    if figures.evaluator is not None:
        yield evaluator_table([speed for speed in figures.evaluator if speed.threads == 1])
        if several := [speed for speed in figures.evaluator if speed.threads > 1]:
            yield cores_table(several)
    if figures.start is not None:
        yield facts_table("Start of winograd, in a process of its own", start_facts(figures.start))
    if figures.refresh is not None:
        yield refresh_table(figures.refresh)
    if figures.search is not None:
        yield search_table(figures.search)
    if figures.device is not None:
        yield facts_table("Device that takes a fixed time a batch", device_facts(figures.device))
    if figures.match is not None:
        yield facts_table(
            "Match of " + " and ".join(figures.match.nets), match_facts(figures.match)
        )


def evaluator_table(speeds: Sequence[EvaluatorSpeed]) -> Table:
    """One line for each net, evaluator and batch size."""
    table = new_table("Evaluators, one thread, against a bare forward pass by torch")
    table.add_column("net", overflow="fold")
    table.add_column("evaluator")
    for name in ("batch", "evals/s", "torch", "ratio", "range"):
        table.add_column(name, justify="right", no_wrap=True)
    for speed in speeds:
        table.add_row(
            speed.net,
            speed.name,
            str(speed.batch),
            f"{speed.per_second:,.0f}",
            f"{speed.torch_per_second:,.0f}",
            f"{speed.ratio_to_torch:.2f}",
            span(speed.ratio_range, 2),
        )
    return table


def cores_table(speeds: Sequence[EvaluatorSpeed]) -> Table:
    """One line for each net."""
    cores = "both cores" if speeds[0].threads == 2 else f"{speeds[0].threads} cores"
    table = new_table(f"The same on {cores}, against one")
    table.add_column("net", overflow="fold")
    table.add_column("evaluator")
    for name in ("batch", "evals/s", "ratio", "range"):
        table.add_column(name, justify="right", no_wrap=True)
    for speed in speeds:
        if speed.ratio_to_one_core is not None and speed.ratio_to_one_core_range is not None:
            table.add_row(
                speed.net,
                speed.name,
                str(speed.batch),
                f"{speed.per_second:,.0f}",
                f"{speed.ratio_to_one_core:.2f}",
                span(speed.ratio_to_one_core_range, 2),
            )
    return table


def refresh_table(speeds: Sequence[RefreshSpeed]) -> Table:
    """One line for each net."""
    table = new_table("Refresh of all batch norms, one thread, against a forward pass")
    table.add_column("net", overflow="fold")
    for name in ("positions", "seconds", "forward", "ratio", "range"):
        table.add_column(name, justify="right", no_wrap=True)
    for speed in speeds:
        table.add_row(
            speed.net,
            f"{speed.positions:,}",
            f"{speed.seconds:.2f}",
            f"{speed.forward_seconds:.2f}",
            f"{speed.ratio_to_forward:.2f}",
            span(speed.ratio_range, 2),
        )
    return table


def search_table(speeds: Sequence[SearchSpeed]) -> Table:
    """One line for each number of games and visits."""
    table = new_table("Search alone, one thread")
    for name in ("games", "visits", "visits/s", "range", "a CPU second", "plies/s", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for speed in speeds:
        table.add_row(
            str(speed.games),
            str(speed.visits),
            f"{speed.visits_per_second:,.0f}",
            span(speed.visits_range, 0),
            f"{speed.visits_per_cpu_second:,.0f}",
            f"{speed.plies_per_second:,.0f}",
            f"{speed.array_bytes / 2**20:,.0f} MiB",
        )
    return table


def start_facts(speed: StartSpeed) -> Iterator[tuple[str, str]]:
    """Yield names and values."""
    yield "size", f"{speed.net}, {speed.batch} positions, one thread"
    if speed.compile_seconds is not None:
        yield "compiled anew", f"{speed.compile_seconds:.1f} s until a first position is evaluated"
    yield "from the cache", f"{speed.cached_seconds:.2f} s ({span(speed.cached_range, 2)})"
    yield "memory", f"{speed.peak_bytes / 1e6:,.0f} MB at most, of the whole process"


def device_facts(load: DeviceLoad) -> Iterator[tuple[str, str]]:
    """Yield names and values."""
    yield "size", f"{load.games} games, {load.visits} visits a move, {load.threads} threads"
    yield "batch", f"{load.batch:.0f} positions, {1000 * load.seconds_per_batch:g} ms"
    low, high = load.busy_range
    yield "busy", f"{100 * load.busy:.1f} % of the time ({100 * low:.1f}-{100 * high:.1f})"
    yield "visits/s", f"{load.visits_per_second:,.0f}"


def match_facts(speed: MatchSpeed) -> Iterator[tuple[str, str]]:
    """Yield names and values."""
    yield (
        "size",
        f"{speed.games} games, {speed.visits} visits a move, {speed.threads} threads, "
        f"{speed.device}",
    )
    yield "evaluator", speed.evaluator
    yield (
        "visits a CPU second",
        f"{speed.visits_per_cpu_second:,.0f} ({span(speed.visits_range, 0)})",
    )
    if speed.torch_visits_per_cpu_second is not None and speed.torch_visits_range is not None:
        yield (
            "the same on torch",
            f"{speed.torch_visits_per_cpu_second:,.0f} ({span(speed.torch_visits_range, 0)})",
        )
    if speed.ratio_to_torch is not None and speed.ratio_range is not None:
        yield "ratio", f"{speed.ratio_to_torch:.2f} ({span(speed.ratio_range, 2)})"
    yield "visits/s", f"{speed.visits_per_second:,.0f}"
    yield "evaluations/s", f"{speed.evaluations_per_second:,.0f} in batches of {speed.batch:.0f}"
    yield "pairs/min", f"{speed.pairs_per_minute:.1f}, at {speed.plies_per_game:.0f} plies a game"
    if speed.forward_share is not None:
        yield "forward pass", f"{100 * speed.forward_share:.1f} % of the CPU time"
    if speed.forward_to_torch is not None and speed.forward_to_torch_range is not None:
        yield (
            "speed of it",
            f"{speed.forward_to_torch:.2f} ({span(speed.forward_to_torch_range, 2)}) of a bare one "
            "in batches of 64",
        )


def facts_table(title: str, facts: Iterable[tuple[str, str]]) -> Table:
    """One line for each fact."""
    table = new_table(title, headed=False)
    for name, value in facts:
        table.add_row(name, value)
    return table


def new_table(title: str, *, headed: bool = True) -> Table:
    """Make a table without frame, its title to the left."""
    from rich.table import Table

    return Table(
        title=title, title_justify="left", title_style="bold", box=None, show_header=headed
    )


def span(limits: Range, digits: int) -> str:
    """Write the least and the greatest of several measurements."""
    low, high = limits
    return f"{low:,.{digits}f}-{high:,.{digits}f}"
