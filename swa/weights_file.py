"""Lc0's ``.pb`` and ``.pb.gz`` net files: bytes in, ``NetSpec`` and named float32 arrays out.

The file is trusted in nothing: whatever the bytes are, the outcome is a net whose shapes fit
together and whose numbers are finite, or a ``NetError`` that names the field. The rules of which
header makes which net are lc0's own (``src/neural/loader.cc``, ``src/neural/network_legacy.cc``),
old files included.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from swa.layer_codec import ENCODINGS, decode, encoding_of, size_of
from swa.net_description import describe
from swa.net_header import DAMAGED, NETWORKS, NOT_SUPPORTED, network_format, refuse_unsupported
from swa.net_proto import NetMessage
from swa.spec import (
    BATCH_NORM_EPSILON,
    POLICY_HEAD,
    VALUE_HEAD,
    NetError,
    NetSpec,
    Parameter,
    norm_of,
    parameters,
)

MAGIC = 0x1C0
"""First field of every net file (lc0 src/neural/loader.cc, kWeightMagic)."""

NEWEST_LC0 = (0, 33)
"""The newest lc0 whose nets this reader knows."""

ANY_LC0 = (97, 98, 99)
"""A minimum version that every lc0 accepts (lc0 src/neural/loader.cc, 0x5c99973)."""

MAX_PAYLOAD = 2**31 - 1
"""Bytes of an unpacked net: protobuf's own limit for a message."""

MAX_EXPANSION = 64
"""Most that gzip may unpack a file to, in multiples of its size; nets reach about 10."""

_FREE_EXPANSION = 2**26  # so that small files of constant weights pass

_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]")
"""How an ONNX model begins (onnx/onnx.proto): its version as a varint, then another field. A net
begins with the fixed32 of its magic number."""


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFile:
    """All that a net file says; ``message`` is the whole of it, unknown fields included."""

    spec: NetSpec
    weights: Mapping[str, NDArray[np.float32]]  # by parameter name, read-only
    network: str  # as the file's header calls it: "NETWORK_SE_WITH_HEADFORMAT"
    encoding: str  # "linear16", ..., or "mixed"
    min_version: tuple[int, int, int]
    training_steps: int | None
    message: Message


def unpack(data: bytes) -> bytes:
    """The protobuf bytes of a file's bytes, gzipped or not.

    As in lc0 (zlib's gzread), what follows a complete gzip member without being one is ignored.
    Raises NetError for a damaged file, a web page, or one that unpacks beyond all measure.
    """
    if not data:
        raise NetError("the file is empty", DAMAGED)
    payload = _gunzip(data) if data[:2] == b"\x1f\x8b" else data
    if payload[:7] == b"version" and b"git-lfs" in payload[:64]:
        raise NetError("a git-lfs pointer, not the net itself", "Fetch it with `git lfs pull`.")
    if _ONNX.match(payload):
        raise NetError(
            "an ONNX model, not a net file",
            "Batch norm is folded away in ONNX, and what the layers are is not told: use the "
            ".pb.gz it was made from.",
        )
    if payload[:1] in (b"<", b"{"):
        raise NetError("a web page or JSON, not a net", "The download failed: fetch it again.")
    return payload


def _gunzip(data: bytes) -> bytes:
    limit = min(MAX_PAYLOAD, max(_FREE_EXPANSION, MAX_EXPANSION * len(data)))
    payload = bytearray()
    while data[:2] == b"\x1f\x8b":
        member = zlib.decompressobj(wbits=31)
        try:
            payload += member.decompress(data, limit - len(payload) + 1)
        except zlib.error as error:
            raise NetError(f"gzip cannot unpack it ({error})", DAMAGED) from error
        if len(payload) > limit:
            raise NetError(
                f"unpacks to more than {limit:,} bytes",
                "No net does: this looks like a decompression bomb.",
            )
        if not member.eof:
            raise NetError("the file is truncated: the gzip stream has no end", DAMAGED)
        data = member.unused_data
    return bytes(payload)


def parse(
    payload: bytes, *, policy_head: str | None = None, value_head: str | None = None
) -> WeightsFile:
    """A net from its protobuf bytes, to be played by these heads; lc0's defaults where not said.

    Raises NetError for everything that is not a usable net, and for a head that it has not.
    """
    try:
        net: Any = NetMessage.FromString(payload)
    except DecodeError as error:
        raise NetError("not a net: the protobuf cannot be parsed", DAMAGED) from error
    if net.magic != MAGIC:
        raise NetError(
            f"not a net: bad header (magic {net.magic:#x} instead of {MAGIC:#x})",
            "Nets are lc0's .pb.gz or .pb files.",
        )
    version = _min_version(net)
    header = network_format(net)
    refuse_unsupported(net, header)
    spec = describe(net.weights, header)
    spec = spec.with_heads(policy_head or POLICY_HEAD, value_head or VALUE_HEAD)
    weights, encodings = read_weights(net.weights, spec)
    return WeightsFile(
        spec=spec,
        weights=MappingProxyType(weights),
        network=NETWORKS[header.network],
        encoding=encodings.pop() if len(encodings) == 1 else "mixed",
        min_version=version,
        training_steps=(
            net.training_params.training_steps
            if net.training_params.HasField("training_steps")
            else None
        ),
        message=net,
    )


