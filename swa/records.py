"""lc0's training records, versions 3 to 7: their layouts, what is wrong with one, what it says.

A record is one position of a game, packed and little-endian: the search's probabilities, eight
boards, and what the search and the game came to. Every version's fields stand in the one before's
order with more behind them, so that a single table tells all layouts. Everything here works on V6;
older records are raised to it and V7 lowered, no field of V6 being lost.

Layouts: lc0 src/trainingdata/trainingdata_v6.h and _v7.h. Upgrades: lc0
src/trainingdata/reader.cc, lczero-training tf/chunkparser.py. Validity: lc0
src/trainingdata/rescorer.cc, ``Validate``.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa import planes
from swa.spec import PLANES, POLICY_MOVES, InputFormat

Records = NDArray[np.void]
"""A structured array [n] of one of ``LAYOUTS``; where not said otherwise, of ``V6``."""

STORED_PLANES = planes.HISTORY * planes.PLANES_PER_POSITION

ADJUDICATED, PLACEHOLDER = 1 << 5, 1 << 6
"""Bits of ``invariance_info``: the game was ended by a rule of the run; no search was made of this
position, so that nothing should be learned from it."""

TRANSFORM, BLACK = 7, 1 << 7
"""In canonical input formats, of the same: by which transform the board and the moves are turned
(``swa.policy_map``), and that black is to move."""

_FIELDS: tuple[tuple[int, str, str, int], ...] = (
    # first version, name, type, count
    (3, "version", "<u4", 1),
    (5, "input_format", "<u4", 1),
    (3, "probabilities", "<f4", POLICY_MOVES),  # by swa.policy_map; an illegal move's is -1
    (3, "planes", "<u8", STORED_PLANES),  # swa.planes, each byte's bits in reverse
    (3, "castling_us_ooo", "u1", 1),  # input format 1: 0 or 1; later ones: the rook's file, a bit
    (3, "castling_us_oo", "u1", 1),
    (3, "castling_them_ooo", "u1", 1),
    (3, "castling_them_oo", "u1", 1),
    (3, "side_to_move", "u1", 1),  # 1 is black; canonical input formats: en passant's file, a bit
    (3, "rule50", "u1", 1),  # plies
    (3, "invariance_info", "u1", 1),  # bits; before V5 the plies left, or 0
    (3, "result", "i1", 1),  # of the game, for the side to move; V6 has result_q and 0 here
    (4, "root_q", "<f4", 1),
    (4, "best_q", "<f4", 1),
    (4, "root_d", "<f4", 1),
    (4, "best_d", "<f4", 1),
    (5, "root_m", "<f4", 1),
    (5, "best_m", "<f4", 1),
    (5, "plies_left", "<f4", 1),
    (6, "result_q", "<f4", 1),
    (6, "result_d", "<f4", 1),
    (6, "played_q", "<f4", 1),
    (6, "played_d", "<f4", 1),
    (6, "played_m", "<f4", 1),
    (6, "orig_q", "<f4", 1),  # the net's own opinion; NaN where it is not known
    (6, "orig_d", "<f4", 1),
    (6, "orig_m", "<f4", 1),
    (6, "visits", "<u4", 1),
    (6, "played_idx", "<u2", 1),
    (6, "best_idx", "<u2", 1),
    (6, "policy_kld", "<f4", 1),
    (6, "q_st", "<f4", 1),  # reserved, 0, until V7
    (7, "d_st", "<f4", 1),
    (7, "opp_played_idx", "<u2", 1),
    (7, "next_played_idx", "<u2", 1),
    (7, "reserved", "<f4", 8),
)


def _layout(version: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            (name, kind, (count,)) if count > 1 else (name, kind)
            for since, name, kind, count in _FIELDS
            if since <= version
        ]
    )


LAYOUTS = {version: _layout(version) for version in range(3, 8)}
"""By version: a packed structured type."""
V6 = LAYOUTS[6]

INPUT_FORMATS = tuple(map(int, InputFormat))
_FIRST_CANONICAL = InputFormat.WITH_CANONICALIZATION

_Q, _D, _PLIES = (-1.0, 1.0), (0.0, 1.0), (0.0, float(np.finfo(np.float32).max))
_RANGES: dict[str, tuple[float, float]] = {
    **{f"{what}_q": _Q for what in ("root", "best", "result", "played")},
    **{f"{what}_d": _D for what in ("root", "best", "result", "played")},
    **dict.fromkeys(("root_m", "best_m", "plies_left", "played_m"), _PLIES),
}
_RANGES_OR_NAN = {"orig_q": _Q, "orig_d": _D, "orig_m": _PLIES}
_SEVERAL = ", where the first record has another"
_CASTLING_FLAGS = (
    (planes.OUR_QUEENSIDE, "castling_us_ooo"),
    (planes.OUR_KINGSIDE, "castling_us_oo"),
    (planes.THEIR_QUEENSIDE, "castling_them_ooo"),
    (planes.THEIR_KINGSIDE, "castling_them_oo"),
)
_SUM_TOLERANCE = 0.01  # of probabilities, as in lc0's Validate


class Damage(StrEnum):
    """Why records cannot be used."""

    UNREADABLE = "cannot be read"
    NOT_RECORDS = "no training records"
    GZIP = "damaged gzip"
    TAR = "damaged tar"
    TOO_LONG = "too long"
    SIZE = "not a whole number of records"
    VERSION = "mixed versions"
    INPUT_FORMAT = "unknown input format"
    PROBABILITIES = "impossible probabilities"
    VALUES = "impossible values"


class RecordError(ValueError):
    """Records that cannot be used: one to three lines for the user.

    ``damage`` says of which kind, ``reason`` what exactly, ``remedy`` what to do about it, ``path``
    the file where known.
    """

    def __init__(self, damage: Damage, reason: str, remedy: str = "", path: str = "") -> None:
        super().__init__(damage, reason, remedy, path)
        self.damage = damage
        self.reason = reason
        self.remedy = remedy
        self.path = path

    def __str__(self) -> str:
        first = f"{self.path}: {self.reason}" if self.path else self.reason
        return f"{first}\n{self.remedy}" if self.remedy else first


def version_of(data: bytes) -> int | None:
    """The version that records beginning with these bytes have, None if these are no records."""
    if len(data) < 4:
        return None
    (version,) = struct.unpack_from("<I", data)
    return version if version in LAYOUTS else None


def parse(data: bytes, cut: bool = False) -> Records:
    """Records back to back, as V6, all of them valid; read-only.

    Of a file that was ``cut`` the last record may be incomplete, and is left out; there may be no
    record at all then. Raises RecordError for everything else.
    """
    version = version_of(data)
    if version is None:
        if cut and len(data) < 4:
            return np.zeros(0, V6)
        raise RecordError(
            Damage.NOT_RECORDS,
            f"no training records: begins with {data[:4].hex(' ') or 'nothing'}, "
            "not with a version from 3 to 7",
        )
    layout = LAYOUTS[version]
    count, rest = divmod(len(data), layout.itemsize)
    if rest and not cut:
        raise RecordError(
            Damage.SIZE,
            f"{len(data):,} bytes are not a whole number of V{version} records "
            f"of {layout.itemsize:,} bytes",
        )
    records = np.frombuffer(data, layout, count)
    others = np.flatnonzero(records["version"] != version)
    if others.size:
        raise RecordError(
            Damage.VERSION,
            f"record {others[0]} is of version {records['version'][others[0]]}, "
            f"the first one of {version}",
        )
    records = to_v6(records)
    validate(records)
    records.setflags(write=False)
    return records


def to_v6(records: Records) -> Records:
    """Records of any of ``LAYOUTS`` as V6; V6 itself is returned as it is.

    From V7 every field of V6 is kept bit for bit. Raised from before V6, ``result`` becomes
    ``result_q`` and ``result_d``, ``orig_*`` are NaN (not known), what the version did not have is
    0, and illegal moves, marked by NaN in some files of 2019 and by 0 in V3, become -1. A legal
    move that V3's search did not visit cannot be told from an illegal one. Before V5 the input
    format is 1 and ``plies_left`` stands in the byte of ``invariance_info``, 0 if it is not known.

    Raises RecordError for a result that is none, TypeError for an array of another kind.
    """
    version = next((known for known, kind in LAYOUTS.items() if kind == records.dtype), None)
    if version is None:
        raise TypeError(f"no array of training records: {records.dtype}")
    if version == 6:
        return records
    raised = np.zeros(records.shape, V6)
    for name in V6.names or ():
        if name in (records.dtype.names or ()):
            raised[name] = records[name]
    raised["version"] = 6
    if version > 6:
        return raised
    result = records["result"]
    _refuse(Damage.VALUES, (result < -1) | (result > 1), "result", result)
    raised["result"], raised["result_q"], raised["result_d"] = 0, result, result == 0
    for name in ("orig_q", "orig_d", "orig_m"):
        raised[name] = np.nan
    probabilities = raised["probabilities"]
    probabilities[np.isnan(probabilities) if version > 3 else probabilities == 0] = -1
    if version < 5:
        raised["input_format"] = InputFormat.CLASSICAL_112_PLANE
        raised["plies_left"], raised["invariance_info"] = records["invariance_info"], 0
    return raised


def validate(records: Records) -> None:
    """Refuse V6 records that no search and no game can have given.

    The rules are those by which lc0 itself refuses them; that a drawn game is not won, too. Raises
    RecordError, naming the first bad record.
    """
    formats = records["input_format"]
    _refuse(
        Damage.INPUT_FORMAT,
        ~np.any(formats[:, None] == np.array(INPUT_FORMATS), axis=1),
        "input_format",
        formats,
    )
    _validate_probabilities(records)
    for name, (low, high) in _RANGES.items():
        values = records[name]
        _refuse(Damage.VALUES, ~((values >= low) & (values <= high)), name, values)
    for name, (low, high) in _RANGES_OR_NAN.items():
        values = records[name]
        _refuse(Damage.VALUES, (values < low) | (values > high), name, values)
    impossible = abs(records["result_q"]) + records["result_d"] > 1 + _SUM_TOLERANCE
    _refuse(Damage.VALUES, impossible, "result_d", records["result_d"])
    _refuse(Damage.VALUES, records["rule50"] > 100, "rule50", records["rule50"])
    flag = formats == InputFormat.CLASSICAL_112_PLANE
    for name in ("castling_us_ooo", "castling_us_oo", "castling_them_ooo", "castling_them_oo"):
        _refuse_bits(name, records[name], flag)
    _refuse_bits("side_to_move", records["side_to_move"], formats < _FIRST_CANONICAL)


def _validate_probabilities(records: Records) -> None:
    probabilities = records["probabilities"]
    legal = probabilities >= 0
    illegal = probabilities == -1
    if np.count_nonzero(legal) + np.count_nonzero(illegal) < legal.size:  # NaN, or damage
        unknown = ~(legal | illegal | np.isnan(probabilities)).all(axis=1)
        _refuse(Damage.PROBABILITIES, unknown, "a probability", "negative, but not -1")
    rows, moves = np.divmod(np.flatnonzero(legal), POLICY_MOVES)  # ten times as fast as nonzero
    # In float64, where no sum of float32 overflows; infinity stays what it is.
    total = np.bincount(rows, probabilities[rows, moves], len(records))
    impossible = ~(abs(total - 1) <= _SUM_TOLERANCE)
    _refuse(Damage.PROBABILITIES, impossible, "the sum of all probabilities", total)
    searched = (records["visits"] > 0).nonzero()[0]
    for name in ("played_idx", "best_idx"):
        move = records[name]
        _refuse(Damage.VALUES, move >= POLICY_MOVES, name, move)
        unplayable = np.zeros(len(records), np.bool_)
        unplayable[searched] = ~legal[searched, move[searched]]
        _refuse(Damage.VALUES, unplayable, name, move, ", an illegal move")


def _refuse_bits(name: str, values: NDArray[np.uint8], flag: NDArray[np.bool_]) -> None:
    """Refuse what is not 0 or 1 where it is a flag, and not one bit at most elsewhere."""
    _refuse(Damage.VALUES, np.where(flag, values > 1, values & (values - 1)) != 0, name, values)


def _refuse(
    damage: Damage,
    bad: NDArray[np.bool_],
    name: str,
    values: NDArray[np.generic] | str,
    why: str = "",
) -> None:
    if bad.any():
        record = int(np.argmax(bad))
        value = values if isinstance(values, str) else values[record]
        raise RecordError(damage, f"record {record}: {name} is {value}{why}")


def planes_of(records: Records) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Packed planes as ``swa.planes`` has them: ``masks`` and ``values``, both [n, 112].

    They are what a net of the records' input format sees, turned by their transforms: what lc0
    makes of the position (src/trainingdata/reader.cc, ``PlanesFromTrainingData``, which turns them
    back at its end). Raises RecordError for an input format that there is not, and for records of
    several.
    """
    masks = np.zeros((len(records), PLANES), np.uint64)
    values = np.ones((len(records), PLANES), np.float32)
    if not len(records):
        return masks, values
    input_format = format_of(records)
    masks[:, :STORED_PLANES] = bytes_reversed(records["planes"])
    if input_format.knows_chess960:
        for plane, side in ((planes.A_SIDE_ROOKS, "ooo"), (planes.H_SIDE_ROOKS, "oo")):
            theirs = records[f"castling_them_{side}"].astype(np.uint64) << np.uint64(56)
            masks[:, plane] = records[f"castling_us_{side}"] | theirs
    else:
        for plane, name in _CASTLING_FLAGS:
            masks[records[name] != 0, plane] = planes.FULL_BOARD
    if input_format.canonical:
        masks[:, planes.EN_PASSANT] = records["side_to_move"].astype(np.uint64) << np.uint64(56)
    else:
        masks[records["side_to_move"] != 0, planes.BLACK_TO_MOVE] = planes.FULL_BOARD
    if input_format.armageddon:
        masks[black_to_move(records), planes.ARMAGEDDON_BLACK] = planes.FULL_BOARD
    masks[:, planes.RULE50] = masks[:, planes.ONES] = planes.FULL_BOARD
    values[:, planes.RULE50] = records["rule50"]
    if input_format.hectoplies:
        values[:, planes.RULE50] /= 100
    return masks, values


