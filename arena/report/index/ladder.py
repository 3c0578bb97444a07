"""The ladder: nets that a match promoted, one after the other, on one scale.

A promotion says that the candidate beat the net it was meant to replace. How far a series of nets
has come is more than the sum of such steps: all matches between the nets of a series are rated
together (``arena.stats.ratings``), relative to the first of them, and a step's interval follows
from the joint covariance. Matches played under other conditions measure another Elo: each set of
conditions has ladders of its own, and says so.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from arena.match_file import LedgerError
from arena.report.index.collection import FoundMatch
from arena.report.index.phrases import matches_in
from arena.report.ratings.field import Player, RatingsError, read_field, shared_conditions
from arena.report.verdict import conditions_of
from arena.stats.elo import EloEstimate
from arena.stats.pentanomial import Outcomes
from arena.stats.ratings import Encounter, Ratings, rate


class Rung(TypedDict):
    """A net of a ladder: the first ones came from elsewhere, the others were promoted."""

    net: str
    sha256: str
    date: str | None  # ISO 8601, UTC: when the match that promoted it ended, or its first began
    over: str | None  # the net that it beat; None: it was there at the beginning
    match: str | None  # folder of the match that promoted it, relative to the index
    report: str | None  # link to that match's report, relative to the index
    pairs: int | None  # of that match
    elo: float | None  # joint rating; 0 for the ladder's reference
    elo_ci: list[float] | None  # 95 %; None for the reference
    step: float | None  # joint rating less that of ``over``
    step_ci: list[float] | None  # 95 %
    los: float | None  # chance that it is stronger than ``over``


class Ladder(TypedDict):
    """Nets that promotions connect, under one set of conditions."""

    conditions: str
    apart: list[str]  # why it is not one with the ladder that is shown first
    reference: str  # the net at 0 Elo
    rungs: list[Rung]  # the oldest first
    matches: int  # between its nets, all of which are rated
    pairs: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Group:
    """Promotions that connect the same nets; ``matches`` are all between these, of one kind."""

    conditions: Mapping[str, object]
    promotions: tuple[FoundMatch, ...]  # the oldest first
    matches: tuple[FoundMatch, ...]

    @property
    def latest(self) -> str:
        return _when(self.promotions[-1])


@dataclass(frozen=True, slots=True)
class Names:
    """How players and folders are called in the index."""

    players: Mapping[str, Player]  # by key
    folders: Mapping[Path, str]
    reports: Mapping[Path, str | None]


def ladders(matches: Sequence[FoundMatch], names: Names) -> list[Ladder]:
    """Return all ladders, the one with the latest promotion first."""
    groups = sorted(_groups(matches), key=lambda group: group.latest, reverse=True)
    return [_ladder(group, groups[0], names) for group in groups]


def _groups(matches: Sequence[FoundMatch]) -> Iterator[_Group]:
    """Put together what promotions connect, within one set of conditions."""
    by_conditions: dict[tuple[tuple[str, str], ...], list[FoundMatch]] = defaultdict(list)
    for match in matches:
        conditions = shared_conditions(match.identity)
        by_conditions[tuple((key, str(value)) for key, value in conditions.items())].append(match)
    for alike in by_conditions.values():
        promotions = sorted((match for match in alike if match.promoted), key=_when)
        series = _series(promotions)
        members = {name: number for number, keys in enumerate(series) for name in keys}
        for number in range(len(series)):
            inside = [m for m in alike if {members.get(key) for key in _keys(m)} == {number}]
            yield _Group(
                shared_conditions(inside[0].identity),
                tuple(match for match in promotions if members[_keys(match)[0]] == number),
                tuple(inside),
            )


def _series(promotions: Sequence[FoundMatch]) -> list[set[str]]:
    """Return the players' keys, those in one set that promotions connect."""
    series: list[set[str]] = []
    for promotion in promotions:
        joined = set(_keys(promotion))
        apart = [keys for keys in series if not keys & joined]
        series = [*apart, joined.union(*(keys for keys in series if keys & joined))]
    return series


def _keys(match: FoundMatch) -> tuple[str, str]:
    baseline, candidate = match.identity.nets
    return baseline.key, candidate.key


