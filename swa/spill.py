"""Large arrays: in memory up to a limit, beyond it in a file that nobody else sees.

The file has no name (Linux's O_TMPFILE; elsewhere it is unlinked as soon as it is open), so it goes
with the process, whatever ends that: an error, Ctrl-C, SIGKILL. Its space is taken before it is
used: a full disk is an error here and not a crash (SIGBUS) at some later access.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from swa.simd import aligned
from swa.spec import NetError

_PIECE = 2**20  # bytes that are written at a time where space cannot be reserved


class SpaceError(NetError):
    """No room for what must be kept: ``path`` is the folder, the remedy names what can be done."""


@dataclass(frozen=True, slots=True, eq=False)
class Spilled:
    """An array of numbers, in memory or in a file."""

    numbers: NDArray[Any]  # [n], beginning at a cache line
    _pages: mmap.mmap | None

    def release(self) -> None:
        """Let the system have the array's memory; what stands there stays, in the file.

        Mapped pages that were touched count as memory of the process until then.
        """
        if self._pages is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._pages.madvise(mmap.MADV_DONTNEED)


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
            return Spilled(aligned(-(-size // 4)).view(dtype), None)
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


def _reserve(file: int, start: int, size: int) -> None:
    """Take ``size`` bytes of disk from the file's end, ``start``. Raises OSError if it is full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, start, size)
        return
    zeros, place, end = bytes(_PIECE), start, start + size  # macOS
    while place < end:
        place += os.pwrite(file, zeros[: end - place], place)
