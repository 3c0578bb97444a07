"""The methods to compare with, where closed forms tell what they must give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refresh_reference import PLAIN_NET, SE_NET, random_planes
from tiny_net import calm_weights

from swa.refresh import Method, refresh

WEIGHTS = calm_weights(SE_NET)
MASKS, VALUES = random_planes(50)
DEVICE: dict[str, Any] = {"device": "cpu"}
METHODS: tuple[Method, ...] = ("pooled", "mean-of-batches", "running-average")


def exact(first: int = 0, end: int = 50) -> Any:
    """Exact statistics of the input layer, which sees no other's, of some positions."""
    planes = MASKS[first:end], VALUES[first:end]
    return refresh(SE_NET, WEIGHTS, planes, dtype="float64", **DEVICE).statistics["input.bn"]


def by(method: Method, **more: Any) -> Any:
    settings: dict[str, Any] = {"batch": 20} | DEVICE | more
    planes = settings.pop("planes", (MASKS, VALUES))
    return refresh(SE_NET, WEIGHTS, planes, method=method, **settings)


def unbiased(variance: Any, positions: int) -> Any:
    count = 64 * positions
    return variance * count / (count - 1)


def test_pooled_counts_each_number_alike() -> None:
    found = by("pooled")
    for part, right in zip(found.statistics["input.bn"], exact(), strict=True):
        np.testing.assert_allclose(part, right, rtol=1e-12)
    assert (found.report.method, found.report.positions) == ("pooled", 50)


def test_pooled_over_one_batch_is_exact_in_every_layer() -> None:
    """In training mode a batch norms itself; if it is all there is, that is the refreshed net."""
    one = by("pooled", batch=50).statistics
    right = refresh(SE_NET, WEIGHTS, (MASKS, VALUES), dtype="float64", **DEVICE).statistics
    for name, statistics in right.items():
        for part, exactly in zip(one[name], statistics, strict=True):
            np.testing.assert_allclose(part, exactly, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_each_depends_on_which_positions_stand_together(method: Method) -> None:
    """The reason for the exact one, whose result does not."""
    order = np.argsort(MASKS[:, 0])
    one = by(method).statistics["blocks.1.bn2"].variance
    other = by(method, planes=(MASKS[order], VALUES[order])).statistics["blocks.1.bn2"].variance
    assert np.abs(one / other - 1).max() > 1e-3


def test_batches_count_alike_however_small() -> None:
    found = by("mean-of-batches").statistics["input.bn"]
    parts = [exact(0, 20), exact(20, 40), exact(40, 50)]
    np.testing.assert_allclose(found.mean, np.mean([part.mean for part in parts], 0), rtol=1e-9)
    variances = [unbiased(p.variance, n) for p, n in zip(parts, (20, 20, 10), strict=True)]
    np.testing.assert_allclose(found.variance, np.mean(variances, 0), rtol=1e-9)


def test_the_running_average_keeps_13_percent_of_the_old() -> None:
    """200 batches, all the same: 0.99^200 of what the net came with remains."""
    found = by("running-average", batch=50)
    kept, right = 0.99**200, exact()
    assert found.report.positions == 200 * 50
    for part, new in (("mean", right.mean), ("variance", unbiased(right.variance, 50))):
        expected = kept * WEIGHTS[f"input.bn.{part}"].astype(np.float64) + (1 - kept) * new
        np.testing.assert_allclose(getattr(found.statistics["input.bn"], part), expected, rtol=1e-9)


def test_a_running_average_of_too_few_batches_is_refused() -> None:
    with pytest.raises(ValueError, match="only 3 batches of 200"):
        by("running-average", planes=iter([(MASKS, VALUES)]))


def test_averaged_leaves_the_statistics() -> None:
    found = by("averaged")
    assert all(np.array_equal(WEIGHTS[name], found.weights[name]) for name in WEIGHTS)
    assert found.statistics == {}
    for layer in found.report.layers:
        assert (layer.mean_shift_max, layer.variance_ratio_median) == (0, 1)


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_used_is_refused(method: Method) -> None:
    with pytest.raises(ValueError, match=r"at least one position|only 0 batches"):
        by(method, planes=random_planes(0))
    weights = calm_weights(PLAIN_NET)
    weights["blocks.0.conv1.weight"][0] = np.nan
    with pytest.raises(ValueError, match=r"blocks\.0\.conv1 gives numbers that are not finite"):
        refresh(PLAIN_NET, weights, (MASKS[:20], VALUES[:20]), method=method, **DEVICE)
