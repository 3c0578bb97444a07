"""How all pictures lay out their axes: thousands with commas, labels at what they name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from arena.report.block import plain
from swa.picture import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_HEIGHT = 14.0
"""Of text, in points."""


class Label(NamedTuple):
    """Words at a height of the vertical axis."""

    at: float
    text: str
    color: str


def beside(axes: Axes, labels: Sequence[Label], height: float) -> None:
    """Write labels to the right of their heights, none over another.

    Limits must be set by now; ``height`` is that of the axes, in points, about.
    """
    low, high = axes.get_ylim()
    gap = LINE_HEIGHT / height
    ordered = sorted(labels)
    places = apart([(label.at - low) / (high - low) for label in ordered], gap)
    for label, place in zip(ordered, places, strict=True):
        axes.text(
            1.015, place, label.text, color=label.color, va="center", transform=axes.transAxes
        )


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places in [0, 1] as far from each other as ``gap``, where there is room."""
    moved: list[float] = []
    for place in places:
        least = moved[-1] + gap if moved else 0.0
        moved.append(max(place, least))
    most = 1.0
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], most)
        most = moved[index] - gap
    return moved


def whole_numbers(axes: Axes, which: str, most: int = 6) -> None:
    """Put ticks of an axis, "x" or "y", at whole numbers and write them as ``5,000``."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: signed(value)))


def signed(value: float) -> str:
    """``-1,200`` with a minus sign as long as a plus."""
    return f"{value:,g}".replace("-", "\N{MINUS SIGN}")


def precise(value: float) -> str:
    """Two digits as everywhere in a report, the minus sign as ``signed`` has it."""
    return plain(value).replace("-", "\N{MINUS SIGN}")


def shares(axes: Axes, which: str) -> None:
    """Write ticks of an axis, "x" or "y", whose values are in [0, 1], as ``40 %``."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))


def heading(axes: Axes, text: str) -> None:
    """Say above the axes what they show: more room than beside them, and read first."""
    axes.set_title(text, color=MUTED)


def finite(values: Sequence[float | None]) -> list[float]:
    """Return numbers to draw; a line has a gap where there is none."""
    return [math.nan if value is None else value for value in values]
