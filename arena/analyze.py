"""Positions instead of games: what a net says of them, and what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import chess
import numpy as np
import numpy.typing as npt

from arena.boards import legal_uci, line_from_game, uci
from arena.config import SearchParams
from arena.kernel import flight as in_flight
from arena.kernel import games, turns
from arena.kernel.position import Position
from arena.kernel.puct import best_place, draw_score_of, move_at
from arena.kernel.tree import ROOT, move_of, prior_of
from arena.search_settings import (
    Player,
    SearchSettings,
    open_questions,
    prober_of,
    put_answers,
    questions_for,
)


@dataclass(frozen=True, slots=True)
class SearchedMove:
    """A root move after a search; ``q`` and ``d`` for the side to move, None if unvisited."""

    move: str
    visits: int
    prior: float
    q: float | None
    d: float | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A search of one position; ``children`` in order of visits, then prior."""

    bestmove: str
    visits: int
    q: float
    d: float
    children: tuple[SearchedMove, ...]


@dataclass(frozen=True, slots=True)
class PositionEvaluation:
    """What a net says of a position, for the side to move; a dict entry for each legal move."""

    wdl: tuple[float, float, float]
    q: float
    moves_left: float | None
    policy: dict[str, float]
    logits: dict[str, float]


class Analysis:
    """Positions after the moves of their games, evaluated and searched together by one player.

    ``positions`` are pairs of a FEN (or "startpos") and UCI moves. Raises ``boards.PositionError``
    or ``boards.MoveError`` for what is no position or no legal move, and ValueError where a game is
    over, since then there is nothing to choose.
    """

    def __init__(self, player: Player, positions: Sequence[tuple[str, Sequence[str]]]):
        self._player = player
        self._asked = positions
        self._settings = SearchSettings.of([player])
        self._flight = in_flight.InFlight.allocate(len(positions), self._settings.most_visits)
        self._questions = questions_for([player.evaluator], len(positions))
        self._prober = prober_of([player])
        self._positions = [
            self._start(number, fen, moves) for number, (fen, moves) in enumerate(positions)
        ]
        self._advance()

    def evaluate(self) -> list[PositionEvaluation]:
        """What the net says of each position; to be asked before ``search``."""
        if self._player.params.mode == "value":  # which does not ask the net of it
            searcher = self._player._replace(params=SearchParams(visits=1))
            return Analysis(searcher, self._asked).evaluate()
        leaves = open_questions(self._questions, 0)
        if leaves is None:
            raise RuntimeError("evaluate() comes before search()")
        logits, wdl, moves_left = self._player.evaluator.evaluate(leaves)
        parts = [slice(*ends) for ends in pairwise(leaves.offsets.tolist())]
        return [
            self._evaluation(position, leaves.moves[part], logits[part], wdl[row], moves_left[row])
            for row, (position, part) in enumerate(zip(self._positions, parts, strict=True))
        ]

    def search(self) -> list[SearchResult]:
        """Search until every root has the player's visits."""
        while (self._flight.games["state"] != in_flight.HELD).any():
            if leaves := open_questions(self._questions, 0):
                put_answers(self._questions, 0, self._player.evaluator.evaluate(leaves))
                games.receive(self._flight, self._settings.params, self._questions, 0)
            self._advance()
        return [self._result(number) for number in range(len(self._positions))]

    def _start(self, number: int, fen: str, moves: Sequence[str]) -> Position:
        board = chess.Board() if fen == "startpos" else chess.Board(fen)
        line = line_from_game(board, moves, len(moves) + 1)
        position = line.positions[line.last]
        if not legal_uci(position):
            raise ValueError(f"no legal move after {len(moves)} moves from {fen}: the game is over")
        kept = min(line.last + 1, in_flight.HISTORY_KEPT)
        self._flight.lines[number, :kept] = line.positions[line.last + 1 - kept :]
        turns.start_game(self._flight, number, 0, 0, line.fill, kept - 1, 1)
        return position

    def _advance(self) -> None:
        params, exploration = self._settings.params, self._settings.exploration
        news = in_flight.PROBES
        while news & in_flight.PROBES:
            self._prober.answer(self._flight, params)
            news = games.advance(self._flight, params, exploration, self._questions)
        if news & in_flight.NO_ROOM:
            self._flight = self._flight.grown()

    def _evaluation(
        self,
        position: Position,
        indices: npt.NDArray[np.uint16],
        logits: npt.NDArray[np.float32],
        wdl: npt.NDArray[np.float32],
        moves_left: np.float32,
    ) -> PositionEvaluation:
        moves = [uci(position, int(index)) for index in indices]
        exact = np.exp((logits - logits.max()).astype(np.float64))
        win, draw, loss = wdl.tolist()
        return PositionEvaluation(
            wdl=(win, draw, loss),
            q=float(wdl[0] - wdl[2]),
            moves_left=float(moves_left) if self._player.evaluator.has_moves_left else None,
            policy=dict(zip(moves, (exact / exact.sum()).tolist(), strict=True)),
            logits=dict(zip(moves, logits.tolist(), strict=True)),
        )

    def _result(self, number: int) -> SearchResult:
        position = self._positions[number]
        slot = int(self._flight.trees[2 * number + int(position.black)].slot)
        children, edges = self._flight.children[slot], self._flight.edges[slot]
        root = children[ROOT]
        visited = children[root.first_child : root.first_child + root.children]
        unvisited = edges[root.first_edge + root.children : root.first_edge + root.edges]
        draw_score = draw_score_of(self._settings.params[0], int(position.black))
        found = [
            SearchedMove(
                move=uci(position, int(move_of(child.edge))),
                visits=int(child.visits),
                prior=float(prior_of(child.edge)),
                q=float(child.wl) if child.visits else None,
                d=float(child.d) if child.visits else None,
            )
            for child in visited
        ]
        found += [
            SearchedMove(uci(position, int(move_of(edge))), 0, float(prior_of(edge)), None, None)
            for edge in unvisited
        ]
        found.sort(key=lambda move: (-move.visits, -move.prior))
        return SearchResult(
            bestmove=uci(position, int(move_at(children, best_place(children, draw_score)))),
            visits=int(root.visits),
            q=float(-root.wl),
            d=float(root.d),
            children=tuple(found),
        )
