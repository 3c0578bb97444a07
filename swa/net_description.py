"""A net's description from its file: kinds from the header, sizes from lengths of layers."""

from __future__ import annotations

from typing import Any

from swa.layer_codec import size_of
from swa.net_header import DAMAGED, NOT_SUPPORTED, NetworkFormat
from swa.spec import (
    PIECE_PLANES,
    PLANES,
    POLICY_FIELDS,
    POLICY_HEAD,
    SQUARES,
    VALUE_FIELDS,
    VALUE_HEAD,
    AttentionBody,
    Embedding,
    EncoderSpec,
    InputFormat,
    MovesLeftSpec,
    NetError,
    NetSpec,
    PolicyEmbedding,
    PolicyKind,
    PolicySpec,
    SmolgenSpec,
    ValueKind,
    ValueSpec,
)

_POLICY_KINDS = {
    1: PolicyKind.CLASSICAL,
    2: PolicyKind.CONVOLUTION,
    3: PolicyKind.ATTENTION,
}


def describe(weights: Any, header: NetworkFormat) -> NetSpec:
    """The architecture of a ``Weights`` message, with lc0's default heads to play.

    Raises NetError, naming the field, where layers are missing or do not fit each other. That all
    of them have the size which follows from the description is checked by who reads them.
    """
    attention = header.attention_body
    blocks = len(weights.residual)
    # As lc0 has it (network_blas.cc): an attention body begins with a tower where there are blocks.
    tower = bool(blocks) or not attention
    filters = outputs(weights, "input.weights", PLANES * 9) if tower else 0
    body = _attention_body(weights, header, tower) if attention else None
    size = body.size if body else filters
    policies = _policies(weights, header, size)
    values = _values(weights, header, size)
    moves_left = None
    if header.moves_left:
        channels = outputs(weights, "ip_mov_w" if attention else "moves_left.weights", size)
        moves_left = MovesLeftSpec(channels, outputs(weights, "ip1_mov_w", SQUARES * channels))
    several_policies = weights.HasField("policy_heads")
    several_values = weights.HasField("value_heads")
    policy_head, value_head = policies[0][0], values[0][0]
    return NetSpec(
        blocks=blocks,
        filters=filters,
        se=_squeeze(weights, filters),
        policy=policies[0][1],
        value=values[0][1],
        moves_left=moves_left,
        activation=header.net_activation,
        input_format=InputFormat(header.input),
        batch_norm=tower and size_of(weights, "input.bn_means") > 0,
        attention=body,
        policies=policies if several_policies else (),
        values=values if several_values else (),
        policy_head=policy_head,
        value_head=value_head,
    )


def outputs(weights: Any, field: str, inputs: int) -> int:
    """Outputs of a layer that has ``inputs`` values for each."""
    size = size_of(weights, field)
    if not size:
        raise NetError(f"{field} is missing: the net has no such weights", DAMAGED)
    found, rest = divmod(size, inputs)
    if rest:
        raise NetError(f"{field} has {size} values, no multiple of {inputs}", DAMAGED)
    return found


def _squeeze(weights: Any, filters: int) -> int:
    """The width of squeeze-excitation, which is by presence, not by the header: as lc0 does."""
    has_se = [block.HasField("se") for block in weights.residual]
    if not any(has_se):
        return 0
    if not all(has_se):
        raise NetError(
            f"residual.{has_se.index(False)} has no SE unit, other blocks have one", NOT_SUPPORTED
        )
    return outputs(weights, "residual.0.se.w1", filters)


def _attention_body(weights: Any, header: NetworkFormat, tower: bool) -> AttentionBody:
    embedding = Embedding.DENSE if header.input_embedding == 2 else Embedding.MAP
    if tower and embedding is Embedding.DENSE:
        raise NetError(
            "network_format.input_embedding is 2 (PE_DENSE) after a residual tower", NOT_SUPPORTED
        )
    size = outputs(weights, "ip_emb_b", 1)
    if not weights.encoder:
        raise NetError("encoder is missing: an attention body without encoders", DAMAGED)
    gates = [size_of(weights, field) > 0 for field in ("ip_mult_gate", "ip_add_gate")]
    if any(gates) and not all(gates):
        there, lacking = ("mult", "add") if gates[0] else ("add", "mult")
        raise NetError(
            f"ip_{there}_gate without ip_{lacking}_gate: lc0's backends disagree about such a net",
            NOT_SUPPORTED,
        )
    dense = ffn = 0
    if embedding is Embedding.DENSE:
        inputs = SQUARES * SQUARES * PIECE_PLANES
        dense = outputs(weights, "ip_emb_preproc_w", inputs)
        ffn = outputs(weights, "ip_emb_ffn.dense1_w", size)
    return AttentionBody(
        embedding=Embedding.TOWER if tower else embedding,
        size=size,
        encoders=len(weights.encoder),
        encoder=_encoder(weights, "encoder", weights.encoder, weights.headcount, size),
        gates=gates[0],
        dense=dense,
        ffn=ffn,
        ffn_activation=header.resolved(header.ffn_activation),
        smolgen_activation=header.resolved(header.smolgen_activation),
    )


