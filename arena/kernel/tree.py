"""Search trees as flat records: what a child, an edge and a tree are, and how a subtree is kept.

A tree lives in three arrays of its own, ``children`` [C], ``positions`` [N] and ``edges`` [E], and
refers to their entries by index.

- An **edge** is a legal move with its prior, in one integer. The edges of a position lie side by
  side; those that have been visited come first, in the order in which they were first visited.
- A **child** is what its parent knows of it, visits and mean values seen from the parent's mover,
  and where its own children and edges are. The children of a child lie side by side in a block that
  doubles when it is full, so that a descent reads memory once a level. Child 0 is the root.
- A **position** belongs to each child that has been evaluated.

With the edges taken in order of their priors the visited ones are a prefix, and among the unvisited
only the first can win a selection (its prior is the largest, their value is the same).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import signed
from arena.kernel.position import Line
from swa.jit import inline, kernel

CHILD = np.dtype(
    (
        np.record,
        [
            ("wl", np.float64),  # mean of win - loss, seen from the parent's mover
            ("visits", np.int32),
            ("edge", np.uint32),  # the move that leads here, and its prior
            ("d", np.float32),  # mean of the draw probability
            ("m", np.float32),  # mean of the moves left, in plies
            ("next_edge", np.uint32),  # the best edge that has no child yet; 0 if there is none
            ("position", np.int32),  # index of its position; NOT_EVALUATED before there is one
            ("first_edge", np.int32),  # edges[first_edge : first_edge + edges]
            ("first_child", np.int32),  # children[first_child : first_child + children]
            ("edges", np.int16),  # number of legal moves
            ("children", np.int16),  # number of children so far
            ("terminal", np.uint8),  # one of the constants below
            ("lower", np.int8),  # the worst result that is still possible: -1, 0 or 1
            ("upper", np.int8),  # the best result that is still possible
            ("unused", np.uint8),
        ],
    )
)

TREE = np.dtype(
    (
        np.record,
        [
            ("slot", np.int32),  # which row of the forest's arrays holds the tree
            ("positions", np.int32),  # how many entries of each array are in use
            ("children", np.int32),
            ("edges", np.int32),
        ],
    )
)

Child = Any
Tree = Any
Children = Any
Edges = npt.NDArray[np.uint32]
"""A record of CHILD, one of TREE; an array of CHILD; edges. Records have no Python spelling."""

ROOT = 0
NOT_EVALUATED = -1

NOT_TERMINAL = 0
END_OF_GAME = 1
TABLEBASE = 2
TWO_FOLD = 3

MOST_MOVES = 256
"""No position has more legal moves (218 is the most that is known)."""
MOST_CHILDREN = 512
"""A block of children never grows beyond this many entries."""

# lc0 keeps a prior in 16 bits: those of its float32 from bit 27 to bit 12, rounded, the two highest
# exponent bits below bit 30 taken for granted (lc0 src/search/classic/node.cc, Edge::SetP). An edge
# holds five bits more, so that the order of moves with equal 16-bit priors is still the net's own.
_PRIOR_BITS = 21
_MOVE_BITS = 11
_TAKEN_FOR_GRANTED = 3 << 28
_MOVE_MASK = np.uint32((1 << _MOVE_BITS) - 1)


@inline
def pack_edge(prior: np.float32, move: int) -> np.uint32:
    """An edge of a prior in [0, 1] and a move; the larger edge has the larger prior.

    Between equal priors the smaller policy index comes first: nearly always lc0's order, too.
    """
    bits = signed(np.float32(prior).view(np.int32)) - _TAKEN_FOR_GRANTED
    kept = signed(0) if bits < 0 else bits >> (28 - _PRIOR_BITS)
    return np.uint32((kept << _MOVE_BITS) | (2047 - signed(move)))


@inline
def move_of(edge: np.uint32) -> int:
    """The policy index of an edge's move."""
    return 2047 - signed(edge & _MOVE_MASK)


