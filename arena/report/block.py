"""The block of figures that users of fastchess know, paste into chats and parse with scripts.

Its lines and their order are fastchess's and stay so; what arena adds follows after ``LLR``. All
of it is the candidate's, relative to the baseline, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arena.stats.elo import EloEstimate, likelihood_of_superiority, logistic_elo, normalized_elo
from arena.stats.pentanomial import Outcomes, PairCounts
from arena.stats.sprt import Sprt

RULE = "-" * 50

NOT_YET = "n/a (needs at least 2 different pair results)"
NOT_YET_OF_GAMES = "n/a (needs at least 2 different game results)"
"""Instead of an interval of zero or infinite width."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Whose result it is, and under which conditions it came about."""

    candidate: str
    baseline: str
    conditions: str  # "100 visits, float32, book.pgn.zip"


def results_block(
    heading: Heading,
    counts: PairCounts,
    sprt: Sprt | None,
    llr: float | None,
    remarks: Sequence[str] = (),
) -> list[str]:
    """Return the block's lines, rules included; ``remarks`` follow the point of view."""
    return [
        RULE,
        f"Results of {heading.candidate} vs {heading.baseline} ({heading.conditions}):",
        *figures(counts),
        *([llr_line(sprt, llr or 0.0)] if sprt is not None else []),
        f"Elo of {heading.candidate} relative to {heading.baseline}.",
        *remarks,
        RULE,
    ]


def figures(counts: PairCounts) -> list[str]:
    """Return fastchess's four lines on the counts, from ``Elo`` to ``Ptnml``."""
    elo, nelo = logistic_elo(counts), normalized_elo(counts)
    los = likelihood_of_superiority(counts)
    shares = [
        f"LOS: {percent(los)}",
        f"DrawRatio: {percent(counts.draw_ratio)}",
        f"PairsRatio: {number(counts.pairs_ratio)}",
    ]
    return [
        f"Elo: {estimate(elo, counts)}, nElo: {estimate(nelo, counts)}",
        ", ".join(shares),
        f"Games: {counts.games}, Wins: {counts.wins}, Losses: {counts.losses}, "
        f"Draws: {counts.draws}, Points: {counts.points:.1f} ({percent(counts.score)})",
        f"Ptnml(0-2): {list(counts.pentanomial)}, WL/DD Ratio: {number(counts.wl_dd_ratio)}",
    ]


def llr_line(sprt: Sprt, llr: float) -> str:
    """``LLR: 2.48 (84.2%) (-2.94, 2.94) [0.00, 10.00]``: value, share of its bound, bounds, Elo.

    The share is of the bound on the LLR's own side, negative towards the lower one, as fastchess
    has it.
    """
    lower, upper = sprt.bounds
    return (
        f"LLR: {plain(llr)} ({plain(100 * sprt.progress(llr), 1)}%) ({lower:.2f}, {upper:.2f}) "
        f"[{plain(sprt.elo0)}, {plain(sprt.elo1)}]"
    )


def estimate(elo: EloEstimate, counts: Outcomes) -> str:
    """``9.76 +/- 7.65``, or why there is no such number yet."""
    if elo.elo is None or sum(count > 0 for count in counts.counts) < 2:
        return NOT_YET if counts.games_each == 2 else NOT_YET_OF_GAMES
    margin = "n/a (too few pairs)" if elo.margin is None else plain(elo.margin)
    return f"{plain(elo.elo)} +/- {margin}"


def counted(number: int, noun: str) -> str:
    """Return ``1 pair`` or ``1,234 pairs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plain(value: float, digits: int = 2) -> str:
    """Round to fixed digits, and never to ``-0.00``."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def number(value: float | None) -> str:
    """Two digits, or ``n/a``."""
    return "n/a" if value is None else plain(value)


def percent(share: float | None) -> str:
    """``51.40 %`` of a share in [0, 1], or ``n/a``."""
    return "n/a" if share is None else f"{100 * share:.2f} %"
