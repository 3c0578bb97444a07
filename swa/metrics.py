"""How good a net's answers are: every figure a pure function of arrays, computed in float64.

Policies are ragged: B positions have M legal moves in all, those of position b from ``offsets[b]``
to before ``offsets[b + 1]``. Nothing is ever said of illegal moves: a policy is the softmax over
the legal ones, as a search uses it. Every position has a legal move (ValueError otherwise).
Outcomes are win, draw and loss [B, 3] of the side to move; Q is W - L. Losses are in nats.

Targets are probabilities, too: of moves those of the search (or 1 for the one that was played), of
outcomes the game's result or what the search found.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.floating[Any]]
Offsets = NDArray[np.int64]  # [B + 1]

BINS = 15
"""Of equal width over [0, 1] (Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv
1706.04599)."""

HUBER_DELTA = 10.0
"""Plies from which the error of moves left counts linearly. lczero-training has the same, but
divides plies by 20 before, so that its loss is a 400th (tf/tfprocess.py)."""

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""What an outcome's probability counts as if it is less: a softmax in float32 underflows to 0."""


def log_policy(logits: Numbers, offsets: Offsets) -> Floats:
    """Logarithms of the policy [M]: log softmax of the legal moves' ``logits`` [M]."""
    starts, rows = _segments(offsets)
    shifted = logits.astype(np.float64)
    shifted -= np.maximum.reduceat(shifted, starts)[rows]
    return shifted - np.log(np.add.reduceat(np.exp(shifted), starts))[rows]


def policy_cross_entropy(log_probabilities: Floats, targets: Numbers, offsets: Offsets) -> Floats:
    """Cross entropy [B] of policies, -sum t ln p, from ``log_policy`` and target probabilities.

    As lczero-training's policy loss with illegal moves masked (tf/tfprocess.py).
    """
    starts, _ = _segments(offsets)
    return -np.add.reduceat(targets * log_probabilities, starts)


def policy_entropy(targets: Numbers, offsets: Offsets) -> Floats:
    """Entropy [B] of target policies, -sum t ln t: no net's cross entropy is less."""
    logs = np.log(targets, out=np.zeros(targets.shape), where=targets > 0)
    return policy_cross_entropy(logs, targets, offsets)


def policy_kl(log_p: Floats, log_q: Floats, offsets: Offsets) -> Floats:
    """Kullback-Leibler divergence [B] of policy q from p, sum p (ln p - ln q); 0 if they agree.

    What rounding would make less than 0 is 0.
    """
    starts, _ = _segments(offsets)
    return np.add.reduceat(np.exp(log_p) * (log_p - log_q), starts).clip(0)


def rank_of_best(logits: Numbers, targets: Numbers, offsets: Offsets) -> NDArray[np.int64]:
    """How many moves a net puts before the target's most probable one [B]; 0 where it is right.

    Where several moves are the target's most probable, the one counts that the net puts first. Of
    moves with equal logits the one with the lower index is first, as it would be played: a net to
    which all moves are the same is not right everywhere.
    """
    starts, rows = _segments(offsets)
    wanted = targets == np.maximum.reduceat(targets, starts)[rows]
    chosen = _first_best(np.where(wanted, logits, -np.inf), starts, rows)
    best = logits[chosen][rows]
    before = (logits > best) | ((logits == best) & (np.arange(len(logits)) < chosen[rows]))
    return np.add.reduceat(before.astype(np.int64), starts)


def first_moves(logits: Numbers, offsets: Offsets) -> NDArray[np.int64]:
    """Where in the M moves each position's most probable one stands [B]; of equals the first."""
    return _first_best(logits, *_segments(offsets))


