"""Positions from training records, as nets are evaluated on them: streamed, batch after batch."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.chunks import Chunk, ReadCounts, games_of, read_records
from swa.records import PLACEHOLDER, Damage, RecordError, Records, planes_of, targets_of, wdl
from swa.spec import POLICY_MOVES, InputFormat

BATCH = 512
"""Positions; they and their targets take 6 MB while a batch is made, 2 kB a position after it."""

HASHES = 2**32
"""Values that the hash of a record can have."""

_FIRST_WITH_SEARCH = 4  # version of records: older ones have the game's result only


class Batch(NamedTuple):
    """B positions with M legal moves in all, and what a net should say of them."""

    masks: NDArray[np.uint64]  # [B, 112] packed planes (swa.planes)
    values: NDArray[np.float32]  # [B, 112]
    moves: NDArray[np.uint16]  # [M] policy indices of the legal moves, position after position
    offsets: NDArray[np.int64]  # [B + 1] position b has moves[offsets[b] : offsets[b + 1]]
    policy: NDArray[np.float64]  # [M] target probabilities; a position's add up to 1
    result: NDArray[np.float64]  # [B, 3] win, draw, loss of the game, the side to move's view
    searched: NDArray[np.float64]  # [B, 3] the same after the search, of its best move; NaN in V3
    plies_left: NDArray[np.float64]  # [B] to the game's end; NaN where the record does not know
    games: NDArray[np.int64]  # [B] number of the game, from 0, never falling


@dataclass(slots=True)
class BatchCounts:
    """What became of the positions that were read."""

    positions: int = 0  # in batches
    games: int = 0  # that they come from
    placeholders: int = 0  # left out: no search was made of them
    no_moves: int = 0  # left out: no legal move is marked


def read_batches(
    data: Path | Sequence[Path],
    *,
    positions: int | None = None,
    every: int = 1,
    read: ReadCounts | None = None,
    counts: BatchCounts | None = None,
    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE,
) -> Iterator[Batch]:
    """The positions of files and folders of training records, in order, in bounded memory.

    At most ``positions`` are taken, the first ones; of ``every`` positions one, chosen by a hash of
    its record, so that the choice is the same wherever the record lies. Games of one file are told
    apart by ``swa.chunks.games_of``. Placeholders and positions without legal moves are left out.
    Of V3 only the moves that the search visited are known to be legal, so that its policies look
    easier to predict than others'.

    Raises RecordError at once where a source does not exist, ValueError for numbers below 1; files
    with something wrong are left out and counted in ``read``, so are those of another input format
    than is asked for.
    """
    if every < 1 or (positions is not None and positions < 1):
        raise ValueError("positions and every are at least 1")
    counts = BatchCounts() if counts is None else counts
    return batches_of(read_games(data, read, input_format), positions, every, counts)


def read_games(
    data: Path | Sequence[Path],
    counts: ReadCounts | None = None,
    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE,
) -> Iterator[Chunk]:
    """The games of files and folders, one by one, of one input format: the nets'.

    Files with another one are counted in ``counts`` and left out. Raises RecordError at once where
    a source does not exist.
    """
    counts = ReadCounts() if counts is None else counts
    return _games_of_all(read_records(data, counts), counts, input_format)


def _games_of_all(
    chunks: Iterator[Chunk], counts: ReadCounts, input_format: InputFormat
) -> Iterator[Chunk]:
    for chunk in chunks:
        if error := _of_other_format(chunk, input_format):
            counts.skip(error)
        else:
            yield from games_of(chunk)


class _Piece(NamedTuple):
    """Records of one game."""

    records: Records
    game: int
    has_search: bool


def batches_of(
    games: Iterator[Chunk], limit: int | None, every: int, counts: BatchCounts
) -> Iterator[Batch]:
    """The positions of ``read_games``, as ``read_batches`` has them; ``limit`` is its number."""
    pending: list[_Piece] = []
    room = BATCH
    for chunk in games:
        records = _chosen(chunk.records, every, counts)
        if limit is not None:
            records = records[: limit - counts.positions]
        if not len(records):
            continue
        game, has_search = counts.games, chunk.version >= _FIRST_WITH_SEARCH
        counts.games, counts.positions = game + 1, counts.positions + len(records)
        while len(records):
            pending.append(_Piece(records[:room], game, has_search))
            room -= len(pending[-1].records)
            records = records[len(pending[-1].records) :]
            if not room:
                yield _batch(pending)
                pending, room = [], BATCH
        if counts.positions == limit:
            break
    if pending:
        yield _batch(pending)


def _of_other_format(chunk: Chunk, wanted: InputFormat) -> RecordError | None:
    formats = chunk.records["input_format"]
    other = formats[formats != wanted]
    if not other.size:
        return None
    where = f"{chunk.path}:{chunk.member}" if chunk.member else str(chunk.path)
    return RecordError(
        Damage.INPUT_FORMAT,
        f"input format {other[0]}, where the net has {int(wanted)}",
        f"Use records of input format {int(wanted)} ({wanted.lc0_name}).",
        where,
    )


def _chosen(records: Records, every: int, counts: BatchCounts) -> Records:
    """The records that are taken, those that were left out being counted."""
    if every > 1:
        hashes = np.fromiter((zlib.crc32(record) for record in records), np.uint64, len(records))
        records = records[hashes % np.uint64(min(every, HASHES)) == 0]
    placeholder, playable = _placeholder(records), _playable(records)
    counts.placeholders += int(placeholder.sum())
    counts.no_moves += int((~playable & ~placeholder).sum())
    return _those(records, playable & ~placeholder)


def usable(records: Records) -> Records:
    """Without positions that were never searched and those without a legal move."""
    return _those(records, _playable(records) & ~_placeholder(records))


def _those(records: Records, taken: NDArray[np.bool_]) -> Records:
    """Records that are taken; they are not copied where all are."""
    those: Records = records if taken.all() else records[taken]
    return those


def _placeholder(records: Records) -> NDArray[np.bool_]:
    return np.asarray(records["invariance_info"] & PLACEHOLDER != 0)


def _playable(records: Records) -> NDArray[np.bool_]:
    return np.asarray((records["probabilities"] >= 0).any(axis=1))


def _batch(pieces: Sequence[_Piece]) -> Batch:
    records = np.concatenate([piece.records for piece in pieces])
    sizes = [len(piece.records) for piece in pieces]
    masks, values = planes_of(records)
    targets = targets_of(records)
    places = np.flatnonzero(targets.legal)
    rows, moves = np.divmod(places, POLICY_MOVES)
    policy = targets.policy.ravel()[places].astype(np.float64)
    searched = wdl(targets.best_q, targets.best_d).astype(np.float64)
    searched[~np.repeat([piece.has_search for piece in pieces], sizes)] = np.nan
    return Batch(
        masks=masks,
        values=values,
        moves=moves.astype(np.uint16),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(records)))]),
        policy=policy / np.bincount(rows, policy)[rows],
        result=targets.result.astype(np.float64),
        searched=searched,
        plies_left=targets.plies_left.astype(np.float64),
        games=np.repeat([piece.game for piece in pieces], sizes),
    )
