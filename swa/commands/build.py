"""``swa build``: snapshots of a run into one net, batch norm refreshed, checked, on record."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swa.commands.output import (
    add_file_flags,
    add_output_flags,
    add_rules,
    saved_as_json,
    saved_lines,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from swa.build import Built, Step
    from swa.manifest import LossesRecord, LossRecord, Manifest
    from swa.rebuild import Rebuilt

EXAMPLES = """\
examples:
  swa build --nets run-*.pb.gz --data games/ -o mean.pb.gz
  swa build run.toml -o ema.pb.gz --rule ema --scale 4
  swa build --nets a.pb.gz b.pb.gz --data games/ --eval-data later/ -o ab.pb.gz
  swa build --from-manifest mean.pb.gz.json -o again.pb.gz --search games/

The file's keys are the flags: nets = ["a.pb.gz", "b.pb.gz"], held-out = 0.05
Ctrl-C is safe: the same command goes on with the refresh where it stopped.
"""

METHODS = ("exact", "pooled", "mean-of-batches", "running-average", "averaged", "none")

WITH_MANIFEST = ("output", "force", "overwrite", "work_dir", "device")
"""Settings that go with ``--from-manifest``; it brings all others itself."""

FEW_GAMES = 30
"""As in ``swa eval``: below it intervals come out too narrow."""

LAYERS_SHOWN = 5
SECONDS_BETWEEN = 0.5  # updates of the line of progress on a terminal


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "build",
        help="several nets into one that plays: average, refresh batch norm, check",
        description="Average snapshots of one run, compute the means and variances of batch norms "
        "anew from training records, exactly, check that the net is none the worse for it, and "
        "write it with a manifest (OUT.json) of all that went in. Snapshots of different runs, and "
        "a net that is worse than the worst of them, are refused.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "config", metavar="CONFIG.toml", nargs="?", type=Path, help="settings; flags given here win"
    )
    parser.add_argument(
        "--nets",
        metavar="NET",
        nargs="+",
        type=Path,
        help=".pb.gz or .pb files; for ema, lczero and lawa from the oldest to the newest",
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a new .pb.gz or .pb file")
    add_rules(parser, {"soup": "greedy soup, each net that does not raise the loss"}, default=None)
    _add_data(parser)
    _add_refresh(parser)
    _add_writing(parser)
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="training records, V3 to V7: folders, .gz files of a game each, tars of these",
    )
    group.add_argument(
        "--positions", metavar="N", type=_count, help="refresh on the first N only (default: all)"
    )
    group.add_argument(
        "--eval-data",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="held-out records, for losses (default: a share of the games of --data)",
    )
    group.add_argument(
        "--held-out",
        metavar="SHARE",
        type=float,
        help="that share, chosen by a hash of the file's name and never refreshed on; 0: losses "
        "are told by the refresh's own positions (default: 0.1)",
    )
    group.add_argument(
        "--eval-positions", metavar="N", type=_count, help="losses on N only (default: all)"
    )


def _add_refresh(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("batch norm")
    group.add_argument(
        "--refresh",
        choices=METHODS,
        metavar="METHOD",
        help="exact: layer by layer over all positions (the default); the others are for "
        "comparison: pooled (KataGo), mean-of-batches (PyTorch), running-average (leela-zero), "
        "averaged, the same as none (lczero)",
    )
    group.add_argument("--device", help="auto, cpu, cuda, mps or torch's name (default: auto)")
    group.add_argument(
        "--threads", metavar="N", type=_count, help="of the CPU (default: all cores)"
    )
    group.add_argument(
        "--work-dir",
        metavar="DIR",
        type=Path,
        help="for the refresh's progress and what does not fit into memory (default: beside OUT, "
        "and where temporary files go)",
    )


def _add_writing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("writing")
    add_file_flags(group)
    group.add_argument("--licence", metavar="TEXT", help="(default: the newest net's)")
    group.add_argument(
        "--force", action="store_true", help="write the net whatever the checks say of it"
    )
    group.add_argument(
        "--from-manifest",
        metavar="FILE",
        type=Path,
        help="make the net of a manifest again, to the same bytes; with -o",
    )
    group.add_argument(
        "--search",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="with --from-manifest: where to look for nets and data that were moved",
    )


def _count(word: str) -> int:
    number = int(word) if word.isascii() and word.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 1")
    return number


def execute(arguments: argparse.Namespace) -> int:
    """Build or build again; show."""
    given = _given(arguments)
    command = ["swa", *arguments.words]
    if arguments.from_manifest is not None:
        return _rebuild(arguments, given, command)
    if arguments.search is not None:
        arguments.parser.error("--search goes with --from-manifest")
    from swa.build import build
    from swa.build_config import make_config

    config = make_config(given, arguments.config)
    with _progress() as notify:
        built = build(config, command=command, notify=notify)
    if arguments.json:
        write_json(as_json(built))
    else:
        write_text(_lines(built))
    return 0


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags, by name."""
    from dataclasses import fields

    from swa.build_config import BuildConfig

    found = {}
    for setting in fields(BuildConfig):
        value = getattr(arguments, setting.name)
        if value is not None and value is not False:
            found[setting.name] = tuple(value) if isinstance(value, list) else value
    return found


