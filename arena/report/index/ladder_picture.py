"""The picture of a ladder: joint ratings against time, and its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from arena.report.block import percent
from arena.report.index.ladder import Ladder, Rung
from arena.report.index.phrases import bounds, day, short, signed
from swa.picture import BASELINE, CANDIDATE, INK, Picture, write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_FILE = "index-ladder-{number}.png"

LABEL_WIDTH = 0.16
"""Share of the picture's width that a net's name takes, so that names do not hide each other."""

RUNG_HEADER = ("date", "net", "Elo", "95 %", "over", "step", "95 %", "LOS", "pairs")


def rung_cells(rung: Rung) -> list[str]:
    """Return a row of a ladder's table as plain text."""
    pairs = "" if rung["pairs"] is None else f"{rung['pairs']:,}"
    return [
        day(rung["date"]),
        rung["net"],
        signed(rung["elo"]),
        bounds(rung["elo_ci"]),
        rung["over"] or "",
        "" if rung["step"] is None else signed(rung["step"]),
        bounds(rung["step_ci"]),
        "" if rung["los"] is None else percent(rung["los"]),
        pairs,
    ]


def pictured(ladders: Sequence[Ladder]) -> Iterator[tuple[int, Picture]]:
    """Yield the number of a ladder, from 1, and its picture: of the first, and of real series."""
    for number, ladder in enumerate(ladders, start=1):
        rungs = ladder["rungs"]
        dated = all(rung["date"] and rung["elo"] is not None for rung in rungs)
        if dated and (number == 1 or len(rungs) > 2):
            yield number, ladder_picture(ladder, number)


def ladder_picture(ladder: Ladder, number: int) -> Picture:
    """Return a ladder's joint ratings against time; all rungs must have a date and a rating."""
    rungs = ladder["rungs"]
    first, last = rungs[0]["net"], rungs[-1]["net"]
    return Picture(
        name=f"ladder-{number}",
        title=f"From {first} to {last}",
        caption=f"Joint ratings relative to {ladder['reference']}, with 95 % intervals, against "
        "the time of the promotion; grey squares were not promoted, but had to be beaten.",
        header=RUNG_HEADER,
        rows=[rung_cells(rung) for rung in rungs],
        draw=lambda figure: _draw_ladder(figure, ladder),
        size=(7.0, 3.4),
    )


def _draw_ladder(figure: Figure, ladder: Ladder) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    axes = figure.subplots()
    rungs = ladder["rungs"]
    moments = [datetime.fromisoformat(rung["date"] or "") for rung in rungs]
    times: list[float] = [date2num(moment) for moment in moments]  # type: ignore[no-untyped-call]
    elo = [rung["elo"] or 0.0 for rung in rungs]
    axes.grid(axis="y")
    axes.axhline(0.0, color=BASELINE, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(times, elo, color=CANDIDATE, linewidth=1.2, alpha=0.45, drawstyle="steps-post")
    for rung, time, height in zip(rungs, times, elo, strict=True):
        colour = BASELINE if rung["over"] is None else CANDIDATE
        if rung["elo_ci"] is not None:
            low, high = rung["elo_ci"]
            axes.plot([time, time], [low, high], color=colour, linewidth=1.6, zorder=2.5)
        marker = "s" if rung["over"] is None else "o"
        axes.plot([time], [height], marker=marker, color=colour, markersize=6, zorder=3)
    for number in _labelled(times):
        axes.annotate(
            short(rungs[number]["net"]),
            (times[number], elo[number]),
            xytext=(6, -14),  # below the line, which goes up
            textcoords="offset points",
            fontsize=10,
            color=INK,
        )
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.margins(x=0.12, y=0.12)
    axes.set_ylabel("Elo")


def _labelled(times: Sequence[float]) -> list[int]:
    """Return the rungs that are named: the last, and before it those that leave room for names."""
    room = LABEL_WIDTH * (times[-1] - times[0])
    named = [len(times) - 1]
    for number in range(len(times) - 2, -1, -1):
        if times[named[-1]] - times[number] > room:
            named.append(number)
    return named


def write_pictures(root: Path, ladders: Sequence[Ladder]) -> dict[int, str]:
    """Write the ladders' PNGs for index.md and remove those of earlier ones; return their names.

    Raises OSError where they cannot be written.
    """
    written = {}
    for number, picture in pictured(ladders):
        written[number] = PICTURE_FILE.format(number=number)
        write_png(root / written[number], picture)
    for left in root.glob(PICTURE_FILE.format(number="*")):
        if left.name not in written.values():
            left.unlink()
    return written
