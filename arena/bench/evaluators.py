"""Evaluators against a bare forward pass: how much of a net's speed is left for a search to use.

The yardstick is torch's forward pass of the same net, batch norm folded, channels last, on planes
that are floats already: what it costs when nobody packs, unpacks or picks out legal moves. All take
turns, slice by slice, so that whatever slows the machine down slows them all down.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from arena.bench.figures import BenchConfig, EvaluatorSpeed, RefreshSpeed, Spread
from arena.bench.games import Prelude, tasks
from arena.bench.onnx import bare_onnx
from arena.config import SearchParams
from arena.evaluator import (
    Choice,
    Dtype,
    Evaluation,
    Evaluator,
    Leaves,
    TorchEvaluator,
    WinogradEvaluator,
    choose_evaluator,
)
from arena.lane import Lane
from arena.search_settings import Player
from arena.stand_ins import HashEvaluator
from swa.cores import usable_cores
from swa.filters import padded
from swa.forward import Forward
from swa.model import for_play, unpack
from swa.net import Net
from swa.refresh import refresh
from swa.winograd import SQUARES

STEPS = 150
"""Steps after which leaves are those of trees in mid-search, at 100 visits a move."""

GAMES = 256
"""Games in flight that the positions of a refresh are taken from."""

REFRESH_BYTES = 2**30
"""Room for what a refresh keeps between layers: of each position, two arrays of the net's width."""

Note = Callable[[str], None]

Calls = Mapping[tuple[str, int], Callable[[], object]]
"""What is timed, by its name and its threads."""


def time_evaluators(
    nets: Sequence[Net], prelude: Prelude, config: BenchConfig, note: Note
) -> Iterator[EvaluatorSpeed]:
    """Time every kind of evaluator for each net and batch size, one caller, on leaves of games.

    All cores are timed with the first net, at its largest batch.
    """
    leaves = {batch: leaves_of_games(batch, prelude) for batch in config.batches}
    for net in nets:
        choice = choose_evaluator(net.spec, "auto", config.device, config.dtype)
        batches = [batch for batch in config.batches if work_of(net, batch) <= config.effort.work]
        evaluators = _evaluators(net, choice, config.dtype)
        for batch in batches:
            note(f"evaluator: {net.name}, batch {batch}")
            calls = _calls(evaluators, leaves[batch])
            if choice.device == "cpu" and (onnx := bare_onnx(net, leaves[batch], note)):
                calls["onnxruntime", 1] = onnx
            yield from _time_batch(net, choice, leaves[batch], calls, config)
        if net is nets[0] and usable_cores() > 1 and choice.kind == "winograd" and batches:
            note(f"evaluator: {net.name}, batch {batches[-1]}, all cores")
            winograd = {1: evaluators["winograd"], usable_cores(): _on_all_cores(net)}
            calls = {
                ("winograd", threads): _call(evaluator, leaves[batches[-1]])
                for threads, evaluator in winograd.items()
            }
            *_, speed = _time_batch(net, choice, leaves[batches[-1]], calls, config)
            yield speed


def work_of(net: Net, batch: int) -> float:
    """How much a batch takes, by its largest parts: the tower's blocks x filters^2, each board.

    A block has 18 products of channels a square; an encoder's dense layers are counted in these.
    """
    work = float(net.spec.blocks * net.spec.filters**2)
    if (body := net.spec.attention) is not None:
        products = body.size * (4 * body.encoder.width + 2 * body.encoder.ffn)
        work += body.encoders * products / 18
    return work * batch


def _evaluators(net: Net, choice: Choice, dtype: Dtype) -> dict[str, Evaluator]:
    """The kinds of evaluators that can compute a net where it runs, each on one thread."""
    evaluators: dict[str, Evaluator] = {}
    if choice.kind == "winograd":
        evaluators["winograd"] = WinogradEvaluator(net)
    evaluators["torch"] = TorchEvaluator(net, choice.device, dtype)
    return evaluators


def _on_all_cores(net: Net) -> Evaluator:
    return WinogradEvaluator(net, threads=usable_cores())


def _calls(
    evaluators: Mapping[str, Evaluator], leaves: Leaves
) -> dict[tuple[str, int], Callable[[], object]]:
    return {(name, 1): _call(evaluator, leaves) for name, evaluator in evaluators.items()}


def _call(evaluator: Evaluator, leaves: Leaves) -> Callable[[], object]:
    return lambda: evaluator.evaluate(leaves)


def _time_batch(
    net: Net, choice: Choice, leaves: Leaves, calls: Calls, config: BenchConfig
) -> Iterator[EvaluatorSpeed]:
    """Time ``calls`` in turns with each other and with the yardstick, on one batch."""
    bare = BareForward(net, leaves, choice.device, config.dtype)
    everything: dict[tuple[str, int], Callable[[], object]] = {("", 1): bare, **calls}
    for call in everything.values():
        call()  # the first call of a size allocates, or compiles
    slices = [
        {key: rate(call, bare.batch, config.effort.evaluator) for key, call in everything.items()}
        for _ in range(config.effort.slices)
    ]
    yardstick = Spread.of([one["", 1] for one in slices])
    for name, threads in calls:
        ratio = Spread.of([one[name, threads] / one["", 1] for one in slices])
        to_one = Spread.of([one[name, threads] / one[name, 1] for one in slices])
        yield EvaluatorSpeed(
            name=name,
            net=net.name,
            architecture=str(net.spec),
            device=choice.device,
            batch=bare.batch,
            threads=threads,
            per_second=Spread.of([one[name, threads] for one in slices]).median,
            torch_per_second=yardstick.median,
            ratio_to_torch=ratio.median,
            ratio_range=ratio.range,
            ratio_to_one_core=to_one.median if threads > 1 else None,
            ratio_to_one_core_range=to_one.range if threads > 1 else None,
        )


