"""Games in flight that can be measured: whole games, as a match plays them, in a steady state.

Games that begin together stay in step, and a second of openings is as wrong a measure of a match
as a second of endings. So games are first played through at one visit a move, and each place
begins somewhere along one of these, evenly spread: the mixture of a match that has run for hours.
From there it goes on with moves, kept trees, endings and refills from openings, no place ever free.
"""

from __future__ import annotations

import itertools
import queue
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import chess
import numpy as np

from arena.game import GameTask, Opening
from arena.kernel.tree import ROOT
from arena.openings import Deck, default_book
from arena.referee import check_game
from arena.search import BatchedSearch, FinishedGame, Lane, Player, Throughput
from swa.planes import HISTORY

OPENINGS = 256
"""Openings that games begin from; they are taken again and again."""

GOLDEN_RATIO = 0.6180339887
"""The fractional parts of its multiples are spread more evenly than those of any other number."""

SETTLED_AFTER = 3
"""Plies a game until both sides' trees hold what they keep from the moves before."""


class Prelude(NamedTuple):
    """What the games at one visit gave."""

    openings: tuple[Opening, ...]  # where games begin
    midgames: tuple[Opening, ...]  # places within games; any first few are evenly spread
    plies_per_game: float  # mean, without the openings'

    def first(self, games: int) -> Prelude:
        """The same with the first few midgames alone."""
        return self._replace(midgames=self.midgames[:games])


class Slice(NamedTuple):
    """What was done in how long."""

    seconds: float
    cpu_seconds: float  # of all threads
    visits: int
    evaluations: int
    batches: int
    cache_hits: int
    plies: float


def book_openings(count: int = OPENINGS) -> tuple[Opening, ...]:
    """The first openings of a match with the default book."""
    book = default_book()
    deck = Deck(book)
    return tuple(deck.opening(number) for number in range(min(count, len(book))))


def play_prelude(
    players: Sequence[Player], games: int, midgames: int, openings: Sequence[Opening]
) -> Prelude:
    """Play games between two players with one visit a move; return so many places within them."""
    quick = [player._replace(params=replace(player.params, visits=1)) for player in players]
    search = BatchedSearch(quick, parallel=games)
    lanes = [
        itertools.islice(tasks(openings), lane, games, search.lanes) for lane in range(search.lanes)
    ]
    finished = sorted(search.play(lanes), key=lambda game: game.task.pair)
    places = [_places(game) for game in finished]
    begun = []
    for number in range(midgames):
        within = places[number % games]
        begun.append(within[int(number * GOLDEN_RATIO % 1 * len(within))])
    mean = statistics.fmean(len(game.record.moves) for game in finished)
    return Prelude(tuple(openings), tuple(begun), mean)


def _places(game: FinishedGame) -> list[Opening]:
    """Where one could begin within a game: before each of its moves, with what a net sees of it."""
    opening = game.task.opening
    board = chess.Board(opening.fen)
    moves = opening.moves + game.record.moves
    fens = []
    for move in moves:
        fens.append(board.fen())
        board.push_uci(move)
    places = []
    for ply in range(len(opening.moves), len(moves)):
        first = max(0, ply - HISTORY)
        places.append(Opening(fens[first], moves[first:ply], opening.name))
    return places


def tasks(openings: Sequence[Opening], first: Sequence[Opening] = ()) -> Iterator[GameTask]:
    """Yield a game from each of ``first``, then games from ``openings`` for ever."""
    for number, opening in enumerate(itertools.chain(first, itertools.cycle(openings))):
        white = number % 2
        yield GameTask(number, white == 1, opening, white, 1 - white)


class MeasuredLane(Lane):
    """A lane that can be stopped and go on, and that knows how far its games have come."""

    def __init__(
        self,
        players: Sequence[Player],
        games: int,
        games_to_play: Iterator[GameTask],
        cache_positions: int = 0,
    ):
        super().__init__(players, games, games_to_play, cache_positions)
        self._steps = self.run()
        self._finished_plies = 0

    def play_until(self, stop: threading.Event, finished: queue.SimpleQueue[FinishedGame]) -> None:
        """Play until ``stop`` is set or the tasks are used up; a later call goes on."""
        for game in self._steps:
            if game is not None:
                self._finished_plies += len(game.record.moves)
                finished.put(game)
            elif stop.is_set():  # only here is every place taken, and each game counted once
                return

    @property
    def plies(self) -> float:
        """Moves played since the lane began, those that are being searched by the part done.

        Without that part, a second in which all games search and none moves would say nothing.
        """
        flight = self._flight
        games = np.arange(flight.games.size)
        black = flight.lines["black"][games, flight.games["ply"]]
        slots = flight.trees["slot"][2 * games + black]
        searched = flight.children["visits"][slots, ROOT] / self._settings.most_visits
        return float(self._finished_plies + (flight.games["played"] + searched).sum())

    @property
    def array_bytes(self) -> int:
        """Memory of everything that belongs to games in flight."""
        return self._flight.nbytes + sum(array.nbytes for array in self._questions)


class GamesInFlight:
    """Games between two players, in one or more lanes, that are played for a while at a time."""

    def __init__(
        self, players: Sequence[Player], prelude: Prelude, lanes: int, cache_positions: int = 0
    ):
        """As many games as ``prelude`` has midgames; the cache is that of all lanes together."""
        self._games = len(prelude.midgames)
        self.lanes = min(lanes, self._games)
        self._lanes = []
        for lane in range(self.lanes):
            begun = prelude.midgames[lane :: self.lanes]
            endless = tasks(prelude.openings, begun)
            remembered = cache_positions // self.lanes
            self._lanes.append(MeasuredLane(players, len(begun), endless, remembered))

    @property
    def array_bytes(self) -> int:
        """Memory of all arrays."""
        return sum(lane.array_bytes for lane in self._lanes)

    def settle(self, seconds: float) -> None:
        """Play until the trees have their usual size, at most for about ``seconds``."""
        end = time.perf_counter() + seconds
        while self._now().plies < SETTLED_AFTER * self._games and time.perf_counter() < end:
            self.play(seconds / 20)

    def play(self, seconds: float, *, referee: bool = False) -> Slice:
        """Play for so long, each lane in a thread of its own; then until the end of its step.

        With ``referee``, every finished game is replayed meanwhile, as in a match.
        """
        stop = threading.Event()
        finished: queue.SimpleQueue[FinishedGame] = queue.SimpleQueue()
        before = self._now()
        with ThreadPoolExecutor(len(self._lanes)) as threads:
            playing = [threads.submit(lane.play_until, stop, finished) for lane in self._lanes]
            try:
                _wait(before.seconds + seconds, finished, referee)
            finally:
                stop.set()
            for lane in playing:
                lane.result()
        after = self._now()
        return Slice._make(now - then for now, then in zip(after, before, strict=True))

    def _now(self) -> Slice:
        done = sum((lane.throughput for lane in self._lanes), Throughput())
        return Slice(
            time.perf_counter(),
            time.process_time(),
            done.visits,
            done.evaluations,
            done.batches,
            done.cache_hits,
            sum(lane.plies for lane in self._lanes),
        )


def _wait(end: float, finished: queue.SimpleQueue[FinishedGame], referee: bool) -> None:
    while (left := end - time.perf_counter()) > 0:
        try:
            game = finished.get(timeout=left)
        except queue.Empty:
            return
        if referee:
            check_game(game.task.opening, game.record)
