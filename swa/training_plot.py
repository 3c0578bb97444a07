"""What a training run looks like: losses against steps, of the raw net and of its averages.

Drawn from ``metrics.jsonl`` alone (``swa.training_log``), so also of a run that is not over.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from swa.evaluation_plot import ACCENT, BASELINE, LINES, MARKERS, short_name
from swa.files import write_whole
from swa.training_log import RAW, TrainingLogError, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SETTLED = 0.2
"""From this part of the run on, losses decide the scale: those of the beginning are many times as
high, and so are those of averages whose batch norm fits nothing yet."""

TOO_FAR = 8
"""Times as far from the raw net as the nearest average: an average that is not drawn in full."""

MOST_MARKERS = 25
"""Of a curve."""


class _Panel(NamedTuple):
    """A quantity: how it is called in training and on held-out games, and its unit's factor."""

    title: str
    train: str
    held_out: tuple[str, ...]  # the first that there is
    factor: float = 1.0  # of what is held out


_LOSSES = (
    _Panel("policy loss (nats)", "policy_loss", ("policy_cross_entropy",)),
    _Panel("value loss", "value_loss", ("value_cross_entropy", "value_mse")),
    _Panel("moves left loss", "moves_left_loss", ("moves_left_huber",), 1 / 400),
)
"""``swa.losses`` takes moves left in units of 20 plies, an evaluation in plies."""

_COMPARED = "policy_cross_entropy"


class Curve(NamedTuple):
    """Figures by step."""

    steps: Sequence[int]
    values: Sequence[float]


class _Style(NamedTuple):
    color: str
    marker: str
    linestyle: str


def save_training_plot(metrics: Path, path: Path, title: str = "") -> None:
    """Draw the run of a ``metrics.jsonl`` to ``path``, a picture by its suffix (.svg, .png, .pdf).

    Raises TrainingLogError where there is nothing to draw, OSError where it cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = curves_of(read_metrics(metrics))
    draw = [
        *(panel for panel in _LOSSES if _has(curves, panel)),
        *(name for name in ("difference", "learning rate") if _has_more(curves, name)),
    ]
    if not draw:
        raise TrainingLogError(f"{metrics}: no losses to draw\nTrain some steps first.")
    styles, last_step = _styles(curves), max(curve.steps[-1] for curve in curves.values())
    columns = min(len(draw), 3 if len(draw) > 4 else 2)
    rows = -(-len(draw) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.9 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, what in zip(panels, draw, strict=False):
        if isinstance(what, _Panel):
            _draw_loss(axes, curves, what, styles)
        elif what == "difference":
            _draw_difference(axes, curves, styles)
        else:
            _draw_rate(axes, curves)
        axes.set_xlabel("steps")
        axes.set_xlim(0, 1.02 * max(last_step, 1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(draw) :]:
        axes.set_visible(False)
    handles = {label: line for axes in panels for line, label in zip(*_legend(axes), strict=True)}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    if title:
        figure.suptitle(short_name(title))
    picture, kind = io.BytesIO(), path.suffix[1:].lower()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with matplotlib.rc_context({"svg.hashsalt": "swa"}):  # the same run gives the same file
        figure.savefig(picture, format=kind, dpi=120, metadata=undated)
    write_whole(path, picture.getvalue())


def curves_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """Each figure against steps, by its name in the file; what is null there is left out."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for line in lines:
        for key, value in line.items():
            if "/" in key and isinstance(value, int | float):
                steps, values = found.setdefault(key, ([], []))
                steps.append(line["step"])
                values.append(float(value))
    return {key: Curve(*figures) for key, figures in found.items()}


def nets_of(curves: Mapping[str, Curve]) -> list[str]:
    """The nets that were evaluated, the raw one first, the others as they came."""
    names = dict.fromkeys(key.split("/")[1] for key in curves if key.startswith("validation/"))
    return sorted(names, key=lambda name: name != RAW)


def _styles(curves: Mapping[str, Curve]) -> dict[str, _Style]:
    """The raw net is grey, its averages one colour, told apart by markers and lines."""
    averages = [name for name in nets_of(curves) if name != RAW]
    styles = {RAW: _Style(BASELINE, MARKERS[0], "-")}
    for place, name in enumerate(averages, 1):
        styles[name] = _Style(ACCENT, MARKERS[place % len(MARKERS)], LINES[place % len(LINES)])
    return styles


