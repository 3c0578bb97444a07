"""The cores of this process, shared by whoever computes on them: never more threads than cores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore, local


def usable_cores() -> int:
    """Cores that this process may run on, which a container often has fewer of than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_CORES = usable_cores()
_idle = BoundedSemaphore(_CORES)
_helpers = ThreadPoolExecutor(_CORES, thread_name_prefix="core")
_mine = local()  # .core: whether this thread has one already


def in_chunks(work: Callable[[int, int], None], count: int, size: int, threads: int) -> None:
    """Call ``work(first, end)`` for chunks of ``count`` things, cut at multiples of ``size``.

    The calling thread does its share, after it has waited for a core; others help, up to
    ``threads`` in all, where a core is idle. The first error of any of them is raised, after all
    have ended. Called from within such work, it does all of it on the core it has.
    """
    if getattr(_mine, "core", False):
        work(0, count)
        return
    pieces = -(-count // size)
    with _idle:
        helpers = 0
        others: list[Future[None]] = []
        try:
            while helpers < min(threads, pieces) - 1 and _idle.acquire(blocking=False):
                helpers += 1
            shares = helpers + 1
            bounds = [min(count, size * (pieces * share // shares)) for share in range(shares + 1)]
            mine, *theirs = itertools.pairwise(bounds)
            for first, end in theirs:
                others.append(_helpers.submit(_on_a_core, work, first, end))
            _on_a_core(work, *mine)
        finally:
            wait(others)
            for _ in range(helpers):
                _idle.release()
        for other in others:
            other.result()


def _on_a_core(work: Callable[[int, int], None], first: int, end: int) -> None:
    _mine.core = True
    try:
        work(first, end)
    finally:
        _mine.core = False
