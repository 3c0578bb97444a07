"""Ratings of any number of players, fitted to all their results at once.

Elo differences along a chain of matches add up their errors, and a net that plays several others
is measured by all of those games; so all ratings are fitted together, and what is kept of their
errors is the whole covariance, without which no difference of two of them has an interval.

* Model: Bradley-Terry. A game's expected score is 1 / (1 + 10^(-d/400)), d being the difference of
  the ratings; a draw is half a point. The maximum of that likelihood depends on the points alone
  (KataGo ``elo.py:167-560`` and Ordo fit the same), and for two players it is logistic Elo.
* Errors: the likelihood takes every game for an independent win or loss, which pairs with colours
  swapped and draws are not. The fit stays right where only the expected score is, and its
  covariance is the sandwich A^-1 B A^-1, of the curvature A and of the variance B that the scores
  of whole pairs were seen to have (White, Econometrica 50, 1982; Liang and Zeger, Biometrika 73,
  1986). For two players that is the error of logistic Elo from the pentanomial.
* Prior: some drawn pairs of every player against one more, the field, whose rating is free. They
  keep a sweep's rating finite, pull nobody anywhere else, and never make up for games not played.

Everything here assumes a fixed number of pairs: encounters that a sequential test ended are a
little further apart than the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import chdtrc, stdtr, stdtrit

from arena.stats import bradley_terry
from arena.stats.bradley_terry import Array, Flags
from arena.stats.elo import ELO_PER_DECADE, NO_ESTIMATE, EloEstimate
from arena.stats.pentanomial import Outcomes

ELO_PER_NAT = ELO_PER_DECADE / math.log(10.0)
"""Elo of a unit of the logit."""

DEFAULT_PRIOR_PAIRS = 1.0
"""Of two players: as much as Jeffreys' prior for their logit, half a win and half a loss, which
takes the bias of first order away (Firth, Biometrika 80, 1993)."""

FURTHEST_ANCHOR = 5000.0
"""Elo; beyond it an expected score is 0 or 1 to double precision."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """Results of two players, from the candidate's side; the same two may meet several times."""

    baseline: str
    candidate: str
    counts: Outcomes


@dataclass(frozen=True, slots=True)
class Meeting:
    """All encounters of two players, against what their ratings lead one to expect.

    ``expected`` is the candidate's expected score in [0, 1]; None where one of the two has no
    rating. ``z`` is how far the result lies from what all *other* encounters say, in standard
    errors; None where no other way leads from one player to the other.
    """

    baseline: str
    candidate: str
    observations: int  # pairs, or single games where there are no pairs
    games: int
    points: float  # the candidate's
    expected: float | None
    z: float | None

    @property
    def score(self) -> float:
        """The candidate's points a game, in [0, 1]."""
        return self.points / self.games


