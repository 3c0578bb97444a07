"""``swa latest``: the newest net that is complete."""

from __future__ import annotations

import argparse

from swa.command_line import whole_number
from swa.commands.output import add_output_flags, note, write_json, write_text

DESCRIPTION = """\
Print the path of the newest net of WHERE that is complete: a file that is
still being written, truncated or no net is passed over, and said so.

WHERE is one of
  runs/tiny/      a folder
  'runs/*.pb.gz'  a glob, quoted
  runs/tiny/tiny  a series: what stands before the steps in the nets' names,
                  tiny-STEPS.pb.gz

In a series the steps in the names say what is newest; where no name has steps
it is the time of the last change. Of a folder with raw nets and averaged ones
(RUN-swa-STEPS.pb.gz) the raw ones are meant. Where there are several runs, say
which.

Everywhere else a NET can be latest:WHERE, and where several are taken, as by
`swa build --nets`, latest:WHERE:K: the last K, from the oldest to the newest.
"""

EXAMPLES = """\
examples:
  swa latest runs/tiny
  swa latest runs/tiny --average swa
  swa build --nets latest:runs/tiny:10 --data games/ -o swa.pb.gz
  arena run --nets latest:runs/tiny swa.pb.gz
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "latest", help="the newest complete net of a run", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument("where", metavar="WHERE", help="a folder, a glob or a series")
    parser.add_argument(
        "--average", metavar="NAME", help="of this average's nets, RUN-NAME-STEPS.pb.gz"
    )
    parser.add_argument(
        "--last", metavar="K", type=whole_number, help="the last K of the series, the oldest first"
    )
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Look and show.

    ``--json``: ``nets``, their paths from the oldest to the newest, and ``passed_over``: for each
    newer file that is not complete, its path and why.
    """
    from swa.latest import find_latest

    found = find_latest(arguments.where, average=arguments.average, count=arguments.last)
    if arguments.json:
        write_json({"nets": [*map(str, found.paths)], "passed_over": [*found.passed_over]})
        return 0
    for line in found.passed_over:
        note(f"passed over {line}")
    write_text([*map(str, found.paths)])
    return 0
