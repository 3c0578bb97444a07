"""What a training run writes down as it goes: ``metrics.jsonl``, and events for TensorBoard.

``metrics.jsonl`` is the record: a JSON object a line, ``step`` and ``time`` (seconds since 1970)
first, then the figures of that step by their names (``train/policy_loss``,
``validation/NET/policy_cross_entropy``). The events say the same under the names that
lczero-training gives its own (tf/tfprocess.py), in runs called as there: ``NAME-train``,
``NAME-test`` of the raw net, ``NAME-swa-test`` of its average.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from swa.files import write_whole

METRICS, EVENTS = "metrics.jsonl", "tensorboard"
"""A file and a folder in the folder of a run."""

RAW = "raw"
"""The net that is trained, beside its averages."""

FLUSH_SECONDS = 5.0
"""After so long, events are written where TensorBoard sees them."""

_TAGS = {
    "policy_loss": ("Policy Loss", 1.0),
    "policy_cross_entropy": ("Policy Loss", 1.0),
    "value_loss": ("Value Loss", 1.0),
    "value_cross_entropy": ("Value Loss", 1.0),
    "value_mse": ("MSE Loss", 1 / 4),
    "moves_left_loss": ("Moves Left Loss", 1.0),
    "moves_left_huber": ("Moves Left Loss", 1 / 400),  # of plies / 20, as it is trained by
    "moves_left_mae": ("Moves Left Mean Error", 1.0),
    "loss": ("Total Loss", 1.0),
    "l2": ("Reg term", 1.0),
    "policy_accuracy": ("Policy Accuracy", 100.0),
    "value_accuracy": ("Value Accuracy", 100.0),
    "learning_rate": ("LR", 1.0),
    "gradient_norm": ("Gradient norm", 1.0),
}
"""Names here, lczero-training's, and what they count in."""

_ENDS = ("_low", "_high")
"""Of intervals, which are for the file: TensorBoard has no way to draw them but as curves more."""


class TrainingLogError(ValueError):
    """A file of metrics that is none: one to three lines for the user, what, why, what to do."""


class TrainingLog:
    """The figures of a run in ``folder``, gone on from ``step``.

    Lines of later steps, and what of a line was written when the run was killed, are dropped before
    anything is written; those of ``step`` itself stay. So the figures of a step are to be written,
    and ``flush`` called, before the checkpoint of that step.

    Raises OSError, with the file, where something cannot be written (a full disk); what was whole
    stays so. Raises TrainingLogError where ``metrics.jsonl`` is damaged elsewhere than at its end.
    """

    def __init__(self, folder: Path, name: str, step: int = 0) -> None:
        self.path = folder / METRICS
        self._events = _Events(folder / EVENTS, name, step)
        _cut(self.path, step)
        self._descriptor: int | None = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Note the figures of a step: ``train/METRIC`` and ``validation/NET/METRIC``.

        What is not finite is null in the file, and left out of the events. The line is in the file
        when this returns (on the disk after ``flush``).
        """
        figures = {key: _finite(value) for key, value in scalars.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 3)} | figures, allow_nan=False)
        self._append(f"{line}\n".encode())
        self._events.write(step, {key: x for key, x in figures.items() if x is not None})

    def _append(self, line: bytes) -> None:
        """Add a line, or nothing of it."""
        if self._descriptor is None:
            raise ValueError("the log is closed")
        size = os.fstat(self._descriptor).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise _of_file(error, self.path) from error

    def flush(self) -> None:
        """Have all that was written on the disk."""
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise _of_file(error, self.path) from error
        self._events.flush()

    def close(self) -> None:
        """Flush, and write no more."""
        if self._descriptor is None:
            return
        try:
            self.flush()
        finally:
            os.close(self._descriptor)
            self._descriptor = None
            self._events.close()  # raises again what the flush has, where it is the disk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``, each with its ``step``; a last one not yet whole is left out.

    Raises TrainingLogError for a line that is damaged, or a file that cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TrainingLogError(f"{path}: cannot read the metrics: {reason}") from None
    return [line for _, line in _parsed(lines, path)]


def _parsed(lines: list[bytes], path: Path) -> Iterable[tuple[bytes, dict[str, Any]]]:
    """Lines as they are and as they read; the last one is what follows the last line's end."""
    for number, raw in enumerate(lines[:-1], 1):
        try:
            line = json.loads(raw)
        except ValueError:
            line = None
        if not isinstance(line, dict) or type(line.get("step")) is not int:
            if number == len(lines) - 1:  # a disk that lost power may have filled it with zeros
                return
            raise TrainingLogError(
                f"{path}, line {number}: not a line of a training run's metrics\n"
                "Move the file away: the run then goes on with a new one."
            )
        yield raw, line


