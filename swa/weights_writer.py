"""Lc0's net files written: ``NetSpec`` and named arrays into a protobuf message, then to bytes.

What was read is kept: the message of the file that a net came from is the start, only layers whose
values or encoding differ are replaced, and all else in it, known or not, stays. So a net that was
not changed gives the very protobuf bytes that it came from.

Batch norm of a net that was changed is written in one form, the one that the reader has brought it
to: gammas and betas in every layer, no biases beside them.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from swa.layer_codec import (
    ENCODING_NUMBERS,
    ENCODINGS,
    decode,
    encode,
    encoding_of,
    layer_at,
    size_of,
)
from swa.net_header import ACTIVATIONS
from swa.net_proto import NetMessage
from swa.spec import (
    BATCH_NORM_EPSILON,
    EARLY_MOVES,
    POLICY_FIELDS,
    Activation,
    Embedding,
    NetError,
    NetSpec,
    Parameter,
    PolicyKind,
    ValueKind,
    normed_convolutions,
    parameters,
)
from swa.weights_file import MAGIC, read_weights

Weights = Mapping[str, NDArray[np.float32]]

BASE_VERSION = (0, 21, 0)
"""What lc0's trainer asks of any net, gammas and head formats among it (tf/net.py)."""

MISH_VERSION = (0, 29, 0)
"""The first lc0 that knows mish (tf/net.py)."""

ATTENTION_VERSION = (0, 30, 0)
"""The first lc0 that knows attention bodies (tf/net.py)."""

INPUT_VERSIONS = {
    2: (0, 25, 0),
    3: (0, 25, 0),
    4: (0, 26, 0),
    132: (0, 26, 0),
    5: (0, 27, 0),
    133: (0, 27, 0),
}
"""The first lc0 that knows an input format (tf/net.py); the others are as old as format 1."""

ENCODINGS_VERSION = (0, 33, 0)
"""The first lc0 that reads a layer's own encoding (lc0 src/neural/loader.cc)."""

GZIP_LEVEL = 6
"""Of 9; the last three make a net 0.4 % smaller and take nine times as long (maia-1300)."""

_POLICY_NUMBERS = {
    PolicyKind.CLASSICAL: 1,
    PolicyKind.CONVOLUTION: 2,
    PolicyKind.ATTENTION: 3,
}

_NO_TIME_NO_NAME = b"\x1f\x8b\x08" + bytes(6) + b"\xff"  # RFC 1952: deflate, unknown system


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """What storing a layer did to its values."""

    name: str  # the parameter's: "blocks.0.conv1.weight"
    encoding: str
    values: int
    max_error: float  # largest distance of a stored value to what it should be
    relative: float  # the same in units of the layer's range, largest less smallest value
    # Of variances: the largest relative error of 1 / sqrt(variance + 1e-5), by which the batch
    # norm multiplies; small variances beside large ones suffer from even steps (LINEAR16).
    scale_error: float | None


def empty_message(spec: NetSpec) -> Any:
    """The header of a new net, and room for its layers. For nets that do not come from a file."""
    net: Any = NetMessage(magic=MAGIC)
    net.format.weights_encoding = 1
    header = net.format.network_format
    header.input = int(spec.input_format)
    header.output = 2 if spec.value.kind is ValueKind.WDL else 1
    header.network = 4 if spec.se else 3
    header.policy = _POLICY_NUMBERS[spec.policy.kind]
    header.value = 2 if spec.value.kind is ValueKind.WDL else 1
    if spec.moves_left:
        header.moves_left = 1
    if spec.activation is Activation.MISH:
        header.default_activation = 1
    _raise_version(net, MISH_VERSION if spec.activation is Activation.MISH else BASE_VERSION)
    _raise_version(net, INPUT_VERSIONS.get(int(spec.input_format), BASE_VERSION))
    if spec.attention:
        header.network = 7 if spec.policies or spec.values else 6
        header.ffn_activation = _activation_number(spec.attention.ffn_activation)
        header.smolgen_activation = _activation_number(spec.attention.smolgen_activation)
        header.input_embedding = 2 if spec.attention.embedding is Embedding.DENSE else 1
        _raise_version(net, ATTENTION_VERSION)
        net.weights.headcount = spec.attention.encoder.heads
    _count_policy_heads(net.weights, spec)
    for row in parameters(spec):
        _make_room(net.weights, row.field)
    return net


def _activation_number(activation: Activation) -> int:
    names = {name: number for number, name in ACTIVATIONS.items()}
    return names[f"ACTIVATION_{activation.name}"]


def _count_policy_heads(weights: Any, spec: NetSpec) -> None:
    """Say how many attention heads the encoders of policies have."""
    heads = [(weights.policy_heads, POLICY_FIELDS[name], one) for name, one in spec.policies]
    for owner, field, policy in heads:
        head = getattr(owner, field)
        head.SetInParent()
        if policy.encoder:
            head.pol_headcount = policy.encoder.heads
    if not heads and spec.policy.encoder:
        weights.pol_headcount = spec.policy.encoder.heads


def _make_room(weights: Any, field: str) -> None:
    """Add the messages that a field is in: blocks, encoders, heads."""
    here, steps = weights, field.split(".")
    for step in steps[:-1]:
        if step.isdigit():
            while len(here) <= int(step):
                here.add()
            here = here[int(step)]
        else:
            here = getattr(here, step)
    here.SetInParent()


