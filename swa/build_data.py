"""The positions of a build: which ones batch norm is refreshed on, which ones losses are told by.

What is held out is decided game by game, by a hash of its positions, so that it is the same
whatever its file is called, wherever it lies and whatever lies beside it: a game that was held out
once is held out of every later build, and so is a copy of it. Only where there are so few games
that none would be, or all, one is, or is not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from swa.batches import Batch, BatchCounts, batches_of, read_games, usable
from swa.bootstrap import FEW_GAMES
from swa.build_config import BuildError
from swa.chunks import Chunk, ReadCounts
from swa.provenance import file_sha256
from swa.records import Records, planes_of
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


class Game(NamedTuple):
    """A game and what decides whether it is held out."""

    number: int  # its ``game_hash``
    chunk: Chunk


@dataclass(frozen=True, slots=True, eq=False)
class BuildData:
    """The files of a build's data and how their positions are divided.

    ``counts`` and ``eval_counts`` say what was read and left out; None where the files come from a
    manifest. Of the games held out those with a ``game_hash`` below ``report_from`` are for a
    choice among nets: what is chosen by them looks better on them than it is, so that losses are
    told by the others.
    """

    files: tuple[DataFile, ...]  # in the order in which they are read
    eval_files: tuple[DataFile, ...]  # all of whose positions are held out
    held_out_below: int  # games of ``files`` with a ``game_hash`` below it are held out
    counts: ReadCounts | None = None
    eval_counts: ReadCounts | None = None
    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE  # files of others are left out
    refresh_games: int = 0  # a game and its copies are one; 0 where they come from a manifest
    report_from: int = 0
    selection_positions: int = 0

    @property
    def refresh_positions(self) -> int:
        """Positions that the refresh sees."""
        return sum(file.refresh_positions for file in self.files)

    @property
    def held_out_positions(self) -> int:
        """Positions that it does not see, for losses."""
        return sum(file.held_out_positions for file in (*self.files, *self.eval_files))

    @property
    def loss_positions(self) -> int:
        """Positions of ``batches``."""
        return self.held_out_positions - self.selection_positions or self.refresh_positions

    def planes(self, limit: int | None = None) -> Iterable[Planes]:
        """The positions of the refresh, game by game; at most ``limit``. Can be gone through again.

        Raises BuildError where they are not what they were when the files were looked through.
        """
        return _Positions(self, limit)

    def batches(self) -> Iterator[Batch]:
        """The positions for losses: those held out, or those of the refresh where none are."""
        if not self.held_out_positions:
            return self.refresh_batches(self.refresh_positions)
        return _batches(game for game in self._held_out() if game.number >= self.report_from)

    def selection_batches(self) -> Iterator[Batch]:
        """The positions for a choice among nets, which have no part in ``batches``."""
        return _batches(game for game in self._held_out() if game.number < self.report_from)

    def refresh_batches(self, limit: int) -> Iterator[Batch]:
        """The positions of the refresh with what nets should say of them; at most ``limit``."""
        limit = min(limit, self.refresh_positions)
        return _batches(_first(self.games(held_out=False), limit))

    def _held_out(self) -> Iterator[Game]:
        return _first(self.games(held_out=True), self.held_out_positions)

    def games(self, held_out: bool) -> Iterator[Game]:
        """The games held out, or those of the refresh; more than are used where limits cut."""
        if held_out and self.eval_files:
            yield from _games([file.path for file in self.eval_files], self.input_format)
            return
        for game in _games([file.path for file in self.files], self.input_format):
            if (game.number < self.held_out_below) == held_out:
                yield game


@dataclass(frozen=True, slots=True, eq=False)
class _Positions:
    """The positions of a refresh, read from the files each time that they are gone through."""

    data: BuildData
    limit: int | None

    def __iter__(self) -> Iterator[Planes]:
        whole = self.data.refresh_positions
        left = whole if self.limit is None else min(whole, self.limit)
        for _, chunk in _first(self.data.games(held_out=False), left):
            yield planes_of(chunk.records)
            left -= len(chunk.records)
        if left:
            raise BuildError("the data changed while it was read\nRun the build again.")


def _batches(games: Iterator[Game]) -> Iterator[Batch]:
    return batches_of((chunk for _, chunk in games), None, 1, BatchCounts())


def survey(
    data: Sequence[Path],
    *,
    share: float,
    eval_data: Sequence[Path] = (),
    positions: int | None = None,
    eval_positions: int | None = None,
    select: bool = False,
    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE,
) -> BuildData:
    """Look through the data: files, their sha256, and how many positions of each are used.

    Only records of ``input_format``, the nets', can be.
    Files are read until there are ``positions`` for the refresh, and ``eval_positions`` held out,
    or ``FEW_GAMES`` games if that is not given; ``share`` of the games is held out.
    With ``select`` half of these games are for a choice among nets.

    Raises BuildError where there is nothing for the refresh, nothing held out, too little for both
    halves, or a game in both data; RecordError where a path does not exist.
    """
    looker = _Looker(positions, eval_positions, input_format)
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
    refreshed = looker.used[False]
    if eval_data:
        eval_files, eval_counts = looker.through(eval_data, HASHES), looker.counts
    found = BuildData(files, eval_files, below, counts, eval_counts, input_format, len(refreshed))
    if share and len(looker.hashes) == 1:
        raise BuildError(
            "there is only one game (copies of it count as one), so that none can be held out\n"
            "Give more data, --eval-data, or --held-out 0 to do without."
        )
    if not found.refresh_positions:
        raise _nothing("no positions to refresh batch norm on", counts)
    if eval_counts is not None and not found.held_out_positions:
        raise _nothing("no positions in the held-out data", eval_counts)
    for number, path in looker.used[True].items():
        if eval_data and number in refreshed:
            raise BuildError(
                f"{path}: a game of it is in the data for the refresh too ({refreshed[number]})\n"
                "Losses say nothing there. Keep the two apart."
            )
    return _halved(found, looker) if select else found


def _halved(data: BuildData, looker: _Looker) -> BuildData:
    """With half of the games held out for a choice; a game and its copies are one."""
    numbers = sorted(looker.used[True])
    if len(numbers) < 2:
        raise BuildError(
            "a choice among nets takes two held-out games: one to choose by, one for losses\n"
            "Give more data, --eval-data, or a larger --held-out."
        )
    middle = len(numbers) // 2
    positions = sum(looker.sizes[number] for number in numbers[:middle])
    return replace(data, report_from=numbers[middle], selection_positions=positions)


def _nothing(what: str, counts: ReadCounts) -> BuildError:
    lines = [f"{what} ({counts})"]
    lines += [str(error).splitlines()[0] for error in list(counts.examples.values())[:1]]
    return BuildError("\n".join([*lines, "Give training records: .gz files, folders or tars."]))


class _Looker:
    """Goes through files until it has as many positions of each kind as are wanted."""

    def __init__(
        self, positions: int | None, eval_positions: int | None, input_format: InputFormat
    ) -> None:
        self._input_format = input_format
        self._limits = {True: eval_positions, False: positions}
        self.counts = ReadCounts()  # of the last time
        self.hashes: set[int] = set()  # of the games that were looked at
        self.used: dict[bool, dict[int, Path]] = {}  # whether held out: of the games used, where
        self.sizes = Counter[int]()  # positions used of each game

    def through(self, data: Sequence[Path], below: int) -> tuple[DataFile, ...]:
        """The files that are used; games with a hash below ``below`` are held out."""
        self.counts, self.hashes = ReadCounts(), set()
        self.used, self.sizes = {True: {}, False: {}}, Counter()
        files: list[DataFile] = []
        taken, seen, current, digest, copy = {True: 0, False: 0}, set[str](), Path(), "", False
        for number, chunk in _games(data, self._input_format, self.counts):
            if chunk.path != current:
                current, digest = chunk.path, file_sha256(chunk.path)
                copy = digest in seen
                seen.add(digest)
                self.counts.repeated += copy
            if copy:
                continue
            self.hashes.add(number)
            held_out = number < below
            limit, size = self._limits[held_out], len(chunk.records)
            size = size if limit is None else min(size, limit - taken[held_out])
            taken[held_out] += size
            if size:
                self.used[held_out].setdefault(number, chunk.path)
                self.sizes[number] += size
                if not files or files[-1].path != chunk.path:
                    files.append(DataFile(chunk.path, digest, 0, 0, 0))
                files[-1] = _with_game(files[-1], size, held_out)
            if self._enough(taken, below):
                break
        return tuple(files)

    def _enough(self, taken: Mapping[bool, int], below: int) -> bool:
        full = {kind: taken[kind] == limit for kind, limit in self._limits.items()}
        if below == HASHES:  # all is held out
            return full[True]
        enough = len(self.used[True]) >= FEW_GAMES if self._limits[True] is None else full[True]
        return full[False] and (enough or not below)


def _with_game(file: DataFile, size: int, held_out: bool) -> DataFile:
    return replace(
        file,
        games=file.games + 1,
        refresh_positions=file.refresh_positions + size * (not held_out),
        held_out_positions=file.held_out_positions + size * held_out,
    )


HASHES = 2**64
"""Values that ``game_hash`` can have."""


def game_hash(records: Records) -> int:
    """A game's number in [0, ``HASHES``), by the sha256 of its positions' stored planes."""
    return int.from_bytes(hashlib.sha256(records["planes"].tobytes()).digest()[:8])


def _games(
    data: Sequence[Path], input_format: InputFormat, counts: ReadCounts | None = None
) -> Iterator[Game]:
    """The games with their numbers, without positions that no net can be asked about."""
    for chunk in read_games(data, counts, input_format):
        records = usable(chunk.records)
        if len(records):
            yield Game(game_hash(chunk.records), replace(chunk, records=records))


def _first(games: Iterator[Game], positions: int) -> Iterator[Game]:
    for number, chunk in games:
        if not positions:
            return
        records = chunk.records[:positions]
        positions -= len(records)
        yield Game(number, replace(chunk, records=records))
