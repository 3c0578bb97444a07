"""Edges keep priors as lc0 does; what is kept of a tree is that part of it, unchanged."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arena.kernel import tree
from arena.kernel.position import POSITION

PRIORS = st.floats(0.0, 1.0, width=32)
MOVES = st.integers(0, 1857)


def lc0_prior(prior: float) -> np.float32:
    """lc0's 16 bits by their definition: 11 significant bits, rounded half up; tiny is smallest."""
    smallest = np.float32(2.0**-31)
    if np.float32(prior) < smallest:
        return smallest
    significand, exponent = np.frexp(np.float64(np.float32(prior)))
    return np.float32(np.ldexp(np.floor(significand * 2**12 + 0.5) / 2**12, int(exponent)))


@given(PRIORS, MOVES)
def test_an_edge_holds_its_move_and_lc0s_prior(prior: float, move: int) -> None:
    edge = tree.pack_edge(np.float32(prior), move)
    assert tree.move_of(edge) == move
    assert tree.prior_of(edge) == lc0_prior(prior)
    assert tree.move_of(tree.without_prior(edge)) == move
    assert tree.prior_of(tree.without_prior(edge)) < 1e-9


@given(PRIORS, PRIORS, MOVES, MOVES)
def test_edges_are_ordered_by_prior_then_by_move(a: float, b: float, one: int, other: int) -> None:
    first, second = tree.pack_edge(np.float32(a), one), tree.pack_edge(np.float32(b), other)
    if tree.prior_of(first) != tree.prior_of(second):
        assert (first > second) == (tree.prior_of(first) > tree.prior_of(second))
    elif a == b:
        assert (first > second) == (one < other)


@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=40, unique=True), st.data())
def test_bring_forward_swaps_the_largest_to_the_front(
    values: list[int], data: st.DataObject
) -> None:
    edges = np.array(values, np.uint32)
    place = data.draw(st.integers(0, len(values)))
    largest = tree.bring_forward(edges, place, len(values))
    assert largest == max(values[place:], default=0)
    assert edges[:place].tolist() == values[:place]
    assert sorted(edges.tolist()) == sorted(values)
    if place < len(values):
        assert edges[place] == largest


def empty_tree(size: int):
    children = np.zeros(6 * size + 16, tree.CHILD)
    positions = np.zeros(size + 1, POSITION)
    edges = np.zeros(40 * size + 40, np.uint32)
    record = np.zeros(1, tree.TREE)[0]
    tree.clear_tree(record, children)
    return record, children, positions, edges


def evaluate(record, children, positions, edges, index: int, moves: int, key: int) -> None:
    """Give a child a position and edges as the search would."""
    child = children[index]
    first = int(record.edges)
    for move in range(moves):
        edges[first + move] = tree.pack_edge(np.float32(1 / (2 + move + key % 7)), move)
    child.next_edge = tree.bring_forward(edges, first, first + moves)
    child.first_edge, child.edges = first, moves
    child.position = record.positions
    child.visits = key
    positions[record.positions].key = key
    record.edges += moves
    record.positions += 1


def grown_tree(rng: np.random.Generator, size: int):
    record, children, _, edges = parts = empty_tree(size)
    evaluate(*parts, tree.ROOT, int(rng.integers(1, 30)), 1)
    evaluated = [tree.ROOT]
    while record.positions < size:
        growing = [index for index in evaluated if children[index].next_edge != 0]
        if not growing:
            break
        parent = children[growing[int(rng.integers(len(growing)))]]
        before = int(parent.first_child), int(parent.children)
        index = int(tree.add_child(record, children, edges, parent))
        if int(parent.first_child) != before[0]:
            # The block moved: what was known by its old place has a new one.
            shift = int(parent.first_child) - before[0]
            evaluated = [
                i + shift if before[0] <= i < before[0] + before[1] and i != tree.ROOT else i
                for i in evaluated
            ]
        if rng.random() < 0.8:
            evaluate(*parts, index, int(rng.integers(1, 30)), int(record.positions) + 1)
            evaluated.append(index)
        else:
            children[index].visits = 1
            children[index].terminal = tree.END_OF_GAME
    return parts


def described(children, positions, edges, index: int) -> tuple:
    """A subtree by its contents alone, wherever they lie."""
    child = children[index]
    plain = (float(child.wl), int(child.visits), int(child.edge), int(child.terminal))
    if child.position == tree.NOT_EVALUATED:
        return plain
    first, count = int(child.first_edge), int(child.edges)
    below = tuple(
        described(children, positions, edges, int(child.first_child) + place)
        for place in range(child.children)
    )
    return (
        *plain,
        int(positions[child.position].key),
        int(child.next_edge),
        edges[first : first + count].tolist(),
        below,
    )


@given(st.integers(0, 2**32 - 1))
def test_a_kept_subtree_is_the_same_subtree_and_can_grow_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    record, children, positions, edges = grown_tree(rng, int(rng.integers(2, 60)))
    root = children[tree.ROOT]
    for place in range(root.children):
        kept = int(root.first_child) + place
        if children[kept].position == tree.NOT_EVALUATED:
            continue
        copy, new_children, new_positions, new_edges = empty_tree(60)
        tree.copy_subtree(
            children, positions, edges, kept, copy, new_children, new_positions, new_edges
        )
        expected = described(children, positions, edges, kept)
        assert described(new_children, new_positions, new_edges, tree.ROOT) == expected
        assert copy.positions <= record.positions
        assert copy.children <= record.children
        parent = new_children[tree.ROOT]
        if parent.next_edge != 0:
            edge = int(parent.next_edge)
            index = int(tree.add_child(copy, new_children, new_edges, parent))
            assert int(new_children[index].edge) == edge
            again = described(new_children, new_positions, new_edges, tree.ROOT)
            assert again[-1][:-1] == expected[-1]


def test_the_root_finds_its_children_by_their_moves() -> None:
    record, children, _, edges = parts = empty_tree(4)
    assert tree.find_child(children, 0) == -1
    evaluate(*parts, tree.ROOT, 5, 1)
    added = [int(tree.add_child(record, children, edges, children[tree.ROOT])) for _ in range(2)]
    first = int(children[tree.ROOT].first_child)
    assert tree.find_child(children, 0) == first
    assert tree.find_child(children, 1) == first + 1 == added[-1]
    assert tree.find_child(children, 4) == -1
