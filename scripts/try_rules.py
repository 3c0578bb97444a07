"""What rules of adjudication would have saved in games that were played to their ends.

    scripts/try_rules.py RUN_DIR... [--draw KEY=VALUE ...] [--resign KEY=VALUE ...] [--tb DIR]

The judges of ``arena run`` look at the games of run folders that had no rules: how many moves each
would have ended earlier, and how often with another result than the game had. Which rules suit two
nets is best asked of a hundred pairs or more; ``arena run --audit`` then goes on measuring.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import chess

from arena.adjudication import Adjudication, JudgeOf, MovedGame, judges
from arena.adjudication_rules import AdjudicationRules, DrawRule, ResignRule, rule_of
from arena.game import GameRecord, GameTask, PairRecord
from arena.openings import final_position
from arena.report.run import read_run
from arena.stats.proportion import proportion_interval
from arena.tablebase import Tablebase


def main() -> None:
    """Try the rules of the command line on all games."""
    arguments = parse()
    tables = Tablebase(arguments.tb) if arguments.tb else None
    rules = AdjudicationRules(
        draw=None if arguments.draw is None else rule_of(DrawRule, arguments.draw),
        resign=None if arguments.resign is None else rule_of(ResignRule, arguments.resign),
        tablebase=tables is not None,
        audit=0.0,
    )
    judge_of = judges(rules, tables.result if tables else None)
    if judge_of is None:
        raise SystemExit("no rules are given\nUse --draw, --resign or --tb.")
    moves = saved = ended = wrong = 0
    for pair in (pair for folder in arguments.folders for pair in read_run(folder).counted):
        for game in pair.games:
            moves += len(game.moves)
            found = first_ruling(judge_of, pair, game)
            if found is not None:
                ply, ruling = found
                saved += len(game.moves) - ply
                ended += 1
                wrong += ruling.result != game.result
    share = f"{100 * saved / moves:.1f} % of {moves:,} moves saved"
    if not ended:
        raise SystemExit(f"{share}: no game would have been ended")
    low, high = proportion_interval(wrong, ended)
    print(
        f"{share}; {wrong} of {ended:,} games ended otherwise "
        f"({100 * wrong / ended:.2f} %, 95 %: {100 * low:.2f} to {100 * high:.2f} %)"
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("--draw", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--resign", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--tb", type=Path, nargs="+", default=[], metavar="DIR")
    return parser.parse_args()


def first_ruling(
    judge_of: JudgeOf, pair: PairRecord, game: GameRecord
) -> tuple[int, Adjudication] | None:
    """The ply of the players' own after which a rule ends a game before its last move, and how."""
    judge = judge_of(GameTask(pair.number, game.candidate_white, pair.opening, 0, 1))
    for ply, moved in enumerate(moved_games(pair, game), start=1):
        if ply < len(game.moves) and (ruling := judge.moved(moved)) is not None:
            return ply, ruling
    return None


def moved_games(pair: PairRecord, game: GameRecord) -> Iterator[MovedGame]:
    """The game after each of its moves, as a judge sees it."""
    board = final_position(pair.opening)
    for number, (move, q, d) in enumerate(zip(game.moves, game.q, game.d, strict=True), start=1):
        white, fullmove = board.turn == chess.WHITE, board.fullmove_number
        board.push_uci(move)
        yield MovedGame(
            ply=len(pair.opening.moves) + number,
            move_number=fullmove,
            white_moved=white,
            q=q,
            d=d,
            rule50=board.halfmove_clock,
            pieces=chess.popcount(board.occupied),
            castling=bool(board.castling_rights),
            evaluations=0,
            board=lambda: board.copy(stack=False),
        )


if __name__ == "__main__":
    main()
