"""Training records of leela-chess, lc0's predecessor of 2018: versions 1 and 2, raised to V6.

Version 2 is packed, version 1 the same as text: of each position 112 lines of a plane in
hexadecimal digits, five flags, two counts, the probabilities and the result. ``swa.leela_chess``
says what is otherwise in them than in lc0's. The number of the move, which lc0 has no use for, is
dropped; as in V3 a legal move that the search did not visit cannot be told from an illegal one.

Layouts and their upgrade: leela-chess src/Training.cpp (``dump_training``, ``dump_training_v2``),
training/tf/chunkparser.py (``convert_v1_to_v2``), training/tf/convert_to_v3.py. No records of the
time were at hand: what is here was tried on records made by those rules.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from swa import leela_chess, records
from swa.planes import HISTORY
from swa.records import LAYOUTS, Damage, RecordError, Records
from swa.spec import EARLY_MOVES

_STORED_PLANES = HISTORY * leela_chess.BOARD_PLANES

V2 = np.dtype(
    [
        ("version", "<u4"),
        ("probabilities", "<f4", (EARLY_MOVES,)),
        ("planes", "<u8", (_STORED_PLANES,)),
        ("castling_us_ooo", "u1"),
        ("castling_us_oo", "u1"),
        ("castling_them_ooo", "u1"),
        ("castling_them_oo", "u1"),
        ("side_to_move", "u1"),
        ("rule50", "u1"),
        ("move_count", "u1"),
        ("result", "i1"),
    ]
)
"""A record of version 2, 8604 bytes."""

_FLAGS = (
    "castling_us_ooo",
    "castling_us_oo",
    "castling_them_ooo",
    "castling_them_oo",
    "side_to_move",
)
_NUMBERS = (*_FLAGS, "rule50", "move_count")

_RECORD_LINES = _STORED_PLANES + len(_NUMBERS) + 2  # 121
_PLANE_LINE = re.compile(rb"[0-9a-fA-F]{16}\r?(\n|$)")
_SPOILT = b"\1\0\0\0"

MOST_PLIES = 104
"""Of ``rule50`` in a game of that time, which did not end at 100 at once (convert_to_v3.py)."""


def version_of(data: bytes) -> int | None:
    """The version that records beginning with these bytes have, None if these are no records."""
    if _PLANE_LINE.match(data):
        return 1
    return 2 if data[:4] == b"\2\0\0\0" else records.version_of(data)


def is_cut(data: bytes) -> bool:
    """Whether the last of the records with which bytes begin is incomplete."""
    version = version_of(data)
    if version is None:
        return False
    if version == 1:
        return len(data.splitlines()) % _RECORD_LINES != 0
    layout = V2 if version == 2 else LAYOUTS[version]
    return len(data) % layout.itemsize != 0


def parse(data: bytes, cut: bool = False) -> Records:
    """Records of any version, back to back, as V6, all of them valid; read-only.

    Of a file that was ``cut`` the last record may be incomplete, and is left out. Raises
    RecordError for everything else.
    """
    if data[:4] == _SPOILT:
        raise RecordError(
            Damage.NOT_RECORDS,
            "records of version 1 that are not text: leela-chess wrote these wrongly (its "
            "issue 119)",
            "Leave the file out.",
        )
    version = version_of(data)
    if version not in (1, 2):
        return records.parse(data, cut)
    raised = to_v6(_parse_text(data, cut) if version == 1 else _parse_v2(data, cut))
    records.validate(raised)
    raised.setflags(write=False)
    return raised


def to_v6(old: NDArray[np.void]) -> Records:
    """Records of the layout ``V2`` as V6. Raises RecordError for a result that is none."""
    third = np.zeros(old.shape, LAYOUTS[3])
    third["version"] = 3
    for name in (*_FLAGS, "result"):
        third[name] = old[name]
    plies = old["rule50"]
    third["rule50"] = np.where(plies <= MOST_PLIES, np.minimum(plies, 100), plies)
    probabilities, black = old["probabilities"], old["side_to_move"] != 0
    for side, rows in enumerate((~black, black)):
        third["probabilities"][rows] = probabilities[rows][:, leela_chess.MOVE_INDEX[side]]
    boards = slice(records.STORED_PLANES)
    planes = old["planes"][:, leela_chess.KEPT_PLANES[boards]]
    planes = planes[:, leela_chess.SIDES_CHANGED[boards]]
    odd = leela_chess.ODD_BOARDS[boards]
    planes[:, odd] = planes[:, odd].byteswap()
    third["planes"] = planes
    return records.to_v6(third)


def _parse_v2(data: bytes, cut: bool) -> NDArray[np.void]:
    count, rest = divmod(len(data), V2.itemsize)
    if rest and not cut:
        raise RecordError(
            Damage.SIZE,
            f"{len(data):,} bytes are not a whole number of V2 records of {V2.itemsize:,} bytes",
        )
    old = np.frombuffer(data, V2, count)
    others = np.flatnonzero(old["version"] != 2)
    if others.size:
        raise RecordError(
            Damage.VERSION,
            f"record {others[0]} is of version {old['version'][others[0]]}, the first one of 2",
        )
    return old


def _parse_text(data: bytes, cut: bool) -> NDArray[np.void]:
    lines = data.splitlines()
    if cut and not data.endswith(b"\n"):
        lines.pop()  # its end may be missing
    count, rest = divmod(len(lines), _RECORD_LINES)
    if rest and not cut:
        raise RecordError(
            Damage.SIZE,
            f"{len(lines):,} lines are not a whole number of V1 records of {_RECORD_LINES} lines",
        )
    old = np.zeros(count, V2)
    for number in range(count):
        first = number * _RECORD_LINES
        try:
            _read_position(lines[first : first + _RECORD_LINES], old[number])
        except ValueError as error:
            reason = f"record {number}: {error}"
            raise RecordError(Damage.VALUES, reason) from error
    return old


def _read_position(lines: list[bytes], record: np.void) -> None:
    """Fill in one record. Raises ValueError, saying what is wrong with the lines."""
    record["version"] = 2
    planes = lines[:_STORED_PLANES]
    if not all(_PLANE_LINE.match(line) for line in planes):
        raise ValueError("a plane is not 16 hexadecimal digits")
    record["planes"] = np.frombuffer(bytes.fromhex(b"".join(planes).decode("ascii")), "<u8")
    for name, line in zip(_NUMBERS, lines[_STORED_PLANES:], strict=False):
        record[name] = min(_whole(name, line, 0), 255)
    probabilities, result = lines[-2:]
    try:
        found = np.array(probabilities.split(), np.float64)
    except ValueError as error:
        raise ValueError("the probabilities are not all numbers") from error
    if found.size != EARLY_MOVES:
        raise ValueError(f"{found.size} probabilities instead of {EARLY_MOVES}")
    with np.errstate(over="ignore"):
        record["probabilities"] = found
    record["result"] = min(_whole("result", result, -1), 2)  # 2 is refused


def _whole(name: str, line: bytes, least: int) -> int:
    """A number that stands alone on a line."""
    try:
        number = int(line)
    except ValueError as error:
        raise ValueError(f"{name} is no whole number") from error
    if number < least:
        raise ValueError(f"{name} is {number}")
    return number
