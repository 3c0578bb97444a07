"""Training batches from files of records: shuffled, endless, the same each time from any place on.

An epoch goes through all files in an order of its own, and takes of each game's positions a share
that is drawn anew. What it takes comes in *windows* of ``buffer`` positions: a window is read,
shuffled as a whole and cut into batches, while a thread reads the next. So two windows are in
memory, and data of any size can be trained on.

Which batch comes depends on the files, the seed and the *place* alone; a place says where the
window began and how many batches of it are done. To go on from a place is to read one window again.
What is left of a window, less than a batch, is left out.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from swa import planes
from swa.batches import Batch, BatchCounts, batches_of, read_games, usable
from swa.build_data import HASHES, game_hash
from swa.chunks import Chunk, ReadCounts, list_files
from swa.records import Damage, RecordError
from swa.spec import PLANES

_ORDER, _SAMPLE, _SHUFFLE, _VALIDATION, _REFRESH = range(5)
"""What random numbers are for: each has a stream of its own."""


class Place(NamedTuple):
    """Where a stream stands."""

    epoch: int = 0
    file: int = 0  # of the epoch's order, in which the window begins
    game: int = 0  # of that file, with which it begins
    batches: int = 0  # of the window that are done


START = Place()


class TrainingBatch(NamedTuple):
    """B positions with M legal moves in all, and what a net should say of them."""

    masks: NDArray[np.uint64]  # [B, 112] packed planes (swa.planes)
    values: NDArray[np.float32]  # [B, 112]
    moves: NDArray[np.uint16]  # [M] policy indices of the legal moves, position after position
    offsets: NDArray[np.int64]  # [B + 1] position b has moves[offsets[b] : offsets[b + 1]]
    policy: NDArray[np.float32]  # [M] target probabilities; a position's add up to 1
    result: NDArray[np.float32]  # [B, 3] win, draw, loss of the game, the side to move's view
    searched: NDArray[np.float32]  # [B, 3] the same after the search, of its best move; or NaN
    plies_left: NDArray[np.float32]  # [B] to the game's end; NaN where the record does not know


@dataclass(frozen=True, slots=True, eq=False)
class TrainingGames:
    """Files of records, and which of their games are trained on: all but those held out.

    A game is held out by its positions (``swa.build_data.game_hash``), wherever it lies.
    """

    files: tuple[Path, ...]
    sizes: tuple[int, ...]  # bytes
    held_out_below: int  # games with a hash below it are held out

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

    def games_of(self, file: int, counts: ReadCounts | None = None) -> Iterator[Chunk]:
        """All games of a file. Raises RecordError where it is not what it was when it was listed.

        What is left out of a game, and which games are held out, is for the caller.
        """
        path = self.files[file]
        if _size(path) != self.sizes[file]:
            reason = "changed while it was trained on"
            raise RecordError(Damage.UNREADABLE, reason, "Leave the data as it is.", str(path))
        return read_games(path, counts)

    def is_held_out(self, chunk: Chunk) -> bool:
        """Whether a game is not to be trained on."""
        return game_hash(chunk.records) < self.held_out_below

    def validation(self, positions: int) -> list[Batch]:
        """Positions of games held out, so many or all there are; the same whatever the seed.

        Raises RecordError where there are none.
        """
        counts = ReadCounts()
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
        """
        games = self._fixed(_REFRESH, ReadCounts(), held_out=False)
        taken = _sampled(games, share, np.random.default_rng((_REFRESH, positions)))
        found = list(batches_of(taken, positions, 1, BatchCounts()))
        if not found:
            raise self.nothing(ReadCounts(), "no position is trained on")
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


