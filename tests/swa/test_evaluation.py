"""Nets on positions: against a plain loop, by winograd and by torch, and real nets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from record_bytes import packed_game
from scipy import special
from tiny_net import KINDS, TINY, calm_weights

from swa import batches, planes
from swa.batches import read_batches
from swa.bootstrap import interval, resampled_means
from swa.evaluation import COMPARISONS, METRICS, OUTCOMES, SCORE, evaluate
from swa.inference import make_inference
from swa.model import for_play
from swa.net import load_net, new_net
from swa.records import RecordError
from swa.spec import NetError

CLASSICAL = KINDS["no se, classical policy and value"]


def tiny(seed, spec=TINY):
    return new_net(spec, calm_weights(spec, seed), name=f"tiny-{seed}")


@pytest.fixture(scope="module")
def some(shared):
    """A thousand positions of seven games."""
    return list(read_batches(shared / "chunks" / "v7", positions=1000))


def by_a_plain_loop(nets, found, q_ratio):
    """For each net the figures of each position, from torch's answers in float64."""
    modules = [for_play(net.spec, net.weights, dtype=torch.float64) for net in nets]
    rows = [[] for _ in nets]
    for batch in found:
        whole = torch.tensor(planes.unpack(batch.masks, batch.values), dtype=torch.float64)
        answers = [module(whole) for module in modules]
        for b in range(len(batch.games)):
            moves = batch.moves[batch.offsets[b] : batch.offsets[b + 1]].astype(int)
            wanted = batch.policy[batch.offsets[b] : batch.offsets[b + 1]]
            target = q_ratio * batch.searched[b] + (1 - q_ratio) * batch.result[b]
            first = None
            for number, answer in enumerate(answers):
                logs = special.log_softmax(answer.policy[b].numpy()[moves])
                wdl = special.softmax(answer.value[b].numpy())
                order = np.argsort(-logs, kind="stable")
                q = wdl[0] - wdl[2]
                off = float(answer.moves_left[b, 0]) - batch.plies_left[b]
                first = first or (logs, order, q)
                best = set(np.flatnonzero(wanted == wanted.max()))
                row = {
                    "policy_cross_entropy": -(wanted * logs).sum(),
                    "policy_accuracy": order[0] in best,
                    "policy_top3": bool(best & set(order[:3])),
                    "value_cross_entropy": -(target * np.log(wdl)).sum(),
                    "value_mse": (q - (target[0] - target[2])) ** 2,
                    "value_accuracy": batch.result[b, wdl.argmax()] == 1,
                    "value_side": np.nan
                    if batch.result[b, 1]
                    else (q > 0) == (batch.result[b, 0] == 1),
                    "value_brier": ((wdl - batch.result[b]) ** 2).sum(),
                    "moves_left_mae": abs(off),
                    "moves_left_huber": special.huber(10, off),
                    "policy_kl": special.rel_entr(np.exp(first[0]), np.exp(logs)).sum(),
                    "same_first_move": order[0] == first[1][0],
                    "q_distance": abs(q - first[2]),
                }
                rows[number].append(row)
    return rows


