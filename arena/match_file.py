"""match.toml: everything that decides a match's games, counts and verdict, and nothing else.

Two runs with the same match.toml play the same games, up to float rounding (facts about the
machine such as the device or the games in flight are in sessions.jsonl). A run is resumed only
where all of it agrees, so a verdict never rests on games of two kinds.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from arena.config import SearchParams
from arena.stats.sprt import Sprt

MATCH_FILE = "match.toml"

FORMAT = 2
"""Of match.toml and games.jsonl; another one is refused. To be raised when their lines mean
something else, and when the same settings would lead to other games (search, planes, order of
openings): no match is gone on with by other rules than it began with."""

NAMES_ONLY = frozenset({"nets.baseline.name", "nets.candidate.name", "openings.file"})
"""Keys that may differ: a net or a book that was renamed is still the same."""

LATER = {
    setting.name: setting.default
    for setting in fields(SearchParams)
    if setting.name.startswith(("reuse", "noise", "temp"))
}
"""Settings of the search that came after the format, by name: left out where they are what was done
before."""

LATER_OPENINGS = {"plies": 0, "start": 1, "least_q": 0.0, "most_q": 1.0}
"""The same of the openings."""

HEADER = "# What decides this match; written once by arena, and not to be changed.\n"

Table = dict[str, Any]


class LedgerError(Exception):
    """A run folder that cannot be read, written or resumed: what, why, what to do."""


@dataclass(frozen=True, slots=True)
class NetIdentity:
    """A player of the match. Its sha256 decides; the name is only shown."""

    role: Literal["baseline", "candidate"]
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class BookIdentity:
    """The book of openings. Its sha256 decides; the file's name is only shown."""

    file: str
    sha256: str
    entries: int
    order: Literal["random", "sequential"]
    plies: int = 0  # most moves of an opening that are played; 0: all
    start: int = 1  # number, in the order, of the first that is taken
    least_q: float = 0.0  # |Q| by the baseline's net of those that are taken
    most_q: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchIdentity:
    """A match, by all that decides it."""

    nets: tuple[NetIdentity, NetIdentity]  # baseline, candidate
    evaluator: str  # "net", or the stand-in that plays in its place
    dtype: str
    search: SearchParams
    sprt: Sprt | None  # None: all pairs are played
    pairs: int  # limit
    openings: BookIdentity
    seed: int


def differences(old: MatchIdentity, new: MatchIdentity) -> list[str]:
    """List the settings that are not the same, as ``visits in search: 100 -> 800``."""
    before, after = (dict(_flat(to_table(identity))) for identity in (old, new))
    return [
        f"{key}: {_shown(before.get(key))} -> {_shown(after.get(key))}"
        for key in {**before, **after}
        if before.get(key) != after.get(key) and key not in NAMES_ONLY
    ]


