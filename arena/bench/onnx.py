"""onnxruntime as another yardstick, where it is installed: nothing of the arena needs it."""

from __future__ import annotations

import importlib.util
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena.evaluator import Leaves
from swa.model import unpack
from swa.net import Net

LONGEST_REASON = 200
"""Characters that are shown of why it cannot be used."""


def onnx_is_there() -> bool:
    """Whether onnxruntime is installed, and ``onnx``, which makes the model for it."""
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
        """Make the model of the net, and the planes of the batch, beforehand."""
        import onnxruntime

        from swa.onnx_export.file import onnx_model

        planes = unpack(torch.tensor(leaves.masks.view(np.uint8)), torch.tensor(leaves.values))
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            onnx_model(net).SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        self._planes = np.ascontiguousarray(planes.numpy())

    def __call__(self) -> list[Any]:
        """Evaluate the batch: policy logits, win, draw and loss or the value, plies if told."""
        outputs: list[Any] = self._session.run(None, {"/input/planes": self._planes})
        return outputs
