"""The clock of a training run: how fast it is, how long it will take, when a checkpoint is due."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Begins when it is made, after ``step`` of ``of`` steps, each of ``batch`` positions."""

    def __init__(self, step: int, of: int, batch: int) -> None:
        self._of, self._batch = of, batch
        self._began = self._since = self._saved = time.monotonic()
        self._first = self._last = step
        self._elsewhere = 0.0  # seconds since the last pace that were not training

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the time does not count as training."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._elsewhere += time.monotonic() - began

    def pace(self, step: int) -> tuple[float, float]:
        """Positions a second since the last time, and the seconds that are left.

        What is left is told by all that has passed, whatever was done beside the steps.
        """
        now = time.monotonic()
        training = max(now - self._since - self._elsewhere, 1e-9)
        per_second = (step - self._last) * self._batch / training
        left = (now - self._began) / max(step - self._first, 1) * (self._of - step)
        self._since, self._last, self._elsewhere = now, step, 0.0
        return per_second, left

    def saved(self) -> None:
        """A checkpoint was written."""
        self._saved = time.monotonic()

    def is_late(self, minutes: float) -> bool:
        """Whether the last checkpoint is older."""
        return time.monotonic() - self._saved >= 60 * minutes
