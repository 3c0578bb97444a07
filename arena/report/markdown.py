"""report.md: what one shows a colleague or pastes into a pull request.

The verdict in one sentence first, then the block to copy, then everything that lets a reader doubt
it: the nets by hash, the conditions, the statistics, how games ended, and the caveats that apply to
this match and no others.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from arena.config import SearchParams
from arena.match_file import MatchIdentity, NetIdentity, PlayerIdentity, TablesIdentity
from arena.report.adjudication import (
    HEADER,
    adjudication_caveats,
    conditions,
    rule_rows,
    saving,
)
from arena.report.block import counted, number, percent, printable, results_block
from arena.report.files import atomic_writer
from arena.report.headline import WORDS, Kind, headline_lines
from arena.report.players import effort
from arena.report.schema import NetSummary, OpeningResult, OpeningsSummary, Summary
from arena.report.summary import Run
from arena.report.verdict import heading_of, sprt_name, verdict_sentence

FEW_PAIRS = 100
"""Below this many, intervals by the normal law are rough, and a new pair may move them far."""

SUSPICIOUS = 0.001
"""p-value below which sessions of a match are said to differ: fishtest's for workers."""

SHOWN_HASH = 16
"""Digits of a sha256 in a table; summary.json has all 64."""

SPECIAL = re.compile(r"([\\`*_|~#]|\](?=\())")
"""What begins or ends markup; a bracket only does where a link's target follows."""

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
"""HTML, and the sign by which GitHub would notify a stranger."""


def write_markdown(path: Path, run: Run, summary: Summary) -> None:
    """Write report.md whole or not at all. Raises OSError where it cannot be written."""
    with atomic_writer(path) as file:
        file.write(markdown(run, summary))


