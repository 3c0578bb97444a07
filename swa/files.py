"""How files are written: whole or not at all, so that a crash leaves what was there before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, on the disk when this returns.

    It is written beside ``path`` under another name first, and takes its place at the end. Raises
    OSError where that fails; nothing new is left behind then, and what stood at ``path`` stays.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Put several files in their places, in the order given, all of them or none.

    All are on the disk under other names before the first takes its place, so that lack of room
    stops none half-way. Raises OSError where it fails; files that are new are taken away then. (Of
    files that are replaced, one may be new and the next old if the disk fails between the two.)
    """
    # The process id keeps two programs from writing into each other's file.
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    fresh = [path for path in contents if not path.exists()]
    placed: list[Path] = []
    try:
        for path, data in contents.items():
            with temporaries[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in temporaries.items():
            temporary.replace(path)
            placed.append(path)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        for path in placed:
            if path in fresh:
                path.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in contents}:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: a file whose name is lost is lost with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
