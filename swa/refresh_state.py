"""How far a refresh has come, in a file, so that one that was interrupted can go on.

The file holds the statistics of the batch norms that are done, and a key made of everything that
decides them. It is JSON: ``format``, ``key``, ``norms`` {name: {mean: [...], variance: [...]}}, the
numbers with all their digits. What is kept of the positions between layers is not in it: it is
computed again, by one forward pass.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swa.batchnorm import Statistics, Weights
from swa.files import write_whole
from swa.spec import NetError, NetSpec

FORMAT = "swa refresh, version 1"


class Key:
    """Sha256 of what decides the result: method, net, positions in their order."""

    def __init__(self, method: str, spec: NetSpec, weights: Weights) -> None:
        """``method`` says all that is neither net nor data: how, on what, in which precision."""
        self._digest = hashlib.sha256(f"{FORMAT}\n{method}\n{spec!r}\n".encode())
        for name in sorted(weights):
            array = np.ascontiguousarray(weights[name])
            self._digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            self._digest.update(array.data)
        self._masks, self._values = hashlib.sha256(), hashlib.sha256()

    def add(self, masks: NDArray[np.uint64], values: NDArray[np.float32]) -> None:
        """Take in packed planes [n, 112]; how they are divided into calls does not matter."""
        self._masks.update(np.ascontiguousarray(masks).data)
        self._values.update(np.ascontiguousarray(values).data)

    def hexdigest(self) -> str:
        """The key of everything so far."""
        digest = self._digest.copy()
        digest.update(self._masks.digest() + self._values.digest())
        return digest.hexdigest()


def check_state(path: Path) -> None:
    """Raise NetError where ``path`` cannot become, or is not, the file of a refresh's progress."""
    if path.exists():
        _read(path)
    elif not path.parent.is_dir():
        raise NetError("no such folder", "A refresh's progress goes there.", str(path.parent))


def load_state(path: Path, key: str) -> dict[str, Statistics]:
    """The statistics found so far; none where there is no file, or that of another refresh.

    Raises NetError for a file that is none of ours: it would be overwritten.
    """
    if not path.exists():
        return {}
    document = _read(path)
    if document["key"] != key:
        return {}
    try:
        return {
            name: Statistics(*(np.array(row[part], np.float64) for part in ("mean", "variance")))
            for name, row in document["norms"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_state(path) from error


def save_state(path: Path, key: str, found: Mapping[str, Statistics]) -> None:
    """Write the statistics found so far, whole or not at all. Raises NetError if it cannot."""
    norms = {
        name: {"mean": statistics.mean.tolist(), "variance": statistics.variance.tolist()}
        for name, statistics in found.items()
    }
    text = json.dumps({"format": FORMAT, "key": key, "norms": norms}, indent=1)
    try:
        write_whole(path, text.encode())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot write the refresh's progress: {reason}", "", str(path)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot read the refresh's progress: {reason}", "", str(path)) from error
    except (ValueError, RecursionError) as error:
        raise _no_state(path) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "key" not in document:
        raise _no_state(path)
    return document


def _no_state(path: Path) -> NetError:
    return NetError("is not the progress of a refresh", "Name another file.", str(path))
