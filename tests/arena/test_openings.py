"""Reading books, refusing bad ones, and dealing openings without replacement."""

from __future__ import annotations

import gzip
import io
import zipfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import chess
import chess.pgn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.books import PGN, Book, BookFormat, Dealing, shuffled
from arena.game import Opening
from arena.opening_text import epd_spans, pgn_spans
from arena.openings import Deck, final_position, read_book
from arena.start_positions import OpeningError

START = chess.STARTING_FEN
KINGS_PAWN = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq -"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def openings(book: Book) -> list[Opening]:
    return [book.opening(index) for index in range(len(book))]


def moves(opening: Opening) -> str:
    return " ".join(opening.moves)


def book_of(text: str, book_format: BookFormat = PGN) -> Book:
    """A book that never was a file."""
    content = text.encode()
    split = pgn_spans if book_format is PGN else epd_spans
    return Book(Path("book"), "", book_format, content, tuple(split(content)))


# --- EPD ---


def test_epd_is_a_position_without_moves(tmp_path: Path) -> None:
    book = read_book(write(tmp_path, "one.epd", f'{KINGS_PAWN} bm e5; id "King; pawn"; c0 "x";\n'))
    assert openings(book) == [Opening(f"{KINGS_PAWN} 0 1", (), "King; pawn")]


@pytest.mark.parametrize(
    ("line", "fen"),
    [
        (KINGS_PAWN, f"{KINGS_PAWN} 0 1"),
        (f"{KINGS_PAWN} 3 9", f"{KINGS_PAWN} 3 9"),
        (f"{KINGS_PAWN} 3 9 id here;", f"{KINGS_PAWN} 3 9"),
        (f"{KINGS_PAWN} hmvc 7; fmvn 12;", f"{KINGS_PAWN} 7 12"),
        (f"{KINGS_PAWN} bm Qxh9; am ??; no end", f"{KINGS_PAWN} 0 1"),
        # An en passant square that no pawn can use makes no other position.
        (KINGS_PAWN[:-1] + "e3 0 1", f"{KINGS_PAWN} 0 1"),
    ],
)
def test_epd_counters_and_operations(line: str, fen: str) -> None:
    assert book_of(line, BookFormat.EPD).opening(0).fen == fen


def test_epd_skips_blank_lines_and_comments(tmp_path: Path) -> None:
    text = f"# level positions\n\n{KINGS_PAWN}\r\n   \n{START}\n\n"
    book = read_book(write(tmp_path, "two.fen", text))
    assert [opening.fen for opening in openings(book)] == [f"{KINGS_PAWN} 0 1", START]


# --- PGN ---

ANNOTATED = r"""[Event "A [strange] {event}; here"]
[Eco "C42"]
[Result "1-0"]

{A comment before the first move
[Event "not a game"]

1. a3 *
} 1.e4 $1 e5! 2. Nf3 (2. f4 exf4 (2... d5 3. exd5) 3. Nf3) 2... Nf6 ; 3. Bc4 is another line
3. d4 {[%clk 1:00:00]} Nxe4 4. Bd3 d5?! 5. Nxe5 Nd7 6. Nxd7 Bxd7
% an escaped line
7. 0-0 1-0
"""


def test_pgn_is_its_main_line() -> None:
    book = book_of(ANNOTATED)
    assert len(book) == 1
    opening = book.opening(0)
    assert moves(opening) == "e2e4 e7e5 g1f3 g8f6 d2d4 f6e4 f1d3 d7d5 f3e5 b8d7 e5d7 c8d7 e1g1"
    assert (opening.fen, opening.name) == (START, "C42")


