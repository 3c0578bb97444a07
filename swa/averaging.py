"""Averages of weights: the rules, exact sums, and an average that grows while a net trains.

All arithmetic is float64, by parameter name. Each rule gives every snapshot a share that depends
only on its place in the series, so ``Rule.proportions`` tells beforehand what a series of files
will be made into, and ``WeightAverage`` reaches the same by recurrence, in bounded memory, where
snapshots come one by one.

Where a rule treats all alike, order does not matter, not even in the last bit. Sums of floats
depend on it ((a + b) + c is not a + (b + c)), and the same nets named in another order would give
another file. So what is there at once is added element by element in order of size
(``weighted_mean``), and what comes one by one goes into a sum without rounding (``add_exactly``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from swa.spec import NetError

Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[Any]]  # float32 of files, or a trainer's float64, by parameter name
Parts = tuple[Array, ...]

KATAGO_SCALE = 8.0
"""Snapshots that KataGo's average spans (KataGo python/train.py, ``swa_scale``)."""

WARM_UP_POWER = 2 / 3
"""How fast a warming average forgets its start (timm ``ModelEmaV3``, ``warmup_power``)."""

_MOST_PARTS = 3  # beyond which the parts of a sum are put together again


class Rule(Protocol):
    """How a series of snapshots becomes one net; implementations are small frozen values.

    ``state`` of one parameter is a tuple of arrays, empty before the first snapshot; ``count`` is
    the number of snapshots that it holds.
    """

    def proportions(self, count: int) -> tuple[float, ...]:
        """The share of each of ``count`` snapshots, first to last, up to a common factor."""

    def advance(self, state: Parts, values: Array, count: int) -> Parts:
        """The state with one snapshot more."""

    def value(self, state: Parts, count: int) -> Array:
        """The average; ``count`` is at least 1."""


@dataclass(frozen=True, slots=True)
class Mean:
    """All alike: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima" (1803.05407)."""

    def proportions(self, count: int) -> tuple[float, ...]:
        """One each."""
        return (1.0,) * count

    def advance(self, state: Parts, values: Array, count: int) -> Parts:
        """Add to an exact sum."""
        return add_exactly(state, values)

    def value(self, state: Parts, count: int) -> Array:
        """The sum, divided once."""
        return exact_total(state) / count


@dataclass(frozen=True, slots=True)
class Lawa:
    """The last ``last`` snapshots alike (Kaddour 2022, "Stop Wasting My Time!", LAWA)."""

    last: int

    def __post_init__(self) -> None:
        _check(self.last >= 1, f"the last {self.last} nets cannot be averaged", "Take at least 1.")

    def proportions(self, count: int) -> tuple[float, ...]:
        """Nothing for the old ones, one for each of the last."""
        taken = min(count, self.last)
        return (0.0,) * (count - taken) + (1.0,) * taken

    def advance(self, state: Parts, values: Array, count: int) -> Parts:
        """Keep the last ones."""
        return (*state, values)[-self.last :]

    def value(self, state: Parts, count: int) -> Array:
        """The mean of those that are kept."""
        return _ordered_sum(state) / len(state)


class _Moving:
    """The average moves towards each snapshot by a fraction of the way."""

    __slots__ = ()

    def fraction(self, count: int) -> float:
        """The weight of the snapshot that comes after ``count`` others; 1 for the first."""
        raise NotImplementedError

    def proportions(self, count: int) -> tuple[float, ...]:
        """Each one's fraction, times what every later one has left of it."""
        shares, left = [0.0] * count, 1.0
        for place in reversed(range(count)):
            shares[place] = left * self.fraction(place)
            left *= 1 - self.fraction(place)
        return tuple(shares)

    def advance(self, state: Parts, values: Array, count: int) -> Parts:
        """Move; a snapshot that equals the average leaves it as it is, to the last bit."""
        fraction = self.fraction(count)
        if fraction == 1:
            return (values,)
        return (state[0] + fraction * (values - state[0]),)

    def value(self, state: Parts, count: int) -> Array:
        """Where it is."""
        return state[0]


@dataclass(frozen=True, slots=True)
class Lczero(_Moving):
    """lczero-training's: the mean of the first ``max_n`` + 1, from then on a moving average.

    ``swa * n / (n + 1) + w / (n + 1); n = min(n + 1, swa_max_n)`` (tf/tfprocess.py): at the cap it
    lags ``max_n`` snapshots behind and smooths like a mean of 2 ``max_n`` + 1. With 0, lczero's own
    default, it is the last snapshot.
    """

    max_n: int

    def __post_init__(self) -> None:
        _check(self.max_n >= 0, f"max-n cannot be {self.max_n}", "Take 0 or more.")

    def fraction(self, count: int) -> float:
        """1, 1/2, 1/3, ... down to 1 / (max_n + 1)."""
        return 1 / (min(count, self.max_n) + 1)


