"""A net as the rest of the project sees it: the one door through which nets come and go.

``load_net`` reads a file of any supported kind, ``save_net`` writes one that lc0 reads; nothing
here needs torch. A changed net is ``dataclasses.replace(net, weights=...)``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from swa import provenance, text_file, weights_file, weights_writer
from swa.batchnorm import DEAD_VARIANCE
from swa.files import write_whole
from swa.layer_codec import ENCODING_NUMBERS
from swa.licence import encoded_licence, licence_text
from swa.net_header import NETWORKS
from swa.spec import (
    NetError,
    NetSpec,
    norm_of,
    normed_convolutions,
)
from swa.weights_writer import LayerLoss

__all__ = [
    "DEAD_VARIANCE",
    "BatchNormHealth",
    "LayerLoss",
    "Net",
    "NetError",
    "PackedNet",
    "SavedNet",
    "batch_norm_health",
    "check_no_input",
    "check_output",
    "check_place",
    "load_net",
    "new_net",
    "pack_net",
    "save_net",
]

_SUFFIXES = (".pb.gz", ".pb")
_TEXT_SUFFIXES = (".txt.gz", ".txt")  # that are read, never written


@dataclass(frozen=True, slots=True, eq=False)
class Net:
    """A net file in memory: what it is, its weights, and where it came from.

    ``weights`` are read-only float32 arrays by the names of ``swa.spec.parameters``, batch norm
    not folded. ``message`` is the parsed file, for writing it back with nothing lost.
    """

    spec: NetSpec
    weights: Mapping[str, NDArray[np.float32]]
    name: str  # the file's name without .pb.gz or .txt.gz
    path: Path
    sha256: str  # of the file's bytes; empty for a net that was not read from a file
    format: str  # "pb.gz" or "pb"; "txt.gz" or "txt" of a net of 2018
    network: str  # the header's word: "NETWORK_SE_WITH_HEADFORMAT"; "text version 2"
    encoding: str  # "linear16", "float16", "bfloat16", "float32" or "mixed"; "text"
    min_version: tuple[int, int, int]  # oldest lc0 that reads it
    training_steps: int | None
    message: Message = field(repr=False)
    lc0_transpose: bool = False
    """Whether it learned moves as lc0 has them since 0.32.0 where the board is transposed.

    No file tells, so it is for the one who loads the net to say (``swa.policy_map``,
    ``LC0_TRANSFORMED``); only nets of canonical input formats can have.
    """

    @property
    def parameters(self) -> int:
        """Learned numbers: all but the means and variances of batch norms."""
        return sum(
            array.size
            for name, array in self.weights.items()
            if not name.endswith((".mean", ".variance"))
        )


def load_net(
    path: str | Path,
    *,
    policy_head: str | None = None,
    value_head: str | None = None,
    lc0_transpose: bool = False,
) -> Net:
    """Read a net file, to be played by these of its heads.

    Where none is named they are lc0's, "vanilla" and "winner", which are also the names of single
    heads. ``lc0_transpose`` is the net's, see ``Net``. Raises NetError, naming the file, for
    anything that is no usable net, for a head that the net has not, and for ``lc0_transpose`` of a
    net that sees no board transposed.
    """
    net = _read_net(Path(path), policy_head, value_head)
    if lc0_transpose and not net.spec.input_format.canonical:
        said = f"input format {int(net.spec.input_format)} ({net.spec.input_format.lc0_name})"
        reason = f"lc0-transpose means nothing to a net of {said}, whose boards are not turned"
        raise NetError(reason, "Leave it out.", str(net.path))
    return replace(net, lc0_transpose=lc0_transpose)


def _read_net(path: Path, policy_head: str | None, value_head: str | None) -> Net:
    try:
        status = path.stat()
        if status.st_size > weights_file.MAX_PAYLOAD or stat.S_ISCHR(status.st_mode):  # /dev/zero
            raise NetError("larger than any net", "Nets are lc0's .pb.gz or .pb files.")
        data = path.read_bytes()
        payload = weights_file.unpack(data)
        if text_file.is_text(payload):
            return _text_net(payload, path, data, policy_head, value_head)
        contents = weights_file.parse(payload, policy_head=policy_head, value_head=value_head)
    except NetError as error:
        raise NetError(error.reason, error.remedy, str(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "Give the path of a .pb.gz or .pb file that can be read."
        raise NetError(f"cannot read the net: {reason.lower()}", remedy, str(path)) from error
    return Net(
        spec=contents.spec,
        weights=contents.weights,
        name=_name(path),
        path=path,
        sha256=provenance.sha256(data),
        format="pb" if payload is data else "pb.gz",
        network=contents.network,
        encoding=contents.encoding,
        min_version=contents.min_version,
        training_steps=contents.training_steps,
        message=contents.message,
    )


def _text_net(
    payload: bytes, path: Path, data: bytes, policy_head: str | None, value_head: str | None
) -> Net:
    """A net of 2018, ready to be written as lc0's newer files are."""
    contents = text_file.parse(payload)
    spec = contents.spec.with_heads(policy_head, value_head)  # it has but one of each
    return replace(
        new_net(spec, contents.weights, _name(path)),
        path=path,
        sha256=provenance.sha256(data),
        format="txt" if payload is data else "txt.gz",
        network=f"text version {contents.version}",
        encoding="text",
    )


