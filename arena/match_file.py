"""match.toml: everything that decides a match's games, counts and verdict, and nothing else.

Two runs with the same match.toml play the same games, up to float rounding (facts about the
machine such as the device or the games in flight are in sessions.jsonl). A run is resumed only
where all of it agrees, so a verdict never rests on games of two kinds. Only the limit of pairs may
be raised, and the file then says which it was before.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from arena.adjudication_rules import (
    NO_RULES,
    AdjudicationRules,
    DrawRule,
    ResignRule,
    rule_of,
)
from arena.config import SearchParams
from arena.player_words import OPTION, shown, time_control
from arena.players import AS_LC0, NO_LIMITS, Limits, Reading, Setting
from arena.stats.sprt import Sprt
from swa.files import sync_folder

MATCH_FILE = "match.toml"

Role = Literal["baseline", "candidate"]

FORMAT = 2
"""Of match.toml and games.jsonl; another one is refused. To be raised when their lines mean
something else, and when the same settings would lead to other games (search, planes, order of
openings): no match is gone on with by other rules than it began with."""

NAMES_ONLY = frozenset(
    {
        "openings.file",
        *(f"{kind}.{role}.name" for kind in ("nets", "engines") for role in get_args(Role)),
        *(f"engines.{role}.file" for role in get_args(Role)),
    }
)
"""Keys that may differ: a net, a program or a book that was renamed is still the same."""

LATER = {
    setting.name: setting.default
    for setting in fields(SearchParams)
    if setting.name.startswith(("reuse", "noise", "temp", "mode", "draw", "smart"))
    or setting.name.endswith(("at_root", "own_cpuct_params", "strategy"))
}
"""Settings of the search that came after the format, by name: left out where they are what was done
before."""

LATER_OPENINGS = {"plies": 0, "start": 1, "least_q": 0.0, "most_q": 1.0}
"""The same of the openings."""

EARLIER = "earlier-limits"
"""Key of the limits of pairs that a match had before; left out where there are none."""

PARTS = ("nets", "engines", "openings", "sprt", "tb", "adjudication", "search")
"""Tables of the file, not all of which are in every file."""

HEADER = "# What decides this match; written once by arena, and not to be changed.\n"

Table = dict[str, Any]

_types_of: Callable[[Any], dict[str, Any]] = functools.cache(get_type_hints)
"""Reading annotations takes most of the time that a match.toml takes."""


class LedgerError(Exception):
    """A run folder that cannot be read, written or resumed: what, why, what to do."""


@dataclass(frozen=True, slots=True)
class NetIdentity:
    """A net of the match. Its sha256 decides, how it is read, and what it has of its own.

    The name is only shown.

    ``own``: the settings of its search that differ from the match's, in SearchParams's order.
    """

    role: Role
    name: str
    sha256: str
    own: tuple[tuple[str, Setting], ...] = ()
    limits: Limits = NO_LIMITS
    reading: Reading = AS_LC0

    @property
    def key(self) -> str:
        """What tells it from every other player, in any match of the same conditions."""
        return " ".join([self.sha256, *(f"{k}={v}" for k, v in self.settings.items())])

    @property
    def settings(self) -> dict[str, str]:
        """What it has of its own, as it is written: ``{"visits": "200", "tc": "10+0.1"}``."""
        own = {name.replace("_", "-"): shown(value) for name, value in self.own}
        return self.reading.words | own | self.limits.words

    @property
    def evaluated(self) -> tuple[str, Reading]:
        """What tells its evaluations from those of every other net."""
        return self.sha256, self.reading


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """A UCI engine of the match. All of it decides but the name and its program's file name."""

    role: Role
    name: str
    sha256: str  # of the program
    file: str  # the program's name
    id: str  # what the engine calls itself
    args: tuple[str, ...]
    files: tuple[str, ...]  # "NAME SHA256" of files that its arguments and options name
    options: tuple[str, ...]  # "NAME=VALUE"
    limits: Limits

    @property
    def key(self) -> str:
        """What tells it from every other player."""
        settings = (f"{k}={v}" for k, v in self.settings.items())
        return " ".join([self.sha256, self.id, *self.files, *settings])

    @property
    def settings(self) -> dict[str, str]:
        """How it is run, as it is written: ``{"nodes": "5000", "option.Hash": "16"}``."""
        args = {"args": shlex.join(self.args)} if self.args else {}
        pairs = (option.partition("=") for option in self.options)
        return self.limits.words | args | {f"{OPTION}{name}": value for name, _, value in pairs}


PlayerIdentity = NetIdentity | EngineIdentity


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


