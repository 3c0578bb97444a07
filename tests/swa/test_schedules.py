from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swa.schedules import decay_steps, learning_rate
from swa.train_config import RateSettings


def rates(settings, total, steps=None):
    return [learning_rate(settings, total, step) for step in range(steps or total)]


def test_constant():
    assert rates(RateSettings(0.02), 5) == [0.02] * 5


def test_steps_change_where_the_boundary_is_reached():
    settings = RateSettings(schedule="steps", values=(0.2, 0.02, 0.002), boundaries=(2, 4))
    assert rates(settings, 6) == [0.2, 0.2, 0.02, 0.02, 0.002, 0.002]


def test_warm_up_is_a_straight_line_to_the_rate():
    assert rates(RateSettings(0.4, warmup_steps=4), 6) == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]
    )


def test_cosine():
    found = rates(RateSettings(1.0, "cosine", final=0.2), 8, 9)
    expected = [0.2 + 0.8 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)]
    assert found == pytest.approx(expected, rel=1e-15)
    assert found[4] == pytest.approx(0.6)
    assert found[-1] == 0.2


def test_a_cosine_that_is_over_stays_at_its_end():
    settings = RateSettings(1.0, "cosine", final=0.2, decay_steps=4)
    assert rates(settings, 9)[4:] == [0.2] * 5


def test_cycles_are_those_of_the_paper():
    """alpha(i) = (1 - t(i)) alpha1 + t(i) alpha2, t(i) = (mod(i - 1, c) + 1) / c, i from 1."""
    found = rates(RateSettings(0.05, "cyclic", final=0.01, cycle=4), 8)
    cycle = [0.05 * (1 - t) + 0.01 * t for t in (0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx(cycle * 2)
    assert found[3] == 0.01


def test_the_constant_tail_is_that_of_the_authors_program():
    """Their ``schedule`` of t = epoch / swa_start: flat to 0.5, down to 0.9, flat."""
    found = rates(RateSettings(0.1, swa_start=100, swa_lr=0.05), 150)
    assert found[:51] == [0.1] * 51
    assert found[70] == pytest.approx(0.1 * (1 - 0.5 * (0.7 - 0.5) / 0.4))
    assert found[90:] == pytest.approx([0.05] * 60)


def test_a_cyclic_tail_ends_each_cycle_at_its_lowest():
    found = rates(RateSettings(0.1, swa_start=10, swa_lr=0.05, swa_final=0.01, cycle=5), 20)
    assert [step for step, rate in enumerate(found, 1) if rate == 0.01] == [15, 20]
    assert max(found[10:]) < 0.05


def test_a_tail_after_steps_or_cosine_leaves_them_as_they_are():
    settings = RateSettings(1.0, "cosine", swa_start=4, swa_lr=0.3)
    assert decay_steps(settings, 100) == 4
    assert rates(settings, 100)[4:] == [0.3] * 96
    settings = RateSettings(
        schedule="steps", values=(1.0, 0.5), boundaries=(2,), swa_start=4, swa_lr=0.3
    )
    assert rates(settings, 6) == [1, 1, 0.5, 0.5, 0.3, 0.3]


KINDS = st.sampled_from(
    [
        RateSettings(0.1, warmup_steps=10),
        RateSettings(0.1, "cosine", final=0.01, warmup_steps=3),
        RateSettings(0.1, "cyclic", final=0.01, cycle=7),
        RateSettings(0.1, swa_start=50, swa_lr=0.02),
        RateSettings(schedule="steps", values=(0.1, 0.01), boundaries=(20,)),
    ]
)


@given(KINDS, st.integers(0, 10**9))
def test_rates_stay_between_their_ends(settings, step):
    assert 0 <= learning_rate(settings, 100, step) <= 0.1
