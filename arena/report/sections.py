"""All sections of a report in their order: what Markdown and HTML both show of a match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arena.report.adjudication import HEADER, rule_rows, saving
from arena.report.block import counted, percent, results_block
from arena.report.caveats import caveats
from arena.report.conditions import conditions_section, players_section
from arena.report.content import Bullets, Link, Paragraph, Section, Table, Text, with_code
from arena.report.headline import headline_lines
from arena.report.openings import OPENINGS_FILE
from arena.report.run import Run
from arena.report.schema import OpeningResult, Summary
from arena.report.statistics import statistics_section
from arena.report.verdict import heading_of


def block_of(run: Run) -> list[str]:
    """Return the lines of the results block, which one copies."""
    judgement = run.judgement
    remarks = headline_lines(judgement)
    heading = heading_of(run.identity)
    return results_block(heading, judgement.counts, judgement.sprt, judgement.llr, remarks)


def sections(run: Run, summary: Summary) -> Iterator[Section]:
    """Yield what a report has after the verdict and the block, but for pictures and games."""
    baseline, candidate = (net["name"] for net in summary["nets"])
    yield players_section(summary)
    yield conditions_section(run, summary)
    yield statistics_section(summary, candidate, baseline)
    warnings = [with_code(caveat) for caveat in caveats(run, summary)]
    yield Section("caveats", "Caveats", [Bullets(warnings)])
    yield from _ends(summary)
    yield from _adjudication(summary)
    yield from _faults(run, summary)
    yield from _openings(summary)
    yield _files()


def _ends(summary: Summary) -> Iterator[Section]:
    rows = [
        [termination, f"{count:,}", percent(count / summary["games"])]
        for termination, count in summary["terminations"].items()
    ]
    if summary["plies"] is not None:
        rows.append(["mean length", f"{summary['plies']:.0f} plies", ""])
    if rows:
        table = Table(["end", "games", "share"], rows, frozenset({1, 2}))
        yield Section("ends", "How the games ended", [table])


def _adjudication(summary: Summary) -> Iterator[Section]:
    found = summary["adjudication"]
    if found is None or not found["rules"]:
        return
    table = Table(HEADER, list(rule_rows(found)), frozenset(range(1, len(HEADER))))
    yield Section("adjudication", "Adjudication", [table, Paragraph(saving(found))])


def _faults(run: Run, summary: Summary) -> Iterator[Section]:
    """A section on what went wrong, where something did."""
    if not run.faults.any:
        return
    faults = summary["faults"]
    lost = [
        [player.name, f"lost by a fault: {kind}", f"{count:,}"]
        for player in run.identity.nets
        for kind, count in faults["forfeits"][player.role].items()
    ]
    void = [
        ["harness or machine", f"pair void: {what}", f"{count:,}"]
        for what, count in faults["void_by"].items()
    ]
    played_again: Text = ""
    if faults["void"]:
        played_again = (
            f"{counted(faults['void'], 'time')} a pair was void; neither of its games counts, and "
            "both were played again from the same seeds (",
            Link("faults.jsonl"),
            ").",
        )
    table = Table(["whose", "what", "times"], [*lost, *void], frozenset({2}))
    yield Section("faults", "Faults", [table, Paragraph(played_again)])


def _openings(summary: Summary) -> Iterator[Section]:
    """A section on the openings, if anything was played from them."""
    openings = summary["openings"]
    if not summary["pairs"]:
        return
    candidate = summary["nets"][-1]["name"]
    text = (
        f"{candidate} won both games from {openings['won']:,} of "
        f"{counted(openings['used'], 'opening')} and lost both from {openings['lost']:,}. White "
        f"won both from {openings['white']:,}, Black from {openings['black']:,}; White's score is "
        f"{percent(openings['white_score'])}. ",
        Link(OPENINGS_FILE),
        " has each opening's.",
    )
    shown = [*openings["best"], *openings["worst"]]
    header = ["opening", "pair", f"points of {candidate}", "points of White"]
    table = Table(header, list(map(_opening, shown)), frozenset({1, 2, 3}))
    yield Section("openings", "Openings", [Paragraph(text), table])


def _opening(result: OpeningResult) -> Sequence[Text]:
    points = f"{result['points']:g} of 2", f"{result['white_points']:g} of 2"
    return [result["opening"], str(result["pair"]), *points]


def _files() -> Section:
    text = (
        Link("summary.json"),
        " has every number of this page, ",
        Link("games.pgn"),
        " the games, ",
        Link(OPENINGS_FILE),
        " what came of each opening, ",
        Link("match.toml"),
        " what decides the match, ",
        Link("games.jsonl"),
        " the ledger they are all made from.",
    )
    return Section("files", "Files", [Paragraph(text)])
