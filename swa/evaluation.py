"""Several nets on the same positions: how good each is, and how much they differ.

Two nets are compared on each position, and positions of a game go together, so that differences far
smaller than what the nets' own figures are uncertain by can be told from chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa import metrics
from swa.batches import Batch
from swa.bootstrap import RESAMPLES, interval, resampled_means
from swa.forward import Outputs
from swa.inference import Inference, Kind, make_inference
from swa.metrics import Reliability, reliability
from swa.net import Net
from swa.records import Damage, RecordError
from swa.spec import NetError, UnfitError, ValueKind

Floats = NDArray[np.float64]

METRICS = (
    "policy_cross_entropy",  # nats, of the search's probabilities
    "policy_accuracy",  # share of positions whose best move is the net's first
    "policy_top3",  # share whose best move is among the net's first three
    "value_cross_entropy",  # nats, of win, draw, loss
    "value_mse",  # (Q - target)^2, 0 to 4; lczero-training and leela-zero show a quarter of it
    "value_accuracy",  # share whose result is the net's most probable one
    "value_side",  # share of the positions of decided games whose Q is on the winner's side of 0
    "value_brier",  # 0 to 2, against the result
    "moves_left_mae",  # plies
    "moves_left_huber",  # delta = 10 plies
)
"""Means over positions. Those of three outcomes are not there for a classical value, those of moves
left neither without such a head nor where no record knows them, and no side is the winner's where
all games are drawn."""

HIGHER_IS_BETTER = frozenset({"policy_accuracy", "policy_top3", "value_accuracy", "value_side"})

COMPARISONS = (
    "policy_kl",  # nats, from the first net's policy to this one's
    "same_first_move",  # share of positions
    "q_distance",  # |Q - Q of the first net|, 0 to 2
)
"""Means over positions of what a net differs from the first one in."""

OUTCOMES = ("win", "draw", "loss")
SCORE = "score"

_COLUMNS = METRICS + COMPARISONS
_OF_DATA = 5
"""Columns of the data itself: ``_of_data``."""
_DRAWN = 3
"""Which of them says that a game was drawn."""


class Estimate(NamedTuple):
    """A mean over positions with its 95 % interval; None and None where but one game has it."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ToFirst:
    """How a net differs from the first one on the same positions."""

    metrics: Mapping[str, Estimate]  # this net's minus the first one's, of those both have
    comparisons: Mapping[str, Estimate]  # by COMPARISONS
    q_distance_95: float  # |Q - Q of the first net| that 95 % of positions do not exceed


@dataclass(frozen=True, slots=True)
class NetEvaluation:
    """What was found of one net."""

    net: Net
    evaluator: str  # "winograd on cpu"
    metrics: Mapping[str, Estimate]  # by METRICS, those that it has
    reliability: Mapping[str, Reliability]  # by OUTCOMES, if it has three, and SCORE
    to_first: ToFirst | None  # None for the first itself

    @property
    def loss(self) -> float:
        """Policy cross entropy plus the value's, or its MSE where the value is classical.

        lczero-training's loss without regularisation and moves left, each part weighing 1
        (tf/tfprocess.py): one number to choose by.
        """
        value = self.metrics.get("value_cross_entropy") or self.metrics["value_mse"]
        return self.metrics["policy_cross_entropy"].value + value.value

    @property
    def outcomes(self) -> tuple[float, ...] | None:
        """Win, draw and loss as the net says on average; None for a classical value."""
        if OUTCOMES[0] not in self.reliability:
            return None
        found = [self.reliability[outcome] for outcome in OUTCOMES]
        return tuple(float(bins.predicted.sum() / bins.positions.sum()) for bins in found)

    @property
    def ece(self) -> float | None:
        """Mean of the calibration errors of win, draw and loss; None for a classical value.

        The classwise ECE of Kull et al., "Beyond temperature scaling", 2019, arXiv 1910.12656.
        """
        if OUTCOMES[0] not in self.reliability:
            return None
        return float(np.mean([self.reliability[outcome].ece for outcome in OUTCOMES]))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found of all nets, in the order given."""

    nets: tuple[NetEvaluation, ...]
    positions: int
    games: int
    policy_entropy: float  # nats, of the targets: no net's cross entropy is less
    policy_uniform: float  # nats: the cross entropy of a net to which all legal moves are the same
    results: tuple[float, float, float]  # shares won, drawn, lost by the side to move
    decided_games: int  # that somebody won


def evaluate(
    nets: Sequence[Net],
    batches: Iterable[Batch],
    *,
    q_ratio: float = 0.0,
    device: str = "auto",
    kind: Kind = "auto",
    threads: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate nets on the same positions (``swa.batches.read_batches``), read once.

    The value's target is ``q_ratio`` of what the search found and the rest of the game's result
    (lczero-training's q_ratio) for cross entropy and MSE; accuracy, Brier score and calibration are
    against the result. Intervals are from ``resamples`` draws of games; with 0 there are none,
    which is quick where only means are wanted. ``progress`` is told the positions done.

    In memory are, beyond a batch, 0.2 kB a net for each game and 4 bytes for each position.

    Raises NetError for a net that cannot be computed or says what is no number, RecordError where
    there are no positions or q_ratio asks for what V3 records do not have, ValueError for a
    ``q_ratio`` outside [0, 1] or without nets.
    """
    if not nets or not 0 <= q_ratio <= 1:
        raise ValueError("at least one net, and a q_ratio from 0 to 1")
    formats = {net.spec.input_format for net in nets}
    if len(formats) > 1:
        raise NetError(f"the nets have different input formats: {sorted(formats)}")
    tallies = [_Tally(net, make_inference(net, device, kind, threads)) for net in nets]
    sums, done = _GameSums(), 0
    for batch in batches:
        answers = [tally.answer(batch) for tally in tallies]
        columns = [
            tally.add(batch, answer, answers[0], q_ratio)
            for tally, answer in zip(tallies, answers, strict=True)
        ]
        sums.add(batch.games, np.hstack([_of_data(batch), *columns]))
        done += len(batch.games)
        if progress is not None:
            progress(done)
    if not done:
        raise RecordError(
            Damage.NOT_RECORDS, "no positions", "Give training records: .gz files, folders, tars."
        )
    return _summary(tallies, *sums.table(), done, resamples, seed)


