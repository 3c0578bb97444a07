"""What games in flight are made of: arrays that the kernels change and nobody else understands.

Array letters, here and in ``games``: G games, T = 2G + 1 tree slots (a tree for each side of each
game, and a spare to copy into), C children, N positions and E edges of a tree, L positions of a
line, D depths of a search, P moves kept of a game, S shares of their searches' visits, K
evaluators, R leaves there is room for, M legal moves of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from arena.kernel.movegen import Moves
from arena.kernel.notes import NOTE, SHARE, SHARES_A_MOVE
from arena.kernel.position import POSITION, Line
from arena.kernel.puct import Floats
from arena.kernel.tree import (
    CHILD,
    MOST_CHILDREN,
    MOST_MOVES,
    NOT_EVALUATED,
    TREE,
    Children,
)

GAME = np.dtype(
    (
        np.record,
        [
            ("ply", np.int32),  # the current position is line[ply]
            ("depth", np.int32),  # of the leaf that waits for its net
            ("played", np.int32),  # entries of ``played`` in use
            ("players", np.int8, (2,)),  # who plays white, who black
            ("state", np.uint8),
            ("history_fill", np.uint8),  # see ``encode.pack_planes``
            ("result", np.int8),  # 1, 0, -1 for white, once over
            ("termination", np.uint8),
            ("hold", np.uint8),  # 1: stop when the root has its visits, instead of playing
            ("stop", np.uint8),  # 1: the move is played at the next visit, its time is up
            ("allowed", np.int16),  # entries of ``allowed`` in use; 0: all legal moves
            ("tables", np.uint8),  # what this move's search asks of tablebases, see UNASKED
        ],
    )
)

MOVE_PLAYED = np.dtype(
    (
        np.record,
        [
            ("q", np.float32),  # expected result of the move, for its mover
            ("d", np.float32),  # its draw probability
            ("visits", np.int32),  # of the root
            ("move", np.uint16),  # policy index
            ("unused", np.uint16),
        ],
    )
)

RULES = np.dtype(
    (
        np.record,
        [
            ("seed", np.uint64),  # of what is left to chance
            ("resign", np.float32),  # expected score in [0, 1] below which the mover resigns
            ("first_ply", np.int32),  # plies of the game before its first move here
            ("most_plies", np.int32),  # the game is a draw after so many; 0: there is no limit
            (
                "watched",
                np.uint32,
            ),  # 1: after each move it is MOVED, until the caller lets it go on
        ],
    )
)
"""What a game has of its own beside its players."""

Game = Any
"""A record of GAME."""
Ints = npt.NDArray[np.int64]

IDLE, SEARCHING, WAITING, OVER, HELD, MOVED, AWAY, PROBING = 0, 1, 2, 3, 4, 5, 6, 7
"""States of a game. WAITING is for a net, as is a game that is SEARCHING when its root's moves are
not all asked about, since the batch is full; HELD, MOVED, AWAY and PROBING are for the caller: a
search that is done, a move that was played, a player whose move comes from elsewhere, a position
(of the line, at ``depth``) to be looked up in tablebases. A game that is MOVED goes on when the
caller makes it SEARCHING."""

UNASKED, LEAVES, ROOT_ONLY, MISSED = 0, 1, 2, 3
"""What a search asks of tablebases: nothing yet, its leaves, none of them since the root was found
by DTZ; or the leaf just asked for is not in them, and is the net's."""

CHECKMATE, STALEMATE, INSUFFICIENT_MATERIAL, FIFTY_MOVES, THREEFOLD = 1, 2, 3, 4, 5
RESIGNATION, MAX_LENGTH = 6, 7
OUTSIDE = 8
"""Ended by the caller, who knows why."""

NO_ROOM, NEWS, PROBES = 1, 2, 4
"""What ``advance`` has to tell, as bits."""

LEAVES_OF_VALUES, MOST_LEAVES = 32, 1024
"""Leaves a game, and in all, that there is room for where all moves of a root are asked about at
once: positions have some 26 moves on average, 34 early in a game. What finds no room waits for the
next batch. A batch of more is no faster, and takes memory of the device."""

HISTORY_KEPT = 128
"""Positions of a game kept for repetitions and planes: the 50-move rule ends a game after 100."""

MOVES_KEPT = 512
"""Room for moves to begin with; a game that needs more gets it."""

EDGES_A_POSITION = 48
"""Room for edges to begin with; a tree that needs more gets it (``InFlight.grown``)."""


