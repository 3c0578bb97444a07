"""``swa train``: a net from training records, with averages beside it; or a run gone on with."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swa.command_line import INTERRUPTED
from swa.commands.output import add_output_flags, note, write_json, write_text
from swa.commands.train_output import Teller, as_json, lines_of

if TYPE_CHECKING:
    from types import FrameType

    from swa.train_config import TrainConfig

PLOT, PAGE = "training.png", "training.html"
"""In the folder of a run: what it looks like, and the same with its numbers."""

EXAMPLES = """\
a configuration, NAME.toml; what is not said is as in lczero-training:
  name = "first"                      # nets are first-STEPS.pb.gz
  output = "runs/first"
  [net]                               # or start = "a.pb.gz", or "latest:DIR"
  blocks = 2
  filters = 32
  [data]
  input = ["games/"]
  sampling = 1.0                      # share of a game's positions an epoch;
                                      # a small one costs much reading
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

keys and their defaults (lengths of time in steps, where nothing else is said):
  (top)        name "net", output (needed), seed 0, device "auto", threads: all
               cores, dtype "float32" ("bfloat16", "float16": mixed precision),
               log-every 100, checkpoint-minutes 5
  net          start: none, or a net; blocks, filters (needed without start),
               se-ratio 8 or se (0: none), policy "convolution" ("classical"),
               value "wdl" ("classical"), moves-left true, activation "relu"
               ("mish"), policy-channels 32 (of "classical"), value-channels 32,
               value-hidden 128, moves-left-channels 8, moves-left-hidden 128
  data         input (needed): folders, .gz files, tars; held-out 0.05 of
               the games, sampling 0.03125 of a game's positions in an epoch,
               shuffle-size 524288 positions, validation-positions 20000
  training     batch-size, total-steps (needed), optimizer "sgd" ("adamw"),
               momentum 0.9, nesterov true, beta1 0.9, beta2 0.999, epsilon
               1e-8, weight-decay 1e-4, max-grad-norm 10000,
               batch-norm-momentum 0.99, policy-loss-weight 1,
               value-loss-weight 1, moves-left-loss-weight 1,
               q-ratio 0 (share of the search in the value's target)
  learning-rate
               lr (needed, but for "steps"), warmup-steps 0,
               schedule "constant", "steps" (values, boundaries), "cosine"
               (final 0, decay-steps: all), "cyclic" (final 0, cycle);
               swa-start, swa-lr: a constant tail after that, with swa-final
               and cycle a cyclic one
  averages     name "swa", rule "mean" ("lczero", "ema", "lawa"), start 0,
               every 100, refresh-positions 0 (statistics are averaged),
               max-n 10, decay or scale 8, ema-start "first" ("unbiased",
               "warm-up"), last 5
  snapshots    every: only at the end, keep 10, encoding "linear16" ("float16",
               "bfloat16", "float32")
  validation   every: with each snapshot

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
    from swa.training_log import TrainingLog

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
    _save_pictures(config, trained.step)
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


def _save_pictures(config: TrainConfig, step: int) -> None:
    """Draw the run up to a step; nothing that is wrong with that harms the nets."""
    from swa.training_log import METRICS, TrainingLogError
    from swa.training_plot import marks_of, save_training_page, save_training_plot

    folder, marks = config.output, marks_of(config, step)
    try:
        save_training_plot(folder / METRICS, folder / PLOT, config.name, marks)
        save_training_page(folder / METRICS, folder / PAGE, config.name, marks)
    except TrainingLogError:  # interrupted before there was anything to draw
        pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        note(f"note: the nets are safe, the pictures are not written: {error.filename}: {reason}")


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
