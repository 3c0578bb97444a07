"""What a search leaves to chance: noise on the root's priors, and a move by temperature.

Numbers are drawn from streams: each move of a game has two of its own, that depend on the game's
seed, the move's number and what they are for, and on nothing else. So a game is the same however
many are in flight, and a game that is played once more is the same again. A stream is SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import signed
from arena.kernel.puct import Params, first_play_urgency
from arena.kernel.tree import (
    NOT_TERMINAL,
    ROOT,
    Children,
    Edges,
    bring_forward,
    move_of,
    pack_edge,
    prior_of,
    without_prior,
)
from swa.jit import inline, kernel

NOISE, MOVE = 0, 1
"""What a stream is for."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


@inline
def _mixed(bits: np.uint64) -> np.uint64:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@inline
def stream(seed: np.uint64, move: int, purpose: int) -> np.uint64:
    """Where the stream of a game's move begins; ``move`` counts those that were played."""
    return _mixed(_mixed(seed + _STEP) + np.uint64(2 * move + purpose) * _STEP)


@inline
def uniform(state: np.uint64) -> float:
    """The number in (0, 1) that a stream has at ``state``; the next is a step farther."""
    return (np.float64(_mixed(state) >> np.uint64(11)) + 0.5) * _TO_UNIT


@inline
def log_gamma(alpha: float, state: np.uint64) -> tuple[float, np.uint64]:
    """The logarithm of a draw from Gamma(alpha, 1), and the stream's state behind it.

    Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000); below
    1 by their section 6. The draw itself underflows for small ``alpha``, its logarithm does not.
    """
    d = (alpha if alpha >= 1.0 else alpha + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    cube = 0.0
    while True:
        radius = math.sqrt(-2.0 * math.log(uniform(state + _STEP)))
        normal = radius * math.cos(2.0 * math.pi * uniform(state + _STEP + _STEP))
        state += _STEP + _STEP + _STEP
        cube = 1.0 + c * normal
        if cube <= 0.0:
            continue
        cube = cube * cube * cube
        limit = 0.5 * normal * normal + d - d * cube + d * math.log(cube)
        if math.log(uniform(state)) < limit:
            break
    drawn = math.log(d * cube)
    if alpha < 1.0:
        state += _STEP
        drawn += math.log(uniform(state)) / alpha
    return drawn, state


@inline
def dirichlet(alpha: float, state: np.uint64, shares: npt.NDArray[np.float64]) -> None:
    """Fill ``shares`` [k] with a draw from the symmetric Dirichlet distribution."""
    largest = -math.inf
    for index in range(shares.size):
        drawn, state = log_gamma(alpha, state)
        shares[index] = drawn
        largest = max(largest, drawn)
    total = 0.0
    for index in range(shares.size):
        shares[index] = math.exp(shares[index] - largest)
        total += shares[index]
    for index in range(shares.size):
        shares[index] /= total


@kernel
def add_noise(
    children: Children,
    edges: Edges,
    params: Params,
    state: np.uint64,
    room: npt.NDArray[np.float64],
) -> None:
    """Mix noise into the root's priors: ``(1 - epsilon) P + epsilon Dirichlet(alpha)``.

    As lc0 (src/search/classic/search.cc, ``ApplyDirichletNoise``), whatever of the root has been
    visited; proven losses stay without a prior. ``room`` [256] is to work in.
    """
    root = children[ROOT]
    first, count = signed(root.first_edge), signed(root.edges)
    noise = room[:count]
    dirichlet(np.float64(params.noise_alpha), state, noise)
    epsilon = np.float64(params.noise_epsilon)
    for index in range(count):
        edge = edges[first + index]
        prior = (1.0 - epsilon) * np.float64(prior_of(edge)) + epsilon * noise[index]
        edges[first + index] = pack_edge(np.float32(prior), move_of(edge))
    for place in range(signed(root.children)):
        child = children[root.first_child + place]
        # The child's own edge says which move it is; the visited edges stand in their order.
        edge = edges[first + place]
        if child.terminal != NOT_TERMINAL and child.wl < 0.0:
            edge = without_prior(edge)
        child.edge = edge
    root.next_edge = bring_forward(edges, first + signed(root.children), first + count)


@inline
def temperature_at(params: Params, moves: int) -> float:
    """The temperature after ``moves`` full moves of the game (lc0 ``EnsureBestMoveKnown``)."""
    temperature = np.float64(params.temperature)
    endgame = np.float64(params.temp_endgame)
    cutoff = signed(params.temp_cutoff_move)
    decay, delay = signed(params.tempdecay_moves), signed(params.tempdecay_delay_moves)
    if cutoff > 0 and moves + 1 >= cutoff:
        return endgame
    if temperature > 0.0 and decay > 0:
        if moves >= delay:
            temperature *= max(delay + decay - moves, 0) / decay
        temperature = max(temperature, endgame)
    return temperature


@inline
def _weighed(
    children: Children, edges: Edges, place: int, fpu: float, draw_score: np.float32
) -> tuple[int, float, float]:
    """Visits, value and prior of the root's move at ``place``; without visits its value is fpu."""
    root = children[ROOT]
    if place >= root.children:
        return 0, fpu, np.float64(prior_of(edges[root.first_edge + place]))
    child = children[root.first_child + place]
    prior = np.float64(prior_of(child.edge))
    if child.visits == 0:
        return 0, fpu, prior
    return signed(child.visits), child.wl + np.float64(draw_score * child.d), prior


@inline
def _weight(visits: float, most: float, prior: float, temperature: float) -> float:
    share = max(visits, 0.0) / most if most > 0.0 else prior
    return np.float64(share ** (1.0 / temperature))


@kernel
def place_by_chance(
    children: Children,
    edges: Edges,
    params: Params,
    temperature: float,
    draw_score: np.float32,
    state: np.uint64,
) -> int:
    """A place of the root drawn with probability proportional to a power of the visits.

    The weights are ``max(visits + offset, 0) ** (1 / temperature)``; where no move has one, the
    priors stand for the visits. Moves worth less than the most visited one by more than the cutoff
    are not drawn: percent of winning chance (lc0 ``GetBestRootChildWithTemperature``). A place
    from ``root.children`` on is that of an edge without a child. -1 where there is nothing to draw.
    """
    root = children[ROOT]
    count = max(signed(root.edges), signed(root.children))
    offset = np.float64(params.temp_visit_offset)
    policy = np.float32(0.0)
    for index in range(root.first_child, root.first_child + root.children):
        if children[index].visits > 0:
            policy += prior_of(children[index].edge)
    fpu = np.float64(
        first_play_urgency(
            root, params.root_fpu_absolute, params.root_fpu_value, policy, draw_score
        )
    )
    most, lowest = 0.0, -1.0
    for place in range(count):
        visits, value, _ = _weighed(children, edges, place, fpu, draw_score)
        if visits + offset > most:
            most, lowest = visits + offset, value
    lowest -= np.float64(params.temp_value_cutoff) / 50.0
    total = 0.0
    for place in range(count):
        visits, value, prior = _weighed(children, edges, place, fpu, draw_score)
        if value >= lowest:
            total += _weight(visits + offset, most, prior, temperature)
    drawn = uniform(state) * total
    chosen = -1
    for place in range(count):
        visits, value, prior = _weighed(children, edges, place, fpu, draw_score)
        if value >= lowest:
            weight = _weight(visits + offset, most, prior, temperature)
            if weight > 0.0:
                chosen = place
                if drawn < weight:
                    break
            drawn -= weight
    return chosen
