"""What a UCI engine says of its search: lines of moves with their values, as lc0 shows them.

Formats and roundings are lc0's (src/search/classic/search.cc, ``SendUciInfo`` and
``GetVerboseStats``; src/chess/uciloop.cc), so that what reads lc0 reads this. A child's values are
those of its parent's mover (``kernel.tree.CHILD``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arena.kernel.puct import best_place
from arena.kernel.tree import (
    NOT_EVALUATED,
    NOT_TERMINAL,
    ROOT,
    TABLEBASE,
    Child,
    Children,
    move_of,
    prior_of,
)
from arena.report.pgn import centipawns
from arena.uci.game_tree import GameTree
from arena.uci.options import ScoreType, Settings

LONGEST_LINE = 100
"""Moves of a variation; a line of forced moves could be of any length."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A search at some moment; the tree goes on to change."""

    tree: GameTree
    depth: int
    seldepth: int
    seconds: float  # since the search began
    visits: int  # made since then


def info_lines(moment: Moment, settings: Settings, has_moves_left: bool) -> Iterator[str]:
    """Yield a line for each variation that is wanted, the best one first."""
    tree = moment.tree
    milliseconds = int(1000 * moment.seconds)
    head = f"info depth {moment.depth} seldepth {moment.seldepth} time {milliseconds}"
    head += f" nodes {tree.visits}"
    children = tree.children
    root = children[ROOT]
    for number, place in enumerate(_order(children)[: settings.multipv], start=1):
        if place < 0:  # nothing but the root has been visited
            q, d, m, mate = -float(root.wl), float(root.d), float(root.m), None
        else:
            child = children[place]
            q, d, m, mate = float(child.wl), float(child.d), float(child.m) + 1.0, mate_of(child)
        line = f"{head} score {_score(q, mate, settings.score_type)}"
        if settings.show_wdl:
            line += " wdl {} {} {}".format(*permille(q, d))
        if settings.show_moves_left and has_moves_left:
            line += f" movesleft {max(round(m / 2.0), 0)}"
        if moment.seconds > 0.0:
            line += f" nps {int(moment.visits / moment.seconds)}"
        if settings.multipv > 1:
            line += f" multipv {number}"
        yield f"{line} pv {' '.join(variation(tree, place))}"


def variation(tree: GameTree, place: int) -> list[str]:
    """The moves of the line that begins with a child of the root; -1: with the best prior."""
    children = tree.children
    if place < 0:
        return [tree.move(ROOT, children[ROOT].next_edge)]
    moves = [tree.move(ROOT, children[place].edge)]
    while len(moves) < LONGEST_LINE:
        parent = children[place]
        if parent.position == NOT_EVALUATED or parent.children == 0:
            break
        best = min(
            range(parent.first_child, parent.first_child + parent.children),
            key=lambda index: _rank(children[index]),
        )
        if children[best].visits == 0:
            break
        moves.append(tree.move(place, children[best].edge))
        place = best
    return moves


def _order(children: Children) -> list[int]:
    """The root's visited children, the best one first; [-1] where there is none."""
    root = children[ROOT]
    places = [
        index
        for index in range(root.first_child, root.first_child + root.children)
        if children[index].visits > 0
    ]
    places.sort(key=lambda index: _rank(children[index]))
    best = root.first_child + int(best_place(children))
    if best in places:  # where ties are broken otherwise, the move that is played comes first
        places.remove(best)
        places.insert(0, best)
    return places or [-1]


def _rank(child: Child) -> tuple[float, ...]:
    """What children are sorted by, as ``puct`` chooses the best: proofs, visits, value, prior."""
    proven = 0.0
    if child.visits > 0 and child.terminal != NOT_TERMINAL and child.wl != 0.0:
        proven = math.copysign(1.0 if child.terminal == TABLEBASE else 2.0, child.wl)
    plies = float(child.m) * (proven > 0.0) - float(child.m) * (proven < 0.0)
    return -proven, plies, -int(child.visits), -float(child.wl), -float(prior_of(child.edge))


def mate_of(child: Child) -> int | None:
    """Moves to the mate that a child is proven to lead to, negative where we are mated."""
    if child.terminal in (NOT_TERMINAL, TABLEBASE) or child.wl == 0.0:
        return None
    moves = round(float(child.m)) // 2 + 1
    return moves if child.wl > 0.0 else -moves


def mate_of_best(children: Children) -> int | None:
    """``mate_of`` the best move; None where it has not been visited."""
    root = children[ROOT]
    place = int(best_place(children))
    return mate_of(children[root.first_child + place]) if place < root.children else None


def _score(q: float, mate: int | None, score_type: ScoreType) -> str:
    if mate is not None:
        return f"mate {mate}"
    match score_type:
        case "centipawn":
            return f"cp {centipawns(q)}"
        case "win_percentage":
            return f"cp {round(5000 * q + 5000)}"
        case _:  # a draw is worth nothing: Q is W - L
            return f"cp {round(10000 * q)}"


def permille(q: float, d: float) -> tuple[int, int, int]:
    """Wins, draws and losses in a thousand games, rounded so that they are a thousand."""
    win = max(round(500.0 * (1.0 + q - d)), 0)
    loss = max(round(500.0 * (1.0 - q - d)), 0)
    draw = 1000 - win - loss
    if draw < 0:  # means that rounding has moved apart
        win = min(max(win + draw // 2, 0), 1000)
        return win, 0, 1000 - win
    return win, draw, loss


# --- every move of the root ---


def verbose_lines(moment: Moment, fpu_value: float) -> Iterator[str]:
    """Yield lc0's ``VerboseMoveStats``: a line a move, the worst one first, then the root's.

    V, what the net said of a position alone, is not kept, and shown as lc0 shows what it lacks.
    """
    tree = moment.tree
    children, edges = tree.children, tree.edges
    root = children[ROOT]
    visited = [children[root.first_child + place] for place in range(root.children)]
    policy = sum(float(prior_of(child.edge)) for child in visited if child.visits > 0)
    fpu = -float(root.wl) - fpu_value * math.sqrt(policy)
    unvisited = edges[root.first_edge + root.children : root.first_edge + root.edges]
    rows: list[tuple[int, float, np.uint32, Child | None]] = [
        (int(child.visits), float(prior_of(child.edge)), child.edge, child) for child in visited
    ]
    rows += [(0, float(prior_of(edge)), edge, None) for edge in unvisited]
    rows.sort(key=lambda row: row[:2])
    for visits, prior, edge, child in rows:
        known = child if visits > 0 else None
        move = tree.move(ROOT, edge)
        u = tree.exploration * prior / (1 + visits)
        q = fpu if known is None else float(known.wl)
        head = _verbose_head(move, int(move_of(edge)), visits, prior)
        yield f"{head}{_verbose_values(known, q)}(U: {u:6.5f}) (S: {q + u:8.5f}) (V:  -.----) "
    head = _verbose_head("node", len(rows), tree.visits, policy)
    yield f"{head}{_verbose_values(root, -float(root.wl))}(V:  -.----) "


def _verbose_head(label: str, number: int, visits: int, prior: float) -> str:
    return f"info string {label:<5} ({number:<4}) N: {visits:>7} (+ 0) (P: {100 * prior:5.2f}%) "


def _verbose_values(child: Child | None, q: float) -> str:
    if child is None:
        return f"(WL:  -.-----) (D: -.---) (M:  -.-) (Q: {q:8.5f}) "
    return f"(WL: {q:8.5f}) (D: {float(child.d):5.3f}) (M: {float(child.m):4.1f}) (Q: {q:8.5f}) "
