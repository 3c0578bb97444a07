"""Protobuf read by hand, without the runtime and without our table of fields.

The wire format is that of https://protobuf.dev/programming-guides/encoding: a key (field number and
kind), then a varint, eight bytes, a length with as many bytes, or four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Field = tuple[int, int | bytes]


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in their order: number, and value (integers unsigned)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value: int | bytes
        if key & 7 == 0:
            value, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                assert key & 7 == 2, f"kind {key & 7}"
                size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
            assert len(value) == size, "cut off"
        yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def all_of(data: bytes, *path: int) -> list[int | bytes]:
    """Every value at a path of field numbers; a repeated field gives several."""
    if not path:
        return [data]
    first, *rest = path
    found: list[int | bytes] = []
    for number, value in fields(data):
        if number == first:
            found += all_of(value, *rest) if rest and isinstance(value, bytes) else [value]
    return found


def layer_values(layer: bytes) -> NDArray[np.float64]:
    """The numbers of a layer, by lc0's formulas in float64."""
    said = dict(fields(layer))
    data = said.get(3, b"")
    assert isinstance(data, bytes)
    encoding = said.get(4, 1)
    if encoding == 2:
        return np.frombuffer(data, "<f2").astype(np.float64)
    if encoding == 3:
        halves = np.frombuffer(data, "<u2")
        bits = np.stack([np.zeros_like(halves), halves], axis=1)  # little end first
        return bits.view("<f4").reshape(-1).astype(np.float64)
    if encoding == 4:
        return np.frombuffer(data, "<f4").astype(np.float64)
    assert encoding == 1
    low, high = (struct.unpack("<f", said.get(field, bytes(4)))[0] for field in (1, 2))  # type: ignore[arg-type]
    part = np.frombuffer(data, "<u2") / 65535
    return low * (1 - part) + high * part
