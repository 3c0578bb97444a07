"""The positions of a training run, from files of training records, all of them in memory.

Games are held out by ``swa.build_data.game_hash``, so that ``swa build`` with the same share holds
out the same ones. Each epoch takes a share of the positions and shuffles them anew, by a generator
seeded by (seed, epoch).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from swa.batches import Batch, BatchCounts, batches_of
from swa.build_data import HASHES, game_hash
from swa.chunks import Chunk, ReadCounts, read_records
from swa.refresh import Planes
from swa.settings import SettingsError
from swa.train_config import TrainConfig


class FileData:
    """What a run asks of its data. Raises SettingsError where there is none of either kind."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        names = hashlib.sha256()
        below = int(config.data.held_out * HASHES)

        def chunks(held_out: bool) -> Iterator[Chunk]:
            for chunk in read_records(config.data.input):
                if (game_hash(chunk) < below) == held_out:
                    names.update(f"{chunk.path.name}\n{chunk.member}\n".encode())
                    yield chunk

        trained = _read(chunks(False), None)
        self._held_out = _read(chunks(True), config.data.validation_positions)
        self.digest = names.hexdigest()
        if not trained or not self._held_out:
            raise SettingsError("data.input: too few games\nGive more, or another held-out.")
        self._train = _joined(trained)

    def stream(self, place: tuple[int, ...] | None) -> EpochStream:
        """The batches from a place on."""
        epoch, _, batch = place or (0, 0, 0)
        return EpochStream(self._train, self._config, epoch, batch)

    def validation(self) -> Sequence[Batch]:
        """The first held-out positions."""
        return self._held_out

    def refresh_planes(self, count: int) -> Planes:
        """Positions that are trained on, drawn once."""
        dice = np.random.default_rng((self._config.seed, 2**32))
        chosen = dice.permutation(len(self._train.games))[:count]
        return self._train.masks[chosen], self._train.values[chosen]


def _read(chunks: Iterator[Chunk], limit: int | None) -> list[Batch]:
    return list(batches_of(chunks, limit, 1, ReadCounts(), BatchCounts()))


def _joined(batches: Sequence[Batch]) -> Batch:
    columns = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in Batch._fields
        if name != "offsets"
    }
    lengths = np.concatenate([np.diff(batch.offsets) for batch in batches])
    return Batch(offsets=np.concatenate([[0], np.cumsum(lengths)]), **columns)


class EpochStream:
    """Endless batches of positions in memory."""

    def __init__(self, positions: Batch, config: TrainConfig, epoch: int, batch: int) -> None:
        self._positions, self._config, self._epoch, self._batch = positions, config, epoch, batch

    @property
    def place(self) -> tuple[int, ...]:
        """Epoch, 0, and batches of it that were given out."""
        return self._epoch, 0, self._batch

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        dice = np.random.default_rng((self._config.seed, self._epoch))
        count, share = len(self._positions.games), self._config.data.sampling
        return dice.permutation(count)[: max(self._config.training.batch_size, int(count * share))]

    def __next__(self) -> Batch:
        size = self._config.training.batch_size
        if (self._batch + 1) * size > len(self._order):
            self._epoch, self._batch = self._epoch + 1, 0
            del self._order
        chosen = self._order[self._batch * size :][:size]
        self._batch += 1
        return _taken(self._positions, chosen)

    def close(self) -> None:
        """Nothing is open."""


def _taken(positions: Batch, chosen: NDArray[np.int64]) -> Batch:
    lengths = np.diff(positions.offsets)[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    moves = np.repeat(positions.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
    columns = {
        name: getattr(positions, name)[moves if name in ("moves", "policy") else chosen]
        for name in Batch._fields
        if name != "offsets"
    }
    return Batch(offsets=offsets, **columns)
