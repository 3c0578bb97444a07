from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import read_jsonl
from tiny_net import KINDS, tiny_payload

from arena.evaluator import (
    DelayEvaluator,
    DeviceError,
    Evaluation,
    Evaluator,
    HashEvaluator,
    Leaves,
    TorchEvaluator,
    UniformEvaluator,
    _hash_boards,
)
from swa.net import Net, NetError, load_net

LOGIT_TOLERANCE, PROBABILITY_TOLERANCE = 2e-4, 2e-5  # golden/README.md: float32 of any order

REAL_NETS = {
    "eval.jsonl.gz": ("maia-1100", "maia-1500", "maia-1900"),
    "eval_more.jsonl.gz": (
        "meangirl-8",
        "tinygyal-8",
        "maia-2200",
        "ckpt-1-10000",
        "ckpt-11-110000",
    ),
}


def leaves_of(
    masks: np.ndarray[Any, Any], values: np.ndarray[Any, Any], moves: Iterable[Sequence[int]]
) -> Leaves:
    lists = list(moves)
    return Leaves(
        masks=masks,
        values=values,
        moves=np.concatenate([np.array(row, np.uint16) for row in lists]),
        offsets=np.cumsum([0, *map(len, lists)], dtype=np.int64),
        keys=np.zeros((len(lists), 2), np.uint64),  # no net looks at them
    )


def random_leaves(boards: int, seed: int = 0) -> Leaves:
    random = np.random.default_rng(seed)
    return leaves_of(
        masks=random.integers(0, 2**64, (boards, 112), np.uint64),
        values=random.random((boards, 112), np.float32),
        moves=[random.integers(0, 1858, 1 + board % 40) for board in range(boards)],
    )


def some_of(leaves: Leaves, boards: Sequence[int]) -> Leaves:
    return leaves_of(
        leaves.masks[boards],
        leaves.values[boards],
        [leaves.moves[leaves.offsets[b] : leaves.offsets[b + 1]].tolist() for b in boards],
    )


@pytest.fixture(scope="module")
def golden_leaves(shared: Path) -> Leaves:
    packed = np.load(shared / "golden/eval_planes.npz")
    rows = read_jsonl(shared / "golden/eval.jsonl.gz")
    return leaves_of(packed["mask"], packed["value"], [row["policy_index"] for row in rows])


def tiny_net(folder: Path, kind: str) -> Net:
    path = folder / "tiny.pb"
    path.write_bytes(tiny_payload(KINDS[kind]))
    return load_net(path)


# Against lc0


@pytest.mark.parametrize("file", REAL_NETS)
def test_real_nets_evaluate_as_in_lc0(shared: Path, golden_leaves: Leaves, file: str) -> None:
    rows = read_jsonl(shared / "golden" / file)
    assert len(rows) == 155
    for name in REAL_NETS[file]:
        net = load_net(shared / "nets" / f"{name}.pb.gz")
        evaluation = TorchEvaluator(net, "cpu").evaluate(golden_leaves)
        lc0 = [row["eval"][name] for row in rows]
        logits = np.concatenate([one["logits"] for one in lc0])
        np.testing.assert_allclose(
            evaluation.logits, logits, rtol=0, atol=LOGIT_TOLERANCE, err_msg=name
        )
        win, draw, loss = evaluation.wdl.T
        for ours, key in ((win, "w"), (draw, "d"), (loss, "l"), (win - loss, "q")):
            theirs = [one[key] for one in lc0]
            np.testing.assert_allclose(
                ours, theirs, rtol=0, atol=PROBABILITY_TOLERANCE, err_msg=f"{name} {key}"
            )


def zoo_leaves(folder: Path, rows: list[dict[str, Any]]) -> Leaves:
    """Positions of the zoo's rows, in the classical input format."""
    packed = {
        row["id"]: row["planes"]
        for row in read_jsonl(folder / "planes.jsonl.gz")
        if row["input_format"] == 1
    }
    masks, values = np.zeros((len(rows), 112), np.uint64), np.zeros((len(rows), 112), np.float32)
    for board, row in enumerate(rows):
        for plane, (mask, value) in packed[row["id"]].items():
            masks[board, int(plane)], values[board, int(plane)] = int(mask, 16), value
    return leaves_of(masks, values, [row["index"] for row in rows])


