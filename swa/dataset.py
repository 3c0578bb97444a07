"""Training batches from files of records: shuffled, endless, the same each time from any place on.

An epoch goes through all files in an order of its own, and takes of each game's positions a share
that is drawn anew. What it takes comes in *windows* of ``buffer`` positions: a window is read,
shuffled as a whole and cut into batches, while a thread reads the next. So two windows are in
memory, and data of any size can be trained on; what fits into one is read once and stays.

Which batch comes depends on the files, the seed and the *place* alone; a place says where the
window began and how many batches of it are done. To go on from a place is to read one window again.
What is left of a window, less than a batch, is left out.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from swa.batches import Batch, BatchCounts, batches_of, read_games, usable
from swa.build_data import HASHES, game_hash
from swa.chunks import Chunk, ReadCounts, list_files
from swa.records import Damage, RecordError
from swa.spec import InputFormat
from swa.windows import Game, Gathering, Positions, TrainingBatch

_ORDER, _SAMPLE, _SHUFFLE, _VALIDATION, _REFRESH = range(5)
"""What random numbers are for: each has a stream of its own."""


class Place(NamedTuple):
    """Where a stream stands."""

    epoch: int = 0
    file: int = 0  # of the epoch's order, in which the window begins
    game: int = 0  # of that file, with which it begins
    batches: int = 0  # of the window that are done


START = Place()


@dataclass(frozen=True, slots=True, eq=False)
class TrainingGames:
    """Files of records, and which of their games are trained on: all but those held out.

    A game is held out by its positions (``swa.build_data.game_hash``), wherever it lies.
    """

    files: tuple[Path, ...]
    sizes: tuple[int, ...]  # bytes
    held_out_below: int  # games with a hash below it are held out
    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE  # files of others are left out

    @classmethod
    def find(cls, data: Sequence[Path], held_out: float) -> Self:
        """List the files; their games are not read. Raises RecordError where there are none."""
        files = list_files(data)
        if not files:
            where = ", ".join(map(str, data))
            raise RecordError(Damage.NOT_RECORDS, "an empty folder", _GIVE_RECORDS, where)
        sizes = tuple(_size(file) for file in files)
        return cls(tuple(files), sizes, int(held_out * HASHES))

    @property
    def digest(self) -> str:
        """The sha256 of all names and sizes, in order, and of what is held out."""
        digest = hashlib.sha256(f"{self.held_out_below}\n".encode())
        for file, size in zip(self.files, self.sizes, strict=True):
            digest.update(f"{size} {file.name}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def order(self, *seed: int) -> list[int]:
        """The files in an order of their own for each ``seed``."""
        return [int(file) for file in np.random.default_rng(seed).permutation(len(self.files))]

    def games_of(self, file: int, counts: ReadCounts) -> Iterator[Chunk]:
        """All games of a file; what is left out of it is told to ``counts``.

        Raises RecordError where it cannot be read, or has another size than when it was listed.
        """
        path = self.files[file]
        if _size(path) != self.sizes[file]:
            reason = "changed while it was trained on"
            raise RecordError(Damage.UNREADABLE, reason, "Leave the data as it is.", str(path))
        before = counts.skipped[Damage.UNREADABLE]
        yield from read_games(path, counts, self.input_format)
        # Going on without it would give other batches than the next time, when it can be read.
        if counts.skipped[Damage.UNREADABLE] > before:
            raise counts.examples[Damage.UNREADABLE]

    def is_held_out(self, chunk: Chunk) -> bool:
        """Whether a game is not to be trained on."""
        return game_hash(chunk.records) < self.held_out_below

    def validation(self, positions: int, counts: ReadCounts | None = None) -> list[Batch]:
        """Positions of games held out, so many or all there are; the same whatever the seed.

        ``counts`` is told what became of the files. Raises RecordError where there are none.
        """
        counts = counts or ReadCounts()
        games = self._fixed(_VALIDATION, counts, held_out=True)
        found = list(batches_of(games, positions, 1, BatchCounts()))
        if not found:
            raise self.nothing(counts, "no game is held out")
        return found

    def refresh_planes(
        self, positions: int, share: float
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Masks and values [n, 112] of positions that are trained on, for batch norms; fixed ones.

        Of each game a ``share`` is taken, as when it is trained on: positions of a game are alike.
        It is doubled until there are so many ``positions``, or all there are.
        """
        while True:
            counts = ReadCounts()
            games = self._fixed(_REFRESH, counts, held_out=False)
            taken = _sampled(games, share, np.random.default_rng((_REFRESH, positions)))
            found = list(batches_of(taken, positions, 1, BatchCounts()))
            if share >= 1 or sum(len(batch.masks) for batch in found) == positions:
                break
            share = min(1, 2 * share)
        if not found:
            raise self.nothing(counts, "no position is trained on")
        return (
            np.concatenate([batch.masks for batch in found]),
            np.concatenate([batch.values for batch in found]),
        )

    def _fixed(self, purpose: int, counts: ReadCounts, *, held_out: bool) -> Iterator[Chunk]:
        for file in self.order(purpose):
            for chunk in self.games_of(file, counts):
                if self.is_held_out(chunk) == held_out:
                    yield chunk

    def nothing(self, counts: ReadCounts, what: str) -> RecordError:
        """What to say where there are no positions of a kind after all files were read."""
        if not counts.records:
            example = next(iter(counts.examples.values()), None)
            reason = f"no training records in {len(self.files):,} files"
            remedy = f"The first: {example}" if example else _GIVE_RECORDS
            return RecordError(Damage.NOT_RECORDS, reason, remedy.splitlines()[0])
        few = f"{what}: there are only {counts.files:,} files of records"
        return RecordError(Damage.NOT_RECORDS, few, "Give more games, or change held-out.")


