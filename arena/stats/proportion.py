"""How often something happens, from how often it was seen to: an exact interval, and Wilson's."""

from __future__ import annotations

import math

from scipy.special import betaincinv, ndtri


def proportion_interval(seen: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval in [0, 1] that covers a probability with at least ``confidence``.

    Its ends are those probabilities at which ``seen`` or more, and ``seen`` or fewer, of ``of``
    independent trials happen half as often as ``1 - confidence``. Nothing seen is not nothing
    there: 0 of n gives 0 to ``1 - ((1 - confidence) / 2) ** (1 / n)``. Raises ValueError for
    counts that cannot be.

    Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated
    in the case of the binomial", Biometrika 26(4), 1934; by quantiles of the beta distribution.
    """
    if not 0 <= seen <= of or not 0.0 < confidence < 1.0:
        raise ValueError(f"{seen} of {of} at confidence {confidence:g}")
    tail = (1.0 - confidence) / 2.0
    low = betaincinv(seen, of - seen + 1, tail) if seen else 0.0
    high = betaincinv(seen + 1, of - seen, 1.0 - tail) if seen < of else 1.0
    return float(low), float(high)


def wilson(share: float, number: float, confidence: float = 0.95) -> list[float]:
    """Return Wilson's interval of a share in [0, 1] of ``number`` observations, whole or not.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22, 1927.
    """
    z = float(ndtri(0.5 + confidence / 2.0))
    centre = (share + z * z / (2.0 * number)) / (1.0 + z * z / number)
    half = z / (1.0 + z * z / number)
    half *= math.sqrt(share * (1.0 - share) / number + (z / (2.0 * number)) ** 2)
    return [max(0.0, centre - half), min(1.0, centre + half)]
