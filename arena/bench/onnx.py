"""onnxruntime as another yardstick, where it is installed: nothing of the arena needs it."""

from __future__ import annotations

import importlib.util
import tempfile
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arena.evaluator import Leaves
from swa.model import for_play, unpack
from swa.net import Net

LONGEST_REASON = 200
"""Characters that are shown of why it cannot be used."""


def onnx_is_there() -> bool:
    """Whether onnxruntime is installed, and ``onnx``, which torch's export may ask for."""
    return all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnx"))


def bare_onnx(net: Net, leaves: Leaves, note: Callable[[str], None]) -> BareOnnx | None:
    """Make the yardstick and try it; None where it is not installed or, as noted, fails."""
    if not onnx_is_there():
        return None
    try:
        bare = BareOnnx(net, leaves)
        bare()
    except Exception as error:  # of two packages, one of which writes what the other reads
        reason = textwrap.shorten(str(error), LONGEST_REASON, placeholder=" ...")
        note(f"evaluator: onnxruntime is left out: {type(error).__name__}: {reason}")
        return None
    return bare


class BareOnnx:
    """A net's forward pass by onnxruntime and nothing else, one thread on a CPU."""

    def __init__(self, net: Net, leaves: Leaves):
        """Export the net for this size of batch; the planes are made beforehand."""
        import onnxruntime

        planes = unpack(torch.tensor(leaves.masks.view(np.uint8)), torch.tensor(leaves.values))
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            _export(net, planes, path)
            self._session = onnxruntime.InferenceSession(
                path, settings, providers=["CPUExecutionProvider"]
            )
        self._planes = np.ascontiguousarray(planes.numpy())

    def __call__(self) -> list[Any]:
        """Evaluate the batch: the outputs of ``swa.model``, without those it has not."""
        outputs: list[Any] = self._session.run(None, {"planes": self._planes})
        return outputs


def _export(net: Net, planes: torch.Tensor, path: Path) -> None:
    """Write a net as ONNX, its batch norms folded as for torch."""
    with warnings.catch_warnings():
        # The newer exporter takes ten times as long for the same graph and writes to the terminal.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            for_play(net.spec, net.weights), (planes,), path, input_names=["planes"], dynamo=False
        )
