"""What ``go`` asks for, and how long a move may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.uci.limits import (
    HORIZON,
    MOST,
    Limits,
    read_limits,
    seconds_for_move,
    whole_number,
)


def test_every_limit_is_read_wherever_it_stands() -> None:
    words = "searchmoves e2e4 d2d4 wtime 1000 btime 2000 winc 3 binc 4 movestogo 5 nodes 6 depth 7"
    words += " mate 8 movetime 9 ponder infinite"
    assert read_limits(words.split()) == Limits(
        nodes=6,
        movetime=9,
        wtime=1000,
        btime=2000,
        winc=3,
        binc=4,
        movestogo=5,
        depth=7,
        mate=8,
        infinite=True,
        ponder=True,
        searchmoves=("e2e4", "d2d4"),
    )


def test_what_means_nothing_is_passed_over_and_what_cannot_be_read_is_told() -> None:
    assert read_limits(["please", "nodes", "10", "now"]) == Limits(nodes=10)
    broken = read_limits(["nodes", "ten", "movetime", "infinite", "depth"])
    assert broken == Limits(infinite=True)
    assert len(broken.faults) == 3
    assert "'ten'" in broken.faults[0]


@given(
    st.lists(
        st.sampled_from(
            ["go", "nodes", "wtime", "btime", "movetime", "depth", "1", "-1", "9e9", "x"]
        )
    )
)
def test_nothing_is_too_strange(words: list[str]) -> None:
    limits = read_limits(words)
    for white in (True, False):
        limits.is_endless(white)
        seconds = seconds_for_move(limits, white, 0.2)
        assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("007", 7),
        ("9" * 5000, MOST),
        ("-" + "9" * 5000, -MOST),
        ("", None),
        ("-", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
    ],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_the_clock_is_shared_among_the_moves_that_are_left() -> None:
    limits = Limits(wtime=60_200, btime=30_200, winc=1000, binc=500)
    assert seconds_for_move(limits, True, 0.2) == pytest.approx(60 / HORIZON + 1)
    assert seconds_for_move(limits, False, 0.2) == pytest.approx(30 / HORIZON + 0.5)
    control = Limits(wtime=10_200, movestogo=4)
    assert seconds_for_move(control, True, 0.2) == pytest.approx(2.5)
    assert seconds_for_move(control, False, 0.2) is None
    # Another control that is far away changes nothing.
    assert seconds_for_move(Limits(wtime=60_200, movestogo=200), True, 0.2) == pytest.approx(2.0)


def test_a_move_time_loses_no_more_than_its_tenth_to_the_overhead() -> None:
    assert seconds_for_move(Limits(movetime=10_000), True, 0.2) == pytest.approx(9.8)
    assert seconds_for_move(Limits(movetime=100), True, 0.2) == pytest.approx(0.09)


@given(
    clock=st.integers(-(10**6), 10**8),
    increment=st.integers(-100, 10**6),
    movestogo=st.none() | st.integers(-5, 100),
    overhead=st.floats(0, 10),
)
def test_no_move_takes_more_than_there_is(
    clock: int, increment: int, movestogo: int | None, overhead: float
) -> None:
    limits = Limits(wtime=clock, winc=increment, movestogo=movestogo)
    seconds = seconds_for_move(limits, True, overhead)
    assert seconds is not None
    left = max(clock, 0) / 1000
    assert 0.0 <= seconds <= max(left - overhead, 0.1 * left)


def test_endless_is_what_nothing_ends() -> None:
    assert Limits().is_endless(True)
    assert Limits(infinite=True, nodes=5).is_endless(True)
    assert Limits(ponder=True, wtime=5).is_endless(True)
    assert Limits(btime=5).is_endless(True)
    assert not Limits(btime=5).is_endless(False)
    for limits in (Limits(nodes=1), Limits(depth=1), Limits(mate=1), Limits(movetime=1)):
        assert not limits.is_endless(True)
