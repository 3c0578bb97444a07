"""What ``swa eval`` says: the document for scripts, the table for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from swa.batches import BatchCounts
    from swa.chunks import ReadCounts
    from swa.evaluation import Estimate, Evaluation, NetEvaluation, ToFirst
    from swa.metrics import Reliability

_LABELS = {
    "policy_cross_entropy": ("policy CE", "policy cross entropy", ".4f"),
    "policy_accuracy": ("top-1", "policy top-1", ".2%"),
    "policy_top3": ("top-3", "policy top-3", ".2%"),
    "value_cross_entropy": ("value CE", "value cross entropy", ".4f"),
    "value_mse": ("MSE", "value MSE", ".4f"),
    "value_accuracy": ("accuracy", "value accuracy", ".2%"),
    "value_side": ("side", "value, winner's side", ".2%"),
    "value_brier": ("Brier", "value Brier score", ".4f"),
    "value_ece": ("ECE", "value ECE", ".4f"),
    "moves_left_mae": ("plies off", "moves left, plies off", ".2f"),
    "moves_left_huber": ("Huber", "moves left, Huber", ".2f"),
    "policy_kl": ("", "policy KL", ".4f"),
    "same_first_move": ("", "same first move", ".2%"),
    "q_distance": ("", "distance of Q", ".4f"),
}
"""A metric's name at the head of a column, in a line of its own, and its format."""

_COLUMNS = (
    "policy_cross_entropy",
    "policy_accuracy",
    "value_cross_entropy",
    "value_mse",
    "value_accuracy",
    "value_ece",
    "moves_left_mae",
)
"""What the table shows; 80 columns hold no more."""


