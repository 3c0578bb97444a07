"""The positions of a build: which ones batch norm is refreshed on, which ones losses are told by.

What is held out is decided game by game, by a hash of the name of its file (and of its place in a
tar), so that it is the same wherever the files lie and whatever other files lie beside them: a game
that was held out once is held out of every later build. Only where there are so few games
that none would be, or all, one is, or is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from swa.batches import Batch, BatchCounts, batches_of
from swa.build_config import BuildError
from swa.chunks import Chunk, ReadCounts, read_records
from swa.provenance import file_sha256
from swa.records import PLACEHOLDER, Damage, RecordError, Records, planes_of
from swa.refresh import Planes
from swa.spec import InputFormat


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of records, a tar perhaps, and what of it is used."""

    path: Path
    sha256: str
    games: int  # files in it, if it is a tar
    refresh_positions: int
    held_out_positions: int


@dataclass(frozen=True, slots=True, eq=False)
class BuildData:
    """The files of a build's data and how their positions are divided.

    ``counts`` and ``eval_counts`` say what was read and left out; None where the files come from a
    manifest.
    """

    files: tuple[DataFile, ...]  # in the order in which they are read
    eval_files: tuple[DataFile, ...]  # all of whose positions are held out
    held_out_below: int  # games of ``files`` with a ``game_hash`` below it are held out
    counts: ReadCounts | None = None
    eval_counts: ReadCounts | None = None

    @property
    def refresh_positions(self) -> int:
        """Positions that the refresh sees."""
        return sum(file.refresh_positions for file in self.files)

    @property
    def held_out_positions(self) -> int:
        """Positions that it does not see, for losses."""
        return sum(file.held_out_positions for file in (*self.files, *self.eval_files))

    def planes(self, limit: int | None = None) -> Iterable[Planes]:
        """The positions of the refresh, game by game; at most ``limit``. Can be gone through again.

        Raises BuildError where they are not what they were when the files were looked through.
        """
        return _Positions(self, limit)

    def batches(self) -> Iterator[Batch]:
        """The positions for losses: those held out, or those of the refresh where none are."""
        if not self.held_out_positions:
            return self.refresh_batches(self.refresh_positions)
        return _batches(self.chunks(held_out=True), self.held_out_positions)

    def refresh_batches(self, limit: int) -> Iterator[Batch]:
        """The positions of the refresh with what nets should say of them; at most ``limit``."""
        return _batches(self.chunks(held_out=False), min(limit, self.refresh_positions))

    def chunks(self, held_out: bool) -> Iterator[Chunk]:
        """The games held out, or those of the refresh; more than are used where limits cut."""
        if held_out and self.eval_files:
            yield from _usable(read_records([file.path for file in self.eval_files]))
            return
        for chunk in _usable(read_records([file.path for file in self.files])):
            if (game_hash(chunk) < self.held_out_below) == held_out:
                yield chunk


@dataclass(frozen=True, slots=True, eq=False)
class _Positions:
    """The positions of a refresh, read from the files each time that they are gone through."""

    data: BuildData
    limit: int | None

    def __iter__(self) -> Iterator[Planes]:
        whole = self.data.refresh_positions
        left = whole if self.limit is None else min(whole, self.limit)
        for chunk in _first(self.data.chunks(held_out=False), left):
            yield planes_of(chunk.records)
            left -= len(chunk.records)
        if left:
            raise BuildError("the data changed while it was read\nRun the build again.")


def _batches(chunks: Iterator[Chunk], limit: int) -> Iterator[Batch]:
    return batches_of(_first(chunks, limit), None, 1, ReadCounts(), BatchCounts())


def survey(
    data: Sequence[Path],
    *,
    share: float,
    eval_data: Sequence[Path] = (),
    positions: int | None = None,
    eval_positions: int | None = None,
) -> BuildData:
    """Look through the data: files, their sha256, and how many positions of each are used.

    Files are read until there are ``positions`` for the refresh, and ``eval_positions`` held out,
    or a game if that is not given; ``share`` of the games is held out.

    Raises BuildError where there is nothing for the refresh, nothing held out, or a file in both;
    RecordError where a path does not exist.
    """
    looker = _Looker(positions, eval_positions)
    below = int(share * HASHES)
    files = looker.through(data, below)
    if share and len(looker.hashes) > 1:
        # Few games: one at least for either side.
        if not any(file.held_out_positions for file in files):
            below = min(looker.hashes) + 1
            files = looker.through(data, below)
        elif not any(file.refresh_positions for file in files):
            below = max(looker.hashes)
            files = looker.through(data, below)
    counts = looker.counts
    eval_files: tuple[DataFile, ...] = ()
    eval_counts = None
    if eval_data:
        eval_files, eval_counts = looker.through(eval_data, HASHES), looker.counts
    found = BuildData(files, eval_files, below, counts, eval_counts)
    if share and len(looker.hashes) == 1:
        raise BuildError(
            "there is only one game (a file counts as one), so that none can be held out\n"
            "Give more data, --eval-data, or --held-out 0 to do without."
        )
    if not found.refresh_positions:
        raise _nothing("no positions to refresh batch norm on", counts)
    if eval_counts is not None and not found.held_out_positions:
        raise _nothing("no positions in the held-out data", eval_counts)
    hashes = {file.sha256: file.path for file in files}
    for file in eval_files:
        if file.sha256 in hashes:
            raise BuildError(
                f"{file.path}: is in the data for the refresh too ({hashes[file.sha256]})\n"
                "Losses say nothing there. Keep the two apart."
            )
    return found


