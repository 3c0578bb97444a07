"""What a training run looks like: losses against steps, of the raw net and of its averages.

Drawn from the lines of ``metrics.jsonl`` (``swa.training_log``), so also of a run that is not over.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from swa.evaluation_plot import LINES, MARKERS, short_name
from swa.picture import BASELINE, CANDIDATE, PAPER, Picture
from swa.training_log import RAW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETTLED = 0.2
"""From this part of the run on, losses decide the scale: those of the beginning are many times as
high, and so are those of averages whose batch norm fits nothing yet."""

TOO_FAR = 8
"""Times as far from the raw net as the nearest average: an average that is not drawn in full."""

MOST_MARKERS = 25
"""Of a curve."""

MOST_ROWS = 40
"""Of a table; metrics.jsonl has all."""

IN_TRAINING = "raw, in training"
"""A curve's name; all others are of held-out games."""


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


class Marks(NamedTuple):
    """Steps after which nets were written, and those that averages took, by name."""

    written: Sequence[int] = ()
    averaged: Mapping[str, Sequence[int]] = MappingProxyType({})


NO_MARKS = Marks()


def training_pictures(lines: Sequence[Mapping[str, Any]], marks: Marks = NO_MARKS) -> list[Picture]:
    """Pictures of the lines of a ``metrics.jsonl``: losses, averages against raw, learning rate."""
    curves = curves_of(lines)
    styles = _styles(curves)
    pictures = [_loss_picture(curves, panel, styles) for panel in _LOSSES if _has(curves, panel)]
    if any(key.endswith(f"/{_COMPARED}/minus_raw") for key in curves):
        pictures.append(_difference_picture(curves, styles))
    if "train/learning_rate" in curves:
        pictures.append(_rate_picture(curves, marks))
    return pictures


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
        styles[name] = _Style(CANDIDATE, MARKERS[place % len(MARKERS)], LINES[place % len(LINES)])
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


def _loss_picture(
    curves: Mapping[str, Curve], panel: _Panel, styles: Mapping[str, _Style]
) -> Picture:
    train = curves.get(f"train/{panel.train}")
    named = {IN_TRAINING: train} if train is not None else {}
    for net in styles:
        curve = _held_out(curves, panel, net)
        if curve is not None:
            named[net] = curve
    # Held-out figures are few; beside them those of training at the same steps.
    few = [curve for name, curve in named.items() if curve is not train] or list(named.values())
    steps = _thinned(sorted({step for curve in few for step in curve.steps}))
    tables = [dict(zip(*curve, strict=True)) for curve in named.values()]
    return Picture(
        name=panel.train.replace("_", "-"),
        title=panel.title[0].upper() + panel.title[1:],
        caption="On held-out games, which are not trained on; the thin grey line is the loss of "
        "training itself. Lower is better. Grey is the raw net, its averages have the colour. The "
        "scale is that of what the run has settled to.",
        header=["step", *named],
        rows=[[f"{step:,}", *(_number(table.get(step)) for table in tables)] for step in steps],
        draw=lambda figure: _draw_panel(
            figure, curves, lambda axes: _draw_loss(axes, curves, panel, styles)
        ),
        size=_size([*named]),
    )


def _difference_picture(curves: Mapping[str, Curve], styles: Mapping[str, _Style]) -> Picture:
    found = {}
    for net in styles:
        key = f"validation/{net}/{_COMPARED}/minus_raw"
        if key in curves:
            parts = [curves.get(f"{key}{end}") for end in ("", "_low", "_high")]
            found[net] = [dict(zip(*curve, strict=True)) if curve else {} for curve in parts]
    steps = _thinned(sorted({step for parts in found.values() for step in parts[0]}))
    return Picture(
        name="averages",
        title="What the averages have gained on the raw net",
        caption="Policy loss of each average minus the raw net's on the same held-out positions: "
        "below the grey line the average is better. Bands are 95 % intervals.",
        header=["step", *(f"{net} minus raw, 95 % interval" for net in found)],
        rows=[
            [f"{step:,}", *(_interval(parts, step) for parts in found.values())] for step in steps
        ],
        draw=lambda figure: _draw_panel(
            figure, curves, lambda axes: _draw_difference(axes, curves, styles)
        ),
        size=_size([*found]),
    )


def _rate_picture(curves: Mapping[str, Curve], marks: Marks) -> Picture:
    rate = curves["train/learning_rate"]
    steps = _thinned(rate.steps)
    rates = dict(zip(*rate, strict=True))
    caption = "The learning rate by step."
    if marks.written:
        caption += " Rings are the nets that were written."
    if any(marks.averaged.values()):
        caption += " Each stroke below is a snapshot that an average took."
    kinds = {"nets written": marks.written} if marks.written else {}
    kinds |= {f"snapshots of {name}": taken for name, taken in marks.averaged.items()}
    return Picture(
        name="learning-rate",
        title="Learning rate, and what was kept",
        caption=caption,
        header=["step", "learning rate", *(f"{kind} so far" for kind in kinds)],
        rows=[
            [
                f"{step:,}",
                f"{rates[step]:.4g}",
                *(str(sum(one <= step for one in kind)) for kind in kinds.values()),
            ]
            for step in steps
        ],
        draw=lambda figure: _draw_panel(
            figure, curves, lambda axes: _draw_rate(axes, curves, marks)
        ),
        size=_size([""]),
    )


