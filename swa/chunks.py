"""Files of training records: gzipped games, in folders and tars of any size, and back.

Files come from self-play on many machines, over the net: some are cut, some are damaged. What can
be read of a cut one is read; a damaged one is left out, as a whole; both are counted. One game is
in memory at a time.

Tars are read by own code in place of Python's ``tarfile``, which takes a pax header of any length
into memory, and whose older releases never come back from some headers (CVE-2025-8194).
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from swa import planes
from swa.files import write_whole
from swa.legacy_records import is_cut, parse, version_of
from swa.records import LAYOUTS, Damage, RecordError, Records, bytes_reversed, to_v6, validate
from swa.spec import InputFormat

MAX_RECORDS = 2**14
"""Records in a file. lc0's games are far shorter; trainingdata-tool puts 4096 into one file."""

MAX_UNPACKED = MAX_RECORDS * LAYOUTS[7].itemsize
"""Bytes of a file, unpacked: 138 MB."""

_MEN = (0xFF, 0x42, 0x24, 0x81, 0x08, 0x10)  # P N B R Q K at the start, within their rank
_START_BOARD = bytes_reversed(
    np.array(
        [
            *(men << (8 if kind == planes.OUR_PAWNS else 0) for kind, men in enumerate(_MEN)),
            *(men << (48 if kind == planes.OUR_PAWNS else 56) for kind, men in enumerate(_MEN)),
            0,  # it is no repetition
        ],
        np.uint64,
    )
)
_PIECE = 2**16  # bytes that are read at a time
_LEVEL = 6  # of compression, as lc0 writes; 9 takes five times as long for 6 % less
_GZIP = b"\x1f\x8b"
_BLOCK = 512  # bytes; tars are made of them
_DAMAGED = "The file is damaged: download or copy it again."


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The records of one file, or of one game in it (``games_of``)."""

    path: Path
    member: str  # the name inside a tar, else ""
    version: int  # that the file was written in
    records: Records  # [n] V6, read-only


@dataclass(slots=True)
class ReadCounts:
    """What became of all files so far; tar members are files, the tar is not."""

    files: int = 0  # that gave records, cut ones among them
    records: int = 0
    truncated: int = 0  # cut ones; a cut tar is one more
    others: int = 0  # licences and the like, passed over
    repeated: int = 0  # files that were read before by another name or the same
    skipped: Counter[Damage] = field(default_factory=Counter)
    examples: dict[Damage, RecordError] = field(default_factory=dict)  # the first of each

    def skip(self, error: RecordError) -> None:
        """Count a file that is left out."""
        self.skipped[error.damage] += 1
        self.examples.setdefault(error.damage, error)

    def __str__(self) -> str:
        parts = [f"files: {self.files:,}", f"records: {self.records:,}"]
        if self.truncated:
            parts.append(f"truncated: {self.truncated:,}")
        parts += [
            f"skipped ({damage}): {count:,}" for damage, count in sorted(self.skipped.items())
        ]
        return ", ".join(parts)


def read_records(
    source: Path | Sequence[Path], counts: ReadCounts | None = None
) -> Iterator[Chunk]:
    """The games in files and folders, one by one; ``counts`` is kept up to date meanwhile.

    A file is gzipped records, bare records, or a tar of such files. Folders are read with all that
    is in them: each one's files by name, then its folders by name. Hidden ones, and files that
    claim to be none of the three, are passed over. A file is read once, however often it is named:
    by itself, in a folder, by links. Raises RecordError at once where a source does not exist;
    everything found wrong later is counted and left out.
    """
    counts = ReadCounts() if counts is None else counts
    files = _files_of(_existing(source), counts)
    return (chunk for file in files for chunk in _read_file(file, counts))


def list_files(source: Path | Sequence[Path]) -> list[Path]:
    """The files that ``read_records`` reads, in its order. Raises RecordError as it does."""
    return [file.path for file in _files_of(_existing(source), ReadCounts())]


def _existing(source: Path | Sequence[Path]) -> list[Path]:
    paths = [source] if isinstance(source, Path) else list(source)
    for path in paths:
        if not os.path.exists(path):  # Path.exists raises where a folder may not be looked into
            raise RecordError(
                Damage.UNREADABLE, "no such file or folder", "Check the path.", _shown(str(path))
            )
    return paths


def games_of(chunk: Chunk) -> Iterator[Chunk]:
    """The games in a file, in order: one if lc0 wrote it; trainingdata-tool puts dozens into one.

    A game begins where there is a board and none before it: the start position's history is empty
    (lc0 src/neural/encoder.cc, ``FillEmptyHistory::FEN_ONLY``). In canonical input formats it is
    after every capture, too; there the board must be the start position's. Positions that were left
    out of a game do not cut it. Games that begin elsewhere have their first board for a history,
    and are not told from the game before.
    """
    boards = chunk.records["planes"].reshape(-1, planes.HISTORY, planes.PLANES_PER_POSITION)
    now, before = (boards[:, back, : planes.REPETITION].any(axis=1) for back in (0, 1))
    canonical = chunk.records["input_format"] >= InputFormat.WITH_CANONICALIZATION
    now &= ~canonical | (boards[:, 0] == _START_BOARD).all(axis=1)
    starts = np.flatnonzero(now & ~before)
    ends = [*starts[starts > 0].tolist(), len(chunk.records)]
    for first, end in zip([0, *ends], ends, strict=False):
        yield replace(chunk, records=chunk.records[first:end])


def write_chunk(path: Path, records: Records) -> None:
    """Write a game as a gzipped V6 file, as lc0 does; whole or not at all.

    Raises RecordError for records that ``read_records`` would refuse, OSError where the file cannot
    be written.
    """
    write_whole(path, pack_chunk(records))


def pack_chunk(records: Records) -> bytes:
    """The file that ``write_chunk`` writes.

    ``records`` are of any of ``LAYOUTS``; of V6 every bit is kept. The same records give the same
    bytes under the same zlib, there being no time or name in them. Raises RecordError for records
    that ``read_records`` would refuse.
    """
    records = to_v6(records)
    if not 0 < len(records) <= MAX_RECORDS:
        raise RecordError(
            Damage.TOO_LONG if len(records) else Damage.NOT_RECORDS,
            f"a file holds 1 to {MAX_RECORDS:,} records, not {len(records):,}",
        )
    if (records["version"] != 6).any():
        raise RecordError(Damage.VERSION, "V6 records that do not call themselves version 6")
    validate(records)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", _LEVEL, packed, mtime=0) as file:
        file.write(records.tobytes())
    return packed.getvalue()


class _File(NamedTuple):
    """A file or a tar's member, about to be read."""

    path: Path
    member: str
    asked_for: bool  # by name, and not found in a folder or tar

    @property
    def shown(self) -> str:
        """Where it is, on one line."""
        return _shown(f"{self.path}:{self.member}" if self.member else str(self.path))

    @property
    def claims_records(self) -> bool:
        """Whether to complain if there are none in it."""
        return self.asked_for or (self.member or self.path.name).endswith((".gz", ".tar"))


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _files_of(paths: list[Path], counts: ReadCounts) -> Iterator[_File]:
    """The files to be read; those that had their turn are counted."""
    seen = set[tuple[int, int]]()
    for file in _files_named(paths, counts):
        try:
            status = file.path.stat()
        except OSError:
            yield file  # reading it will tell
            continue
        identity = (status.st_dev, status.st_ino)
        if status.st_ino and identity in seen:  # some network file systems number nothing
            counts.repeated += 1
        else:
            seen.add(identity)
            yield file


