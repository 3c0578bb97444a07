"""``swa train``: a net from training records, with averages beside it; or a run gone on with."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swa.command_line import INTERRUPTED
from swa.commands.output import add_output_flags, write_json, write_text
from swa.commands.train_output import Teller, as_json, lines_of

if TYPE_CHECKING:
    from types import FrameType

PLOT = "training.png"

EXAMPLES = """\
a configuration, NAME.toml; what is not said is as in lczero-training:
  name = "first"                      # nets are first-STEPS.pb.gz
  output = "runs/first"
  [net]                               # or start = "a.pb.gz", or "latest:DIR"
  blocks = 2
  filters = 32
  [data]
  input = ["games/"]
  sampling = 0.1                      # share of a game's positions, each epoch
  [training]
  batch-size = 256
  total-steps = 10000
  [learning-rate]
  lr = 0.05
  warmup-steps = 250
  [[averages]]                        # any number, each with its name
  name = "swa"
  rule = "lczero"                     # or mean, ema, lawa
  max-n = 10
  start = 2000
  every = 100
  refresh-positions = 20000
  [snapshots]
  every = 1000
  keep = 10

tables and keys:
  (top)          name output seed device dtype threads log-every checkpoint-minutes
  net            start blocks filters se se-ratio policy value moves-left activation
                 policy-channels value-channels value-hidden moves-left-channels
                 moves-left-hidden
  data           input held-out sampling shuffle-size validation-positions
  training       batch-size total-steps optimizer momentum nesterov beta1 beta2
                 epsilon weight-decay max-grad-norm batch-norm-momentum q-ratio
                 policy-loss-weight value-loss-weight moves-left-loss-weight
  learning-rate  lr schedule values boundaries warmup-steps final decay-steps cycle
                 swa-start swa-lr swa-final
  averages       name rule start every refresh-positions max-n decay scale
                 ema-start last
  snapshots      every keep encoding
  validation     every

exit codes:
  0    trained to the end
  2    could not: bad input, a loss that is no number, a full disk
  130  interrupted, after a checkpoint: the same command goes on

examples:
  swa train first.toml
  swa train first.toml --json >first.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "train",
        help="a net from training records, with averages beside it",
        description="Train a net on training records, from scratch or from a net file, and average "
        "its weights meanwhile. Given again, the same command goes on where it stopped, whatever "
        "stopped it, on a CPU to the very same bytes.",
        epilog=EXAMPLES,
    )
    parser.add_argument("config", metavar="CONFIG.toml", type=Path, help="the settings, see below")
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Train; show what came of it."""
    from swa.run_data import FileData
    from swa.train_config import read_config
    from swa.training import train
    from swa.training_log import METRICS, TrainingLog, TrainingLogError
    from swa.training_plot import save_training_plot

    config = read_config(arguments.config)
    text = arguments.config.read_text(encoding="utf-8")
    teller = Teller(sys.stderr)
    with _signals(teller) as stop:
        trained = train(
            config,
            lambda: FileData(config),
            lambda step: TrainingLog(config.output, config.name, step),
            text=text,
            notify=teller.tell,
            should_stop=stop.is_set,
        )
    teller.end()
    with suppress(TrainingLogError):  # interrupted before there was anything to draw
        save_training_plot(config.output / METRICS, config.output / PLOT, config.name)
    if arguments.json:
        write_json(as_json(config, trained))
    else:
        write_text(lines_of(config, trained))
    if trained.finished:
        return 0
    sys.stderr.write(
        f"interrupted after step {trained.step:,}; to go on: swa train {arguments.config}\n"
    )
    return INTERRUPTED


@contextmanager
def _signals(teller: Teller) -> Iterator[threading.Event]:
    """An event that Ctrl-C (or SIGTERM, of a scheduler) sets; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        teller.say("stopping after this step; once more to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
