"""The registry: what has been judged and who is champion, in one SQLite file.

A power cut leaves what the last finished call left: the file is in WAL mode with
``synchronous=FULL`` (sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous), and what
belongs together is one transaction. What a disk does to bytes that it has taken, SQLite mostly does
not see. So every row has a seal, a hash of its values, and no row is believed without it.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from arena.registry import rows
from arena.registry.opening import back_up, connect
from arena.registry.records import (
    DecisionRecord,
    HookState,
    How,
    MatchRecord,
    NetRecord,
    NightRecord,
    Reign,
)
from arena.registry.rows import Row
from arena.registry.schema import TABLES
from arena.registry.telling import RegistryError, damaged, telling
from arena.stats.verdict import Verdict

SHORTEST_WORD = 4
"""Digits of a sha256 that are taken for one."""

LONGEST_NAME = 60
"""Characters of a night's name in its folder's."""


class Registry:
    """A context manager. Every method raises RegistryError where the file fails it.

    What changes something is on the disk when it returns, or has changed nothing.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection):
        """Use ``open``."""
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """Open a registry, checked and led to the newest version; ``create`` begins one.

        Raises RegistryError where there is none, it is damaged, is of a newer version, or knows
        less than its backup.
        """
        return cls(path, connect(path, create=create))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- what is there ---

    def nets(self) -> list[NetRecord]:
        """All nets, in the order in which they came."""
        return list(map(rows.net, self._rows("nets", "ORDER BY rowid")))

    def net(self, sha256: str) -> NetRecord | None:
        """The net with this sha256."""
        return next(map(rows.net, self._rows("nets", "WHERE sha256 = ?", sha256)), None)

    def find_net(self, word: str) -> NetRecord:
        """The net of this name or with a sha256 that begins so. RegistryError if not just one."""
        known = self.nets()
        found = [net for net in known if net.name == word]
        if not found and len(word) >= SHORTEST_WORD:
            found = [net for net in known if net.sha256.startswith(word.lower())]
        if len(found) == 1:
            return found[0]
        if not found:
            raise RegistryError(
                f"{self.path}: knows no net {word!r}\n"
                "Give a name, or at least the first four digits of its sha256, as "
                "arena registry list nets shows them."
            )
        shown = ", ".join(f"{net.name} ({net.sha256[:12]})" for net in found[:4])
        raise RegistryError(
            f"{self.path}: knows {len(found)} nets {word!r}: {shown}\n"
            "Give more digits of the sha256."
        )

    def nights(self) -> list[NightRecord]:
        """All nights, by number."""
        return list(map(rows.night, self._rows("nights", "ORDER BY number")))

    def night(self, number: int) -> NightRecord | None:
        """The night of this number."""
        return next(map(rows.night, self._rows("nights", "WHERE number = ?", number)), None)

    def last_night(self) -> NightRecord | None:
        """The night that began last."""
        return next(map(rows.night, self._rows("nights", "ORDER BY number DESC LIMIT 1")), None)

    def open_night(self) -> NightRecord | None:
        """The night that is not ended."""
        return next(map(rows.night, self._rows("nights", "WHERE state = 'open'")), None)

    def matches(self, night: int | None = None) -> list[MatchRecord]:
        """The matches of a night, or all, in the order in which they came."""
        if night is None:
            found = self._rows("matches", "ORDER BY rowid")
        else:
            found = self._rows("matches", "WHERE night = ? ORDER BY rowid", night)
        return list(map(rows.match, found))

    def decisions(self) -> list[DecisionRecord]:
        """All decisions, by night."""
        return list(map(rows.decision, self._rows("decisions", "ORDER BY night")))

    def judged(self, sha256: str) -> DecisionRecord | None:
        """The last decision of a night whose newest net was this one."""
        which = "WHERE night IN (SELECT number FROM nights WHERE latest = ?) ORDER BY night DESC"
        return next(map(rows.decision, self._rows("decisions", f"{which} LIMIT 1", sha256)), None)

    def due(self) -> list[DecisionRecord]:
        """The decisions whose hook has not run, by night."""
        return list(
            map(rows.decision, self._rows("decisions", "WHERE hook = 'due' ORDER BY night"))
        )

    def reigns(self) -> list[Reign]:
        """All reigns, by number, the pending one among them."""
        return list(map(rows.reign, self._rows("reigns", "ORDER BY number")))

    def champion(self) -> Reign | None:
        """The reign that has begun and not ended."""
        current = self._rows("reigns", "WHERE pending = 0 AND ended IS NULL")
        return next(map(rows.reign, current), None)

    def pending(self) -> Reign | None:
        """The reign that is decided, while the champion's file may still be the one before."""
        return next(map(rows.reign, self._rows("reigns", "WHERE pending = 1")), None)

    def check_seals(self) -> None:
        """Read every row of every table. Raises RegistryError at one that has changed."""
        for table in TABLES:
            for _ in self._rows(table, ""):
                pass

    # --- what is added ---

    def add_net(self, net: NetRecord) -> None:
        """Remember a net; one that is known stays as it was first seen."""
        with self._change():
            if self.net(net.sha256) is None:
                self._insert("nets", rows.of_net(net))

    def found_net(self, sha256: str, source: str) -> None:
        """Note where a net that is known was found now: its run may have been moved."""
        with self._change():
            known = next(self._rows("nets", "WHERE sha256 = ?", sha256), None)
            if known is None:
                raise RegistryError(f"{self.path}: knows no net {sha256[:12]}...")
            self._update("nets", known | {"source": source})

    def begin_night(self, *, latest: str, champion: str, settings: str, name: str) -> NightRecord:
        """Open the next night. RegistryError if one is open, or the champion is another."""
        with self._change():
            self._refuse_open_night()
            self._require_champion(champion)
            number = self._last("nights", "number") + 1
            folder = self._fresh_folder(number, name)
            began = _now()
            night = NightRecord(
                number, folder, "open", latest, champion, settings, began, None, None
            )
            self._insert("nights", rows.of_night(night))
        return night

    def abandon_night(self, number: int, note: str) -> None:
        """End the open night without a decision; its folder and matches stay."""
        with self._change():
            self._abandon(self._require_open(number), note)

    def record_match(self, match: MatchRecord) -> None:
        """Remember how a match stands; of its folder, this replaces what was known.

        RegistryError where its night has ended and it stands otherwise there.
        """
        row = rows.of_match(match)
        with self._change():
            known = next(self._rows("matches", "WHERE folder = ?", match.folder), None)
            if known == row:
                return
            if match.night is not None:
                self._require_open(match.night)
            if known is None:
                self._insert("matches", row)
                return
            if known["night"] not in (None, match.night):
                raise RegistryError(
                    f"{self.path}: {match.folder} is a match of night {known['night']}\n"
                    "It cannot be one of another night."
                )
            self._update("matches", row)

    def decide(self, decision: DecisionRecord) -> None:
        """End a night with its decision; a promotion also makes a pending reign.

        One transaction. RegistryError where the night has ended already, or its champion is
        another or no longer champion.
        """
        with self._change():
            night = self._require_open(decision.night)
            self._require_champion(decision.champion)
            if night.champion != decision.champion:
                raise RegistryError(
                    f"{self.path}: night {night.number} was played against another champion\n"
                    "Nothing was decided."
                )
            self._insert("decisions", rows.of_decision(decision))
            ended = replace(night, state="decided", ended=_now())
            self._update("nights", rows.of_night(ended))
            if decision.verdict is Verdict.PROMOTE:
                if decision.candidate is None:
                    raise RegistryError(f"{self.path}: night {night.number} promotes no net")
                self._crown(decision.candidate, "promotion", decision.night)

    def crown(self, sha256: str, how: How, night: int | None = None) -> Reign:
        """Make a pending reign. RegistryError if one is pending, or the net is champion already.

        A night that is open is abandoned, as whom it has to beat is no longer champion.
        """
        with self._change():
            self._refuse_pending()
            current = self.champion()
            if current is not None and current.sha256 == sha256:
                raise RegistryError(
                    f"{self.path}: this net is champion already ({sha256[:12]}...)\n"
                    "Nothing was changed."
                )
            open_night = self.open_night()
            if open_night is not None:
                self._abandon(open_night, f"the champion has changed: {how}")
            return self._crown(sha256, how, night)

    def settle(self) -> None:
        """The pending reign begins, and the one before it ends; without one, nothing happens."""
        with self._change():
            pending, current = self.pending(), self.champion()
            if pending is None:
                return
            when = _now()
            if current is not None:
                self._update("reigns", rows.of_reign(replace(current, ended=when)))
            self._update("reigns", rows.of_reign(replace(pending, began=when, pending=False)))

    def hook_ran(self, night: int, state: HookState) -> None:
        """Note how the hook of a decision has ended."""
        with self._change():
            known = next(self._rows("decisions", "WHERE night = ?", night), None)
            if known is None:
                raise RegistryError(f"{self.path}: night {night} has no decision")
            self._update("decisions", known | {"hook": state})

    def note_file(self, path: str, size: int, mtime_ns: int, sha256: str) -> None:
        """Note which net a file was when it had this size (bytes) and time (ns)."""
        row = {
            "path": rows.storable(str(path)),
            "size": size,
            "mtime_ns": mtime_ns,
            "sha256": sha256,
        }
        with self._change():
            known = next(self._rows("files", "WHERE path = ?", rows.storable(str(path))), None)
            if known is None:
                self._insert("files", row)
            elif known != row:
                self._update("files", row)

    def noted_file(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The sha256 that was noted of this file, if it still has that size and time."""
        known = next(self._rows("files", "WHERE path = ?", rows.storable(str(path))), None)
        same = known is not None and (known["size"], known["mtime_ns"]) == (size, mtime_ns)
        return str(known["sha256"]) if known is not None and same else None

    def backup(self, path: Path) -> None:
        """Copy the registry by SQLite's backup API; what was at ``path`` stays if that fails."""
        with telling(self.path):
            try:
                back_up(self._connection, path)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise RegistryError(
                    f"{path}: the registry's backup cannot be written: {reason}\n"
                    "The registry itself is safe. Make room, then give the same command again."
                ) from error

    # --- rows ---

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction: all that is done within, or nothing."""
        with telling(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has ended it by itself after some errors, a full disk among them.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _rows(self, table: str, which: str, *values: object) -> Iterator[Row]:
        """Rows of a table; RegistryError at the first that is not what was written."""
        columns = TABLES[table]
        with telling(self.path):
            cursor = self._connection.execute(
                f"SELECT {', '.join(columns)}, seal FROM {table} {which}", values
            )
            for *row, seal in cursor.fetchall():
                if seal != rows.seal_of(table, tuple(row)):
                    raise damaged(self.path, f"the row of {table} {row[0]!r} has changed")
                yield dict(zip(columns, row, strict=True))

    def _insert(self, table: str, row: Row) -> None:
        columns = TABLES[table]
        values = tuple(rows.storable(row[column]) for column in columns)
        marks = ", ".join("?" * (len(columns) + 1))
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}, seal) VALUES ({marks})",
            (*values, rows.seal_of(table, values)),
        )

    def _update(self, table: str, row: Row) -> None:
        """Write a row over the one with the same key."""
        key, *rest = TABLES[table]
        values = tuple(rows.storable(row[column]) for column in TABLES[table])
        changes = ", ".join(f"{column} = ?" for column in (*rest, "seal"))
        self._connection.execute(
            f"UPDATE {table} SET {changes} WHERE {key} = ?",
            (*values[1:], rows.seal_of(table, values), values[0]),
        )

    def _last(self, table: str, column: str) -> int:
        found: Any = self._connection.execute(f"SELECT max({column}) FROM {table}").fetchone()[0]
        return int(found or 0)

    def _fresh_folder(self, number: int, name: str) -> str:
        """A folder for a night: not one that a night left which a restored backup has forgotten."""
        word = re.sub(r"[^\w.+-]+", "-", name, flags=re.ASCII).strip(".-")[:LONGEST_NAME]
        first = f"nights/{number:04d}-{word or 'night'}"
        again = (f"{first}-{time}" for time in itertools.count(2))
        folders = itertools.chain([first], again)
        return next(one for one in folders if not (self.path.parent / one).exists())

    def _crown(self, sha256: str, how: How, night: int | None) -> Reign:
        number = self._last("reigns", "number") + 1
        reign = Reign(number, sha256, how, night, _now(), None, True)
        self._insert("reigns", rows.of_reign(reign))
        return reign

    def _abandon(self, night: NightRecord, note: str) -> None:
        ended = replace(night, state="abandoned", ended=_now(), note=note)
        self._update("nights", rows.of_night(ended))

    # --- what is refused ---

    def _require_open(self, number: int) -> NightRecord:
        night = self.night(number)
        if night is None:
            raise RegistryError(f"{self.path}: there is no night {number}")
        if night.state != "open":
            raise RegistryError(
                f"{self.path}: night {number} is {night.state} already\n"
                "What has ended is not changed; nothing was written."
            )
        return night

    def _refuse_open_night(self) -> None:
        night = self.open_night()
        if night is not None:
            raise RegistryError(
                f"{self.path}: night {night.number} is open\n"
                "Go on with it or abandon it before another one begins."
            )

    def _refuse_pending(self) -> None:
        pending = self.pending()
        if pending is not None:
            raise RegistryError(
                f"{self.path}: a change of champion is not ended yet ({pending.sha256[:12]}...)\n"
                "Give arena nightly first, or arena registry champion --restore: either ends it."
            )

    def _require_champion(self, sha256: str) -> None:
        self._refuse_pending()
        current = self.champion()
        if current is None or current.sha256 != sha256:
            who = "there is none" if current is None else f"that is {current.sha256[:12]}..."
            raise RegistryError(
                f"{self.path}: {sha256[:12]}... is not the champion: {who}\nNothing was written."
            )


def _now() -> str:
    """The time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
