"""One layer of lc0's file: values in, values out, in each of the four encodings.

LINEAR16 spreads 65536 codes evenly between a layer's extremes; since lc0 0.33 a layer may say that
it holds FLOAT16, BFLOAT16 or FLOAT32 instead (lc0 proto/net.proto, ``Weights.Layer.Encoding``).
A layer is found by its path in the ``Weights`` message: ``residual.0.conv1.weights``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from swa.spec import NetError

ENCODINGS = {1: "linear16", 2: "float16", 3: "bfloat16", 4: "float32"}
"""``Layer.encoding``; a layer without it is LINEAR16."""

ENCODING_NUMBERS = {name: number for number, name in ENCODINGS.items()}

_ITEM_BYTES = {1: 2, 2: 2, 3: 2, 4: 4}


def layer_at(weights: Any, field: str) -> Any:
    """The ``Layer`` at a path such as ``residual.0.conv1.weights``; an empty one if not there."""
    here = weights
    for step in field.split("."):
        here = here[int(step)] if step.isdigit() else getattr(here, step)
    return here


def encoding_of(weights: Any, field: str) -> int:
    """A layer's key in ``ENCODINGS``. Raises NetError for another."""
    layer = layer_at(weights, field)
    encoding = layer.encoding if layer.HasField("encoding") else 1
    if encoding not in ENCODINGS:
        raise NetError(
            f"unknown layer encoding: {field}.encoding is {encoding}",
            f"Known are {', '.join(f'{name} ({n})' for n, name in ENCODINGS.items())}.",
        )
    return int(encoding)


def size_of(weights: Any, field: str) -> int:
    """Values that a layer holds."""
    data: bytes = layer_at(weights, field).params
    if not data:
        return 0
    count, rest = divmod(len(data), _ITEM_BYTES[encoding_of(weights, field)])
    if rest:
        raise NetError(f"{field} has {len(data)} bytes, no whole number of values")
    return count


def decode(weights: Any, field: str) -> NDArray[np.float32]:
    """A layer's values, flat. Raises NetError where one is not finite."""
    layer, encoding = layer_at(weights, field), encoding_of(weights, field)
    with np.errstate(all="ignore"):
        if encoding == 1:
            values = decode_linear16(layer.params, layer.min_val, layer.max_val)
        elif encoding == 2:
            values = np.frombuffer(layer.params, "<f2").astype(np.float32)
        elif encoding == 3:
            values = (np.frombuffer(layer.params, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(layer.params, "<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise NetError(f"{field} holds a value that is not a finite number")
    return values


def decode_linear16(data: bytes, low: float, high: float) -> NDArray[np.float32]:
    """Codes of 16 bits between ``low`` and ``high``, rounded as lc0's own builds round them.

    lc0 writes ``min * (1 - t) + max * t`` in float32, which its compilers contract to
    ``fma(min, 1 - t, max * t)`` (lc0 src/utils/weights_adapter.cc). A product of two float32 is
    exact in float64, so the sum there, rounded once more, is that fused operation.
    """
    t = np.frombuffer(data, "<u2").astype(np.float32) / np.float32(65535)
    upper = (np.float32(high) * t).astype(np.float64)
    lower = np.float64(np.float32(low)) * (np.float32(1) - t).astype(np.float64)
    return (lower + upper).astype(np.float32)


def encode(weights: Any, field: str, values: NDArray[np.float32], encoding: int) -> None:
    """Put values into a layer: its encoding, bounds and codes; other fields of it stay.

    Raises NetError where a value is not finite, or beyond what the encoding holds.
    """
    layer, flat = layer_at(weights, field), values.reshape(-1)
    if not np.isfinite(flat).all():
        raise NetError(
            f"{field} holds a value that is not a finite number", "The net that it is from broke."
        )
    if encoding == 1:
        layer.params, layer.min_val, layer.max_val = encode_linear16(flat)
        if layer.encoding != 1:
            layer.ClearField("encoding")  # absent means LINEAR16 to every lc0
        return
    if encoding == 2:
        with np.errstate(over="ignore", under="ignore"):
            stored = flat.astype("<f2")
        fits = bool(np.isfinite(stored).all())
    elif encoding == 3:
        stored = bfloat16(flat)
        fits = bool(((stored & 0x7F80) != 0x7F80).all())
    else:
        stored, fits = flat.astype("<f4"), True
    if not fits:
        raise NetError(
            f"{field} holds {float(np.abs(flat).max()):g}, too large for {ENCODINGS[encoding]}",
            "Use float32.",
        )
    layer.encoding, layer.params = encoding, stored.tobytes()
    layer.ClearField("min_val")
    layer.ClearField("max_val")


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper halves of float32, rounded to nearest, ties to even; infinite on overflow."""
    bits = values.astype("<f4").view("<u4")
    rounded: NDArray[np.uint32] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return rounded.astype("<u2")


def encode_linear16(values: NDArray[np.float32]) -> tuple[bytes, float, float]:
    """Codes of 16 bits with the extremes as bounds, as lc0's trainer writes them.

    Values that are all the same get code 0. One value alone lies between 0 and itself, so that a
    negative one has its bounds the wrong way round (lczero-training tf/net.py, ``fill_layer_v2``).
    What was decoded from such a layer encodes to the same codes and bounds, unless all values lie
    so close together that float32 cannot tell neighbouring codes apart.
    """
    if not values.size:
        return b"", 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    if values.size == 1:
        low, high = 0.0, high or 1.0
    parts = np.zeros(values.size)
    if low != high:
        parts = (values.astype(np.float64) - low) / (high - low)
    return np.rint(parts * 65535).astype("<u2").tobytes(), low, high
