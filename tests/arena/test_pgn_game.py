"""PGN as people and programs write it: where games end, what is in them, what is left out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from pathlib import Path
from typing import Any

import chess
import chess.pgn
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arena.pgn_game import (
    Broken,
    Converted,
    Filters,
    Unwanted,
    clock_of,
    convert,
    date_of,
    rating_of,
    read_movetext,
)
from arena.pgn_source import MAX_TEXT, GameText, SourceError, read_games
from arena.training_records import game_records
from swa.chunks import pack_chunk
from swa.records import V6, Records

TAGS = '[Event "?"]\n[White "A"]\n[Black "B"]\n[Result "{result}"]\n'
SHORT = TAGS.format(result="0-1") + "\n1. f3 e5 2. g4 Qh4# 0-1\n"
MATE = ["f2f3", "e7e5", "g2g4", "d8h4"]


def records_of(converted: Converted) -> Records:
    assert converted.reason is None, converted
    return np.frombuffer(gzip.decompress(converted.data), V6)


def game(moves: str, result: str = "1-0", **tags: str) -> bytes:
    """A game's text."""
    more = "".join(f'[{name} "{value}"]\n' for name, value in tags.items())
    return (TAGS.format(result=result) + more + f"\n{moves}\n").encode()


def reason(text: bytes, **filters: Any) -> object:
    converted = convert(text, Filters(**filters))
    assert bool(converted.data) == (converted.reason is None)
    return converted.reason


# --- one game ---


@pytest.mark.parametrize(
    "moves",
    [
        "1. f3 e5 2. g4 Qh4# 0-1",
        "1.f3 e5 2.g4 Qh4 0-1",
        "1 f3 1... e5 2.g4?! $6 2... Qh4++!! 0-1",
        "f3 e5\n\ng4\n\nQh4#\n0-1",
        "{before} 1. f3 {[%clk 0:03] a (bad} e5 ; [a rest\n(1... d5 2. Kf2 (2. g3) e5) 2. g4 Qh4",
        "% 1. e4\r\n1. f3 e5\r\n% nothing\r\n2. g4 Qh4#\r\n0-1",
        "1. f2f3 e7e5 2. g2-g4 d8h4 0-1 the rest is not read {",
    ],
)
def test_moves_as_programs_write_them(moves: str) -> None:
    converted = convert(game(moves, "0-1"), Filters())
    assert converted.data == pack_chunk(game_records(chess.Board(), MATE, "0-1"))
    assert converted.positions == 4


ODD = "r3k3/2p4P/8/3pP3/8/8/8/4K3 w q d6 0 1"


