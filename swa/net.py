"""A net as the rest of the project sees it: the one door through which ``arena`` gets nets.

``load_net`` reads a file of any supported kind; nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from swa import provenance, weights_file
from swa.batchnorm import DEAD_VARIANCE
from swa.spec import (
    NetError,
    NetSpec,
    norm_of,
    normed_convolutions,
)

__all__ = ["DEAD_VARIANCE", "BatchNormHealth", "Net", "NetError", "batch_norm_health", "load_net"]

_SUFFIXES = (".pb.gz", ".pb")


@dataclass(frozen=True, slots=True, eq=False)
class Net:
    """A net file in memory: what it is, its weights, and where it came from.

    ``weights`` are read-only float32 arrays by the names of ``swa.spec.parameters``, batch norm
    not folded. ``message`` is the parsed file, for writing it back with nothing lost.
    """

    spec: NetSpec
    weights: Mapping[str, NDArray[np.float32]]
    name: str  # the file's name without .pb.gz
    path: Path
    sha256: str  # of the file's bytes
    format: str  # "pb.gz" or "pb"
    network: str  # the header's own word: "NETWORK_SE_WITH_HEADFORMAT"
    encoding: str  # "linear16", "float16", "bfloat16", "float32" or "mixed"
    min_version: tuple[int, int, int]  # oldest lc0 that reads it
    training_steps: int | None
    message: Message = field(repr=False)

    @property
    def parameters(self) -> int:
        """Learned numbers: all but the means and variances of batch norms."""
        return sum(
            array.size
            for name, array in self.weights.items()
            if not name.endswith((".mean", ".variance"))
        )


def load_net(path: str | Path) -> Net:
    """Read a net file. Raises NetError, naming the file, for anything that is no usable net."""
    path = Path(path)
    try:
        if path.stat().st_size > weights_file.MAX_PAYLOAD:
            raise NetError("larger than any net", "Nets are lc0's .pb.gz or .pb files.")
        data = path.read_bytes()
        payload = weights_file.unpack(data)
        contents = weights_file.parse(payload)
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


def _name(path: Path) -> str:
    for suffix in _SUFFIXES:
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