@inline
def prior_of(edge: np.uint32) -> np.float32:
    """The prior of an edge as lc0 would have stored it, float32."""
    kept = ((signed(edge) >> _MOVE_BITS) + 16) >> 5
    return np.int32((kept << 12) | _TAKEN_FOR_GRANTED).view(np.float32)


@inline
def without_prior(edge: np.uint32) -> np.uint32:
    """The same move with a prior of zero."""
    return np.uint32(edge & _MOVE_MASK)


@inline
def start_child(child: Child, edge: np.uint32) -> None:
    """An unvisited child reached by ``edge``."""
    child.wl = 0.0
    child.visits = 0
    child.edge = edge
    child.d = np.float32(1.0)
    child.m = np.float32(0.0)
    child.next_edge = np.uint32(0)
    child.position = NOT_EVALUATED
    child.first_edge = 0
    child.first_child = 0
    child.edges = 0
    child.children = 0
    child.terminal = NOT_TERMINAL
    child.lower = -1
    child.upper = 1


@inline
def clear_tree(tree: Tree, children: Children) -> None:
    """Make the tree an unvisited root."""
    tree.positions = 0
    tree.children = 1
    tree.edges = 0
    start_child(children[ROOT], np.uint32(0))


@inline
def bring_forward(edges: Edges, place: int, end: int) -> np.uint32:
    """Swap the largest of edges[place:end] to ``place`` and return it; 0 if there is none."""
    if place >= end:
        return np.uint32(0)
    largest = edges[place]
    for index in range(place + 1, end):
        largest = max(largest, edges[index])
    found = place
    while edges[found] != largest:
        found += 1
    edges[found] = edges[place]
    edges[place] = largest
    return largest


@inline
def _block_is_full(count: int) -> bool:
    """Blocks hold 2, 4, 8, ... children."""
    return count != 1 and count & (count - 1) == 0


@inline
def add_child(tree: Tree, children: Children, edges: Edges, parent: Child) -> int:
    """Give ``parent`` its next child, by its best unvisited edge; return the child's index."""
    count = signed(parent.children)
    if _block_is_full(count):
        block = signed(tree.children)
        tree.children = block + max(2 * count, 2)
        for index in range(count):
            children[block + index] = children[parent.first_child + index]
        parent.first_child = block
    index = parent.first_child + count
    start_child(children[index], parent.next_edge)
    parent.children = count + 1
    first = signed(parent.first_edge)
    parent.next_edge = bring_forward(edges, first + count + 1, first + parent.edges)
    return index


@kernel
def find_child(children: Children, move: int) -> int:
    """Index of the root's child reached by ``move``, or -1."""
    root = children[ROOT]
    for index in range(root.first_child, root.first_child + root.children):
        if move_of(children[index].edge) == move:
            return index
    return -1


@kernel
def copy_subtree(
    children: Children,
    positions: Line,
    edges: Edges,
    kept: int,
    tree: Tree,
    new_children: Children,
    new_positions: Line,
    new_edges: Edges,
) -> None:
    """Copy child ``kept`` and all below it into other arrays, compact, as a tree of its own.

    ``tree`` becomes the description of the copy (its slot is left alone). Children are copied level
    by level: the new array serves as the queue of what is still to be done.
    """
    new_children[ROOT] = children[kept]
    used_children, used_positions, used_edges = 1, 0, 0
    current = 0
    while current < used_children:
        child = new_children[current]
        current += 1
        if child.position == NOT_EVALUATED:
            continue
        new_positions[used_positions] = positions[child.position]
        child.position = used_positions
        used_positions += 1
        first_edge = signed(child.first_edge)
        for index in range(child.edges):
            new_edges[used_edges + index] = edges[first_edge + index]
        child.first_edge = used_edges
        used_edges += signed(child.edges)
        first_child, count = signed(child.first_child), signed(child.children)
        child.first_child = used_children
        for index in range(count):
            new_children[used_children + index] = children[first_child + index]
        used_children += count
        if count > 0:
            while not _block_is_full(count):
                start_child(new_children[used_children], np.uint32(0))
                used_children += 1
                count += 1
    tree.positions = used_positions
    tree.children = used_children
    tree.edges = used_edges
