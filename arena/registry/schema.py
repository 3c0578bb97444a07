"""The tables of the registry, the versions they have had, and how one becomes the next.

The version is SQLite's ``user_version``, and ``application_id`` says whose file it is
(sqlite.org/fileformat2.html, 1.3). What must never happen is refused by the file itself, whoever
writes into it: a second open night, champion or pending reign, a second decision of a night, a
decision that changes, and any row that goes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

APPLICATION_ID = 0x41724E61
"""``ArNa``."""

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables (sqlite.org/stricttables.html)."""

_HASH = "length({0}) = 64 AND {0} NOT GLOB '*[^0-9a-f]*'"

TABLES: dict[str, tuple[str, ...]] = {
    "nets": (
        "sha256",
        "name",
        "file",
        "kind",
        "bytes",
        "architecture",
        "training_steps",
        "manifest",
        "source",
        "seen",
    ),
    "nights": (
        "number",
        "folder",
        "state",
        "latest",
        "champion",
        "settings",
        "began",
        "ended",
        "note",
    ),
    "matches": (
        "folder",
        "night",
        "stage",
        "baseline",
        "candidate",
        "ll",
        "ld",
        "wl",
        "dd",
        "wd",
        "ww",
        "verdict",
        "state",
        "finished",
    ),
    "decisions": (
        "night",
        "verdict",
        "candidate",
        "champion",
        "reason",
        "document",
        "decided",
        "hook",
    ),
    "reigns": ("number", "sha256", "how", "night", "began", "ended", "pending"),
    "files": ("path", "size", "mtime_ns", "sha256"),
}
"""The columns of each table, the key first; each has ``seal`` as its last one (``store``)."""

KEPT = ("nets", "nights", "matches", "decisions", "reigns")
"""Tables that no row ever leaves."""

_FIRST = (
    f"""CREATE TABLE nets (
        sha256 TEXT NOT NULL PRIMARY KEY CHECK ({_HASH.format("sha256")}),
        name TEXT NOT NULL,
        file TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('raw', 'average', 'given')),
        bytes INTEGER NOT NULL CHECK (bytes >= 0),
        architecture TEXT NOT NULL,
        training_steps INTEGER,
        manifest TEXT,
        source TEXT NOT NULL,
        seen TEXT NOT NULL,
        seal TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE nights (
        number INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
        folder TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('open', 'decided', 'abandoned')),
        latest TEXT NOT NULL REFERENCES nets,
        champion TEXT NOT NULL REFERENCES nets,
        settings TEXT NOT NULL,
        began TEXT NOT NULL,
        ended TEXT,
        note TEXT,
        seal TEXT NOT NULL,
        CHECK ((state = 'open') = (ended IS NULL)),
        CHECK ((state = 'abandoned') = (note IS NOT NULL))
    ) STRICT""",
    "CREATE UNIQUE INDEX one_open_night ON nights (state) WHERE state = 'open'",
    "CREATE INDEX nights_of_a_net ON nights (latest)",
    f"""CREATE TABLE matches (
        folder TEXT NOT NULL PRIMARY KEY,
        night INTEGER REFERENCES nights,
        stage TEXT CHECK (stage IN ('race', 'quick', 'gate', 'confirm')),
        baseline TEXT NOT NULL REFERENCES nets,
        candidate TEXT NOT NULL REFERENCES nets,
        {" ".join(f"{n} INTEGER NOT NULL CHECK ({n} >= 0)," for n in TABLES["matches"][5:11])}
        verdict TEXT NOT NULL CHECK (verdict IN ('promote', 'keep', 'undecided')),
        state TEXT NOT NULL CHECK (state IN ('decided', 'limit', 'unfinished')),
        finished TEXT,
        seal TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX matches_of_a_night ON matches (night)",
    """CREATE TABLE decisions (
        night INTEGER NOT NULL PRIMARY KEY REFERENCES nights,
        verdict TEXT NOT NULL CHECK (verdict IN ('promote', 'keep', 'undecided')),
        candidate TEXT REFERENCES nets,
        champion TEXT NOT NULL REFERENCES nets,
        reason TEXT NOT NULL,
        document TEXT NOT NULL,
        decided TEXT NOT NULL,
        hook TEXT NOT NULL CHECK (hook IN ('none', 'due', 'done', 'failed')),
        seal TEXT NOT NULL,
        CHECK (verdict <> 'promote' OR (candidate IS NOT NULL AND candidate <> champion))
    ) STRICT""",
    "CREATE INDEX due_decisions ON decisions (night) WHERE hook = 'due'",
    """CREATE TABLE reigns (
        number INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
        sha256 TEXT NOT NULL REFERENCES nets,
        how TEXT NOT NULL CHECK (how IN ('first', 'promotion', 'rollback', 'by hand')),
        night INTEGER REFERENCES nights,
        began TEXT NOT NULL,
        ended TEXT,
        pending INTEGER NOT NULL CHECK (pending IN (0, 1)),
        seal TEXT NOT NULL,
        CHECK (pending = 0 OR ended IS NULL),
        CHECK ((how = 'first') = (number = 1)),
        CHECK (how <> 'promotion' OR night IS NOT NULL)
    ) STRICT""",
    "CREATE UNIQUE INDEX one_pending ON reigns (pending) WHERE pending = 1",
    "CREATE UNIQUE INDEX one_champion ON reigns (pending) WHERE pending = 0 AND ended IS NULL",
    "CREATE UNIQUE INDEX one_promotion_a_night ON reigns (night) WHERE how = 'promotion'",
    """CREATE TABLE files (
        path TEXT NOT NULL PRIMARY KEY,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        seal TEXT NOT NULL
    ) STRICT""",
    *(
        f"""CREATE TRIGGER {table}_stay BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, 'nothing that was decided on is deleted'); END"""
        for table in KEPT
    ),
    """CREATE TRIGGER decisions_stand
        BEFORE UPDATE OF night, verdict, candidate, champion, reason, document, decided ON decisions
        WHEN (OLD.night, OLD.verdict, OLD.candidate, OLD.champion, OLD.reason, OLD.document,
            OLD.decided) IS NOT (NEW.night, NEW.verdict, NEW.candidate, NEW.champion, NEW.reason,
            NEW.document, NEW.decided)
        BEGIN SELECT RAISE(ABORT, 'a decision is not changed'); END""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
"""Statements that lead from version 0, an empty file, to 1, from there to 2, and so on.

One that has been released is never changed. One that changes a table's columns also has to seal
its rows anew.
"""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def application_of(connection: sqlite3.Connection) -> int:
    """Return the number that says whose file it is; 0 for an empty one."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Lead the tables to the newest version, in one transaction: all steps or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _steps(version_of(connection)):
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _steps(version: int) -> Iterator[str]:
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        yield from statements
        yield f"PRAGMA user_version = {number}"
    yield f"PRAGMA application_id = {APPLICATION_ID}"


def side_files(path: Path) -> tuple[Path, Path]:
    """The files that belong to a registry while it is open or after a crash."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
