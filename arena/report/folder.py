"""All derived files of a run folder, written together after a match and by ``arena report``."""

from __future__ import annotations

import shlex
from pathlib import Path

from arena.ledger import GAMES_FILE
from arena.report.markdown import write_markdown
from arena.report.openings import OPENINGS_FILE, write_openings
from arena.report.pgn import MatchTags, write_pgn
from arena.report.pictures.files import write_pictures
from arena.report.pictures.match import pictures
from arena.report.players import tags as player_tags
from arena.report.schema import Summary
from arena.report.summary import Run, read_run, summarize, write_summary


class ReportError(Exception):
    """Derived files that cannot be written: where, why, what to do."""


def write_reports(folder: Path) -> tuple[Run, Summary]:
    """Write summary.json, games.pgn, openings.csv, report.md and its pictures of a run folder.

    The match may be finished or not. Raises LedgerError where it is no run folder or is damaged,
    ReportError where it cannot be written.
    """
    run = read_run(folder)
    summary = summarize(run)
    try:
        _write(run, summary)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ReportError(
            f"{folder}: the report cannot be written: {reason}\n"
            f"All pairs are safe in {GAMES_FILE}. Make room or give access to the folder, then: "
            f"arena report {shlex.quote(str(folder))}"
        ) from error
    return run, summary


def _write(run: Run, summary: Summary) -> None:
    folder = run.folder
    identity = run.identity
    baseline, candidate = (net.name for net in identity.nets)
    of_sides = None
    if not identity.plain:
        of_sides = player_tags(identity, identity.nets[0]), player_tags(identity, identity.nets[1])
    tags = MatchTags(baseline, candidate, identity.search.visits, summary["date"], of_sides)
    write_summary(folder / "summary.json", summary)
    write_pgn(folder / "games.pgn", run.pairs, tags)
    write_openings(folder / OPENINGS_FILE, run.pairs, {pair.number for pair in run.counted})
    write_markdown(folder / "report.md", run, summary)
    write_pictures(folder, pictures(summary))
