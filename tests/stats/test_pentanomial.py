from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.stats.pentanomial import GameCounts, PairCounts, Pentanomial

COUNT = st.integers(0, 10**6)
PAIR_COUNTS = st.builds(PairCounts, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
POINTS = st.sampled_from([0.0, 0.5, 1.0])

BLOCK = PairCounts(LL=11, LD=240, WL=180, DD=380, WD=297, WW=14)


def test_block_of_fastchess() -> None:
    assert (BLOCK.games, BLOCK.wins, BLOCK.losses, BLOCK.draws) == (2244, 505, 442, 1297)
    assert BLOCK.points == 1153.5
    assert BLOCK.pentanomial == (11, 240, 560, 297, 14)
    assert BLOCK.draw_ratio == pytest.approx(0.4991, abs=5e-5)
    assert BLOCK.pairs_ratio == pytest.approx(1.24, abs=5e-3)
    assert BLOCK.wl_dd_ratio == pytest.approx(0.47, abs=5e-3)


@pytest.mark.parametrize(
    ("points", "name"),
    [
        ((0, 0), "LL"),
        ((0.5, 0), "LD"),
        ((1, 0), "WL"),
        ((0.5, 0.5), "DD"),
        ((1, 0.5), "WD"),
        ((1, 1), "WW"),
    ],
)
def test_a_pair_is_named_by_its_games_in_either_order(
    points: tuple[float, float], name: str
) -> None:
    expected = PairCounts(**{name: 1})
    assert PairCounts.of_pair(*points) == expected
    assert PairCounts.of_pair(*points[::-1]) == expected


@given(st.lists(st.tuples(POINTS, POINTS), max_size=30))
def test_counts_agree_with_the_games_they_came_from(pairs: list[tuple[float, float]]) -> None:
    counts = PairCounts.total(PairCounts.of_pair(a, b) for a, b in pairs)
    games = [points for pair in pairs for points in pair]
    assert counts.pairs == len(pairs)
    assert (counts.losses, counts.draws, counts.wins) == tuple(
        games.count(points) for points in (0.0, 0.5, 1.0)
    )
    assert counts.points == sum(games)
    assert counts.single_games == GameCounts(counts.losses, counts.draws, counts.wins)
    assert counts.single_games.points == counts.points
    assert counts.score == (sum(games) / len(games) if games else None)


@given(PAIR_COUNTS, PAIR_COUNTS)
def test_addition_and_flipping(a: PairCounts, b: PairCounts) -> None:
    total = a + b
    assert total == b + a
    assert total.games == a.games + b.games
    assert total.flipped() == a.flipped() + b.flipped()
    assert a.flipped().flipped() == a
    assert a.flipped().wins == a.losses
    assert a.flipped().pentanomial == a.pentanomial[::-1]
    assert a.points + a.flipped().points == a.games


@given(PAIR_COUNTS.filter(lambda counts: counts.pairs > 0))
def test_moments_are_those_of_the_list_of_scores(counts: PairCounts) -> None:
    moments = counts.moments()
    assert moments is not None
    weights = np.array(counts.pentanomial) / counts.pairs
    mean = float(weights @ np.linspace(0, 1, 5))
    assert moments.mean == pytest.approx(mean, rel=1e-12, abs=1e-12)
    assert moments.mean == pytest.approx(counts.score, rel=1e-12)
    assert moments.variance == pytest.approx(
        float(weights @ (np.linspace(0, 1, 5) - mean) ** 2), rel=1e-9, abs=1e-15
    )
    assert moments.size == counts.pairs


def test_nothing_played_has_no_ratio_and_no_moments() -> None:
    nothing = PairCounts()
    assert nothing.score is None
    assert nothing.draw_ratio is nothing.pairs_ratio is nothing.wl_dd_ratio is None
    assert nothing.moments() is None
    assert nothing.regularised() == (1e-3,) * 5
    assert PairCounts.total([]) == nothing


def test_only_zero_counts_are_regularised() -> None:
    assert Pentanomial(0, 3, 0, 1, 2).regularised() == (1e-3, 3.0, 1e-3, 1.0, 2.0)


def test_numpy_counts_become_plain_integers() -> None:
    counts = Pentanomial(*np.array([1, 2, 3, 4, 5]))
    assert counts == Pentanomial(1, 2, 3, 4, 5)
    assert all(type(count) is int for count in counts.counts)


@pytest.mark.parametrize("bad", [-1, 2.0, 2.5, True, "3", None])
@pytest.mark.parametrize("kind", [PairCounts, Pentanomial, GameCounts])
def test_counts_are_whole_and_not_negative(kind: Any, bad: object) -> None:
    with pytest.raises(ValueError, match="counts are whole numbers, 0 or more"):
        kind(bad)


@pytest.mark.parametrize("points", [(2, 0), (-0.5, 1), (0.25, 0.5), (float("nan"), 1)])
def test_a_game_gives_nothing_half_or_one(points: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"each game gives 0, 0\.5 or 1"):
        PairCounts.of_pair(*points)
