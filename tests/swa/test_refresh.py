"""Batch norm's refresh against two passes in float64, and what it must not depend on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import chess
import numpy as np
import pytest
import torch
from conftest import read_jsonl
from numpy.typing import NDArray
from refresh_reference import PLAIN_NET, SE_NET, Planes, random_planes, two_passes
from tiny_net import ATTENTION_KINDS, calm_weights

from arena.boards import line_from_game
from arena.kernel.encode import pack_planes
from arena.kernel.movegen import MAX_MOVES, legal_moves
from swa.batchnorm import Statistics, fold
from swa.forward import Forward
from swa.model import tower, unpack
from swa.net import NetError, load_net
from swa.refresh import Progress, refresh
from swa.spec import NetSpec

ENGINES: dict[str, dict[str, Any]] = {
    "winograd": {"device": "cpu"},
    "torch float64": {"device": "cpu", "dtype": "float64"},
}
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def differences(
    found: Mapping[str, Statistics], reference: Mapping[str, Statistics]
) -> tuple[float, float]:
    """The largest of the means, in standard deviations, and of the variances, relative."""
    assert found.keys() == reference.keys()
    means, variances = [0.0], [0.0]
    for name, exact in reference.items():
        alive = exact.variance > 1e-12
        distances = np.abs(found[name].mean - exact.mean)
        means.append(float((distances / np.sqrt(np.maximum(exact.variance, 1e-10))).max()))
        relative = np.abs(found[name].variance - exact.variance)[alive] / exact.variance[alive]
        variances.append(float(relative.max(initial=0)))
    return max(means), max(variances)


def same_bits(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("spec", [SE_NET, PLAIN_NET, replace(PLAIN_NET, blocks=0)])
def test_statistics_are_those_of_two_passes_in_float64(spec: NetSpec) -> None:
    weights, planes = calm_weights(spec), random_planes(67)
    reference = two_passes(spec, weights, planes)
    found = refresh(spec, weights, planes, device="cpu")
    assert max(differences(found.statistics, reference)) < 1e-6
    found = refresh(spec, weights, planes, device="cpu", dtype="float64", batch=30)
    assert max(differences(found.statistics, reference)) < 1e-12
    for name, statistics in found.statistics.items():
        for part in ("mean", "variance"):
            written = getattr(statistics, part).astype(np.float32)
            assert np.array_equal(found.weights[f"{name}.{part}"], written)


@pytest.mark.parametrize(
    "kind",
    [
        "attention policy on a tower",
        "attention policy with encoders",
        "attention body on a tower",
    ],
)
def test_towers_with_attention_are_refreshed_by_torch(kind: str) -> None:
    """All their convolutions are, those of heads among them, where heads have any."""
    spec, planes = ATTENTION_KINDS[kind], random_planes(20)
    weights = calm_weights(spec)
    for batch in (7, 20):
        found = refresh(spec, weights, planes, device="cpu", batch=batch)
        assert found.report.evaluator == "torch"
        assert max(differences(found.statistics, two_passes(spec, weights, planes))) < 1e-12
    others = {name for name in weights if not name.endswith((".mean", ".variance"))}
    assert all(np.array_equal(found.weights[name], weights[name]) for name in others)


def test_torch_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, on a CPU: for a net that ``swa.forward`` does not cover."""
    weights, planes = calm_weights(SE_NET), random_planes(67)
    reference = two_passes(SE_NET, weights, planes)
    monkeypatch.setattr("swa.refresh.why_not", lambda spec: "its transformed weights are too large")
    for batch in (1, 7, 67):
        found = refresh(SE_NET, weights, planes, device="cpu", dtype="float32", batch=batch)
        assert (found.report.evaluator, found.report.dtype) == ("torch", "float32")
        assert max(differences(found.statistics, reference)) < 1e-6
    assert refresh(SE_NET, weights, planes, device="cpu").report.dtype == "float64"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-10)])