class _Window(NamedTuple):
    """Positions that are shuffled together, and where the next window begins."""

    masks: NDArray[np.uint64]  # [n, 112]
    rule50: NDArray[np.float32]  # [n] the one plane whose value is not 1
    moves: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    policy: NDArray[np.float32]
    result: NDArray[np.float32]
    searched: NDArray[np.float32]
    plies_left: NDArray[np.float32]
    begin: Place
    following: Place

    @property
    def is_epoch(self) -> bool:
        """Whether all of an epoch is in it."""
        whole = not self.begin.file and not self.begin.game
        return whole and self.following.epoch > self.begin.epoch

    def take(self, rows: NDArray[np.int64]) -> TrainingBatch:
        """The positions at ``rows``."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        values = np.ones((len(rows), PLANES), np.float32)
        values[:, planes.RULE50] = self.rule50[rows]
        return TrainingBatch(
            masks=self.masks[rows],
            values=values,
            moves=self.moves[places],
            offsets=offsets,
            policy=self.policy[places],
            result=self.result[rows],
            searched=self.searched[rows],
            plies_left=self.plies_left[rows],
        )


class TrainingStream:
    """The batches of ``games`` from ``place`` on, without end.

    ``batch`` positions each, of windows of ``buffer`` and a little more; ``sampling`` is the share
    of a game's positions that an epoch takes. Where one window holds all of an epoch and everything
    is taken, the files are read once.

    Raises RecordError, when a batch is asked for, where an epoch has no batch, or where a file is
    not what it was.
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
        self._games, self._batch, self._seed = games, batch, seed
        self._buffer, self._sampling = max(buffer, batch), sampling
        self._place = Place(*place)
        self._counts = ReadCounts()
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, "training-data")
        self._window: _Window | None = None
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._coming = self._read(self._place)

    @property
    def place(self) -> Place:
        """Where the stream stands after the batch it returned last."""
        return self._place

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TrainingBatch:
        """The next batch."""
        while (first := self._place.batches * self._batch) + self._batch > len(self._order):
            self._turn_over()
        self._place = self._place._replace(batches=self._place.batches + 1)
        assert self._window is not None
        return self._window.take(self._order[first : first + self._batch])

    def close(self) -> None:
        """Stop reading ahead."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _turn_over(self) -> None:
        """Take up the window that was read meanwhile, and begin with the one after it."""
        past = self._window
        window = self._coming.result()
        if window.is_epoch and len(window.rule50) < self._batch:
            if not len(window.rule50):
                raise self._games.nothing(self._counts, "no position is trained on")
            counts = f"{len(window.rule50):,} positions in an epoch, less than a batch"
            remedy = "Give more games, a larger sampling, or a smaller batch-size."
            raise RecordError(Damage.NOT_RECORDS, counts, remedy)
        if past is not None:
            self._place = window.begin
        self._window = window
        shuffle = np.random.default_rng((self._seed, _SHUFFLE, *window.begin[:3]))
        self._order = shuffle.permutation(len(window.rule50))
        if window.is_epoch and self._sampling == 1:
            again = window._replace(
                begin=window.following, following=Place(window.following.epoch + 1)
            )
            self._coming = Future()
            self._coming.set_result(again)
        else:
            self._coming = self._read(window.following)

    def _read(self, place: Place) -> Future[_Window]:
        return self._thread.submit(self._read_window, place._replace(batches=0))

    def _read_window(self, begin: Place) -> _Window:
        """Read games from ``begin`` on until the buffer is full or the epoch at its end."""
        pieces: list[tuple[int, int, Batch]] = []
        count, following = 0, Place(begin.epoch + 1)
        for at, file, chunk in self._epoch(begin):
            if count >= self._buffer:
                following = at
                break
            for batch in batches_of(iter([chunk]), None, 1, BatchCounts()):
                pieces.append((file, at.game, batch))
                count += len(batch.games)
        # By file and not in the epoch's order: an epoch in one window is the same set each time.
        pieces.sort(key=lambda piece: piece[:2])
        return _joined([batch for _, _, batch in pieces], begin, following)

    def _epoch(self, begin: Place) -> Iterator[tuple[Place, int, Chunk]]:
        """Games with the positions that this epoch takes, from ``begin`` on: place, file, game."""
        order = self._games.order(self._seed, _ORDER, begin.epoch)
        for turn in range(begin.file, len(order)):
            file = order[turn]
            for number, chunk in enumerate(self._games.games_of(file, self._counts)):
                if self._stop.is_set():
                    return
                if turn == begin.file and number < begin.game:
                    continue
                if self._games.is_held_out(chunk):
                    continue
                dice = np.random.default_rng((self._seed, _SAMPLE, begin.epoch, file, number))
                for taken in _sampled(iter([chunk]), self._sampling, dice):
                    yield Place(begin.epoch, turn, number), file, taken


def _joined(pieces: list[Batch], begin: Place, following: Place) -> _Window:
    """A window of all positions of ``pieces``, which is emptied meanwhile."""
    nothing: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    lengths = [np.diff(piece.offsets) for piece in pieces]

    def whole(name: str, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
        parts = [np.asarray(getattr(piece, name)) for piece in pieces]
        return np.concatenate([np.zeros((0, *shape), kind), *parts], dtype=kind)

    return _Window(
        masks=whole("masks", (PLANES,), np.uint64),
        rule50=np.concatenate(
            [np.zeros(0, np.float32), *(piece.values[:, planes.RULE50] for piece in pieces)]
        ),
        moves=whole("moves", (), np.uint16),
        offsets=np.cumsum(np.concatenate([*nothing, *lengths])),
        policy=whole("policy", (), np.float32),
        result=whole("result", (3,), np.float32),
        searched=whole("searched", (3,), np.float32),
        plies_left=whole("plies_left", (), np.float32),
        begin=begin,
        following=following,
    )