class _Answer(NamedTuple):
    """What a net says of a batch."""

    outputs: Outputs
    log_policy: Floats  # [M]


@dataclass(slots=True)
class _Tally:
    """A net, and what must be kept of its answers position by position or by bins."""

    net: Net
    inference: Inference
    reliability: dict[str, Reliability] = field(default_factory=dict)
    q_distances: list[NDArray[np.float32]] = field(default_factory=list)

    def answer(self, batch: Batch) -> _Answer:
        """Ask the net; raises UnfitError where it says what is no number."""
        outputs = self.inference(batch.masks, batch.values, batch.moves, batch.offsets)
        for what, numbers in zip(("policy", "value", "moves left"), outputs, strict=True):
            if not np.isfinite(numbers).all():
                raise UnfitError(
                    f"the net's {what} is no number at some positions",
                    "Its weights or batch norm statistics are broken.",
                    str(self.net.path),
                )
        return _Answer(outputs, metrics.log_policy(outputs.logits, batch.offsets))

    def add(self, batch: Batch, answer: _Answer, first: _Answer, q_ratio: float) -> Floats:
        """Take note; returns [B, ``_COLUMNS``], NaN for what this net or position does not have."""
        columns = dict.fromkeys(_COLUMNS, np.full(len(batch.games), np.nan))
        columns |= _of_policy(batch, answer)
        columns |= self._of_value(batch, answer.outputs, q_ratio)
        if self.net.spec.moves_left is not None:
            errors = answer.outputs.moves_left - batch.plies_left
            columns["moves_left_mae"] = np.abs(errors)
            columns["moves_left_huber"] = metrics.huber(errors)
        if answer is not first:
            columns |= _to_first(batch, answer, first)
            self.q_distances.append(columns["q_distance"].astype(np.float32))
        return np.stack([columns[name] for name in _COLUMNS], axis=1)

    def _of_value(self, batch: Batch, outputs: Outputs, q_ratio: float) -> dict[str, Floats]:
        wdl, result = outputs.wdl, batch.result
        target = _value_targets(batch, q_ratio)
        self._bin(SCORE, metrics.expected_score(wdl), metrics.expected_score(result))
        columns = {
            "value_mse": (metrics.q_of(wdl) - metrics.q_of(target)) ** 2,
            "value_side": metrics.side_right(wdl, result),
        }
        if self.net.spec.value.kind is ValueKind.WDL:
            for place, outcome in enumerate(OUTCOMES):
                self._bin(outcome, wdl[:, place], result[:, place])
            columns["value_cross_entropy"] = metrics.outcome_cross_entropy(wdl, target)
            columns["value_accuracy"] = metrics.outcome_right(wdl, result).astype(np.float64)
            columns["value_brier"] = metrics.brier(wdl, result)
        return columns

    def _bin(self, what: str, predicted: metrics.Numbers, observed: Floats) -> None:
        new = reliability(predicted, observed)
        before = self.reliability.get(what)
        self.reliability[what] = new if before is None else before.plus(new)


