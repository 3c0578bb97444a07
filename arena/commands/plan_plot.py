"""The picture of a plan: chances and pairs against the true difference in strength.

Lines are told apart in print without colour as well: the accent's are whole, grey ones dashed.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arena.stats.outcomes import OutcomeModel
from arena.stats.plan import Expectation, Plan, plan
from swa.picture import BASELINE, CANDIDATE

POINTS = 41


def write_plot(path: Path, result: Plan, model: OutcomeModel) -> None:
    """Draw the plan over the range of its rows. Raises OSError where it cannot be written."""
    sprt = result.sprt
    unit = {"normalized": "nelo", "logistic": "elo"}[sprt.model.value]
    ends = [getattr(row, unit) for row in result.rows]
    if max(ends) - min(ends) < 1e-9:
        ends = [sprt.elo0, sprt.elo1]
    grid = [float(elo) for elo in np.linspace(min(ends), max(ends), POINTS)]
    curve = plan(sprt, model, result.limit, grid).rows

    figure = Figure(figsize=(7.0, 6.4), layout="constrained")
    chances, lengths = figure.subplots(2, 1, sharex=True)
    _chances(chances, grid, curve)
    _lengths(lengths, grid, curve)
    for axes in (chances, lengths):
        for bound in (sprt.elo0, sprt.elo1):
            axes.axvline(bound, color=BASELINE, linewidth=0.6, linestyle="-.")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        axes.margins(x=0.0)
    limit = "" if result.limit is None else f", at most {result.limit:,} pairs"
    chances.set_title(
        f"SPRT [{sprt.elo0:g}, {sprt.elo1:g}], alpha {sprt.alpha:g}, beta {sprt.beta:g}{limit}",
        fontsize=11,
        loc="left",
    )
    lengths.set_xlabel(
        f"true difference, candidate - baseline ({sprt.model.value} Elo; bounds dash-dotted)"
    )
    figure.savefig(path, dpi=150)


def _chances(axes: Axes, grid: list[float], curve: tuple[Expectation, ...]) -> None:
    axes.plot(grid, [100 * row.promote for row in curve], color=CANDIDATE, label="promote")
    axes.plot(grid, [100 * row.keep for row in curve], color=BASELINE, linestyle="--", label="keep")
    if max(row.undecided for row in curve) > 0.005:
        undecided = [100 * row.undecided for row in curve]
        axes.plot(grid, undecided, color=BASELINE, linestyle=":", label="undecided")
    axes.set_ylim(0.0, 102.0)
    axes.set_ylabel("chance of the verdict (%)")


def _lengths(axes: Axes, grid: list[float], curve: tuple[Expectation, ...]) -> None:
    axes.plot(grid, [row.pairs for row in curve], color=CANDIDATE, label="mean")
    nine = [row.p90 for row in curve]
    axes.plot(grid, nine, color=BASELINE, linestyle="--", label="9 of 10 tests take no more")
    axes.set_ylim(0.0, 1.05 * max(nine))
    axes.set_ylabel("pairs of games")