class InFlight(NamedTuple):
    """The arrays of a group of games; everything that ``advance`` and ``receive`` change."""

    games: Any  # GAME [G]
    rules: Any  # RULES [G]
    lines: Line  # POSITION [G, L]: the game so far, then the line of the search
    paths: npt.NDArray[np.int32]  # int32 [G, D]: child at each depth of the line
    known: npt.NDArray[
        np.int32
    ]  # int32 [G, D]: which of the tree's positions the line holds at each depth
    played: Any  # MOVE_PLAYED [G, P]
    notes: Any  # NOTE [G, P]; [G, 0] where searches are not kept
    shares: Any  # SHARE [G, S]; likewise
    allowed: Moves  # [G, 256]: the root's moves that may be searched, where there are such
    trees: Any  # TREE [2G]: game g's tree for white is 2g, for black 2g + 1
    spare: npt.NDArray[np.int32]  # int32 [1]: the slot that no tree uses
    children: Children  # CHILD [T, C]
    positions: Line  # POSITION [T, N]
    edges: npt.NDArray[np.uint32]  # uint32 [T, E]
    visits: Ints  # [1]: made so far, by all games
    moves: Moves  # [256]: room to work in
    priors: Floats  # [256]: room to work in
    noise: npt.NDArray[np.float64]  # [256]: room to work in

    @classmethod
    def allocate(cls, games: int, most_visits: int, keep_searches: bool = False) -> InFlight:
        """Room for ``games`` games whose roots get at most ``most_visits`` visits."""
        moves_noted = MOVES_KEPT if keep_searches else 0
        slots = 2 * games + 1
        positions = depths = most_visits + 2
        trees = np.zeros(2 * games, TREE)
        trees["slot"] = np.arange(2 * games)
        return cls(
            games=np.zeros(games, GAME),
            rules=np.zeros(games, RULES),
            lines=np.zeros((games, 2 * HISTORY_KEPT + depths), POSITION),
            paths=np.zeros((games, depths), np.int32),
            known=np.full((games, depths), NOT_EVALUATED, np.int32),
            played=np.zeros((games, MOVES_KEPT), MOVE_PLAYED),
            notes=np.zeros((games, moves_noted), NOTE),
            shares=np.zeros((games, moves_noted * SHARES_A_MOVE), SHARE),
            allowed=np.zeros((games, MOST_MOVES), np.uint16),
            trees=trees,
            spare=np.array([2 * games], np.int32),
            children=np.empty((slots, 4 * positions + MOST_CHILDREN), CHILD),
            positions=np.empty((slots, positions), POSITION),
            edges=np.empty((slots, EDGES_A_POSITION * positions + MOST_MOVES), np.uint32),
            visits=np.zeros(1, np.int64),
            moves=np.empty(MOST_MOVES, np.uint16),
            priors=np.empty(MOST_MOVES, np.float32),
            noise=np.empty(MOST_MOVES, np.float64),
        )

    def grown(self) -> InFlight:
        """The same games with half as much room again in every tree."""
        return self._replace(
            children=_longer(self.children),
            positions=_longer(self.positions),
            edges=_longer(self.edges),
            played=_longer(self.played),
            notes=_longer(self.notes),
            shares=_longer(self.shares),
        )

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, in bytes; pages that were never touched are not resident."""
        return sum(array.nbytes for array in self)


class Questions(NamedTuple):
    """Leaves that wait for each evaluator, packed, and room for the answers.

    ``rows[k]`` rows of evaluator k are in use. A game has a leaf in them, or in the value-only mode
    as many as its root has moves; of these no logits are asked, so they have no legal moves here.
    """

    rows: Ints  # [K]
    formats: Ints  # [K]: see ``formats.pack_input``
    game: npt.NDArray[np.int32]  # int32 [K, R]: whose leaf it is
    place: npt.NDArray[np.int32]  # int32 [K, R]: of which of its root's moves, if of several
    keys: npt.NDArray[np.uint64]  # uint64 [K, R, 2]: hash of everything the net sees
    masks: npt.NDArray[np.uint64]  # uint64 [K, R, 112]
    values: npt.NDArray[np.float32]  # float32 [K, R, 112]
    transforms: npt.NDArray[np.uint8]  # uint8 [K, R]: by which masks are turned, and moves are not
    offsets: Ints  # int64 [K, R + 1]: the legal moves of leaf b are moves[offsets[b]:...]
    moves: npt.NDArray[np.uint16]  # [K, M]
    logits: Floats  # [K, M]: of those moves, the net's raw policy
    wdl: Floats  # [K, R, 3]: win, draw, loss for the side to move
    moves_left: Floats  # [K, R]: plies

    @classmethod
    def allocate(cls, formats: Sequence[int], games: int, rows: int) -> Questions:
        """Room for ``rows`` leaves of so many games, for any of the evaluators with these formats.

        There must be a row for each game.
        """
        evaluators = len(formats)
        return cls(
            rows=np.zeros(evaluators, np.int64),
            formats=np.array(formats, np.int64),
            game=np.zeros((evaluators, rows), np.int32),
            place=np.zeros((evaluators, rows), np.int32),
            keys=np.zeros((evaluators, rows, 2), np.uint64),
            masks=np.zeros((evaluators, rows, 112), np.uint64),
            values=np.zeros((evaluators, rows, 112), np.float32),
            transforms=np.zeros((evaluators, rows), np.uint8),
            offsets=np.zeros((evaluators, rows + 1), np.int64),
            moves=np.zeros((evaluators, games * MOST_MOVES), np.uint16),
            logits=np.zeros((evaluators, games * MOST_MOVES), np.float32),
            wdl=np.zeros((evaluators, rows, 3), np.float32),
            moves_left=np.zeros((evaluators, rows), np.float32),
        )


def _longer(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    longer = np.empty((array.shape[0], array.shape[1] * 3 // 2), array.dtype)
    longer[:, : array.shape[1]] = array
    return longer