def _nothing(what: str, counts: ReadCounts) -> BuildError:
    lines = [f"{what} ({counts})"]
    lines += [str(error).splitlines()[0] for error in list(counts.examples.values())[:1]]
    return BuildError("\n".join([*lines, "Give training records: .gz files, folders or tars."]))


class _Looker:
    """Goes through files until it has as many positions of each kind as are wanted."""

    def __init__(self, positions: int | None, eval_positions: int | None) -> None:
        self._limits = {True: eval_positions, False: positions}
        self.counts = ReadCounts()  # of the last time
        self.hashes: set[int] = set()  # of the games that were looked at

    def through(self, data: Sequence[Path], below: int) -> tuple[DataFile, ...]:
        """The files that are used; games with a hash below ``below`` are held out."""
        self.counts, self.hashes = ReadCounts(), set()
        files: list[DataFile] = []
        taken, seen, current = {True: 0, False: 0}, set[Path](), Path()
        sources = list({path.resolve(): path for path in data}.values())
        for chunk in _usable(read_records(sources, self.counts), self.counts):
            if chunk.path != current:
                if chunk.path.resolve() in seen:  # named by itself, and in a folder too
                    continue
                current = chunk.path
                seen.add(current.resolve())
            number = game_hash(chunk)
            self.hashes.add(number)
            held_out = number < below
            limit, size = self._limits[held_out], len(chunk.records)
            size = size if limit is None else min(size, limit - taken[held_out])
            taken[held_out] += size
            if size:
                if not files or files[-1].path != chunk.path:
                    files.append(DataFile(chunk.path, file_sha256(chunk.path), 0, 0, 0))
                files[-1] = _with_game(files[-1], size, held_out)
            if self._enough(taken, below):
                break
        return tuple(files)

    def _enough(self, taken: Mapping[bool, int], below: int) -> bool:
        full = {kind: taken[kind] == limit for kind, limit in self._limits.items()}
        if below == HASHES:  # all is held out
            return full[True]
        held_out = full[True] if self._limits[True] is not None else taken[True] > 0
        return full[False] and (held_out or not below)


def _with_game(file: DataFile, size: int, held_out: bool) -> DataFile:
    return replace(
        file,
        games=file.games + 1,
        refresh_positions=file.refresh_positions + size * (not held_out),
        held_out_positions=file.held_out_positions + size * held_out,
    )


HASHES = 2**64
"""Values that ``game_hash`` can have."""


def game_hash(chunk: Chunk) -> int:
    """A game's number in [0, ``HASHES``), by the sha256 of its file's and its name in a tar."""
    name = f"{chunk.path.name}\n{chunk.member}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest()[:8])


def _usable(chunks: Iterator[Chunk], counts: ReadCounts | None = None) -> Iterator[Chunk]:
    """Without games of other input formats, which are counted, and positions never searched."""
    for chunk in chunks:
        formats = chunk.records["input_format"]
        if (formats != InputFormat.CLASSICAL_112_PLANE).any():
            if counts is not None:
                where = f"{chunk.path}:{chunk.member}" if chunk.member else str(chunk.path)
                reason = f"input format {formats.max()}, which is not supported yet"
                counts.skip(RecordError(Damage.INPUT_FORMAT, reason, "", where))
            continue
        records = chunk.records[_searched(chunk.records)]
        if len(records):
            yield replace(chunk, records=records)


def _searched(records: Records) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    placeholder = records["invariance_info"] & PLACEHOLDER != 0
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~placeholder & (
        records["probabilities"] >= 0
    ).any(axis=1)
    return found


def _first(chunks: Iterator[Chunk], positions: int) -> Iterator[Chunk]:
    for chunk in chunks:
        if not positions:
            return
        records = chunk.records[:positions]
        positions -= len(records)
        yield replace(chunk, records=records)
