"""``swa inspect``: what a net file holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from swa.commands.output import add_output_flags, take_net, write_json, write_text

if TYPE_CHECKING:
    from swa.net import Net

EXAMPLES = """\
examples:
  swa inspect maia-1500.pb.gz
  swa inspect maia-1500.pb.gz --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "inspect",
        help="what a net file holds",
        description="Show a net's architecture, heads, encoding, training steps, sha256 and the "
        "health of its batch norms.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "net", metavar="NET", help="a .pb.gz, .pb, .txt.gz or .txt file, or latest:DIR"
    )
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Read and show."""
    from swa.net import load_net

    description = describe(load_net(take_net(arguments.net)))
    if arguments.json:
        write_json(description)
    else:
        write_text(_table(description))
    return 0


def describe(net: Net) -> dict[str, Any]:
    """All that ``swa inspect --json`` says of a net.

    ``se`` is the width of the squeeze, 0 without; ``parameters`` counts learned numbers, so not
    the means and variances; ``batch_norm`` is null where it is folded into the convolutions, and
    where an attention body has none. ``attention`` is that body, null without: ``blocks`` and
    ``filters`` are 0 where it does not stand on a tower. ``policy_head`` and ``value_head`` are
    those that play where nothing else is said.
    """
    from dataclasses import asdict

    from swa.licence import licence_text
    from swa.net import batch_norm_health

    spec, health = net.spec, batch_norm_health(net)
    return {
        "name": net.name,
        "format": net.format,
        "network": net.network,
        "blocks": spec.blocks,
        "filters": spec.filters,
        "se": spec.se,
        "attention": asdict(spec.attention) if spec.attention else None,
        "policy": str(spec.policy.kind),
        "policy_head": spec.policy_head,
        "policy_heads": [name for name, _ in spec.policies] or [spec.policy_head],
        "value": str(spec.value.kind),
        "value_head": spec.value_head,
        "value_heads": [name for name, _ in spec.values] or [spec.value_head],
        "moves_left": spec.moves_left is not None,
        "input_format": int(spec.input_format),
        "activation": str(spec.activation),
        "encoding": net.encoding,
        "min_version": ".".join(map(str, net.min_version)),
        "training_steps": net.training_steps,
        "licence": licence_text(net.message),
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
    from swa.licence import shorten_licence

    licence = description["licence"]
    description["licence"] = licence and shorten_licence(licence)
    batch_norm, body = description.pop("batch_norm"), description["attention"]
    description["attention"] = body and _body(body)
    width = max(map(len, description))
    if body is None:
        del description["attention"]
    lines = [f"{key.replace('_', ' '):<{width}}  {_word(v)}" for key, v in description.items()]
    if batch_norm is None:
        convolutional = description["filters"] > 0
        why = "folded into the convolutions" if convolutional else "none: no convolutions"
        return [*lines, f"{'batch norm':<{width}}  {why}"]
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


def _body(body: dict[str, Any]) -> str:
    """An attention body in words: "2 encoders of 32, 4 heads, smolgen, gates, pe_map"."""
    encoder = body["encoder"]
    parts = [f"{body['encoders']} encoders of {body['size']}", f"{encoder['heads']} heads"]
    parts += ["smolgen"] if encoder["smolgen"] else []
    parts += ["gates"] if body["gates"] else []
    return ", ".join([*parts, str(body["embedding"])])


def _word(value: Any) -> str:
    if value is None:
        return "not told"
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