def _min_version(net: Any) -> tuple[int, int, int]:
    """The oldest lc0 that reads this file. Raises NetError if we are older, or it cannot be."""
    wanted = net.min_version
    version = (wanted.major, wanted.minor, wanted.patch)
    dotted = ".".join(map(str, version))
    if version != ANY_LC0 and version[:2] > NEWEST_LC0:
        raise NetError(
            f"needs lc0 {dotted} or newer (min_version); nets are known here up to "
            f"{'.'.join(map(str, NEWEST_LC0))}",
            "Update this program, or use an older net.",
        )
    # lc0 src/neural/loader.cc: only from 0.33 does each layer say its own encoding.
    if net.HasField("weights") and net.format.weights_encoding != 1 and version < (0, 33, 0):
        raise NetError(
            f"unsupported encoding: format.weights_encoding is {net.format.weights_encoding}, "
            f"and min_version {dotted} allows LINEAR16 (1) only",
            DAMAGED,
        )
    return version


def read_weights(weights: Any, spec: NetSpec) -> tuple[dict[str, NDArray[np.float32]], set[str]]:
    """All arrays of a net, read-only, and the encodings in which they were stored.

    Raises NetError, naming the field, for one that is missing or of another size.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    encodings: set[str] = set()
    for row in parameters(spec):
        size, wanted = size_of(weights, row.field), math.prod(row.shape)
        if size == wanted:
            arrays[row.name] = decode(weights, row.field).reshape(row.shape)
            encodings.add(ENCODINGS[encoding_of(weights, row.field)])
        elif size == 0 and row.field.endswith(("bn_gammas", "bn_betas")):
            # Old writers left out what was all ones, or all zeros.
            fill = 1.0 if row.field.endswith("bn_gammas") else 0.0
            arrays[row.name] = np.full(row.shape, fill, np.float32)
        elif size == 0:
            raise NetError(f"{row.field} is missing: the net has no such weights", DAMAGED)
        else:
            shape = " x ".join(map(str, row.shape))
            raise NetError(
                f"{row.field} has {size} values where {shape} = {wanted} fit the other layers",
                DAMAGED,
            )
    for row in parameters(spec):
        if len(row.shape) == 4:
            _settle_batch_norm(weights, row, arrays)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays, encodings


def _settle_batch_norm(
    weights: Any, convolution: Parameter, arrays: dict[str, NDArray[np.float32]]
) -> None:
    """Bring a convolution to the one form: without bias if batch norm follows.

    A bias beside a whole batch norm lowers the mean. Without betas it *is* the shift, in units of
    the standard deviation times gamma: so nets of 2018 hid beta (lc0 src/neural/network_legacy.cc).
    """
    field = convolution.field.removesuffix(".weights")
    norm = norm_of(convolution.name.removesuffix(".weight"))
    if f"{norm}.variance" not in arrays:
        if size_of(weights, f"{field}.bn_means"):
            raise NetError(
                f"{field} has batch norm where the rest of the net has none", NOT_SUPPORTED
            )
        return
    deviation = arrays[f"{norm}.variance"].astype(np.float64) + BATCH_NORM_EPSILON
    if (deviation <= 0).any():
        raise NetError(f"{field}.bn_stddivs holds a negative variance", DAMAGED)
    size, wanted = size_of(weights, f"{field}.biases"), convolution.shape[0]
    if not size:
        return
    if size != wanted:
        raise NetError(f"{field}.biases has {size} values instead of {wanted}", DAMAGED)
    bias = decode(weights, f"{field}.biases").astype(np.float64)
    if size_of(weights, f"{field}.bn_betas"):
        part, settled = "mean", arrays[f"{norm}.mean"] - bias
    else:
        part, settled = "beta", arrays[f"{norm}.gamma"] * bias / np.sqrt(deviation)
    with np.errstate(over="ignore"):
        arrays[f"{norm}.{part}"] = settled.astype(np.float32)
    if not np.isfinite(arrays[f"{norm}.{part}"]).all():
        raise NetError(f"{field}.biases is too large for its batch norm", DAMAGED)
