from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import chess
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_net import tiny_payload

from arena import cache
from arena.cache import CachedEvaluator
from arena.cli import main
from arena.config import SearchParams
from arena.evaluator import Evaluation, Evaluator, Leaves
from arena.game import GameRecord, GameTask, Opening
from arena.kernel import cache as kernel
from arena.lane import Throughput
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.stand_ins import HashEvaluator

POOL = 24
RANDOM = np.random.default_rng(1)
MASKS = RANDOM.integers(0, 2**64, (POOL, 112), np.uint64)
VALUES = RANDOM.random((POOL, 112), np.float32)
KEYS = RANDOM.integers(0, 2**64, (POOL, 2), np.uint64)
MOVES = RANDOM.integers(0, 1858, (POOL, 256), np.uint16)


def batch(boards: Sequence[int], moves: int | None = None) -> Leaves:
    """Boards of the pool, 1 to 40 moves each if no number is given."""
    rows = [MOVES[board, : moves or 1 + 7 * board % 40] for board in boards]
    return Leaves(
        masks=MASKS[boards],
        values=VALUES[boards],
        moves=np.concatenate(rows),
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        keys=KEYS[boards],
    )


class Recorder(HashEvaluator):
    """Notes which boards of the pool it was asked for, batch after batch."""

    def __init__(self) -> None:
        super().__init__(3)
        self.asked: list[list[int]] = []

    def evaluate(self, leaves: Leaves) -> Evaluation:
        numbers = {int(key): board for board, key in enumerate(KEYS[:, 0])}
        self.asked.append([numbers.get(int(key), -1) for key in leaves.keys[:, 0]])
        return super().evaluate(leaves)


