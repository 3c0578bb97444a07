"""Polyglot books: every line once, by weight or depth first."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import chess
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polyglot_writer import Entry, write_polyglot

from arena.books import Dealing, PolyglotBook
from arena.game import Opening
from arena.openings import Deck, final_position, read_book
from arena.start_positions import OpeningError

SMALL: list[Entry] = [
    ("", "e2e4", 5),
    ("", "d2d4", 3),
    ("", "g1f3", 2),
    ("", "a2a3", 0),  # deleted
    ("e2e4", "c7c5", 1),
    ("e2e4", "e7e5", 2),
    ("e2e4 e7e5", "g1f3", 7),
    ("d2d4", "d7d5", 1),
    ("g1f3", "d7d5", 1),
    ("g1f3 d7d5", "d2d4", 1),
]
DEPTH_FIRST = ["e2e4 e7e5 g1f3", "e2e4 c7c5", "d2d4 d7d5 g1f3", "g1f3 d7d5 d2d4"]
"""The third line goes on where the fourth one's entries stand."""

SMALL.append(("d2d4 d7d5", "g1f3", 1))
GOLDEN = ["d2d4 d7d5 g1f3", "e2e4 e7e5 g1f3", "e2e4 c7c5", "g1f3 d7d5 d2d4"]
IN_ORDER = Dealing(order="sequential")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> PolyglotBook:
    return polyglot(tmp_path_factory.mktemp("books"), SMALL)


def polyglot(folder: Path, entries: list[Entry]) -> PolyglotBook:
    book = read_book(write_polyglot(folder / "book.bin", entries))
    assert isinstance(book, PolyglotBook)
    return book


def lines(book: PolyglotBook, dealing: Dealing) -> list[str]:
    return [" ".join(opening.moves) for opening in book.openings(dealing)]


def test_in_order_lines_come_depth_first_the_heaviest_first(small: PolyglotBook) -> None:
    assert len(small) == len(SMALL)
    assert lines(small, IN_ORDER) == DEPTH_FIRST


@pytest.mark.parametrize("seed", range(5))
def test_at_random_every_line_comes_once(small: PolyglotBook, seed: int) -> None:
    assert sorted(lines(small, Dealing(seed=seed))) == sorted(DEPTH_FIRST)


def test_a_seed_always_gives_the_same_lines(small: PolyglotBook) -> None:
    # If this changes, a match resumed by a new version goes on with other openings.
    assert lines(small, Dealing(seed=3)) == GOLDEN


def test_the_first_line_is_drawn_by_weight(small: PolyglotBook) -> None:
    """Over 2,000 seeds: chi-square of four lines, 3 degrees of freedom."""
    first = Counter(next(small.openings(Dealing(seed=seed))).moves for seed in range(2000))
    shares = {"e2e4 e7e5 g1f3": 1 / 3, "e2e4 c7c5": 1 / 6, DEPTH_FIRST[2]: 0.3, DEPTH_FIRST[3]: 0.2}
    due = {tuple(line.split()): 2000 * share for line, share in shares.items()}
    assert first.keys() == due.keys()
    assert sum((first[line] - count) ** 2 / count for line, count in due.items()) < 16.3  # p=0.001


def test_plies_cut_lines_and_start_skips_some(small: PolyglotBook) -> None:
    assert lines(small, Dealing(order="sequential", plies=2)) == [
        "e2e4 e7e5", "e2e4 c7c5", "d2d4 d7d5", "g1f3 d7d5",
    ]  # fmt: skip
    assert lines(small, Dealing(order="sequential", plies=1)) == ["e2e4", "d2d4", "g1f3"]
    assert lines(small, Dealing(order="sequential", start=3)) == DEPTH_FIRST[2:]
    assert lines(small, Dealing(seed=3, start=2)) == GOLDEN[1:]
    assert lines(small, Dealing(start=5)) == []


def test_a_deck_skips_lines_that_transpose_and_ends_with_the_book(small: PolyglotBook) -> None:
    deck = Deck(small, IN_ORDER)
    deck.require(10**6)  # nobody knows how many lines there are
    assert [deck.opening(pair).moves[0] for pair in range(3)] == ["e2e4", "e2e4", "d2d4"]
    with pytest.raises(OpeningError, match=r"has 3 openings \(1 more repeat a position\)"):
        deck.opening(3)


