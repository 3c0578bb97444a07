"""What one more pair costs: judging it, and every figure that the live view shows.

    .venv/bin/pytest benchmarks/bench_stats.py

The issue is that a view must not become slower as a match grows: all figures come from counts.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from arena.console import running_block
from arena.match import Judgement, MatchState
from arena.report.block import Heading
from arena.sessions import Pace
from arena.stats.pentanomial import PairCounts
from arena.stats.sequential import Progress
from arena.stats.sprt import Method, Sprt

HEADING = Heading("swa", "raw", "100 visits, float32, book.pgn.zip")


def played(pairs: int, method: Method) -> Judgement:
    """A match that is still between the bounds after so many pairs."""
    progress = Progress.start(Sprt(0.0, 10.0, method=method))

    def counts(won: int) -> PairCounts:
        both, one = pairs // 20, pairs // 5
        return PairCounts(
            LL=both, LD=one, WL=pairs // 6, DD=pairs // 3 - won, WD=one + won, WW=both
        )

    won = bisect_left(range(pairs // 20), 0.0, key=lambda won: progress.sprt.llr(counts(won)))
    level = counts(won)
    llr = progress.sprt.llr(level)
    return Judgement(10 * pairs, level, progress=replace(progress, counts=level, llr=llr))


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("pairs", [100, 10_000, 1_000_000])
def test_judging_a_pair_and_drawing_the_view(
    benchmark: BenchmarkFixture, pairs: int, method: Method
) -> None:
    before = played(pairs, method)
    assert not before.then((1.0, 0.5)).settled

    def update() -> list[str]:
        state = MatchState(before.then((1.0, 0.5)), pairs + 1, 0, seconds=60.0)
        return running_block(HEADING, state, Pace(seconds=60.0, pairs=pairs, evaluations=10**6))

    assert any(line.startswith("Elo ") for line in benchmark(update))
