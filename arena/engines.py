"""UCI engines as players of a match: a pool of processes, one for each game in flight.

All processes of an engine are looked after by one thread with an event loop. Lanes ask it for moves
and go on; a process is kept for the next game, which begins with ``ucinewgame``, and one that
crashed, stalled or flooded its output is replaced.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import chess
import chess.engine

from arena.clocks import Clock
from arena.engine_process import PATIENCE, STARTING, EngineProcess, Heartbeat, Task
from arena.external import Answer, Fault, Forfeit, GameState
from arena.game import Termination
from arena.openings import final_position
from arena.players import EnginePlayer

T = TypeVar("T")

START_FAILURES = 3
"""Games in a row that an engine may lose by not starting, before it is taken for the machine."""


class EngineError(Exception):
    """An engine that cannot play: what, why, what to do."""


@contextlib.contextmanager
def engine_player(
    spec: EnginePlayer, concurrency: int, patience: float = PATIENCE
) -> Iterator[EnginePool]:
    """Start an engine for at most ``concurrency`` games at once; all its processes end with it.

    The first process is started at once. ``patience``: seconds that it may be silent without a
    clock. Raises EngineError where it cannot be started, does not speak UCI, or has no such option.
    """
    pool = EnginePool(spec, concurrency, patience)
    try:
        pool.start()
        yield pool
    finally:
        pool.close()


@dataclass(slots=True, eq=False)
class _Seat:
    """A process at the board of a game."""

    process: EngineProcess
    game: int = -1
    board: chess.Board = field(default_factory=chess.Board)
    moves: int = 0  # of the game that are on the board
    thinking: asyncio.Task[None] | None = None


class EnginePool:
    """An ``ExternalPlayer``; see ``engine_player``."""

    def __init__(self, spec: EnginePlayer, concurrency: int, patience: float):
        self._spec = spec
        self.name = spec.name or Path(spec.command).name
        self.own_name = ""
        """What the engine calls itself."""
        self._patience = patience
        self._free: list[_Seat] = []
        self._busy: dict[int, _Seat] = {}
        self._failed_starts = 0
        self._closing = False
        self._heartbeat = Heartbeat()
        self._loop = asyncio.new_event_loop()
        # chess.engine reports there what came too late to be anybody's answer.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._places = asyncio.Semaphore(concurrency)
        self._thread = threading.Thread(target=self._loop.run_forever, name=self.name, daemon=True)

    # --- from any thread ---

    def find_move(self, state: GameState, answer: Callable[[Answer], None]) -> None:
        """Look for a move; see ``ExternalPlayer``."""
        clock = state.clocks[0 if self._white_to_move(state) else 1]
        if clock is None and Clock.start(self._spec.limits) is not None:
            raise RuntimeError(f"{self.name}: has a clock that nobody keeps (Visitor.limits)")
        self._soon(self._find(state, clock, answer))

    def game_over(self, game: int) -> None:
        """Take the process back; see ``ExternalPlayer``."""
        self._soon(self._release(game))

    def start(self) -> None:
        """Start the first process. Raises EngineError."""
        self._thread.start()
        self._soon(self._heartbeat.run())
        try:
            process = self._wait(self._start())
        except TimeoutError:  # an OSError too
            raise EngineError(
                f"{self._spec.command}: no answer within {STARTING:g} s: is it a UCI engine?"
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EngineError(f"{self._spec.command}: cannot be started: {reason}") from None
        except chess.engine.EngineTerminatedError as error:
            raise EngineError(f"{self._spec.command}: {error}") from None
        except chess.engine.EngineError as error:
            raise EngineError(f"{self.name}: {error}") from None
        self.own_name = process.own_name
        self._free.append(_Seat(process))

    def close(self) -> None:
        """End all processes, and the thread."""
        if self._thread.is_alive():
            self._wait(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        running: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return running.result()

    @staticmethod
    def _white_to_move(state: GameState) -> bool:
        opening = state.task.opening
        plies = len(opening.moves) + len(state.moves)
        return (opening.fen.split()[1] == "w") == (plies % 2 == 0)

    # --- in the loop ---

    async def _start(self) -> EngineProcess:
        spec = self._spec
        return await EngineProcess.start(
            self.name,
            spec.argv,
            spec.directory,
            dict(spec.options),
            self._heartbeat,
            self._patience,
        )

    async def _find(
        self, state: GameState, clock: Clock | None, answer: Callable[[Answer], None]
    ) -> None:
        found: Answer
        try:
            seat = await self._seat(state)
        except (OSError, chess.engine.EngineError) as error:
            found = self._not_started(error)
        else:
            seat.thinking = asyncio.current_task()
            try:
                found = await self._move_of(seat, state, clock)
            except asyncio.CancelledError:
                return  # the game is over
            except Exception as error:  # a fault of ours must not look like one of the engine's
                found = Fault(f"{self.name}: {type(error).__name__}: {error}")
            finally:
                seat.thinking = None
        if not self._closing:  # or what was killed would be taken for dead
            answer(found)

    async def _seat(self, state: GameState) -> _Seat:
        """The process that plays a game, new to it or not."""
        seat = self._busy.get(state.game)
        if seat is None:
            await self._places.acquire()
            try:
                seat = self._free.pop() if self._free else _Seat(await self._start())
            except BaseException:
                self._places.release()
                raise
            self._failed_starts = 0
            self._busy[state.game] = seat
            seat.game, seat.moves = state.game, 0
            seat.board = final_position(state.task.opening)
        return seat

    async def _move_of(self, seat: _Seat, state: GameState, clock: Clock | None) -> Answer:
        for move in state.moves[seat.moves :]:
            seat.board.push_uci(move)
        seat.moves = len(state.moves)
        white, black = state.clocks
        limits = self._spec.limits
        limit = chess.engine.Limit(depth=limits.depth, nodes=limits.nodes)
        if clock is not None and clock.per_move is not None:
            limit.time = clock.per_move
        elif clock is not None:
            if white is not None and white.per_move is None:
                limit.white_clock, limit.white_inc = white.left, white.increment
            if black is not None and black.per_move is None:
                limit.black_clock, limit.black_inc = black.left, black.increment
            limit.remaining_moves = clock.moves_to_go or None
        return await seat.process.find_move(Task(state.game, seat.board, limit, clock))

    def _not_started(self, error: Exception) -> Answer:
        """A process could not be started, though the first one could."""
        what = f"{self.name}: cannot be started again: {str(error) or 'no answer'}"
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return Fault(what)
        self._failed_starts += 1
        if self._failed_starts >= START_FAILURES:
            return Fault(what)
        return Forfeit(Termination.CRASH, what)

    async def _release(self, game: int) -> None:
        seat = self._busy.pop(game, None)
        if seat is None:
            return
        if seat.thinking is not None:
            thinking = seat.thinking
            thinking.cancel()
            await asyncio.wait({thinking})
        if seat.process.usable:
            self._free.append(seat)
        else:
            await seat.process.kill()
        self._places.release()

    async def _close(self) -> None:
        self._closing = True
        await asyncio.gather(
            *(seat.process.kill() for seat in self._busy.values()),
            *(seat.process.close() for seat in self._free),
        )
        self._busy.clear()
        self._free.clear()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