def printable(name: str) -> str:
    """A name on one line, in letters that every table, terminal and picture can hold."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def names_of(evaluation: Evaluation) -> list[str]:
    """What the nets are called: their names, or paths where two have the same name.

    Made printable: a file may be called anything.
    """
    names = [printable(net.net.name) for net in evaluation.nets]
    if len(set(names)) == len(names):
        return names
    return [printable(str(net.net.path)) for net in evaluation.nets]


# --- for scripts ---


class Settings(NamedTuple):
    """What was asked for, as it is repeated in the document."""

    data: Sequence[Path]
    q_ratio: float
    every: int
    positions: int | None
    seed: int


def as_json(
    evaluation: Evaluation, read: ReadCounts, counts: BatchCounts, settings: Settings
) -> dict[str, Any]:
    """What ``swa eval --json`` says; what is not there is null.

    ``data``: ``sources``, ``positions`` and ``games`` used, ``decided_games`` that somebody won,
    ``files``, ``records`` and ``truncated`` files read, ``repeated`` ones read once,
    ``placeholders`` and ``no_legal_moves`` left out, ``skipped`` files by ``damage`` with their
    number and the first one's ``example``, ``policy_entropy`` and ``policy_uniform`` (cross
    entropies of the data itself, and of all legal moves alike), ``results`` (shares of ``win``,
    ``draw``, ``loss`` of the side to move).
    ``settings``: ``q_ratio``, ``every``, ``positions``, ``confidence``, ``resamples``, ``seed``.

    ``nets``, in the order given: ``name``, ``path``, ``sha256``, ``evaluator``, ``positions``; all
    of ``swa.evaluation.METRICS`` (their definitions there and in ``swa.metrics``); ``outcomes``,
    ``win``, ``draw``, ``loss`` as it says on average, null for a classical value; ``value_ece``,
    mean of win's, draw's and loss's; ``ece`` of ``win``, ``draw``, ``loss``, ``score``;
    ``intervals``: for each metric [low, high]; ``reliability`` of the same four: bins with
    ``predicted``, ``observed``, ``count``; ``difference_to_first``, null for the first: for each
    metric ``difference`` (this net's minus the first one's) and ``interval`` [low, high], none for
    ``value_ece``, which resampling would bias; for each of ``COMPARISONS`` ``mean`` and
    ``interval``; ``q_distance_95``.
    """
    from swa.bootstrap import CONFIDENCE, RESAMPLES
    from swa.evaluation import OUTCOMES

    return {
        "data": {
            "sources": [str(path) for path in settings.data],
            "positions": evaluation.positions,
            "games": evaluation.games,
            "decided_games": evaluation.decided_games,
            "files": read.files,
            "records": read.records,
            "truncated": read.truncated,
            "repeated": read.repeated,
            "placeholders": counts.placeholders,
            "no_legal_moves": counts.no_moves,
            "skipped": [
                {"damage": str(damage), "files": count, "example": str(read.examples[damage])}
                for damage, count in sorted(read.skipped.items())
            ],
            "policy_entropy": evaluation.policy_entropy,
            "policy_uniform": evaluation.policy_uniform,
            "results": dict(zip(OUTCOMES, evaluation.results, strict=True)),
        },
        "settings": {
            "q_ratio": settings.q_ratio,
            "every": settings.every,
            "positions": settings.positions,
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "seed": settings.seed,
        },
        "nets": [_net_as_json(net, evaluation) for net in evaluation.nets],
    }


def _net_as_json(net: NetEvaluation, evaluation: Evaluation) -> dict[str, Any]:
    from swa.evaluation import METRICS, OUTCOMES, SCORE

    kinds = (*OUTCOMES, SCORE)
    estimates = {name: net.metrics.get(name) for name in METRICS}
    return {
        "name": net.net.name,
        "path": str(net.net.path),
        "sha256": net.net.sha256,
        "evaluator": net.evaluator,
        "positions": evaluation.positions,
        **{name: estimate and estimate.value for name, estimate in estimates.items()},
        "outcomes": net.outcomes and dict(zip(OUTCOMES, net.outcomes, strict=True)),
        "value_ece": net.ece,
        "ece": {
            kind: net.reliability[kind].ece if kind in net.reliability else None for kind in kinds
        },
        "intervals": {name: _ends(estimate) for name, estimate in estimates.items()},
        "reliability": {
            kind: _bins(net.reliability[kind]) if kind in net.reliability else None
            for kind in kinds
        },
        "difference_to_first": net.to_first
        and _difference_as_json(net.to_first, net.ece, evaluation.nets[0].ece),
    }


def _difference_as_json(
    to_first: ToFirst, ece: float | None, ece_of_first: float | None
) -> dict[str, Any]:
    from swa.evaluation import COMPARISONS, METRICS

    document: dict[str, Any] = {}
    for name in METRICS:
        estimate = to_first.metrics.get(name)
        document[name] = estimate and {"difference": estimate.value, "interval": _ends(estimate)}
    document["value_ece"] = (
        None
        if ece is None or ece_of_first is None
        else {"difference": ece - ece_of_first, "interval": None}
    )
    for name in COMPARISONS:
        estimate = to_first.comparisons[name]
        document[name] = {"mean": estimate.value, "interval": _ends(estimate)}
    document["q_distance_95"] = to_first.q_distance_95
    return document


def _ends(estimate: Estimate | None) -> list[float | None] | None:
    if estimate is None or estimate.low is None:
        return None
    return [estimate.low, estimate.high]


def _bins(found: Reliability) -> list[dict[str, Any]]:
    return [
        {"predicted": predicted, "observed": observed, "count": count}
        for predicted, observed, count in found.rows()
    ]


# --- for people ---


def text_lines(
    evaluation: Evaluation, read: ReadCounts, counts: BatchCounts, settings: Settings
) -> list[str]:
    """The figures that are looked at first, then differences, and what was left out."""
    names = names_of(evaluation)
    lines = [
        f"{evaluation.positions:,} position{'s'[: evaluation.positions > 1]} of "
        f"{_games(evaluation)}, losses in nats",
        f"the data's own policy: cross entropy {evaluation.policy_entropy:.4f}; all legal moves "
        f"alike: {evaluation.policy_uniform:.4f}",
        *_left_out(read, counts),
        "",
        *_table(evaluation, names),
        "",
        *_outcome_lines(evaluation, names, settings.q_ratio),
    ]
    if len(names) > 1:
        lines += [
            "",
            f"difference to {names[0]}, its 95 % interval, and whether it is beyond chance",
        ]
    for net, name in zip(evaluation.nets[1:], names[1:], strict=True):
        if net.to_first:
            lines += [name, *_difference_lines(net.to_first)]
    if note := note_on_games(evaluation.games):
        lines += ["", note]
    return lines


def note_on_games(games: int) -> str:
    """What to know of intervals from so few games; empty where they are enough."""
    from swa.bootstrap import FEW_GAMES

    if games == 1:
        return (
            "note: no intervals, they take several games; in one file they are told apart by the "
            "start position"
        )
    if games < FEW_GAMES:
        return f"note: {games} games are few: intervals come out too narrow"
    return ""


def _games(evaluation: Evaluation) -> str:
    return "1 game" if evaluation.games == 1 else f"{evaluation.games:,} games"


def _left_out(read: ReadCounts, counts: BatchCounts) -> list[str]:
    lines = []
    if read.truncated:
        lines.append(f"truncated files, read as far as they go: {read.truncated:,}")
    if read.repeated:
        lines.append(f"named more than once, read once: {read.repeated:,} files")
    for damage, count in sorted(read.skipped.items()):
        example = str(read.examples[damage]).splitlines()[0]
        lines.append(f"left out, {damage}: {count:,} files, the first {example}")
    if counts.placeholders:
        lines.append(f"left out, never searched: {counts.placeholders:,} positions")
    if counts.no_moves:
        lines.append(f"left out, without legal moves: {counts.no_moves:,} positions")
    return lines


def _table(evaluation: Evaluation, names: list[str]) -> list[str]:
    width = max(map(len, names))
    shown = [
        metric
        for metric in _COLUMNS
        if metric == "value_ece" or any(metric in net.metrics for net in evaluation.nets)
    ]
    lines = [" " * width + "".join(f"{_LABELS[metric][0]:>10}" for metric in shown)]
    for name, net in zip(names, evaluation.nets, strict=True):
        cells = []
        for metric in shown:
            estimate = net.metrics.get(metric)
            value = net.ece if metric == "value_ece" else estimate and estimate.value
            cells.append("-" if value is None else format(value, _LABELS[metric][2]))
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def _outcome_lines(evaluation: Evaluation, names: list[str], q_ratio: float) -> list[str]:
    """How games ended and what nets make of it: an accuracy means little without."""
    import numpy as np

    from swa.metrics import outcome_cross_entropy

    base = np.array([evaluation.results])
    entropy = abs(float(outcome_cross_entropy(base, base)[0]))  # 0, not -0
    known = f"accuracy {base.max():.2%}" + ("" if q_ratio else f", value CE {entropy:.4f}")
    count = evaluation.decided_games
    decided = f"of {count:,} decided {'game' if count == 1 else 'games'}"
    width = max(len("results; to say so always:"), *map(len, names))
    lines = [f"{'':<{width}}{'win':>9}{'draw':>9}{'loss':>9}   winner's side, {decided}"]
    for name, net in zip(names, evaluation.nets, strict=True):
        side = net.metrics.get("value_side")
        right = "-" if side is None else f"{side.value:.2%}"
        lines.append(f"{name:<{width}}{_shares(net.outcomes)}   {right}")
    lines.append(f"{'results; to say so always:':<{width}}{_shares(evaluation.results)}   {known}")
    return lines


def _shares(outcomes: Sequence[float] | None) -> str:
    return f"{'-':>9}" * 3 if outcomes is None else "".join(f"{share:>9.2%}" for share in outcomes)


def _difference_lines(to_first: ToFirst) -> list[str]:
    lines = []
    for metric, estimate in (*to_first.metrics.items(), *to_first.comparisons.items()):
        _, label, form = _LABELS[metric]
        sign = "+" if metric in to_first.metrics else ""
        line = f"  {label:<22}{format(estimate.value, sign + form):>9}"
        if estimate.low is not None and estimate.high is not None:
            low, high = (format(end, sign + form) for end in (estimate.low, estimate.high))
            line += f"  [{low:>8}, {high:>8}]"
        if sign:
            line += _judgement(metric, estimate)
        lines.append(line.rstrip())
    lines[-1] += f", 95 % of positions up to {to_first.q_distance_95:.4f}"
    return lines


def _judgement(metric: str, estimate: Estimate) -> str:
    """Whether a difference is beyond chance, and in whose favour."""
    from swa.evaluation import HIGHER_IS_BETTER

    if estimate.low is None or estimate.high is None or estimate.low <= 0 <= estimate.high:
        return ""
    return "  better" if (estimate.low > 0) == (metric in HIGHER_IS_BETTER) else "  worse"
