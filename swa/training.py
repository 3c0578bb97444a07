"""A training run from its first step, or its last checkpoint, to its end.

After each step what falls due is done, in this order: the averages take their snapshots, a line is
written to the log, losses are measured on held-out games, nets are written, then the checkpoint. So
whatever a checkpoint counts as done is on the disk, and what was done after it is done again to the
same bytes: a run that is killed at any moment and started again ends as if it never had been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from swa.batches import Batch
from swa.beginning import first_net
from swa.bootstrap import RESAMPLES
from swa.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from swa.cores import usable_cores
from swa.deciding import THREADS, check_same, deciding_settings
from swa.devices import first_device, is_available, may_have_accelerator
from swa.evaluation import Evaluation, evaluate
from swa.learner import Learner, repeatable
from swa.losses import TrainingPositions
from swa.model import tower, weights_of
from swa.net import Net, load_net
from swa.pace import Clock
from swa.refresh import Planes
from swa.run_averages import AveragedNet, RunAverages, refresher
from swa.run_folder import RunFolder, TrainingError, opened
from swa.schedules import learning_rate
from swa.settings import SettingsError
from swa.spec import InputFormat, NetError
from swa.train_config import TrainConfig

Place = tuple[int, ...]


class Stream(Protocol):
    """Endless batches (``swa.dataset.TrainingStream``)."""

    @property
    def place(self) -> Place:
        """Where the stream stands after the batch it returned last."""

    def __next__(self) -> TrainingPositions:
        """The next batch."""

    def close(self) -> None:
        """Stop reading ahead."""


class RunData(Protocol):
    """The positions of a run (``swa.run_data``)."""

    input_format: InputFormat
    """The net's, in which its positions are read; set before any is."""

    @property
    def digest(self) -> str:
        """Of all that decides which batches come: of other data it is another."""

    def stream(self, place: Place | None) -> Stream:
        """The batches from a place on, or from the beginning."""

    def validation(self) -> Sequence[Batch]:
        """Held-out positions, the same each time."""

    def refresh_planes(self, count: int) -> Planes:
        """So many positions that are trained on, the same each time."""

    @property
    def damage(self) -> str | None:
        """What is wrong with the data that was read so far, in a line; None: nothing is."""


class Log(Protocol):
    """Figures by step (``swa.training_log``)."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Note figures of a step."""

    def flush(self) -> None:
        """Have all on the disk."""

    def close(self) -> None:
        """The same, and write no more."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run is getting on."""

    step: int
    of: int
    losses: Mapping[str, float]  # means since the last time (``swa.learner.COLUMNS``)
    rate: float  # the learning rate
    per_second: float  # positions, of training alone
    seconds_left: float  # with all that is done beside


@dataclass(frozen=True, slots=True)
class Validated:
    """What was found on held-out positions after a step; the first net is the raw one."""

    step: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell the user."""

    text: str


Notify = Callable[[Progress | Validated | Note], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run has come to."""

    step: int
    finished: bool  # False where it was asked to stop before its end
    nets: tuple[Path, ...]  # raw ones that are there, from the oldest to the newest
    averaged: Mapping[str, Path]  # the last of each average
    validated: Validated | None  # after the last step