@pytest.mark.parametrize("q_ratio", [0, 0.3])
def test_the_figures_are_those_of_a_plain_loop(some, q_ratio):
    nets, later = [tiny(0), tiny(1), tiny(2)], some[1]  # where one game of five is decided
    found = [later._replace(games=later.games - later.games[0])]
    rows = by_a_plain_loop(nets, found, q_ratio)
    result = evaluate(nets, found, q_ratio=q_ratio, resamples=200)
    assert (result.positions, result.games) == (len(later.games), len(set(later.games)))
    np.testing.assert_allclose(result.results, later.result.mean(axis=0), rtol=1e-12)
    assert 0 < result.results[1] < 1
    means = [
        {
            name: float(np.nanmean([row[name] for row in of_net]))
            for name in (*METRICS, *COMPARISONS)
        }
        for of_net in rows
    ]
    for number, net in enumerate(result.nets):
        assert tuple(net.metrics) == METRICS
        for name, estimate in net.metrics.items():
            assert estimate.value == pytest.approx(means[number][name], rel=1e-4), name
            if name == "value_side":
                assert (estimate.low, estimate.high) == (None, None)  # of one game
            else:
                assert estimate.low <= estimate.value <= estimate.high
    assert result.nets[0].to_first is None
    for number, net in enumerate(result.nets[1:], start=1):
        for name, estimate in net.to_first.metrics.items():
            expected = means[number][name] - means[0][name]
            assert estimate.value == pytest.approx(expected, rel=1e-3, abs=1e-5), name
        for name, estimate in net.to_first.comparisons.items():
            assert estimate.value == pytest.approx(means[number][name], rel=1e-3), name
        # Of a game all positions are drawn together, for both nets the same games
        starts = np.flatnonzero(np.diff(found[0].games, prepend=-1))
        losses = [
            [row["policy_cross_entropy"] for row in of_net] for of_net in (rows[0], rows[number])
        ]
        sums = np.add.reduceat(np.subtract(*losses[::-1]), starts)[:, None]
        counts = np.diff(starts, append=len(later.games))[:, None].astype(float)
        low, high = interval(resampled_means(sums, counts, 200, 0)[:, 0])
        estimate = net.to_first.metrics["policy_cross_entropy"]
        assert estimate[1:] == pytest.approx((low, high), abs=1e-5)
        distances = [row["q_distance"] for row in rows[number]]
        assert net.to_first.q_distance_95 == pytest.approx(np.quantile(distances, 0.95), rel=1e-3)


def test_how_positions_are_grouped_does_not_matter(shared, some, monkeypatch):
    nets = [tiny(0), tiny(1)]
    monkeypatch.setattr(batches, "BATCH", 37)
    regrouped = list(read_batches(shared / "chunks" / "v7", positions=1000))
    assert len(regrouped) == 28
    one, other = (evaluate(nets, found, resamples=50) for found in (some, regrouped))
    for net, same in zip(one.nets, other.nets, strict=True):
        for name, estimate in net.metrics.items():
            numbers = [part for part in estimate if part is not None]
            others = [part for part in same.metrics[name] if part is not None]
            assert numbers == pytest.approx(others, rel=1e-12)
        assert net.ece == pytest.approx(same.ece, rel=1e-12)
        assert net.reliability[SCORE].positions.sum() == 1000


def test_what_is_not_there(some, tmp_path):
    (tmp_path / "0.gz").write_bytes(packed_game(4, best_q=0.5))  # plies left are not known
    unknown = list(read_batches(tmp_path))
    drawn, later = some  # all games of the first batch are
    assert drawn.result[:, 1].all()
    assert "value_side" not in evaluate([tiny(0)], [drawn], resamples=20).nets[0].metrics
    both = evaluate([tiny(0), tiny(1, CLASSICAL)], [later], resamples=20)
    full, classical = both.nets
    assert set(METRICS) - set(classical.metrics) == {
        name for name in METRICS if name.startswith("moves_left")
    } | {"value_cross_entropy", "value_accuracy", "value_brier"}
    assert classical.ece is None
    for net, value in ((full, "value_cross_entropy"), (classical, "value_mse")):
        parts = net.metrics["policy_cross_entropy"], net.metrics[value]
        assert net.loss == sum(part.value for part in parts)
    assert set(classical.reliability) == {SCORE}
    assert set(full.reliability) == {SCORE, *OUTCOMES}
    assert set(classical.to_first.metrics) == set(classical.metrics)
    alone = evaluate([tiny(0)], unknown).nets[0]
    assert "moves_left_mae" not in alone.metrics
    assert alone.metrics["value_mse"].low is None  # of a single game


def test_what_only_one_game_has_is_without_an_interval(some):
    """Whatever is drawn, the one decided game's share is the same: nothing is beyond chance."""
    result = evaluate([tiny(0), tiny(1)], some[1:], resamples=50)
    assert (result.decided_games, result.games > 2) == (1, True)
    _, other = result.nets
    assert other.metrics["value_side"][1:] == (None, None)
    assert other.to_first.metrics["value_side"][1:] == (None, None)
    assert other.to_first.metrics["value_accuracy"].low is not None


