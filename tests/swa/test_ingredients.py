"""Averages of real and of tiny nets, and which nets have none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_net import KINDS, TINY, net_message, random_weights

from swa.averaging import Ema, Lawa, Lczero
from swa.ingredients import SAME_RUN_COSINE, average_nets, check_same_kind, cosines
from swa.layer_codec import layer_at
from swa.net import Net, NetError, load_net, new_net, same_weights, save_net
from swa.spec import MovesLeftSpec, NetSpec, PolicyKind, PolicySpec, parameters

LEVELS = (1100, 1300, 1500, 1600, 1900)


@pytest.fixture(scope="module")
def maia(shared: Path) -> dict[int, Net]:
    return {level: load_net(shared / f"nets/maia-{level}.pb.gz") for level in (*LEVELS, 2200)}


def tiny(seed: int = 0, spec: NetSpec = TINY, path: str = "", **changes: Any) -> Net:
    net = new_net(spec, random_weights(spec, seed))
    return replace(net, path=Path(path or f"net-{seed}.pb"), sha256=f"{seed:064}", **changes)


def run_of(count: int, seed: int = 0) -> list[Net]:
    """Snapshots of a run: one net, a little moved each time."""
    random, weights = np.random.default_rng(seed), random_weights(TINY, seed)
    nets = []
    for place in range(count):
        for name, values in weights.items():
            weights[name] = values * np.float32(1 + 0.05 * random.normal())
        net = tiny(place, training_steps=1000 * (place + 1))
        nets.append(replace(net, weights=dict(weights)))
    return nets


# Real nets


def test_the_five_maia_levels_against_numpy(maia: dict[int, Net]) -> None:
    nets = [maia[level] for level in LEVELS]
    average = average_nets(nets, force=True)
    for name, values in average.net.weights.items():
        stack = np.array([net.weights[name] for net in nets], np.float64)
        expected = stack.mean(axis=0)
        ulp = np.spacing(np.abs(expected).astype(np.float32))
        assert (np.abs(values - expected) <= ulp).all(), name
    assert [ingredient.weight for ingredient in average.ingredients] == [0.2] * 5
    assert average.ingredients[3].sha256 == maia[1600].sha256


def test_two_points_of_one_run_belong_together(shared: Path, tmp_path: Path) -> None:
    nets = [load_net(shared / f"nets/{n}.pb.gz") for n in ("ckpt-1-10000", "ckpt-11-110000")]
    average = average_nets(nets)
    assert average.similarity is not None
    assert average.similarity.cosine == pytest.approx(0.9582, abs=1e-4)
    assert average.net.training_steps == 110_000
    saved = save_net(average.net, tmp_path / "average.pb.gz")
    assert (saved.encoding, saved.min_version) == ("linear16", (0, 21, 0))
    again: Any = load_net(saved.path)
    for name, values in again.weights.items():
        exact = (nets[0].weights[name].astype(np.float64) + nets[1].weights[name]) / 2
        step = (exact.max() - exact.min()) / 65535
        assert np.abs(values - exact).max() <= 0.5001 * step + 2e-7 * np.abs(exact).max()
    figures = again.message.training_params
    assert [field.name for field, _ in figures.ListFields()] == ["training_steps", "learning_rate"]


def test_nets_of_different_runs_are_refused_and_can_be_forced(maia: dict[int, Net]) -> None:
    pair = [maia[1500], maia[1600]]
    with pytest.raises(NetError, match="of another run") as refused:
        average_nets(pair, [0.9, 0.1])
    assert refused.value.path == str(maia[1600].path)
    assert str(maia[1500].path) in refused.value.reason
    average = average_nets(pair, [0.9, 0.1], force=True)
    for name, values in average.net.weights.items():
        first, second = (net.weights[name].astype(np.float64) for net in pair)
        np.testing.assert_allclose(values, 0.9 * first + 0.1 * second, rtol=6e-8, atol=1e-12)


def test_the_threshold_lies_far_from_both_sides(shared: Path, maia: dict[int, Net]) -> None:
    run = [load_net(shared / f"nets/{n}.pb.gz") for n in ("ckpt-1-10000", "ckpt-11-110000")]
    found = cosines([*maia.values(), *run])
    strangers = found.copy()
    strangers[-2:, -2:] = 0
    np.fill_diagonal(strangers, 0)
    assert np.abs(strangers).max() < 0.02 < SAME_RUN_COSINE < 0.95 < found[-2, -1]
    np.testing.assert_allclose(found.diagonal(), 1, rtol=1e-12)


def test_nets_of_other_sizes_are_refused_with_the_difference(
    shared: Path, maia: dict[int, Net]
) -> None:
    other = load_net(shared / "nets/meangirl-8.pb.gz")
    with pytest.raises(NetError) as refused:
        average_nets([maia[1900], other], force=True)
    message = str(refused.value)
    assert message.startswith(str(other.path))
    assert len(message.splitlines()) == 2
    for word in (
        str(maia[1900].path),
        "blocks: 4 instead of 6",
        "filters: 32 instead of 64",
        "value head kind: classical instead of wdl",
    ):
        assert word in message


# Kinds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blocks": 2}, "blocks: 2 instead of 1"),
        ({"filters": 8}, "filters: 8 instead of 4"),
        ({"se": 0}, "the squeeze of SE units: 0 instead of 2"),
        ({"policy": PolicySpec(PolicyKind.CLASSICAL, 4)}, "policy head kind: classical instead"),
        ({"moves_left": None}, "moves left head: no instead of yes"),
        ({"moves_left": MovesLeftSpec(1, 3)}, "moves left head channels: 1 instead of 2"),
        ({"activation": KINDS["mish"].activation}, "activation: mish instead of relu"),
        ({"batch_norm": False}, "batch norm apart from the convolutions: no instead of yes"),
    ],
)
def test_every_difference_has_its_words(change: dict[str, Any], words: str) -> None:
    other = tiny(1, replace(TINY, **change))
    with pytest.raises(NetError, match=r"does not fit net-0\.pb") as refused:
        check_same_kind([tiny(0), tiny(0), other])
    assert words in refused.value.reason
    assert refused.value.path == "net-1.pb"


def test_a_beta_hidden_in_biases_is_no_difference(tmp_path: Path) -> None:
    """Two files of one net: lc0 reads the same from both, and so does the average."""
    weights = random_weights(TINY)
    message = net_message(TINY, weights)
    hidden: Any = type(message)()
    hidden.CopyFrom(message)
    for row in parameters(TINY):
        if not row.name.endswith(".beta"):
            continue
        norm, block = row.name.removesuffix(".beta"), row.field.removesuffix(".bn_betas")
        deviation = np.sqrt(weights[f"{norm}.variance"].astype(np.float64) + 1e-5)
        bias = weights[row.name] * deviation / weights[f"{norm}.gamma"]
        layer_at(hidden.weights, block).biases.encoding = 4
        layer_at(hidden.weights, block).biases.params = bias.astype("<f4").tobytes()
        layer_at(hidden.weights, block).ClearField("bn_betas")
    nets = []
    for name, content in (("plain", message), ("hidden", hidden)):
        path = tmp_path / f"{name}.pb"
        path.write_bytes(content.SerializeToString())
        nets.append(load_net(path))
    average = average_nets(nets)
    for name, values in average.net.weights.items():
        np.testing.assert_allclose(values, weights[name], rtol=3e-7, atol=0)
    for content in (average.net, replace(average.net, message=nets[1].message)):
        saved = save_net(content, tmp_path / "average.pb", overwrite=True)
        written = load_net(saved.path)
        assert same_weights(written, average.net)
        assert not written.message.weights.input.HasField("biases")  # type: ignore[attr-defined]


# The same


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_average_of_one_net_is_that_net(count: int, maia: dict[int, Net]) -> None:
    for rule in (None, Ema(0.9), Lczero(2), Lawa(2)):
        weights = None if rule is None else rule.proportions(count)
        average = average_nets([maia[1100]] * count, weights)
        assert same_weights(average.net, maia[1100])


def test_its_file_too(maia: dict[int, Net], tmp_path: Path) -> None:
    """Layers that did not change keep their codes; only the measured figures are gone."""
    average = average_nets([maia[1100]] * 2)
    saved = save_net(average.net, tmp_path / "average.pb")
    assert load_net(saved.path).message.weights == maia[1100].message.weights  # type: ignore[attr-defined]
    assert saved.worst.max_error == 0


# Order


@settings(max_examples=25)
@given(st.permutations(range(5)), st.booleans())
def test_order_changes_no_bit_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], weighted: bool
) -> None:
    nets = run_of(5)
    weights = [0.1, 0.7, 0.3, 2.0, 1.1] if weighted else [1.0] * 5
    folder = tmp_path_factory.mktemp("order")
    files = []
    for name, places in (("one", range(5)), ("other", order)):
        average = average_nets([nets[place] for place in places], [weights[p] for p in places])
        save_net(average.net, folder / f"{name}.pb", encoding="float32")
        files.append((folder / f"{name}.pb").read_bytes())
    assert files[0] == files[1]


def test_the_header_is_that_of_the_latest_whatever_the_order() -> None:
    nets = run_of(3)
    nets[1].message.license = b"of the first in name"  # type: ignore[attr-defined]
    nets[2].message.license = b"of the second in name"  # type: ignore[attr-defined]
    steps = [1000, 3000, 3000]
    nets = [replace(net, training_steps=count) for net, count in zip(nets, steps, strict=True)]
    for order in (nets, nets[::-1]):
        net: Any = average_nets(order).net
        assert net.message.license == b"of the first in name"
        assert net.training_steps == 3000


def test_what_has_no_weight_is_not_looked_at() -> None:
    run, stranger = run_of(3), tiny(9, training_steps=10**6)
    average = average_nets([stranger, *run], Lawa(3).proportions(4))
    assert same_weights(average.net, average_nets(run).net)
    assert average.net.training_steps == 3000
    assert [ingredient.weight for ingredient in average.ingredients] == [0, 1 / 3, 1 / 3, 1 / 3]
    with pytest.raises(NetError, match="of another run"):
        average_nets([stranger, *run])


def test_the_ingredients_are_left_as_they_were() -> None:
    nets = run_of(2)
    before = [{name: values.copy() for name, values in net.weights.items()} for net in nets]
    messages = [net.message.SerializeToString() for net in nets]
    average = average_nets(nets)
    with pytest.raises(ValueError, match="read-only"):
        average.net.weights["input.conv.weight"][0] = 1
    for net, held, message in zip(nets, before, messages, strict=True):
        assert all(np.array_equal(net.weights[name], held[name]) for name in held)
        assert net.message.SerializeToString() == message


def test_numbers_of_weights_are_checked_before_all_else() -> None:
    with pytest.raises(NetError, match="1 weights for 2 nets"):
        average_nets(run_of(2), [1])
    with pytest.raises(NetError, match="no nets"):
        average_nets([])


def test_cosines() -> None:
    one = tiny(0)
    opposite = replace(one, weights={name: -values for name, values in one.weights.items()})
    larger = replace(one, weights={name: 3 * values for name, values in one.weights.items()})
    zero = replace(one, weights={name: 0 * values for name, values in one.weights.items()})
    found = cosines([one, opposite, larger, zero, zero])
    np.testing.assert_allclose(found[0], [1, -1, 1, 0, 0], atol=1e-12)
    assert found[3, 4] == 1
    rows = [
        np.concatenate([w.ravel() for w in net.weights.values() if w.ndim == 4]).astype(float)
        for net in (one, tiny(1))
    ]
    expected = rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
    assert cosines([one, tiny(1)])[0, 1] == pytest.approx(expected, rel=1e-12)
