from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import read_jsonl
from tiny_net import KINDS, TINY, tiny_payload

from arena.evaluator import (
    Choice,
    DeviceError,
    Evaluation,
    Evaluator,
    Leaves,
    TorchEvaluator,
    WinogradEvaluator,
    choose_evaluator,
    make_evaluator,
)
from arena.stand_ins import DelayEvaluator, HashEvaluator, UniformEvaluator, _hash_boards
from swa.devices import may_have_accelerator
from swa.net import Net, load_net
from swa.packed import why_not
from swa.spec import InputFormat

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


ON_A_CPU = (WinogradEvaluator, lambda net: TorchEvaluator(net, "cpu"))
"""What makes evaluators on a CPU."""


@pytest.mark.parametrize("evaluator_of", ON_A_CPU, ids=["winograd", "torch"])
@pytest.mark.parametrize("file", REAL_NETS)
def test_real_nets_evaluate_as_in_lc0(
    shared: Path, golden_leaves: Leaves, file: str, evaluator_of: Callable[[Net], Evaluator]
) -> None:
    rows = read_jsonl(shared / "golden" / file)
    assert len(rows) == 155
    for name in REAL_NETS[file]:
        net = load_net(shared / "nets" / f"{name}.pb.gz")
        evaluation = evaluator_of(net).evaluate(golden_leaves)
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


@pytest.mark.parametrize("evaluator_of", ON_A_CPU, ids=["winograd", "torch"])
def test_convolutional_nets_of_the_zoo_evaluate_as_in_lc0(
    shared: Path, evaluator_of: Callable[[Net], Evaluator]
) -> None:
    folder = shared / "golden/zoo"
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in read_jsonl(folder / "rows.jsonl.gz"):
        rows.setdefault(row["net"], []).append(row)
    compared = 0
    for name, entry in json.loads((folder / "nets.json").read_text()).items():
        net = load_net(folder / "nets" / entry["file"])
        if why_not(net.spec) or net.spec.input_format is not InputFormat.CLASSICAL_112_PLANE:
            continue  # all others: tests/arena/test_zoo.py
        answers = rows[name]
        evaluation = evaluator_of(net).evaluate(zoo_leaves(folder, answers))
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
    assert compared == 30


# WinogradEvaluator


