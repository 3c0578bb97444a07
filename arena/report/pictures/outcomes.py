"""Pictures of how pairs and games ended: by points, opening, colour and length, and by what end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arena.report.block import counted, percent, plain
from arena.report.curves.opening_groups import LEAST_PAIRS
from arena.report.pictures.axes import heading, shares, whole_numbers
from arena.report.pictures.words import baseline_name, candidate_name, percent_interval, short
from arena.report.schema import LengthRow, OpeningGroup, Summary
from swa.picture import BASELINE, CANDIDATE, INK, LINE, MUTED, PAPER, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_OPENINGS = 15
"""Groups of openings, those with the most pairs."""

OPENING_WIDTH = 26
"""Letters of an opening's name."""

WON: dict[str, Any] = {"facecolor": CANDIDATE, "edgecolor": PAPER}
LEVEL: dict[str, Any] = {"facecolor": LINE, "edgecolor": MUTED, "linewidth": 0.8}
LOST: dict[str, Any] = {"facecolor": BASELINE, "edgecolor": PAPER, "hatch": "////"}
"""Bars of what the candidate won, of what was level, of what the baseline won."""

PAIR_RESULTS = ("LL", "LD", "WL+DD", "WD", "WW")
POINTS = ("0", "½", "1", "1½", "2")

ROW = 0.25
"""Inches of a horizontal bar and the gap to the next."""


def pentanomial_picture(summary: Summary) -> Picture | None:
    """Pairs by their points, beside the same pairs without a winner; None before the first."""
    counts = summary["pentanomial"]
    if not any(counts):
        return None
    candidate, baseline = candidate_name(summary, 40), baseline_name(summary, 40)
    level = symmetric(counts)
    return Picture(
        name="pentanomial",
        title="Points of the pairs",
        caption=(
            f"Pairs by the points of {candidate} in their two games. The dashed outline has as "
            f"many on either side: what {baseline} against itself would give, but for chance."
        ),
        header=["result", "points", "pairs", "symmetric"],
        rows=[
            [result, points, f"{count:,}", plain(even, 1)]
            for result, points, count, even in zip(PAIR_RESULTS, POINTS, counts, level, strict=True)
        ],
        draw=lambda figure: _draw_pentanomial(figure, summary),
    )


def symmetric(counts: Sequence[int]) -> list[float]:
    """Return the pentanomial's mean with its mirror image."""
    return [(count + other) / 2 for count, other in zip(counts, reversed(counts), strict=True)]