def ask(cached: CachedEvaluator, net: Recorder, leaves: Leaves) -> list[int]:
    """Evaluate, compare bit for bit, and return the boards that the net was asked for."""
    before = len(net.asked)
    answers = cached.evaluate(leaves)
    asked = [board for one in net.asked[before:] for board in one]
    for ours, theirs in zip(answers, HashEvaluator(3).evaluate(leaves), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return asked


@given(
    positions=st.integers(1, 30),
    batches=st.lists(st.lists(st.integers(0, POOL - 1), min_size=1, max_size=8), max_size=12),
)
def test_the_last_answers_are_remembered(positions: int, batches: list[list[int]]) -> None:
    net = Recorder()
    cached = CachedEvaluator(net, positions)
    remembered: deque[int] = deque(maxlen=positions)
    for boards in batches:
        asked = ask(cached, net, batch(boards))
        assert asked == [board for board in boards if board not in remembered]
        remembered.extend(asked)
    assert all(net.asked)  # no empty batch reaches a net
    assert cached.lookups == sum(map(len, batches))
    assert cached.hits == cached.lookups - sum(map(len, net.asked))


def test_the_plain_source_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # Compiled code checks no bounds; the plain run raises where an index or a shape is wrong.
    for module, names in (
        (cache, ("look_up", "remember")),
        (kernel, ("_bucket", "_copy", "_find")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).py_func)
    test_the_last_answers_are_remembered()


def test_a_position_may_stand_in_a_batch_twice() -> None:
    net = Recorder()
    cached = CachedEvaluator(net, 10)
    assert ask(cached, net, batch([5, 2, 5])) == [5, 2, 5]
    assert ask(cached, net, batch([5, 5, 3])) == [3]


def test_many_moves_take_the_room_of_many_positions() -> None:
    net = Recorder()
    cached = CachedEvaluator(net, 20)  # 20 * 40 + 256 logits: five answers of 200 moves
    for board in range(POOL):
        assert ask(cached, net, batch([board], moves=200)) == [board]
    last = range(POOL - 5, POOL)
    assert ask(cached, net, batch(last, moves=200)) == []
    assert ask(cached, net, batch([POOL - 6], moves=200)) == [POOL - 6]
    assert ask(cached, net, batch(last, moves=200)) == [POOL - 5]


def test_a_hit_is_the_whole_key_and_the_number_of_moves() -> None:
    net = Recorder()
    cached = CachedEvaluator(net, 10)
    leaves = batch([7])
    written = HashEvaluator(3).evaluate(leaves)  # arrays of the right shapes
    assert ask(cached, net, leaves) == [7]
    for half in range(2):
        for bit in range(64):
            keys = leaves.keys.copy()
            keys[0, half] ^= np.uint64(1) << np.uint64(bit)
            unknown = np.zeros(1, np.bool_)
            count = kernel.look_up(cached._memory, keys, leaves.offsets, *written, unknown)
            assert (count, unknown[0]) == (1, True), (half, bit)
    assert ask(cached, net, batch([7], moves=1)) == [7]
    assert ask(cached, net, leaves) == []


def test_names_what_it_stands_for() -> None:
    net = HashEvaluator(4)
    cached = CachedEvaluator(net, 1)
    assert (cached.name, cached.has_moves_left) == ("hash-4", False)
    with pytest.raises(ValueError, match="room for a position, not 0"):
        CachedEvaluator(net, 0)


def test_the_default_size_fits_into_60_megabytes() -> None:
    lanes = [CachedEvaluator(HashEvaluator(), 200_000 // 2) for _ in range(2)]
    assert sum(lane.nbytes for lane in lanes) < 60e6


# In a search

FIRST_MOVES = ("e2e4", "d2d4", "e2e4", "d2d4", "g1f3", "g1f3")
"""A pair each. With one lane or two, a lane plays the same pair again, to the same end."""

Games = dict[tuple[int, bool], GameRecord]


def games(
    players: Sequence[Player], cache_positions: int, parallel: int = 1, lanes: int = 1
) -> tuple[Games, Throughput]:
    """Every pair's two games, and what it took to play them."""
    shares = [
        [
            GameTask(pair, first, Opening(chess.STARTING_FEN, (move,)), 1 - first, int(first))
            for pair, move in enumerate(FIRST_MOVES)
            if pair % lanes == lane
            for first in (True, False)
        ]
        for lane in range(lanes)
    ]
    search = BatchedSearch(players, parallel, lanes, cache_positions)
    finished = search.play([iter(share) for share in shares])
    records = {(task.pair, task.candidate_white): record for task, record in finished}
    return records, search.throughput


def players(*nets: Evaluator) -> list[Player]:
    return [Player(net.name, net, SearchParams(visits=10)) for net in nets]


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_cache_changes_no_game(lanes: int) -> None:
    plain, without = games(players(HashEvaluator(1), HashEvaluator(2)), 0, 4, lanes)
    assert len(plain) == 2 * len(FIRST_MOVES)
    assert without.cache_hits == 0
    for positions in (20, 20_000):
        cached, done = games(players(HashEvaluator(1), HashEvaluator(2)), positions, 4, lanes)
        assert cached == plain
        assert done.visits == without.visits
        assert done.evaluations + done.cache_hits == without.evaluations
        assert done.largest_batch <= without.largest_batch <= 4 // lanes
    assert done.cache_hits > 0.2 * without.evaluations


def test_the_lanes_share_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def sized(net: Evaluator, positions: int) -> CachedEvaluator:
        sizes.append(positions)
        return CachedEvaluator(net, positions)

    monkeypatch.setattr("arena.lane.CachedEvaluator", sized)
    games(players(HashEvaluator(1), HashEvaluator(2)), 2001, 4, lanes=2)
    assert sizes == [1000] * 4  # two lanes, each with two nets


def test_players_with_one_net_share_its_answers() -> None:
    net = HashEvaluator(1)
    together, shared = games(players(net, net), 20_000)
    apart, separate = games(players(HashEvaluator(1), HashEvaluator(1)), 20_000)
    assert together == apart
    assert shared.cache_hits > separate.cache_hits


@pytest.mark.parametrize(("positions", "saves"), [(1000, True), (0, False)])
def test_a_match_reports_what_its_cache_saved(tmp_path: Path, positions: int, saves: bool) -> None:
    nets = [tmp_path / "raw.pb", tmp_path / "swa.pb"]
    for seed, net in enumerate(nets):
        net.write_bytes(tiny_payload(seed=seed))
    # One move is legal: white's search of it holds what the other net is asked with black. The
    # 50-move rule ends the games after six plies.
    book = tmp_path / "rook.fen"
    book.write_text("1r6/8/3k4/8/8/8/8/K7 w - - 94 100\n")
    files = ["--nets", *map(str, nets), "--openings", str(book), "--out", str(tmp_path / "run")]
    how = f"--pairs 1 --no-sprt --device cpu --nncache {positions} -q"
    assert main(["run", *files, *how.split()]) == 0
    figures = json.loads((tmp_path / "run/summary.json").read_text())["throughput"]
    assert (figures["cache_hit_share"] is not None) == saves
