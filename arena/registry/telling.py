"""What goes wrong with a registry, in words: what, why, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKUP_SUFFIX = ".backup.sqlite"


class RegistryError(Exception):
    """A registry that cannot be used, or a request that it refuses: what, why, what to do."""


def backup_of(path: Path) -> Path:
    """Where the backup of a registry is: ``registry.backup.sqlite`` beside it."""
    return path.with_suffix(BACKUP_SUFFIX)


def copy_backup(path: Path) -> str:
    """Say how the backup takes a registry's place; a -wal that is left would be played into it."""
    name = path.name
    return (
        f"Move {name}, {name}-wal and {name}-shm away, whichever are there, and copy "
        f"{backup_of(path).name} to {name}: it is as of the last decision."
    )


def damaged(path: Path, why: str) -> RegistryError:
    """Say that the file is not what was written into it."""
    why = " ".join(why.split())[:200]  # SQLite's own may have lines
    advice = f"There is no backup ({backup_of(path).name}); bring an older copy back."
    if backup_of(path).exists():
        advice = copy_backup(path)
    return RegistryError(f"{path}: the registry is damaged: {why}\n{advice}")


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a RegistryError (codes: sqlite.org/rescode.html).

    Those of Python's own module have no code. They are faults of the program and stay, but for the
    one that tells of a text which is none.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            if isinstance(error, sqlite3.OperationalError):
                raise damaged(path, str(error)) from error
            raise
        raise _told(path, error, code & 0xFF) from error
    except UnicodeDecodeError as error:  # an error of SQLite's that quotes what it has found
        raise damaged(path, "its texts are not to be read") from error


def _told(path: Path, error: sqlite3.Error, code: int) -> RegistryError:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RegistryError(
            f"{path}: another process is writing into the registry\nTry again when it has ended."
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return RegistryError(
            f"{path}: the registry cannot be read or written: {error}\n"
            "It is as it was before. Make room or mend the disk, then give the same command again."
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return RegistryError(
            f"{path}: the registry cannot be opened: {error}\n"
            "The file and its folder must be there, and be writable."
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return RegistryError(f"{path}: the registry refuses this: {error}\nNothing was written.")
    return damaged(path, str(error))
