"""What a net is made of, said once: the torch module, the file's fields and all shapes follow.

``NetSpec`` describes an architecture without weights; ``parameters`` lists every array that such a
net has, with its name, its shape and the field of lc0's file that holds it. A new kind of head is
a new description in ``description``, its rows in ``arrays``, and its module in ``swa.model``.
"""

from swa.spec.arrays import (
    PIECE_PLANES,
    POLICY_FIELDS,
    SQUARES,
    VALUE_FIELDS,
    Parameter,
    embedding_inputs,
    norm_of,
    normed_convolutions,
    parameters,
)
from swa.spec.description import (
    POLICY_HEAD,
    VALUE_HEAD,
    AttentionBody,
    EncoderSpec,
    MovesLeftSpec,
    NetSpec,
    PolicySpec,
    SmolgenSpec,
    ValueSpec,
)
from swa.spec.kinds import (
    BATCH_NORM_EPSILON,
    CONV_POLICY_PLANES,
    EARLY_MOVES,
    NET_ACTIVATIONS,
    PLANES,
    POLICY_MOVES,
    Activation,
    Embedding,
    InputFormat,
    NetError,
    PolicyEmbedding,
    PolicyKind,
    UnfitError,
    ValueKind,
)

__all__ = [
    "BATCH_NORM_EPSILON",
    "CONV_POLICY_PLANES",
    "EARLY_MOVES",
    "NET_ACTIVATIONS",
    "PIECE_PLANES",
    "PLANES",
    "POLICY_FIELDS",
    "POLICY_HEAD",
    "POLICY_MOVES",
    "SQUARES",
    "VALUE_FIELDS",
    "VALUE_HEAD",
    "Activation",
    "AttentionBody",
    "Embedding",
    "EncoderSpec",
    "InputFormat",
    "MovesLeftSpec",
    "NetError",
    "NetSpec",
    "Parameter",
    "PolicyEmbedding",
    "PolicyKind",
    "PolicySpec",
    "SmolgenSpec",
    "UnfitError",
    "ValueKind",
    "ValueSpec",
    "embedding_inputs",
    "norm_of",
    "normed_convolutions",
    "parameters",
]
