"""Books of openings: what is in them, and in which order it is taken.

A book is a file of EPD or FEN lines or of PGN games, plain, gzipped or zipped, or a polyglot book.
The former is split into entries when it is opened and parsed entry by entry when they are drawn: a
book of 240,000 lines opens in a fraction of a second. In a polyglot book an opening is a line that
leads from the start position from entry to entry.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, islice
from pathlib import Path
from typing import Literal

import chess
import chess.polyglot

from arena.game import Opening, game_seed, written
from arena.opening_text import decode, epd_opening, pgn_opening
from arena.start_positions import OpeningError, check_not_over


class BookFormat(StrEnum):
    """How the entries of a book are written."""

    EPD = "EPD"
    PGN = "PGN"


EPD, PGN = BookFormat.EPD, BookFormat.PGN


@dataclass(frozen=True, slots=True)
class Dealing:
    """Which openings of a book are taken, and in which order."""

    order: Literal["random", "sequential"] = "random"
    seed: int = 0  # of the random order
    plies: int | None = None  # most moves of an opening that are played; None: all
    start: int = 1  # number, in that order, of the first opening that is taken


@dataclass(frozen=True, slots=True)
class Book:
    """The entries of one text file, parsed when asked for.

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

    def opening(self, index: int, plies: int | None = None) -> Opening:
        """Parse entry ``index``, from 0; of a game, no more than its first ``plies``.

        Raises OpeningError where it holds no legal position or an illegal move, or the game is
        already over.
        """
        start, end = self.spans[index]
        text = decode(self.content[start:end])
        try:
            return epd_opening(text) if self.format is EPD else pgn_opening(text, plies)
        except ValueError as error:
            line = len(self.content[:start].splitlines()) + 1
            entry = f"game {index + 1} (line {line})" if self.format is PGN else f"line {line}"
            raise OpeningError(
                f"{self.path}, {entry}", str(error), "Correct or remove this opening."
            ) from None

    def openings(self, dealing: Dealing) -> Iterator[Opening]:
        """Yield the openings as they are taken; each is parsed when it is its turn.

        Raises OpeningError as ``opening`` does, and where there are no moves to be cut.
        """
        if dealing.plies is not None and self.format is EPD:
            raise OpeningError(
                str(self.path),
                f"--plies {dealing.plies}: its openings are positions, without moves",
                "Leave out --plies, or take a book of lines (.pgn, .bin).",
            )
        entries = len(self)
        order: Sequence[int] = range(entries)
        if dealing.order == "random":
            order = shuffled(entries, dealing.seed)
        return (self.opening(index, dealing.plies) for index in order[dealing.start - 1 :])

    def most(self, dealing: Dealing) -> int:
        """How many openings there can be at most."""
        return max(0, len(self) - (dealing.start - 1))


@dataclass(frozen=True, slots=True)
class PolyglotBook:
    """A polyglot book: moves with weights for positions, found by a hash.

    Format: http://hgm.nubati.net/book_format.html, read by python-chess. Moves of weight 0 are not
    played, as polyglot itself does not, nor those that are not legal where two positions share a
    hash, or that lead back to a position of their own line.
    """

    path: Path
    sha256: str
    reader: chess.polyglot.MemoryMappedReader = field(repr=False)

    def __len__(self) -> int:
        return len(self.reader)

    def openings(self, dealing: Dealing) -> Iterator[Opening]:
        """Yield lines of the book, none of them twice, until there is no other one left.

        A line ends after ``plies`` moves or where the book does. In random order each move is drawn
        by its weight among those behind which there are lines left; in sequential order it is the
        heaviest of them, so that lines come as in a tree that is searched depth first. Lines at
        whose end the game is over are left out.
        """
        return islice(self._lines(dealing), dealing.start - 1, None)

    def most(self, dealing: Dealing) -> None:
        """How many openings there can be is not known before they have been dealt."""

    def _lines(self, dealing: Dealing) -> Iterator[Opening]:
        # By the moves that lead to a position: those behind which all lines have been taken.
        spent: defaultdict[tuple[chess.Move, ...], set[chess.Move]] = defaultdict(set)

        def left(board: chess.Board) -> list[chess.polyglot.Entry]:
            if board.ply() == dealing.plies:
                return []
            used = spent.get(tuple(board.move_stack), set())
            return [entry for entry in self.entries(board) if entry.move not in used]

        board = chess.Board()
        choices = left(board)
        for number in count():
            if not choices:
                return
            moves = []
            while choices:
                seed = game_seed(dealing.seed, number, f"book ply {board.ply()}")
                move = _drawn(choices, seed) if dealing.order == "random" else choices[0].move
                moves.append(written(board, move))
                board.push(move)
                choices = left(board)
            if not _is_over(board):
                yield Opening(chess.STARTING_FEN, tuple(moves))
            while board.move_stack and not choices:
                spent.pop(tuple(board.move_stack), None)
                move = board.pop()
                spent[tuple(board.move_stack)].add(move)
                choices = left(board)
            board, choices = chess.Board(), left(chess.Board())

    def entries(self, board: chess.Board) -> list[chess.polyglot.Entry]:
        """Return the moves that the book may play, the heaviest first."""
        playable = []
        for entry in self.reader.find_all(board):
            board.push(entry.move)
            repeats = board.is_repetition(2)
            board.pop()
            if not repeats:
                playable.append(entry)
        return sorted(playable, key=lambda entry: -entry.weight)


AnyBook = Book | PolyglotBook


def _drawn(choices: Sequence[chess.polyglot.Entry], seed: int) -> chess.Move:
    """Draw a move in proportion to its weight; ``seed`` has 64 bits."""
    place = seed * sum(entry.weight for entry in choices) >> 64
    for entry in choices:
        if place < entry.weight:
            return entry.move
        place -= entry.weight
    raise AssertionError("a place is below the sum of the weights")


def _is_over(board: chess.Board) -> bool:
    try:
        check_not_over(board)
    except ValueError:
        return True
    return False


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
