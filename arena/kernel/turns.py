"""What happens once a move: a game begins, a move is chosen and played, the game goes on or ends.

What happens at every visit is in ``games``.
"""

from __future__ import annotations

import numpy as np

from arena.kernel.bitboard import signed
from arena.kernel.chance import (
    MOVE,
    NOISE,
    add_noise,
    place_by_chance,
    stream,
    temperature_at,
)
from arena.kernel.flight import (
    CHECKMATE,
    FIFTY_MOVES,
    HISTORY_KEPT,
    INSUFFICIENT_MATERIAL,
    MAX_LENGTH,
    MOVED,
    OVER,
    RESIGNATION,
    SEARCHING,
    STALEMATE,
    THREEFOLD,
    UNASKED,
    Game,
    InFlight,
)
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.notes import expected, note_search
from arena.kernel.position import (
    Line,
    count_repetitions,
    game_occurrences,
    in_check,
    insufficient_material,
    make_move,
)
from arena.kernel.puct import (
    Params,
    best_place,
    draw_score_of,
    make_not_terminal,
    move_at,
)
from arena.kernel.tree import (
    MOST_MOVES,
    NOT_EVALUATED,
    NOT_TERMINAL,
    ROOT,
    Child,
    Children,
    Edges,
    bring_forward,
    clear_tree,
    copy_subtree,
    find_child,
    move_of,
)
from swa.jit import inline, kernel


@kernel
def start_game(
    flight: InFlight, number: int, white: int, black: int, fill: int, ply: int, hold: int
) -> None:
    """Begin game ``number`` at the position that stands in its line at ``ply``.

    With ``hold`` the first move is searched and not played: an analysis.
    """
    game = flight.games[number]
    game.ply = ply
    game.players[0] = white
    game.players[1] = black
    game.history_fill = fill
    game.played = 0
    game.hold = hold
    game.stop = 0
    game.allowed = 0
    game.tables = UNASKED
    game.state = SEARCHING
    for side in range(2):
        tree = flight.trees[2 * number + side]
        clear_tree(tree, flight.children[tree.slot])
    flight.known[number, :] = NOT_EVALUATED
    if not hold:
        _judge(game, flight.lines[number], flight.moves)


@inline
def _judge(game: Game, line: Line, moves: Moves) -> None:
    """End the game if its current position ends it by the rules of chess."""
    position = line[game.ply]
    loss_of_mover = 1 if position.black else -1
    termination = 0
    result = 0
    if legal_moves(position, moves) == 0:
        if in_check(position):
            termination, result = CHECKMATE, loss_of_mover
        else:
            termination = STALEMATE
    elif insufficient_material(position):
        termination = INSUFFICIENT_MATERIAL
    elif position.rule50 >= 100:
        termination = FIFTY_MOVES
    elif game_occurrences(line, game.ply) >= 3:
        termination = THREEFOLD
    if termination != 0:
        game.state = OVER
        game.termination = termination
        game.result = result


@inline
def _follow(flight: InFlight, number: int, side: int, move: int, params: Params) -> None:
    """Keep what one side's tree knows about the position after ``move``."""
    tree = flight.trees[2 * number + side]
    old, new = signed(tree.slot), signed(flight.spare[0])
    children = flight.children[old]
    kept = find_child(children, move)
    if params[signed(flight.games[number].players[side])].reuse_tree == 0:
        kept = -1
    if kept < 0 or children[kept].position == NOT_EVALUATED:
        clear_tree(tree, children)
        return
    kept_children = flight.children[new]
    copy_subtree(
        children,
        flight.positions[old],
        flight.edges[old],
        kept,
        tree,
        kept_children,
        flight.positions[new],
        flight.edges[new],
    )
    tree.slot = new
    flight.spare[0] = old
    if kept_children[ROOT].terminal != NOT_TERMINAL:
        make_not_terminal(kept_children[ROOT], kept_children)


