"""PUCT as lc0's classic search computes it: select a child, expand a leaf, back a value up, choose.

Every rule here is one of lc0's (src/search/classic/{search,node}.cc at commit 909a408), including
the arithmetic where near-ties turn on it: float32 scores, its fast exponential and logarithm,
priors rounded to 16 bits. One leaf at a time, so there is no virtual loss and no collision.

Values are seen from the parent's mover, as in ``tree.CHILD``: for the mover of the position itself
a child's value is ``-wl``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import signed
from arena.kernel.position import Line, Position
from arena.kernel.tree import (
    END_OF_GAME,
    NOT_EVALUATED,
    NOT_TERMINAL,
    ROOT,
    TABLEBASE,
    TWO_FOLD,
    Child,
    Children,
    Edges,
    Tree,
    bring_forward,
    move_of,
    pack_edge,
    prior_of,
    without_prior,
)
from swa.jit import inline, kernel

PARAMS = np.dtype(
    (
        np.record,
        [
            ("evaluator", np.int32),  # which evaluator values this player's leaves
            ("visits", np.int32),  # a move is played when the root has this many
            ("mode", np.uint8),  # SEARCH or VALUE_ONLY
            ("own_root", np.uint8),  # 1: other rules select a child of the root (``kernel.root``)
            ("fpu_absolute", np.uint8),
            ("root_fpu_absolute", np.uint8),
            ("fpu_value", np.float32),
            ("root_fpu_value", np.float32),
            ("draw_score", np.float32),  # what a draw is worth to white, less than 0 to black
            ("smart_pruning", np.float32),  # its factor; 0: nothing is pruned
            ("policy_sharpness", np.float32),  # 1 / policy temperature
            ("two_fold_draws", np.uint8),
            ("sticky_endgames", np.uint8),
            ("moves_left", np.uint8),  # whether the net has such a head
            ("external", np.uint8),  # 1: its moves come from elsewhere, it has no tree to search
            ("m_slope", np.float32),
            ("m_cap", np.float32),
            ("m_threshold", np.float32),
            ("m_constant", np.float32),
            ("m_scaled", np.float32),
            ("m_quadratic", np.float32),
            ("reuse_tree", np.uint8),
            ("noise_epsilon", np.float32),
            ("noise_alpha", np.float32),
            ("temperature", np.float32),
            ("temp_endgame", np.float32),
            ("temp_value_cutoff", np.float32),
            ("temp_visit_offset", np.float32),
            ("temp_cutoff_move", np.int32),
            ("tempdecay_moves", np.int32),
            ("tempdecay_delay_moves", np.int32),
            ("tb_pieces", np.uint8),  # tablebases are asked with so many at most; 0: there are none
            ("tb_fast_play", np.uint8),
        ],
    )
)

Params = Any
"""A record of PARAMS."""
Floats = npt.NDArray[np.float32]
Path = npt.NDArray[np.int32]

SEARCH, VALUE_ONLY = 0, 1
"""How a player finds its moves."""

_LOG2_E = np.float32(1.442695040)
_NO_SCORE = np.float32(0.0)
_LN_2 = np.float32(0.6931471805599453)


@inline
def fast_exp(x: np.float32) -> np.float32:
    """lc0's approximation of e**x for x <= 0, float32 (src/utils/fastmath.h, FastExp)."""
    a = max(_LOG2_E * x, np.float32(-126.0))
    whole = np.int32(a)
    part = a - np.float32(whole)
    if part < np.float32(0.0):
        whole -= np.int32(1)
        part += np.float32(1.0)
    significand = np.float32(1.0) + part * (np.float32(0.6602339) + np.float32(0.33976606) * part)
    return np.int32(np.float32(significand).view(np.int32) + np.int32(whole << 23)).view(np.float32)


def fast_log(x: Floats) -> Floats:
    """lc0's approximation of ln(x) for x >= 1, float32 (src/utils/fastmath.h, FastLog)."""
    bits = x.astype(np.float32).view(np.uint32)
    exponent = (bits >> np.uint32(23)).astype(np.float32)
    fraction = ((bits & np.uint32(0x7FFFFF)) | np.uint32(0x7F << 23)).view(np.float32)
    fraction = fraction - np.float32(1.0)
    log2 = fraction * (np.float32(1.3465552) - np.float32(0.34655523) * fraction)
    return np.asarray(_LN_2 * (log2 - np.float32(127.0) + exponent), np.float32)


