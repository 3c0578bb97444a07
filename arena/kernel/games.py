"""Games in flight: every game is carried to its next question for a net, one leaf a game and step.

In the value-only mode the question is of all moves of a root, whose values do not wait for one
another: the leaves of a game are many, and few games make large batches.

``advance`` walks the trees of all games until each has a leaf that only its net can value; the
leaves of all games make one batch a net. ``receive`` takes the answers back into the trees. Between
the two nothing of a game depends on any other game, so neither does a result on how many games are
in flight. ``flight`` tells what the arrays hold and what their letters mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import EMPTY, bit, popcount, signed
from arena.kernel.flight import (
    AWAY,
    HELD,
    LEAVES,
    MISSED,
    NEWS,
    NO_ROOM,
    OVER,
    PROBES,
    PROBING,
    SEARCHING,
    UNASKED,
    WAITING,
    Game,
    InFlight,
    Questions,
)
from arena.kernel.formats import input_key, pack_input
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.position import (
    POSITION,
    Line,
    Position,
    count_repetitions,
    in_check,
    insufficient_material,
    make_move,
)
from arena.kernel.puct import (
    VALUE_ONLY,
    Floats,
    Params,
    Path,
    back_up,
    draw_score_of,
    expand,
    make_terminal,
    select_child,
    take_back_two_fold,
)
from arena.kernel.root import (
    is_done,
    open_root,
    select_at_root,
    take_best_value,
)
from arena.kernel.tree import (
    END_OF_GAME,
    MOST_CHILDREN,
    MOST_MOVES,
    NOT_EVALUATED,
    NOT_TERMINAL,
    ROOT,
    TABLEBASE,
    TWO_FOLD,
    Child,
    Children,
    Edges,
    Tree,
    add_child,
    move_of,
)
from arena.kernel.turns import has_room, mix_noise, play_move, restrict_root
from swa.jit import allocating, inline, kernel
from swa.policy_map import BISHOP, FROM, NO_PROMOTION, PROMOTION, QUEEN, ROOK, TO

_PROMOTED_TO = np.zeros(8, np.int64)
_PROMOTED_TO[NO_PROMOTION] = 2
_PROMOTED_TO[BISHOP] = 3
_PROMOTED_TO[ROOK] = 4
_PROMOTED_TO[QUEEN] = 5


@inline
def _descend(
    game: Game,
    line: Line,
    path: Path,
    known: Path,
    tree: Tree,
    children: Children,
    positions: Line,
    edges: Edges,
    params: Params,
    exploration: Floats,
    draw_score: np.float32,
) -> int:
    """Walk from the root to the leaf of the next visit; return its depth.

    The positions of the line are in place up to the leaf's parent. ``exploration`` is the player's:
    below the root, and at it; ``draw_score`` is what a draw is worth to the root's mover.
    """
    depth = 0
    below = exploration[0]
    parent = children[ROOT]
    path[0] = ROOT
    while True:
        if depth > 0 and known[depth] != parent.position:
            line[game.ply + depth] = positions[parent.position]
            known[depth] = parent.position
        if depth == 0 and params.own_root != 0:
            place = select_at_root(children, params, exploration[1], draw_score)
        else:
            place = select_child(parent, children, params, below, draw_score)
        if place == parent.children:
            current = add_child(tree, children, edges, parent)
        else:
            current = parent.first_child + place
        depth += 1
        draw_score = -draw_score
        path[depth] = current
        parent = children[current]
        if parent.terminal == TWO_FOLD and depth < parent.m:
            take_back_two_fold(children, path, depth)
        if parent.visits == 0 or parent.terminal != NOT_TERMINAL:
            return depth


@inline
def _end_by_rule(
    child: Child, position: Position, depth: int, count: int, two_fold_draws: int
) -> None:
    """Mark a leaf that ends the game, or that counts as its end inside a search, as terminal.

    In lc0's order (SearchWorker::ExtendNode); ``count`` is the number of legal moves.
    """
    if count == 0:
        make_terminal(child, 1 if in_check(position) else 0, np.float32(0.0), END_OF_GAME)
    elif insufficient_material(position) or position.rule50 >= 100 or position.repetitions >= 2:
        make_terminal(child, 0, np.float32(0.0), END_OF_GAME)
    elif two_fold_draws and position.repetitions == 1 and depth >= 4 and depth >= position.cycle:
        make_terminal(child, 0, np.float32(position.cycle), TWO_FOLD)


@kernel
def advance(flight: InFlight, params: Params, exploration: Floats, questions: Questions) -> int:
    """Carry every game that is searching to its next leaf or to its end.

    Where a batch has no room for all moves of a root in the value-only mode, the game goes on with
    the others after it. Its leaves join those in ``questions`` that were not answered yet.

    ``params`` PARAMS [players] and ``exploration`` float32 [players, 2, visits + 2], below the root
    and at it, are the players' search settings. Returns NO_ROOM if a tree was full (the caller then
    gives more and calls again) plus NEWS if a game is over, held, moved or away, plus PROBES if one
    is PROBING: the caller answers it (``take_result``, or ``tables`` and ``state`` set) and calls
    again.
    """
    news = 0
    for number in range(flight.games.size):
        game = flight.games[number]
        if game.state == OVER:  # before its first move
            news |= NEWS
        if game.state != SEARCHING:
            continue
        line = flight.lines[number]
        path = flight.paths[number]
        while game.state == SEARCHING:
            side = signed(line[game.ply].black)
            player = signed(game.players[side])
            settings = params[player]
            if settings.external:
                game.state = AWAY
                break
            if settings.tb_pieces > 0 and game.tables == UNASKED:
                # Before anything is played from a kept tree. Moves that the caller chose stay.
                if game.allowed == 0 and _in_tables(line[game.ply], settings):
                    game.depth = 0
                    game.state = PROBING
                    break
                game.tables = LEAVES
            tree = flight.trees[2 * number + side]
            slot = signed(tree.slot)
            children, positions = flight.children[slot], flight.positions[slot]
            edges = flight.edges[slot]
            root = children[ROOT]
            draw_score = draw_score_of(settings, side)
            if is_done(children, settings, game.stop, draw_score):
                if settings.mode == VALUE_ONLY:
                    take_best_value(children, draw_score)
                if game.hold:
                    game.state = HELD
                elif not has_room(flight, number):
                    news |= NO_ROOM
                    break
                else:
                    play_move(flight, number, children, edges, params)
                continue
            if (
                tree.positions >= positions.size
                or tree.children + MOST_CHILDREN > children.size
                or tree.edges + MOST_MOVES > edges.size
            ):
                news |= NO_ROOM
                break
            # Of the room for leaves each game that comes after this one is left a row.
            room = questions.game.shape[1]
            if settings.mode == VALUE_ONLY:
                room -= flight.games.size - 1 - number
            if questions.rows[signed(settings.evaluator)] >= room:
                break
            depth = 0
            path[0] = ROOT
            if settings.mode == VALUE_ONLY:
                if root.edges == 0:
                    open_root(tree, children, edges, line[game.ply], flight.moves)
                    if game.allowed > 0:
                        restrict_root(root, edges, flight.allowed[number, : game.allowed])
                _ask_of_moves(flight, questions, number, room, tree, children, edges, settings)
                continue
            if root.visits > 0:
                depth = _descend(
                    game,
                    line,
                    path,
                    flight.known[number],
                    tree,
                    children,
                    positions,
                    edges,
                    settings,
                    exploration[player],
                    draw_score,
                )
            child = children[path[depth]]
            if child.terminal == NOT_TERMINAL and _ask(
                flight, questions, number, child, depth, settings
            ):
                game.depth = depth
            else:
                sticky = settings.sticky_endgames != 0 and child.visits == 0
                back_up(children, path, depth, child.wl, child.d, child.m, sticky)
                flight.visits[0] += 1
        if game.state == PROBING:
            news |= PROBES
        elif game.state != SEARCHING and game.state != WAITING:
            news |= NEWS
    return news


@inline
def _in_tables(position: Position, settings: Params) -> bool:
    """Whether tablebases may know a position."""
    occupied = position.ours | position.theirs
    return position.castling == 0 and popcount(occupied) <= signed(settings.tb_pieces)


@kernel
def _ask_of_moves(
    flight: InFlight,
    questions: Questions,
    number: int,
    room: int,
    tree: Tree,
    children: Children,
    edges: Edges,
    settings: Params,
) -> None:
    """Ask for the values of an opened root's moves, as long as fewer than ``room`` leaves wait.

    The game waits once all are asked for, or for the tablebases before that.
    """
    game, path = flight.games[number], flight.paths[number]
    root = children[ROOT]
    evaluator = signed(settings.evaluator)
    game.depth = 1
    while questions.rows[evaluator] < room:
        if game.tables != MISSED:  # the last one is for the net
            if root.next_edge == 0:
                if root.visits < root.children:
                    game.state = WAITING
                return
            add_child(tree, children, edges, root)
        place = signed(root.children) - 1
        path[1] = root.first_child + place
        child = children[path[1]]
        if _ask(flight, questions, number, child, 1, settings):
            if game.state == PROBING:
                return
            game.state = SEARCHING
            questions.place[evaluator, questions.rows[evaluator] - 1] = place
        else:
            back_up(children, path, 1, child.wl, child.d, child.m, False)
            flight.visits[0] += 1


@inline
def _ask(
    flight: InFlight,
    questions: Questions,
    number: int,
    child: Child,
    depth: int,
    settings: Params,
) -> bool:
    """Put a leaf into its evaluator's batch, or ask the tablebases for it: the game waits.

    False if the rules know its value instead.
    """
    game = flight.games[number]
    line = flight.lines[number]
    last = game.ply + depth
    evaluator = signed(settings.evaluator)
    row = questions.rows[evaluator]
    start = questions.offsets[evaluator, row]
    moves = questions.moves[evaluator, start : start + MOST_MOVES]
    if settings.mode == VALUE_ONLY:
        moves = flight.moves
    if depth == 0:
        count = legal_moves(line[last], moves)
    else:
        flight.known[number, depth] = NOT_EVALUATED
        make_move(line[last - 1], move_of(child.edge), line[last])
        count_repetitions(line, last)
        count = legal_moves(line[last], moves)
        _end_by_rule(child, line[last], depth, count, settings.two_fold_draws)
        if child.terminal != NOT_TERMINAL:
            return False
        if game.tables == LEAVES and line[last].rule50 == 0 and _in_tables(line[last], settings):
            game.state = PROBING
            return True
        if game.tables == MISSED:
            game.tables = LEAVES
    game.state = WAITING
    masks, fill = questions.masks[evaluator, row], signed(game.history_fill)
    input_format = questions.formats[evaluator]
    questions.transforms[evaluator, row] = pack_input(
        line, last, fill, input_format, masks, questions.values[evaluator, row]
    )
    first_key, second_key = input_key(line, last, fill, input_format, masks)
    questions.keys[evaluator, row, 0] = first_key
    questions.keys[evaluator, row, 1] = second_key
    if settings.mode == VALUE_ONLY:  # which needs no logits
        count = signed(0)
    questions.game[evaluator, row] = number
    questions.offsets[evaluator, row + 1] = start + count
    questions.rows[evaluator] = row + 1
    return True


@kernel
def receive(flight: InFlight, params: Params, questions: Questions, evaluator: int) -> bool:
    """Take an evaluator's answers into the trees; its games go on at the next ``advance``.

    Returns whether all answers were finite numbers; if not, the trees are worth nothing.
    """
    finite = True
    for row in range(questions.rows[evaluator]):
        number = signed(questions.game[evaluator, row])
        game = flight.games[number]
        line = flight.lines[number]
        side = signed(line[game.ply].black)
        tree = flight.trees[2 * number + side]
        slot = signed(tree.slot)
        children = flight.children[slot]
        path = flight.paths[number]
        settings = params[signed(game.players[side])]
        if settings.mode == VALUE_ONLY:
            path[1] = children[ROOT].first_child + questions.place[evaluator, row]
        leaf = children[path[game.depth]]
        start, end = questions.offsets[evaluator, row], questions.offsets[evaluator, row + 1]
        if settings.mode != VALUE_ONLY:  # whose leaves are the end of it
            finite &= expand(
                tree,
                leaf,
                flight.positions[slot],
                flight.edges[slot],
                line[game.ply + game.depth],
                questions.moves[evaluator, start:end],
                questions.logits[evaluator, start:end],
                flight.priors,
                settings,
            )
        if game.depth == 0 and game.allowed > 0:
            restrict_root(leaf, flight.edges[slot], flight.allowed[number, : game.allowed])
        if game.depth == 0 and settings.noise_epsilon > 0.0:
            mix_noise(flight, number, slot, settings)
        flight.known[number, game.depth] = leaf.position
        win, draw, loss = questions.wdl[evaluator, row]
        plies = questions.moves_left[evaluator, row]
        finite &= bool(np.isfinite(win - loss + draw + plies))
        back_up(children, path, game.depth, -np.float64(win - loss), draw, plies, False)
        flight.visits[0] += 1
        game.state = SEARCHING
    questions.rows[evaluator] = 0
    return finite


@kernel
def take_result(flight: InFlight, number: int, result: int, params: Params) -> None:
    """Take a tablebase's answer for a game's leaf: 1, 0 or -1 for the leaf's mover.

    Its moves left are the parent's but for one ply: lc0 ExtendNode.
    """
    game = flight.games[number]
    side = signed(flight.lines[number, game.ply].black)
    children = flight.children[signed(flight.trees[2 * number + side].slot)]
    path = flight.paths[number]
    leaf, parent = children[path[game.depth]], children[path[game.depth - 1]]
    make_terminal(leaf, -result, max(np.float32(0.0), parent.m - np.float32(1.0)), TABLEBASE)
    sticky = params[signed(game.players[side])].sticky_endgames != 0 and leaf.visits == 0
    back_up(children, path, game.depth, leaf.wl, leaf.d, leaf.m, sticky)
    flight.visits[0] += 1
    game.state = SEARCHING


@allocating
def spell(start: Position, moves: Moves, squares: npt.NDArray[np.uint8]) -> None:
    """Write origin, target and promotion of a game's ``moves`` uint16 [P] to ``squares`` [P, 3].

    As UCI writes them: from white's side, castling as the king moves unless only Chess960 knows it,
    promotion as a piece number of python-chess (2 knight, 3 bishop, 4 rook, 5 queen) or 0.
    ``start`` is the first position.
    """
    now = np.empty(2, POSITION)
    now[0] = start
    for index in range(moves.size):
        position = now[index & 1]
        move = moves[index]
        origin, target = signed(FROM[move]), signed(TO[move])
        promotion = 0
        if target >= 56 and position.pawns & bit(origin) != EMPTY:
            promotion = _PROMOTED_TO[PROMOTION[move]]
        elif position.ours & bit(target) != EMPTY and origin == 4 and (target == 0 or target == 7):
            target = 6 if target > origin else 2
        flip_ranks = 56 if position.black else 0
        squares[index, 0] = origin ^ flip_ranks
        squares[index, 1] = target ^ flip_ranks
        squares[index, 2] = promotion
        make_move(position, move, now[1 - (index & 1)])
