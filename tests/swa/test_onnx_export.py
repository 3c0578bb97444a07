"""Nets as ONNX models, run by onnxruntime: what swa's own forward pass says, and lc0."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import read_jsonl
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from tiny_net import KINDS, TINY, calm_weights, tiny_payload

from swa.batchnorm import fold
from swa.cli import main
from swa.model import Outputs, for_play
from swa.model.activation import activate
from swa.net import Net, NetError, load_net, new_net
from swa.onnx_export import file as onnx_file
from swa.onnx_export.file import onnx_model, save_onnx
from swa.onnx_export.graph import IR_VERSION, OPSET, Graph
from swa.policy_map import MOVES
from swa.spec import (
    Activation,
    AttentionBody,
    Embedding,
    EncoderSpec,
    InputFormat,
    NetSpec,
    PolicyEmbedding,
    PolicyKind,
    PolicySpec,
    SmolgenSpec,
    ValueKind,
    ValueSpec,
)

Floats = NDArray[np.float32]

# No two sizes are alike, and a width is not what comes in, so that none stands for another.
PLAIN = EncoderSpec(heads=2, width=6, ffn=10)
SMOLGEN = replace(PLAIN, smolgen=SmolgenSpec(compress=3, hidden=7, generated=5))
ATTENTION = PolicySpec(PolicyKind.ATTENTION, channels=8, width=9)
SHARED = replace(ATTENTION, embedding=PolicyEmbedding.HEADS)
MAP = AttentionBody(Embedding.MAP, 12, 2, PLAIN)
DENSE = AttentionBody(
    Embedding.DENSE,
    12,
    2,
    SMOLGEN,
    gates=True,
    dense=4,
    ffn=11,
    ffn_activation=Activation.RELU_2,
    smolgen_activation=Activation.SWISH,
)
BODY = replace(TINY, blocks=0, filters=0, se=0, batch_norm=False, policy=ATTENTION, attention=MAP)
SEVERAL = replace(
    BODY,
    policies=(("vanilla", SHARED), ("optimistic", replace(SHARED, width=7))),
    values=(("winner", TINY.value), ("q", ValueSpec(ValueKind.WDL, 5, 4, errors=1))),
)
ALL_KINDS = KINDS | {
    "no blocks": replace(TINY, blocks=0),
    "attention policy": replace(TINY, policy=ATTENTION),
    "attention policy with encoders": replace(
        TINY, policy=replace(ATTENTION, encoders=2, encoder=PLAIN)
    ),
    "map": BODY,
    "map, gates, mish": replace(
        BODY, activation=Activation.MISH, attention=replace(MAP, gates=True)
    ),
    "map, smolgen": replace(BODY, attention=replace(MAP, encoder=SMOLGEN)),
    "policy encoders on an attention body": replace(
        BODY, policy=replace(ATTENTION, encoders=1, encoder=PLAIN), attention=DENSE
    ),
    "dense": replace(BODY, attention=DENSE),
    "tower, then attention": replace(
        TINY, policy=ATTENTION, attention=replace(MAP, embedding=Embedding.TOWER)
    ),
    "the first of several heads": SEVERAL.with_heads("vanilla", "winner"),
    "others of several heads": SEVERAL.with_heads("optimistic", "q"),
}


def net_of(spec: NetSpec, seed: int = 0) -> Net:
    weights = calm_weights(spec, seed)
    weights["moves_left.dense2.bias" if spec.moves_left else "value.dense2.bias"] += 4  # not all 0
    return replace(new_net(TINY, {}), spec=spec, weights=weights)


def run(model: onnx.ModelProto, planes: Floats) -> dict[str, Floats]:
    """All outputs by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"/input/planes": planes}), strict=True))


def some_planes(count: int, seed: int = 0) -> Floats:
    """Planes of ones and zeros, as nets have them."""
    return (np.random.default_rng(seed).random((count, 112, 8, 8)) < 0.3).astype(np.float32)


def expected(outputs: Outputs) -> dict[str, Floats]:
    """What the model is to say where the torch module says this."""
    value = outputs.value
    found = {"/output/policy": outputs.policy}
    found |= {"/output/wdl": value.softmax(1)} if value.shape[1] == 3 else {"/output/value": value}
    if outputs.moves_left is not None:
        found["/output/mlh"] = outputs.moves_left
    return {name: tensor.float().numpy() for name, tensor in found.items()}