@dataclass(frozen=True, slots=True)
class TablesIdentity:
    """The tablebases, by the sha256 of their files' names and sizes, and how they are used."""

    sha256: str
    files: int
    pieces: int  # most on the board
    search: bool  # whether nets search by them
    fast_play: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchIdentity:
    """A match, by all that decides it."""

    nets: tuple[PlayerIdentity, PlayerIdentity]  # baseline, candidate; engines among them
    evaluator: str  # "net", or the stand-in that plays in its place
    dtype: str
    search: SearchParams  # of all nets, but for what a net has of its own
    sprt: Sprt | None  # None: all pairs are played
    pairs: int  # limit
    openings: BookIdentity
    seed: int
    tables: TablesIdentity | None = None
    adjudication: AdjudicationRules = NO_RULES
    earlier_limits: tuple[int, ...] = ()  # of pairs, before they were raised; ascending

    def search_of(self, net: NetIdentity) -> SearchParams:
        """How one of the nets is searched."""
        return replace(self.search, **dict(net.own))  # type: ignore[arg-type]

    @property
    def plain(self) -> bool:
        """Whether two nets play under the same settings, without clocks."""
        return not any(isinstance(net, EngineIdentity) or net.settings for net in self.nets)


def differences(old: MatchIdentity, new: MatchIdentity) -> list[str]:
    """List the settings that are not the same, as ``search.visits: 100 -> 800``.

    That a limit of pairs was another one earlier is no setting.
    """
    before, after = (
        dict(_flat(to_table(replace(identity, earlier_limits=())))) for identity in (old, new)
    )
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
    return text if len(text) < 40 or " " in text else f"{text[:12]}..."


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


def to_toml(table: Table, prefix: str = "") -> str:
    """Spell nested tables of texts, numbers, switches and lists of them as TOML, in their order."""
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


def _toml_value(value: str | bool | float | list[Any]) -> str:
    match value:
        case list():
            return f"[{', '.join(map(_toml_value, value))}]"
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
        **({EARLIER: list(identity.earlier_limits)} if identity.earlier_limits else {}),
        "seed": identity.seed,
        **_players_table(identity),
        "openings": asdict(identity.openings),
    }
    if identity.sprt is not None:
        table["sprt"] = asdict(identity.sprt)
    if identity.tables is not None:
        table["tb"] = asdict(identity.tables)
    if identity.adjudication.any:
        table["adjudication"] = _rules_table(identity.adjudication)
    return _kebab(table | {"search": asdict(identity.search)})


def _players_table(identity: MatchIdentity) -> Table:
    table: Table = {}
    for player in identity.nets:
        values: Table = {"name": player.name, "sha256": player.sha256}
        if isinstance(player, EngineIdentity):
            values |= {"file": player.file, "id": player.id}
            values |= {
                key: list(getattr(player, key))
                for key in ("args", "files", "options")
                if getattr(player, key)
            }
        values |= {
            key: str(value) if key == "tc" else value
            for key, value in asdict(player.limits).items()
            if key in player.limits.words
        }
        if isinstance(player, NetIdentity):
            values |= player.reading.asked
            if player.own:
                values["search"] = dict(player.own)
        kind = "nets" if isinstance(player, NetIdentity) else "engines"
        table.setdefault(kind, {})[player.role] = values
    return table


def _rules_table(rules: AdjudicationRules) -> Table:
    """Spell the rules that there are; draw and resign in the words of their flags."""
    spelled = {"draw": rules.draw, "resign": rules.resign}
    table: Table = {name: str(rule) for name, rule in spelled.items() if rule is not None}
    return table | {"tablebase": rules.tablebase, "maxmoves": rules.maxmoves, "audit": rules.audit}