def check_writable(spec: NetSpec) -> None:
    """Raise NetError for a net that lc0's files have no place for."""
    if spec.early:
        raise NetError(
            "lc0's files cannot hold an early net (text version 1): every second board of the "
            f"history is turned in it, and it has {EARLY_MOVES} moves",
            "It can be played as it is.",
        )


def with_weights(message: Message, spec: NetSpec, weights: Weights, encoding: str | None) -> Any:
    """A copy of ``message`` that holds ``weights``, all in ``encoding``.

    With ``encoding`` None each layer keeps the encoding that it has, and a new layer takes that of
    the first layer of the net. The minimum version is raised where the result needs it, and never
    lowered. Raises NetError for weights that are not those of ``spec``, or that cannot be stored.
    """
    check_writable(spec)
    _check_weights(spec, weights)
    net: Any = type(message)()
    net.CopyFrom(message)
    if encoding is None and _is_unchanged(net, spec, weights):
        return net
    rows = parameters(spec)
    before = [_encoding_or_none(net.weights, row.field) for row in rows]
    fallback = before[0] or 1
    renewed = False
    for row, present in zip(rows, before, strict=True):
        wanted = ENCODING_NUMBERS[encoding] if encoding else present or fallback
        if present != wanted or not _holds(net.weights, row, weights[row.name]):
            encode(net.weights, row.field, _flat(weights[row.name]), wanted)
        renewed = renewed or present is None
    _clear_hidden_biases(net.weights, spec)
    after = {_encoding_or_none(net.weights, row.field) for row in rows}
    if after != {1}:
        _raise_version(net, ENCODINGS_VERSION)
        if after != set(before):
            net.format.ClearField("weights_encoding")
    elif set(before) != {1}:
        net.format.weights_encoding = 1
    if renewed:
        _raise_version(net, BASE_VERSION)
    return net


def _is_unchanged(net: Any, spec: NetSpec, weights: Weights) -> bool:
    """Whether a reader finds these weights as it is, bit for bit, in whatever form they are."""
    try:
        found, _ = read_weights(net.weights, spec)
    except NetError:  # a new net, without any
        return False
    return all(
        np.array_equal(_flat(values).view(np.uint32), _flat(weights[name]).view(np.uint32))
        for name, values in found.items()
    )


def _clear_hidden_biases(weights: Any, spec: NetSpec) -> None:
    """Remove biases before a batch norm: the reader has put them into its mean or beta."""
    fields = {row.name: row.field for row in parameters(spec)}
    for convolution in normed_convolutions(spec):
        field = fields[f"{convolution}.weight"].removesuffix(".weights")
        if size_of(weights, f"{field}.biases"):
            layer_at(weights, field).ClearField("biases")


def _check_weights(spec: NetSpec, weights: Weights) -> None:
    """Raise NetError where ``weights`` are not the arrays of ``spec``."""
    wanted = {row.name: row.shape for row in parameters(spec)}
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights:
            raise NetError(f"the net to be written has no {name}")
        if name not in wanted:
            raise NetError(f"a net of this kind has no {name}")
        if weights[name].shape != wanted[name]:
            raise NetError(f"{name} has the shape {weights[name].shape} instead of {wanted[name]}")


def _encoding_or_none(weights: Any, field: str) -> int | None:
    """How a layer is stored; None where it is not there."""
    return encoding_of(weights, field) if size_of(weights, field) else None


def _holds(weights: Any, row: Parameter, values: NDArray[np.float32]) -> bool:
    """Whether a layer holds exactly these values, bit for bit."""
    if size_of(weights, row.field) != math.prod(row.shape):
        return False
    held = decode(weights, row.field)
    return bool(np.array_equal(held.view(np.uint32), _flat(values).view(np.uint32)))


def _flat(values: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return np.ascontiguousarray(values, np.float32).reshape(-1)


def _raise_version(net: Any, needed: tuple[int, int, int]) -> None:
    """Make the minimum version at least ``needed``."""
    has = net.min_version
    if (has.major, has.minor, has.patch) < needed:
        has.major, has.minor, has.patch = needed


def losses(spec: NetSpec, message: Any, wanted: Weights, stored: Weights) -> tuple[LayerLoss, ...]:
    """What each layer lost between the values that were wanted and those read back."""
    rows = []
    for row in parameters(spec):
        ideal, found = (side[row.name].astype(np.float64) for side in (wanted, stored))
        error = float(np.abs(found - ideal).max())
        span = float(ideal.max() - ideal.min()) or float(np.abs(ideal).max())
        scale_error = None
        if row.name.endswith(".variance"):
            ratio = np.sqrt((ideal + BATCH_NORM_EPSILON) / (found + BATCH_NORM_EPSILON))
            scale_error = float(np.abs(ratio - 1).max())
        rows.append(
            LayerLoss(
                name=row.name,
                encoding=ENCODINGS[encoding_of(message.weights, row.field)],
                values=ideal.size,
                max_error=error,
                relative=error / span if error else 0.0,
                scale_error=scale_error,
            )
        )
    return tuple(rows)


def pack(payload: bytes, gzipped: bool) -> bytes:
    """A file's bytes of its protobuf bytes: the same for the same payload and version of zlib."""
    if not gzipped:
        return payload
    deflate = zlib.compressobj(GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
    body = deflate.compress(payload) + deflate.flush()
    return _NO_TIME_NO_NAME + body + struct.pack("<II", zlib.crc32(payload), len(payload))
