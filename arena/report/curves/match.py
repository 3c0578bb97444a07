"""What the pictures of a report show, as numbers: they stand in summary.json like all others."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from arena.game import PairRecord
from arena.match_file import MatchIdentity
from arena.report.curves.calibration import calibration
from arena.report.curves.deciding import deciding
from arena.report.curves.expectations import engines_of, expected_games
from arena.report.curves.opening_groups import opening_groups
from arena.report.schema import Curves, DivergencePoint, LengthRow, PathPoint, SessionSpeed
from arena.sessions import Session
from arena.stats.confidence import confidence_sequence
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import Sprt

MOST_POINTS = 400
"""Of a path: more than a picture has columns for."""

MOST_LENGTHS = 16
"""Ranges of a game's length."""


def curves_of(
    identity: MatchIdentity, counted: Sequence[PairRecord], sessions: Sequence[Session]
) -> Curves:
    """Work out all curves of a match from its counted pairs, in the order of issue."""
    games = list(expected_games(counted, engines_of(identity)))
    return Curves(
        path=path(counted, identity.sprt),
        calibration=calibration(games),
        lengths=lengths(counted),
        opening_groups=opening_groups(counted),
        divergence=divergence(counted),
        opinions=[],
        deciding=deciding(games),
        sessions=list(session_speeds(sessions)),
    )


def path(
    pairs: Sequence[PairRecord], sprt: Sprt | None, most: int = MOST_POINTS
) -> list[PathPoint]:
    """Return the match after some of its pairs, evenly spaced; the last point is after all."""
    points = min(len(pairs), most)
    shown = {-(-len(pairs) * number // points) for number in range(1, points + 1)}
    counts = itertools.accumulate(PairCounts.of_pair(*pair.points) for pair in pairs)
    return [_point(so_far, sprt) for so_far in counts if so_far.pairs in shown]


def _point(counts: PairCounts, sprt: Sprt | None) -> PathPoint:
    interval = confidence_sequence(counts)
    score, elo = interval.score, interval.elo
    assert score is not None  # there is a pair
    known = elo.low is not None or elo.high is not None
    return PathPoint(
        pairs=counts.pairs,
        score=score,
        elo=elo.elo,
        elo_ci=[elo.low, elo.high] if known else None,
        llr=None if sprt is None else sprt.llr(counts),
    )


def lengths(pairs: Sequence[PairRecord]) -> list[LengthRow]:
    """Count the candidate's results by colour and by ranges of length, the shortest first.

    The ranges are of one width, without a gap from the shortest game to the longest; each has both
    colours, with zeros where nothing was played.
    """
    counts: Counter[tuple[bool, int, float]] = Counter()
    for pair in pairs:
        for game in pair.games:
            plies = len(pair.opening.moves) + len(game.moves)
            counts[game.candidate_white, plies, game.candidate_points] += 1
    if not counts:
        return []
    every = [plies for _, plies, _ in counts]
    width = next(
        width for width in _widths() if max(every) // width - min(every) // width < MOST_LENGTHS
    )
    ranged: Counter[tuple[bool, int, float]] = Counter()
    for (white, plies, points), number in counts.items():
        ranged[white, plies // width, points] += number
    return [
        LengthRow(
            colour=colour,
            plies_from=place * width,
            plies_to=(place + 1) * width - 1,
            wins=ranged[colour == "white", place, 1.0],
            draws=ranged[colour == "white", place, 0.5],
            losses=ranged[colour == "white", place, 0.0],
        )
        for place in range(min(every) // width, max(every) // width + 1)
        for colour in COLOURS
    ]


COLOURS: tuple[Literal["white", "black"], ...] = ("white", "black")


def _widths() -> Iterator[int]:
    """2, 5, 10, 20, 50, 100 and so on: numbers that people count in."""
    return (
        step * 10**power
        for power in itertools.count()
        for step in (1, 2, 5)
        if step * 10**power > 1
    )


def divergence(pairs: Iterable[PairRecord]) -> list[DivergencePoint]:
    """Count by ply where the two games of each pair part.

    They begin in one position with the players' places changed, so as long as their moves agree
    each position has been before both players. There are none after the moves that differ.
    """
    positions: Counter[int] = Counter()
    differ: Counter[int] = Counter()
    for pair in pairs:
        first, second = (game.moves for game in pair.games)
        for ply, (one, other) in enumerate(zip(first, second, strict=False), start=1):
            positions[ply] += 1
            if one != other:
                differ[ply] += 1
                break
    return [
        DivergencePoint(ply=ply, positions=number, differ=differ[ply])
        for ply, number in sorted(positions.items())
    ]


def session_speeds(sessions: Iterable[Session]) -> Iterator[SessionSpeed]:
    """Yield how fast each session was that came to an end, oldest first."""
    for session in sessions:
        if session.ended is None:
            continue
        pace = session.pace
        yield SessionSpeed(
            started=session.started,
            seconds=pace.seconds,
            pairs=pace.pairs,
            pairs_per_minute=pace.pairs_per_minute,
            evaluations_per_second=pace.evaluations_per_second,
            batch_fill=pace.batch_fill,
            cache_hit_share=pace.cache_hit_share,
        )