@pytest.mark.parametrize("spec", ALL_KINDS.values(), ids=ALL_KINDS.keys())
def test_it_says_what_the_torch_module_says(spec: NetSpec) -> None:
    net, planes = net_of(spec), some_planes(3)
    exact = for_play(spec, net.weights).double()(torch.tensor(planes).double())
    found, wanted = run(onnx_model(net), planes), expected(exact)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].shape == values.shape
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=2e-5, err_msg=name)
    # Positions and moves are told apart by far more than that.
    assert found["/output/policy"].std(axis=0).mean() > 1e-2
    assert found["/output/policy"].std(axis=1).min() > 1e-2
    if spec.moves_left:
        assert found["/output/mlh"].min() > 0


@pytest.mark.parametrize("activation", Activation)
def test_activations(activation: Activation) -> None:
    x = np.array([-90, -20, -3, -1, -0.1, 0, 0.1, 1, 3, 20, 90], np.float32)
    graph = Graph({})
    result = graph.node("Identity", "out", graph.activate("in", activation))
    one = [helper.make_tensor_value_info(name, 1, [11]) for name in ("in", result)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "g", one[:1], one[1:]),
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"in": x})
    exact = activate(torch.tensor(x).double(), activation)
    np.testing.assert_allclose(found, exact.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 17])
def test_any_size_of_batch(count: int) -> None:
    model, planes = onnx_model(net_of(ALL_KINDS["dense"])), some_planes(17)
    whole, part = run(model, planes), run(model, planes[:count])
    for name, values in part.items():
        np.testing.assert_allclose(values, whole[name][:count], rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", [TINY, ALL_KINDS["dense"]], ids=["tower", "attention"])
def test_arrays_keep_their_names_and_layout(spec: NetSpec) -> None:
    net = net_of(spec)
    held = {array.name: array for array in onnx_model(net).graph.initializer}
    for name, weights in fold(spec, net.weights)[1].items():
        np.testing.assert_array_equal(numpy_helper.to_array(held[name]), weights, err_msg=name)


def test_only_the_heads_that_play_are_in_it() -> None:
    names = {array.name for array in onnx_model(net_of(SEVERAL.with_heads())).graph.initializer}
    assert {"policies.vanilla.query.weight", "values.winner.dense1.weight"} <= names
    assert not any(name.startswith(("policies.optimistic", "values.q")) for name in names)


def test_equal_nets_give_equal_files(tmp_path: Path) -> None:
    """Here, and in another process, where hashes of words are others."""
    source = tmp_path / "net.pb"
    source.write_bytes(tiny_payload())
    one, other = (tmp_path / name for name in ("one.onnx", "other.onnx"))
    save_onnx(load_net(source), one)
    subprocess.run(
        [sys.executable, "-m", "swa", "convert", source, other], check=True, capture_output=True
    )
    assert one.read_bytes() == other.read_bytes()


def test_what_the_file_tells_of_itself() -> None:
    net = net_of(TINY)
    net.message.license = b"CC0-1.0"  # type: ignore[attr-defined]
    net = replace(net, name="mean", sha256="ab" * 32, training_steps=400)
    net = replace(net, spec=replace(TINY, input_format=InputFormat(3)))
    model = onnx_model(net)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told.pop("moves").split() == list(MOVES)
    assert told == {
        "net": "mean",
        "sha256": "ab" * 32,
        "architecture": str(net.spec),
        "input_format": "3",
        "training_steps": "400",
        "licence": "CC0-1.0",
    }
    assert model.ir_version == 8
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]


def test_a_net_beyond_protobufs_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 2**20 + 1000)
    with pytest.raises(NetError, match="too large for one ONNX file"):
        onnx_model(net_of(TINY))


# Against lc0's zoo

LOGITS, VALUE, PLIES = 5e-4, 1e-4, 3e-3
"""The zoo's own tolerances."""


@pytest.fixture(scope="module")
def planes_of(shared: Path) -> dict[tuple[int, int], Floats]:
    """The planes that lc0 made, by input format and position."""
    found = {}
    for row in read_jsonl(shared / "golden/zoo/planes.jsonl.gz"):
        planes = np.zeros((112, 64), np.float32)
        for plane, (mask, value) in row["planes"].items():
            octets = np.array([int(mask, 16)], "<u8").view(np.uint8)
            planes[int(plane)] = np.unpackbits(octets, bitorder="little") * np.float32(value)
        found[row["input_format"], row["id"]] = planes.reshape(112, 8, 8)
    return found


@pytest.fixture(scope="module")
def rows_of(shared: Path) -> Mapping[str, list[dict[str, Any]]]:
    """The rows of each net of a protobuf file and each choice of its heads."""
    rows = defaultdict(list)
    for row in read_jsonl(shared / "golden/zoo/rows.jsonl.gz"):
        if ".pb" in row["file"]:
            rows[row["net"]].append(row)
    return rows


