"""What a net is made of, said once: the torch module, the file's fields and all shapes follow.

``NetSpec`` describes an architecture without weights; ``parameters`` lists every array that such a
net has, with its name, its shape and the field of lc0's file that holds it. A new kind of head is
a new head description here, its rows in ``parameters``, and its module in ``swa.model``.

Names follow the torch module: ``input.conv.weight``, ``blocks.0.conv1.weight``, ... A convolution
``X.conv1`` has its batch norm beside it as ``X.bn1`` with ``gamma``, ``beta``, ``mean`` and
``variance``; where the batch norm is folded away it has a ``bias`` instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

PLANES = 112
"""Input planes of every format of lc0 since its second net format (lc0 src/neural/encoder.h)."""

POLICY_MOVES = 1858
"""Moves that a policy tells apart (lc0 src/chess/types.h, kMoveStrs)."""

CONV_POLICY_PLANES = 80
"""Planes of a convolution policy: 73 used, padded to 80 (lc0 src/neural/tables/policy_map.h)."""

BATCH_NORM_EPSILON = 1e-5
"""Added to every variance (lc0 src/neural/network_legacy.cc)."""


class NetError(ValueError):
    """A file that is no net, or a net that cannot be used: one to three lines for the user.

    ``reason`` is what is wrong, ``remedy`` what to do about it, ``path`` the file where known.
    """

    def __init__(self, reason: str, remedy: str = "", path: str = "") -> None:
        super().__init__(reason, remedy, path)
        self.reason = reason
        self.remedy = remedy
        self.path = path

    def __str__(self) -> str:
        first = f"{self.path}: {self.reason}" if self.path else self.reason
        return f"{first}\n{self.remedy}" if self.remedy else first


class UnfitError(NetError):
    """Nets that are whole, and no good for what is wanted: no later call will find otherwise."""


class InputFormat(IntEnum):
    """How planes are made of a position, and moves of its policy (lc0 proto/net.proto).

    All are 112 planes, eight boards of thirteen and eight more (``swa.planes``); what differs, lc0
    src/neural/encoder.cc. The numbers are lc0's, and those from 128 on are for armageddon.
    """

    CLASSICAL_112_PLANE = 1
    WITH_CASTLING_PLANE = 2
    WITH_CANONICALIZATION = 3
    WITH_CANONICALIZATION_HECTOPLIES = 4
    WITH_CANONICALIZATION_V2 = 5
    WITH_CANONICALIZATION_HECTOPLIES_ARMAGEDDON = 132
    WITH_CANONICALIZATION_V2_ARMAGEDDON = 133

    @property
    def lc0_name(self) -> str:
        """As lc0 spells it: ``INPUT_112_WITH_CASTLING_PLANE``."""
        return f"INPUT_{'' if self is InputFormat.CLASSICAL_112_PLANE else '112_'}{self.name}"

    @property
    def knows_chess960(self) -> bool:
        """Whether its planes say which rooks may castle: all but the first say it.

        The first one says only that castling to a side is allowed (lc0 src/neural/encoder.cc,
        ``EncodePositionForNN``: planes 104 to 107).
        """
        return self > InputFormat.CLASSICAL_112_PLANE

    @property
    def canonical(self) -> bool:
        """Whether positions that are images of each other look the same to the net.

        The board is turned so that the mover's king stands in one part of it, and so are the moves
        (``swa.policy_map.TRANSFORMED``); history ends where no position before can come again, and
        the en passant square is told in place of the colour.
        """
        return self >= InputFormat.WITH_CANONICALIZATION

    @property
    def hectoplies(self) -> bool:
        """Whether plies since the last capture or pawn move are told in hundreds."""
        return self >= InputFormat.WITH_CANONICALIZATION_HECTOPLIES

    @property
    def repeats_only(self) -> bool:
        """Whether of earlier positions only those are told that had occurred before."""
        return self.name.startswith("WITH_CANONICALIZATION_V2")

    @property
    def armageddon(self) -> bool:
        """Whether a canonical format tells the colour, for a game in which draws are one's loss."""
        return self.name.endswith("_ARMAGEDDON")


class Activation(StrEnum):
    """The non-linearity everywhere but at the outputs of heads."""

    RELU = "relu"
    MISH = "mish"


class PolicyKind(StrEnum):
    """How a policy head gets from the tower to 1858 moves."""

    CLASSICAL = "classical"  # 1x1 convolution, then one dense layer
    CONVOLUTION = "convolution"  # two 3x3 convolutions, then a gather


class ValueKind(StrEnum):
    """What a value head tells."""

    CLASSICAL = "classical"  # one number in [-1, 1]
    WDL = "wdl"  # win, draw, loss


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy head; ``channels`` of its first convolution (a convolution policy: the filters)."""

    kind: PolicyKind
    channels: int


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """A value head: 1x1 convolution to ``channels``, dense to ``hidden``, dense to 1 or 3."""

    kind: ValueKind
    channels: int
    hidden: int

    @property
    def outputs(self) -> int:
        """Numbers a position: win, draw and loss, or the one value."""
        return 3 if self.kind is ValueKind.WDL else 1


@dataclass(frozen=True, slots=True)
class MovesLeftSpec:
    """A moves-left head: 1x1 convolution to ``channels``, dense to ``hidden``, dense to 1."""

    channels: int
    hidden: int


@dataclass(frozen=True, slots=True)
class NetSpec:
    """A residual tower with its heads.

    ``se`` is the width of the squeeze in every block, 0 without squeeze-excitation;
    ``batch_norm`` is False where it is folded into the convolutions, which then have biases.
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

    def __str__(self) -> str:
        squeeze = f" SE {self.se}" if self.se else ""
        moves_left = ", moves left" if self.moves_left else ""
        return (
            f"{self.blocks}x{self.filters}{squeeze} {self.activation}, "
            f"{self.policy.kind} policy, {self.value.kind} value{moves_left}"
        )

    @property
    def heads(self) -> str:
        """What it tells of a position, in words."""
        policy, value = self.policy, self.value
        by = "a dense layer" if policy.kind is PolicyKind.CLASSICAL else "convolution"
        told = "win, draw and loss" if value.kind is ValueKind.WDL else "one number"
        return (
            f"policy by {by} ({policy.channels} channels), value as {told} ({value.channels} "
            f"channels, {value.hidden} hidden), {'' if self.moves_left else 'no '}moves left"
        )


