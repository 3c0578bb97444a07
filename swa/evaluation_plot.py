"""What an evaluation looks like: losses with their intervals, and how well probabilities hold."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swa.evaluation import OUTCOMES, Evaluation, NetEvaluation
from swa.files import write_whole
from swa.picture import BASELINE, CANDIDATE, INK, STYLE, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")

MARKERS = "osD^vPX*"
LINES = ("-", "-", "--", ":", "-.")
"""What tells nets apart from the third on, in both rows."""

LONGEST_NAME = 36  # letters

LEAST_IN_BIN = 20
"""Positions; a bin of fewer is chance, and is not drawn."""

_LOSSES = {
    "policy_cross_entropy": "policy cross entropy (nats)",
    "value_cross_entropy": "value cross entropy (nats)",
    "value_mse": "value MSE",
}


def save_plot(evaluation: Evaluation, names: Sequence[str], path: Path) -> None:
    """Write losses (first row) and reliability of win, draw and loss (second) as a picture.

    The markers beside the nets' names are those of their curves. ``names`` are what the nets are
    called; the suffix of ``path`` is one of ``FORMATS``. Raises OSError where it cannot be written.
    """
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = io.BytesIO()
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(12, 5.4 + 0.3 * len(names)), layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, evaluation, names)
        figure.savefig(picture, format=path.suffix[1:].lower(), dpi=120)
    write_whole(path, picture.getvalue())


def _draw(figure: Figure, evaluation: Evaluation, names: Sequence[str]) -> None:
    height = 1.2 + 0.3 * len(names)
    losses, curves = figure.subplots(2, 3, height_ratios=(height, 4.2))
    for axes, (metric, label) in zip(losses, _LOSSES.items(), strict=True):
        _draw_losses(axes, evaluation, names, metric, label)
    for axes, outcome in zip(curves, OUTCOMES, strict=True):
        _draw_reliability(axes, evaluation.nets, outcome)
    losses[0].set_yticks(range(len(names)), [short_name(name) for name in names])
    curves[0].set_ylabel("share of positions where it came so")
    figure.suptitle(
        f"{evaluation.positions:,} positions of {evaluation.games:,} games; "
        "95 % intervals from games resampled"
    )


def short_name(name: str) -> str:
    """A name that leaves room for the rest, without what no font has."""
    name = printable(name)
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


def _colour(place: int) -> str:
    return CANDIDATE if place else BASELINE


def _draw_losses(
    axes: Axes, evaluation: Evaluation, names: Sequence[str], metric: str, label: str
) -> None:
    """A dot a net with its interval: bars would have to begin at 0 and hide the differences."""
    for place, net in enumerate(evaluation.nets):
        estimate = net.metrics.get(metric)
        if estimate is None:
            axes.text(0.5, place, "none", ha="center", transform=axes.get_yaxis_transform())
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [place, place], color=_colour(place), lw=3)
        axes.plot(estimate.value, place, _marker(place), color=_colour(place), ms=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_title(label, fontsize="medium")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_reliability(axes: Axes, nets: Sequence[NetEvaluation], outcome: str) -> None:
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
    for place, net in enumerate(nets):
        if outcome not in net.reliability:
            continue
        found = net.reliability[outcome]
        rows = [row for row in found.rows() if row[2] >= LEAST_IN_BIN]
        axes.plot(
            [predicted for predicted, _, _ in rows],
            [observed for _, observed, _ in rows],
            marker=_marker(place),
            color=_colour(place),
            linestyle=LINES[place % len(LINES)],
            label=f"ECE {found.ece:.3f}",
        )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="best")
    axes.set_title(outcome, fontsize="medium")
    axes.set_xlabel("probability by the net")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]