def _when(match: FoundMatch) -> str:
    """Return the time of a promotion; what has none is older than all that have."""
    return match.ended or ""


def _ladder(group: _Group, shown_first: _Group, names: Names) -> Ladder:
    encounters = list(_encounters(group.matches, names))
    first = names.players[_keys(group.promotions[0])[0]].label
    notes = list(_notes(group))
    ratings = None
    try:
        ratings = rate(encounters, anchors={first: 0.0})
    except ValueError as error:
        notes.append(f"No joint ratings: {error}.")
    return Ladder(
        conditions=conditions_of(group.promotions[0].identity),
        apart=[] if group is shown_first else _apart(group, shown_first),
        reference=first,
        rungs=list(_rungs(group, names, ratings)),
        matches=len(group.matches),
        pairs=sum(encounter.counts.size for encounter in encounters),
        notes=notes,
    )


def _encounters(matches: Sequence[FoundMatch], names: Names) -> Iterator[Encounter]:
    """Yield the matches' results, those of games that two folders have only once.

    A second match of the same two nets may have the same games, which only the ledgers tell.
    """
    times = Counter(frozenset(_keys(match)) for match in matches)
    again = [match.folder for match in matches if times[frozenset(_keys(match))] > 1]
    fresh: dict[Path, Outcomes] = {}
    if again:
        # A ledger that was damaged after its summary is no reason to have no ladder.
        with contextlib.suppress(LedgerError, RatingsError):
            fresh = {run.folder: run.counts for run in read_field(again).runs}
    for match in matches:
        baseline, candidate = (names.players[key].label for key in _keys(match))
        if baseline != candidate:
            counts = fresh.get(match.folder, match.figures.counts)
            yield Encounter(baseline, candidate, counts)


def _rungs(group: _Group, names: Names, ratings: Ratings | None) -> Iterator[Rung]:
    """Yield the nets in the order in which they came."""
    known: set[str] = set()
    for match in group.promotions:
        baseline, candidate = _keys(match)
        if baseline not in known:
            known.add(baseline)
            its = [m.began for m in group.matches if baseline in _keys(m) and m.began]
            yield _rung(names.players[baseline], min(its, default=None), ratings)
        known.add(candidate)
        rung = _rung(names.players[candidate], match.ended, ratings)
        over = names.players[baseline].label
        rung["over"], rung["pairs"] = over, match.figures.pairs
        rung["match"] = names.folders[match.folder]
        rung["report"] = names.reports[match.folder]
        if ratings is not None and over != rung["net"]:
            step = ratings.difference(rung["net"], over)
            rung["step"], rung["step_ci"] = step.elo, _ends(step)
            rung["los"] = ratings.superiority(rung["net"], over)
        yield rung


def _rung(player: Player, date: str | None, ratings: Ratings | None) -> Rung:
    rating = ratings.rating(player.label) if ratings is not None else None
    return Rung(
        net=player.label,
        sha256=player.sha256,
        date=date,
        over=None,
        match=None,
        report=None,
        pairs=None,
        elo=None if rating is None else rating.elo,
        elo_ci=None if rating is None else _ends(rating),
        step=None,
        step_ci=None,
        los=None,
    )


def _ends(estimate: EloEstimate) -> list[float] | None:
    low, high = estimate.low, estimate.high
    return None if low is None or high is None else [low, high]


def _apart(group: _Group, first: _Group) -> list[str]:
    """Say why a ladder is one of its own."""
    different = [
        f"{key}: {value} here, {first.conditions[key]} there"
        for key, value in group.conditions.items()
        if str(value) != str(first.conditions[key])
    ]
    return different or ["no promotion connects its nets with those of the first ladder"]


def _notes(group: _Group) -> Iterator[str]:
    stopped = sum(match.figures.state == "decided" for match in group.matches)
    yield (
        f"{stopped:,} of {matches_in(len(group.matches))} ended by a sequential test: such scores "
        "lie further apart than the truth, and so do these ratings."
    )
    unfinished = sum(match.figures.state == "unfinished" for match in group.matches)
    if unfinished:
        yield f"{unfinished:,} of {len(group.matches):,} unfinished: their pairs so far count."