def format_of(records: Records) -> InputFormat:
    """The input format of at least one record; RecordError where they have several, or none."""
    formats = records["input_format"]
    _refuse(Damage.INPUT_FORMAT, formats != formats[0], "input_format", formats, _SEVERAL)
    _refuse(Damage.INPUT_FORMAT, ~np.isin(formats, INPUT_FORMATS), "input_format", formats)
    return InputFormat(int(formats[0]))


def black_to_move(records: Records) -> NDArray[np.bool_]:
    """Whether black is to move [n], which canonical input formats have elsewhere than others."""
    canonical = records["input_format"] >= _FIRST_CANONICAL
    told = np.where(canonical, records["invariance_info"] & BLACK, records["side_to_move"])
    return np.asarray(told != 0)


def bytes_reversed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Words with the bits of each byte in reverse, as ``planes`` of a record has them, or back."""
    # Neighbours, pairs, halves change places.
    words = words.astype(np.uint64)
    for shift, mask in ((1, 0x55), (2, 0x33), (4, 0x0F)):
        kept = np.uint64(mask * 0x0101_0101_0101_0101)
        by = np.uint64(shift)
        words = ((words >> by) & kept) | ((words & kept) << by)
    return words


class Targets(NamedTuple):
    """What a net should say of n positions, the side to move's view."""

    policy: NDArray[np.float32]  # [n, 1858] probabilities, 0 for an illegal move
    legal: NDArray[np.bool_]  # [n, 1858]
    result: NDArray[np.float32]  # [n, 3] win, draw, loss of the game
    best_q: NDArray[np.float32]  # [n] after the search, of its best move; 0 in V3, as are these:
    best_d: NDArray[np.float32]  # [n]
    root_q: NDArray[np.float32]  # [n] after the search, the mean of all visits
    root_d: NDArray[np.float32]  # [n]
    plies_left: NDArray[np.float32]  # [n] to the game's end; NaN where the record does not know
    visits: NDArray[np.uint32]  # [n] of the search; 0 where the record does not know


