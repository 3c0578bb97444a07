"""How players are written: ``--net "path=swa.pb visits=200"``, ``--engine "cmd=stockfish tc=10"``.

The keys are fastchess's and cutechess's, and for nets the settings of the search. A configuration
file has the same keys in tables, ``[[players]]``.
"""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from arena.config import ConfigError, SearchParams
from arena.players import EnginePlayer, Entrant, Limits, NetPlayer, Reading, Setting, TimeControl
from swa.net_names import within

OPTION = "option."
"""Before the name of an engine's own option."""

_LIMITS = {"nodes": int, "depth": int, "st": float, "tc": TimeControl, "timemargin": int}
_CLOCKS = ("st", "tc", "timemargin")
_READING = {name.replace("_", "-"): wanted for name, wanted in get_type_hints(Reading).items()}
_ENGINE_KEYS = ("cmd", "name", "dir", "args", *_LIMITS)
_SWITCH = {"true": True, "on": True, "false": False, "off": False}

_MEANT = {
    "net": {"nodes": "visits", "playouts": "visits", "weights": "path", "file": "path"},
    "engine": {"plies": "depth", "visits": "nodes", "command": "cmd", "path": "cmd"},
}
"""What other programs call it, or the other kind of player."""

_CLOCK = re.compile(
    r"(?:(?P<moves>\d+)/)?(?:(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)"
    r"(?:\+(?P<increment>\d+(?:\.\d*)?|\.\d+))?"
)


def parse_net(words: Sequence[str], folder: Path | None = None) -> NetPlayer:
    """Return the net of one ``--net``, written as KEY=VALUE.

    ``words``: the settings, or a single word that is quoted as in a shell and has all of them. A
    relative path is taken from ``folder`` if one is given. Raises ConfigError, naming the setting
    and what was probably meant.
    """
    return read_net(_pairs(words, "--net"), "--net", folder)


def parse_engine(words: Sequence[str], folder: Path | None = None) -> EnginePlayer:
    """Return the engine of one ``--engine``, as ``parse_net`` does for nets."""
    return read_engine(_pairs(words, "--engine"), "--engine", folder)


def read_table(table: object, where: str, folder: Path) -> Entrant:
    """Return the player of one table of a configuration file.

    One with ``path`` is a net, one with ``cmd`` an engine, whose ``option`` may be a table. Raises
    ConfigError that begins with ``where``.
    """
    if not isinstance(table, dict):
        raise ConfigError(f'{where}: must be a table, such as {{path = "swa.pb", visits = 200}}')
    flat: dict[str, str] = {}
    for key, value in table.items():
        inner = value if isinstance(value, dict) and key == "option" else None
        for name, item in (
            ((f"{OPTION}{n}", v) for n, v in inner.items()) if inner else [(key, value)]
        ):
            flat[name] = _as_word(item, name, where)
    if ("path" in flat) == ("cmd" in flat):
        raise ConfigError(f"{where}: must have either a net's path or an engine's cmd")
    return (read_net if "path" in flat else read_engine)(flat, where, folder)


