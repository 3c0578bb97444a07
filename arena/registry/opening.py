"""How a registry is opened: only if it is one, is whole, and is not older than its backup."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from arena.registry import schema
from arena.registry.telling import RegistryError, backup_of, copy_backup, damaged, telling
from swa.files import sync_folder

BUSY_SECONDS = 10.0
"""How long a writer waits for another one; no transaction takes a tenth of it."""


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open a registry and lead it to the newest version. Raises RegistryError."""
    if sqlite3.sqlite_version_info < schema.OLDEST_SQLITE:
        needed = ".".join(map(str, schema.OLDEST_SQLITE))
        raise RegistryError(
            f"{path}: needs SQLite {needed} or newer, and Python here has {sqlite3.sqlite_version}"
            "\nUse another Python."
        )
    _check_place(path, create=create)
    with telling(path):
        mode = "rwc" if create else "rw"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # transactions begin and end where it is said
        )
        try:
            _prepare(connection, path, create=create)
            _check_backup(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_place(path: Path, *, create: bool) -> None:
    """Raise RegistryError where a file has to be and is none, or is empty."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RegistryError(f"{path}: the registry cannot be opened: {reason}") from error
    if not size:
        _check_new(path, "is missing" if size is None else "is empty", create=create)


def _check_new(path: Path, why: str, *, create: bool) -> None:
    """Raise RegistryError where there should be something, or it may not be begun."""
    if backup_of(path).exists():
        raise RegistryError(
            f"{path}: the registry {why}, but its backup is there\n" + copy_backup(path)
        )
    played = path.parent / "nights"
    if create and played.is_dir() and any(played.iterdir()):
        # To begin anew would go on with the matches of other nights as if they were its own.
        raise RegistryError(
            f"{path}: the registry {why}, but nights were played here ({played})\n"
            "Bring it back, or choose another home."
        )
    if not create:
        raise RegistryError(
            f"{path}: there is no registry: the file {why}\n"
            "Name the home of a nightly job (--home), or begin one with arena nightly."
        )


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    version, newest = schema.version_of(connection), len(schema.MIGRATIONS)
    application = schema.application_of(connection)
    anything = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not (version or anything or application):
        # New, or begun by a call that died before its first commit.
        _check_new(path, "is empty", create=create)
    elif application != schema.APPLICATION_ID:
        raise RegistryError(
            f"{path}: is a database, but no registry of arena's\n"
            "Name the home of a nightly job (--home)."
        )
    elif not version:
        raise damaged(path, "it has no version")
    if version > newest:
        raise RegistryError(
            f"{path}: was written by a newer arena (version {version}; this one knows {newest})\n"
            "Use that arena. This one would lose what it does not know."
        )
    if version:
        check_whole(connection, path)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise RegistryError(
            f"{path}: this folder's file system cannot keep a registry (no WAL: {mode})\n"
            "Take a home on a local disk."
        )
    if version < newest:
        if version:
            back_up(connection, path.with_suffix(f".version-{version}.sqlite"))
        schema.migrate(connection)


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Raise RegistryError where SQLite finds fault with the file."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise damaged(path, "; ".join(map(str, found)))
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise damaged(path, "a row refers to one that is not there")


def _check_backup(connection: sqlite3.Connection, path: Path) -> None:
    """A registry that knows less than its backup has lost its -wal file: refuse it.

    What is lost may be a decision, and to go on without would take it again.
    """
    known = backup_marks(backup_of(path))
    here = marks(connection)
    if known is not None and any(old > new for old, new in zip(known, here, strict=True)):
        raise damaged(path, "it knows less than its backup (was its -wal file lost?)")


def marks(connection: sqlite3.Connection) -> tuple[int, int]:
    """How far a registry has come: numbers that only grow."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM reigns)"
    ).fetchone()
    return int(row[0]), int(row[1])


def backup_marks(backup: Path) -> tuple[int, int] | None:
    """Return the marks of a backup; None where there is none, or it is not to be read."""
    if not backup.exists():
        return None
    try:
        # Nobody writes into a backup, so no lock and no -wal are needed.
        uri = f"{backup.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return marks(connection)
    except sqlite3.Error:
        return None


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Copy a registry by SQLite's backup API: whole, or what was at ``path`` stays.

    Raises sqlite3.Error or OSError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    for leftover in (temporary, *schema.side_files(temporary)):
        leftover.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(temporary)) as copy:
            connection.backup(copy)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
