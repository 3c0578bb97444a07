"""The run folder: what was asked, and every pair that was finished; the one truth about a match.

``match.toml`` holds all that decides the result and is written once (``arena.match_file``).
``games.jsonl`` has a line for each finished pair, in the order in which they finished, and a pair
counts only when its line is on the disk. All else in the folder (summary, PGN, report) is derived
from these two and can be made again.

So a match survives what happens to it: a process that is killed loses the games it was playing and
nothing else. A crash may tear the last line, which is then cut off and its pair played again; a
line that is broken anywhere else was not broken by a crash, and nothing is guessed about it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import BinaryIO, Self

from arena.game import PairRecord, PairResult
from arena.ledger_line import decode_pair, encode_pair
from arena.match_file import (
    MATCH_FILE,
    LedgerError,
    MatchIdentity,
    differences,
    read_identity,
    write_identity,
)
from swa.files import sync_folder

GAMES_FILE = "games.jsonl"

SHOWN_DIFFERENCES = 4


class Ledger:
    """A run folder that this process alone may write to; a context manager.

    The lock is on games.jsonl itself and is the kernel's: it ends with the process, however that
    ends.
    """

    def __init__(self, folder: Path, identity: MatchIdentity, descriptor: int):
        """Take an open and locked games.jsonl; ``open_or_create`` is the way to get there."""
        self.folder = folder
        self.identity = identity
        self.torn_bytes = 0
        """What a crash had left of a line at the end, cut off on opening."""
        self.raised_from: int | None = None
        """The limit of pairs before this opening, if that has raised it."""
        self._path = folder / GAMES_FILE
        self._descriptor = descriptor
        self._size = 0
        self._results: dict[int, PairResult] = {}

    @classmethod
    def open_or_create(cls, folder: Path, identity: MatchIdentity) -> Self:
        """Open the run folder of a match, to go on with it, or make one.

        Every setting must be as it was. Only the limit of pairs may be higher: match.toml then
        keeps the old one beside it, and reports give no figure that takes the length for fixed
        beforehand. The test's own errors stay: its bounds are the same at every length, so what
        can be promoted after any number of extensions would be without a limit.

        Raises LedgerError where the folder holds another match, is broken, is in use by another
        process, or cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / GAMES_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise LedgerError(
                f"{folder}: cannot be used as a run folder: {_reason(error)}\n"
                "Choose another folder (--out)."
            ) from error
        ledger = cls(folder, identity, descriptor)
        try:
            ledger._lock()
            before = ledger._agree()
            ledger._load()
            ledger._raise_limit(before)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def results(self) -> Mapping[int, PairResult]:
        """The result of every finished pair, by the pair's number."""
        return MappingProxyType(self._results)

    def append(self, pair: PairRecord) -> None:
        """Write a finished pair; when this returns, it is on the disk.

        Raises LedgerError where it cannot be written (disk full): the file is then as it was
        before, and the pair does not count.
        """
        self.append_all([pair])

    def append_all(self, pairs: Sequence[PairRecord]) -> None:
        """Write finished pairs, all or none of them but for a crash; see ``append``."""
        if not pairs:
            return
        fresh: dict[int, PairResult] = {}
        for pair in pairs:
            _check_number(pair.number, self.identity.pairs, self._results)
            _check_number(pair.number, self.identity.pairs, fresh)
            fresh[pair.number] = pair.result
        data = b"".join(map(encode_pair, pairs))
        try:
            # An append that failed may have left something that could not be cut off at once.
            if os.fstat(self._descriptor).st_size != self._size:
                os.ftruncate(self._descriptor, self._size)
            _write_all(self._descriptor, data)
            os.fsync(self._descriptor)
        except BaseException as error:
            self._cut_back()
            if isinstance(error, OSError):
                first = f"pair {pairs[0].number}"
                which = first if len(pairs) == 1 else f"{len(pairs)} pairs from {first} on"
                raise LedgerError(
                    f"{self._path}: cannot write {which}: {_reason(error)}\n"
                    f"It does not count; the {len(self._results)} pairs before it are safe.\n"
                    "Make room, then give the same command again to go on."
                ) from error
            raise
        self._size += len(data)
        self._results |= fresh

    def close(self) -> None:
        """Let go of the folder."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerError(
                f"{self.folder}: another process is playing this match\n"
                "Wait for it or stop it, or choose another folder (--out)."
            ) from None
        except OSError as error:
            raise LedgerError(f"{self.folder}: cannot be locked: {_reason(error)}") from error

    def _agree(self) -> MatchIdentity:
        """Compare the identity with match.toml and return that, or write it where there is none."""
        if not (self.folder / MATCH_FILE).exists():
            if os.fstat(self._descriptor).st_size:
                raise LedgerError(
                    f"{self.folder}: has {GAMES_FILE} but no {MATCH_FILE}, so nobody can tell what "
                    "was played\nBring it back, or choose another folder (--out)."
                )
            write_identity(self.folder, self.identity)
            return self.identity
        before, asked = read_identity(self.folder), self.identity
        found = differences(before, replace(asked, pairs=min(asked.pairs, before.pairs)))
        if found:
            shown = "; ".join(found[:SHOWN_DIFFERENCES])
            more = len(found) - SHOWN_DIFFERENCES
            advice = "Go on with the settings of its match.toml, or choose another folder (--out)."
            if any(difference.startswith("sprt.") for difference in found):
                advice = "A test is chosen before the first game. " + advice
            raise LedgerError(
                f"{self.folder}: holds a match with other settings\n"
                f"  {shown}{f'; and {more} more' if more > 0 else ''}\n{advice}"
            )
        earlier = {*before.earlier_limits, *asked.earlier_limits, before.pairs} - {asked.pairs}
        self.identity = replace(before, pairs=asked.pairs, earlier_limits=tuple(sorted(earlier)))
        return before

    def _raise_limit(self, before: MatchIdentity) -> None:
        """Write down that the limit of pairs is higher than it was, if it is."""
        if self.identity.earlier_limits != before.earlier_limits:
            write_identity(self.folder, self.identity)
        if self.identity.pairs > before.pairs:
            self.raised_from = before.pairs

    def _load(self) -> None:
        """Read what is there and cut off what a crash has torn."""
        size = os.fstat(self._descriptor).st_size
        try:
            with self._path.open("rb") as file:
                for pair, end in _whole_lines(file, self._path):
                    _check_number(pair.number, self.identity.pairs, self._results)
                    self._results[pair.number] = pair.result
                    self._size = end
            self.torn_bytes = size - self._size
            if self.torn_bytes:
                os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)
            sync_folder(self.folder)
        except OSError as error:
            raise LedgerError(f"{self._path}: cannot be read: {_reason(error)}") from error

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            # The torn line stays; the next append, or the next opening, cuts it off.
            return


def read_pairs(folder: Path) -> Iterator[PairRecord]:
    """Stream the finished pairs of a run folder, in the order in which they finished.

    A match may be adding to them meanwhile. Raises LedgerError where a line is broken.
    """
    limit = read_identity(folder).pairs
    path = folder / GAMES_FILE
    seen: set[int] = set()
    try:
        with path.open("rb") as file:
            for pair, _ in _whole_lines(file, path):
                _check_number(pair.number, limit, seen)
                seen.add(pair.number)
                yield pair
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read: {_reason(error)}") from error


def read_pairs_in_issue_order(folder: Path) -> list[PairRecord]:
    """Read all finished pairs, by number. After an interrupt some numbers may be missing."""
    return sorted(read_pairs(folder), key=lambda pair: pair.number)


def _whole_lines(file: BinaryIO, path: Path) -> Iterator[tuple[PairRecord, int]]:
    """Yield each pair and where its line ends; stop before a last line that is torn."""
    end = 0
    for number, line in enumerate(file, start=1):
        end += len(line)
        if not line.endswith(b"\n"):
            return
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            if not file.read(1):
                return
            raise LedgerError(_broken(path, number, "not JSON")) from None
        try:
            pair = decode_pair(values)
        except ValueError as error:
            raise LedgerError(_broken(path, number, str(error))) from None
        yield pair, end


def impossible_game(where: str | Path, what: object) -> LedgerError:
    """Return the error of a game in the ledger that nobody can have played."""
    return LedgerError(
        f"{where}: {what}\nNo crash of arena does this. Restore the file, or delete the line "
        "to play its pair again."
    )


def _broken(path: Path, line: int, reason: str) -> str:
    return (
        f"{path}, line {line}: broken: {reason}\n"
        "No crash of arena does this. Restore the file, or delete the line to play its pair again."
    )


def _check_number(number: int, limit: int, present: Iterable[int]) -> None:
    if not 0 <= number < limit:
        raise LedgerError(f"{GAMES_FILE}: pair {number} is not one of the match's {limit}")
    if number in present:
        raise LedgerError(f"{GAMES_FILE}: pair {number} is there twice")


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of it; the kernel may take less at a time, as when a disk is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