_GIVE_RECORDS = "Give folders of training records: .gz files, or tars of them."


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise RecordError(Damage.UNREADABLE, reason, "Check the path.", str(path)) from error


def _sampled(games: Iterator[Chunk], share: float, random: np.random.Generator) -> Iterator[Chunk]:
    for chunk in games:
        records = usable(chunk.records)
        taken = records[random.random(len(records)) < share]
        if len(taken):
            yield replace(chunk, records=taken)


class _Taken(NamedTuple):
    """Positions of a game, and where in its epoch it stands."""

    place: Place
    game: Game
    chunk: Chunk


class _Window(NamedTuple):
    """What is shuffled together, and where the next window begins."""

    positions: Positions
    rows: NDArray[np.int64]  # of ``positions``, those that are taken
    begin: Place
    following: Place

    @property
    def is_epoch(self) -> bool:
        """Whether all of an epoch is in it."""
        whole = not self.begin.file and not self.begin.game
        return whole and self.following.epoch > self.begin.epoch


class TrainingStream:
    """The batches of ``games`` from ``place`` on, without end.

    ``batch`` positions each, of windows of ``buffer`` and at most a game more; ``sampling`` is the
    share of a game's positions that an epoch takes. Where there are no more than ``buffer``
    positions in all, the files are read once, and the batches are the same.

    Raises RecordError, when a batch is asked for, where an epoch has no batch, or where a file is
    not what it was; so it does when it is asked again.
    """

    def __init__(
        self,
        games: TrainingGames,
        *,
        batch: int,
        buffer: int,
        sampling: float,
        seed: int,
        place: Place = START,
    ) -> None:
        if batch < 1 or buffer < 1 or not 0 < sampling <= 1:
            raise ValueError("batch and buffer are at least 1, sampling is in (0, 1]")
        self._batch, self._seed, self._place = batch, seed, Place(*place)
        self._reader = _Reader(games, max(buffer, batch), sampling, seed)
        self._thread = ThreadPoolExecutor(1, "training-data")
        self._window: _Window | None = None
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._barren = 0  # epochs in a row without a batch
        self._coming = self._read(self._place)

    @property
    def place(self) -> Place:
        """Where the stream stands after the batch it returned last."""
        return self._place

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TrainingBatch:
        """The next batch. Raises ValueError once the stream is closed."""
        if self._reader.stop.is_set():
            raise ValueError("the stream is closed")
        while (first := self._place.batches * self._batch) + self._batch > len(self._order):
            self._turn_over()
        self._place = self._place._replace(batches=self._place.batches + 1)
        assert self._window is not None
        return self._window.positions.take(self._order[first : first + self._batch])

    @property
    def counts(self) -> ReadCounts:
        """What became of the files so far; another thread goes on counting."""
        return self._reader.counts

    def close(self) -> None:
        """Stop reading ahead, and wait for that."""
        self._reader.stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _turn_over(self) -> None:
        """Take up the window that was read meanwhile, and begin with the one after it."""
        window = self._coming.result()
        self._check(window)
        if self._window is not None:
            self._place = window.begin
        self._window = window
        shuffle = np.random.default_rng((self._seed, _SHUFFLE, *window.begin[:3]))
        self._order = window.rows[shuffle.permutation(len(window.rows))]
        self._coming = self._read(window.following)

    def _check(self, window: _Window) -> None:
        """Refuse to go round without end where epochs have no batch.

        By chance an epoch of few positions may have none where a share of them is taken.
        """
        found, reader = len(window.rows), self._reader
        if not window.is_epoch or found >= self._batch:
            self._barren = 0
            return
        self._barren += 1
        if reader.sampling < 1 and reader.counts.records and self._barren < _PATIENCE:
            return
        if not found:
            raise reader.games.nothing(reader.counts, "no position is trained on")
        counts = f"{found:,} positions in an epoch, less than a batch"
        remedy = "Give more games, a larger sampling, or a smaller batch-size."
        raise RecordError(Damage.NOT_RECORDS, counts, remedy)

    def _read(self, place: Place) -> Future[_Window]:
        return self._thread.submit(self._reader.read, place._replace(batches=0))