def _of_policy(batch: Batch, answer: _Answer) -> dict[str, Floats]:
    ranks = metrics.rank_of_best(answer.outputs.logits, batch.policy, batch.offsets)
    return {
        "policy_cross_entropy": metrics.policy_cross_entropy(
            answer.log_policy, batch.policy, batch.offsets
        ),
        "policy_accuracy": (ranks < 1).astype(np.float64),
        "policy_top3": (ranks < 3).astype(np.float64),
    }


def _to_first(batch: Batch, answer: _Answer, first: _Answer) -> dict[str, Floats]:
    one, other = (
        metrics.first_moves(each.outputs.logits, batch.offsets) for each in (first, answer)
    )
    return {
        "policy_kl": metrics.policy_kl(first.log_policy, answer.log_policy, batch.offsets),
        "same_first_move": (one == other).astype(np.float64),
        "q_distance": np.abs(metrics.q_of(answer.outputs.wdl) - metrics.q_of(first.outputs.wdl)),
    }


def _of_data(batch: Batch) -> Floats:
    """Entropy of the target policy, cross entropy of the uniform one, the result [B, 5]."""
    entropy = metrics.policy_entropy(batch.policy, batch.offsets)
    return np.column_stack([entropy, np.log(np.diff(batch.offsets)), batch.result])


def _value_targets(batch: Batch, q_ratio: float) -> Floats:
    if not q_ratio:
        return batch.result
    if np.isnan(batch.searched).any():
        raise RecordError(
            Damage.VALUES,
            "V3 records do not know what the search found",
            "Leave them out, or use a q_ratio of 0.",
        )
    return q_ratio * batch.searched + (1 - q_ratio) * batch.result


class _GameSums:
    """Sums over each game's positions, and of how many, of quantities that some do not have."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, Floats, Floats]] = []

    def add(self, games: NDArray[np.int64], columns: Floats) -> None:
        """Add a batch: ``columns`` [B, K] of games [B], NaN where there is no such quantity."""
        starts = np.flatnonzero(np.diff(games, prepend=games[0] - 1))
        known = ~np.isnan(columns)
        sums = np.add.reduceat(np.where(known, columns, 0), starts)
        counts = np.add.reduceat(known.astype(np.float64), starts)
        self._parts.append((int(games[0]), sums, counts))

    def table(self) -> tuple[Floats, Floats]:
        """Sums and counts, [games, K] each."""
        last_game, last, _ = self._parts[-1]
        shape = (last_game + len(last), last.shape[1])
        sums, counts = np.zeros(shape), np.zeros(shape)
        for game, more, many in self._parts:
            sums[game : game + len(more)] += more
            counts[game : game + len(more)] += many
        return sums, counts


def _summary(
    tallies: Sequence[_Tally],
    sums: Floats,
    counts: Floats,
    positions: int,
    resamples: int,
    seed: int,
) -> Evaluation:
    games = len(sums)
    total, many = sums.sum(axis=0), counts.sum(axis=0)
    means = np.divide(total, many, out=np.full(total.shape, np.nan), where=many > 0)
    draws = resampled_means(sums, counts, resamples if games > 1 else 0, seed)
    # What one game alone has, as the one decided, is the same in all draws: that is no interval
    draws[:, (counts > 0).sum(axis=0) < 2] = np.nan
    (entropy, uniform, *results), means = means[:_OF_DATA].tolist(), means[_OF_DATA:]
    of_nets = means.reshape(len(tallies), len(_COLUMNS))
    draws_of_nets = draws[:, _OF_DATA:].reshape(-1, len(tallies), len(_COLUMNS))
    differences = of_nets - of_nets[0], draws_of_nets - draws_of_nets[:, :1]
    found = []
    for place, tally in enumerate(tallies):
        own = _estimates(METRICS, of_nets[place], draws_of_nets[:, place])
        to_first = None
        if place:
            to_first = ToFirst(
                _estimates(METRICS, differences[0][place], differences[1][:, place]),
                _estimates(COMPARISONS, of_nets[place], draws_of_nets[:, place]),
                float(np.quantile(np.concatenate(tally.q_distances), 0.95)),
            )
        name = tally.inference.name
        found.append(NetEvaluation(tally.net, name, own, tally.reliability, to_first))
    decided = int((sums[:, _DRAWN] < counts[:, _DRAWN]).sum())
    return Evaluation(tuple(found), positions, games, entropy, uniform, tuple(results), decided)


def _estimates(names: Sequence[str], means: Floats, draws: Floats) -> dict[str, Estimate]:
    """Estimates by name, from ``_COLUMNS`` of means and of draws [resamples, ...]."""
    estimates = {}
    for name in names:
        column = _COLUMNS.index(name)
        if not np.isnan(means[column]):
            ends = interval(draws[:, column]) or (None, None)
            estimates[name] = Estimate(float(means[column]), *ends)
    return estimates
