"""What a test by its purpose (``--preset``) means and does, said before its first game."""

from __future__ import annotations

from collections.abc import Iterator

from arena.report.block import counted, percent, plain
from arena.report.verdict import sprt_name
from arena.stats.outcomes import BayesElo
from arena.stats.plan import operating_characteristic
from arena.stats.presets import Preset, meaning
from arena.stats.sprt import Method, Sprt

ASSUMED_DRAWS = 0.5
"""Draw rate of single games, of which nothing is known yet; ``arena plan`` takes any."""

HARDLY_DECIDES = 0.5
"""Chance of UNDECIDED from which on a limit is said to be short."""


def purpose_lines(preset: str, width: float, sprt: Sprt, limit: int) -> Iterator[str]:
    """Yield the meaning of the verdicts, then chances and length at three true strengths.

    ``width``: of the preset, in Elo of ``sprt.model``. ``limit``: pairs.
    """
    plain_test = "" if sprt.method is Method.GSPRT else ", by the plain SPRT"
    yield f"{preset}, {sprt_name(sprt)}: {meaning(Preset(preset), width)}"
    yield (
        f"With {100 * ASSUMED_DRAWS:.0f} % draws, at most {counted(limit, 'pair')}{plain_test} "
        "(arena plan tells more):"
    )
    middle = (sprt.elo0 + sprt.elo1) / 2.0
    rows = operating_characteristic(sprt, BayesElo(ASSUMED_DRAWS), limit)
    for elo, row in zip((sprt.elo0, middle, sprt.elo1), rows, strict=True):
        yield (
            f"  truly {plain(elo, 1)}: promote {percent(row.promote)}, keep {percent(row.keep)}, "
            f"undecided {percent(row.undecided)}, {row.pairs:,.0f} pairs on average"
        )
    if min(row.undecided for row in rows) > HARDLY_DECIDES:
        yield "  So few pairs will hardly decide: allow more (--pairs) or bounds farther apart."