def _rules(table: object) -> AdjudicationRules:
    if table is None:
        return NO_RULES
    if not isinstance(table, dict):
        raise ValueError("it has no table 'adjudication'")
    rest = {name: value for name, value in table.items() if name not in ("draw", "resign")}
    kinds = {"tablebase": bool, "maxmoves": int, "audit": float}
    return AdjudicationRules(
        draw=rule_of(DrawRule, str(table["draw"]).split()) if "draw" in table else None,
        resign=rule_of(ResignRule, str(table["resign"]).split()) if "resign" in table else None,
        **_checked(rest, kinds, "adjudication"),
    )


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
    parts = {name: table.get(name) for name in PARTS}
    rest = {key: value for key, value in table.items() if key not in {"format", EARLIER, *parts}}
    top = {"evaluator": str, "dtype": str, "pairs": int, "seed": int}
    numbers = _checked(rest, top, "the first table")
    engines = _checked(parts["engines"] or {}, {}, "engines", dict.fromkeys(get_args(Role), dict))
    of_nets = dict.fromkeys((role for role in get_args(Role) if role not in engines), dict)
    nets = _checked(parts["nets"] or ({} if len(engines) == 2 else None), of_nets, "nets")
    baseline, candidate = (
        _engine(role, engines[role]) if role in engines else _net(role, nets[role])
        for role in get_args(Role)
    )
    sprt, tables = parts["sprt"], parts["tb"]
    identity = MatchIdentity(
        nets=(baseline, candidate),
        openings=BookIdentity(
            **_values_of(BookIdentity, _with(LATER_OPENINGS, parts["openings"]), "openings")
        ),
        sprt=None if sprt is None else Sprt(**_values_of(Sprt, sprt, "sprt")),
        tables=None
        if tables is None
        else TablesIdentity(**_values_of(TablesIdentity, tables, "tb")),
        adjudication=_rules(parts["adjudication"]),
        search=SearchParams(**_values_of(SearchParams, _with(LATER, parts["search"]), "search")),
        earlier_limits=_earlier_limits(table.get(EARLIER, []), numbers["pairs"]),
        **numbers,
    )
    for player in identity.nets:
        if isinstance(player, NetIdentity):
            identity.search_of(player)  # or its settings make no sense
    return identity


def _earlier_limits(limits: object, limit: int) -> tuple[int, ...]:
    if isinstance(limits, list) and all(type(earlier) is int for earlier in limits):
        rising = itertools.pairwise((0, *limits, limit))
        if not limits or all(lower < higher for lower, higher in rising):
            return tuple(limits)
    raise ValueError(f"{EARLIER!r} in the first table cannot be {limits!r}")


def _with(later: Table, table: object) -> object:
    return _kebab(dict(later)) | table if isinstance(table, dict) else table


_TEXTS = {"name": str, "sha256": str}
_CLOCKS = {"st": float, "tc": str, "timemargin": int}


def _net(role: Role, table: Table) -> NetIdentity:
    where = f"nets.{role}"
    optional = {**get_type_hints(Reading), **_CLOCKS, "search": dict}
    values = _checked(table, _TEXTS, where, optional)
    reading = Reading(**{name: values.pop(name) for name in Reading._fields if name in values})
    types = _types_of(SearchParams)
    own = _checked(values.pop("search", {}), {}, f"{where}.search", types)
    in_order = tuple((name, own[name]) for name in types if name in own)
    return NetIdentity(role, own=in_order, limits=_limits(values), reading=reading, **values)


def _engine(role: Role, table: Table) -> EngineIdentity:
    lists = dict.fromkeys(("args", "files", "options"), list)
    needed = {**_TEXTS, "file": str, "id": str}
    rest = {**_CLOCKS, "nodes": int, "depth": int, **lists}
    values = _checked(table, needed, f"engines.{role}", rest)
    for name in lists:
        words = values.setdefault(name, [])
        if not all(isinstance(word, str) for word in words):
            raise ValueError(f"{name!r} in engines.{role} must be texts")
        values[name] = tuple(words)
    return EngineIdentity(role, limits=_limits(values), **values)


def _limits(values: Table) -> Limits:
    """Take the limits out of a player's values."""
    found = {name: values.pop(name) for name in _types_of(Limits) if name in values}
    if "tc" in found and (clock := time_control(text := found["tc"])) is None:
        raise ValueError(f"tc {text!r} is no time control")
    return Limits(**(found | ({"tc": clock} if "tc" in found else {})))


def _values_of(kind: type[Any], table: object, where: str) -> Table:
    hints = _types_of(kind)
    return _checked(table, {item.name: hints[item.name] for item in fields(kind)}, where)


def _checked(
    table: object, types: dict[str, Any], where: str, optional: Mapping[str, Any] | None = None
) -> Table:
    """Return a table by field name. ValueError unless it has exactly these keys and types."""
    if not isinstance(table, dict):
        raise ValueError(f"it has no table {where!r}")
    values = {key.replace("-", "_"): value for key, value in table.items()}
    known = {**types, **(optional or {})}
    for name in (values.keys() - known.keys()) | (types.keys() - values.keys()):
        lack = "lacks" if name in types else "has an unknown"
        raise ValueError(f"{where} {lack} {name.replace('_', '-')!r}")
    for name, value in values.items():
        if not _is(value, known[name]):
            raise ValueError(f"{name.replace('_', '-')!r} in {where} cannot be {value!r}")
    return values


def _is(value: object, kind: Any) -> bool:
    if get_args(kind):  # a Literal
        return value in get_args(kind)
    if issubclass(kind, StrEnum):
        return value in tuple(kind)
    return type(value) is kind or (kind is float and type(value) is int)
