"""The whole state of a training run in one file, written whole or not at all.

The file is a line that says what it is, the sha256 of the rest, and the rest as torch saves it:
tensors and plain values only, so that reading one runs no code of its own.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from swa.averaging import Rule, WeightAverage
from swa.files import write_whole

VERSION = 1

_MAGIC = b"swa training checkpoint "
_HEAD = len(_MAGIC) + len("0000\n")
_DIGEST = hashlib.sha256().digest_size


class CheckpointError(ValueError):
    """A checkpoint that cannot be gone on from: one to three lines for the user."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stands after ``step`` steps; values are tensors and what JSON knows."""

    step: int
    settings: Mapping[str, Any]  # what decides the result, see ``swa.deciding``
    place: tuple[int, ...]  # of the stream of batches
    learner: Mapping[str, Any]  # the state of swa.learner
    averages: Mapping[str, Mapping[str, Any]]  # by name: see ``pack_average``


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in the place of the last one. Raises OSError; the last one stays then."""
    fields = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    buffer = io.BytesIO()
    torch.save(fields, buffer)
    payload = buffer.getvalue()
    head = _MAGIC + f"{VERSION:04}\n".encode()
    write_whole(path, head + hashlib.sha256(payload).digest() + payload)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; tensors are on the CPU. Raises CheckpointError for anything else."""
    remedy = "Delete it to train from the start, or put a copy in its place."
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckpointError(f"{path}: cannot read the checkpoint: {reason}") from error
    if not data.startswith(_MAGIC):
        raise CheckpointError(f"{path}: not a checkpoint of swa train\n{remedy}")
    version = data[len(_MAGIC) : _HEAD]
    if version != f"{VERSION:04}\n".encode():
        told = version.decode(errors="replace").strip()
        raise CheckpointError(
            f"{path}: a checkpoint of version {told}, this program writes version {VERSION}\n"
            "Go on with the program that wrote it."
        )
    digest, payload = data[_HEAD : _HEAD + _DIGEST], data[_HEAD + _DIGEST :]
    if hashlib.sha256(payload).digest() != digest:
        raise CheckpointError(f"{path}: the checkpoint is damaged\n{remedy}")
    try:
        fields = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        return Checkpoint(**fields)
    except (pickle.UnpicklingError, RuntimeError, TypeError, EOFError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint cannot be read: {error}\n{remedy}"
        ) from error


def pack_average(average: WeightAverage) -> dict[str, Any]:
    """An average as tensors and numbers: ``count`` and ``state``, by parameter name."""
    state = {
        name: [torch.from_numpy(part) for part in parts] for name, parts in average.state.items()
    }
    return {"count": average.count, "state": state}


def unpack_average(rule: Rule, packed: Mapping[str, Any]) -> WeightAverage:
    """The average again."""
    state = {name: tuple(part.numpy() for part in parts) for name, parts in packed["state"].items()}
    return WeightAverage(rule, packed["count"], state)
