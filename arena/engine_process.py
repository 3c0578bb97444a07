"""One process of a UCI engine: what it is asked, what it says, and what is wrong with it.

chess.engine speaks the protocol. What it leaves to its users is here: a stopwatch at the pipe, a
limit to what an engine may say, and whose fault it is when no move comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import chess
import chess.engine

from arena.clocks import Clock
from arena.external import Answer, Fault, Forfeit, FoundMove
from arena.game import NO_SCORE, Remark, Termination
from arena.scores import expected_result

MOST_BYTES = 16 << 20
"""What an engine may say during a move; a long search with 500 lines of MultiPV says some 5 MB."""

MOST_LINE = 1 << 20
"""Bytes of a line; a principal variation has a few hundred."""

PATIENCE = 60.0
"""Seconds that an engine may be silent where no clock runs, asked whether it is ready or not."""

STARTING = 60.0
"""Seconds that an engine may take to answer ``uci`` and its first ``isready``."""

LONGEST_MOVE = 3600.0
"""Seconds after which an engine without a clock is taken to search for ever."""

GRACE = 3.0
"""Seconds that an engine has to obey ``stop`` and ``quit``; one that does not has stalled."""

HEARTBEAT = 0.02
"""Seconds between two looks at whether this process itself is held up."""

FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that nobody gets by a mistake of its own: the kernel is out of memory, or a human is."""

KEPT_COMPLAINTS = 3
"""Last lines of stderr, which often say why an engine ended."""

# Without a handler Python prints the library's warnings; what matters of them is classified here.
logging.getLogger("chess.engine").addHandler(logging.NullHandler())


Playing = asyncio.Future[chess.engine.PlayResult]


class Task(NamedTuple):
    """A move that is asked of an engine."""

    game: object  # another one than before: ucinewgame
    board: chess.Board  # with all its moves
    limit: chess.engine.Limit
    clock: Clock | None  # the mover's


class Heartbeat:
    """Notices when this process was held up: stopped, starved, or suspended with its machine.

    An engine is not to lose by that.
    """

    def __init__(self) -> None:
        self._delays: deque[tuple[float, float]] = deque(maxlen=10_000)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(HEARTBEAT)
            now = time.monotonic()
            if (late := now - before - HEARTBEAT) > HEARTBEAT:
                self._delays.append((now, late))

    def stolen(self, since: float) -> float:
        """All delays since a moment of time.monotonic, in seconds."""
        return sum(delay for when, delay in self._delays if when > since)


class Wire(chess.engine.UciProtocol):
    """The library's protocol with a stopwatch, and no more lines than it needs.

    An engine may print thousands of lines a move, of which the last score is wanted: they are kept
    until ``bestmove`` comes, so that reading them costs little and a flood is noticed at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.heard = time.monotonic()
        self.went: float | None = None  # when ``go`` was written
        self.best: str | None = None  # the text of ``bestmove``
        self.seconds = 0.0  # between the two
        self.said = 0  # bytes since the task began
        self.flooded = self.gone = False
        self.complaints: deque[str] = deque(maxlen=KEPT_COMPLAINTS)
        self._info: dict[str, str] = {}
        self._pings = 0

    def begin(self) -> None:
        """A new move is to be asked for."""
        self.asked = self.heard = time.monotonic()
        self.went = self.best = None
        self.said = 0
        self._info.clear()

    def ask_whether_alive(self) -> None:
        """By the protocol an engine answers this while it searches, too."""
        self._pings += 1
        self.send_line("isready")

    def send_line(self, line: str) -> None:
        """Write a line and look at the clock."""
        if line.startswith("go"):
            self.went = self.heard = time.monotonic()
        super().send_line(line)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Take whole lines of what came; nothing more of an engine that says too much."""
        now = time.monotonic()
        assert isinstance(data, bytes)
        self.said += len(data)
        buffer = self.buffer[fd]
        self.flooded |= self.said > MOST_BYTES or len(buffer) > MOST_LINE
        if self.flooded:
            return
        buffer.extend(data)
        if b"\n" not in data:
            return
        *lines, rest = bytes(buffer).split(b"\n")
        buffer[:] = rest
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            if fd == 1:
                self._heard_line(text, now)
            elif text.strip():
                self.complaints.append(text.strip())

    def process_exited(self) -> None:
        """Note it: the pipes may be held open by somebody whom the engine has started."""
        self.gone = True
        super().process_exited()

    def _heard_line(self, text: str, now: float) -> None:
        words = text.split(maxsplit=2)
        self.heard = now
        if not words:
            return
        if words[0] == "info":
            self._keep(text)
            return
        if words[0] == "readyok" and self._pings and self.went is not None:
            self._pings -= 1
            return
        if words[0] == "bestmove":
            if self.went is None or self.best is not None:
                return  # nobody has asked, and the next question must not be answered by it
            self.best = words[1] if len(words) > 1 else ""
            self.seconds = now - self.went
            for info in self._info.values():
                self._line_received(info)
        self._line_received(text)

    def _keep(self, info: str) -> None:
        """Remember the last line that has a score of the best line, and the last count of nodes."""
        if " string " in info or (" multipv " in info and " multipv 1 " not in f"{info} "):
            return
        if " score " in info and ("bound" not in info or "score" not in self._info):
            self._info.pop("score", None)
            self._info["score"] = info
        elif " nodes " in info:
            self._info.pop("nodes", None)
            self._info["nodes"] = info