def targets_of(records: Records) -> Targets:
    """What V6 records say of their positions; ``PLACEHOLDER`` records are not left out.

    Illegal moves are all but those with a probability of 0 or more. The sum of a row of ``policy``
    is 1 but for rounding, as in the file.
    """
    probabilities = records["probabilities"]
    legal = probabilities >= 0
    plies_left = records["plies_left"]
    return Targets(
        policy=np.where(legal, probabilities, np.float32(0)),
        legal=legal,
        result=wdl(records["result_q"], records["result_d"]),
        best_q=records["best_q"].copy(),
        best_d=records["best_d"].copy(),
        root_q=records["root_q"].copy(),
        root_d=records["root_d"].copy(),
        plies_left=np.where(plies_left > 0, plies_left, np.float32(np.nan)),
        visits=records["visits"].copy(),
    )


def wdl(q: NDArray[np.float32], d: NDArray[np.float32]) -> NDArray[np.float32]:
    """Win, draw and loss [n, 3] from W - L and D, both [n]; rounding does not make them negative.

    Computed in float64, where 1 - D is exact.
    """
    decided, lead = 1 - d.astype(np.float64), q.astype(np.float64)
    columns = ((decided + lead) / 2, d, (decided - lead) / 2)
    return np.stack(columns, axis=-1).clip(0).astype(np.float32)
