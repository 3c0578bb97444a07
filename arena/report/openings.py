"""The openings that a match was played from, and what came of each.

openings.csv has all of them, report.md those that were best and worst for the candidate. A pair has
2 points: what White has of them tells how level an opening was, what the candidate has, for whom.
"""

from __future__ import annotations

import csv
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import chess

from arena.game import NO_SCORE, WHITE_POINTS, GameRecord, Opening, PairRecord
from arena.openings import final_position
from arena.report.files import atomic_writer

OPENINGS_FILE = "openings.csv"

SHOWN = 5
"""Of the best openings, and of the worst."""

COLUMNS = (
    "pair",  # from 1, as in games.pgn
    "counted",  # "yes" if the verdict rests on it
    "name",
    "fen",  # of the first position
    "moves",  # from there, UCI
    "position",  # FEN in which the players took over
    "candidate_points",  # of 2
    "candidate_as_white",
    "candidate_as_black",
    "white_points",  # of 2, whoever had White
    "white_q_candidate",  # each player's own expected result for White at its first move there,
    "white_q_baseline",  # in [-1, 1]; empty if it had none
)


@dataclass(frozen=True, slots=True)
class OpeningScores:
    """What the counted pairs say of their openings; counts of pairs."""

    won: int  # the candidate won both games
    lost: int
    white: int  # White won both games
    black: int
    white_score: float | None  # White's points a game, in [0, 1]


def opening_scores(pairs: Sequence[PairRecord]) -> OpeningScores:
    """Count what pairs say of their openings."""
    candidate = [pair.candidate_points for pair in pairs]
    white = [white_points(pair) for pair in pairs]
    return OpeningScores(
        won=candidate.count(2.0),
        lost=candidate.count(0.0),
        white=white.count(2.0),
        black=white.count(0.0),
        white_score=sum(white) / (2 * len(white)) if white else None,
    )


def white_points(pair: PairRecord) -> float:
    """White's points in both games: 2 if White won from either side's hand."""
    return sum(WHITE_POINTS[game.result] for game in pair.games)


def best_and_worst(
    pairs: Sequence[PairRecord], shown: int = SHOWN
) -> tuple[list[PairRecord], list[PairRecord]]:
    """Return the pairs that the candidate won by most and lost by most, the first ones of equals.

    Level pairs are neither.
    """
    best = sorted(pairs, key=lambda pair: -pair.candidate_points)[:shown]
    worst = sorted(pairs, key=lambda pair: pair.candidate_points)[:shown]
    return (
        [pair for pair in best if pair.candidate_points > 1.0],
        [pair for pair in worst if pair.candidate_points < 1.0],
    )


def opening_text(opening: Opening) -> str:
    """Return an opening as people read it: its name, its moves, its position where it is another.

    ``B33 Sicilian: 1. e4 c5 2. Nf3``
    """
    moves = opening.board().variation_san(final_position(opening).move_stack)
    start = "" if opening.fen == chess.STARTING_FEN else opening.fen
    return ": ".join(part for part in (opening.name, start, moves) if part) or "start position"


def write_openings(path: Path, pairs: Iterable[PairRecord], counted: Container[int]) -> None:
    """Write openings.csv whole or not at all; ``counted`` are the numbers of pairs that count.

    Raises OSError where it cannot be written.
    """
    with atomic_writer(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for pair in pairs:
            table.writerow(_row(pair, counted=pair.number in counted))


def _row(pair: PairRecord, *, counted: bool) -> list[object]:
    opening, (as_white, as_black) = pair.opening, pair.games
    board = final_position(opening)
    first, second = (as_white, as_black) if board.turn == chess.WHITE else (as_black, as_white)
    return [
        pair.number + 1,
        "yes" if counted else "no",
        " ".join(opening.name.split()),
        opening.fen,
        " ".join(opening.moves),
        board.fen(shredder=board.chess960),
        pair.candidate_points,
        as_white.candidate_points,
        as_black.candidate_points,
        white_points(pair),
        _white_q(first, board.turn),
        _white_q(second, board.turn),
    ]


def _white_q(game: GameRecord, turn: chess.Color) -> float | str:
    if not game.q or (game.remarks and game.remarks[0].score == NO_SCORE):
        return ""
    return game.q[0] if turn == chess.WHITE else -game.q[0] + 0.0
