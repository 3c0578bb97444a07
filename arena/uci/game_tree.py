"""The tree of a UCI engine: it follows the moves of one game, whoever plays them.

The arrays are those of ``kernel.flight`` with one game in them. There each side has a tree; here
the one that is searched is always made that of the side to move, so that an analysis that goes on
move by move searches nothing twice, either.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from arena.boards import uci
from arena.config import MOST_VISITS, SearchParams
from arena.evaluator import EvaluationError, Evaluator
from arena.game import game_seed
from arena.kernel import flight as in_flight
from arena.kernel import games, turns
from arena.kernel.position import Position
from arena.kernel.puct import best_place, draw_score_of, first_play_urgency, move_at
from arena.kernel.tree import NOT_EVALUATED, ROOT, Children, Edges, move_of
from arena.search_settings import (
    Player,
    SearchSettings,
    open_questions,
    put_answers,
    questions_for,
)
from arena.uci.standing import Standing
from swa.jit import compiled_for

FIRST_ROOM = 20_000
"""Visits that the tree has room for to begin with; a larger one gets it (500 bytes a visit)."""

DEEPEST = 13_000
"""No line of a search is longer: of its moves at most 96 are a pawn's and 30 capture, and a
hundred others in a row end the game, so there are less than 127 * 100."""

LATEST_PLY = 1_000_000
"""A FEN may claim any number of moves."""


class GameTree:
    """A game, and what is known of its current position; not for two threads at a time."""

    def __init__(self, evaluator: Evaluator, seed: int):
        self._evaluator = evaluator
        self._seed = seed
        self._games = 0
        flight = in_flight.InFlight.allocate(1, FIRST_ROOM)
        positions = 2 * in_flight.HISTORY_KEPT + DEEPEST
        self._flight = flight._replace(
            lines=np.zeros((1, positions), flight.lines.dtype),
            paths=np.zeros((1, DEEPEST), np.int32),
            known=np.full((1, DEEPEST), NOT_EVALUATED, np.int32),
        )
        self._questions = questions_for([evaluator], 1)
        self._at: Standing | None = None
        self._allowed: tuple[int, ...] = ()
        self._slot = 0
        self._root: Position = self._flight.lines[0, 0]  # the position that is searched
        self._use(SearchParams())
        arguments = self._flight, self._settings.params
        self._advance = compiled_for(
            games.advance, *arguments, self._settings.exploration, self._questions
        )
        self._receive = compiled_for(games.receive, *arguments, self._questions, 0)

    # --- what it knows ---

    @property
    def visits(self) -> int:
        """Visits of the root."""
        return int(self.children[ROOT].visits)

    @property
    def children(self) -> Children:
        """The tree's children, the root first."""
        return self._flight.children[self._slot]

    @property
    def edges(self) -> Edges:
        """The tree's edges."""
        edges: Edges = self._flight.edges[self._slot]
        return edges

    def move(self, parent: int, edge: np.uint32) -> str:
        """The move of an edge that leads on from the root, or from an evaluated child, UCI."""
        if parent == ROOT:  # which the value-only mode does not evaluate
            position = self._root
        else:
            position = self._flight.positions[self._slot, self.children[parent].position]
        return uci(position, int(move_of(edge)))

    @property
    def draw_score(self) -> np.float32:
        """What a draw is worth to the side to move."""
        return np.float32(draw_score_of(self._settings.params[0], int(self._root.black)))

    @property
    def best_place(self) -> int:
        """The place of the best move so far, see ``puct.best_place``."""
        return int(best_place(self.children, self.draw_score))

    @property
    def best(self) -> int:
        """The policy index of the best move so far."""
        return int(move_at(self.children, self.best_place))

    @property
    def exploration(self) -> float:
        """What a prior is multiplied with at the root: ``cpuct(N) sqrt(visits of all moves)``."""
        return float(self._settings.exploration[0, 1, self.visits])

    def first_play_urgency(self, visited_policy: float) -> float:
        """The value that a move of the root without visits is taken to have."""
        params, policy = self._settings.params[0], np.float32(visited_policy)
        absolute, value = params.root_fpu_absolute, params.root_fpu_value
        root = self.children[ROOT]
        return float(first_play_urgency(root, absolute, value, policy, self.draw_score))

    # --- the game ---

    def new_game(self) -> None:
        """Forget what is known; what is left to chance will be something else."""
        self._games += 1
        self.forget()

    def forget(self) -> None:
        """Begin anew at the next position."""
        self._at = None
        self._questions.rows[:] = 0

    def go_to(self, at: Standing, allowed: tuple[int, ...], params: SearchParams) -> None:
        """Make a position, which has legal moves, the current one.

        Only the root moves ``allowed`` are searched (policy indices, sorted); () stands for all.
        """
        if replace(params, visits=1) != replace(self._params, visits=1):
            self._use(params)
            self.forget()
        before = self._at
        self._at = None  # until all is well
        new = before is None or not before.leads_to(at)
        if before is not None and not new and len(before.moves) < len(at.moves):
            self._follow(before, at)
            fresh = True
        else:
            fresh = new or allowed != self._allowed
            if fresh:
                self._start(at)
        if fresh and allowed:
            turns.allow_only(self._flight, 0, np.array(allowed, np.uint16))
        self._slot = int(self._flight.trees[0 if at.white else 1].slot)
        self._resume(hold=1)
        self._at, self._allowed, self._root = at, allowed, at.position

    def _start(self, at: Standing) -> None:
        last = len(at.moves)
        kept = min(last + 1, in_flight.HISTORY_KEPT)
        self._flight.lines[0, :kept] = at.line[last + 1 - kept :]
        self._set_chances(at)
        turns.start_game(self._flight, 0, 0, 0, at.fill, kept - 1, 1)

    def _follow(self, before: Standing, at: Standing) -> None:
        """Play the moves that were played since."""
        self._set_chances(at)
        trees = self._flight.trees
        for move in at.indices[len(before.moves) :]:
            self._flight.games[0].played = 0  # nothing is kept of the moves
            turns.play_given(self._flight, 0, int(move), 0, 0.0, 0.0, self._settings.params)
            trees[:] = trees[::-1].copy()
        self._flight.games[0].played = 0

    def _set_chances(self, at: Standing) -> None:
        rules = self._flight.rules[0]
        rules.seed = game_seed(self._seed, at.ply, f"game {self._games}")
        rules.first_ply = min(at.ply, LATEST_PLY)
        rules.watched = 1  # a move that is played is the last thing that happens

    def _use(self, params: SearchParams) -> None:
        self._params = params
        # A net that is asked for values alone has not opened what the tree would keep.
        reuse = params.reuse_tree and params.mode == "search"
        chosen = replace(params, visits=MOST_VISITS, reuse_tree=reuse)
        player = Player("uci", self._evaluator, chosen)
        settings = SearchSettings.of([player])
        if params.mode == "value":  # of which no table of visits is made
            settings = settings._replace(exploration=np.zeros((1, 2, MOST_VISITS), np.float32))
        self._settings = settings

    # --- the search ---

    def step(self, evaluator: Evaluator, aim: int, prune: bool) -> tuple[int | None, bool]:
        """Go on to the next position that has to be evaluated, and have it evaluated.

        ``prune`` lets smart pruning do what it is set to. Returns the position's depth, None where
        there was none, and whether the search is done: the root has ``aim`` visits, or needs no
        more. Raises EvaluationError for what is no number.
        """
        params, exploration = self._settings.params, self._settings.exploration
        game = self._flight.games[0]
        game.state = in_flight.SEARCHING
        params[0].visits = aim
        params[0].smart_pruning = self._params.smart_pruning_factor if prune else 0.0
        news = self._advance(self._flight, params, exploration, self._questions)
        if news & in_flight.NO_ROOM:
            self._grow()
        leaves = open_questions(self._questions, 0)
        if leaves is None:
            return None, bool(game.state == in_flight.HELD)
        put_answers(self._questions, 0, evaluator.evaluate(leaves))
        if not self._receive(self._flight, params, self._questions, 0):
            raise EvaluationError("the net's evaluation is not a finite number")
        return int(game.depth), False

    def choose(self) -> str:
        """The move to be played: the best one, or by chance where the search has a temperature."""
        assert self._at is not None
        at, params = self._at, self._params
        if params.temperature <= 0.0 and params.temp_endgame <= 0.0:
            return uci(at.position, self.best)
        # The game goes on by this move, so it is a move farther than what will be asked for next.
        self._at = None
        self._resume(hold=0)
        self._flight.games[0].stop = 1
        settings = self._settings
        self._advance(self._flight, settings.params, settings.exploration, self._questions)
        return uci(at.position, int(self._flight.played[0, 0].move))

    def _resume(self, hold: int) -> None:
        game = self._flight.games[0]
        game.state, game.hold, game.stop = in_flight.SEARCHING, hold, 0

    def _grow(self) -> None:
        """Twice as much room; only what is in use is copied, and takes memory."""
        old = self._flight
        new = {
            name: np.empty((3, 2 * getattr(old, name).shape[1]), getattr(old, name).dtype)
            for name in ("children", "positions", "edges")
        }
        for tree in old.trees:
            slot = int(tree.slot)
            for name, array in new.items():
                used = int(tree[name])
                array[slot, :used] = getattr(old, name)[slot, :used]
        self._flight = old._replace(**new)