def _draw_pentanomial(figure: Figure, summary: Summary) -> None:
    counts = summary["pentanomial"]
    even = symmetric(counts)
    axes = figure.subplots()
    places = range(len(counts))
    for place, (count, style) in enumerate(zip(counts, (LOST, LOST, LEVEL, WON, WON), strict=True)):
        axes.bar(place, count, width=0.72, **style)
        axes.annotate(
            f"{count:,}",
            (place, max(count, even[place])),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
    outline = axes.bar(
        places, even, width=0.86, facecolor="none", edgecolor=INK, linestyle=(0, (3, 2)), lw=1.2
    )
    axes.legend(
        [outline],
        ["as many won as lost"],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        labelcolor=MUTED,
    )
    axes.set_xticks(places, POINTS)
    axes.set_yticks([])
    axes.set_ylim(0, 1.12 * max(*counts, *even))
    axes.set_xlabel(f"points of {candidate_name(summary, 24)} in a pair")


def openings_picture(summary: Summary) -> Picture | None:
    """The candidate's score by opening, with intervals; None without groups of openings."""
    groups = summary["curves"]["opening_groups"]
    if not groups:
        return None
    shown = sorted(
        groups[:SHOWN_OPENINGS], key=lambda group: (-group["score"], -group["pairs"], group["name"])
    )
    of_all = "" if len(shown) == len(groups) else f"; the {len(shown)} of {len(groups):,} with most"
    # Groups of few pairs have none.
    some, every = (how(group["score_ci"] for group in shown) for how in (any, all))
    least = "" if every else f" from {LEAST_PAIRS} pairs on"
    intervals = f", with 95 % intervals{least}" if some else ""
    return Picture(
        name="openings",
        title="Score by opening",
        caption=(
            f"Points a game of {candidate_name(summary, 40)}{intervals}, by opening "
            f"(number of pairs on the right{of_all}). Dashed: level; dotted: all pairs together."
        ),
        header=["opening", "pairs", "score", "95 % interval", "White's score"],
        rows=[
            [
                short(group["name"], 80),
                f"{group['pairs']:,}",
                percent(group["score"]),
                percent_interval(group["score_ci"]),
                percent(group["white_score"]),
            ]
            for group in shown
        ],
        draw=lambda figure: _draw_openings(figure, summary, shown),
        size=(5.2, 1.2 + ROW * len(shown)),
    )


def _draw_openings(figure: Figure, summary: Summary, groups: Sequence[OpeningGroup]) -> None:
    axes = figure.subplots()
    axes.set_title("pairs", loc="right", color=MUTED)
    axes.set_xlabel("score")
    axes.axvline(0.5, color=BASELINE, ls=(0, (5, 3)), lw=1.4)
    if summary["score"] is not None:
        axes.axvline(summary["score"], color=CANDIDATE, ls=(0, (1, 2)), lw=1.2)
    ends = [0.5, *(end for group in groups for end in group["score_ci"] or [group["score"]])]
    for row, group in enumerate(groups):
        if group["score_ci"] is not None:
            axes.plot(group["score_ci"], [row, row], color=CANDIDATE, lw=1.4)
        axes.plot(group["score"], row, "o", color=CANDIDATE, ms=6, clip_on=False)
        axes.annotate(
            f"{group['pairs']:,}",
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(28, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=MUTED,
        )
    reach = min(max(1.05 * max(abs(end - 0.5) for end in ends), 0.1), 0.5)
    axes.set_xlim(0.5 - reach, 0.5 + reach)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_yticks(range(len(groups)), [short(g["name"], OPENING_WIDTH) for g in groups])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(axis="y")
    shares(axes, "x")


def lengths_picture(summary: Summary) -> Picture | None:
    """Wins, draws and losses by colour and length; None without games."""
    rows = summary["curves"]["lengths"]
    if not rows:
        return None
    return Picture(
        name="lengths",
        title="Results by colour and length",
        caption=(
            f"Games of {candidate_name(summary, 40)} by their length in plies, the opening "
            "included: won, drawn, lost."
        ),
        header=["colour", "plies", "wins", "draws", "losses"],
        rows=[
            [
                row["colour"],
                _plies(row["plies_from"], row["plies_to"]),
                *(f"{row[key]:,}" for key in ("wins", "draws", "losses")),
            ]
            for row in rows
        ],
        draw=lambda figure: _draw_lengths(figure, summary),
        size=(5.2, 1.6 + 0.2 * len(_bins(rows))),
    )


def _plies(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}\N{EN DASH}{last}"


def _bins(rows: Sequence[LengthRow]) -> list[tuple[int, int]]:
    return sorted({(row["plies_from"], row["plies_to"]) for row in rows})


def _draw_lengths(figure: Figure, summary: Summary) -> None:
    rows = summary["curves"]["lengths"]
    bins = _bins(rows)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, colour in zip(panels, ("white", "black"), strict=True):
        heading(axes, f"as {colour.capitalize()}: {percent(summary['by_colour'][colour]['score'])}")
        for row in rows:
            if row["colour"] == colour:
                _draw_games(axes, bins.index((row["plies_from"], row["plies_to"])), row)
        axes.set_xlabel("games")
        axes.grid(axis="x")
        whole_numbers(axes, "x", 4)
    panels[0].set_ylim(len(bins) - 0.5, -0.5)
    panels[0].set_yticks(range(len(bins)), [_plies(*of) for of in bins])
    panels[0].set_ylabel("plies")
    from matplotlib.patches import Patch

    figure.legend(
        [Patch(**style) for style in (WON, LEVEL, LOST)],
        ["won", "drawn", "lost"],
        loc="outside upper center",
        ncols=3,
    )


def _draw_games(axes: Axes, place: int, row: LengthRow) -> None:
    left = 0
    for count, style in ((row["wins"], WON), (row["draws"], LEVEL), (row["losses"], LOST)):
        if count:
            axes.barh(place, count, left=left, height=0.74, **style)
        left += count


def terminations_picture(summary: Summary) -> Picture | None:
    """Games by how they ended; None without games."""
    ends = {end: games for end, games in summary["terminations"].items() if games}
    if not ends:
        return None
    return Picture(
        name="terminations",
        title="How the games ended",
        caption=f"{counted(summary['games'], 'game')} by what ended them.",
        header=["end", "games", "share"],
        rows=[
            [end, f"{games:,}", percent(games / summary["games"])] for end, games in ends.items()
        ],
        draw=lambda figure: _draw_terminations(figure, ends),
        size=(5.2, 0.4 + 0.3 * len(ends)),
    )


def _draw_terminations(figure: Figure, ends: dict[str, int]) -> None:
    axes = figure.subplots()
    axes.barh(range(len(ends)), list(ends.values()), height=0.7, facecolor=MUTED)
    for row, games in enumerate(ends.values()):
        axes.annotate(
            f"{games:,}", (games, row), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(ends)), list(ends))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(ends) - 0.5, -0.5)
    axes.set_xlim(0, 1.12 * max(ends.values()))
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.axvline(0, color=MUTED, lw=0.8)
