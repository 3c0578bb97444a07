"""From snapshots of one run to an averaged net that plays: average, refresh, check, write.

Averaging is a matter of seconds, and leaves batch norms that fit no net; the refresh makes them
those of the averaged net, exactly; the guard looks at what came of it before anything is written.
The net and its manifest (``swa.manifest``) are written together, at the very end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from swa.averaging import Weights, greedy_soup, shares, weighted_mean
from swa.batches import Batch
from swa.build_checks import (
    SAMPLE,
    Failure,
    StraightLine,
    bad_losses,
    broken_statistics,
    straight_line,
)
from swa.build_config import BuildConfig, BuildError
from swa.build_data import BuildData, survey
from swa.build_files import check_outputs, write_build
from swa.build_records import describe
from swa.cores import usable_cores
from swa.evaluation import Evaluation, evaluate
from swa.ingredients import (
    SAME_RUN_COSINE,
    AveragedNet,
    Similarity,
    average_nets,
    check_licences,
    check_order,
    check_same_kind,
    check_same_run,
)
from swa.manifest import Manifest, RuleRecord
from swa.net import Net, SavedNet, load_net, pack_net
from swa.refresh import Dtype, Method, Planes, Progress, Report, refresh
from swa.rules import make_rule
from swa.spec import NetError
from swa.weights_writer import check_writable

_REMEDIES = {
    "run": "Their average would play like neither. Average snapshots of one run, or add --force.",
    "barrier": "Their average would play like neither. Average snapshots of one run, or add "
    "--force.",
    "statistics": "Nothing was written. Refresh on more data, or add --force.",
    "explosion": "Nothing was written. Leave out bad snapshots, or add --force.",
    "loss": "Nothing was written. Leave out bad snapshots, give more data, or add --force.",
}


class RefusedError(BuildError):
    """A build that the guard does not let pass: ``failures`` says why."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        lines = [f"refused ({failure.check}): {failure.reason}" for failure in failures[:2]]
        if len(failures) > 2:
            lines[1] = f"and {len(failures) - 1} more failed checks"
        super().__init__("\n".join([*lines, _REMEDIES[failures[0].check]]))
        self.failures = tuple(failures)


@dataclass(frozen=True, slots=True)
class Step:
    """What a build is at: a few words, and how far that is, where it is known."""

    what: str
    done: int = 0
    of: int | None = None


