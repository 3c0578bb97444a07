from __future__ import annotations

import errno
import gzip
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wire
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mutations import mutations
from tiny_net import (
    EVERY_KIND,
    KINDS,
    SEVERAL_HEADS,
    TINY,
    net_message,
    random_weights,
    tiny_payload,
)

from swa.layer_codec import (
    ENCODING_NUMBERS,
    bfloat16,
    decode,
    decode_linear16,
    encode_linear16,
    encoding_of,
    layer_at,
)
from swa.net import Net, NetError, load_net, new_net, same_weights, save_net
from swa.net_proto import NetMessage
from swa.spec import NetSpec, norm_of, normed_convolutions, parameters
from swa.weights_file import parse, unpack
from swa.weights_writer import with_weights

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = arrays.arrays(np.float32, st.integers(1, 40), elements=FINITE)

# Field numbers of lc0's proto/net.proto, written down here once more.
WEIGHTS, INPUT, RESIDUAL, IP2_VAL_B = 10, 1, 2, 10


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.pb"


def from_message(message: Any, folder: Path) -> Net:
    path = folder / "in.pb"
    path.write_bytes(message.SerializeToString())
    return load_net(path)


def real_files(shared: Path) -> list[Path]:
    files = sorted((shared / "nets").glob("*.pb.gz"))
    assert len(files) == 10
    return files


# What was read is kept


def test_unchanged_nets_keep_every_byte(shared: Path, tmp_path: Path) -> None:
    for file in real_files(shared):
        saved = save_net(load_net(file), tmp_path / file.name)
        assert unpack(saved.path.read_bytes()) == unpack(file.read_bytes()), file.name
        assert saved.worst.max_error == 0


def test_unchanged_nets_of_other_kinds_keep_every_byte(shared: Path, out: Path) -> None:
    files = sorted((shared / "golden/zoo/nets").glob("*.pb*"))
    assert len(files) > 40
    for file in files:
        net = load_net(file)
        saved = save_net(net, out, overwrite=True)
        assert out.read_bytes() == unpack(file.read_bytes()), file.name
        assert saved.worst.max_error == 0
        assert same_weights(load_net(out), net)


def test_decoded_layers_encode_to_their_codes_and_bounds(shared: Path) -> None:
    layers = 0
    for file in real_files(shared):
        net = load_net(file)
        message: Any = net.message
        for row in parameters(net.spec):
            layer = layer_at(message.weights, row.field)
            codes = encode_linear16(decode(message.weights, row.field))
            assert codes == (layer.params, layer.min_val, layer.max_val), f"{file} {row.field}"
            layers += 1
    assert layers == 966


def test_unknown_fields_and_unused_layers_are_kept(out: Path, tmp_path: Path) -> None:
    message = net_message(TINY, random_weights(TINY))
    message.license = b"\xffin no encoding"
    message.weights.ip_emb_w.params = b"unused"
    message.weights.ip1_val_b.dims.append(3)
    net = from_message(message, tmp_path)
    net.message.MergeFromString(b"\xfa\x7f\x03new")  # field 2047
    layer_at(net.message.weights, "ip1_val_b").MergeFromString(b"\xfa\x7f\x03odd")  # type: ignore[attr-defined]
    before = net.message.SerializeToString()
    changed = dict(net.weights)
    changed["value.dense1.bias"] = np.float32([1, 2, 4])
    save_net(replace(net, weights=changed), out)
    assert net.message.SerializeToString() == before, "the net that was read is left as it is"
    written: Any = NetMessage.FromString(out.read_bytes())
    assert out.read_bytes().endswith(b"\xfa\x7f\x03new")
    assert written.license == b"\xffin no encoding"
    assert written.weights.ip_emb_w.params == b"unused"
    assert list(written.weights.ip1_val_b.dims) == [3]
    assert written.weights.ip1_val_b.SerializeToString().endswith(b"\xfa\x7f\x03odd")
    assert written.weights.ip1_val_b.params == np.float32([1, 2, 4]).tobytes()
    written.weights.ip1_val_b.params = layer_at(net.message.weights, "ip1_val_b").params  # type: ignore[attr-defined]
    assert written.SerializeToString() == before, "nothing else is different"


