"""Games a minute of the one-node gates, on all cores: ``pytest benchmarks/bench_one_node.py``.

Policy-only is a visit a move, value-only the best value one ply ahead. ``extra_info`` has games a
minute and games a CPU minute (of all threads), replayed by the referee as in a match, at 64 games
in flight; of the book's openings, colours swapped. The nets are those that ship, and where
``ARENA_SHARED`` names a folder with nets, two small public ones.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from arena.bench.games import book_openings
from arena.config import SearchParams
from arena.evaluator import choose_evaluator, make_evaluator
from arena.game import GameTask
from arena.referee import check_game
from arena.search import BatchedSearch
from arena.search_settings import Player
from swa.net import load_net

PAIRS = 200
PARALLEL = 64
CACHE_POSITIONS = 200_000

SHIPPED = Path(__file__).parent.parent / "nets"
SHARED = Path(os.environ.get("ARENA_SHARED", "nowhere")) / "nets"

MATCHES = {
    "2x32": (SHIPPED / "fledgling-22400.pb.gz", SHIPPED / "fledgling-24000.pb.gz"),
    "2x16": (SHARED / "tinygyal-8.pb.gz",) * 2,
    "2x16-4x32": (SHARED / "tinygyal-8.pb.gz", SHARED / "meangirl-8.pb.gz"),
}
"""Baseline and candidate, by blocks x filters. The net that meets itself plays every game twice."""

MODES = {"policy": SearchParams(visits=1), "value": SearchParams(mode="value")}


def play(players: list[Player], pairs: int) -> int:
    """Play pairs of games as a match does; returns how many positions were evaluated."""
    openings = book_openings(pairs)
    tasks = [
        GameTask(pair, first, opening, int(first), int(not first))
        for pair, opening in enumerate(openings)
        for first in (True, False)
    ]
    search = BatchedSearch(players, PARALLEL, cache_positions=CACHE_POSITIONS)
    lanes = [iter(tasks[lane :: search.lanes]) for lane in range(search.lanes)]
    for game in search.play(lanes):
        check_game(game.task.opening, game.record)
    return search.throughput.evaluations


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("match", MATCHES)
def test_games_a_minute(benchmark: BenchmarkFixture, mode: str, match: str) -> None:
    if not all(path.exists() for path in MATCHES[match]):
        pytest.skip("ARENA_SHARED names no folder with its nets")
    nets = [load_net(path) for path in MATCHES[match]]
    evaluators = [make_evaluator(net, choose_evaluator(net.spec, device="cpu")) for net in nets]
    players = [Player(one.name, one, MODES[mode]) for one in evaluators]
    play(players, 2)  # compiles
    cpu = time.process_time()
    evaluations = benchmark.pedantic(play, (players, PAIRS), rounds=1)
    cpu = time.process_time() - cpu
    games = 2 * PAIRS
    benchmark.extra_info["games_a_minute"] = round(60 * games / benchmark.stats.stats.min)
    benchmark.extra_info["games_a_cpu_minute"] = round(60 * games / cpu)
    benchmark.extra_info["evaluations_a_game"] = round(evaluations / games)
