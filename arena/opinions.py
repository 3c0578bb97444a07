"""What both nets of a match say of its positions without search, side by side.

After a match of two nets a sample of its positions and those that decided go through both nets in
batches. How far their policies and values are apart, ply by ply, says where an average differs
from what it was averaged from; games alone only say how much it wins. Nothing of a match rests on
it, so whatever goes wrong here is a note.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.boards import replay, uci
from arena.encoding import CLASSICAL, Encoding
from arena.evaluator import (
    Choice,
    EvaluationError,
    Evaluator,
    Leaves,
    choose_evaluator,
    encoding_of,
    make_evaluator,
)
from arena.game import PairRecord, game_seed
from arena.kernel.formats import pack_input
from arena.kernel.movegen import MAX_MOVES, legal_moves
from arena.match_file import MatchIdentity, NetIdentity
from arena.net_search import find_nets
from arena.report.curves.deciding import deciding
from arena.report.curves.expectations import expected_games
from arena.report.opinions import (
    FORMAT,
    OPINIONS_FILE,
    TOP_MOVES,
    DecidingOpinions,
    Kept,
    OpinionsDocument,
    Place,
    fingerprint,
    place_of,
    write_opinions,
)
from arena.report.run import Run, replaying
from arena.report.schema import Opinion, OpinionPoint
from swa.net import load_net
from swa.spec import PLANES

SAMPLE = 4096
"""Positions at most. A mean of 300 of them, as in one range of plies, is within a tenth of one."""

MOST_PAIRS = 200
"""Whose games are replayed for the sample: to replay thousands would take longer than the nets."""

BATCH = 256

RANGES = (1, 11, 21, 31, 41, 51, 61, 81, 101, 121, 161, 201)
"""The plies at which a range begins."""

LEAST = 30
"""Positions of a range; one of fewer goes with its neighbour."""

PATIENCE = 2.0
"""Seconds after which it is told what takes so long."""


class OpinionsError(ValueError):
    """Nets that cannot be asked: which, why, what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Both evaluators, baseline's first, and what they are."""

    baseline: Evaluator
    candidate: Evaluator
    words: str  # "winograd (float32 on a CPU)"


Note = Callable[[str], None]


# --- which positions ---


def sample(pairs: Sequence[PairRecord], seed: int, most: int = SAMPLE) -> list[list[Place]]:
    """Choose positions of a match by chance, but for its seed always the same ones, by range.

    Returned are ranges of plies in ascending order, each with the same number of places as far as
    it has so many. Positions are those in which a player chose a move, in games of ``MOST_PAIRS``
    pairs; one that several games have reached by the same moves is there once.
    """
    chosen = sorted(pairs, key=lambda pair: game_seed(seed, pair.number, "opinions"))[:MOST_PAIRS]
    ranges = _ranges(_distinct(sorted(chosen, key=lambda pair: pair.number)))
    shares = _shares([len(places) for places in ranges], most)

    def chance(place: Place) -> int:
        return game_seed(seed, place.pair, f"opinions {place.game} {place.ply}")

    return [
        sorted(sorted(places, key=chance)[:share])
        for places, share in zip(ranges, shares, strict=True)
        if share
    ]


def _distinct(pairs: Iterable[PairRecord]) -> Iterator[Place]:
    """Places of different move sequences: a node of their tree is (node before, move)."""
    nodes: dict[tuple[int, str], int] = {}
    seen: set[int] = set()
    for pair in pairs:
        for number, game in enumerate(pair.games, start=1):
            node = nodes.setdefault((-1, pair.opening.fen), len(nodes))
            for ply, move in enumerate((*pair.opening.moves, *game.moves), start=1):
                if ply > len(pair.opening.moves) and node not in seen:
                    seen.add(node)
                    yield Place(pair.number + 1, number, ply)
                node = nodes.setdefault((node, move), len(nodes))


