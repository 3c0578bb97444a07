"""The plots of the report of ``experiment_stats.py``, and what they share with its text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from arena.simulation.experiments import BOOKS, TRUTHS, WIDTHS, WRONG_BY
from swa.picture import BASELINE, CANDIDATE, INK

Row = dict[str, Any]

RULES = {
    "plain": "GSPRT",
    "overshoot": "GSPRT, overshoot-corrected",
    "certified": "certified (betting)",
}
MODELS = ("normalized", "logistic")


def error_of(row: Row) -> float:
    """Share of wrong verdicts: PROMOTE at elo0, anything else at elo1."""
    return float(row["promoted"] if row["truth"] == "elo0" else 1.0 - row["promoted"])


def most_errors(runs: int) -> float:
    """5 % and three standard errors of it: 5.46 % of 20,000 runs."""
    return 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / runs)


def write(folder: Path, rows: dict[str, list[Row]]) -> None:
    """Draw what each section's ``rows`` have to show into ``folder``, as SVG."""
    mpl.use("Agg")
    plots = {
        "errors": _plot_errors,
        "order": _plot_order,
        "anytime": _plot_anytime,
        "stopping": _plot_stopping,
    }
    settings = {"svg.hashsalt": "arena", "font.size": 9, "axes.spines.top": False}
    with mpl.rc_context(settings | {"axes.spines.right": False}):
        for section, plot in plots.items():
            if rows.get(section):
                figure = plot(rows[section])
                figure.savefig(folder / f"{section}.svg", metadata={"Date": None})
                plt.close(figure)


def _plot_errors(rows: list[Row]) -> Figure:
    rows = [row for row in rows if row["truth"] != "middle"]
    marks = {"plain": (BASELINE, "o"), "overshoot": (INK, "x"), "certified": (CANDIDATE, "o")}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for panel, model in zip(panels, MODELS, strict=True):
        for place, (rule, (colour, mark)) in enumerate(marks.items()):
            here = [row for row in rows if row["model"] == model and row["rule"] == rule]
            xs = [
                sorted(WIDTHS).index(row["width"])
                + 0.22 * (place - 1)
                + 0.04 * (list(BOOKS).index(row["book"]) - 1.5)
                for row in here
            ]
            ys = [100 * error_of(row) for row in here]
            panel.plot(xs, ys, mark, color=colour, markersize=3.5, label=RULES[rule])
        panel.axhline(5.0, color=INK, linewidth=0.6)
        panel.axhline(100 * most_errors(20_000), color=INK, linewidth=0.6, linestyle=":")
        panel.set_xticks(range(len(WIDTHS)), [f"0 to {width}" for width in sorted(WIDTHS)])
        panel.set_title(f"{model} bounds", loc="left")
    panels[0].set_ylim(0.0, 6.5)
    panels[0].set_ylabel("wrong verdicts, % (dotted: 5 % + 3 s.e.)")
    panels[1].legend(frameon=False, loc="lower left")
    return figure


def _plot_order(rows: list[Row]) -> Figure:
    rows = [row for row in rows if row["rule"] == "plain" and row["truth"] == "elo0"]
    kinds = sorted({(row["spread"], row["lanes"]) for row in rows if row["spread"] > 0})
    figure, panel = plt.subplots(figsize=(6, 3), layout="constrained")
    for shift, order, colour in ((-0.2, "completion", BASELINE), (0.2, "issue", CANDIDATE)):
        heights = [
            next(
                (
                    100 * error_of(row)
                    for row in rows
                    if (row["spread"], row["lanes"], row["order"]) == (*kind, order)
                ),
                math.nan,
            )
            for kind in kinds
        ]
        places = [i + shift for i in range(len(kinds))]
        bars = panel.bar(places, heights, 0.38, color=colour, label=f"counted in {order} order")
        panel.bar_label(bars, fmt="%.1f", fontsize=8)
    panel.axhline(5.0, color=INK, linewidth=0.6)
    panel.set_xticks(
        range(len(kinds)), [f"±{100 * s:.0f} %\n{lanes} in flight" for s, lanes in kinds]
    )
    panel.set_ylabel("equal nets promoted, %")
    panel.legend(frameon=False)
    return figure


def _plot_anytime(rows: list[Row]) -> Figure:
    figure, panel = plt.subplots(figsize=(6, 3), layout="constrained")
    for key, colour, label in (
        ("naive_wrong_by", BASELINE, "usual 95 % interval"),
        ("wrong_by", CANDIDATE, "confidence sequence"),
    ):
        for i, row in enumerate(rows):
            panel.plot(
                WRONG_BY,
                [100 * share for share in row[key]],
                color=colour,
                linewidth=0.9,
                label=None if i else label,
            )
    panel.axhline(5.0, color=INK, linewidth=0.6)
    panel.set_xscale("log")
    panel.set_xlabel("pairs (a line for each book and strength)")
    panel.set_ylabel("matches with a wrong interval so far, %")
    panel.legend(frameon=False)
    return figure


def _plot_stopping(rows: list[Row]) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for panel, key, band, label in (
        (panels[0], "coverage", (94.0, 97.5), "intervals that cover the truth, %"),
        (panels[1], "below", (47.0, 53.0), "estimates below the truth, %"),
    ):
        for shift, prefix, colour, name in (
            (-0.12, "naive_", BASELINE, "usual"),
            (0.12, "", CANDIDATE, "stopping-aware"),
        ):
            order = ("elo0", "middle", "elo1")
            xs = [order.index(row["truth"]) + shift for row in rows]
            ys = [100 * row[prefix + key] for row in rows]
            panel.plot(xs, ys, "o", color=colour, markersize=3.5, label=name)
        panel.axhspan(*band, color=BASELINE, alpha=0.2, linewidth=0)
        panel.set_xticks(range(len(TRUTHS)), ["truth = elo0", "middle", "elo1"])
        panel.set_ylabel(label)
    panels[0].legend(frameon=False)
    return figure