def test_pgn_castles_as_the_king_moves_and_promotes() -> None:
    game = '[FEN "r3k3/6P1/8/8/8/8/8/4K2R b Kq - 4 30"]\n\n30... O-O-O 31. O-O Kb7 32. g8=N *'
    opening = book_of(game).opening(0)
    assert opening.fen == "r3k3/6P1/8/8/8/8/8/4K2R b Kq - 4 30"
    assert moves(opening) == "e8c8 e1g1 c8b7 g7g8n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[Event "?"]\n\n*\n', [""]),
        ("1. e4 *\n1. d4 *\n", ["e2e4", "d2d4"]),
        ("1. e4\n\n1. d4\n\n1. c4", ["e2e4", "d2d4", "c2c4"]),
        ('[Event "1"]\n1. e4\n[Event "2"]\n1. d4', ["e2e4", "d2d4"]),
        ('[Event "1"]\n\n\n1. e4\n1... c5 *\n\n[Event "2"]', ["e2e4 c7c5", ""]),
        ('[Event "1"]\n\n[Event "2"]\n\n1. c4', ["", "c2c4"]),
        ("{Kings\n\n1. a3 *\n} 1. e4 *\n{\nQueens} {\n} 1. d4 *", ["e2e4", "d2d4"]),
        ('{Not\na game}\n[Event "\x85"]\n\n1. e4 *', ["e2e4"]),
        ("1. e4 * {that was all}\n{1. d4 *}\n\n1. c4 *", ["e2e4", "c2c4"]),
        ('\N{ZERO WIDTH NO-BREAK SPACE}[Event "1"]\n\n1. e4 *', ["e2e4"]),
        ("1. e4 e5 {a\n\nb} 2. Nf3\r\n\r\n1. d4", ["e2e4 e7e5 g1f3", "d2d4"]),
        ("1. e4 1/2-1/2", ["e2e4"]),
    ],
)
def test_pgn_games_are_told_apart(text: str, expected: list[str]) -> None:
    assert [moves(opening) for opening in openings(book_of(text))] == expected


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ('[Event "Match 3"]', "Match 3"),
        ('[Event "?"]', ""),
        ('[Event "Match 3"]\n[ECO "B33"]\n[Opening "Sicilian \\"Sveshnikov\\""]',
         'B33 Sicilian "Sveshnikov"'),
        ('[Event "Match 3"]\n[ECO "?"]', "Match 3"),
    ],
)  # fmt: skip
def test_pgn_names(tags: str, name: str) -> None:
    assert book_of(f"{tags}\n\n1. e4 *").opening(0).name == name


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_pgn_of_any_game_gives_its_moves_back(data: st.DataObject) -> None:
    game = chess.pgn.Game()
    node: chess.pgn.GameNode = game
    board = chess.Board()
    for _ in range(data.draw(st.integers(0, 60))):
        move = data.draw(st.sampled_from(list(board.legal_moves)))
        other = data.draw(st.sampled_from(list(board.legal_moves)))
        comment = data.draw(st.sampled_from(["", "a ; ( [b", "1. e4 *\n\n[Event]"]))
        board.push(move)
        if board.is_game_over() or board.is_repetition(3):
            board.pop()
            break
        node = node.add_main_variation(move, comment=comment)
        if other != move:
            node.parent.add_variation(other, nags=[4])
    played = tuple(move.uci() for move in board.move_stack)
    assert book_of(str(game)).opening(0) == Opening(START, played)


# --- files ---


def test_packed_books_are_the_same_book(tmp_path: Path) -> None:
    plain = write(tmp_path, "book.pgn", ANNOTATED)
    gzipped = tmp_path / "book.pgn.gz"
    gzipped.write_bytes(gzip.compress(ANNOTATED.encode()))
    zipped = tmp_path / "anything.ZIP"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("README.txt", "read me")
        archive.writestr("folder/book.pgn", ANNOTATED)
    read = [read_book(path) for path in (plain, gzipped, zipped)]
    assert [openings(book) for book in read] == [openings(read[0])] * 3
    assert len({book.sha256 for book in read}) == 3  # of the file, as sha256sum gives it


def test_latin1_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "book.pgn"
    path.write_bytes('[Event "Grünfeld"]\n\n1. d4 *'.encode("latin-1"))
    assert read_book(path).opening(0).name == "Grünfeld"