def _held_out(curves: Mapping[str, Curve], panel: _Panel, net: str) -> Curve | None:
    for metric in panel.held_out:
        curve = curves.get(f"validation/{net}/{metric}")
        if curve is not None:
            return Curve(curve.steps, [panel.factor * value for value in curve.values])
    return None


def _has(curves: Mapping[str, Curve], panel: _Panel) -> bool:
    """Whether there is anything of a loss; a net without moves left has zeros of it."""
    train = curves.get(f"train/{panel.train}")
    nets = nets_of(curves)
    return (train is not None and any(train.values)) or any(
        _held_out(curves, panel, net) for net in nets
    )


def _has_more(curves: Mapping[str, Curve], name: str) -> bool:
    if name == "difference":
        return any(key.endswith(f"/{_COMPARED}/minus_raw") for key in curves)
    return "train/learning_rate" in curves


def _draw_loss(
    axes: Axes, curves: Mapping[str, Curve], panel: _Panel, styles: Mapping[str, _Style]
) -> None:
    decisive = []
    train = curves.get(f"train/{panel.train}")
    if train is not None:
        axes.plot(*train, color=BASELINE, lw=0.8, alpha=0.6, label="raw, in training")
        decisive.append(train)
    last = []
    for net, style in styles.items():
        curve = _held_out(curves, panel, net)
        if curve is None:
            continue
        _draw_curve(axes, curve, style, f"{net}, held out")
        last.append(curve.values[-1])
        if net == RAW:
            decisive.append(curve)
    axes.set_title(panel.title, fontsize="medium")
    _scale(axes, decisive, last)


def _draw_curve(axes: Axes, curve: Curve, style: _Style, label: str) -> None:
    every = -(-len(curve.steps) // MOST_MARKERS)
    axes.plot(*curve, **style._asdict(), ms=5, markevery=every, label=label)


def _scale(axes: Axes, curves: Sequence[Curve], more: Sequence[float]) -> None:
    """Show what the run has settled to, and ``more`` values unless they are too far off."""
    end = max((curve.steps[-1] for curve in curves), default=0)
    settled = [
        value
        for curve in curves
        for step, value in zip(*curve, strict=True)
        if step >= SETTLED * end
    ]
    if len(settled) < 2:
        return
    low, high = np.quantile(settled, (0.005, 0.995))
    shown = np.clip(more, low - (high - low), high + (high - low)).tolist()
    low, high = min([low, *shown]), max([high, *shown])
    if high > low:
        axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _draw_difference(axes: Axes, curves: Mapping[str, Curve], styles: Mapping[str, _Style]) -> None:
    """What each average has above or below the raw net, with the 95 % interval of it."""
    ends: list[list[float]] = []
    for net, style in styles.items():
        key = f"validation/{net}/{_COMPARED}/minus_raw"
        curve = curves.get(key)
        if curve is None:
            continue
        _draw_curve(axes, curve, style, f"{net}, held out")
        ends.append(np.quantile(_after_start(curve), (0.02, 0.98)).tolist())
        low, high = curves.get(f"{key}_low"), curves.get(f"{key}_high")
        if low is not None and high is not None and low.steps == high.steps:
            axes.fill_between(low.steps, low.values, high.values, color=style.color, alpha=0.15)
            ends[-1] += [low.values[-1], high.values[-1]]
    axes.axhline(0, color=BASELINE, lw=1)
    axes.set_title("held-out policy loss minus the raw net's (nats)", fontsize="medium")
    farthest = TOO_FAR * min(max(map(abs, of_net)) for of_net in ends)
    shown = np.clip([0.0, *itertools.chain(*ends)], -farthest, farthest)
    margin = 0.1 * float(np.ptp(shown)) or 0.01
    axes.set_ylim(shown.min() - margin, shown.max() + margin)


def _after_start(curve: Curve) -> list[float]:
    """Its values once it has settled."""
    start = SETTLED * curve.steps[-1]
    return [value for step, value in zip(*curve, strict=True) if step >= start]


def _draw_rate(axes: Axes, curves: Mapping[str, Curve]) -> None:
    curve = curves["train/learning_rate"]
    axes.plot(*curve, color=BASELINE)
    axes.set_ylim(bottom=0, top=1.08 * max(curve.values) or 1)
    axes.set_title("learning rate", fontsize="medium")


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    lines, labels = axes.get_legend_handles_labels()
    return lines, [short_name(str(label)) for label in labels]
