"""How ratings are shown: one document for scripts, and the same in tables for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

from arena.report.block import counted, number, percent, plain
from arena.report.ratings.field import Field
from arena.report.verdict import conditions_of
from arena.stats.pentanomial import PairCounts
from arena.stats.ratings import Meeting, Ratings

RATINGS_FILE = "ratings.json"
"""Of a tournament, in its folder: what ``arena ratings --json`` says of that."""

FORMAT = 1
"""Version of the document; raised when a key changes its meaning or goes."""


class RatedNet(TypedDict):
    """A player's line; null where there is no such figure."""

    rank: int | None
    net: str
    sha256: str
    names: list[str]
    elo: float | None
    elo_ci: list[float] | None  # 95 %, relative to what the document's "reference" says
    anchor: bool
    pairs: int
    points: float
    score: float  # points a game, in [0, 1]
    los: float | None  # chance of being stronger than the next in rank


class RatedEncounter(TypedDict):
    """All games of two nets; figures are the candidate's."""

    baseline: str
    candidate: str
    pairs: int
    pentanomial: list[int]  # [LL, LD, WL+DD, WD, WW]
    points: float
    score: float
    expected: float | None  # score, by the ratings
    z: float | None  # against what all other encounters say, in standard errors


class RatingsDocument(TypedDict):
    """What ``arena ratings --json`` writes; matrices are in the order of ``nets``."""

    format: int
    nets: list[RatedNet]  # the strongest first
    encounters: list[RatedEncounter]
    intransitivity: dict[str, float] | None  # "statistic", "dof", "p_value"
    los: list[list[float | None]]  # chance that the row's net is stronger than the column's
    covariance: list[list[float | None]] | None  # Elo squared
    reference: str  # where 0 Elo is
    anchors: dict[str, float]
    prior_pairs: float
    conditions: str
    differences: list[str]  # between the conditions of the folders
    runs: list[dict[str, Any]]
    notes: list[str]


def document_of(field: Field, ratings: Ratings) -> RatingsDocument:
    """Work out everything that is shown."""
    nets = _nets(field, ratings)
    order = [net["net"] for net in nets]
    found = ratings.intransitivity
    counts = _counts(field)
    return RatingsDocument(
        format=FORMAT,
        nets=nets,
        encounters=[_encounter(meeting, counts) for meeting in ratings.meetings],
        intransitivity=None
        if found is None
        else {"statistic": found.statistic, "dof": found.dof, "p_value": found.p_value},
        los=[
            [None if one == other else ratings.superiority(one, other) for other in order]
            for one in order
        ],
        covariance=_covariance(ratings, order),
        reference="the anchors" if ratings.anchors else "the mean of all nets with a rating is 0",
        anchors=dict(ratings.anchors),
        prior_pairs=ratings.prior_pairs,
        conditions=conditions_of(field.runs[0].identity),
        differences=list(field.differences),
        runs=[
            {
                "folder": str(run.folder),
                "baseline": baseline.label,
                "candidate": candidate.label,
                "pairs": run.counts.pairs,
                "stopped_by_test": run.stopped,
                "unfinished": not run.settled,
                "repeated_pairs": run.repeated,
            }
            for run in field.runs
            for baseline, candidate in [field.players_of(run)]
        ],
        notes=list(_notes(field, ratings)),
    )


def _nets(field: Field, ratings: Ratings) -> list[RatedNet]:
    elo = dict(zip(ratings.players, ratings.elo, strict=True))
    # Who has no rating comes last, the better score first.
    score = {player: _tally(ratings, player) for player in ratings.players}
    order = sorted(
        ratings.players,
        key=lambda player: (
            elo[player] is None,
            -(elo[player] or 0.0),
            -score[player][1] / score[player][0],
        ),
    )
    nets = []
    for rank, label in enumerate(order, start=1):
        player, estimate = field.player(label), ratings.rating(label)
        pairs, points = score[label]
        following = order[rank] if rank < len(order) else None
        nets.append(
            RatedNet(
                rank=None if estimate.elo is None else rank,
                net=label,
                sha256=player.sha256,
                names=list(player.names),
                elo=estimate.elo,
                elo_ci=None
                if estimate.low is None or estimate.high is None
                else [estimate.low, estimate.high],
                anchor=label in ratings.anchors,
                pairs=pairs,
                points=points,
                score=points / (2 * pairs),
                los=None if following is None else ratings.superiority(label, following),
            )
        )
    return nets


def _tally(ratings: Ratings, player: str) -> tuple[int, float]:
    """Pairs and points of a player."""
    pairs, points = 0, 0.0
    for meeting in ratings.meetings:
        if player == meeting.candidate:
            pairs, points = pairs + meeting.observations, points + meeting.points
        elif player == meeting.baseline:
            pairs, points = pairs + meeting.observations, points + meeting.games - meeting.points
    return pairs, points


def _counts(field: Field) -> dict[tuple[str, str], PairCounts]:
    """Add up the pairs of each two nets, from the side of either: by (baseline, candidate)."""
    counts: dict[tuple[str, str], PairCounts] = defaultdict(PairCounts)
    for run in field.runs:
        baseline, candidate = (player.label for player in field.players_of(run))
        counts[baseline, candidate] += run.counts
        counts[candidate, baseline] += run.counts.flipped()
    return counts


