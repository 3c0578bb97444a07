"""Words and numbers of a net's description: kinds of heads and inputs, what a bad net raises."""

from __future__ import annotations

from enum import IntEnum, StrEnum

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
    """How planes are made of a position (lc0 proto/net.proto, ``InputFormat``)."""

    CLASSICAL_112_PLANE = 1

    @property
    def knows_chess960(self) -> bool:
        """Whether its planes say which rooks may castle: all but the first say it.

        The first one says only that castling to a side is allowed (lc0 src/neural/encoder.cc,
        ``EncodePositionForNN``: planes 104 to 107).
        """
        return self > InputFormat.CLASSICAL_112_PLANE


class Activation(StrEnum):
    """A non-linearity; a net's own, everywhere but where it says otherwise, is relu or mish.

    The others are those that an encoder's feed-forward layers or smolgen may have (lc0
    proto/net.proto, ``ActivationFunction``); an attention policy on a residual tower has SELU.
    """

    RELU = "relu"
    MISH = "mish"
    NONE = "none"
    TANH = "tanh"
    SIGMOID = "sigmoid"
    SELU = "selu"
    SWISH = "swish"
    RELU_2 = "relu_2"  # the square of relu


NET_ACTIVATIONS = (Activation.RELU, Activation.MISH)
"""Those that a whole net may have (lc0 proto/net.proto, ``DefaultActivation``)."""


class PolicyKind(StrEnum):
    """How a policy head gets from the tower to 1858 moves."""

    CLASSICAL = "classical"  # 1x1 convolution, then one dense layer
    CONVOLUTION = "convolution"  # two 3x3 convolutions, then a gather
    ATTENTION = "attention"  # products of a query of each origin and a key of each target


class ValueKind(StrEnum):
    """What a value head tells."""

    CLASSICAL = "classical"  # one number in [-1, 1]
    WDL = "wdl"  # win, draw, loss


class Embedding(StrEnum):
    """What an attention body takes its squares from (lc0 proto/net.proto, ``input_embedding``).

    A square is its planes with, beside them, either a fixed map of the squares that a queen or a
    knight reaches from it, or what a dense layer makes of the whole board; or it is what a
    residual tower has made of it.
    """

    MAP = "pe_map"
    DENSE = "pe_dense"
    TOWER = "tower"


class PolicyEmbedding(StrEnum):
    """Where the first layer of an attention policy stands in the file."""

    OWN = "own"  # with the head
    HEADS = "heads"  # once for several heads: ``policy_heads.ip_pol_w``
    NET = "net"  # the same, but at the top: ``ip_pol_w``
