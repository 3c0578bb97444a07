"""Nights again and again, each in a fork of one process that has loaded everything.

A process of its own takes seconds to start; to kill a season 200 times, that is too long. Forks can
be killed from outside at any moment, or kill themselves where an ``Aim`` says so.

As a program it reads pickled requests from stdin and answers on stdout: a ``Call`` with the fork's
process id, which is nobody else's until it was waited for; a process id with how the fork ended
(negative: the signal) and its ``Report``, None if it was killed before.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from season import DRAWING

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Aim:
    """Where a night dies, as by a power cut: ``seconds`` after a call of some kind has begun.

    ``kind``: "replace" and "fsync" (Python's own), "commit" (SQLite's), "publish" (reports, index
    and hook); ``number``: which of these calls, from 0. Without seconds it dies before the call.
    """

    kind: str
    number: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Call:
    """What a fork is to do: ``run_night(settings, play, ...)``."""

    settings: Any
    play: Any
    wait: float | None = 0.0
    aim: Aim | None = None


class Report(NamedTuple):
    """What a night had to say that came to an end."""

    verdict: str | None  # of the decision; None: there was nothing new, or an error
    error: str | None
    lines: tuple[str, ...]  # what it told on the way
    calls: dict[str, int]  # how many there were, by the kind of an aim
    seconds: float


class NightServer:
    """A context manager."""

    def __init__(self, warm_up: Call) -> None:
        """``warm_up``: a night that loads and compiles what the others need."""
        path = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ask(warm_up, answer=False)

    def start(self, call: Call) -> int:
        """Begin a night in a process of its own and return its id."""
        pid: int = self._ask(call)
        return pid

    def wait(self, pid: int) -> tuple[int, Report | None]:
        """Wait for its end."""
        ended: tuple[int, Report | None] = self._ask(pid)
        return ended

    def run(self, call: Call) -> tuple[int, Report | None]:
        return self.wait(self.start(call))

    def _ask(self, request: object, *, answer: bool = True) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout) if answer else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._process:  # its stdin is closed, and it leaves
            pass


# --- in the server ---


def serve() -> None:
    """Serve until stdin is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import scipy.stats  # noqa: F401 - for matches of several sessions, which a fork would wait for

    results: dict[int, int] = {}
    report = _night(pickle.load(sys.stdin.buffer), _Counting(None))
    if report.error:
        sys.exit(f"the night that loads everything has failed:\n{report.error}")
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if isinstance(request, Call):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                report = _night(request, _Counting(request.aim))
                with os.fdopen(writing, "wb") as pipe:
                    pickle.dump(report, pipe)
                os._exit(0)
            os.close(writing)
            results[pid] = reading
            answer: object = pid
        else:
            with os.fdopen(results.pop(request), "rb") as pipe:
                text = pipe.read()
            _, status = os.waitpid(request, 0)
            code = os.waitstatus_to_exitcode(status)
            answer = code, pickle.loads(text) if code == 0 else None
        pickle.dump(answer, answers)
        answers.flush()


class _Counting:
    """Counts calls, and dies in one of them."""

    def __init__(self, aim: Aim | None) -> None:
        self.calls: Counter[str] = Counter()
        self._aim = aim

    def called(self, kind: str) -> None:
        number = self.calls[kind]
        self.calls[kind] += 1
        aim = self._aim
        if aim is None or (kind, number) != (aim.kind, aim.number):
            return
        if aim.seconds == 0.0:
            os.kill(os.getpid(), signal.SIGKILL)
        # Nobody handles this signal: it ends the process wherever that is, as SIGKILL does.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, aim.seconds)

    def watch(self, where: Any, name: str, kind: str) -> Callable[[], None]:
        """Note all calls of a function from now on; returns what ends that."""
        real = getattr(where, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            self.called(kind)
            return real(*arguments, **named)

        setattr(where, name, watched)
        return lambda: setattr(where, name, real)

    def connect(self) -> Callable[[], None]:
        """Note all commits of connections that are made from now on."""
        real = sqlite3.connect

        def traced(statement: str) -> None:
            if statement.strip().upper().startswith(("COMMIT", "END")):
                self.called("commit")

        def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
            connection = real(*arguments, **named)
            connection.set_trace_callback(traced)
            return connection

        sqlite3.connect = connect  # type: ignore[assignment]
        return lambda: setattr(sqlite3, "connect", real)


def _night(call: Call, counting: _Counting) -> Report:
    import arena.nightly.publication
    from arena.nightly.night import run_night

    for name, instead in DRAWING.items():
        module, _, function = name.rpartition(".")
        setattr(importlib.import_module(module), function, instead)
    undo = [
        counting.watch(os, "replace", "replace"),
        counting.watch(os, "rename", "replace"),
        counting.watch(os, "fsync", "fsync"),
        counting.watch(arena.nightly.publication, "publish", "publish"),
        counting.connect(),
    ]
    lines: list[str] = []
    verdict = error = None
    began = time.monotonic()
    try:
        outcome = run_night(call.settings, call.play, lines.append, wait=call.wait)
        verdict = str(outcome.decision.verdict) if outcome.decision else None
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}\n{traceback.format_exc()}"
    seconds = time.monotonic() - began
    for step in undo:
        step()
    return Report(verdict, error, tuple(lines), dict(counting.calls), seconds)


if __name__ == "__main__":
    # Requests are pickled by those who import this file under its name.
    import night_server

    night_server.serve()