class EngineProcess:
    """A process that is asked for one move after the other."""

    def __init__(self, name: str, wire: Wire, heartbeat: Heartbeat, patience: float = PATIENCE):
        self._name = name
        self._wire = wire
        self._heartbeat = heartbeat
        self._patience = patience
        self._killed = False

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        folder: Path | None,
        options: Mapping[str, str],
        heartbeat: Heartbeat,
        patience: float = PATIENCE,
    ) -> EngineProcess:
        """Start an engine and set its options.

        In a process group of its own, as Ctrl-C in a terminal is for the match and not for the
        engine. Raises OSError where it cannot be started, chess.engine.EngineError where it does
        not speak UCI or knows no such option, TimeoutError where it says nothing.
        """
        _, wire = await Wire.popen(list(command), setpgrp=True, cwd=folder)
        process = cls(name, wire, heartbeat, patience)
        try:
            async with asyncio.timeout(STARTING):
                await wire.initialize()
                await wire.configure(_parsed(options, wire.options))
                if "UCI_ShowWDL" in wire.options and "uci_showwdl" not in map(str.lower, options):
                    await wire.configure({"UCI_ShowWDL": True})
                await wire.ping()
        except BaseException:
            await process.kill()
            raise
        return process

    @property
    def own_name(self) -> str:
        """What the engine calls itself, or nothing."""
        return self._wire.id.get("name", "")

    @property
    def usable(self) -> bool:
        """Whether it can be asked for another move."""
        wire = self._wire
        ended = self._killed or wire.gone or wire.flooded or wire.returncode.done()
        return not ended and wire.command is None

    async def find_move(self, task: Task) -> Answer:
        """Ask for a move, and classify what comes instead of one.

        After a fault the process may be no longer ``usable``. Cancelled, it stops the engine.
        """
        self._wire.begin()
        play = asyncio.ensure_future(
            self._wire.play(
                task.board,
                task.limit,
                game=task.game,
                info=chess.engine.INFO_BASIC | chess.engine.INFO_SCORE,
            )
        )
        try:
            fault = await self._watch(play, task)
            if fault is not None:
                return fault
            return self._found(play.result(), task.clock)
        except chess.engine.EngineTerminatedError:
            return await self._died()
        except chess.engine.EngineError as error:
            if self._wire.best is None:
                return Fault(f"{self._name}: {error}")
            return self._illegal()
        finally:
            await self._stop(play)

    async def close(self) -> None:
        """Let the engine quit, or make it."""
        if self.usable:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(GRACE):
                    await self._wire.quit()
        await self.kill()

    async def kill(self) -> None:
        """End the process and whatever it has started."""
        if self._killed:  # its number may be another process's by now
            return
        self._killed = True
        transport = self._wire.transport
        assert transport is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await asyncio.shield(self._wire.returncode)

    async def _watch(self, play: Playing, task: Task) -> Answer | None:
        """Wait for a move; returns what is wrong if it does not come."""
        asked = False
        while True:
            until, may_ask = self._next_look(task.clock, asked)
            await asyncio.wait({play}, timeout=max(0.0, min(until - time.monotonic(), 0.25)))
            wire = self._wire
            if wire.flooded:
                return await self._flooded()
            if play.done():
                return None
            if wire.gone:
                return await self._died()
            if time.monotonic() < until:
                continue
            if may_ask:
                wire.ask_whether_alive()
                asked = True
            else:
                return await self._silent(play, task.clock)

    def _next_look(self, clock: Clock | None, asked: bool) -> tuple[float, bool]:
        """When patience ends, and whether to ask once more before it is lost."""
        wire = self._wire
        if wire.went is None:
            return wire.asked + self._patience, False
        if clock is not None:
            return wire.went + clock.most + self._heartbeat.stolen(wire.went) + HEARTBEAT, False
        if wire.went + LONGEST_MOVE < wire.heard + self._patience:
            return wire.went + LONGEST_MOVE, False
        if not asked:
            return wire.heard + 0.5 * self._patience, True
        return wire.heard + self._patience, False

    async def _silent(self, play: Playing, clock: Clock | None) -> Answer:
        """No move came in time: tell one who is late from one who is gone."""
        wire = self._wire
        if wire.went is None:
            return await self._stalled(f"not ready after {self._patience:g} s")
        waited = time.monotonic() - wire.went
        stopped = await self._stop(play)
        if clock is None:
            what = "sent nothing" if stopped is False else "found no move"
            return await self._stalled(f"{what} for {waited:.1f} s")
        late = f"no move within {clock.left:.3f} s"
        if stopped:
            return Forfeit(Termination.TIME_FORFEIT, late)
        return await self._stalled(f"{late}, and did not obey stop")

    async def _stop(self, play: Playing) -> bool:
        """Make the engine stop searching; returns whether it has."""
        if not play.done():
            play.cancel()  # chess.engine sends ``stop``
            await asyncio.wait({play})
        command = self._wire.command
        if command is not None:
            await asyncio.wait({command.finished}, timeout=GRACE)
        return self._wire.command is None and not self._wire.gone

    def _found(self, result: chess.engine.PlayResult, clock: Clock | None) -> Answer:
        wire = self._wire
        if clock is not None and wire.seconds > clock.most and wire.went is not None:
            late = wire.seconds - clock.most
            if self._heartbeat.stolen(wire.went) >= late:
                return Fault(f"{self._name}: {late:.3f} s late while the machine was held up")
        if result.move is None:
            return self._illegal()
        info = result.info
        q, d = _values(info)
        return FoundMove(
            result.move.uci(),
            q=q,
            d=d,
            visits=info.get("nodes", 0),
            remark=Remark(_score(info), info.get("depth", 0), round(wire.seconds, 3)),
        )

    def _illegal(self) -> Forfeit:
        return Forfeit(Termination.ILLEGAL_MOVE, f"played {_one_line(self._wire.best or '')}")

    async def _stalled(self, what: str) -> Forfeit:
        await self.kill()
        return Forfeit(Termination.STALL, what)

    async def _flooded(self) -> Forfeit:
        await self.kill()
        return Forfeit(
            Termination.BABBLE,
            f"wrote more than {MOST_BYTES >> 20} MB for a move, or {MOST_LINE >> 20} MB in a line",
        )

    async def _died(self) -> Answer:
        """The process has ended: by itself, or somebody has ended it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await asyncio.shield(self._wire.returncode)
        transport = self._wire.transport
        code = None if transport is None else transport.get_returncode()
        await self.kill()
        if code is not None and -code in FROM_OUTSIDE:
            return Fault(f"{self._name}: was killed from outside ({signal.Signals(-code).name})")
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        said = _one_line("; ".join(self._wire.complaints))
        return Forfeit(Termination.CRASH, f"{how}: {said}" if said else how)


def _parsed(
    options: Mapping[str, str], known: Mapping[str, chess.engine.Option]
) -> dict[str, chess.engine.ConfigValue]:
    """Options as the library wants them.

    Of a switch it takes all texts but "false" for true. A name in other letters than the engine's
    it would find, and then set the default of what it takes for another option.
    """
    values: dict[str, chess.engine.ConfigValue] = {}
    for given, value in options.items():
        option = known.get(given)
        name = given if option is None else option.name
        values[name] = value
        if option is not None and option.type == "check":
            if value not in ("true", "false"):
                raise chess.engine.EngineError(f"option {name}: is true or false, not {value!r}")
            values[name] = value == "true"
    return values


def _one_line(text: str, longest: int = 120) -> str:
    """Whatever an engine wrote, fit for a report."""
    line = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return line if len(line) <= longest else line[: longest - 3] + "..."


def _score(info: chess.engine.InfoDict) -> str:
    """The mover's score as PGN comments have it."""
    score = info.get("score")
    if score is None:
        return NO_SCORE
    if (mate := score.relative.mate()) is not None:
        return f"+M{mate}" if mate > 0 else f"-M{-mate}"
    centipawns = score.relative.score()
    assert centipawns is not None
    return f"{centipawns / 100:+.2f}"


def _values(info: chess.engine.InfoDict) -> tuple[float, float]:
    """Expected result in [-1, 1] and draw probability of the mover.

    The first is from the engine's centipawns by lc0's conversion, turned round, so that rules on
    centipawns see what the engine said. The second is the engine's own, as far as the first leaves
    room for it; 0 where it does not say.
    """
    score = info.get("score")
    if score is None:
        q = 0.0
    elif (mate := score.relative.mate()) is not None:
        q = 1.0 if mate > 0 else -1.0
    else:
        q = expected_result(score.relative.score() or 0)
    wdl = info.get("wdl")
    draws = wdl.relative.drawing_chance() if wdl is not None else 0.0
    return q, max(0.0, min(draws, 1.0 - abs(q)))
