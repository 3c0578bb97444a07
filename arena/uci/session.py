"""The conversation with a GUI: commands in, answers out, in step whatever comes.

Commands are read on one thread, a search runs on another. A command that makes no sense is answered
by one line, ``info string error: ...``, and changes nothing. Every ``go`` is answered by exactly
one ``bestmove``, every ``isready`` by one ``readyok``, at once if a search is running.

Source: the UCI protocol of April 2006 (Meyer-Kahlen and Huber); where it is silent, lc0.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from arena.uci.info import Moment, best_line, info_lines, verbose_lines
from arena.uci.limits import Limits, read_limits, seconds_for_move
from arena.uci.options import OptionError, Settings, read_setoption, uci_options, with_option
from arena.uci.search import Control, Searcher
from arena.uci.standing import STARTPOS, Standing, StandingError, read_position, standing

NO_MOVE = "(none)"
"""What is played where there is nothing to play, as Stockfish and python-chess know it."""

LONGEST_ECHO = 60
"""Characters of a word that nobody knows, when it is told so."""

Write = Callable[[str], None]
"""Writes one line; called from several threads, one at a time."""


class Session:
    """Answers commands until ``quit``.

    ``searcher`` may still be in the making: what needs it waits. ``write`` gets each line.
    """

    def __init__(
        self, name: str, searcher: Future[Searcher], write: Write, settings: Settings | None = None
    ):
        self._name = name
        self._searcher = searcher
        self._write_line = write
        self._writing = threading.Lock()
        self._settings = settings or Settings()
        self._standing: Standing | None = standing(STARTPOS, ())
        self._new_game = False  # since the last search
        self._asked_ready = False
        self._thread: threading.Thread | None = None
        self._control = Control(0.0, endless=False)
        self._limits = Limits()
        self._white = True  # who is to move where a search runs

    def run(self, lines: Iterable[str]) -> None:
        """Answer lines until ``quit``, or until there are no more.

        At the end of the input a search that ends by itself is let to its end, and ``isready`` is
        answered; ``quit`` waits for nothing.
        """
        try:
            for line in lines:
                if not self.handle(line):
                    return
            if not self._control.endless:
                self._join()
            if self._asked_ready:
                self._searcher.exception()  # waits
        finally:
            self._stop()

    def handle(self, line: str) -> bool:
        """Answer one line; returns False where it says to quit."""
        read_at = time.perf_counter()
        command, rest = [*line.split(maxsplit=1), "", ""][:2]
        match command:
            case "uci":
                self._introduce()
            case "isready":
                self._asked_ready = True
                self._searcher.add_done_callback(lambda _: self._write("readyok"))
            case "ucinewgame":
                self._stop()
                self._new_game = True
            case "setoption":
                self._set_option(rest)
            case "position":
                self._set_position(rest)
            case "go":
                self._go(rest, read_at)
            case "stop":
                self._stop()
            case "ponderhit":
                self._ponderhit(read_at)
            case "quit":
                return False
            case "" | "debug" | "register":
                pass
            case _:
                self._complain(f"unknown command: {_shown(command)}")
        return True

    # --- what is said ---

    def _write(self, *lines: str) -> None:
        with self._writing:
            for line in lines:
                self._write_line(line)

    def _complain(self, what: str) -> None:
        self._write(f"info string error: {what}")

    def _introduce(self) -> None:
        declared = (option.declared(self._settings) for option in uci_options())
        self._write(
            f"id name {_shown(self._name)}",
            "id author the authors of swa-arena",
            *declared,
            "uciok",
        )

    # --- what is told ---

    def _set_option(self, words: str) -> None:
        try:
            name, value = read_setoption(words)
            self._settings = with_option(self._settings, name, value)
        except OptionError as error:
            self._complain(_shown(str(error), 4 * LONGEST_ECHO))

    def _set_position(self, words: str) -> None:
        try:
            self._standing = read_position(words.split(), self._standing)
        except StandingError as error:
            # Not the one before: its best move would be taken for this one's.
            self._standing = None
            self._complain(f"position: {_shown(str(error), 4 * LONGEST_ECHO)}")

    def _go(self, words: str, read_at: float) -> None:
        self._stop()
        limits = read_limits(words.split())
        for fault in limits.faults:
            self._complain(_shown(fault, 4 * LONGEST_ECHO))
        at, settings = self._standing, self._settings
        if at is None or not at.legal():
            self._write(f"bestmove {NO_MOVE}")
            return
        overhead = settings.move_overhead_ms / 1000.0
        endless = limits.is_endless(at.white) and not (
            settings.visits and not limits.infinite and not limits.ponder
        )
        seconds = seconds_for_move(limits, at.white, overhead)
        self._limits, self._white = limits, at.white
        self._control = Control(read_at, endless, None if limits.infinite else seconds)
        new_game, self._new_game = self._new_game, False
        self._thread = threading.Thread(
            target=self._search, args=(at, limits, settings, self._control, new_game), daemon=True
        )
        self._thread.start()

    def _ponderhit(self, read_at: float) -> None:
        """The move that was pondered on was played: from now on the clock counts."""
        if self._control.endless and self._limits.ponder and not self._limits.infinite:
            self._control.begun = read_at
            self._control.endless = False

    def _stop(self) -> None:
        self._control.stopped.set()
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # --- the search's thread ---

    def _search(
        self, at: Standing, limits: Limits, settings: Settings, control: Control, new_game: bool
    ) -> None:
        """Search and say the move; there is one whatever happens."""
        move, line = at.legal()[0], [""]
        try:
            searcher = self._wait(control)
            if searcher is not None:
                if new_game:
                    searcher.new_game()
                has_moves_left = searcher.has_moves_left

                def report(moment: Moment, last: bool) -> None:
                    self._write(*info_lines(moment, settings, has_moves_left))
                    if last:
                        line[:] = best_line(moment)
                        if settings.verbose_move_stats:
                            self._write(*verbose_lines(moment))

                move = searcher.search(at, limits, settings, control, report)
        except Exception as error:  # a GUI that gets no move waits for ever
            self._complain(_shown(f"{type(error).__name__}: {error}", 4 * LONGEST_ECHO))
        finally:
            expects = f" ponder {line[1]}" if line[0] == move and len(line) > 1 else ""
            self._write(f"bestmove {move}{expects}")

    def _wait(self, control: Control) -> Searcher | None:
        """The searcher; None where the search is stopped before there is one."""
        while not control.stopped.is_set():
            with contextlib.suppress(TimeoutError):
                return self._searcher.result(timeout=0.05)
        return self._searcher.result() if self._searcher.done() else None


def _shown(text: str, most: int = LONGEST_ECHO) -> str:
    """Text that is one line of ASCII, and not a long one."""
    plain = text.encode("ascii", "backslashreplace").decode()
    plain = "".join(char if char.isprintable() else " " for char in plain)
    return plain if len(plain) <= most else f"{plain[:most]}..."
