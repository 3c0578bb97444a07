"""What a net is made of, said once: the torch module, the file's fields and all shapes follow."""

from __future__ import annotations

from dataclasses import dataclass, replace

from swa.spec.kinds import (
    EARLY_MOVES,
    POLICY_MOVES,
    Activation,
    Embedding,
    InputFormat,
    NetError,
    PolicyEmbedding,
    PolicyKind,
    ValueKind,
)

POLICY_HEAD, VALUE_HEAD = "vanilla", "winner"
"""The heads that lc0 plays with where nothing else is said, and its names for single ones."""


@dataclass(frozen=True, slots=True)
class SmolgenSpec:
    """What tells an encoder's heads, from the whole board, which squares to attend to.

    Each square to ``compress`` numbers, the board to ``hidden``, then ``generated`` numbers for
    each head, which one layer that all encoders share turns into 64 x 64 (lc0 network_blas.cc).
    """

    compress: int
    hidden: int
    generated: int


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder: attention of ``heads`` that share ``width`` numbers, two layers over ``ffn``."""

    heads: int
    width: int  # of queries, keys and values of all heads; may differ from what comes in
    ffn: int
    smolgen: SmolgenSpec | None = None


@dataclass(frozen=True, slots=True)
class AttentionBody:
    """Encoders over the 64 squares.

    ``gates`` scale and shift each number of each square after the embedding. ``dense`` and ``ffn``
    are there in an embedding of the kind DENSE only: the numbers that its first layer gives to each
    square, and the width of the feed-forward layers after it.
    """

    embedding: Embedding
    size: int  # numbers of a square between encoders
    encoders: int
    encoder: EncoderSpec  # all are alike
    gates: bool = False
    dense: int = 0
    ffn: int = 0
    ffn_activation: Activation = Activation.RELU
    smolgen_activation: Activation = Activation.RELU

    @property
    def epsilon(self) -> float:
        """What the encoders' layer norms add to a variance (lc0 network_blas.cc, default_eps)."""
        return 1e-3 if self.embedding is Embedding.DENSE else 1e-6


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy head; ``channels`` of its first layer (a convolution policy: the filters).

    What follows is of attention policies only: ``width`` of a query and a key, encoders before
    them, and where the first layer stands.
    """

    kind: PolicyKind
    channels: int
    width: int = 0
    encoders: int = 0
    encoder: EncoderSpec | None = None
    embedding: PolicyEmbedding = PolicyEmbedding.OWN


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """A value head: each square to ``channels``, dense to ``hidden``, dense to 1 or 3.

    On a tower the first is a 1x1 convolution. ``errors`` and ``categories`` are the outputs of
    layers beside the last one: they are kept, averaged and written, and tell nothing in play.
    """

    kind: ValueKind
    channels: int
    hidden: int
    errors: int = 0
    categories: int = 0

    @property
    def outputs(self) -> int:
        """Numbers a position: win, draw and loss, or the one value."""
        return 3 if self.kind is ValueKind.WDL else 1


@dataclass(frozen=True, slots=True)
class MovesLeftSpec:
    """A moves-left head: each square to ``channels``, dense to ``hidden``, dense to 1."""

    channels: int
    hidden: int


@dataclass(frozen=True, slots=True)
class NetSpec:
    """A residual tower, an attention body, or one upon the other, with heads.

    ``se`` is the width of the squeeze in every block, 0 without squeeze-excitation;
    ``batch_norm`` is False where it is folded into the convolutions, which then have biases.
    Without a tower ``blocks``, ``filters`` and ``se`` are 0, and there is no batch norm.

    ``policy`` and ``value`` are the heads that play. Where a file has several, ``policies`` and
    ``values`` are all of them by lc0's names, and ``policy_head`` and ``value_head`` name those
    that play; a file of single heads has neither, and plays "vanilla" and "winner".

    An ``early`` net is one of leela-chess's first, a residual tower: from the planes and to the
    moves that all nets have, but within it sees and names them as ``swa.leela_chess`` says.
    """

    blocks: int
    filters: int
    se: int
    policy: PolicySpec
    value: ValueSpec
    moves_left: MovesLeftSpec | None = None
    activation: Activation = Activation.RELU
    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE
    batch_norm: bool = True
    attention: AttentionBody | None = None
    policies: tuple[tuple[str, PolicySpec], ...] = ()
    values: tuple[tuple[str, ValueSpec], ...] = ()
    policy_head: str = POLICY_HEAD
    value_head: str = VALUE_HEAD
    early: bool = False

    @property
    def body_size(self) -> int:
        """Numbers of a square that the heads begin from."""
        return self.attention.size if self.attention else self.filters

    @property
    def policy_moves(self) -> int:
        """Moves that a policy's last layer tells apart."""
        return EARLY_MOVES if self.early else POLICY_MOVES

    def with_heads(self, policy: str | None = None, value: str | None = None) -> NetSpec:
        """The same net, playing by other heads; None leaves a head as it is.

        Raises NetError for a head that is not there, naming those that are.
        """
        policies = dict(self.policies) or {POLICY_HEAD: self.policy}
        values = dict(self.values) or {VALUE_HEAD: self.value}
        policy, value = policy or self.policy_head, value or self.value_head
        for kind, name, known in (("policy", policy, [*policies]), ("value", value, [*values])):
            if name not in known:
                raise NetError(f"has no {kind} head {name!r}", f"It has {', '.join(known)}.")
        return replace(
            self,
            policy=policies[policy],
            value=values[value],
            policy_head=policy,
            value_head=value,
        )

    def __str__(self) -> str:
        parts = []
        if self.filters:
            squeeze = f" SE {self.se}" if self.se else ""
            parts.append(f"{self.blocks}x{self.filters}{squeeze}")
        if self.attention:
            body = self.attention
            smolgen = " smolgen" if body.encoder.smolgen else ""
            parts.append(
                f"attention {body.encoders}x{body.size} {body.embedding} "
                f"{body.encoder.heads} heads{smolgen}"
            )
        moves_left = ", moves left" if self.moves_left else ""
        early = ", early boards and moves" if self.early else ""
        policy = f" {self.policy_head!r}" if self.policies else ""
        value = f" {self.value_head!r}" if self.values else ""
        return (
            f"{' + '.join(parts)} {self.activation}, {self.policy.kind} policy{policy}, "
            f"{self.value.kind} value{value}{moves_left}{early}"
        )

    @property
    def heads(self) -> str:
        """What it tells of a position, in words."""
        policy, value = self.policy, self.value
        by = "a dense layer" if policy.kind is PolicyKind.CLASSICAL else policy.kind.value
        if policy.encoders:
            by += f" after {policy.encoders} encoder{'s' if policy.encoders > 1 else ''}"
        told = "win, draw and loss" if value.kind is ValueKind.WDL else "one number"
        several = [
            f"{kind} head {chosen!r} of {', '.join(name for name, _ in known)}"
            for kind, chosen, known in (
                ("policy", self.policy_head, self.policies),
                ("value", self.value_head, self.values),
            )
            if known
        ]
        return "; ".join(
            [
                f"policy by {by} ({policy.channels} channels), value as {told} ({value.channels} "
                f"channels, {value.hidden} hidden), {'' if self.moves_left else 'no '}moves left",
                *several,
            ]
        )
