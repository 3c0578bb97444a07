"""``arena analyze``: what a net says of a position, and what its search finds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from arena.commands.nets import NET_HELP, take_player
from arena.commands.output import add_output_flags, write_json, write_text
from arena.config import ConfigError, SearchParams
from arena.options import add_flags, load_config

if TYPE_CHECKING:
    from arena.search_settings import Player

BATCH = 64
"""Positions that are evaluated and searched together; lines are written as batches end."""

SHOWN_MOVES = 10

EXAMPLES = """\
examples:
  arena analyze --net swa.pb.gz --moves e2e4 e7e5
  arena analyze --net swa.pb.gz --fen "4k3/8/4K3/4P3/8/8/8/8 w - -" --visits 800
  arena analyze --net swa.pb.gz --positions positions.jsonl > answers.jsonl
"""


class Question(NamedTuple):
    """A position after the moves of its game."""

    where: str  # what an error calls it: "--fen", "--moves", "positions.jsonl, line 3"
    id: str | int | None
    fen: str  # or "startpos"
    moves: tuple[str, ...]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; the search's settings are those of ``SearchParams``."""
    parser = commands.add_parser(
        "analyze",
        help="a net's evaluation of positions, and a search",
        description="Show a net's policy and outcome for a position, all for the side to move. "
        "Nothing is searched unless --visits, another setting of the search or --config is given.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--net", required=True, metavar="NET", help=NET_HELP)
    parser.add_argument(
        "--fen", metavar="FEN", help='the position, or "startpos" (default: startpos)'
    )
    parser.add_argument(
        "--moves",
        nargs="*",
        metavar="MOVE",
        help="UCI moves from there; the net sees the last eight positions",
    )
    parser.add_argument(
        "--positions",
        type=Path,
        metavar="FILE.jsonl",
        help='instead: one JSON object a line, with "fen" and, if wanted, "moves" and "id"; '
        "answered line by line as JSON",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="where the net runs (default: auto)",
    )
    parser.add_argument(
        "--evaluator",
        choices=("auto", "torch", "winograd"),
        default="auto",
        help="what computes it (default: auto: winograd on a CPU where it can, else torch)",
    )
    add_flags(parser, SearchParams)
    add_output_flags(parser, json_help="one JSON object on stdout")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Answer one position, or a file of them."""
    questions = read_questions(arguments)
    params = load_config(SearchParams, arguments) if searches(arguments) else None
    player = make_player(arguments, params or SearchParams())
    for first in range(0, len(questions), BATCH):
        part = questions[first : first + BATCH]
        for answer in answers(player, part, search=params is not None):
            if arguments.positions is not None:
                sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
            elif arguments.json:
                write_json(answer)
            elif not arguments.quiet:
                write_text(lines_of(answer))
    return 0


def searches(arguments: argparse.Namespace) -> bool:
    """Whether any setting of the search was given."""
    from arena.options import options

    return arguments.config is not None or any(
        hasattr(arguments, setting.name) for setting in options(SearchParams)
    )


def read_questions(arguments: argparse.Namespace) -> list[Question]:
    """Return what is asked; ConfigError where a line of the file is no question."""
    if arguments.positions is None:
        where = "--moves" if arguments.moves else "--fen"
        return [Question(where, None, arguments.fen or "startpos", tuple(arguments.moves or ()))]
    if arguments.fen is not None or arguments.moves is not None:
        raise ConfigError("--positions: its lines have the positions; leave out --fen and --moves")
    path: Path = arguments.positions
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file\nGive one JSON object a line.") from None
    return [read_line(f"{path}, line {n}", line) for n, line in enumerate(lines, 1) if line.strip()]


def read_line(where: str, line: str) -> Question:
    """Read one line of a file of positions."""
    try:
        values = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from None
    match values:
        case {"fen": str(fen)}:
            moves = values.get("moves", [])
            if isinstance(moves, str):
                moves = moves.split()
            if isinstance(moves, list) and all(isinstance(move, str) for move in moves):
                return Question(where, values.get("id"), fen, tuple(moves))
    raise ConfigError(f'{where}: needs "fen", a text, and may have "moves", a list of UCI moves')


def make_player(arguments: argparse.Namespace, params: SearchParams) -> Player:
    """Load the net."""
    from arena.evaluator import choose_evaluator, make_evaluator
    from arena.search_settings import Player
    from swa.net import load_net

    player = take_player(arguments.net, quiet=arguments.quiet)
    net = load_net(player.path, **player.reading.asked)
    choice = choose_evaluator(net.spec, arguments.evaluator, arguments.device)
    return Player(net.name, make_evaluator(net, choice), params)


def answers(
    player: Player, questions: Sequence[Question], *, search: bool
) -> Iterator[dict[str, Any]]:
    """Yield the answers in the order of the questions."""
    from arena.analyze import Analysis

    try:
        analysis = Analysis(player, [(question.fen, question.moves) for question in questions])
    except ValueError:
        raise ConfigError(complaint(player, questions)) from None
    evaluations = analysis.evaluate()
    results = analysis.search() if search else None
    for row, (question, evaluation) in enumerate(zip(questions, evaluations, strict=True)):
        answer: dict[str, Any] = {"id": question.id, "fen": question.fen, "moves": question.moves}
        answer |= asdict(evaluation)
        if results is not None:
            answer["search"] = asdict(results[row])
        yield answer


def complaint(player: Player, questions: Sequence[Question]) -> str:
    """Return where the first of the questions stands that cannot be answered, and why."""
    from arena.analyze import Analysis

    for question in questions:
        try:
            Analysis(player, [(question.fen, question.moves)])
        except ValueError as error:
            return f"{question.where}: {error}"
    raise AssertionError("every question can be answered alone")


def lines_of(answer: dict[str, Any]) -> list[str]:
    """Return an answer in words: the outcome, then the moves, best first."""
    win, draw, loss = answer["wdl"]
    lines = [
        f"win {100 * win:.1f} %, draw {100 * draw:.1f} %, loss {100 * loss:.1f} % for the side to "
        f"move (Q {answer['q']:+.4f})"
    ]
    if answer["moves_left"] is not None:
        lines.append(f"moves left: {answer['moves_left']:.0f} plies")
    if "search" not in answer:
        policy = sorted(answer["policy"].items(), key=lambda item: -item[1])
        lines += [f"  {move:<6}{100 * share:>7.2f} %" for move, share in policy[:SHOWN_MOVES]]
        return lines
    search = answer["search"]
    lines += [
        f"best move {search['bestmove']} after {search['visits']} visits (Q {search['q']:+.4f})",
        f"  {'move':<6}{'visits':>8}{'prior':>10}{'Q':>10}",
    ]
    for child in search["children"][:SHOWN_MOVES]:
        q = "-" if child["q"] is None else f"{child['q']:+.4f}"
        lines.append(
            f"  {child['move']:<6}{child['visits']:>8}{100 * child['prior']:>8.2f} %{q:>10}"
        )
    return lines
