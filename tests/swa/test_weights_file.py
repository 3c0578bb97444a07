from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from mutations import mutations
from tiny_net import (
    ATTENTION_KINDS,
    EVERY_KIND,
    TINY,
    net_message,
    random_weights,
    tiny_payload,
)

from swa import weights_file
from swa.layer_codec import decode_linear16, layer_at
from swa.net import load_net
from swa.net_proto import NetMessage
from swa.spec import NetError, NetSpec, parameters
from swa.weights_file import network_format, parse, unpack

S = TypeVar("S")
T = TypeVar("T")

REFUSED_BY_LC0 = {
    "bad_magic.pb.gz": "bad header",
    "empty.pb.gz": "empty",
    "encoding_absent_minver_0_32.pb.gz": "unsupported encoding",
    "garbage.pb.gz": "cannot be parsed",
    "layer_encoding_unknown0.pb.gz": "unknown layer encoding: input.weights",
    "minversion_0_34.pb.gz": r"needs lc0 0\.34\.0",
    "network_onnx5.pb.gz": "NETWORK_ONNX",
    "no_policy_weights.pb.gz": r"policy1?\.weights is missing",
    "no_weights.pb.gz": "weights",
    "policy_unknown.pb.gz": "POLICY_UNKNOWN",
    "rpe_present.pb.gz": "relative position encodings",
    "text_v1.txt": "text net",
    "text_v2.txt": "text net",
    "text_v3.txt": "text net",
    "truncated.pb.gz": "truncated",
}


def tiny_message(spec: NetSpec = TINY) -> Any:
    return net_message(spec, random_weights(spec))


def outcome(read: Callable[[S], T], source: S) -> T | NetError:
    """What reading gives, be it an error; any other exception fails the test."""
    try:
        return read(source)
    except NetError as error:
        return error


def refusal(net: Any) -> str:
    """The message with which a file is refused; at most three lines."""
    with pytest.raises(NetError) as refused:
        parse(net.SerializeToString())
    message = str(refused.value)
    assert len(message.splitlines()) <= 3
    return message


# What is read


@pytest.mark.parametrize("spec", EVERY_KIND.values(), ids=EVERY_KIND.keys())
def test_reads_back_what_was_written(spec: NetSpec) -> None:
    weights = random_weights(spec)
    payload = net_message(spec, weights).SerializeToString()
    contents = parse(payload, policy_head=spec.policy_head, value_head=spec.value_head)
    assert contents.spec == spec
    assert contents.encoding == "float32"
    assert list(contents.weights) == [row.name for row in parameters(spec)]
    for name, array in contents.weights.items():
        np.testing.assert_array_equal(array, weights[name], err_msg=name)


def test_arrays_cannot_be_written_to() -> None:
    weights = parse(tiny_payload()).weights
    with pytest.raises(ValueError, match="read-only"):
        weights["input.conv.weight"][0] = 1
    with pytest.raises(TypeError):
        weights["input.conv.weight"] = np.zeros(1)  # type: ignore[index]


def test_unknown_fields_survive() -> None:
    payload = tiny_payload() + b"\xfa\x7f\x03new"  # field 2047
    contents = parse(payload)
    assert contents.message.SerializeToString() == payload


def test_every_payload_survives(shared: Path) -> None:
    files = [*(shared / "nets").glob("*.pb.gz"), *(shared / "golden/zoo/nets").glob("*.pb*")]
    assert len(files) > 50
    for file in files:
        payload = unpack(file.read_bytes())
        assert NetMessage.FromString(payload).SerializeToString() == payload, file.name


# Encodings


