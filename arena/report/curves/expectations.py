"""What each player expected of its own games, move by move, as its search said at the time.

A net always says; an engine does where it tells a score. Where it does not, the ledger's q is 0 and
means nothing, so it must not be read as "level".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.game import NO_SCORE, GameRecord, Opening, PairRecord
from arena.match_file import EngineIdentity, MatchIdentity, Role

UNKNOWN = ("", NO_SCORE)
"""An engine's score where it told none; older ledgers have the first. A net's is in q alone."""


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedGame:
    """A game of a pair with what its players expected.

    ``q`` has one entry a move of the players, in [-1, 1], of the mover; NaN where it did not say.
    The candidate makes the moves ``candidate_first::2`` counted from ``0`` if it moves first.
    """

    pair: PairRecord
    number: int  # 1 or 2 of the pair
    game: GameRecord
    candidate_first: bool
    q: NDArray[np.float64]

    def of(self, role: Role) -> NDArray[np.float64]:
        """The entries of ``q`` that are a player's."""
        return self.q[0 if self.is_first(role) else 1 :: 2]

    def is_first(self, role: Role) -> bool:
        """Whether a player makes the first of the moves that are no opening."""
        return self.candidate_first is (role == "candidate")

    def mover(self, index: int) -> Role:
        """Who makes the move at an index of ``game.moves``."""
        return "candidate" if self.candidate_first is (index % 2 == 0) else "baseline"

    def points(self, role: Role) -> float:
        """A player's points, as they count: 0, 0.5 or 1."""
        points = self.game.candidate_points
        return points if role == "candidate" else 1.0 - points


def white_begins(opening: Opening) -> bool:
    """Whether White is to move after the opening's moves."""
    fields = opening.fen.split()
    black = len(fields) > 1 and fields[1] == "b"
    return black is (len(opening.moves) % 2 == 1)


def engines_of(identity: MatchIdentity) -> frozenset[Role]:
    """The players that may move without telling a score."""
    return frozenset(player.role for player in identity.nets if isinstance(player, EngineIdentity))


def expected_games(
    pairs: Sequence[PairRecord], engines: Collection[Role]
) -> Iterator[ExpectedGame]:
    """Yield both games of each pair, in order."""
    for pair in pairs:
        begins = white_begins(pair.opening)
        for number, game in enumerate(pair.games, start=1):
            first = game.candidate_white is begins
            q = np.array(game.q, np.float64)
            expected = ExpectedGame(pair, number, game, first, q)
            for role in engines:
                told = np.array([remark.score not in UNKNOWN for remark in game.remarks], np.bool_)
                own = slice(0 if expected.is_first(role) else 1, None, 2)
                q[own][~told[own] if told.size else slice(None)] = np.nan
            yield expected
