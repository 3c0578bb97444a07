"""What the pairs of a match say: which of them count, in which order, and when it is settled.

Counts and verdict depend on the results alone, in the order of issue: the first pair that crosses a
bound decides, and nothing after it counts. A pair that repeats a game brings no news.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from arena.game import PairPoints, PairResult
from arena.stats.pentanomial import PairCounts
from arena.stats.sequential import Progress
from arena.stats.sprt import Sprt, Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the first pairs of a match say, in the order of issue.

    The verdict is UNDECIDED while the test goes on, for ever when the limit was reached without
    crossing a bound, and always where there is no test: then the Elo interval speaks, and whoever
    reads it decides.
    """

    limit: int  # pairs
    counts: PairCounts = field(default_factory=PairCounts)
    repeats: tuple[int, ...] = ()  # numbers, from 0, of the pairs that were not counted
    progress: Progress | None = None  # of the test, where there is one
    decided_at: int | None = None  # number of the pair that crossed a bound
    raised: bool = False  # whether the limit was lower when the match began

    @classmethod
    def start(cls, sprt: Sprt | None, limit: int, *, raised: bool = False) -> Judgement:
        """Return what there is to say before the first pair."""
        progress = None if sprt is None else Progress.start(sprt)
        return cls(limit, progress=progress, raised=raised)

    @property
    def sprt(self) -> Sprt | None:
        """The test that was asked for."""
        return None if self.progress is None else self.progress.sprt

    @property
    def llr(self) -> float | None:
        """The test's log-likelihood ratio; None without a test or a pair."""
        return None if self.progress is None else self.progress.llr

    @property
    def verdict(self) -> Verdict:
        """What the test has decided."""
        return Verdict.UNDECIDED if self.progress is None else self.progress.verdict

    @property
    def seen(self) -> int:
        """Pairs from number 0 on that were looked at: those that count and the repeats."""
        return self.counts.pairs + len(self.repeats)

    @property
    def settled(self) -> bool:
        """Whether the test has ended or the limit is reached: no later pair changes anything."""
        return self.decided_at is not None or self.seen >= self.limit

    @property
    def has_fixed_length(self) -> bool:
        """Whether it ended after a number of pairs that was chosen before the first of them."""
        return self.settled and self.sprt is None and not self.raised

    def then(self, points: PairPoints | None) -> Judgement:
        """Return the judgement with the next pair, or None in place of one that is a repeat.

        Once it is settled, it is always the same.
        """
        if self.settled:
            return self
        number = self.seen
        if points is None:
            return replace(self, repeats=(*self.repeats, number))
        pair = PairCounts.of_pair(*points)
        progress = None if self.progress is None else self.progress.then(pair)
        decided = progress is not None and progress.verdict is not Verdict.UNDECIDED
        return replace(
            self,
            counts=self.counts + pair,
            progress=progress,
            decided_at=number if decided else None,
        )


def judge(
    points: Iterable[PairPoints | None], sprt: Sprt | None, limit: int, *, raised: bool = False
) -> Judgement:
    """Judge pairs in the order of issue, up to the one that settles the match."""
    judgement = Judgement.start(sprt, limit, raised=raised)
    for pair_points in points:
        if judgement.settled:
            break
        judgement = judgement.then(pair_points)
    return judgement


def in_issue_order(finished: Mapping[int, PairResult]) -> Iterator[PairPoints | None]:
    """Yield the points of the pairs from number 0 on, up to the first that is missing.

    None stands for a pair that repeats a game of an earlier one. ``finished`` may grow meanwhile,
    but what has ended stays so.
    """
    repeats = Repeats()
    for number in itertools.count():
        if number not in finished:
            return
        yield repeats.points_of(finished[number])


class Repeats:
    """Knows the games of a match again."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def points_of(self, result: PairResult) -> PairPoints | None:
        """Return a pair's points, or None if one of its games was in a pair asked for before."""
        fresh = self._seen.isdisjoint(result.fingerprints)
        self._seen.update(result.fingerprints)
        return result.points if fresh else None
