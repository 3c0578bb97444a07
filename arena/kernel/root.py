"""What holds at the root alone: rules of its own, smart pruning, and the value-only mode.

Smart pruning is lc0's (src/search/classic/stoppers/stoppers.cc, ``SmartPruningStopper``, and
``PickNodesToExtendTask`` in search.cc) for a search that is limited by visits. lc0 begins with it
200 ms after the first evaluation; here it is in force from the first visit on, since a game must
not depend on how fast the machine is.

In the value-only mode the root's children are visited once each, as many in a batch as it has room
for, and nothing is visited below them; the root itself is not evaluated, and no policy is asked
for. So does lc0's search ``valuehead`` at depth 1 (src/search/instamove/instamove.cc), which a
clock does not stop halfway, though.
"""

from __future__ import annotations

import numpy as np

from arena.kernel.bitboard import signed
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.position import Position
from arena.kernel.puct import (
    VALUE_ONLY,
    Floats,
    Params,
    best_place,
    select,
    value_of,
)
from arena.kernel.tree import (
    NOT_TERMINAL,
    ROOT,
    Children,
    Edges,
    Tree,
    bring_forward,
    pack_edge,
)
from swa.jit import inline, kernel

RESIGNABLE = np.float32(-0.98)
"""Where every move is worth less, lc0 searches on although all but one are proven losses: the
game may be resigned, and a proven loss is told apart from a bad position."""


@inline
def visits_left(children: Children, params: Params) -> float:
    """Visits that are left for the root, over the factor of smart pruning."""
    left = max(signed(params.visits) - signed(children[ROOT].visits), 1)
    return np.float64(left) / np.float64(params.smart_pruning)


@kernel
def is_settled(children: Children, params: Params, draw_score: np.float32) -> bool:
    """Whether no visit that is left can change the root's best move, or none needs to be found.

    The root must have been visited. ``draw_score`` is what a draw is worth to its mover.
    """
    root = children[ROOT]
    if root.edges == 1:
        return True
    largest, second = 0, 0
    losses = 0
    hopeless = True
    for index in range(root.first_child, root.first_child + root.children):
        child = children[index]
        visits = signed(child.visits)
        if visits == 0:
            continue
        if child.terminal != NOT_TERMINAL and child.wl > 0.0:
            return True
        if child.terminal != NOT_TERMINAL and child.wl < 0.0:
            losses += 1
        # The score of a draw for the other side is lc0's (``PopulateCommonIterationStats``).
        if value_of(child, -draw_score) > RESIGNABLE:
            hopeless = False
        if visits > largest:
            largest, second = visits, largest
        elif visits > second:
            second = visits
    if root.edges <= losses + (0 if hopeless else 1):
        return True
    return bool(visits_left(children, params) < largest - second)


@kernel
def select_at_root(
    children: Children, params: Params, exploration: Floats, draw_score: np.float32
) -> int:
    """The place that gets the next visit, by the root's own rules; see ``puct.select``.

    ``exploration`` is the root's. With smart pruning a move that cannot catch up with the best one
    is left out.
    """
    root = children[ROOT]
    best, least = -1, 0
    if params.smart_pruning > 0.0:
        best = best_place(children, draw_score)
        if best < root.children:
            most = signed(children[root.first_child + best].visits)
            least = most - max(signed(int(visits_left(children, params))), 1)
    return select(
        root,
        children,
        params,
        exploration,
        params.root_fpu_absolute,
        params.root_fpu_value,
        draw_score,
        least,
        best,
    )


# --- the value-only mode ---


@kernel
def open_root(
    tree: Tree, children: Children, edges: Edges, position: Position, moves: Moves
) -> None:
    """Give a root that is not evaluated its edges, all alike; ``moves`` [256] is to work in."""
    root = children[ROOT]
    count = legal_moves(position, moves)
    first = signed(tree.edges)
    for index in range(count):
        edges[first + index] = pack_edge(np.float32(1.0) / np.float32(count), moves[index])
    root.first_edge = first
    root.edges = count
    root.next_edge = bring_forward(edges, first, first + count)
    tree.edges = first + count


@inline
def _is_all_evaluated(children: Children) -> bool:
    """Whether every move of an opened root has its value."""
    root = children[ROOT]
    return bool(root.next_edge == 0 and root.visits == root.children)


@kernel
def take_best_value(children: Children, draw_score: np.float32) -> None:
    """Give the root the value of its best move."""
    root = children[ROOT]
    best = children[root.first_child + best_place(children, draw_score)]
    root.wl = -best.wl
    root.d = best.d
    root.m = np.float32(best.m + np.float32(1.0))


@inline
def is_done(children: Children, params: Params, stop: int, draw_score: np.float32) -> bool:
    """Whether the root's move is to be played: it has its visits, or its time is up."""
    root = children[ROOT]
    if root.visits == 0:
        return False
    if params.mode == VALUE_ONLY:
        # Stopped only when no answer is on its way, which would come to another root.
        return _is_all_evaluated(children) or bool(stop and root.visits == root.children)
    if stop:
        return True
    if root.visits >= params.visits:
        return True
    return bool(params.smart_pruning > 0.0 and is_settled(children, params, draw_score))
