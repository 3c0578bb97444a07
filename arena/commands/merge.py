"""``arena merge``: the parts of a match that several machines have played, as one run folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from arena.commands.output import add_output_flags, write_text

EXAMPLES = """\
Every machine plays a part of the same match: the same command, the same nets
and book, a --part of its own. Their folders, brought together, are merged and
judged as if one machine had played them, at any time, as often as you like:
the same command adds what is new. Pairs that still lack can be played by
arena run --out OUT with the settings of the match.

examples:
  arena run --nets raw.pb.gz swa.pb.gz --part 1/2 --out part-1
  arena run --nets raw.pb.gz swa.pb.gz --part 2/2 --out part-2
  arena merge whole part-1 part-2
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "merge",
        help="make one run folder of parts played on several machines",
        description="Bring the pairs of several run folders of one match into one and write its "
        "report. Another match, or other games as the same pair, are refused; the same games twice "
        "count once.",
        epilog=EXAMPLES,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="run folder to make, or to add to")
    parser.add_argument(
        "parts", type=Path, nargs="+", metavar="PART", help="run folders of arena run --part"
    )
    add_output_flags(parser, json_help="summary.json of OUT on stdout, and nothing else there")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Merge, rebuild the report and show the outcome."""
    from arena.merge import merge
    from arena.report.block import counted
    from arena.report.folder import report_line, write_reports
    from arena.report.summary import summary_json
    from arena.report.verdict import outcome

    merged = merge(arguments.out, arguments.parts)
    run, summary = write_reports(arguments.out)
    if not arguments.quiet:
        again = f", {merged.duplicates:,} were there already" if merged.duplicates else ""
        sys.stderr.write(
            f"{counted(merged.added, 'pair')} added{again}; {merged.pairs:,} of "
            f"{merged.identity.pairs:,} are there.\n"
        )
    if arguments.json:
        sys.stdout.write(summary_json(summary))
    elif not arguments.quiet:
        lines = outcome(run.identity, run.judgement, run.doubts)
        write_text([*lines, report_line(run.folder)])
    return 0