def _as_word(value: object, key: str, where: str) -> str:
    """Return a TOML value as it is written on a command line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return repr(value)
        case list() if key == "args" and all(isinstance(word, str) for word in value):
            return shlex.join(value)
    raise ConfigError(f"{where}: {key}: must be a text, a number, or true or false")


def _pairs(words: Sequence[str], flag: str) -> dict[str, str]:
    """Split settings KEY=VALUE; a shell has split several words already."""
    if len(words) == 1:
        try:
            words = shlex.split(words[0])
        except ValueError as error:  # a quotation mark without its other one
            raise ConfigError(f"{flag} {words[0]}: {str(error).lower()}") from None
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"{flag}: {word!r} is not KEY=VALUE\n"
                "Put what has spaces in quotation marks; nets without settings go to --nets."
            )
        if key in pairs:
            raise ConfigError(f"{flag}: {key} is there twice")
        pairs[key] = value
    return pairs


# --- nets ---


def _search_types() -> dict[str, Any]:
    """The settings of the search by key, with their types."""
    hints = get_type_hints(SearchParams)
    return {setting.name.replace("_", "-"): hints[setting.name] for setting in fields(SearchParams)}


def read_net(pairs: Mapping[str, str], where: str, folder: Path | None = None) -> NetPlayer:
    """Return the net of these settings. Raises ConfigError that begins with ``where``."""
    types = _search_types()
    known = ("path", "name", *_READING, *_CLOCKS, *types)
    _refuse_unknown(pairs, known, where, "net")
    if not pairs.get("path"):
        raise ConfigError(f"{where}: a net needs its file: path=NET")
    where = f"{where} {pairs['path']}"
    own = {
        key.replace("-", "_"): _value(types[key], pairs[key], f"{where}: {key}")
        for key in types
        if key in pairs
    }
    try:
        SearchParams(**own)
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).removeprefix('--')}") from None
    path = within(folder, pairs["path"]) if folder is not None else Path(pairs["path"])
    limits = _limits(pairs, where)
    return NetPlayer(
        path=path,
        name=_name(pairs, where),
        reading=_reading(pairs, where),
        own=tuple(own.items()),
        limits=limits,
    )


def lone_net(word: str, folder: Path | None = None, where: str = "--net") -> NetPlayer:
    """Return the net that ``word`` names where one net is wanted and no opponent.

    The word is a path, or settings as for ``parse_net``, of which only those of ``Reading`` can be
    there: what else there is has flags of its own. Raises ConfigError that begins with ``where``.
    """
    if not word.startswith("path="):
        return NetPlayer(path=within(folder, word) if folder is not None else Path(word))
    pairs = _pairs([word], where)
    for key in pairs:
        if key in _search_types():
            raise ConfigError(f"{where}: {key}: with one net this is a flag: --{key}")
    _refuse_unknown(pairs, ("path", *_READING), where, "net")
    return read_net(pairs, where, folder)


def _reading(pairs: Mapping[str, str], where: str) -> Reading:
    values = {
        key.replace("-", "_"): _value(wanted, pairs[key], f"{where}: {key}")
        for key, wanted in _READING.items()
        if key in pairs
    }
    for name, value in values.items():
        if isinstance(value, str) and not re.fullmatch(r"[\w.-]+", value):
            raise ConfigError(f"{where}: {name.replace('_', '-')}: {value!r} is no name of a head")
    return Reading(**values)


# --- engines ---


def read_engine(pairs: Mapping[str, str], where: str, folder: Path | None = None) -> EnginePlayer:
    """Return the engine of these settings. Raises ConfigError that begins with ``where``."""
    plain = {key: value for key, value in pairs.items() if not key.startswith(OPTION)}
    _refuse_unknown(plain, (*_ENGINE_KEYS, f"{OPTION}NAME"), where, "engine")
    command = plain.get("cmd")
    if not command:
        raise ConfigError(f"{where}: an engine needs its program: cmd=PROGRAM")
    where = f"{where} {command}"
    try:
        args = tuple(shlex.split(plain.get("args", "")))
    except ValueError as error:
        raise ConfigError(f"{where}: args: {str(error).lower()}") from None
    limits = _limits(plain, where)
    if not {"nodes", "depth", "st", "tc"} & limits.words.keys():
        raise ConfigError(
            f"{where}: how long may it think?\n"
            "Give nodes=N, depth=PLIES, st=SECONDS a move or tc=MOVES/SECONDS+INCREMENT."
        )
    directory = None
    if "dir" in plain:
        try:
            directory = (folder or Path()) / Path(plain["dir"]).expanduser()
        except RuntimeError:  # ~somebody, and there is nobody of that name
            raise ConfigError(f"{where}: dir: {plain['dir']}: no such home folder") from None
    if folder is not None and "/" in command:
        command = str(folder / Path(command).expanduser())
    return EnginePlayer(
        command=command,
        args=args,
        directory=directory,
        name=_name(plain, where),
        options=tuple(_engine_options(pairs, where)),
        limits=limits,
    )


def _engine_options(pairs: Mapping[str, str], where: str) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for key, value in pairs.items():
        if not key.startswith(OPTION):
            continue
        name = key.removeprefix(OPTION)
        if not name or "\n" in name + value or "\r" in name + value:
            raise ConfigError(f"{where}: {key}: must be option.NAME=VALUE, on one line")
        if name.lower() in seen:  # UCI: names are not case sensitive
            raise ConfigError(f"{where}: {key} is there twice")
        seen.add(name.lower())
        yield name, value


# --- both ---


def _refuse_unknown(pairs: Iterable[str], known: Sequence[str], where: str, kind: str) -> None:
    for key in pairs:
        if key in known:
            continue
        close = [_MEANT[kind][key]] if key in _MEANT[kind] else []
        close = close or difflib.get_close_matches(key.replace("_", "-"), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if kind == "engine" and not close:
            hint = f"; an option of the engine itself is {OPTION}{key}"
        raise ConfigError(f"{where}: unknown setting {key!r} of {_A[kind]}{hint}")


_A = {"net": "a net", "engine": "an engine"}


def _name(pairs: Mapping[str, str], where: str) -> str | None:
    name = pairs.get("name")
    if name is not None and (not name.strip() or not name.isprintable()):
        raise ConfigError(f"{where}: name: must be a text that can be printed")
    return name


def _limits(pairs: Mapping[str, str], where: str) -> Limits:
    values = {
        key: _value(kind, pairs[key], f"{where}: {key}")
        for key, kind in _LIMITS.items()
        if key in pairs
    }
    try:
        return Limits(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _value(wanted: Any, text: str, where: str) -> Any:
    """Return a setting's value as what it is wanted to be."""
    if NoneType in get_args(wanted):
        wanted = next(part for part in get_args(wanted) if part is not NoneType)
    if get_origin(wanted) is Literal:
        if text in get_args(wanted):
            return text
        raise ConfigError(f"{where}: must be one of {', '.join(get_args(wanted))}, not {text!r}")
    read, what = _READERS[wanted]
    value = read(text)
    if value is None:
        raise ConfigError(f"{where}: must be {what}, not {text!r}")
    return value


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def time_control(text: str) -> TimeControl | None:
    """Read ``[MOVES/][MINUTES:]SECONDS[+INCREMENT]``; None for anything else."""
    match = _CLOCK.fullmatch(text)
    if match is None or len(text) > 40:
        return None
    seconds = 60.0 * int(match["minutes"] or 0) + float(match["seconds"])
    return TimeControl(seconds, float(match["increment"] or 0.0), int(match["moves"] or 0))


