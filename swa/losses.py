"""The loss that a net is trained by: policy, value and moves left, as lczero-training has them.

All is computed in float32 on the device that holds the batch, whatever the net computes in. Only
legal moves are in the softmax, so that nothing is learnt of illegal ones (lczero-training's
``mask_legal_moves``); their logits are gathered, which costs a hundredth of masking all 1858.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from swa.model import Outputs, unpack
from swa.spec import PLANES, ValueKind
from swa.train_config import TrainingSettings

PLIES_SCALE = 20.0
"""Plies that count as 1 in the loss of moves left (lczero-training, tf/tfprocess.py)."""

HUBER_DELTA = 10.0 / PLIES_SCALE
"""From where that loss is linear (the same)."""


class TrainingPositions(Protocol):
    """B positions with M legal moves in all, of ``swa.dataset``; numpy arrays."""

    @property
    def masks(self) -> NDArray[np.uint64]:
        """[B, 112] packed planes (``swa.planes``)."""

    @property
    def values(self) -> NDArray[np.float32]:
        """[B, 112]."""

    @property
    def moves(self) -> NDArray[np.uint16]:
        """[M] policy indices of the legal moves, position after position."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[B + 1]: position b has moves[offsets[b] : offsets[b + 1]]."""

    @property
    def policy(self) -> NDArray[np.floating[Any]]:
        """[M] target probabilities; a position's add up to 1."""

    @property
    def result(self) -> NDArray[np.floating[Any]]:
        """[B, 3] win, draw, loss of the game."""

    @property
    def searched(self) -> NDArray[np.floating[Any]]:
        """[B, 3] the same after the search; NaN where there was none."""

    @property
    def plies_left(self) -> NDArray[np.floating[Any]]:
        """[B], NaN where it is not known."""


class Targets(NamedTuple):
    """What a net should say of B positions with at most L legal moves; tensors of one device."""

    moves: Tensor  # int64 [B, L] policy indices; 0 where there is no such move
    policy: Tensor  # float32 [B, L]; -1 where there is no such move
    value: Tensor  # float32 [B, 3] win, draw, loss
    plies_left: Tensor  # float32 [B]; NaN where it is not known


class Losses(NamedTuple):
    """Means over a batch; scalars."""

    policy: Tensor  # nats, cross entropy over the legal moves
    value: Tensor  # nats; of a classical value the squared error of Q
    moves_left: Tensor  # Huber's, of plies / 20; 0 for a net without moves left


def planes_on(batch: TrainingPositions, device: torch.device) -> Tensor:
    """A batch's planes [B, 112, 8, 8] in float32, channels last."""
    # Masks go as bytes: not every device has unsigned integers of 64 bits.
    octets = batch.masks.view(np.uint8).reshape(-1, PLANES * 8)
    return unpack(_to(octets, device), _to(batch.values, device))


def targets_on(batch: TrainingPositions, q_ratio: float, device: torch.device) -> Targets:
    """A batch's targets; the value's is ``q_ratio`` of the search and the rest of the result.

    Where there was no search it is the result.
    """
    lengths = np.diff(batch.offsets)
    shape = len(lengths), int(lengths.max())
    there = np.arange(shape[1]) < lengths[:, None]
    moves, policy = np.zeros(shape, np.int64), np.full(shape, -1, np.float32)
    moves[there], policy[there] = batch.moves, batch.policy
    value = batch.result.astype(np.float32)
    if q_ratio:
        mixed = q_ratio * batch.searched + (1 - q_ratio) * batch.result
        value = np.where(np.isnan(mixed), value, mixed).astype(np.float32)
    plies = batch.plies_left.astype(np.float32)
    return Targets(*(_to(array, device) for array in (moves, policy, value, plies)))


def _to(array: NDArray[np.generic], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.require(array, None, ["C", "W"]))
    if device.type == "cuda":  # copied while the host goes on
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def losses(outputs: Outputs, targets: Targets, value: ValueKind) -> Losses:
    """The three losses of a batch."""
    return Losses(
        policy=policy_loss(outputs.policy.float(), targets),
        value=value_loss(outputs.value.float(), targets.value, value),
        moves_left=torch.zeros((), device=targets.value.device)
        if outputs.moves_left is None
        else moves_left_loss(outputs.moves_left.float()[:, 0], targets.plies_left),
    )


def policy_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Cross entropy [] of the softmax over each position's legal moves; ``logits`` [B, 1858]."""
    missing = targets.policy < 0
    legal = logits.gather(1, targets.moves).masked_fill(missing, -torch.inf)
    logs = legal.log_softmax(1).masked_fill(missing, 0.0)
    return -(targets.policy * logs).sum(1).mean()


def value_loss(value: Tensor, target: Tensor, kind: ValueKind) -> Tensor:
    """Cross entropy [] of logits [B, 3]; of a classical value [B, 1] the squared error of Q."""
    if kind is ValueKind.WDL:
        return functional.cross_entropy(value, target)
    return functional.mse_loss(value[:, 0], target[:, 0] - target[:, 2])


def moves_left_loss(plies: Tensor, target: Tensor) -> Tensor:
    """Huber's loss [] of plies [B] / 20 from 1/2 on linear, over the positions that know theirs."""
    known = ~target.isnan()
    errors = functional.huber_loss(
        plies / PLIES_SCALE,
        target.where(known, plies.detach()) / PLIES_SCALE,
        reduction="sum",
        delta=HUBER_DELTA,
    )
    return errors / known.sum().clamp(min=1)


def total_loss(parts: Losses, settings: TrainingSettings) -> Tensor:
    """The weighted sum that is made smaller; L2 is the optimizer's (``swa.optimizers``)."""
    return (
        settings.policy_loss_weight * parts.policy
        + settings.value_loss_weight * parts.value
        + settings.moves_left_loss_weight * parts.moves_left
    )
