"""``arena doctor``: what works on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.nets import take_net
from arena.commands.output import add_output_flags, write_json, write_text

if TYPE_CHECKING:
    from arena.doctor import Examination

EXAMPLES = """\
examples:
  arena doctor
  arena doctor --net raw.pb.gz --device cuda --dtype float16
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "doctor",
        help="versions, devices, and what works",
        description="Show versions, devices, what evaluates nets and why, the state of the "
        "compiled kernels and what is missing; with a net, also its speed at several batch sizes.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--net", type=Path, metavar="NET", help="a net to time, some ten seconds")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="where to time it (default: auto)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="numbers to time it with (default: float32)",
    )
    parser.add_argument(
        "--evaluator",
        choices=("auto", "torch", "winograd"),
        default="auto",
        help="what to time it with (default: auto: winograd on a CPU where it can, else torch)",
    )
    add_output_flags(parser, json_help="one JSON document on stdout")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Examine and show; 0 if a match can be played here, else 2."""
    from arena.doctor import examine

    net = arguments.net and take_net(arguments.net, quiet=arguments.quiet)
    examination = examine(net, arguments.device, arguments.dtype, wanted=arguments.evaluator)
    if arguments.json:
        write_json(examination.as_json())
    elif not arguments.quiet:
        write_text(lines_of(examination))
    return 0 if examination.healthy else 2


def lines_of(examination: Examination) -> list[str]:
    """Return the examination in words."""
    lines = [
        ", ".join(f"{name} {version}" for name, version in examination.versions.items()),
        f"cores: {examination.cores}",
    ]
    for device, name in examination.devices.items():
        chosen = "  <- --device auto takes this" if device == examination.device else ""
        lines.append(f"device {device}: {name}{chosen}")
    lines.append(f"evaluator: {examination.evaluator} ({examination.evaluator_reason})")
    lines += [f"{f.mark:<8} {f.name}: {f.text}" for f in examination.findings]
    if examination.speeds:
        lines.append(f"{examination.net} by {examination.evaluator}, one caller:")
        for speed in examination.speeds:
            lines.append(f"  batch {speed.batch:>4}: {speed.per_second:>9,.0f} evals/s")
    lines.append("A match can be played." if examination.healthy else "A match cannot be played.")
    return lines
