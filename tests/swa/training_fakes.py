"""A run's data without files: random positions whose value can be learnt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from swa.batches import Batch
from swa.train_config import (
    AverageSettings,
    DataSettings,
    NetSettings,
    RateSettings,
    SnapshotSettings,
    TrainConfig,
    TrainingSettings,
    ValidationSettings,
)

LEGAL = 6

Change = Callable[[int, Batch], Batch]
"""What is done to a batch by its number, from 1, before it is given out."""


def positions(count: int, seed: int) -> Batch:
    """Positions whose first plane, empty or full, says who wins."""
    dice = np.random.default_rng(seed)
    masks = dice.integers(0, 2**63, (count, 112), np.uint64)
    won = dice.integers(0, 2, count)
    masks[:, 0] = np.where(won == 1, 2**64 - 1, 0).astype(np.uint64)
    moves = np.concatenate([np.sort(dice.choice(1858, LEGAL, False)) for _ in range(count)])
    policy = np.zeros((count, LEGAL))
    policy[np.arange(count), won] = 0.75
    policy[:, 2] = 0.25
    result = np.eye(3)[np.where(won == 1, 0, 2)]
    searched = np.where(dice.random(count)[:, None] < 0.5, np.nan, result * 0.5 + 1 / 6)
    return Batch(
        masks=masks,
        values=np.ones((count, 112), np.float32),
        moves=moves.astype(np.uint16),
        offsets=np.arange(count + 1) * LEGAL,
        policy=policy.ravel(),
        result=result,
        searched=searched,
        plies_left=np.where(dice.random(count) < 0.2, np.nan, dice.integers(1, 80, count)),
        games=np.arange(count) // 4,
    )


class FakeStream:
    """Batches made by their number."""

    def __init__(self, batch: int, number: int, change: Change) -> None:
        self.batch, self.number, self.change = batch, number, change

    @property
    def place(self) -> tuple[int, ...]:
        return (0, 0, self.number)

    def __next__(self) -> Batch:
        self.number += 1
        return self.change(self.number, positions(self.batch, self.number))

    def close(self) -> None:
        pass


class FakeData:
    """What a run asks of its data."""

    damage: str | None = None

    def __init__(self, batch: int = 16, digest: str = "fake", change: Change | None = None) -> None:
        self.batch, self.digest = batch, digest
        self.change = change or (lambda _, same: same)

    def stream(self, place: tuple[int, ...] | None) -> FakeStream:
        return FakeStream(self.batch, place[-1] if place else 0, self.change)

    def validation(self) -> list[Batch]:
        return [positions(64, 10**6)]

    def refresh_planes(self, count: int):
        found = positions(count, 10**6 + 1)
        return found.masks, found.values


class FakeLog:
    """Lines in memory."""

    def __init__(self, step: int = 0) -> None:
        self.began, self.lines, self.closed = step, [], False

    def write(self, step, scalars) -> None:
        self.lines.append((step, dict(scalars)))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


NET = NetSettings(
    blocks=1,
    filters=8,
    se=2,
    value_channels=2,
    value_hidden=4,
    moves_left_channels=2,
    moves_left_hidden=4,
)


def tiny_config(output, **settings) -> TrainConfig:
    """A run of a tiny net: 12 steps, two averages, one of them refreshed, snapshots every 4."""
    values = {
        "output": output,
        "data": DataSettings((output,)),
        "training": TrainingSettings(16, 12, q_ratio=0.5),
        "learning_rate": RateSettings(0.05),
        "net": NET,
        "averages": (
            AverageSettings(every=2, refresh_positions=40),
            AverageSettings("ema", "ema", start=3, every=3, decay=0.5),
        ),
        "snapshots": SnapshotSettings(4, keep=2),
        "validation": ValidationSettings(6),
        "name": "tiny",
        "threads": 1,
        "log_every": 5,
        "device": "cpu",
        **settings,
    }
    return TrainConfig(**values)
