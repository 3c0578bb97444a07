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
from arena.scores import centipawns
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
    root, draw = children[ROOT], float(tree.draw_score)
    for number, place in enumerate(_order(tree)[: settings.multipv], start=1):
        if place < 0:  # nothing but the root has been visited
            wl, d, m, mate = -float(root.wl), float(root.d), float(root.m), None
        else:
            child = children[place]
            wl, d, m, mate = float(child.wl), float(child.d), float(child.m) + 1.0, mate_of(child)
        score = f"mate {mate}" if mate else f"cp {_score(wl, d * draw, settings.score_type)}"
        line = f"{head} score {score}"
        if settings.show_wdl:
            line += " wdl {} {} {}".format(*permille(wl, d))
        if settings.show_moves_left and has_moves_left:
            line += f" movesleft {max(round(m / 2.0), 0)}"
        if moment.seconds > 0.0:
            line += f" nps {int(moment.visits / moment.seconds)}"
        if settings.multipv > 1:
            line += f" multipv {number}"
        yield f"{line} pv {' '.join(variation(tree, place))}"


def best_line(moment: Moment) -> list[str]:
    """The moves that are expected, the best one first."""
    return variation(moment.tree, _order(moment.tree)[0])


def variation(tree: GameTree, place: int) -> list[str]:
    """The moves of the line that begins with a child of the root; -1: with the best prior."""
    children, draw_score = tree.children, float(tree.draw_score)
    if place < 0:
        return [tree.move(ROOT, children[ROOT].next_edge)]
    moves = [tree.move(ROOT, children[place].edge)]
    while len(moves) < LONGEST_LINE:
        parent, draw_score = children[place], -draw_score
        below = _sorted(children, parent, draw_score)
        if parent.position == NOT_EVALUATED or not below:
            break
        moves.append(tree.move(place, children[below[0]].edge))
        place = below[0]
    return moves


def _order(tree: GameTree) -> list[int]:
    """The root's visited children, the best one first; [-1] where there is none."""
    root = tree.children[ROOT]
    places = _sorted(tree.children, root, float(tree.draw_score))
    best = root.first_child + tree.best_place
    if best in places:  # where ties are broken otherwise, the move that is played comes first
        places.remove(best)
        places.insert(0, best)
    return places or [-1]


def _sorted(children: Children, parent: Child, draw_score: float) -> list[int]:
    """The visited children of a parent in the order of ``puct.best_place``."""
    first, end = int(parent.first_child), int(parent.first_child) + int(parent.children)
    visited = [index for index in range(first, end) if children[index].visits > 0]
    return sorted(visited, key=lambda index: _rank(children[index], draw_score))


def _rank(child: Child, draw_score: float) -> tuple[float, ...]:
    """What children are sorted by: proofs, visits, value, prior."""
    proven = 0.0
    if child.terminal != NOT_TERMINAL and child.wl != 0.0:
        proven = math.copysign(1.0 if child.terminal == TABLEBASE else 2.0, child.wl)
    plies = float(child.m) * ((proven > 0.0) - (proven < 0.0))
    value = float(child.wl) + draw_score * float(child.d)
    return -proven, plies, -int(child.visits), -value, -float(prior_of(child.edge))


def mate_of(child: Child) -> int | None:
    """Moves to the mate that a child is proven to lead to, negative where we are mated."""
    if child.terminal in (NOT_TERMINAL, TABLEBASE) or child.wl == 0.0:
        return None
    moves = round(float(child.m)) // 2 + 1
    return moves if child.wl > 0.0 else -moves


def mate_of_best(tree: GameTree) -> int | None:
    """``mate_of`` the best move; None where it has not been visited."""
    root, place = tree.children[ROOT], tree.best_place
    return mate_of(tree.children[root.first_child + place]) if place < root.children else None


def _score(wl: float, drawn: float, score_type: ScoreType) -> int:
    """A value as ``cp`` shows it; ``drawn`` is what draws add to wins less losses."""
    match score_type:
        case "centipawn":
            return centipawns(wl)
        case "W-L":
            return round(10000 * wl)
        case "Q":
            return round(10000 * (wl + drawn))
        case "win_percentage":
            return round(5000 * wl + 5000)


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


def verbose_lines(moment: Moment) -> Iterator[str]:
    """Yield lc0's ``VerboseMoveStats``: a line a move, the worst one first, then the root's.

    V, what the net said of a position alone, is not kept, and shown as lc0 shows what it lacks.
    """
    tree = moment.tree
    children, edges = tree.children, tree.edges
    root = children[ROOT]
    visited = [children[root.first_child + place] for place in range(root.children)]
    policy = sum(float(prior_of(child.edge)) for child in visited if child.visits > 0)
    fpu, draw = tree.first_play_urgency(policy), float(tree.draw_score)
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
        q = fpu if known is None else float(known.wl) + draw * float(known.d)
        head = _verbose_head(move, int(move_of(edge)), visits, prior)
        yield f"{head}{_verbose_values(known, 1, q)}(U: {u:6.5f}) (S: {q + u:8.5f}) (V:  -.----) "
    head = _verbose_head("node", len(rows), tree.visits, policy)
    yield f"{head}{_verbose_values(root, -1, draw * float(root.d) - float(root.wl))}(V:  -.----) "


def _verbose_head(label: str, number: int, visits: int, prior: float) -> str:
    return f"info string {label:<5} ({number:<4}) N: {visits:>7} (+ 0) (P: {100 * prior:5.2f}%) "


def _verbose_values(child: Child | None, sign: int, q: float) -> str:
    """Values for the root's mover; a child's are with ``sign`` 1, the root's own with -1."""
    if child is None:
        return f"(WL:  -.-----) (D: -.---) (M:  -.-) (Q: {q:8.5f}) "
    wl, d, m = sign * float(child.wl), float(child.d), float(child.m)
    return f"(WL: {wl:8.5f}) (D: {d:5.3f}) (M: {m:4.1f}) (Q: {q:8.5f}) "
