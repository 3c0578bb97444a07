"""What a report tells of a net's file beyond its name and hash: noted when a session begins.

An averaged net does not say in its own file what it was averaged from; the manifest beside it does,
if it is that file's (``swa.manifest``).
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # protobuf and numba take a second to import
    from swa.manifest import Manifest
    from swa.net import Net


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A snapshot that has a share in an averaged net."""

    name: str
    training_steps: int | None
    weight: float  # its share: all add up to 1
    loss: float | None  # policy and value, in nats; None: not measured


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What the refresh changed of a batch norm: fields as ``swa.refresh_report.LayerShift`` has."""

    name: str
    channels: int
    mean_shift_max: float
    mean_shift_rms: float
    variance_ratio_min: float
    variance_ratio_median: float
    variance_ratio_max: float
    dead_before: int
    dead_after: int


@dataclass(frozen=True, slots=True)
class SwaFacts:
    """How a net came about that ``swa build`` made, by its manifest."""

    ingredients: tuple[Ingredient, ...]
    rule: str  # "mean", "ema decay 0.9"
    refresh: str  # how batch norm was refreshed: "exact", "averaged" (not at all), ...
    refresh_positions: int
    losses_on: str | None  # "held-out" or "refresh"; None: no losses were measured
    losses_positions: int
    stale_loss: float | None  # of the average before batch norm was refreshed
    refreshed_loss: float | None  # of the net itself
    layers: tuple[LayerFacts, ...] = ()  # from the input to the heads; none: nothing was refreshed

    @property
    def raw_loss(self) -> float | None:
        """Of the ingredient that was trained longest: what one would use without averaging."""
        longest = max(self.ingredients, key=lambda item: item.training_steps or 0, default=None)
        return longest.loss if longest else None


def swa_facts(net: Net) -> SwaFacts | None:
    """What the manifest beside a net says of it; None where there is none, or it is another's.

    The manifest of ``NET`` is ``NET.json``. One that is damaged says nothing.
    """
    from swa.build_config import BuildError, manifest_of

    path = manifest_of(net.path)
    if not path.is_file():
        return None
    from swa.manifest import read_manifest

    try:
        manifest = read_manifest(path)
    except BuildError:
        return None
    return _facts(manifest) if manifest.output.sha256 == net.sha256 else None


def _facts(manifest: Manifest) -> SwaFacts:
    losses = manifest.losses
    of_role: dict[str, list[float]] = defaultdict(list)
    for found in losses.nets if losses else ():
        of_role[found.role].append(found.loss)
    used = [item for item in manifest.ingredients if item.rule_weight]
    # Those that were used were evaluated, in their order, or none was.
    of_used = of_role["ingredient"] if len(of_role["ingredient"]) == len(used) else ()
    settings = (
        f" {name} {value:g}" if isinstance(value, float) else f" {name} {value}"
        for name, value in manifest.rule.settings.items()
        if isinstance(value, str | int | float)
    )
    return SwaFacts(
        ingredients=tuple(
            Ingredient(item.name, item.training_steps, item.weight, loss)
            for item, loss in itertools.zip_longest(used, of_used)
        ),
        rule=manifest.rule.name + "".join(settings),
        refresh=manifest.refresh.method,
        refresh_positions=manifest.refresh.positions,
        losses_on=losses.on if losses else None,
        losses_positions=losses.positions if losses else 0,
        stale_loss=next(iter(of_role["averaged"]), None),
        refreshed_loss=next(iter(of_role["built"]), None),
        layers=tuple(LayerFacts(**asdict(layer)) for layer in manifest.refresh.layers),
    )


def read_swa_facts(values: object) -> SwaFacts | None:
    """Read facts from their ``asdict``; None from anything else, as they decide nothing."""
    if not isinstance(values, Mapping):
        return None
    try:
        ingredients = tuple(
            Ingredient(
                name=str(item["name"]),
                training_steps=_whole(item["training_steps"]),
                weight=_finite(item["weight"]) or 0.0,
                loss=_finite(item["loss"]),
            )
            for item in values["ingredients"]
        )
        return SwaFacts(
            ingredients=ingredients,
            rule=str(values["rule"]),
            refresh=str(values["refresh"]),
            refresh_positions=_whole(values["refresh_positions"]) or 0,
            losses_on=None if values["losses_on"] is None else str(values["losses_on"]),
            losses_positions=_whole(values["losses_positions"]) or 0,
            stale_loss=_finite(values["stale_loss"]),
            refreshed_loss=_finite(values["refreshed_loss"]),
            layers=tuple(map(_layer, values.get("layers", ()))),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _layer(values: Mapping[str, Any]) -> LayerFacts:
    numbers = {
        field.name: int(values[field.name]) if field.type == "int" else float(values[field.name])
        for field in fields(LayerFacts)
        if field.name != "name"
    }
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"{numbers} are no numbers")
    return LayerFacts(name=str(values["name"]), **numbers)  # type: ignore[arg-type]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _finite(value: Any) -> float | None:
    number = None if value is None else float(value)
    if number is not None and not math.isfinite(number):
        raise ValueError(f"{number} is no number")
    return number
