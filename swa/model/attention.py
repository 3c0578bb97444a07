"""An attention body: what is known of each square, and encoders that let squares tell each other.

Squares are [B, 64, numbers], the square rank * 8 + file as seen from the mover. The order of the
steps, the epsilons and what is scaled are lc0's (src/neural/backends/blas/network_blas.cc).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from swa.model.activation import activate
from swa.policy_map import INDEX
from swa.spec import (
    PIECE_PLANES,
    SQUARES,
    Activation,
    AttentionBody,
    Embedding,
    EncoderSpec,
    NetSpec,
    SmolgenSpec,
    embedding_inputs,
)

EMBEDDING_EPSILON = 1e-3
"""Of all layer norms of the embedding and of smolgen (lc0 network_blas.cc)."""

POLICY_EPSILON = 1e-6
"""Of the layer norms of a policy's own encoders, whatever the body has."""


def on_squares(x: Tensor) -> Tensor:
    """[B, C, 8, 8] as [B, 64, C]; a view where channels are last in memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def reached() -> Tensor:
    """The fixed map beside the planes [64, 64] (lc0 src/neural/tables/attention_policy_map.h).

    -1 for the square itself, 1 for those that a queen or a knight reaches from it on an empty
    board, which are the plain moves of a policy.
    """
    return torch.tensor(INDEX >= 0, dtype=torch.float32) - torch.eye(SQUARES)


def residual_scale(body: AttentionBody) -> float:
    """What each part of an encoder is multiplied by before it is added: (2 N) ** -1/4.

    Wang et al., "DeepNet: Scaling Transformers to 1,000 Layers", 2022, in lc0's equal form.
    """
    return math.pow(2 * body.encoders, -0.25)


class FeedForward(nn.Module):
    """Two dense layers with an activation between them."""

    def __init__(self, size: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.dense1 = nn.Linear(size, hidden)
        self.dense2 = nn.Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 64, size] to the same."""
        y: Tensor = self.dense2(activate(self.dense1(x), self.activation))
        return y


class BodyEmbedding(nn.Module):
    """What encoders begin from: each square's planes, or what a tower made of it, and more."""

    map: Tensor  # [64, 64]

    def __init__(self, spec: NetSpec, body: AttentionBody) -> None:
        super().__init__()
        self.kind, self.activation = body.embedding, spec.activation
        self.scale = residual_scale(body)
        self.gates = body.gates
        self.dense = nn.Linear(embedding_inputs(body, spec.filters), body.size)
        if self.kind is Embedding.MAP:
            self.register_buffer("map", reached(), persistent=False)
        if self.kind is Embedding.DENSE:
            self.preprocess = nn.Linear(SQUARES * PIECE_PLANES, SQUARES * body.dense)
            self.ln1 = nn.LayerNorm(body.size, EMBEDDING_EPSILON)
            self.ffn = FeedForward(body.size, body.ffn, body.ffn_activation)
            self.ln2 = nn.LayerNorm(body.size, EMBEDDING_EPSILON)
        if self.gates:
            self.mult_gate = nn.Parameter(torch.ones(body.size, SQUARES))
            self.add_gate = nn.Parameter(torch.zeros(body.size, SQUARES))

    def forward(self, x: Tensor) -> Tensor:
        """Planes [B, 112, 8, 8], or a tower's channels, to [B, 64, size]."""
        squares = on_squares(x)
        if self.kind is Embedding.MAP:
            beside = self.map.to(x.dtype).expand(len(x), -1, -1)
            squares = torch.cat((squares, beside), 2)
        elif self.kind is Embedding.DENSE:
            board = self.preprocess(squares[:, :, :PIECE_PLANES].flatten(1))
            squares = torch.cat((squares, board.view(len(x), SQUARES, -1)), 2)
        squares = activate(self.dense(squares), self.activation)
        if self.kind is Embedding.DENSE:
            squares = self.ln1(squares)
        if self.gates:
            squares = squares * self.mult_gate.T + self.add_gate.T
        if self.kind is Embedding.DENSE:
            squares = self.ln2(squares + self.scale * self.ffn(squares))
        return squares


class Smolgen(nn.Module):
    """What the board as a whole adds to each head's attention, before the layer all share."""

    def __init__(self, smolgen: SmolgenSpec, size: int, heads: int, activation: Activation) -> None:
        super().__init__()
        self.heads, self.activation = heads, activation
        given = heads * smolgen.generated
        self.compress = nn.Linear(size, smolgen.compress, bias=False)
        self.dense1 = nn.Linear(SQUARES * smolgen.compress, smolgen.hidden)
        self.ln1 = nn.LayerNorm(smolgen.hidden, EMBEDDING_EPSILON)
        self.dense2 = nn.Linear(smolgen.hidden, given)
        self.ln2 = nn.LayerNorm(given, EMBEDDING_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 64, size] to [B, heads, generated]."""
        hidden = self.dense1(self.compress(x).flatten(1))
        hidden = self.ln1(activate(hidden, self.activation))
        given: Tensor = self.ln2(activate(self.dense2(hidden), self.activation))
        return given.view(len(x), self.heads, -1)


class Encoder(nn.Module):
    """Attention of several heads, then two layers at each square; a norm after each sum."""

    def __init__(
        self,
        encoder: EncoderSpec,
        size: int,
        *,
        scale: float,
        epsilon: float,
        ffn_activation: Activation,
        smolgen_activation: Activation,
    ) -> None:
        super().__init__()
        self.heads, self.scale = encoder.heads, scale
        self.query = nn.Linear(size, encoder.width)
        self.key = nn.Linear(size, encoder.width)
        self.value = nn.Linear(size, encoder.width)
        self.dense = nn.Linear(encoder.width, size)
        self.smolgen = (
            Smolgen(encoder.smolgen, size, encoder.heads, smolgen_activation)
            if encoder.smolgen
            else None
        )
        self.ln1 = nn.LayerNorm(size, epsilon)
        self.ffn = FeedForward(size, encoder.ffn, ffn_activation)
        self.ln2 = nn.LayerNorm(size, epsilon)

    def forward(self, x: Tensor, shared: nn.Module | None = None) -> Tensor:
        """[B, 64, size] to the same; ``shared`` is smolgen's last layer."""
        query, key, value = (
            layer(x).view(len(x), SQUARES, self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        told = None
        if self.smolgen is not None and shared is not None:
            told = shared(self.smolgen(x)).view(len(x), self.heads, SQUARES, SQUARES)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=told)
        x = self.ln1(x + self.scale * self.dense(seen.transpose(1, 2).flatten(2)))
        y: Tensor = self.ln2(x + self.scale * self.ffn(x))
        return y


def encode(x: Tensor, encoders: Sequence[nn.Module], shared: nn.Module | None = None) -> Tensor:
    """Run encoders one after the other."""
    for encoder in encoders:
        x = encoder(x, shared)
    return x


def body_encoders(body: AttentionBody) -> nn.ModuleList:
    """The encoders of a body."""
    return nn.ModuleList(
        Encoder(
            body.encoder,
            body.size,
            scale=residual_scale(body),
            epsilon=body.epsilon,
            ffn_activation=body.ffn_activation,
            smolgen_activation=body.smolgen_activation,
        )
        for _ in range(body.encoders)
    )


def smolgen_layer(body: AttentionBody) -> nn.Linear | None:
    """The last layer of smolgen, one for all encoders."""
    smolgen = body.encoder.smolgen
    return nn.Linear(smolgen.generated, SQUARES * SQUARES, bias=False) if smolgen else None
