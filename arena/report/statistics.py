"""A report's section on the statistics: what may be acted on, and what only describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arena.report.block import number, percent
from arena.report.content import Paragraph, Part, Section, Strong, Table, Text
from arena.report.headline import WORDS, Kind
from arena.report.schema import Summary

HEADER = ("figure", "value", "95 % interval")
NUMBERS = frozenset({1, 2})

TO_ACT_ON = "What may be acted on"
DESCRIBES = "What only describes this match"


def statistics_section(summary: Summary, candidate: str, baseline: str) -> Section:
    """Lay out all figures in two tables, and the candidate's games by colour."""
    valid, others = list(_valid(summary)), list(_others(summary))
    if summary["doubts"]:  # no verdict is given, so there is nothing to act on
        valid, others = [], valid + others
    by_colour = Table(
        ["with", "games", "wins", "draws", "losses", "score"],
        list(_by_colour(summary)),
        frozenset(range(1, 6)),
        "By colour",
    )
    parts: list[Part] = [
        Paragraph(f"All of {candidate}, relative to {baseline}."),
        Table(HEADER, valid, NUMBERS, TO_ACT_ON),
        Table(HEADER, others, NUMBERS, DESCRIBES),
        Paragraph(_interval_note(summary)),
        by_colour,
    ]
    return Section("statistics", "Statistics", parts)


def _valid(summary: Summary) -> Iterator[Sequence[Text]]:
    """Yield the rows that hold however the match ended: evidence of the test, and the Elo."""
    yield from _deciding(summary)
    found, anytime = summary["headline"], summary["anytime"]
    if found is not None and found["kind"] != Kind.FIXED_LENGTH:
        words = WORDS[Kind(found["kind"])]
        name = (Strong(f"Elo, {words}"),)
        yield [name, number(found["elo"]), _interval(found["elo_ci"])]
        if found["nelo"] is not None:
            yield [f"normalized Elo, {words}", number(found["nelo"]), _interval(found["nelo_ci"])]
            yield [f"likelihood of superiority, {words}", percent(found["los"]), ""]
    if not _only_describe(summary):
        yield from _of_fixed_length(summary, "")
    if anytime is not None and (found is None or found["kind"] != Kind.ANYTIME):
        words = WORDS[Kind.ANYTIME]
        yield [f"Elo, {words}", number(summary["elo"]), _interval(anytime["elo_ci"])]


def _others(summary: Summary) -> Iterator[Sequence[Text]]:
    if _only_describe(summary):
        yield from _of_fixed_length(summary, ", as of a match of fixed length")
    yield ["score", percent(summary["score"]), ""]
    yield ["pairs lost to won [LL, LD, WL+DD, WD, WW]", str(summary["pentanomial"]), ""]
    yield ["level pairs (DrawRatio)", percent(summary["draw_ratio"]), ""]
    yield ["pairs won per pair lost", number(summary["pairs_ratio"]), ""]
    yield ["won-lost per drawn-drawn pair", number(summary["wl_dd_ratio"]), ""]
    yield ["openings' bias, root mean square", f"{number(summary['opening_bias'])} Elo", ""]
    if summary["sprt"] is not None:
        for model, figures in sorted(summary["models"].items(), reverse=True):
            if model != summary["sprt"]["model"] or summary["certified"] is not None:
                yield [f"LLR ({model} Elo)", number(figures["llr"]), ""]
    if (parts := summary["homogeneity"]) is not None:
        words = f"chi-squared {parts['chi2']:.1f} on {parts['degrees']} degrees of freedom"
        yield [f"agreement of {len(parts['parts'])} sessions", f"p = {parts['p_value']:.2g}", words]


def _deciding(summary: Summary) -> Iterator[Sequence[Text]]:
    """Yield what the test decides by: its LLR, or the evidence that a certified one has."""
    sprt, certified = summary["sprt"], summary["certified"]
    if certified is not None:
        for end, at in (("elo0", "promote_at"), ("elo1", "keep_at")):
            evidence = number(certified[f"against_{end}"])  # type: ignore[literal-required]
            bound = f"decides at {certified[at]:.2f}"  # type: ignore[literal-required]
            yield [f"certified evidence against {end}, in nats", evidence, bound]
    elif sprt is not None and summary["llr_bounds"] is not None:
        lower, upper = summary["llr_bounds"]
        llr = number(summary["models"][sprt["model"]]["llr"])
        yield [f"LLR ({sprt['model']} Elo, decides)", llr, f"bounds {lower:.2f}, {upper:.2f}"]


def _of_fixed_length(summary: Summary, words: str) -> Iterator[Sequence[Text]]:
    yield [f"Elo (logistic){words}", number(summary["elo"]), _interval(summary["elo_ci"])]
    yield [f"normalized Elo{words}", number(summary["nelo"]), _interval(summary["nelo_ci"])]
    yield [f"likelihood of superiority{words}", percent(summary["los"]), ""]


def _only_describe(summary: Summary) -> bool:
    """Whether figures of a match of fixed length only describe: it has a test, or misses pairs."""
    return (
        summary["sprt"] is not None
        or summary["state"] == "unfinished"
        or bool(summary["earlier_limits"])
    )


def _interval(ends: Sequence[float | None] | None) -> str:
    return "n/a" if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _interval_note(summary: Summary) -> str:
    if not _only_describe(summary):
        return ""
    if summary["sprt"] is None and summary["earlier_limits"]:
        return (
            "The limit of pairs was raised, so this is no match of fixed length: what holds is "
            "what is valid at every moment."
        )
    if summary["sprt"] is None:
        return "Intervals and LOS of a match of fixed length hold once all of its pairs are played."
    ground = "No verdict is given" if summary["doubts"] else "The verdict rests on the test alone"
    return (
        f'{ground}. What is marked "as of a match of fixed length" is '
        "what other programs print: it describes this match, and nothing should be decided by it."
    )


def _by_colour(summary: Summary) -> Iterator[Sequence[Text]]:
    for colour, games in summary["by_colour"].items():
        counts = (games["games"], games["wins"], games["draws"], games["losses"])
        yield [colour, *(f"{count:,}" for count in counts), percent(games["score"])]
