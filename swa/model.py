"""The net as a torch module: the reference for every other forward pass, and what is trained.

One module serves both ends. With batch norm as layers of its own it trains, and its statistics can
be refreshed; to play, batch norm is folded into the convolutions beforehand (``for_play``), which
gives the same module built from the same kind of ``NetSpec``, only with ``batch_norm=False``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from swa.batchnorm import Weights, fold
from swa.policy_map import CONV_POLICY
from swa.spec import (
    BATCH_NORM_EPSILON,
    CONV_POLICY_PLANES,
    PLANES,
    POLICY_MOVES,
    Activation,
    NetSpec,
    PolicyKind,
    ValueKind,
)

# Parameter names of swa.spec against torch's own for the parts of a batch norm.
_TORCH_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}


class Outputs(NamedTuple):
    """What a net says of B positions; nothing is normalised but a classical value."""

    policy: Tensor  # [B, 1858] logits
    value: Tensor  # [B, 3] logits of win, draw, loss; or [B, 1] in [-1, 1]
    moves_left: Tensor | None  # [B, 1] plies, from 0


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply a non-linearity, in place where torch can."""
    return functional.mish(x) if activation is Activation.MISH else functional.relu_(x)


def _convolution(inputs: int, outputs: int, size: int, spec: NetSpec) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=not spec.batch_norm)


def _norm(channels: int, spec: NetSpec) -> nn.Module:
    if not spec.batch_norm:
        return nn.Identity()
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)


class _NormedInput(nn.Module):
    """Convolution, batch norm, activation: how the input and most heads begin."""

    def __init__(self, inputs: int, outputs: int, size: int, spec: NetSpec) -> None:
        super().__init__()
        self.activation = spec.activation
        self.conv = _convolution(inputs, outputs, size, spec)
        self.bn = _norm(outputs, spec)

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
        self.conv1 = _convolution(spec.filters, spec.filters, 3, spec)
        self.bn1 = _norm(spec.filters, spec)
        self.conv2 = _convolution(spec.filters, spec.filters, 3, spec)
        self.bn2 = _norm(spec.filters, spec)
        self.se = SqueezeExcitation(spec) if spec.se else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, filters, 8, 8] to the same."""
        y = activate(self.bn1(self.conv1(x)), self.activation)
        y = self.se(self.bn2(self.conv2(y)))
        return activate(y + x, self.activation)


class ClassicalPolicy(_NormedInput):
    """1x1 convolution, then one dense layer to all moves."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__(spec.filters, spec.policy.channels, 1, spec)
        self.dense = nn.Linear(64 * spec.policy.channels, POLICY_MOVES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 1858]."""
        logits: Tensor = self.dense(super().forward(x).flatten(1))
        return logits


class ConvolutionPolicy(nn.Module):
    """Two 3x3 convolutions to 80 planes of moves by their origin, of which 1858 are gathered."""

    moves: Tensor  # [1858] places in the flattened [80, 64]

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.activation = spec.activation
        self.conv1 = _convolution(spec.filters, spec.policy.channels, 3, spec)
        self.bn1 = _norm(spec.policy.channels, spec)
        self.conv2 = nn.Conv2d(spec.policy.channels, CONV_POLICY_PLANES, 3, padding=1)
        self.register_buffer("moves", torch.tensor(CONV_POLICY), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 1858]."""
        planes: Tensor = self.conv2(activate(self.bn1(self.conv1(x)), self.activation))
        return planes.flatten(1).index_select(1, self.moves)


