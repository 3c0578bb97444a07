"""A sequential test at work: pair after pair, where it stands and whether it has decided.

Why a state and not a function of the counts: two of the three methods remember the way. The plain
GSPRT looks at the counts alone, fishtest's correction at the records that its LLR has set, and the
certified test at a capital that grew and shrank with every pair.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from arena.stats.betting import BettingTest
from arena.stats.overshoot import Overshoot
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import Method, Sprt, Verdict


@dataclass(frozen=True, slots=True)
class Progress:
    """A test after some pairs. Once it has decided, further pairs change nothing.

    ``llr``: that of the GSPRT, in nats; None before the first pair. With the certified method it
    is for information, and ``betting`` decides. ``bounds``: what ``llr`` is compared with.
    """

    sprt: Sprt
    counts: PairCounts = field(default_factory=PairCounts)
    llr: float | None = None
    verdict: Verdict = Verdict.UNDECIDED
    overshoot: Overshoot | None = None
    betting: BettingTest | None = field(default=None, compare=False)  # follows from the rest

    @classmethod
    def start(cls, sprt: Sprt) -> Self:
        """Return a test that has seen nothing."""
        return cls(
            sprt,
            overshoot=Overshoot() if sprt.method is Method.OVERSHOOT else None,
            betting=BettingTest.start(sprt) if sprt.method is Method.CERTIFIED else None,
        )

    @property
    def bounds(self) -> tuple[float, float]:
        """The LLR's bounds as they stand, in nats; fishtest's correction moves them inwards."""
        if self.overshoot is None:
            return self.sprt.bounds
        return self.overshoot.bounds(*self.sprt.bounds)

    def then(self, pair: PairCounts) -> Self:
        """Return the test after one more pair."""
        if self.verdict is not Verdict.UNDECIDED:
            return self
        counts = self.counts + pair
        llr = self.sprt.llr(counts)
        if self.betting is not None:
            score = pair.score
            assert score is not None  # there is a pair
            betting = self.betting.then(score)
            return replace(self, counts=counts, llr=llr, betting=betting, verdict=betting.verdict)
        overshoot = None if self.overshoot is None else self.overshoot.then(llr)
        following = replace(self, counts=counts, llr=llr, overshoot=overshoot)
        lower, upper = following.bounds
        if lower < llr < upper:
            return following
        return replace(following, verdict=Verdict.PROMOTE if llr >= upper else Verdict.KEEP)
