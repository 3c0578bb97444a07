"""The one place that calls numba, for both packages.

numba keeps compiled code on disk, but looks only at the file a function stands in: an edit in a
callee's file, or in a table that became a constant of the compiled code, would go unnoticed and
stale code would run. So the cache lives in a folder named after a hash of every source file that
has kernels which another file's kernels call.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.core.typing.templates import AbstractTemplate, infer, infer_global, signature
from numba.extending import lower_builtin

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_BORROWING: dict[str, Any] = _OPTIONS | {"_nrt": False}

F = TypeVar("F", bound=Callable[..., Any])


def _source_digest() -> str:
    """Sha256 over the sources that hold compiled code, of all three places."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for pattern in ("swa/*.py", "arena/kernel/*.py", "arena/simulation/*.py"):
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
    return numba.njit(**_BORROWING)(function)


def inline(function: F) -> F:
    """Like ``kernel``, for a small function that LLVM shall merge into its caller."""
    return numba.njit(forceinline=True, **_BORROWING)(function)


def pasted(function: F) -> F:
    """Like ``kernel``, for a part of one caller: pasted into it before anything is compiled.

    LLVM goes over all that a function calls once more for each level of callers, which is most of
    the time that compiling takes.
    """
    return numba.njit(inline="always", **_BORROWING)(function)


def allocating(function: F) -> F:
    """Like ``kernel``, for a function that makes arrays."""
    return numba.njit(**_OPTIONS)(function)


Emit = Callable[..., ir.Value | None]
"""What writes LLVM instructions: ``emit(builder, *values)`` returns the result, if there is one."""


def compile_as(
    function: Callable[..., Any], accepts: tuple[Any, ...], result: types.Type, emit: Emit
) -> None:
    """Let compiled code run what ``emit`` writes where plain Python calls ``function``.

    ``accepts`` has a numba type, or a class of them, for each argument; arrays are of one dimension
    and float32. ``emit`` sees an array as its address, an index in 64 bits, the rest as it is.
    """

    class Template(AbstractTemplate):
        key = function

        def generic(self, arguments: Any, keywords: Any) -> Any:
            fits = len(arguments) == len(accepts) and all(map(_fits, arguments, accepts))
            return signature(result, *arguments) if fits else None

    def lower(context: Any, builder: ir.IRBuilder, call: Any, values: Any) -> ir.Value:
        arguments = [
            _plain(context, builder, kind, value)
            for kind, value in zip(call.args, values, strict=True)
        ]
        emitted = emit(builder, *arguments)
        return context.get_dummy_value() if emitted is None else emitted

    infer(Template)
    infer_global(function, types.Function(Template))
    lower_builtin(function, *accepts)(lower)


def _fits(kind: types.Type, wanted: Any) -> bool:
    if isinstance(kind, types.Array):  # whose address says nothing of what lies there
        flat = (kind.dtype, kind.ndim, kind.layout) == (types.float32, 1, "C")
        return wanted is types.Array and flat
    return isinstance(kind, wanted) if isinstance(wanted, type) else bool(kind == wanted)


def _plain(context: Any, builder: ir.IRBuilder, kind: types.Type, value: ir.Value) -> ir.Value:
    if isinstance(kind, types.Array):
        return context.make_array(kind)(context, builder, value).data
    if isinstance(kind, types.Integer):
        return context.cast(builder, value, kind, types.int64)
    return value


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
    return dispatcher.overloads[signature].entry_point