def test_a_layer_that_did_not_change_keeps_codes_that_we_would_write_otherwise(
    out: Path, tmp_path: Path
) -> None:
    """The JAX trainer stores a constant as code 32768; bounds may be wider than the values."""
    message = net_message(TINY, random_weights(TINY))
    for layer, codes, low, high in (
        (message.weights.ip1_val_b, [32768] * 3, 0.5, 0.5),
        (message.weights.ip2_val_b, [100, 200, 300], -1, 1),
    ):
        layer.encoding, layer.min_val, layer.max_val = 1, low, high
        layer.params = np.array(codes, "<u2").tobytes()
    net = from_message(message, tmp_path)
    changed = dict(net.weights)
    changed["value.bn.mean"] = changed["value.bn.mean"] + np.float32(1)
    save_net(replace(net, weights=changed), out)
    written: Any = load_net(out).message
    assert written.weights.ip1_val_b == message.weights.ip1_val_b
    assert written.weights.ip2_val_b == message.weights.ip2_val_b
    assert written.weights.value.bn_means != message.weights.value.bn_means


def test_steps_and_licence_are_filled_in(out: Path, tmp_path: Path) -> None:
    net = from_message(net_message(TINY, random_weights(TINY)), tmp_path)
    save_net(replace(net, training_steps=123), out, licence="GPL-3.0-or-later, naïve")
    written: Any = load_net(out).message
    assert load_net(out).training_steps == 123
    assert written.license.decode() == "GPL-3.0-or-later, naïve"


# What an independent reader sees


