"""The rules against their recurrences and closed forms, sums against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from swa.averaging import (
    Ema,
    EmaStart,
    Lawa,
    Lczero,
    Mean,
    Rule,
    WeightAverage,
    add_exactly,
    exact_total,
    greedy_soup,
    shares,
    weighted_mean,
)
from swa.spec import NetError

RULES: dict[str, Rule] = {
    "mean": Mean(),
    "lczero 0": Lczero(0),
    "lczero 3": Lczero(3),
    "lczero 100": Lczero(100),
    "ema of katago": Ema.of_scale(8),
    "ema 0": Ema(0),
    "ema 0.999": Ema(0.999),
    "ema unbiased": Ema(0.9, EmaStart.UNBIASED),
    "ema warm-up": Ema(0.9, EmaStart.WARM_UP),
    "lawa 1": Lawa(1),
    "lawa 4": Lawa(4),
}

SHAPES = {"conv.weight": (2, 3, 3, 3), "bias": (5,), "scalar": ()}

ANY = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def snapshots(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        {name: np.asarray(random.normal(size=shape), np.float32) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]


def online(rule: Rule, series: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    average = WeightAverage(rule)
    for snapshot in series:
        average = average.add(snapshot)
    assert average.count == len(series)
    return average.result()


def assert_close(one: dict[str, Any], other: dict[str, Any], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=tolerance, atol=tolerance)


# Rules


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 17])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_the_recurrence_gives_what_the_proportions_say(rule: Rule, count: int) -> None:
    series = snapshots(count)
    assert len(rule.proportions(count)) == count
    offline = weighted_mean(series, rule.proportions(count))
    assert_close(online(rule, series), offline, 1e-12)


def lczero(series: list[np.ndarray], most: int) -> np.ndarray:
    """tf/tfprocess.py: swa = swa * n / (n + 1) + w / (n + 1); n = min(n + 1, swa_max_n)."""
    swa, n = np.zeros(()), 0
    for w in series:
        swa, n = swa * (n / (n + 1)) + w / (n + 1), min(n + 1, most)
    return swa


def katago(series: list[np.ndarray], scale: float) -> np.ndarray:
    """python/train.py: avg + (1 / scale) * (cur - avg), a copy of the first to begin with."""
    average = series[0]
    for current in series[1:]:
        average = average + (1 / scale) * (current - average)
    return average


def unbiased(series: list[np.ndarray], decay: float) -> np.ndarray:
    """Adam's: a moving average from zero, divided by 1 - decay ** t."""
    average = np.zeros(())
    for current in series:
        average = decay * average + (1 - decay) * current
    return average / (1 - decay ** len(series))


def warming(series: list[np.ndarray], most: float) -> np.ndarray:
    """timm's ModelEmaV3 with use_warmup: decay = 1 - (1 + step) ** (-2 / 3), at most ``most``."""
    average = series[0]
    for step, current in enumerate(series[1:], start=1):
        decay = min(most, 1 - (1 + step) ** (-2 / 3))
        average = decay * average + (1 - decay) * current
    return average


@pytest.mark.parametrize(
    ("rule", "reference"),
    [
        (Mean(), lambda series: np.mean(series, axis=0)),
        (Lczero(0), lambda series: series[-1]),
        (Lczero(4), lambda series: lczero(series, 4)),
        (Lczero(1000), lambda series: np.mean(series, axis=0)),
        (Ema.of_scale(), lambda series: katago(series, 8)),
        (Ema.of_scale(1), lambda series: series[-1]),
        (Ema(0.75), lambda series: katago(series, 4)),
        (Ema(0.9, EmaStart.UNBIASED), lambda series: unbiased(series, 0.9)),
        (Ema(0.8, EmaStart.WARM_UP), lambda series: warming(series, 0.8)),
        (Lawa(6), lambda series: np.mean(series[-6:], axis=0)),
    ],
)
@pytest.mark.parametrize("count", [1, 5, 30])
def test_rules_are_those_of_their_projects(rule: Rule, reference: Any, count: int) -> None:
    series = snapshots(count)
    for name, values in online(rule, series).items():
        told = reference([snapshot[name].astype(np.float64) for snapshot in series])
        np.testing.assert_allclose(values, told, rtol=1e-12, atol=1e-12)


