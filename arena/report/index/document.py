"""The index of a folder of matches: index.json, and the same as index.md and index.html.

index.json has every figure; the two pages only show them. Links are relative, so that a folder can
be moved or served as it is, and lead to files that were there when the index was made.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from arena.report.characters import printable
from arena.report.files import atomic_writer
from arena.report.folder import ReportError
from arena.report.index.checked import finite, mapping
from arena.report.index.collection import (
    FoundMatch,
    Unreadable,
    find_matches,
    reason_of,
)
from arena.report.index.ladder import Ladder, Names, ladders
from arena.report.index.links import link, report_link, shown_path
from arena.report.index.nights import (
    BROKEN,
    DECISION_FILE,
    DecidedNet,
    NightDecision,
    nights_inside,
    read_decision,
)
from arena.report.ratings.field import named_players
from arena.report.ratings.table import FORMAT as RATINGS_FORMAT
from arena.report.ratings.table import RATINGS_FILE
from arena.report.verdict import heading_of

FORMAT = 1
"""Version of index.json; raised when a key changes its meaning or goes."""


class IndexedPlayer(TypedDict):
    """One of a match's two players."""

    name: str  # as in the whole index: players of one name are told apart by their sha256
    sha256: str


class IndexedMatch(TypedDict):
    """One match; every figure is the candidate's, relative to the baseline."""

    folder: str  # relative to the index
    report: str | None  # relative link
    kind: str  # "match" or "nightly": played in a night of ``arena nightly``
    tournament: str | None  # folder of the tournament that it is an encounter of
    date: str | None  # ISO 8601, UTC, when it began
    ended: str | None
    baseline: IndexedPlayer
    candidate: IndexedPlayer
    conditions: str
    outcome: str  # "promote", "passed", "keep", "undecided", "no test", "unfinished", "no verdict"
    verdict: str  # as in summary.json
    doubts: list[str]
    pairs: int
    pairs_limit: int
    elo: float | None
    elo_ci: list[float | None] | None  # 95 %
    elo_kind: str | None  # "anytime", "stopping-aware" or "fixed-length"


class IndexedDecision(TypedDict):
    """What a night of ``arena nightly`` decided."""

    folder: str  # of the night, relative to the index
    night: int  # its number
    date: str | None  # ISO 8601, UTC, when it was decided
    verdict: str  # "promote", "keep" or "undecided"
    reason: str
    latest: IndexedPlayer  # the newest net of the run
    candidate: IndexedPlayer | None  # who met the champion; None: nobody got so far
    champion: IndexedPlayer  # before the decision
    match: str | None  # folder of the match that decided
    report: str | None  # link to that match's report
    document: str  # link to the night's decision.json


class IndexedTournament(TypedDict):
    """A folder of encounters that are rated together."""

    folder: str
    report: str | None
    date: str | None  # when its latest encounter began
    nets: int
    matches: int
    pairs: int
    strongest: str | None
    elo: float | None  # of the strongest, relative to the mean of all
    elo_ci: list[float | None] | None


class IndexedFault(TypedDict):
    """What could not be read."""

    folder: str
    reason: str


class Index(TypedDict):
    """index.json."""

    format: int
    matches: list[IndexedMatch]  # the latest first
    ladders: list[Ladder]  # the one with the latest promotion first
    decisions: list[IndexedDecision]  # of nights, the latest first
    tournaments: list[IndexedTournament]  # the latest first
    unreadable: list[IndexedFault]
    summarised_anew: int  # matches whose summary.json was missing, old or damaged


def make_index(root: Path) -> Index:
    """Work out the index of all matches below a folder. Raises LedgerError where it is none."""
    found, lost = find_matches(root)
    players = {player.key: player for player in named_players(m.identity for m in found)}
    names = Names(
        players,
        {match.folder: shown_path(root, match.folder) for match in found},
        {match.folder: report_link(root, match.folder) for match in found},
    )
    cups, broken = _tournaments(root, found)
    decisions, torn = _decisions(root, names)
    matches = [_match(match, names, _tournament_of(match, cups, root)) for match in found]
    return Index(
        format=FORMAT,
        matches=sorted(matches, key=lambda match: match["date"] or "", reverse=True),
        ladders=ladders(found, names),
        decisions=decisions,
        tournaments=sorted(cups.values(), key=lambda cup: cup["date"] or "", reverse=True),
        unreadable=[
            IndexedFault(folder=shown_path(root, one.folder), reason=one.reason)
            for one in [*lost, *broken, *torn]
        ],
        summarised_anew=sum(match.anew for match in found),
    )


