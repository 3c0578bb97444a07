"""A graph of ONNX operators in the making.

Values are known by the names of the nodes that make them: ``/blocks.0/conv1``. A net's own arrays
keep the names of ``swa.spec.parameters`` and their layout, so that they are found again in the
file. Operators are those of ``OPSET`` (https://onnx.ai/onnx/operators).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from swa.batchnorm import Weights
from swa.spec import SQUARES, Activation, NetError

OPSET = 17
"""Operators' version: the first with layer normalization (onnxruntime since 1.12, of 2022)."""

IR_VERSION = 8
"""The file format's version that came with it."""

_OPERATORS = {
    Activation.RELU: "Relu",
    Activation.TANH: "Tanh",
    Activation.SIGMOID: "Sigmoid",
    Activation.SELU: "Selu",
}


class Graph:
    """Nodes in their order, and the constants that they use; batch norm is folded in ``weights``.

    Every method appends nodes under the ``name`` given and returns the name of their result.
    """

    def __init__(self, weights: Weights) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._weights = weights

    def node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Append an operator with one result."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def split(self, name: str, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """Cut ``x`` along an axis into parts of these sizes."""
        parts = [f"{name}.{part}" for part in range(len(sizes))]
        sizes_name = self.integers(f"{name}.sizes", sizes)
        self.nodes.append(helper.make_node("Split", [x, sizes_name], parts, name=name, axis=axis))
        return parts

    def slice(self, name: str, x: str, axis: int, start: int, end: int) -> str:
        """The places ``start`` to ``end`` of an axis."""
        limits = zip(("start", "end", "axis"), (start, end, axis), strict=True)
        return self.node("Slice", name, x, *(self.integers(f"{name}.{w}", [n]) for w, n in limits))

    def scale(self, name: str, x: str, factor: float) -> str:
        """Multiply by a number; by 1 it is left as it is."""
        if factor == 1:
            return x
        return self.node("Mul", name, x, self.constant(f"{name}.factor", np.float32(factor)))

    def weight(self, name: str) -> str:
        """One of the net's arrays, as it is."""
        return self.constant(name, self._weights[name])

    def constant(self, name: str, array: NDArray[Any] | np.float32) -> str:
        """An array that is part of the file; under a name that is there already, the same."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def integers(self, name: str, numbers: Sequence[int]) -> str:
        """A list of whole numbers: shapes, axes, places."""
        return self.constant(name, np.array(numbers, np.int64))

    def reshape(self, name: str, x: str, shape: Sequence[int]) -> str:
        """Give ``x`` another shape, -1 being what is left."""
        return self.node("Reshape", name, x, self.integers(f"{name}.shape", shape))

    def rows(self, name: str, x: str, channels: int) -> str:
        """[batch, channels, 8, 8] as one row a square: [batch * 64, channels]."""
        last = self.node("Transpose", f"{name}.last", x, perm=[0, 2, 3, 1])
        return self.reshape(name, last, [-1, channels])

    def boards(self, name: str, rows: str, channels: int) -> str:
        """Rows of squares as one row a board: [batch, 64 * channels]."""
        return self.reshape(name, rows, [-1, SQUARES * channels])

    def convolution(self, layer: str, x: str) -> str:
        """The convolution ``layer``, as large at its end as before, with its bias."""
        margin = self._weights[f"{layer}.weight"].shape[-1] // 2
        weight, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return self.node("Conv", f"/{layer}", x, weight, bias, pads=[margin] * 4)

    def dense(self, layer: str, x: str) -> str:
        """The dense ``layer`` over rows: [N, in] to [N, out]; with its bias, if it has one."""
        inputs = [x, self.weight(f"{layer}.weight")]
        if f"{layer}.bias" in self._weights:
            inputs.append(self.weight(f"{layer}.bias"))
        return self.node("Gemm", f"/{layer}", *inputs, transB=1)

    def layer_norm(self, layer: str, x: str, epsilon: float) -> str:
        """The layer norm ``layer`` over the last axis."""
        gamma, beta = self.weight(f"{layer}.gamma"), self.weight(f"{layer}.beta")
        return self.node("LayerNormalization", f"/{layer}", x, gamma, beta, epsilon=epsilon)

    def activate(self, x: str, activation: Activation) -> str:
        """Apply a non-linearity. Raises NetError for one that has no operators here."""
        if activation is Activation.NONE:
            return x
        if activation in _OPERATORS:
            return self.node(_OPERATORS[activation], f"{x}/{activation}", x)
        if activation is Activation.MISH:
            # x tanh(ln(1 + e^x)): the operator Mish came later, and not every runtime has it.
            softplus = self.node("Softplus", f"{x}/softplus", x)
            return self.node("Mul", f"{x}/mish", x, self.node("Tanh", f"{x}/tanh", softplus))
        if activation is Activation.SWISH:
            return self.node("Mul", f"{x}/swish", x, self.node("Sigmoid", f"{x}/sigmoid", x))
        if activation is Activation.RELU_2:
            relu = self.node("Relu", f"{x}/relu", x)
            return self.node("Mul", f"{x}/relu_2", relu, relu)
        raise NetError(f"no ONNX operators are known here for the activation {activation}")
