"""Settings as people give them: defaults, then TOML files, then flags; each is declared once.

A field of ``MatchConfig`` or ``SearchParams`` is a flag and, in kebab case, a key of a
configuration file. Both are made from the field itself, so that none can be forgotten and no help
can be out of date.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from arena.adjudication_rules import DrawRule, ResignRule, rule_of, rule_of_table
from arena.config import ConfigError, MatchConfig, Part
from arena.player_words import lone_net, parse_engine, parse_net, read_table
from arena.players import EnginePlayer, Entrant, NetPlayer
from swa.cores import usable_cores
from swa.net_names import within

PROJECT_FILE = Path("pyproject.toml")
"""Its table ``[tool.arena]`` holds a project's own defaults."""

GROUPS = (
    "nets",
    "games",
    "match length",
    "openings",
    "adjudication",
    "search",
    "device",
    "output",
)
"""Of the help, in its order."""

LINEUP = "lineup"
"""Of a parsed namespace: ``--nets``, ``--net`` and ``--engine`` in the order of the command line,
each as (flag, values)."""

_PLAYERS = tuple[Entrant, ...]
"""The type of an option that is spelled as ``--net`` and ``--engine``."""

_ENGINE_HELP = (
    "a UCI engine, in quotation marks: cmd=PROGRAM [args=... dir=DIR name=TEXT option.NAME=VALUE] "
    "and how long it thinks: nodes=, depth=, st=SECONDS or tc=MOVES/SECONDS+INCREMENT "
    "[timemargin=MS]; of all that are named the first is the baseline"
)

_RULES = (DrawRule, ResignRule)
"""Types of options that are spelled as words, each KEY=VALUE."""

Config = TypeVar("Config")
"""``MatchConfig``, ``SearchParams`` or another dataclass whose fields are options."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as its field declares it: a flag, and a key of a configuration file."""

    name: str
    value_type: Any  # of a value that is not None
    default: Any
    optional: bool  # may be None
    help: str
    metavar: str | None
    group: str

    @property
    def key(self) -> str:
        """The name in kebab case."""
        return self.name.replace("_", "-")

    @property
    def off_key(self) -> str | None:
        """``no-NAME``, which switches off what is on by default or can be."""
        is_test = self.optional and self.default is not None
        return f"no-{self.key}" if self.value_type is bool or is_test else None

    @property
    def off_value(self) -> bool | None:
        """What ``no-NAME`` stands for."""
        return False if self.value_type is bool else None


def options(config: type) -> Iterator[Option]:
    """Yield the options of a dataclass; those of dataclasses in its fields are among them."""
    types = get_type_hints(config)
    for declared in fields(config):
        declared_type = types[declared.name]
        if _is_config(declared_type):
            yield from options(declared_type)
            continue
        optional = NoneType in get_args(declared_type)
        if optional:
            declared_type = next(part for part in get_args(declared_type) if part is not NoneType)
        yield Option(declared.name, declared_type, declared.default, optional, **declared.metadata)


def _is_config(declared_type: Any) -> bool:
    return isinstance(declared_type, type) and is_dataclass(declared_type)


def add_flags(
    parser: argparse.ArgumentParser, config: type = MatchConfig
) -> dict[str, argparse._ArgumentGroup]:
    """Give a parser ``--config`` and a flag for each option; returns the help's groups by title.

    A flag that is not used leaves no trace in the parsed namespace: ``load_config`` can then tell
    it from one that repeats the default.
    """
    settings = list(options(config))
    present = {setting.group for setting in settings}
    groups = {title: parser.add_argument_group(title) for title in GROUPS if title in present}
    for setting in settings:
        _add_flag(groups[setting.group], setting)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="take settings from a file: keys are the flags without --, the flags given here win",
    )
    return groups


