"""``swa convert``: a net file in another packing or encoding, or as an ONNX model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swa.commands.output import (
    add_file_flags,
    add_output_flags,
    licence_line,
    saved_as_json,
    saved_lines,
    take_net,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from swa.onnx_export.file import SavedOnnx

EXAMPLES = """\
examples:
  swa convert net.pb.gz net.pb
  swa convert net.pb.gz net-float32.pb.gz --encoding float32
  swa convert net.pb.gz net-free.pb.gz --licence CC0-1.0
  swa convert net.pb.gz net.onnx
  swa convert net.pb.gz net.onnx --policy-head optimistic --value-head q
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "convert",
        help="a net file in another packing or encoding, or as ONNX",
        description="Write a net again, gzipped or not as the new name says, and in another "
        "encoding or with another licence if one is given. All else that the file says is kept, "
        "fields of newer versions too; its minimum version of lc0 is raised where the encoding "
        "asks for it and never lowered. Shows what the encoding costs. A name in .onnx gets the "
        "net as an ONNX model in float32, its inputs and outputs named as by lc0's leela2onnx; "
        "that needs the package onnx. There is no way back from ONNX: batch norm is folded there.",
        epilog=EXAMPLES,
    )
    parser.add_argument("net", metavar="IN", type=Path, help="a .pb.gz or .pb file, or latest:DIR")
    parser.add_argument("output", metavar="OUT", type=Path, help="a new .pb.gz, .pb or .onnx file")
    add_file_flags(parser)
    for head, default in (("policy", "vanilla"), ("value", "winner")):
        parser.add_argument(
            f"--{head}-head",
            metavar="NAME",
            help=f"for .onnx: which of a net's {head} heads (default: {default})",
        )
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Read, write, show."""
    from swa.net import check_output, load_net, save_net

    arguments.net = take_net(arguments.net)
    if arguments.output.suffix.lower() == ".onnx":
        return _to_onnx(arguments)
    _refuse_flags(arguments, ("policy_head", "value_head"), ".onnx", "All heads are kept.")
    check_output(arguments.output, inputs=[arguments.net], overwrite=arguments.overwrite)
    net = load_net(arguments.net)
    saved = save_net(
        net,
        arguments.output,
        encoding=arguments.encoding,
        licence=arguments.licence,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        write_json(saved_as_json(saved))
    else:
        write_text(saved_lines(saved))
    return 0


def _refuse_flags(
    arguments: argparse.Namespace, flags: tuple[str, ...], files: str, remedy: str
) -> None:
    """Raise NetError for flags that only output of another kind has."""
    from swa.net import NetError

    for flag in flags:
        if getattr(arguments, flag) is not None:
            reason = f"--{flag.replace('_', '-')} is for {files} files"
            raise NetError(reason, remedy, str(arguments.output))


def _to_onnx(arguments: argparse.Namespace) -> int:
    from swa.net import NetError, check_place, load_net

    told = "An ONNX model is in float32, with the licence that the net it is made from tells."
    _refuse_flags(arguments, ("encoding", "licence"), ".pb.gz and .pb", told)
    check_place(arguments.output, inputs=[arguments.net], overwrite=arguments.overwrite)
    try:
        from swa.onnx_export.file import save_onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        remedy = "Install it: pip install onnx (or this project with its extra [onnx])."
        reason = "ONNX needs the package onnx, which is not there"
        raise NetError(reason, remedy, str(arguments.output)) from error
    net = load_net(
        arguments.net, policy_head=arguments.policy_head, value_head=arguments.value_head
    )
    saved = save_onnx(net, arguments.output, overwrite=arguments.overwrite)
    if arguments.json:
        write_json(_onnx_as_json(saved))
    else:
        write_text(_onnx_lines(saved))
    return 0


def _onnx_as_json(saved: SavedOnnx) -> dict[str, Any]:
    """What ``--json`` says of an ONNX model.

    ``net`` its path, ``sha256`` and ``bytes`` of the file, ``format`` "onnx", ``opset``,
    ``inputs`` and ``outputs``: name to shape without the batch; ``licence`` or null.
    """
    return {
        "net": str(saved.path),
        "sha256": saved.sha256,
        "bytes": saved.size,
        "format": "onnx",
        "opset": saved.opset,
        "inputs": saved.inputs,
        "outputs": saved.outputs,
        "licence": saved.licence,
    }


def _onnx_lines(saved: SavedOnnx) -> list[str]:
    """The same in words."""
    return [
        f"wrote {saved.path}: {saved.size:,} bytes, ONNX operators of version {saved.opset}",
        f"sha256 {saved.sha256}",
        licence_line(saved.licence),
        *(
            f"{kind} {name} [batch, {', '.join(map(str, shape))}]"
            for kind, values in (("input ", saved.inputs), ("output", saved.outputs))
            for name, shape in values.items()
        ),
    ]
