"""Large arrays: in memory up to a limit, beyond it in a file that nobody else sees.

The file has no name (Linux's O_TMPFILE; elsewhere it is unlinked as soon as it is open), so it goes
with the process, whatever ends that: an error, Ctrl-C, SIGKILL. Its space is taken before it is
used: a full disk is an error here and not a crash (SIGBUS) at some later access.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from swa.simd import aligned
from swa.spec import NetError

_POPULATE_WRITE = 23  # madvise(2), since Linux 5.14; Python has no name for it
_LARGE_PAGE = 2**21  # bytes
_PIECE = 2**20  # bytes that are written at a time where space cannot be reserved


class SpaceError(NetError):
    """No room for what must be kept: ``path`` is the folder, the remedy names what can be done."""


@dataclass(frozen=True, slots=True, eq=False)
class Spilled:
    """An array of numbers, in memory or in a file; to be touched while it is in use."""

    numbers: NDArray[Any]  # [n], beginning at a cache line
    _file: mmap.mmap | None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Have the array in memory meanwhile; afterwards what stands there is in the file.

        Mapped pages that were touched count as memory of the process. Having all of them brought in
        at once saves a fault for each: of first ones, six times the time.
        """
        if self._file is not None and sys.platform == "linux":
            with contextlib.suppress(OSError):  # Linux before 5.14 does not know it
                self._file.madvise(_POPULATE_WRITE)
        try:
            yield
        finally:
            if self._file is not None and sys.platform == "linux":
                self._file.madvise(mmap.MADV_DONTNEED)


class Spill:
    """Where arrays are made; the file goes when it is closed and they are no longer used."""

    def __init__(self, folder: str | Path | None, memory: int) -> None:
        """Keep ``memory`` bytes in memory, the rest in ``folder`` (None: that for temporary files).

        Nothing is made in the folder before something is to be kept there.
        """
        self._folder = str(folder) if folder is not None else tempfile.gettempdir()
        self._memory_left, self._size = memory, 0
        self._file: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def array(self, count: int, dtype: type[np.floating[Any]]) -> Spilled:
        """``count`` zeros. Raises SpaceError where there is no room for them."""
        size = count * np.dtype(dtype).itemsize
        if size <= self._memory_left:
            self._memory_left -= size
            return Spilled(_in_memory(size).view(dtype), None)
        start, size = self._size, -(-size // mmap.ALLOCATIONGRANULARITY)
        size *= mmap.ALLOCATIONGRANULARITY
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            _reserve(self._file.fileno(), start, size)
            pages = mmap.mmap(self._file.fileno(), size, offset=start)
        except OSError as error:
            raise self._no_room(error, start + size) from error
        self._size += size
        return Spilled(np.frombuffer(pages, dtype, count), pages)

    def _no_room(self, error: OSError, size: int) -> SpaceError:
        free = ""
        with contextlib.suppress(OSError):
            free = f", {shutil.disk_usage(self._folder).free / 1e9:.1f} GB are free"
        return SpaceError(
            f"no room for a temporary file: {(error.strerror or str(error)).lower()} "
            f"(at {size / 1e9:.1f} GB{free})",
            "Choose a folder on another disk, or take fewer positions.",
            self._folder,
        )


def _in_memory(size: int) -> NDArray[np.uint8]:
    """``size`` zeros: bytes, in large pages where the system has them, which saves faults."""
    if size < _LARGE_PAGE or sys.platform != "linux":
        return aligned(-(-size // 4)).view(np.uint8)[:size]
    pages = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)


def _reserve(file: int, start: int, size: int) -> None:
    """Take ``size`` bytes of disk from the file's end, ``start``. Raises OSError if it is full."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            os.posix_fallocate(file, start, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # some file systems cannot
                raise
    zeros, place, end = bytes(_PIECE), start, start + size
    while place < end:
        place += os.pwrite(file, zeros[: end - place], place)
