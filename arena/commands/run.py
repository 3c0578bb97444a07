"""``arena run``: play a match."""

from __future__ import annotations

import argparse
import sys

from arena.commands.nets import load_match
from arena.commands.output import add_output_flags, write_json, write_text
from arena.commands.watching import add_watching_flags, say_how_to_go_on, watching
from arena.options import add_flags

EXAMPLES = """\
The first net is the baseline, the second the candidate; every figure is the
candidate's, relative to the baseline. Ctrl-C ends a match after writing its
report; the same command with the same --out goes on with it, with a higher
--pairs beyond the limit it had.

exit codes:
  0    finished as configured, whatever the verdict
  2    could not: bad usage, bad net, internal error
  130  interrupted; the command that goes on is shown

examples:
  arena run --nets raw.pb.gz swa.pb.gz
  arena run --nets raw.pb.gz swa.pb.gz --visits 800 --sprt 0 5
  arena run --nets raw.pb.gz swa.pb.gz --preset pick-best --delta 10
  arena run --nets raw.pb.gz swa.pb.gz --no-sprt --pairs 500 --json
  arena run --nets raw.pb.gz swa.pb.gz --part 2/3 --out part-2
  arena run --nets a.pb.gz b.pb.gz c.pb.gz --pairs 500 --tournament gauntlet
  arena run --nets a.pb.gz --net "path=a.pb.gz visits=200 cpuct=2.0"
  arena run --nets a.pb.gz --engine "cmd=stockfish nodes=5000 option.Hash=16"
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; its settings are those of ``MatchConfig``."""
    parser = commands.add_parser(
        "run",
        help="play a match between two nets, or a tournament of more",
        description="Play pairs of games between two nets, colours swapped, until the test "
        "decides or the limit is reached; write a run folder with games and report. More nets play "
        "a tournament of matches of fixed length, rated together.",
        epilog=EXAMPLES,
    )
    output = add_flags(parser)["output"]
    add_output_flags(output, json_help="summary.json on stdout, and nothing else there")
    add_watching_flags(output)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Play and show the outcome."""
    config, command = load_match(arguments)  # before the imports, which take seconds

    from arena.console import part_lines
    from arena.faults import FAULTS_FILE
    from arena.match import Ending
    from arena.report.folder import report_line
    from arena.report.ratings.table import ratings_lines
    from arena.report.summary import summary_json
    from arena.report.verdict import heading_of, outcome
    from arena.run import play
    from arena.tournament import play_tournament

    show, note = watching(arguments)
    if len(config.lineup) > 2:
        tournament = play_tournament(config, command, show, note)
        folder, ending = tournament.folder, tournament.ending
        if arguments.json:
            write_json(tournament.ratings)
        elif not arguments.quiet and tournament.ratings is not None:
            write_text([*ratings_lines(tournament.ratings), f"Report: {folder}/report.html"])
    else:
        played = play(config, command, show, note)
        folder, ending = played.run.folder, played.ending
        if arguments.json:
            sys.stdout.write(summary_json(played.summary))
        elif not arguments.quiet:
            if ending is Ending.PART:
                lines = part_lines(heading_of(played.run.identity), played.state)
            else:
                lines = outcome(played.run.identity, played.run.judgement, played.run.doubts)
            write_text(lines if played.trouble else [*lines, report_line(folder)])
        if played.trouble is not None:
            raise played.trouble
    if ending not in (Ending.INTERRUPTED, Ending.FAULTS):
        return 0
    why = "Interrupted" if ending is Ending.INTERRUPTED else f"Too many faults ({FAULTS_FILE})"
    resume = command if config.out is not None else [*command, "--out", str(folder)]
    say_how_to_go_on(why, resume)
    return 130 if ending is Ending.INTERRUPTED else 2
