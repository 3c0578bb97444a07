"""Heads: what a body knows, as a policy, a value, the plies that are left.

Those of a residual tower take [B, filters, 8, 8], those of an attention body [B, 64, size].
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from swa.model.activation import activate
from swa.model.attention import POLICY_EPSILON, Encoder, encode, on_squares
from swa.model.tower import NormedInput, convolution, norm
from swa.policy_map import CONV_POLICY, FROM, NO_PROMOTION, PROMOTION, TO
from swa.spec import (
    CONV_POLICY_PLANES,
    SQUARES,
    Activation,
    MovesLeftSpec,
    NetSpec,
    PolicyEmbedding,
    PolicyKind,
    PolicySpec,
    ValueSpec,
)

_PROMOTION_PIECES = 3  # queen, rook, bishop; a knight is the plain move


class ClassicalPolicy(NormedInput):
    """1x1 convolution, then one dense layer to all moves."""

    def __init__(self, spec: NetSpec, policy: PolicySpec) -> None:
        super().__init__(spec.filters, policy.channels, 1, spec)
        self.dense = nn.Linear(SQUARES * policy.channels, spec.policy_moves)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 1858]; of an early net [B, 1924]."""
        logits: Tensor = self.dense(super().forward(x).flatten(1))
        return logits


class ConvolutionPolicy(nn.Module):
    """Two 3x3 convolutions to 80 planes of moves by their origin, of which 1858 are gathered."""

    moves: Tensor  # [1858] places in the flattened [80, 64]

    def __init__(self, spec: NetSpec, policy: PolicySpec) -> None:
        super().__init__()
        self.activation = spec.activation
        self.conv1 = convolution(spec.filters, policy.channels, 3, spec)
        self.bn1 = norm(policy.channels, spec)
        self.conv2 = nn.Conv2d(policy.channels, CONV_POLICY_PLANES, 3, padding=1)
        self.register_buffer("moves", torch.tensor(CONV_POLICY), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 1858]."""
        planes: Tensor = self.conv2(activate(self.bn1(self.conv1(x)), self.activation))
        return planes.flatten(1).index_select(1, self.moves)


def attention_places() -> NDArray[np.int64]:
    """Where each move stands [1858] among 64 x 64 origins and targets and what follows them.

    Those are 8 x 8 x 3 promotions: from file, to file, piece (lc0
    src/neural/tables/attention_policy_map.h).
    """
    origins, targets, pieces = (part.astype(np.int64) for part in (FROM, TO, PROMOTION))
    plain = origins * SQUARES + targets
    files = (origins % 8) * 8 + targets % 8
    promoting = SQUARES * SQUARES + files * _PROMOTION_PIECES + pieces - 1
    places: NDArray[np.int64] = np.where(pieces == NO_PROMOTION, plain, promoting)
    return places


def first_layer(spec: NetSpec, policy: PolicySpec) -> nn.Linear:
    """The embedding of an attention policy, its own or one for several heads."""
    return nn.Linear(spec.body_size, policy.channels)


class AttentionPolicy(nn.Module):
    """Products of a query of each origin and a key of each target; promotions shift them.

    On a residual tower the embedding and the encoders' feed-forward layers have SELU, on an
    attention body the net's activation and the body's (lc0 network_blas.cc).
    """

    moves: Tensor  # [1858] places in the flattened [64, 64] and [8, 8, 3]

    def __init__(self, spec: NetSpec, policy: PolicySpec) -> None:
        super().__init__()
        body = spec.attention
        self.activation = spec.activation if body else Activation.SELU
        self.scale = 1 / math.sqrt(policy.width)
        own = policy.embedding is PolicyEmbedding.OWN
        self.embedding = first_layer(spec, policy) if own else None
        self.encoders = nn.ModuleList(
            Encoder(
                policy.encoder,
                policy.channels,
                scale=1.0,
                epsilon=POLICY_EPSILON,
                ffn_activation=body.ffn_activation if body else Activation.SELU,
                smolgen_activation=body.smolgen_activation if body else Activation.NONE,
            )
            for _ in range(policy.encoders)
            if policy.encoder
        )
        self.query = nn.Linear(policy.channels, policy.width)
        self.key = nn.Linear(policy.channels, policy.width)
        self.promotion = nn.Linear(policy.width, 1 + _PROMOTION_PIECES, bias=False)
        self.register_buffer("moves", torch.tensor(attention_places()), persistent=False)

    def forward(self, x: Tensor, shared: nn.Module | None = None) -> Tensor:
        """Logits [B, 1858]; ``shared`` is the embedding of several heads, ``x`` is of squares."""
        embedding = self.embedding if self.embedding is not None else shared
        if embedding is None:
            raise ValueError("the shared embedding is needed")
        squares = encode(activate(embedding(x), self.activation), list(self.encoders))
        query, key = self.query(squares), self.key(squares)
        products = self.scale * (query @ key.transpose(1, 2))
        # Of each target on the last rank: one shift a piece, and one for all pieces.
        shifts = self.promotion(key[:, 56:])  # [B, 8 files, 4]
        shifts = shifts[:, :, :3] + shifts[:, :, 3:]
        promotions = products[:, 48:56, 56:, None] + shifts[:, None]
        every = torch.cat((products.flatten(1), promotions.flatten(1)), 1)
        return every.index_select(1, self.moves)


def policy_head(spec: NetSpec, policy: PolicySpec) -> nn.Module:
    """The module of a policy head."""
    if policy.kind is PolicyKind.ATTENTION:
        return AttentionPolicy(spec, policy)
    if policy.kind is PolicyKind.CONVOLUTION:
        return ConvolutionPolicy(spec, policy)
    return ClassicalPolicy(spec, policy)


def policy_of(head: nn.Module, x: Tensor, shared: nn.Module | None) -> Tensor:
    """What a policy head says of a body's outputs."""
    if isinstance(head, AttentionPolicy):
        return head(on_squares(x) if x.dim() == 4 else x, shared)  # type: ignore[no-any-return]
    return head(x)  # type: ignore[no-any-return]


class DenseHead(nn.Module):
    """Each square to a few channels, a hidden layer, then the outputs: value and moves left."""

    def __init__(self, spec: NetSpec, head: ValueSpec | MovesLeftSpec, outputs: int) -> None:
        super().__init__()
        self.activation = spec.activation
        self.of_squares = spec.attention is not None
        if self.of_squares:
            self.embedding = nn.Linear(spec.body_size, head.channels)
        else:
            self.conv = convolution(spec.filters, head.channels, 1, spec)
            self.bn = norm(head.channels, spec)
        self.dense1 = nn.Linear(SQUARES * head.channels, head.hidden)
        self.dense2 = nn.Linear(head.hidden, outputs)
        if isinstance(head, ValueSpec) and head.errors:
            self.errors = nn.Linear(head.hidden, head.errors)  # kept, not evaluated
        if isinstance(head, ValueSpec) and head.categories:
            self.categories = nn.Linear(head.hidden, head.categories)

    def forward(self, x: Tensor) -> Tensor:
        """[B, outputs], before any last activation."""
        first = self.embedding(x) if self.of_squares else self.bn(self.conv(x))
        hidden = self.dense1(activate(first, self.activation).flatten(1))
        outputs: Tensor = self.dense2(activate(hidden, self.activation))
        return outputs
