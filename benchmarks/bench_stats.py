"""What one more pair costs: judging it, and every figure that the live view shows.

    .venv/bin/pytest benchmarks/bench_stats.py

The issue is that a view must not become slower as a match grows: all figures come from counts.
"""

from __future__ import annotations

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
    """A match that has gone on between the bounds for so many pairs."""
    level = pairs // 2
    counts = PairCounts(
        LL=pairs // 20, LD=pairs // 5, WL=level // 3, DD=level - level // 3, WD=pairs // 5, WW=1
    )
    progress = Progress.start(Sprt(0.0, 10.0, method=method))
    llr = progress.sprt.llr(counts)
    return Judgement(
        10 * pairs, counts, progress=Progress(progress.sprt, counts, llr, betting=progress.betting)
    )


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("pairs", [100, 10_000, 1_000_000])
def test_judging_a_pair_and_drawing_the_view(
    benchmark: BenchmarkFixture, pairs: int, method: Method
) -> None:
    before = played(pairs, method)

    def update() -> list[str]:
        state = MatchState(before.then((1.0, 0.5)), pairs + 1, 0, seconds=60.0)
        return running_block(HEADING, state, Pace(seconds=60.0, pairs=pairs, evaluations=10**6))

    assert any(line.startswith("Elo ") for line in benchmark(update))