Notify = Callable[[Step], None]


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What was written."""

    saved: SavedNet
    manifest: Manifest
    manifest_path: Path
    evaluation: Evaluation | None = None  # of this build; None where it was made from a manifest


def build(
    config: BuildConfig,
    *,
    command: Sequence[str] = (),
    config_file: Path | None = None,
    notify: Notify | None = None,
) -> Built:
    """Make a net as ``config`` says, and write it with its manifest; ``command`` goes into that.

    ``config_file`` is where settings were read from: no input is overwritten, nor is that.

    Interrupted at any moment, nothing has been written but the refresh's progress
    (``config.progress``), from which the same build goes on, to the same bytes.

    Raises RefusedError where the guard finds the net bad, unless ``config.force``; NetError,
    RecordError and BuildError for nets, data and settings that cannot be used, naming them.
    """
    notify = notify or (lambda _: None)
    inputs = [
        *config.nets,
        *config.data,
        *config.eval_data,
        *([config_file] if config_file else []),
    ]
    check_outputs(config.output, inputs, config.overwrite)
    guard = _Guard(config.force)
    nets, rule, weights = _read_nets(config, guard)
    notify(Step("looking through the data"))
    data = survey(
        config.data,
        share=config.share,
        select=config.rule == "soup",
        eval_data=config.eval_data,
        positions=config.positions,
        eval_positions=config.eval_positions,
        input_format=nets[0].spec.input_format,
    )
    inputs += [file.path for file in (*data.files, *data.eval_files)]
    check_outputs(config.output, inputs, config.overwrite)
    lab = _Lab(config, data, notify)
    if config.rule == "soup":
        rule, weights = _soup(nets, lab)
    average = average_nets(nets, weights, force=True)
    used = [net for net, weight in zip(nets, weights, strict=True) if weight]
    line = _line(average.similarity, used, lab)
    guard.take(line.failures if line else [])
    try:
        net, report = _refresh_all(average, config, data, notify)
        guard.take(broken_statistics(net, used))
        packed = pack_net(net, config.output, encoding=config.encoding, licence=config.licence)
        evaluation = _evaluate_all(packed.net, average.net, used, report, lab)
        guard.take(bad_losses(evaluation, evaluation.nets[-len(used) :]))
    except RefusedError:
        config.progress.unlink(missing_ok=True)
        raise
    manifest = describe(
        config,
        command=command,
        nets=nets,
        average=average,
        rule_weights=weights,
        rule=rule,
        data=data,
        report=report,
        threads=lab.threads,
        line=line,
        failures=guard.failures,
        evaluation=evaluation,
        packed=packed,
    )
    check_outputs(config.output, inputs, config.overwrite)  # hours may have passed
    write_build(packed, manifest, config.manifest)
    config.progress.unlink(missing_ok=True)
    return Built(packed.saved, manifest, config.manifest, evaluation)


class _Guard:
    """Takes what checks found: stops the build at once, or notes it where it is forced."""

    def __init__(self, force: bool) -> None:
        self._force = force
        self.failures: list[Failure] = []

    def take(self, failures: Sequence[Failure]) -> None:
        """Raise RefusedError for any failure unless forced."""
        if failures and not self._force:
            raise RefusedError(failures)
        self.failures += failures


def _read_nets(
    config: BuildConfig, guard: _Guard
) -> tuple[list[Net], RuleRecord, tuple[float, ...]]:
    """The ingredients, which belong together, the rule and the weights that it gives them."""
    nets = [load_net(path) for path in config.nets]
    check_writable(nets[0].spec)
    check_same_kind(nets)
    check_order(config.rule, nets)
    rule, weights = _rule_of(config, len(nets))
    used = [net for net, weight in zip(nets, weights, strict=True) if weight]
    guard.take(_other_run(check_same_run(used, force=config.force)))
    if config.licence is None:
        check_licences(used)
    return nets, rule, weights


def _rule_of(config: BuildConfig, count: int) -> tuple[RuleRecord, tuple[float, ...]]:
    """The rule as the manifest has it, and what weights it gives; of a soup all alike so far."""
    rule = make_rule(config.rule, config.rule_settings)
    weights = rule.proportions(count) if config.weights is None else config.weights
    portions = shares(weights, count)  # raises where they cannot be
    # One that is nothing beside the others has no share.
    used = tuple(weight if share else 0.0 for weight, share in zip(weights, portions, strict=True))
    return RuleRecord(config.rule, asdict(rule)), used  # type: ignore[call-overload]


def _other_run(similarity: Similarity | None) -> list[Failure]:
    if similarity is None or similarity.cosine >= SAME_RUN_COSINE:
        return []
    return [
        Failure(
            "run",
            f"the cosine between {similarity.one.name} and {similarity.other.name} is "
            f"{similarity.cosine:.3f}, in one run it is above {SAME_RUN_COSINE}",
        )
    ]


class _Lab:
    """Measures nets on the data of a build."""

    def __init__(self, config: BuildConfig, data: BuildData, notify: Notify) -> None:
        self.threads = config.threads or usable_cores()
        self.data = data
        self._config, self._notify = config, notify
        self._sample: list[Planes] | None = None

    @property
    def sample(self) -> list[Planes]:
        """The refresh's first positions."""
        if self._sample is None:
            self._sample = list(self.data.planes(SAMPLE))
        return self._sample

    def losses(self, what: str, nets: Sequence[Net], *, resamples: int = 0) -> Evaluation:
        """Evaluate nets on the positions for losses."""
        of = self.data.loss_positions
        return self._evaluate(what, nets, self.data.batches(), of, resamples)

    def to_choose(self, what: str, nets: Sequence[Net]) -> Evaluation:
        """Evaluate nets on the held-out positions that are for a choice among them."""
        of = self.data.selection_positions
        return self._evaluate(what, nets, self.data.selection_batches(), of, 0)

    def on_sample(self, what: str, nets: Sequence[Net]) -> Evaluation:
        """Evaluate nets on the sample."""
        of = min(SAMPLE, self.data.refresh_positions)
        return self._evaluate(what, nets, self.data.refresh_batches(SAMPLE), of, 0)

    def _evaluate(
        self, what: str, nets: Sequence[Net], batches: Iterator[Batch], of: int, resamples: int
    ) -> Evaluation:
        return evaluate(
            nets,
            batches,
            device=self._config.device,
            threads=self.threads,
            resamples=resamples,
            progress=lambda done: self._notify(Step(what, done, of)),
        )

    def mixed(self, one: Net, weights: Weights) -> Net:
        """A net of the kind of ``one``, with its batch norm refreshed on the sample."""
        rounded = {name: values.astype(np.float32) for name, values in weights.items()}
        if one.spec.batch_norm:
            rounded = refresh(
                one.spec,
                rounded,
                self.sample,
                device=self._config.device,
                threads=self.threads,
                work_dir=self._config.work_dir,
            ).weights
        return replace(one, weights=MappingProxyType(rounded), path=Path("mixture"))