@inline
def _choose(
    children: Children,
    edges: Edges,
    best: int,
    seed: np.uint64,
    first_ply: int,
    played: int,
    settings: Params,
    draw_score: np.float32,
) -> int:
    """The place of the move that is played: the best one's, or by chance where it is warm."""
    temperature = temperature_at(settings, (first_ply + played) // 2)
    if temperature > 0.0:
        state = stream(seed, played, MOVE)
        drawn = place_by_chance(children, edges, settings, temperature, draw_score, state)
        if drawn >= 0:
            return drawn
    return best


@inline
def _make_room(game: Game, line: Line, depth: int) -> None:
    """Move what is kept of a game's positions to the line's beginning where its end is near."""
    if game.ply + 1 + depth >= line.size:
        first = game.ply + 1 - HISTORY_KEPT
        for index in range(HISTORY_KEPT):
            line[index] = line[first + index]
        game.ply = HISTORY_KEPT - 1


@kernel  # not inlined: once a move is no time, and what runs every visit stays small
def play_move(
    flight: InFlight, number: int, children: Children, edges: Edges, params: Params
) -> None:
    """Play a move of the mover's tree, note it, and let both trees follow; or resign."""
    game = flight.games[number]
    line = flight.lines[number]
    rules = flight.rules[number]
    side = signed(line[game.ply].black)
    settings = params[signed(game.players[side])]
    draw_score = draw_score_of(settings, side)
    best = best_place(children, draw_score)
    q, d, _ = expected(children, best)
    # Not before the first move: a game without a record would be none. (A mean may drift below -1,
    # so that a limit of 0 would not keep everybody from resigning.)
    resigns = (q + np.float32(1.0)) / np.float32(2.0) < rules.resign
    if resigns and rules.resign > 0.0 and game.played > 0:
        game.state = OVER
        game.termination = RESIGNATION
        game.result = 1 if line[game.ply].black else -1
        return
    place = _choose(
        children, edges, best, rules.seed, rules.first_ply, game.played, settings, draw_score
    )
    if place != best:
        q, d, _ = expected(children, place)
    root = children[ROOT]
    if place > root.children:
        move = move_of(edges[root.first_edge + place])
    else:
        move = move_at(children, place)
    note = flight.played[number, game.played]
    note.move = move
    note.visits = children[ROOT].visits
    note.q = q
    note.d = d
    if flight.notes.shape[1] > 0:
        start = _shares_end(flight, number)
        searched = flight.notes[number, game.played]
        note_search(children, best, place, start, searched, flight.shares[number])
    _make_move(flight, number, move, params)


@kernel
def play_given(
    flight: InFlight, number: int, move: int, visits: int, q: float, d: float, params: Params
) -> None:
    """Play a move that was found elsewhere, in a game that is AWAY, and note it.

    There must be room for it (``has_room``), and the move must be legal: nothing looks at it.
    """
    game = flight.games[number]
    note = flight.played[number, game.played]
    note.move = move
    note.visits = visits
    note.q = q
    note.d = d
    game.state = SEARCHING
    _make_move(flight, number, move, params)


@kernel
def allow_only(flight: InFlight, number: int, moves: Moves) -> None:
    """Let the next search of a game have no other root moves than ``moves`` (policy indices)."""
    game = flight.games[number]
    side = signed(flight.lines[number, game.ply].black)
    tree = flight.trees[2 * number + side]
    clear_tree(tree, flight.children[tree.slot])  # it may have searched others
    flight.known[number, :] = NOT_EVALUATED
    for index in range(moves.size):  # a slice would be copied, which kernels cannot
        flight.allowed[number, index] = moves[index]
    game.allowed = moves.size


@inline
def restrict_root(root: Child, edges: Edges, allowed: Moves) -> None:
    """Take the edges from a root without children whose moves are not among ``allowed``.

    The others keep their priors, as where lc0 filters root moves.
    """
    first = signed(root.first_edge)
    kept = first
    for index in range(first, first + root.edges):
        edge = edges[index]
        found = False
        for move in allowed:
            found |= move_of(edge) == signed(move)
        if found:
            edges[kept] = edge
            kept += 1
    root.edges = kept - first
    root.next_edge = bring_forward(edges, first, kept)


@inline
def _make_move(flight: InFlight, number: int, move: int, params: Params) -> None:
    """Carry a game over a move that was noted, to its end or to its next search."""
    game = flight.games[number]
    line = flight.lines[number]
    rules = flight.rules[number]
    game.played += 1
    game.stop = 0
    game.allowed = 0
    game.tables = UNASKED

    _make_room(game, line, flight.paths.shape[1])
    make_move(line[game.ply], move, line[game.ply + 1])
    game.ply += 1
    count_repetitions(line, game.ply)
    flight.known[number, :] = NOT_EVALUATED
    _follow(flight, number, 0, move, params)
    _follow(flight, number, 1, move, params)
    _judge(game, line, flight.moves)
    if game.state == SEARCHING and 0 < rules.most_plies <= rules.first_ply + game.played:
        game.state = OVER
        game.termination = MAX_LENGTH
        game.result = 0
    if game.state == SEARCHING:
        side = signed(line[game.ply].black)
        settings = params[signed(game.players[side])]
        tree = flight.trees[2 * number + side]
        slot = signed(tree.slot)
        if settings.noise_epsilon > 0.0 and flight.children[slot][ROOT].visits > 0:
            mix_noise(flight, number, slot, settings)
        if rules.watched != 0:
            game.state = MOVED


@inline
def _shares_end(flight: InFlight, number: int) -> int:
    """How many of a game's shares are in use."""
    played = signed(flight.games[number].played)
    return signed(flight.notes[number, played - 1].end) if played > 0 else 0


@inline
def has_room(flight: InFlight, number: int) -> bool:
    """Whether a game's next move can be noted."""
    if flight.games[number].played == flight.played.shape[1]:
        return False
    if flight.notes.shape[1] == 0:
        return True
    return bool(_shares_end(flight, number) + MOST_MOVES <= flight.shares.shape[1])


@inline
def mix_noise(flight: InFlight, number: int, slot: int, settings: Params) -> None:
    """Mix noise into the priors of a root that is to be searched."""
    state = stream(flight.rules[number].seed, flight.games[number].played, NOISE)
    add_noise(flight.children[slot], flight.edges[slot], settings, state, flight.noise)
