"""PGN files into a folder of training records: ``OUT/00000/training.0.gz`` and so on, one a game.

A folder of its own for every thousand games, for file systems and people alike. A game's number is
its place among those imported, so that the same files and settings give the same folder, byte for
byte, with any number of processes. ``import.json`` is written last: a folder without it is not
complete.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from arena.pgn_game import Broken, Converted, Filters, Unwanted, convert
from arena.pgn_source import GameText, Reading, SourceError, check_source, read_games
from arena.training_records import write_game
from swa.files import write_whole
from swa.provenance import versions

SUMMARY_FILE = "import.json"
SCHEMA = 1

_BATCH = 32  # games that a process is given at a time
_EXAMPLE = 200  # characters


class PgnImportError(ValueError):
    """An import that cannot be made or ended: what, why, what to do."""


@dataclass(slots=True)
class Counts:
    """What became of all games so far."""

    games: int = 0  # imported
    positions: int = 0
    unwanted: Counter[Unwanted] = field(default_factory=Counter)
    broken: Counter[Broken] = field(default_factory=Counter)
    examples: dict[Broken | Unwanted, str] = field(default_factory=dict)  # the first of each
    damaged: list[str] = field(default_factory=list)  # files that could not be read to their end

    @property
    def seen(self) -> int:
        """All games."""
        return self.games + self.unwanted.total() + self.broken.total()

    def leave_out(self, game: GameText, converted: Converted) -> None:
        """Count a game that is not imported."""
        reason = converted.reason
        if isinstance(reason, Broken):
            self.broken[reason] += 1
        elif reason is not None:
            self.unwanted[reason] += 1
        if reason is not None and converted.detail and reason not in self.examples:
            where = f"{game.source}, game {game.number} (line {game.line})"
            self.examples[reason] = printable(f"{where}: {converted.detail}")[:_EXAMPLE]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    counts: Counts
    read: int  # bytes of the files, packed as they are
    size: int  # of all files; 0 where that is not known
    seconds: float


def printable(text: str) -> str:
    """Text on one line, whatever stood in a file."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def check_output(out: Path) -> None:
    """Refuse a folder with anything in it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise PgnImportError(
            f"{out} {what}\nName a new folder for the records, or remove this one."
        )


def import_games(
    files: Sequence[Path],
    out: Path,
    filters: Filters,
    *,
    max_games: int | None = None,
    workers: int = 1,
    notify: Callable[[Progress], None] = lambda _: None,
) -> Counts:
    """Write the games of ``files`` to the new folder ``out``, in the order they stand there.

    ``workers`` processes beside this one, none for 1. Raises PgnImportError for a folder that is
    not new or where there was nothing to import (nothing is written then), SourceError for a file
    that cannot be opened, OSError where the disk is full. After these, and after an interruption,
    what is in ``out`` are whole games, but there is no ``import.json``.
    """
    check_output(out)
    sizes = [check_source(path) for path in files]
    began, counts = time.monotonic(), Counts()
    reading = _Reading(list(files), sizes, counts)
    with closing(reading.games()) as games, _converter(workers, filters) as convert_all:
        for game, converted in convert_all(games):
            if converted.reason is None:
                write_game(out, counts.games, converted.data)
                counts.games += 1
                counts.positions += converted.positions
            else:
                counts.leave_out(game, converted)
            seconds = time.monotonic() - began
            notify(Progress(counts, reading.read, reading.size, seconds))
            if counts.games == max_games:
                break
    if not counts.games:
        raise PgnImportError(_nothing(counts))
    if hasattr(os, "sync"):  # once for all: a file's own fsync takes longer than all other work
        os.sync()
    write_whole(out / SUMMARY_FILE, _summary(files, sizes, filters, max_games, counts))
    return counts


class _Reading:
    """All files one after the other, and how far they were read."""

    def __init__(self, files: list[Path], sizes: list[int], counts: Counts) -> None:
        self._files, self._sizes, self._counts = files, sizes, counts
        self._before = 0
        self._current = Reading()

    @property
    def size(self) -> int:
        return sum(self._sizes) if all(self._sizes) else 0

    @property
    def read(self) -> int:
        return self._before + self._current.done()

    def games(self) -> Generator[GameText, None, None]:
        for path, size in zip(self._files, self._sizes, strict=True):
            try:
                yield from read_games(path, self._current)
            except SourceError as error:
                self._counts.damaged.append(printable(str(error).splitlines()[0]))
            self._before += size


# --- processes ---

_Pairs = Iterator[tuple[GameText, Converted]]


@contextmanager
def _converter(workers: int, filters: Filters) -> Iterator[Callable[[Iterator[GameText]], _Pairs]]:
    """What turns games into records, in order, here or in other processes."""
    if workers == 1:
        yield lambda games: ((game, _converted(game, filters)) for game in games)
        return
    # Not forked: a copy of a process with threads may wait for a lock for ever.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker)
    try:
        yield lambda games: _in_pool(pool, workers, games, filters)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _converted(game: GameText, filters: Filters) -> Converted:
    if not game.whole:
        return Converted(reason=Broken.TOO_LONG, detail="more than a megabyte of text")
    return convert(game.text, filters)


def _convert_batch(games: list[GameText], filters: Filters) -> list[Converted]:
    return [_converted(game, filters) for game in games]


def _in_pool(
    pool: ProcessPoolExecutor, workers: int, games: Iterator[GameText], filters: Filters
) -> _Pairs:
    """Keep each process busy with two batches, so that memory stays bounded."""
    waiting: deque[tuple[list[GameText], Future[list[Converted]]]] = deque()
    while True:
        while len(waiting) < 2 * workers and (batch := list(islice(games, _BATCH))):
            waiting.append((batch, pool.submit(_convert_batch, batch, filters)))
        if not waiting:
            return
        batch, future = waiting.popleft()
        try:
            converted = future.result()
        except BrokenProcessPool:
            raise PgnImportError(
                "a process of the import was killed, as happens where memory runs out\n"
                "Ask for fewer with --workers."
            ) from None
        yield from zip(batch, converted, strict=True)


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:
        return

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


# --- words ---


def counts_json(counts: Counts) -> dict[str, Any]:
    """Counts as scripts read them."""
    return {
        "games": counts.games,
        "positions": counts.positions,
        "games_read": counts.seen,
        "unwanted": {str(reason): count for reason, count in sorted(counts.unwanted.items())},
        "broken": {str(reason): count for reason, count in sorted(counts.broken.items())},
        "examples": {str(reason): text for reason, text in sorted(counts.examples.items())},
        "damaged_files": counts.damaged,
    }


def _summary(
    files: Sequence[Path],
    sizes: Sequence[int],
    filters: Filters,
    max_games: int | None,
    counts: Counts,
) -> bytes:
    document = {
        "schema": SCHEMA,
        "files": [
            {"path": str(path), "bytes": size} for path, size in zip(files, sizes, strict=True)
        ],
        "filters": asdict(filters) | {"max_games": max_games},
        **counts_json(counts),
        "versions": versions(),
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(errors="replace")


def _nothing(counts: Counts) -> str:
    if counts.damaged:
        return f"nothing was imported\n{counts.damaged[0]}"
    if not counts.seen:
        return "nothing was imported: there are no games in these files\nName files of PGN."
    reasons = [*counts.unwanted.most_common(), *counts.broken.most_common()]
    told = ", ".join(f"{reason}: {count:,}" for reason, count in reasons)
    example = next(iter(counts.examples.values()), "Ask for less with the filters.")
    return f"nothing was imported: none is left of {counts.seen:,} games ({told})\n{example}"
