"""The one place that calls numba, for both packages.

numba keeps compiled code on disk, but looks only at the file a function stands in: an edit in a
callee's file, or in a table that became a constant of the compiled code, would go unnoticed and
stale code would run. So the cache lives in a folder named after a hash of every source file that
compiled code can come from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.dispatcher import Dispatcher

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_BORROWING: dict[str, Any] = _OPTIONS | {"_nrt": False}

F = TypeVar("F", bound=Callable[..., Any])


def _source_digest() -> str:
    """Sha256 over the sources that hold compiled code: ``swa/*.py`` and ``arena/kernel/*.py``."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for pattern in ("swa/*.py", "arena/kernel/*.py"):
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    if chosen := os.environ.get("ARENA_CACHE_DIR"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    if os.access(base, os.W_OK) or not Path(base).exists():
        return Path(base) / "swa-arena"
    # Compiled code is trusted as it lies, so nobody else may have put it there.
    return Path(tempfile.mkdtemp(prefix="swa-arena-"))


CACHE_DIR = _cache_root() / "numba" / _source_digest()
"""Where this version's compiled kernels are kept; safe to delete."""

setattr(numba.config, "CACHE_DIR", str(CACHE_DIR))  # noqa: B010 - a field that mypy cannot see


def kernel(function: F) -> F:
    """Compile ``function`` at its first call, without the GIL; ``.py_func`` stays the source.

    It works on arrays that its caller keeps alive and must not make any: without numba's reference
    counts, of which each view costs two atomic ones, a search of cheap leaves is a third faster.
    """
    return numba.njit(**_BORROWING)(function)  # type: ignore[no-any-return]


def inline(function: F) -> F:
    """Like ``kernel``, for a small function that LLVM shall merge into its caller."""
    return numba.njit(forceinline=True, **_BORROWING)(function)  # type: ignore[no-any-return]


def allocating(function: F) -> F:
    """Like ``kernel``, for a function that makes arrays."""
    return numba.njit(**_OPTIONS)(function)  # type: ignore[no-any-return]


def compiled_for(function: F, *arguments: Any) -> F:
    """The compiled form of a kernel for arguments of these types, which is not chosen anew.

    At each call numba looks at the type of every argument; for tuples of arrays of records that
    takes ten times as long as the call itself (6 microseconds against 0.6). Nothing checks the
    types any more: only for arrays that the caller itself has made.
    """
    if not isinstance(function, Dispatcher):  # numba is switched off
        return function
    dispatcher: Any = function
    signature = tuple(map(numba.typeof, arguments))
    dispatcher.compile(signature)
    return dispatcher.overloads[signature].entry_point  # type: ignore[no-any-return]
