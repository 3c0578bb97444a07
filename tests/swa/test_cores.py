"""Work in chunks: all of it, once, on no more threads than there are cores."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swa.cores import in_chunks, usable_cores

PATIENCE = 20.0
"""Seconds after which a thread is given up: that is a deadlock, no slow machine."""


class Gauge:
    """Counts the threads that are at work at once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.chunks: list[tuple[int, int]] = []
        self.most = 0
        self._seconds = seconds
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, first: int, end: int) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.chunks.append((first, end))
        time.sleep(self._seconds)
        with self._lock:
            self._now -= 1


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        one = min(os.sched_getaffinity(0))
        code = (
            f"import os; os.sched_setaffinity(0, [{one}]);"
            "from swa import cores; print(cores.usable_cores(), cores._cores.idle.qsize())"
        )
        finished = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert finished.stdout.split() == ["1", "1"]


@given(st.integers(0, 200), st.integers(1, 30), st.integers(0, 9))
@settings(max_examples=200)
def test_everything_is_done_once(count: int, size: int, threads: int) -> None:
    gauge = Gauge()
    in_chunks(gauge, count, size, threads)
    chunks = sorted(gauge.chunks)
    assert chunks[0][0] == 0
    assert chunks[-1][1] == count
    assert all(one[1] == other[0] for one, other in itertools.pairwise(chunks))
    assert all(first % size == 0 for first, _ in chunks)
    assert all(first < end for first, end in chunks) or count == 0
    assert len(chunks) <= max(1, min(threads, usable_cores(), -(-count // size)))


def test_shares_are_even() -> None:
    gauge = Gauge(0.01)
    in_chunks(gauge, 6 * 7 + 1, 6, 2)
    sizes = sorted(end - first for first, end in gauge.chunks)
    assert sizes in ([43], [19, 24])


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_an_idle_core_helps() -> None:
    """Two shares that wait for one another end only if both run at once."""
    together = threading.Barrier(2)

    def meet(first: int, end: int) -> None:
        together.wait(PATIENCE)

    in_chunks(meet, 12, 6, 2)


def test_the_calling_thread_does_its_share() -> None:
    seen = []
    in_chunks(lambda first, end: seen.append(threading.current_thread()), 6, 6, 5)
    assert seen == [threading.current_thread()]


def run_all(callers: int, call: Callable[[], None]) -> None:
    """Call from many threads at once; a deadlock fails, and does not keep the tests from ending."""
    errors: list[BaseException] = []

    def caught() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=caught, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_never_more_threads_than_cores(threads: int) -> None:
    gauge = Gauge(0.002)
    run_all(12, lambda: [in_chunks(gauge, 31, 3, threads) for _ in range(10)] and None)
    assert gauge.most <= usable_cores()
    assert sum(end - first for first, end in gauge.chunks) == 12 * 10 * 31


def test_many_callers_end() -> None:
    gauge = Gauge()
    run_all(40, lambda: [in_chunks(gauge, 64, 6, 8) for _ in range(100)] and None)
    assert gauge.most <= usable_cores()
    assert sum(end - first for first, end in gauge.chunks) == 40 * 100 * 64


class BrokenError(Exception):
    """What goes wrong in these tests."""


@pytest.mark.parametrize("broken", [0, 18], ids=["caller", "helper"])
def test_an_error_is_raised_after_all_have_ended(broken: int) -> None:
    ended = []

    def work(first: int, end: int) -> None:
        if first <= broken < end:
            raise BrokenError(first)
        time.sleep(0.1)
        ended.append((first, end))

    with pytest.raises(BrokenError):
        in_chunks(work, 36, 6, 2)
    if usable_cores() > 1:
        assert ended == [(18, 36) if broken == 0 else (0, 18)]


def test_errors_do_not_use_up_cores() -> None:
    def break_down(first: int, end: int) -> None:
        raise BrokenError

    def call() -> None:
        for _ in range(3 * usable_cores()):
            with pytest.raises(BrokenError):
                in_chunks(break_down, 60, 6, 4)

    run_all(4, call)
    gauge = Gauge(0.05)
    in_chunks(gauge, 60, 1, usable_cores())
    assert len(gauge.chunks) == usable_cores()  # all of them are idle again


def test_work_that_is_cut_again_does_not_wait_for_itself() -> None:
    seen: list[tuple[int, int]] = []

    def outer(first: int, end: int) -> None:
        in_chunks(lambda a, b: seen.append((first + a, first + b)), end - first, 1, 8)

    in_chunks(outer, 40, 1, 8)
    assert sorted(place for a, b in seen for place in range(a, b)) == list(range(40))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_too() -> None:
    code = """
import os, time
from swa.cores import in_chunks
in_chunks(lambda first, end: time.sleep(0.05), 8, 1, 8)
child = os.fork()
seen = []
in_chunks(lambda first, end: seen.append(end - first), 8, 1, 8)
if child == 0:
    os._exit(sum(seen))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sum(seen))
"""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert finished.stdout.split() == ["8", "8"]


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1)]
)
def test_a_containers_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int | None
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n")
    monkeypatch.setattr("swa.cores.QUOTA_FILE", tmp_path / "none")
    without = usable_cores()
    monkeypatch.setattr("swa.cores.QUOTA_FILE", file)
    assert usable_cores() == (cores or without)


def test_an_interrupted_caller_loses_no_core() -> None:
    """Ctrl-C comes to the calling thread alone, in its own share or while it waits for others."""
    before = idle_cores()

    def work(first: int, end: int) -> None:
        if first == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            in_chunks(work, 8, 1, 8)
    assert idle_cores() == before


def idle_cores() -> int:
    from swa import cores

    return cores._cores.idle.qsize()