class EmaStart(StrEnum):
    """What an exponential moving average makes of its first snapshots."""

    FIRST = "first"  # the first counts as if it had been there forever (KataGo, timm)
    UNBIASED = "unbiased"  # shares are decay ** age, divided by their sum (Adam's correction)
    WARM_UP = "warm-up"  # decay grows: 1 - (1 + count) ** -2/3, up to its value (timm's warm-up)


@dataclass(frozen=True, slots=True)
class Ema(_Moving):
    """Exponential moving average: ``average + (1 - decay) * (snapshot - average)``.

    KataGo's ``average + (1 / scale) * (snapshot - average)`` (python/train.py) is decay = 1 -
    1 / scale: see ``of_scale``. timm's ``decay * average + (1 - decay) * snapshot`` is the same
    (timm ``ModelEmaV3``); its warm-up is ``EmaStart.WARM_UP``.
    """

    decay: float
    start: EmaStart = EmaStart.FIRST

    def __post_init__(self) -> None:
        _check(0 <= self.decay < 1, f"decay cannot be {self.decay}", "Take 0 <= decay < 1.")

    @classmethod
    def of_scale(cls, scale: float = KATAGO_SCALE, start: EmaStart = EmaStart.FIRST) -> Ema:
        """KataGo's form. Raises NetError for a scale below 1."""
        _check(1 <= scale < math.inf, f"scale cannot be {scale}", "Take 1 or more.")
        return cls(1 - 1 / scale, start)

    def fraction(self, count: int) -> float:
        """1 for the first, then as ``start`` has it."""
        if count == 0:
            return 1.0
        if self.start is EmaStart.UNBIASED:
            return (1 - self.decay) / (1 - self.decay ** (count + 1))
        if self.start is EmaStart.WARM_UP:
            return 1 - min(self.decay, 1 - math.pow(1 + count, -WARM_UP_POWER))
        return 1 - self.decay


@dataclass(frozen=True, slots=True, eq=False)
class WeightAverage:
    """An average that takes one snapshot after another, for a trainer.

    All of it is in its fields, so it can be saved and resumed; ``add`` returns a new one and leaves
    this one as it was, also where it fails.
    """

    rule: Rule
    count: int = 0  # snapshots taken so far
    state: Mapping[str, Parts] = field(default_factory=dict)  # by parameter name, the rule's own

    def add(self, weights: Weights) -> WeightAverage:
        """The average with one snapshot more.

        Raises NetError for weights of another net, and where one is not a finite number: it would
        stay in every later average.
        """
        if self.count and weights.keys() != self.state.keys():
            other = sorted(weights.keys() ^ self.state.keys())[0]
            raise NetError(f"{other} is in one snapshot and not in another")
        state = {}
        for name, array in weights.items():
            values = np.array(array, np.float64)  # a copy: a trainer goes on writing to its own
            held = self.state.get(name, ())
            if held and held[0].shape != values.shape:
                raise NetError(f"{name} has the shape {values.shape} instead of {held[0].shape}")
            if not np.isfinite(values).all():
                raise NetError(f"{name} holds a value that is not a finite number")
            state[name] = self.rule.advance(held, values, self.count)
        return replace(self, count=self.count + 1, state=state)

    def result(self) -> dict[str, Array]:
        """The average, by parameter name. Raises NetError before the first snapshot."""
        if not self.count:
            raise NetError("an average of no snapshots")
        return {name: self.rule.value(state, self.count) for name, state in self.state.items()}


def weighted_mean(snapshots: Sequence[Weights], weights: Sequence[float]) -> dict[str, Array]:
    """The mean with given weights, in proportion: they need not add up to 1.

    The result depends on the pairs of snapshot and weight, not on their order. Raises NetError for
    weights that cannot be.
    """
    scaled = _scaled(weights, len(snapshots))
    taken = [pair for pair in zip(snapshots, scaled, strict=True) if pair[1]]
    total = math.fsum(scaled)
    return {
        name: _ordered_sum([snapshot[name].astype(np.float64) * share for snapshot, share in taken])
        / total
        for name in taken[0][0]
    }


def _ordered_sum(summands: Sequence[Array]) -> Array:
    """Element by element the sum from the smallest to the largest, whatever order they come in.

    Zero is positive: sorting does not tell the two zeros apart.
    """
    stack = np.stack(summands)
    stack.sort(axis=0)
    total: Array = stack[0]
    for summand in stack[1:]:
        total = total + summand
    return total + 0.0


