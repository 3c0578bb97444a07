"""A net that answers positions, by whatever computes it best: winograd on a CPU, torch elsewhere.

Both say the same to some 1e-5; winograd's answers do not depend on the batch, torch's do in their
last digits.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from swa.cores import usable_cores
from swa.devices import first_device, is_available, may_have_accelerator
from swa.forward import Forward, Outputs
from swa.net import Net
from swa.packed import why_not
from swa.spec import POLICY_MOVES, NetError, NetSpec

Kind = Literal["auto", "winograd", "torch"]


class Inference(Protocol):
    """A net ready to be asked."""

    @property
    def name(self) -> str:
        """What computes and where: "winograd on cpu"."""

    def __call__(
        self,
        masks: NDArray[np.uint64],
        values: NDArray[np.float32],
        moves: NDArray[np.uint16],
        offsets: NDArray[np.int64],
    ) -> Outputs:
        """Answer a batch; the arrays are those of ``swa.forward.Forward``."""


class WinogradInference:
    """A net on a CPU by ``swa.forward``, without torch."""

    name = "winograd on cpu"

    def __init__(self, net: Net, threads: int) -> None:
        self._forward, self._threads = Forward(net.spec, net.weights), threads

    def __call__(
        self,
        masks: NDArray[np.uint64],
        values: NDArray[np.float32],
        moves: NDArray[np.uint16],
        offsets: NDArray[np.int64],
    ) -> Outputs:
        """Answer a batch."""
        return self._forward(masks, values, moves, offsets, self._threads)


class TorchInference:
    """A net on any device of torch in float32, batch norm folded."""

    def __init__(self, net: Net, device: str) -> None:
        import torch  # takes seconds, and winograd does without

        from swa.model import for_play

        if torch.device(device).type == "cuda":
            # TensorFloat-32 keeps 10 bits of the mantissa; float32 shall mean float32.
            torch.backends.cudnn.allow_tf32 = False
        self.name = f"torch on {device}"
        self._device = torch.device(device)
        self._module = for_play(net.spec, net.weights, self._device)

    def __call__(
        self,
        masks: NDArray[np.uint64],
        values: NDArray[np.float32],
        moves: NDArray[np.uint16],
        offsets: NDArray[np.int64],
    ) -> Outputs:
        """Answer a batch."""
        import torch

        from swa.model import answers

        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        with torch.inference_mode():
            found = answers(
                self._module,
                # Masks go as bytes: not every device has unsigned integers of 64 bits.
                torch.tensor(masks.view(np.uint8)).to(self._device),
                torch.tensor(values).to(self._device),
                torch.from_numpy(rows * POLICY_MOVES + moves).to(self._device),
                torch.float32,
            )
        return Outputs(*(part.cpu().numpy() for part in found))


def make_inference(
    net: Net, device: str = "auto", kind: Kind = "auto", threads: int | None = None
) -> Inference:
    """Make what answers for a net; ``device`` is auto (cuda, mps, cpu) or torch's name for one.

    ``threads`` of winograd are all cores of this process where not said. Raises NetError for a
    device that is not there and for winograd where it cannot compute.
    """
    if device == "auto":
        maybe = kind != "winograd" and may_have_accelerator()
        device = first_device() if maybe else "cpu"
    elif device != "cpu" and not is_available(device):
        raise NetError(f"device {device!r} is not available here", "Use --device auto.")
    if kind == "winograd" and (reason := _against_winograd(net.spec, device)):
        remedy = "Use --evaluator auto: torch evaluates such nets."
        raise NetError(f"winograd cannot evaluate it: {reason}", remedy, str(net.path))
    if kind == "torch" or _against_winograd(net.spec, device):
        return TorchInference(net, device)
    return WinogradInference(net, usable_cores() if threads is None else threads)


def _against_winograd(spec: NetSpec, device: str) -> str:
    if device != "cpu":
        return f"it runs on a CPU, not on {device}"
    return why_not(spec)
