"""All derived files of a run folder, written together after a match and by ``arena report``."""

from __future__ import annotations

from pathlib import Path

from arena.report.markdown import write_markdown
from arena.report.pgn import MatchTags, write_pgn
from arena.report.summary import Run, Summary, read_run, summarize, write_summary


def write_reports(folder: Path) -> tuple[Run, Summary]:
    """Write summary.json, games.pgn and report.md of a run folder, finished or not.

    Raises LedgerError where it is no run folder or is damaged, OSError where it cannot be written.
    """
    run = read_run(folder)
    summary = summarize(run)
    baseline, candidate = (net.name for net in run.identity.nets)
    tags = MatchTags(baseline, candidate, run.identity.search.visits, summary["date"])
    write_summary(folder / "summary.json", summary)
    write_pgn(folder / "games.pgn", run.pairs, tags)
    write_markdown(folder / "report.md", run, summary)
    return run, summary
