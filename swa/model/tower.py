"""A residual tower: convolutions with batch norm, squeeze-excitation, skips."""

from __future__ import annotations

from torch import Tensor, nn

from swa.model.activation import activate
from swa.spec import BATCH_NORM_EPSILON, NetSpec


def convolution(inputs: int, outputs: int, size: int, spec: NetSpec) -> nn.Conv2d:
    """A convolution that keeps the board's size; with a bias where no batch norm follows."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=not spec.batch_norm)


def norm(channels: int, spec: NetSpec) -> nn.Module:
    """The batch norm after a convolution; nothing where it is folded."""
    if not spec.batch_norm:
        return nn.Identity()
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)


class NormedInput(nn.Module):
    """Convolution, batch norm, activation: how the input and most heads begin."""

    def __init__(self, inputs: int, outputs: int, size: int, spec: NetSpec) -> None:
        super().__init__()
        self.activation = spec.activation
        self.conv = convolution(inputs, outputs, size, spec)
        self.bn = norm(outputs, spec)

    def forward(self, x: Tensor) -> Tensor:
        """Activations [B, outputs, 8, 8]."""
        return activate(self.bn(self.conv(x)), self.activation)


class SqueezeExcitation(nn.Module):
    """Scale and shift of each channel by what the whole board shows.

    The second layer's first half scales through a sigmoid, its second half shifts; the inner
    activation is the net's own (lc0 src/neural/backends/blas/se_unit.cc).
    """

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.activation = spec.activation
        self.dense1 = nn.Linear(spec.filters, spec.se)
        self.dense2 = nn.Linear(spec.se, 2 * spec.filters)

    def forward(self, x: Tensor) -> Tensor:
        """[B, filters, 8, 8] to the same."""
        squeezed = activate(self.dense1(x.mean((2, 3))), self.activation)
        factors: Tensor = self.dense2(squeezed)[:, :, None, None]
        scale, shift = factors.chunk(2, dim=1)
        return x * scale.sigmoid() + shift


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a skip; squeeze-excitation before the skip is added."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.activation = spec.activation
        self.conv1 = convolution(spec.filters, spec.filters, 3, spec)
        self.bn1 = norm(spec.filters, spec)
        self.conv2 = convolution(spec.filters, spec.filters, 3, spec)
        self.bn2 = norm(spec.filters, spec)
        self.se = SqueezeExcitation(spec) if spec.se else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, filters, 8, 8] to the same."""
        y = activate(self.bn1(self.conv1(x)), self.activation)
        y = self.se(self.bn2(self.conv2(y)))
        return activate(y + x, self.activation)
