"""Which pair starts from which opening.

Deterministic nets play the same game from the same start, so a repeated opening is a repeated
result that the statistics would count as news. Hence openings are drawn without replacement, and
a ``Deck`` also skips entries that lead to a position it has already met.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import chess
import chess.polyglot

from arena.books import EPD, PGN, AnyBook, Book, Dealing, PolyglotBook
from arena.game import Opening
from arena.opening_text import epd_spans, pgn_spans
from arena.start_positions import OpeningError

DEFAULT_BOOK = Path(__file__).parent / "data" / "book.pgn.zip"
"""Made by scripts/make_book.py."""

FORMATS = {".epd": EPD, ".fen": EPD, ".pgn": PGN}
"""Of books that are text."""

POLYGLOT = ".bin"

SIFTED_AT_ONCE = 64
"""Openings that a sieve looks at together. Always the same ones, whoever asks for what first: a net
may say something else of a position, in the last digits, where the others of a batch differ."""

Sieve = Callable[[Sequence[Opening]], Sequence[bool]]
"""Says of some openings which of them are to be played."""


class Deck:
    """The openings of a book in the order they are dealt: one a pair, no final position twice.

    Only those are dealt that ``sieve`` lets through. ``novices`` are players that cannot play
    Chess960, by name: where there are any, it is refused.
    """

    def __init__(
        self,
        book: AnyBook,
        dealing: Dealing | None = None,
        sieve: Sieve | None = None,
        novices: Sequence[str] = (),
    ):
        self._book = book
        self._dealing = dealing or Dealing()
        self._sieve = sieve
        self._novices = novices
        self._distinct = self._without_repeats()
        self._dealt: list[Opening] = []
        self._error: OpeningError | None = None
        self.duplicates = 0
        """How many entries were skipped so far because an earlier one leads to their position."""
        self.sifted = 0
        """How many the sieve has held back so far."""

    def require(self, pairs: int) -> None:
        """Refuse more pairs than the book has entries.

        Raises OpeningError. This is cheap and does not know of duplicates, nor of what a sieve
        holds back, which ``opening`` meets as it deals.
        """
        most = self._book.most(self._dealing)
        if most is not None and pairs > most:
            raise self._exhausted(pairs, most)

    def opening(self, pair: int) -> Opening:
        """Return the opening of pair ``pair``, from 0; the same whatever was asked for before.

        Raises OpeningError where an entry on the way cannot be played, or the book has no more.
        """
        while len(self._dealt) <= pair:
            if self._error is not None:
                raise self._error
            try:
                fresh = list(islice(self._distinct, SIFTED_AT_ONCE if self._sieve else 1))
            except OpeningError as error:
                self._error = error
                continue
            if not fresh:
                raise self._exhausted(pair + 1, len(self._dealt))
            if self._sieve is not None:
                passed = self._sieve(fresh)
                self.sifted += len(fresh) - sum(passed)
                fresh = [one for one, passes in zip(fresh, passed, strict=True) if passes]
            self._dealt += fresh
        return self._dealt[pair]

    def _without_repeats(self) -> Iterator[Opening]:
        positions: set[str] = set()
        for opening in self._book.openings(self._dealing):
            if opening.chess960 and self._novices:
                raise self._unknown_chess(opening)
            position = final_position(opening).epd()
            if position in positions:
                self.duplicates += 1
                continue
            positions.add(position)
            yield opening

    def _unknown_chess(self, opening: Opening) -> OpeningError:
        return OpeningError(
            str(self._book.path),
            f"castling as in Chess960: {opening.fen}",
            f"{' and '.join(self._novices)} cannot play it (a net of input format 1, or an engine "
            "without UCI_Chess960)\nChoose a book of standard chess (--openings) or other players.",
        )

    def _exhausted(self, pairs: int, available: int) -> OpeningError:
        left_out = []
        if self._dealing.start > 1:
            left_out.append(f"from number {self._dealing.start} on")
        if self.duplicates:
            left_out.append(f"{self.duplicates} more repeat a position")
        if self.sifted:
            left_out.append(f"{self.sifted} more are outside of --opening-filter")
        notes = f" ({', '.join(left_out)})" if left_out else ""
        advice = "Play fewer pairs (--pairs) or take a larger book (--openings)."
        if self.sifted:
            advice = "Play fewer pairs (--pairs), take a larger book, or filter less."
        return OpeningError(
            str(self._book.path),
            f"has {available} openings{notes}, too few for {pairs} pairs",
            advice,
        )


def final_position(opening: Opening) -> chess.Board:
    """Return the position in which the nets take over, with the moves before it on its stack."""
    board = opening.board()
    for move in opening.moves:
        board.push_uci(move)
    return board


def default_book() -> Book:
    """Open the book that the arena ships: thousands of level positions after eight plies."""
    book = read_book(DEFAULT_BOOK)
    assert isinstance(book, Book)
    return book


def read_book(path: Path) -> AnyBook:
    """Open a book and split it into entries; of a zip, the first member that is a book.

    Raises OpeningError where there is no such file, it cannot be unpacked, its name does not tell
    a known format, or it has no entry.
    """
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise OpeningError(str(path), "no such file", "Check --openings.") from None
    except IsADirectoryError:
        raise OpeningError(
            str(path), "is a directory", "Name one file: .epd, .fen, .pgn, .bin."
        ) from None
    except OSError as error:
        raise OpeningError(str(path), error.strerror or str(error), "Check --openings.") from None
    if path.suffix.lower() == POLYGLOT:
        return read_polyglot(path, packed)
    name, content = unpack(path, packed)
    book_format = FORMATS.get(Path(name).suffix.lower())
    if book_format is None:
        raise OpeningError(
            str(path),
            "unknown kind of opening book",
            "Name a file that ends in .epd, .fen or .pgn, or in .zip or .gz after one of these, or "
            "in .bin\n(polyglot), not packed.",
        )
    split = epd_spans if book_format is EPD else pgn_spans
    spans = tuple(split(content))
    if not spans:
        raise OpeningError(
            str(path), f"has no opening ({book_format})", "Choose a book with at least one entry."
        )
    return Book(path, hashlib.sha256(packed).hexdigest(), book_format, content, spans)


def read_polyglot(path: Path, content: bytes) -> PolyglotBook:
    """Open a polyglot book. Raises OpeningError where it is none, or has no line to play."""
    try:
        reader = chess.polyglot.MemoryMappedReader(path)
    except OSError:
        raise OpeningError(
            str(path),
            f"is no polyglot book: {len(content):,} bytes are not whole entries of 16",
            "Download or copy it again.",
        ) from None
    book = PolyglotBook(path, hashlib.sha256(content).hexdigest(), reader)
    if not book.entries(chess.Board()):
        raise OpeningError(
            str(path),
            "has no move in the start position",
            "Choose a polyglot book that begins there, with entries sorted by their keys.",
        )
    return book


def unpack(path: Path, packed: bytes) -> tuple[str, bytes]:
    """Return the name that tells the format, and the text, of a file that may be packed."""
    try:
        match path.suffix.lower():
            case ".gz":
                return path.stem, gzip.decompress(packed)
            case ".zip":
                return unzip(path)
            case _:
                return path.name, packed
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        # RuntimeError: zipfile's word for a member that needs a password.
        raise OpeningError(
            str(path), f"cannot be unpacked: {error}", "Download or pack it again."
        ) from None


def unzip(path: Path) -> tuple[str, bytes]:
    """Read the first member whose name tells a format of books."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if Path(name).suffix.lower() in FORMATS:
                return name, archive.read(name)
    raise OpeningError(
        str(path), "holds no .epd, .fen or .pgn file", "Choose an archive with an opening book."
    )
