"""One search of a UCI engine: exact sequential PUCT as in matches, until a limit is reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from arena.boards import policy_index
from arena.cache import CachedEvaluator
from arena.config import MOST_VISITS
from arena.evaluator import Evaluator
from arena.uci.game_tree import GameTree
from arena.uci.info import Moment, mate_of_best
from arena.uci.limits import Limits
from arena.uci.options import Settings
from arena.uci.standing import STARTPOS, Standing, standing

REPORT_SECONDS = 0.1
"""At least so long between two reports."""

SILENT_SECONDS = 2.0
"""After which a report is due though there is nothing new but the nodes."""

CHECK_VISITS = 32
"""Between two looks at what takes longer than a visit of a small net."""

STEP_VISITS = 2_000
"""Of what is proven a step visits no more; they take a millisecond."""

WARM_UP_SECONDS = 0.2
"""Before that nobody guesses how many visits there will be (lc0 stoppers.cc)."""

PONDER_POLL_SECONDS = 0.02
"""How soon a search that has nothing left to do notices that it may end."""


Report = Callable[[Moment, bool], None]
"""Told how the search stands now and then, and once, with True, when it has come to its end."""


@dataclass(slots=True)
class Control:
    """What the thread that reads commands tells the one that searches."""

    begun: float  # of the clock, by ``time.perf_counter``; a ponderhit sets it anew
    endless: bool  # goes on, or waits with its move, until it is told to stop
    seconds: float | None = None  # for the move, from ``begun`` on
    stopped: threading.Event = field(default_factory=threading.Event)

    def time_is_up(self) -> bool:
        """Whether the move is due."""
        if self.stopped.is_set():
            return True
        if self.endless or self.seconds is None:
            return False
        return time.perf_counter() - self.begun >= self.seconds


class Searcher:
    """Searches the positions of one game after another; not for two threads at a time."""

    def __init__(self, evaluator: Evaluator, seed: int):
        self.has_moves_left = evaluator.has_moves_left
        self._net = evaluator
        self._tree = GameTree(evaluator, seed)
        self._cached: tuple[int, Evaluator] = (0, evaluator)

    def new_game(self) -> None:
        """Forget the tree; evaluations are kept, they stay what they are."""
        self._tree.new_game()

    def search(
        self,
        at: Standing,
        limits: Limits,
        settings: Settings,
        control: Control,
        report: Report,
    ) -> str:
        """Return the move to be played, UCI.

        ``at`` must have a legal move. At least one visit is made. An endless search returns only
        when it is told to stop, or to end some time (``Control``). Raises EvaluationError where the
        net says what is no number.
        """
        allowed = _indices(at, limits.searchmoves)
        self._tree.go_to(at, allowed, settings.search)
        forced = len(at.legal()) == 1 and control.seconds is not None
        evaluator = self._evaluator(settings.nncache)
        run = _Run(self._tree, evaluator, limits, settings, control, report, forced)
        try:
            run.visit_until_done()
            while control.endless and not control.stopped.wait(PONDER_POLL_SECONDS):
                pass
            report(run.moment(), True)
            return self._tree.choose()
        except BaseException:
            self._tree.forget()  # it waits for an answer, or is worth nothing
            self._cached = 0, self._net  # what it remembers may be worth nothing, either
            raise

    def _evaluator(self, positions: int) -> Evaluator:
        if self._cached[0] != positions:
            cached = CachedEvaluator(self._net, positions) if positions else self._net
            self._cached = positions, cached
        return self._cached[1]


class _Run:
    """A search as it goes on."""

    def __init__(
        self,
        tree: GameTree,
        evaluator: Evaluator,
        limits: Limits,
        settings: Settings,
        control: Control,
        report: Report,
        forced: bool,
    ):
        self._forced = forced and limits.movetime is None and not control.endless
        self._tree, self._evaluator = tree, evaluator
        self._limits, self._control, self._report = limits, control, report
        self._prunes = settings.search.smart_pruning_factor > 0.0
        self._began = time.perf_counter()
        self._kept = tree.visits
        self._leaves = self._depths = self._deepest = 0
        self._reported_at, self._reported = self._began, (-1, -1, -1)
        nodes = limits.nodes
        if nodes is None and settings.visits and not control.endless:
            nodes = settings.visits
        self._nodes = MOST_VISITS if nodes is None else min(max(nodes, 1), MOST_VISITS)

    def visit_until_done(self) -> None:
        """Visit the root until a limit is reached."""
        next_check = self._kept + 1
        while True:
            aim, prune = self._aim()
            depth, done = self._tree.step(self._evaluator, aim, prune)
            if depth is not None:
                self._leaves += 1
                self._depths += depth
                self._deepest = max(self._deepest, depth)
            visits = self._tree.visits
            if done and (visits >= self._nodes or visits < aim):
                return
            if visits == 0:
                continue
            if self._forced or self._control.time_is_up() or self._is_deep_enough():
                return
            if visits >= next_check:
                next_check = visits + CHECK_VISITS
                if self._has_its_mate():
                    return
                self._report_news()

    def moment(self) -> Moment:
        """The search as it stands."""
        return Moment(
            tree=self._tree,
            depth=self._depth(),
            seldepth=max(self._deepest, 1),
            seconds=time.perf_counter() - self._began,
            visits=self._tree.visits - self._kept,
        )

    def _depth(self) -> int:
        """The mean depth of what was evaluated; lc0 has that of all visits."""
        return max(self._depths // max(self._leaves, 1), 1)

    def _aim(self) -> tuple[int, bool]:
        """Visits that the root shall have before anybody looks at the clock, and whether to prune.

        What prunes, because too few visits are left, has to know how many there will be (lc0
        ``estimated_remaining_playouts``). Otherwise they are few: where all that is left to visit
        is proven, nothing but their number ends a step.
        """
        control, visits = self._control, self._tree.visits
        few = min(self._nodes, visits + STEP_VISITS)
        if control.endless or not self._prunes:
            return few, False
        if control.seconds is None:
            return self._nodes, True
        now = time.perf_counter()
        spent = now - self._began
        if spent < WARM_UP_SECONDS or visits == self._kept:
            return few, False
        left = max(control.begun + control.seconds - now, 0.0)
        expected = int(left * (visits - self._kept) / spent)
        return min(self._nodes, visits + expected + 1), True

    def _is_deep_enough(self) -> bool:
        depth = self._limits.depth
        return depth is not None and not self._control.endless and self._depth() >= depth

    def _has_its_mate(self) -> bool:
        mate = self._limits.mate
        if mate is None or self._control.endless:
            return False
        found = mate_of_best(self._tree)
        return found is not None and 0 < found <= mate

    def _report_news(self) -> None:
        now = time.perf_counter()
        quiet = now - self._reported_at
        if quiet < REPORT_SECONDS and self._reported_at != self._began:
            return
        news = self._tree.best, self._depth(), self._deepest
        if news != self._reported or quiet >= SILENT_SECONDS:
            self._reported_at, self._reported = now, news
            self._report(self.moment(), False)


def _indices(at: Standing, moves: tuple[str, ...]) -> tuple[int, ...]:
    """The policy indices of those moves that are legal; none where that is all of them."""
    legal = at.legal()
    wanted = {policy_index(at.position, move) for move in moves if move in legal}
    return tuple(sorted(wanted)) if len(wanted) < len(legal) else ()


def warmed_up(evaluator: Evaluator, seed: int) -> Searcher:
    """A searcher that has done once whatever it will do, so that no move waits for a compiler."""
    searcher = Searcher(evaluator, seed)
    beginning = standing(STARTPOS, ())
    for at, limits in (
        (beginning, Limits(nodes=4)),
        (standing(STARTPOS, ("e2e4",), beginning), Limits(nodes=4, searchmoves=("e7e5", "c7c5"))),
    ):
        control = Control(time.perf_counter(), endless=False)
        searcher.search(at, limits, Settings(), control, lambda moment, last: None)
    return Searcher(evaluator, seed)
