"""Syzygy tables: what they say of positions and root moves, and the folders that hold them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import chess
import chess.syzygy
import pytest
from endgames import FOUR_MEN, dtz_after, folder_of, played_out, random_board

from arena.tablebase import Tablebase, TablebaseError, _rank

KBN = "8/8/8/3k4/8/8/8/KBN5 w - - {} 1"
"""White mates in 58 plies if both play well."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "syzygy"


@pytest.fixture(scope="module")
def tables(folder: Path) -> Iterator[Tablebase]:
    with Tablebase([folder]) as opened:
        yield opened


@pytest.fixture(scope="module")
def syzygy(folder: Path) -> Iterator[chess.syzygy.Tablebase]:
    with chess.syzygy.open_tablebase(str(folder)) as opened:
        yield opened


def test_the_result_is_syzygys_in_a_thousand_positions(
    tables: Tablebase, syzygy: chess.syzygy.Tablebase
) -> None:
    chance, seen = random.Random(7), set()
    for number in range(1000):
        board = random_board(FOUR_MEN[number % len(FOUR_MEN)], chance)
        wdl = syzygy.probe_wdl(board)
        assert tables.result(board) == {2: 1, 1: 0, 0: 0, -1: 0, -2: -1}[wdl], board.fen()
        assert tables.wdl(board) == wdl
        seen.add(wdl)
    assert seen >= {-2, 0, 2}


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_position_played_well_ends_as_the_tables_say(
    tables: Tablebase, syzygy: chess.syzygy.Tablebase, count: int
) -> None:
    """With the 50-move rule near: by the rules of chess, move by move to the end."""
    chance, told = random.Random(11), []
    for number in range(count):
        clock = chance.choice([0, 40, 70, 85, 92, 96, 98, 99])
        board = random_board(FOUR_MEN[number % len(FOUR_MEN)], chance, clock)
        result = tables.result(board)
        if result is not None:
            assert result == played_out(board, syzygy), board.fen()
            told.append(result)
    assert set(told) == {-1, 0, 1}
    assert len(told) > 0.9 * count


def test_a_win_that_the_50_move_rule_reaches_first_is_a_draw(tables: Tablebase) -> None:
    results = {clock: tables.result(chess.Board(KBN.format(clock))) for clock in range(100)}
    assert {results[clock] for clock in range(42)} == {1}
    assert results[42] is None  # mate with the hundredth ply, or one late by rounding
    assert {results[clock] for clock in range(43, 100)} == {0}


def test_a_mate_counts_even_with_the_hundredth_ply(tables: Tablebase) -> None:
    assert tables.result(chess.Board("k6Q/8/1K6/8/8/8/8/8 b - - 100 90")) == -1


@pytest.mark.parametrize(
    ("fen", "wdl"),
    [
        ("8/8/8/8/8/2k5/8/KQ6 w - - 0 1", 2),
        ("8/8/8/8/8/2k5/8/KQ6 b - - 0 1", -2),
        ("k7/2Q5/1K6/8/8/8/8/8 b - - 0 1", 0),  # stalemate
        ("8/8/8/8/8/1k6/1p6/1K6 w - - 0 1", 0),  # opposition
        ("8/8/8/8/8/3k4/8/4K2B w - - 0 1", 0),
        ("8/8/7k/8/3Pp3/8/7K/8 b - d3 0 1", 2),  # takes en passant, and its pawn runs
        ("8/8/7k/8/3Pp3/8/7K/8 b - - 0 1", 0),  # both pawns run
    ],
)
def test_positions_that_anybody_can_judge(tables: Tablebase, fen: str, wdl: int) -> None:
    assert tables.wdl(chess.Board(fen)) == wdl


@pytest.mark.parametrize(
    "fen",
    [
        "4k3/8/8/8/8/8/8/4K2R w K - 0 1",  # castling
        chess.STARTING_FEN,
        "4k3/8/8/8/8/8/3PP3/3QK3 w - - 0 1",  # five men
    ],
)
def test_what_tables_do_not_hold_they_do_not_tell(tables: Tablebase, fen: str) -> None:
    board = chess.Board(fen)
    assert tables.result(board) is None
    assert tables.wdl(board) is None
    assert tables.root_moves(board) is None


def test_without_dtz_tables_only_the_50_move_count_is_open(folder: Path, tmp_path: Path) -> None:
    folder_of(["KBNvK.rtbw", "KBvK.rtbw", "KNvK.rtbw"], folder, tmp_path)
    with Tablebase([tmp_path]) as some:
        assert some.result(chess.Board(KBN.format(0))) == 1
        assert some.result(chess.Board(KBN.format(1))) is None
        assert some.result(chess.Board("8/8/8/3k4/8/8/8/KB6 w - - 40 1")) == 0
        assert some.result(chess.Board("8/8/8/3k4/8/8/8/KQ6 w - - 0 1")) is None  # no such table
        found = some.root_moves(chess.Board(KBN.format(60)))
        assert found is not None
        assert not found.by_dtz


# --- root moves ---


