"""What a reader of a match's figures should know: what applies to it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from arena.report.adjudication import adjudication_caveats
from arena.report.block import counted
from arena.report.conditions import numbers_text, parts_text
from arena.report.run import Run
from arena.report.schema import Summary

FEW_PAIRS = 100
"""Below this many, intervals by the normal law are rough, and a new pair may move them far."""

SUSPICIOUS = 0.001
"""p-value below which sessions of a match are said to differ: fishtest's for workers."""


def caveats(run: Run, summary: Summary) -> Iterator[str]:
    """Say what a reader of these figures should know, of this match; a sentence or two each.

    Backticks enclose what one types (``content.with_code``): the words are ours, and nothing from
    outside is among them.
    """
    yield from _of_the_end(summary)
    yield from _of_the_pairs(summary)
    yield from _of_the_games(run, summary)
    yield (
        "The figures hold for these conditions; at other visits or from other openings the same "
        "nets may differ by another amount."
    )


def _of_the_end(summary: Summary) -> Iterator[str]:
    """Why there are no more pairs, or not yet."""
    if summary["doubts"]:
        yield (
            "There were more faults than can be passed over: no verdict is given, and nothing "
            "should be decided by these figures."
        )
    if summary["state"] == "unfinished":
        decides = "it ends when all pairs are played"
        if summary["sprt"] is not None:
            decides = "only the test may decide it, at its bounds"
        yield (
            f"The match is not finished ({summary['pairs']:,} of {summary['pairs_limit']:,} pairs "
            f"at most): nothing is decided, and {decides}."
        )
    if summary["state"] == "decided":
        yield (
            "The test stopped the match when the figures were favourable to its verdict, so the "
            "fixed-length Elo overstates the difference on average; the stopping-aware one allows "
            "for it."
        )
    if summary["state"] == "limit" and summary["sprt"] is not None:
        yield (
            "The limit of pairs was reached between the bounds: the verdict is undecided. `arena "
            "plan --pairs` tells how often a limit ends like this. With a higher `--pairs` the "
            "same test goes on."
        )
    yield from _of_the_limit(summary)
    if summary["parts"] and summary["state"] == "unfinished":
        yield (
            f"Here are pairs of {parts_text(summary)} of the match. A pair counts when all before "
            "it are there: `arena merge` puts the parts together."
        )


def _of_the_pairs(summary: Summary) -> Iterator[str]:
    """What is odd about the pairs that count, and about those that do not."""
    pairs = summary["pairs"]
    if 0 < pairs < FEW_PAIRS:
        few = f"{counted(pairs, 'pair')} {'is' if pairs == 1 else 'are'} few"
        yield f"{few}: intervals and LOS assume a normal law that needs more."
    if summary["pairs_repeated"]:
        yield (
            f"{counted(summary['repeated_games'], 'game')} repeated an earlier pair's move for "
            f"move: {counted(summary['pairs_repeated'], 'pair')} with such a game "
            f"{'is' if summary['pairs_repeated'] == 1 else 'are'} not counted, which leaves "
            f"{counted(pairs, 'effective pair')}. A longer book, or one whose openings do not lead "
            "into each other, avoids it."
        )
    parts = summary["homogeneity"]
    if parts is not None and parts["p_value"] < SUSPICIOUS:
        yield (
            f"The {len(parts['parts'])} sessions do not agree (chi-squared {parts['chi2']:.1f} on "
            f"{parts['degrees']} degrees of freedom, p = {parts['p_value']:.2g}): look for another "
            "processor, evaluator or version in one of them before you rely on the figures."
        )
    if summary["mirrored_pairs"]:
        yield (
            f"In {counted(summary['mirrored_pairs'], 'pair')} the nets played the same moves with "
            "either colour: they agree on these openings, and such pairs are level."
        )
    if summary["openings"]["distinct"] < summary["openings"]["used"]:
        yield (
            f"Only {summary['openings']['distinct']:,} different openings served "
            f"{counted(summary['openings']['used'], 'pair')}."
        )
    if summary["pairs_beyond"]:
        yield (
            f"Not counted: {counted(summary['pairs_beyond'], 'finished pair')}, issued after the "
            "pair that decided or behind one that is not finished."
        )


def _of_the_games(run: Run, summary: Summary) -> Iterator[str]:
    """How they were played and ended."""
    yield from adjudication_caveats(summary["adjudication"])
    if run.opinions.caveat:
        yield run.opinions.caveat
    if len({frozenset(session.versions.items()) for session in run.sessions}) > 1:
        yield (
            "Sessions of this match had different versions of Python or of its libraries: the "
            "conditions name those of the last, `sessions.jsonl` has all."
        )
    if run.identity.dtype != "float32":
        yield (
            f"Computed in {run.identity.dtype}: a replay may choose otherwise between moves that "
            "are nearly equal."
        )
    if any(player.limits.timed for player in run.identity.nets):
        yield (
            "Players had clocks: their moves depend on how fast the machine was and on what else "
            "it did, and the same match played again has other games."
        )


def _of_the_limit(summary: Summary) -> Iterator[str]:
    if not summary["earlier_limits"]:
        return
    tested = summary["sprt"] is not None
    yield (
        f"The limit of pairs was raised from {numbers_text(summary['earlier_limits'])} to "
        f"{summary['pairs_limit']:,}, maybe because of what was seen. "
        + (
            "The test and its bounds are as they were, and so are its error rates; i"
            if tested
            else "I"
        )
        + "ntervals of a match whose length was fixed beforehand do not hold."
    )