class DenseHead(_NormedInput):
    """1x1 convolution, a hidden layer, then the outputs: value and moves left."""

    def __init__(self, channels: int, hidden: int, outputs: int, spec: NetSpec) -> None:
        super().__init__(spec.filters, channels, 1, spec)
        self.dense1 = nn.Linear(64 * channels, hidden)
        self.dense2 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, outputs], before any last activation."""
        hidden = self.dense1(super().forward(x).flatten(1))
        outputs: Tensor = self.dense2(activate(hidden, self.activation))
        return outputs


class Tower(nn.Module):
    """A residual tower and its heads, built from its description."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.input = _NormedInput(PLANES, spec.filters, 3, spec)
        self.blocks = nn.Sequential(*(ResidualBlock(spec) for _ in range(spec.blocks)))
        self.policy = (
            ClassicalPolicy(spec)
            if spec.policy.kind is PolicyKind.CLASSICAL
            else ConvolutionPolicy(spec)
        )
        self.value = DenseHead(spec.value.channels, spec.value.hidden, spec.value.outputs, spec)
        self.moves_left = (
            DenseHead(spec.moves_left.channels, spec.moves_left.hidden, 1, spec)
            if spec.moves_left
            else None
        )

    def forward(self, planes: Tensor) -> Outputs:
        """Evaluate ``planes`` [B, 112, 8, 8], rank before file, seen from the mover."""
        x = self.blocks(self.input(planes))
        value = self.value(x)
        if self.spec.value.kind is ValueKind.CLASSICAL:
            value = value.tanh()
        moves_left = functional.relu(self.moves_left(x)) if self.moves_left is not None else None
        return Outputs(self.policy(x), value, moves_left)


def tower(spec: NetSpec, weights: Weights) -> Tower:
    """A module that holds ``weights``, in training mode, as ``nn.Module`` starts."""
    module = Tower(spec)
    module.load_state_dict(
        {_torch_name(name): torch.tensor(array) for name, array in weights.items()}
    )
    return module


def weights_of(module: Tower) -> dict[str, NDArray[np.float32]]:
    """Copies of a module's arrays by the names of ``swa.spec.parameters``."""
    spec_names = {ours: theirs for theirs, ours in _TORCH_NAMES.items()}
    weights = {}
    for name, tensor in module.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        if owner.rpartition(".")[2].startswith("bn"):
            name = f"{owner}.{spec_names[leaf]}"
        weights[name] = tensor.detach().to("cpu", torch.float32, copy=True).numpy()
    return weights


def _torch_name(name: str) -> str:
    owner, _, leaf = name.rpartition(".")
    return f"{owner}.{_TORCH_NAMES.get(leaf, leaf)}"


def for_play(
    spec: NetSpec,
    weights: Weights,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tower:
    """A module for evaluation only: batch norm folded, channels last, no gradients."""
    module = tower(*fold(spec, weights)).eval().requires_grad_(False).to(device, dtype)
    for kernel in module.parameters():
        if kernel.dim() == 4:
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
    return module


def unpack(masks: Tensor, values: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Planes from their packed form, on the device that holds them.

    ``masks`` [B, 112] of 64 bits each (bit 0 = a1, bit 63 = h8), or the same as bytes [B, 896],
    and ``values`` [B, 112] give [B, 112, 8, 8] in channels-last memory. Byte ``r`` of a mask is
    rank ``r``, so the bits are spread in arithmetic of 8 bits, an eighth of the traffic of shifting
    whole masks; the copy that puts planes last comes before the spreading, while it is small.
    """
    ranks = masks.contiguous().view(torch.uint8).view(-1, PLANES, 8)
    ranks = ranks.transpose(1, 2).contiguous()[:, :, None, :]  # [B, 8, 1, 112]
    files = 1 << torch.arange(8, dtype=torch.uint8, device=masks.device)[:, None]
    planes = (ranks & files).clamp_(max=1).to(dtype)  # [B, 8, 8, 112]
    return planes.mul_(values.to(dtype)[:, None, None, :]).permute(0, 3, 1, 2)


def answers(
    module: Tower, octets: Tensor, values: Tensor, places: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """What a net of ``for_play`` says of packed positions, on its device and in float32.

    ``octets`` and ``values`` are those of ``unpack``; ``places`` [M] say where moves stand in the
    flattened policy [B * 1858]. Logits of these moves [M]; win, draw, loss [B, 3], a classical
    value being without draws; plies left [B], 0 without that head.
    """
    outputs = module(unpack(octets, values, dtype))
    logits = outputs.policy.flatten().index_select(0, places).float()
    value = outputs.value.float()
    if value.shape[1] == 3:
        wdl = value.softmax(1)
    else:
        wdl = torch.cat(((1 + value) / 2, torch.zeros_like(value), (1 - value) / 2), 1)
    plies = outputs.moves_left
    plies = torch.zeros_like(wdl[:, 0]) if plies is None else plies.float().flatten()
    return logits, wdl, plies
