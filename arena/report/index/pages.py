"""index.md and index.html: what stands in index.json, laid out; nothing here is worked out anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from arena.report.block import percent
from arena.report.index.document import (
    Index,
    IndexedDecision,
    IndexedMatch,
    IndexedTournament,
)
from arena.report.index.forest import Forest
from arena.report.index.ladder import Ladder
from arena.report.index.ladder_picture import RUNG_HEADER, pictured, rung_cells
from arena.report.index.nights import VERDICTS
from arena.report.index.phrases import bounds, day, matches_in, minute, signed
from arena.report.markup import escape, table
from arena.report.web import render
from swa.picture import svg

OUTCOMES = {
    "promote": "promote",
    "passed": "passed: a stage of a night",
    "keep": "keep",
    "undecided": "undecided",
    "no test": "no test",
    "unfinished": "unfinished",
    "no verdict": "no verdict: faults",
}
"""All there are, and how the filter names them."""

WORDS = {
    "anytime": "valid at every moment of the match",
    "stopping-aware": "allowing for the test's stop",
    "fixed-length": "of a match of fixed length",
}
"""What an interval allows for."""


def names_in(index: Index) -> set[str]:
    """Return the names of all who played."""
    both = ((match["baseline"], match["candidate"]) for match in index["matches"])
    return {player["name"] for players in both for player in players}


def summary_line(index: Index) -> str:
    """Say in a sentence or two what there is."""
    promotions = [match for match in index["matches"] if match["outcome"] == "promote"]
    line = f"{matches_in(len(index['matches']))} of {len(names_in(index)):,} players, "
    line += f"{len(promotions):,} {'promotion' if len(promotions) == 1 else 'promotions'}."
    if promotions:
        last = max(promotions, key=lambda match: match["ended"] or "")
        over = f"{last['candidate']['name']} over {last['baseline']['name']}"
        line += f" The latest: {over}, {day(last['ended'])}."
    if index["decisions"]:
        line += f" {decisions_line(index['decisions'])}"
    return line


def decisions_line(decisions: Sequence[IndexedDecision]) -> str:
    """Say how many nights came to which end."""
    count = Counter(one["verdict"] for one in decisions)
    said = ", ".join(f"{count[verdict]:,} {verdict}" for verdict in VERDICTS if count[verdict])
    return f"{len(decisions):,} {'night' if len(decisions) == 1 else 'nights'} decided: {said}."


def ladder_line(ladder: Ladder) -> str:
    """Say what a ladder rests on."""
    return (
        f"{ladder['conditions']}; {matches_in(ladder['matches'])} between these nets, "
        f"{ladder['pairs']:,} pairs. Elo relative to {ladder['reference']}."
    )


def pairs_of(match: IndexedMatch) -> str:
    """``72``, or ``12 of 400`` where some are missing."""
    unfinished = match["outcome"] == "unfinished"
    return f"{match['pairs']:,}" + (f" of {match['pairs_limit']:,}" if unfinished else "")


# --- Markdown ---


def index_markdown(index: Index, pictures: dict[int, str]) -> str:
    """Return index.md; ``pictures``: files by number of the ladder, from 1."""
    sections = [
        "# Matches",
        escape(summary_line(index)),
        *_ladder_sections(index, pictures),
        *_decision_section(index),
        "## All matches",
        "Elo is the candidate's, relative to the baseline.",
        table(
            ["date", "candidate", "baseline", "outcome", "Elo", "95 %", "pairs", "conditions"],
            map(_match_cells, index["matches"]),
        ),
    ]
    if index["tournaments"]:
        header = ["date", "folder", "nets", "matches", "pairs", "strongest", "Elo", "95 %"]
        sections += ["## Tournaments", table(header, map(_cup_cells, index["tournaments"]))]
    if index["unreadable"]:
        rows = ([escape(one["folder"]), escape(one["reason"])] for one in index["unreadable"])
        sections += ["## Not shown", table(["folder", "why"], rows)]
    sections.append("[index.json](index.json) has every number of this page.")
    return "\n\n".join(sections) + "\n"


def _ladder_sections(index: Index, pictures: dict[int, str]) -> Iterator[str]:
    if not index["ladders"]:
        return
    yield "## Ladder of promoted nets"
    for number, ladder in enumerate(index["ladders"], start=1):
        first, last = (escape(ladder["rungs"][n]["net"]) for n in (0, -1))
        yield f"### {first} to {last}"
        yield escape(ladder_line(ladder))
        if ladder["apart"]:
            yield f"A ladder of its own: {escape('; '.join(ladder['apart']))}."
        if number in pictures:
            yield f"![Elo of the ladder's nets against time; table below]({pictures[number]})"
        rows = ([escape(cell) for cell in rung_cells(rung)] for rung in ladder["rungs"])
        yield table(RUNG_HEADER, rows)
        yield "\n".join(f"- {escape(note)}" for note in ladder["notes"])


def _decision_section(index: Index) -> Iterator[str]:
    if not index["decisions"]:
        return
    yield "## Nightly decisions"
    yield (
        "Latest is the newest net of the run, candidate the one of its kin that met the champion; "
        "its name leads to the match that decided, the night's number to the decision."
    )
    header = ["date", "night", "verdict", "latest", "candidate", "champion", "why"]
    yield table(header, map(_decision_cells, index["decisions"]))


def _decision_cells(one: IndexedDecision) -> list[str]:
    candidate = one["candidate"]
    return [
        day(one["date"]),
        _linked(f"{one['night']}", one["document"]),
        one["verdict"],
        escape(one["latest"]["name"]),
        "none" if candidate is None else _linked(candidate["name"], one["report"]),
        escape(one["champion"]["name"]),
        escape(one["reason"]),
    ]


def _linked(text: str, link: str | None) -> str:
    return escape(text) if link is None else f"[{escape(text)}]({link})"


def _match_cells(match: IndexedMatch) -> list[str]:
    return [
        day(match["date"]),
        _linked(match["candidate"]["name"], match["report"]),
        escape(match["baseline"]["name"]),
        match["outcome"],
        signed(match["elo"]),
        bounds(match["elo_ci"]),
        pairs_of(match),
        escape(match["conditions"] + _stage(match)),
    ]


def _stage(match: IndexedMatch) -> str:
    """Where a match of a night is: the same two nets meet in several of its stages."""
    return f"; {match['folder']}" if match["kind"] == "nightly" else ""


def _cup_cells(cup: IndexedTournament) -> list[str]:
    return [
        day(cup["date"]),
        _linked(cup["folder"], cup["report"]),
        f"{cup['nets']:,}",
        f"{cup['matches']:,}",
        f"{cup['pairs']:,}",
        escape(cup["strongest"] or "n/a"),
        signed(cup["elo"]),
        bounds(cup["elo_ci"]),
    ]


# --- HTML ---


def index_html(index: Index) -> str:
    """Return index.html, whole and without the network."""
    matches = index["matches"]
    present = {match["outcome"] for match in matches}
    return render(
        "index.html.j2",
        styles=["report.css", "index.css"],
        script="index.js",
        index=index,
        lead=summary_line(index),
        nets=sorted(names_in(index), key=lambda name: (name.casefold(), name)),
        outcomes={key: words for key, words in OUTCOMES.items() if key in present},
        kinds=sorted({match["kind"] for match in matches}),
        forest=Forest.of([(match["elo"], match["elo_ci"]) for match in matches]),
        pictures={
            number: (picture, Markup(svg(picture)))
            for number, picture in pictured(index["ladders"])
        },
        ladder_line=ladder_line,
        decisions_line=decisions_line,
        signed=signed,
        bounds=bounds,
        day=day,
        minute=minute,
        percent=percent,
        pairs_of=pairs_of,
        words=WORDS,
    )
