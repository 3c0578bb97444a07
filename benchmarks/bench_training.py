"""A training step against a bare PyTorch loop: ``python benchmarks/bench_training.py``.

The same net, loss and batch, which is in memory. The bare loop is what one would write by hand:
planes, forward, loss, backward, clipping, optimizer; ours does that and keeps account. The two take
turns, step by step, so that what else the machine does meets both alike; the ratio is the median of
the ratios of neighbours, with the middle half of these beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from swa.batches import Batch
from swa.beginning import fresh_weights, make_spec
from swa.learner import Learner, repeatable
from swa.losses import losses, planes_on, targets_on, total_loss
from swa.model import tower
from swa.train_config import NetSettings, TrainingSettings

MOST = 1.15


def random_batch(size: int) -> Batch:
    """Positions of noise with 20 to 50 legal moves each."""
    dice = np.random.default_rng(1)
    lengths = dice.integers(20, 50, size)
    policy = np.concatenate([dice.dirichlet(np.ones(length)) for length in lengths])
    moves = np.concatenate([np.sort(dice.choice(1858, length, False)) for length in lengths])
    result = np.eye(3)[dice.integers(0, 3, size)]
    return Batch(
        masks=dice.integers(0, 2**63, (size, 112), np.uint64),
        values=np.ones((size, 112), np.float32),
        moves=moves.astype(np.uint16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        policy=policy,
        result=result,
        searched=result,
        plies_left=dice.integers(1, 100, size).astype(np.float64),
        games=np.arange(size),
    )


def bare_loop(
    settings: NetSettings, training: TrainingSettings, batch: Batch
) -> Callable[[], None]:
    """A step as by hand, with torch's own optimizer; the batch's tensors are made beforehand."""
    spec = make_spec(settings)
    module = tower(spec, fresh_weights(spec, 0)).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        module.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    cpu = torch.device("cpu")
    targets = targets_on(batch, training.q_ratio, cpu)

    def step() -> None:
        outputs = module(planes_on(batch, cpu))
        loss = total_loss(losses(outputs, targets, spec.value.kind), training)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(module.parameters(), training.max_grad_norm)
        optimizer.step()

    return step


def learner_loop(
    settings: NetSettings, training: TrainingSettings, batch: Batch
) -> Callable[[], None]:
    """A step of ``swa train``, a line of the log every 100 steps included."""
    spec = make_spec(settings)
    learner = Learner(tower(spec, fresh_weights(spec, 0)), training)

    def step() -> None:
        learner.step(batch, 0.02)
        if learner.steps % 100 == 0:
            learner.flush()

    return step


def main() -> int:
    """Measure and say; exit code 1 where ours takes more than 15 % longer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    settings = NetSettings(blocks=arguments.blocks, filters=arguments.filters)
    training = TrainingSettings(arguments.batch, arguments.steps)
    batch = random_batch(arguments.batch)
    torch.set_num_threads(arguments.threads)
    bare = bare_loop(settings, training, batch)
    with repeatable(arguments.threads):
        ours = learner_loop(settings, training, batch)
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(arguments.steps + 5):
        began = time.perf_counter()
        bare()
        between = time.perf_counter()
        with repeatable(arguments.threads):
            ours()
        seconds["ours"].append(time.perf_counter() - between)
        seconds["bare"].append(between - began)
    taken = {name: np.array(times[5:]) for name, times in seconds.items()}
    ratios = taken["ours"] / taken["bare"]
    result = {
        "net": f"{arguments.blocks}x{arguments.filters}",
        "batch": arguments.batch,
        "threads": arguments.threads,
        "bare_positions_a_second": round(arguments.batch / float(np.median(taken["bare"]))),
        "positions_a_second": round(arguments.batch / float(np.median(taken["ours"]))),
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_quartiles": [round(float(one), 3) for one in np.quantile(ratios, [0.25, 0.75])],
    }
    print(json.dumps(result, indent=2))
    return int(result["ratio"] > MOST)  # type: ignore[operator]


if __name__ == "__main__":
    raise SystemExit(main())
