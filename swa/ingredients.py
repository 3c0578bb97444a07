"""Nets that are to become one: whether they belong together, and their average as a net.

Two things can be wrong. Nets of different kinds have no average at all: ``check_same_kind``. Nets
of one kind from different runs have one that is worth nothing, since the same filter stands in
another place in each: ``check_same_run`` finds them by the cosine between their convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swa.averaging import shares, weighted_mean
from swa.licence import licence_text, shorten_licence
from swa.net import Net
from swa.spec import UnfitError

SAME_RUN_COSINE = 0.5
"""Between the convolutions of two nets of one run, at the least.

Measured: 0.96 for two snapshots a hundred thousand steps apart (10,000 and 110,000), at most 0.014
in size for 27 pairs of independently trained nets of that kind (6x64, 510,000 weights; chance alone
gives about 1 / sqrt(weights)).
"""

RULES_OF_ORDER = ("ema", "lczero", "lawa")
"""Those that do not treat all snapshots alike."""

_SETTINGS = {
    "se": "the squeeze of SE units",
    "batch_norm": "batch norm apart from the convolutions",
    "moves_left": "moves left head",
    "policies": "policy heads",
    "values": "value heads",
}
_OWNERS = {"attention": "attention body's ", "encoder": "encoder's ", "smolgen": "smolgen's "}


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A net that went into another."""

    path: Path
    sha256: str  # of the file's bytes
    weight: float  # its share: all add up to 1
    training_steps: int | None


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike the two least alike of some nets are."""

    cosine: float  # between their convolution weights, all layers as one vector
    one: Path
    other: Path


@dataclass(frozen=True, slots=True, eq=False)
class AveragedNet:
    """An average, still in memory. Its batch norms hold averaged statistics: they want a refresh.

    ``net`` has the weights in float32 and all else from the ingredient with the most training
    steps (of equal ones the smallest sha256), but for the losses and the accuracy in its training
    parameters, which were measured with other weights, and for the licence: where all ingredients
    that tell one tell the same, it is that.
    """

    net: Net
    ingredients: tuple[Ingredient, ...]  # in the order given, those of weight 0 among them
    similarity: Similarity | None  # None for fewer than two nets


def average_nets(
    nets: Sequence[Net], weights: Sequence[float] | None = None, *, force: bool = False
) -> AveragedNet:
    """The average of nets with given weights, in proportion; without, all alike.

    By parameter name, in float64, rounded to float32 once. The same nets with the same weights in
    another order give the same net, bit for bit. Nets of weight 0 are not looked at.
    Raises NetError, naming the file, for nets of different kinds, and for nets of different runs
    unless ``force``.
    """
    weights = [1.0] * len(nets) if weights is None else list(weights)
    portions = shares(weights, len(nets))
    used = [net for net, share in zip(nets, portions, strict=True) if share]
    check_same_kind(used)
    similarity = check_same_run(used, force=force)
    positive = [weight for weight, share in zip(weights, portions, strict=True) if share]
    mean = weighted_mean([net.weights for net in used], positive)
    rounded = {name: values.astype(np.float32) for name, values in mean.items()}
    for values in rounded.values():
        values.flags.writeable = False
    steps = [-1 if net.training_steps is None else net.training_steps for net in used]
    template = min(zip(steps, used, strict=True), key=lambda pair: (-pair[0], pair[1].sha256))[1]
    average = replace(
        template,
        weights=MappingProxyType(rounded),
        name="average",
        path=Path(),
        sha256="",
        message=_message(template, used),
    )
    ingredients = tuple(
        Ingredient(net.path, net.sha256, share, net.training_steps)
        for net, share in zip(nets, portions, strict=True)
    )
    return AveragedNet(average, ingredients, similarity)


def _message(template: Net, used: Sequence[Net]) -> Any:
    """The template's without what was measured with its own weights, with the common licence."""
    copy: Any = type(template.message)()
    copy.CopyFrom(template.message)
    licences = [net for net in used if licence_text(net.message)]
    if licences and not licence_text(copy):
        told: Any = min(licences, key=lambda net: net.sha256).message
        copy.license = told.license
    if copy.HasField("training_params"):
        for figure in ("mse_loss", "policy_loss", "accuracy"):
            copy.training_params.ClearField(figure)
    return copy


