"""The report of a tournament: all encounters below a folder, rated together.

ratings.json is what ``arena ratings --json`` says of the folder and has every figure; report.md and
report.html show it: ratings with their intervals, who did what against whom, and how likely each is
stronger than each other. Every encounter is a match with a report of its own, which they link to.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from arena.match_file import MATCH_FILE
from arena.report.block import counted, number, percent
from arena.report.characters import printable
from arena.report.files import atomic_writer
from arena.report.folder import ReportError
from arena.report.index.links import report_link, shown_path
from arena.report.index.phrases import bounds, short, signed
from arena.report.markup import escape, table
from arena.report.ratings.field import RatingsError, rate_field, read_field, runs_inside
from arena.report.ratings.table import (
    RATINGS_FILE,
    RatedNet,
    RatingsDocument,
    document_of,
    intransitivity_line,
    scale_line,
)
from arena.report.web import render
from swa.picture import BASELINE, CANDIDATE, Picture, svg, write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_FILE = "ratings.png"

LIKELY = 0.95
"""A likelihood of superiority that is marked, from this on."""


def is_tournament(folder: Path) -> bool:
    """Whether a folder is no match itself, but was rated before or has several in it."""
    if (folder / MATCH_FILE).exists():
        return False
    return (folder / RATINGS_FILE).exists() or len(runs_inside(folder)) > 1


def write_tournament(folder: Path) -> RatingsDocument:
    """Rate what was played below a folder; write ratings.json, report.md and report.html.

    Raises RatingsError where the encounters cannot be rated together, LedgerError where one cannot
    be read, ReportError where the files cannot be written.
    """
    field = read_field([folder])
    document = document_of(field, rate_field(field))
    try:
        _write(folder, document)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ReportError(
            f"{folder}: the report cannot be written: {reason}\n"
            "All pairs are safe in the encounters' folders. Make room or give access, then: "
            f"arena report {shlex.quote(str(folder))}"
        ) from error
    return document


def report_tournament(folder: Path) -> RatingsDocument:
    """Do as ``write_tournament``, for one who asked for the report of any folder of matches."""
    try:
        return write_tournament(folder)
    except RatingsError as error:
        reason = "\n".join(str(error).splitlines()[:2])
        raise RatingsError(
            f"{reason}\nAs matches of their own: arena report --index {shlex.quote(str(folder))}"
        ) from None


def _write(folder: Path, document: RatingsDocument) -> None:
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    picture = ratings_picture(document)
    if picture is not None:
        write_png(folder / PICTURE_FILE, picture)
    pages = (
        (RATINGS_FILE, text),
        ("report.md", tournament_markdown(folder, document)),
        ("report.html", tournament_html(folder, document)),
    )
    for name, page in pages:
        with atomic_writer(folder / name) as file:
            file.write(page)


# --- what is shown ---


@dataclass(frozen=True, slots=True)
class Cell:
    """What a net of the cross table did against another, or against all."""

    points: float
    games: int
    won: int  # pairs
    level: int
    lost: int
    link: str | None = None  # to the match's report, where there is one match

    @property
    def result(self) -> str:
        """``23.5–16.5``."""
        return f"{self.points:g}–{self.games - self.points:g}"

    @property
    def pairs(self) -> str:
        """``+6 =9 −5``, in pairs."""
        return f"+{self.won} ={self.level} −{self.lost}"


def cross_table(folder: Path, document: RatingsDocument) -> list[list[Cell | None]]:
    """Return a row for each net, in the order of the ratings: a cell for each net, then the sum.

    A cell is None where two have not met, and for a net against itself.
    """
    cells: dict[tuple[str, str], Cell] = {}
    links = _links(folder, document)
    for encounter in document["encounters"]:
        lost, level, won = _by_pair(encounter["pentanomial"])
        baseline, candidate = encounter["baseline"], encounter["candidate"]
        points, games = encounter["points"], 2 * encounter["pairs"]
        link = links.get(frozenset((baseline, candidate)))
        cells[candidate, baseline] = Cell(points, games, won, level, lost, link)
        cells[baseline, candidate] = Cell(games - points, games, lost, level, won, link)
    names = [net["net"] for net in document["nets"]]
    rows = []
    for name in names:
        against = [cells.get((name, other)) for other in names]
        rows.append([*against, _sum([cell for cell in against if cell is not None])])
    return rows


def _by_pair(pentanomial: Sequence[int]) -> tuple[int, int, int]:
    """Return pairs lost, level and won."""
    lost_both, lost, level, won, won_both = pentanomial
    return lost_both + lost, level, won + won_both


def _sum(cells: Sequence[Cell]) -> Cell:
    return Cell(
        points=sum(cell.points for cell in cells),
        games=sum(cell.games for cell in cells),
        won=sum(cell.won for cell in cells),
        level=sum(cell.level for cell in cells),
        lost=sum(cell.lost for cell in cells),
    )


def _links(folder: Path, document: RatingsDocument) -> Mapping[frozenset[str], str | None]:
    """Return the link to the one match of two nets; two of several matches have none."""
    links: dict[frozenset[str], str | None] = {}
    for run in document["runs"]:
        both = frozenset((run["baseline"], run["candidate"]))
        several = both in links
        links[both] = None if several else report_link(folder, Path(run["folder"]))
    return links


def headline(document: RatingsDocument) -> str:
    """Say who leads, and by how sure a lead."""
    nets = document["nets"]
    pairs = sum(encounter["pairs"] for encounter in document["encounters"])
    grounds = f"{counted(pairs, 'pair')} ({document['conditions']})"
    best = nets[0]
    if best["elo"] is None:
        return f"Nobody has a rating after {grounds}."
    words = f"{best['net']} leads after {grounds}: {_relative(best, document)}"
    if len(nets) > 1 and best["los"] is not None:
        chance = percent(best["los"])
        words += f"; stronger than {nets[1]['net']}, the next, with a likelihood of {chance}"
    return f"{words}."


def _relative(net: RatedNet, document: RatingsDocument) -> str:
    zero = "as anchored" if document["anchors"] else "relative to the mean of all"
    interval = f" {bounds(net['elo_ci'])}" if net["elo_ci"] is not None else ""
    return f"{signed(net['elo'])} Elo{interval} {zero}"


def ratings_picture(document: RatingsDocument) -> Picture | None:
    """Return all ratings with their intervals; None where nobody has one."""
    nets = [net for net in document["nets"] if net["elo"] is not None]
    if not nets:
        return None
    return Picture(
        name="ratings",
        title="Ratings",
        caption="Elo with 95 % intervals, the strongest first. Intervals are of the distance from "
        f"{'the anchors' if document['anchors'] else 'the mean'}: how likely one net is stronger "
        "than another stands in the table of likelihoods, not in how far intervals overlap.",
        header=RATINGS_HEADER,
        rows=[rating_cells(net) for net in nets],
        draw=lambda figure: _draw_ratings(figure, nets),
        size=(7.0, 1.1 + 0.34 * len(nets)),
    )


def _draw_ratings(figure: Figure, nets: Sequence[RatedNet]) -> None:
    axes = figure.subplots()
    axes.grid(axis="x")
    axes.axvline(0.0, color=BASELINE, linewidth=0.8, linestyle=(0, (4, 3)))
    for place, net in enumerate(nets):
        if net["elo_ci"] is not None:
            axes.plot(net["elo_ci"], [place, place], color=CANDIDATE, linewidth=1.8)
        colour = BASELINE if net["anchor"] else CANDIDATE
        axes.plot([net["elo"] or 0.0], [place], "s" if net["anchor"] else "o", color=colour)
    axes.set_yticks(range(len(nets)), [short(net["net"]) for net in nets])
    axes.invert_yaxis()
    axes.margins(y=0.5 / len(nets))
    axes.set_xlabel("Elo")


RATINGS_HEADER = ("", "net", "Elo", "95 %", "score", "pairs", "LOS to the next")


def rating_cells(net: RatedNet) -> list[str]:
    """Return a row of the ratings as plain text."""
    return [
        "-" if net["rank"] is None else str(net["rank"]),
        net["net"],
        signed(net["elo"]),
        "anchor" if net["anchor"] else bounds(net["elo_ci"]),
        percent(net["score"]),
        f"{net['pairs']:,}",
        "" if net["los"] is None else percent(net["los"]),
    ]


def _title(folder: Path, document: RatingsDocument) -> str:
    whole = folder.resolve()
    return f"{shown_path(whole.parent, whole)}: {counted(len(document['nets']), 'net')}"


# --- Markdown ---


def tournament_markdown(folder: Path, document: RatingsDocument) -> str:
    """Return report.md of a tournament's folder."""
    nets = document["nets"]
    numbers = [str(place) for place in range(1, len(nets) + 1)]
    picture = ratings_picture(document)
    sections = [
        f"# {escape(_title(folder, document))}",
        f"**{escape(headline(document))}**",
        "## Ratings",
        f"![Elo of all nets with 95 % intervals; table below]({PICTURE_FILE})" if picture else "",
        table(RATINGS_HEADER, ([escape(cell) for cell in rating_cells(net)] for net in nets)),
        escape(scale_line(document)),
        escape(intransitivity_line(document)),
        "## Cross table",
        "Points of games; below them pairs won, level and lost. Columns are numbered as rows.",
        table(["", "net", *numbers, "all"], _cross_rows(folder, document)),
        "## Likelihood of superiority",
        "Chance that the row's net is stronger than the column's, from the joint covariance.",
        table(["", "net", *numbers], _los_rows(document)),
        "## Matches",
        table(
            ["candidate", "baseline", "pairs", "score", "expected", "z", "report"],
            _encounter_rows(folder, document),
        ),
        *(
            ["## Notes", "\n".join(f"- {escape(n)}" for n in notes_of(folder, document))]
            if document["notes"]
            else []
        ),
        f"[{RATINGS_FILE}]({RATINGS_FILE}) has every number of this page.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def notes_of(folder: Path, document: RatingsDocument) -> list[str]:
    """Return the notes, folders in them named as the page names them."""
    notes = list(document["notes"])
    for run in document["runs"]:
        shown = shown_path(folder, Path(run["folder"]))
        notes = [note.replace(printable(run["folder"]), shown) for note in notes]
    return notes


def _cross_rows(folder: Path, document: RatingsDocument) -> Iterator[list[str]]:
    rows = cross_table(folder, document)
    for place, (net, cells) in enumerate(zip(document["nets"], rows, strict=True), start=1):
        yield [
            str(place),
            escape(net["net"]),
            *("" if cell is None else _cross_cell(cell) for cell in cells),
        ]


def _cross_cell(cell: Cell) -> str:
    result = cell.result if cell.link is None else f"[{cell.result}]({cell.link})"
    return f"{result}<br>{cell.pairs}"


def _los_rows(document: RatingsDocument) -> Iterator[list[str]]:
    for place, (net, row) in enumerate(zip(document["nets"], document["los"], strict=True)):
        chances = ("" if chance is None else percent(chance) for chance in row)
        yield [str(place + 1), escape(net["net"]), *chances]


def _encounter_rows(folder: Path, document: RatingsDocument) -> Iterator[list[str]]:
    for encounter in document["encounters"]:
        both = {encounter["baseline"], encounter["candidate"]}
        links = [
            f"[{escape(name)}]({link})" if link else escape(name)
            for name, link in reports_of(folder, document, both)
        ]
        yield [
            escape(encounter["candidate"]),
            escape(encounter["baseline"]),
            f"{encounter['pairs']:,}",
            percent(encounter["score"]),
            percent(encounter["expected"]),
            number(encounter["z"]),
            ", ".join(links),
        ]


def reports_of(
    folder: Path, document: RatingsDocument, both: set[str]
) -> list[tuple[str, str | None]]:
    """Return folder and link of each match of two nets."""
    return [
        (shown_path(folder, Path(run["folder"])), report_link(folder, Path(run["folder"])))
        for run in document["runs"]
        if {run["baseline"], run["candidate"]} == both
    ]


# --- HTML ---


def tournament_html(folder: Path, document: RatingsDocument) -> str:
    """Return report.html of a tournament's folder, whole and without the network."""
    picture = ratings_picture(document)
    return render(
        "tournament.html.j2",
        styles=["report.css", "index.css"],
        script=None,
        title=_title(folder, document),
        lead=headline(document),
        document=document,
        picture=picture,
        drawing=Markup(svg(picture)) if picture else None,
        header=RATINGS_HEADER,
        rating_cells=rating_cells,
        scale=scale_line(document),
        intransitivity=intransitivity_line(document),
        cross=cross_table(folder, document),
        likely=LIKELY,
        reports_of=lambda one, other: reports_of(folder, document, {one, other}),
        notes=notes_of(folder, document),
        signed=signed,
        bounds=bounds,
        percent=percent,
        number=number,
        ratings_file=RATINGS_FILE,
    )
