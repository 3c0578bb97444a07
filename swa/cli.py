"""``swa``: nets from the command line.

Each command parses, calls the library and prints; what it needs is imported after parsing, so that
``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from swa.command_line import Parser, ShowVersion, run_command

if TYPE_CHECKING:
    from swa.net import Net

EPILOG = """\
exit codes:
  0    finished
  2    could not: bad usage, bad input, or an internal error

example:
  swa inspect maia-1500.pb.gz
"""

INSPECT_EXAMPLES = """\
examples:
  swa inspect maia-1500.pb.gz
  swa inspect maia-1500.pb.gz --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0, or 2 for input that cannot be used."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Build the parser of all commands; ``execute`` of the parsed namespace runs the chosen one."""
    parser = Parser(
        prog="swa", description="Nets of Leela Chess Zero: look into their files.", epilog=EPILOG
    )
    parser.add_argument("--version", action=ShowVersion)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    inspect = commands.add_parser(
        "inspect",
        help="what a net file holds",
        description="Show a net's architecture, heads, encoding, training steps, sha256 and the "
        "health of its batch norms.",
        epilog=INSPECT_EXAMPLES,
    )
    inspect.add_argument("net", metavar="NET", help="a .pb.gz or .pb file")
    inspect.add_argument("--json", action="store_true", help="one JSON document on stdout")
    inspect.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an error"
    )
    inspect.set_defaults(execute=_inspect, parser=inspect)
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    from swa.net import load_net

    description = describe(load_net(arguments.net))
    lines = [json.dumps(description, indent=2)] if arguments.json else _table(description)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def describe(net: Net) -> dict[str, Any]:
    """All that ``swa inspect --json`` says of a net.

    ``se`` is the width of the squeeze, 0 without; ``parameters`` counts learned numbers, so not
    the means and variances; ``batch_norm`` is null where it is folded into the convolutions.
    """
    from dataclasses import asdict

    from swa.net import batch_norm_health

    spec, health = net.spec, batch_norm_health(net)
    return {
        "name": net.name,
        "format": net.format,
        "network": net.network,
        "blocks": spec.blocks,
        "filters": spec.filters,
        "se": spec.se,
        "policy": str(spec.policy.kind),
        "value": str(spec.value.kind),
        "moves_left": spec.moves_left is not None,
        "input_format": int(spec.input_format),
        "activation": str(spec.activation),
        "encoding": net.encoding,
        "min_version": ".".join(map(str, net.min_version)),
        "training_steps": net.training_steps,
        "parameters": net.parameters,
        "sha256": net.sha256,
        "batch_norm": {
            "dead_channels": sum(layer.dead for layer in health),
            "layers": [asdict(layer) for layer in health],
        }
        if health
        else None,
    }


def _table(description: dict[str, Any]) -> list[str]:
    """The same in words, a line a fact, and a line a batch norm."""
    batch_norm = description.pop("batch_norm")
    width = max(map(len, description))
    lines = [f"{key.replace('_', ' '):<{width}}  {_word(v)}" for key, v in description.items()]
    if batch_norm is None:
        return [*lines, f"{'batch norm':<{width}}  folded into the convolutions"]
    channels = sum(layer["channels"] for layer in batch_norm["layers"])
    lines += [
        f"{'batch norm':<{width}}  {batch_norm['dead_channels']} of {channels} channels dead "
        "(variance below 1e-5)",
        "",
        f"{'layer':<16}{'channels':>9}{'dead':>6}{'variance':>22}{'mean':>22}",
    ]
    for layer in batch_norm["layers"]:
        variance = f"{layer['variance_min']:.3g} .. {layer['variance_max']:.3g}"
        mean = f"{layer['mean_min']:.3g} .. {layer['mean_max']:.3g}"
        lines.append(
            f"{layer['name']:<16}{layer['channels']:>9}{layer['dead']:>6}{variance:>22}{mean:>22}"
        )
    return lines


def _word(value: Any) -> str:
    if value is None:
        return "not told"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