def test_closed_forms_of_the_proportions() -> None:
    # lczero at its cap n = 2: means of 1, 2, 3, then each step keeps 2/3
    assert shares(Lczero(2).proportions(5), 5) == pytest.approx(
        [4 / 27, 4 / 27, 4 / 27, 2 / 9, 1 / 3], rel=1e-15
    )
    assert Ema(0.5).proportions(4) == (0.125, 0.125, 0.25, 0.5)
    assert shares(Ema(0.5, EmaStart.UNBIASED).proportions(3), 3) == pytest.approx(
        [1 / 7, 2 / 7, 4 / 7], rel=1e-15
    )
    assert Lawa(2).proportions(4) == (0, 0, 1, 1)
    assert Mean().proportions(3) == (1, 1, 1)
    for rule in RULES.values():
        assert math.fsum(shares(rule.proportions(9), 9)) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("rule", [Lczero(0), Ema(0), Lawa(1)])
def test_a_rule_without_memory_gives_the_last_to_the_last_bit(rule: Rule) -> None:
    last = {"x": np.float32([1e-20, 3])}
    assert online(rule, [{"x": np.float32([1e10, 0.1])}, last])["x"].tolist() == last["x"].tolist()


@given(
    arrays.arrays(np.float32, 7, elements=SINGLE),
    st.integers(1, 40),
    st.sampled_from(sorted(RULES)),
)
def test_the_average_of_the_same_is_the_same(values: np.ndarray, count: int, name: str) -> None:
    rule, series = RULES[name], [{"x": values}] * count
    np.testing.assert_array_equal(online(rule, series)["x"], values)
    averaged = weighted_mean(series, rule.proportions(count))["x"]
    np.testing.assert_array_equal(averaged.astype(np.float32), values)


@pytest.mark.parametrize("weights", [[0.9, 0.1], [1e-9, 1], [3, 4, 5], [1 / 3] * 3, [1e308] * 3])
def test_given_weights_leave_the_same_as_it_is(weights: list[float]) -> None:
    (snapshot,) = snapshots(1)
    averaged = weighted_mean([snapshot] * len(weights), weights)
    for name, values in snapshot.items():
        np.testing.assert_array_equal(averaged[name].astype(np.float32), values)


# Order


@given(st.data())
def test_order_does_not_matter(data: st.DataObject) -> None:
    """Values of very different size, so that sums in another order do round differently."""
    count = data.draw(st.integers(2, 8))
    values = data.draw(arrays.arrays(np.float32, (count, 6), elements=SINGLE))
    weights = data.draw(
        st.lists(st.floats(0.001, 1000), min_size=count, max_size=count).map(np.array)
    )
    order = data.draw(st.permutations(range(count)))
    series = [{"x": row} for row in values]
    moved = [series[place] for place in order]
    for rule in (Mean(), Lawa(count)):
        assert online(rule, series)["x"].tobytes() == online(rule, moved)["x"].tobytes()
    for given_weights in (weights, np.ones(count)):
        one = weighted_mean(series, given_weights)["x"]
        assert one.tobytes() == weighted_mean(moved, given_weights[list(order)])["x"].tobytes()


def test_plain_sums_would_depend_on_order() -> None:
    values = np.float64([1e16, 1.0, -1e16])
    assert sum(values) != sum(values[[0, 2, 1]])
    series = [{"x": values[[place]]} for place in range(3)]
    assert online(Mean(), series)["x"] == pytest.approx(1 / 3, rel=1e-15)


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 5)), elements=ANY))
def test_sums_are_exact(summands: np.ndarray) -> None:
    parts: tuple[np.ndarray, ...] = ()
    for row in summands:
        parts = add_exactly(parts, row)
    for place, total in enumerate(exact_total(parts)):
        assert total == math.fsum(summands[:, place])
        exact = sum(Fraction(value) for value in summands[:, place])
        assert sum(Fraction(part[place]) for part in parts) == exact


def test_what_breaks_a_tie_is_not_forgotten() -> None:
    for summands in ([1, 2.0**-53, 2.0**-120], [2.0**-120, 1, 2.0**-53]):
        parts: tuple[np.ndarray, ...] = ()
        for summand in summands:
            parts = add_exactly(parts, np.float64([summand]))
        assert exact_total(parts) == [1 + 2.0**-52]


def test_a_long_sum_needs_few_parts() -> None:
    random = np.random.default_rng(0)
    parts: tuple[np.ndarray, ...] = ()
    rows = random.normal(size=(500, 200)) * 10.0 ** random.integers(-8, 8, (500, 200))
    for row in rows:
        parts = add_exactly(parts, row)
    assert len(parts) <= 4
    assert [math.fsum(column) for column in rows.T] == exact_total(parts).tolist()


# The average that grows


def test_adding_leaves_the_old_average_as_it_was() -> None:
    first, second, third = snapshots(3)
    for rule in RULES.values():
        before = WeightAverage(rule).add(first).add(second)
        held = {name: values.copy() for name, values in before.result().items()}
        before.add(third)
        assert before.count == 2
        assert_close(before.result(), held, 0)


