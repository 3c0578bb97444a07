"""``arena`` again and again, each time in a fork of one process that has loaded everything.

A process of its own takes seconds to start; to kill a match a hundred times, that is too long. The
fork is a process like any other: it can be killed, and its limits are its own.

As a program it reads one JSON object a line, {"words": [...], "largest_file": BYTES or null}, and
answers with the fork's process id, which is nobody else's until it reads the next line and answers
how the fork ended (negative: the signal that killed it) and what it had written to stderr.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self


class Running:
    """One run of ``arena`` in a fork."""

    def __init__(self, requests: IO[str], answers: IO[str]):
        self._requests, self._answers = requests, answers
        self.pid: int = json.loads(answers.readline())

    def wait(self) -> tuple[int, str]:
        """Wait for the end: the exit code, and what was written to stderr."""
        self._requests.write("\n")
        self._requests.flush()
        code, errors = json.loads(self._answers.readline())
        return code, errors


class ForkServer:
    """A context manager; ``folder`` is where the runs' current folder is."""

    def __init__(self, folder: Path, warm_up: Sequence[str]):
        """``warm_up``: words of a short run that loads and compiles what the others need."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, *warm_up],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *words: str, largest_file: int | None = None) -> Running:
        """Begin a run; no other one may be running. No file of it grows beyond ``largest_file``."""
        request = {"words": words, "largest_file": largest_file}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Running(self._process.stdin, self._process.stdout)

    def run(self, *words: str, largest_file: int | None = None) -> tuple[int, str]:
        """Begin a run and wait for its end."""
        return self.start(*words, largest_file=largest_file).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._process:  # its stdin is closed, and it leaves
            pass


def serve() -> None:
    """Serve until stdin is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    from arena.cli import main

    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    if main(sys.argv[1:]) != 0:
        sys.exit("the run that loads everything has failed")
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writing, sys.stderr.fileno())
            os.close(reading)
            os.close(writing)
            os._exit(_run(json.loads(line)))
        os.close(writing)
        answers.write(f"{pid}\n")
        answers.flush()
        with os.fdopen(reading) as errors:
            text = errors.read()
        sys.stdin.readline()
        _, status = os.waitpid(pid, 0)
        answers.write(json.dumps([os.waitstatus_to_exitcode(status), text]) + "\n")
        answers.flush()


def _run(request: dict[str, Any]) -> int:
    from arena.cli import main

    if request["largest_file"] is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], hard))
    return main(request["words"])


if __name__ == "__main__":
    serve()
