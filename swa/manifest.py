"""The manifest beside a built net: all that went into it, and what came out.

It is one JSON object; every class here is an object in it, every field a key of the same name.
``format`` names the version: keys may be added within a version, and readers pass over those that
they do not know. Paths are relative to the manifest's folder, with slashes. There is no time and no
machine's name in it: the same build gives the same manifest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from swa.build_config import BuildError
from swa.net import LayerLoss
from swa.refresh_report import LayerShift

FORMAT = "swa build manifest, version 1"

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class IngredientRecord:
    """A snapshot, in the order given."""

    path: str
    name: str
    sha256: str  # of the file
    training_steps: int | None
    weight: float  # its share: all add up to 1
    rule_weight: float  # as the rule has it, up to a common factor
    licence: str


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """How weights came about."""

    name: str  # "mean", "ema", "lczero", "lawa" or "soup"
    settings: dict[str, Any]  # of the rule's dataclass; a soup's "losses" of each one alone, on
    # "positions" of the held-out games, which have no part in the losses below


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of training records."""

    path: str
    sha256: str
    games: int
    refresh_positions: int
    held_out_positions: int


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The positions of the refresh and of the losses."""

    held_out_below: str  # hexadecimal: games of ``files`` whose hash is below it are held out
    # (the first 8 bytes of the sha256 of the planes of its positions, as records hold them)
    refresh_positions: int
    held_out_positions: int  # 0: losses are of the refresh's positions
    games: int
    truncated: int  # files read as far as they go
    skipped: dict[str, int]  # files left out, by what is wrong with them
    files: tuple[FileRecord, ...]  # in the order in which they are read
    eval_files: tuple[FileRecord, ...]  # of --eval-data: held out, all of them
    refresh_games: int = 0  # that the refresh's positions are of, copies not counted; 0: not told


@dataclass(frozen=True, slots=True)
class RefreshRecord:
    """How batch norm was refreshed, and what that changed."""

    method: str  # "none" for a net without batch norm
    evaluator: str
    device: str
    dtype: str
    threads: int
    positions: int
    layers: tuple[LayerShift, ...]


@dataclass(frozen=True, slots=True)
class ChecksRecord:
    """What the guard found; with ``forced`` a net is written in spite of it."""

    forced: bool
    cosine: float | None  # between the two least alike ingredients, whose names follow
    least_alike: tuple[str, ...]
    barrier: float | None  # nats of the policy, halfway between these two
    barrier_losses: tuple[float, ...]  # at the one, halfway, at the other
    failed: dict[str, str]  # check: reason


@dataclass(frozen=True, slots=True)
class LossRecord:
    """A net's figures on the positions for losses (``swa.evaluation.METRICS`` has definitions)."""

    role: str  # "built", "averaged" (batch norm as averaging left it) or "ingredient"
    name: str
    loss: float  # policy + value: what the guard compares
    metrics: dict[str, float]
    built_minus_this: dict[str, tuple[float | None, ...]]
    # by metric: paired difference and the ends of its 95 % interval; empty for the built net


@dataclass(frozen=True, slots=True)
class LossesRecord:
    """Figures of all nets on the same positions."""

    on: str  # "held-out" or "refresh": whether the refresh saw these positions
    positions: int
    games: int
    policy_entropy: float  # no net's policy loss is less
    policy_uniform: float  # the policy loss of taking all moves as equally likely
    nets: tuple[LossRecord, ...]


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """The file that was written."""

    name: str
    sha256: str
    payload_sha256: str  # of the unpacked bytes: the same under every version of zlib
    bytes: int
    encoding: str
    encoding_asked: str | None  # None: each layer as it was
    licence_asked: str | None  # None: the newest ingredient's
    min_version: str  # oldest lc0 that reads it
    training_steps: int | None
    rounding: tuple[LayerLoss, ...]  # what the encoding did to each layer


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it."""

    format: str
    command: tuple[str, ...]
    output: OutputRecord
    ingredients: tuple[IngredientRecord, ...]
    rule: RuleRecord
    data: DataRecord
    refresh: RefreshRecord
    checks: ChecksRecord
    losses: LossesRecord | None
    versions: dict[str, str]

    def to_json(self) -> str:
        """The file's text. Every number in it is finite."""
        document = json.dumps(asdict(self), indent=1, allow_nan=False, ensure_ascii=False)
        return document + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises BuildError, naming the file and the key, for anything else."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BuildError(f"{path}: cannot read the manifest: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{path}: not a manifest: no JSON ({error})") from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise BuildError(
            f"{path}: not a manifest of this kind: format is {str(found)[:60]!r}\n"
            f"Name the .json beside a net that `swa build` wrote ({FORMAT!r})."
        )
    try:
        return _read(Manifest, document, "")
    except _WrongError as error:
        raise BuildError(f"{path}: {error}\nThe manifest is damaged: restore it.") from error


class _WrongError(ValueError):
    """What is wrong with a value, and at which key."""


def _read(kind: type[Kind], value: Any, where: str) -> Kind:
    """An object as a dataclass; keys that it does not have are passed over."""
    _require(isinstance(value, dict), where, "an object")
    types, found = get_type_hints(kind), {}
    for declared in fields(kind):  # type: ignore[arg-type]
        at = f"{where}.{declared.name}" if where else declared.name
        if declared.name in value:
            found[declared.name] = _as(types[declared.name], value[declared.name], at)
        elif declared.default is MISSING:
            raise _WrongError(f"{at} is missing")
    return kind(**found)


def _as(wanted: Any, value: Any, where: str) -> Any:
    parts = get_args(wanted)
    if get_origin(wanted) is UnionType:
        if value is None and NoneType in parts:
            return None
        return _as(next(part for part in parts if part is not NoneType), value, where)
    if is_dataclass(wanted):
        return _read(wanted, value, where)  # type: ignore[arg-type]
    if get_origin(wanted) is tuple:
        _require(isinstance(value, list), where, "a list")
        return tuple(_as(parts[0], item, f"{where}[{place}]") for place, item in enumerate(value))
    if get_origin(wanted) is dict:
        _require(isinstance(value, dict), where, "an object")
        return {key: _as(parts[1], item, f"{where}.{key}") for key, item in value.items()}
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _require(number and math.isfinite(value), where, "a number")
        return float(value)
    if wanted is not Any:
        _require(type(value) is wanted, where, {int: "a whole number", str: "a text"}.get(wanted))
    return value


def _require(holds: bool, where: str, wanted: str | None) -> None:
    if not holds:
        raise _WrongError(f"{where} must be {wanted or 'true or false'}")


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers: JSON has no others."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