def _encoder(weights: Any, field: str, encoders: Any, heads: int, size: int) -> EncoderSpec:
    """What the encoders of a body or a policy are, from the first one."""
    first = f"{field}.0.mha"
    width = outputs(weights, f"{first}.q_w", size)
    owner = field.rpartition("pol_encoder")
    count = f"{owner[0]}pol_headcount" if owner[1] else "headcount"
    if heads < 1 or width % heads:
        raise NetError(
            f"{count} is {heads}, which does not divide the {width} outputs of {first}.q_w", DAMAGED
        )
    has_smolgen = [encoder.mha.HasField("smolgen") for encoder in encoders]
    if any(has_smolgen) and not all(has_smolgen):
        raise NetError(
            f"{field}.{has_smolgen.index(False)} has no smolgen, other encoders have it",
            NOT_SUPPORTED,
        )
    smolgen = None
    if any(has_smolgen):
        if owner[1]:
            raise NetError(f"smolgen in a policy ({first}.smolgen)", NOT_SUPPORTED)
        smolgen = _smolgen(weights, f"{first}.smolgen", heads, size)
    return EncoderSpec(
        heads=heads,
        width=width,
        ffn=outputs(weights, f"{field}.0.ffn.dense1_w", size),
        smolgen=smolgen,
    )


def _smolgen(weights: Any, field: str, heads: int, size: int) -> SmolgenSpec:
    compress = outputs(weights, f"{field}.compress", size)
    hidden = outputs(weights, f"{field}.dense1_w", SQUARES * compress)
    given = outputs(weights, f"{field}.dense2_w", hidden)
    if given % heads:
        raise NetError(
            f"{field}.dense2_w has {given} outputs, which {heads} heads do not share evenly",
            DAMAGED,
        )
    return SmolgenSpec(compress, hidden, given // heads)


def _named(heads: Any, fields: dict[str, str], where: str) -> list[tuple[str, str]]:
    """lc0's names of the heads that are there, and what their fields begin with."""
    found = [(name, f"{where}.{field}.") for name, field in fields.items() if heads.HasField(field)]
    if not found:
        raise NetError(f"{where} has none of {', '.join(fields.values())}", DAMAGED)
    return found


def _policies(weights: Any, header: NetworkFormat, size: int) -> tuple[tuple[str, PolicySpec], ...]:
    kind = _POLICY_KINDS[header.policy]
    if not weights.HasField("policy_heads"):
        return ((POLICY_HEAD, _policy(weights, kind, "", weights, size)),)
    heads = weights.policy_heads
    return tuple(
        (name, _policy(weights, kind, at, getattr(heads, POLICY_FIELDS[name]), size))
        for name, at in _named(heads, POLICY_FIELDS, "policy_heads")
    )


def _policy(weights: Any, kind: PolicyKind, at: str, head: Any, size: int) -> PolicySpec:
    """A policy head; ``head`` is the message of it, ``at`` what its fields begin with."""
    if kind is PolicyKind.CLASSICAL:
        return PolicySpec(kind, outputs(weights, f"{at}policy.weights", size))
    if kind is PolicyKind.CONVOLUTION:
        return PolicySpec(kind, size)  # lc0 takes its first convolution to be as wide as the tower
    # A head's own embedding goes before that of all heads, and that before the net's (lc0
    # src/neural/network_legacy.cc).
    places = {PolicyEmbedding.OWN: at}
    if at:
        places |= {PolicyEmbedding.HEADS: "policy_heads.", PolicyEmbedding.NET: ""}
    there = [one for one, place in places.items() if size_of(weights, f"{place}ip_pol_w")]
    embedding = there[0] if there else PolicyEmbedding.OWN
    channels = outputs(weights, f"{places[embedding]}ip_pol_w", size)
    encoder = None
    if head.pol_encoder:
        encoder = _encoder(
            weights, f"{at}pol_encoder", head.pol_encoder, head.pol_headcount, channels
        )
    return PolicySpec(
        kind,
        channels,
        width=outputs(weights, f"{at}ip2_pol_w", channels),
        encoders=len(head.pol_encoder),
        encoder=encoder,
        embedding=embedding,
    )


def _values(weights: Any, header: NetworkFormat, size: int) -> tuple[tuple[str, ValueSpec], ...]:
    kind = ValueKind.WDL if header.value == 2 else ValueKind.CLASSICAL
    squares = header.attention_body
    if not weights.HasField("value_heads"):
        return ((VALUE_HEAD, _value(weights, kind, "", size, squares)),)
    named = _named(weights.value_heads, VALUE_FIELDS, "value_heads")
    return tuple((name, _value(weights, kind, at, size, squares)) for name, at in named)


def _value(weights: Any, kind: ValueKind, at: str, size: int, squares: bool) -> ValueSpec:
    channels = outputs(weights, f"{at}ip_val_w" if squares else f"{at}value.weights", size)
    hidden = outputs(weights, f"{at}ip1_val_w", SQUARES * channels)
    errors = categories = 0
    if at:
        if size_of(weights, f"{at}ip_val_err_w"):
            errors = outputs(weights, f"{at}ip_val_err_w", hidden)
        if size_of(weights, f"{at}ip_val_cat_w"):
            categories = outputs(weights, f"{at}ip_val_cat_w", hidden)
    return ValueSpec(kind, channels, hidden, errors, categories)
