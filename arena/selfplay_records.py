"""A game of self-play as training records, and what such records tell of the game again.

A folder of records is all that a run keeps: a resumed run counts what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import chess
import numpy as np
import numpy.typing as npt

from arena.boards import GameLine, replay
from arena.encoding import Encoding
from arena.evaluator import Evaluation, Evaluator, Leaves, encoding_of
from arena.game import ADJUDICATIONS, Opening, Termination
from arena.kernel.game_planes import pack_game
from arena.kernel.movegen import MAX_MOVES
from arena.lane import SearchedGame
from arena.training_records import MAX_LENGTH, Expectation, SearchedPosition, line_records
from swa.records import ADJUDICATED, Records, black_to_move
from swa.spec import PLANES


def records_of(opening: Opening, game: SearchedGame, evaluator: Evaluator) -> Records:
    """The V6 records of a game, of the evaluator's own input format, moves turned as it knows them.

    ``evaluator`` is asked once more for every position: a tree keeps neither the net's own opinion
    of its root nor the policy without noise. It is one evaluation for each move's many.
    """
    moves = (*opening.moves, *game.moves)
    first = len(opening.moves)
    line, indices = replay(chess.Board(opening.fen), moves, len(moves) + 1)
    encoding = encoding_of(evaluator)
    leaves = _positions(line, first, encoding)
    said = evaluator.evaluate(leaves)
    return line_records(
        line,
        indices[first:],
        game.result,
        list(_searches(game, leaves, said)),
        first=first,
        adjudicated=game.termination in ADJUDICATIONS,
        max_length=game.termination is Termination.MAX_LENGTH,
        encoding=encoding,
    )


def _positions(line: GameLine, first: int, encoding: Encoding) -> Leaves:
    count = line.last - first
    masks, values = np.empty((count, PLANES), np.uint64), np.empty((count, PLANES), np.float32)
    transforms = np.empty(count, np.uint8)
    moves, counts = np.empty((count, MAX_MOVES), np.uint16), np.empty(count, np.int64)
    seen = masks, values, transforms
    pack_game(line.positions, first, line.fill, int(encoding.input_format), *seen, moves, counts)
    return Leaves(
        masks,
        values,
        moves[np.arange(MAX_MOVES) < counts[:, None]],
        np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        np.zeros((count, 2), np.uint64),  # for caches: there is none
        transforms,
    )


def _searches(game: SearchedGame, leaves: Leaves, said: Evaluation) -> Iterator[SearchedPosition]:
    start = 0
    legal = [slice(*ends) for ends in pairwise(leaves.offsets.tolist())]
    for row, note in enumerate(game.notes):
        shares = game.shares[start : note["end"]]
        start = int(note["end"])
        visits = shares["visits"].astype(np.float64)
        policy = visits / visits.sum()
        win, draw, loss = said.wdl[row].astype(np.float64)
        yield SearchedPosition(
            moves=shares["move"],
            policy=policy.astype(np.float32),
            best_move=int(note["best_move"]),
            root=_expectation(note, "root"),
            best=_expectation(note, "best"),
            played=_expectation(note, "played"),
            net=Expectation(float(win - loss), float(draw), float(said.moves_left[row])),
            visits=int(note["visits"]),
            policy_kld=divergence(
                shares["move"], policy, leaves.moves[legal[row]], said.logits[legal[row]]
            ),
            proven=bool(note["proven"]),
        )


def _expectation(note: np.void, what: str) -> Expectation:
    return Expectation(*(float(note[f"{what}_{part}"]) for part in "qdm"))


def divergence(
    moves: npt.NDArray[np.uint16],
    policy: npt.NDArray[np.float64],
    legal: npt.NDArray[np.uint16],
    logits: npt.NDArray[np.float32],
) -> float:
    """Kullback-Leibler divergence, in nats, of a search's ``policy`` from the net's.

    The net's is the softmax of ``logits`` over the ``legal`` moves, at temperature 1 and without
    noise (lc0 src/trainingdata/trainingdata.cc). 0 where rounding would make it negative.
    """
    exact = logits.astype(np.float64)
    logs = exact - exact.max()
    logs -= np.log(np.exp(logs).sum())
    order = np.argsort(legal)
    places = order[np.searchsorted(legal, moves, sorter=order)]
    return max(float((policy * (np.log(policy) - logs[places])).sum()), 0.0)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of games; ``+`` adds them."""

    games: int = 0
    positions: int = 0
    white_wins: int = 0
    draws: int = 0
    black_wins: int = 0
    resigned: int = 0
    max_length: int = 0
    played_through: int = 0  # games in which nobody was allowed to resign
    would_have_resigned: int = 0  # of those
    wrongly_drawn: int = 0  # of these: by the game's end the one to resign had a draw
    wrongly_won: int = 0  # ... or had won

    def __add__(self, other: Tally) -> Tally:
        mine, theirs = asdict(self), asdict(other)
        return Tally(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def wrong_share(self) -> float | None:
        """Of the games played through that would have been resigned, those not lost."""
        if not self.would_have_resigned:
            return None
        return (self.wrongly_drawn + self.wrongly_won) / self.would_have_resigned

    def as_json(self) -> dict[str, Any]:
        """All counts, for scripts."""
        return {**asdict(self), "wrong_share": self.wrong_share}


def tally_of(records: Records, resign: float, played_through: bool) -> Tally:
    """Read from a game's records what became of it.

    ``resign`` in [0, 1] is the expected score below which one resigns; where the game was
    ``played_through``, nobody did, and the first who would have is looked for.
    """
    last = records[-1]
    white_result = float(last["result_q"]) * (-1 if black_to_move(records)[-1] else 1)
    info = int(last["invariance_info"])
    would, result = False, 0.0
    if played_through and resign > 0:
        # The kernel's rule, word for word: float32, and nobody resigns before the first move.
        score = (records["best_q"] + np.float32(1)) / np.float32(2)
        below = np.flatnonzero((score < np.float32(resign))[1:])
        if below.size:
            would, result = True, float(records["result_q"][below[0] + 1])
    stopped = bool(info & MAX_LENGTH)
    return Tally(
        games=1,
        positions=len(records),
        white_wins=int(white_result > 0),
        draws=int(white_result == 0),
        black_wins=int(white_result < 0),
        resigned=int(bool(info & ADJUDICATED) and not stopped),
        max_length=int(stopped),
        played_through=int(played_through and resign > 0),
        would_have_resigned=int(would),
        wrongly_drawn=int(would and result == 0),
        wrongly_won=int(would and result > 0),
    )