def same(one: Evaluation, other: Evaluation) -> bool:
    """Bit for bit."""
    return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def part_of(evaluation: Evaluation, leaves: Leaves, board: int) -> Evaluation:
    start, end = leaves.offsets[board : board + 2]
    return Evaluation(
        evaluation.logits[start:end],
        evaluation.wdl[board : board + 1],
        evaluation.moves_left[board : board + 1],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_winograd_says_the_same_of_a_position_in_any_batch(tmp_path: Path, kind: str) -> None:
    net = tiny_net(tmp_path, kind)
    evaluator, leaves = WinogradEvaluator(net), random_leaves(23)
    together = evaluator.evaluate(leaves)
    assert same(WinogradEvaluator(net, threads=5).evaluate(leaves), together)
    order = np.random.default_rng(1).permutation(23).tolist()
    mixed = some_of(leaves, order)
    shuffled = evaluator.evaluate(mixed)
    for place, board in enumerate(order):
        alone = evaluator.evaluate(some_of(leaves, [board]))
        assert same(part_of(together, leaves, board), alone)
        assert same(part_of(shuffled, mixed, place), alone)


@pytest.mark.parametrize("kind", KINDS)
def test_winograd_says_what_torch_says(tmp_path: Path, kind: str) -> None:
    net, leaves = tiny_net(tmp_path, kind), random_leaves(13)
    ours, torchs = (evaluator_of(net).evaluate(leaves) for evaluator_of in ON_A_CPU)
    # Random planes are far from chess: logits are some ten times those of a game.
    np.testing.assert_allclose(ours.logits, torchs.logits, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(ours.wdl, torchs.wdl, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.moves_left, torchs.moves_left, rtol=1e-4, atol=1e-3)


def test_winograd_serves_many_threads_at_once(tmp_path: Path) -> None:
    evaluator = WinogradEvaluator(tiny_net(tmp_path, "mish"), threads=2)
    batches = [random_leaves(7 + seed, seed) for seed in range(8)]
    alone = [evaluator.evaluate(leaves) for leaves in batches]
    with ThreadPoolExecutor(len(batches)) as callers:
        for _ in range(10):
            at_once = callers.map(evaluator.evaluate, batches)
            assert all(map(same, at_once, alone))


def test_winograd_takes_arrays_of_any_layout(tmp_path: Path) -> None:
    evaluator, leaves = WinogradEvaluator(tiny_net(tmp_path, "mish")), random_leaves(5)
    odd = leaves._replace(
        masks=np.asfortranarray(leaves.masks),
        values=leaves.values.astype(np.float64),
        moves=leaves.moves.astype(np.int64),
        offsets=np.repeat(leaves.offsets, 2)[::2].astype(np.int32),
    )
    assert same(evaluator.evaluate(odd), evaluator.evaluate(leaves))


# Which of them


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.evaluator.may_have_accelerator", lambda: False)


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize(
    ("wanted", "device", "choice"),
    [
        ("auto", "auto", Choice("winograd", "cpu", "float32 on a CPU")),
        ("auto", "cpu", Choice("winograd", "cpu", "float32 on a CPU")),
        ("winograd", "auto", Choice("winograd", "cpu", "asked for")),
        ("torch", "auto", Choice("torch", "cpu", "asked for")),
        ("torch", "cpu", Choice("torch", "cpu", "asked for")),
    ],
)
def test_the_choice_on_a_cpu(wanted: Any, device: str, choice: Choice) -> None:
    assert choose_evaluator(TINY, wanted, device) == choice


def test_the_choice_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.evaluator.may_have_accelerator", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    on_cuda = Choice("torch", "cuda", "runs on cuda")
    assert choose_evaluator(TINY) == choose_evaluator(TINY, dtype="float16") == on_cuda
    assert choose_evaluator(TINY, device="cpu").kind == "winograd"
    assert choose_evaluator(TINY, "winograd") == Choice("winograd", "cpu", "asked for")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert choose_evaluator(TINY) == Choice("winograd", "cpu", "float32 on a CPU")


def test_what_winograd_does_not_cover_goes_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.evaluator.why_not", lambda spec: "it is too large")
    reason = "not covered by winograd: it is too large"
    assert choose_evaluator(TINY, device="cpu") == Choice("torch", "cpu", reason)
    assert choose_evaluator(None, device="cpu").kind == "winograd"
    with pytest.raises(DeviceError, match=r"does not cover 1x4 .*: it is too large"):
        choose_evaluator(TINY, "winograd", "cpu")


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize(
    ("wanted", "device", "dtype", "what"),
    [
        ("winograd", "cuda", "float32", "computes float32 on a CPU, not float32 on cuda"),
        ("winograd", "auto", "float16", "computes float32 on a CPU, not float16 on cpu"),
        ("auto", "auto", "float16", "float16 needs an accelerator"),
        ("torch", "cpu", "bfloat16", "bfloat16 needs an accelerator"),
        ("auto", "nonsense", "float32", "'nonsense' is not available here"),
    ],
)
def test_a_choice_that_cannot_be(wanted: Any, device: str, dtype: Any, what: str) -> None:
    with pytest.raises(DeviceError, match=what) as raised:
        choose_evaluator(TINY, wanted, device, dtype)
    assert len(str(raised.value).splitlines()) == 2  # what, and what to do


def test_the_chosen_evaluator_is_made(tmp_path: Path) -> None:
    net = tiny_net(tmp_path, "mish")
    kinds = [type(make_evaluator(net, Choice(kind, "cpu", ""))) for kind in ("winograd", "torch")]
    assert kinds == [WinogradEvaluator, TorchEvaluator]


def test_where_the_drivers_files_are_torch_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swa.devices.Path", lambda _: tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "null").touch()
    assert not may_have_accelerator()
    (tmp_path / "nvidia0").touch()
    assert may_have_accelerator()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is asked in any case")
def test_torch_sees_no_accelerator_where_none_may_be() -> None:
    assert may_have_accelerator() or not torch.cuda.is_available()


COMMANDS = (
    "analyze --net raw.pb --device cpu --visits 3 -q",
    "doctor --net raw.pb --device cpu -q",
    "run --nets raw.pb swa.pb --device cpu --no-sprt --pairs 1 --visits 1 -q",
)


def test_torch_is_not_imported_for_a_cpu(tmp_path: Path) -> None:
    for seed, name in enumerate(("raw.pb", "swa.pb")):
        (tmp_path / name).write_bytes(tiny_payload(seed=seed))
    code = (
        "import sys\n"
        "import arena.doctor\n"
        "from arena.cli import main\n"
        "arena.doctor.SECONDS_A_BATCH_SIZE = 0.0\n"
        f"codes = [main(words.split()) for words in {COMMANDS}]\n"
        "sys.exit(f'{codes}' if any(codes) or 'torch' in sys.modules else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stderr


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
        WinogradEvaluator(tiny_net(tmp_path, "mish")),
        UniformEvaluator(),
        HashEvaluator(),
        DelayEvaluator(HashEvaluator(), 0),
    ]
    for evaluator in evaluators:
        assert evaluator.name
        assert isinstance(evaluator.has_moves_left, bool)