def train(
    config: TrainConfig,
    data: Callable[[], RunData],
    open_log: Callable[[int], Log],
    *,
    text: str = "",
    notify: Notify = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train as ``config`` says, or go on with what is in its output folder.

    ``open_log`` is given the step that the log is to be gone on from; ``text`` is the
    configuration's own, to be kept beside the result. ``should_stop`` is asked after each step.

    Raises DivergedError where a loss is not finite; TrainingError where the disk is full;
    CheckpointError, NetError, RecordError and SettingsError for what cannot be used. The last good
    checkpoint stays in any case.
    """
    snapshots = config.snapshots
    folder = RunFolder(config.output, config.name, snapshots.keep, snapshots.encoding)
    with opened(folder):
        saved = load_checkpoint(folder.checkpoint) if folder.checkpoint.exists() else None
        threads = config.threads or (saved.settings[THREADS] if saved else usable_cores())
        device = _device(config.device)
        with repeatable(threads, device), ExitStack() as stack:
            try:
                run = _Run(config, data(), folder, saved, notify, device, threads)
                stack.enter_context(closing(run.stream))
                run.log = stack.enter_context(closing(open_log(run.learner.steps)))
                folder.save_config(text)
                if saved is None:
                    run.save_checkpoint()
                else:
                    notify(Note(f"going on after step {saved.step:,}"))
                return run.go_on(should_stop)
            except OSError as error:
                raise _disk_error(error, folder) from error


def _disk_error(error: OSError, folder: RunFolder) -> TrainingError:
    reason = (error.strerror or str(error)).lower()
    kept = "The last checkpoint is intact: the same command goes on from it."
    remedy = kept if folder.checkpoint.exists() else "Nothing has been trained yet."
    return TrainingError(f"{error.filename or folder.path}: {reason}\n{remedy}")


class _Run:
    """A run at work."""

    log: Log  # opened once it is known from which step on

    def __init__(
        self,
        config: TrainConfig,
        data: RunData,
        folder: RunFolder,
        saved: Checkpoint | None,
        notify: Notify,
        device: str,
        threads: int,
    ) -> None:
        self.config, self.data, self.folder, self.notify = config, data, folder, notify
        self.device, self.threads = device, threads
        self.settings = deciding_settings(config, data.digest, threads)
        if saved is not None:
            check_same(saved.settings, self.settings)
        self.net = self._start_net(fresh=saved is None)
        data.input_format = self.net.spec.input_format
        data.validation()  # what is wrong with it is said now, not when it first falls due
        settings = config.training
        module = tower(self.net.spec, self.net.weights)
        self.learner = Learner(module, settings, self.device, config.dtype)
        most = max((average.refresh_positions for average in config.averages), default=0)
        self.averages = RunAverages(
            config.averages,
            refresher(self.net.spec, lambda: data.refresh_planes(most), self.device, threads),
        )
        if saved is not None:
            self.learner.restore(dict(saved.learner), saved.step)
            self.averages.restore(saved.averages)
            if saved.step > settings.total_steps:
                raise SettingsError(
                    f"training.total-steps: {settings.total_steps:,}, but the run has made "
                    f"{saved.step:,} already\nGive more, or choose another output."
                )
        self._damage_is_told = False
        self.stream = data.stream(saved.place if saved else None)
        self.clock = Clock(self.learner.steps, settings.total_steps, settings.batch_size)

    def _start_net(self, *, fresh: bool) -> Net:
        if not fresh:
            return load_net(self.folder.start)
        self.folder.check_fresh()
        return self.folder.save_start(first_net(self.config, lambda text: self.notify(Note(text))))

    def go_on(self, should_stop: Callable[[], bool]) -> Trained:
        """Train to the end, or until asked to stop."""
        settings = self.config.training
        self._prune()
        validated = None
        while self.learner.steps < settings.total_steps:
            rate = learning_rate(
                self.config.learning_rate, settings.total_steps, self.learner.steps
            )
            self.learner.step(next(self.stream), rate)
            validated = self._after_step(rate)
            if should_stop():
                break
        self.save_checkpoint()
        finished = self.learner.steps == settings.total_steps
        return Trained(
            step=self.learner.steps,
            finished=finished,
            nets=tuple(self.folder.nets()),
            averaged={
                average.name: nets[-1]
                for average in self.config.averages
                if (nets := self.folder.nets(average.name))
            },
            validated=validated,
        )

    def _after_step(self, rate: float) -> Validated | None:
        """Do what falls due after a step; what was measured, where it was."""
        step, config = self.learner.steps, self.config
        at_end = step == config.training.total_steps
        snapshot = at_end or _is_due(step, config.snapshots.every)
        every = config.validation.every or config.snapshots.every
        validation = at_end or _is_due(step, every)
        figures = at_end or _is_due(step, config.log_every)
        averages = self.averages.are_due(step)
        checkpoint = snapshot or validation or self.clock.is_late(config.checkpoint_minutes)
        if not (figures or averages or checkpoint):
            return None
        self.learner.flush()
        if averages:
            self.averages.take(step, weights_of(self.learner.module))
        if figures:
            self._write_figures(rate)
        validated = None
        with self.clock.paused():
            if validation:
                validated = self._validate()
            if snapshot:
                self._save_nets()
            if checkpoint:
                self.save_checkpoint()
            if snapshot:
                self._prune()
        return validated

    def _write_figures(self, rate: float) -> None:
        losses = self.learner.tally.means()
        self.learner.empty_tally()
        step = self.learner.steps
        per_second, left = self.clock.pace(step)
        figures = {f"train/{name}": value for name, value in losses.items()}
        figures |= {"train/learning_rate": rate, "train/positions_per_second": per_second}
        self.log.write(step, figures)
        of = self.config.training.total_steps
        self.notify(Progress(step, of, losses, rate, per_second, left))

    def _raw(self) -> Net:
        return replace(
            self.net,
            weights=MappingProxyType(weights_of(self.learner.module)),
            training_steps=self.learner.steps,
            name="raw",
        )

    def _averaged(self, raw: Net) -> list[AveragedNet]:
        return self.averages.nets(self.learner.steps, raw)

    def _validate(self) -> Validated:
        """Measure the raw net and all averages on the same held-out positions."""
        raw = self._raw()
        nets, refreshed = [raw], [raw]
        for average in self._averaged(raw):
            nets += [net for net in (average.stale, average.refreshed) if net is not None]
            refreshed.append(average.best)
        try:
            found = self._evaluate(nets)
        except NetError:  # averaged statistics of batch norm may fit nothing and overflow
            self.notify(Note("an average with averaged batch norm says what is no number"))
            found = self._evaluate(refreshed)
        self.log.write(self.learner.steps, _scalars(found))
        validated = Validated(self.learner.steps, found)
        self.notify(validated)
        return validated

    def _evaluate(self, nets: Sequence[Net]) -> Evaluation:
        return evaluate(
            nets,
            self.data.validation(),
            device=self.device,
            threads=self.threads,
            resamples=RESAMPLES,
            seed=self.config.seed,
        )

    def _save_nets(self) -> None:
        raw, step = self._raw(), self.learner.steps
        self.folder.save(raw, step)
        for average in self._averaged(raw):
            self.folder.save(average.best, step, average.settings.name)

    def _prune(self) -> None:
        for kind in (None, *(average.name for average in self.config.averages)):
            self.folder.prune(self.learner.steps, kind)

    def save_checkpoint(self) -> None:
        """Put on the disk where the run stands, the log before it."""
        if not self._damage_is_told and (damage := self.data.damage):
            self._damage_is_told = True
            self.notify(Note(damage))
        self.learner.flush()
        self.log.flush()
        checkpoint = Checkpoint(
            step=self.learner.steps,
            settings=self.settings,
            place=tuple(self.stream.place),
            learner=self.learner.state(),
            averages=self.averages.state(),
        )
        save_checkpoint(self.folder.checkpoint, checkpoint)
        self.clock.saved()


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _device(device: str) -> str:
    """Resolve ``auto``. Raises NetError for a device that is not there."""
    if device == "auto":
        return first_device() if may_have_accelerator() else "cpu"
    if device != "cpu" and not is_available(device):
        raise NetError(f"device {device!r} is not available here", "Use auto, or cpu.")
    return device


def _scalars(evaluation: Evaluation) -> dict[str, float]:
    """Figures of an evaluation by ``validation/NET/METRIC``.

    Those of averages have beside them what they differ from the raw net by, ``.../minus_raw``, and
    the ends of its 95 % interval, ``.../minus_raw_low`` and ``.../minus_raw_high``.
    """
    scalars = {}
    for net in evaluation.nets:
        for metric, estimate in net.metrics.items():
            scalars[f"validation/{net.net.name}/{metric}"] = estimate.value
        for metric, estimate in net.to_first.metrics.items() if net.to_first else ():
            key = f"validation/{net.net.name}/{metric}/minus_raw"
            scalars[key] = estimate.value
            if estimate.low is not None and estimate.high is not None:
                scalars |= {f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return scalars