def _first_best(
    logits: Numbers, starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    places = np.arange(len(logits))
    best = logits == np.maximum.reduceat(logits, starts)[rows]
    return np.minimum.reduceat(np.where(best, places, len(logits)), starts)


def _segments(offsets: Offsets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each position's moves start [B], and the position of each move [M]."""
    lengths = np.diff(offsets)
    if (lengths <= 0).any():  # reduceat would take the next position's first move
        raise ValueError(f"position {int(np.argmax(lengths <= 0))} has no legal move")
    return offsets[:-1], np.repeat(np.arange(len(lengths)), lengths)


def outcome_cross_entropy(wdl: Numbers, targets: Numbers) -> Floats:
    """Cross entropy [B] of outcomes, -sum t ln p, each p at least ``LEAST_PROBABILITY``."""
    logs: Floats = np.log(np.maximum(wdl.astype(np.float64), LEAST_PROBABILITY))
    entropies: Floats = -np.einsum("ij,ij->i", targets, logs)
    return entropies


def brier(wdl: Numbers, targets: Numbers) -> Floats:
    """Brier score [B], 0 to 2: squared distance of the three probabilities to the target's.

    Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    distances: Floats = wdl.astype(np.float64) - targets
    scores: Floats = np.einsum("ij,ij->i", distances, distances)
    return scores


def q_of(wdl: Numbers) -> Floats:
    """Q [B] in [-1, 1]: W - L."""
    exact = wdl.astype(np.float64)
    return exact[:, 0] - exact[:, 2]


def expected_score(wdl: Numbers) -> Floats:
    """Expected points [B] in [0, 1]: W + D / 2, computed as (1 + Q) / 2."""
    return (1 + q_of(wdl)) / 2


def outcome_right(wdl: Numbers, targets: Numbers) -> NDArray[np.bool_]:
    """Whether the most probable outcome (of equals the first) is the target's [B], or one of it."""
    guessed = np.take_along_axis(targets, wdl.argmax(1)[:, None], axis=1)[:, 0]
    right: NDArray[np.bool_] = guessed == targets.max(1)
    return right


def side_right(wdl: Numbers, results: Numbers) -> Floats:
    """Whether Q is on the winner's side [B]: 1 or 0, a half for Q = 0, NaN where the game is drawn.

    Few self-play games are decided, and a net that says win or loss everywhere is still right about
    the side: this tells how well it tells winners, not how well it tells draws.
    """
    winners = np.sign(q_of(results))
    sides = (1 + np.sign(q_of(wdl)) * winners) / 2
    return np.where(winners == 0, np.nan, sides)


def huber(errors: Numbers, delta: float = HUBER_DELTA) -> Floats:
    """Huber's loss: e^2 / 2 up to ``delta``, then delta (|e| - delta / 2) (Huber 1964)."""
    size = np.abs(errors.astype(np.float64))
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


class Reliability(NamedTuple):
    """What was predicted and what came of it, by bins of equal width over [0, 1]; sums."""

    positions: NDArray[np.int64]  # [BINS]
    predicted: Floats  # [BINS] sum of probabilities
    observed: Floats  # [BINS] sum of what happened, each 0 to 1

    @property
    def ece(self) -> float:
        """Expected calibration error: sum over bins of n_b / n |mean observed - mean predicted|.

        Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
        0 to 1; 0 if nothing was counted. Chance alone keeps a perfect net's above 0: by up to
        0.4 sqrt(BINS / n) on n independent positions.
        """
        return float(np.abs(self.observed - self.predicted).sum()) / max(
            1, int(self.positions.sum())
        )

    def rows(self) -> list[tuple[float, float, int]]:
        """Mean predicted, mean observed and count of the bins that are not empty."""
        return [
            (float(predicted / count), float(observed / count), int(count))
            for count, predicted, observed in zip(*self, strict=True)
            if count
        ]

    def plus(self, other: Reliability) -> Reliability:
        """Both together."""
        return Reliability(
            self.positions + other.positions,
            self.predicted + other.predicted,
            self.observed + other.observed,
        )


def reliability(predicted: Numbers, observed: Numbers) -> Reliability:
    """Bin ``predicted`` [B], probabilities or expected scores; 1 is in the last bin."""
    exact = predicted.astype(np.float64)
    bins = (exact * BINS).astype(np.int64).clip(0, BINS - 1)
    return Reliability(
        np.bincount(bins, minlength=BINS),
        np.bincount(bins, exact, BINS).astype(np.float64),
        np.bincount(bins, observed, BINS).astype(np.float64),
    )
