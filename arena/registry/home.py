"""The home of a nightly job: where everything is, what is kept, and who may work there."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from arena.registry.telling import backup_of
from swa.files import sync_folder, write_whole
from swa.provenance import file_sha256, sha256

HASH_DIGITS = 16
"""Of the sha256, in the name of a kept net's folder."""

LONGEST_NAME = 200
"""Bytes of a kept net's name; while it is written it has a longer one, and 255 is all there is."""

LOCK_POLL = 0.1
"""Seconds between two looks at a lock that another process has."""


class HomeError(Exception):
    """A home that cannot be used, or a net that cannot be kept: what, why, what to do."""


class BusyError(HomeError):
    """Another process is at work in this home."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a nightly job, by the names of what is in it."""

    root: Path

    @property
    def registry(self) -> Path:
        """``arena.registry.store``'s file."""
        return self.root / "registry.sqlite"

    @property
    def backup(self) -> Path:
        """The registry as of the last decision."""
        return backup_of(self.registry)

    @property
    def champion(self) -> Path:
        """The champion's net, for whoever uses it: a copy, put there by rename."""
        return self.root / "champion.pb.gz"

    @property
    def lock_file(self) -> Path:
        """Says which process is at work."""
        return self.root / "lock"

    @property
    def nets(self) -> Path:
        """Copies of all nets that were judged or built; none is ever deleted."""
        return self.root / "nets"

    @property
    def nights(self) -> Path:
        """A folder for each night."""
        return self.root / "nights"

    def create(self) -> None:
        """Make the folders that are not there. Raises HomeError."""
        try:
            for folder in (self.root, self.nets, self.nights):
                if not folder.is_dir():
                    folder.mkdir(parents=True, exist_ok=True)
                    sync_folder(folder.parent)
        except OSError as error:
            raise _cannot(self.root, "cannot be a home", error) from error

    def keep_net(self, path: Path) -> Path:
        """Copy a net's file into ``nets``, with the manifest beside it; return the copy.

        It keeps its name, by which reports call it, in a folder named by its sha256, and has been
        read back from the disk. A copy that is there already is taken if it is whole, and else
        written anew. Raises HomeError.
        """
        try:
            data = path.read_bytes()
            manifest = path.with_name(f"{path.name}.json")
            described = manifest.read_bytes() if manifest.is_file() else None
        except OSError as error:
            raise _cannot(path, "the net cannot be read", error) from error
        digest = sha256(data)
        self.create()
        folder = self.nets / digest[:HASH_DIGITS]
        kept = self._kept(folder) or folder / _safe(path.name)
        try:
            if not kept.is_file() or file_sha256(kept) != digest:
                folder.mkdir(exist_ok=True)
                for leftover in folder.glob(".*.tmp"):  # of a call that was killed
                    leftover.unlink(missing_ok=True)
                write_whole(kept, data)
                if file_sha256(kept) != digest:
                    raise HomeError(
                        f"{kept}: is not what was written: the disk is at fault\n"
                        "Check the disk before anything is decided on it."
                    )
            if described is not None:
                beside = kept.with_name(f"{kept.name}.json")
                if not beside.exists():
                    write_whole(beside, described)
            # A copy that is there already may be of a call that died before its name was on the
            # disk.
            for parent in (folder, self.nets):
                sync_folder(parent)
        except OSError as error:
            raise _cannot(kept, "the net cannot be kept", error) from error
        return kept

    @staticmethod
    def _kept(folder: Path) -> Path | None:
        """The copy that there is of a net, under whatever name it came first."""
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return next((path for path in found if path.suffix not in (".json", ".tmp")), None)

    def relative(self, path: Path) -> str:
        """A path within the home as the registry has it. ValueError for one that is not."""
        return path.absolute().relative_to(self.root.absolute()).as_posix()


def _safe(name: str) -> str:
    """A file's name as it is, unless a terminal, the registry or a file system may not take it."""
    if name.isprintable() and len(name.encode()) <= LONGEST_NAME:
        return name
    suffix = ".pb" if name.endswith(".pb") else ".pb.gz"
    stem = re.sub(r"[^\w.+@=-]+", "-", name.removesuffix(suffix), flags=re.ASCII)
    return stem[: LONGEST_NAME - len(suffix)] + suffix


def _cannot(path: Path, what: str, error: OSError) -> HomeError:
    reason = (error.strerror or str(error)).lower()
    return HomeError(f"{path}: {what}: {reason}\nMend that, then give the same command again.")


@contextmanager
def lock(home: Home, wait: float | None = 0.0) -> Iterator[None]:
    """Be the only process at work in a home, within the context.

    ``wait``: seconds to wait for another process, None for as long as it takes. The lock is the
    system's (flock) and ends with the process, however that ends. It is on the folder, so that
    nobody can delete it; ``lock_file`` only says who has it. Raises BusyError, which names the
    process, and HomeError where the home cannot be used.
    """
    home.create()
    try:
        descriptor = os.open(home.root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _cannot(home.root, "cannot be locked", error) from error
    try:
        _acquire(home, descriptor, wait)
        began = datetime.now(UTC).isoformat(timespec="seconds")
        _say(home, json.dumps({"pid": os.getpid(), "since": began}) + "\n")
        try:
            yield
        finally:
            _say(home, "")
    finally:
        os.close(descriptor)


def _acquire(home: Home, descriptor: int, wait: float | None) -> None:
    end = None if wait is None else time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            left = LOCK_POLL if end is None else end - time.monotonic()
            if left <= 0.0:
                raise BusyError(
                    f"{home.root}: another process is at work here{_holder(home)}\n"
                    "Wait for it, or stop it: what it was doing is not lost."
                ) from None
            time.sleep(min(LOCK_POLL, left))
        except OSError as error:
            raise _cannot(home.root, "cannot be locked", error) from error


def _holder(home: Home) -> str:
    try:
        held = json.loads(home.lock_file.read_text(encoding="utf-8"))
        return f" (process {int(held['pid'])}, since {str(held['since'])[:40]})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it has not said yet


def _say(home: Home, text: str) -> None:
    """Write who has the lock; it is only to be shown, so a full disk does no harm."""
    with suppress(OSError):
        home.lock_file.write_text(text, encoding="utf-8")
