"""``nightly.toml`` as people write it, and ``night.toml`` as a night keeps what decides it.

Keys are in kebab case. Tables of stages have the keys of ``arena run``, but for those that the
night itself sets; whatever contradicts is refused when the file is read, with file and key.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from arena.books import Dealing
from arena.config import ConfigError, MatchConfig
from arena.nightly.settings import (
    Average,
    BuildSettings,
    Entries,
    NightlySettings,
    RaceSettings,
    SanitySettings,
)
from arena.openings import DEFAULT_BOOK, read_book
from arena.options import options, read_match_table, read_toml, settings_of
from arena.registry.home import Home
from swa import provenance
from swa.build_config import BuildError
from swa.net_names import LATEST, parse_latest
from swa.settings import SettingsError, key_of
from swa.settings import read_table as read_fields
from swa.spec import NetError

STAGES = ("race", "quick", "gate", "confirm")

QUICK = {"visits": 10, "sprt": (-60.0, 0.0), "beta": 0.01, "pairs": 200}
"""Ten visits cost a tenth of the gate's hundred. A net that is not weaker than the champion is
dropped with a chance of ``beta`` at most; passing it wrongly costs time and decides nothing."""

CONFIRM = {"pairs": 500}
"""An interval of some 15 to 20 Elo either way; the book that ships has enough for all defaults."""

RUNTIME = frozenset({"parallel", "device", "evaluator", "nncache", "part", "out"})
"""Settings of a match that do not decide its result (those behind ``MatchConfig.search``)."""

_OF_NIGHT = {
    "nets": "the night says who plays",
    "players": "the night says who plays",
    "tournament": "the night says who plays",
    "part": "a night is played on one machine",
    "out": "each night has a folder in home",
    "seed": "it is a key of the file's top, from which each night's seed follows",
    "start": "each stage is given openings of its own",
    "opening_filter": "how many openings it takes is not known, and no two stages may share one",
}
"""Of options that no table may have: why."""

_OF_MATCH = frozenset({"openings", "order", "plies"})
"""Options that only ``[match]`` may have: by one book stages can be kept apart."""

_UNTESTED = frozenset({"sprt", "preset", "delta", "certified", "overshoot", "alpha", "beta"})
_UNTESTED |= {"sprt_model"}

_SWITCHED = ("quick", "confirm")
"""Stages that may be true or false instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Top:
    """The file but for its stages."""

    home: Path
    latest: str
    entries: Entries = "swa"
    first_champion: Path | None = None
    seed: int = 0
    on_decision: tuple[str, ...] = ()
    averages: tuple[Average, ...] = ()
    build: BuildSettings = field(default_factory=BuildSettings)
    sanity: SanitySettings = field(default_factory=SanitySettings)


def read_nightly(path: Path) -> NightlySettings:
    """Read the settings of a nightly job; paths in the file are relative to its folder.

    Opens the book of openings, and no net and no data. Raises ConfigError, naming the file and the
    key, for a file that cannot be read, an unknown key, a value of the wrong kind, settings that
    contradict each other, and more pairs than the book has openings.
    """
    table = read_toml(path)
    folder = Path(os.path.abspath(path)).parent
    try:
        top = _read_top({k: v for k, v in table.items() if k not in ("match", *STAGES)}, folder)
        settings = _with_stages(top, table, folder)
        _check_averages(settings, given="averages" in table)
        return replace(settings, starts=_starts(settings))
    except (ConfigError, SettingsError) as error:
        raise ConfigError(f"{path}: {error}") from None
    except RuntimeError as error:  # ~somebody, and there is nobody of that name
        raise ConfigError(f"{path}: {str(error).lower()}") from None