def _rebuild(arguments: argparse.Namespace, given: dict[str, Any], command: list[str]) -> int:
    error = arguments.parser.error
    if arguments.config is not None:
        error("--from-manifest brings its own settings: leave CONFIG.toml out")
    for name in given.keys() - {*WITH_MANIFEST}:
        error(f"--from-manifest brings its own --{name.replace('_', '-')}: leave that out")
    if "output" not in given:
        error("-o is missing")
    from swa.rebuild import rebuild

    with _progress() as notify:
        rebuilt = rebuild(
            arguments.from_manifest,
            search=arguments.search or (),
            command=command,
            notify=notify,
            **given,
        )
    if arguments.json:
        same = {"same_bytes": rebuilt.same_bytes, "same_net": rebuilt.same_net}
        versions = {name: list(pair) for name, pair in rebuilt.versions.items()}
        write_json(as_json(rebuilt.built) | same | {"versions_differ": versions})
    else:
        write_text([*saved_lines(rebuilt.built.saved), *_sameness(rebuilt)])
    return 0


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """Say on stderr what is done: each step a line, on a terminal with how far it is."""
    terminal = sys.stderr.isatty()
    stage, shown = "", 0.0

    def show(step: Step) -> None:
        nonlocal stage, shown
        name = step.what.partition(",")[0]
        if name != stage:
            stage, shown = name, 0.0
            if not terminal:
                sys.stderr.write(f"{name}\n")
                sys.stderr.flush()
        if terminal and time.monotonic() - shown > SECONDS_BETWEEN:
            shown = time.monotonic()
            far = f": {step.done / step.of:.0%}" if step.of else ""
            sys.stderr.write(f"\r\033[K{step.what}{far}")
            sys.stderr.flush()

    try:
        yield show
    except KeyboardInterrupt:
        sys.stderr.write("\nnothing was written; the same command goes on from here\n")
        raise
    finally:
        if terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


# --- for scripts ---


def as_json(built: Built) -> dict[str, Any]:
    """What ``swa build --json`` says: ``saved_as_json``, ``manifest`` and all that stands in it.

    ``manifest`` is the path of the manifest, whose keys (``swa.manifest.Manifest``) follow but for
    ``output``: ``format``, ``command``, ``ingredients``, ``rule``, ``data`` without its lists of
    files, ``refresh``, ``checks``, ``losses``, ``versions``. With ``--from-manifest`` there are
    also ``same_bytes``, ``same_net`` (unpacked) and ``versions_differ`` {library: [then, now]}.
    """
    from dataclasses import asdict

    document = asdict(built.manifest)
    del document["output"]
    for files in ("files", "eval_files"):
        document["data"][files] = len(document["data"][files])
    return saved_as_json(built.saved) | {"manifest": str(built.manifest_path)} | document


# --- for people ---


def _lines(built: Built) -> list[str]:
    manifest = built.manifest
    lines = [*_ingredient_lines(manifest), ""]
    if manifest.losses:
        lines += [*_loss_lines(manifest.losses), ""]
    lines += [*_refresh_lines(manifest), ""]
    for check, reason in manifest.checks.failed.items():
        lines.append(f"FORCED in spite of a failed check ({check}): {reason}")
    return [*lines, *saved_lines(built.saved), f"manifest {built.manifest_path}"]


