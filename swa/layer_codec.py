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