def test_on_a_gpu(dtype: Any, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, planes = calm_weights(SE_NET), random_planes(67)
    reference = two_passes(SE_NET, weights, planes)
    for share in (0.5, 0.0):  # kept on the device, kept on the host
        monkeypatch.setattr("swa.refresh_torch.MOST_OF_DEVICE", share)
        found = refresh(SE_NET, weights, planes, device="cuda", dtype=dtype, batch=30)
        assert found.report.device == "cuda"
        assert max(differences(found.statistics, reference)) < tolerance


def test_everything_but_the_statistics_stays() -> None:
    weights = calm_weights(SE_NET)
    before = {name: array.copy() for name, array in weights.items()}
    for array in weights.values():
        array.flags.writeable = False
    refreshed = refresh(SE_NET, weights, random_planes(3), device="cpu").weights
    assert refreshed.keys() == weights.keys()
    for name, array in refreshed.items():
        assert np.array_equal(weights[name], before[name])
        changed = name.endswith((".mean", ".variance"))
        assert changed != np.array_equal(array, before[name])
        assert array.dtype == np.float32
        assert array.shape == before[name].shape


@pytest.mark.parametrize("spec", [SE_NET, PLAIN_NET])
def test_no_bit_depends_on_batches_threads_or_order(spec: NetSpec) -> None:
    """So what is written to a file does not either, in any encoding."""
    weights, (masks, values) = calm_weights(spec), random_planes(300)
    alone = refresh(spec, weights, (masks, values), device="cpu").weights
    for batch, threads in ((1, 1), (7, 2), (97, 1), (256, 3)):
        order = np.random.default_rng(batch).permutation(len(masks))
        planes = masks[order], values[order]
        other = refresh(spec, weights, planes, device="cpu", batch=batch, threads=threads)
        assert same_bits(alone, other.weights), (batch, threads)


def test_in_float64_no_bit_of_the_weights_depends_on_them_either() -> None:
    weights, (masks, values) = calm_weights(PLAIN_NET), random_planes(100)
    first = refresh(PLAIN_NET, weights, (masks, values), device="cpu", dtype="float64")
    for batch in (1, 7, 97):
        planes = masks[::-1], values[::-1]
        other = refresh(PLAIN_NET, weights, planes, device="cpu", dtype="float64", batch=batch)
        assert max(differences(other.statistics, first.statistics)) < 1e-13
        assert same_bits(first.weights, other.weights)


@every_engine
def test_a_second_refresh_changes_nothing(engine: dict[str, Any]) -> None:
    """The statistics that a net came with do not matter, were they none at all."""
    planes, weights = random_planes(40), calm_weights(SE_NET)
    once = refresh(SE_NET, weights, planes, **engine)
    twice = refresh(SE_NET, once.weights, planes, **engine)
    assert same_bits(once.weights, twice.weights)
    assert {layer.dead_before for layer in twice.report.layers} == {0}
    for layer in twice.report.layers:
        assert layer.mean_shift_max < 1e-6
        assert abs(layer.variance_ratio_min - 1) < 1e-6
    for name, array in weights.items():
        if name.endswith((".mean", ".variance")):
            array[:] = 0
    assert same_bits(once.weights, refresh(SE_NET, weights, planes, **engine).weights)


@every_engine
def test_positions_may_come_one_chunk_after_the_other(engine: dict[str, Any]) -> None:
    weights, (masks, values) = calm_weights(PLAIN_NET), random_planes(50)
    whole = refresh(PLAIN_NET, weights, (masks, values), batch=20, **engine)
    cuts = (0, 1, 1, 18, 45, 50)
    chunks = ((masks[a:b], values[a:b]) for a, b in pairwise(cuts))
    found = refresh(PLAIN_NET, weights, chunks, batch=20, **engine)
    assert same_bits(whole.weights, found.weights)
    assert found.report.positions == 50


def test_the_refreshed_net_normalises_what_it_plays() -> None:
    """Folded and run by the forward pass, it says what torch says of the same weights."""
    masks, values = random_planes(12)
    refreshed = refresh(SE_NET, calm_weights(SE_NET), (masks, values), device="cpu").weights
    moves = np.tile(np.arange(0, 1858, 50, dtype=np.uint16), 12)
    offsets = np.arange(0, len(moves) + 1, len(moves) // 12, dtype=np.int64)
    ours = Forward(*fold(SE_NET, refreshed))(masks, values, moves, offsets)
    module = tower(SE_NET, refreshed).double().eval()
    inputs = unpack(torch.tensor(masks.view(np.uint8)), torch.tensor(values)).double()
    with torch.no_grad():
        theirs = module(inputs)
    rows = np.repeat(np.arange(12), np.diff(offsets))
    np.testing.assert_allclose(ours.logits, theirs.policy.numpy()[rows, moves], atol=1e-4)
    np.testing.assert_allclose(ours.wdl, theirs.value.softmax(1).numpy(), atol=1e-5)


def positions_of_games(path: Path, count: int) -> tuple[Planes, NDArray[np.uint16], Any]:
    """Planes and legal moves of every third position of real games."""
    masks, values = np.zeros((count, 112), np.uint64), np.zeros((count, 112), np.float32)
    moves: list[NDArray[np.uint16]] = []
    for row in read_jsonl(path):
        game = line_from_game(chess.Board(), row["opening"] + row["moves"], 1024)
        for ply in range(8, game.last, 3):
            number = len(moves)
            pack_planes(game.positions, ply, game.fill, masks[number], values[number])
            found = np.empty(MAX_MOVES, np.uint16)
            moves.append(found[: legal_moves(game.positions[ply], found)])
            if len(moves) == count:
                offsets = np.cumsum([0, *map(len, moves)], dtype=np.int64)
                return (masks, values), np.concatenate(moves), offsets
    raise AssertionError("too few games")


def test_on_a_real_net_and_real_positions(shared: Path) -> None:
    net = load_net(shared / "nets" / "maia-1500.pb.gz")
    games = shared / "golden" / "games_1500_meangirl.jsonl.gz"
    planes, _, _ = positions_of_games(games, 400)
    reference = refresh(net.spec, net.weights, planes, device="cpu", dtype="float64")
    found = refresh(net.spec, net.weights, planes, device="cpu")
    assert max(differences(found.statistics, reference.statistics)) < 1e-6


def test_a_mixture_of_two_nets_plays_again_when_refreshed(shared: Path) -> None:
    """0.9 of one net and 0.1 of an unrelated one: noise on the weights, and stale statistics."""
    one, other = (load_net(shared / "nets" / f"maia-{n}.pb.gz") for n in (1500, 1600))
    mixed = {
        name: (0.9 * array.astype(np.float64) + 0.1 * other.weights[name]).astype(np.float32)
        for name, array in one.weights.items()
    }
    games = shared / "golden" / "games_1500_meangirl.jsonl.gz"
    planes, moves, offsets = positions_of_games(games, 640)

    def log_policy(weights: Mapping[str, Any]) -> NDArray[np.float64]:
        logits = Forward(one.spec, weights)(*planes, moves, offsets).logits.astype(np.float64)
        logits -= np.repeat(np.maximum.reduceat(logits, offsets[:-1]), np.diff(offsets))
        totals = np.add.reduceat(np.exp(logits), offsets[:-1])
        return logits - np.repeat(np.log(totals), np.diff(offsets))

    target = log_policy(one.weights)

    def divergence(weights: Mapping[str, Any]) -> float:
        return float((np.exp(target) * (target - log_policy(weights))).sum() / len(planes[0]))

    refreshed = refresh(one.spec, mixed, planes, device="cpu")
    assert divergence(mixed) > 0.4
    assert 5 * divergence(refreshed.weights) < divergence(mixed)
    assert max(layer.mean_shift_max for layer in refreshed.report.layers) > 0.5


def test_the_report_tells_what_changed() -> None:
    weights, planes = calm_weights(PLAIN_NET), random_planes(30)
    right = refresh(PLAIN_NET, weights, planes, device="cpu").statistics["blocks.0.bn1"]
    sigma = np.sqrt(right.variance + 1e-5)
    shifts = np.linspace(-2, 1, 16)
    weights["blocks.0.bn1.mean"] = (right.mean + shifts * sigma).astype(np.float32)
    weights["blocks.0.bn1.variance"] = (4 * right.variance + 3e-5).astype(np.float32)
    weights["blocks.0.bn1.variance"][3] = 9.9e-6
    weights["blocks.0.conv1.weight"][5] = 0
    found = refresh(PLAIN_NET, weights, planes, device="cpu")
    report = found.report
    assert (report.method, report.evaluator, report.device) == ("exact", "winograd", "cpu")
    assert (report.dtype, report.positions) == ("float32", 30)
    names = ["input.bn", "blocks.0.bn1", "blocks.0.bn2", "policy.bn", "value.bn"]
    assert [layer.name for layer in report.layers] == names
    layer = report.layers[1]
    assert (layer.channels, layer.dead_before, layer.dead_after) == (16, 1, 1)
    # Channel 5 is constant now: divided by the root of epsilon alone.
    shifts[5] = weights["blocks.0.bn1.mean"][5] / np.sqrt(1e-5)
    assert layer.mean_shift_max == pytest.approx(np.abs(shifts).max(), rel=1e-5)
    assert layer.mean_shift_rms == pytest.approx(np.sqrt(np.mean(shifts**2)), rel=1e-5)
    assert layer.variance_ratio_median == pytest.approx(0.25, rel=1e-5)
    assert layer.variance_ratio_max == pytest.approx((right.variance[3] + 1e-5) / 1.99e-5, rel=1e-5)
    assert layer.variance_ratio_min == pytest.approx(
        1e-5 / (4 * right.variance[5] + 4e-5), rel=1e-5
    )


@every_engine
def test_progress_is_told(engine: dict[str, Any]) -> None:
    told: list[Progress] = []
    planes = random_planes(50)
    refresh(PLAIN_NET, calm_weights(PLAIN_NET), planes, batch=20, progress=told.append, **engine)
    heads = ("policy.conv", "value.conv")
    layers = [("input.conv",), ("blocks.0.conv1",), ("blocks.0.conv2",), heads]
    assert told == [
        Progress(number, 4, names, positions, 50 if number else None)
        for number, names in enumerate(layers)
        for positions in (20, 40, 50)
    ]


def test_what_cannot_be_refreshed_is_refused() -> None:
    weights, planes = calm_weights(PLAIN_NET), random_planes(2)
    with pytest.raises(NetError, match="no batch norm"):
        refresh(*fold(PLAIN_NET, weights), planes)
    with pytest.raises(ValueError, match="at least one position"):
        refresh(PLAIN_NET, weights, random_planes(0))
    with pytest.raises(ValueError, match="at least one position"):
        refresh(PLAIN_NET, weights, iter([]))
    with pytest.raises(ValueError, match=r"uint64\[n, 112\], not int64\[2, 112\]"):
        refresh(PLAIN_NET, weights, (planes[0].view(np.int64), planes[1]))
    with pytest.raises(ValueError, match="masks of 2 positions, values of 1"):
        refresh(PLAIN_NET, weights, (planes[0], planes[1][:1]))
    with pytest.raises(ValueError, match="none of exact, pooled"):
        refresh(PLAIN_NET, weights, planes, method="guess")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batches of 0"):
        refresh(PLAIN_NET, weights, planes, batch=0)
    with pytest.raises(NetError, match="'cuda:77' is not available here"):
        refresh(PLAIN_NET, weights, planes, device="cuda:77")
    with pytest.raises(NetError, match="'meta' is not available here"):
        refresh(PLAIN_NET, weights, planes, device="meta")  # tensors without numbers


@every_engine
def test_activations_that_are_no_numbers_are_refused(engine: dict[str, Any]) -> None:
    for wrong in (np.nan, 1e38):
        weights = calm_weights(PLAIN_NET)
        weights["blocks.0.conv1.weight"][0, :] = wrong
        with pytest.raises(NetError, match=r"blocks\.0\.conv1 gives numbers that are not finite"):
            refresh(PLAIN_NET, weights, random_planes(2), **engine)


def test_torch_is_not_loaded_where_it_is_not_needed() -> None:
    code = "import sys, swa.refresh; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