@pytest.mark.parametrize("moves", ["exd6 e.p. 0-0-0 dxc7 Kxc7 h8N", "e5d6 O-O-O+ dc7 Kc7 h7h8n"])
def test_odd_moves(moves: str) -> None:
    records = records_of(convert(game(moves, FEN=ODD, SetUp="1"), Filters()))
    expected = game_records(chess.Board(ODD), ["e5d6", "e8c8", "d6c7", "c8c7", "h7h8n"], "1-0")
    assert records.tobytes() == expected.tobytes()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_games_of_python_chess_come_back(seed: int) -> None:
    """With variations, comments and glyphs around the moves, and from any position."""
    dice = random.Random(seed)
    root = chess.pgn.Game()
    board = chess.Board()
    for _ in range(dice.choice((0, 0, 12))):
        board.push(dice.choice(list(board.legal_moves)))
    start = chess.Board(board.fen())  # which knows en passant only where it is legal
    root.setup(start)
    node: Any = root
    moves = []
    for _ in range(dice.randrange(1, 60)):
        legal = list(node.board().legal_moves)
        if not legal:
            break
        for move in dice.sample(legal, min(len(legal), dice.choice((1, 1, 1, 3)))):
            child = node.add_variation(move)
            child.comment = dice.choice(("", "", "1-0 (so) [%eval 0.3] ; 1. e4 $3", "[Event]"))
            child.nags = set(dice.sample(range(1, 20), dice.choice((0, 0, 2))))
        node = node.variations[0]
        moves.append(node.move)
    last = node.board()
    result = last.result() if last.is_game_over() else dice.choice(("1-0", "0-1", "1/2-1/2"))
    root.headers["Result"] = result
    text = str(root).encode()
    assert records_of(convert(text, Filters())).tobytes() == (
        game_records(start, moves, result).tobytes()
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (game("1. e4 e5 2. Ke3 1-0"), Broken.MOVES),
        (game("1. e4 -- 1-0"), Broken.MOVES),
        (game("1. e4 e5 2. Nf3 {open"), Broken.TEXT),
        (game("1. e4 e5 (1... c5 1-0"), Broken.TEXT),
        (game("1. e4 e5) 1-0"), Broken.TEXT),
        (game("1. e4 e5 *", "*"), Broken.NO_RESULT),
        (game("1. e4 e5", "+/-"), Broken.NO_RESULT),
        (b"1. e4 e5", Broken.NO_RESULT),
        (game("1. e4 e5 0-1"), Broken.RESULT),
        (game("1. f3 e5 2. g4 Qh4# 1-0"), Broken.RESULT),
        (game("1. f3 e5 2. g4 Qh4# 1/2-1/2", "1/2-1/2"), Broken.RESULT),
        (game("1. Qg1 1-0", FEN="7k/8/8/8/8/8/1Q6/K6R b - - 0 1"), Broken.MOVES),
        (game("1. Qb6 1-0", FEN="k7/8/8/8/8/8/1Q6/K7 w - - 0 1"), Broken.RESULT),  # stalemate
        (game("1. e4 1-0", FEN="8/8/8/8/8/8/8/4K3 w - - 0 1"), Broken.START),
        (game("1. e4 1-0", FEN="nonsense"), Broken.START),
        (game("1. Kd1 1-0", FEN="8/8/8/QQQQ4/QQQQ4/8/PPP4k/4K3 w - - 0 1"), Broken.START),
        (game("1. e4 1-0").replace(b"\n\n", b"\n[FEN 8/8]\n\n"), Broken.TAGS),
        (game("1. e4 e5 1-0", Variant="Chess960"), Unwanted.VARIANT),
        (game("1. e4 e5 1-0", Variant="Crazyhouse"), Unwanted.VARIANT),
        (game("1-0"), Unwanted.NO_POSITION),
        (game("1. e4 {book} e5 {book} 1-0"), Unwanted.NO_POSITION),
        (game("1. Rf1 1-0", FEN="8/7k/8/8/8/8/8/K5R1 w - - 101 99"), Unwanted.NO_POSITION),
        (b"\xff\xfe\0\x80 nothing of the kind", Broken.NO_RESULT),
        (b"", Broken.NO_RESULT),
    ],
)
def test_games_that_are_left_out(text: bytes, why: object) -> None:
    assert reason(text) is why


def test_a_game_of_too_many_moves() -> None:
    shuffle = "Nf3 Nf6 Ng1 Ng8 " * 4096
    assert reason(game(shuffle + "1/2-1/2", "1/2-1/2")) is None
    assert reason(game(shuffle + "Nf3 1/2-1/2", "1/2-1/2")) is Broken.TOO_LONG


def test_tags_of_many_kinds() -> None:
    assert reason(game("1. e4 e5", "1/2-1/2", Variant="From Position", SetUp="1")) is None
    assert reason(b"\xef\xbb\xbf" + game("1. e4 e5")) is None
    assert reason(game("1. e4 e5 1-0", White="M\xfcller").decode().encode("latin-1")) is None
    assert reason(b'[ Result  "1-0" ] [White "x"]\n1. e4') is None
    assert reason(b"1. e4 e5 1-0") is None  # no tags at all
    for words in ("Adjudication", "draw adjudication", "resignation", "maximal length"):
        stopped = convert(game("1. e4 e5 1-0", Termination=words), Filters())
        assert records_of(stopped)["invariance_info"].tolist() == [32, 32], words
    ended = convert(game("1. e4 e5 1-0", Termination="time forfeit"), Filters())
    assert records_of(ended)["invariance_info"].tolist() == [0, 0]


def test_moves_of_the_book_are_not_learned() -> None:
    text = game("1. f3 {book} e5 { book } 2. g4 {+0.35/100} Qh4# {book} 0-1", "0-1")
    assert records_of(convert(text, Filters()))["plies_left"].tolist() == [2, 1]
    assert records_of(convert(text, Filters(skip_plies=1)))["plies_left"].tolist() == [2, 1]
    assert records_of(convert(text, Filters(skip_plies=3)))["plies_left"].tolist() == [1]
    assert reason(text, skip_plies=4) is Unwanted.NO_POSITION
    late = game("1. f3 e5 {book} 2. g4 {book} Qh4# 0-1", "0-1")
    assert convert(late, Filters()).positions == 4


def test_movetext() -> None:
    assert read_movetext("1. e4 (1. d4) 1... e5! {so} 2. Nf3+ 1/2-1/2 x").moves == (
        "e4",
        "e5",
        "Nf3",
    )
    assert read_movetext("1. e4 *").result == "*"
    assert read_movetext("").result is None


# --- filters ---


