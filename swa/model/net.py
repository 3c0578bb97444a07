"""A whole net as a torch module, its weights in and out, and its answers to packed positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from swa.batchnorm import Weights, fold
from swa.model.attention import BodyEmbedding, body_encoders, encode, smolgen_layer
from swa.model.early import EarlyViews
from swa.model.heads import DenseHead, first_layer, policy_head, policy_of
from swa.model.tower import NormedInput, ResidualBlock
from swa.spec import PLANES, NetSpec, PolicyEmbedding, ValueKind

# Parameter names of swa.spec against torch's own for the parts of a norm.
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


class Tower(nn.Module):
    """A net built from its description: residual tower, attention body, and heads.

    All heads of a net are there; those that the description chooses are evaluated.
    """

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.early = EarlyViews() if spec.early else None
        if spec.filters:
            self.input = NormedInput(PLANES, spec.filters, 3, spec)
            self.blocks = nn.Sequential(*(ResidualBlock(spec) for _ in range(spec.blocks)))
        if spec.attention:
            self.embedding = BodyEmbedding(spec, spec.attention)
            self.smolgen = smolgen_layer(spec.attention)
            self.encoders = body_encoders(spec.attention)
        shared = [one for _, one in spec.policies if one.embedding is not PolicyEmbedding.OWN]
        self.policy_embedding = first_layer(spec, shared[0]) if shared else None
        if spec.policies:
            self.policies = nn.ModuleDict({name: policy_head(spec, p) for name, p in spec.policies})
        else:
            self.policy = policy_head(spec, spec.policy)
        if spec.values:
            self.values = nn.ModuleDict(
                {name: DenseHead(spec, value, value.outputs) for name, value in spec.values}
            )
        else:
            self.value = DenseHead(spec, spec.value, spec.value.outputs)
        self.moves_left = DenseHead(spec, spec.moves_left, 1) if spec.moves_left else None

    def forward(self, planes: Tensor) -> Outputs:
        """Evaluate ``planes`` [B, 112, 8, 8], rank before file, seen from the mover."""
        spec = self.spec
        x = self.seen(planes)
        x = self.blocks(self.input(x)) if spec.filters else x
        if spec.attention:
            x = encode(self.embedding(x), list(self.encoders), self.smolgen)
        value = (self.values[spec.value_head] if spec.values else self.value)(x)
        if spec.value.kind is ValueKind.CLASSICAL:
            value = value.tanh()
        moves_left = functional.relu(self.moves_left(x)) if self.moves_left is not None else None
        head = self.policies[spec.policy_head] if spec.policies else self.policy
        policy = policy_of(head, x, self.policy_embedding)
        if self.early is not None:
            policy = self.early.policy(policy, planes)
        return Outputs(policy, value, moves_left)

    def seen(self, planes: Tensor) -> Tensor:
        """Planes [B, 112, 8, 8] as the input layer takes them: otherwise in an early net only."""
        return planes if self.early is None else self.early.planes(planes)


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
        if owner.rpartition(".")[2].startswith(("bn", "ln")):
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
