"""The 1858 moves: well-known places, and that the tables are each other's inverse."""

from __future__ import annotations

import numpy as np
import pytest

from swa import policy_map
from swa.policy_map import FROM, INDEX, MOVES, NO_PROMOTION, PROMOTION, PROMOTION_INDEX, TO


@pytest.mark.parametrize(
    ("move", "index"),
    [
        ("a1b1", 0),
        ("e1h1", 103),
        ("d2d4", 293),
        ("e2e4", 322),
        ("h8g8", 1791),
        ("a7a8q", 1792),
        ("a7a8r", 1793),
        ("a7a8b", 1794),
        ("a7b8q", 1795),
        ("h7h8b", 1857),
    ],
)
def test_known_places(move: str, index: int) -> None:
    assert MOVES.index(move) == index


def test_every_move_once() -> None:
    assert len(MOVES) == len(set(MOVES)) == policy_map.MOVE_COUNT == 1858
    assert sum(len(move) == 5 for move in MOVES) == 66
    assert policy_map.FIRST_PROMOTION == 1792


def test_tables_lead_back_to_the_index() -> None:
    for index, (origin, target, piece) in enumerate(zip(FROM, TO, PROMOTION, strict=True)):
        if piece == NO_PROMOTION:
            assert INDEX[origin, target] == index
        else:
            assert PROMOTION_INDEX[origin % 8, target % 8, piece] == index
    assert (INDEX >= 0).sum() == 1792
    assert (PROMOTION_INDEX >= 0).sum() == 66


def test_every_tables_squares_match_the_name() -> None:
    def name(square: int) -> str:
        return "abcdefgh"[square % 8] + str(square // 8 + 1)

    for move, origin, target in zip(MOVES, FROM.tolist(), TO.tolist(), strict=True):
        assert move[:4] == name(origin) + name(target)


@pytest.mark.parametrize(
    ("move", "plane"),
    [
        ("e2e3", 0),  # north, one step
        ("e2e4", 1),
        ("a1h8", 13),  # north-east, seven steps
        ("e1h1", 16),  # east, three steps
        ("h8g8", 42),  # west, one step
        ("g1h3", 56),  # knight, north of north-east
        ("g1f3", 63),  # knight, north of north-west
        ("b7a8r", 64),
        ("b7a8q", 66),
        ("a7a8r", 67),
        ("a7a8b", 68),
        ("a7a8q", 69),
        ("a7b8q", 72),
    ],
)
def test_plane_of_the_convolution_head(move: str, plane: int) -> None:
    index = MOVES.index(move)
    assert policy_map.CONV_POLICY[index] == plane * 64 + int(FROM[index])


def test_convolution_places_are_distinct_and_leave_seven_planes_unused() -> None:
    assert len(np.unique(policy_map.CONV_POLICY)) == 1858
    assert policy_map.CONV_POLICY.max() // 64 == 72 == policy_map.CONV_POLICY_PLANES - 8


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        INDEX[0, 0] = 1
