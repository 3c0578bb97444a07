"""The Bradley-Terry fit behind ``arena.stats.ratings``: players are indices, ratings are in nats.

N = players, E = meetings of two of them, F = players whose rating is free. A nat of difference is
the odds e : 1, so that the expected score is expit(difference).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit

BORROWED_GAMES = 8.0
"""Weight, in even games, of the whole field's dispersion in that of a single meeting.

Three pairs that happen to end alike show no variance, and a sweep next to none: without this their
ratings would seem to be known exactly. A meeting of 100 even pairs speaks for itself by 96 %.
"""

NO_VARIANCE = 1e-12
"""Of a game's points: what rounding leaves where all results of a meeting are alike."""

LARGEST_STEP = 2.0
"""Of a Newton iteration, in nats: from far away the parabola is no guide."""

CONVERGED = 1e-13
"""Change of a rating, in nats."""

MOST_ITERATIONS = 1000

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Results:
    """Points between players, one entry a meeting; arrays of shape (E,) but for ``squares``.

    ``squares`` (E, 3): the squared deviations of all observations' points from their expectation,
    as the polynomial c0 + c1 p + c2 p^2 in the expected score p.
    """

    candidate: Indices
    baseline: Indices
    observations: Array  # pairs, or single games
    games: Array
    points: Array  # the candidate's
    squares: Array

    def __getitem__(self, chosen: Flags) -> Results:
        return Results(
            self.candidate[chosen],
            self.baseline[chosen],
            self.observations[chosen],
            self.games[chosen],
            self.points[chosen],
            self.squares[chosen],
        )

    def with_field(self, players: Indices, pairs: float, field: int) -> Results:
        """Return them with drawn pairs of each of the players against one more, the field."""
        games = np.full(len(players), 2.0 * pairs)
        return Results(
            np.concatenate([self.candidate, players]),
            np.concatenate([self.baseline, np.full(len(players), field)]),
            np.concatenate([self.observations, games / 2.0]),
            np.concatenate([self.games, games]),
            np.concatenate([self.points, games / 2.0]),
            np.concatenate([self.squares, np.zeros((len(players), 3))]),
        )

    def expected(self, ratings: Array) -> Array:
        """Return the candidate's expected score of each meeting, (E,)."""
        return np.asarray(expit(ratings[self.candidate] - ratings[self.baseline]))

    def squares_about(self, scores: Array) -> Array:
        """Return the sums of squares, (E,), about an expected score of each meeting, (E,)."""
        powers = np.stack([np.ones_like(scores), scores, scores**2], axis=1)
        return np.asarray(np.maximum((self.squares * powers).sum(axis=1), 0.0))

    def design(self, free: Flags) -> Array:
        """Return how each meeting's difference depends on the free ratings, (E, F): -1, 0, 1."""
        rows = np.arange(len(self.games))
        matrix = np.zeros((len(self.games), len(free)))
        matrix[rows, self.candidate] += 1.0
        matrix[rows, self.baseline] -= 1.0
        return matrix[:, free]