def test_all_nets_of_the_zoo_evaluate_as_in_lc0(
    shared: Path,
    planes_of: dict[tuple[int, int], Floats],
    rows_of: Mapping[str, list[dict[str, Any]]],
) -> None:
    assert len(rows_of) > 40
    for name, rows in rows_of.items():
        first = rows[0]
        net = load_net(
            shared / "golden/zoo/nets" / first["file"],
            policy_head=first["policy_head"],
            value_head=first["value_head"],
        )
        planes = np.stack([planes_of[row["input_format"], row["id"]] for row in rows])
        found = run(onnx_model(net), planes)
        for place, row in enumerate(rows):
            logits = found["/output/policy"][place, row["index"]]
            np.testing.assert_allclose(logits, row["logits"], rtol=0, atol=LOGITS, err_msg=name)
            if row["has_wdl"]:
                win, draw, loss = found["/output/wdl"][place]
                assert (win - loss, draw) == pytest.approx((row["q"], row["d"]), abs=VALUE), name
            else:
                assert found["/output/value"][place] == pytest.approx(row["q"], abs=VALUE), name
            assert ("/output/mlh" in found) == row["has_m"]
            if row["has_m"]:
                assert found["/output/mlh"][place] == pytest.approx(row["m"], abs=PLIES), name


# swa convert


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "net.pb"
    path.write_bytes(tiny_payload())
    return path


def test_convert_writes_it(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("net.ONNX")
    assert main(["convert", str(source), str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bytes"] == out.stat().st_size
    assert document["net"] == str(out)
    assert document["inputs"] == {"/input/planes": [112, 8, 8]}
    assert document["outputs"] == {
        "/output/policy": [1858],
        "/output/wdl": [3],
        "/output/mlh": [1],
    }
    model = onnx.load_from_string(out.read_bytes())
    assert document["opset"] == model.opset_import[0].version
    net = load_net(source)
    wanted = expected(for_play(net.spec, net.weights)(torch.tensor(some_planes(2))))
    for name, values in run(model, some_planes(2)).items():
        np.testing.assert_allclose(values, wanted[name], rtol=0, atol=1e-4)
    assert main(["convert", str(source), str(out), "--overwrite"]) == 0
    text = capsys.readouterr().out
    assert document["sha256"] in text
    assert "output /output/wdl [batch, 3]" in text


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--encoding", "float16"], "--encoding is for .pb.gz and .pb files"),
        (["--licence", "CC0"], "--licence is for .pb.gz and .pb files"),
        (["--policy-head", "soft"], "soft"),
        (["--value-head", "st"], "st"),
    ],
)
def test_convert_refuses_what_cannot_be(
    flags: list[str], reason: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(source), str(source.with_name("out.onnx")), *flags]) == 2
    said = capsys.readouterr()
    assert reason in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) <= 3
    assert list(source.parent.iterdir()) == [source]


def test_heads_are_no_matter_of_net_files(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", str(source), str(source.with_name("out.pb")), "--policy-head", "vanilla"]
    assert main(words) == 2
    assert "--policy-head is for .onnx files" in capsys.readouterr().err


def test_convert_keeps_what_is_there(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.onnx")
    out.write_bytes(b"mine")
    for words, reason in (
        ([str(source), str(out)], "is there already"),
        ([str(source), str(source.parent / "absent/out.onnx")], "no such folder"),
        ([str(source.with_name("absent.pb")), str(out), "--overwrite"], "no such file"),
        ([str(out), str(out), "--overwrite"], "is an input"),
    ):
        assert main(["convert", *words]) == 2
        assert reason in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    with pytest.raises(NetError, match="is there already"):
        save_onnx(net_of(TINY), out)


def test_without_the_package(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "swa.onnx_export.file", None)
    monkeypatch.delitem(sys.modules, "swa.onnx_export.file")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["convert", str(source), str(source.with_name("out.onnx"))]) == 2
    error = capsys.readouterr().err
    assert "needs the package onnx" in error
    assert "pip install onnx" in error
    assert list(source.parent.iterdir()) == [source]


# Reading is refused


@pytest.mark.parametrize("producer", ["swa", "", "pytorch"])
def test_onnx_is_not_read_as_a_net(
    producer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx_model(net_of(TINY))
    model.producer_name = producer
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NetError) as refused:
        load_net(path)
    assert str(refused.value).startswith(f"{path}: an ONNX model")
    assert "Batch norm is folded away" in str(refused.value)
    assert main(["average", str(path), str(path), "-o", str(tmp_path / "out.pb")]) == 2
    assert "an ONNX model" in capsys.readouterr().err
