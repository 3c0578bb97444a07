from __future__ import annotations

import numpy as np
import pytest
import torch
from training_fakes import NET, positions

from swa.beginning import FIRST_PLIES, fresh_weights, make_spec
from swa.learner import DivergedError, Learner
from swa.model import tower
from swa.optimizers import is_decayed, make_optimizer, set_rate
from swa.train_config import NetSettings, TrainingSettings


def module_of(**settings):
    spec = make_spec(NetSettings(blocks=1, filters=8, **settings))
    return tower(spec, fresh_weights(spec, 0))


def decayed(module):
    return {name for name, one in module.named_parameters() if is_decayed(name, one)}


def test_kernels_and_the_last_biases_of_heads_decay():
    module = module_of()
    kernels = {name for name, one in module.named_parameters() if one.dim() > 1}
    assert decayed(module) == kernels | {"policy.conv2.bias", "value.dense2.bias"}
    module = module_of(policy="classical", moves_left=False)
    kernels = {name for name, one in module.named_parameters() if one.dim() > 1}
    assert decayed(module) == kernels | {"policy.dense.bias", "value.dense2.bias"}


def one_step(optimizer, module, rate):
    """A step with gradients that are all 1; the parameters before and after."""
    before = {name: one.detach().clone() for name, one in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_rate(optimizer, rate)
    optimizer.step()
    return before, dict(module.named_parameters())


def test_sgd_is_the_loss_with_half_the_decay_times_the_squares():
    """Nesterov's first step is rate (1 + momentum) (gradient + decay weight)."""
    module = module_of()
    settings = TrainingSettings(2, 1, momentum=0.5, weight_decay=0.1)
    before, after = one_step(make_optimizer(module, settings), module, 0.2)
    for name, parameter in after.items():
        decay = 0.1 if name in decayed(module) else 0.0
        wanted = before[name] - 0.2 * 1.5 * (1 + decay * before[name])
        torch.testing.assert_close(parameter, wanted)


def test_the_decay_of_adamw_is_decoupled():
    module = module_of()
    settings = TrainingSettings(2, 1, optimizer="adamw", weight_decay=0.1)
    before, after = one_step(make_optimizer(module, settings), module, 0.2)
    for name, parameter in after.items():
        decay = 0.1 if name in decayed(module) else 0.0
        torch.testing.assert_close(parameter, before[name] * (1 - 0.2 * decay) - 0.2)


def test_gradients_are_clipped_together():
    spec = make_spec(NET)
    norms, moved = [], []
    for most in (1e9, 1e-3):
        settings = TrainingSettings(
            8, 1, momentum=0.0, nesterov=False, max_grad_norm=most, weight_decay=0.0
        )
        learner = Learner(tower(spec, fresh_weights(spec, 0)), settings)
        before = [one.detach().clone() for one in learner.module.parameters()]
        learner.step(positions(8, 0), 1.0)
        learner.flush()
        after = [one.detach() for one in learner.module.parameters()]
        squares = [((a - b) ** 2).sum() for a, b in zip(before, after, strict=True)]
        moved.append(float(sum(squares)) ** 0.5)
        norms.append(learner.tally.means()["gradient_norm"])
    assert norms[0] == norms[1] == pytest.approx(moved[0], rel=1e-4)  # told before clipping
    assert moved[1] == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("name", ["policy.conv1.weight", "blocks.0.bn1.running_var"])
def test_a_step_that_leaves_a_broken_net_is_told(name):
    """Its own loss was finite, and a checkpoint may be due before the next one."""
    spec = make_spec(NET)
    learner = Learner(tower(spec, fresh_weights(spec, 0)), TrainingSettings(8, 1))
    learner.step(positions(8, 0), 0.1)
    learner.flush()
    learner.step(positions(8, 1), 0.1)
    with torch.no_grad():
        learner.module.state_dict()[name].fill_(torch.inf)
    with pytest.raises(DivergedError, match="step 2: the net is not finite"):
        learner.flush()


def test_running_statistics_keep_their_momentum():
    spec = make_spec(NET)
    learner = Learner(tower(spec, fresh_weights(spec, 0)), TrainingSettings(8, 1))
    learner.step(positions(8, 0), 0.0)
    variance = learner.module.input.bn.running_var
    assert (variance >= 0.99).all()  # of 1 at the beginning
    assert (variance != 1).any()
    assert learner.module.input.bn.num_batches_tracked == 1


def test_fresh_kernels_are_glorots():
    """Zero mean, a variance of 2 / (inputs + outputs), nothing beyond two deviations of the cut."""
    spec = make_spec(NetSettings(blocks=1, filters=64))
    weights = fresh_weights(spec, 3)
    for name, values in weights.items():
        if name == "moves_left.dense2.bias":
            assert values == FIRST_PLIES
        elif values.ndim < 2:
            wanted = name.endswith((".gamma", ".variance"))
            assert (values == wanted).all()
        elif values.size > 10_000:
            squares = np.prod(values.shape[2:], initial=1)
            variance = 2 / (squares * (values.shape[0] + values.shape[1]))
            error = 4 / np.sqrt(values.size)  # four standard errors, about
            assert values.var() == pytest.approx(variance, rel=error)
            assert abs(values.mean()) < error * np.sqrt(variance)
            assert np.abs(values).max() <= 2.2741 * np.sqrt(variance)
    again, other = fresh_weights(spec, 3), fresh_weights(spec, 4)
    assert all(np.array_equal(values, again[name]) for name, values in weights.items())
    assert not np.array_equal(weights["input.conv.weight"], other["input.conv.weight"])