def exploration_table(
    cpuct: float, cpuct_base: float, cpuct_factor: float, most_visits: int
) -> Floats:
    """``cpuct(N) * sqrt(max(N - 1, 1))`` for N = 0 ... most_visits, float32.

    N counts the visits of the parent, N - 1 those of its children (lc0 ComputeCpuct).
    """
    visits = np.arange(most_visits + 1, dtype=np.float32)
    base = np.float32(cpuct_base)
    growth = np.float32(cpuct_factor) * fast_log((visits + base) / base)
    children = np.maximum(np.arange(most_visits + 1) - 1, 1)
    rate = np.float32(cpuct) + growth
    return (rate.astype(np.float64) * np.sqrt(children.astype(np.float64))).astype(np.float32)


@inline
def moves_left_utility(
    params: Params, child: Child, q: np.float32, parent_m: np.float32
) -> np.float32:
    """What a shorter win or a longer loss is worth beside ``q`` (lc0 MEvaluator), float32."""
    m = params.m_slope * (child.m - parent_m)
    m = min(max(m, -params.m_cap), params.m_cap)
    if q >= np.float32(0.0):
        m = -m
    size = abs(q)
    if params.m_threshold > np.float32(0.0) and params.m_threshold < np.float32(1.0):
        size = max(np.float32(0.0), size - params.m_threshold) / (
            np.float32(1.0) - params.m_threshold
        )
    return m * (params.m_constant + params.m_scaled * size + params.m_quadratic * size * size)


@inline
def draw_score_of(params: Params, black: int) -> np.float32:
    """What a draw is worth to a side (lc0 ``GetDrawScore``)."""
    return -params.draw_score if black else params.draw_score


@inline
def value_of(child: Child, draw_score: np.float32) -> np.float32:
    """A child's mean value for its parent's mover (lc0 ``GetQ``)."""
    return np.float32(child.wl + np.float64(draw_score * child.d))


@inline
def first_play_urgency(
    parent: Child,
    absolute: int,
    value: np.float32,
    visited_policy: np.float32,
    draw_score: np.float32,
) -> np.float32:
    """The value of a child without visits, for the parent's mover (lc0 ``GetFpu``)."""
    if absolute:
        return value
    return -value_of(parent, -draw_score) - value * np.sqrt(visited_policy)


@inline
def select(
    parent: Child,
    children: Children,
    params: Params,
    exploration: Floats,
    fpu_absolute: int,
    fpu_value: np.float32,
    draw_score: np.float32,
    least: int,
    always: int,
) -> int:
    """The place among ``parent``'s edges that gets the next visit.

    A place below ``parent.children`` is that child; the place ``parent.children`` is the best edge
    that has no child yet. Children of fewer than ``least`` visits are left out, but for the one at
    the place ``always``. ``draw_score`` is what a draw is worth to the parent's mover.
    """
    scale = exploration[parent.visits]
    best_score = np.float32(-3.0e38)
    best = signed(0)
    visited_policy = np.float32(0.0)
    unvisited = signed(parent.children)
    unvisited_edge = np.uint32(0)
    use_moves_left = params.moves_left != 0 and abs(parent.wl) > params.m_threshold
    first = signed(parent.first_child)
    for place in range(signed(parent.children)):
        child = children[first + place]
        if child.visits == 0:
            # A two-fold draw whose visits were taken back: visited anew in the same descent.
            if unvisited_edge == 0:
                unvisited, unvisited_edge = place, child.edge
            continue
        prior = prior_of(child.edge)
        visited_policy += prior
        if least > 0 and child.visits < least and place != always:
            continue
        q = value_of(child, draw_score)
        if use_moves_left:
            q += moves_left_utility(params, child, q, parent.m)
        score = prior * scale / np.float32(1 + child.visits) + q
        if score > best_score:
            best_score = score
            best = place
    if unvisited_edge == 0:
        unvisited_edge = parent.next_edge
    if unvisited_edge != 0 and least <= 0:
        fpu = first_play_urgency(parent, fpu_absolute, fpu_value, visited_policy, draw_score)
        if prior_of(unvisited_edge) * scale + fpu > best_score:
            best = unvisited
    return best


@inline
def select_child(
    parent: Child,
    children: Children,
    params: Params,
    exploration: Floats,
    draw_score: np.float32,
) -> int:
    """The place that gets the next visit, as ``select`` has it."""
    return select(
        parent,
        children,
        params,
        exploration,
        params.fpu_absolute,
        params.fpu_value,
        draw_score,
        0,
        -1,
    )


