"""report.html: the whole report in one file, which needs no network and nothing beside it.

It shows the sections of report.md, the pictures with their numbers, and a board to replay all games
on. All text is escaped, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from arena.report.block import number, percent, plain
from arena.report.content import Code, Link, Part, Span, Strong, Text, spans
from arena.report.files import atomic_writer
from arena.report.pictures.match import pictures
from arena.report.replay.section import replay_script, replay_section, replay_style
from arena.report.run import Run
from arena.report.schema import Summary
from arena.report.sections import block_of, sections
from arena.report.verdict import heading_of, verdict_sentence
from arena.report.web import render
from swa.picture import svg

BEFORE_PICTURES = frozenset({"nets", "conditions", "statistics", "caveats"})
"""Sections without which pictures should not be read; the others follow them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the few numbers that stand in large letters."""

    label: str
    value: str
    note: str


def write_page(path: Path, run: Run, summary: Summary) -> None:
    """Write report.html whole or not at all. Raises OSError where it cannot be written."""
    text = page(run, summary)
    with atomic_writer(path) as file:
        file.write(text)


def page(run: Run, summary: Summary) -> str:
    """Return the report of a run, finished or not, as a page for any browser."""
    heading = heading_of(run.identity)
    found = list(sections(run, summary))
    shown = pictures(summary)
    return render(
        "match.html.j2",
        styles=["report.css", "match.css"],
        script="match.js",
        more_styles=[replay_style()],
        more_scripts=[replay_script()],
        candidate=heading.candidate,
        baseline=heading.baseline,
        conditions=heading.conditions,
        date=summary["date"],
        title=_title(summary),
        verdict=verdict_sentence(heading, run.judgement, run.doubts),
        figures=key_figures(summary),
        block="\n".join(block_of(run)),
        first=[section for section in found if section.name in BEFORE_PICTURES],
        others=[section for section in found if section.name not in BEFORE_PICTURES],
        pictures=[(picture, Markup(svg(picture))) for picture in shown],
        replay=replay_section(run, summary),
        kind=kind,
        words=words,
    )


def _title(summary: Summary) -> str:
    """Return the outcome in a few words, for who reads no sentence."""
    if summary["doubts"]:
        return "No verdict"
    if summary["state"] == "unfinished":
        return "No verdict yet"
    if summary["sprt"] is None:
        return "Result, without a test"
    return {"promote": "Verdict: promote", "keep": "Verdict: keep the baseline"}.get(
        summary["verdict"], "Verdict: undecided"
    )


def key_figures(summary: Summary) -> list[Figure]:
    """Choose what stands in large letters: strength, evidence, points, length."""
    headline, sprt, certified = summary["headline"], summary["sprt"], summary["certified"]
    figures = []
    if headline is not None:
        note = "95 %: n/a" if headline["elo_ci"] is None else f"95 %: {_range(headline['elo_ci'])}"
        figures.append(Figure("Elo", number(headline["elo"]), note))
    if certified is not None:
        ends = (
            (certified["against_elo0"], certified["promote_at"]),
            (certified["against_elo1"], certified["keep_at"]),
        )
        most, needed = max(ends, key=lambda end: end[0] / end[1])
        figures.append(Figure("Evidence", plain(most), f"decides at {needed:.2f}"))
    elif sprt is not None and summary["llr_bounds"] is not None:
        note = f"bounds {_range(summary['llr_bounds'])}"
        figures.append(Figure("LLR", number(summary["llr"]), note))
    elif headline is not None and headline["nelo"] is not None:
        note = f"95 %: {_range(headline['nelo_ci'])}"
        figures.append(Figure("Normalized Elo", number(headline["nelo"]), note))
    won = f"{summary['wins']:,} won, {summary['draws']:,} drawn, {summary['losses']:,} lost"
    figures.append(Figure("Score", percent(summary["score"]), won))
    limit = f"of {summary['pairs_limit']:,} at most"
    figures.append(Figure("Pairs", f"{summary['pairs']:,}", limit))
    return figures


def _range(ends: Sequence[float | None] | None) -> str:
    return "n/a" if ends is None else " to ".join(map(number, ends))


def kind(part: Part) -> str:
    """Name the kind of a part of a section, for the template."""
    return type(part).__name__.lower()


def words(text: Text) -> Markup:
    """Return a text as HTML that shows it as it is, and nothing that cannot be seen."""
    return Markup("").join(map(_span, spans(text)))


def _span(span: Span) -> Markup:
    match span:
        case Code():
            return Markup("<code>{}</code>").format(_seen(span.text))
        case Strong():
            return Markup("<strong>{}</strong>").format(_seen(span.text))
        case Link():
            return Markup('<a href="{0}">{0}</a>').format(span.file)
        case _:
            return Markup("{}").format(_seen(span))


def _seen(text: str) -> str:
    """Replace what is not printable: controls, and the marks that reverse what follows."""
    return "".join(c if c.isprintable() else " " for c in text)
