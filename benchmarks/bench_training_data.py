"""What the stream of batches delivers against what training takes, 2x32 by default.

``python benchmarks/bench_training_data.py``: positions a second of one core's time from gzipped
games (in the system's cache) to batches, where all is read anew each epoch and where it fits into
memory; beside them what the training step of ``bench_training.py`` takes in a second of all cores,
and the ratio of the two. Both are by the process's own time, so that what else the machine does
hardly matters. The step is made with one thread and its pace multiplied by the cores: more than
several threads reach. ``fed`` is the step's pace by the clock with the stream reading beside it, as
``swa train`` runs, to its pace on one batch in memory; it wants a machine that does nothing else.

Real games are read where the shared folder is, several copies of them, else random ones, which
unpack more slowly.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from bench_records import GAMES, SHARED, random_game
from bench_training import learner_loop, random_batch

from swa.beginning import fresh_weights, make_spec
from swa.chunks import pack_chunk, read_records
from swa.cores import usable_cores
from swa.dataset import TrainingGames, TrainingStream
from swa.learner import Learner, repeatable
from swa.model import tower
from swa.train_config import NetSettings, TrainingSettings

LEAST = 3.0
COPIES = 4
SAMPLINGS = (1.0, 1 / 8)
WINDOW = 4096
"""Positions; less than there are, so that all is read anew."""
IN_MEMORY = 10**6


def write_games(folder: Path) -> None:
    """Some 30,000 positions, a V6 file a game."""
    if SHARED.is_dir():
        games = [chunk.records for kind in ("v6", "v7") for chunk in read_records(SHARED / kind)]
    else:
        dice = np.random.default_rng(1)
        games = [random_game(dice) for _ in range(GAMES)]
    for number, records in enumerate(games):
        packed = pack_chunk(records)
        for copy in range(COPIES):
            (folder / f"game-{number:04}-{copy}.gz").write_bytes(packed)


def stream_of(folder: Path, batch: int, buffer: int, sampling: float) -> TrainingStream:
    games = TrainingGames.find([folder], 0.05)
    return TrainingStream(games, batch=batch, buffer=buffer, sampling=sampling, seed=1)


def delivered(folder: Path, batch: int, buffer: int, sampling: float, seconds: float) -> float:
    """Positions a second of this process's time, the first epoch left out."""
    with closing(stream_of(folder, batch, buffer, sampling)) as stream:
        while not stream.place.epoch:
            next(stream)
        began, count = time.process_time(), 0
        while time.process_time() - began < seconds:
            next(stream)
            count += batch
        return count / (time.process_time() - began)


def pace(step: Callable[[], None], batch: int, steps: int, clock: Callable[[], float]) -> float:
    """Positions a second of training steps, by the median of their times."""
    seconds = []
    for _ in range(steps + 3):
        began = clock()
        step()
        seconds.append(clock() - began)
    return batch / float(np.median(seconds[3:]))


def fed_pace(
    folder: Path, settings: NetSettings, training: TrainingSettings, sampling: float
) -> float:
    """Positions a second of training steps on a stream's batches."""
    spec = make_spec(settings)
    learner = Learner(tower(spec, fresh_weights(spec, 0)), training)
    with closing(stream_of(folder, training.batch_size, WINDOW, sampling)) as stream:
        return pace(
            lambda: learner.step(next(stream), 0.02),
            training.batch_size,
            training.total_steps,
            time.perf_counter,
        )


def main() -> int:
    """Measure and say; exit code 1 where not three times as much is delivered, all being taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--cores", type=int, default=usable_cores())
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement of data")
    given = parser.parse_args()
    settings = NetSettings(blocks=given.blocks, filters=given.filters, se=8, value="wdl")
    training = TrainingSettings(given.batch, given.steps)
    with tempfile.TemporaryDirectory() as name, repeatable(threads=1):
        folder = Path(name)
        write_games(folder)
        step = learner_loop(settings, training, random_batch(given.batch))
        taken = given.cores * pace(step, given.batch, given.steps, time.process_time)
        found = {
            (sampling, where): delivered(folder, given.batch, buffer, sampling, given.seconds)
            for sampling in SAMPLINGS
            for where, buffer in (("read anew", WINDOW), ("in memory", IN_MEMORY))
        }
        alone = pace(step, given.batch, given.steps, time.perf_counter)
        fed = [fed_pace(folder, settings, training, sampling) / alone for sampling in SAMPLINGS]
    delivery = [
        {
            "sampling": sampling,
            "where": where,
            "positions_a_second": round(rate),
            "ratio": round(rate / taken, 2),
        }
        for (sampling, where), rate in found.items()
    ]
    result = {
        "net": f"{given.blocks}x{given.filters}",
        "batch": given.batch,
        "cores": given.cores,
        "training_positions_a_second": round(taken),
        "delivered": delivery,
        "fed": dict(zip(SAMPLINGS, (round(one, 2) for one in fed), strict=True)),
    }
    print(json.dumps(result, indent=2))
    return int(found[1.0, "read anew"] / taken < LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