def _soup(nets: Sequence[Net], lab: _Lab) -> tuple[RuleRecord, tuple[float, ...]]:
    """What a greedy soup takes; mixtures have their batch norm refreshed before they are judged."""

    def loss(weights: Weights) -> float:
        alone = next((net for net in nets if net.weights is weights), None)
        tried = alone or lab.mixed(nets[0], weights)
        return lab.to_choose("choosing what goes into the soup", [tried]).nets[0].loss

    soup = greedy_soup([net.weights for net in nets], loss)
    weights = tuple(float(place in soup.chosen) for place in range(len(nets)))
    settings = {
        "chosen": list(soup.chosen),
        "losses": list(soup.losses),
        "positions": lab.data.selection_positions,
    }
    return RuleRecord("soup", settings), weights


def _line(similarity: Similarity | None, used: Sequence[Net], lab: _Lab) -> StraightLine | None:
    """The loss along the line between the two least alike; None where there are no two."""
    if similarity is None:
        return None
    one, other = (
        next(net for net in used if net.path == path) for path in (similarity.one, similarity.other)
    )
    midpoint = lab.mixed(one, weighted_mean([one.weights, other.weights], [1, 1]))
    what = "checking the straight line between the two least alike"
    return straight_line(one, other, midpoint, lambda nets: lab.on_sample(what, nets))


class RefreshSettings(NamedTuple):
    """What decides a refresh's bits, beside net and data."""

    method: Method
    device: str
    dtype: Dtype | None
    threads: int


def refresh_net(
    net: Net,
    data: BuildData,
    settings: RefreshSettings,
    *,
    work_dir: Path | None,
    state: Path,
    notify: Notify,
) -> tuple[Net, Report]:
    """A net with refreshed batch norms, and the report. Raises what ``refresh`` does."""
    positions = data.refresh_positions

    def tell(progress: Progress) -> None:
        of = progress.of or positions
        done = progress.layer * of + progress.positions
        layer = f"refreshing batch norm, layer {progress.layer + 1} of {progress.layers}"
        notify(Step(layer, done, progress.layers * of))

    found = refresh(
        net.spec,
        net.weights,
        data.planes(),
        method=settings.method,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        work_dir=work_dir,
        state=state if settings.method == "exact" else None,
        progress=tell,
    )
    return replace(net, weights=MappingProxyType(found.weights)), found.report


def _refresh_all(
    average: AveragedNet, config: BuildConfig, data: BuildData, notify: Notify
) -> tuple[Net, Report | None]:
    if not average.net.spec.batch_norm:
        return average.net, None
    method: Any = "averaged" if config.refresh == "none" else config.refresh
    settings = RefreshSettings(method, config.device, None, config.threads or usable_cores())
    return refresh_net(
        average.net,
        data,
        settings,
        work_dir=config.work_dir,
        state=config.progress,
        notify=notify,
    )


def _evaluate_all(
    built: Net, average: Net, used: Sequence[Net], report: Report | None, lab: _Lab
) -> Evaluation:
    """Evaluate the built net, the one before its refresh where there was one, the ingredients."""
    from swa.bootstrap import RESAMPLES

    what = "measuring losses"
    if report is not None and report.method != "averaged":
        stale = replace(average, name="averaged, not refreshed")
        try:
            return lab.losses(what, [built, stale, *used], resamples=RESAMPLES)
        except NetError:  # batch norm that fits nothing can make numbers overflow
            pass
    return lab.losses(what, [built, *used], resamples=RESAMPLES)
