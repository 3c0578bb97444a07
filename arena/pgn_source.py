"""Files of PGN of any size and packing, one game's text after the other.

Collections are downloads of many gigabytes, put together by many programs: memory stays bounded,
and what is broken in one game does not reach the next. Where a game ends is decided here and not by
a parser, which would follow an unclosed comment to the end of the file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from arena.opening_text import RESULT_AT_END, without_comments

STDIN = Path("-")

MAX_TEXT = 2**20
"""Bytes of one game's text; the longest annotated games have a fifth of it."""

_PIECE = 2**16  # bytes that are read at a time
_TAG = re.compile(rb'\[\s*[A-Za-z]\w*\s+"')
_EVENT = re.compile(rb'\[\s*Event\s+"', re.IGNORECASE)
_PACKED: tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
"""How a packed file begins, and what reads it."""

_BOM = b"\xef\xbb\xbf"
_OTHER_TEXT = (b"\xff\xfe", b"\xfe\xff")  # UTF-16's byte order marks

_UNPACKING = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)
"""What Python's own readers raise; RuntimeError is zipfile's word for a password."""


class SourceError(ValueError):
    """A file that cannot be read, or not to its end: where, why, and what to do."""

    def __init__(self, where: str, reason: str, remedy: str):
        super().__init__(f"{where}: {reason}\n{remedy}")


class GameText(NamedTuple):
    """One game as it stands in a file."""

    source: str  # the file, and the member of a zip
    number: int  # in that source, from 1
    line: int  # that it begins at, from 1
    text: bytes  # tags and moves; of more than MAX_TEXT the beginning
    whole: bool  # False for text that is too long


@dataclass(slots=True)
class Reading:
    """How far a source was read, in bytes as they lie on the disk."""

    done: Callable[[], int] = lambda: 0


def check_source(path: Path) -> int:
    """The size of a file in bytes, 0 for a pipe; raises SourceError if it cannot be opened."""
    try:
        if path == STDIN or path.is_fifo():  # to open it would be to begin reading
            return 0
        with path.open("rb"):
            return path.stat().st_size
    except IsADirectoryError:
        remedy = "Name its files, as in games/*.pgn."
        raise SourceError(str(path), "is a folder", remedy) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SourceError(str(path), reason, "Check the path and its permissions.") from None


def read_games(path: Path, reading: Reading | None = None) -> Iterator[GameText]:
    """The games of a file: plain text, gzip, bzip2, xz, zip (each .pgn in it), or "-" for stdin.

    What it is, its first bytes tell, not its name. Zstandard can be read where Python can (3.14).
    Raises SourceError, after the games before it, where the file is damaged; a game that is cut
    there is left out.
    """
    with ExitStack() as stack:
        try:
            raw = _open(path, stack)
            if reading is not None and raw.seekable():
                reading.done = raw.tell
            for name, stream in _texts(path, raw, stack):
                yield from _split(name, stream)
        except _UNPACKING as error:
            raise SourceError(
                _shown(path),
                f"cannot be read to its end: {error or type(error).__name__}",
                "Download or pack it again.",
            ) from None
        finally:
            if reading is not None:
                reading.done = lambda: 0


def _shown(path: Path) -> str:
    return "stdin" if path == STDIN else str(path)


def _open(path: Path, stack: ExitStack) -> io.BufferedReader:
    if path == STDIN:
        return cast(io.BufferedReader, sys.stdin.buffer)
    return stack.enter_context(path.open("rb"))


def _texts(path: Path, raw: io.BufferedReader, stack: ExitStack) -> Iterator[tuple[str, BinaryIO]]:
    """The unpacked texts in a file, by name."""
    head, name = raw.peek(6)[:6], _shown(path)
    for magic, unpacked in _PACKED:
        if head.startswith(magic):
            yield name, stack.enter_context(unpacked(raw))
            return
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        yield name, _zstandard(path, raw, stack)
    elif head.startswith(b"PK\x03\x04"):
        if not raw.seekable():
            raise SourceError(name, "a zip cannot be read from a pipe", "Name the file.")
        archive = stack.enter_context(zipfile.ZipFile(raw))
        members = [each for each in archive.namelist() if each.lower().endswith(".pgn")]
        if not members:
            raise SourceError(name, "holds no .pgn file", "Choose an archive of PGN games.")
        for member in members:
            with archive.open(member) as stream:
                yield f"{name}:{member}", cast(BinaryIO, stream)
    elif head.startswith(_OTHER_TEXT):
        remedy = f"Convert it: iconv -f UTF-16 -t UTF-8 {name} > utf8.pgn"
        raise SourceError(name, "is UTF-16, which PGN never is", remedy)
    else:
        yield name, raw


def _zstandard(path: Path, raw: BinaryIO, stack: ExitStack) -> BinaryIO:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        remedy = f"Unpack it on the way: zstd -dc {_shown(path)} | arena import-pgn - ..."
        reason = "Zstandard can be read by Python from 3.14 on only"
        raise SourceError(_shown(path), reason, remedy) from None
    return cast(BinaryIO, stack.enter_context(zstd.ZstdFile(raw)))


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends, those of old Macs too; longer ones than ``MAX_TEXT`` in pieces."""
    rest = b""
    while piece := stream.read(_PIECE):
        lines = (rest + piece).splitlines(keepends=True)
        # The last one may go on; so may \r, with \n.
        rest = lines.pop() if not lines[-1].endswith(b"\n") else b""
        yield from lines
        if len(rest) > MAX_TEXT:
            yield rest
            rest = b""
    if rest:
        yield rest


class _Pending:
    """The lines of one game as they come in."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.lines: list[bytes] = []
        self.size = 0
        self.has_tags = self.has_event = self.has_text = self.has_moves = False
        self.in_comment = False

    def add(self, line: bytes) -> None:
        if self.size <= MAX_TEXT:
            self.lines.append(line)
        self.size += len(line)


def _split(source: str, stream: BinaryIO) -> Iterator[GameText]:
    """Find the games of a text, tags included.

    A game ends with its result at the end of a line, or where another one's tags begin; an
    ``Event`` at the beginning of a line does so inside a comment, too, which then was never closed,
    and behind anything that is no tag.
    Blank lines mean nothing: many programs write them between moves.
    """
    number, pending = 0, _Pending(1)

    def game() -> GameText:
        text = b"".join(pending.lines)[:MAX_TEXT]
        return GameText(source, number, pending.line, text, pending.size <= MAX_TEXT)

    for place, line in enumerate(_lines(stream), start=1):
        text = line.strip().removeprefix(_BOM)
        if not pending.in_comment and text.startswith(b"%"):
            continue
        is_event = _EVENT.match(text) is not None
        if is_event or (not pending.in_comment and _TAG.match(text)):
            if pending.has_moves or (is_event and (pending.has_event or pending.has_text)):
                number += 1
                yield game()
                pending = _Pending(place)
            elif not pending.has_tags:  # what stood before it belongs to no game
                pending = _Pending(place)
            pending.has_tags, pending.has_event = True, pending.has_event or is_event
            pending.has_text |= not text.endswith(b"]")  # a tag that ends in something else
            pending.add(line)
            continue
        pending.add(line)
        pending.has_text |= pending.has_tags and bool(text)
        moves, pending.in_comment = without_comments(text, pending.in_comment)
        pending.has_moves |= bool(moves)
        if moves and RESULT_AT_END.search(moves):
            number += 1
            yield game()
            pending = _Pending(place + 1)
    if pending.has_moves or pending.has_tags:
        number += 1
        yield game()
