"""A picture of a report: what it says in words, its table, and how matplotlib draws it.

Colours are the same in all pictures: the baseline is grey, the candidate has the one accent. Both
are told apart in print without colour as well, by dashes, hatches or markers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK, PAPER = "#1f2328", "#ffffff"
BASELINE, CANDIDATE = "#6b6b6b", "#b5421c"

VARIABLES = {INK: "--ink", PAPER: "--paper", BASELINE: "--baseline", CANDIDATE: "--candidate"}
"""In a page the colours are its own: properties of CSS, which differ by light and dark."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and read aloud
    "svg.hashsalt": "arena",  # the same picture has the same bytes
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; ``rows`` are its numbers as text, what one reads who does not see it."""

    name: str  # of its file, and of its place in the page: "llr"
    title: str  # plain text
    caption: str  # one sentence or two: what it shows and how to read it
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (7.0, 3.4)  # inches


def svg(picture: Picture) -> str:
    """Return an ``<svg>`` element for a page, its colours taken from the page's."""
    text = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure = _drawn(picture)
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    # Ids must be the picture's own: a page has many pictures.
    element = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{picture.name}-", element)
    for colour, variable in VARIABLES.items():
        element = element.replace(colour, f"var({variable})")
    return element.strip()


def write_png(path: Path, picture: Picture) -> None:
    """Write the picture for report.md. Raises OSError where it cannot be written."""
    with matplotlib.rc_context(STYLE):
        _drawn(picture).savefig(path, dpi=110, metadata={"Software": None})


def _drawn(picture: Picture) -> Figure:
    figure = Figure(figsize=picture.size, layout="constrained")
    picture.draw(figure)
    return figure