BAD_FILES = [
    ("missing.pgn", None, "no such file"),
    ("empty.epd", b"", "has no opening"),
    ("blank.pgn", b"\n\n {only a comment}\n", "has no opening"),
    ("book.ctg", b"\0" * 16, "unknown kind"),
    ("torn.bin", b"\0" * 17, "17 bytes are not whole entries of 16"),
    ("empty.bin", b"", "has no move in the start position"),
    ("zeros.bin", b"\0" * 32, "has no move in the start position"),
    ("book.gz", gzip.compress(b"1. e4 *", mtime=0), "unknown kind"),
    ("torn.pgn.gz", gzip.compress(b"1. e4 *", mtime=0)[:-9], "cannot be unpacked"),
    ("text.pgn.gz", b"1. e4 *", "cannot be unpacked"),
    ("text.epd.zip", b"hello", "cannot be unpacked"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OpeningError, match=reason) as caught:
        read_book(path)
    assert str(caught.value).startswith(str(path))
    assert 2 <= len(str(caught.value).splitlines()) <= 3


def test_directory_and_zip_without_a_book(tmp_path: Path) -> None:
    with pytest.raises(OpeningError, match="is a directory"):
        read_book(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("notes.txt", "1. e4 *")
    with pytest.raises(OpeningError, match=r"holds no \.epd"):
        read_book(tmp_path / "x.zip")


BAD_ENTRIES = [
    ("x.pgn", "1. e4 *\n\n1. e4 e5\n2. Ke3 *", r"game 2 \(line 3\): 2\. Ke3 is not a legal move"),
    ("x.pgn", "1. e4 e5 2. hello *", r"game 1 \(line 1\): 2\. hello is not a legal move"),
    ("x.pgn", "1. e4 -- *", r"1\.\.\. -- is not a legal move"),
    ("x.pgn", "hello world", "hello is not a legal move"),
    ("x.pgn", "1. e4 {never closed", "never closed"),
    ("x.pgn", "1. e4 (1. d4 d5", "never closed"),
    ("x.pgn", '[FEN "8/8/8/8 w - - 0 1"]\n\n*', "invalid FEN"),
    ("x.pgn", "[FEN 8/8/8/8]\n\n*", r"unreadable tag \[FEN 8/8/8/8\]"),
    ("x.pgn", '[Variant "Atomic"]\n\n1. e4 *', "'Atomic' is not supported"),
    ("x.pgn", "1. f3 e5 2. g4 Qh4# 0-1", "already over by checkmate"),
    ("x.pgn", "1. Nf3 Nf6 2. Ng1 Ng8 3. Nf3 Nf6 4. Ng1 Ng8 *", "over by a third occurrence"),
    ("x.epd", f"{START}\nnonsense\n", "line 2: not an EPD or FEN line"),
    ("x.epd", f"\n\n{START[:-10]} - 0 1 z", "line 3: invalid FEN|line 3: impossible"),
    ("x.epd", "8/8/8/8/8/8/8/K7 w - - 0 1", r"impossible position \(no black king\)"),
    ("x.epd", "4k3/8/8/8/8/8/8/4RK2 w - -", r"impossible position \(opposite check\)"),
    ("x.epd", "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", "already over by stalemate"),
    ("x.epd", "7k/8/6K1/8/8/8/8/7N b - - 0 1", "already over by insufficient material"),
    ("x.epd", "7k/8/6K1/8/8/8/8/7R b - - 100 90", "already over by the 50-move rule"),
]


@pytest.mark.parametrize(("name", "text", "reason"), BAD_ENTRIES)
def test_bad_entries_are_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = write(tmp_path, name, text)
    book = read_book(path)
    with pytest.raises(OpeningError, match=reason) as caught:
        book.opening(len(book) - 1)
    assert str(caught.value).startswith(str(path))
    assert 2 <= len(str(caught.value).splitlines()) <= 3


NOISE = st.text(st.sampled_from('{}[]();%*#$"\\ \n\r1.-0/eNfO3KQ8kqwb') | st.characters())


@given(NOISE, st.sampled_from(BookFormat))
@settings(max_examples=300, deadline=None)
def test_noise_is_an_opening_or_an_opening_error(text: str, book_format: BookFormat) -> None:
    content = text.encode("utf-8", "surrogatepass")
    split = pgn_spans if book_format is PGN else epd_spans
    spans = tuple(split(content))
    assert all(start < end for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    book = Book(Path("noise"), "", book_format, content, spans)
    for index in range(len(book)):
        with suppress(OpeningError):
            final_position(book.opening(index))


@given(st.integers(0, 5), st.text("kqKQ/8pPwb- ", min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_damaged_fens_are_an_opening_or_an_opening_error(place: int, damage: str) -> None:
    fields = START.split()
    fields[place] = damage
    with suppress(OpeningError):
        assert final_position(book_of(" ".join(fields), BookFormat.EPD).opening(0)).is_valid()


# --- order and deck ---


def test_shuffle_is_a_fixed_permutation() -> None:
    # If this changes, a match resumed by a new version goes on with other openings.
    assert shuffled(10, seed=7) == [2, 0, 7, 6, 4, 3, 1, 9, 5, 8]
    assert sorted(shuffled(1000, seed=3)) == list(range(1000))
    assert shuffled(1000, seed=3) != shuffled(1000, seed=4)
    assert shuffled(0, seed=1) == []


def test_shuffle_is_even() -> None:
    """Which of four entries comes first, over 4,000 seeds: chi-square with 3 degrees of freedom."""
    first = [0, 0, 0, 0]
    for seed in range(4000):
        first[shuffled(4, seed)[0]] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in first) < 16.3  # p = 0.001


IN_ORDER = Dealing(order="sequential")
TRANSPOSED = "1. e4 e5 2. Nf3 *\n1. d4 *\n1. Nf3 e5 2. e4 *\n1. c4 *\n"


def test_deck_deals_no_position_twice() -> None:
    deck = Deck(book_of(TRANSPOSED), IN_ORDER)
    assert [moves(deck.opening(pair)) for pair in range(3)] == ["e2e4 e7e5 g1f3", "d2d4", "c2c4"]
    assert deck.duplicates == 1
    with pytest.raises(OpeningError, match=r"3 openings \(1 more repeat a position\).* 4 pairs"):
        deck.opening(3)
    assert moves(deck.opening(0)) == "e2e4 e7e5 g1f3"


def test_deck_does_not_depend_on_who_asks_first() -> None:
    forward, backward = (Deck(book_of(TRANSPOSED), Dealing(seed=5)) for _ in range(2))
    ahead = [forward.opening(pair) for pair in (0, 1, 2)]
    assert [backward.opening(pair) for pair in (2, 1, 0)] == ahead[::-1]


def test_deck_refuses_more_pairs_than_entries() -> None:
    deck = Deck(book_of(TRANSPOSED), IN_ORDER)
    deck.require(4)
    with pytest.raises(OpeningError, match="has 4 openings, too few for 5 pairs"):
        deck.require(5)


# --- real books ---


@pytest.mark.parametrize(
    ("name", "entries"),
    [("8moves_v3.pgn.zip", 34_700), ("2moves_v2.pgn.zip", 12_092)],
)
def test_real_pgn_books_read_as_python_chess_reads_them(
    shared: Path, name: str, entries: int
) -> None:
    book = read_book(shared / "books" / name)
    assert len(book) == entries
    games = io.StringIO(book.content.decode("latin-1"))
    for index in range(150):
        game = chess.pgn.read_game(games)
        assert game is not None
        assert list(book.opening(index).moves) == [move.uci() for move in game.mainline_moves()]


@pytest.mark.parametrize(
    ("name", "entries"), [("UHO_4060_v1.epd.zip", 246_759), ("noob_3moves.epd.zip", 150_932)]
)
def test_real_epd_books_open_whole_and_deal(shared: Path, name: str, entries: int) -> None:
    book = read_book(shared / "books" / name)
    assert len(book) == entries
    deck = Deck(book, Dealing(seed=1))
    dealt = [deck.opening(pair) for pair in range(200)]
    assert len({opening.fen for opening in dealt}) == 200
    assert all(chess.Board(opening.fen).is_valid() for opening in dealt)
