"""Every array of a net: its name, its shape, and the field of lc0's file that holds it.

Names follow the torch module: ``input.conv.weight``, ``blocks.0.conv1.weight``, ... A convolution
``X.conv1`` has its batch norm beside it as ``X.bn1`` with ``gamma``, ``beta``, ``mean`` and
``variance``; where the batch norm is folded away it has a ``bias`` instead. A layer norm ``X.ln1``
has ``gamma`` and ``beta``.
"""

from __future__ import annotations

from typing import NamedTuple

from swa.spec.description import (
    AttentionBody,
    EncoderSpec,
    MovesLeftSpec,
    NetSpec,
    PolicySpec,
    SmolgenSpec,
    ValueSpec,
)
from swa.spec.kinds import (
    CONV_POLICY_PLANES,
    PLANES,
    Embedding,
    PolicyEmbedding,
    PolicyKind,
)

SQUARES = 64

PIECE_PLANES = 12
"""The first planes, of the pieces as they stand: what a dense embedding begins from."""

POLICY_FIELDS = {
    "vanilla": "vanilla",
    "optimistic": "optimistic_st",
    "soft": "soft",
    "opponent": "opponent",
}
"""lc0's names of policy heads, and the fields of ``policy_heads`` (lc0 network_legacy.cc)."""

VALUE_FIELDS = {"winner": "winner", "q": "q", "st": "st"}
"""lc0's names of value heads, and the fields of ``value_heads``."""

_SHARED_EMBEDDING = {PolicyEmbedding.HEADS: "policy_heads.ip_pol", PolicyEmbedding.NET: "ip_pol"}


class Parameter(NamedTuple):
    """One array of a net."""

    name: str  # as in the torch module, but for norms: gamma, beta, mean, variance
    shape: tuple[int, ...]  # convolutions [out, in, height, width], dense layers [out, in]
    field: str  # where lc0's ``Weights`` message holds it: "residual.0.conv1.weights"


def parameters(spec: NetSpec) -> tuple[Parameter, ...]:
    """Every array of such a net, from the input to the heads."""
    rows = _tower(spec) if spec.filters else []
    if spec.attention:
        rows += _attention_body(spec.attention, spec.filters)
    rows += _policies(spec)
    for name, value in spec.values:
        rows += _value(spec, f"values.{name}", f"value_heads.{VALUE_FIELDS[name]}.", value)
    if not spec.values:
        rows += _value(spec, "value", "", spec.value)
    if spec.moves_left:
        rows += _scalar_head(spec, "moves_left", "", ("moves_left", "mov"), spec.moves_left, 1)
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


def _layer(name: str, field: str, shape: tuple[int, int]) -> list[Parameter]:
    """A dense layer whose two fields end in ``_w`` and ``_b``."""
    return _dense(name, f"{field}_w", f"{field}_b", shape)


def _layer_norm(name: str, field: str, size: int) -> list[Parameter]:
    return [
        Parameter(f"{name}.gamma", (size,), f"{field}_gammas"),
        Parameter(f"{name}.beta", (size,), f"{field}_betas"),
    ]


def _feed_forward(name: str, field: str, size: int, hidden: int) -> list[Parameter]:
    return [
        *_layer(f"{name}.dense1", f"{field}.dense1", (hidden, size)),
        *_layer(f"{name}.dense2", f"{field}.dense2", (size, hidden)),
    ]


def _tower(spec: NetSpec) -> list[Parameter]:
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
    return rows


def embedding_inputs(body: AttentionBody, filters: int) -> int:
    """Numbers of a square that the embedding begins from."""
    if body.embedding is Embedding.TOWER:
        return filters
    return PLANES + (SQUARES if body.embedding is Embedding.MAP else body.dense)


def _attention_body(body: AttentionBody, filters: int) -> list[Parameter]:
    size, rows = body.size, []
    if body.embedding is Embedding.DENSE:
        shape = (SQUARES * body.dense, SQUARES * PIECE_PLANES)
        rows += _layer("embedding.preprocess", "ip_emb_preproc", shape)
    rows += _layer("embedding.dense", "ip_emb", (size, embedding_inputs(body, filters)))
    if body.embedding is Embedding.DENSE:
        rows += _layer_norm("embedding.ln1", "ip_emb_ln", size)
    if body.gates:
        rows.append(Parameter("embedding.mult_gate", (size, SQUARES), "ip_mult_gate"))
        rows.append(Parameter("embedding.add_gate", (size, SQUARES), "ip_add_gate"))
    if body.embedding is Embedding.DENSE:
        rows += _feed_forward("embedding.ffn", "ip_emb_ffn", size, body.ffn)
        rows += _layer_norm("embedding.ln2", "ip_emb_ffn_ln", size)
    if smolgen := body.encoder.smolgen:
        shape = (SQUARES * SQUARES, smolgen.generated)
        rows.append(Parameter("smolgen.weight", shape, "smolgen_w"))
    for number in range(body.encoders):
        rows += _encoder(f"encoders.{number}", f"encoder.{number}", size, body.encoder)
    return rows