def _flat(table: Table, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _shown(value: object) -> str:
    """Show a setting on a line that has several: of a sha256, what tells it from another."""
    if value is None:
        return "none"
    text = str(value)
    return text if len(text) < 40 else f"{text[:12]}..."


# --- the file ---


def write_identity(folder: Path, identity: MatchIdentity) -> None:
    """Write match.toml: whole, or not at all. Raises LedgerError where that is impossible."""
    path = folder / MATCH_FILE
    temporary = folder / f".{MATCH_FILE}.tmp"
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(HEADER + to_toml(_as_written(identity)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(folder)
        sync_folder(folder.resolve().parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise LedgerError(f"{path}: cannot be written: {reason}") from error


def read_identity(folder: Path) -> MatchIdentity:
    """Read match.toml. Raises LedgerError where there is none, or it is not one of arena's."""
    path = folder / MATCH_FILE
    try:
        return from_table(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        hint = ""
        if next(folder.glob(f"*/{MATCH_FILE}"), None) is not None:
            hint = "\nIt holds run folders: name one of them, or rate them all with arena ratings."
        raise LedgerError(f"{folder}: not a run folder: it has no {MATCH_FILE}{hint}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LedgerError(f"{path}: cannot be read: {reason}") from error
    except ValueError as error:
        raise LedgerError(
            f"{path}: not as arena wrote it: {error}\nRestore it, or choose another folder (--out)."
        ) from None


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: a file whose name is lost is lost with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_toml(table: Table, prefix: str = "") -> str:
    """Spell nested tables of texts, numbers and switches as TOML, in their order."""
    lines = [
        f"{key} = {_toml_value(value)}\n"
        for key, value in table.items()
        if not isinstance(value, dict)
    ]
    if prefix and lines:
        lines.insert(0, f"\n[{prefix.removesuffix('.')}]\n")
    lines += [
        to_toml(value, f"{prefix}{key}.") for key, value in table.items() if isinstance(value, dict)
    ]
    return "".join(lines)


def _toml_value(value: str | bool | float) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # A TOML basic string is a JSON string, but for the delete character, and for half a
            # surrogate pair (how Python shows a file name that is not UTF-8), which is not text.
            text = value.encode("utf-8", "backslashreplace").decode()
            return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return repr(value)


# --- the tables ---


def to_table(identity: MatchIdentity) -> Table:
    """Spell an identity as the nested tables of match.toml, in the order of the file."""
    table: Table = {
        "format": FORMAT,
        "evaluator": identity.evaluator,
        "dtype": identity.dtype,
        "pairs": identity.pairs,
        "seed": identity.seed,
        "nets": {net.role: {"name": net.name, "sha256": net.sha256} for net in identity.nets},
        "openings": asdict(identity.openings),
    }
    if identity.sprt is not None:
        table["sprt"] = asdict(identity.sprt)
    return _kebab(table | {"search": asdict(identity.search)})


def _as_written(identity: MatchIdentity) -> Table:
    """The table of the file, without later settings that are what was done before."""
    table = to_table(identity)
    for part, later in (("search", LATER), ("openings", LATER_OPENINGS)):
        for key, before in _kebab(dict(later)).items():
            if table[part][key] == before:
                del table[part][key]
    return table


def _kebab(table: Table) -> Table:
    return {
        key.replace("_", "-"): _kebab(value) if isinstance(value, dict) else value
        for key, value in table.items()
    }


def from_table(table: Table) -> MatchIdentity:
    """Read what ``to_table`` spells. Raises ValueError for anything else, saying what."""
    version = table.get("format")
    if version != FORMAT:
        raise ValueError(f"its format is {version!r}, this arena reads {FORMAT}")
    parts = {name: table.get(name) for name in ("nets", "openings", "sprt", "search")}
    rest = {key: value for key, value in table.items() if key not in {"format", *parts}}
    top = {"evaluator": str, "dtype": str, "pairs": int, "seed": int}
    nets = _checked(parts["nets"], {"baseline": dict, "candidate": dict}, "nets")
    sprt = parts["sprt"]
    return MatchIdentity(
        nets=(_net("baseline", nets), _net("candidate", nets)),
        openings=BookIdentity(
            **_values_of(BookIdentity, _with(LATER_OPENINGS, parts["openings"]), "openings")
        ),
        sprt=None if sprt is None else Sprt(**_values_of(Sprt, sprt, "sprt")),
        search=SearchParams(**_values_of(SearchParams, _with(LATER, parts["search"]), "search")),
        **_checked(rest, top, "the first table"),
    )


def _with(later: Table, table: object) -> object:
    return _kebab(dict(later)) | table if isinstance(table, dict) else table


def _net(role: Literal["baseline", "candidate"], nets: Table) -> NetIdentity:
    return NetIdentity(role, **_checked(nets[role], {"name": str, "sha256": str}, f"nets.{role}"))


def _values_of(kind: type[Any], table: object, where: str) -> Table:
    hints = get_type_hints(kind)
    return _checked(table, {item.name: hints[item.name] for item in fields(kind)}, where)


def _checked(table: object, types: dict[str, Any], where: str) -> Table:
    """Return a table by field name. ValueError unless it has exactly these keys and types."""
    if not isinstance(table, dict):
        raise ValueError(f"it has no table {where!r}")
    values = {key.replace("-", "_"): value for key, value in table.items()}
    for name in values.keys() ^ types.keys():
        lack = "lacks" if name in types else "has an unknown"
        raise ValueError(f"{where} {lack} {name.replace('_', '-')!r}")
    for name, value in values.items():
        if not _is(value, types[name]):
            raise ValueError(f"{name.replace('_', '-')!r} in {where} cannot be {value!r}")
    return values


def _is(value: object, kind: Any) -> bool:
    if get_args(kind):  # a Literal
        return value in get_args(kind)
    if issubclass(kind, StrEnum):
        return value in tuple(kind)
    return type(value) is kind or (kind is float and type(value) is int)