def index_json(index: Index) -> str:
    """Return the document as text."""
    return json.dumps(index, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _match(match: FoundMatch, names: Names, tournament: str | None) -> IndexedMatch:
    baseline, candidate = (names.players[net.key] for net in match.identity.nets)
    figures = match.figures
    return IndexedMatch(
        folder=names.folders[match.folder],
        report=names.reports[match.folder],
        kind="match" if match.night is None else "nightly",
        tournament=tournament,
        date=match.began,
        ended=match.ended,
        baseline=IndexedPlayer(name=baseline.label, sha256=baseline.sha256),
        candidate=IndexedPlayer(name=candidate.label, sha256=candidate.sha256),
        conditions=heading_of(match.identity).conditions,
        outcome=_outcome(match),
        verdict=figures.verdict,
        doubts=list(figures.doubts),
        pairs=figures.pairs,
        pairs_limit=match.identity.pairs,
        elo=figures.elo,
        elo_ci=None if figures.elo_ci is None else list(figures.elo_ci),
        elo_kind=figures.kind,
    )


def _outcome(match: FoundMatch) -> str:
    """Return the verdict, or why there is none."""
    if match.figures.doubts:
        return "no verdict"
    if match.figures.state == "unfinished":
        return "unfinished"
    if match.identity.sprt is None:
        return "no test"
    if match.figures.verdict == "promote" and not match.promoted:
        return "passed"  # a stage of a night, which ends in another one
    return match.figures.verdict


# --- nights ---


def _decisions(root: Path, names: Names) -> tuple[list[IndexedDecision], list[Unreadable]]:
    """Read the decisions of all nights, the latest first; those that cannot be, beside them."""
    found: list[IndexedDecision] = []
    broken: list[Unreadable] = []
    for folder in nights_inside(root):
        try:
            found.append(_decision(root, folder, read_decision(folder), names))
        except BROKEN as error:
            broken.append(Unreadable(folder, f"{DECISION_FILE}: {reason_of(error, folder)}"))
    return sorted(found, key=lambda one: (one["date"] or "", one["night"]), reverse=True), broken


def _decision(root: Path, folder: Path, night: NightDecision, names: Names) -> IndexedDecision:
    gate = None if night.gate is None else folder / night.gate
    return IndexedDecision(
        folder=shown_path(root, folder),
        night=night.number,
        date=night.decided,
        verdict=night.verdict,
        reason=night.reason,
        latest=_named(night.latest, names),
        candidate=None if night.candidate is None else _named(night.candidate, names),
        champion=_named(night.champion, names),
        match=None if gate is None else shown_path(root, gate),
        report=None if gate is None else report_link(root, gate),
        document=link(root, folder / DECISION_FILE),
    )


def _named(net: DecidedNet, names: Names) -> IndexedPlayer:
    """Call a net of a decision as the matches do, if it is in one."""
    known = names.players.get(net.sha256)
    return IndexedPlayer(name=known.label if known else net.name, sha256=net.sha256)


# --- tournaments ---


def _tournaments(
    root: Path, matches: Sequence[FoundMatch]
) -> tuple[dict[Path, IndexedTournament], list[Unreadable]]:
    """Read the ratings.json of all folders between the matches and the index."""
    parents: dict[Path, list[FoundMatch]] = {}
    for match in matches:
        for folder in match.folder.parents:
            if not folder.is_relative_to(root):
                break
            parents.setdefault(folder, []).append(match)
    found: dict[Path, IndexedTournament] = {}
    broken: list[Unreadable] = []
    for folder, inside in parents.items():
        if not (folder / RATINGS_FILE).is_file():
            continue
        try:
            document = json.loads((folder / RATINGS_FILE).read_text(encoding="utf-8"))
            found[folder] = _tournament(root, folder, mapping(document), inside)
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            broken.append(Unreadable(folder, f"{RATINGS_FILE}: {reason_of(error, folder)}"))
    return found, broken


def _tournament(
    root: Path, folder: Path, document: Mapping[str, Any], inside: Sequence[FoundMatch]
) -> IndexedTournament:
    if document["format"] != RATINGS_FORMAT:
        raise ValueError(f"format {document['format']!r}, not {RATINGS_FORMAT}")
    best = mapping(document["nets"][0])
    elo = finite(best["elo"])
    low, high = best["elo_ci"] if best["elo_ci"] is not None else (None, None)
    return IndexedTournament(
        folder=shown_path(root, folder),
        report=report_link(root, folder),
        date=max((match.began for match in inside if match.began), default=None),
        nets=len(document["nets"]),
        matches=len(inside),
        pairs=sum(match.figures.pairs for match in inside),
        strongest=None if elo is None else printable(str(best["net"])),
        elo=elo,
        elo_ci=None if low is None else [finite(low), finite(high)],
    )


def _tournament_of(
    match: FoundMatch, cups: Mapping[Path, IndexedTournament], root: Path
) -> str | None:
    """Return the nearest tournament above a match."""
    near = next((folder for folder in match.folder.parents if folder in cups), None)
    return None if near is None else cups[near]["folder"]


# --- files ---


@dataclass(frozen=True, slots=True)
class WrittenIndex:
    """An index, and where it is."""

    index: Index
    page: Path


def write_index(root: Path) -> WrittenIndex:
    """Write index.json, index.md, index.html and the ladders' pictures into ``root``.

    Raises LedgerError where ``root`` is no folder, ReportError where it cannot be written.
    """
    from arena.report.index.ladder_picture import write_pictures
    from arena.report.index.pages import index_html, index_markdown

    index = make_index(root)
    try:
        pictures = write_pictures(root, index["ladders"])
        for name, text in (
            ("index.json", index_json(index)),
            ("index.md", index_markdown(index, pictures)),
            ("index.html", index_html(index)),
        ):
            with atomic_writer(root / name) as file:
                file.write(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ReportError(
            f"{root}: the index cannot be written: {reason}\n"
            "Make room or give access to the folder, then: "
            f"arena report --index {shlex.quote(str(root))}"
        ) from error
    return WrittenIndex(index, root / "index.html")