class _Named(argparse.Action):
    """A flag that names players; who comes first on the command line is the baseline."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        flag = self.option_strings[0]
        if flag == "--nets":
            namespace.nets = values
        setattr(namespace, LINEUP, [*getattr(namespace, LINEUP, ()), (flag, values)])


def _add_player_flags(group: argparse._ArgumentGroup, setting: Option) -> None:
    for flag, text in (("--net", setting.help), ("--engine", _ENGINE_HELP)):
        group.add_argument(
            flag,
            nargs="+",
            action=_Named,
            dest=LINEUP,
            default=argparse.SUPPRESS,
            metavar=setting.metavar,
            help=text,
        )


def _add_flag(group: argparse._ArgumentGroup, setting: Option) -> None:
    if setting.value_type == _PLAYERS:
        _add_player_flags(group, setting)
        return
    arguments: dict[str, Any] = {
        "dest": setting.name,
        "default": argparse.SUPPRESS,
        "help": _help(setting),
    }
    flags = group.add_mutually_exclusive_group() if setting.off_key else group
    wanted = setting.value_type
    if get_origin(wanted) is Literal:
        flags.add_argument(f"--{setting.key}", choices=get_args(wanted), **arguments)
    elif wanted is bool:
        flags.add_argument(f"--{setting.key}", action="store_true", **arguments)
    elif wanted in _RULES:
        flags.add_argument(
            f"--{setting.key}",
            nargs="*",
            action=_RuleFlag,
            const=wanted,
            metavar=setting.metavar,
            **arguments,
        )
    elif get_origin(wanted) is tuple:
        item, *others = get_args(wanted)
        parts = "+" if others == [...] else 1 + len(others)
        words = tuple((setting.metavar or "").split())
        flags.add_argument(
            f"--{setting.key}",
            type=_FLAG_VALUES[item],
            nargs=parts,
            metavar=words if len(words) > 1 else setting.metavar,
            action=_Named if setting.key == "nets" else "store",
            **arguments,
        )
    else:
        flags.add_argument(
            f"--{setting.key}", type=_FLAG_VALUES[wanted], metavar=setting.metavar, **arguments
        )
    if setting.off_key:
        flags.add_argument(
            f"--{setting.off_key}",
            dest=setting.name,
            action="store_const",
            const=setting.off_value,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS if wanted is bool else f"do without --{setting.key}",
        )


class _RuleFlag(argparse.Action):
    """A flag whose words spell a rule; without any the rule has its defaults."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            # A shell passes words in quotation marks on as one.
            rule = rule_of(self.const, " ".join(values).split())
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        setattr(namespace, self.dest, rule)


def _help(setting: Option) -> str:
    """Return the field's help with its default; argparse reads ``%`` as a format's beginning."""
    text = setting.help.replace("%", "%%")
    match setting.default:
        case None | ():
            return text
        case bool():
            state = "on" if setting.default else "off"
            return f"{text} (default: {state}; --{setting.off_key})"
        case tuple():
            return f"{text} (default: {' '.join(f'{part:g}' for part in setting.default)})"
        case float():
            return f"{text} (default: {setting.default:g})"
        case _:
            return f"{text} (default: {setting.default})"


def whole_number(text: str) -> int:
    """Return the number that a flag was given, for argparse; ArgumentTypeError says what is not."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def finite_number(text: str) -> float:
    """Return the number that a flag was given, for argparse; infinity and nan are none."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def part_of_match(text: str) -> Part:
    """Return the part that a flag was given, for argparse."""
    try:
        return Part.parse(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def net_alone(text: str) -> NetPlayer:
    """Return the net that a flag was given, for argparse."""
    try:
        return lone_net(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("--net: ")) from None


_FLAG_VALUES: dict[Any, Callable[[str], Any]] = {
    int: whole_number,
    float: finite_number,
    Path: Path,
    Part: part_of_match,
    NetPlayer: net_alone,
}


# --- defaults < [tool.arena] < --config < flags ---


def load_config(
    config: type[Config], flags: argparse.Namespace, project_file: Path = PROJECT_FILE
) -> Config:
    """Put a config together from its defaults, two files and the flags that were given.

    Paths in a file are relative to its folder. Its keys may be those of a match, whatever part of
    them ``config`` has: one file serves all commands.

    Raises ConfigError for a file that cannot be read, a key that does not exist, a value of the
    wrong kind, or settings that contradict each other.
    """
    settings = {
        setting.name: setting for setting in itertools.chain(options(MatchConfig), options(config))
    }
    given = vars(flags)
    sources = [_keys_of(_project_table(project_file), settings, project_file)]
    config_file: Path | None = given.get("config")
    if config_file is not None:
        sources.append(_keys_of(read_toml(config_file), settings, config_file))
    of_flags = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if name in settings
    }
    sources.append(of_flags | _lineup_of(given.get(LINEUP, ())))
    values: dict[str, Any] = {}
    for source in sources:
        if source.keys() & {"nets", "players"}:  # whoever names players names all of them
            values = {k: value for k, value in values.items() if k not in ("nets", "players")}
        values |= source
    if config is MatchConfig and any(
        isinstance(player, EnginePlayer) for player in values.get("players", ())
    ):
        values.setdefault("parallel", usable_cores())  # each game has a process of the engine
    return _assemble(config, values)