def _ingredient_lines(manifest: Manifest) -> list[str]:
    lines = [f"{'weight':>8}{'steps':>12}  net"]
    for item in manifest.ingredients:
        steps = "" if item.training_steps is None else f"{item.training_steps:,}"
        lines.append(f"{item.weight:>8.4g}{steps:>12}  {item.name}")
    checks = manifest.checks
    if checks.cosine is not None:
        lines.append(f"least alike: {' and '.join(checks.least_alike)}, cosine {checks.cosine:.3f}")
    if checks.barrier is not None:
        one, middle, other = checks.barrier_losses
        lines.append(
            f"policy's loss from one to the other: {one:.4f}, halfway {middle:.4f}, {other:.4f}: "
            f"a barrier of {checks.barrier:+.4f} nats"
        )
    return lines


def _loss_lines(losses: LossesRecord) -> list[str]:
    where = "held-out positions" if losses.on == "held-out" else "positions of the refresh itself"
    names = {"built": "built", "averaged": "averaged, batch norm not refreshed"}
    labels = [names.get(net.role, net.name) for net in losses.nets]
    width = max(map(len, labels))
    lines = [
        f"losses on {losses.positions:,} {where} of {_games(losses.games)}, in nats",
        f"{'':<{width}}{'policy':>9}{'value':>9}{'top-1':>9}   built minus this, 95 % interval "
        "(policy; value)",
    ]
    order = sorted(
        range(len(labels)),
        key=lambda place: ("ingredient", "averaged", "built").index(losses.nets[place].role),
    )
    lines += [_loss_line(losses.nets[place], f"{labels[place]:<{width}}") for place in order]
    if losses.on == "refresh":
        lines.append("note: nothing was held out: losses on the refresh's own data flatter the net")
    if losses.games < FEW_GAMES:
        lines.append(f"note: {_games(losses.games)}: too few for reliable intervals (or any)")
    return lines


def _games(count: int) -> str:
    return "1 game" if count == 1 else f"{count:,} games"


def _loss_line(net: LossRecord, label: str) -> str:
    value = "value_cross_entropy" if "value_cross_entropy" in net.metrics else "value_mse"
    policy = "policy_cross_entropy"
    line = (
        f"{label}{net.metrics[policy]:>9.4f}{net.metrics[value]:>9.4f}"
        f"{net.metrics['policy_accuracy']:>9.2%}"
    )
    if net.role == "built":
        return line
    differences = [_difference(net.built_minus_this[name]) for name in (policy, value)]
    return f"{line}   {'; '.join(differences)}"


def _difference(ends: tuple[float | None, ...]) -> str:
    middle, low, high = ends
    interval = "" if low is None or high is None else f" [{low:+.4f}, {high:+.4f}]"
    return f"{middle:+.4f}{interval}"


def _refresh_lines(manifest: Manifest) -> list[str]:
    refresh = manifest.refresh
    if refresh.method == "none":
        return ["batch norm: none to refresh"]
    if refresh.method == "averaged":
        return ["batch norm: averaged, not refreshed"]
    dead = (
        sum(layer.dead_before for layer in refresh.layers),
        sum(layer.dead_after for layer in refresh.layers),
    )
    worst = sorted(refresh.layers, key=lambda layer: -layer.mean_shift_max)[:LAYERS_SHOWN]
    lines = [
        f"batch norm: {refresh.method} on {refresh.positions:,} positions, {refresh.evaluator} on "
        f"{refresh.device}; dead channels {dead[0]} before, {dead[1]} after",
        f"{'most changed':<16}{'mean shift, sigmas':>20}{'variance ratio':>28}",
        f"{'':<16}{'largest':>10}{'rms':>10}{'least .. median .. most':>28}",
    ]
    for layer in worst:
        ratios = (
            f"{layer.variance_ratio_min:.3g} .. {layer.variance_ratio_median:.3g} .. "
            f"{layer.variance_ratio_max:.3g}"
        )
        lines.append(
            f"{layer.name:<16}{layer.mean_shift_max:>10.3g}{layer.mean_shift_rms:>10.3g}"
            f"{ratios:>28}"
        )
    return lines


def _sameness(rebuilt: Rebuilt) -> list[str]:
    changed = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in rebuilt.versions.items())
    note = [f"versions that differ from the first time: {changed}"] if changed else []
    if rebuilt.same_bytes:
        return ["the same bytes as the first time", *note]
    if rebuilt.same_net:
        return ["the same net, packed into other bytes by another zlib", *note]
    return ["NOT the same net as the first time", *note]
