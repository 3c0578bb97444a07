"""Layouts, upgrades and validity of training records, on records made field by field."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_bytes import SIZES, bits, game_bytes, legal_probabilities, record_bytes

from swa import planes
from swa.records import (
    LAYOUTS,
    V6,
    Damage,
    RecordError,
    parse,
    planes_of,
    targets_of,
    to_v6,
    validate,
    wdl,
)

NAN = math.nan


def one(version: int = 6, **fields: Any) -> Any:
    return parse(record_bytes(version, **fields))


@pytest.mark.parametrize("version", LAYOUTS)
def test_layouts_are_lc0s(version: int) -> None:
    assert LAYOUTS[version].itemsize == SIZES[version]


def test_offsets_of_v6_and_v7_are_lc0s() -> None:
    expected = {
        "version": 0,
        "input_format": 4,
        "probabilities": 8,
        "planes": 7440,
        "castling_us_ooo": 8272,
        "side_to_move": 8276,
        "rule50": 8277,
        "invariance_info": 8278,
        "result": 8279,
        "root_q": 8280,
        "best_q": 8284,
        "root_d": 8288,
        "best_d": 8292,
        "root_m": 8296,
        "result_q": 8308,
        "visits": 8340,
        "played_idx": 8344,
        "policy_kld": 8348,
    }
    offsets = {name: place[1] for name, place in (V6.fields or {}).items()}
    assert {name: offsets[name] for name in expected} == expected
    later = {name: place[1] for name, place in (LAYOUTS[7].fields or {}).items()}
    assert {name: later[name] for name in offsets} == offsets
    assert (later["d_st"], later["opp_played_idx"], later["reserved"]) == (8356, 8360, 8364)


FIELDS: dict[str, Any] = {
    "castling_us_ooo": 1,
    "castling_them_oo": 1,
    "side_to_move": 1,
    "rule50": 17,
    "root_q": 0.25,
    "best_q": -0.5,
    "root_d": 0.125,
    "best_d": 0.375,
    "root_m": 40.0,
    "best_m": 41.0,
    "plies_left": 42.0,
    "planes": [7 * number for number in range(104)],
}
FIRST_SEEN = dict.fromkeys(("root_q", "best_q", "root_d", "best_d"), 4) | dict.fromkeys(
    ("root_m", "best_m", "plies_left"), 5
)


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("result", [-1, 0, 1])
def test_old_records_are_raised_to_v6(version: int, result: int) -> None:
    (record,) = one(version, result=result, **FIELDS)
    assert record["version"] == 6
    assert record["input_format"] == 1
    for name, value in FIELDS.items():
        expected = value if version >= FIRST_SEEN.get(name, 3) else 0
        np.testing.assert_array_equal(record[name], expected, err_msg=name)
    assert record["result"] == 0
    assert record["result_q"] == result
    assert record["result_d"] == (result == 0)
    for name in ("orig_q", "orig_d", "orig_m"):
        assert np.isnan(record[name])
    for name in ("played_q", "played_d", "played_m", "visits", "played_idx", "best_idx"):
        assert record[name] == 0


@pytest.mark.parametrize("version", [3, 4])
def test_plies_left_are_a_byte_before_v5(version: int) -> None:
    (record,) = one(version, invariance_info=200)
    assert record["plies_left"] == 200
    assert record["invariance_info"] == 0  # else 200 would be read as bits
    assert targets_of(one(version, invariance_info=200)).plies_left == 200
    assert np.isnan(targets_of(one(version)).plies_left)


def test_the_byte_is_bits_from_v5_on() -> None:
    (record,) = one(5, invariance_info=0b100000)
    assert (record["invariance_info"], record["plies_left"]) == (32, 0)


@pytest.mark.parametrize(
    ("version", "illegal", "legal_moves"),
    [(3, 0.0, 3), (4, -1.0, 4), (4, NAN, 4), (5, NAN, 4), (6, -1.0, 4), (6, NAN, 4), (7, -1.0, 4)],
)
def test_illegal_moves(version: int, illegal: float, legal_moves: int) -> None:
    """A move with probability 0 is legal but in V3, which marks illegal ones so."""
    records = one(version, probabilities=legal_probabilities(illegal))
    targets = targets_of(records)
    assert targets.legal[0].nonzero()[0].tolist() == list(range(legal_moves))
    assert targets.policy[0, :4].tolist() == [0.5, 0.25, 0.25, 0]
    assert not targets.policy[0, 4:].any()
    if version < 6:
        assert (records["probabilities"][0, 4:] == -1).all()


def test_the_nan_of_2019_has_all_bits_set() -> None:
    """lc0 filled the array with bytes of -1 then."""
    data = bytearray(record_bytes(4))
    data[4 + 4 * 4 : 4 + 4 * 1858] = b"\xff" * (4 * 1854)
    assert targets_of(parse(bytes(data))).legal[0].sum() == 4


def test_v7_to_v6_keeps_every_common_byte() -> None:
    source = np.random.default_rng(1).bytes(5 * SIZES[7])
    v7 = np.frombuffer(source, LAYOUTS[7])
    for before, after in zip(v7, to_v6(v7), strict=True):
        assert after.tobytes()[:4] == struct.pack("<I", 6)
        assert after.tobytes()[4:] == before.tobytes()[4 : SIZES[6]]


def test_v6_is_what_stands_in_the_file() -> None:
    data = game_bytes(6, 3, orig_q=NAN, visits=800)
    assert bits(parse(data)) == data
    assert not parse(data).flags.writeable


def test_another_array_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no array of training records"):
        to_v6(np.zeros(3, np.dtype([("version", "<u4")])))


# What is refused


@pytest.mark.parametrize(
    ("fields", "damage", "said"),
    [
        ({"probabilities": [-1.0] * 1858}, Damage.PROBABILITIES, "sum of all probabilities is 0.0"),
        ({"probabilities": [NAN] * 1858}, Damage.PROBABILITIES, "sum"),
        ({"probabilities": [0.5] * 1858}, Damage.PROBABILITIES, "sum of all probabilities is 929"),
        ({"probabilities": [math.inf] + [-1.0] * 1857}, Damage.PROBABILITIES, "is inf"),
        ({"probabilities": [3e38] * 1858}, Damage.PROBABILITIES, "sum"),
        ({"probabilities": [1.0, -0.5] + [-1.0] * 1856}, Damage.PROBABILITIES, "not -1"),
        ({"probabilities": [1.0, -math.inf] + [-1.0] * 1856}, Damage.PROBABILITIES, "not -1"),
        ({"input_format": 0}, Damage.INPUT_FORMAT, "input_format is 0"),
        ({"input_format": 6}, Damage.INPUT_FORMAT, "input_format is 6"),
        ({"root_q": NAN}, Damage.VALUES, "root_q is nan"),
        ({"best_q": 1.5}, Damage.VALUES, "best_q is 1.5"),
        ({"best_d": -0.1}, Damage.VALUES, "best_d"),
        ({"played_m": math.inf}, Damage.VALUES, "played_m is inf"),
        ({"plies_left": -1.0}, Damage.VALUES, "plies_left"),
        ({"orig_d": 2.0}, Damage.VALUES, "orig_d"),
        ({"orig_m": math.inf}, Damage.VALUES, "orig_m"),
        ({"result_q": 1.0, "result_d": 1.0}, Damage.VALUES, "result_d is 1.0"),
        ({"rule50": 101}, Damage.VALUES, "rule50 is 101"),
        ({"castling_us_oo": 2}, Damage.VALUES, "castling_us_oo is 2"),
        ({"side_to_move": 3}, Damage.VALUES, "side_to_move is 3"),
        ({"input_format": 2, "side_to_move": 2}, Damage.VALUES, "side_to_move is 2"),
        ({"input_format": 3, "side_to_move": 3}, Damage.VALUES, "side_to_move is 3"),
        ({"input_format": 3, "castling_us_oo": 0x81}, Damage.VALUES, "castling_us_oo is 129"),
        ({"visits": 1, "best_idx": 1858}, Damage.VALUES, "best_idx is 1858"),
        ({"played_idx": 65535}, Damage.VALUES, "played_idx is 65535"),
        ({"visits": 1, "played_idx": 4}, Damage.VALUES, "played_idx is 4, an illegal move"),
    ],
)
def test_impossible_records_are_refused(fields: dict[str, Any], damage: Damage, said: str) -> None:
    good = record_bytes(6)
    with pytest.raises(RecordError, match=said) as caught:
        parse(good + record_bytes(6, **fields))
    assert caught.value.damage is damage
    assert str(caught.value).startswith("record 1: ")


@pytest.mark.parametrize(
    "fields",
    [
        {"orig_q": NAN, "orig_d": NAN, "orig_m": NAN},
        {"rule50": 100, "side_to_move": 1, "castling_them_ooo": 1},
        {"input_format": 3, "side_to_move": 0x80, "castling_us_oo": 0x40},
        {"input_format": 133},
        {"played_idx": 4},  # without visits, it says nothing
        {"result_q": -1.0, "root_q": -1.0, "best_q": 1.0, "result_d": 0.0},
        {"probabilities": [1.0] + [-1.0] * 1857},
    ],
)
def test_unusual_records_are_read(fields: dict[str, Any]) -> None:
    assert len(one(6, **fields)) == 1


@pytest.mark.parametrize("result", [-128, -2, 2, 127])
def test_a_result_is_won_drawn_or_lost(result: int) -> None:
    records = np.frombuffer(record_bytes(5, result=result), LAYOUTS[5])
    with pytest.raises(RecordError, match=f"result is {result}"):
        to_v6(records)


@pytest.mark.parametrize(
    ("data", "damage", "said"),
    [
        (b"", Damage.NOT_RECORDS, "begins with nothing"),
        (b"\x06\0\0", Damage.NOT_RECORDS, "begins with 06 00 00"),
        (bytes(8356), Damage.NOT_RECORDS, "begins with 00 00 00 00"),
        (struct.pack("<I", 8) + bytes(9000), Damage.NOT_RECORDS, "not with a version from 3 to 7"),
        (record_bytes(6)[:-1], Damage.SIZE, "8,355 bytes are not a whole number of V6 records"),
        (record_bytes(6) + b"\0", Damage.SIZE, "8,357 bytes"),
        (record_bytes(6) + b"\7" + record_bytes(6)[1:], Damage.VERSION, "record 1 is of version 7"),
    ],
)
def test_bytes_that_are_no_records(data: bytes, damage: Damage, said: str) -> None:
    with pytest.raises(RecordError, match=said) as caught:
        parse(data)
    assert caught.value.damage is damage


@pytest.mark.parametrize("length", [0, 1, 3, 4, 8355, 8356, 8357, 2 * 8356 - 1, 2 * 8356])
def test_whole_records_before_a_cut(length: int) -> None:
    data = game_bytes(6, 2)
    records = parse(data[:length], cut=True)
    assert bits(records) == data[: length // 8356 * 8356]


def test_no_records_are_valid() -> None:
    validate(np.zeros(0, V6))
    assert planes_of(np.zeros(0, V6))[0].shape == (0, 112)
    assert targets_of(np.zeros(0, V6)).result.shape == (0, 3)


# What a record says


@pytest.mark.parametrize("square", range(64))
def test_each_byte_stands_in_reverse(square: int) -> None:
    """On disk the file is counted from h; a mask begins at a1."""
    stored = 1 << (square ^ 7)
    masks, values = planes_of(one(planes=[0] * 103 + [stored]))
    assert int(masks[0, 103]) == 1 << square
    assert not masks[0, :103].any()
    assert values[0, 103] == 1


def test_planes_beside_the_boards() -> None:
    names = ("castling_us_ooo", "castling_us_oo", "castling_them_ooo", "castling_them_oo")
    for plane, name in enumerate((*names, "side_to_move"), start=planes.OUR_QUEENSIDE):
        masks, values = planes_of(one(**{name: 1, "rule50": 37}))
        full = (masks[0] == planes.FULL_BOARD).nonzero()[0].tolist()
        assert full == [plane, planes.RULE50, planes.ONES]
        assert np.count_nonzero(masks) == 3
        assert values[0, planes.RULE50] == 37
        assert (np.delete(values[0], planes.RULE50) == 1).all()


def test_planes_of_several_input_formats_are_refused() -> None:
    data = record_bytes(6) + record_bytes(6, input_format=3)
    with pytest.raises(RecordError, match="record 1: input_format is 3, where the first record"):
        planes_of(parse(data))


@pytest.mark.parametrize("input_format", [2, 3, 4, 5, 132, 133])
def test_planes_of_later_input_formats(input_format: int) -> None:
    """Castling by rooks on both back ranks, en passant by its file, plies in hundreds."""
    canonical, armageddon = input_format >= 3, input_format > 128
    fields = {
        "castling_us_ooo": 0x01,
        "castling_us_oo": 0x40,
        "castling_them_ooo": 0x02,
        "castling_them_oo": 0x80,
        "side_to_move": 0x10 if canonical else 1,
        "rule50": 37,
        "invariance_info": 0x80,
    }
    masks, values = planes_of(one(input_format=input_format, **fields))
    about_now = masks[0, planes.OUR_QUEENSIDE :].tolist()
    assert about_now == [
        1 << 0 | 2 << 56,
        1 << 6 | 1 << 63,
        0,
        0,
        0x10 << 56 if canonical else planes.FULL_BOARD,
        planes.FULL_BOARD,
        planes.FULL_BOARD if armageddon else 0,
        planes.FULL_BOARD,
    ]
    assert values[0, planes.RULE50] == np.float32(0.37 if input_format >= 4 else 37)


def test_targets() -> None:
    targets = targets_of(
        one(
            result_q=-1.0,
            best_q=0.25,
            best_d=0.5,
            root_q=0.125,
            root_d=0.75,
            plies_left=12.5,
            visits=801,
        )
    )
    assert targets.result.tolist() == [[0, 0, 1]]
    assert (targets.best_q[0], targets.best_d[0]) == (0.25, 0.5)
    assert (targets.root_q[0], targets.root_d[0]) == (0.125, 0.75)
    assert (targets.plies_left[0], targets.visits[0]) == (12.5, 801)
    assert [array.dtype for array in targets] == [
        *(np.float32, np.bool_, np.float32, np.float32, np.float32, np.float32, np.float32),
        *(np.float32, np.uint32),
    ]


def test_win_draw_loss() -> None:
    q = np.array([1, 0, -1, 0.25, -0.5, 1], np.float32)
    d = np.array([0, 1, 0, 0.5, 0.25, 1e-8], np.float32)
    expected = [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0.375, 0.5, 0.125],
        [0.125, 0.25, 0.625],
        [1, 1e-8, 0],  # and not -5e-9
    ]
    np.testing.assert_allclose(wdl(q, d), np.array(expected, np.float32), rtol=1e-7, atol=0)


def test_real_targets_are_distributions(shared: Path) -> None:
    for path in sorted((shared / "chunks").rglob("*.gz")):
        targets = targets_of(parse(gzip.decompress(path.read_bytes())))
        np.testing.assert_allclose(targets.policy.sum(1), 1, atol=1e-6)
        assert (targets.policy >= 0).all()
        assert not targets.policy[~targets.legal].any()
        assert set(np.unique(targets.result)) <= {0, 1}
        assert (targets.result.sum(1) == 1).all()
        assert not np.isfinite(targets.plies_left).any() or (targets.plies_left > 0).all()
