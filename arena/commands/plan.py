"""``arena plan``: what a test costs and how it ends, before a game is played."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.commands.output import add_output_flags, write_json, write_text
from arena.config import ConfigError
from arena.options import finite_number, whole_number

if TYPE_CHECKING:
    from arena.stats.outcomes import OutcomeModel
    from arena.stats.plan import Expectation, Plan
    from arena.stats.sprt import Sprt

EXAMPLES = """\
examples:
  arena plan --elo0 0 --elo1 10 --draw-rate 0.5
  arena plan --preset pick-best --delta 10 --draw-rate 0.35 --pairs 2000
  arena plan --elo0 0 --elo1 5 --from reports/swa-vs-raw-1 --plot plan.png
"""

DRAW_RATE = 0.5
"""Of which nothing was said."""

PLOT_SUFFIXES = (".png", ".svg")

PACES = 1e-4, 1e6
"""Pairs a minute, least and most: from a pair a week to far more than games of one ply."""

METHOD_NOTE = (
    "Of the plain GSPRT; a certified test takes 2 to 10 % more pairs up to widths of 35, up to "
    "17 % at 80."
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be planned, checked as far as the command line can be."""

    sprt: Sprt
    preset: str | None
    purpose: str | None  # of the preset
    model: OutcomeModel
    assumed: dict[str, Any]  # draw_rate, opening_bias, and the run they are from
    pairs_per_minute: float | None
    limit: int | None
    elos: list[float] | None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "plan",
        help="what a test will cost, and how it will end",
        description="How likely a sequential test is to promote, and how many pairs it takes, at "
        "several true differences in strength. Nothing is played.",
        epilog=EXAMPLES,
    )
    test = parser.add_argument_group("test")
    test.add_argument("--elo0", type=finite_number, metavar="ELO", help="lower bound (default: 0)")
    test.add_argument("--elo1", type=finite_number, metavar="ELO", help="upper bound (default: 10)")
    test.add_argument(
        "--preset",
        choices=("superiority", "non-regression", "pick-best"),
        help="instead of bounds, the question: [0, D], [-D, 0] or [-D, D]",
    )
    test.add_argument(
        "--delta", type=finite_number, metavar="D", help="of the preset, in Elo (default: 10)"
    )
    test.add_argument(
        "--sprt-model",
        choices=("normalized", "logistic"),
        default="normalized",
        help="unit of the bounds and of --true (default: normalized)",
    )
    for name, what in (("alpha", "wrong promotions at ELO0"), ("beta", "missed ones at ELO1")):
        test.add_argument(
            f"--{name}",
            type=finite_number,
            default=0.05,
            metavar="SHARE",
            help=f"share of {what} (default: 0.05)",
        )
    test.add_argument(
        "--pairs",
        type=whole_number,
        metavar="MAX",
        help="most pairs; undecided then (default: no limit)",
    )
    games = parser.add_argument_group("games")
    games.add_argument(
        "--draw-rate",
        type=finite_number,
        metavar="SHARE",
        help=f"games drawn between equals, in [0, 1) (default: {DRAW_RATE:g})",
    )
    games.add_argument(
        "--opening-bias",
        type=finite_number,
        metavar="ELO",
        help="advantage of the side that an opening favours (default: 0)",
    )
    games.add_argument(
        "--pairs-per-minute",
        type=finite_number,
        metavar="PAIRS",
        help="pace; adds the time to the cost",
    )
    games.add_argument(
        "--from",
        dest="folder",
        type=Path,
        metavar="RUN_DIR",
        help="take all of that from the pairs and the pace of a run; flags given here win",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--true",
        type=finite_number,
        nargs="+",
        metavar="ELO",
        help="true differences to show (default: nine around the bounds)",
    )
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw it as .png or .svg")
    add_output_flags(output, json_help="one JSON document on stdout")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Plan, draw and show."""
    from arena.stats.plan import plan

    if arguments.plot is not None and arguments.plot.suffix not in PLOT_SUFFIXES:
        raise ConfigError(f"--plot {arguments.plot}: its name must end in .png or .svg")
    request = read(arguments)
    try:
        result = plan(request.sprt, request.model, request.limit, request.elos)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if arguments.plot is not None:
        from arena.commands.plan_plot import write_plot

        try:
            write_plot(arguments.plot, result, request.model)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(f"{arguments.plot}: the plot cannot be written: {reason}") from None
    if arguments.json:
        write_json(document_of(request, result))
    elif not arguments.quiet:
        write_text(lines_of(request, result))
    return 0


def read(arguments: argparse.Namespace) -> Request:
    """Return what was asked; ConfigError where it makes no sense."""
    from arena.stats.presets import Preset, meaning, preset
    from arena.stats.sprt import EloModel, Sprt

    errors = arguments.alpha, arguments.beta
    unit = EloModel(arguments.sprt_model)
    bounds = arguments.elo0, arguments.elo1
    if arguments.preset is None and arguments.delta is not None:
        raise ConfigError("--delta is of a preset\nName one: --preset superiority")
    if arguments.preset is not None and bounds != (None, None):
        raise ConfigError(f"--preset {arguments.preset} sets the bounds: leave out --elo0, --elo1")
    pace = arguments.pairs_per_minute
    if pace is not None and not PACES[0] <= pace <= PACES[1]:
        raise ConfigError(
            f"--pairs-per-minute {pace:g}: must be from {PACES[0]:g} to {PACES[1]:,.0f}"
        )
    purpose = None
    try:
        if arguments.preset is None:
            elo0, elo1 = (
                default if elo is None else elo
                for elo, default in zip(bounds, (0.0, 10.0), strict=True)
            )
            sprt = Sprt(elo0, elo1, *errors, unit)
        else:
            name = Preset(arguments.preset)
            width = 10.0 if arguments.delta is None else arguments.delta
            sprt = preset(name, width, alpha=errors[0], beta=errors[1], model=unit)
            purpose = meaning(name, width)
        model, assumed, measured = _games(arguments)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    pace = pace or measured
    return Request(
        sprt, arguments.preset, purpose, model, assumed, pace, arguments.pairs, arguments.true
    )


def _games(
    arguments: argparse.Namespace,
) -> tuple[OutcomeModel, dict[str, Any], float | None]:
    """Return how pairs end, by what figures, and the pace of the run that they are from."""
    from arena.stats.outcomes import BayesElo, Observed

    draw_rate, bias = arguments.draw_rate, arguments.opening_bias
    if arguments.folder is None:
        draw_rate = DRAW_RATE if draw_rate is None else draw_rate
        bias = 0.0 if bias is None else bias
        figures = {"draw_rate": draw_rate, "opening_bias": bias, "run": None, "run_pairs": None}
        return BayesElo(draw_rate, bias), figures, None

    from arena.report.run import read_run
    from arena.sessions import Pace
    from arena.stats.elo import rms_opening_bias

    run = read_run(arguments.folder)
    counts = run.judgement.counts
    if not counts.pairs:
        raise ConfigError(f"{arguments.folder}: no pair is finished yet, so it tells nothing")
    share = counts.draws / counts.games if draw_rate is None else draw_rate
    rms = rms_opening_bias(counts) if bias is None else bias
    figures = {
        "draw_rate": share,
        "opening_bias": rms,
        "run": str(arguments.folder),
        "run_pairs": counts.pairs,
    }
    pace = sum((session.pace for session in run.sessions), Pace()).pairs_per_minute
    if draw_rate is None and bias is None:
        return Observed(counts), figures, pace
    return BayesElo(share, rms or 0.0), figures, pace


def document_of(request: Request, result: Plan) -> dict[str, Any]:
    """Return the plan; Elo by name of its unit, chances in [0, 1], minutes null without a pace."""
    sprt, pace = request.sprt, request.pairs_per_minute
    return {
        "sprt": {
            "elo0": sprt.elo0,
            "elo1": sprt.elo1,
            "alpha": sprt.alpha,
            "beta": sprt.beta,
            "model": sprt.model.value,
        },
        "preset": request.preset,
        "llr_bounds": list(sprt.bounds),
        "assumed": request.assumed,
        "pairs_limit": request.limit,
        "pairs_per_minute": pace,
        "method": sprt.method.value,
        "computed_by": "rehearsal" if result.rehearsed else "diffusion",
        "rows": [
            {**asdict(row), "minutes": row.pairs / pace if pace else None} for row in result.rows
        ],
    }


HEADER = ("Elo", "nElo", "promote", "keep", "undecided", "mean pairs", "50 %", "90 %")


def lines_of(request: Request, result: Plan) -> list[str]:
    """Return the table, with what it rests on above and what it comes to below."""
    from arena.report.block import counted, plain

    sprt, assumed = request.sprt, request.assumed
    bias = assumed["opening_bias"]
    games = (
        f"draw rate {100 * assumed['draw_rate']:.1f} %, opening bias "
        f"{'n/a' if bias is None else plain(bias, 1) + ' Elo'}"
    )
    if assumed["run"] is not None:
        games += f" (from {assumed['run_pairs']:,} pairs of {assumed['run']})"
    limit = (
        "no limit of pairs"
        if request.limit is None
        else f"at most {counted(request.limit, 'pair')}"
    )
    lines = [
        f"SPRT [{sprt.elo0:g}, {sprt.elo1:g}] {sprt.model.value} Elo, alpha {sprt.alpha:g}, "
        f"beta {sprt.beta:g}, {limit}",
        *([] if request.purpose is None else [request.purpose]),
        f"Games: {games}",
        "",
    ]
    table = [HEADER, *(_cells(row) for row in result.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines += [
        "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        for cells in table
    ]
    costly = max(result.rows, key=lambda row: row.pairs)
    return [*lines, "", f"Cost: {_cost(request, costly)}", METHOD_NOTE]


def _cells(row: Expectation) -> tuple[str, ...]:
    from arena.report.block import plain

    chances = (f"{100 * chance:.1f} %" for chance in (row.promote, row.keep, row.undecided))
    numbers = (f"{number:,.0f}" for number in (row.pairs, row.median, row.p90))
    return plain(row.elo), plain(row.nelo), *chances, *numbers


def _cost(request: Request, row: Expectation) -> str:
    """The mean and nine tenths, at the strength where the test takes longest."""
    from arena.report.block import plain

    sign = "+" if row.elo >= 0.05 else ""
    text = f"{2 * row.pairs:,.0f} games on average at most, {2 * row.p90:,.0f} in 9 of 10 tests"
    if request.pairs_per_minute is not None:
        mean, p90 = (_time(pairs / request.pairs_per_minute) for pairs in (row.pairs, row.p90))
        text += f"; {mean} and {p90} at {request.pairs_per_minute:.3g} pairs a minute"
    return f"{text} (where it takes longest, {sign}{plain(row.elo, 1)} Elo)"


def _time(minutes: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h`` or ``2.1 days``."""
    if minutes < 1.0:
        return f"{60.0 * minutes:.0f} s"
    if minutes < 90.0:
        return f"{minutes:.0f} min"
    return f"{minutes / 60.0:.1f} h" if minutes < 2880.0 else f"{minutes / 1440.0:.1f} days"
