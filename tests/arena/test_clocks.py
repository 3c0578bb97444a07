"""Clocks: what a move costs, when a game is lost by it, and that a net's plan never loses one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.clocks import Clock, GameClocks
from arena.players import Limits, TimeControl


def clock(*control: float, margin: int = 0) -> Clock:
    seconds, increment, moves = (*control, 0.0, 0)[:3]
    limits = Limits(tc=TimeControl(seconds, increment, int(moves)), timemargin=margin)
    started = Clock.start(limits)
    assert started is not None
    return started


def after(before: Clock, *spent: float) -> Clock:
    for seconds in spent:
        later = before.after(seconds)
        assert later is not None
        before = later
    return before


def test_who_has_a_clock() -> None:
    assert Clock.start(None) is None
    assert Clock.start(Limits(nodes=5)) is None
    per_move = Clock.start(Limits(st=2.0))
    assert per_move is not None
    assert (per_move.left, per_move.budget, per_move.remaining) == (2.0, 1.9, None)


def test_sudden_death_with_increment() -> None:
    # As a score sheet has it: 60+0.6, the first move has its increment.
    assert clock(60.0, 0.6).left == pytest.approx(60.6)
    assert after(clock(60.0, 0.6), 10.0).left == pytest.approx(51.2)
    assert after(clock(60.0, 0.6), 10.0, 0.1, 20.0).left == pytest.approx(60.0 - 30.1 + 4 * 0.6)
    assert after(clock(60.0, 0.6), 60.6).left == pytest.approx(0.6)
    assert clock(60.0, 0.6).after(60.7) is None


def test_a_control_brings_its_time_again() -> None:
    start = clock(30.0, 1.0, 3)
    assert (start.left, start.moves_to_go) == (31.0, 3)
    assert after(start, 10.0).moves_to_go == 2
    # 30 + 3 * 1 for three moves; the fourth has what is left of it, 30 more, and its increment.
    second = after(start, 10.0, 10.0, 10.0)
    assert (second.left, second.moves_to_go) == (pytest.approx(30.0 + 3.0 - 30.0 + 1.0 + 30.0), 3)
    assert start.after(31.5) is None


def test_time_for_each_move_does_not_add_up() -> None:
    start = Clock.start(Limits(st=2.0))
    assert start is not None
    assert after(start, 0.5, 2.0, 0.1) == start
    assert start.after(2.001) is None


def test_a_margin_is_forgiven_once_and_not_charged() -> None:
    start = clock(1.0, 0.5, margin=200)
    assert after(start, 1.7).left == 0.5
    assert start.after(1.71) is None
    assert after(start, 1.7, 0.7).left == 0.5


CONTROLS = st.one_of(
    st.builds(clock, st.floats(0.1, 1e4), st.floats(0, 100)),
    st.builds(clock, st.floats(0.1, 1e4), st.floats(0, 100), st.integers(1, 60)),
)


@given(CONTROLS, st.integers(1, 300))
def test_a_net_that_keeps_to_its_budget_never_loses_on_time(start: Clock, moves: int) -> None:
    now = start
    for _ in range(moves):
        assert 0.0 < now.budget < now.left
        now = after(now, now.budget)


@pytest.mark.parametrize(
    ("seconds", "budget"), [(0.01, 0.009), (0.1, 0.09), (1.0, 0.9), (5.0, 4.9)]
)
def test_a_net_keeps_something_back_of_a_time_for_each_move(seconds: float, budget: float) -> None:
    """It moves a little after its budget, never a little before."""
    start = Clock.start(Limits(st=seconds))
    assert start is not None
    assert start.budget == pytest.approx(budget)


@given(CONTROLS)
def test_a_budget_uses_what_there_is(start: Clock) -> None:
    """After a hundred moves without another control, most of the time is spent."""
    now, total = start, start.left
    for _ in range(100):
        total += now.increment
        now = after(now, now.budget)
    if start.moves == 0:
        assert now.left < 0.05 * total + 0.3 * 30 * now.increment + now.increment


@given(CONTROLS, st.lists(st.floats(0, 1e3), max_size=100))
def test_time_is_neither_made_nor_lost(start: Clock, spent: list[float]) -> None:
    now, budget = start, start.left
    for number, seconds in enumerate(spent, start=1):
        later = now.after(seconds)
        assert (later is None) == (seconds > now.left)
        if later is None:
            return
        budget += now.increment - seconds
        if start.moves and number % start.moves == 0:
            budget += start.per_control
        now = later
        assert now.left == pytest.approx(budget, rel=1e-9, abs=1e-6)


def test_clocks_of_a_game() -> None:
    clocks = GameClocks(Limits(tc=TimeControl(10.0, 1.0)), Limits(nodes=3), now=100.0)
    assert clocks.deadline(1) == float("inf")
    assert clocks.deadline(0) == 100.0 + clock(10.0, 1.0).budget
    clocks.begin(105.0)
    assert clocks.elapsed(107.5) == 2.5
    assert clocks.press(0, 2.5)
    assert clocks.press(1, 1e9)
    assert (clocks.shown(0), clocks.shown(1)) == (9.5, None)
    assert not clocks.press(0, 9.6)
    assert clocks.shown(0) == 9.5
