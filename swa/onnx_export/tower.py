"""A net's forward pass as ONNX operators: what ``swa.model`` does, once more.

``swa.model`` is the reference; ``tests/swa/test_onnx_export.py`` holds this against it for every
kind of net. torch's own exporters would spare it, but of the two the one that is quick is to be
taken out of torch, and the other takes a minute, another package, and writes the paths of this
program's source into the file; both give other files with every version.
"""

from __future__ import annotations

from swa.onnx_export.graph import Graph
from swa.policy_map import CONV_POLICY
from swa.spec import NetSpec, PolicyKind, ValueKind

INPUT = "/input/planes"
POLICY, WDL, VALUE, MOVES_LEFT = "/output/policy", "/output/wdl", "/output/value", "/output/mlh"
"""Names and meanings as in lc0's leela2onnx (lc0 src/lc0ctl/leela2onnx.cc)."""


def add_net(graph: Graph, spec: NetSpec) -> dict[str, int]:
    """Append the whole net; its outputs with the numbers that each has a position."""
    x = _tower(graph, spec)
    outputs = {_policy(graph, spec, x): len(CONV_POLICY)}
    value = _dense_head(graph, spec, "value", x)
    if spec.value.kind is ValueKind.WDL:
        outputs[graph.node("Softmax", WDL, value, axis=1)] = spec.value.outputs
    else:
        outputs[graph.node("Tanh", VALUE, value)] = spec.value.outputs
    if spec.moves_left:
        outputs[graph.node("Relu", MOVES_LEFT, _dense_head(graph, spec, "moves_left", x))] = 1
    return outputs


def _tower(graph: Graph, spec: NetSpec) -> str:
    x = graph.activate(graph.convolution("input.conv", INPUT), spec.activation)
    for block in range(spec.blocks):
        x = _residual_block(graph, spec, f"blocks.{block}", x)
    return x


def _residual_block(graph: Graph, spec: NetSpec, block: str, x: str) -> str:
    y = graph.activate(graph.convolution(f"{block}.conv1", x), spec.activation)
    y = graph.convolution(f"{block}.conv2", y)
    if spec.se:
        y = _squeeze_excitation(graph, spec, f"{block}.se", y)
    return graph.activate(graph.node("Add", f"/{block}", y, x), spec.activation)


def _squeeze_excitation(graph: Graph, spec: NetSpec, unit: str, x: str) -> str:
    mean = graph.node("GlobalAveragePool", f"/{unit}/pool", x)
    squeezed = graph.dense(f"{unit}.dense1", graph.node("Flatten", f"/{unit}/flatten", mean))
    factors = graph.dense(f"{unit}.dense2", graph.activate(squeezed, spec.activation))
    factors = graph.reshape(f"/{unit}/factors", factors, [-1, 2 * spec.filters, 1, 1])
    scale, shift = graph.split(f"/{unit}/split", factors, 1, [spec.filters] * 2)
    scaled = graph.node("Mul", f"/{unit}/scaled", x, graph.node("Sigmoid", f"/{unit}/scale", scale))
    return graph.node("Add", f"/{unit}", scaled, shift)


def _policy(graph: Graph, spec: NetSpec, x: str) -> str:
    if spec.policy.kind is PolicyKind.CLASSICAL:
        x = graph.activate(graph.convolution("policy.conv", x), spec.activation)
        x = graph.dense("policy.dense", graph.node("Flatten", "/policy/flatten", x))
        return graph.node("Identity", POLICY, x)
    x = graph.activate(graph.convolution("policy.conv1", x), spec.activation)
    x = graph.convolution("policy.conv2", x)
    places = graph.integers("/policy/places", CONV_POLICY.tolist())
    x = graph.node("Flatten", "/policy/flatten", x)
    return graph.node("Gather", POLICY, x, places, axis=1)


def _dense_head(graph: Graph, spec: NetSpec, head: str, x: str) -> str:
    """Value or moves left, before the last activation."""
    x = graph.activate(graph.convolution(f"{head}.conv", x), spec.activation)
    x = graph.dense(f"{head}.dense1", graph.node("Flatten", f"/{head}/flatten", x))
    return graph.dense(f"{head}.dense2", graph.activate(x, spec.activation))
