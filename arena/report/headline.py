"""The one Elo that a match is worth, with an interval that allows for how the match ended.

Three situations, three kinds of interval. While a match runs, people look at it again and again:
only a confidence sequence holds at all of these moments at once. When a sequential test was asked
for, the match ended when the figures were favourable to an end: the estimate must know the bounds.
Only a match whose length was fixed beforehand has the interval that other programs print always;
one whose limit was raised is none, as somebody looked and went on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from arena.judgement import Judgement
from arena.report.block import number, plain
from arena.stats.confidence import confidence_sequence
from arena.stats.elo import EloEstimate, likelihood_of_superiority, logistic_elo, normalized_elo
from arena.stats.sprt import Method
from arena.stats.stopping import stopping_aware

CONFIDENCE = 0.95


class Kind(StrEnum):
    """What an interval allows for."""

    ANYTIME = "anytime"
    STOPPING_AWARE = "stopping-aware"
    FIXED_LENGTH = "fixed-length"


@dataclass(frozen=True, slots=True)
class Headline:
    """Logistic Elo with its 95 % interval; the other two where the kind has them."""

    kind: Kind
    elo: EloEstimate
    nelo: EloEstimate | None = None
    los: float | None = None


def headline(judgement: Judgement) -> Headline | None:
    """Return what may be said of the counted pairs; None before the first.

    Where all results are alike, the confidence sequence alone has an interval, whatever ended the
    match.
    """
    counts, sprt = judgement.counts, judgement.sprt
    if not counts.pairs:
        return None
    alike = sum(count > 0 for count in counts.counts) < 2
    at_raised_limit = judgement.raised and judgement.decided_at is None
    if alike or not judgement.settled or at_raised_limit:
        return Headline(Kind.ANYTIME, anytime(judgement))
    if sprt is None:
        los = likelihood_of_superiority(counts)
        return Headline(Kind.FIXED_LENGTH, logistic_elo(counts), normalized_elo(counts), los)
    aware = stopping_aware(counts, sprt, confidence=CONFIDENCE)
    if aware is None:
        return None
    return Headline(Kind.STOPPING_AWARE, aware.elo, aware.nelo, aware.los)


def anytime(judgement: Judgement) -> EloEstimate:
    """Return Elo with the interval that holds at every moment of a match at once."""
    return confidence_sequence(judgement.counts, confidence=CONFIDENCE).elo


WORDS = {
    Kind.ANYTIME: "valid at every moment of the match",
    Kind.STOPPING_AWARE: "allowing for the test's stop",
    Kind.FIXED_LENGTH: "of a match of fixed length",
}


def headline_lines(judgement: Judgement) -> list[str]:
    """Say the headline in the block's style, and what the fixed-length figures above it are."""
    lines = _evidence(judgement)
    found = headline(judgement)
    if found is None or found.kind is Kind.FIXED_LENGTH:
        return lines
    lines.append(f"Elo {interval(found.elo)} (95 %, {WORDS[found.kind]}).")
    if not judgement.has_fixed_length:
        yet = "" if judgement.settled else " yet"
        lines.append(
            f"Elo, nElo and LOS above describe a match of fixed length, which this is not{yet}."
        )
    return lines


def interval(elo: EloEstimate) -> str:
    """``9.76 [2.12, 17.40]``; an end past a score of 0 or 1 is ``n/a``."""
    return f"{number(elo.elo)} [{number(elo.low)}, {number(elo.high)}]"


def _evidence(judgement: Judgement) -> list[str]:
    """Say what decides where it is not the LLR as it stands."""
    progress = judgement.progress
    if progress is None or progress.llr is None:
        return []
    sprt = progress.sprt
    if sprt.method is Method.OVERSHOOT:
        lower, upper = progress.bounds
        return [f"Bounds corrected for overshoot: ({lower:.2f}, {upper:.2f})."]
    if progress.betting is not None:
        promote, keep = progress.betting.thresholds
        return [
            f"Certified: {plain(progress.betting.against_elo0)} of {promote:.2f} against "
            f"{plain(sprt.elo0)}, {plain(progress.betting.against_elo1)} of {keep:.2f} against "
            f"{plain(sprt.elo1)} {sprt.model} Elo; these decide, not the LLR."
        ]
    return []
