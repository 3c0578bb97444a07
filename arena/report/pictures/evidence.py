"""Pictures of what the match proves: Elo and the test's log-likelihood ratio against pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.report.block import number, percent
from arena.report.headline import Kind
from arena.report.pictures.axes import (
    Label,
    beside,
    finite,
    heading,
    precise,
    signed,
    whole_numbers,
)
from arena.report.pictures.words import baseline_name, candidate_name, interval, some
from arena.report.schema import PathPoint, SprtSummary, Summary
from arena.stats.elo import elo_of_score
from arena.stats.pentanomial import Pentanomial
from arena.stats.sprt import EloModel, Method, Sprt
from swa.picture import BASELINE, CANDIDATE, INK, MUTED, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTLED, WANTED = 8, 2
"""Elo is shown whole from this part of the match on, its interval from that one: at the beginning
both go far up and down, and would leave no room for what follows."""

HEIGHT = 190.0
"""Of the axes, in points, about."""


def elo_picture(summary: Summary) -> Picture | None:
    """Elo with its confidence sequence against pairs; None before there is an interval or Elo."""
    path = summary["curves"]["path"]
    if not any(_knows_anything(point) for point in path):
        return None
    candidate, baseline = candidate_name(summary, 40), baseline_name(summary, 40)
    caption = (
        f"Elo of {candidate} relative to {baseline} after so many pairs. The band is the 95 % "
        "confidence sequence: it holds at every moment of the match at once."
    )
    headline = summary["headline"]
    if headline is not None and headline["kind"] == Kind.STOPPING_AWARE:
        caption += " The line is what the pairs say by themselves; the Elo to quote allows for the "
        caption += "test's stop."
    if summary["sprt"] is not None and _bounds(summary):
        caption += " " + _of_the_lines(summary["sprt"])
    return Picture(
        name="elo",
        title="Elo against pairs",
        caption=caption,
        header=["pairs", "score", "Elo", "95 % interval"],
        rows=[
            [
                f"{point['pairs']:,}",
                percent(point["score"]),
                number(point["elo"]),
                interval(point["elo_ci"]),
            ]
            for point in some(path)
        ],
        draw=lambda figure: _draw_elo(figure, summary),
    )


def _knows_anything(point: PathPoint) -> bool:
    return point["elo"] is not None or any(end is not None for end in point["elo_ci"] or ())


def _of_the_lines(sprt: SprtSummary) -> str:
    words = f"Dotted are the test's elo0 = {sprt['elo0']:g} and elo1 = {sprt['elo1']:g}"
    if sprt["model"] == EloModel.LOGISTIC:
        return f"{words}."
    return (
        f"{words}, which are {sprt['model']} Elo, where this match's spread of results puts them."
    )


def _draw_elo(figure: Figure, summary: Summary) -> None:
    path = summary["curves"]["path"]
    axes = figure.subplots()
    heading(axes, f"Elo of {candidate_name(summary, 17)} relative to {baseline_name(summary, 17)}")
    bounds = _bounds(summary)
    low, high = _limits(path, [at for at, _ in bounds])
    axes.set_ylim(low, high)
    known = [point for point in path if point["elo_ci"] is not None]
    ends = [_clipped(point["elo_ci"], low, high) for point in known]
    pairs = [point["pairs"] for point in known]
    axes.fill_between(
        pairs, [end for end, _ in ends], [end for _, end in ends], color=CANDIDATE, alpha=0.18, lw=0
    )
    axes.axhline(0, color=BASELINE, ls=(0, (5, 3)), lw=1.4)
    for at, _ in bounds:
        axes.axhline(at, color=INK, ls=(0, (1, 2)), lw=1.2)
    elo = finite([point["elo"] for point in path])
    axes.plot([point["pairs"] for point in path], elo, color=CANDIDATE, lw=2)
    last = path[-1]
    if last["elo_ci"] is not None:
        axes.plot([last["pairs"]] * 2, _clipped(last["elo_ci"], low, high), color=CANDIDATE, lw=1.4)
    axes.plot(last["pairs"], elo[-1], "o", color=CANDIDATE, ms=6, clip_on=False)
    _pairs_axis(figure, last["pairs"])
    whole_numbers(axes, "y")
    labels = [Label(at, text, INK) for at, text in bounds]
    labels.append(Label(0, "baseline", BASELINE))
    if last["elo"] is not None:
        labels.append(Label(last["elo"], precise(last["elo"]), CANDIDATE))
    beside(axes, labels, HEIGHT)


def _bounds(summary: Summary) -> list[tuple[float, str]]:
    """Where the test's bounds lie in logistic Elo, and their names.

    The figures are the summary's; only where in the picture a bound in another Elo lies is found
    here, from the spread of the pairs' results (``Sprt.score_bounds``).
    """
    stated = summary["sprt"]
    moments = Pentanomial(*summary["pentanomial"]).moments()
    if stated is None or moments is None:
        return []
    sprt = Sprt(
        stated["elo0"], stated["elo1"], model=EloModel(stated["model"]), method=Method.GSPRT
    )
    if sprt.model is EloModel.BAYESIAN or (
        sprt.model is EloModel.NORMALIZED and not moments.variance
    ):
        return []
    scores = sprt.score_bounds(moments)
    unit = "" if sprt.model is EloModel.LOGISTIC else " nElo"
    names = (f"elo0 {signed(sprt.elo0)}{unit}", f"elo1 {signed(sprt.elo1)}{unit}")
    return [
        (elo_of_score(score), name)
        for score, name in zip(scores, names, strict=True)
        if 0.0 < score < 1.0
    ]


def _limits(path: Sequence[PathPoint], also: Sequence[float]) -> tuple[float, float]:
    """Heights between which there is what matters: zero, the bounds, the end of the match."""
    end = path[-1]["pairs"]
    elo = [point["elo"] for point in path if point["pairs"] * SETTLED >= end]
    intervals = [point["elo_ci"] for point in path if point["pairs"] * WANTED >= end]
    ends = [value for interval_ends in intervals for value in interval_ends or ()]
    values = [0.0, *also, *(value for value in (*elo, *ends) if value is not None)]
    low, high = min(values), max(values)
    margin = 0.07 * (high - low) or 50.0
    # Where an interval has no end there is room to see that it goes on.
    open_below, open_above = path[-1]["elo_ci"] or (None, None)
    low -= 5 * margin if open_below is None else margin
    high += 5 * margin if open_above is None else margin
    return low, high


def _clipped(ends: Sequence[float | None] | None, low: float, high: float) -> tuple[float, float]:
    """Ends to draw; one that does not exist is the picture's own."""
    below, above = ends or (None, None)
    return (
        low if below is None else min(max(below, low), high),
        high if above is None else min(max(above, low), high),
    )


