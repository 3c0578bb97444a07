"""The picture of how fast a match was played, session by session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arena.report.block import percent
from arena.report.characters import printable
from arena.report.pictures.axes import heading
from arena.report.pictures.words import some
from arena.report.schema import SessionSpeed, Summary
from swa.picture import INK, LINE, MUTED, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SESSIONS = 12


def pace_picture(summary: Summary) -> Picture | None:
    """Speed, fill of batches and hits of the cache by session; None where no session ended."""
    sessions = some(summary["curves"]["sessions"], SHOWN_SESSIONS)
    if not sessions:
        return None
    of_all = len(summary["curves"]["sessions"])
    return Picture(
        name="pace",
        title="Throughput",
        caption=(
            "Pairs a minute, evaluations a second, how full batches were and how many evaluations "
            "the cache had at hand, by session"
            + (f"; {len(sessions)} of {of_all:,}." if of_all > len(sessions) else ".")
        ),
        header=["begun", "pairs", "minutes", "pairs/min", "evaluations/s", "batch full", "cached"],
        rows=[
            [
                _begun(session),
                f"{session['pairs']:,}",
                f"{session['seconds'] / 60:,.1f}",
                _rate(session["pairs_per_minute"], 1),
                _rate(session["evaluations_per_second"], 0),
                percent(session["batch_fill"]),
                percent(session["cache_hit_share"]),
            ]
            for session in sessions
        ],
        draw=lambda figure: _draw_pace(figure, sessions),
        size=(5.2, 0.8 + 0.3 * len(sessions)),
    )


def _begun(session: SessionSpeed) -> str:
    return printable(session["started"])[:16].replace("T", " ")


def _rate(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:,.{digits}f}"


def _draw_pace(figure: Figure, sessions: list[SessionSpeed]) -> None:
    panels = figure.subplots(1, 4, sharey=True)
    for axes, words, key in zip(
        panels,
        ("pairs/min", "evals/s", "batch full", "cached"),
        ("pairs_per_minute", "evaluations_per_second", "batch_fill", "cache_hit_share"),
        strict=True,
    ):
        heading(axes, words)
        values = [session[key] for session in sessions]  # type: ignore[literal-required]
        share = key in ("batch_fill", "cache_hit_share")
        if share:
            axes.barh(
                range(len(values)), [1] * len(values), height=0.7, facecolor="none", edgecolor=LINE
            )
        axes.barh(range(len(values)), [value or 0 for value in values], height=0.7, facecolor=MUTED)
        for row, value in enumerate(values):
            text = f"{100 * value:.0f} %" if share and value is not None else _rate(value, 0)
            axes.annotate(
                text, (value or 0, row), xytext=(3, 0), textcoords="offset points", va="center"
            )
        largest = 1.0 if share else max((value or 0 for value in values), default=0) or 1.0
        axes.set_xlim(0, 1.6 * largest)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.axvline(0, color=MUTED, lw=0.8)
    panels[0].set_ylim(len(sessions) - 0.5, -0.5)
    panels[0].set_yticks(range(len(sessions)), [_begun(session)[5:] for session in sessions])
    panels[0].tick_params(axis="y", labelcolor=INK)