@inline
def make_terminal(child: Child, result: int, m: np.float32, kind: int) -> None:
    """Fix the child's value: 1, 0 or -1 for the parent's mover, ``m`` plies to the end."""
    if kind != TWO_FOLD:
        child.lower = result
        child.upper = result
    child.terminal = kind
    child.m = np.float32(m)
    child.wl = np.float64(result)
    child.d = np.float32(1.0 if result == 0 else 0.0)
    if result < 0:
        # A lost child must not be explored for its prior's sake.
        child.edge = without_prior(child.edge)


@kernel
def make_not_terminal(child: Child, children: Children) -> None:
    """Let a terminal child be searched again: its visits are its own and its children's."""
    child.terminal = NOT_TERMINAL
    child.lower = -1
    child.upper = 1
    child.visits = 0
    if child.position == NOT_EVALUATED:
        return
    visits = 1
    wl = child.wl
    d = child.d
    for index in range(child.first_child, child.first_child + child.children):
        below = children[index]
        visits += below.visits
        wl -= below.wl * below.visits
        d += below.d * np.float32(below.visits)
    child.visits = visits
    child.wl = wl / visits
    child.d = d / np.float32(visits)


@inline
def take_back_two_fold(children: Children, path: Path, depth: int) -> None:
    """Undo the visits of a two-fold draw whose first occurrence the root has left behind.

    ``path[depth]`` is the child that was such a draw; it can be evaluated now (lc0
    EnsureNodeTwoFoldCorrectForDepth).
    """
    draw = children[path[depth]]
    count = np.int64(draw.visits)
    wl, d, m = np.float64(draw.wl), np.float32(draw.d), np.float32(draw.m)
    for step in range(depth + 1):
        child = children[path[depth - step]]
        left = child.visits - count
        if left <= 0:
            child.wl = 0.0
            child.d = np.float32(1.0)
            child.m = np.float32(0.0)
            child.visits = 0
        else:
            share = np.float32(count) / np.float32(left)
            child.wl -= count * (wl - child.wl) / left
            child.d -= np.float32(share * (d - child.d))
            child.m -= np.float32(share * (m + np.float32(step) - child.m))
            child.visits = left
    draw.terminal = NOT_TERMINAL


@inline
def expand(
    tree: Tree,
    child: Child,
    positions: Line,
    edges: Edges,
    position: Position,
    moves: npt.NDArray[np.uint16],
    logits: Floats,
    priors: Floats,
    params: Params,
) -> bool:
    """Give a leaf its position and its edges with their priors, the best one first.

    ``moves`` and ``logits`` [M] are the legal moves and the net's raw policy; ``priors`` [256] is
    room to work in. Priors are lc0's softmax at the policy temperature (src/neural/wrapper.cc).
    Returns whether the logits were numbers; NaN and infinity are not.
    """
    count = moves.size
    largest = logits[0]
    for index in range(1, count):
        largest = max(largest, logits[index])
    for index in range(count):
        priors[index] = fast_exp((logits[index] - largest) * params.policy_sharpness)
    total = np.float32(0.0)
    for index in range(count):
        total += priors[index]
    scale = np.float32(1.0) / total
    first = signed(tree.edges)
    for index in range(count):
        edges[first + index] = pack_edge(priors[index] * scale, moves[index])
    child.next_edge = bring_forward(edges, first, first + count)
    child.first_edge = first
    child.edges = count
    child.position = tree.positions
    positions[tree.positions] = position
    tree.edges = first + count
    tree.positions += 1
    return bool(np.isfinite(total))


@inline
def settle(parent: Child, children: Children, m: np.float32) -> bool:
    """Derive the parent's bounds from its children's (lc0 MaybeSetBounds).

    ``m`` is the moves-left value of the child that was just backed up. Returns whether any bound is
    now known; where both meet, the parent is terminal.
    """
    lower, upper = -1, -1
    longest_loss = np.float32(0.0)
    prefer_tablebase = False
    mate = False
    for index in range(parent.first_child, parent.first_child + parent.children):
        child = children[index]
        lower = max(lower, signed(child.lower))
        upper = max(upper, signed(child.upper))
        tablebase = child.terminal == TABLEBASE
        if child.lower == 1 and not tablebase:
            prefer_tablebase = False
            mate = True
            break
        if child.upper == -1:
            longest_loss = max(longest_loss, child.m)
        prefer_tablebase = prefer_tablebase or tablebase
    if not mate and parent.next_edge != 0:
        upper = 1
    if lower == -1 and upper == 1:
        return False
    if lower == upper:
        if upper == -1:
            m = max(longest_loss, m)
        make_terminal(
            parent, -upper, m + np.float32(1.0), TABLEBASE if prefer_tablebase else END_OF_GAME
        )
    else:
        parent.lower = -upper
        parent.upper = -lower
    return True


