"""``arena sprt``: the calculator; counts in, statistics out, no games needed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from arena.commands.output import add_output_flags, write_json, write_text
from arena.config import ConfigError
from arena.options import finite_number, whole_number

if TYPE_CHECKING:
    from arena.stats.elo import EloEstimate
    from arena.stats.pentanomial import Outcomes
    from arena.stats.sprt import Sprt

EXAMPLES = """\
examples:
  arena sprt 11 240 560 297 14 --elo0 0 --elo1 10
  arena sprt 11 240 560 297 14 --elo1 5 --sprt-model logistic --json
  arena sprt --wdl 505 1297 442 --elo0 0 --elo1 10 --sprt-model bayesian
"""

COUNTS = ("LL", "LD", "WLDD", "WD", "WW")

LARGEST_COUNT = 10**15
"""Up to here a count and one more are two numbers in double precision, and everything is finite."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "sprt",
        help="statistics of results that you have",
        usage="arena sprt LL LD WLDD WD WW [options]\n       arena sprt --wdl W D L [options]",
        description="Elo, likelihood of superiority and the sequential test of results that were "
        "played anywhere, from the candidate's side.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "pairs",
        type=whole_number,
        nargs="*",
        metavar="COUNT",
        help="pairs that gave the candidate 0, 0.5, 1, 1.5 and 2 points",
    )
    parser.add_argument(
        "--wdl",
        type=whole_number,
        nargs=3,
        metavar=("W", "D", "L"),
        help="single games won, drawn and lost, where pairs are not known",
    )
    parser.add_argument(
        "--elo0", type=finite_number, default=0.0, metavar="ELO", help="lower bound (default: 0)"
    )
    parser.add_argument(
        "--elo1", type=finite_number, default=10.0, metavar="ELO", help="upper bound (default: 10)"
    )
    parser.add_argument(
        "--sprt-model",
        choices=("normalized", "logistic", "bayesian"),
        default="normalized",
        help="unit of the bounds (default: normalized); bayesian needs --wdl",
    )
    parser.add_argument(
        "--alpha",
        type=finite_number,
        default=0.05,
        metavar="SHARE",
        help="share of wrong promotions at ELO0 (default: 0.05)",
    )
    parser.add_argument(
        "--beta",
        type=finite_number,
        default=0.05,
        metavar="SHARE",
        help="share of missed promotions at ELO1 (default: 0.05)",
    )
    add_output_flags(parser, json_help="one JSON document on stdout")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Calculate and show."""
    counts, sprt = read(arguments)
    document = calculate(counts, sprt)
    if arguments.json:
        write_json(document)
    elif not arguments.quiet:
        write_text(lines_of(counts, sprt, document))
    return 0


def read(arguments: argparse.Namespace) -> tuple[Outcomes, Sprt]:
    """Return what was asked; ConfigError where it makes no sense."""
    from arena.stats.pentanomial import GameCounts, Pentanomial
    from arena.stats.sprt import EloModel, Sprt

    if (arguments.wdl is None) == (not arguments.pairs):
        raise ConfigError("give five counts of pairs, or --wdl\nExample: arena sprt 1 2 3 4 5")
    if arguments.wdl is None and len(arguments.pairs) != len(COUNTS):
        raise ConfigError(f"{len(arguments.pairs)} counts of pairs, not {' '.join(COUNTS)}")
    if max(arguments.wdl or arguments.pairs) > LARGEST_COUNT:
        raise ConfigError(f"a count is above {LARGEST_COUNT:,}: no match is as long as that")
    model = EloModel(arguments.sprt_model)
    if model is EloModel.BAYESIAN and arguments.wdl is None:
        raise ConfigError("--sprt-model bayesian needs the draws of single games: give --wdl W D L")
    try:
        sprt = Sprt(arguments.elo0, arguments.elo1, arguments.alpha, arguments.beta, model)
        if arguments.wdl is None:
            return Pentanomial(*arguments.pairs), sprt
        wins, draws, losses = arguments.wdl
        return GameCounts(losses, draws, wins), sprt
    except ValueError as error:
        raise ConfigError(str(error)) from None


def calculate(counts: Outcomes, sprt: Sprt) -> dict[str, Any]:
    """Return all that is known of the counts; null where a figure does not exist."""
    from arena.stats.confidence import confidence_sequence
    from arena.stats.elo import likelihood_of_superiority, logistic_elo, normalized_elo
    from arena.stats.sprt import PAIR_MODELS
    from arena.stats.stopping import stopping_aware

    aware = stopping_aware(counts, sprt)
    elo, nelo = logistic_elo(counts), normalized_elo(counts)
    tests = {"": sprt} | {model.value: replace(sprt, model=model) for model in PAIR_MODELS}
    llrs = {name: test.llr(counts) if counts.size else None for name, test in tests.items()}
    llr = llrs.pop("")
    return {
        "pairs": counts.size if counts.games_each == 2 else None,
        "games": counts.games,
        "counts": list(counts.counts),
        "score": counts.score,
        "llr": llr,
        "llr_bounds": list(sprt.bounds),
        "verdict": sprt.verdict(llr or 0.0).value,
        "elo": elo.elo,
        "elo_ci": _interval(elo),
        "nelo": nelo.elo,
        "nelo_ci": _interval(nelo),
        "los": likelihood_of_superiority(counts),
        "stopping_aware": None if aware is None else _ends(aware.elo) | {"los": aware.los},
        "anytime": _ends(confidence_sequence(counts).elo) if counts.size else None,
        "sprt": {
            "elo0": sprt.elo0,
            "elo1": sprt.elo1,
            "alpha": sprt.alpha,
            "beta": sprt.beta,
            "model": sprt.model.value,
        },
        "models": {name: {"llr": llr} for name, llr in llrs.items()},
    }


def _ends(elo: EloEstimate) -> dict[str, Any]:
    return {"elo": elo.elo, "elo_ci": _interval(elo)}


def _interval(elo: EloEstimate) -> list[float | None] | None:
    """An end past a perfect score is null; no end at all is no interval."""
    return None if elo.low is None and elo.high is None else [elo.low, elo.high]


def _shown(found: dict[str, Any] | None) -> str:
    from arena.report.block import number

    if found is None or found["elo"] is None:
        return "n/a"
    low, high = found["elo_ci"] or (None, None)
    return f"{number(found['elo'])} [{number(low)}, {number(high)}] (95 %)"


def lines_of(counts: Outcomes, sprt: Sprt, document: dict[str, Any]) -> list[str]:
    """Return the result in the words of a match's block."""
    from arena.report.block import estimate, llr_line, percent, plain
    from arena.stats.elo import logistic_elo, normalized_elo

    elo, nelo = logistic_elo(counts), normalized_elo(counts)
    kind = "Ptnml(0-2)" if counts.games_each == 2 else "Games (L, D, W)"
    other = next(name for name in document["models"] if name != sprt.model.value)
    return [
        f"Elo: {estimate(elo, counts)}, nElo: {estimate(nelo, counts)}",
        f"LOS: {percent(document['los'])}, Points: {counts.points:.1f} "
        f"({percent(document['score'])})",
        f"{kind}: {list(counts.counts)}",
        llr_line(sprt, document["llr"] or 0.0),
        f"LLR by {other} Elo: {plain(document['models'][other]['llr'] or 0.0)}",
        f"Elo, allowing for the stop of this test: {_shown(document['stopping_aware'])}",
        f"Elo, valid at every moment of a match: {_shown(document['anytime'])}",
        f"Verdict: {document['verdict']}",
    ]
