"""The positions that decided: where the two players thought most differently of the same game.

The opponent has just searched for its move and said what it expects; now the mover says what it
expects of the position that came of it. Were both right, the two would agree. Where they differ
most, one of them had not seen what was to come, in a pair that one of them then won.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from arena.openings import final_position
from arena.report.curves.expectations import ExpectedGame
from arena.report.schema import DecidingPosition

SHOWN = 10


class _Doubt(NamedTuple):
    """A move before which the players differed, by how much in q."""

    gap: float
    game: ExpectedGame
    at: int  # index into the game's moves


def deciding(games: Iterable[ExpectedGame], shown: int = SHOWN) -> list[DecidingPosition]:
    """Return the positions of the widest differences, widest first, at most one of a pair.

    The difference is |mover's q - (-opponent's q one ply before)|. Pairs that were level, and moves
    of which a player said nothing, are left out; of equal differences the earlier one stays.
    Raises ValueError where moves before one of them are illegal.
    """
    widest: dict[int, _Doubt] = {}
    for game in games:
        if game.pair.candidate_points == 1.0 or game.q.size < 2:
            continue
        gaps = np.nan_to_num(np.abs(game.q[1:] + game.q[:-1]))
        index = int(gaps.argmax())
        found = _Doubt(float(gaps[index]), game, index + 1)
        known = widest.get(game.pair.number)
        if found.gap > (known.gap if known else 0.0):
            widest[game.pair.number] = found
    ranked = sorted(widest.values(), key=lambda doubt: (-doubt.gap, doubt.game.pair.number))
    return [_position(doubt.game, doubt.at) for doubt in ranked[:shown]]


def _position(game: ExpectedGame, index: int) -> DecidingPosition:
    opening, moves = game.pair.opening, game.game.moves
    board = final_position(opening)
    for move in moves[:index]:
        board.push_uci(move)
    return DecidingPosition(
        pair=game.pair.number + 1,
        game=game.number,
        ply=len(opening.moves) + index + 1,
        fen=board.fen(shredder=board.chess960),
        mover=game.mover(index),
        move=moves[index],
        mover_q=float(game.q[index]),
        opponent_q=float(-game.q[index - 1] + 0.0),  # and not -0.0
        points=game.game.candidate_points,
        baseline=None,
        candidate=None,
    )