def shares(weights: Sequence[float], count: int) -> tuple[float, ...]:
    """The weights of ``count`` nets, in proportion, adding up to 1.

    Raises NetError for weights that cannot be.
    """
    scaled = _scaled(weights, count)
    total = math.fsum(scaled)
    return tuple(weight / total for weight in scaled)


def _scaled(weights: Sequence[float], count: int) -> list[float]:
    """Weights with a largest one of exactly 1, so that no product overflows.

    Raises NetError unless there are ``count`` of them, finite, none negative, not all zero.
    """
    _check(count > 0, "an average of no nets", "Name at least one.")
    reason = f"{len(weights)} weights for {count} nets"
    _check(len(weights) == count, reason, "Give one for each, in the same order.")
    for weight in weights:
        reason = f"a weight cannot be {weight:g}"
        _check(0 <= weight < math.inf, reason, "Give numbers from 0 up; proportions count.")
    largest = max(weights)
    _check(largest > 0, "all weights are 0", "Give at least one net a weight.")
    return [weight / largest for weight in weights]


@dataclass(frozen=True, slots=True, eq=False)
class Soup:
    """What a greedy soup took."""

    chosen: tuple[int, ...]  # places in the series given, in the order in which they were taken
    weights: Mapping[str, Array]  # their mean
    loss: float  # of the mean
    losses: tuple[float, ...]  # of each one alone, in the order given


def greedy_soup(snapshots: Sequence[Weights], loss: Callable[[Weights], float]) -> Soup:
    """From the best snapshot on, take each next one that does not make the mean's loss larger.

    Wortsman et al. 2022, "Model soups" (2203.05482), recipe 1; ``loss`` on held-out data, lower is
    better, called once for each snapshot and once for each mean that is tried. Of equal losses the
    earlier comes first. Raises NetError where a loss of a snapshot is not a finite number.
    """
    _check(len(snapshots) > 0, "an average of no nets", "Name at least one.")
    losses = tuple(float(loss(snapshot)) for snapshot in snapshots)
    for place, alone in enumerate(losses):
        _check(math.isfinite(alone), f"the loss of net {place + 1} is {alone}", "Leave it out.")
    first, *others = sorted(range(len(snapshots)), key=lambda place: (losses[place], place))
    chosen, lowest = [first], losses[first]
    best = _mean([snapshots[first]])
    for place in others:
        tried = _mean([snapshots[taken] for taken in (*chosen, place)])
        reached = float(loss(tried))
        if reached <= lowest:
            chosen.append(place)
            best, lowest = tried, reached
    return Soup(tuple(chosen), best, lowest, losses)


def _mean(snapshots: Sequence[Weights]) -> dict[str, Array]:
    return weighted_mean(snapshots, [1.0] * len(snapshots))


def add_exactly(parts: Parts, values: Array) -> Parts:
    """A sum with one summand more, without any rounding; the empty tuple is a sum of nothing.

    Element by element the parts add up to the exact sum, smallest first (Shewchuk 1997, "Adaptive
    Precision Floating-Point Arithmetic", Grow-Expansion). One or two are enough for weights that
    were float32, however many; what is finite must stay finite.
    """
    grown = []
    for part in parts:
        values, error = _two_sum(values, part)
        if error.any():
            grown.append(error)
    grown.append(values)
    if len(grown) > _MOST_PARTS:  # some hold a bit or two: carry all up, so that the first are zero
        for end in range(len(grown), 1, -1):
            for place in range(1, end):
                grown[place], grown[place - 1] = _two_sum(grown[place], grown[place - 1])
        while len(grown) > 1 and not grown[0].any():
            del grown[0]
    return tuple(grown)


def _two_sum(one: Array, other: Array) -> tuple[Array, Array]:
    """The rounded sum and its error, which add up to the exact sum (Knuth's two-sum)."""
    total = one + other
    seen = total - one
    return total, (one - (total - seen)) + (other - seen)


def exact_total(parts: Parts) -> Array:
    """The sum that the parts stand for, rounded once to nearest: the same for the same sum.

    Zero is positive, whatever signs the zeros had that went into it.
    """
    stack = np.stack(parts)
    total: Array = np.asarray(np.add.reduce(stack))  # of two parts and zeros: one rounding
    for index in np.argwhere(np.count_nonzero(stack, axis=0) > 2):
        place = tuple(index)
        total[place] = math.fsum(stack[(slice(None), *place)])
    return total + 0.0


def _check(holds: bool, reason: str, remedy: str) -> None:
    if not holds:
        raise NetError(reason, remedy)
