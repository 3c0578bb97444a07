"""The manifest beside a built net: all that went into it, and what came out.

It is one JSON object; every class here is an object in it, every field a key of the same name.
``format`` names the version: keys may be added within a version, and readers pass over those that
they do not know. Paths are relative to the manifest's folder, with slashes. There is no time and no
machine's name in it: the same build gives the same manifest.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from swa.averaging import shares
from swa.build_config import MAX_THREADS, BuildError, EncodingName
from swa.licence import encoded_licence
from swa.net import LayerLoss
from swa.refresh import Dtype, Method
from swa.refresh_report import LayerShift
from swa.spec import NetError

FORMAT = "swa build manifest, version 1"

_REMEDY = f"Name the .json beside a net that `swa build` wrote ({FORMAT!r})."

Kind = TypeVar("Kind")


class Wanted(NamedTuple):
    """What a value must be beside its type, for ``Annotated``; a reader refuses any other."""

    holds: Callable[[Any], object]
    words: str


def _one_of(*words: str) -> Wanted:
    return Wanted(words.__contains__, f"one of {', '.join(words)}")


def _is_path(word: str) -> bool:
    try:
        return b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return False


def _is_licence(text: str) -> bool:
    try:
        return bool(encoded_licence(text))
    except NetError:
        return False


def _is_hash_bound(word: str) -> bool:
    return re.fullmatch("[0-9a-f]{1,17}", word) is not None and int(word, 16) <= 2**64


Sha256 = Annotated[str, Wanted(re.compile("[0-9a-f]{64}").fullmatch, "64 hexadecimal digits")]
FilePath = Annotated[str, Wanted(_is_path, "a path")]
HashBound = Annotated[str, Wanted(_is_hash_bound, "a hexadecimal number up to 2^64")]
_THREADS = f"from 1 to {MAX_THREADS}"
Share = Annotated[float, Wanted(lambda share: 0 <= share <= 1, "from 0 to 1")]


@dataclass(frozen=True, slots=True)
class IngredientRecord:
    """A snapshot, in the order given."""

    path: FilePath
    name: str
    sha256: Sha256  # of the file
    training_steps: int | None
    weight: Share  # its share: all add up to 1
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

    path: FilePath
    sha256: Sha256
    games: int
    refresh_positions: int
    held_out_positions: int


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The positions of the refresh and of the losses."""

    held_out_below: HashBound  # games of ``files`` whose hash is below it are held out
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

    method: Annotated[str, _one_of(*get_args(Method), "none")]  # "none": there is no batch norm
    evaluator: str
    device: Annotated[str, Wanted(lambda word: word.isascii() and word.isprintable(), "a device")]
    dtype: Annotated[str, _one_of(*get_args(Dtype))]
    threads: Annotated[int, Wanted(range(1, MAX_THREADS + 1).__contains__, _THREADS)]
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
    sha256: Sha256
    payload_sha256: Sha256  # of the unpacked bytes: the same under every version of zlib
    bytes: int
    encoding: str
    encoding_asked: (
        Annotated[str, _one_of(*get_args(EncodingName))] | None
    )  # None: each layer as it was
    licence_asked: (
        Annotated[str, Wanted(_is_licence, "a text in UTF-8")] | None
    )  # None: what the ingredients tell
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
        """The file's text, in ASCII: a path need not be UTF-8. Every number in it is finite."""
        document = json.dumps(asdict(self), indent=1, allow_nan=False)
        return document + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises BuildError, naming the file and the key, for anything else."""
    try:
        document = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BuildError(f"{path}: cannot read the manifest: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{path}: not a manifest: no JSON ({error})\n{_REMEDY}") from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise BuildError(
            f"{path}: not a manifest of this kind: format is {str(found)[:60]!r}\n{_REMEDY}"
        )
    try:
        manifest = _read(Manifest, document, "")
        _check_together(manifest)
    except _WrongError as error:
        raise damaged(path, str(error)) from error
    return manifest


def damaged(path: Path, reason: str) -> BuildError:
    """What is said of a manifest that no build has written."""
    return BuildError(f"{path}: {reason}\nThe manifest is damaged: restore it.")


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _check_together(manifest: Manifest) -> None:
    """Raise _WrongError for values that do not go with each other."""
    data, weights = manifest.data, [item.rule_weight for item in manifest.ingredients]
    try:
        portions = shares(weights, len(weights))
    except NetError as error:
        raise _WrongError(f"the ingredients' rule_weight: {error.reason}") from error
    for place, (item, portion) in enumerate(zip(manifest.ingredients, portions, strict=True)):
        same = math.isclose(item.weight, portion, rel_tol=1e-9)
        _require(same, f"ingredients[{place}].weight", f"{portion:.6g}, its share by rule_weight")
    everything = (*data.files, *data.eval_files)
    for name, files in (
        ("refresh_positions", data.files),
        ("held_out_positions", everything),
        ("games", everything),
    ):
        total = sum(getattr(file, name) for file in files)
        _require(getattr(data, name) == total, f"data.{name}", f"{total}, the sum of its files'")
    _require(data.refresh_positions > 0, "data.refresh_positions", "1 at the least")
    try:
        manifest.to_json()
    except (ValueError, RecursionError):  # in settings of a rule, which may be anything
        raise _WrongError("rule.settings must be numbers and texts") from None


class _WrongError(ValueError):
    """What is wrong with a value, and at which key."""


def _read(kind: type[Kind], value: Any, where: str) -> Kind:
    """An object as a dataclass; keys that it does not have are passed over."""
    _require(isinstance(value, dict), where, "an object")
    types, found = _types(kind), {}  # type: ignore[arg-type]
    for declared in fields(kind):  # type: ignore[arg-type]
        at = f"{where}.{declared.name}" if where else declared.name
        if declared.name in value:
            found[declared.name] = _as(types[declared.name], value[declared.name], at)
        elif declared.default is MISSING:
            raise _WrongError(f"{at} is missing")
    return kind(**found)


@functools.cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _as(wanted: Any, value: Any, where: str) -> Any:
    parts = get_args(wanted)
    if get_origin(wanted) is Annotated:
        found = _as(parts[0], value, where)
        _require(parts[1].holds(found), where, parts[1].words)
        return found
    if get_origin(wanted) in (Union, UnionType):
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
        _require(type(value) in (int, float), where, "a number")
        _require(abs(value) <= sys.float_info.max, where, "a finite number")
        return float(value)
    if wanted is int:
        _require(type(value) is int and 0 <= value < 2**63, where, "a whole number from 0")
    elif wanted is not Any:
        _require(type(value) is wanted, where, "a text" if wanted is str else "true or false")
    return value


def _require(holds: object, where: str, wanted: str) -> None:
    if not holds:
        raise _WrongError(f"{where} must be {wanted}")


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers: JSON has no others."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