def _read_top(table: Mapping[str, Any], folder: Path) -> _Top:
    keys = [key_of(one.name) for one in fields(_Top)]
    for key in table:
        if key not in keys:
            raise ConfigError(_unknown(key, [*keys, "match", *STAGES]))
    for key in ("home", "latest"):
        if key not in table:
            raise ConfigError(f"{key} is missing: {_WANTED[key]}")
    hook = table.get("on-decision", [])
    if isinstance(hook, str):
        try:
            hook = shlex.split(hook)
        except ValueError as error:
            raise ConfigError(f"on-decision: {str(error).lower()}") from None
    top = _Top(**read_fields(_Top, {**table, "on-decision": hook}, "", folder))
    program = top.on_decision[0] if top.on_decision else ""
    if top.on_decision and not program:
        raise ConfigError("on-decision: the command is empty")
    if "/" in program:  # else it is looked for where the shell does
        program = str(folder / Path(program).expanduser())
        top = replace(top, on_decision=(program, *top.on_decision[1:]))
    if not 0 <= top.seed < 2**63:
        raise ConfigError(f"seed: must be from 0 to 2^63 - 1, not {top.seed}")
    if top.first_champion is not None and str(top.first_champion).startswith(LATEST):
        raise ConfigError("first-champion: must be the path of a net")
    if not top.sanity.excess_loss > 0:
        raise ConfigError(f"sanity.excess-loss: must be above 0, not {top.sanity.excess_loss:g}")
    top = replace(top, latest=_latest(top.latest, folder))
    home = Home(top.home)
    if Path(top.latest) in (home.root, home.nets) or Path(top.latest).is_relative_to(home.nights):
        raise ConfigError("latest: is where home keeps its own copies of nets, not a training run")
    return top


_WANTED = {
    "home": "the folder in which registry, champion and nights are kept",
    "latest": "the folder of a training run, or a glob or series of its nets",
}


def _latest(word: str, folder: Path) -> str:
    where = word.removeprefix(LATEST)
    wanted = parse_latest(f"{LATEST}{where}")
    if not where or wanted is None or wanted.last is not None:
        raise ConfigError(f"latest: must be a folder, a glob or a series of nets, not {word!r}")
    return str(folder / Path(where).expanduser())


# --- stages ---


def _with_stages(top: _Top, table: Mapping[str, Any], folder: Path) -> NightlySettings:
    shared = _read_stage("match", table.get("match", {}), folder)
    race = table.get("race", {})
    _require_table("race", race)
    own = {key_of(one.name) for one in fields(RaceSettings)}
    racing = RaceSettings(
        **read_fields(RaceSettings, {k: v for k, v in race.items() if k in own}, "race.", folder)
    )
    _check_racing(racing)
    of_race = _read_stage("race", {k: v for k, v in race.items() if k not in own}, folder)
    quick, confirm = (_switched(name, table.get(name, name == "quick")) for name in _SWITCHED)
    stages: dict[str, Any] = {
        "race": {**shared, **of_race, "pairs": racing.pairs, "sprt": None},
        "quick": None
        if quick is None
        else {**shared, **_quick_defaults(quick), **_read_stage("quick", quick, folder)},
        "gate": {
            "pairs": _default("pairs"),
            **shared,
            **_read_stage("gate", table.get("gate", {}), folder),
        },
        "confirm": None
        if confirm is None
        else {**shared, **CONFIRM, **_read_stage("confirm", confirm, folder), "sprt": None},
    }
    values = {one.name: getattr(top, one.name) for one in fields(_Top)}
    if top.entries != "raw" and not top.averages:
        values["averages"] = (Average(),)
    settings = NightlySettings(**values, racing=racing, **stages)
    for name in STAGES:
        _check_stage(settings, name, stages[name])
    return settings


def _switched(name: str, value: Any) -> Mapping[str, Any] | None:
    """The table of a stage that can be left out; ``true`` is it with its defaults."""
    if isinstance(value, bool):
        return {} if value else None
    _require_table(name, value, "a table, true or false")
    found: Mapping[str, Any] = value
    return found


def _require_table(name: str, value: Any, wanted: str = "a table") -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: must be {wanted}, not {value!r}")