def time_refreshes(
    nets: Sequence[Net], prelude: Prelude, config: BenchConfig, note: Note
) -> Iterator[RefreshSpeed]:
    """Time the refresh of each net's batch norms against a forward pass, on one thread.

    Of wide nets with fewer positions than asked for, so that memory suffices.
    """
    everything = many_leaves(config.effort.refresh, prelude)
    for net in nets:
        if not net.spec.batch_norm or choose_evaluator(net.spec, device="cpu").kind != "winograd":
            note(f"refresh: {net.name} is left out: no batch norm, or not covered by winograd")
            continue
        leaves = everything.first(positions_of_refresh(net.spec.filters))
        note(f"refresh: {net.name}, {len(leaves.masks):,} positions")
        forward = Forward(net.spec, net.weights)
        planes = leaves.masks, leaves.values
        few = leaves.first(GAMES)
        refresh(net.spec, net.weights, (few.masks, few.values), device="cpu")  # compiles
        ours, plain = [], []
        for _ in range(config.effort.slices):
            start = time.perf_counter()
            forward(leaves.masks, leaves.values, leaves.moves, leaves.offsets)
            between = time.perf_counter()
            refresh(net.spec, net.weights, planes, device="cpu")
            ours.append(time.perf_counter() - between)
            plain.append(between - start)
        ratio = Spread.of([one / other for one, other in zip(ours, plain, strict=True)])
        yield RefreshSpeed(
            net=net.name,
            architecture=str(net.spec),
            positions=len(leaves.masks),
            threads=1,
            seconds=Spread.of(ours).median,
            forward_seconds=Spread.of(plain).median,
            ratio_to_forward=ratio.median,
            ratio_range=ratio.range,
        )


def rate(
    call: Callable[[], object],
    batch: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Evaluations/s of a call that evaluates ``batch`` positions, by calling it at least once."""
    start = clock()
    for calls in itertools.count(1):
        call()
        elapsed = clock() - start
        if elapsed >= seconds:
            return calls * batch / elapsed
    raise AssertionError("time stands still")


class BareForward:
    """A net's forward pass by torch and nothing else, one thread on a CPU."""

    def __init__(self, net: Net, leaves: Leaves, device: str, dtype: Dtype):
        self.batch = len(leaves.offsets) - 1
        number: torch.dtype = getattr(torch, dtype)
        masks, values = torch.tensor(leaves.masks.view(np.uint8)), torch.tensor(leaves.values)
        self._planes = unpack(masks.to(device), values.to(device), number)
        self._module = for_play(net.spec, net.weights, device, number)

    def __call__(self) -> None:
        """Evaluate the batch, and wait for the result where a device computes it."""
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)  # of the calling thread
        with torch.inference_mode():
            self._module(self._planes).value.cpu()


def leaves_of_games(batch: int, prelude: Prelude) -> Leaves:
    """One leaf each of ``batch`` games in mid-search: real positions of all phases of the game."""
    return next(_batches_of_leaves(batch, prelude))


def many_leaves(count: int, prelude: Prelude) -> Leaves:
    """Real positions, more than there are games in flight: of as many steps as it takes."""
    games = min(count, GAMES)
    batches = list(itertools.islice(_batches_of_leaves(games, prelude), -(-count // games)))
    masks, values, moves, _, keys, _ = (
        np.concatenate(arrays) for arrays in zip(*batches, strict=True)
    )
    lengths = np.concatenate([np.diff(leaves.offsets) for leaves in batches])
    offsets = np.append(0, np.cumsum(lengths))
    return Leaves(masks, values, moves, offsets, keys).first(count)


def positions_of_refresh(filters: int) -> int:
    """How many positions ``REFRESH_BYTES`` have room for."""
    return REFRESH_BYTES // (2 * SQUARES * padded(filters) * np.dtype(np.float32).itemsize)


def _batches_of_leaves(games: int, prelude: Prelude) -> Iterator[Leaves]:
    """The leaves of games in flight, one each, step after step."""
    keeper = _Keeper(HashEvaluator())
    player = Player(keeper.name, keeper, SearchParams(visits=100))
    begun = prelude.first(games)
    lane = Lane([player, player], games, tasks(begun.openings, begun.midgames))
    steps = (step for step in lane.run() if step is None)
    for number, _ in enumerate(steps, 1):
        if number >= STEPS:
            yield keeper.leaves


class _Keeper:
    """An evaluator that keeps a copy of the leaves it saw last."""

    has_moves_left = False
    leaves: Leaves

    def __init__(self, inner: Evaluator):
        self.name = inner.name
        self._inner = inner

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        self.leaves = Leaves._make(array.copy() for array in leaves)
        return self._inner.evaluate(leaves)
