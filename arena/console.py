"""What a terminal shows while a match runs and when it ends; nothing else prints during a match.

Progress goes to stderr and results to stdout, so that a result can be piped. A terminal gets a view
that is redrawn in place; anything else (a file, a pipe, ``TERM=dumb``) gets a whole block now and
then, each line flushed, which is what logs can use.

A view that changes with every pair tempts people to stop a match by eye. So while a match runs, a
line says which figure decides, and nothing else is coloured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from arena.match import MatchOutcome, MatchState
from arena.report.block import Heading, results_block
from arena.report.headline import headline_lines
from arena.sessions import Pace

COMPILING = "Compiling kernels once, up to a minute; later matches start at once ..."

STILL_PLAYING = "Still playing: only the test at its bound decides."
STILL_PLAYING_FIXED = "Still playing: LOS and +/- hold once all pairs of the match are played."

REDRAWS_PER_SECOND = 2

PaceSource = Callable[[], Pace]
"""What was done since the match began, asked whenever the view is drawn."""


class Progress(Protocol):
    """A ``MatchObserver`` that owns the terminal as long as its context is open."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def started(self, state: MatchState) -> None:
        """Show what was found in the run folder."""

    def pair_counted(self, state: MatchState) -> None:
        """Show one more pair."""

    def finished(self, outcome: MatchOutcome) -> None:
        """Take note that no more pairs come."""


def progress(
    heading: Heading, pace: PaceSource, *, report_every: int, quiet: bool, stream: TextIO
) -> Progress:
    """Choose the view for ``stream``: in place, in blocks of ``report_every`` pairs, or none."""
    if quiet:
        return SilentProgress()
    if is_live_terminal(stream):
        return LiveProgress(heading, pace, stream)
    return BlockProgress(heading, pace, report_every, stream)


def is_live_terminal(stream: TextIO) -> bool:
    """Whether text may be redrawn in place; rich would also do so where colour is forced."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


class SilentProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        pass

    def started(self, state: MatchState) -> None:
        """See ``Progress``."""

    def pair_counted(self, state: MatchState) -> None:
        """See ``Progress``."""

    def finished(self, outcome: MatchOutcome) -> None:
        """See ``Progress``."""


class BlockProgress(SilentProgress):
    """One block for each ``report_every`` counted pairs, for logs."""

    def __init__(self, heading: Heading, pace: PaceSource, report_every: int, stream: TextIO):
        self._heading = heading
        self._pace = pace
        self._report_every = report_every
        self._stream = stream

    def started(self, state: MatchState) -> None:
        """Say where a resumed match stands."""
        if state.resumed:
            write_lines([resumed_line(state)], self._stream)

    def pair_counted(self, state: MatchState) -> None:
        """Print the block where its time has come."""
        if state.progress % self._report_every == 0:
            write_lines(running_block(self._heading, state, self._pace()), self._stream)


class LiveProgress(SilentProgress):
    """The block, redrawn in place, gone when the match is over."""

    def __init__(self, heading: Heading, pace: PaceSource, stream: TextIO):
        self._heading = heading
        self._pace = pace
        self._state: MatchState | None = None
        self._live = Live(
            console=Console(file=stream, highlight=False),
            get_renderable=self._view,
            refresh_per_second=REDRAWS_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._live.stop()

    def started(self, state: MatchState) -> None:
        """Show the first view."""
        self._state = state
        if state.resumed:
            self._live.console.print(Text(resumed_line(state)))

    def pair_counted(self, state: MatchState) -> None:
        """Show this at the next redraw."""
        self._state = state

    def _view(self) -> Text:
        if self._state is None:
            return Text("Starting ...")
        view = Text(no_wrap=True, overflow="ellipsis")
        for line in running_block(self._heading, self._state, self._pace()):
            style = "bold" if line.startswith("LLR:") else "dim" if line[:5] == "Still" else ""
            view.append(line + "\n", style)
        return view


def running_block(heading: Heading, state: MatchState, pace: Pace) -> list[str]:
    """Return the block of a match that is being played."""
    judgement = state.judgement
    if state.part is not None:
        return [*part_lines(heading, state), pace_line(state, pace)]
    caution = STILL_PLAYING if judgement.sprt is not None else STILL_PLAYING_FIXED
    remarks = [pace_line(state, pace), *headline_lines(judgement)]
    if not judgement.settled:
        remarks.append(caution)
    return results_block(heading, judgement.counts, judgement.sprt, judgement.llr, remarks)


def part_lines(heading: Heading, state: MatchState) -> list[str]:
    """Say how far a part of a match is; what its pairs say is to be said of all parts together."""
    return [
        f"Part {state.part} of {heading.candidate} vs {heading.baseline} ({heading.conditions}):",
        f"Pairs: {state.finished:,} finished, {state.left:,} to play; arena merge judges them with "
        "those of the other parts.",
    ]


def resumed_line(state: MatchState) -> str:
    """Say how much of the match was there already."""
    return f"Resumed: {state.resumed:,} finished pairs were found and are kept."


def pace_line(state: MatchState, pace: Pace) -> str:
    """Return speed and time left, as far as they are known."""
    minutes = state.seconds / 60.0
    played = state.finished - state.resumed
    started = played > 0 and minutes > 0.0
    rate = played / minutes if started else 0.0
    parts = [f"{rate:.1f} pairs/min" if started else "no pair finished yet"]
    if pace.evaluations_per_second is not None:
        parts.append(f"{short_number(pace.evaluations_per_second)} evals/s")
    if pace.batch_fill is not None:
        parts.append(f"batch {100 * pace.batch_fill:.0f}% full")
    if pace.cache_hit_share is not None:
        parts.append(f"cache {100 * pace.cache_hit_share:.0f}% hits")
    if state.void:
        parts.append(f"{state.void:,} void")
    if started and state.left:
        parts.append(f"ETA {duration(60.0 * state.left / rate)}{_decision(state)}")
    return f"Pace: {', '.join(parts)}"


def _decision(state: MatchState) -> str:
    """How long the test is expected to take if the results so far are the truth."""
    sprt, llr = state.judgement.sprt, state.judgement.llr
    moments = state.judgement.counts.moments()
    if sprt is None or llr is None or moments is None:
        return ""
    forecast = sprt.forecast(moments, llr)
    if forecast is None or state.judgement.seen + forecast.pairs > state.judgement.limit:
        return ""
    return f" (or ~{max(1, round(forecast.pairs)):,} pairs to a decision)"


def short_number(value: float) -> str:
    """``412k`` or ``1.2M``: three digits are all that a speed can be relied on."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            scaled = value / unit
            return f"{scaled:.0f}{name}" if scaled >= 100 else f"{scaled:.1f}{name}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """``14:20``, ``3:05:00``, or ``4 d 03:00`` past a day."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02}:{minute:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def write_lines(lines: Sequence[str], stream: TextIO | None = None) -> None:
    """Write lines to stdout or another stream, each flushed, so that a log never ends within one.

    A reader that has gone (``arena run | head``) ends the writing, not the match.
    """
    stream = sys.stdout if stream is None else stream
    try:
        for line in lines:
            stream.write(line + "\n")
            stream.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