class Parameter(NamedTuple):
    """One array of a net."""

    name: str  # as in the torch module, but for batch norm: gamma, beta, mean, variance
    shape: tuple[int, ...]  # convolutions [out, in, height, width], dense layers [out, in]
    field: str  # where lc0's ``Weights`` message holds it: "residual.0.conv1.weights"


def parameters(spec: NetSpec) -> tuple[Parameter, ...]:
    """Every array of such a net, from the input to the heads."""
    filters = spec.filters
    rows = _normed("input.conv", "input", (filters, PLANES, 3, 3), spec)
    for block in range(spec.blocks):
        for conv in ("conv1", "conv2"):
            name, field = f"blocks.{block}.{conv}", f"residual.{block}.{conv}"
            rows += _normed(name, field, (filters, filters, 3, 3), spec)
        if spec.se:
            name, field = f"blocks.{block}.se", f"residual.{block}.se"
            rows += _dense(f"{name}.dense1", f"{field}.w1", f"{field}.b1", (spec.se, filters))
            rows += _dense(f"{name}.dense2", f"{field}.w2", f"{field}.b2", (2 * filters, spec.se))
    rows += _policy(spec)
    rows += _scalar_head(
        spec, "value", "val", spec.value.channels, spec.value.hidden, spec.value.outputs
    )
    if spec.moves_left:
        rows += _scalar_head(
            spec, "moves_left", "mov", spec.moves_left.channels, spec.moves_left.hidden, 1
        )
    return tuple(rows)


def norm_of(convolution: str) -> str:
    """The batch norm that follows a convolution: ``blocks.0.bn1`` of ``blocks.0.conv1``."""
    owner, _, leaf = convolution.rpartition(".")
    return f"{owner}.{leaf.replace('conv', 'bn', 1)}"


def normed_convolutions(spec: NetSpec) -> tuple[str, ...]:
    """The convolutions that a batch norm follows, in the order of the forward pass."""
    names = {row.name for row in parameters(spec)}
    convolutions = (name.removesuffix(".weight") for name in (row.name for row in parameters(spec)))
    return tuple(conv for conv in convolutions if f"{norm_of(conv)}.variance" in names)


def _normed(name: str, field: str, shape: tuple[int, ...], spec: NetSpec) -> list[Parameter]:
    """A convolution with batch norm, or with a bias where that is folded."""
    rows = [Parameter(f"{name}.weight", shape, f"{field}.weights")]
    if not spec.batch_norm:
        return [*rows, Parameter(f"{name}.bias", shape[:1], f"{field}.biases")]
    norm = norm_of(name)
    # lc0's "stddivs" are variances (lc0 src/neural/network_legacy.cc).
    for part, leaf in (
        ("gamma", "bn_gammas"),
        ("beta", "bn_betas"),
        ("mean", "bn_means"),
        ("variance", "bn_stddivs"),
    ):
        rows.append(Parameter(f"{norm}.{part}", shape[:1], f"{field}.{leaf}"))
    return rows


def _dense(name: str, weight: str, bias: str, shape: tuple[int, int]) -> list[Parameter]:
    return [
        Parameter(f"{name}.weight", shape, weight),
        Parameter(f"{name}.bias", shape[:1], bias),
    ]


def _policy(spec: NetSpec) -> list[Parameter]:
    channels = spec.policy.channels
    if spec.policy.kind is PolicyKind.CLASSICAL:
        return [
            *_normed("policy.conv", "policy", (channels, spec.filters, 1, 1), spec),
            *_dense("policy.dense", "ip_pol_w", "ip_pol_b", (POLICY_MOVES, 64 * channels)),
        ]
    last = (CONV_POLICY_PLANES, channels, 3, 3)
    return [
        *_normed("policy.conv1", "policy1", (channels, spec.filters, 3, 3), spec),
        Parameter("policy.conv2.weight", last, "policy.weights"),
        Parameter("policy.conv2.bias", last[:1], "policy.biases"),
    ]


def _scalar_head(
    spec: NetSpec, name: str, suffix: str, channels: int, hidden: int, outputs: int
) -> list[Parameter]:
    first, second = f"ip1_{suffix}", f"ip2_{suffix}"
    return [
        *_normed(f"{name}.conv", name, (channels, spec.filters, 1, 1), spec),
        *_dense(f"{name}.dense1", f"{first}_w", f"{first}_b", (hidden, 64 * channels)),
        *_dense(f"{name}.dense2", f"{second}_w", f"{second}_b", (outputs, hidden)),
    ]
