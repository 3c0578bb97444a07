"""A training run's positions from its files: batches, held-out ones, those for batch norms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from swa.batches import Batch
from swa.chunks import ReadCounts
from swa.dataset import START, Place, TrainingGames, TrainingStream
from swa.records import Damage
from swa.refresh import Planes
from swa.spec import InputFormat
from swa.train_config import TrainConfig


class FileData:
    """The data of a configuration; see ``swa.training.RunData``.

    Raises RecordError where there is none, at once or when it is asked for.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self.input_format = InputFormat.CLASSICAL_112_PLANE
        self._all = TrainingGames.find(config.data.input, config.data.held_out)
        self._validation: list[Batch] | None = None
        self._counts = [ReadCounts()]  # of what is held out, and of the streams

    @property
    def _games(self) -> TrainingGames:
        return replace(self._all, input_format=self.input_format)

    @property
    def digest(self) -> str:
        """Of the files, by names and sizes, and of what is held out of them."""
        return self._games.digest

    def stream(self, place: tuple[int, ...] | None) -> TrainingStream:
        """The batches from a place on, or from the beginning."""
        stream = TrainingStream(
            self._games,
            batch=self._config.training.batch_size,
            buffer=self._config.data.shuffle_size,
            sampling=self._config.data.sampling,
            seed=self._config.seed,
            place=Place(*place) if place else START,
        )
        self._counts.append(stream.counts)
        return stream

    def validation(self) -> Sequence[Batch]:
        """Held-out positions, the same each time, for every seed too; read once."""
        if self._validation is None:
            positions = self._config.data.validation_positions
            self._validation = self._games.validation(positions, self._counts[0])
        return self._validation

    @property
    def damage(self) -> str | None:
        """What was left out of the files that were read so far, by an example; None: nothing."""
        for counts in self._counts:
            for damage, example in dict(counts.examples).items():
                if damage is not Damage.NOT_RECORDS:  # a licence, a list of the files
                    text = f"training data that is damaged is left out, as {example}"
                    return text.splitlines()[0]
        if any(counts.truncated for counts in self._counts):
            return "training data has files that are cut off: they are read as far as they go"
        return None

    def refresh_planes(self, count: int) -> Planes:
        """So many positions that are trained on, the same each time."""
        return self._games.refresh_planes(count, self._config.data.sampling)
