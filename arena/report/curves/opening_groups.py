"""The candidate's score by kind of opening: which ones it likes, as far as a match can tell.

Openings with names are put together by the family ("B90 Sicilian Defense: Najdorf" is a Sicilian
Defense), others by their first moves. A grouping in which most groups are a pair alone shows
nothing, so a coarser one is tried then, and where none is left there are no groups.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import chess

from arena.game import Opening, PairRecord
from arena.report.openings import white_points
from arena.report.schema import OpeningGroup
from arena.stats.confidence import confidence_sequence
from arena.stats.pentanomial import PairCounts

MOST_GROUPS = 20
"""Beyond them the smaller ones are put together as the last one."""

LEAST_PAIRS = 10
"""In a group that has an interval; of fewer it would say nothing."""

OTHERS = "others"

ECO = re.compile(r"[A-E]\d\d[a-z]?\b[ :,-]*")
"""A code of the Encyclopaedia of Chess Openings before the name."""

FAMILY_END = re.compile(r"\s*[:,;|(#].*|\s+-\s.*", re.DOTALL)
"""Where a name goes on to the variation."""


def opening_groups(pairs: Sequence[PairRecord]) -> list[OpeningGroup]:
    """Return the groups by pairs, descending; what is left over, as ``others``, last.

    Every pair is in one group. The intervals hold at every moment of a match
    (``stats.confidence``), each for its group: of twenty one may well exclude the truth.
    """
    found: dict[str, list[PairRecord]] = {}
    for name_of in GROUPINGS:
        groups: dict[str, list[PairRecord]] = defaultdict(list)
        for pair in pairs:
            groups[name_of(pair.opening)].append(pair)
        if 1 < len(groups) <= len(pairs) / 2:
            found = groups
            break
    left = found.pop("", [])
    ranked = sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))
    for _, rest in ranked[MOST_GROUPS:]:
        left = left + rest
    shown = [_group(name, members) for name, members in ranked[:MOST_GROUPS]]
    return [*shown, _group(OTHERS, left)] if left else shown


def family(opening: Opening) -> str:
    """The first part of an opening's name, without its ECO code; the code where that is all."""
    name = " ".join(opening.name.split())
    after = ECO.match(name)
    own = name[after.end() :] if after else name
    return FAMILY_END.sub("", own) or name


def first_moves(opening: Opening, plies: int) -> str:
    """``1. e4 c5``; nothing where it does not begin at chess's start."""
    if opening.fen != chess.STARTING_FEN:
        return ""
    return _san(opening.moves[:plies])


GROUPINGS: tuple[Callable[[Opening], str], ...] = (
    family,
    functools.partial(first_moves, plies=2),
    functools.partial(first_moves, plies=1),
)
"""From the finest on; all without a name are one group."""


@functools.lru_cache(maxsize=1024)
def _san(moves: tuple[str, ...]) -> str:
    return chess.Board().variation_san(map(chess.Move.from_uci, moves))


def _group(name: str, pairs: Sequence[PairRecord]) -> OpeningGroup:
    counts = sum((PairCounts.of_pair(*pair.points) for pair in pairs), PairCounts())
    score = counts.score
    assert score is not None  # a group has a pair
    interval = confidence_sequence(counts) if counts.pairs >= LEAST_PAIRS else None
    return OpeningGroup(
        name=name,
        pairs=counts.pairs,
        score=score,
        score_ci=[interval.low, interval.high] if interval else None,
        white_score=sum(map(white_points, pairs)) / counts.games,
    )
