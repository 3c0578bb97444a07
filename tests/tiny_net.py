"""Nets small enough to make in a test: a description, random weights, and the file they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swa.layer_codec import layer_at
from swa.net_proto import NetMessage
from swa.spec import (
    Activation,
    AttentionBody,
    Embedding,
    EncoderSpec,
    MovesLeftSpec,
    NetSpec,
    PolicyEmbedding,
    PolicyKind,
    PolicySpec,
    SmolgenSpec,
    ValueKind,
    ValueSpec,
    parameters,
)
from swa.weights_writer import empty_message

TINY = NetSpec(
    blocks=1,
    filters=4,
    se=2,
    policy=PolicySpec(PolicyKind.CONVOLUTION, 4),
    value=ValueSpec(ValueKind.WDL, channels=2, hidden=3),
    moves_left=MovesLeftSpec(channels=2, hidden=3),
)

KINDS = {
    "se, convolution policy, wdl, moves left": TINY,
    "no se, classical policy and value": replace(
        TINY,
        se=0,
        blocks=2,
        policy=PolicySpec(PolicyKind.CLASSICAL, 3),
        value=ValueSpec(ValueKind.CLASSICAL, channels=2, hidden=3),
        moves_left=None,
    ),
    "mish": replace(TINY, activation=Activation.MISH),
    "batch norm folded": replace(TINY, batch_norm=False),
}


BODY = AttentionBody(
    embedding=Embedding.MAP,
    size=4,
    encoders=2,
    encoder=EncoderSpec(heads=2, width=6, ffn=5),
    gates=True,
)
ATTENTION_POLICY = PolicySpec(PolicyKind.ATTENTION, 5, width=3)
PLAIN_BODY = replace(
    TINY, blocks=0, filters=0, se=0, batch_norm=False, attention=BODY, policy=ATTENTION_POLICY
)
DENSE_BODY = replace(
    BODY,
    embedding=Embedding.DENSE,
    gates=False,
    encoder=replace(BODY.encoder, smolgen=SmolgenSpec(compress=2, hidden=3, generated=2)),
    dense=2,
    ffn=3,
    ffn_activation=Activation.RELU_2,
    smolgen_activation=Activation.SWISH,
)
_SHARED = replace(ATTENTION_POLICY, embedding=PolicyEmbedding.HEADS)
_VALUE = TINY.value
SEVERAL_HEADS = replace(
    PLAIN_BODY,
    attention=DENSE_BODY,
    activation=Activation.MISH,
    policy=_SHARED,
    policies=(
        ("vanilla", _SHARED),
        ("soft", replace(_SHARED, encoders=1, encoder=EncoderSpec(heads=1, width=2, ffn=3))),
        ("opponent", replace(ATTENTION_POLICY, channels=3)),
    ),
    values=(("winner", _VALUE), ("q", replace(_VALUE, errors=1, categories=4))),
)

ATTENTION_KINDS = {
    "attention policy on a tower": replace(TINY, policy=ATTENTION_POLICY),
    "attention policy with encoders": replace(
        TINY,
        policy=replace(ATTENTION_POLICY, encoders=2, encoder=EncoderSpec(heads=2, width=4, ffn=3)),
    ),
    "attention body": PLAIN_BODY,
    "attention body, several heads": SEVERAL_HEADS,
    "attention body, other heads": SEVERAL_HEADS.with_heads("soft", "q"),
    "attention body on a tower": replace(
        PLAIN_BODY,
        blocks=1,
        filters=3,
        se=2,
        batch_norm=True,
        attention=replace(DENSE_BODY, embedding=Embedding.TOWER, dense=0, ffn=0),
    ),
}
"""Those that torch evaluates, and nothing else."""

EVERY_KIND = KINDS | ATTENTION_KINDS


def random_weights(spec: NetSpec, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Weights of a plausible size; variances around one."""
    random = np.random.default_rng(seed)
    weights = {}
    for row in parameters(spec):
        values = random.normal(0, 0.3, row.shape)
        if row.name.endswith((".variance", ".gamma")):
            values = np.exp(values)
        weights[row.name] = values.astype(np.float32)
    return weights


def calm_weights(spec: NetSpec, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Weights with which activations stay about as large from layer to layer."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape, _ in parameters(spec):
        numbers = random.normal(size=shape)
        if name.endswith((".variance", ".gamma")):
            numbers = np.exp(0.3 * numbers)
        elif name.endswith(".weight"):
            numbers *= math.sqrt(1.5 / math.prod(shape[1:]))
        else:
            numbers *= 0.2
        weights[name] = numbers.astype(np.float32)
    return weights


def net_message(spec: NetSpec, weights: Mapping[str, NDArray[np.float32]]) -> Any:
    """The file's message, every layer in FLOAT32, so that reading it back is exact."""
    attention = spec.attention or spec.policy.kind is PolicyKind.ATTENTION
    net = empty_message(spec) if attention else _header(spec)
    net.min_version.minor = 33
    for row in parameters(spec):
        layer = layer_at(net.weights, row.field)
        layer.encoding = 4
        layer.params = weights[row.name].tobytes()
    return net


def _header(spec: NetSpec) -> Any:
    """Of a convolutional net, and room for its blocks."""
    net: Any = NetMessage(magic=0x1C0)
    header = net.format.network_format
    header.input = 1
    header.network = 4 if spec.se else 3
    header.policy = 1 if spec.policy.kind is PolicyKind.CLASSICAL else 2
    header.value = 2 if spec.value.kind is ValueKind.WDL else 1
    header.moves_left = 1 if spec.moves_left else 0
    header.default_activation = 1 if spec.activation is Activation.MISH else 0
    for _ in range(spec.blocks):
        block = net.weights.residual.add()
        if spec.se:
            block.se.SetInParent()
    return net


def tiny_payload(spec: NetSpec = TINY, seed: int = 0) -> bytes:
    """The bytes of an uncompressed ``.pb`` file."""
    payload: bytes = net_message(spec, random_weights(spec, seed)).SerializeToString()
    return payload
