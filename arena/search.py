"""Many games at once: the leaves of all of them make the batches that the nets evaluate.

Every game in flight contributes one leaf a step (in the value-only mode all moves of its root, none
of which waits for another), so each search is exact sequential PUCT and a game depends neither on
the other games nor on how many there are. The games are split into lanes; each lane is walked by a
thread of its own, so that one lane's trees are walked while another lane's leaves are on the device
(compiled kernels and torch both run without Python's lock).
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator, Sequence

from arena.adjudication import JudgeOf
from arena.game import GameTask
from arena.lane import FinishedGame, Lane, Throughput
from arena.search_settings import Player, Visitor


class BatchedSearch:
    """Plays games between ``players``, ``parallel`` of them at a time, in one or more lanes.

    Two lanes keep a device busy while trees are walked, and two cores busy where nets run on the
    CPU. ``cache_positions`` is
    how many answers of each evaluator to remember, 0 for none; each lane has its share of them.
    ``keep_searches`` makes SearchedGame of the games' records. ``judge_of`` makes a judge for each
    game, who may end it before chess does.
    """

    def __init__(
        self,
        players: Sequence[Player | Visitor],
        parallel: int,
        lanes: int = 2,
        cache_positions: int = 0,
        keep_searches: bool = False,
        judge_of: JudgeOf | None = None,
    ):
        self._players = players
        self._keep_searches = keep_searches
        self._judge_of = judge_of
        self.lanes = max(1, min(lanes, parallel))
        self._sizes = [(parallel + lane) // self.lanes for lane in range(self.lanes)]
        self._cache_positions = cache_positions // self.lanes
        self._running: list[Lane] = []
        self._before = Throughput()

    @property
    def throughput(self) -> Throughput:
        """What all lanes have done so far, of earlier calls of ``play`` too."""
        return sum((lane.throughput for lane in self._running), self._before)

    def play(self, tasks: Sequence[Iterator[GameTask]]) -> Iterator[FinishedGame]:
        """Play each lane's tasks in their order; yields the games of all lanes as they end.

        ``tasks`` has one iterator a lane. Closing the generator stops all lanes after their present
        step; an error in a lane is raised here.
        """
        numbers = itertools.count()
        self._before, self._running = self.throughput, []
        self._running = [
            Lane(
                self._players,
                size,
                lane_tasks,
                self._cache_positions,
                self._keep_searches,
                self._judge_of,
                numbers,
            )
            for size, lane_tasks in zip(self._sizes, tasks, strict=True)
        ]
        if self.lanes == 1:
            yield from (game for game in self._running[0].run() if game is not None)
            return
        finished: queue.SimpleQueue[FinishedGame | BaseException | None] = queue.SimpleQueue()
        stop = threading.Event()
        threads = [
            threading.Thread(target=_run_lane, args=(lane, finished, stop), daemon=True)
            for lane in self._running
        ]
        for thread in threads:
            thread.start()
        try:
            still_running = len(threads)
            while still_running:
                item = finished.get()
                if item is None:
                    still_running -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _run_lane(
    lane: Lane,
    finished: queue.SimpleQueue[FinishedGame | BaseException | None],
    stop: threading.Event,
) -> None:
    try:
        for game in lane.run():
            if game is not None:
                finished.put(game)
            if stop.is_set():
                break
        finished.put(None)
    except BaseException as error:  # raised again in the caller's thread
        finished.put(error)
