"""What games in flight ask of tablebases: root moves and leaves, answered between two steps.

As lc0 does: where all root moves are in the DTZ tables the search has the best ones only and the
net chooses among them, its leaves are not looked up; otherwise a leaf right after a capture or
pawn move is worth what the WDL tables say. (lc0 src/search/classic/search.cc, ``ExtendNode``.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arena.boards import board_of, policy_index
from arena.kernel import flight as in_flight
from arena.kernel import games, turns
from arena.kernel.puct import Params
from arena.tablebase import DECISIVE, Tablebase

LEAVES_KEPT = 100_000
"""Answers that are remembered, in some 25 MB; python-chess takes most of a millisecond for each."""


class Prober:
    """Answers for a group of games; ``tables`` are the players', in their order.

    ``hits`` counts what the tables knew.
    """

    def __init__(self, tables: Sequence[Tablebase | None]):
        self._tables = tables
        self._leaves: dict[tuple[int, bytes], int | None] = {}
        self.hits = 0

    def answer(self, flight: in_flight.InFlight, params: Params) -> None:
        """Answer all games that are PROBING; they are SEARCHING again.

        ``params`` PARAMS [players]. Raises TablebaseError where a table cannot be read.
        """
        for slot in map(int, np.flatnonzero(flight.games["state"] == in_flight.PROBING)):
            game = flight.games[slot]
            player = int(game.players[int(flight.lines[slot, game.ply].black)])
            tables = self._tables[player]
            assert tables is not None, "asked for a player without tables"
            if game.depth == 0:
                fast = bool(params[player].tb_fast_play)
                self._answer_root(flight, slot, tables, fast)
            else:
                self._answer_leaf(flight, slot, player, tables, params)

    def _answer_root(
        self, flight: in_flight.InFlight, slot: int, tables: Tablebase, fast: bool
    ) -> None:
        game, line = flight.games[slot], flight.lines[slot]
        position = line[game.ply]
        board = board_of(position, 0)
        found = tables.root_moves(board, _repeated(line, int(game.ply)), fast)
        game.tables = in_flight.LEAVES
        if found is not None:
            self.hits += 1
            if len(found.moves) < board.legal_moves.count():
                allowed = [policy_index(position, move) for move in found.moves]
                turns.allow_only(flight, slot, np.array(allowed, np.uint16))
            if found.by_dtz:
                game.tables = in_flight.ROOT_ONLY
        game.state = in_flight.SEARCHING

    def _answer_leaf(
        self,
        flight: in_flight.InFlight,
        slot: int,
        player: int,
        tables: Tablebase,
        params: Params,
    ) -> None:
        game = flight.games[slot]
        position = flight.lines[slot, game.ply + game.depth]
        key = player, position.tobytes()
        if key not in self._leaves:
            if len(self._leaves) >= LEAVES_KEPT:
                self._leaves.clear()
            self._leaves[key] = tables.wdl(board_of(position, 0))
        wdl = self._leaves[key]
        if wdl is None:
            game.tables = in_flight.MISSED
            game.state = in_flight.SEARCHING
            return
        self.hits += 1
        result = 0 if abs(wdl) < DECISIVE else 1 if wdl > 0 else -1
        games.take_result(flight, slot, result, params)


def _repeated(line: np.ndarray, last: int) -> bool:
    """Whether a position since the last capture or pawn move was there before.

    lc0 src/chess/position.cc, ``DidRepeatSinceLastZeroingMove``.
    """
    for index in range(last, -1, -1):
        if line[index].repetitions > 0:
            return True
        if line[index].rule50 == 0:
            return False
    return False