@inline
def back_up(
    children: Children,
    path: Path,
    depth: int,
    v: float,
    d: np.float32,
    m: np.float32,
    sticky: bool,
) -> None:
    """Add one visit of value (``v``, ``d``, ``m``) to ``path[depth]`` and everything above it.

    ``v`` is float64 and seen from the mover of ``path[depth]``'s parent. ``sticky`` says that the
    leaf became terminal with this visit, so bounds above it may change.
    """
    to_fix = 0
    v_delta, d_delta, m_delta = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for step in range(depth + 1):
        place = depth - step
        child = children[path[place]]
        if child.terminal != NOT_TERMINAL:
            v, d, m = np.float64(child.wl), np.float32(child.d), np.float32(child.m)
        visits = child.visits + 1
        count = np.float32(visits)
        child.wl += (v - child.wl) / visits
        child.d += np.float32((d - child.d) / count)
        child.m += np.float32((m - child.m) / count)
        child.visits = visits
        if to_fix > 0 and child.terminal == NOT_TERMINAL:
            child.wl += np.float32(np.float32(to_fix) * v_delta / count)
            child.d += np.float32(np.float32(to_fix) * d_delta / count)
            child.m += np.float32(np.float32(to_fix) * m_delta / count)
        if place == ROOT:
            break
        parent = children[path[place - 1]]
        if parent.terminal != NOT_TERMINAL:
            to_fix = 0
        if sticky:
            sticky = False
            if place - 1 != ROOT and parent.terminal == NOT_TERMINAL:
                old_wl, old_d, old_m = np.float32(parent.wl), parent.d, parent.m
                sticky = settle(parent, children, m)
                if sticky and parent.terminal != NOT_TERMINAL:
                    to_fix = signed(parent.visits)
                    v_delta = -(np.float32(parent.wl) - old_wl)
                    d_delta = np.float32(parent.d - old_d)
                    m_delta = np.float32(parent.m - old_m)
        v = -v
        v_delta = -v_delta
        m = np.float32(m + np.float32(1.0))


@inline
def _rank(child: Child) -> int:
    """Terminal win 2, tablebase win 1, tablebase loss -1, terminal loss -2, all else 0."""
    if child.visits == 0 or child.terminal == NOT_TERMINAL or child.wl == 0.0:
        return 0
    size = 1 if child.terminal == TABLEBASE else 2
    return size if child.wl > 0.0 else -size


@inline
def _preferred(a: Child, b: Child, draw_score: np.float32) -> bool:
    """Whether child ``a`` is the better move than ``b`` (lc0 GetBestChildrenNoTemperature)."""
    rank_a, rank_b = _rank(a), _rank(b)
    if rank_a != rank_b:
        return rank_a > rank_b
    if rank_a > 0:
        return a.m < b.m
    if rank_a < 0:
        return a.m > b.m
    if a.visits != 0 and b.visits != 0 and a.terminal != 0 and b.terminal != 0:
        if (a.terminal == TABLEBASE) != (b.terminal == TABLEBASE):
            return b.terminal == TABLEBASE
        return a.m < b.m
    if a.visits != b.visits:
        return a.visits > b.visits
    value_a, value_b = value_of(a, draw_score), value_of(b, draw_score)
    if value_a != value_b:
        return bool(value_a > value_b)
    return bool(prior_of(a.edge) > prior_of(b.edge))


@kernel
def best_place(children: Children, draw_score: np.float32 = _NO_SCORE) -> int:
    """The place among the root's edges that is to be played: the best by result, visits, value.

    The place ``root.children`` is the best edge without a child: it is played when there is no
    other, or when every other is a proven loss. ``draw_score`` is what a draw is worth to the
    root's mover.
    """
    root = children[ROOT]
    first = signed(root.first_child)
    best = -1
    for place in range(signed(root.children)):
        if best < 0 or _preferred(children[first + place], children[first + best], draw_score):
            best = place
    if root.next_edge != 0 and (best < 0 or _rank(children[first + best]) < 0):
        best = signed(root.children)
    return best


@kernel
def move_at(children: Children, place: int) -> int:
    """The policy index of the root's move at ``place``, as ``best_place`` counts them."""
    root = children[ROOT]
    if place < root.children:
        return move_of(children[root.first_child + place].edge)
    return move_of(root.next_edge)
