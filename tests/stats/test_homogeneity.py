from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import chdtri, ndtri

from arena.stats import homogeneity as module
from arena.stats.homogeneity import homogeneity
from arena.stats.pentanomial import GameCounts, PairCounts, Pentanomial

LAW = [0.05, 0.2, 0.5, 0.2, 0.05]


def test_fishtest_vectors(shared: Path) -> None:
    every = json.loads((shared / "golden/stats_vectors.json").read_text())["vectors"]
    vectors = [vector for vector in every if vector["kind"] == "homogeneity"]
    assert vectors
    for vector in vectors:
        output = vector["output"]
        found = homogeneity([Pentanomial(*w) for w in vector["input"]["workers_pentanomial"]])
        assert found is not None
        assert not found.exact
        assert found.dof == output["dof"]
        assert found.statistic == pytest.approx(output["chi2"], rel=1e-9)
        assert found.p_value == pytest.approx(output["p"], rel=1e-9, abs=1e-9)
        assert found.residuals == pytest.approx(output["residual_z"], rel=1e-9)


def test_two_parts_by_hand() -> None:
    """60 : 40 against 40 : 60: every cell is 10 off 50, so chi-squared is 4 * 100 / 50."""
    found = homogeneity([PairCounts(LL=60, WW=40), PairCounts(LD=40, WD=60)])
    assert found is not None
    assert (found.statistic, found.dof) == (pytest.approx(8.0), 1)
    assert found.p_value == pytest.approx(math.erfc(2.0))
    assert found.residuals == pytest.approx([-ndtri(found.p_value)] * 2)


def test_few_pairs_are_counted_out() -> None:
    """Three pairs won by one part and three lost by the other: 2 of the 20 tables are so."""
    found = homogeneity([PairCounts(WW=3), PairCounts(LL=3)])
    assert found is not None
    assert found.exact
    assert found.p_value == pytest.approx(0.1, abs=4 * math.sqrt(0.1 * 0.9 / module.TABLES))
    assert chdtri(1, 0.05) < found.statistic  # which the law of chi-squared would take for proof


def test_the_same_parts_give_the_same_answer() -> None:
    parts = [PairCounts(WW=3, DD=2), PairCounts(LL=3, WD=1), PairCounts(WL=4)]
    assert homogeneity(parts) == homogeneity(parts)


def test_where_there_is_no_question() -> None:
    assert homogeneity([]) is None
    assert homogeneity([PairCounts(LL=1, WW=2)]) is None
    assert homogeneity([PairCounts(LL=1, WW=2), PairCounts()]) is None
    assert homogeneity([PairCounts(WL=5), PairCounts(DD=9)]) is None


def test_empty_parts_have_no_residual() -> None:
    parts = [PairCounts(LL=10, DD=10), PairCounts(), PairCounts(LL=10, DD=10)]
    found = homogeneity(parts)
    assert found is not None
    assert found.residuals[1] is None
    assert found.statistic == 0.0
    assert found.p_value == 1.0
    without = homogeneity([parts[0], parts[2]])
    assert without is not None
    assert found.residuals[::2] == without.residuals


def test_single_games_are_parts_too() -> None:
    games = homogeneity([GameCounts(10, 20, 30), GameCounts(30, 20, 10)])
    pairs = homogeneity([Pentanomial(4, 6, 20, 10, 20), Pentanomial(20, 10, 20, 10, 0)])
    assert games == pairs


COUNT = st.integers(0, 8) | st.integers(0, 10**6)


@given(st.lists(st.builds(Pentanomial, COUNT, COUNT, COUNT, COUNT, COUNT), max_size=5))
@settings(max_examples=40)
def test_every_figure_is_finite_and_the_order_is_free(parts: list[Pentanomial]) -> None:
    found, backwards = homogeneity(parts), homogeneity(parts[::-1])
    assert (found is None) == (backwards is None)
    if found is None or backwards is None:
        return
    assert 0.0 <= found.p_value <= 1.0
    assert all(z is None or math.isfinite(z) for z in found.residuals)
    assert found.statistic == pytest.approx(backwards.statistic, rel=1e-9)
    if not found.exact:
        assert found.p_value == pytest.approx(backwards.p_value, rel=1e-6)


@pytest.mark.parametrize("pairs", [2, 5, 40])
def test_false_alarms(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 matches of five equal parts: no more alarms than were asked for, however few pairs."""
    monkeypatch.setattr(module, "TABLES", 499)
    random, matches = np.random.default_rng(8), 300
    alarms, marked = 0, 0
    for _ in range(matches):
        parts = [Pentanomial(*random.multinomial(pairs, LAW)) for _ in range(5)]
        found = homogeneity(parts)
        if found is not None:
            alarms += found.p_value < 0.05
            marked += any(z is not None and z > -ndtri(0.05 / 5) for z in found.residuals)
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / matches)
    assert alarms / matches < allowed
    assert marked / matches < allowed


def test_a_part_that_is_wrong_is_found() -> None:
    random = np.random.default_rng(9)
    laws = [LAW, LAW, [0.3, 0.35, 0.3, 0.04, 0.01], LAW]
    parts = [Pentanomial(*random.multinomial(100, law)) for law in laws]
    found = homogeneity(parts)
    assert found is not None
    assert found.p_value < 1e-4
    assert max(range(4), key=lambda n: found.residuals[n] or 0.0) == 2


def test_random_tables_have_the_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 600)
    monkeypatch.setattr(module, "TABLES", 250)
    table = np.array([[1, 4, 2], [0, 3, 3]])
    batches = list(module._random_tables(table))
    assert [len(batch) for batch in batches] == [100, 100, 50]
    for batch, axis in itertools.product(batches, (1, 2)):
        assert (batch.sum(axis=axis) == table.sum(axis=axis - 1)).all()