def test_a_snapshot_may_be_written_to_afterwards() -> None:
    for rule in RULES.values():
        series = [
            {name: values.astype(np.float64) for name, values in snapshot.items()}
            for snapshot in snapshots(3)
        ]
        expected = online(rule, series)
        average = WeightAverage(rule)
        buffer = {name: np.zeros(shape) for name, shape in SHAPES.items()}
        for snapshot in series:
            for name, values in snapshot.items():
                buffer[name][...] = values
            average = average.add(buffer)
        assert_close(average.result(), expected, 0)


def test_the_state_resumes() -> None:
    series = snapshots(9)
    for rule in RULES.values():
        average = WeightAverage(rule)
        for snapshot in series[:5]:
            average = average.add(snapshot)
        state = {
            name: tuple(part.copy() for part in parts) for name, parts in average.state.items()
        }
        resumed = WeightAverage(rule, average.count, state)
        for snapshot in series[5:]:
            average, resumed = average.add(snapshot), resumed.add(snapshot)
        assert_close(average.result(), resumed.result(), 0)


def test_lawa_keeps_no_more_than_it_needs() -> None:
    average = WeightAverage(Lawa(3))
    for snapshot in snapshots(10):
        average = average.add(snapshot)
    assert all(len(kept) == 3 for kept in average.state.values())


def test_what_cannot_be_added() -> None:
    (snapshot,) = snapshots(1)
    average = WeightAverage(Mean()).add(snapshot)
    for change, reason in (
        ({"bias": np.zeros(4)}, "shape"),
        ({"bias": np.full(5, np.nan)}, "bias holds a value that is not a finite"),
        ({"more": np.zeros(4)}, "more is in one snapshot"),
    ):
        with pytest.raises(NetError, match=reason):
            average.add(snapshot | change)
    with pytest.raises(NetError, match="bias is in one"):
        average.add({name: values for name, values in snapshot.items() if name != "bias"})
    with pytest.raises(NetError, match="no snapshots"):
        WeightAverage(Mean()).result()
    assert average.count == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lczero(-1),
        lambda: Lawa(0),
        lambda: Ema(1),
        lambda: Ema(-0.1),
        lambda: Ema(math.nan),
        lambda: Ema.of_scale(0.5),
        lambda: Ema.of_scale(math.nan),
        lambda: weighted_mean([], []),
        lambda: weighted_mean(snapshots(2), [1]),
        lambda: weighted_mean(snapshots(2), [1, -1]),
        lambda: weighted_mean(snapshots(2), [0, 0]),
        lambda: weighted_mean(snapshots(2), [1, math.nan]),
        lambda: weighted_mean(snapshots(2), [1, math.inf]),
        lambda: shares([1], 2),
        lambda: greedy_soup([], lambda _: 0),
        lambda: greedy_soup(snapshots(1), lambda _: math.nan),
    ],
)
def test_settings_that_cannot_be(make: Any) -> None:
    with pytest.raises(NetError) as refused:
        make()
    assert len(str(refused.value).splitlines()) == 2


# Greedy soup


def distance_to(goal: float) -> Any:
    return lambda weights: abs(float(weights["x"][0]) - goal)


def test_a_soup_takes_what_helps() -> None:
    series = [{"x": np.float32([value])} for value in (9.0, 1.0, -2.0, 40.0)]
    soup = greedy_soup(series, distance_to(0))
    # 1 is best; with -2 the mean is -0.5, better; with 9 it would be 2.67, with 40 worse still
    assert soup.chosen == (1, 2)
    assert soup.weights["x"] == [-0.5]
    assert soup.loss == 0.5
    assert soup.losses == (9, 1, 2, 40)


def test_a_soup_takes_what_does_no_harm() -> None:
    series = [{"x": np.float32([2.0])}] * 3
    assert greedy_soup(series, distance_to(0)).chosen == (0, 1, 2)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(-10, 10))
def test_a_soup_is_never_worse_than_its_best(values: list[float], goal: float) -> None:
    series = [{"x": np.float64([value])} for value in values]
    loss = distance_to(goal)
    soup = greedy_soup(series, loss)
    assert soup.loss <= min(soup.losses)
    assert soup.loss == loss(soup.weights)
    mean = np.mean([values[place] for place in soup.chosen])
    assert soup.weights["x"][0] == pytest.approx(mean, rel=1e-12, abs=1e-12)


def test_a_soup_leaves_out_what_breaks_the_mean() -> None:
    series = [{"x": np.float32([value])} for value in (1.0, 2.0)]
    soup = greedy_soup(
        series, lambda weights: float(weights["x"][0]) if weights["x"][0] in (1, 2) else math.nan
    )
    assert soup.chosen == (0,)
