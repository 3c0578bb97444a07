"""A finished game as the training records that lc0's own tools read: version 6.

Each move that was chosen makes a record: the position before it with its history, the target
policy, what the search thought, and how the game ended, all from the mover's view. Moves that
nobody chose (an opening's) make none, but are seen as history. The records of a game follow each
other without a gap: lc0's rescorer finds a game's moves by comparing neighbours. They are of input
format 1 unless something else is asked for, with an ``Encoding``: boards and moves are then turned
as a net of it sees them.

Fields: lc0 src/trainingdata/trainingdata.cc, ``V6TrainingDataArray``; validity:
src/trainingdata/rescorer.cc, ``Validate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import chess
import numpy as np
from numpy.typing import NDArray

from arena.boards import GameLine, replay
from arena.encoding import CLASSICAL, Encoding
from arena.game import WHITE_POINTS, Result
from arena.kernel.game_planes import pack_game
from arena.kernel.movegen import MAX_MOVES
from swa import planes
from swa.records import (
    ADJUDICATED,
    BLACK,
    STORED_PLANES,
    V6,
    Records,
    black_to_move,
    bytes_reversed,
)
from swa.spec import PLANES

PROVEN, MAX_LENGTH = 1 << 3, 1 << 4
"""Bits of ``invariance_info``: the best move's value is exact; the game was stopped for its length,
so that its result is not known and stands as a draw."""

LAST_RULE50 = 100
"""The most plies without capture or pawn move that a valid record can hold."""

GAMES_PER_FOLDER = 1000
"""For file systems and people alike."""

_CASTLING = {
    "castling_us_ooo": planes.OUR_QUEENSIDE,
    "castling_us_oo": planes.OUR_KINGSIDE,
    "castling_them_ooo": planes.THEIR_QUEENSIDE,
    "castling_them_oo": planes.THEIR_KINGSIDE,
}


class Expectation(NamedTuple):
    """What is expected of a position, for its side to move."""

    q: float  # W - L
    d: float
    m: float = 0.0  # plies to the game's end; lc0 has 0 where a net does not tell, and so has NaN


UNKNOWN = Expectation(np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class SearchedPosition:
    """What a search found out about a position before the move was chosen.

    All expectations are of the position itself, for its side to move: that of a move is its child's
    as seen from here, ``m`` one ply more.
    """

    moves: NDArray[np.uint16]  # [k] policy indices, in any order; 0 is the target of all others
    policy: NDArray[np.float32]  # [k] target: their shares of the visits, adding up to 1
    best_move: int  # policy index
    root: Expectation  # mean of all visits
    best: Expectation  # of the best move
    played: Expectation  # of the move that was played
    net: Expectation = UNKNOWN  # the net's own opinion: lc0's orig_q, orig_d, orig_m
    visits: int = 1  # of the root; lc0 believes played_idx and best_idx only where this is not 0
    policy_kld: float = 0.0  # nats: of the visits from the net's policy at temperature 1
    proven: bool = False  # whether the best move's value is exact


def game_records(
    start: chess.Board,
    moves: Sequence[str | chess.Move],
    result: Result,
    searches: Sequence[SearchedPosition] | None = None,
    *,
    first: int = 0,
    adjudicated: bool = False,
    max_length: bool = False,
    encoding: Encoding = CLASSICAL,
) -> Records:
    """The V6 records of a game: one for each of ``moves`` (UCI) from ``first`` on.

    ``searches`` has one entry for each of these. Without them every move is a target by itself, as
    in Maia's records of human games: probability 1 of the move that was played, 0 of the other
    legal ones; all expectations are the game's result and length, ``net`` is not known, and
    ``visits`` is 1, without which lc0 would not believe that the move was played.

    ``adjudicated`` says that a rule of the run ended the game (resignation is one), ``max_length``
    that it ended it for its length; ``result`` has to be a draw then.

    ``plies_left`` counts the plies to the game's end. Of an adjudicated game it is lc0's estimate:
    the plies that were played, and those that the last search expected behind them. (lc0 has that
    of every game, of one that was drawn on the board too.)

    The records end before a position with more than ``LAST_RULE50`` plies without capture or pawn
    move, which no valid record can hold; there may be none at all. Raises ``boards.PositionError``
    and ``boards.MoveError`` for a start that is no position and for illegal moves, ValueError for
    searches that do not fit the game.
    """
    line, indices = replay(start, moves, len(moves) + 1)
    return line_records(
        line,
        indices[first:],
        result,
        searches,
        first=first,
        adjudicated=adjudicated,
        max_length=max_length,
        encoding=encoding,
    )


def line_records(
    line: GameLine,
    played: NDArray[np.uint16],
    result: Result,
    searches: Sequence[SearchedPosition] | None = None,
    *,
    first: int = 0,
    adjudicated: bool = False,
    max_length: bool = False,
    encoding: Encoding = CLASSICAL,
) -> Records:
    """As ``game_records``, of a game that the kernel holds already.

    ``played`` uint16[line.last - first] are the legal moves made from ``first`` on, as policy
    indices.
    """
    count = line.last - first
    if not 0 <= first <= line.last or len(played) != count:
        raise ValueError(f"{len(played)} moves do not lead from position {first} to {line.last}")
    if searches is not None and len(searches) != count:
        raise ValueError(f"{len(searches)} searches do not fit {count} moves")
    if max_length and result != "1/2-1/2":
        raise ValueError(f"a game that was stopped for its length did not end {result}")
    rule50 = line.positions["rule50"][first : line.last]
    kept = int(np.append(rule50 > LAST_RULE50, True).argmax())
    beyond = 1.0
    if searches and (adjudicated or max_length):
        beyond = max(_plies(searches[-1].best.m), 1.0)
    records, transforms = _positions(line, first, kept, encoding)
    outcome = int(2 * WHITE_POINTS[result] - 1)  # for white; whole, so that there is no -0.0
    records["result_q"] = np.where(black_to_move(records), -1, 1) * outcome
    records["result_d"] = result == "1/2-1/2"
    records["plies_left"] = _plies_left(kept, count, beyond)
    records["played_idx"] = encoding.turned(played[:kept], transforms)
    if searches is None:
        _add_played_moves(records)
    else:
        for record, transform, search in zip(records, transforms, searches, strict=False):
            _add_search(record, search, transform, encoding)
    if adjudicated or max_length:
        records["invariance_info"] |= ADJUDICATED | (MAX_LENGTH if max_length else 0)
    return records


def game_path(folder: Path, number: int) -> Path:
    """Where a game's records are in a folder of many games."""
    return folder / f"{number // GAMES_PER_FOLDER:05}" / f"training.{number}.gz"