def test_an_independent_parser_reads_the_same_numbers(shared: Path, out: Path) -> None:
    net = load_net(shared / "nets/maia-1500.pb.gz")
    for encoding in ENCODING_NUMBERS:
        save_net(net, out, encoding=encoding, overwrite=True)
        ours = load_net(out).weights
        data = out.read_bytes()
        assert wire.all_of(data, 1) == [struct.pack("<I", 0x1C0)]
        for path, name in (
            ((WEIGHTS, INPUT, 1), "input.conv.weight"),
            ((WEIGHTS, INPUT, 4), "input.bn.variance"),
            ((WEIGHTS, INPUT, 5), "input.bn.gamma"),
            ((WEIGHTS, 3, 2), "policy.conv2.bias"),
            ((WEIGHTS, IP2_VAL_B), "value.dense2.bias"),
        ):
            (layer,) = wire.all_of(data, *path)
            assert isinstance(layer, bytes)
            found = wire.layer_values(layer)
            np.testing.assert_allclose(found, ours[name].reshape(-1), rtol=3e-7, atol=3e-7)
        second = wire.all_of(data, WEIGHTS, RESIDUAL, 2, 1)
        assert len(second) == net.spec.blocks
        for block, layer in enumerate(second):
            assert isinstance(layer, bytes)
            kernel = ours[f"blocks.{block}.conv2.weight"].reshape(-1)
            np.testing.assert_allclose(wire.layer_values(layer), kernel, rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize("spec", EVERY_KIND.values(), ids=EVERY_KIND.keys())
def test_new_nets_are_read_back(spec: NetSpec, out: Path) -> None:
    weights = random_weights(spec)
    save_net(new_net(spec, weights), out, encoding="float32")
    net = load_net(out, policy_head=spec.policy_head, value_head=spec.value_head)
    assert net.spec == spec
    assert all(np.array_equal(net.weights[name], weights[name]) for name in weights)
    save_net(new_net(spec, weights), out, overwrite=True)
    said: Any = load_net(out).message
    oldest = 30 if spec.attention else 29 if spec.activation == "mish" else 21
    assert (said.min_version.minor, said.format.weights_encoding) == (oldest, 1)


# Encodings


def test_float32_is_exact_on_real_nets(shared: Path, out: Path) -> None:
    for file in real_files(shared):
        net = load_net(file)
        saved = save_net(net, out, encoding="float32", overwrite=True)
        again = load_net(out)
        for name, values in net.weights.items():
            assert values.tobytes() == again.weights[name].tobytes(), f"{file.name} {name}"
        assert (saved.encoding, saved.min_version) == ("float32", (0, 33, 0))
        # and back: the codes and bounds of the first file, but for what each layer says of itself
        save_net(again, out, encoding="linear16", overwrite=True)
        message: Any = load_net(out).message
        original: Any = net.message
        for row in parameters(net.spec):
            assert layer_at(message.weights, row.field) == layer_at(original.weights, row.field)


@given(VALUES)
def test_linear16_is_within_half_a_step(values: np.ndarray) -> None:
    data, low, high = encode_linear16(values)
    found = decode_linear16(data, low, high).astype(np.float64)
    rounding = 2.0**-23 * float(np.abs(values.astype(np.float64)).max()) + 2.0**-149
    step = abs(float(high) - float(low)) / 65535
    assert np.abs(found - values).max() <= 0.5001 * step + rounding
    if values.size > 1:
        assert (low, high) == (values.min(), values.max())
        assert found.min() == values.min()
        assert found.max() == values.max()
    assert encode_linear16(values) == (data, low, high)


@given(st.integers(0, 2**32 - 1), st.integers(2, 300))
def test_linear16_codes_survive(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 65536, size).astype("<u2")
    codes[0], codes[1] = 0, 65535
    low, high = np.sort(random.normal(0, 3, 2).astype(np.float32))
    if high - low < 0.05:  # neighbouring codes must be different numbers
        high = low + np.float32(1)
    decoded = decode_linear16(codes.tobytes(), float(low), float(high))
    assert encode_linear16(decoded) == (codes.tobytes(), low, high)


@pytest.mark.parametrize(
    ("values", "codes", "low", "high"),
    [
        ([2.5, 2.5, 2.5], [0, 0, 0], 2.5, 2.5),
        ([0.0, 0.0], [0, 0], 0, 0),
        ([3.0], [65535], 0, 3),
        ([-3.0], [65535], 0, -3),
        ([0.0], [0], 0, 1),
        ([-1.0, 1.0], [0, 65535], -1, 1),
        ([3.4e38, -3.4e38, 0], [65535, 0, 32768], np.float32(-3.4e38), np.float32(3.4e38)),
        ([1e-45, 0], [65535, 0], 0, np.float32(1e-45)),
    ],
)
def test_linear16_edges(values: list[float], codes: list[int], low: float, high: float) -> None:
    data, *bounds = encode_linear16(np.float32(values))
    assert np.frombuffer(data, "<u2").tolist() == codes
    assert bounds == [low, high]
    tolerance = 1.001 * abs(float(high) - float(low)) / 131070
    decoded = decode_linear16(data, *bounds).astype(np.float64)
    assert np.abs(decoded - np.float32(values)).max() <= tolerance


def nearest_bfloat16(value: np.float32) -> Fraction:
    """The nearer neighbour, or of two the one with an even last bit, by rational arithmetic."""
    half = int(value.view(np.uint32)) >> 16
    lower, upper = (
        Fraction(float(np.uint32(bits << 16).view(np.float32))) for bits in (half, half + 1)
    )
    below, above = abs(Fraction(float(value)) - lower), abs(upper - Fraction(float(value)))
    return lower if (below, half & 1) < (above, 1 - (half & 1)) else upper


@given(st.floats(width=32, min_value=-(2.0**120), max_value=2.0**120))
def test_bfloat16_rounds_to_nearest_even(number: float) -> None:
    value = np.float32(number)
    stored = bfloat16(value.reshape(1)).astype(np.uint32) << 16
    assert Fraction(float(stored.view(np.float32)[0])) == nearest_bfloat16(value)


@pytest.mark.parametrize(
    ("bits", "stored"),
    [(0x3F808000, 0x3F80), (0x3F818000, 0x3F82), (0x3F808001, 0x3F81), (0x3F807FFF, 0x3F80)],
)
def test_bfloat16_ties(bits: int, stored: int) -> None:
    assert bfloat16(np.uint32([bits]).view(np.float32)).tolist() == [stored]


@pytest.mark.parametrize("encoding", ENCODING_NUMBERS)
def test_every_encoding_says_what_it_lost(encoding: str, shared: Path, out: Path) -> None:
    net = load_net(shared / "nets/maia-1100.pb.gz")
    exact = replace(net, weights={n: w * np.float32(1.001) for n, w in net.weights.items()})
    saved = save_net(exact, out, encoding=encoding)
    found = load_net(out)
    assert {loss.name for loss in saved.losses} == set(net.weights)
    for loss in saved.losses:
        ideal, stored = (net.weights[loss.name].astype(np.float64) for net in (exact, found))
        error = np.abs(stored - ideal).max()
        assert loss.max_error == pytest.approx(error, rel=1e-12)
        assert loss.encoding == encoding
        span = ideal.max() - ideal.min()
        if encoding == "linear16" and span:
            assert loss.relative <= 1.02 / 131070  # half a step, and float32's own rounding
        if loss.name.endswith("variance"):
            scale = np.sqrt((ideal + 1e-5) / (stored + 1e-5))
            assert loss.scale_error == pytest.approx(np.abs(scale - 1).max(), rel=1e-9, abs=1e-15)
    assert (saved.worst.max_error == 0) == (encoding == "float32")


def test_small_variances_suffer_in_linear16(out: Path) -> None:
    weights = random_weights(TINY)
    weights["input.bn.variance"] = np.float32([1e-4, 3e-4, 7, 50])
    saved = save_net(new_net(TINY, weights), out)
    worst = saved.worst_scale
    assert worst is not None
    assert worst.name == "input.bn.variance"
    assert worst.scale_error is not None
    assert worst.relative < 1e-5 < 0.1 < worst.scale_error


def test_each_layer_keeps_its_own_encoding(out: Path, tmp_path: Path) -> None:
    message = net_message(TINY, random_weights(TINY))
    for number, field in ((2, "ip1_val_w"), (3, "ip1_val_b"), (1, "ip2_val_w")):
        layer = layer_at(message.weights, field)
        values = np.frombuffer(layer.params, np.float32)
        layer.encoding, layer.params = number, b"\1\1" * values.size
        if number == 1:
            layer.min_val, layer.max_val = -1, 1
    net = from_message(message, tmp_path)
    changed = {name: values * np.float32(1.1) for name, values in net.weights.items()}
    saved = save_net(replace(net, weights=changed), out)
    written: Any = load_net(out).message
    for row in parameters(TINY):
        assert encoding_of(written.weights, row.field) == encoding_of(message.weights, row.field)
    assert written.weights.ip2_val_w.encoding == 1, "an explicit LINEAR16 stays explicit"
    assert not written.weights.ip1_val_w.HasField("min_val")
    assert saved.encoding == "mixed"


@pytest.mark.parametrize(
    ("before", "encoding", "after"),
    [
        ((0, 21, 0), None, (0, 21, 0)),
        ((0, 21, 0), "float16", (0, 33, 0)),
        ((0, 33, 7), "linear16", (0, 33, 7)),
        ((97, 98, 99), "bfloat16", (97, 98, 99)),
    ],
)
def test_minimum_versions(
    before: tuple[int, int, int], encoding: str | None, after: tuple[int, int, int], out: Path
) -> None:
    net = new_net(TINY, random_weights(TINY))
    version = net.message.min_version  # type: ignore[attr-defined]
    version.major, version.minor, version.patch = before
    saved = save_net(net, out, encoding=encoding)
    assert saved.min_version == load_net(out).min_version == after


def test_the_header_says_linear16_if_and_only_if_it_is(out: Path) -> None:
    net = new_net(TINY, random_weights(TINY))
    save_net(net, out, encoding="float16")
    half = load_net(out)
    assert not half.message.format.HasField("weights_encoding")  # type: ignore[attr-defined]
    save_net(half, out, encoding="linear16", overwrite=True)
    assert load_net(out).message.format.weights_encoding == 1  # type: ignore[attr-defined]


# Old files


def test_old_forms_are_written_in_the_one_form(out: Path, tmp_path: Path) -> None:
    message = net_message(TINY, random_weights(TINY))
    blocks = [message.weights.input, message.weights.residual[0].conv1, message.weights.value]
    for block in blocks:
        block.biases.CopyFrom(block.bn_means)
    message.weights.input.ClearField("bn_betas")
    message.weights.residual[0].conv1.ClearField("bn_gammas")
    message.ClearField("min_version")
    message.min_version.minor = 33
    net = from_message(message, tmp_path)
    save_net(net, out)
    assert out.read_bytes() == message.SerializeToString(), "a net that was not changed"
    bias = net.weights["value.dense1.bias"] + np.float32(1)
    net = replace(net, weights={**net.weights, "value.dense1.bias": bias})
    save_net(net, out, overwrite=True)
    again = load_net(out)
    assert same_weights(net, again)
    written: Any = again.message
    for convolution in normed_convolutions(TINY):
        fields = {row.name: row.field for row in parameters(TINY)}
        assert layer_at(written.weights, fields[f"{norm_of(convolution)}.gamma"]).params
        assert layer_at(written.weights, fields[f"{norm_of(convolution)}.beta"]).params
        field = fields[f"{convolution}.weight"].replace(".weights", ".biases")
        assert not layer_at(written.weights, field).params
    policy_bias = written.weights.policy.biases  # of a convolution without batch norm
    assert policy_bias.params == message.weights.policy.biases.params
    first = out.read_bytes()
    save_net(again, out, overwrite=True)
    assert out.read_bytes() == first, "once in the one form, it stays"


def test_a_version_is_asked_for_that_knows_gammas(shared: Path, out: Path) -> None:
    (file,) = (shared / "golden/zoo/nets").glob("n11a_*")
    net = load_net(file)
    assert net.min_version == (0, 0, 0)
    assert save_net(net, out).min_version == (0, 0, 0)
    weights = net.weights | {"value.dense2.bias": np.float32([0.5])}
    saved = save_net(replace(net, weights=weights), out, overwrite=True)
    assert saved.min_version == (0, 21, 0)


# Refusals


@pytest.mark.parametrize(
    ("change", "encoding", "reason"),
    [
        (lambda w: w.pop("value.bn.mean"), None, "has no value.bn.mean"),
        (lambda w: w.update(more=np.zeros(1, np.float32)), None, "has no more"),
        (lambda w: w.update({"value.bn.mean": np.zeros(3, np.float32)}), None, "shape"),
        (lambda w: w["value.bn.mean"].fill(np.nan), None, "finite"),
        (lambda w: w["value.bn.mean"].fill(1e5), "float16", "too large for float16"),
        (lambda w: w["value.bn.mean"].fill(3.4e38), "bfloat16", "too large for bfloat16"),
        (lambda w: w["value.bn.variance"].fill(-1), None, "negative variance"),
        (lambda w: w.update({"value.bn.mean": np.float64([1e300, 0])}), None, "finite"),
        (lambda w: None, "float8", "no encoding float8"),
    ],
)
def test_what_cannot_be_written_is_named(
    change: Callable[[dict[str, Any]], None], encoding: str | None, reason: str, out: Path
) -> None:
    weights = random_weights(TINY)
    net = new_net(TINY, weights)
    change(weights)
    with pytest.raises(NetError, match=reason) as refused:
        save_net(net, out, encoding=encoding)
    assert str(refused.value).startswith(str(out))
    assert len(str(refused.value).splitlines()) <= 3
    assert list(out.parent.iterdir()) == []


def test_a_header_of_another_kind_is_refused(out: Path) -> None:
    folded = KINDS["batch norm folded"]
    net = replace(new_net(TINY, random_weights(TINY)), message=new_net(folded, {}).message)
    save_net(net, out)  # batch norm is not in the header
    mish = new_net(KINDS["mish"], {}).message
    with pytest.raises(NetError, match="mish"):
        save_net(replace(net, message=mish), out, overwrite=True)
    assert load_net(out).spec == TINY


@pytest.mark.parametrize("name", ["net.onnx", "net.gz", "net", ".pb", ".pb.gz", "", "null\0.pb"])
def test_names_that_are_no_nets(name: str, tmp_path: Path) -> None:
    with pytest.raises(NetError, match="not the name of a net"):
        save_net(new_net(TINY, random_weights(TINY)), tmp_path / name)


def test_a_file_is_only_replaced_on_request(out: Path) -> None:
    net = new_net(TINY, random_weights(TINY))
    save_net(net, out)
    first = out.read_bytes()
    other = new_net(TINY, random_weights(TINY, 1))
    with pytest.raises(NetError, match="is there already"):
        save_net(other, out)
    assert out.read_bytes() == first
    save_net(other, out, overwrite=True)
    assert out.read_bytes() != first


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    net = new_net(TINY, random_weights(TINY))
    with pytest.raises(NetError, match="no such folder"):
        save_net(net, tmp_path / "absent/out.pb")
    (tmp_path / "folder.pb").mkdir()
    with pytest.raises(NetError, match="is no file"):
        save_net(net, tmp_path / "folder.pb", overwrite=True)
    with pytest.raises(NetError, match="too long"):
        save_net(net, tmp_path / f"{'x' * 300}.pb")


# The file


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failing_disk_leaves_what_was_there(
    step: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_net(new_net(TINY, random_weights(TINY)), out)
    before = out.read_bytes()

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        opened = Path.open

        def open_full(path: Path, mode: str = "r") -> Any:
            file = opened(path, mode, buffering=0)

            class Full:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: Any) -> None:
                    file.close()

                def write(self, data: bytes) -> None:
                    file.write(data[:100])
                    full()

            return Full()

        monkeypatch.setattr(Path, "open", open_full)
    other = new_net(TINY, random_weights(TINY, 1))
    for path, overwrite in ((out, True), (out.with_name("new.pb"), False)):
        with pytest.raises(NetError, match="no space left"):
            save_net(other, path, overwrite=overwrite)
    monkeypatch.undo()
    assert [path.name for path in out.parent.iterdir()] == ["out.pb"]
    assert out.read_bytes() == before


def test_an_interrupt_leaves_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_net(new_net(TINY, random_weights(TINY)), out)
    assert list(out.parent.iterdir()) == []


def test_the_same_net_gives_the_same_bytes(tmp_path: Path) -> None:
    net = new_net(TINY, random_weights(TINY))
    one, other = (save_net(net, tmp_path / f"{name}.pb.gz") for name in ("one", "other"))
    data = one.path.read_bytes()
    assert one.sha256 == other.sha256
    assert data == other.path.read_bytes()
    assert data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time (RFC 1952)
    plain = save_net(net, tmp_path / "plain.PB")
    assert gzip.decompress(data) == unpack(data) == plain.path.read_bytes()
    assert (one.size, plain.size) == (len(data), plain.path.stat().st_size)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(KINDS)), st.booleans())
