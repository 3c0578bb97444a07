"""One step of training after another: a net, its optimizer, and what its losses were.

Nothing waits for the device: losses stay there, step by step, until ``flush`` brings them to the
host all at once. They are added up there in float64, one after the other, so that the sums do not
depend on when that was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from swa.losses import TrainingPositions, losses, planes_on, targets_on, total_loss
from swa.model import Tower
from swa.optimizers import make_optimizer, set_rate
from swa.train_config import DtypeName, TrainingSettings

COLUMNS = ("policy_loss", "value_loss", "moves_left_loss", "loss", "gradient_norm")
"""What is known of each step."""

_deterministic: Any = torch.utils.deterministic

_LOSS, _NORM = COLUMNS.index("loss"), COLUMNS.index("gradient_norm")


class DivergedError(ValueError):
    """A loss that is no number: one to three lines for the user; ``step`` says which step's."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f"step {step:,}: the {what} is not finite\n"
            "The last good checkpoint stays. Take a lower learning rate, warm-up steps, or a lower "
            "max-grad-norm, and another output."
        )
        self.step = step


@dataclass(slots=True)
class Tally:
    """Sums over the steps since it was emptied; of each column, and how often it was finite."""

    sums: list[float]
    counts: list[int]

    @classmethod
    def empty(cls) -> Tally:
        """Nothing yet."""
        return cls([0.0] * len(COLUMNS), [0] * len(COLUMNS))

    def means(self) -> dict[str, float]:
        """The mean of each column that has any."""
        rows = zip(COLUMNS, self.sums, self.counts, strict=True)
        return {name: total / count for name, total, count in rows if count}


class Learner:
    """A net in training on a device; ``steps`` have been made."""

    def __init__(
        self,
        module: Tower,
        settings: TrainingSettings,
        device: torch.device | str = "cpu",
        dtype: DtypeName = "float32",
    ) -> None:
        self.device, self.steps = torch.device(device), 0
        # Convolutions on a CPU are 5 to 15 % faster so; those of tensor cores want it.
        self.module = module.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for norm in self.module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = 1 - settings.batch_norm_momentum
        self.optimizer = make_optimizer(self.module, settings)
        self._dtype = getattr(torch, dtype) if dtype != "float32" else None
        # float16 has few exponents: gradients are scaled, and steps that overflow left out.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == "float16")
        self.tally = Tally.empty()
        self._settings = settings
        self._parameters = list(self.module.parameters())
        self._rows: list[Tensor] = []  # of the steps since the last flush, on the device

    def step(self, batch: TrainingPositions, rate: float) -> None:
        """Make one step on a batch at a learning rate."""
        settings = self._settings
        targets = targets_on(batch, settings.q_ratio, self.device)
        planes = planes_on(batch, self.device)
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
            outputs = self.module(planes)
        parts = losses(outputs, targets, self.module.spec.value.kind)
        loss = total_loss(parts, settings)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._parameters, settings.max_grad_norm)
        set_rate(self.optimizer, rate)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._rows.append(torch.stack((*parts, loss, norm)).detach())
        self.steps += 1

    def flush(self) -> None:
        """Add what the steps since the last time had to the tally.

        Raises DivergedError for the first of them with a loss that is not finite, or a gradient
        (that alone may be where gradients are scaled: such steps are left out by the scaler), and
        where the last one has left such weights.
        """
        if not self._rows:
            return
        rows = torch.stack(self._rows).to("cpu", torch.float32).tolist()
        first = self.steps - len(rows) + 1
        self._rows = []
        for step, row in enumerate(rows, first):
            if not math.isfinite(row[_LOSS]):
                raise DivergedError(step, "loss")
            if not math.isfinite(row[_NORM]) and not self.scaler.is_enabled():
                raise DivergedError(step, "gradient")
            for column, value in enumerate(row):
                if math.isfinite(value):
                    self.tally.sums[column] += value
                    self.tally.counts[column] += 1
        finite = [weights.isfinite().all() for weights in self.module.state_dict().values()]
        if not torch.stack(finite).all():
            raise DivergedError(self.steps, "net")

    def empty_tally(self) -> None:
        """Begin anew with the sums."""
        self.tally = Tally.empty()

    def state(self) -> dict[str, Any]:
        """All that decides the next steps, ``flush`` having been called: for ``restore``."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sums": list(self.tally.sums),
            "counts": list(self.tally.counts),
        }

    def restore(self, state: dict[str, Any], steps: int) -> None:
        """Go on from a state, after so many steps."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        self.tally = Tally(list(state["sums"]), list(state["counts"]))
        self.steps, self._rows = steps, []


@contextmanager
def repeatable(threads: int, device: str = "cpu") -> Iterator[None]:
    """Meanwhile torch computes with so many threads, on a CPU the same each time.

    Sums are split among threads, so that another number of them gives other last digits. On
    accelerators the algorithms that would be the same each time are slow ones.
    """
    before = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = _deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    if device == "cpu":
        torch.use_deterministic_algorithms(True)
        _deterministic.fill_uninitialized_memory = False  # nobody reads it; it takes 6 % of a step
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
        _deterministic.fill_uninitialized_memory = fill
