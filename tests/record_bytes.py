"""Training records made by ``struct``, field after field as lc0's own structures have them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from typing import Any

import numpy as np

SIZES = {3: 8276, 4: 8292, 5: 8308, 6: 8356, 7: 8396}

_BYTES = (
    "castling_us_ooo",
    "castling_us_oo",
    "castling_them_ooo",
    "castling_them_oo",
    "side_to_move",
    "rule50",
    "invariance_info",
    "result",
)
_V4 = ("root_q", "best_q", "root_d", "best_d")
_V5 = ("root_m", "best_m", "plies_left")
_V6 = ("result_q", "result_d", "played_q", "played_d", "played_m", "orig_q", "orig_d", "orig_m")
_V6_END = ("visits", "played_idx", "best_idx", "policy_kld", "q_st")
_V7_END = ("d_st", "opp_played_idx", "next_played_idx")


def legal_probabilities(illegal: float = -1.0) -> list[float]:
    """Four legal moves, 0 to 3, with probabilities 0.5, 0.25, 0.25 and 0 (not visited)."""
    return [0.5, 0.25, 0.25, 0.0, *[illegal] * 1854]


def record_bytes(version: int, **fields: Any) -> bytes:
    """One record; a field that is not given is 0, but for valid probabilities."""
    values: dict[str, Any] = {
        "input_format": 1,
        "probabilities": legal_probabilities(0.0 if version == 3 else -1.0),
        "planes": [0] * 104,
        **fields,
    }
    names = [*_BYTES]
    names += _V4 if version >= 4 else ()
    names += _V5 if version >= 5 else ()
    names += (*_V6, *_V6_END) if version >= 6 else ()
    names += _V7_END if version >= 7 else ()
    head = (version, values["input_format"]) if version >= 5 else (version,)
    layout = {3: "", 4: "4f", 5: "7f", 6: "15fIHHff", 7: "15fIHHfffHH"}[version]
    return struct.pack(
        f"<{len(head)}I1858f104Q7B{'B' if version >= 6 else 'b'}{layout}",
        *head,
        *values["probabilities"],
        *values["planes"],
        *(values.get(name, 0) for name in names),
    ) + (bytes(32) if version >= 7 else b"")


def game_bytes(version: int, count: int, **fields: Any) -> bytes:
    """Records that ``rule50`` tells apart."""
    return b"".join(record_bytes(version, rule50=number, **fields) for number in range(count))


def packed_game(version: int = 6, count: int = 3, **fields: Any) -> bytes:
    """A file as lc0 writes it."""
    return gzip.compress(game_bytes(version, count, **fields), mtime=0)


def tar_of(members: dict[str, bytes], **options: Any) -> bytes:
    """A tar as Python's own writer makes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", **options) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1700000000.25  # pax writes fractions into a header of its own
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def bits(values: Any) -> bytes:
    """What is in memory: NaN equals itself there, and 0 is not -0."""
    return np.ascontiguousarray(values).tobytes()