def _encounter(meeting: Meeting, counts: Mapping[tuple[str, str], PairCounts]) -> RatedEncounter:
    return RatedEncounter(
        baseline=meeting.baseline,
        candidate=meeting.candidate,
        pairs=meeting.observations,
        pentanomial=list(counts[meeting.baseline, meeting.candidate].pentanomial),
        points=meeting.points,
        score=meeting.score,
        expected=meeting.expected,
        z=meeting.z,
    )


def _covariance(ratings: Ratings, order: Sequence[str]) -> list[list[float | None]] | None:
    if ratings.covariance is None:
        return None
    row = {player: n for n, player in enumerate(ratings.rated)}
    return [
        [
            float(ratings.covariance[row[one], row[other]]) if {one, other} <= row.keys() else None
            for other in order
        ]
        for one in order
    ]


def _notes(field: Field, ratings: Ratings) -> Iterator[str]:
    """Yield what a reader must know to judge the figures."""
    runs = field.runs
    stopped = sum(run.stopped for run in runs)
    if stopped:
        yield (
            f"{counted(stopped, 'encounter')} of {len(runs)} ended by a sequential test: such "
            "scores lie further apart than the truth, and so do these ratings."
        )
    unfinished = sum(not run.settled for run in runs)
    if unfinished:
        yield f"{counted(unfinished, 'run')} of {len(runs)} unfinished: their pairs so far count."
    repeated = sum(run.repeated for run in runs)
    if repeated:
        yield (
            f"{counted(repeated, 'pair')} left out: the same games as in another folder, "
            "which is no more evidence."
        )
    for run in runs:
        baseline, candidate = field.players_of(run)
        if baseline is candidate:
            yield f"{run.folder} left out: {baseline.label} against itself."
        elif not run.counts.pairs and not run.repeated:
            yield f"{run.folder} has no counted pair yet."
    if field.differences:
        yield "Conditions differ (--mixed): " + "; ".join(field.differences) + "."
    for player in field.players:
        if player.settings:
            yield f"{player.label} plays with {player.settings}."
    without = [p for p, elo in zip(ratings.players, ratings.elo, strict=True) if elo is None]
    if without:
        yield (
            f"No finite rating without a prior: {', '.join(without)} "
            "(won or lost everything against the others)."
        )


# --- tables ---


def ratings_lines(document: RatingsDocument) -> list[str]:
    """Return the document's tables and sentences for a terminal."""
    nets, encounters = document["nets"], document["encounters"]
    pairs = sum(encounter["pairs"] for encounter in encounters)
    heading = (
        f"Ratings of {counted(len(nets), 'net')} by {counted(pairs, 'pair')} "
        f"in {counted(len(document['runs']), 'run folder')} ({document['conditions']}):"
    )
    rows = [
        [
            "-" if net["rank"] is None else str(net["rank"]),
            net["net"],
            number(net["elo"]),
            _margin(net),
            f"{net['pairs']:,}",
            percent(net["score"]),
            percent(net["los"]),
        ]
        for net in nets
    ]
    lines = [
        heading,
        *_table(["rank", "net", "Elo", "+/-", "pairs", "score", "LOS to next"], rows, {1}),
        scale_line(document),
    ]
    rows = [
        [
            encounter["candidate"],
            encounter["baseline"],
            f"{encounter['pairs']:,}",
            percent(encounter["score"]),
            percent(encounter["expected"]),
            number(encounter["z"]),
        ]
        for encounter in encounters
    ]
    titles = ["candidate", "baseline", "pairs", "score", "expected", "z"]
    lines += ["", *_table(titles, rows, {0, 1}), intransitivity_line(document)]
    return [*lines, *(f"Note: {note}" for note in document["notes"])]


def _margin(net: RatedNet) -> str:
    if net["anchor"]:
        return "anchor"
    interval = net["elo_ci"]
    return "n/a" if interval is None else plain((interval[1] - interval[0]) / 2)


def scale_line(document: RatingsDocument) -> str:
    """Say where 0 Elo is, and what the prior was."""
    anchors = [f"{net} = {elo:g}" for net, elo in document["anchors"].items()]
    zero = f"anchored at {', '.join(anchors)}" if anchors else "their mean is 0"
    prior = document["prior_pairs"]
    each = (
        f"{prior:g} drawn {'pair' if prior == 1 else 'pairs'} of each net against the field"
        if prior
        else "none"
    )
    relative = "the anchors" if anchors else "that mean"
    return f"Elo: {zero}; +/- 95 %, relative to {relative}. Prior: {each}."


def intransitivity_line(document: RatingsDocument) -> str:
    """Say whether one number a net explains all results."""
    found = document["intransitivity"]
    if found is None:
        return "Intransitivity: nothing to check, no encounter can contradict the others."
    largest = max(document["encounters"], key=lambda encounter: abs(encounter["z"] or 0.0))
    dof = int(found["dof"])
    degrees = f"{dof} degree{'' if dof == 1 else 's'} of freedom"
    return (
        f"Intransitivity: chi-squared {plain(found['statistic'])}, {degrees}, "
        f"p = {_p_value(found['p_value'])}; most: {largest['candidate']} against "
        f"{largest['baseline']}, z {number(largest['z'])}."
    )


def _p_value(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else f"{p:.4f}"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    """Align columns: those in ``left`` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (titles, *rows)
    ]
