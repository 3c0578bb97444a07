from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_net import EVERY_KIND, TINY, random_weights

from swa import planes
from swa.model import Tower, fold, for_play, tower, unpack, weights_of
from swa.spec import NetSpec, ValueKind, parameters

every_kind = pytest.mark.parametrize("spec", EVERY_KIND.values(), ids=EVERY_KIND.keys())


def some_planes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 112, 8, 8, generator=generator)


@every_kind
def test_a_module_has_the_parameters_of_its_description(spec: NetSpec) -> None:
    shapes = {name: array.shape for name, array in weights_of(Tower(spec)).items()}
    assert shapes == {row.name: row.shape for row in parameters(spec)}


@every_kind
def test_weights_go_in_and_come_out_unchanged(spec: NetSpec) -> None:
    weights = random_weights(spec)
    returned = weights_of(tower(spec, weights))
    for name, array in weights.items():
        np.testing.assert_array_equal(returned[name], array, err_msg=name)
        assert not np.shares_memory(returned[name], array)


@every_kind
def test_outputs(spec: NetSpec) -> None:
    outputs = for_play(spec, random_weights(spec))(some_planes(3))
    assert outputs.policy.shape == (3, 1858)
    if spec.value.kind is ValueKind.WDL:
        assert outputs.value.shape == (3, 3)
    else:
        assert outputs.value.shape == (3, 1)
        assert outputs.value.abs().max() <= 1
    if spec.moves_left:
        assert outputs.moves_left.shape == (3, 1)
        assert outputs.moves_left.min() >= 0
    else:
        assert outputs.moves_left is None


@every_kind
def test_folding_batch_norm_changes_nothing(spec: NetSpec) -> None:
    weights = random_weights(spec)
    folded_spec, folded = fold(spec, weights)
    assert not folded_spec.batch_norm
    assert not any(".bn" in name for name in folded)
    planes = some_planes(4).double()
    whole = tower(spec, weights).eval().double()(planes)
    played = tower(folded_spec, folded).eval().double()(planes)
    # Folded weights are float32 again; all else is float64 here.
    torch.testing.assert_close(played.policy, whole.policy, rtol=0, atol=1e-5)
    torch.testing.assert_close(played.value, whole.value, rtol=0, atol=1e-5)


def test_play_is_channels_last_and_without_gradients() -> None:
    module = for_play(TINY, random_weights(TINY))
    assert not module.training
    for parameter in module.parameters():
        assert not parameter.requires_grad
        if parameter.dim() == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last)


@every_kind
def test_every_parameter_of_what_plays_learns(spec: NetSpec) -> None:
    module = tower(spec, random_weights(spec))
    idle = [f"policies.{name}." for name, _ in spec.policies if name != spec.policy_head]
    idle += [f"values.{name}." for name, _ in spec.values if name != spec.value_head]
    idle += [f"values.{spec.value_head}.{layer}" for layer in ("errors", "categories")]
    outputs = module(some_planes(8))
    loss = outputs.policy.square().mean() + outputs.value.square().sum()
    if outputs.moves_left is not None:
        loss = loss + (outputs.moves_left + 0 * loss).sum()
    loss.backward()
    for name, parameter in module.named_parameters():
        if name.startswith(tuple(idle)):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_unpacked_planes_are_those_of_numpy() -> None:
    random = np.random.default_rng(0)
    masks = random.integers(0, 2**64, (5, 112), np.uint64, endpoint=False)
    masks[:, ::3] = 0
    masks[:, 1::3] = 2**64 - 1
    values = random.normal(0, 10, (5, 112)).astype(np.float32)
    unpacked = unpack(torch.from_numpy(masks.view(np.int64)), torch.from_numpy(values))
    assert unpacked.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(unpacked.numpy(), planes.unpack(masks, values))


def test_unpacking_in_half_precision() -> None:
    masks = torch.tensor([[1 << 9] * 112])
    unpacked = unpack(masks, torch.full((1, 112), 42.0), torch.float16)
    assert unpacked.dtype == torch.float16
    assert unpacked[0, 0, 1, 1] == 42
    assert unpacked.sum(dtype=torch.float32) == 42 * 112