_READERS: dict[Any, tuple[Callable[[str], Setting | TimeControl | None], str]] = {
    int: (_whole, "a whole number"),
    float: (_number, "a number"),
    bool: (lambda text: _SWITCH.get(text), "true or false"),
    str: (lambda text: text, "a text"),
    TimeControl: (time_control, "[MOVES/][MINUTES:]SECONDS[+INCREMENT], such as 40/60+0.6"),
}


# --- the way back ---


def words_of(player: Entrant) -> list[str]:
    """Return the flag and the one word that ask for this player."""
    pairs: dict[str, str] = {}
    match player:
        case NetPlayer():
            pairs["path"] = str(player.path)
            pairs |= player.reading.words
            settings = {key.replace("_", "-"): shown(value) for key, value in player.own}
        case EnginePlayer():
            pairs["cmd"] = player.command
            if player.args:
                pairs["args"] = shlex.join(player.args)
            if player.directory is not None:
                pairs["dir"] = str(player.directory)
            settings = {f"{OPTION}{name}": value for name, value in player.options}
    if player.name is not None:
        pairs["name"] = player.name
    pairs |= player.limits.words | settings
    flag = "--net" if isinstance(player, NetPlayer) else "--engine"
    return [flag, shlex.join(f"{key}={value}" for key, value in pairs.items())]


def shown(value: Setting) -> str:
    """Return a setting's value as it is written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
