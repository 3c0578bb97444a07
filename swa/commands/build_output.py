"""What ``swa build`` says: the document for scripts, tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swa.commands.eval_output import note_on_games
from swa.commands.output import saved_as_json, saved_lines

if TYPE_CHECKING:
    from swa.build import Built
    from swa.manifest import LossesRecord, LossRecord, Manifest
    from swa.rebuild import Rebuilt

LAYERS_SHOWN = 5

# --- for scripts ---


def as_json(built: Built, page: Path | None = None) -> dict[str, Any]:
    """What ``swa build --json`` says: ``saved_as_json``, ``manifest`` and all that stands in it.

    ``page`` is the path of the page of pictures, null where it could not be written; ``manifest``
    that of the manifest, whose keys (``swa.manifest.Manifest``) follow but for ``output``:
    ``format``, ``command``, ``ingredients``, ``rule``, ``data`` (with the number of files in place
    of their lists), ``refresh``, ``checks``, ``losses``, ``versions``.
    """
    from dataclasses import asdict

    document = asdict(built.manifest)
    del document["output"]
    for files in ("files", "eval_files"):
        document["data"][files] = len(document["data"][files])
    paths = {"manifest": str(built.manifest_path), "page": str(page) if page else None}
    return saved_as_json(built.saved) | paths | document


def rebuilt_as_json(rebuilt: Rebuilt, page: Path | None = None) -> dict[str, Any]:
    """What it says with ``--from-manifest``: ``as_json``, and how the nets compare.

    ``same_bytes``, ``same_net`` (unpacked), ``versions_differ`` {library: [then, now]}.
    """
    return as_json(rebuilt.built, page) | {
        "same_bytes": rebuilt.same_bytes,
        "same_net": rebuilt.same_net,
        "versions_differ": {name: list(pair) for name, pair in rebuilt.versions.items()},
    }


# --- for people ---


def lines_of(built: Built) -> list[str]:
    """What was averaged, the losses of all nets, the refresh, and where the files are."""
    manifest = built.manifest
    lines = [*_ingredient_lines(manifest), ""]
    if manifest.losses:
        lines += [*_loss_lines(manifest.losses, manifest.rule.settings), ""]
    lines += [*_refresh_lines(manifest), ""]
    for check, reason in manifest.checks.failed.items():
        lines.append(f"FORCED in spite of a failed check ({check}): {reason}")
    return [*lines, *saved_lines(built.saved), f"manifest {built.manifest_path}"]


def page_lines(page: Path | None) -> list[str]:
    """Where the pictures are."""
    return [f"pictures {page}"] if page else []


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


def _loss_lines(losses: LossesRecord, settings: Mapping[str, Any]) -> list[str]:
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
    lines += _worse_than(losses)
    if "positions" in settings:
        lines.append(
            f"note: the soup was chosen by {settings['positions']:,} positions of other held-out "
            "games"
        )
    if losses.on == "refresh":
        lines.append("note: nothing was held out: losses on the refresh's own data flatter the net")
    if note := note_on_games(losses.games):
        lines.append(note)
    return lines


def _worse_than(losses: LossesRecord) -> list[str]:
    """A note for each of what a user would sooner have, where the built net is worse than it."""
    (built,) = (net for net in losses.nets if net.role == "built")
    ingredients = [net for net in losses.nets if net.role == "ingredient"]
    others = [
        (net, "the average before its refresh") for net in losses.nets if net.role == "averaged"
    ]
    if ingredients:
        best = min(ingredients, key=lambda net: net.loss)
        others.append((best, f"the best ingredient, {best.name}"))
    return [
        f"note: the built net is worse than {what}: loss (policy and value) {built.loss:.4f} "
        f"instead of {net.loss:.4f}{_chance(net)}"
        for net, what in others
        if built.loss > net.loss
    ]


def _chance(net: LossRecord) -> str:
    """Whether the built net is worse than this one by more than chance, where that is known."""
    lows = [net.built_minus_this[name][1] for name in ("policy_cross_entropy", _value_of(net))]
    known = [low for low in lows if low is not None]
    if not known:
        return ""
    return ", beyond chance" if max(known) > 0 else ", which may be chance"


def _value_of(net: LossRecord) -> str:
    return "value_cross_entropy" if "value_cross_entropy" in net.metrics else "value_mse"


def _games(count: int) -> str:
    return "1 game" if count == 1 else f"{count:,} games"


def _loss_line(net: LossRecord, label: str) -> str:
    value = _value_of(net)
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
    from swa.bootstrap import FEW_GAMES

    refresh = manifest.refresh
    if refresh.method == "none":
        return ["batch norm: none to refresh"]
    if refresh.method == "averaged":
        return ["batch norm: averaged, not refreshed"]
    dead = (
        sum(layer.dead_before for layer in refresh.layers),
        sum(layer.dead_after for layer in refresh.layers),
    )
    games = manifest.data.refresh_games
    worst = sorted(refresh.layers, key=lambda layer: -layer.mean_shift_max)[:LAYERS_SHOWN]
    lines = [
        f"batch norm: {refresh.method} on {refresh.positions:,} positions of {_games(games)}, "
        f"{refresh.evaluator} on {refresh.device}; dead channels {dead[0]} before, {dead[1]} after",
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
    if games < FEW_GAMES:
        few = "1 game is" if games == 1 else f"{games} games are"
        lines.append(f"note: {few} little to refresh on: positions of a game are alike")
    return lines


def sameness(rebuilt: Rebuilt) -> list[str]:
    """Whether a net came out as the first time."""
    changed = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in rebuilt.versions.items())
    note = [f"versions that differ from the first time: {changed}"] if changed else []
    if rebuilt.same_bytes:
        return ["the same bytes as the first time", *note]
    if rebuilt.same_net:
        return ["the same net, packed into other bytes: by another zlib, or gzipped or not", *note]
    return ["NOT the same net as the first time", *note]
