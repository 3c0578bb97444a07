"""The non-linearities of lc0's nets (lc0 src/neural/shared/activation.cc)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from swa.spec import Activation

_FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    Activation.RELU: functional.relu_,
    Activation.MISH: functional.mish,
    Activation.NONE: lambda x: x,
    Activation.TANH: Tensor.tanh,
    Activation.SIGMOID: Tensor.sigmoid,
    Activation.SELU: functional.selu,
    Activation.SWISH: functional.silu,
    Activation.RELU_2: lambda x: functional.relu(x).square(),
}


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply a non-linearity; relu in place."""
    return _FUNCTIONS[activation](x)
