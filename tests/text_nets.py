"""Text nets as leela-chess and lczero-training wrote them, line after line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from swa.spec import NetSpec

Weights = Mapping[str, NDArray[np.float32]]


def text_net(version: int, spec: NetSpec, weights: Weights) -> bytes:
    """A whole file, without a newline at its end; numbers in full, as of float64."""
    lines = (" ".join(map(str, array.ravel().tolist())) for array in arrays(version, spec, weights))
    return "\n".join([str(version), *lines]).encode()


def early_input(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first convolution with 120 planes; those that lc0 has not hold what is never used."""
    generator = np.random.default_rng(9)
    early = generator.normal(size=(len(weights), 120, 3, 3)).astype(np.float32)
    for board in range(8):
        early[:, 14 * board : 14 * board + 13] = weights[:, 13 * board : 13 * board + 13]
    early[:, 112:118] = weights[:, 104:110]
    return early


def arrays(version: int, spec: NetSpec, weights: Weights) -> Iterator[NDArray[np.float32]]:
    """The lines of a net whose gammas are ones, where a version has none."""

    def normed(conv: str) -> Iterator[NDArray[np.float32]]:
        norm = conv.replace("conv", "bn")
        gamma, beta, mean, variance = (
            weights[f"{norm}.{part}"] for part in ("gamma", "beta", "mean", "variance")
        )
        yield weights[f"{conv}.weight"]
        if version <= 2:
            assert (gamma == 1).all()
            yield (beta * np.sqrt(variance.astype(np.float64) + 1e-5)).astype(np.float32)
        else:
            yield from (gamma, beta)
        yield from (mean, variance)

    def dense(name: str) -> Iterator[NDArray[np.float32]]:
        yield from (weights[f"{name}.weight"], weights[f"{name}.bias"])

    first = normed("input.conv")
    planes = next(first)
    yield early_input(planes) if version == 1 else planes
    yield from first
    for block in range(spec.blocks):
        yield from normed(f"blocks.{block}.conv1")
        yield from normed(f"blocks.{block}.conv2")
        if version >= 3:
            yield from dense(f"blocks.{block}.se.dense1")
            yield from dense(f"blocks.{block}.se.dense2")
    if version == 4:
        yield from normed("policy.conv1")
        yield from dense("policy.conv2")
    else:
        yield from normed("policy.conv")
        yield from dense("policy.dense")
    yield from normed("value.conv")
    yield from dense("value.dense1")
    yield from dense("value.dense2")
