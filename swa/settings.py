"""Settings of a command from a TOML file: each is a field of a frozen dataclass, declared once.

Keys of the file are the names of the fields in kebab case. A field that is itself a dataclass is a
table of the file, a tuple of dataclasses an array of tables. Paths are relative to the folder of
the file. What is wrong is said with the file and the key: ``run.toml: training.batch-size: ...``.
"""

from __future__ import annotations

import difflib
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from swa.net_names import within


class SettingsError(ValueError):
    """Settings that cannot be: one to three lines for the user, what, why, what to do."""


def read_settings(path: Path, kind: type) -> dict[str, Any]:
    """The fields of the dataclass ``kind`` that a TOML file gives, by name.

    Raises SettingsError for a file that cannot be read, unknown keys, and values of the wrong kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"{path}: cannot read the configuration: {reason}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise SettingsError(f"{path}: not a TOML file: {error}") from None
    return read_table(kind, table, f"{path}: ", path.parent)


def key_of(name: str) -> str:
    """How the file spells a field: ``batch-size`` for ``batch_size``."""
    return name.replace("_", "-")


def read_table(kind: type, table: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """The fields of the dataclass ``kind`` that a table gives, by name.

    ``where`` is put before a key in what is said of it, with the ": " or "." that belongs there;
    paths are relative to ``folder``. Raises SettingsError as ``read_settings`` does.
    """
    types = get_type_hints(kind)
    by_key = {key_of(declared.name): declared.name for declared in fields(kind)}
    values = {}
    for key, value in table.items():
        if key not in by_key:
            close = difflib.get_close_matches(key, by_key, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            table_name = where if where.endswith(": ") else f"{where.removesuffix('.')}: "
            raise SettingsError(f"{table_name}unknown key {key!r}{hint}")
        values[by_key[key]] = _read_value(types[by_key[key]], value, f"{where}{key}", folder)
    return values


def _read_dataclass(kind: type, value: Any, where: str, folder: Path) -> Any:
    _check(isinstance(value, dict), f"{where}: must be a table, not {value!r}")
    values = read_table(kind, value, f"{where}.", folder)
    for declared in fields(kind):
        needed = declared.default is MISSING and declared.default_factory is MISSING
        if needed and declared.name not in values:
            raise SettingsError(f"{where}.{key_of(declared.name)} is missing")
    try:
        return kind(**values)
    except SettingsError as error:  # of the dataclass itself, which does not know its place
        raise SettingsError(f"{where}.{error}") from None


_KINDS = {bool: "true or false", int: "a whole number", float: "a number"}


def _read_value(wanted: Any, value: Any, where: str, folder: Path) -> Any:
    """A TOML value as the type that its setting wants; a single one may stand for a list."""
    parts = get_args(wanted)
    if NoneType in parts:
        wanted = next(part for part in parts if part is not NoneType)
        parts = get_args(wanted)
    if get_origin(wanted) is Literal:
        _check(value in parts, f"{where}: must be one of {', '.join(parts)}, not {value!r}")
        return value
    if get_origin(wanted) is tuple:
        items = value if isinstance(value, list) else [value]
        return tuple(_read_value(parts[0], item, where, folder) for item in items)
    if is_dataclass(wanted):
        return _read_dataclass(wanted, value, where, folder)  # type: ignore[arg-type]
    if wanted is Path:
        return _read_path(value, where, folder)
    if wanted is str:
        _check(isinstance(value, str), f"{where}: must be a text, not {value!r}")
        return value
    if wanted is float and type(value) in (int, float):
        finite = abs(value) <= sys.float_info.max  # also false for NaN
        _check(finite, f"{where}: must be a finite number, not {value!r}")
        return float(value)
    _check(type(value) is wanted, f"{where}: must be {_KINDS[wanted]}, not {value!r}")
    return value


def _read_path(value: Any, where: str, folder: Path) -> Path:
    _check(isinstance(value, str) and "\0" not in value, f"{where}: must be a path, not {value!r}")
    try:
        return within(folder, value)
    except RuntimeError as error:  # ~somebody, and there is nobody of that name
        raise SettingsError(f"{where}: {value}: {str(error).lower()}") from None


def _check(holds: bool, reason: str) -> None:
    if not holds:
        raise SettingsError(reason)
