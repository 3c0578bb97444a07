"""``arena gate``: one decision between two nets, for scripts by the exit code."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.nets import load_match
from arena.commands.output import add_output_flags, write_json, write_text
from arena.commands.watching import add_watching_flags, say_how_to_go_on, watching
from arena.config import MatchConfig
from arena.options import LINEUP, add_flags, finite_number, options

if TYPE_CHECKING:
    from arena.gate import Decision

EXAMPLES = """\
Either two nets, the baseline and the candidate, are named: then a match is
played or gone on with, as by arena run, whose flags these are. Or a run folder:
then nothing is played, and the flags of a match do not go with it.

A match decides when it is over, by its test. Without a test (--no-sprt) the
95 % interval of its Elo is held against --min-elo: wholly above it promotes,
wholly below keeps. Faults beyond what can be passed over, or missing pairs,
leave it undecided, with the reason. The last line of the output begins with
the verdict.

exit codes:
  0    promote the candidate
  1    keep the baseline
  3    undecided: the limit of pairs was reached, pairs are missing, or faults
  2    did not run: bad usage, bad net, no match, internal error
  130  interrupted; the command that goes on is shown

examples:
  arena gate --nets champion.pb.gz candidate.pb.gz && cp candidate.pb.gz best.gz
  arena gate --nets old.pb.gz new.pb.gz --preset non-regression --delta 5
  arena gate --nets old.pb.gz new.pb.gz --no-sprt --pairs 800 --min-elo 0
  arena gate reports/new-vs-old-1 --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; its settings are those of ``MatchConfig``."""
    parser = commands.add_parser(
        "gate",
        help="one decision between two nets, as the exit code",
        description="Decide whether a candidate replaces a baseline: by a match that is played "
        "now, or by a run folder.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="RUN_DIR",
        help="a run folder of arena run, instead of --nets",
    )
    groups = add_flags(parser)
    groups["match length"].add_argument(
        "--min-elo",
        type=finite_number,
        metavar="ELO",
        help="of a match without a test: promote if the 95 %% interval of its logistic Elo lies "
        "above this, keep if below",
    )
    add_output_flags(
        groups["output"], json_help="the decision on stdout, with all numbers it rests on"
    )
    add_watching_flags(groups["output"])
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Decide, after a match that is to be played or by one that was."""
    if arguments.folder is not None:
        _refuse_flags(arguments)
        from arena.gate import decide_folder

        decision = decide_folder(arguments.folder, arguments.min_elo)
        _show(arguments, decision, None)
        if decision.go_on:
            say_how_to_go_on("The match is not finished", decision.go_on)
        return decision.exit_code

    config, command = load_match(arguments)  # before the imports, which take seconds

    from arena.gate import play_gate
    from arena.match import Ending
    from arena.report.folder import report_line

    show, note = watching(arguments)
    played, decision = play_gate(config, command, show, note, arguments.min_elo)
    interrupted = played.ending is Ending.INTERRUPTED
    whole = played.trouble is None
    _show(arguments, decision, report_line(played.run.folder) if whole else None)
    if played.trouble is not None:
        raise played.trouble
    if decision.go_on:
        say_how_to_go_on("Interrupted" if interrupted else "Not finished", decision.go_on)
    return 130 if interrupted else decision.exit_code


def _show(arguments: argparse.Namespace, decision: Decision, report: str | None) -> None:
    """Show the decision as a document, or as the match's figures and then the decision."""
    from arena.gate import decision_document
    from arena.report.summary import summarize
    from arena.report.verdict import outcome

    run = decision.run
    if arguments.json:
        write_json(decision_document(decision, summarize(run)))
    elif not arguments.quiet:
        figures = outcome(run.identity, run.judgement, run.doubts)[:-1]
        write_text([*figures, *([report] if report else []), decision.line])


def _refuse_flags(arguments: argparse.Namespace) -> None:
    """Refuse settings of a match beside a folder: that one was played with its own."""
    given = vars(arguments)
    names = [setting.name for setting in options(MatchConfig) if setting.name in given]
    if LINEUP in given:
        names = [flag.removeprefix("--") for flag, _ in given[LINEUP]]
    if given.get("config") is not None:
        names.append("config")
    if names:
        flag = names[0].replace("_", "-")
        arguments.parser.error(
            f"--{flag} and RUN_DIR contradict each other: the match of {arguments.folder} was "
            "played with settings of its own"
        )
