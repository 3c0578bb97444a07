"""Net files as ONNX models: the whole forward pass, for any program that runs ONNX.

One way only. Batch norm is folded into the convolutions, as in every ONNX model of a net, so no
statistics are left to refresh and no averaging rule applies to what is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from swa import provenance
from swa.batchnorm import fold
from swa.files import write_whole
from swa.licence import licence_text
from swa.net import Net, NetError, check_place
from swa.onnx_export.graph import IR_VERSION, OPSET, Graph
from swa.onnx_export.tower import INPUT, add_net
from swa.policy_map import MOVES
from swa.spec import PLANES

MAX_BYTES = 2**31 - 1
"""Bytes of a model in one file: protobuf's own limit for a message."""

BATCH = "batch"
"""What the size of the batch is called, which may be any."""


@dataclass(frozen=True, slots=True)
class SavedOnnx:
    """A model that was written."""

    path: Path
    sha256: str
    size: int  # bytes
    opset: int
    inputs: dict[str, tuple[int, ...]]  # shapes by name, without the batch
    outputs: dict[str, tuple[int, ...]]
    licence: str | None  # as the net's file tells it, and this one


def onnx_model(net: Net) -> onnx.ModelProto:
    """The net as an ONNX model in float32, checked by ``onnx.checker``.

    Input ``/input/planes`` [batch, 112, 8, 8], as lc0 feeds them: rank before file, seen from the
    mover, the rule of fifty moves as the file's input format has it. Outputs, named as by lc0's
    leela2onnx: ``/output/policy`` [batch, 1858] logits in the order of ``swa.policy_map.MOVES``;
    ``/output/wdl`` [batch, 3] probabilities of win, draw and loss, or ``/output/value`` [batch, 1]
    in [-1, 1]; ``/output/mlh`` [batch, 1] plies left, where the net has that head. The metadata
    tell what net it was. Equal nets give equal models.

    Raises NetError for a net too large for one file, or of a kind that is not known here.
    """
    if net.spec.early:
        raise NetError("no ONNX is made of an early net (text version 1), whose moves are others")
    spec, weights = fold(net.spec, net.weights)
    size = sum(array.nbytes for array in weights.values())
    if size > MAX_BYTES - 2**20:  # some room for the nodes
        raise NetError(
            f"too large for one ONNX file: {size:,} bytes of weights",
            f"protobuf ends at {MAX_BYTES:,} bytes.",
        )
    graph = Graph(weights)
    outputs = add_net(graph, spec)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            net.name,
            [_tensor(INPUT, PLANES, 8, 8)],
            [_tensor(name, numbers) for name, numbers in outputs.items()],
            list(graph.constants.values()),
        ),
        producer_name="swa",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, _metadata(net))
    onnx.checker.check_model(model, full_check=True)
    return model


def save_onnx(net: Net, path: str | Path, *, overwrite: bool = False) -> SavedOnnx:
    """Write a net as ``onnx_model`` makes it, whole or not at all.

    Raises NetError, naming the file, where it stands already (unless ``overwrite``), where it
    cannot be written, and as ``onnx_model`` does.
    """
    path = Path(path)
    try:
        check_place(path, overwrite=overwrite)
        model = onnx_model(net)
        data = model.SerializeToString(deterministic=True)
        write_whole(path, data)
    except NetError as error:
        raise NetError(error.reason, error.remedy, str(path)) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot write the net: {reason}", "", str(path)) from error
    return SavedOnnx(
        path=path,
        sha256=provenance.sha256(data),
        size=len(data),
        opset=OPSET,
        inputs=_shapes(model.graph.input),
        outputs=_shapes(model.graph.output),
        licence=licence_text(net.message),
    )


def _tensor(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[int, ...]]:
    return {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim[1:])
        for value in values
    }


def _metadata(net: Net) -> dict[str, str]:
    """What a reader of the file wants to know of the net; all of it text."""
    said = {
        "net": net.name,
        "sha256": net.sha256,
        "architecture": str(net.spec),
        "input_format": str(int(net.spec.input_format)),
        "training_steps": net.training_steps,
        "licence": licence_text(net.message),
        "moves": " ".join(MOVES),
    }
    return {key: str(text) for key, text in said.items() if text not in (None, "")}