def markdown(run: Run, summary: Summary) -> str:
    """Return the report of a run, finished or not, as GitHub's Markdown."""
    heading = heading_of(run.identity)
    judgement = run.judgement
    block = results_block(
        heading, judgement.counts, judgement.sprt, judgement.llr, headline_lines(judgement)
    )
    sections = [
        f"# {escape(heading.candidate)} against {escape(heading.baseline)}",
        f"**{escape(verdict_sentence(heading, run.judgement, run.doubts))}**",
        "\n".join(["```text", *block, "```"]),
        "## Nets" if all("engine" not in net for net in summary["nets"]) else "## Players",
        table(["role", "name", "file", "net", "training steps", "sha256"], _nets(summary["nets"])),
        "## Conditions",
        table(["what", "value"], _conditions(run, summary)),
        "## Statistics",
        f"All of {escape(heading.candidate)}, relative to {escape(heading.baseline)}.",
        table(["figure", "value", "95 % interval"], _statistics(summary)),
        _interval_note(summary),
        table(["with", "games", "wins", "draws", "losses", "score"], _by_colour(summary)),
        "## How the games ended",
        table(["end", "games", "share"], _terminations(summary)),
        *_adjudication(summary),
        *_faults(run, summary),
        *_openings(run, summary),
        "## Caveats",
        "\n".join(f"- {caveat}" for caveat in caveats(run, summary)),
        "## Files",
        "[summary.json](summary.json) has every number of this page, [games.pgn](games.pgn) the "
        "games,\n[openings.csv](openings.csv) what came of each opening, [match.toml](match.toml) "
        "what decides\nthe match, [games.jsonl](games.jsonl) the ledger they are all made from.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, HTML or table cell comes of it."""
    text = SPECIAL.sub(r"\\\1", printable(text))
    return "".join(ENTITIES.get(c, c) for c in text)


def table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Lay out a table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def caveats(run: Run, summary: Summary) -> Iterator[str]:
    """Say what a reader of these figures should know, of this match; one sentence each."""
    pairs = summary["pairs"]
    if summary["state"] == "unfinished":
        decides = "it ends when all pairs are played"
        if summary["sprt"] is not None:
            decides = "only the test may decide it, at its bounds"
        yield (
            f"The match is not finished ({pairs:,} of {summary['pairs_limit']:,} pairs at most): "
            f"nothing is decided, and {decides}."
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
            f"Here are pairs of {_parts(summary)} of the match. A pair counts when all before it "
            "are there: `arena merge` puts the parts together."
        )
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
    yield from adjudication_caveats(summary["adjudication"])
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
    yield (
        "The figures hold for these conditions; at other visits or from other openings the same "
        "nets may differ by another amount."
    )


def _of_the_limit(summary: Summary) -> Iterator[str]:
    if not summary["earlier_limits"]:
        return
    tested = summary["sprt"] is not None
    yield (
        f"The limit of pairs was raised from {_numbers(summary['earlier_limits'])} to "
        f"{summary['pairs_limit']:,}, maybe because of what was seen. "
        + (
            "The test and its bounds are as they were, and so are its error rates; i"
            if tested
            else "I"
        )
        + "ntervals of a match whose length was fixed beforehand do not hold."
    )


def _parts(summary: Summary) -> str:
    return f"{'part' if len(summary['parts']) == 1 else 'parts'} {', '.join(summary['parts'])}"


def _adjudication(summary: Summary) -> Iterator[str]:
    found = summary["adjudication"]
    if found is None or not found["rules"]:
        return
    yield "## Adjudication"
    yield table(HEADER, rule_rows(found))
    yield saving(found)


def _nets(nets: Sequence[NetSummary]) -> Iterator[list[str]]:
    for net in nets:
        steps = net["training_steps"]
        yield [
            net["role"],
            escape(net["name"]),
            escape(net["file"] or "-"),
            escape(net["architecture"] or net.get("engine") or "-"),
            "-" if steps is None else f"{steps:,}",
            f"`{net['sha256'][:SHOWN_HASH]}`",
        ]


def _tablebases(tables: TablesIdentity) -> str:
    use = "nets search by them" if tables.search else "nets do not search by them"
    if tables.search and tables.fast_play:
        use += ", and win by the least DTZ"
    return (
        f"Syzygy, up to {tables.pieces} pieces, {tables.files:,} files (sha256 of their names and "
        f"sizes `{tables.sha256[:SHOWN_HASH]}`); {use}"
    )


def _conditions(run: Run, summary: Summary) -> Iterator[list[str]]:
    identity, openings = run.identity, summary["openings"]
    if identity.plain:
        yield ["visits a move", str(identity.search.visits)]
        yield ["search", _search(identity.search)]
    else:
        for player in identity.nets:
            yield [escape(player.name), _plays(identity, player)]
    if identity.sprt is not None:
        sprt = identity.sprt
        yield ["test", f"{sprt_name(sprt)}, alpha {sprt.alpha:g}, beta {sprt.beta:g}"]
    limit = f"{identity.pairs:,}{'' if identity.sprt else ', all played'}"
    if identity.earlier_limits:
        limit += f"; raised, from {_numbers(identity.earlier_limits)}"
    yield ["most pairs", limit]
    yield [
        "openings",
        f"{escape(openings['file'])} (sha256 `{openings['sha256'][:SHOWN_HASH]}`), "
        f"{openings['entries']:,} entries in {openings['order']} order, seed {identity.seed}"
        f"{_selection(openings)}; each opening played twice, colours swapped",
    ]
    if identity.tables is not None:
        yield ["tablebases", _tablebases(identity.tables)]
    yield ["adjudication", conditions(identity.adjudication)]
    if identity.adjudication.foretell:
        yield ["played on all the same", f"{percent(identity.adjudication.audit)} of such games"]
    yield ["numbers", identity.dtype]
    if summary["device"] is not None:
        in_flight = f"{summary['parallel']} games in flight"
        yield ["device", f"{escape(summary['device'])}, {in_flight}"]
    if summary["evaluator"] is not None:
        yield ["evaluator", escape(summary["evaluator"])]
    if summary["versions"]:
        versions = (f"{name} {version}" for name, version in summary["versions"].items())
        yield ["versions", escape(", ".join(versions))]
    if summary["date"] is not None:
        parts = summary["sessions"]
        sessions = f", played in {parts} sessions" if parts > 1 else ""
        of_parts = f", {_parts(summary)}" if summary["parts"] else ""
        yield ["begun", summary["date"] + sessions + of_parts]
    yield from _speed(summary)
    if summary["command"] is not None:
        yield ["command", escape(shlex.join(summary["command"]))]


def _numbers(values: Sequence[int]) -> str:
    return ", then ".join(f"{value:,}" for value in values)


def _plays(identity: MatchIdentity, player: PlayerIdentity) -> str:
    """Say how long a player thinks, and how: a net's search, an engine's command and options."""
    words = [effort(identity, player)]
    if player.limits.timemargin:
        words.append(f"timemargin {player.limits.timemargin} ms")
    if isinstance(player, NetIdentity):
        return "; ".join([*words, _search(identity.search_of(player))])
    own = (f"{key} {value}" for key, value in player.settings.items())
    words += (escape(text) for text in own if text.split()[0] not in player.limits.words)
    for file in player.files:
        name, _, sha256 = file.rpartition(" ")
        words.append(f"with {escape(name)} (sha256 `{sha256[:SHOWN_HASH]}`)")
    return "; ".join(words)


def _selection(openings: OpeningsSummary) -> str:
    """Say which of a book's openings are taken, as far as it is not all of them and whole."""
    words = []
    if openings["start"] > 1:
        words.append(f"from number {openings['start']:,} on")
    if openings["plies"] is not None:
        words.append(f"at most {openings['plies']} plies of each")
    if openings["filter"] is not None:
        low, high = openings["filter"]
        words.append(f"only those that the baseline's net values at {low:g} to {high:g} either way")
    if openings["chess960"]:
        words.append(f"{openings['chess960']:,} of those used with castling as in Chess960")
    return "".join(f", {part}" for part in words)


def _openings(run: Run, summary: Summary) -> Iterator[str]:
    """Yield the section on the openings, if anything was played from them."""
    openings = summary["openings"]
    if not summary["pairs"]:
        return
    candidate = escape(summary["nets"][-1]["name"])
    yield "## Openings"
    yield (
        f"{candidate} won both games from {openings['won']:,} of "
        f"{counted(openings['used'], 'opening')} and lost both from {openings['lost']:,}. White "
        f"won both\nfrom {openings['white']:,}, Black from {openings['black']:,}; White's score is "
        f"{percent(openings['white_score'])}. [openings.csv](openings.csv) has each opening's."
    )
    shown = [*openings["best"], *openings["worst"]]
    if shown:
        header = ["opening", "pair", f"points of {candidate}", "points of White"]
        yield table(header, map(_opening, shown))


def _opening(result: OpeningResult) -> list[str]:
    points = f"{result['points']:g} of 2", f"{result['white_points']:g} of 2"
    return [escape(result["opening"]), str(result["pair"]), *points]


def _search(search: SearchParams) -> str:
    """Name the parameters that differ from lc0's; ``visits`` has a row of its own."""
    default = SearchParams()
    changed = [
        f"{parameter.name.replace('_', '-')} {getattr(search, parameter.name)}"
        for parameter in fields(search)
        if parameter.name != "visits"
        and getattr(search, parameter.name) != getattr(default, parameter.name)
    ]
    return f"lc0's defaults{' but for ' if changed else ''}{', '.join(changed)}"


def _speed(summary: Summary) -> Iterator[list[str]]:
    figures = summary["throughput"]
    rate, evaluations = figures["pairs_per_minute"], figures["evaluations_per_second"]
    if rate is not None:
        words = f"{rate:.1f} pairs/min"
        words += f", {evaluations:,.0f} evaluations/s" if evaluations is not None else ""
        yield ["speed", words]


def _statistics(summary: Summary) -> Iterator[list[str]]:
    found, anytime = summary["headline"], summary["anytime"]
    fixed = ", as of a match of fixed length" if _is_no_match_of_fixed_length(summary) else ""
    if found is not None and found["kind"] != Kind.FIXED_LENGTH:
        words = WORDS[Kind(found["kind"])]
        yield [f"**Elo, {words}**", number(found["elo"]), _interval(found["elo_ci"])]
        if found["nelo"] is not None:
            yield [f"normalized Elo, {words}", number(found["nelo"]), _interval(found["nelo_ci"])]
            yield [f"likelihood of superiority, {words}", percent(found["los"]), ""]
    if anytime is not None and (found is None or found["kind"] != Kind.ANYTIME):
        words = WORDS[Kind.ANYTIME]
        yield [f"Elo, {words}", number(summary["elo"]), _interval(anytime["elo_ci"])]
    yield [f"Elo (logistic){fixed}", number(summary["elo"]), _interval(summary["elo_ci"])]
    yield [f"normalized Elo{fixed}", number(summary["nelo"]), _interval(summary["nelo_ci"])]
    yield [f"likelihood of superiority{fixed}", percent(summary["los"]), ""]
    yield ["score", percent(summary["score"]), ""]
    yield ["pairs lost to won [LL, LD, WL+DD, WD, WW]", str(summary["pentanomial"]), ""]
    yield ["level pairs (DrawRatio)", percent(summary["draw_ratio"]), ""]
    yield ["pairs won per pair lost", number(summary["pairs_ratio"]), ""]
    yield ["won-lost per drawn-drawn pair", number(summary["wl_dd_ratio"]), ""]
    yield ["openings' bias, root mean square", f"{number(summary['opening_bias'])} Elo", ""]
    if summary["llr_bounds"] is not None:
        lower, upper = summary["llr_bounds"]
        for model, figures in sorted(summary["models"].items(), reverse=True):
            decides = summary["sprt"] is not None and summary["sprt"]["model"] == model
            llr = number(figures["llr"])
            decides = decides and summary["certified"] is None
            name = f"LLR ({model} Elo{', decides' if decides else ''})"
            yield [name, llr, f"bounds {lower:.2f}, {upper:.2f}" if decides else ""]
    if (certified := summary["certified"]) is not None:
        for end, at in (("elo0", "promote_at"), ("elo1", "keep_at")):
            evidence = number(certified[f"against_{end}"])  # type: ignore[literal-required]
            bound = f"decides at {certified[at]:.2f}"  # type: ignore[literal-required]
            yield [f"certified evidence against {end}, in nats", evidence, bound]
    if (parts := summary["homogeneity"]) is not None:
        words = f"chi-squared {parts['chi2']:.1f} on {parts['degrees']} degrees of freedom"
        yield [f"agreement of {len(parts['parts'])} sessions", f"p = {parts['p_value']:.2g}", words]


def _is_no_match_of_fixed_length(summary: Summary) -> bool:
    """Whether the ordinary figures only describe: a test looks on, or pairs are missing."""
    return (
        summary["sprt"] is not None
        or summary["state"] == "unfinished"
        or bool(summary["earlier_limits"])
    )


def _interval(ends: list[float | None] | None) -> str:
    return "n/a" if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _interval_note(summary: Summary) -> str:
    if not _is_no_match_of_fixed_length(summary):
        return ""
    if summary["sprt"] is None and summary["earlier_limits"]:
        return (
            "The limit of pairs was raised, so this is no match of fixed length: what holds is "
            "what is valid\nat every moment."
        )
    if summary["sprt"] is None:
        return "Intervals and LOS of a match of fixed length hold once all of its pairs are played."
    return (
        'The verdict rests on the test alone. What is marked "as of a match of fixed length" is '
        "what other\nprograms print: it describes this match, and nothing should be decided by it."
    )


def _by_colour(summary: Summary) -> Iterator[list[str]]:
    for colour, games in summary["by_colour"].items():
        counts = (games["games"], games["wins"], games["draws"], games["losses"])
        yield [colour, *(f"{count:,}" for count in counts), percent(games["score"])]


def _faults(run: Run, summary: Summary) -> Iterator[str]:
    """A section on what went wrong, where something did."""
    if not run.faults.any:
        return
    faults = summary["faults"]
    yield "## Faults"
    lost = [
        [escape(player.name), f"lost by a fault: {kind}", f"{count:,}"]
        for player in run.identity.nets
        for kind, count in faults["forfeits"][player.role].items()
    ]
    void = [
        ["harness or machine", f"pair void: {escape(what)}", f"{count:,}"]
        for what, count in faults["void_by"].items()
    ]
    yield table(["whose", "what", "times"], iter([*lost, *void]))
    if faults["void"]:
        yield (
            f"{counted(faults['void'], 'time')} a pair was void; neither of its games counts, and "
            "both were played again from the\nsame seeds ([faults.jsonl](faults.jsonl))."
        )


def _terminations(summary: Summary) -> Iterator[list[str]]:
    games = summary["games"]
    for termination, count in summary["terminations"].items():
        yield [termination, f"{count:,}", percent(count / games)]
    if summary["plies"] is not None:
        yield ["mean length", f"{summary['plies']:.0f} plies", ""]
