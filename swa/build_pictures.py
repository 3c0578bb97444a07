"""What a build did to its nets, in pictures: losses, and how far batch norm moved.

They show what the manifest has and nothing else, so they can be made of any manifest at any time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

from swa.bootstrap import FEW_GAMES
from swa.manifest import LossesRecord, LossRecord, RefreshRecord
from swa.picture import BASELINE, CANDIDATE, LINE, PAPER, Picture, printable
from swa.refresh_report import LayerShift

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 12
"""Snapshots with a row each; more share one, and are told apart in the table."""

LONGEST_NAME = 24  # letters

TOO_FAR = 3.0
"""Times the range of all others: a loss that is drawn at the edge, not to flatten the others."""

_METRICS = {
    "policy_cross_entropy": "policy loss (nats)",
    "value_cross_entropy": "value loss (nats)",
    "value_mse": "value MSE",
    "loss": "policy + value loss (nats)",  # where it is all that is known
}

_ROLES = ("ingredient", "averaged", "built")  # as rows, from the top


def build_pictures(
    losses: LossesRecord | None, refresh: RefreshRecord, name: str = "build"
) -> list[Picture]:
    """Pictures of a build, as far as there is something to show.

    ``name`` begins the pictures' names, which are to be unique in a page.
    """
    pictures = []
    if losses is not None and losses.nets and _shown(losses):
        pictures.append(_losses_picture(losses, refresh, f"{name}-losses"))
    if refresh.method not in ("none", "averaged") and refresh.layers:
        pictures.append(_shift_picture(refresh, f"{name}-batch-norm"))
    return pictures


# --- losses ---


class _Point(NamedTuple):
    """A net's loss; the interval is that of its distance to the built net's."""

    value: float
    low: float | None
    high: float | None


def _losses_picture(losses: LossesRecord, refresh: RefreshRecord, name: str) -> Picture:
    rows, metrics = _rows(losses.nets), _shown(losses)
    compared = any(net.built_minus_this for net in losses.nets)
    where = "held-out positions" if losses.on == "held-out" else "positions of the refresh itself"
    of = f" of {_count(losses.games, 'game')}" if losses.games else ""
    caption = (
        f"Losses on {losses.positions:,} {where}{of}; further left is better. Grey squares are the "
        "nets that went in, "
    )
    if any(net.role == "averaged" for net in losses.nets):
        caption += (
            "the hollow circle is their average with batch norm as averaging left it, the full one "
            "the net that was built, its batch norm refreshed. "
        )
    else:
        caption += f"the circle is the net that was built ({_built_words(refresh)}). "
    caption += "The thin line is the built net's loss"
    if compared:
        caption += ", bars are 95 % intervals of the difference to it"
        if losses.games < FEW_GAMES:
            caption += f" ({losses.games} games are few: they come out too narrow)"
    caption += "."
    return Picture(
        name=name,
        title="Losses of what went in, of the stale average and of the net built",
        caption=caption,
        header=["net", *(cell for metric in metrics for cell in _heads(metric, compared))],
        rows=[
            [label, *(cell for metric in metrics for cell in _cells(net, metric, compared))]
            for label, nets in _rows(losses.nets, len(losses.nets))
            for net in nets
        ],
        draw=lambda figure: _draw_losses(figure, rows, metrics, losses.nets),
        size=(5.2, 1.1 + 0.27 * len(rows)),
    )


def _shown(losses: LossesRecord) -> list[str]:
    """The losses that every net has a figure of: policy, and one of the value."""
    there = [metric for metric in _METRICS if all(metric in net.metrics for net in losses.nets)]
    return there[:2]


def _rows(nets: Sequence[LossRecord], most: int = MOST_ROWS) -> list[tuple[str, list[LossRecord]]]:
    """Label and nets of each row, the built net in the last; beyond ``most`` ingredients share."""
    rows = []
    for role in _ROLES:
        those = [net for net in nets if net.role == role]
        if role == "ingredient" and len(those) > most:
            rows.append((f"{len(those)} snapshots", those))
        else:
            rows += [(_label(net), [net]) for net in those]
    return rows


def _label(net: LossRecord) -> str:
    if net.role == "averaged":
        return "average, stale"
    return "built" if net.role == "built" else net.name


def _built_words(refresh: RefreshRecord) -> str:
    return {"none": "it has no batch norm", "averaged": "its batch norm is averaged"}.get(
        refresh.method, "its batch norm is refreshed"
    )


def _point(net: LossRecord, metric: str, nets: Sequence[LossRecord]) -> _Point:
    """The loss, and the ends of its distance to the built net's, put on from there."""
    value = net.metrics[metric]
    _, low, high = net.built_minus_this.get(metric) or (None, None, None)
    if low is None or high is None:
        return _Point(value, None, None)
    built = next((one.metrics[metric] for one in nets if one.role == "built"), value)
    return _Point(value, built - high, built - low)


