"""Books of openings, and which pair starts from which opening.

Deterministic nets play the same game from the same start, so a repeated opening is a repeated
result that the statistics would count as news. Hence openings are drawn without replacement, and
a ``Deck`` also skips entries that lead to a position it has already dealt.

A book is a file of EPD or FEN lines or of PGN games, plain, gzipped or zipped. It is split into
entries when it is opened and parsed entry by entry when they are drawn: a book of 240,000 lines
opens in a fraction of a second. PGN openings keep their moves, since the nets look at the last
eight positions; an EPD opening is its position alone.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import chess

from arena.game import Opening

DEFAULT_BOOK = Path(__file__).parent / "data" / "book.pgn.zip"
"""Made by scripts/make_book.py."""


class OpeningError(ValueError):
    """A book, or an entry of it, that no match can start from: where, why, and what to do."""

    def __init__(self, where: str, reason: str, remedy: str):
        super().__init__(f"{where}: {reason}\n{remedy}")


class BookFormat(StrEnum):
    """How the entries of a book are written."""

    EPD = "EPD"
    PGN = "PGN"


EPD, PGN = BookFormat.EPD, BookFormat.PGN
FORMATS = {".epd": EPD, ".fen": EPD, ".pgn": PGN}


@dataclass(frozen=True, slots=True)
class Book:
    """The entries of one file, parsed when asked for.

    ``sha256`` is of the file as it lies on the disk, ``content`` is unpacked, and ``spans`` holds
    the first and one past the last byte of each entry.
    """

    path: Path
    sha256: str
    format: BookFormat
    content: bytes = field(repr=False)
    spans: tuple[tuple[int, int], ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.spans)

    def opening(self, index: int) -> Opening:
        """Parse entry ``index``, from 0.

        Raises OpeningError where it holds no legal position or an illegal move, or the game is
        already over.
        """
        start, end = self.spans[index]
        text = decode(self.content[start:end])
        try:
            if self.format is EPD:
                return epd_opening(text)
            return pgn_opening(text)
        except ValueError as error:
            line = len(self.content[:start].splitlines()) + 1
            entry = f"game {index + 1} (line {line})" if self.format is PGN else f"line {line}"
            raise OpeningError(
                f"{self.path}, {entry}", str(error), "Correct or remove this opening."
            ) from None


class Deck:
    """The openings of a book in the order they are dealt: one a pair, no final position twice."""

    def __init__(self, book: Book, order: Sequence[int]):
        self._book = book
        self._left = iter(order)
        self._dealt: list[Opening] = []
        self._positions: set[str] = set()
        self.duplicates = 0
        """How many entries were skipped so far because an earlier one leads to their position."""

    def require(self, pairs: int) -> None:
        """Refuse more pairs than the book has entries.

        Raises OpeningError. This is cheap and does not know of duplicates, which ``opening`` meets
        as it deals.
        """
        if pairs > len(self._book):
            raise self._exhausted(pairs, len(self._book))

    def opening(self, pair: int) -> Opening:
        """Return the opening of pair ``pair``, from 0; the same whatever was asked for before.

        Raises OpeningError where an entry on the way cannot be played, or the book has no more.
        """
        while len(self._dealt) <= pair:
            index = next(self._left, None)
            if index is None:
                raise self._exhausted(pair + 1, len(self._dealt))
            opening = self._book.opening(index)
            position = final_position(opening).epd()
            if position in self._positions:
                self.duplicates += 1
                continue
            self._positions.add(position)
            self._dealt.append(opening)
        return self._dealt[pair]

    def _exhausted(self, pairs: int, available: int) -> OpeningError:
        repeated = f" ({self.duplicates} more repeat a position)" if self.duplicates else ""
        return OpeningError(
            str(self._book.path),
            f"has {available} openings{repeated}, too few for {pairs} pairs",
            "Play fewer pairs (--pairs) or take a larger book (--openings).",
        )


def shuffled(entries: int, seed: int) -> list[int]:
    """Return a permutation of ``range(entries)`` that depends on the seed alone.

    Entries are sorted by the sha256 of (seed, index). Neither numpy nor ``random`` promises that
    its shuffle stays the same from version to version; a resumed or replayed match needs that.
    """
    prefix = hashlib.sha256(f"opening order {seed} ".encode())

    def key(index: int) -> bytes:
        digest = prefix.copy()
        digest.update(str(index).encode())
        return digest.digest()

    return sorted(range(entries), key=key)


def final_position(opening: Opening) -> chess.Board:
    """Return the position in which the nets take over, with the moves before it on its stack."""
    board = chess.Board(opening.fen)
    for move in opening.moves:
        board.push_uci(move)
    return board


def default_book() -> Book:
    """Open the book that the arena ships: thousands of level positions after eight plies."""
    return read_book(DEFAULT_BOOK)


def read_book(path: Path) -> Book:
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
            str(path), "is a directory", "Name one file, .epd, .fen or .pgn (or .zip, .gz of one)."
        ) from None
    except OSError as error:
        raise OpeningError(str(path), error.strerror or str(error), "Check --openings.") from None
    name, content = unpack(path, packed)
    book_format = FORMATS.get(Path(name).suffix.lower())
    if book_format is None:
        raise OpeningError(
            str(path),
            "unknown kind of opening book",
            "Name a file that ends in .epd, .fen or .pgn, or in .zip or .gz after one of these.",
        )
    split = epd_spans if book_format is EPD else pgn_spans
    spans = tuple(split(content))
    if not spans:
        raise OpeningError(
            str(path), f"has no opening ({book_format})", "Choose a book with at least one entry."
        )
    return Book(path, hashlib.sha256(packed).hexdigest(), book_format, content, spans)


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


def decode(text: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, else ISO 8859-1, PGN's first encoding."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


# --- EPD ---

LINE = re.compile(rb"[^\r\n]+")
OPERATION = re.compile(r"""\s*(?P<code>[^\s;"]+)\s*(?P<operand>(?:"[^"]*"|[^;"])*)(?:;|$)""")


def epd_spans(content: bytes) -> Iterator[tuple[int, int]]:
    """Find the lines that are neither blank nor a comment."""
    for match in LINE.finditer(content):
        text = match.group().strip()
        if text and not text.startswith(b"#"):
            yield match.span()


def epd_opening(line: str) -> Opening:
    """Read four fields and EPD operations, or a FEN of six fields, or a mixture.

    Of the operations, ``id`` gives the name, ``hmvc`` and ``fmvn`` the two counters; the others
    are ignored, also where they would be wrong.
    """
    fields = line.split(maxsplit=4)
    if len(fields) < 4:
        raise ValueError(f"not an EPD or FEN line: {line.strip()[:80]!r}")
    counters = re.match(r"(\d+)\s+(\d+)(?!\S)", fields[4]) if len(fields) == 5 else None
    operations: dict[str, str] = {}
    if len(fields) == 5:
        for match in OPERATION.finditer(fields[4], counters.end() if counters else 0):
            operations[match["code"]] = match["operand"].strip().strip('"')
    clock, move_number = counters.groups() if counters else ("0", "1")
    clock = operations.get("hmvc", clock)
    move_number = operations.get("fmvn", move_number)
    board = legal_board(" ".join([*fields[:4], clock, move_number]))
    check_not_over(board)
    return Opening(board.fen(), (), operations.get("id", ""))


# --- PGN ---

COMMENT = re.compile(rb"\{[^}]*\}|;[^\r\n]*")
RESULTS = ("*", "1-0", "0-1", "1/2-1/2")
RESULT_AT_END = re.compile(rb"(?:^|[\s)])(?:\*|1-0|0-1|1/2-1/2)$")
TAG = re.compile(r"""\[\s*(?P<name>\w+)\s+"(?P<value>(?:[^"\\]|\\.)*)"\s*\]""")
VITAL_TAG = re.compile(r"\s*\[\s*(?:fen|variant)\b", re.IGNORECASE)
TOKEN = re.compile(r"""\{[^}]*\}|;[^\r\n]*|^%[^\r\n]*|[(){}]|\$\d+|[^\s(){};$]+|\S""", re.MULTILINE)
MOVE_NUMBER = re.compile(r"\d+(?:\.+|$)|\.+")
SAME_RULES = {"", "?", "standard", "chess", "normal", "from position"}


def pgn_spans(content: bytes) -> Iterator[tuple[int, int]]:
    """Find the games, tags included.

    A game ends with its result, with a blank line after its moves, or where another game's tags
    begin. What looks like any of these inside a comment does not count.
    """
    start: int | None = None
    preface = 0  # where the last line began that was not all inside a comment
    has_moves = has_gap = in_comment = False
    position = 0
    for line in content.splitlines(keepends=True):
        begin, position = position, position + len(line)
        text = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not in_comment:
            if text.startswith(b"%"):
                continue
            is_tag = text.startswith(b"[")
            ends = (has_moves or has_gap) if is_tag else (has_moves and not text)
            if start is not None and ends:
                yield start, begin
                start, has_moves, has_gap = None, False, False
            if is_tag:
                start = begin if start is None else start
                continue
            if not text:
                has_gap = start is not None
                continue
            preface = begin
        text, in_comment = without_comments(text, in_comment)
        if text:
            start = preface if start is None else start
            has_moves = True
            if RESULT_AT_END.search(text):
                yield start, position
                start, has_moves, has_gap = None, False, False
    if start is not None:
        yield start, len(content)


def without_comments(text: bytes, in_comment: bool) -> tuple[bytes, bool]:
    """Return one line's moves, and whether a comment is still open at its end."""
    if in_comment:
        _, closed, text = text.partition(b"}")
        if not closed:
            return b"", True
    if b"{" in text or b";" in text:
        text = COMMENT.sub(b"", text)
        text, opened, _ = text.partition(b"{")
        return text.strip(), bool(opened)
    return text.strip(), False


def pgn_opening(game: str) -> Opening:
    """Read the main line of a game, from its FEN tag or the start position."""
    tags: dict[str, str] = {}
    lines = re.split(r"\r\n?|\n", game)
    while lines and (not lines[0].strip() or lines[0].lstrip()[0] in "[%"):
        line = lines.pop(0)
        for match in TAG.finditer(line):
            tags[match["name"].lower()] = re.sub(r"\\(.)", r"\1", match["value"]).strip()
        if not tags.keys() & {"fen", "variant"} and VITAL_TAG.match(line):
            raise ValueError(f"unreadable tag {line.strip()}")
    variant = tags.get("variant", "")
    if variant.lower() not in SAME_RULES:
        raise ValueError(f"the variant {variant!r} is not supported")
    board = legal_board(tags.get("fen", chess.STARTING_FEN))
    fen = board.fen()
    moves = []
    for san in main_line("\n".join(lines)):
        try:
            move = board.parse_san(san)
        except ValueError:
            move = chess.Move.null()
        if not move:
            number = f"{board.fullmove_number}{'.' if board.turn == chess.WHITE else '...'}"
            raise ValueError(f"{number} {san} is not a legal move")
        moves.append(board.uci(move))
        board.push(move)
    check_not_over(board)
    return Opening(fen, tuple(moves), opening_name(tags))


def main_line(movetext: str) -> Iterator[str]:
    """Find the moves in SAN up to the result, without comments, variations, numbers and glyphs."""
    depth = 0
    for match in TOKEN.finditer(movetext):
        token = match.group()
        if token == "{":
            raise ValueError("a comment is opened with '{' and never closed")
        if token[0] in "{;%$":
            continue
        if token in "()":
            depth += 1 if token == "(" else -1
        elif depth == 0:
            if token in RESULTS:
                return
            san = token[number.end() :] if (number := MOVE_NUMBER.match(token)) else token
            san = san.rstrip("!?")
            if san and san != "e.p.":
                yield san
    if depth != 0:
        raise ValueError("a variation is opened with '(' and never closed, or the reverse")


def opening_name(tags: dict[str, str]) -> str:
    """Return the opening's ECO code and name where a tag gives them, else the event."""
    parts = [tags[tag] for tag in ("eco", "opening") if tags.get(tag, "?") not in ("", "?")]
    event = tags.get("event", "?")
    return " ".join(parts) or ("" if event == "?" else event)


# --- both ---


def legal_board(fen: str) -> chess.Board:
    """Set up the position of a FEN.

    Raises ValueError where it is not a FEN, or no game of standard chess can reach it.
    """
    try:
        board = chess.Board(fen)
    except ValueError as error:
        raise ValueError(f"invalid FEN: {error}") from None
    status = board.status()
    if status != chess.STATUS_VALID:
        faults = ", ".join(flag.name.lower().replace("_", " ") for flag in status if flag.name)
        raise ValueError(f"impossible position ({faults}): {fen}")
    return board


def check_not_over(board: chess.Board) -> None:
    """Refuse a position in which there is nothing left to play.

    Raises ValueError on checkmate, stalemate, insufficient material, the 50-move rule and a third
    occurrence: what ends a game at once also ends it before it starts.
    """
    if not any(board.generate_legal_moves()):
        over = "checkmate" if board.is_check() else "stalemate"
    elif board.is_insufficient_material():
        over = "insufficient material"
    elif board.halfmove_clock >= 100:
        over = "the 50-move rule"
    elif board.is_repetition(3):
        over = "a third occurrence of the position"
    else:
        return
    raise ValueError(f"the game is already over by {over}: {board.fen()}")
