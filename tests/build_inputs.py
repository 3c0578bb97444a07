"""What a build needs, in small: snapshots of a run and games of records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from record_bytes import legal_probabilities
from tiny_net import TINY, calm_weights

from swa.chunks import read_records, write_chunk
from swa.net import new_net, save_net
from swa.records import V6, planes_of
from swa.refresh import refresh

GAMES, PLIES = 12, 24


def write_games(folder: Path, games: int = GAMES, seed: int = 0) -> None:
    """Random positions, four legal moves each, a game in each file."""
    random = np.random.default_rng(seed)
    for game in range(games):
        records = np.zeros(PLIES, V6)
        records["version"], records["input_format"] = 6, 1
        records["probabilities"] = legal_probabilities()
        bits = random.random((PLIES, 104, 64)) < 0.06
        records["planes"] = np.packbits(bits, axis=-1).view(np.uint64)[..., 0]
        records["rule50"] = random.integers(0, 50, PLIES)
        records["result_q"] = random.integers(-1, 2)
        records["result_d"] = records["result_q"] == 0
        write_chunk(folder / f"game-{game}.gz", records)


def write_run(folder: Path, data: Path, count: int = 3, noise: float = 0.05) -> list[Path]:
    """Snapshots that stray a little from one net, with statistics of the data."""
    chunks = [chunk.records for chunk in read_records(data)]
    planes = planes_of(np.concatenate(chunks))
    random, files = np.random.default_rng(1), []
    for number in range(1, count + 1):
        weights = calm_weights(TINY)
        for name, values in weights.items():
            shift = noise * np.abs(values).mean() * random.normal(size=values.shape)
            weights[name] = (values + shift).astype(np.float32)
        weights = refresh(TINY, weights, planes).weights
        net = replace(new_net(TINY, weights), training_steps=1000 * number)
        files.append(folder / f"run-{number}.pb")
        save_net(net, files[-1], encoding="float32", licence="a licence")
    return files


def write_training_run(folder: Path, count: int) -> Path:
    """Make ``run`` with so many snapshots of a run, and ``games``; returns the folder."""
    (folder / "games").mkdir()
    (folder / "run").mkdir()
    write_games(folder / "games")
    write_run(folder / "run", folder / "games", count=count)
    return folder
