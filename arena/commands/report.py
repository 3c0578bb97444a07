"""``arena report``: everything in a run folder that can be made from its ledger, made again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.output import add_output_flags, write_json, write_text

if TYPE_CHECKING:
    from arena.report.run import Run

FORMATS = ("md", "html", "json", "pgn")
"""As in ``arena.report.folder``, which takes its time to load."""

EXAMPLES = """\
examples:
  arena report reports/swa-vs-raw-1
  arena report reports/swa-vs-raw-1 --json
  arena report reports/swa-vs-raw-1 --format html
  arena report reports/swa-vs-raw-1 --opinions
  arena report reports/roundrobin-1
  arena report --index reports
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "report",
        help="reports of a match or tournament, and the index of many",
        description="Write report.md, report.html, summary.json, games.pgn and openings.csv of a "
        "match, finished or not, from its match.toml and games.jsonl; of a tournament's folder "
        "ratings.json, report.md and report.html. With --index, write index.html, index.md and "
        "index.json of all matches below a folder.",
        epilog=EXAMPLES,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="RUN_DIR",
        help="a run folder of arena run, or a tournament's",
    )
    what.add_argument(
        "--index", type=Path, metavar="DIR", help="make the index of all matches anywhere below DIR"
    )
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        metavar="FORMAT",
        help="of a match, what to write: md, html, json, pgn (default: all of them)",
    )
    parser.add_argument(
        "--opinions",
        action="store_true",
        help="of a match of two nets, first ask both about a sample of its positions, as arena run "
        "does at its end; their files are looked for where the match had them",
    )
    add_output_flags(
        parser,
        json_help="summary.json (ratings.json, index.json) on stdout, and nothing else there",
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Rebuild and show the outcome."""
    if arguments.index is not None:
        _refuse(arguments, "name its RUN_DIR")
        return _index(arguments)

    from arena.report.folder import report_line, write_reports
    from arena.report.ratings.table import ratings_lines
    from arena.report.ratings.tournament import is_tournament, report_tournament

    if is_tournament(arguments.folder):
        _refuse(arguments, "name one of the tournament's")
        document = report_tournament(arguments.folder)
        if arguments.json:
            write_json(document)
        elif not arguments.quiet:
            write_text([*ratings_lines(document), f"Report: {arguments.folder}/report.html"])
        return 0

    from arena.report.summary import summary_json
    from arena.report.verdict import outcome

    extend = _opinions(arguments) if arguments.opinions else None
    formats = arguments.format or FORMATS
    run, summary = write_reports(arguments.folder, formats, extend)
    if arguments.json:
        sys.stdout.write(summary_json(summary))
    elif not arguments.quiet:
        lines = outcome(run.identity, run.judgement, run.doubts)
        write_text([*lines, report_line(run.folder, formats)])
    return 0


def _refuse(arguments: argparse.Namespace, advice: str) -> None:
    """Refuse what only the report of a single match knows."""
    for flag, value in (("--opinions", arguments.opinions), ("--format", arguments.format)):
        if value:
            arguments.parser.error(f"{flag} is of a single match: {advice}")


def _opinions(arguments: argparse.Namespace) -> Callable[[Run], Run]:
    """What asks both nets before the report is written."""
    from arena.console import write_lines
    from arena.opinions import ask_again

    def note(line: str) -> None:
        if not arguments.quiet:
            write_lines([line], sys.stderr)

    return ask_again(note)


def _index(arguments: argparse.Namespace) -> int:
    """Make the index of all matches below a folder."""
    from arena.report.index.document import index_json, write_index
    from arena.report.index.pages import summary_line

    written = write_index(arguments.index)
    index = written.index
    if arguments.json:
        sys.stdout.write(index_json(index))
    elif not arguments.quiet:
        lines = [summary_line(index)]
        if anew := index["summarised_anew"]:
            whose = f"{anew:,} match{'' if anew == 1 else 'es'}"
            lines.append(f"Of {whose} summary.json was missing, old or damaged: figures made anew.")
        lines += [f"Not shown: {one['folder']}: {one['reason']}" for one in index["unreadable"]]
        write_text([*lines, f"Index: {written.page}"])
    return 0