def _cut(path: Path, step: int) -> None:
    """Drop what is later than a step, and what is not whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    kept = [raw for raw, line in _parsed(data.split(b"\n"), path) if line["step"] <= step]
    whole = b"".join(line + b"\n" for line in kept)
    if whole != data:
        write_whole(path, whole)


def _finite(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _of_file(error: OSError, path: Path) -> OSError:
    """The same error with the file's name."""
    return OSError(error.errno, error.strerror, str(path))


class _Events:
    """Files of events, one for each net, each begun when there is something to be written.

    tensorboardX's own ``SummaryWriter`` hands events to a thread, which dies where the disk is
    full; the next events would then wait for it without end. Here they are written at once.
    """

    def __init__(self, folder: Path, name: str, step: int) -> None:
        self.folder, self.name, self.step = folder, name, step
        self._writers: dict[str, Any] = {}
        self._flushed = time.monotonic()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        runs: dict[str, dict[str, float]] = {}
        for key, value in figures.items():
            if key.endswith(_ENDS):
                continue
            run, tag, scale = event_names(key)
            runs.setdefault(f"{self.name}-{run}", {})[tag] = value * scale
        for run, values in runs.items():
            try:
                self._write(run, step, values)
            except OSError as error:
                raise _of_file(error, self.folder / run) from error
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def _write(self, run: str, step: int, values: Mapping[str, float]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        writer = self._writers.get(run)
        if writer is None:
            writer = self._writers[run] = self._begin(run)
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=scalars))
        writer.write(event.SerializeToString())

    def _begin(self, run: str) -> Any:
        """A new file; it says that what older ones have of later steps is void (purge_step)."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import RecordWriter

        folder, now = self.folder / run, time.time_ns()
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files by their names. Seconds alone, as is usual, are not enough: in one
        # a run can be killed and started again.
        name = f"events.out.tfevents.{now // 10**9:010}.{socket.gethostname()}.{now}"
        writer = RecordWriter(str(folder / name))
        start = SessionLog(status=SessionLog.START)
        for event in (
            Event(wall_time=now / 1e9, file_version="brain.Event:2"),
            Event(wall_time=now / 1e9, step=self.step + 1, session_log=start),
        ):
            writer.write(event.SerializeToString())
        return writer

    def flush(self) -> None:
        self._flushed = time.monotonic()
        for run, writer in self._writers.items():
            try:
                writer.flush()
            except OSError as error:
                raise _of_file(error, self.folder / run) from error

    def close(self) -> None:
        """Close all files, whatever is wrong with one."""
        with contextlib.ExitStack() as files:
            for run, writer in self._writers.items():
                files.callback(self._close, run, writer)
            self._writers = {}

    def _close(self, run: str, writer: Any) -> None:
        try:
            writer.close()
        except OSError as error:
            raise _of_file(error, self.folder / run) from error


def event_names(key: str) -> tuple[str, str, float]:
    """The end of the run's name, the tag, and the factor that a figure has in TensorBoard.

    ``train/policy_loss`` is ("train", "Policy Loss", 1), ``validation/swa/value_mse`` ("swa-test",
    "MSE Loss", 1/4), of the raw net ("test", ...): lczero-training's names and units.
    """
    kind, _, rest = key.partition("/")
    run = kind
    if kind == "validation":
        net, _, rest = rest.partition("/")
        run = "test" if net == RAW else f"{net.replace(' ', '-')}-test"
    metric, _, more = rest.partition("/")
    tag, scale = _TAGS.get(metric, (metric.replace("_", " ").capitalize(), 1.0))
    return run, f"{tag} {more.replace('_', ' ')}" if more else tag, scale
