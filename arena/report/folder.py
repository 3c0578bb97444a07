"""All derived files of a run folder, written together after a match and by ``arena report``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from pathlib import Path

from arena.ledger import GAMES_FILE
from arena.report.markdown import write_markdown
from arena.report.openings import OPENINGS_FILE, write_openings
from arena.report.page import write_page
from arena.report.pgn import MatchTags, write_pgn
from arena.report.pictures.files import write_pictures
from arena.report.pictures.match import pictures
from arena.report.players import tags as player_tags
from arena.report.run import Run, read_run, replaying
from arena.report.schema import Summary
from arena.report.summary import summarize, write_summary

FORMATS = {
    "md": "report.md",
    "html": "report.html",
    "json": "summary.json",
    "pgn": "games.pgn",
}
"""What a report can be written as, and the file."""


class ReportError(Exception):
    """Derived files that cannot be written: where, why, what to do."""


def write_reports(
    folder: Path,
    formats: Collection[str] = tuple(FORMATS),
    extend: Callable[[Run], Run] | None = None,
) -> tuple[Run, Summary]:
    """Write what can be made from a run folder's ledger, of a match that is finished or not.

    ``formats``: keys of ``FORMATS``. report.md comes with its pictures, and both it and report.html
    with openings.csv. ``extend`` may first add to the run what its ledger does not have
    (``arena.opinions``).

    Raises LedgerError where it is no run folder or is damaged, ReportError where it cannot be
    written.
    """
    run = read_run(folder)
    if extend is not None:
        run = extend(run)
    summary = summarize(run)
    try:
        _write(run, summary, formats)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ReportError(
            f"{folder}: the report cannot be written: {reason}\n"
            f"All pairs are safe in {GAMES_FILE}. Make room or give access to the folder, then: "
            f"arena report {shlex.quote(str(folder))}"
        ) from error
    return run, summary


def report_line(folder: Path, formats: Collection[str] = ("md", "html")) -> str:
    """Return the last line that a terminal shows of a match: where its report is."""
    written = [f"{folder}/{file}" for key, file in FORMATS.items() if key in formats]
    return f"Report: {', '.join(written)}"


def _write(run: Run, summary: Summary, formats: Collection[str]) -> None:
    folder = run.folder
    if "json" in formats:
        write_summary(folder / FORMATS["json"], summary)
    if "pgn" in formats:
        write_pgn(folder / FORMATS["pgn"], run.pairs, _tags(run, summary))
    if not {"md", "html"}.isdisjoint(formats):
        with replaying(folder):
            counted = {pair.number for pair in run.counted}
            write_openings(folder / OPENINGS_FILE, run.pairs, counted)
    if "md" in formats:
        write_markdown(folder / FORMATS["md"], run, summary)
        write_pictures(folder, pictures(summary))
    if "html" in formats:
        write_page(folder / FORMATS["html"], run, summary)


def _tags(run: Run, summary: Summary) -> MatchTags:
    identity = run.identity
    baseline, candidate = (net.name for net in identity.nets)
    of_sides = None
    if not identity.plain or identity.search.mode == "value":
        of_sides = player_tags(identity, identity.nets[0]), player_tags(identity, identity.nets[1])
    return MatchTags(baseline, candidate, identity.search.visits, summary["date"], of_sides)
