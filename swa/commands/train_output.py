"""What ``swa train`` says: on stderr how it is getting on, at the end what it has come to."""

from __future__ import annotations

import shlex
import shutil
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from swa.evaluation import Evaluation, NetEvaluation
    from swa.train_config import AverageSettings, TrainConfig
    from swa.training import Note, Progress, Trained, Validated

SECONDS_BETWEEN = 10.0
"""Of lines of progress where there is no terminal."""

SHOWN = ("policy_cross_entropy", "policy_accuracy", "value_cross_entropy", "value_mse")
"""Metrics of the table of validation, where the nets have them."""

_HEADS = {
    "policy_cross_entropy": "policy",
    "policy_accuracy": "accuracy",
    "value_cross_entropy": "value",
    "value_mse": "value mse",
}


class Teller:
    """Shows how a run is getting on: on a terminal in one line that changes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._terminal = stream, stream.isatty()
        self._shown = -SECONDS_BETWEEN

    def tell(self, what: Progress | Validated | Note) -> None:
        """Show it."""
        from swa.training import Progress, Validated

        if isinstance(what, Progress):
            self._progress(what)
        elif isinstance(what, Validated):
            head = f"step {what.step:,}, held-out games:"
            self.say("\n".join([head, *table(what.evaluation)]))
        else:
            self.say(f"note: {what.text}")

    def say(self, text: str) -> None:
        """Write lines that stay."""
        self.end()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Take away the line that changes."""
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _progress(self, progress: Progress) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1  # a longer line would not be taken away
            self._stream.write(f"\r\033[K{progress_line(progress)[:width]}")
        elif time.monotonic() - self._shown < SECONDS_BETWEEN and progress.step < progress.of:
            return
        else:
            self._stream.write(f"{progress_line(progress)}\n")
        self._shown = time.monotonic()
        self._stream.flush()


def progress_line(progress: Progress) -> str:
    """How far, how fast, how good, how long still."""
    losses = progress.losses
    names = (("policy", "policy_loss"), ("value", "value_loss"), ("moves left", "moves_left_loss"))
    told = ", ".join(f"{word} {losses[name]:.4f}" for word, name in names if name in losses)
    return (
        f"step {progress.step:,} of {progress.of:,}: {told}; lr {progress.rate:.3g}, "
        f"{progress.per_second:,.0f} positions/s, {_duration(progress.seconds_left)} left"
    )


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def table(evaluation: Evaluation) -> list[str]:
    """A line for each net, those of averages with what they differ from the raw one by."""
    shown = [metric for metric in SHOWN if metric in evaluation.nets[0].metrics]
    width = max(len(net.net.name) for net in evaluation.nets)
    head = "".join(f"  {_HEADS[metric]:>9}" for metric in shown)
    rows = [f"  {'':{width}}{head}  policy - raw (95 %)"]
    for net in evaluation.nets:
        figures = "".join(f"  {net.metrics[metric].value:9.4f}" for metric in shown)
        rows.append(f"  {net.net.name:{width}}{figures}{_difference(net)}")
    return rows


def _difference(net: NetEvaluation) -> str:
    if net.to_first is None:
        return ""
    value, low, high = net.to_first.metrics["policy_cross_entropy"]
    interval = "" if low is None or high is None else f" ({low:+.4f} {high:+.4f})"
    return f"  {value:+.4f}{interval}"


def as_json(config: TrainConfig, trained: Trained) -> dict[str, Any]:
    """What ``--json`` says.

    ``steps`` that were made, ``finished`` whether these are all; ``nets`` the paths of the ring,
    oldest first; ``averages`` by name: ``net`` the path of its last net, null before its first,
    and ``build`` the words of the command that makes one from the ring; ``validation`` after the
    last step, null where none was made: for each net by ``name`` its ``metrics`` and, where it is
    not the raw one, the difference ``minus_raw`` of each as [value, low, high].
    """
    validation = None
    if trained.validated is not None:
        validation = [
            {
                "name": net.net.name,
                "metrics": {name: estimate.value for name, estimate in net.metrics.items()},
                "minus_raw": None
                if net.to_first is None
                else {name: list(estimate) for name, estimate in net.to_first.metrics.items()},
            }
            for net in trained.validated.evaluation.nets
        ]
    return {
        "output": str(config.output),
        "steps": trained.step,
        "finished": trained.finished,
        "nets": [str(path) for path in trained.nets],
        "averages": {
            average.name: {
                "net": str(trained.averaged[average.name])
                if average.name in trained.averaged
                else None,
                "build": build_command(config, average, trained),
            }
            for average in config.averages
        },
        "validation": validation,
    }


def lines_of(config: TrainConfig, trained: Trained) -> list[str]:
    """The same in words."""
    if not trained.nets:
        return [f"{config.output}: {trained.step:,} steps, no net yet"]
    lines = [f"net {trained.nets[-1]}"]
    lines += [f"average {name}: {path}" for name, path in trained.averaged.items()]
    lines.append(f"checkpoint {config.output / 'checkpoint'}")
    for average in config.averages:
        lines.append(f"{average.name} from the {len(trained.nets)} nets that are kept:")
        lines.append(f"  {shlex.join(build_command(config, average, trained))}")
    return lines


def build_command(config: TrainConfig, average: AverageSettings, trained: Trained) -> list[str]:
    """The words of the command that applies an average's rule to the ring of raw nets.

    It sees the snapshots that are kept, not those that the average took during training.
    """
    words = ["swa", "build", "--nets", *map(str, trained.nets)]
    words += ["--data", *map(str, config.data.input), "--held-out", f"{config.data.held_out:g}"]
    words += ["--rule", average.rule]
    for setting in ("max_n", "decay", "scale", "ema_start", "last"):
        value = getattr(average, setting)
        if value is not None:
            words += [f"--{setting.replace('_', '-')}", str(value)]
    output = config.output / f"{config.name}-{average.name}-built.pb.gz"
    return [*words, "-o", str(output)]