def test_root_moves_keep_the_result_and_leave_out_none_that_does(
    tables: Tablebase, syzygy: chess.syzygy.Tablebase
) -> None:
    chance = random.Random(3)
    for number in range(60):
        board = random_board(FOUR_MEN[number % len(FOUR_MEN)], chance)
        found = tables.root_moves(board)
        assert found is not None
        assert found.by_dtz
        values = {move: dtz_after(board, move, syzygy) for move in board.legal_moves}
        best = max(1 if 0 < dtz < 100 else -1 if -100 < dtz < 0 else 0 for dtz in values.values())
        assert best == tables.result(board)
        if best == 1:
            keep = {move for move, dtz in values.items() if 0 < dtz < 100}
        elif best == 0:
            keep = {move for move, dtz in values.items() if dtz == 0 or abs(dtz) > 100}
        else:
            # Where a move may reach the 50-move rule, only the most stubborn are left.
            most = min(values.values())
            keep = {move for move, dtz in values.items() if most > -50 or dtz == most}
        assert set(found.moves) <= set(values)
        if best == 1:
            assert set(found.moves) == keep
            fastest = min(dtz for dtz in values.values() if dtz > 0)
            for hurry in ({"repeated": True}, {"shortest": True}):
                hurried = tables.root_moves(board, **hurry)
                assert hurried is not None
                assert {values[move] for move in hurried.moves} == {fastest}
        elif best == 0:
            assert set(found.moves) <= keep
        else:
            assert set(found.moves) == keep


@pytest.mark.parametrize(
    ("dtz", "clock", "hurry", "rank"),
    [  # lc0 src/syzygy/syzygy.cc, root_probe, worked out by hand
        (1, 0, False, 1000),
        (60, 39, False, 1000),
        (60, 40, False, 900),
        (60, 0, True, 940),
        (101, 0, False, 899),
        (0, 99, True, 0),
        (-49, 0, False, -1000),
        (-50, 0, False, -950),
        (-50, 60, False, -890),
        (-101, 0, False, -899),
        (-1, 97, True, -1000),
        (-1, 98, False, -901),
    ],
)
def test_moves_are_ranked_as_lc0_ranks_them(dtz: int, clock: int, hurry: bool, rank: int) -> None:
    assert _rank(dtz, clock, hurry) == rank


def test_a_mate_in_one_is_the_shortest_win(tables: Tablebase) -> None:
    board = chess.Board("k7/8/1K6/8/8/8/7Q/8 w - - 0 1")
    found = tables.root_moves(board, shortest=True)
    assert found is not None
    assert found.moves
    for move in found.moves:
        board.push(move)
        assert board.is_checkmate()
        board.pop()


# --- folders ---


def test_a_set_is_known_by_the_names_and_sizes_of_its_files(folder: Path, tmp_path: Path) -> None:
    names = ["KQvK.rtbw", "KQvK.rtbz", "KQvKR.rtbw"]
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    folder_of(names, folder, one)
    folder_of(names[:2], folder, two)
    (one / "SOURCE.txt").write_text("not a table")
    with Tablebase([one]) as whole, Tablebase([two]) as part, Tablebase([two, one]) as both:
        assert (whole.pieces, whole.files) == (4, 3)
        assert (part.pieces, part.files) == (3, 2)
        assert whole.sha256 == both.sha256 != part.sha256
    with Tablebase([one], pieces=3) as limited, Tablebase([two]) as part:
        assert (limited.pieces, limited.files, limited.sha256) == (3, 2, part.sha256)
        assert limited.wdl(chess.Board("8/8/8/3k4/8/8/8/KQr5 w - - 0 1")) is None


def test_folders_without_tables_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TablebaseError, match="no such file"):
        Tablebase([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TablebaseError, match="has no Syzygy WDL tables"):
        Tablebase([tmp_path / "empty"])
    (tmp_path / "sets" / "3-4-5").mkdir(parents=True)
    folder_of(["KQvKR.rtbw"], folder, tmp_path / "sets" / "3-4-5")
    with pytest.raises(TablebaseError, match=r"They are in .*3-4-5"):
        Tablebase([tmp_path / "sets"])
    with pytest.raises(TablebaseError, match="raise --tb-pieces"):
        Tablebase([tmp_path / "sets" / "3-4-5"], pieces=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(TablebaseError, match="not a directory"):
        Tablebase([tmp_path / "file"])


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: b"", lambda data: b"oid sha256:" + data[11:]]
)
def test_a_file_that_is_cut_off_or_no_table_is_refused(
    folder: Path, tmp_path: Path, spoil: object
) -> None:
    data = (folder / "KQvK.rtbw").read_bytes()
    (tmp_path / "KQvK.rtbw").write_bytes(spoil(data))  # type: ignore[operator]
    with pytest.raises(TablebaseError, match=r"KQvK\.rtbw: not a whole Syzygy table"):
        Tablebase([tmp_path])


def test_a_damaged_file_is_an_error_and_no_result(folder: Path, tmp_path: Path) -> None:
    size = (folder / "KQvK.rtbw").stat().st_size
    (tmp_path / "KQvK.rtbw").write_bytes((folder / "KQvK.rtbw").read_bytes()[:4] + bytes(size - 4))
    with (
        Tablebase([tmp_path]) as damaged,
        pytest.raises(TablebaseError, match="A file is damaged"),
    ):
        damaged.result(chess.Board("8/8/8/3k4/8/8/8/KQ6 w - - 0 1"))