def _files_named(paths: list[Path], counts: ReadCounts) -> Iterator[_File]:
    for path in paths:
        if not os.path.isdir(path):
            yield _File(path, "", asked_for=True)
            continue

        def unreadable(error: OSError) -> None:
            counts.skip(_unreadable(error, _shown(str(error.filename))))

        for folder, subfolders, names in os.walk(path, onerror=unreadable):
            subfolders[:] = _in_order(subfolders)
            for name in _in_order(names):
                yield _File(Path(folder, name), "", asked_for=False)


def _in_order(names: list[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _unreadable(error: OSError, path: str) -> RecordError:
    reason = f"cannot be read: {error.strerror or error}"
    return RecordError(Damage.UNREADABLE, reason, "Check its permissions and the disk.", path)


def _read_file(file: _File, counts: ReadCounts) -> Iterator[Chunk]:
    """The chunks of a file of any kind, and the counting of whatever is wrong."""
    try:
        if not file.path.is_file():  # a pipe would be waited for for ever
            if file.asked_for:
                reason, remedy = "neither a file nor a folder", "Name files or folders of records."
                counts.skip(RecordError(Damage.UNREADABLE, reason, remedy, file.shown))
            else:
                counts.others += 1
            return
        with file.path.open("rb") as stream:
            head = stream.read(_BLOCK)
            stream.seek(0)
            if _is_tar(head) or (file.path.suffix == ".tar" and head[:2] != _GZIP):
                yield from _read_tar(file, stream, counts)
            else:
                yield from _read_chunk(file, head, _pieces(stream), counts)
    except OSError as error:
        counts.skip(_unreadable(error, file.shown))


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _pieces(stream: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """What follows in a stream, up to ``size`` bytes or the end."""
    left = _PIECE if size is None else size
    while left and (piece := stream.read(min(left, _PIECE))):
        yield piece
        left -= len(piece) if size is not None else 0


def _read_chunk(
    file: _File, head: bytes, pieces: Iterator[bytes], counts: ReadCounts
) -> Iterator[Chunk]:
    """The chunk that a file's or member's bytes are, or nothing, but counted."""
    gzipped = _GZIP.startswith(head[:2])  # or cut before one could tell
    if not (file.claims_records or version_of(head) or (head and gzipped)):
        counts.others += 1
        return
    try:
        if gzipped:
            data, cut = _gunzipped(pieces)
        else:
            data, cut = _bare(pieces) if version_of(head) else (head, False)
        if gzipped and _is_tar(data[:_BLOCK]):
            raise RecordError(Damage.NOT_RECORDS, "a gzipped tar: unpack it with gunzip")
        records = parse(data, cut)
    except RecordError as error:
        counts.skip(RecordError(error.damage, error.reason, error.remedy or _DAMAGED, file.shown))
        return
    counts.truncated += cut
    if len(records):
        counts.files += 1
        counts.records += len(records)
        yield Chunk(file.path, file.member, version_of(data) or 0, records)


def _gunzipped(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """The bytes of a gzip file, and whether its end is missing.

    As in lc0 (zlib's gzread), members that follow each other are one file, and what follows
    without being a member is ignored.
    """
    parts: list[bytes] = []
    size, members, member, rest = 0, 1, zlib.decompressobj(wbits=31), b""
    for piece in pieces:
        rest += piece
        while rest:
            if member.eof:
                if len(rest) < len(_GZIP):
                    break
                if not rest.startswith(_GZIP):
                    return b"".join(parts), False
                member, members = zlib.decompressobj(wbits=31), members + 1
            try:
                part = member.decompress(rest, MAX_UNPACKED + 1 - size)
            except zlib.error as error:
                raise RecordError(Damage.GZIP, f"gzip cannot unpack it ({error})") from error
            rest, size = member.unused_data, size + len(part)
            parts += [part] if part else []
            if size > MAX_UNPACKED or members > MAX_RECORDS:
                raise _too_long()
    data = b"".join(parts)
    return data, not member.eof


def _bare(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """The bytes of a file that is not packed, and whether its last record is incomplete."""
    parts, size = [], 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > MAX_UNPACKED:
            raise _too_long()
    data = b"".join(parts)
    return data, is_cut(data)


def _too_long() -> RecordError:
    return RecordError(
        Damage.TOO_LONG,
        f"unpacks to more than {MAX_RECORDS:,} records: no game is so long",
        "If it is a .tar.gz, unpack it with gunzip; else leave it out.",
    )


def _read_tar(file: _File, stream: BinaryIO, counts: ReadCounts) -> Iterator[Chunk]:
    """The chunks of a tar's members, up to its end or to a damaged header."""
    end, place = stream.seek(0, os.SEEK_END), 0
    while True:
        stream.seek(place)
        header = stream.read(_BLOCK)
        if len(header) < _BLOCK:  # POSIX: blocks of zeros are the end
            counts.truncated += 1
            return
        if not any(header):
            return
        try:
            name, size, regular = _tar_header(header)
        except RecordError as error:
            counts.skip(RecordError(error.damage, error.reason, _DAMAGED, file.shown))
            return
        place += _BLOCK
        if regular:
            head = stream.read(min(size, _BLOCK))
            stream.seek(place)
            member = _File(file.path, name, asked_for=False)
            if name.rpartition("/")[2].startswith("."):
                counts.others += 1
            else:
                yield from _read_chunk(member, head, _pieces(stream, size), counts)
        place = min(place + -(-size // _BLOCK) * _BLOCK, end)


def _tar_header(header: bytes) -> tuple[str, int, bool]:
    """Name, size and whether it is a file, of a member (POSIX.1-1988 ustar, GNU's long sizes).

    The long names that pax and GNU tar put into members of their own are not looked for: a name is
    only for messages. Raises RecordError where the checksum does not hold.
    """
    checksum = _tar_number(header[148:156])
    if checksum != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise RecordError(Damage.TAR, "the tar is damaged: the checksum of a member is wrong")
    prefix, name = (
        field.split(b"\0")[0].decode(errors="replace") for field in (header[345:500], header[:100])
    )
    regular = header[156:157] in (b"0", b"\0")
    return f"{prefix}/{name}" if prefix else name, _tar_number(header[124:136]), regular


def _tar_number(field: bytes) -> int:
    if field[0] == 0x80:  # GNU: in binary what eleven octal digits cannot say
        return int.from_bytes(field[1:])
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise RecordError(Damage.TAR, "the tar is damaged: a member's header has no numbers")
    return int(digits or b"0", 8)