def _pairs_axis(figure: Figure, pairs: int) -> None:
    axes = figure.axes[0]
    axes.set_xlim(0, max(pairs, 1))
    axes.set_xlabel("pairs")
    whole_numbers(axes, "x")
    axes.grid(axis="y")


def llr_picture(summary: Summary) -> Picture | None:
    """The test's log-likelihood ratio against pairs, with its bounds; None without a test."""
    path = [point for point in summary["curves"]["path"] if point["llr"] is not None]
    sprt, bounds = summary["sprt"], summary["llr_bounds"]
    if not path or sprt is None or bounds is None:
        return None
    caption = (
        f"Log-likelihood ratio of elo1 = {sprt['elo1']:g} against elo0 = {sprt['elo0']:g} "
        f"{sprt['model']} Elo after so many pairs. "
    )
    if sprt["method"] == Method.CERTIFIED:
        caption += "It describes: a certified test decides by its own evidence."
    else:
        caption += (
            f"At {number(bounds[1])} the candidate is promoted, at {number(bounds[0])} the "
            "baseline kept."
        )
    if sprt["method"] == Method.OVERSHOOT:
        caption += " The test corrects these bounds for overshoot, and may decide a little earlier."
    return Picture(
        name="llr",
        title="The test against pairs",
        caption=caption,
        header=["pairs", "score", "LLR"],
        rows=[
            [f"{point['pairs']:,}", percent(point["score"]), number(point["llr"])]
            for point in some(path)
        ],
        draw=lambda figure: _draw_llr(figure, summary, path, bounds),
    )


def _draw_llr(
    figure: Figure, summary: Summary, path: Sequence[PathPoint], bounds: Sequence[float]
) -> None:
    axes = figure.subplots()
    heading(axes, "log-likelihood ratio, elo1 against elo0")
    llr = finite([point["llr"] for point in path])
    decides = summary["sprt"] is not None and summary["sprt"]["method"] != Method.CERTIFIED
    shown = [0.0, *llr, *(bounds if decides else ())]
    low, high = min(shown), max(shown)
    margin = 0.12 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    axes.axhline(0, color=MUTED, lw=0.8)
    if decides:
        for at, words, va, color, dash in (
            (bounds[0], "keep", "top", BASELINE, (0, (5, 3))),
            (bounds[1], "promote", "bottom", CANDIDATE, "-"),
        ):
            axes.axhline(at, color=color, lw=1.4, ls=dash)
            axes.annotate(
                f"{words} at {precise(at)}",
                (0, at),
                xytext=(3, 2 if va == "bottom" else -3),
                textcoords="offset points",
                va=va,
                color=color,
            )
    axes.plot([point["pairs"] for point in path], llr, color=INK, lw=1.8)
    last = path[-1]
    axes.plot(last["pairs"], llr[-1], "o", color=INK, ms=6, clip_on=False)
    _pairs_axis(figure, last["pairs"])
    whole_numbers(axes, "y")
    beside(axes, [Label(llr[-1], precise(llr[-1]), INK)], HEIGHT)