@dataclass(frozen=True, slots=True)
class Intransitivity:
    """Whether one number a player explains all results: chi-squared of what it leaves unexplained.

    ``dof``: meetings beyond those that the ratings can follow. A small ``p_value`` says that some
    player does better against some others than any ratings allow.
    """

    statistic: float
    dof: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings in Elo, with their covariance.

    ``players`` in the order in which they first appear, of an encounter the baseline first.
    ``elo`` of each; None where it has no bound, which happens without a prior to whoever won (or
    lost) everything against all others. ``covariance`` in Elo squared, of the players in
    ``rated``; None where nothing varied, and so no error can be told. It is relative to
    ``anchors``, whose own rows are zero, or else to the mean of ``rated``, which is 0 Elo: then a
    single rating's interval is that of its distance from the mean, which the player itself is
    part of. Differences do not depend on such choices.
    """

    players: tuple[str, ...]
    elo: tuple[float | None, ...]
    rated: tuple[str, ...]
    covariance: Array | None = field(compare=False)
    dof: int  # of the errors: pairs (or single games) beyond the ratings fitted to them
    anchors: Mapping[str, float]
    prior_pairs: float
    meetings: tuple[Meeting, ...]  # in the order in which they first appear
    intransitivity: Intransitivity | None  # None where no result could contradict another

    def rating(self, player: str, *, confidence: float = 0.95) -> EloEstimate:
        """Return a player's rating; an anchor's has no interval. KeyError where unknown."""
        return self._estimate({player: 1.0}, confidence)

    def difference(self, candidate: str, baseline: str, *, confidence: float = 0.95) -> EloEstimate:
        """Return the candidate's rating minus the baseline's. KeyError where one is unknown."""
        if candidate == baseline:
            raise ValueError(f"{candidate!r} differs from itself by nothing")
        return self._estimate({candidate: 1.0, baseline: -1.0}, confidence)

    def superiority(self, candidate: str, baseline: str) -> float | None:
        """Return the chance in [0, 1] that the candidate is the stronger, by Student's t.

        None where a rating or its error is missing, as with two anchors.
        """
        elo, error = self._combine({candidate: 1.0, baseline: -1.0})
        return float(stdtr(self.dof, elo / error)) if elo is not None and error else None

    def _estimate(self, weights: Mapping[str, float], confidence: float) -> EloEstimate:
        if not 0.0 < confidence < 1.0:
            raise ValueError(f"confidence is {confidence!r}: it must be within (0, 1)")
        elo, error = self._combine(weights)
        if elo is None:
            return NO_ESTIMATE
        if not error:
            return EloEstimate(elo, None, None)
        reach = float(stdtrit(self.dof, (1.0 + confidence) / 2.0)) * error
        return EloEstimate(elo, elo - reach, elo + reach)

    def _combine(self, weights: Mapping[str, float]) -> tuple[float | None, float | None]:
        """Return a weighted sum of ratings and its standard error."""
        by_player = dict(zip(self.players, self.elo, strict=True))
        total = 0.0
        for player, weight in weights.items():
            elo = by_player[player]
            if elo is None:
                return None, None
            total += weight * elo
        if self.covariance is None:
            return total, None
        vector = np.array([weights.get(player, 0.0) for player in self.rated])
        return total, math.sqrt(max(float(vector @ self.covariance @ vector), 0.0))


def rate(
    encounters: Iterable[Encounter],
    *,
    prior_pairs: float = DEFAULT_PRIOR_PAIRS,
    anchors: Mapping[str, float] | None = None,
    independent_games: bool = False,
) -> Ratings:
    """Fit ratings to the results of any number of players.

    ``prior_pairs``: drawn pairs of every player against the field, 0 or more. ``anchors``: players
    whose Elo is given; without any, the mean of all who have a rating is 0. ``independent_games``
    takes every game for an independent win or loss, as KataGo does, instead of the variance that
    was seen: to reproduce its figures.

    Raises ValueError for no games at all, a player against itself, an anchor that has not played,
    and where the players fall into groups that never met, whatever the prior: the message names
    the groups.
    """
    anchors = dict(anchors or {})
    table = _Table.of(encounters)
    _check(table, prior_pairs, anchors)
    rated = _rated(table, prior_pairs, anchors)
    chosen = tuple(table.players[i] for i in np.flatnonzero(rated))
    nobody = Ratings(
        players=table.players,
        elo=(None,) * len(table.players),
        rated=chosen,
        covariance=None,
        dof=0,
        anchors=anchors,
        prior_pairs=prior_pairs,
        meetings=table.meetings(np.full(len(table.players), np.nan), {}),
        intransitivity=None,
    )
    if not chosen:
        return nobody
    try:
        return _fit(nobody, table, rated, independent_games)
    except np.linalg.LinAlgError:
        raise ValueError(
            "the results say next to nothing about some ratings: anchors too far from them, "
            "or too few draws and upsets"
        ) from None


def _check(table: _Table, prior_pairs: float, anchors: Mapping[str, float]) -> None:
    if not table.players:
        raise ValueError("there are no games to rate anybody by")
    if not (math.isfinite(prior_pairs) and prior_pairs >= 0.0):
        raise ValueError(f"a prior of {prior_pairs!r} pairs: it must be 0 or more")
    for player, elo in anchors.items():
        if player not in table.players:
            raise ValueError(f"the anchor {player!r} has not played")
        if not abs(elo) <= FURTHEST_ANCHOR:
            raise ValueError(
                f"the anchor {player!r} is at {elo!r} Elo: "
                f"it must be within {FURTHEST_ANCHOR:g} of 0"
            )
    group = table.groups(anchors, strong=False)
    if group.any():
        named = [
            ", ".join(player for player, its in zip(table.players, group, strict=True) if its == n)
            for n in range(group.max() + 1)
        ]
        raise ValueError("these never met, so nothing compares them: " + " | ".join(named))


def _rated(table: _Table, prior_pairs: float, anchors: Mapping[str, float]) -> Flags:
    """Say who has a rating: all with a prior, else those whose rating has a bound.

    They are those who scored against each other, be it by way of others: of several such groups
    the anchors', or else the largest. The limit of the likelihood is their own games' maximum.
    """
    if prior_pairs > 0.0:
        return np.ones(len(table.players), dtype=np.bool_)
    group = table.groups(anchors, strong=True)
    if anchors:
        return np.asarray(group == group[table.players.index(next(iter(anchors)))])
    sizes = np.bincount(group)
    largest = group == max(group, key=lambda number: sizes[number])  # the first of several
    return np.asarray(largest if largest.sum() > 1 else np.zeros_like(largest))


def _fit(unrated: Ratings, table: _Table, rated: Flags, independent_games: bool) -> Ratings:
    """Fill in what the games say of the players in ``rated``."""
    count, prior_pairs, anchors = len(table.players), unrated.prior_pairs, unrated.anchors
    known = np.array([anchors.get(player, np.nan) for player in table.players]) / ELO_PER_NAT
    if not anchors:
        known[np.flatnonzero(rated)[0]] = 0.0  # until the mean is known
    start = np.append(np.where(np.isnan(known), np.nanmean(known), known), np.nanmean(known))
    free = np.append(rated & np.isnan(known), prior_pairs > 0.0)  # the field is the last

    results = table.results
    played = results[rated[results.candidate] & rated[results.baseline]]
    joint = played
    if prior_pairs > 0.0:
        joint = played.with_field(np.flatnonzero(rated), prior_pairs, count)
    nats = bradley_terry.maximise(joint, start, free)

    spread, overall = bradley_terry.dispersions(played, nats, free)
    if independent_games:
        spread, overall = np.ones_like(spread), 1.0
    dof = int(played.observations.sum()) - int(free[:-1].sum())
    elo, covariance, intransitivity, z = ELO_PER_NAT * nats[:-1], None, None, {}
    if not anchors:
        elo -= elo[rated].mean()
    by_player = dict(zip(table.players, map(float, elo), strict=True))
    by_player.update(anchors)  # to the last bit
    if overall and dof > 0:
        virtual = np.full(len(joint.games) - len(played.games), overall)
        dispersion = np.concatenate([spread, virtual])
        full = np.zeros((count + 1, count + 1))
        full[np.ix_(free, free)] = bradley_terry.sandwich(joint, nats, free, dispersion)
        covariance = ELO_PER_NAT**2 * full[:-1, :-1][np.ix_(rated, rated)]
        if not anchors:
            centring = np.eye(len(covariance)) - 1.0 / len(covariance)
            covariance = centring @ covariance @ centring
        statistic, cycles, residuals = bradley_terry.contradictions(played, nats, free, spread)
        if cycles:
            intransitivity = Intransitivity(statistic, cycles, float(chdtrc(cycles, statistic)))
            pairs = zip(played.candidate, played.baseline, residuals, strict=True)
            z = {(int(i), int(j)): float(r) for i, j, r in pairs if not math.isnan(r)}
    return replace(
        unrated,
        elo=tuple(by_player[p] if p in unrated.rated else None for p in table.players),
        covariance=covariance,
        dof=dof,
        meetings=table.meetings(np.where(rated, nats[:-1], np.nan), z),
        intransitivity=intransitivity,
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """All encounters, those of the same two players taken together."""

    players: tuple[str, ...]
    results: bradley_terry.Results

    @classmethod
    def of(cls, encounters: Iterable[Encounter]) -> _Table:
        players: dict[str, int] = {}
        sums: dict[tuple[int, int], Array] = {}
        for encounter in encounters:
            if encounter.candidate == encounter.baseline:
                raise ValueError(f"{encounter.candidate!r} cannot be rated by games against itself")
            if not encounter.counts.size:
                continue
            baseline, candidate = (
                players.setdefault(player, len(players))
                for player in (encounter.baseline, encounter.candidate)
            )
            flipped = (baseline, candidate) in sums
            key = (baseline, candidate) if flipped else (candidate, baseline)
            sums[key] = sums.get(key, 0.0) + _sums(encounter.counts, flipped)
        table = np.array(list(sums.values())).reshape(-1, 6)
        ends = np.array(list(sums), dtype=np.intp).reshape(-1, 2)
        results = bradley_terry.Results(
            candidate=ends[:, 0],
            baseline=ends[:, 1],
            observations=table[:, 0],
            games=table[:, 1],
            points=table[:, 2],
            squares=table[:, 3:],
        )
        return cls(tuple(players), results)

    def groups(self, anchors: Mapping[str, float], *, strong: bool) -> bradley_terry.Indices:
        """Number the groups of players that are bound together, anchors being so."""
        joined = np.array([self.players.index(player) for player in anchors], dtype=np.intp)
        return bradley_terry.groups(self.results, len(self.players), joined, strong=strong)

    def meetings(
        self, nats: Array, residuals: Mapping[tuple[int, int], float]
    ) -> tuple[Meeting, ...]:
        """Return the meetings; ``nats`` has nan for who has no rating."""
        found = []
        for n, expected in enumerate(self.results.expected(nats)):
            candidate, baseline = int(self.results.candidate[n]), int(self.results.baseline[n])
            found.append(
                Meeting(
                    baseline=self.players[baseline],
                    candidate=self.players[candidate],
                    observations=int(self.results.observations[n]),
                    games=int(self.results.games[n]),
                    points=float(self.results.points[n]),
                    expected=None if math.isnan(expected) else float(expected),
                    z=residuals.get((candidate, baseline)),
                )
            )
        return tuple(found)


def _sums(counts: Outcomes, flipped: bool) -> Array:
    """Observations, games, points, and the three of ``Results.squares``."""
    scores = np.array(counts.scores)[:: -1 if flipped else 1]
    each, numbers = counts.games_each, np.array(counts.counts, dtype=float)
    squares = each**2 * np.array(
        [numbers @ scores**2, -2.0 * (numbers @ scores), float(counts.size)]
    )
    points = each * float(numbers @ scores)
    return np.array([counts.size, counts.games, points, *squares])