RATED = {"WhiteElo": "2500", "BlackElo": "2300", "Date": "2013.06.??", "TimeControl": "180+2"}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"min_elo": 2300}, True),
        ({"min_elo": 2301}, False),
        ({"min_elo": 2301, "elo_of": "either"}, True),
        ({"min_elo": 2501, "elo_of": "either"}, False),
        ({"max_elo": 2500}, True),
        ({"max_elo": 2400}, False),
        ({"min_elo": 2400, "max_elo": 2450, "elo_of": "either"}, False),
        ({"min_plies": 4}, True),
        ({"min_plies": 5}, False),
        ({"max_plies": 4}, True),
        ({"max_plies": 3}, False),
        ({"results": ("0-1",)}, True),
        ({"results": ("1-0", "1/2-1/2")}, False),
        ({"since": (2013,)}, True),
        ({"since": (2013, 6, 30)}, True),  # the day is not known
        ({"since": (2013, 7)}, False),
        ({"until": (2013,)}, True),
        ({"until": (2013, 5, 31)}, False),
        ({"since": (2013, 6), "until": (2013, 6)}, True),
        ({"min_clock": 260}, True),
        ({"min_clock": 261}, False),
    ],
)
def test_filters(filters: dict[str, Any], wanted: bool) -> None:
    text = game("1. f3 e5 2. g4 Qh4#", "0-1", **RATED)
    assert (reason(text, **filters) is None) == wanted


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"min_elo": 1}, Unwanted.RATING),
        ({"max_elo": 9999}, Unwanted.RATING),
        ({"since": (1,)}, Unwanted.DATE),
        ({"until": (9999,)}, Unwanted.DATE),
        ({"min_clock": 1}, Unwanted.CLOCK),
        ({"min_plies": 5}, Unwanted.LENGTH),
        ({"results": ()}, Unwanted.RESULT),
    ],
)
def test_what_a_game_does_not_say_is_not_wanted(filters: dict[str, Any], why: Unwanted) -> None:
    unknown = {"WhiteElo": "?", "BlackElo": "", "Date": "????.??.??", "TimeControl": "-"}
    for tags in ({}, unknown):
        assert reason(game("1. f3 e5 2. g4 Qh4#", "0-1", **tags), **filters) is why


def test_values_of_tags() -> None:
    assert [
        rating_of(text) for text in ("2850", "?", "", "0", "-", "1500?", "12345", "2500.5")
    ] == ([2850, -1, -1, -1, -1, 1500, -1, 2500])
    dates = ("1999.12.31", "1999.??.??", "1999/2/3", "1999-12", "????.05.??", "", "13.5.1999")
    assert [date_of(text) for text in dates] == (
        [(1999, 12, 31), (1999,), (1999, 2, 3), (1999, 12), (), (), (13, 5)]
    )
    clocks = ("300", "180+2", "40/5400+30:900", "40/7200:3600", "-", "?", "", "*60", "1.5+1")
    assert [clock_of(text) for text in clocks] == (
        [300, 260, 6600, 7200, None, None, None, None, None]
    )


# --- files ---


def texts_in(tmp_path: Path, content: bytes | str) -> list[GameText]:
    path = tmp_path / "games.pgn"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_games(path))


def test_where_games_begin_and_end(tmp_path: Path) -> None:
    content = (
        "junk before\n"
        + SHORT
        + "\n"
        + SHORT.replace("0-1\n", "").replace('"0-1"', '"*"')  # no result at its end
        + SHORT.replace("Qh4# 0-1", "{never closed")
        + SHORT.replace("1. f3", '1. f3 {\n[White "in a comment"]\n[%eval 1]\n1-0\n}\n')
        + '[Event "no moves"]\n[Result "1-0"]\n\n'
        + SHORT.replace("2. g4", "\n\n2. g4")
        + "1. e4 e5 1-0\n1. d4 1-0 {a comment}\n{another}\n"
        + SHORT
    )
    games = texts_in(tmp_path, content)
    assert [each.number for each in games] == list(range(1, 11))
    results = [convert(each.text, Filters()).reason for each in games]
    none = None
    assert results == [
        Broken.NO_RESULT,  # junk
        none,
        Broken.NO_RESULT,
        Broken.TEXT,
        none,
        Unwanted.NO_POSITION,
        none,
        none,
        none,
        none,
    ]
    lines = content.splitlines()
    for each in games:
        assert each.text.decode().splitlines()[0] == lines[each.line - 1]
        assert each.source == str(tmp_path / "games.pgn")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    games = texts_in(tmp_path, (SHORT * 3).replace("\n", end))
    assert [reason(each.text) for each in games] == [None] * 3
    assert [each.line for each in games] == [1, 7, 13]


