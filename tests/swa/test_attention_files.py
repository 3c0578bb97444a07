"""Nets of attention: what of a file makes them, which heads play, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refresh_reference import random_planes, two_passes
from tiny_net import (
    ATTENTION_KINDS,
    PLAIN_BODY,
    SEVERAL_HEADS,
    TINY,
    calm_weights,
    net_message,
    random_weights,
    tiny_payload,
)

from swa.batchnorm import fold
from swa.ingredients import average_nets, check_same_kind
from swa.layer_codec import layer_at
from swa.model import tower
from swa.net import load_net, new_net, save_net
from swa.net_header import network_format
from swa.net_proto import NetMessage
from swa.packed import why_not
from swa.refresh import refresh
from swa.spec import (
    Activation,
    Embedding,
    NetError,
    NetSpec,
    PolicyEmbedding,
    PolicyKind,
    PolicySpec,
    norm_of,
    normed_convolutions,
    parameters,
)
from swa.weights_file import parse

TOWER = ATTENTION_KINDS["attention policy with encoders"]
BOTH = ATTENTION_KINDS["attention body on a tower"]


def message_of(spec: NetSpec) -> Any:
    return net_message(spec, random_weights(spec))


# Old headers


@pytest.mark.parametrize(
    ("said", "fields", "meant"),
    [
        # network, smolgen_activation, ffn_activation, input_embedding
        ({"network": 4}, ["encoder"], (6, 0, 0, 1)),
        ({"network": 4}, ["encoder", "smolgen_w"], (6, 7, 8, 1)),
        ({"network": 4}, ["smolgen_w"], (4, 0, 0, 0)),
        ({"network": 3}, ["encoder", "smolgen_w"], (3, 0, 0, 0)),
        ({"network": 6}, ["encoder", "smolgen_w"], (6, 0, 0, 1)),
        ({"network": 6, "input_embedding": 0}, [], (6, 0, 0, 0)),
        ({"network": 6, "input_embedding": 2}, [], (6, 0, 0, 2)),
        ({"network": 6, "input_embedding": 1}, ["policy_heads", "value_heads"], (7, 0, 0, 2)),
        ({"network": 6}, ["policy_heads"], (6, 0, 0, 1)),
        ({"network": 7, "ffn_activation": 5}, [], (7, 0, 5, 0)),
        ({"network": 134, "input_embedding": 2}, [], (7, 0, 0, 2)),
    ],
)
def test_headers_are_repaired(
    said: dict[str, int], fields: list[str], meant: tuple[int, int, int, int]
) -> None:
    net: Any = NetMessage()
    for field, number in said.items():
        setattr(net.format.network_format, field, number)
    for field in fields:
        part = getattr(net.weights, field)
        part.add() if field == "encoder" else part.SetInParent()
    found = network_format(net)
    assert meant == (
        found.network,
        found.smolgen_activation,
        found.ffn_activation,
        found.input_embedding,
    )


def test_activations_are_resolved() -> None:
    net = message_of(PLAIN_BODY)
    header = net.format.network_format
    header.default_activation, header.ffn_activation, header.smolgen_activation = 1, 0, 8
    body = parse(net.SerializeToString()).spec.attention
    assert body is not None
    assert (body.ffn_activation, body.smolgen_activation) == (Activation.MISH, Activation.RELU_2)


def test_without_an_embedding_a_body_takes_the_map() -> None:
    net = message_of(PLAIN_BODY)
    net.format.network_format.network, net.format.network_format.input_embedding = 7, 0
    body = parse(net.SerializeToString()).spec.attention
    assert body is not None
    assert body.embedding is Embedding.MAP


# Heads


@pytest.mark.parametrize(
    ("policy", "value", "words"),
    [
        ("optimistic", None, "no policy head 'optimistic'\nIt has vanilla, soft, opponent."),
        (None, "st", "no value head 'st'\nIt has winner, q."),
        ("", "q ", "no value head 'q '\nIt has winner, q."),
    ],
)
def test_a_head_that_is_not_there_is_named_with_those_that_are(
    policy: str | None, value: str | None, words: str
) -> None:
    with pytest.raises(NetError) as refused:
        parse(tiny_payload(SEVERAL_HEADS), policy_head=policy, value_head=value)
    assert words in str(refused.value)


def test_single_heads_have_the_names_of_lc0(tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(tiny_payload(PLAIN_BODY))
    assert load_net(path, policy_head="vanilla", value_head="winner").spec == PLAIN_BODY
    with pytest.raises(NetError, match=r"net\.pb: has no policy head 'soft'\nIt has vanilla\."):
        load_net(path, policy_head="soft")


def test_a_net_without_the_usual_head_must_be_told_which() -> None:
    net = message_of(SEVERAL_HEADS)
    net.weights.policy_heads.ClearField("vanilla")
    with pytest.raises(NetError, match="no policy head 'vanilla'"):
        parse(net.SerializeToString())
    assert parse(net.SerializeToString(), policy_head="opponent").spec.policy.channels == 3


def test_where_the_first_layer_of_a_policy_stands() -> None:
    """A head's own one goes before that of all heads, and that before the net's."""
    net = message_of(SEVERAL_HEADS)
    heads = net.weights.policy_heads
    for shared, own in (("ip_pol_w", "ip_pol_b"), ("ip_pol_b", "ip_pol_w")):
        del own
        getattr(net.weights, shared).CopyFrom(getattr(heads, shared))
    both = parse(net.SerializeToString()).spec
    assert both.policy.embedding is PolicyEmbedding.HEADS
    heads.ClearField("ip_pol_w")
    heads.ClearField("ip_pol_b")
    top = parse(net.SerializeToString()).spec
    assert top.policy.embedding is PolicyEmbedding.NET
    assert dict(top.policies)["opponent"].embedding is PolicyEmbedding.OWN
    assert "ip_pol_w" in {row.field for row in parameters(top)}


def test_layers_beside_the_value_are_kept_and_written(tmp_path: Path) -> None:
    net = parse(tiny_payload(SEVERAL_HEADS))
    assert net.weights["values.q.errors.weight"].shape == (1, 3)
    assert net.weights["values.q.categories.bias"].shape == (4,)


# What is refused


def lone_gate(net: Any) -> None:
    net.weights.ClearField("ip_add_gate")


def no_encoders(net: Any) -> None:
    net.weights.ClearField("encoder")


def no_heads_of_attention(net: Any) -> None:
    net.weights.ClearField("headcount")


def odd_heads(net: Any) -> None:
    net.weights.headcount = 4


def smolgen_once(net: Any) -> None:
    net.weights.encoder[1].mha.smolgen.SetInParent()


def relative(net: Any) -> None:
    net.weights.encoder[1].mha.rpe_k.SetInParent()


def wrong_size(net: Any) -> None:
    layer = net.weights.encoder[1].ffn.dense2_w
    layer.params = layer.params[:-4]


def header(**fields: int) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        for field, number in fields.items():
            setattr(net.format.network_format, field, number)

    return change


def without_heads(net: Any) -> None:
    net.weights.policy_heads.Clear()
    net.weights.policy_heads.SetInParent()


def no_preprocessing(net: Any) -> None:
    net.weights.ClearField("ip_emb_preproc_w")


def policy_smolgen(net: Any) -> None:
    for encoder in net.weights.pol_encoder:
        encoder.mha.smolgen.SetInParent()


def policy_headcount(net: Any) -> None:
    net.weights.pol_headcount = 3


@pytest.mark.parametrize(
    ("spec", "change", "words"),
    [
        (PLAIN_BODY, lone_gate, "ip_mult_gate without ip_add_gate"),
        (PLAIN_BODY, no_encoders, "encoder is missing"),
        (PLAIN_BODY, no_heads_of_attention, "headcount is 0, which does not divide the 6 outputs"),
        (PLAIN_BODY, odd_heads, "headcount is 4"),
        (PLAIN_BODY, smolgen_once, "encoder.0 has no smolgen, other encoders have it"),
        (PLAIN_BODY, relative, "relative position encodings (encoder.mha.rpe_k)"),
        (PLAIN_BODY, wrong_size, "encoder.1.ffn.dense2_w has 19 values where 4 x 5 = 20"),
        (PLAIN_BODY, header(policy=1), "policy is 1 (POLICY_CLASSICAL) on an attention body"),
        (PLAIN_BODY, header(policy=2), "policy is 2 (POLICY_CONVOLUTION) on an attention body"),
        (PLAIN_BODY, header(ffn_activation=9), "ffn_activation is 9 (ACTIVATION_SOFTMAX)"),
        (PLAIN_BODY, header(smolgen_activation=10), "smolgen_activation is 10 (a number unknown"),
        (PLAIN_BODY, header(input_embedding=3), "input_embedding is 3 (a number unknown"),
        (PLAIN_BODY, header(input_embedding=2), "ip_emb_preproc_w is missing"),
        (PLAIN_BODY, header(network=3), "input.weights is missing"),
        (BOTH, header(input_embedding=2), "input_embedding is 2 (PE_DENSE) after a residual tower"),
        (SEVERAL_HEADS, without_heads, "policy_heads has none of vanilla, optimistic_st, soft"),
        (SEVERAL_HEADS, no_preprocessing, "ip_emb_preproc_w is missing"),
        (TOWER, policy_smolgen, "smolgen in a policy (pol_encoder.0.mha.smolgen)"),
        (TOWER, policy_headcount, "pol_headcount is 3"),
        (TINY, header(policy=3), "ip_pol_w is missing"),
    ],
)
def test_what_is_refused_and_the_field_that_says_so(
    spec: NetSpec, change: Callable[[Any], None], words: str
) -> None:
    net = message_of(spec)
    change(net)
    with pytest.raises(NetError) as refused:
        parse(net.SerializeToString())
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("spec", ATTENTION_KINDS.values(), ids=ATTENTION_KINDS.keys())
def test_every_missing_layer_is_named(spec: NetSpec) -> None:
    """But the layers beside a value, which a net may do without."""
    for row in parameters(spec):
        if row.field.endswith(("bn_gammas", "bn_betas", "ip_val_err_w", "ip_val_cat_w")):
            continue
        net = message_of(spec)
        layer_at(net.weights, row.field).ClearField("params")
        try:
            found: NetSpec | str = parse(net.SerializeToString()).spec
        except NetError as error:
            found = error.reason
        # Without a tower's batch norm, or a head's own first layer, it may be another net.
        if isinstance(found, NetSpec):
            assert found != spec, row.field
        elif "bn_" in row.field:
            assert "is missing" in found or "batch norm" in found
        elif row.field == "policy_heads.ip_pol_w":
            assert "policy_heads.vanilla.ip_pol_w is missing" in found
        elif row.field.startswith("ip_") and row.field.endswith("_gate"):
            assert "without" in found
        else:
            assert f"{row.field} is missing" in found or "policy_heads.opponent" in row.field


# Averages, batch norm


@pytest.mark.parametrize("spec", ATTENTION_KINDS.values(), ids=ATTENTION_KINDS.keys())
def test_all_that_a_net_has_is_averaged_and_written(spec: NetSpec, tmp_path: Path) -> None:
    nets = []
    for seed in (0, 1):
        path = tmp_path / f"{seed}.pb"
        path.write_bytes(tiny_payload(spec, seed))
        nets.append(load_net(path))
    mean = average_nets(nets, force=True).net
    save_net(mean, tmp_path / "mean.pb")
    again = load_net(tmp_path / "mean.pb")
    for row in parameters(spec):
        one, other = (net.weights[row.name].astype(np.float64) for net in nets)
        expected = ((one + other) / 2).astype(np.float32)
        np.testing.assert_array_equal(again.weights[row.name], expected, err_msg=row.name)


def test_nets_of_different_bodies_are_told_apart(tmp_path: Path) -> None:
    body = PLAIN_BODY.attention
    assert body is not None
    other = replace(
        PLAIN_BODY, attention=replace(body, encoder=replace(body.encoder, heads=3), gates=False)
    )
    nets = []
    for place, spec in enumerate((PLAIN_BODY, other, TINY)):
        path = tmp_path / f"{place}.pb"
        path.write_bytes(tiny_payload(spec))
        nets.append(load_net(path))
    with pytest.raises(NetError, match="attention body's encoder's heads: 3 instead of 2") as one:
        check_same_kind(nets[:2])
    assert "attention body's gates: no instead of yes" in one.value.reason
    with pytest.raises(NetError, match="attention: no instead of yes"):
        check_same_kind([nets[0], nets[2]])


def test_an_attention_body_has_no_batch_norm_to_refresh() -> None:
    planes = (np.zeros((1, 112), np.uint64), np.zeros((1, 112), np.float32))
    with pytest.raises(NetError, match="no batch norm to refresh\nAn attention body"):
        refresh(PLAIN_BODY, random_weights(PLAIN_BODY), planes, device="cpu")


@pytest.mark.parametrize("spec", ATTENTION_KINDS.values(), ids=ATTENTION_KINDS.keys())
def test_winograd_says_what_it_does_not_cover(spec: NetSpec) -> None:
    assert "attention" in why_not(spec)
    assert normed_convolutions(fold(spec, random_weights(spec))[0]) == ()
    assert tower(spec, random_weights(spec)).spec == spec
    assert all(norm_of(name).split(".")[-1].startswith("bn") for name in normed_convolutions(spec))


@pytest.mark.parametrize("kind", PolicyKind)
def test_a_tower_may_have_several_heads(kind: PolicyKind, tmp_path: Path) -> None:
    policy = PolicySpec(kind, 4, width=3 if kind is PolicyKind.ATTENTION else 0)
    spec = replace(
        TINY,
        policy=policy,
        policies=(("vanilla", policy), ("soft", policy)),
        values=(("winner", TINY.value), ("st", replace(TINY.value, categories=2))),
    )
    weights = calm_weights(spec)
    save_net(new_net(spec, weights), tmp_path / "net.pb", encoding="float32")
    net = load_net(tmp_path / "net.pb")
    assert net.spec == spec
    assert all(np.array_equal(net.weights[name], weights[name]) for name in weights)
    assert why_not(spec)
    planes = random_planes(5)
    found = refresh(spec, weights, planes, device="cpu").statistics
    assert found.keys() == {norm_of(name) for name in normed_convolutions(spec)}
    for policy_head, value_head in (("vanilla", "winner"), ("soft", "st")):
        # What a head has by itself is what it has beside others.
        names = {"policy": f"policies.{policy_head}.", "value": f"values.{value_head}."}
        alone = replace(spec, policies=(), values=())
        own = {
            row.name: weights[names[part] + row.name.partition(".")[2]]
            if (part := row.name.partition(".")[0]) in names
            else weights[row.name]
            for row in parameters(alone)
        }
        for norm, exact in two_passes(alone, own, planes).items():
            part, _, rest = norm.partition(".")
            there = found[names.get(part, f"{part}.") + rest]
            np.testing.assert_allclose(there.mean, exact.mean, atol=1e-12)
            np.testing.assert_allclose(there.variance, exact.variance, rtol=1e-12)
    with pytest.raises(NetError, match=r"pooled does not reach .*, which does not play"):
        refresh(spec, weights, planes, method="pooled", device="cpu")
