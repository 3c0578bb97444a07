"""``swa average``: several net files into one, batch norm not refreshed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swa.commands.output import (
    add_file_flags,
    add_output_flags,
    add_rules,
    saved_as_json,
    saved_lines,
    take_nets,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from swa.averaging import Rule
    from swa.ingredients import AveragedNet

EXAMPLES = """\
examples:
  swa average run-*.pb.gz -o mean.pb.gz
  swa average a.pb.gz b.pb.gz -o ab.pb.gz --weights 3 1
  swa average run-1.pb.gz run-2.pb.gz run-3.pb.gz -o ema.pb.gz --rule ema
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "average",
        help="several nets into one, batch norm not refreshed",
        description="Average the weights of nets, by name, in float64, and round once. Means and "
        "variances of batch norms are averaged like the rest: they fit the new net badly until "
        "they are computed again from data, which is what `swa build` does. Nets of different "
        "kinds are refused, and nets of different runs unless forced.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "nets",
        metavar="NET",
        nargs="+",
        type=Path,
        help=".pb.gz or .pb files; for ema, lczero and lawa from the oldest to the newest; "
        "latest:DIR:K are the last K of a run (swa latest --help)",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="a new .pb.gz or .pb file"
    )
    add_rules(parser)
    add_file_flags(parser)
    parser.add_argument(
        "--force", action="store_true", help="average nets of different runs all the same"
    )
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Read, average, write, show."""
    from swa.ingredients import average_nets, check_licences, check_order
    from swa.net import check_output, load_net, save_net

    rule = _rule(arguments)
    arguments.nets = take_nets(arguments.nets)
    check_output(arguments.output, inputs=arguments.nets, overwrite=arguments.overwrite)
    weights = arguments.weights or rule.proportions(len(arguments.nets))
    nets = [load_net(path) for path in arguments.nets]
    check_order(arguments.rule, nets)
    average = average_nets(nets, weights, force=arguments.force)
    if arguments.licence is None:
        shares = [ingredient.weight for ingredient in average.ingredients]
        check_licences([net for net, share in zip(nets, shares, strict=True) if share])
    saved = save_net(
        average.net,
        arguments.output,
        encoding=arguments.encoding,
        licence=arguments.licence,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        write_json(saved_as_json(saved) | as_json(average, arguments.rule))
    else:
        write_text([*_lines(average), *saved_lines(saved), *_warning(average)])
    return 0


def _rule(arguments: argparse.Namespace) -> Rule:
    """The rule with its settings; an error of usage where a flag is of another rule."""
    from swa.rules import RULE_OF_SETTING, make_rule

    given = {setting: getattr(arguments, setting) for setting in RULE_OF_SETTING}
    for setting, rule in RULE_OF_SETTING.items():
        if given[setting] is not None and arguments.rule != rule:
            arguments.parser.error(f"--{setting.replace('_', '-')} goes with --rule {rule}")
    return make_rule(arguments.rule, given)


def as_json(average: AveragedNet, rule: str) -> dict[str, Any]:
    """What ``swa average --json`` says beyond ``saved_as_json``.

    ``rule``; ``ingredients``: for each ``path``, ``sha256``, ``weight`` (they add up to 1) and
    ``training_steps``; ``least_alike``: ``cosine`` between the convolutions of the two nets ``one``
    and ``other``, null for a single net; ``batch_norm``: "averaged", or null where there is none.
    """
    alike = average.similarity
    return {
        "rule": rule,
        "ingredients": [
            {
                "path": str(ingredient.path),
                "sha256": ingredient.sha256,
                "weight": ingredient.weight,
                "training_steps": ingredient.training_steps,
            }
            for ingredient in average.ingredients
        ],
        "least_alike": alike
        and {"cosine": alike.cosine, "one": str(alike.one), "other": str(alike.other)},
        "batch_norm": "averaged" if average.net.spec.batch_norm else None,
    }


def _lines(average: AveragedNet) -> list[str]:
    lines = [f"{'weight':>8}{'steps':>12}  net"]
    for ingredient in average.ingredients:
        steps = "" if ingredient.training_steps is None else f"{ingredient.training_steps:,}"
        lines.append(f"{ingredient.weight:>8.4g}{steps:>12}  {ingredient.path}")
    if average.similarity:
        alike = average.similarity
        lines.append(f"least alike: {alike.one} and {alike.other}, cosine {alike.cosine:.3f}")
    return lines


def _warning(average: AveragedNet) -> list[str]:
    if not average.net.spec.batch_norm:
        return []
    return [
        "batch norm: averaged, not refreshed: the net plays below its strength until its means and",
        "variances are computed again from data (swa build)",
    ]