def test_castling_and_promotion_are_read(tmp_path: Path) -> None:
    line = "g1f3 g8f6 g2g3 b7b5 f1g2 b5b4 e1g1 b4b3 h2h3 b3a2 h3h4 a2b1q"
    moves = line.split()
    entries = [(" ".join(moves[:ply]), move, 1) for ply, move in enumerate(moves)]
    assert lines(polyglot(tmp_path, entries), Dealing()) == [line]


def test_what_cannot_be_played_is_left_out(tmp_path: Path) -> None:
    mate = ["f2f3", "e7e5", "g2g4"]
    entries: list[Entry] = [(" ".join(mate[:ply]), move, 1) for ply, move in enumerate(mate)]
    entries += [
        ("", "e2e5", 9),  # of another position with the same key
        (" ".join(mate), "d8h4", 9),  # mate: nothing is left to play
        (" ".join(mate), "a7a6", 1),
        ("f2f3", "g8f6", 1),
        ("f2f3 g8f6", "g1h3", 1),
        ("f2f3 g8f6 g1h3", "f6g8", 1),
        ("f2f3 g8f6 g1h3 f6g8", "h3g1", 1),  # back to where the line was
    ]
    found = lines(polyglot(tmp_path, entries), IN_ORDER)
    assert found == ["f2f3 e7e5 g2g4 a7a6", "f2f3 g8f6 g1h3 f6g8"]


def all_lines(tree: dict[str, list[str]], line: str) -> list[str]:
    moves = tree.get(line, [])
    below = [all_lines(tree, f"{line} {move}".strip()) for move in moves]
    return list(itertools.chain.from_iterable(below)) if moves else [line]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 2**63 - 1))
def test_of_any_book_every_line_comes_once(shape: int, plies: int, seed: int) -> None:
    """Books are trees of pawn moves by one step, whose positions know how they came about."""
    luck = random.Random(shape)
    tree: dict[str, list[str]] = {}
    entries: list[Entry] = []

    def grow(line: tuple[str, ...]) -> None:
        if len(line) == 5 or (line and luck.random() < 0.2):
            return
        ranks = "23" if len(line) % 2 == 0 else "76"
        # A file's pawn moves in one ply only, so that no two lines meet.
        files = "abcdefgh"[3 * (len(line) // 2) : 3 * (len(line) // 2) + 3]
        moves = [f"{f}{ranks[0]}{f}{ranks[1]}" for f in files if luck.random() < 0.7]
        if moves:
            tree[" ".join(line)] = moves
        for move in moves:
            entries.append((" ".join(line), move, luck.randint(1, 1000)))
            grow((*line, move))

    grow(())
    if not entries:
        return
    book = PolyglotBook(Path("book"), "", _Memory(entries))  # type: ignore[arg-type]
    expected = sorted({" ".join(line.split()[:plies]) for line in all_lines(tree, "")})
    assert sorted(lines(book, Dealing(seed=seed, plies=plies))) == expected
    assert sorted(lines(book, Dealing(order="sequential", plies=plies))) == expected


class _Memory:
    """A reader of entries that never were in a file."""

    def __init__(self, entries: list[Entry]) -> None:
        self._found: dict[str, list[chess.polyglot.Entry]] = {}
        for line, move, weight in entries:
            found = chess.polyglot.Entry(0, 0, weight, 0, chess.Move.from_uci(move))
            self._found.setdefault(line, []).append(found)

    def find_all(self, board: chess.Board) -> list[chess.polyglot.Entry]:
        return self._found.get(" ".join(move.uci() for move in board.move_stack), [])


def test_a_large_book_deals_distinct_level_lines(tmp_path: Path) -> None:
    """Made of the shipped book's lines, each with its own weight."""
    from arena.openings import default_book

    shipped = default_book()
    weights = Counter(
        (" ".join(opening.moves[:ply]), opening.moves[ply])
        for opening in (shipped.opening(index) for index in range(1500))
        for ply in range(len(opening.moves))
    )
    book = polyglot(tmp_path, [(line, move, count) for (line, move), count in weights.items()])
    deck = Deck(book, Dealing(seed=1, plies=6))
    dealt = [deck.opening(pair) for pair in range(300)]
    assert len({final_position(opening).epd() for opening in dealt}) == 300
    assert all(opening == Opening(chess.STARTING_FEN, opening.moves) for opening in dealt)
    assert {len(opening.moves) for opening in dealt} == {6}
