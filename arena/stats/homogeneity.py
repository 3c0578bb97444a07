"""Whether the parts of a match (machines, sessions of a resumed match) say the same.

All parts play the same two nets from the same openings, so any difference beyond chance is a fault
of one of them: another library, another device, a net that was swapped. The test is fishtest's,
chi-squared of pairs lost, level and won (``util.py:60-211``), with one change: where a part has few
pairs, the law of chi-squared is no guide, and the p-value is that among random tables with the same
totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtri

from arena.stats.pentanomial import Outcomes

LEAST_EXPECTED = 5.0
"""Count that every cell must be expected to have for the law of chi-squared (Cochran, Annals of
Mathematical Statistics 23, 1952)."""

TABLES = 9999
"""Random tables; the least p-value they can give is 1e-4."""

SEED = 0
"""Of the random tables: the same parts always give the same answer."""

CELLS_AT_ONCE = 2_000_000
"""16 MB of them."""

LEAST_P = 1e-300
MOST_P = 1.0 - 1e-9

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Homogeneity:
    """Chi-squared of the parts' pairs lost, level and won.

    ``p_value``: how often parts that differ by chance alone differ as much. ``residuals``: of each
    part, how far it is from all others together, as the normal deviate of a one-sided p-value
    (fishtest's residual z: around 0 and below where it agrees); None where it has no pair.
    ``exact``: the p-values are from random tables, since some counts are too small for the law of
    chi-squared; a residual is then at most 3.7.
    """

    statistic: float
    dof: int
    p_value: float
    residuals: tuple[float | None, ...]
    exact: bool


def homogeneity(parts: Sequence[Outcomes]) -> Homogeneity | None:
    """Test whether parts of a match have the same law.

    None where that is no question: fewer than two parts with any pair, or all pairs alike. With
    ``n`` parts looked at, a residual is remarkable beyond the normal deviate of 0.05 / n.
    """
    table = np.array([_lost_level_won(part) for part in parts]).reshape(-1, 3)
    filled = table.sum(axis=1) > 0
    table = table[np.ix_(filled, table.sum(axis=0) > 0)]
    rows, columns = table.shape
    if rows < 2 or columns < 2:
        return None
    statistic, against_rest = _statistics(table, table)
    dof = (rows - 1) * (columns - 1)
    exact = bool(_expected(table).min() < LEAST_EXPECTED)
    if exact:
        p_value, p_values = _among_random_tables(table, statistic, against_rest)
    else:
        p_value = float(chdtrc(dof, statistic))
        p_values = np.asarray(chdtrc(columns - 1, against_rest))
    z = iter(-ndtri(np.clip(p_values, LEAST_P, MOST_P)))
    return Homogeneity(
        statistic=float(statistic),
        dof=dof,
        p_value=p_value,
        residuals=tuple(float(next(z)) if there else None for there in filled),
        exact=exact,
    )


def _lost_level_won(part: Outcomes) -> tuple[int, int, int]:
    counts, middle = part.counts, len(part.counts) // 2
    return sum(counts[:middle]), counts[middle], sum(counts[middle + 1 :])


def _expected(table: NDArray[np.int_]) -> Array:
    return np.asarray(table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum())


def _statistics(tables: NDArray[np.int_], like: NDArray[np.int_]) -> tuple[Array, Array]:
    """Return chi-squared of tables with the totals of ``like``, and that of each row by the rest.

    Of two rows, the deviations are equal and opposite, so the second needs no table of its own.
    """
    expected = _expected(like)
    rest = expected.sum(axis=0) - expected
    squares = (tables - expected) ** 2
    terms = squares / expected
    return terms.sum(axis=(-2, -1)), (terms + squares / rest).sum(axis=-1)


def _among_random_tables(
    table: NDArray[np.int_], statistic: Array, against_rest: Array
) -> tuple[float, Array]:
    """Return p-values: the share of random tables, this one among them, that deviate as much."""
    slack = 1.0 - 1e-9  # the same table must count as equal, whatever the rounding
    above, rows_above = 1, np.ones(len(table))
    for tables in _random_tables(table):
        each, each_row = _statistics(tables, table)
        above += int((each >= slack * statistic).sum())
        rows_above += (each_row >= slack * against_rest).sum(axis=0)
    return above / (TABLES + 1), rows_above / (TABLES + 2)


def _random_tables(table: NDArray[np.int_]) -> Iterator[NDArray[np.int_]]:
    from scipy.stats import random_table  # takes as long to load as all the rest of a command

    law = random_table(table.sum(axis=1), table.sum(axis=0), seed=SEED)
    batch = max(1, CELLS_AT_ONCE // table.size)
    for start in range(0, TABLES, batch):
        yield np.asarray(law.rvs(min(batch, TABLES - start)), dtype=np.int_)