def new_net(spec: NetSpec, weights: Mapping[str, NDArray[np.float32]], name: str = "new") -> Net:
    """A net that does not come from a file, with lc0's header for its kind."""
    message = weights_writer.empty_message(spec)
    wanted = message.min_version
    return Net(
        spec=spec,
        weights=weights,
        name=name,
        path=Path(),
        sha256="",
        format="pb.gz",
        network=NETWORKS[message.format.network_format.network],
        encoding="linear16",
        min_version=(wanted.major, wanted.minor, wanted.patch),
        training_steps=None,
        message=message,
    )


@dataclass(frozen=True, slots=True)
class SavedNet:
    """A file that was written."""

    path: Path
    sha256: str
    size: int  # bytes
    encoding: str  # of all layers, or "mixed"
    min_version: tuple[int, int, int]  # oldest lc0 that reads it
    losses: tuple[LayerLoss, ...]  # what the encoding did to each layer
    licence: str | None  # as the file tells it

    @property
    def worst(self) -> LayerLoss:
        """The layer that lost most, relative to its range."""
        return max(self.losses, key=lambda loss: loss.relative)

    @property
    def worst_scale(self) -> LayerLoss | None:
        """The variances whose batch norm is scaled most wrongly; None without batch norm."""
        norms = [loss for loss in self.losses if loss.scale_error is not None]
        return max(norms, key=lambda loss: loss.scale_error or 0.0, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class PackedNet:
    """A net as a file, still in memory."""

    data: bytes
    saved: SavedNet  # what will be said of the file
    net: Net  # as a reader will see it: with the encoding's rounding
    payload_sha256: str  # of the unpacked bytes, the same under every version of zlib


def pack_net(
    net: Net, path: str | Path, *, encoding: str | None = None, licence: str | None = None
) -> PackedNet:
    """Make the bytes of the file ``path``, and read them back; nothing is written.

    All is as ``save_net`` has it, which writes them.
    """
    path = Path(path)
    try:
        if encoding not in (None, *ENCODING_NUMBERS):
            raise NetError(f"no encoding {encoding}", f"Known are {', '.join(ENCODING_NUMBERS)}.")
        message = weights_writer.with_weights(net.message, net.spec, net.weights, encoding)
        if net.training_steps is not None:
            message.training_params.training_steps = net.training_steps
        if licence is not None:
            message.license = encoded_licence(licence)
        payload = message.SerializeToString(deterministic=True)
        data = weights_writer.pack(payload, path.name.lower().endswith(".gz"))
        found = _read_back(data, net.spec)
        losses = weights_writer.losses(net.spec, message, net.weights, found.weights)
    except NetError as error:
        raise NetError(error.reason, error.remedy, str(path)) from error
    digest = provenance.sha256(data)
    saved = SavedNet(
        path=path,
        sha256=digest,
        size=len(data),
        encoding=found.encoding,
        min_version=found.min_version,
        losses=losses,
        licence=licence_text(message),
    )
    as_read = replace(
        net,
        weights=found.weights,
        name=_name(path),
        path=path,
        sha256=digest,
        format="pb.gz" if path.name.lower().endswith(".gz") else "pb",
        network=found.network,
        encoding=found.encoding,
        min_version=found.min_version,
        message=found.message,
    )
    return PackedNet(data, saved, as_read, provenance.sha256(payload))


def save_net(
    net: Net,
    path: str | Path,
    *,
    encoding: str | None = None,
    licence: str | None = None,
    overwrite: bool = False,
) -> SavedNet:
    """Write a net as a file that lc0 reads, whole or not at all, after reading it back.

    ``path`` decides by its suffix whether it is gzipped: ``.pb.gz`` or ``.pb``. ``encoding`` is
    "linear16", "float16", "bfloat16" or "float32"; without it each layer keeps its own. Of
    ``net.message`` all is kept but the layers that differ from ``net.weights``, the training steps
    where ``net.training_steps`` says otherwise, and the licence where one is given. Equal nets give
    equal bytes (with one version of zlib: the unpacked bytes are equal in any case).

    Raises NetError, naming the file, where it stands already (unless ``overwrite``), where it
    cannot be written, where the encoding cannot hold the net, or UTF-8 the licence.
    """
    path = Path(path)
    try:
        check_output(path, overwrite=overwrite)
    except NetError as error:
        raise NetError(error.reason, error.remedy, str(path)) from error
    packed = pack_net(net, path, encoding=encoding, licence=licence)
    try:
        write_whole(path, packed.data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot write the net: {reason}", "", str(path)) from error
    return packed.saved


def _read_back(data: bytes, spec: NetSpec) -> weights_file.WeightsFile:
    """What a reader will see; raises NetError where that is no such net, so it is not written."""
    try:
        found = weights_file.parse(
            weights_file.unpack(data), policy_head=spec.policy_head, value_head=spec.value_head
        )
    except NetError as error:
        reason = f"the net could not be read again, so it is not written: {error.reason}"
        raise NetError(reason, "Try --encoding float32.") from error
    if found.spec != spec:
        raise NetError(f"the header it was read with is for {found.spec}, not for {spec}")
    return found


def check_output(path: Path, *, inputs: Iterable[Path] = (), overwrite: bool = False) -> bool:
    """Whether a net at ``path`` is to be gzipped; for commands that would know before they work.

    Raises NetError where the name is not that of a net, the folder is not there, or a file stands
    there: with ``overwrite`` it may, but never one of ``inputs``.
    """
    name = path.name.lower()
    if not name.endswith(_SUFFIXES) or name in _SUFFIXES or "\0" in str(path):
        raise NetError("not the name of a net", "Name it .pb.gz or .pb.", str(path))
    check_place(path, inputs=inputs, overwrite=overwrite)
    return name.endswith(".gz")


def check_place(path: Path, *, inputs: Iterable[Path] = (), overwrite: bool = False) -> None:
    """Raise NetError where no net can be written, for the reasons of ``check_output`` but names."""
    if not path.parent.is_dir():
        raise NetError("cannot write the net: there is no such folder", "", str(path))
    if os.path.exists(path):
        check_no_input(path, inputs)
        if not overwrite:
            remedy = "Choose another name, or add --overwrite."
            raise NetError("is there already", remedy, str(path))
        if not path.is_file():
            raise NetError("cannot write the net: is no file", "", str(path))


def check_no_input(path: Path, inputs: Iterable[Path]) -> None:
    """Raise NetError where a file that is to be written is one of ``inputs``, by whatever name."""
    if path.exists() and any(other.exists() and path.samefile(other) for other in inputs):
        raise NetError("is an input: it would be lost", "Choose another name.", str(path))


def _name(path: Path) -> str:
    for suffix in (*_SUFFIXES, *_TEXT_SUFFIXES):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return path.name


@dataclass(frozen=True, slots=True)
class BatchNormHealth:
    """The statistics that one batch norm holds, and how many of its channels are dead."""

    name: str  # "blocks.0.bn1"
    channels: int
    dead: int  # channels with a variance below DEAD_VARIANCE
    variance_min: float
    variance_max: float
    mean_min: float
    mean_max: float


def batch_norm_health(net: Net) -> tuple[BatchNormHealth, ...]:
    """Every batch norm of a net, from the input to the heads; empty where it is folded away."""
    rows = []
    for convolution in normed_convolutions(net.spec):
        name = norm_of(convolution)
        mean, variance = net.weights[f"{name}.mean"], net.weights[f"{name}.variance"]
        rows.append(
            BatchNormHealth(
                name=name,
                channels=variance.size,
                dead=int(np.count_nonzero(variance < DEAD_VARIANCE)),
                variance_min=float(variance.min()),
                variance_max=float(variance.max()),
                mean_min=float(mean.min()),
                mean_max=float(mean.max()),
            )
        )
    return tuple(rows)


def same_weights(one: Net, other: Net) -> bool:
    """Whether two files hold the same net, however they are packed or encoded."""
    return one.spec == other.spec and all(
        np.array_equal(weights, other.weights[name]) for name, weights in one.weights.items()
    )