def test_a_comment_without_end_takes_bounded_memory(tmp_path: Path) -> None:
    long = SHORT.replace("1. f3", "1. f3 {" + "x " * MAX_TEXT) + SHORT
    games = texts_in(tmp_path, long)
    assert [each.whole for each in games] == [False, True]
    assert len(games[0].text) == MAX_TEXT
    assert texts_in(tmp_path, b"") == []
    assert texts_in(tmp_path, b"\n\n\r\n") == []
    (zeros,) = texts_in(tmp_path, bytes(3 * MAX_TEXT))
    assert not zeros.whole


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_known_by_their_bytes(tmp_path: Path, compress: Any) -> None:
    plain = texts_in(tmp_path, SHORT * 2)
    assert texts_in(tmp_path, compress(SHORT.encode()) + compress(SHORT.encode())) == plain


def test_zip_files(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", SHORT)
        archive.writestr("b.PGN", SHORT)
        archive.writestr("a/c.pgn", SHORT * 2)
    games = texts_in(tmp_path, packed.getvalue())
    assert [(each.source.rpartition(":")[2], each.number) for each in games] == (
        [("b.PGN", 1), ("a/c.pgn", 1), ("a/c.pgn", 2)]
    )


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_cut_file_gives_the_games_before_the_cut(tmp_path: Path, compress: Any) -> None:
    dice = random.Random(1)
    noise = "".join(f"{{{dice.randbytes(60).hex()}}}\n" for _ in range(10_000))
    path = tmp_path / "games.pgn.gz"
    path.write_bytes(compress((SHORT + SHORT.replace("\n1.", noise + "\n1.")).encode())[:-4000])
    games = []
    with pytest.raises(SourceError, match="cannot be read to its end") as caught:
        games.extend(read_games(path))  # extend keeps what came before the error
    assert len(str(caught.value).splitlines()) <= 3
    assert [reason(each.text) for each in games] == [None]


def test_files_that_are_no_games(tmp_path: Path) -> None:
    for content, why in (
        (SHORT.encode("utf-16"), "UTF-16"),
        (b"\x28\xb5\x2f\xfd\0\0\0", "Zstandard|cannot be read"),
        (b"PK\x03\x04rubbish", "cannot be read"),
    ):
        with pytest.raises(SourceError, match=why):
            texts_in(tmp_path, content)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", SHORT)
    with pytest.raises(SourceError, match=r"holds no \.pgn file"):
        texts_in(tmp_path, packed.getvalue())


FIRST = SHORT.encode()
LAST = game("1. e4 e5 2. Bc4 Nc6 3. Qh5 Nf6 4. Qxf7# 1-0")
BETWEEN = game(
    "1. e4 {a [comment]} e5 (1... c5 2. Nf3) 2. Nf3 $1 Nc6\n3. Bb5 a6 ; rest\n4. Bxc6 dxc6 1-0",
    Annotator="somebody",
    FEN=chess.STARTING_FEN,
)
PIECES = (
    b"{",
    b"}",
    b"(",
    b")",
    b";",
    b"%",
    b'"',
    b"[",
    b"]",
    b"\n",
    b"1-0",
    b"\\",
    b"\0",
    b"\xff",
)


@given(
    cuts=st.lists(
        st.tuples(
            st.integers(0, len(BETWEEN) - 1),
            st.integers(0, 12),
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)),
        ),
        min_size=1,
        max_size=6,
    )
)
@example(cuts=[(0, 0, b"{"), (0, 0, b"{"), (0, 3, b""), (130, 9, b"{"), (185, 0, b"{")])
@example(cuts=[(0, 0, b"}"), (129, 12, b"{"), (172, 12, b"{"), (178, 12, b"{")])
@settings(max_examples=150)
def test_a_damaged_game_harms_no_other(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int, bytes]]
) -> None:
    damaged = bytearray(BETWEEN[:-1])
    for place, length, put in cuts:
        damaged[place : place + length] = put
    path = tmp_path_factory.getbasetemp() / "damaged.pgn"
    path.write_bytes(FIRST + bytes(damaged) + b"\n" + LAST)
    found = [convert(each.text, Filters()) for each in read_games(path)]
    assert found[0] == convert(FIRST, Filters())
    assert found[-1] == convert(LAST, Filters())
    for each in found[1:-1]:
        if each.reason is None:
            assert each.positions == len(records_of(each))
        else:
            assert "\n" not in each.detail


def test_splitting_does_not_depend_on_how_much_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (FIRST + BETWEEN + LAST).replace(b"\n", b"\r\n")
    whole = texts_in(tmp_path, content)
    assert len(whole) == 3
    for piece in (1, 2, 3, 7, 64):
        monkeypatch.setattr("arena.pgn_source._PIECE", piece)
        assert texts_in(tmp_path, content) == whole