def write_game(folder: Path, number: int, data: bytes) -> None:
    """Put the packed records of a game in their place, whole or not at all.

    They are not brought to the disk before this returns: that takes longer than all other work. A
    crash of the machine may leave a file that is torn. Raises OSError where it cannot be written.
    """
    path = game_path(folder, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _plies_left(kept: int, count: int, last: float) -> NDArray[np.float32]:
    """Of the first ``kept`` of ``count`` positions, where the last has ``last``; rounded as lc0."""
    steps = np.full(kept, -1, np.float32)
    steps[:1] = np.float32(last) + np.float32(count) - 1
    return np.cumsum(steps, dtype=np.float32)


def _positions(
    line: GameLine, first: int, count: int, encoding: Encoding
) -> tuple[Records, NDArray[np.uint8]]:
    """Records with what is known of positions alone: their planes, and 0 for each legal move.

    With them the transforms [count] by which they are turned.
    """
    masks, values = np.empty((count, PLANES), np.uint64), np.empty((count, PLANES), np.float32)
    moves, counts = np.empty((count, MAX_MOVES), np.uint16), np.empty(count, np.int64)
    transforms, input_format = np.empty(count, np.uint8), encoding.input_format
    seen = masks, values, transforms
    pack_game(line.positions, first, line.fill, int(input_format), *seen, moves, counts)
    positions = line.positions[first : first + count]
    records = np.zeros(count, V6)
    records["version"], records["input_format"] = 6, input_format
    records["planes"] = bytes_reversed(masks[:, :STORED_PLANES])
    if input_format.knows_chess960:
        for plane, side in ((planes.A_SIDE_ROOKS, "ooo"), (planes.H_SIDE_ROOKS, "oo")):
            records[f"castling_us_{side}"] = masks[:, plane] & np.uint64(0xFF)
            records[f"castling_them_{side}"] = masks[:, plane] >> np.uint64(56)
    else:
        for name, plane in _CASTLING.items():
            records[name] = masks[:, plane] != 0
    records["side_to_move"] = positions["black"]
    if input_format.canonical:
        records["side_to_move"] = masks[:, planes.EN_PASSANT] >> np.uint64(56)
        records["invariance_info"] = transforms | np.where(positions["black"] != 0, BLACK, 0)
    records["rule50"] = positions["rule50"]
    probabilities = records["probabilities"]
    probabilities[:] = -1
    legal = np.arange(MAX_MOVES) < counts[:, None]
    turned = encoding.turned(moves[legal], np.repeat(transforms, counts))
    probabilities[np.repeat(np.arange(count), counts), turned] = 0
    return records, transforms


def _add_played_moves(records: Records) -> None:
    """Complete the records of a game without searches."""
    records["probabilities"][np.arange(len(records)), records["played_idx"]] = 1
    records["best_idx"] = records["played_idx"]
    records["visits"] = 1
    for what in ("root", "best", "played"):
        records[f"{what}_q"] = records["result_q"]
        records[f"{what}_d"] = records["result_d"]
        records[f"{what}_m"] = records["plies_left"]
    for part in "qdm":
        records[f"orig_{part}"] = np.nan


def _add_search(
    record: np.void, search: SearchedPosition, transform: np.uint8, encoding: Encoding
) -> None:
    """Complete a record by its search; the record knows its legal moves."""
    probabilities = record["probabilities"]
    moves = np.append(search.moves, np.uint16(search.best_move))
    *turned, best = encoding.turned(moves, np.full(moves.size, transform))
    if (probabilities[turned] < 0).any() or probabilities[best] < 0:
        raise ValueError("a search has moves that are not legal in the game")
    probabilities[turned] = search.policy
    record["best_idx"], record["visits"] = best, search.visits
    record["policy_kld"] = search.policy_kld
    record["invariance_info"] |= PROVEN if search.proven else 0
    for what, expected in (
        ("root", search.root),
        ("best", search.best),
        ("played", search.played),
        ("orig", search.net),
    ):
        record[f"{what}_q"], record[f"{what}_d"] = _without_drift(expected.q, expected.d)
        record[f"{what}_m"] = expected.m if what == "orig" else _plies(expected.m)


def _plies(m: float) -> float:
    return m if m > 0 else 0.0  # NaN, too


def _without_drift(q: float, d: float) -> tuple[float, float]:
    """Return q and d of possible W, D and L: sums of float32 may be beyond by a little.

    As lc0's ``DriftCorrect``, which puts what is left on d. NaN stays.
    """
    lead, draw = np.float32(min(max(q, -1.0), 1.0)), np.float32(min(max(d, 0.0), 1.0))
    win = (1 - draw + lead) / np.float32(2)
    drift = min(win, win - lead, np.float32(0))
    return float(lead), float(max(draw + 2 * drift, np.float32(0)))