def test_linear16_is_a_fused_multiply_add() -> None:
    low, high = np.float32(-1.2345), np.float32(0.777)
    codes = np.random.default_rng(0).integers(0, 65536, 2000, np.uint16)
    decoded = decode_linear16(codes.tobytes(), float(low), float(high))
    t = codes.astype(np.float32) / np.float32(65535)
    for part, value in zip(t, decoded, strict=True):
        lower = Fraction(float(low)) * Fraction(float(np.float32(1) - part))
        exact = lower + Fraction(float(high * part))
        neighbours = np.nextafter(value, np.float32([-9, 9]))
        error = abs(Fraction(float(value)) - exact)
        assert all(error <= abs(Fraction(float(other)) - exact) for other in neighbours)


def test_linear16_edges() -> None:
    codes = np.array([0, 65535], "<u2").tobytes()
    np.testing.assert_array_equal(decode_linear16(codes, -2.5, 3.25), np.float32([-2.5, 3.25]))
    np.testing.assert_array_equal(decode_linear16(codes, 1.0, 1.0), np.float32([1, 1]))
    # How writers store a single negative value: bounds the wrong way round.
    np.testing.assert_array_equal(decode_linear16(codes[2:], 0.0, -0.5), np.float32([-0.5]))


@pytest.mark.parametrize(("encoding", "name"), [(2, "float16"), (3, "bfloat16")])
def test_half_encodings(encoding: int, name: str) -> None:
    values = np.float32([0.5, -1.5, 3.0])  # exact in both
    net = tiny_message()
    layer = net.weights.ip1_val_b
    layer.encoding = encoding
    bits = values.view(np.uint32) >> 16
    layer.params = values.astype("<f2").tobytes() if encoding == 2 else bits.astype("<u2").tobytes()
    contents = parse(net.SerializeToString())
    np.testing.assert_array_equal(contents.weights["value.dense1.bias"], values)
    assert contents.encoding == "mixed"
    for row in parameters(TINY):
        layer = layer_at(net.weights, row.field)
        layer.encoding = encoding
        layer.params = b"\0\0" * int(np.prod(row.shape))
    assert parse(net.SerializeToString()).encoding == name


def test_a_layer_without_encoding_is_linear16() -> None:
    net = tiny_message()
    layer = net.weights.ip1_val_b
    layer.ClearField("encoding")
    layer.min_val, layer.max_val = -1, 1
    layer.params = np.array([0, 65535, 65535], "<u2").tobytes()
    contents = parse(net.SerializeToString())
    np.testing.assert_array_equal(contents.weights["value.dense1.bias"], np.float32([-1, 1, 1]))


# Old files


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, (1, 3, 1, 1)),
        ({"input": 1, "network": 1}, (1, 3, 1, 1)),
        ({"input": 1, "network": 2, "policy": 2, "value": 2}, (1, 4, 1, 1)),
        ({"network": 1}, (0, 3, 1, 1)),
        ({"input": 1, "network": 4, "policy": 2, "value": 2}, (1, 4, 2, 2)),
        ({"input": 1, "network": 134, "policy": 3, "value": 2}, (1, 7, 3, 2)),
    ],
)
def test_old_headers_are_repaired(
    said: dict[str, int] | None, meant: tuple[int, int, int, int]
) -> None:
    net: Any = NetMessage()
    if said is not None:
        for field, number in said.items():
            setattr(net.format.network_format, field, number)
    assert network_format(net)[:4] == meant


def test_encoders_make_an_attention_body_of_an_old_header() -> None:
    net: Any = NetMessage()
    net.format.network_format.network = 4
    net.weights.encoder.add()
    assert network_format(net).network == 6


def test_beta_hidden_in_biases() -> None:
    weights = random_weights(TINY)
    net = net_message(TINY, weights)
    block = net.weights.input
    block.ClearField("bn_betas")
    block.biases.CopyFrom(block.bn_means)
    contents = parse(net.SerializeToString())
    deviation = np.sqrt(weights["input.bn.variance"].astype(np.float64) + 1e-5)
    expected = weights["input.bn.gamma"] * weights["input.bn.mean"] / deviation
    np.testing.assert_allclose(contents.weights["input.bn.beta"], expected, rtol=1e-6)
    np.testing.assert_array_equal(contents.weights["input.bn.mean"], weights["input.bn.mean"])