_PATIENCE = 100
"""Epochs without a batch, one after the other, that are borne."""


class _Reader:
    """The windows of a stream. In a thread of its own; ``stop`` ends it, from any thread."""

    def __init__(self, games: TrainingGames, buffer: int, sampling: float, seed: int) -> None:
        self.games, self.sampling = games, sampling
        self.counts = ReadCounts()
        self.stop = threading.Event()
        self._buffer, self._seed = buffer, seed
        self._whole: Positions | None = None  # all there are, where they are in memory
        self._may_fit = sampling < 1
        # The game that did not fit into the last window, and those after it: no file is read anew.
        self._ahead: tuple[_Taken, Iterator[_Taken]] | None = None

    def read(self, begin: Place) -> _Window:
        """The window at ``begin``: games until the buffer is full or the epoch at its end.

        Raises CancelledError when it is stopped.
        """
        if self._may_fit and begin == Place(begin.epoch):
            self._may_fit = False
            positions, more = self._gather(self._epoch(begin, 1))
            self._keep(positions, more)
        if self._whole is not None:
            rows = self._whole.rows(partial(self._is_taken, begin.epoch))
            return _Window(self._whole, rows, begin, Place(begin.epoch + 1))
        if self._ahead is not None and self._ahead[0].place == begin:
            first, games = [self._ahead[0]], self._ahead[1]
        else:
            first, games = [], self._epoch(begin, self.sampling)
        positions, more = self._gather(chain(first, games))
        self._ahead = (more, games) if more else None
        following = more.place if more else Place(begin.epoch + 1)
        window = _Window(positions, positions.rows(), begin, following)
        if self.sampling == 1 and window.is_epoch:
            self._keep(positions, more)
        return window

    def _keep(self, positions: Positions, more: _Taken | None) -> None:
        """Keep all there are for later epochs, if each of them is a single window in any order.

        The last game may not have fitted whole: in another order the buffer is full before the end.
        """
        if more is None and len(positions.rule50) <= self._buffer:
            self._whole = positions

    def _gather(self, games: Iterator[_Taken]) -> tuple[Positions, _Taken | None]:
        """Positions until the buffer is full; and the game that comes then, if one does."""
        gathering, counts = Gathering(), BatchCounts()
        more: _Taken | None = None

        def chunks() -> Iterator[Chunk]:
            nonlocal more
            for taken in games:
                if counts.positions >= self._buffer:
                    more = taken
                    return
                gathering.add_game(taken.game, len(taken.chunk.records))
                yield taken.chunk

        for batch in batches_of(chunks(), None, 1, counts):
            gathering.add(batch)
        return gathering.positions(), more

    def _epoch(self, begin: Place, share: float) -> Iterator[_Taken]:
        """Games with a ``share`` of their positions, the epoch's own, from ``begin`` on."""
        order = self.games.order(self._seed, _ORDER, begin.epoch)
        for turn in range(begin.file, len(order)):
            file = order[turn]
            for number, chunk in enumerate(self.games.games_of(file, self.counts)):
                if self.stop.is_set():
                    raise CancelledError
                if (turn == begin.file and number < begin.game) or self.games.is_held_out(chunk):
                    continue
                records = usable(chunk.records)
                if share < 1:
                    records = records[self._is_taken(begin.epoch, Game(file, number), len(records))]
                if len(records):
                    place = Place(begin.epoch, turn, number)
                    yield _Taken(place, Game(file, number), replace(chunk, records=records))

    def _is_taken(self, epoch: int, game: Game, size: int) -> NDArray[np.bool_]:
        """Which of a game's positions an epoch takes."""
        if self.sampling == 1:
            return np.ones(size, np.bool_)
        dice = np.random.default_rng((self._seed, _SAMPLE, epoch, *game))
        return np.asarray(dice.random(size) < self.sampling)
