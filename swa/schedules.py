"""Learning rates by step: every schedule is a pure function, so a resumed run needs no state of it.

``step`` is the number of steps that were made before, from 0.

- ``constant``: lr.
- ``steps``: values[i] once i of the boundaries are reached (lczero-training, tf/tfprocess.py).
- ``cosine``: final + (lr - final) (1 + cos(pi t)) / 2 with t = step / decay-steps, then final
  (Loshchilov & Hutter, "SGDR", 2017, arXiv 1608.03983, equation 5 without restarts).
- ``cyclic``: in each cycle of c steps (1 - t) lr + t final, t = (step mod c + 1) / c (Izmailov et
  al., "Averaging Weights Leads to Wider Optima", 2018, arXiv 1803.05407, section 3.1).

Warm-up multiplies the first ``warmup-steps`` by (step + 1) / warmup-steps (lczero-training).

The tail of Izmailov et al. begins at ``swa-start``: constant at swa-lr, or with ``swa-final`` in
cycles from swa-lr to swa-final, of which each last step has the lowest rate, where a snapshot is
to be taken. Before it a constant rate is brought down as by the authors' own program (timgaripov/
swa, train.py): lr to half of swa-start, then in a straight line to swa-lr at nine tenths of it.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from swa.train_config import RateSettings

ANNEAL_FROM, ANNEAL_TO = 0.5, 0.9
"""Shares of swa-start between which a constant rate falls to swa-lr (timgaripov/swa, train.py)."""


def decay_steps(settings: RateSettings, total_steps: int) -> int | None:
    """How long a cosine lasts; None for other schedules."""
    if settings.schedule != "cosine":
        return None
    return settings.decay_steps or settings.swa_start or total_steps


def learning_rate(settings: RateSettings, total_steps: int, step: int) -> float:
    """The rate of the step that comes after ``step`` others."""
    warm = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    start = settings.swa_start
    if start is not None and step >= start:
        return warm * _tail(settings, step - start)
    return warm * _main(settings, total_steps, step)


def _main(settings: RateSettings, total_steps: int, step: int) -> float:
    if settings.schedule == "steps":
        return settings.values[bisect_right(settings.boundaries, step)]
    lr, final = settings.lr or 0.0, settings.final or 0.0
    if settings.schedule == "cosine":
        share = min(1.0, step / (decay_steps(settings, total_steps) or 1))
        return final + (lr - final) * (1 + math.cos(math.pi * share)) / 2
    if settings.schedule == "cyclic":
        return _in_cycle(lr, final, settings.cycle or 1, step)
    if settings.swa_start is None or settings.swa_lr is None:
        return lr
    share = (step / settings.swa_start - ANNEAL_FROM) / (ANNEAL_TO - ANNEAL_FROM)
    return lr + (settings.swa_lr - lr) * min(1.0, max(0.0, share))


def _tail(settings: RateSettings, step: int) -> float:
    lr = settings.swa_lr or 0.0
    if settings.swa_final is None or settings.cycle is None:
        return lr
    return _in_cycle(lr, settings.swa_final, settings.cycle, step)


def _in_cycle(first: float, last: float, cycle: int, step: int) -> float:
    share = (step % cycle + 1) / cycle
    return (1 - share) * first + share * last