def test_a_bias_beside_batch_norm_lowers_the_mean() -> None:
    weights = random_weights(TINY)
    net = net_message(TINY, weights)
    net.weights.input.biases.CopyFrom(net.weights.input.bn_means)
    contents = parse(net.SerializeToString())
    np.testing.assert_array_equal(contents.weights["input.bn.mean"], np.zeros(4, np.float32))


def test_missing_gammas_are_ones_and_missing_betas_zeros() -> None:
    net = tiny_message()
    for block in net.weights.residual:
        block.conv1.ClearField("bn_gammas")
        block.conv1.ClearField("bn_betas")
    contents = parse(net.SerializeToString())
    np.testing.assert_array_equal(contents.weights["blocks.0.bn1.gamma"], np.ones(4, np.float32))
    np.testing.assert_array_equal(contents.weights["blocks.0.bn1.beta"], np.zeros(4, np.float32))


# What is refused


def test_every_file_that_lc0_refuses_is_refused(shared: Path) -> None:
    folder = shared / "golden/zoo/bad"
    assert set(json.loads((folder / "messages.json").read_text())) == set(REFUSED_BY_LC0)
    for name, reason in REFUSED_BY_LC0.items():
        with pytest.raises(NetError, match=reason) as refused:
            load_net(folder / name)
        message = str(refused.value)
        assert name in message
        assert len(message.splitlines()) <= 3


def test_every_net_of_the_zoo_is_read(shared: Path) -> None:
    folder = shared / "golden/zoo"
    entries = json.loads((folder / "nets.json").read_text()).values()
    assert len(entries) > 50
    for entry in entries:
        for policy, value in entry["heads"]:
            net = load_net(folder / "nets" / entry["file"], policy_head=policy, value_head=value)
            assert (net.spec.policy_head, net.spec.value_head) == (policy, value)


@pytest.mark.parametrize(
    ("field", "number", "word"),
    [
        ("input", 0, "INPUT_UNKNOWN"),
        ("input", 6, "unknown to lc0"),
        ("network", 0, "NETWORK_UNKNOWN"),
        ("network", 99, "unknown to lc0"),
        ("policy", 0, "POLICY_UNKNOWN"),
        ("value", 3, "VALUE_PARAM"),
        ("moves_left", 2, "unknown to lc0"),
        ("default_activation", -1, "unknown to lc0"),
    ],
)
def test_unsupported_headers_are_named(field: str, number: int, word: str) -> None:
    net = tiny_message()
    setattr(net.format.network_format, field, number)
    message = refusal(net)
    assert f"network_format.{field} is {number}" in message
    assert word in message


def test_se_in_some_blocks_only_is_named() -> None:
    net = tiny_message()
    net.weights.residual.add()
    assert "residual.1 has no SE unit" in refusal(net)


@pytest.mark.parametrize("row", parameters(TINY), ids=lambda row: row.field)
def test_a_layer_of_the_wrong_size_is_named(row: Any) -> None:
    net = tiny_message()
    layer = layer_at(net.weights, row.field)
    layer.params = layer.params[:-4]
    short = "is missing" if layer.params == b"" else "has"
    assert f"{row.field} {short}" in refusal(net)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_layer_with_a_value_that_is_no_number_is_named(value: float) -> None:
    net = tiny_message()
    layer = net.weights.residual[0].se.w2
    values = np.frombuffer(layer.params, np.float32).copy()
    values[3] = value
    layer.params = values.tobytes()
    assert "residual.0.se.w2" in refusal(net)


def test_linear16_bounds_that_are_no_numbers_are_named() -> None:
    net = tiny_message()
    layer = net.weights.ip2_val_b
    layer.encoding, layer.params = 1, b"\0\0" * 3
    layer.min_val, layer.max_val = 0, float("inf")
    assert "ip2_val_b" in refusal(net)


