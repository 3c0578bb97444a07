"""Batch norm outside training: its statistics, and folding it into the convolutions it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.spec import BATCH_NORM_EPSILON, NetSpec, norm_of, normed_convolutions

Weights = Mapping[str, NDArray[np.float32]]

DEAD_VARIANCE = 1e-5
"""A channel that varies less is dead: its variance drowns in the batch norm's epsilon."""


class Statistics(NamedTuple):
    """What a batch norm knows of its channels: of the population, not estimates of a larger one."""

    mean: NDArray[np.float64]  # [channels]
    variance: NDArray[np.float64]  # [channels]


def with_statistics(
    weights: Weights, found: Mapping[str, Statistics]
) -> dict[str, NDArray[np.float32]]:
    """The weights with the statistics of the batch norms named in ``found`` in place of theirs."""
    refreshed = dict(weights)
    for norm, statistics in found.items():
        refreshed[f"{norm}.mean"] = statistics.mean.astype(np.float32)
        refreshed[f"{norm}.variance"] = statistics.variance.astype(np.float32)
    return refreshed


def fold(spec: NetSpec, weights: Weights) -> tuple[NetSpec, dict[str, NDArray[np.float32]]]:
    """The same net with every batch norm folded into its convolution, reckoned in float64."""
    folded = dict(weights)
    for convolution in normed_convolutions(spec):
        norm = norm_of(convolution)
        gamma, beta, mean, variance = (
            folded.pop(f"{norm}.{part}").astype(np.float64)
            for part in ("gamma", "beta", "mean", "variance")
        )
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        kernel = folded[f"{convolution}.weight"] * scale[:, None, None, None]
        folded[f"{convolution}.weight"] = kernel.astype(np.float32)
        folded[f"{convolution}.bias"] = (beta - mean * scale).astype(np.float32)
    return replace(spec, batch_norm=False), folded
