"""A net's forward pass as ONNX operators: what ``swa.model`` does, once more.

``swa.model`` is the reference; ``tests/swa/test_onnx_export.py`` holds this against it for every
kind of net. torch's own exporters would spare it, but of the two the one that is quick is to be
taken out of torch, and the other takes a minute, another package, and writes the paths of this
program's source into the file; both give other files with every version.
"""

from __future__ import annotations

from swa.model.heads import attention_places
from swa.onnx_export.attention import add_body, add_policy
from swa.onnx_export.graph import Graph
from swa.policy_map import CONV_POLICY
from swa.spec import POLICY_MOVES, NetError, NetSpec, PolicyKind, ValueKind

INPUT = "/input/planes"
POLICY, WDL, VALUE, MOVES_LEFT = "/output/policy", "/output/wdl", "/output/value", "/output/mlh"
"""Names and meanings as in lc0's leela2onnx (lc0 src/lc0ctl/leela2onnx.cc)."""


def add_net(graph: Graph, spec: NetSpec) -> dict[str, int]:
    """Append the whole net; its outputs with the numbers that each has a position."""
    x = _tower(graph, spec) if spec.filters else INPUT
    if spec.attention:
        x = add_body(graph, spec, spec.attention, x)
    outputs = {_policy(graph, spec, x): POLICY_MOVES}
    head = f"values.{spec.value_head}" if spec.values else "value"
    value = _dense_head(graph, spec, head, spec.value.channels, x)
    if spec.value.kind is ValueKind.WDL:
        outputs[graph.node("Softmax", WDL, value, axis=1)] = spec.value.outputs
    else:
        outputs[graph.node("Tanh", VALUE, value)] = spec.value.outputs
    if spec.moves_left:
        plies = _dense_head(graph, spec, "moves_left", spec.moves_left.channels, x)
        outputs[graph.node("Relu", MOVES_LEFT, plies)] = 1
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
    """The head that plays. Raises NetError for a kind that has no operators here."""
    head = f"policies.{spec.policy_head}" if spec.policies else "policy"
    kind = spec.policy.kind
    if kind is PolicyKind.CLASSICAL:
        x = graph.activate(graph.convolution(f"{head}.conv", x), spec.activation)
        x = graph.dense(f"{head}.dense", graph.node("Flatten", f"/{head}/flatten", x))
        return graph.node("Identity", POLICY, x)
    if kind is PolicyKind.CONVOLUTION:
        x = graph.activate(graph.convolution(f"{head}.conv1", x), spec.activation)
        x = graph.node("Flatten", f"/{head}/flatten", graph.convolution(f"{head}.conv2", x))
        places = CONV_POLICY
    elif kind is PolicyKind.ATTENTION:
        x, places = add_policy(graph, spec, head, x), attention_places()
    else:
        raise NetError(f"no ONNX operators are known here for a policy of the kind {kind}")
    return graph.node("Gather", POLICY, x, graph.constant(f"/{head}/places", places), axis=1)


def _dense_head(graph: Graph, spec: NetSpec, head: str, channels: int, x: str) -> str:
    """Value or moves left, before the last activation."""
    if spec.attention:
        # Square by square, where a convolution's are channel by channel.
        x = graph.activate(graph.dense(f"{head}.embedding", x), spec.activation)
        x = graph.boards(f"/{head}/flatten", x, channels)
    else:
        x = graph.activate(graph.convolution(f"{head}.conv", x), spec.activation)
        x = graph.node("Flatten", f"/{head}/flatten", x)
    x = graph.activate(graph.dense(f"{head}.dense1", x), spec.activation)
    return graph.dense(f"{head}.dense2", x)
