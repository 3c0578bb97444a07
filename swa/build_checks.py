"""The guard of a build: whether snapshots have an average at all, and whether it is any good.

Every check answers with ``Failure``s that say what failed and by which numbers; a build with any is
not written unless forced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swa.batchnorm import DEAD_VARIANCE
from swa.evaluation import Estimate, Evaluation, NetEvaluation
from swa.net import Net, batch_norm_health

BARRIER = 0.1
"""Nats by which the policy of the midpoint of two snapshots may be worse than the worse of theirs.

A test of whether two nets lie in one basin (Frankle et al., "Linear Mode Connectivity and the
Lottery Ticket Hypothesis", 2020, arXiv 1912.05671; they compare with the mean of the two, which
takes an early and a late snapshot of one run for strangers where the data are not the run's own).
The policy's cross entropy alone, as the value's says little where nets are far too sure: there any
mixture is better.
"""

SAMPLE = 2048
"""Positions at most, of the refresh's, for the midpoint's batch norm and for the losses there."""

DEAD_SHARE = 0.1
"""Part of all channels that may be dead beyond those that are dead in the worst ingredient."""

DEAD_SHARE_OF_LAYER = 0.5
"""The same of the channels of a single batch norm."""

EXPLOSION = 2.0
"""Times the policy loss of taking all legal moves as equally likely; beyond, a net is broken.

Batch norm that fits a net badly makes logits explode: losses of 1e6 and more have been reported.
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that a build did not pass."""

    check: str  # "run", "barrier", "statistics", "explosion" or "loss"
    reason: str  # with the numbers


@dataclass(frozen=True, slots=True)
class StraightLine:
    """The policy's loss at two snapshots and halfway between them, batch norm refreshed there."""

    one: Path
    other: Path
    losses: tuple[float, float]  # nats
    midpoint: float
    barrier: float  # the midpoint's minus the worse of the two
    positions: int

    @property
    def failures(self) -> list[Failure]:
        """A barrier means two basins: the average lies on the ridge between them."""
        if self.barrier <= BARRIER:
            return []
        return [
            Failure(
                "barrier",
                f"halfway between {self.one.name} and {self.other.name} the policy's loss is "
                f"{self.midpoint:.3f}, theirs are {self.losses[0]:.3f} and {self.losses[1]:.3f}: "
                f"a barrier of {self.barrier:.3f} nats, in one run it is below {BARRIER}",
            )
        ]


def _parts(metrics: Mapping[str, Estimate]) -> tuple[str, str]:
    """What ``NetEvaluation.loss`` adds up."""
    of_value = "value_cross_entropy" if "value_cross_entropy" in metrics else "value_mse"
    return "policy_cross_entropy", of_value


def straight_line(
    one: Net, other: Net, midpoint: Net, evaluate: Callable[[Sequence[Net]], Evaluation]
) -> StraightLine:
    """Measure the barrier; ``midpoint`` has its batch norm refreshed."""
    evaluation = evaluate([midpoint, one, other])
    middle, first, second = (net.metrics["policy_cross_entropy"].value for net in evaluation.nets)
    barrier = middle - max(first, second)
    return StraightLine(
        one.path, other.path, (first, second), middle, barrier, evaluation.positions
    )


def broken_statistics(net: Net, ingredients: Sequence[Net]) -> list[Failure]:
    """What is wrong with a net's numbers, its batch norms' above all.

    Channels that died are counted in the whole net and in each batch norm: one that is dead alone
    lets nothing through, and is a small part of a deep net.
    """
    failures = []
    for name, values in net.weights.items():
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            failures.append(f"{name} holds {count} of {values.size} values that are not finite")
        elif name.endswith(".variance") and (values < 0).any():
            count, least = int(np.count_nonzero(values < 0)), float(values.min())
            failures.append(f"{name} holds {count} negative variances, down to {least:.3g}")
    layers = batch_norm_health(net)
    before = [[layer.dead for layer in batch_norm_health(other)] for other in ingredients]
    channels, dead = sum(layer.channels for layer in layers), sum(layer.dead for layer in layers)
    most = max(map(sum, before), default=0)
    if dead - most > DEAD_SHARE * channels:
        failures.append(_died(f"{dead} of {channels} channels", most))
    else:
        for place, layer in enumerate(layers):
            most = max((dead[place] for dead in before), default=0)
            if layer.dead - most > DEAD_SHARE_OF_LAYER * layer.channels:
                failures.append(
                    _died(f"{layer.dead} of {layer.channels} channels of {layer.name}", most)
                )
    return [Failure("statistics", failure) for failure in failures]


def _died(which: str, before: int) -> str:
    return (
        f"{which} are dead (variance below {DEAD_VARIANCE:g}), in the ingredients at most {before}"
    )


def bad_losses(evaluation: Evaluation, ingredients: Sequence[NetEvaluation]) -> list[Failure]:
    """Whether the built net, the first one evaluated, is worse than every ingredient, or broken.

    Worse is: its loss exceeds the worst ingredient's, by anything. The reason says whether that is
    within the 95 % interval's reach of the paired difference (policy's and value's added, which is
    never too little), so that chance may be all there is to it; one game gives no interval.
    """
    built = evaluation.nets[0]
    failures = []
    policy, uniform = built.metrics["policy_cross_entropy"].value, evaluation.policy_uniform
    if policy > EXPLOSION * uniform:
        failures.append(
            Failure(
                "explosion",
                f"the policy's loss is {policy:.4g} nats, more than {EXPLOSION:g} times the "
                f"{uniform:.4g} of taking all moves as equally likely",
            )
        )
    worst = max(ingredients, key=lambda net: net.loss)
    excess = built.loss - worst.loss
    reach = _reach(worst)
    if excess > 0:
        failures.append(
            Failure(
                "loss",
                f"the loss is {built.loss:.4f}, by {excess:.3g} nats more than that of "
                f"the worst ingredient, {worst.net.path.name} with {worst.loss:.4f}; "
                f"{_certainty(excess, reach)}",
            )
        )
    return failures


def _certainty(excess: float, reach: float | None) -> str:
    if reach is None:
        return "one game tells no error"
    if excess > reach:
        return f"beyond its error of {reach:.3g}"
    return f"within its error of {reach:.3g}: more data would tell"


def _reach(net: NetEvaluation) -> float | None:
    """How far below its value the built net's excess over this one may lie: policy's and value's.

    None where there is no interval.

    ``to_first`` holds this net's figures minus the built one's, so the upper ends are what counts.
    """
    if net.to_first is None:
        return None
    reach = 0.0
    for name in _parts(net.metrics):
        estimate = net.to_first.metrics[name]
        if estimate.high is None:
            return None
        reach += estimate.high - estimate.value
    return reach
