from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from training_fakes import positions

from swa import metrics
from swa.losses import (
    Losses,
    losses,
    moves_left_loss,
    planes_on,
    policy_loss,
    targets_on,
    total_loss,
    value_loss,
)
from swa.model import Outputs
from swa.planes import unpack
from swa.spec import ValueKind
from swa.train_config import TrainingSettings

CPU = torch.device("cpu")


def ragged(lengths, seed=0):
    """Positions with so many legal moves each."""
    dice = np.random.default_rng(seed)
    batch = positions(len(lengths), seed)
    moves = [np.sort(dice.choice(1858, length, False)) for length in lengths]
    policy = [dice.dirichlet(np.ones(length)) for length in lengths]
    return batch._replace(
        moves=np.concatenate(moves).astype(np.uint16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        policy=np.concatenate(policy),
    )


def test_policy_loss_is_the_cross_entropy_over_legal_moves():
    batch = ragged([1, 7, 218, 30])
    logits = torch.randn(4, 1858, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = policy_loss(logits, targets_on(batch, 0.0, CPU))
    expected = []
    for row, (first, end) in enumerate(zip(batch.offsets, batch.offsets[1:], strict=False)):
        logs = log_softmax(logits[row].numpy()[batch.moves[first:end]])
        expected.append(-(batch.policy[first:end] * logs).sum())
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-6)  # targets are float32


def test_illegal_logits_and_their_gradients_do_not_count():
    batch = ragged([3, 5])
    logits = torch.randn(2, 1858, requires_grad=True)
    targets = targets_on(batch, 0.0, CPU)
    policy_loss(logits, targets).backward()
    legal = torch.zeros(2, 1858, dtype=torch.bool)
    for row in range(2):
        legal[row, batch.moves[batch.offsets[row] : batch.offsets[row + 1]].astype(np.int64)] = True
    assert (logits.grad[~legal] == 0).all()
    # The gradient is (softmax - target) / B; of a softmax it adds up to zero.
    for row in range(2):
        cut = slice(batch.offsets[row], batch.offsets[row + 1])
        moves = batch.moves[cut].astype(np.int64)
        wanted = logits[row, moves].softmax(0).detach().numpy() - batch.policy[cut]
        np.testing.assert_allclose(logits.grad[row, moves].numpy(), wanted / 2, atol=1e-6)
    spoilt = torch.where(legal, logits.detach(), 1e9)
    assert policy_loss(spoilt, targets) == policy_loss(logits, targets)


def test_a_move_of_no_probability_and_one_that_is_certain():
    batch = ragged([3])._replace(policy=np.array([1.0, 0.0, 0.0]))
    logits = torch.zeros(1, 1858)
    logits[0, int(batch.moves[0])] = 200.0
    assert float(policy_loss(logits, targets_on(batch, 0.0, CPU))) == 0.0


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_value_targets_mix_search_and_result(ratio):
    batch = positions(40, 3)
    known = ~np.isnan(batch.searched[:, 0])
    assert known.any()
    assert not known.all()
    found = targets_on(batch, ratio, CPU).value.numpy()
    mixed = ratio * batch.searched + (1 - ratio) * batch.result
    np.testing.assert_allclose(found[known], mixed[known], rtol=1e-6)
    np.testing.assert_array_equal(found[~known], batch.result[~known])
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)


def test_value_losses():
    dice = np.random.default_rng(2)
    logits, targets = dice.normal(size=(9, 3)), dice.dirichlet(np.ones(3), 9)
    wdl = np.exp(log_softmax(logits, axis=1))
    expected = metrics.outcome_cross_entropy(wdl, targets).mean()
    found = value_loss(torch.tensor(logits), torch.tensor(targets), ValueKind.WDL)
    assert float(found) == pytest.approx(expected, rel=1e-12)
    q = dice.uniform(-1, 1, (9, 1))
    found = value_loss(torch.tensor(q), torch.tensor(targets), ValueKind.CLASSICAL)
    expected = ((q[:, 0] - targets[:, 0] + targets[:, 2]) ** 2).mean()
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_moves_left_is_a_400th_of_hubers_loss_of_plies():
    plies = np.array([3.0, 100.0, 20.0, 7.0])
    target = np.array([5.0, 60.0, np.nan, 7.0])
    found = moves_left_loss(torch.tensor(plies), torch.tensor(target))
    assert float(found) == pytest.approx(np.nanmean(metrics.huber(plies - target)) / 400)


def test_where_no_position_knows_its_plies_nothing_is_learnt():
    plies = torch.tensor([3.0, 100.0], requires_grad=True)
    loss = moves_left_loss(plies, torch.full((2,), torch.nan))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (plies.grad == 0).all()


def test_the_total_is_weighted():
    settings = TrainingSettings(
        2, 1, policy_loss_weight=2.0, value_loss_weight=0.5, moves_left_loss_weight=0.0
    )
    parts = Losses(torch.tensor(3.0), torch.tensor(8.0), torch.tensor(100.0))
    assert float(total_loss(parts, settings)) == 10.0


def test_half_precision_is_not_used_for_losses():
    outputs = Outputs(
        torch.zeros(4, 1858, dtype=torch.bfloat16),
        torch.zeros(4, 3, dtype=torch.bfloat16),
        torch.zeros(4, 1, dtype=torch.bfloat16),
    )
    found = losses(outputs, targets_on(positions(4, 0), 0.0, CPU), ValueKind.WDL)
    assert all(part.dtype == torch.float32 for part in found)
    assert float(found.policy) == pytest.approx(np.log(6))


def test_planes_are_those_of_the_records():
    batch = positions(3, 1)
    batch = batch._replace(values=np.random.default_rng(0).random((3, 112), np.float32))
    found = planes_on(batch, CPU)
    expected = unpack(batch.masks, batch.values)
    np.testing.assert_array_equal(found.numpy().reshape(expected.shape), expected)