def _encoder(name: str, field: str, size: int, encoder: EncoderSpec) -> list[Parameter]:
    width, rows = encoder.width, []
    for part, leaf in (("query", "q"), ("key", "k"), ("value", "v")):
        rows += _layer(f"{name}.{part}", f"{field}.mha.{leaf}", (width, size))
    rows += _layer(f"{name}.dense", f"{field}.mha.dense", (size, width))
    if smolgen := encoder.smolgen:
        rows += _smolgen(f"{name}.smolgen", f"{field}.mha.smolgen", size, encoder.heads, smolgen)
    rows += _layer_norm(f"{name}.ln1", f"{field}.ln1", size)
    rows += _feed_forward(f"{name}.ffn", f"{field}.ffn", size, encoder.ffn)
    rows += _layer_norm(f"{name}.ln2", f"{field}.ln2", size)
    return rows


def _smolgen(name: str, field: str, size: int, heads: int, smolgen: SmolgenSpec) -> list[Parameter]:
    given = heads * smolgen.generated
    return [
        Parameter(f"{name}.compress.weight", (smolgen.compress, size), f"{field}.compress"),
        *_layer(f"{name}.dense1", f"{field}.dense1", (smolgen.hidden, SQUARES * smolgen.compress)),
        *_layer_norm(f"{name}.ln1", f"{field}.ln1", smolgen.hidden),
        *_layer(f"{name}.dense2", f"{field}.dense2", (given, smolgen.hidden)),
        *_layer_norm(f"{name}.ln2", f"{field}.ln2", given),
    ]


def _policies(spec: NetSpec) -> list[Parameter]:
    if not spec.policies:
        return _policy(spec, "policy", "", spec.policy)
    rows: list[Parameter] = []
    for _, policy in spec.policies:
        if not rows and policy.embedding is not PolicyEmbedding.OWN:
            field = _SHARED_EMBEDDING[policy.embedding]
            rows += _layer("policy_embedding", field, (policy.channels, spec.body_size))
    for name, policy in spec.policies:
        rows += _policy(spec, f"policies.{name}", f"policy_heads.{POLICY_FIELDS[name]}.", policy)
    return rows


def _policy(spec: NetSpec, name: str, at: str, policy: PolicySpec) -> list[Parameter]:
    """One policy head; ``at`` is what its fields begin with."""
    channels = policy.channels
    if policy.kind is PolicyKind.CLASSICAL:
        return [
            *_normed(f"{name}.conv", f"{at}policy", (channels, spec.filters, 1, 1), spec),
            *_layer(f"{name}.dense", f"{at}ip_pol", (spec.policy_moves, SQUARES * channels)),
        ]
    if policy.kind is PolicyKind.CONVOLUTION:
        last = (CONV_POLICY_PLANES, channels, 3, 3)
        return [
            *_normed(f"{name}.conv1", f"{at}policy1", (channels, spec.filters, 3, 3), spec),
            Parameter(f"{name}.conv2.weight", last, f"{at}policy.weights"),
            Parameter(f"{name}.conv2.bias", last[:1], f"{at}policy.biases"),
        ]
    rows: list[Parameter] = []
    if policy.embedding is PolicyEmbedding.OWN:
        rows += _layer(f"{name}.embedding", f"{at}ip_pol", (channels, spec.body_size))
    if policy.encoder:
        for number in range(policy.encoders):
            field = f"{at}pol_encoder.{number}"
            rows += _encoder(f"{name}.encoders.{number}", field, channels, policy.encoder)
    rows += _layer(f"{name}.query", f"{at}ip2_pol", (policy.width, channels))
    rows += _layer(f"{name}.key", f"{at}ip3_pol", (policy.width, channels))
    rows.append(Parameter(f"{name}.promotion.weight", (4, policy.width), f"{at}ip4_pol_w"))
    return rows


def _value(spec: NetSpec, name: str, at: str, value: ValueSpec) -> list[Parameter]:
    rows = _scalar_head(spec, name, at, ("value", "val"), value, value.outputs)
    if value.errors:
        rows += _layer(f"{name}.errors", f"{at}ip_val_err", (value.errors, value.hidden))
    if value.categories:
        rows += _layer(f"{name}.categories", f"{at}ip_val_cat", (value.categories, value.hidden))
    return rows


def _scalar_head(
    spec: NetSpec,
    name: str,
    at: str,
    fields: tuple[str, str],
    head: ValueSpec | MovesLeftSpec,
    outputs: int,
) -> list[Parameter]:
    """A head of few numbers; ``fields`` are the file's names of its convolution and its layers."""
    convolution, suffix = fields
    channels, size = head.channels, spec.body_size
    if spec.attention:
        rows = _layer(f"{name}.embedding", f"{at}ip_{suffix}", (channels, size))
    else:
        rows = _normed(f"{name}.conv", f"{at}{convolution}", (channels, size, 1, 1), spec)
    return [
        *rows,
        *_layer(f"{name}.dense1", f"{at}ip1_{suffix}", (head.hidden, SQUARES * channels)),
        *_layer(f"{name}.dense2", f"{at}ip2_{suffix}", (outputs, head.hidden)),
    ]