def test_negative_variances_are_named_but_rounding_below_zero_is_not() -> None:
    net = tiny_message()
    layer = net.weights.residual[0].conv2.bn_stddivs
    layer.params = np.float32([1, 1, -9e-6, 1]).tobytes()  # square of a deviation, less epsilon
    parse(net.SerializeToString())
    layer.params = np.float32([1, 1, -0.5, 1]).tobytes()
    assert "residual.0.conv2.bn_stddivs" in refusal(net)


def test_batch_norm_in_some_convolutions_only_is_named() -> None:
    net = tiny_message()
    net.weights.policy.bn_means.CopyFrom(net.weights.ip2_val_b)
    assert "policy has batch norm" in refusal(net)


@pytest.mark.parametrize(
    ("version", "accepted"),
    [((0, 33, 9), True), ((97, 98, 99), True), ((0, 34, 0), False), ((1, 0, 0), False)],
)
def test_minimum_versions(version: tuple[int, int, int], accepted: bool) -> None:
    net = tiny_message()
    net.min_version.major, net.min_version.minor, net.min_version.patch = version
    if accepted:
        assert parse(net.SerializeToString()).min_version == version
    else:
        assert ".".join(map(str, version)) in refusal(net)


# The container


def test_gzip_members_are_joined_and_what_follows_is_ignored() -> None:
    payload = tiny_payload()
    data = gzip.compress(payload[:1000]) + gzip.compress(payload[1000:])
    assert unpack(data) == payload
    assert unpack(data + b"trailing") == payload
    assert unpack(payload) is payload


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (gzip.compress(tiny_payload(), mtime=0)[:-100], "truncated"),
        (gzip.compress(tiny_payload(), mtime=0)[:-8] + b"\0" * 8, "incorrect data check"),
        (b"\x1f\x8bgarbage", "gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs"),
        (b"<!DOCTYPE html><html>", "web page"),
    ],
)
def test_files_that_are_no_nets(data: bytes, reason: str) -> None:
    with pytest.raises(NetError, match=reason):
        unpack(data)


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "_FREE_EXPANSION", 2**16)
    with pytest.raises(NetError, match="unpacks to more than"):
        unpack(gzip.compress(bytes(2**20)))


# Mutations


def survives(payload: bytes, mutants: int) -> None:
    """Read that many mutants; of both outcomes there are many, else only one is tested."""
    nets = errors = 0
    for mutant in mutations(payload, mutants):
        read = outcome(parse, mutant)
        if isinstance(read, NetError):
            errors += 1
            assert len(str(read).splitlines()) <= 3
            continue
        nets += 1
        for row in parameters(read.spec):
            array = read.weights[row.name]
            assert array.shape == row.shape
            assert np.isfinite(array).all()
    assert min(nets, errors) > mutants / 15


def test_mutated_files_give_a_net_or_a_net_error() -> None:
    survives(tiny_payload(), 3000)


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
def test_mutated_attention_nets_give_a_net_or_a_net_error(kind: str) -> None:
    survives(tiny_payload(ATTENTION_KINDS[kind]), 300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_many_mutated_files_give_a_net_or_a_net_error(kind: str) -> None:
    """A hundred thousand between them."""
    survives(tiny_payload(EVERY_KIND[kind]), 100_000 // len(EVERY_KIND))


@pytest.mark.slow
def test_many_mutated_gzips_give_bytes_or_a_net_error() -> None:
    for mutant in mutations(gzip.compress(tiny_payload()), 20_000):
        assert isinstance(outcome(unpack, mutant), bytes | NetError)


def test_mutated_gzip_gives_bytes_or_a_net_error() -> None:
    for mutant in mutations(gzip.compress(tiny_payload()), 500):
        assert isinstance(outcome(unpack, mutant), bytes | NetError)