def read_match_table(table: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """Return the settings of a match that a table of a configuration file gives, by option name.

    Relative paths are taken from ``folder``. Raises ConfigError that begins with ``where`` for a
    key that does not exist or a value of the wrong kind.
    """
    return _read_keys(table, {one.name: one for one in options(MatchConfig)}, where, folder)


def match_of(values: Mapping[str, Any]) -> MatchConfig:
    """Put a match together from settings by option name, those of the search among them.

    Raises ConfigError where they contradict each other.
    """
    return _assemble(MatchConfig, values)


def settings_of(config: MatchConfig) -> dict[str, Any]:
    """Return all settings of a match by option name, those of the search among them."""
    return {
        one.name: getattr(config if hasattr(config, one.name) else config.search, one.name)
        for one in options(MatchConfig)
    }


def _lineup_of(named: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the players that flags named, in place of ``nets`` unless ``--nets`` named all."""
    players: list[Entrant] = []
    for flag, words in named:
        if flag == "--nets":
            players += (NetPlayer(path=path) for path in words)
        else:
            players.append(parse_net(words) if flag == "--net" else parse_engine(words))
    if all(flag == "--nets" for flag, _ in named):
        return {}
    return {"nets": (), "players": tuple(players)}


def _assemble(config: type[Config], values: Mapping[str, Any]) -> Config:
    types = get_type_hints(config)
    arguments = {
        name: _assemble(declared_type, values) if _is_config(declared_type) else values[name]
        for name, declared_type in types.items()
        if _is_config(declared_type) or name in values
    }
    return config(**arguments)


def _project_table(project_file: Path) -> Mapping[str, Any]:
    if not project_file.is_file():
        return {}
    table = read_toml(project_file).get("tool", {}).get("arena", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{project_file}: [tool.arena] must be a table")
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a configuration file. Raises ConfigError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{path}: cannot read the configuration: {reason}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{path}: not a TOML file: {error}") from None


def _keys_of(
    table: Mapping[str, Any], settings: Mapping[str, Option], path: Path
) -> dict[str, Any]:
    """Return the values of a file by option name."""
    return _read_keys(table, settings, str(path), path.parent)


def _read_keys(
    table: Mapping[str, Any], settings: Mapping[str, Option], where: str, folder: Path
) -> dict[str, Any]:
    """Return the values of a table by option name; ``where`` it stands begins every error."""
    by_key = {setting.key: setting for setting in settings.values()}
    by_off_key = {setting.off_key: setting for setting in settings.values() if setting.off_key}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in by_key:
            setting = by_key[key]
            read = _read_value(setting.value_type, value, f"{where}: {key}", folder)
        elif key in by_off_key:
            setting = by_off_key[key]
            if value is not True:
                raise ConfigError(f"{where}: {key}: must be true, or left out")
            read = setting.off_value
        else:
            close = difflib.get_close_matches(key, [*by_key, *by_off_key], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{where}: unknown key {key!r}{hint}")
        if setting.name in values:
            raise ConfigError(f"{where}: {setting.key} and {setting.off_key} contradict each other")
        values[setting.name] = read
    return values


def _read_rule(kind: type[Any], value: Any, where: str) -> Any:
    """Return a rule that is spelled as on the command line, or as a table of TOML."""
    try:
        if isinstance(value, dict):
            return rule_of_table(kind, value)
        if isinstance(value, str):
            return rule_of(kind, value.split())
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    raise ConfigError(f'{where}: must be a text, such as "movecount=8", or a table, not {value!r}')


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    NetPlayer: "the path of a net",
}


def _read_value(wanted: Any, value: Any, where: str, folder: Path) -> Any:
    """Return a TOML value as the type that its option wants."""
    if wanted == _PLAYERS:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: must be tables: [[players]]")
        return tuple(read_table(item, f"{where} {n}", folder) for n, item in enumerate(value, 1))
    if get_origin(wanted) is Literal:
        if value in get_args(wanted):
            return value
        raise ConfigError(f"{where}: must be one of {', '.join(get_args(wanted))}")
    if get_origin(wanted) is tuple:
        items = get_args(wanted)
        count = len(value) if isinstance(value, list) else None
        if count is None or (items[-1] is not ... and count != len(items)):
            parts = "" if items[-1] is ... else f" of {len(items)}"
            raise ConfigError(f"{where}: must be a list{parts}, each {_KINDS[items[0]]}")
        return tuple(_read_value(items[0], item, where, folder) for item in value)
    if wanted is Part:
        try:
            return Part.parse(str(value))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
    if wanted in _RULES:
        return _read_rule(wanted, value, where)
    if wanted is Path and isinstance(value, str):
        return within(folder, value)
    if wanted is NetPlayer and isinstance(value, str):
        return lone_net(value, folder, where)
    if wanted is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if wanted in (bool, int) and type(value) is wanted:
        return value
    raise ConfigError(f"{where}: must be {_KINDS[wanted]}, not {value!r}")