def _heads(metric: str, compared: bool) -> list[str]:
    return [_METRICS[metric], *(["above the built net, 95 % interval"] if compared else [])]


def _cells(net: LossRecord, metric: str, compared: bool) -> list[str]:
    value = f"{net.metrics[metric]:.4f}"
    if not compared:
        return [value]
    middle, low, high = net.built_minus_this.get(metric) or (None, None, None)
    if middle is None:
        return [value, "" if net.role == "built" else "not known"]
    ends = "" if low is None or high is None else f" [{0 - high:+.4f}, {0 - low:+.4f}]"
    return [value, f"{0 - middle:+.4f}{ends}"]


def _draw_losses(
    figure: Figure,
    rows: Sequence[tuple[str, list[LossRecord]]],
    metrics: Sequence[str],
    nets: Sequence[LossRecord],
) -> None:
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        points = {id(net): _point(net, metric, nets) for net in nets}
        edge = _scale(axes, list(points.values()))
        for place, (_, those) in enumerate(rows):
            for net in those:
                point = points[id(net)]
                if point.value > edge:
                    _draw_beyond(axes, point.value, place, net.role)
                    continue
                if len(those) == 1 and point.low is not None and point.high is not None:
                    axes.plot([point.low, point.high], [place, place], color=_colour(net), lw=1.5)
                axes.plot(point.value, place, **_marker(net.role))
            if those[0].role == "built":
                axes.axvline(points[id(those[0])].value, color=CANDIDATE, lw=0.8, zorder=0.5)
        axes.set_title(_METRICS[metric], loc="center")
        axes.locator_params(axis="x", nbins=4)
        axes.grid(axis="x")
    panels[0].set_yticks(range(len(rows)), [_short(label) for label, _ in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)


def _scale(axes: Axes, points: Sequence[_Point]) -> float:
    """Set the range of a panel; return what is beyond its right edge."""
    values = sorted(point.value for point in points)
    low, high = values[0], values[-1]
    for place in range(len(values) // 2 + 1, len(values)):
        within = values[place - 1] - low
        if within > 0 and values[place] - low > TOO_FAR * within:
            high = values[place - 1]
            break
    for point in points:
        if point.value <= high and point.low is not None and point.high is not None:
            low, high = min(low, point.low), max(high, min(point.high, 2 * high - low))
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    axes.set_xlim(low - margin, high + margin)
    return high + margin


def _draw_beyond(axes: Axes, value: float, place: int, role: str) -> None:
    """An arrow at the edge, with the figure that did not fit."""
    axes.annotate(
        f"{value:,.0f} " if value >= 100 else f"{value:.4g} ",
        xy=(1, place),
        xytext=(0.72, place),
        xycoords=axes.get_yaxis_transform(),
        textcoords=axes.get_yaxis_transform(),
        ha="right",
        va="center",
        color=_marker(role)["color"],
        arrowprops={"arrowstyle": "->", "color": _marker(role)["color"], "linewidth": 1.5},
    )


def _colour(net: LossRecord) -> str:
    return str(_marker(net.role)["color"])


def _marker(role: str) -> dict[str, str | float]:
    """Told apart without colour too: squares, a ring, a disc."""
    if role == "ingredient":
        return {"marker": "s", "color": BASELINE, "ms": 6.0, "mec": PAPER, "mew": 0.6}
    filled = CANDIDATE if role == "built" else PAPER
    return {"marker": "o", "color": CANDIDATE, "ms": 7.0, "mfc": filled, "mew": 1.5}


# --- batch norm ---


def _shift_picture(refresh: RefreshRecord, name: str) -> Picture:
    layers = refresh.layers
    dead = [sum(getattr(layer, when) for layer in layers) for when in ("dead_before", "dead_after")]
    return Picture(
        name=name,
        title="What the refresh of batch norm changed, layer by layer",
        caption=(
            f"What refreshing ({refresh.method}, on {refresh.positions:,} positions) changed, from "
            "the input over the blocks, by their numbers, to the heads. Above: how far the "
            "channels' means moved, in standard deviations (root mean square, and the largest). "
            "Below: new variance over old (median, and from least to most); on the dashed grey "
            f"line nothing has changed. Dead channels: {dead[0]:,} before, {dead[1]:,} after."
        ),
        header=[
            "layer",
            "channels",
            "mean shift, rms",
            "mean shift, largest",
            "variance ratio, least",
            "median",
            "most",
            "dead before",
            "dead after",
        ],
        rows=[
            [
                layer.name,
                str(layer.channels),
                f"{layer.mean_shift_rms:.4g}",
                f"{layer.mean_shift_max:.4g}",
                f"{layer.variance_ratio_min:.4g}",
                f"{layer.variance_ratio_median:.4g}",
                f"{layer.variance_ratio_max:.4g}",
                str(layer.dead_before),
                str(layer.dead_after),
            ]
            for layer in layers
        ],
        draw=lambda figure: _draw_shift(figure, layers),
        size=(5.2, 4.4),
    )


def _draw_shift(figure: Figure, layers: Sequence[LayerShift]) -> None:
    from matplotlib.ticker import MaxNLocator

    means, variances = figure.subplots(2, 1, sharex=True)
    places = _places(layers)
    largest = [layer.mean_shift_max for layer in layers]
    _draw_spans(means, places, [layer.mean_shift_rms for layer in layers], largest, largest)
    means.set_ylim(0, 1.1 * max(largest) or 1)
    means.yaxis.set_major_locator(MaxNLocator(4))
    means.set_title("means moved by (standard deviations): rms and largest")
    least = [layer.variance_ratio_min for layer in layers]
    most = [layer.variance_ratio_max for layer in layers]
    variances.axhline(1, color=BASELINE, lw=1.2, ls="--", zorder=1)
    _draw_spans(variances, places, [layer.variance_ratio_median for layer in layers], least, most)
    variances.set_title("new variance over old: median, least and most")
    ticks = _ratio_ticks(min(least), max(most))
    variances.set_yscale("log")
    variances.set_yticks(ticks, [f"{ratio:g}" for ratio in ticks])
    variances.minorticks_off()
    variances.set_ylim(min(*least, ticks[0]) / 1.05, max(*most, ticks[-1]) * 1.05)
    _name_layers(variances, layers)
    for axes in (means, variances):
        axes.grid(axis="y")
        for one, other in pairwise(zip(_places(layers), layers, strict=True)):
            if _part(one[1]) != _part(other[1]):
                axes.axvline((one[0] + other[0]) / 2, color=LINE, lw=0.5, zorder=0)


def _draw_spans(
    axes: Axes,
    places: Sequence[float],
    middle: Sequence[float],
    least: Sequence[float],
    most: Sequence[float],
) -> None:
    """A dot a layer, and a bar that takes in the ends given."""
    size = min(6.0, 100 / len(middle) + 2)
    low = [min(pair) for pair in zip(middle, least, strict=True)]
    axes.vlines(places, low, most, color=CANDIDATE, lw=1.2)
    axes.plot(places, middle, "o", color=CANDIDATE, ms=size)
    for ends in (least, most):
        axes.plot(places, ends, "_", color=CANDIDATE, ms=size + 2, mew=1.5)


def _ratio_ticks(least: float, most: float) -> list[float]:
    """Round ratios around 1 that take in what there is."""
    for factor in (1.1, 1.25, 2.0, 10.0, 1e3):
        steps = max(
            math.ceil(abs(math.log(max(end, 1e-300))) / math.log(factor)) for end in (least, most)
        )
        if steps <= 3:
            below = math.ceil(max(0.0, -math.log(least)) / math.log(factor))
            above = math.ceil(max(0.0, math.log(most)) / math.log(factor))
            return [
                float(f"{factor**power:.3g}") for power in range(-max(below, 1), max(above, 1) + 1)
            ]
    return [least, 1.0, most]


def _places(layers: Sequence[LayerShift]) -> list[float]:
    """Where layers stand, from 0: all but those of blocks have room for a word each."""
    room = max(1.0, len(layers) / 18)
    in_block = [layer.name.startswith("blocks.") for layer in layers]
    steps = (1.0 if one and other else room for one, other in pairwise(in_block))
    return list(accumulate(steps, initial=0.0))


def _name_layers(axes: Axes, layers: Sequence[LayerShift]) -> None:
    """Name parts of the net below: blocks by their numbers, from 1, as many as there is room."""
    placed = zip(_places(layers), layers, strict=True)
    parts = [
        (name, [place for place, _ in group])
        for name, group in groupby(placed, key=lambda item: _part(item[1]))
    ]
    every = -(-sum(name.isdigit() for name, _ in parts) // 10) or 1
    shown = [
        (name, sum(places) / len(places))
        for name, places in parts
        if not name.isdigit() or (int(name) - 1) % every == 0
    ]
    names = [name for name, _ in shown]
    axes.set_xticks([place for _, place in shown], names)
    axes.set_xlim(-0.6, parts[-1][1][-1] + 0.6)
    for name, label in zip(names, axes.get_xticklabels(), strict=True):
        if len(layers) > 9 and not name.isdigit():
            label.set_rotation(90)


def _part(layer: LayerShift) -> str:
    """Part of the net that a batch norm is in: "input", "1" for the first block, "policy"."""
    first, _, rest = layer.name.partition(".")
    number = rest.partition(".")[0]
    if first == "blocks" and number.isdecimal():
        return str(int(number) + 1)
    return first.replace("_", " ")


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
