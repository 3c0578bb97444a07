"""A GUI for tests: it talks to a session in this process, and keeps what it was told."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from arena.evaluator import Evaluator
from arena.stand_ins import HashEvaluator
from arena.uci.options import Settings
from arena.uci.search import Searcher
from arena.uci.session import Session

PATIENCE = 120.0
"""Seconds after which an answer is taken not to come; on no machine does one take so long."""


class Gui:
    """Sends lines to an engine and waits for its answers."""

    def __init__(
        self,
        evaluator: Evaluator | None = None,
        settings: Settings | None = None,
        searcher: Future[Searcher] | None = None,
        seed: int = 1,
    ):
        if searcher is None:
            searcher = Future()
            searcher.set_result(Searcher(evaluator or HashEvaluator(1), seed))
        self.said: list[str] = []
        self._news = threading.Condition()
        self.session = Session("test", searcher, self._hear, settings)

    def _hear(self, line: str) -> None:
        with self._news:
            self.said.append(line)
            self._news.notify_all()

    def send(self, *lines: str) -> None:
        for line in lines:
            assert self.session.handle(line)

    def wait_for(self, beginning: str, after: int = 0) -> str:
        """The first line with this beginning behind the first ``after`` lines."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while True:
                for line in self.said[after:]:
                    if line.startswith(beginning):
                        return line
                assert self._news.wait(deadline - time.monotonic()), f"no {beginning}: {self.said}"

    def ask(self, *lines: str) -> list[str]:
        """Send lines, the last of them a ``go``; all that was said up to its best move."""
        before = len(self.said)
        self.send(*lines)
        self.wait_for("bestmove", before)
        return self.said[before:]

    def best(self, *lines: str) -> str:
        return self.ask(*lines)[-1].split()[1]

    def count(self, beginning: str) -> int:
        with self._news:
            return sum(line.startswith(beginning) for line in self.said)


def number(line: str, word: str) -> int:
    """The number behind a word of an info line."""
    words = line.split()
    return int(words[words.index(word) + 1])
