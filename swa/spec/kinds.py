"""Words and numbers of a net's description: kinds of heads and inputs, what a bad net raises."""

from __future__ import annotations

from enum import IntEnum, StrEnum

PLANES = 112
"""Input planes of every format of lc0 since its second net format (lc0 src/neural/encoder.h)."""

POLICY_MOVES = 1858
"""Moves that a policy tells apart (lc0 src/chess/types.h, kMoveStrs)."""

EARLY_MOVES = 1924
"""Moves of leela-chess's first nets, as they stand on the board (``swa.leela_chess``)."""

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
