"""Pictures of how the players judge: their values against results, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.report.block import percent
from arena.report.pictures.axes import heading, shares, whole_numbers
from arena.report.pictures.words import baseline_name, candidate_name, some
from arena.report.schema import DivergencePoint, Summary
from swa.picture import BASELINE, CANDIDATE, MUTED, PAPER, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_POSITIONS = 20
"""A share of fewer is chance, and is not drawn where there are others."""


def calibration_picture(summary: Summary) -> Picture | None:
    """What both players expected against what they got; None where no player said."""
    bins = summary["curves"]["calibration"]
    names = {"baseline": baseline_name(summary, 40), "candidate": candidate_name(summary, 40)}
    rows = [
        [
            names[role],
            f"{one['positions']:,}",
            percent(one["expected"]),
            percent(one["scored"]),
        ]
        for role in names
        for one in bins.get(role, [])
    ]
    if not rows:
        return None
    return Picture(
        name="calibration",
        title="Expected and actual score",
        caption=(
            "What a player expected of a position when it chose its move, and what its games then "
            "brought, in bins of equally many positions. On the thin line it got what it expected; "
            "below, it hoped for too much, as a weaker player does that takes its opponent for its "
            "equal."
        ),
        header=["player", "positions", "expected", "scored"],
        rows=rows,
        draw=lambda figure: _draw_calibration(figure, summary),
        size=(5.2, 4.2),
    )


def _draw_calibration(figure: Figure, summary: Summary) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8)
    for role, name, color, marker, dash, inside in (
        ("baseline", baseline_name(summary, 17), BASELINE, "s", "--", PAPER),
        ("candidate", candidate_name(summary, 17), CANDIDATE, "o", "-", CANDIDATE),
    ):
        bins = summary["curves"]["calibration"].get(role, [])
        if bins:
            axes.plot(
                [one["expected"] for one in bins],
                [one["scored"] for one in bins],
                color=color,
                marker=marker,
                ls=dash,
                mfc=inside,
                ms=6,
                lw=1.6,
                clip_on=False,
                label=name,
            )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="expected", ylabel="scored")
    axes.grid()
    shares(axes, "x")
    shares(axes, "y")
    figure.legend(loc="outside upper left", ncols=2)


def divergence_picture(summary: Summary) -> Picture | None:
    """How often the players chose otherwise, by ply; None where they shared no position."""
    points = [point for point in summary["curves"]["divergence"] if point["positions"]]
    if not points:
        return None
    return Picture(
        name="divergence",
        title="Where the players part",
        caption=(
            "Of the positions that both players had before them in the two games of a pair, the "
            "share in which they chose different moves (above), and how many these were (below), "
            f"by the players' own plies.{_left_out(points)}"
        ),
        header=["ply", "positions", "chose differently", "share"],
        rows=[
            [
                str(point["ply"]),
                f"{point['positions']:,}",
                f"{point['differ']:,}",
                percent(point["differ"] / point["positions"]),
            ]
            for point in some(points)
        ],
        draw=lambda figure: _draw_divergence(figure, summary),
        size=(5.2, 3.6),
    )


def _left_out(points: Sequence[DivergencePoint]) -> str:
    """Say which shares are not drawn, or what those are worth that are."""
    most, least = (end(point["positions"] for point in points) for end in (max, min))
    if least >= LEAST_POSITIONS:
        return ""
    if most >= LEAST_POSITIONS:
        return f" Shares of fewer than {LEAST_POSITIONS} positions are not drawn."
    return f" All are shares of fewer than {LEAST_POSITIONS} positions and say little."


def _draw_divergence(figure: Figure, summary: Summary) -> None:
    points = [point for point in summary["curves"]["divergence"] if point["positions"]]
    plies = [point["ply"] for point in points]
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    heading(above, "chose different moves")
    many = [point for point in points if point["positions"] >= LEAST_POSITIONS] or points
    above.plot(
        [point["ply"] for point in many],
        [point["differ"] / point["positions"] for point in many],
        "o-",
        color=CANDIDATE,
        ms=4,
        lw=1.6,
        clip_on=False,
    )
    above.set_ylim(0, 1)
    shares(above, "y")
    heading(below, "positions that both had")
    below.bar(plies, [point["positions"] for point in points], color=MUTED, width=0.8)
    whole_numbers(below, "y", 3)
    below.set_xlabel("ply")
    below.set_xlim(min(plies) - 0.8, max(plies) + 0.8)
    whole_numbers(below, "x")
    for axes in (above, below):
        axes.grid(axis="y")


def opinions_picture(summary: Summary) -> Picture | None:
    """How far apart both nets are without search, by ply; None where they were not asked."""
    points = [point for point in summary["curves"]["opinions"] if point["positions"]]
    if not points:
        return None
    return Picture(
        name="opinions",
        title="What the nets say without search",
        caption=(
            "Both nets were asked about positions of the match: how often their first choices "
            "differ, how far the candidate's policy is from the baseline's (Kullback-Leibler "
            "divergence), and how far apart their values are in [-1, 1], by ply of the game."
        ),
        header=["plies", "positions", "first choice differs", "KL (nats)", "value difference"],
        rows=[
            [
                f"{point['plies_from']}\N{EN DASH}{point['plies_to']}",
                f"{point['positions']:,}",
                percent(point["top_differs"]),
                f"{point['kl']:.4f}",
                f"{point['value_difference']:.4f}",
            ]
            for point in points
        ],
        draw=lambda figure: _draw_opinions(figure, summary),
        size=(5.2, 4.4),
    )


def _draw_opinions(figure: Figure, summary: Summary) -> None:
    points = [point for point in summary["curves"]["opinions"] if point["positions"]]
    panels = figure.subplots(3, 1, sharex=True)
    for axes, words, key in zip(
        panels,
        ("first choice differs", "policies apart, in nats", "values apart"),
        ("top_differs", "kl", "value_difference"),
        strict=True,
    ):
        heading(axes, words)
        values = [float(point[key]) for point in points]  # type: ignore[literal-required]
        for point, value in zip(points, values, strict=True):
            ends = point["plies_from"] - 0.5, point["plies_to"] + 0.5
            axes.plot(ends, [value, value], color=CANDIDATE, lw=2.4, solid_capstyle="butt")
        axes.set_ylim(0, 1.2 * max(values) or 1.0)
        axes.grid(axis="y")
        axes.locator_params(axis="y", nbins=4)
    shares(panels[0], "y")
    panels[-1].set_xlabel("ply")
    whole_numbers(panels[-1], "x")
