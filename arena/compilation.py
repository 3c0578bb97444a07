"""Whether what a match runs is compiled already: the first one waits for it."""

from __future__ import annotations

from swa.jit import CACHE_DIR

SEARCH = "games.spell-*.nbi"
"""numba's index file of the kernel that a match comes to last, when its first game ends."""

FORWARD = "forward._evaluate-*.nbi"
"""That of the forward pass on a CPU, which is compiled as a whole."""


def kernels_compiled(*, forward: bool) -> bool:
    """Whether all that a match compiles lies in the cache, made from these very sources.

    ``forward``: whether a net is evaluated by our own forward pass, not by torch.
    """
    files = (SEARCH, FORWARD) if forward else (SEARCH,)
    return CACHE_DIR.is_dir() and all(any(CACHE_DIR.rglob(file)) for file in files)