def test_a_net_is_no_different_from_itself(some):
    result = evaluate([tiny(0), tiny(0)], some[:1], resamples=20)
    assert all(estimate == (0, 0, 0) for estimate in result.nets[1].to_first.metrics.values())
    assert result.nets[1].to_first.comparisons["policy_kl"] == (0, 0, 0)
    assert result.nets[1].to_first.comparisons["same_first_move"] == (1, 1, 1)
    assert result.nets[1].to_first.q_distance_95 == 0


def test_without_resamples_there_are_means_only(some):
    quick, full = (evaluate([tiny(0)], some[:1], resamples=count) for count in (0, 20))
    for name, estimate in quick.nets[0].metrics.items():
        assert estimate == (full.nets[0].metrics[name].value, None, None)


def test_broken_nets_and_bad_questions(some, tmp_path):
    weights = calm_weights(TINY)
    weights["value.dense2.bias"] = np.full(3, np.nan, np.float32)
    with pytest.raises(NetError, match="value is no number"):
        evaluate([replace(tiny(0), weights=weights)], some[:1])
    with pytest.raises(RecordError, match="no positions"):
        evaluate([tiny(0)], [])
    with pytest.raises(ValueError, match="q_ratio"):
        evaluate([tiny(0)], some, q_ratio=1.5)
    with pytest.raises(ValueError, match="at least one net"):
        evaluate([], some)
    with pytest.raises(NetError, match="not available"):
        evaluate([tiny(0)], some, device="cuda:99")
    with pytest.raises(NetError, match="on a CPU, not on"):
        make_inference(tiny(0), "cpu:0", "winograd")
    (tmp_path / "0.gz").write_bytes(packed_game(3))
    with pytest.raises(RecordError, match="V3"):
        evaluate([tiny(0)], read_batches(tmp_path), q_ratio=0.5)


def test_who_computes(monkeypatch):
    assert make_inference(tiny(0), "cpu").name == "winograd on cpu"
    assert make_inference(tiny(0), "cpu", "torch").name == "torch on cpu"
    monkeypatch.setattr("swa.inference.why_not", lambda spec: "too large")
    assert make_inference(tiny(0), "cpu").name == "torch on cpu"
    with pytest.raises(NetError, match="too large"):
        make_inference(tiny(0), "cpu", "winograd")


@pytest.mark.parametrize("name", ["maia-1500", "maia-2200", "tinygyal-8"])
def test_winograd_and_torch_agree_on_real_nets(shared, some, name):
    net = load_net(shared / "nets" / f"{name}.pb.gz")
    found = some[:1]
    ours, torchs = (
        evaluate([net], found, kind=kind, resamples=0).nets[0] for kind in ("winograd", "torch")
    )
    for metric, estimate in ours.metrics.items():
        # A single move that changes places with its equal changes a share by 1 / 512
        close = 1e-5 if "accuracy" not in metric and "top3" not in metric else 1.01 / 512
        assert estimate.value == pytest.approx(torchs.metrics[metric].value, abs=close), metric
    for what, found_bins in ours.reliability.items():
        assert found_bins.ece == pytest.approx(torchs.reliability[what].ece, abs=1e-3)


def test_two_points_of_a_run(shared, some):
    """The run of the two checkpoints overfits: on games that it did not learn from, later is worse.

    So say their losses on human games and on both sets of self-play, in policy and in value.
    """
    names = ("ckpt-1-10000", "ckpt-11-110000", "maia-1500")
    nets = [load_net(shared / "nets" / f"{name}.pb.gz") for name in names]
    _, later, maia = evaluate(nets, some, resamples=2000).nets
    for name in ("policy_cross_entropy", "value_cross_entropy", "value_mse"):
        assert 0 < later.to_first.metrics[name].low < later.to_first.metrics[name].value
        assert maia.to_first.metrics[name].high < 0
    assert maia.to_first.metrics["policy_accuracy"].low > 0.05
    assert later.to_first.comparisons["policy_kl"].high < maia.to_first.comparisons["policy_kl"].low
