"""``arena report``: everything in a run folder that can be made from its ledger, made again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from arena.commands.output import add_output_flags, write_text

EXAMPLES = """\
examples:
  arena report reports/swa-vs-raw-1
  arena report reports/swa-vs-raw-1 --json
  arena report reports/swa-vs-raw-1 --opinions
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "report",
        help="rebuild the report of a run folder",
        description="Write summary.json, games.pgn, openings.csv and report.md of a match, "
        "finished or not, from its match.toml and games.jsonl.",
        epilog=EXAMPLES,
    )
    parser.add_argument("folder", type=Path, metavar="RUN_DIR", help="a run folder of arena run")
    parser.add_argument(
        "--opinions",
        action="store_true",
        help="ask both nets about positions of the match first, as arena run does at its end; "
        "their files are looked for where the match had them",
    )
    add_output_flags(parser, json_help="summary.json on stdout, and nothing else there")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Rebuild and show the outcome."""
    from arena.report.folder import write_reports
    from arena.report.summary import summary_json
    from arena.report.verdict import outcome

    extend = None
    if arguments.opinions:
        from arena.console import write_lines
        from arena.opinions import ask_again

        def note(line: str) -> None:
            if not arguments.quiet:
                write_lines([line], sys.stderr)

        extend = ask_again(note)
    run, summary = write_reports(arguments.folder, extend)
    if arguments.json:
        sys.stdout.write(summary_json(summary))
    elif not arguments.quiet:
        write_text([*outcome(run.identity, run.judgement), f"Report: {run.folder}/report.md"])
    return 0
