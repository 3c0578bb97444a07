"""Evaluators against a bare forward pass: how much of a net's speed is left for a search to use.

The yardstick is torch's forward pass of the same net, batch norm folded, channels last, on planes
that are floats already: what it costs when nobody packs, unpacks or picks out legal moves. The two
take turns, slice by slice, so that whatever slows the machine down slows down both.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from arena.bench.figures import BenchConfig, EvaluatorSpeed, Spread
from arena.bench.games import Prelude, tasks
from arena.config import SearchParams
from arena.evaluator import Dtype, Evaluation, Evaluator, HashEvaluator, Leaves, TorchEvaluator
from arena.search import Lane, Player
from swa.model import for_play, unpack
from swa.net import Net

EVALUATORS: Mapping[str, Callable[[Net, str, Dtype], Evaluator]] = {"torch": TorchEvaluator}
"""The kinds of evaluators that are timed."""

STEPS = 150
"""Steps after which leaves are those of trees in mid-search, at 100 visits a move."""


def time_evaluators(
    nets: Sequence[Net], prelude: Prelude, config: BenchConfig, note: Callable[[str], None]
) -> Iterator[EvaluatorSpeed]:
    """Time every kind of evaluator for each net and batch size, one caller, on leaves of games."""
    leaves = {batch: leaves_of_games(batch, prelude) for batch in config.batches}
    for net in nets:
        for name, evaluator_of in EVALUATORS.items():
            evaluator = evaluator_of(net, config.device, config.dtype)
            for batch in config.batches:
                note(f"evaluator: {name}, {net.name}, batch {batch}")
                yield _time_evaluator(name, net, evaluator, leaves[batch], config)


def _time_evaluator(
    name: str, net: Net, evaluator: Evaluator, leaves: Leaves, config: BenchConfig
) -> EvaluatorSpeed:
    device = evaluator.device if isinstance(evaluator, TorchEvaluator) else "cpu"
    bare = BareForward(net, leaves, device, config.dtype)
    evaluator.evaluate(leaves)  # the first call of a size allocates, or compiles
    bare()
    ours, theirs = [], []
    for _ in range(config.effort.slices):
        ours.append(rate(lambda: evaluator.evaluate(leaves), bare.batch, config.effort.evaluator))
        theirs.append(rate(bare, bare.batch, config.effort.evaluator))
    ratio = Spread.of([one / other for one, other in zip(ours, theirs, strict=True)])
    return EvaluatorSpeed(
        name=name,
        net=net.name,
        architecture=str(net.spec),
        device=device,
        batch=bare.batch,
        threads=1,
        per_second=Spread.of(ours).median,
        torch_per_second=Spread.of(theirs).median,
        ratio_to_torch=ratio.median,
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
    keeper = _Keeper(HashEvaluator())
    player = Player(keeper.name, keeper, SearchParams(visits=100))
    begun = prelude.first(batch)
    lane = Lane([player, player], batch, tasks(begun.openings, begun.midgames))
    steps = (step for step in lane.run() if step is None)
    for _ in range(STEPS):
        next(steps)
    return keeper.leaves


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