def _quick_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Its defaults, but for the bounds where a preset says them."""
    return {key: value for key, value in QUICK.items() if key != "sprt" or "preset" not in given}


def _read_stage(name: str, table: Any, folder: Path) -> dict[str, Any]:
    """The settings of ``[match]`` or of a stage by option name."""
    _require_table(name, table)
    known = {key: one for one in options(MatchConfig) for key in (one.key, one.off_key) if key}
    own = [key_of(one.name) for one in fields(RaceSettings)] if name == "race" else []
    for key in table:
        if key not in known:
            raise ConfigError(f"[{name}]: {_unknown(key, [*known, *own])}")
        option = known[key]
        reason = _OF_NIGHT.get(option.name)
        if reason is None and name == "match" and option.group == "match length":
            reason = "each stage has its own: put it into [gate], say"
        if reason is None and name != "match" and option.name in _OF_MATCH:
            reason = "put it into [match], for all stages: no two of them may share an opening"
        if reason is None and name in ("race", "confirm") and option.name in _UNTESTED:
            reason = "there is no test here, all pairs are played"
        if reason is not None:
            raise ConfigError(f"[{name}]: {key}: not here: {reason}")
    return read_match_table(table, f"[{name}]", folder)


def _check_stage(settings: NightlySettings, name: str, stage: Mapping[str, Any] | None) -> None:
    if stage is None:
        return
    try:
        # Any two nets will do: none is opened.
        config = settings.match(stage, (Path("a"), Path("b")), seed=settings.seed, start=1)
    except ConfigError as error:
        raise ConfigError(f"[{name}]: {error}") from None
    if name in ("quick", "gate") and config.sprt is None and config.preset is None:
        instead = "leave it out by quick = false" if name == "quick" else "see [confirm]"
        raise ConfigError(f"[{name}]: no-sprt: this stage decides by its test; {instead}")


def _check_racing(racing: RaceSettings) -> None:
    if not 0 < racing.error < 1:
        raise ConfigError(f"race.error: must be between 0 and 1, not {racing.error:g}")
    if not 1 <= racing.round <= racing.pairs:
        raise ConfigError(
            f"race.round: must be from 1 to race.pairs, which is {racing.pairs}, not {racing.round}"
        )


def _default(name: str) -> Any:
    return next(one.default for one in options(MatchConfig) if one.name == name)


def _unknown(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown key {key!r}{hint}"


# --- averages ---


def _check_averages(settings: NightlySettings, given: bool) -> None:
    """Refuse averages that cannot be built, whatever nets and data there will be."""
    build = settings.build
    if settings.entries == "raw":
        if given:
            raise ConfigError('averages: have no effect with entries = "raw"')
        data = build.data or build.eval_data or (Path("data"),)  # for losses, if at all
        _check_build(replace(settings, build=replace(build, data=data)), Average(), "build")
        return
    if not build.data:
        raise ConfigError(
            "build.data is missing: training records to refresh the averages' batch norm on\n"
            'Name their folders, or let the net itself play by entries = "raw".'
        )
    known: dict[Average, str] = {}
    for average in settings.averages:
        where = f"averages {average.name!r}"
        if not re.fullmatch(r"[A-Za-z0-9_]+", average.name) or average.name == "raw":
            raise ConfigError(
                f"{where}: the name must be of letters, digits and _, and not raw: files bear it"
            )
        if average.last < 2:
            raise ConfigError(f"{where}: last must be at least 2, not {average.last}")
        unnamed = replace(average, name="")
        if average.name in known.values() or unnamed in known:
            other = known.get(unnamed, average.name)
            raise ConfigError(f"{where}: the same as {other!r}: give each its name and settings")
        known[unnamed] = average.name
        _check_build(settings, average, where)


def _check_build(settings: NightlySettings, average: Average, where: str) -> None:
    from swa.rules import make_rule  # with numpy, for which not all who import this should wait

    try:
        config = settings.build_config(average, [Path("net")], Path("average"))
        if average.rule != "soup":
            make_rule(average.rule, config.rule_settings)
    except (BuildError, NetError) as error:
        raise ConfigError(f"{where}: {error}") from None


# --- openings ---


def _starts(settings: NightlySettings) -> dict[str, int]:
    """The first opening of each stage.

    What the book has to spare lies between the stages, since a match passes over openings that
    lead to a position it has had, so that it takes more of them than it has pairs. How much a
    polyglot book has is not known: there it is as much again as the stages need.
    """
    gate = settings.match(settings.gate, (Path("a"), Path("b")), seed=settings.seed, start=1)
    try:
        book = read_book(gate.openings or DEFAULT_BOOK)
    except ValueError as error:  # OpeningError, or a path with a null character
        raise ConfigError(f"[match]: openings: {error}") from None
    pairs = {name: int(stage["pairs"]) for name, stage in settings.stages.items()}
    needed = sum(pairs.values())
    most = book.most(Dealing())
    if most is not None and needed > most:
        said = ", ".join(f"{name} {count:,}" for name, count in pairs.items())
        raise ConfigError(
            f"pairs: {needed:,} in all ({said}), and the book has {most:,} openings\n"
            "No two stages may share one: play fewer pairs, or take a larger book "
            "([match] openings)."
        )
    starts, start = {}, 1
    for name, count in pairs.items():
        spare = count if most is None else (most - needed) * count // needed
        starts[name] = start
        start += count + spare
    return starts


# --- what decides a night ---


def frozen_text(settings: NightlySettings) -> str:
    """Return ``night.toml``: all that decides a night, and nothing else.

    Every setting is in it, those that were not given too, in one order: settings that decide
    differently have different texts. On what device games are computed is not in it, nor the hook.
    Paths are relative to ``home``, so that the whole may be moved; of the book its sha256 counts.

    Raises ConfigError where the book cannot be read, or a stage's bounds make no test: that is told
    here and not when the file is read, as statistics take longer to import than all of that.
    """
    from arena.match import MatchError, sprt_of
    from arena.match_file import to_toml

    table: dict[str, Any] = {
        "latest": _relative(settings, Path(settings.latest)),
        "entries": settings.entries,
        "seed": settings.seed,
        "averages": {
            average.name: _spelled(settings, asdict(replace(average, name="")), leave=("name",))
            for average in settings.averages
        },
        "build": _spelled(settings, asdict(settings.build), leave=("device", "threads")),
        "sanity": _spelled(settings, asdict(settings.sanity)),
        "racing": _spelled(settings, asdict(settings.racing) if "race" in settings.stages else {}),
    }
    for name, stage in settings.stages.items():
        config = settings.match(stage, (Path("a"), Path("b")), seed=0, start=1)
        try:
            sprt_of(config)
        except MatchError as error:
            raise ConfigError(f"[{name}]: {error}") from None
        left_out = (*RUNTIME, *_OF_NIGHT, "openings")
        table[name] = {
            "openings-sha256": _sha256(config.openings or DEFAULT_BOOK),
            **_spelled(settings, settings_of(config), leave=left_out),
        }
    return "# All that decides this night; kept by arena, and not to be changed.\n" + to_toml(table)


def _spelled(
    settings: NightlySettings, values: Mapping[str, Any], leave: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Values as TOML has them, those that are None left out."""
    return {
        key_of(name): _toml(settings, value)
        for name, value in values.items()
        if name not in leave and value is not None
    }


def _toml(settings: NightlySettings, value: Any) -> Any:
    match value:
        case tuple():
            return [_toml(settings, item) for item in value]
        case Path():
            return _relative(settings, value)
        case bool() | int() | float() | str():
            return value
        case _:  # a rule of adjudication
            return str(value)


def _relative(settings: NightlySettings, path: Path) -> str:
    return Path(os.path.relpath(path, settings.home)).as_posix()


def _sha256(book: Path) -> str:
    try:
        return provenance.file_sha256(book)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{book}: cannot read the book of openings: {reason}") from error