def test_the_zoo_evaluates_as_in_lc0(shared: Path) -> None:
    folder = shared / "golden/zoo"
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in read_jsonl(folder / "rows.jsonl.gz"):
        rows.setdefault(row["net"], []).append(row)
    compared = 0
    for name, entry in json.loads((folder / "nets.json").read_text()).items():
        try:
            net = load_net(folder / "nets" / entry["file"])
        except NetError:
            continue  # not supported yet; tests/swa/test_weights_file.py counts these
        answers = rows[name]
        evaluation = TorchEvaluator(net, "cpu").evaluate(zoo_leaves(folder, answers))
        logits = np.concatenate([row["logits"] for row in answers])
        np.testing.assert_allclose(evaluation.logits, logits, rtol=0, atol=5e-4, err_msg=name)
        win, draw, loss = evaluation.wdl.T
        for ours, key, tolerance in (
            (win - loss, "q", 1e-4),
            (draw, "d", 1e-4),
            (evaluation.moves_left, "m", 3e-3),
        ):
            theirs = [row[key] for row in answers]
            np.testing.assert_allclose(
                ours, theirs, rtol=0, atol=tolerance, err_msg=f"{name} {key}"
            )
        assert net.spec.moves_left is not None or not answers[0]["has_m"]
        compared += 1
    assert compared == 25