def _ranges(places: Iterable[Place]) -> list[list[Place]]:
    """Sort places into ranges of plies of at least ``LEAST``, if there are so many at all."""
    by_range: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        by_range[max(first for first in RANGES if first <= place.ply)].append(place)
    ranges: list[list[Place]] = []
    for _, found in sorted(by_range.items()):
        if ranges and len(ranges[-1]) < LEAST:
            ranges[-1] += found
        else:
            ranges.append(found)
    if len(ranges) > 1 and len(ranges[-1]) < LEAST:
        last = ranges.pop()
        ranges[-1] += last
    return ranges


def _shares(sizes: Sequence[int], most: int) -> list[int]:
    """Share ``most`` out evenly; what a small one cannot take goes to the others."""
    shares = [0] * len(sizes)
    for left, place in enumerate(sorted(range(len(sizes)), key=lambda place: sizes[place])):
        shares[place] = min(sizes[place], (most - sum(shares)) // (len(sizes) - left))
    return shares


# --- what the nets see and say ---


class _Positions(NamedTuple):
    """Positions in the order in which they were asked for."""

    leaves: Leaves
    moves: list[list[str]]  # UCI, as ``leaves.moves``; only of those whose words are wanted


def positions_of(
    pairs: Mapping[int, PairRecord],
    places: Sequence[Place],
    named: int = 0,
    encoding: Encoding = CLASSICAL,
) -> _Positions:
    """Replay games up to the places, as nets of an encoding see them.

    ``pairs`` are by number from 1. Of the last ``named`` places moves are spelled as well.
    Raises MoveError, PositionError or ValueError for games that are no chess.
    """
    count = len(places)
    masks, values = np.zeros((count, PLANES), np.uint64), np.zeros((count, PLANES), np.float32)
    transforms, input_format = np.zeros(count, np.uint8), int(encoding.input_format)
    moves: list[npt.NDArray[np.uint16]] = [np.empty(0, np.uint16)] * count
    words: list[list[str]] = [[]] * count
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, place in enumerate(places):
        rows[place.pair, place.game].append(row)
    for (number, game), of_game in rows.items():
        pair = pairs[number]
        line = [*pair.opening.moves, *pair.games[game - 1].moves]
        last = max(places[row].ply for row in of_game) - 1
        played, _ = replay(pair.opening.board(), line[:last], last + 1)
        for row in of_game:
            at = places[row].ply - 1
            transforms[row] = pack_input(
                played.positions, at, played.fill, input_format, masks[row], values[row]
            )
            found = np.empty(MAX_MOVES, np.uint16)
            position = played.positions[at]
            moves[row] = found[: legal_moves(position, found)].copy()
            if row >= count - named:
                words[row] = [uci(position, int(move)) for move in moves[row]]
    offsets = np.cumsum([0, *map(len, moves)], dtype=np.int64)
    keys = np.zeros((count, 2), np.uint64)  # they are for no cache
    leaves = Leaves(masks, values, np.concatenate(moves), offsets, keys, transforms)
    return _Positions(leaves, words)


class Said(NamedTuple):
    """What a net says of positions."""

    log_policy: npt.NDArray[np.float64]  # [M] of the legal moves, softmax over each position's
    q: npt.NDArray[np.float64]  # [B] of the side to move, in [-1, 1]


def say(evaluator: Evaluator, leaves: Leaves, between: Callable[[], None] | None = None) -> Said:
    """Ask a net in batches; ``between`` is called before each. EvaluationError for no numbers."""
    logits, q = [], []
    for first in range(0, len(leaves.offsets) - 1, BATCH):
        if between is not None:
            between()
        found = evaluator.evaluate(_part(leaves, first, first + BATCH))
        logits.append(found.logits.astype(np.float64))
        q.append(found.wdl[:, 0].astype(np.float64) - found.wdl[:, 2])
    told, expected = np.concatenate(logits), np.concatenate(q)
    if not (np.isfinite(told).all() and np.isfinite(expected).all()):
        raise EvaluationError(
            f"{evaluator.name}: the evaluation of a position is not a finite number\n"
            "Half precision overflows with some nets: try --dtype float32."
        )
    starts, counts = leaves.offsets[:-1], np.diff(leaves.offsets)
    shifted = told - np.repeat(np.maximum.reduceat(told, starts), counts)
    total = np.add.reduceat(np.exp(shifted), starts)
    return Said(shifted - np.repeat(np.log(total), counts), np.clip(expected, -1.0, 1.0))


def _part(leaves: Leaves, first: int, end: int) -> Leaves:
    offsets = leaves.offsets[first : end + 1]
    return Leaves(
        leaves.masks[first:end],
        leaves.values[first:end],
        leaves.moves[offsets[0] : offsets[-1]],
        offsets - offsets[0],
        leaves.keys[first:end],
        leaves.transforms[first:end],
    )


class Apart(NamedTuple):
    """How far two nets are apart, position by position."""

    kl: npt.NDArray[np.float64]  # [B] KL(baseline || candidate), in nats
    top_differs: npt.NDArray[np.bool_]  # [B]
    value_difference: npt.NDArray[np.float64]  # [B] |q - q|, in [0, 2]


def apart(baseline: Said, candidate: Said, offsets: npt.NDArray[np.int64]) -> Apart:
    """Compare what two nets say of the same positions, each of which has a legal move."""
    one, other, starts = baseline.log_policy, candidate.log_policy, offsets[:-1]
    kl = np.add.reduceat(np.exp(one) * (one - other), starts)
    first = [
        [int(policy[begin:end].argmax()) for begin, end in itertools.pairwise(offsets)]
        for policy in (one, other)
    ]
    # Rounding may leave a divergence of nothing just below it.
    return Apart(
        np.maximum(kl, 0.0), np.not_equal(*map(np.array, first)), abs(baseline.q - candidate.q)
    )


def poll(
    pairs: Sequence[PairRecord],
    ranges: Sequence[Sequence[Place]],
    decided: Sequence[Place],
    asked: Asked,
    between: Callable[[], None] | None = None,
) -> tuple[list[OpinionPoint], list[DecidingOpinions]]:
    """Ask both nets about a sample, by ranges of plies, and about the positions that decided."""
    places = [*itertools.chain.from_iterable(ranges), *decided]
    if not places:
        return [], []
    by_number = {pair.number + 1: pair for pair in pairs}
    seen = {
        encoding.input_format: positions_of(by_number, places, len(decided), encoding)
        for encoding in map(encoding_of, (asked.baseline, asked.candidate))
    }
    asked_about = (
        (evaluator, seen[encoding_of(evaluator).input_format].leaves)
        for evaluator in (asked.baseline, asked.candidate)
    )
    baseline_says, candidate_says = (say(*question, between) for question in asked_about)
    both = baseline_says, candidate_says
    leaves, words = next(iter(seen.values()))
    found = apart(*both, leaves.offsets)
    points, begin = [], 0
    for part in ranges:
        rows = slice(begin, begin := begin + len(part))
        points.append(
            OpinionPoint(
                plies_from=min(place.ply for place in part),
                plies_to=max(place.ply for place in part),
                positions=len(part),
                kl=float(found.kl[rows].mean()),
                top_differs=float(found.top_differs[rows].mean()),
                value_difference=float(found.value_difference[rows].mean()),
            )
        )
    of_deciding = []
    for row, place in enumerate(decided, start=begin):
        ends = slice(leaves.offsets[row], leaves.offsets[row + 1])
        baseline, candidate = (
            _opinion(words[row], np.exp(said.log_policy[ends]), said.q[row]) for said in both
        )
        of_deciding.append(
            DecidingOpinions(
                pair=place.pair,
                game=place.game,
                ply=place.ply,
                baseline=baseline,
                candidate=candidate,
            )
        )
    return points, of_deciding


def _opinion(moves: Sequence[str], policy: npt.NDArray[np.float64], q: np.float64) -> Opinion:
    best = np.argsort(-policy, kind="stable")[:TOP_MOVES]
    return Opinion(q=float(q), policy=[[moves[place], float(policy[place])] for place in best])


# --- a run folder's ---


def after_match(asked: Asked | None, note: Note) -> Callable[[Run], Run]:
    """Return what a report does first after a match: ask both nets, keep what they say.

    It raises nothing: an error or an interrupt is noted, and the report goes on without. None
    stands for players of which not both are nets, or both the same.
    """

    def extend(run: Run) -> Run:
        if asked is None or not run.counted:
            return run
        try:
            return ask(run, asked, note)
        except KeyboardInterrupt:
            reason = "interrupted"
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
        note(f"{run.folder}: what the nets say of positions is left out: {reason}")
        return run

    return extend


def ask_again(note: Note) -> Callable[[Run], Run]:
    """Return what a report does first that is to ask both nets anew, wherever they are now.

    It raises NetSearchError where they are not found, OpinionsError where there are no two nets to
    ask or what they say cannot be kept; NetError or DeviceError where one cannot be used.
    """

    def extend(run: Run) -> Run:
        played = _nets_of(run.identity)
        nets = [
            load_net(path, **player.reading.asked)
            for path, player in zip(find_nets(run), played, strict=True)
        ]
        choices = [choose_evaluator(net.spec) for net in nets]
        baseline, candidate = map(make_evaluator, nets, choices)
        asked = Asked(baseline, candidate, words_of(choices))
        try:
            return ask(replace(run, opinions=Kept()), asked, note)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OpinionsError(
                f"{run.folder / OPINIONS_FILE}: cannot be written: {reason}\n"
                "Make room or give access to the folder, then try again."
            ) from error

    return extend


def ask(run: Run, asked: Asked, note: Note) -> Run:
    """Ask both nets about a run's positions, and write opinions.json, unless that is there.

    Raises OSError where it cannot be written, EvaluationError where a net gives no numbers,
    LedgerError, MoveError, PositionError or ValueError where the ledger's games are no chess.
    """
    counted = run.counted
    games = expected_games(counted, engines=())
    with replaying(run.folder):
        decided = [place_of(position) for position in deciding(games)]
    kept = run.opinions
    if kept.document is not None and not kept.caveat:
        known = {Place(row["pair"], row["game"], row["ply"]) for row in kept.document["deciding"]}
        if known >= set(decided):
            return run
    ranges = sample(counted, run.identity.seed)
    patience = _Patience(note, sum(map(len, ranges)) + len(decided))
    opinions, of_deciding = poll(counted, ranges, decided, asked, patience)
    baseline, candidate = run.identity.nets
    document = OpinionsDocument(
        format=FORMAT,
        nets={"baseline": baseline.sha256, "candidate": candidate.sha256},
        evaluator=asked.words,
        pairs=len(counted),
        games=fingerprint(counted),
        opinions=opinions,
        deciding=of_deciding,
    )
    write_opinions(run.folder, document)
    return replace(run, opinions=Kept(document))


class _Patience:
    """Tells once what takes so long, if it does."""

    def __init__(self, note: Note, positions: int):
        self._note = note
        self._positions = positions
        self._began: float | None = time.monotonic()

    def __call__(self) -> None:
        if self._began is not None and time.monotonic() - self._began > PATIENCE:
            self._began = None
            self._note(
                f"Asking both nets about {self._positions:,} positions of the match; Ctrl-C leaves "
                "that out."
            )


def words_of(choices: Iterable[Choice]) -> str:
    """Say what evaluates the nets of a match."""
    return ", ".join(dict.fromkeys(map(str, choices)))


def _nets_of(identity: MatchIdentity) -> list[NetIdentity]:
    """Both players, of which opinions can be asked. Raises OpinionsError where they are no nets."""
    nets: list[NetIdentity] = []
    for player in identity.nets:
        if not isinstance(player, NetIdentity):
            raise OpinionsError(
                f"{player.name} is an engine: only nets can be asked about positions\n"
                "Leave out --opinions."
            )
        nets.append(player)
    baseline, candidate = nets
    if baseline.evaluated == candidate.evaluated:
        raise OpinionsError(
            f"{baseline.name} and {candidate.name} are the same net, which agrees with itself\n"
            "Leave out --opinions."
        )
    return nets
