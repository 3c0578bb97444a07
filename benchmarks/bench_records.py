"""Positions a second from files of training records into arrays: ``pytest benchmarks``.

``extra_info["positions_a_second"]`` is the figure to compare: on one core, from gzipped files (in
the system's cache) to planes, policy, legal moves and the game's outcome. Real games are read where
the shared folder is; the random ones beside them are there for a machine without it, and unpack
more slowly than real ones do, as their planes cannot be compressed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swa.chunks import read_records, write_chunk
from swa.records import V6, Records, planes_of, targets_of

GAMES = 64
PLIES = 120
SHARED = Path(os.environ.get("ARENA_SHARED") or "../shared") / "chunks"


def random_game(dice: np.random.Generator) -> Records:
    """A game of noise with some 30 legal moves a position."""
    records = np.zeros(PLIES, V6)
    records["version"], records["input_format"] = 6, 1
    records["planes"] = dice.integers(0, 2**63, records["planes"].shape)
    records["probabilities"] = -1
    for record in records:
        moves = dice.choice(1858, 30, replace=False)
        record["probabilities"][moves] = dice.dirichlet(np.ones(30))
    return records


@pytest.fixture(scope="module")
def random_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, dice = tmp_path_factory.mktemp("games"), np.random.default_rng(1)
    for number in range(GAMES):
        write_chunk(folder / f"game_{number:06}.gz", random_game(dice))
    return folder


def read_all(folder: Path) -> int:
    """Make tensors of all positions in a folder; how many there were."""
    positions = 0
    for chunk in read_records(folder):
        masks, _ = planes_of(chunk.records)
        targets_of(chunk.records)
        positions += len(masks)
    return positions


def measure(benchmark: BenchmarkFixture, work: Callable[[], int]) -> None:
    """Time work on so many positions as it returns; the processor's time is told beside."""
    positions = work()
    began = time.process_time()
    benchmark.pedantic(work, rounds=10)
    cpu = (time.process_time() - began) / 10
    benchmark.extra_info["positions"] = positions
    benchmark.extra_info["positions_a_second"] = round(positions / benchmark.stats.stats.min)
    benchmark.extra_info["positions_a_cpu_second"] = round(positions / cpu)


@pytest.mark.parametrize("folder", ["v4", "v6", "v7"])
def test_read_real_games(benchmark: BenchmarkFixture, folder: str) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip("needs the shared data: set ARENA_SHARED or put it at ../shared")
    measure(benchmark, lambda: read_all(SHARED / folder))


def test_read_random_games(benchmark: BenchmarkFixture, random_games: Path) -> None:
    measure(benchmark, lambda: read_all(random_games))


def test_write_random_games(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    game = random_game(np.random.default_rng(1))

    def write() -> int:
        write_chunk(tmp_path / "game.gz", game)
        return PLIES

    measure(benchmark, write)
