"""The race: its capital by hand, its error summed over all that can happen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.stats.racing import STAKES, Race

NO_PAIR = math.nan


def table(players: int, shares: dict[tuple[int, int], float]) -> list[list[float]]:
    """All shares of an opening, from those of (player, opponent)."""
    rows = [[NO_PAIR] * players for _ in range(players)]
    for (one, other), share in shares.items():
        rows[one][other], rows[other][one] = share, 1.0 - share
    return rows


def duel(share: float) -> list[list[float]]:
    return table(2, {(0, 1): share})


def capital(lacks: Sequence[Fraction]) -> Fraction:
    """What betting against a player has come to, exactly, after openings on which it lacked so."""
    total = Fraction(0)
    for stake in map(Fraction, STAKES):
        total += math.prod((1 + stake * x for x in lacks), start=Fraction(1))
    return total / len(STAKES)


def test_a_player_that_always_loses_is_dropped_at_the_opening_that_the_capital_says() -> None:
    race = Race.start(2, 0.1)
    for number in range(1, 20):
        race = race.then(duel(0.0))
        exact = capital([Fraction(1, 2)] * number)
        assert race.evidence[0] == pytest.approx(math.log(exact), rel=1e-12)
        assert race.evidence[1] == 0.0
        assert race.cut().survivors == ((0, 1) if exact < 10 else (1,))
    assert race.cut().survivors == (1,)


@pytest.mark.parametrize("best", np.geomspace(3 / 16, 2.0, 60))
def test_one_of_the_stakes_is_good_enough(best: float) -> None:
    """Bets of even odds such that ``best`` is the stake of the fastest growth, which is known."""
    size = 0.02  # what an opening wins or loses: small, so that the second order is all there is
    wins = (1.0 + best * size) / 2.0

    def growth(stake: float) -> float:
        return wins * math.log1p(stake * size) + (1.0 - wins) * math.log1p(-stake * size)

    assert growth(best) >= max(growth(0.99 * best), growth(1.01 * best))
    assert max(map(growth, STAKES)) >= 0.999 * 8 / 9 * growth(best)


def test_evidence_is_the_highest_that_the_capital_has_been() -> None:
    race = Race.start(2, 0.1)
    for share in (0.0, 0.25, 1.0, 1.0):
        race = race.then(duel(share))
    exact = capital([Fraction(1, 2), Fraction(1, 4)])
    assert race.evidence[0] == pytest.approx(math.log(exact), rel=1e-12)
    mean = np.mean(np.exp(race.log_capitals[0]))
    last = capital([Fraction(1, 2), Fraction(1, 4), Fraction(-1, 2), Fraction(-1, 2)])
    assert mean == pytest.approx(float(last), rel=1e-12)


def test_an_opening_counts_by_the_mean_over_opponents() -> None:
    shares = {(0, 1): 0.25, (0, 2): 0.5, (1, 2): 1.0}
    race = Race.start(3, 0.1).then(table(3, shares))
    lacks = [Fraction(1, 8), Fraction(-3, 8), Fraction(1, 4)]  # of 0.375, 0.875 and 0.25
    expected = [float(capital([lack])) for lack in lacks]
    assert np.exp(race.log_capitals).mean(axis=1) == pytest.approx(expected, rel=1e-12)
    assert race.scores == {0: 0.375, 1: 0.875, 2: 0.25}
    assert race.leader == 1


def test_what_does_not_count_moves_nothing() -> None:
    race = Race.start(3, 0.1).then(table(3, {(0, 1): 0.0}))
    assert race.log_capitals[2].tolist() == [0.0] * len(STAKES)
    assert race.scores[2] == 0.5
    assert race.pairs.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    before = race.log_capitals.copy()
    assert np.array_equal(race.then(table(3, {})).log_capitals, before)


def test_the_dropped_are_not_looked_at() -> None:
    race = Race.start(3, 0.5)
    while 0 in race.cut().survivors:
        race = race.then(table(3, {(0, 1): 0.0, (0, 2): 0.0, (1, 2): 0.5}))
    race = race.cut()
    assert race.survivors == (1, 2)
    with_it = race.then(table(3, {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 0.75}))
    without = race.then(table(3, {(1, 2): 0.75}))
    assert np.array_equal(with_it.log_capitals[1:], without.log_capitals[1:])
    assert with_it.scores == without.scores
    assert np.array_equal(with_it.points, without.points)


# Laws of one opening among three players under which player 0 expects exactly one half against each
# of the others: encounters that have nothing to do with each other, such that go the same way, such
# that exclude each other, and rare heavy losses. Each entry: its chance, then the shares of 0
# against 1, 0 against 2, 1 against 2.
LAWS: dict[str, list[tuple[Fraction, tuple[float, float, float]]]] = {
    "independent": [
        (Fraction(1, 4), (first, second, 0.5))
        for first, second in itertools.product((0.0, 1.0), repeat=2)
    ],
    "together": [(Fraction(1, 2), (0.0, 0.0, 0.25)), (Fraction(1, 2), (1.0, 1.0, 0.25))],
    "opposed": [(Fraction(1, 2), (0.0, 1.0, 1.0)), (Fraction(1, 2), (1.0, 0.0, 1.0))],
    "skew": [(Fraction(1, 3), (0.0, 0.0, 0.0)), (Fraction(2, 3), (0.75, 0.75, 1.0))],
}


@pytest.mark.parametrize("law", [*LAWS])
@pytest.mark.parametrize("error", [0.5, 0.25, 0.1])
def test_the_best_is_dropped_no_more_often_than_asked(law: str, error: float) -> None:
    """Summed over all that can happen in six openings, whoever has been dropped meanwhile."""
    dropped = Fraction(0)

    def follow(race: Race, chance: Fraction, left: int) -> None:
        nonlocal dropped
        if 0 not in race.survivors:
            dropped += chance
        elif left and len(race.survivors) > 1:
            for share, (first, second, third) in LAWS[law]:
                shares = {(0, 1): first, (0, 2): second, (1, 2): third}
                follow(race.then(table(3, shares)).cut(), chance * share, left - 1)

    follow(Race.start(3, error), Fraction(1), 6)
    assert dropped <= Fraction(error)
    if law == "together" and error == 0.5:
        assert dropped > 0  # what is bounded does happen


def test_the_capital_against_an_equal_keeps_its_mean() -> None:
    """Of all paths of five pairs with a symmetric law the mean capital is 1, exactly."""
    law = {0: Fraction(1, 8), 1: Fraction(1, 8), 2: Fraction(1, 2)}
    law |= {3: law[1], 4: law[0]}
    total = Fraction(0)
    for path in itertools.product(law, repeat=5):
        chance = math.prod((law[step] for step in path), start=Fraction(1))
        total += chance * capital([Fraction(1, 2) - Fraction(step, 4) for step in path])
    assert total == 1


QUARTERS = st.integers(0, 4).map(lambda step: step / 4.0)


@st.composite
def openings(draw: st.DrawFn) -> tuple[int, list[list[list[float]]]]:
    players = draw(st.integers(2, 5))
    meetings = list(itertools.combinations(range(players), 2))
    share = st.one_of(QUARTERS, st.just(NO_PAIR))
    one = st.tuples(*[share] * len(meetings)).map(
        lambda row: table(players, dict(zip(meetings, row, strict=True)))
    )
    return players, draw(st.lists(one, max_size=30))


@given(openings(), st.sampled_from([0.01, 0.1, 0.5, 0.9]), st.randoms())
def test_neither_order_nor_numbering_matters(
    played: tuple[int, list[list[list[float]]]], error: float, shuffle: object
) -> None:
    players, tables = played
    order = list(range(players))
    shuffled = list(tables)
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    race = renumbered = Race.start(players, error)
    reordered = race
    for shares in tables:
        race = race.then(shares)
        renumbered = renumbered.then(np.array(shares)[np.ix_(order, order)])
    for shares in shuffled:
        reordered = reordered.then(shares)
    assert reordered.log_capitals == pytest.approx(race.log_capitals, abs=1e-9)
    assert renumbered.evidence == pytest.approx(race.evidence[order], abs=1e-9)
    assert {order[player]: score for player, score in renumbered.scores.items()} == pytest.approx(
        race.scores
    )


@given(openings(), st.sampled_from([0.1, 0.5, 0.99]))
def test_somebody_always_stays(played: tuple[int, list[list[list[float]]]], error: float) -> None:
    players, tables = played
    race = Race.start(players, error)
    for shares in tables:
        left = race.then(shares).cut()
        assert left.survivors
        assert set(left.survivors) <= set(race.survivors)
        assert left.leader in left.survivors
        assert np.isfinite(left.log_capitals).all()
        race = left


def test_where_all_gamblers_win_the_one_of_least_evidence_stays() -> None:
    race = Race.start(2, 0.7)
    for share in [0.0] * 2 + [1.0] * 12:  # cut only at the end, as after a round
        race = race.then(duel(share))
    assert (race.evidence >= race.goal).all()
    assert race.evidence[0] < race.evidence[1]
    assert race.cut().survivors == (0,)


def test_of_equal_scores_the_first_leads() -> None:
    assert Race.start(4, 0.1).leader == 0
    assert Race.start(2, 0.1).then(duel(0.5)).leader == 0


@pytest.mark.parametrize(
    ("players", "error", "words"),
    [(1, 0.1, "at least 2"), (2, 0.0, "between 0 and 1"), (2, 1.0, "between"), (2, NO_PAIR, "nan")],
)
def test_a_race_that_cannot_be_is_refused(players: int, error: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Race.start(players, error)


@pytest.mark.parametrize(
    "shares",
    [
        [[NO_PAIR, 0.5], [0.25, NO_PAIR]],
        [[NO_PAIR, 0.5], [NO_PAIR, NO_PAIR]],
        [[NO_PAIR, 1.5], [-0.5, NO_PAIR]],
        [[NO_PAIR, math.inf], [-math.inf, NO_PAIR]],
        [[NO_PAIR]],
    ],
)
def test_shares_that_cannot_be_are_refused(shares: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"shares|lack|share"):
        Race.start(2, 0.1).then(shares)
