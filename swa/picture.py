"""A picture of a report or of a net: what it says in words, its table, and how matplotlib draws it.

Colours are the same in all pictures: the baseline is grey, the candidate has the one accent. Both
are told apart in print without colour as well, by dashes, hatches or markers.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from swa.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, PAPER = "#1f2328", "#ffffff"
MUTED, LINE = "#59626c", "#d9dee3"
BASELINE, CANDIDATE = "#6b6b6b", "#b5421c"

VARIABLES = {
    INK: "--ink",
    PAPER: "--paper",
    MUTED: "--muted",
    LINE: "--line",
    BASELINE: "--baseline",
    CANDIDATE: "--candidate",
}
"""In a page the colours are its own: properties of CSS, which differ by light and dark."""

DARK = {
    INK: "#e4e7ea",
    PAPER: "#15181b",
    MUTED: "#9ca6b0",
    LINE: "#31373d",
    BASELINE: "#a6a6a6",
    CANDIDATE: "#f28b62",
}
"""What they are on a dark page."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and in the page's letters
    "svg.hashsalt": "arena",  # the same picture has the same bytes
    "text.parse_math": False,  # a net may be called $x_1$
    # On a telephone 5.2 inches are 328 pixels, and this is 9.6 of them.
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "legend.fontsize": 11.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # no ticks are above axes: where titles go need not be searched
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "ytick.major.size": 0.0,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 1.0,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}

DPI = 150
"""Of files beside report.md: 780 pixels wide, about what a page of Markdown has room for."""

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; ``rows`` are its numbers as text, what one reads who does not see it."""

    name: str  # of its file, and of its place in the page: "llr"
    title: str  # plain text
    caption: str  # one sentence or two: what it shows and how to read it
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (5.2, 3.2)  # inches


def printable(text: str) -> str:
    """The text with what is no letter, as in paths that are not UTF-8, escaped as Python does."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def svg(picture: Picture) -> str:
    """Return an ``<svg>`` element for a page, as wide as its place there, in the page's colours.

    It has no styles, so a page may forbid those that are not its own, and no letters of its own.
    """
    text = io.StringIO()
    with drawn(picture) as figure:
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(text.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata") or child.find(f"{{{_SVG}}}style") is not None:
                parent.remove(child)
    prefix = f"picture-{picture.name}-"  # a page has many pictures, and more
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text.getvalue()))
    for element in root.iter():
        element.attrib = dict(_attributes(element, prefix, used))
        element.tail = None
        if element.text is not None and not element.text.strip():
            element.text = None
    title = ElementTree.Element("title", id=f"{prefix}title")
    title.text = picture.title
    root.insert(0, title)
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "picture",
        "role": "img",
        "aria-labelledby": f"{prefix}title",
        "width": "100%",
        "viewBox": root.attrib["viewBox"],
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def png(picture: Picture) -> bytes:
    """Return the picture as a PNG file on white paper."""
    data = io.BytesIO()
    with drawn(picture) as figure:
        figure.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
    return data.getvalue()


def write_png(path: Path, picture: Picture) -> None:
    """Write the picture for report.md, whole or not at all. Raises OSError where it cannot be."""
    write_whole(path, png(picture))


@contextmanager
def drawn(picture: Picture) -> Iterator[Figure]:
    """Draw it, and keep matplotlib's settings those of ``STYLE`` until it is saved."""
    import matplotlib.style
    from matplotlib.figure import Figure

    # "default" first: the settings that somebody has for pictures of his own are not these.
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # A letter that the font lacks is a box in PNG; a page has more letters.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure)
        yield figure


def _attributes(
    element: ElementTree.Element, prefix: str, used: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield attributes as a page wants them: styles as attributes, ids that are the picture's."""
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    for key, value in element.attrib.items():
        if key == "id":
            if value in used:
                yield "id", prefix + value
        elif key == f"{{{_XLINK}}}href":
            yield "href", value.replace("#", f"#{prefix}")
        elif key == "style":
            for declaration in value.split(";"):
                prop, _, text = map(str.strip, declaration.partition(":"))
                if prop == "font":  # matplotlib before 3.11: all of it in one
                    yield "font-size", re.findall(r"[\d.]+px", text)[0]
                elif prop and prop != "font-family":
                    yield prop, _in_page(text, prefix)
        elif key == "d":
            yield "d", " ".join(value.split())
        else:
            yield key, _in_page(value, prefix)


def _in_page(value: str, prefix: str) -> str:
    if value in VARIABLES:
        return f"var({VARIABLES[value]})"
    return value.replace("url(#", f"url(#{prefix}")
