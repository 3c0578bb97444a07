"""The cores of this process: never more threads at work in ``in_chunks`` than there are cores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import local

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Linux's limit of a container's time: "200000 100000" is two cores' worth, "max 100000" no limit
(https://docs.kernel.org/admin-guide/cgroup-v2.html)."""


def usable_cores() -> int:
    """Cores that this process may use: a container often has fewer of them than the machine."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    try:
        quota, period = QUOTA_FILE.read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, no limit
        return cores


class _Cores:
    """Who may compute, and the threads that help."""

    def __init__(self) -> None:
        count = usable_cores()
        # An entry for each; unlike threading.Semaphore it is not written in Python.
        self.idle: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self.idle.put(None)
        self.helpers = ThreadPoolExecutor(count, thread_name_prefix="core")
        self.mine = local()  # .core: whether this thread has one already


_cores = _Cores()


def _forked() -> None:
    """Begin anew: a child has none of its parent's threads."""
    global _cores
    _cores = _Cores()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def in_chunks(work: Callable[[int, int], None], count: int, size: int, threads: int) -> None:
    """Call ``work(first, end)`` for chunks of ``count`` things, cut at multiples of ``size``.

    The calling thread does its share, after it has waited for a core; others help, up to
    ``threads`` in all, where a core is idle. The first error of any of them is raised, after all
    have ended. Called from within such work, it does all of it on the core it has.
    """
    cores = _cores
    if getattr(cores.mine, "core", False):
        work(0, count)
        return

    def on_a_core(first: int, end: int) -> None:
        cores.mine.core = True
        try:
            work(first, end)
        finally:
            cores.mine.core = False
            cores.idle.put(None)

    cores.idle.get()
    pieces, shares = -(-count // size), 1
    try:
        while shares < min(threads, pieces):
            cores.idle.get_nowait()
            shares += 1
    except Empty:
        pass
    bounds = [min(count, size * (pieces * share // shares)) for share in range(shares + 1)]
    mine, *theirs = itertools.pairwise(bounds)
    others: list[Future[None]] = []
    try:
        try:
            others.extend(cores.helpers.submit(on_a_core, *chunk) for chunk in theirs)
        finally:
            for _ in theirs[len(others) :]:  # that no thread took
                cores.idle.put(None)
            on_a_core(*mine)
    finally:
        wait(others)
    for other in others:
        other.result()