def _thinned(steps: Sequence[int]) -> list[int]:
    """At most ``MOST_ROWS`` of them, evenly spaced, the last among them."""
    every = -(-len(steps) // MOST_ROWS) or 1
    return [step for place, step in enumerate(steps) if (len(steps) - 1 - place) % every == 0]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(parts: Sequence[Mapping[int, float]], step: int) -> str:
    values, lows, highs = parts
    if step not in values:
        return ""
    ends = f" [{lows[step]:+.4f}, {highs[step]:+.4f}]" if step in lows and step in highs else ""
    return f"{values[step]:+.4f}{ends}"


def _columns(names: Sequence[str]) -> int:
    """Of a legend."""
    return 2 if max(map(len, names), default=0) < 24 else 1


def _size(names: Sequence[str]) -> tuple[float, float]:
    """Inches of a panel with these names in its legend."""
    return 5.2, 3.3 + 0.23 * -(-len(names) // _columns(names))


def _draw_panel(figure: Figure, curves: Mapping[str, Curve], draw: Callable[[Axes], None]) -> None:
    """A panel over the steps of the run, with its legend below."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes = figure.subplots()
    draw(axes)
    last = max(curve.steps[-1] for curve in curves.values())
    axes.set_xlabel("steps")
    axes.set_xlim(0, 1.02 * max(last, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y")
    lines, labels = axes.get_legend_handles_labels()
    if lines:
        names = [short_name(str(label)) for label in labels]
        figure.legend(lines, names, loc="outside lower left", ncols=_columns(names))


def _draw_loss(
    axes: Axes, curves: Mapping[str, Curve], panel: _Panel, styles: Mapping[str, _Style]
) -> None:
    decisive = []
    train = curves.get(f"train/{panel.train}")
    if train is not None:
        axes.plot(*train, color=BASELINE, lw=0.8, alpha=0.6, label=IN_TRAINING)
        decisive.append(train)
    last = []
    for net, style in styles.items():
        curve = _held_out(curves, panel, net)
        if curve is None:
            continue
        _draw_curve(axes, curve, style, net)
        last.append(curve.values[-1])
        if net == RAW:
            decisive.append(curve)
    axes.set_title(panel.title)
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
        _draw_curve(axes, curve, style, net)
        ends.append(np.quantile(_after_start(curve), (0.02, 0.98)).tolist())
        low, high = curves.get(f"{key}_low"), curves.get(f"{key}_high")
        if low is not None and high is not None and low.steps == high.steps:
            axes.fill_between(low.steps, low.values, high.values, color=style.color, alpha=0.15)
            ends[-1] += [low.values[-1], high.values[-1]]
    axes.axhline(0, color=BASELINE, lw=1)
    axes.set_title("held-out policy loss minus the raw net's (nats)")
    farthest = TOO_FAR * min(max(map(abs, of_net)) for of_net in ends)
    shown = np.clip([0.0, *itertools.chain(*ends)], -farthest, farthest)
    margin = 0.1 * float(np.ptp(shown)) or 0.01
    axes.set_ylim(shown.min() - margin, shown.max() + margin)


def _after_start(curve: Curve) -> list[float]:
    """Its values once it has settled."""
    start = SETTLED * curve.steps[-1]
    return [value for step, value in zip(*curve, strict=True) if step >= start]


def _draw_rate(axes: Axes, curves: Mapping[str, Curve], marks: Marks) -> None:
    """The rate; on its line the nets that were written, below it what each average took."""
    curve = curves["train/learning_rate"]
    top = max(curve.values) or 1.0
    axes.plot(*curve, color=BASELINE)
    heights = np.interp(marks.written, *curve) if marks.written else ()
    if marks.written:
        axes.plot(marks.written, heights, "o", color=BASELINE, mfc=PAPER, ms=4, label="net written")
    rows = [name for name, taken in marks.averaged.items() if taken]
    for place, name in enumerate(rows, 1):
        taken = marks.averaged[name]
        below = [-0.12 * place * top] * len(taken)
        axes.plot(taken, below, "|", color=CANDIDATE, ms=7)
        axes.annotate(
            f"{short_name(name)} ",
            (taken[0], below[0]),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right" if taken[0] > 0.25 * curve.steps[-1] else "left",
            va="center",
            color=CANDIDATE,
        )
    axes.set_ylim(-0.12 * (len(rows) + 0.7) * top if rows else 0, 1.08 * top)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 1.08 * top])
    axes.set_title("learning rate")