def groups(results: Results, players: int, joined: Indices, *, strong: bool) -> Indices:
    """Number each player's group, (N,): the same number where results bind them together.

    ``strong``: where each scored against the other, be it by way of others, which is when the
    likelihood has a maximum at finite differences (Ford, American Mathematical Monthly 64(8),
    1957); else where they met at all. ``joined``: players whose difference is known.
    """
    scored, conceded = results.points > 0.0, results.points < results.games
    if not strong:
        scored = conceded = results.games > 0.0
    edges = np.concatenate(
        [
            np.stack([results.candidate[scored], results.baseline[scored]]),
            np.stack([results.baseline[conceded], results.candidate[conceded]]),
            np.stack([joined, np.roll(joined, 1)]),
        ],
        axis=1,
    )
    graph = coo_array((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(players, players))
    return np.asarray(connected_components(graph, connection="strong")[1], dtype=np.intp)


def maximise(results: Results, start: Array, free: Flags) -> Array:
    """Return the most likely ratings, (N,), by Newton's method; those not free stay as they are.

    The likelihood is concave; it must have a maximum (``groups``). A step is halved until the
    likelihood rises or, where rounding hides that, its gradient falls. Raises LinAlgError where
    the results say nothing to double precision, as between anchors thousands of Elo apart.
    """
    design, ratings = results.design(free), start.copy()

    def look(at: Array) -> tuple[float, Array, float]:
        difference = at[results.candidate] - at[results.baseline]
        lost = results.games - results.points
        value = results.points @ log_expit(difference) + lost @ log_expit(-difference)
        gradient = design.T @ (results.points - results.games * expit(difference))
        return float(value), gradient, float(np.linalg.norm(gradient))

    value, gradient, steepness = look(ratings)
    for _ in range(MOST_ITERATIONS):
        if not free.any():
            break
        step = _solve(curvature(results, ratings, free), gradient)
        largest = float(np.abs(step).max())
        step *= min(1.0, LARGEST_STEP / largest) if largest else 1.0
        while largest > CONVERGED:
            trial = ratings.copy()
            trial[free] += step
            found = look(trial)
            if found[0] > value or found[2] < steepness:
                ratings, (value, gradient, steepness) = trial, found
                break
            step /= 2.0
            largest /= 2.0
        else:
            break
    return ratings


def curvature(results: Results, ratings: Array, free: Flags) -> Array:
    """Return the information of the likelihood on the free ratings, (F, F)."""
    design = results.design(free)
    return np.asarray(design.T @ (binomial_variance(results, ratings)[:, None] * design))


def binomial_variance(results: Results, ratings: Array) -> Array:
    """Return the variance of each meeting's points if games were independent wins or losses."""
    difference = ratings[results.candidate] - ratings[results.baseline]
    return np.asarray(results.games * expit(difference) * expit(-difference))  # 1 - p would cancel


def _solve(matrix: Array, right: Array) -> Array:
    """Solve a positive definite system whose diagonal may span many decades.

    Raises LinAlgError where it is singular but for rounding.
    """
    scale = 1.0 / np.sqrt(np.diag(matrix))
    factor = cho_factor(matrix * np.outer(scale, scale))
    columns = scale if right.ndim == 1 else scale[:, None]
    return np.asarray(columns * cho_solve(factor, columns * right))


def dispersions(played: Results, ratings: Array, free: Flags) -> tuple[Array, float]:
    """Return the variance of points that was seen, relative to the binomial one: (E,) and overall.

    It is 1 where games are independent wins and losses, and less with draws or with openings whose
    advantage both sides have in turn. Each meeting's is mixed with that of all, as if so much had
    been seen in ``BORROWED_GAMES`` even games more of it. Zero where no variance can be told.
    """
    if _says_nothing_of_variance(played, free):
        return np.zeros_like(played.games), 0.0
    binomial = binomial_variance(played, ratings)
    seen = played.squares_about(played.expected(ratings))
    overall = float(seen.sum() / binomial.sum())
    borrowed = BORROWED_GAMES / 4.0  # the binomial variance of so many even games
    return (seen + borrowed * overall) / (binomial + borrowed), overall


def _says_nothing_of_variance(played: Results, free: Flags) -> bool:
    """Whether the ratings can follow all results, and those of each meeting are all alike."""
    within = played.squares_about(played.points / played.games).sum()
    determined = np.linalg.matrix_rank(played.design(free)) == len(played.games)
    return bool(determined and within <= NO_VARIANCE * played.games.sum())


def sandwich(results: Results, ratings: Array, free: Flags, dispersion: Array) -> Array:
    """Return the covariance of the free ratings, (F, F): A^-1 B A^-1."""
    variance = dispersion * binomial_variance(results, ratings)
    spread = np.sqrt(variance)[:, None] * results.design(free)
    half = _solve(curvature(results, ratings, free), spread.T)
    return np.asarray(half @ half.T)


def contradictions(
    played: Results, ratings: Array, free: Flags, dispersion: Array
) -> tuple[float, int, Array]:
    """Test whether differences of ratings can explain all results.

    Returns a statistic that is chi-squared if they can, its degrees of freedom, and the residual
    of each meeting in standard errors, (E,), nan where the ratings can follow whatever it says.

    Linearised at the fit, a meeting's logit is that of its expected score plus its surplus over the
    binomial variance; the residuals are those of generalised least squares on these logits. They do
    not depend on the fit but through the point of linearisation, so neither does the prior matter.
    """
    design = played.design(free)
    design = design[:, design.any(axis=0)]  # the field played none of them
    dof = design.shape[0] - design.shape[1]
    none = np.full(len(played.games), np.nan)
    if not dof:
        return 0.0, 0, none
    binomial = binomial_variance(played, ratings)
    error = np.sqrt(dispersion / binomial)
    surplus = (played.points - played.games * played.expected(ratings)) / binomial
    followed, _ = np.linalg.qr(design / error[:, None])
    residual = surplus / error
    residual -= followed @ (followed.T @ residual)
    spread = 1.0 - (followed**2).sum(axis=1)
    z = np.divide(residual, np.sqrt(np.maximum(spread, 0.0)), out=none, where=spread > 1e-9)
    return float(residual @ residual), dof, z
