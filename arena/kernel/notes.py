"""What is kept of a game's searches where they are to be trained on: visits and values."""

from __future__ import annotations

from typing import Any

import numpy as np

from arena.kernel.bitboard import signed
from arena.kernel.puct import move_at
from arena.kernel.tree import ROOT, Children, move_of
from swa.jit import inline, kernel

NOTE = np.dtype(
    (
        np.record,
        [
            ("root_q", np.float32),  # all values are the mover's; m counts plies from the root
            ("root_d", np.float32),
            ("root_m", np.float32),
            ("best_q", np.float32),
            ("best_d", np.float32),
            ("best_m", np.float32),
            ("played_q", np.float32),
            ("played_d", np.float32),
            ("played_m", np.float32),
            ("visits", np.int32),  # of the root
            ("end", np.int32),  # its shares end here, and begin where those before it end
            ("best_move", np.uint16),  # policy index
            ("proven", np.uint8),  # whether the best move's value is exact
            ("unused", np.uint8),
        ],
    )
)

SHARE = np.dtype(
    (np.record, [("visits", np.int32), ("move", np.uint16), ("unused", np.uint16)]),
)
"""A move that a search has visited."""

SHARES_A_MOVE = 16
"""Room to begin with, for each of the moves that ``flight`` has room for."""


@inline
def expected(children: Children, place: int) -> tuple[np.float32, np.float32, np.float32]:
    """q, d and m of the root's move at ``place``, for its mover; the root's own if not visited."""
    root = children[ROOT]
    if place < root.children:
        child = children[root.first_child + place]
        if child.visits > 0:
            return np.float32(child.wl), child.d, np.float32(child.m + np.float32(1.0))
    return np.float32(-root.wl), root.d, root.m


@inline
def _proven(children: Children, best: int) -> bool:
    """Whether the best move's result is known, and no other one may have a better."""
    root = children[ROOT]
    if best >= root.children:
        return False
    first = signed(root.first_child)
    result = signed(children[first + best].lower)
    if result != children[first + best].upper:
        return False
    if result == 1:
        return True
    upper = signed(1 if root.next_edge != 0 else -1)
    for place in range(signed(root.children)):
        upper = max(upper, signed(children[first + place].upper))
    return bool(upper <= result)


@kernel
def note_search(
    children: Children, best: int, played: int, start: int, note: Any, shares: Any
) -> None:
    """Write a search to ``note``, and its visits to ``shares`` from ``start`` on.

    ``best`` and ``played`` are places of the root.
    """
    root = children[ROOT]
    note.root_q, note.root_d, note.root_m = np.float32(-root.wl), root.d, root.m
    note.best_q, note.best_d, note.best_m = expected(children, best)
    note.played_q, note.played_d, note.played_m = expected(children, played)
    note.visits = root.visits
    note.best_move = move_at(children, best)
    note.proven = 1 if _proven(children, best) else 0
    end = start
    for place in range(signed(root.children)):
        child = children[root.first_child + place]
        if child.visits > 0:
            shares[end].visits = child.visits
            shares[end].move = move_of(child.edge)
            end += 1
    note.end = end
