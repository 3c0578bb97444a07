"""The averages of a training run: snapshots taken as they fall due, and the nets they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.averaging import WeightAverage
from swa.checkpoint import pack_average, unpack_average
from swa.net import Net
from swa.refresh import Planes, refresh
from swa.spec import NetSpec
from swa.train_config import AverageSettings

Weights = Mapping[str, NDArray[np.float32]]
Refresh = Callable[[Weights, int], Weights]
"""Weights with batch norm refreshed on so many of the run's fixed positions."""


class AveragedNet(NamedTuple):
    """What an average has come to."""

    settings: AverageSettings
    stale: Net  # with averaged statistics of batch norm
    refreshed: Net | None  # where that is asked for

    @property
    def best(self) -> Net:
        """The one that is written."""
        return self.refreshed or self.stale


class RunAverages:
    """All averages of a run."""

    def __init__(self, settings: Sequence[AverageSettings], refresh_by: Refresh) -> None:
        self._settings = tuple(settings)
        self._averages = {
            average.name: WeightAverage(average.made_rule) for average in self._settings
        }
        self._refresh = refresh_by
        self._made: tuple[int, list[AveragedNet]] = (-1, [])  # by the step, for that is slow

    def are_due(self, step: int) -> bool:
        """Whether any takes a snapshot after a step."""
        return any(average.is_due(step) for average in self._settings)

    def take(self, step: int, weights: Weights) -> None:
        """Give the weights after a step to those that take a snapshot of it."""
        for settings in self._settings:
            if settings.is_due(step):
                self._averages[settings.name] = self._averages[settings.name].add(weights)

    def nets(self, step: int, raw: Net) -> list[AveragedNet]:
        """What the averages that have begun are after a step, in the form of the raw net."""
        if self._made[0] != step:
            begun = [one for one in self._settings if self._averages[one.name].count]
            self._made = step, [self._net(settings, raw) for settings in begun]
        return self._made[1]

    def _net(self, settings: AverageSettings, raw: Net) -> AveragedNet:
        mean = self._averages[settings.name].result()
        rounded = {name: values.astype(np.float32) for name, values in mean.items()}
        stale = _with_weights(raw, rounded, settings.name)
        if not settings.refresh_positions or not raw.spec.batch_norm:
            return AveragedNet(settings, stale, None)
        found = self._refresh(rounded, settings.refresh_positions)
        return AveragedNet(settings, stale, _with_weights(raw, found, f"{settings.name} refreshed"))

    def state(self) -> dict[str, Any]:
        """All of them, for ``restore``."""
        return {name: pack_average(average) for name, average in self._averages.items()}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from a state of averages of the same settings."""
        for name, average in self._averages.items():
            self._averages[name] = unpack_average(average.rule, state[name])
        self._made = -1, []


def _with_weights(net: Net, weights: Weights, name: str) -> Net:
    return replace(net, weights=MappingProxyType(dict(weights)), name=name)


def refresher(spec: NetSpec, positions: Callable[[], Planes], device: str, threads: int) -> Refresh:
    """A refresh of nets of one kind on the first of fixed positions, as ``swa.refresh`` does it.

    ``positions`` reads them, when they are wanted first.
    """
    read = cache(positions)

    def refreshed(weights: Weights, count: int) -> Weights:
        masks, values = read()
        planes = masks[:count], values[:count]
        return refresh(spec, weights, planes, device=device, threads=threads).weights

    return refreshed
