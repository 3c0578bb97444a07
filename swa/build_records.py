"""A build put into the words of its manifest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swa import provenance
from swa.build_checks import Failure, StraightLine
from swa.build_config import BuildConfig
from swa.build_data import BuildData, DataFile
from swa.evaluation import Evaluation, NetEvaluation
from swa.ingredients import AveragedNet
from swa.manifest import (
    FORMAT,
    ChecksRecord,
    DataRecord,
    FileRecord,
    IngredientRecord,
    LossesRecord,
    LossRecord,
    Manifest,
    OutputRecord,
    RefreshRecord,
    RuleRecord,
    finite,
)
from swa.net import Net, PackedNet
from swa.refresh import Report


def describe(
    config: BuildConfig,
    *,
    command: Sequence[str],
    nets: Sequence[Net],
    average: AveragedNet,
    rule_weights: Sequence[float],
    rule: RuleRecord,
    data: BuildData,
    report: Report | None,
    threads: int,
    line: StraightLine | None,
    failures: Sequence[Failure],
    evaluation: Evaluation,
    packed: PackedNet,
) -> Manifest:
    """The manifest of a build that is about to be written."""
    folder = config.output.parent
    return Manifest(
        format=FORMAT,
        command=tuple(command),
        output=output_record(packed, config.encoding, config.licence),
        ingredients=_ingredients(nets, average, rule_weights, folder),
        rule=rule,
        data=_data(data, folder),
        refresh=refresh_record(report, threads),
        checks=_checks(config, average, line, failures),
        losses=_losses(evaluation, data),
        versions=provenance.versions(),
    )


def output_record(packed: PackedNet, encoding: str | None, licence: str | None) -> OutputRecord:
    """The file, and what was asked of it."""
    saved = packed.saved
    return OutputRecord(
        name=saved.path.name,
        sha256=saved.sha256,
        payload_sha256=packed.payload_sha256,
        bytes=saved.size,
        encoding=saved.encoding,
        encoding_asked=encoding,
        licence_asked=licence,
        min_version=".".join(map(str, saved.min_version)),
        training_steps=packed.net.training_steps,
        rounding=saved.losses,
    )


def refresh_record(report: Report | None, threads: int) -> RefreshRecord:
    """How batch norm was refreshed, if there is any."""
    if report is None:
        return RefreshRecord("none", "none", "cpu", "float32", threads, 0, ())
    return RefreshRecord(
        report.method,
        report.evaluator,
        report.device,
        report.dtype,
        threads,
        report.positions,
        report.layers,
    )


def relative_to(folder: Path, path: Path) -> str:
    """A path as a manifest in ``folder`` has it.

    Folders are told by their real names, as ".." leads out of the real one; the file keeps the
    name that it was given by, which decides whether a game is held out.
    """
    real = path.parent.resolve() / path.name
    return Path(os.path.relpath(real, folder.resolve())).as_posix()


def _ingredients(
    nets: Sequence[Net], average: AveragedNet, rule_weights: Sequence[float], folder: Path
) -> tuple[IngredientRecord, ...]:
    return tuple(
        IngredientRecord(
            path=relative_to(folder, net.path),
            name=net.name,
            sha256=net.sha256,
            training_steps=net.training_steps,
            weight=ingredient.weight,
            rule_weight=weight,
            licence=_licence(net),
        )
        for net, ingredient, weight in zip(nets, average.ingredients, rule_weights, strict=True)
    )


def _licence(net: Net) -> str:
    message: Any = net.message
    return bytes(message.license).decode(errors="replace")


def _data(data: BuildData, folder: Path) -> DataRecord:
    both = [counts for counts in (data.counts, data.eval_counts) if counts is not None]
    skipped: dict[str, int] = {}
    for counts in both:
        for damage, count in sorted(counts.skipped.items()):
            skipped[str(damage)] = skipped.get(str(damage), 0) + count
    return DataRecord(
        held_out_below=f"{data.held_out_below:x}",
        refresh_positions=data.refresh_positions,
        held_out_positions=data.held_out_positions,
        games=sum(file.games for file in (*data.files, *data.eval_files)),
        truncated=sum(counts.truncated for counts in both),
        skipped=skipped,
        files=tuple(_file(file, folder) for file in data.files),
        eval_files=tuple(_file(file, folder) for file in data.eval_files),
        refresh_games=data.refresh_games,
    )


def _file(file: DataFile, folder: Path) -> FileRecord:
    return FileRecord(
        relative_to(folder, file.path),
        file.sha256,
        file.games,
        file.refresh_positions,
        file.held_out_positions,
    )


def _checks(
    config: BuildConfig,
    average: AveragedNet,
    line: StraightLine | None,
    failures: Sequence[Failure],
) -> ChecksRecord:
    alike = average.similarity
    failed: dict[str, str] = {}
    for failure in failures:
        failed.setdefault(failure.check, failure.reason)
    return ChecksRecord(
        forced=config.force,
        cosine=alike.cosine if alike else None,
        least_alike=(alike.one.name, alike.other.name) if alike else (),
        barrier=line.barrier if line else None,
        barrier_losses=(line.losses[0], line.midpoint, line.losses[1]) if line else (),
        failed=failed,
    )


def _losses(evaluation: Evaluation, data: BuildData) -> LossesRecord:
    roles = ["built", *["ingredient"] * (len(evaluation.nets) - 1)]
    for place, net in enumerate(evaluation.nets[1:], start=1):
        if not net.net.sha256:  # it comes from no file
            roles[place] = "averaged"
    return LossesRecord(
        on="held-out" if data.held_out_positions else "refresh",
        positions=evaluation.positions,
        games=evaluation.games,
        policy_entropy=evaluation.policy_entropy,
        policy_uniform=evaluation.policy_uniform,
        nets=tuple(_loss(role, net) for role, net in zip(roles, evaluation.nets, strict=True)),
    )


def _loss(role: str, net: NetEvaluation) -> LossRecord:
    metrics = {name: estimate.value for name, estimate in net.metrics.items()}
    if net.ece is not None:
        metrics["value_ece"] = net.ece
    differences: dict[str, tuple[float | None, ...]] = {}
    if net.to_first is not None:
        for name, (value, low, high) in net.to_first.metrics.items():
            # Theirs is this net's minus the built one's; here it is the other way round.
            ends = (None, None) if low is None or high is None else (-high, -low)
            differences[name] = (-value, *ends)
    return LossRecord(role, net.net.name, net.loss, finite(metrics), differences)