# TorchEvaluator


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_does_not_depend_on_its_batch(tmp_path: Path, kind: str) -> None:
    evaluator = TorchEvaluator(tiny_net(tmp_path, kind), "cpu")
    leaves = random_leaves(9)
    together = evaluator.evaluate(leaves)
    assert together.logits.shape == leaves.moves.shape
    assert together.wdl.shape == (9, 3)
    assert together.moves_left.shape == (9,)
    np.testing.assert_allclose(together.wdl.sum(1), np.ones(9), rtol=0, atol=1e-6)
    for board in range(9):
        alone = evaluator.evaluate(some_of(leaves, [board]))
        start, end = leaves.offsets[board : board + 2]
        np.testing.assert_allclose(together.logits[start:end], alone.logits, rtol=0, atol=1e-4)
        np.testing.assert_allclose(together.wdl[board], alone.wdl[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            together.moves_left[board], alone.moves_left[0], rtol=0, atol=1e-3
        )


def test_a_classical_value_has_no_draws(tmp_path: Path) -> None:
    evaluator = TorchEvaluator(tiny_net(tmp_path, "no se, classical policy and value"), "cpu")
    evaluation = evaluator.evaluate(random_leaves(3))
    assert not evaluation.wdl[:, 1].any()
    assert not evaluator.has_moves_left
    assert not evaluation.moves_left.any()


def test_each_calling_thread_computes_with_one_thread(tmp_path: Path) -> None:
    evaluator = TorchEvaluator(tiny_net(tmp_path, "mish"), "cpu")
    leaves = random_leaves(20)
    answers: list[tuple[Evaluation, int]] = []

    def work() -> None:
        torch.set_num_threads(2)
        answers.append((evaluator.evaluate(leaves), torch.get_num_threads()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [count for _, count in answers] == [1, 1]
    first, second = (evaluation for evaluation, _ in answers)
    np.testing.assert_array_equal(first.logits, second.logits)


def test_devices_that_are_not_there(tmp_path: Path) -> None:
    net = tiny_net(tmp_path, "mish")
    for device in ("nonsense", "cuda:9"):
        with pytest.raises(DeviceError, match="not available here"):
            TorchEvaluator(net, device)
    with pytest.raises(DeviceError, match="float16 needs an accelerator"):
        TorchEvaluator(net, "cpu", "float16")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_an_accelerator_agrees_with_the_cpu(
    shared: Path, golden_leaves: Leaves, dtype: Any
) -> None:
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("needs an accelerator")
    net = load_net(shared / "nets/maia-1500.pb.gz")
    ours = TorchEvaluator(net, "auto", dtype).evaluate(golden_leaves)
    cpu = TorchEvaluator(net, "cpu").evaluate(golden_leaves)
    logits, probabilities = {"float32": (2e-4, 2e-5)}.get(dtype, (0.5, 0.05))
    np.testing.assert_allclose(ours.logits, cpu.logits, rtol=0, atol=logits)
    np.testing.assert_allclose(ours.wdl, cpu.wdl, rtol=0, atol=probabilities)


# Stand-ins


def test_uniform() -> None:
    leaves = random_leaves(3)
    evaluation = UniformEvaluator().evaluate(leaves)
    assert evaluation.logits.shape == leaves.moves.shape
    assert not evaluation.logits.any()
    np.testing.assert_array_equal(evaluation.wdl[:, 0], evaluation.wdl[:, 2])
    np.testing.assert_array_equal(evaluation.wdl.sum(1), np.ones(3))


def test_hash_does_not_depend_on_the_batch() -> None:
    evaluator, leaves = HashEvaluator(7), random_leaves(50)
    together = evaluator.evaluate(leaves)
    order = np.random.default_rng(1).permutation(50).tolist()
    shuffled = evaluator.evaluate(some_of(leaves, order))
    np.testing.assert_array_equal(shuffled.wdl, together.wdl[order])
    for place, board in enumerate(order):
        alone = evaluator.evaluate(some_of(leaves, [board]))
        start, end = leaves.offsets[board : board + 2]
        np.testing.assert_array_equal(alone.logits, together.logits[start:end])
        np.testing.assert_array_equal(alone.wdl[0], shuffled.wdl[place])


def test_hash_is_a_plausible_net() -> None:
    evaluation = HashEvaluator().evaluate(random_leaves(2000))
    assert evaluation.wdl.min() >= 0
    np.testing.assert_allclose(evaluation.wdl.sum(1), np.ones(2000), rtol=0, atol=1e-6)
    assert abs(evaluation.wdl[:, 0].mean() - evaluation.wdl[:, 2].mean()) < 0.03
    assert evaluation.logits.min() >= -2
    assert evaluation.logits.max() < 2
    assert abs(evaluation.logits.mean()) < 0.03
    assert abs(evaluation.logits.std() - 4 / 12**0.5) < 0.03


def test_hash_sees_every_plane_the_state_and_the_seed() -> None:
    leaves = random_leaves(1)
    first = HashEvaluator().evaluate(leaves)
    assert not np.array_equal(HashEvaluator(1).evaluate(leaves).wdl, first.wdl)
    for plane in range(112):
        masks = leaves.masks.copy()
        masks[0, plane] ^= np.uint64(1 << (plane % 64))
        changed = HashEvaluator().evaluate(leaves._replace(masks=masks))
        assert not np.array_equal(changed.wdl, first.wdl), plane
    values = leaves.values.copy()
    values[0, 109] += 1  # plies since a capture or a pawn move
    changed = HashEvaluator().evaluate(leaves._replace(values=values))
    assert not np.array_equal(changed.logits, first.logits)


def test_hash_compiled_equals_its_source() -> None:
    leaves = random_leaves(3)
    compiled = HashEvaluator(5).evaluate(leaves)
    logits, wdl = np.empty_like(compiled.logits), np.empty_like(compiled.wdl)
    with np.errstate(over="ignore"):  # numpy warns where words wrap around
        _hash_boards.py_func(
            np.uint64(5),
            leaves.masks,
            leaves.values.view(np.uint32),
            leaves.moves,
            leaves.offsets,
            logits,
            wdl,
        )
    np.testing.assert_array_equal(logits, compiled.logits)
    np.testing.assert_array_equal(wdl, compiled.wdl)


def test_delay_takes_its_time_one_batch_after_the_other() -> None:
    inner = UniformEvaluator()
    device = DelayEvaluator(inner, 0.02)
    leaves = random_leaves(4)
    threads = [threading.Thread(target=device.evaluate, args=(leaves,)) for _ in range(3)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - start >= 0.06
    assert (device.batches, device.positions) == (3, 12)
    assert 0.06 <= device.busy_seconds < 1
    np.testing.assert_array_equal(device.evaluate(leaves).logits, inner.evaluate(leaves).logits)


def test_all_are_evaluators(tmp_path: Path) -> None:
    evaluators: list[Evaluator] = [
        TorchEvaluator(tiny_net(tmp_path, "mish"), "cpu"),
        UniformEvaluator(),
        HashEvaluator(),
        DelayEvaluator(HashEvaluator(), 0),
    ]
    for evaluator in evaluators:
        assert evaluator.name
        assert isinstance(evaluator.has_moves_left, bool)