def test_what_is_written_is_read(tmp_path_factory: Any, seed: int, kind: str, zipped: bool) -> None:
    """Any finite weights in any mix of encodings: a second writing changes no byte."""
    random = np.random.default_rng(seed)
    spec, dice = KINDS[kind], random.integers
    weights = {}
    for name, values in random_weights(spec, seed).items():
        scale = np.float32(10.0 ** dice(-6, 4))
        values = values * scale if dice(3) else np.full_like(values, scale)
        weights[name] = np.abs(values) if name.endswith("variance") else values
    path = tmp_path_factory.mktemp("fuzz") / ("net.pb.gz" if zipped else "net.pb")
    encoding = [None, *ENCODING_NUMBERS][dice(5)]
    saved = save_net(new_net(spec, weights), path, encoding=encoding)
    net, data = load_net(path), path.read_bytes()
    for loss in saved.losses:
        error = np.abs(net.weights[loss.name].astype(np.float64) - weights[loss.name]).max()
        assert error == loss.max_error
    save_net(net, path, overwrite=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize(("spec", "mutants"), [(TINY, 1500), (SEVERAL_HEADS, 300)])
def test_whatever_the_reader_accepts_can_be_written(spec: NetSpec, mutants: int) -> None:
    """Damaged files that are nets still: in FLOAT32 not a bit is lost, header and all."""
    accepted = 0
    for mutant in mutations(tiny_payload(spec), mutants):
        try:
            contents = parse(mutant)
        except NetError:
            continue
        accepted += 1
        spec, weights = contents.spec, contents.weights
        again = parse(with_weights(contents.message, spec, weights, "float32").SerializeToString())
        assert (again.spec, again.encoding, again.network) == (spec, "float32", contents.network)
        for name, values in weights.items():
            assert values.tobytes() == again.weights[name].tobytes(), name
        assert again.min_version >= contents.min_version
    assert accepted > mutants / 15


def test_tiny_payloads_are_what_they_were(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.pb"
    path.write_bytes(tiny_payload())
    save_net(load_net(path), out)
    assert out.read_bytes() == tiny_payload()
