"""Records of leela-chess: none of 2018 were at hand, so these are made by a writer of our own.

The writer (``tests/leela_chess_game.py``) has the rules of leela-chess's sources and python-chess;
what is read is held against lc0's planes and moves, made by python-chess as well.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import chess
import numpy as np
import pytest
from leela_chess_game import Position, place_of, random_game
from policy_index import index_of
from record_bytes import bits, game_bytes
from test_record_planes import Replay

from swa.chunks import Chunk, ReadCounts, games_of, list_files, read_records
from swa.leela_chess import MOVE_INDEX
from swa.legacy_records import V2, parse, version_of
from swa.policy_map import MOVES as LC0_MOVES
from swa.records import V6, Damage, RecordError, planes_of, targets_of, validate

GAME = [position for _, position in random_game(seed=5, plies=12)]


def v1(positions: list[Position]) -> bytes:
    return b"".join(position.v1() for position in positions)


def v2(positions: list[Position]) -> bytes:
    return b"".join(position.v2() for position in positions)


def read(path: Path) -> tuple[list[Chunk], ReadCounts]:
    counts = ReadCounts()
    return list(read_records(path, counts)), counts


def test_the_layout_is_that_of_leela_chess() -> None:
    assert V2.itemsize == 8604 == len(GAME[0].v2())
    assert len(GAME[0].v1().splitlines()) == 121


def test_moves_are_those_of_the_board() -> None:
    names = {0: "a1b1", 1791: "h8g8", 1792: "a7a8q", 1857: "h7h8b"}
    assert {place: LC0_MOVES[place] for place in names} == names
    assert MOVE_INDEX.shape == (2, 1858)
    np.testing.assert_array_equal(MOVE_INDEX[0], np.arange(1858))
    assert sorted(MOVE_INDEX[1]) == [*range(1792), *range(1858, 1924)]
    for fen in (chess.STARTING_FEN, "r3k2r/1P4p1/8/8/8/8/1p4P1/R3K2R w KQkq - 0 1"):
        for turn in chess.COLORS:
            board = chess.Board(fen)
            board.turn = turn
            for move in board.legal_moves:
                side = int(turn == chess.BLACK)
                assert MOVE_INDEX[side, index_of(board, move)] == place_of(board, move)


@pytest.mark.parametrize("seed", range(2))
def test_records_say_what_lc0s_would(seed: int) -> None:
    boards = castling = repeated = 0
    replay, records, expected = None, [], []
    for board, position in random_game(seed, plies=160):
        replay = Replay(chess.Board()) if replay is None else replay
        if board.move_stack:
            replay.push(board.peek())
        probabilities = np.full(1858, -1.0)
        for move in board.legal_moves:
            at = index_of(board, move)
            probabilities[at] = position.probabilities[place_of(board, move)]
        expected.append((replay.planes(), probabilities, position))
        records.append(position.v2())
    found = parse(b"".join(records))
    assert found.dtype == V6
    assert not found.flags.writeable
    masks, values = planes_of(found)
    targets = targets_of(found)
    for number, ((board_masks, board_values), probabilities, position) in enumerate(expected):
        np.testing.assert_array_equal(masks[number], np.array(board_masks, np.uint64))
        np.testing.assert_array_equal(values[number], np.array(board_values, np.float32))
        np.testing.assert_array_equal(
            found["probabilities"][number], probabilities.astype(np.float32)
        )
        q = targets.result[number, 0] - targets.result[number, 2]
        assert (q, targets.result[number, 1]) == (position.result, position.result == 0)
        boards += 1
        castling += any(position.flags[:4])
        repeated += board_masks[25] != 0
    assert boards > 50
    assert castling > 5
    assert np.isnan(targets.plies_left).all()  # the number of the move is none of that
    assert np.isnan(found["orig_q"]).all()
    assert not found["visits"].any()


def test_repetitions_are_kept() -> None:
    shuffle = ("g1f3", "g8f6", "f3g1", "f6g8", "g1f3")
    replay = Replay(chess.Board())
    position = next(iter(random_game(seed=0, plies=1)))[1]
    for move in shuffle:
        replay.push(chess.Move.from_uci(move))
    masks, _ = replay.planes()
    position.planes = [0] * 112
    for board in range(8):  # with only the plane of repetitions, which is not turned
        position.planes[14 * board + 12] = masks[13 * board + 12]
    found = planes_of(parse(position.v2()))[0][0, 12:104:13]
    assert found.tolist() == masks[12:104:13]
    assert sum(map(bool, masks[12:104:13])) == 2


def test_text_says_the_same_as_bytes() -> None:
    packed, text = parse(v2(GAME)), parse(v1(GAME))
    names = set(V6.names or ()) - {"probabilities"}
    for name in names:
        assert bits(packed[name]) == bits(text[name]), name
    np.testing.assert_allclose(text["probabilities"], packed["probabilities"], rtol=5e-6)
    for other in (v1(GAME).replace(b"\n", b"\r\n"), v1(GAME)[:-1]):
        assert bits(parse(other)) == bits(text)


@pytest.mark.parametrize(
    ("name", "data", "version"),
    [
        ("game.gz", gzip.compress(v2(GAME)), 2),
        ("game.bin", v2(GAME), 2),
        ("training.0.gz", gzip.compress(v1(GAME)), 1),
        ("training.0", v1(GAME), 1),
    ],
)
def test_files_of_any_kind_are_read(tmp_path: Path, name: str, data: bytes, version: int) -> None:
    (tmp_path / name).write_bytes(data)
    (chunk,), counts = read(tmp_path)
    assert (chunk.version, len(chunk.records)) == (version, len(GAME))
    assert (counts.files, counts.records, counts.truncated) == (1, len(GAME), 0)
    assert len(list_files(tmp_path)) == 1


def test_old_and_new_records_lie_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "1.gz").write_bytes(gzip.compress(v1(GAME)))
    (tmp_path / "2.gz").write_bytes(gzip.compress(v2(GAME)))
    (tmp_path / "6.gz").write_bytes(gzip.compress(game_bytes(6, 3)))
    chunks, counts = read(tmp_path)
    assert [chunk.version for chunk in chunks] == [1, 2, 6]
    assert not counts.skipped
    assert all(chunk.records.dtype == V6 for chunk in chunks)


def test_games_in_one_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "two.gz").write_bytes(gzip.compress(v2(GAME + GAME[:5])))
    (chunk,), _ = read(tmp_path)
    assert [len(game.records) for game in games_of(chunk)] == [len(GAME), 5]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_of_a_cut_file_whole_records_are_read(tmp_path: Path, version: int, packed: bool) -> None:
    whole = (v1 if version == 1 else v2)(GAME)
    first = len((v1 if version == 1 else v2)(GAME[:7]))
    data = whole[: first + 4000]
    if packed:
        # A member that ends early: what was flushed can be unpacked.
        squeezed = gzip.compress(whole)
        data = squeezed[: len(squeezed) // 2]
    (tmp_path / "cut.gz").write_bytes(data)
    (chunk,), counts = read(tmp_path)
    assert counts.truncated == 1
    assert len(chunk.records) == 7 if not packed else 0 < len(chunk.records) < len(GAME)
    np.testing.assert_array_equal(
        chunk.records["planes"], parse(whole)["planes"][: len(chunk.records)]
    )


@pytest.mark.parametrize(("plies", "found"), [(99, 99), (100, 100), (102, 100), (104, 100)])
def test_games_that_did_not_end_at_100_plies(plies: int, found: int) -> None:
    position = next(iter(random_game(seed=0, plies=1)))[1]
    position.rule50 = plies
    for data in (position.v1(), position.v2()):
        assert parse(data)["rule50"].tolist() == [found]


# What is refused


def changed(at: int, line: bytes) -> bytes:
    lines = GAME[0].v1().split(b"\n")
    lines[at] = line
    return b"\n".join(lines)


def other(position: Position = GAME[0], **fields: object) -> bytes:
    values = {**vars(position), **fields}
    return Position(**values).v2()


ONE_MOVE = [0.0] * 1923 + [1.0]  # h2h1b


@pytest.mark.parametrize(
    ("data", "damage", "reason"),
    [
        (v2(GAME)[:-1], Damage.SIZE, "not a whole number of V2 records of 8,604 bytes"),
        (v2(GAME[:1]) + b"\3" + v2(GAME[1:2])[1:], Damage.VERSION, "record 1 is of version 3"),
        (b"\1\0\0\0" + GAME[0].v2()[4:], Damage.NOT_RECORDS, "version 1 that are not text"),
        (v1(GAME) + b"0\n", Damage.SIZE, "not a whole number of V1 records of 121 lines"),
        (changed(3, b"00ff"), Damage.VALUES, "record 0: a plane is not 16 hexadecimal digits"),
        (changed(3, b"0" * 15 + b"g"), Damage.VALUES, "16 hexadecimal digits"),
        (changed(112, b"2"), Damage.VALUES, "castling_us_ooo is 2"),
        (changed(116, b"yes"), Damage.VALUES, "side_to_move is no whole number"),
        (changed(116, b"7" * 5000), Damage.VALUES, "side_to_move is no whole number"),
        (changed(117, b"-1"), Damage.VALUES, "rule50 is -1"),
        (changed(117, b"105"), Damage.VALUES, "rule50 is 105"),
        (changed(117, b"9" * 30), Damage.VALUES, "rule50 is 255"),
        (changed(119, b"0.5 0.5"), Damage.VALUES, "2 probabilities instead of 1924"),
        (changed(119, b"one"), Damage.VALUES, "not all numbers"),
        (changed(119, b" ".join([b"nan"] * 1924)), Damage.PROBABILITIES, "sum"),
        (changed(119, b" ".join([b"1e99"] * 1924)), Damage.PROBABILITIES, "sum"),
        (changed(120, b"2"), Damage.VALUES, "result is 2"),
        (changed(120, b"-2"), Damage.VALUES, "result is -2"),
        (other(result=2), Damage.VALUES, "result is 2"),
        (other(rule50=105), Damage.VALUES, "rule50 is 105"),
        (other(flags=[0, 0, 0, 0, 2]), Damage.VALUES, "side_to_move is 2"),
        (other(probabilities=ONE_MOVE), Damage.PROBABILITIES, "sum of all probabilities is 0"),
        (other(probabilities=[-0.5, 1.5] + [0.0] * 1922), Damage.PROBABILITIES, "negative"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, damage: Damage, reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as refused:
        parse(data)
    assert refused.value.damage is damage
    assert len(str(refused.value).splitlines()) <= 3


def test_other_bytes_are_left_to_lc0s_reader() -> None:
    data = game_bytes(6, 2)
    assert version_of(data) == 6
    assert bits(parse(data)) == data
    with pytest.raises(RecordError, match="no training records"):
        parse(b"00ff is not a plane")


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Records with bytes changed, cut out or put in, most where structure is."""
    dice = random.Random(seed)
    sources = (v1(GAME[:2]), v2(GAME[:2]))
    for _ in range(count):
        mutant = bytearray(dice.choice(sources))
        for _ in range(dice.choice((1, 1, 2, 4))):
            at = dice.choice((dice.randrange(30), dice.randrange(len(mutant)), len(mutant) - 1))
            at = min(at - dice.randrange(12) * (dice.random() < 0.5), len(mutant) - 1)
            kind = dice.randrange(6)
            if kind == 0:
                mutant[at] ^= 1 << dice.randrange(8)
            elif kind == 1:
                mutant[at] = dice.choice(b"0129af -\n.")
            elif kind == 2:
                mutant[at : at + 4] = dice.choice((b"\0\0\xc0\x7f", b"nan ", bytes(4), b"\xff" * 4))
            elif kind == 3:
                del mutant[at : at + dice.choice((1, 17, 1000))]
            elif kind == 4:
                mutant[at:at] = dice.choice((b"\n", b"1", b"0" * 16 + b"\n", b"\0"))
            else:
                del mutant[dice.randrange(1, len(mutant)) :]
            mutant = mutant or bytearray(b"\2")
        yield bytes(mutant)


def survives(folder: Path, seed: int, count: int) -> None:
    outcomes: Counter[str] = Counter()
    for mutant in mutations(seed, count):
        (folder / "mutant.gz").write_bytes(mutant)
        chunks, counts = read(folder)
        for chunk in chunks:
            outcomes["read"] += 1
            validate(chunk.records)
            assert np.isfinite(planes_of(chunk.records)[1]).all()
        assert counts.files + counts.truncated + counts.skipped.total() >= 1
        outcomes["truncated"] += counts.truncated
        for damage, error in counts.examples.items():
            outcomes[damage] += 1
            assert len(str(error).splitlines()) <= 3
    few = count // 200
    for outcome in ("read", "truncated", Damage.VALUES, Damage.PROBABILITIES, Damage.NOT_RECORDS):
        assert outcomes[outcome] > few, outcomes


def test_mutated_files_are_survived(tmp_path: Path) -> None:
    survives(tmp_path, 1, 300)


@pytest.mark.slow
def test_many_mutated_files_are_survived(tmp_path: Path) -> None:
    survives(tmp_path, 2, 20_000)