def check_order(rule: str, nets: Sequence[Net]) -> None:
    """Raise UnfitError where a rule counts on snapshots from the oldest to the newest, and has not.

    ``rule`` is a name of ``swa.rules``. A shell sorts by name: 1, 10, 2. Nets that do not tell
    their training steps are passed over.
    """
    if rule not in RULES_OF_ORDER:
        return
    known = [net for net in nets if net.training_steps is not None]
    for one, other in pairwise(known):
        if (one.training_steps or 0) > (other.training_steps or 0):
            raise UnfitError(
                f"has {other.training_steps:,} training steps, the net before it, {one.path.name}, "
                f"{one.training_steps:,}",
                f"For --rule {rule} name nets from the oldest to the newest.",
                str(other.path),
            )


def check_licences(nets: Sequence[Net]) -> None:
    """Raise UnfitError, naming both, where two nets tell different licences.

    What the average of the two is under nobody but the user can say. Those that tell none, as the
    nets of lc0's trainer, go with any.
    """
    told = [(net, text) for net in nets if (text := licence_text(net.message)) is not None]
    for net, text in told[1:]:
        if text != told[0][1]:
            first, other = (shorten_licence(word) for word in (told[0][1], text))
            raise UnfitError(
                f"is under the licence {other!r}, {told[0][0].path} under {first!r}",
                "Say with --licence TEXT what their average is under.",
                str(net.path),
            )


def check_same_kind(nets: Sequence[Net]) -> None:
    """Raise UnfitError, naming file and differences, where a net is of another kind than the first.

    How a file hides beta in biases or leaves out gammas of one is no difference: the reader brings
    all to one form.
    """
    for net in nets[1:]:
        differences = _differences(net.spec, nets[0].spec)
        if differences:
            raise UnfitError(
                f"does not fit {nets[0].path}: {', '.join(differences)}",
                "Only nets of one kind have an average.",
                str(net.path),
            )


def _differences(here: Any, there: Any, prefix: str = "") -> list[str]:
    """What two descriptions say differently, setting by setting."""
    found = []
    for setting in fields(here):
        mine, other = getattr(here, setting.name), getattr(there, setting.name)
        if mine == other:
            continue
        if is_dataclass(mine) and type(mine) is type(other):
            owner = _OWNERS.get(setting.name, f"{setting.name} head ".replace("_", " "))
            found += _differences(mine, other, prefix + owner)
        elif isinstance(mine, tuple) and _said(mine) == _said(other):
            for (name, one), (_, another) in zip(mine, other, strict=True):
                found += _differences(one, another, f"head {name!r} ")
        else:
            word = _SETTINGS.get(setting.name, prefix + setting.name.replace("_", " "))
            found.append(f"{word}: {_said(mine)} instead of {_said(other)}")
    return found


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_dataclass(value):
        return "yes"
    if isinstance(value, tuple):  # of several heads, by name
        return ", ".join(name for name, _ in value) or "one"
    return "no" if value is None else str(value)


def check_same_run(nets: Sequence[Net], *, force: bool = False) -> Similarity | None:
    """The two least alike of nets of one kind. Raises UnfitError below ``SAME_RUN_COSINE``.

    With ``force`` it only says which they are; None for fewer than two nets.
    """
    if len(nets) < 2:
        return None
    found = cosines(nets)
    least = min(combinations(range(len(nets)), 2), key=lambda pair: float(found[pair]))
    one, other = (nets[place] for place in least)
    similarity = Similarity(float(found[least]), one.path, other.path)
    if similarity.cosine < SAME_RUN_COSINE and not force:
        raise UnfitError(
            f"is of another run than {one.path}: the cosine between their {_compared(one)} is "
            f"{similarity.cosine:.3f}, in one run it is above {SAME_RUN_COSINE}",
            "Their average would play like neither. Average snapshots of one run, or add --force.",
            str(other.path),
        )
    return similarity


def _compared(net: Net) -> str:
    return "layers" if net.spec.attention else "convolutions"


def cosines(nets: Sequence[Net]) -> NDArray[np.float64]:
    """The cosine between the convolution weights of every two nets of one kind: [nets, nets].

    All convolutions of a net are one vector, of an attention body with its dense layers, which may
    be all that it has. Two nets whose convolutions are zero are alike.
    """
    products = np.zeros((len(nets), len(nets)))
    for name, array in nets[0].weights.items():
        if array.ndim == 4 or (nets[0].spec.attention and array.ndim == 2):
            rows = np.stack([net.weights[name].astype(np.float64).reshape(-1) for net in nets])
            products += rows @ rows.T
    lengths = np.sqrt(products.diagonal())
    scale = np.outer(lengths, lengths)
    alike = np.equal.outer(lengths, lengths) & (scale == 0)
    return np.where(alike, 1.0, products / np.where(scale == 0, 1.0, scale))
