"""All games of a run in few bytes, for the page that replays them.

Deflated (zlib, RFC 1950): ``uint32`` little-endian length of a JSON text, the text, then columns
of bytes, each for all pairs or games one after the other:

- the openings' moves, of each different opening once,
- the games' moves from there on,
- the evaluations of these, from White's side, as hundredths of q in [-1, 1],
- their draw probabilities in per cent; this column is missing where all are 0.

A move is its rank among the legal ones (``arena.kernel.ranks``), which deflate makes 5 bits of. An
evaluation is kept as its difference, modulo 256, from the same player's one before (0 before its
first): it changes little. So a game of 120 plies takes some 200 bytes. A hundredth of q is less
than a pixel of the graph, and no finer than what is shown in words.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arena.boards import SPELLED, position_of
from arena.game import WHITE_POINTS, GameRecord, Opening, PairRecord
from arena.kernel.movegen import MAX_MOVES
from arena.kernel.position import POSITION, Position
from arena.kernel.ranks import rank_moves
from arena.ledger import GAMES_FILE, impossible_game
from arena.report.characters import printable
from arena.report.run import Run
from arena.report.schema import DecidingPosition, Summary

FORMAT = 1
"""Of the packed games; page and data are written together, so no reader needs an older one."""

Bytes = npt.NDArray[np.uint8]


def packed_games(run: Run, summary: Summary) -> bytes:
    """Pack every pair of the run, counted or not, with what the page says of it.

    Raises LedgerError where a game has a move that is illegal or a start that is no position: no
    match has played such.
    """
    columns = _Columns()
    for pair in run.pairs:
        columns.add(pair)
    head = columns.head() | {
        "format": FORMAT,
        "baseline": printable(summary["nets"][0]["name"]),
        "candidate": printable(summary["nets"][1]["name"]),
        "uncounted": _uncounted(run),
        "deciding": [_rounded(one) for one in summary["curves"]["deciding"]],
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    parts = [len(text).to_bytes(4, "little"), text, *columns.columns()]
    # Noise repeats by chance only, so that short matches do not pay; and each column has codes of
    # its own. Both together save an eighth.
    deflate = zlib.compressobj(level=9, memLevel=9, strategy=zlib.Z_FILTERED)
    packed = [deflate.compress(part) + deflate.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return b"".join(packed) + deflate.flush()


def _rounded(one: DecidingPosition) -> dict[str, Any]:
    """A position that decided, values and shares in hundredths."""
    rounded: dict[str, Any] = {key: one[key] for key in ("pair", "game", "ply", "mover")}
    rounded |= {key: hundredths(one[key]) for key in ("mover_q", "opponent_q")}
    for net, opinion in (("baseline", one["baseline"]), ("candidate", one["candidate"])):
        if opinion is not None:
            policy = [[move, hundredths(float(share))] for move, share in opinion["policy"]]
            rounded[net] = {"q": hundredths(opinion["q"]), "policy": policy}
    return rounded


def _uncounted(run: Run) -> dict[int, str]:
    """Say why pairs, by number from 1, are not part of the result."""
    judgement = run.judgement
    why = dict.fromkeys(judgement.repeats, "one of its games was played before")
    beyond = "a pair before it is missing" if judgement.decided_at is None else "after the verdict"
    why |= {pair.number: beyond for pair in run.pairs[judgement.seen :]}
    return {number + 1: reason for number, reason in sorted(why.items())}


class _Columns:
    """What is packed, as it grows pair by pair."""

    def __init__(self) -> None:
        self._starts: dict[str, int] = {}  # FEN: its place in the next two
        self._positions: list[Position] = []
        self._fens: list[str] = []
        self._openings: dict[Opening, int] = {}
        self._pairs: list[tuple[int, int]] = []  # number from 1, opening
        self._games: list[GameRecord] = []
        self._ranks: tuple[list[Bytes], list[Bytes]] = [], []  # of openings, of games
        self._black_first: list[bool] = []  # whether Black makes the first move of the players
        self._line = np.zeros(2, POSITION)
        self._room = np.empty(MAX_MOVES, np.uint16)

    def add(self, pair: PairRecord) -> None:
        """Take a pair's two games."""
        opening = pair.opening
        plies = len(opening.moves)
        for number, game in enumerate(pair.games, start=1):
            where = f"{GAMES_FILE}, pair {pair.number + 1}, game {number}"
            start = self._start(opening, where)
            ranks = self._ranked(start, (*opening.moves, *game.moves), where)
            if opening not in self._openings:
                self._openings[opening] = len(self._openings)
                self._ranks[0].append(ranks[:plies])
            self._ranks[1].append(ranks[plies:])
            self._black_first.append((plies + int(start.black)) % 2 == 1)
            self._games.append(game)
        self._pairs.append((pair.number + 1, self._openings[opening]))

    def head(self) -> dict[str, Any]:
        """Everything but the columns."""
        ends = Counter(game.termination.value for game in self._games)
        codes = {name: code for code, (name, _) in enumerate(ends.most_common())}
        notes = {place: _note(game) for place, game in enumerate(self._games)}
        return {
            "starts": self._fens,
            "openings": [
                [self._starts[opening.fen], len(opening.moves), printable(opening.name)]
                for opening in self._openings
            ],
            "numbers": _steps([number for number, _ in self._pairs]),
            "opened": _steps([opening for _, opening in self._pairs]),
            "plies": [len(game.moves) for game in self._games],
            "white": [WHITE_POINTS[game.result] for game in self._games],
            "terminations": list(codes),
            "ends": [codes[game.termination.value] for game in self._games],
            "notes": {place: note for place, note in notes.items() if note},
        }

    def columns(self) -> Iterator[bytes]:
        """The columns, in their order."""
        for ranks in self._ranks:
            yield b"".join(array.tobytes() for array in ranks)
        lengths = np.array([len(game.moves) for game in self._games], np.int64)
        begins = np.repeat(np.cumsum(lengths) - lengths, lengths)
        plies = np.arange(len(begins)) - begins
        black = (plies + np.repeat(np.array(self._black_first, np.int64), lengths)) % 2 == 1
        q, d = (
            np.fromiter(itertools.chain.from_iterable(values), np.float64, len(plies))
            for values in ((game.q for game in self._games), (game.d for game in self._games))
        )
        yield _differences(np.where(black, -q, q), plies)
        if d.any():
            yield _differences(d, plies)

    def _start(self, opening: Opening, where: str) -> Position:
        if opening.fen not in self._starts:
            try:
                board = opening.board()
                self._positions.append(position_of(board))
            except ValueError as error:
                raise impossible_game(where, error) from error
            self._starts[opening.fen] = len(self._fens)
            # Castling rights as the rooks' files: the page needs to read no other spelling.
            self._fens.append(board.fen(shredder=True, en_passant="fen"))
        return self._positions[self._starts[opening.fen]]

    def _ranked(self, start: Position, moves: Sequence[str], where: str) -> Bytes:
        spelled = np.array([SPELLED[move] for move in moves], np.uint16)
        ranks = np.empty(len(moves), np.uint8)
        self._line[0] = start
        legal = rank_moves(self._line, spelled, ranks, self._room)
        if legal < len(moves):
            raise impossible_game(where, f"move {legal + 1}, {moves[legal]}, is illegal")
        return ranks


def _steps(values: Sequence[int]) -> list[int]:
    """What each value adds to the one before, or to 0: most of these are alike."""
    return [value - before for before, value in itertools.pairwise([0, *values])]


def hundredths(value: float) -> int:
    """A value as the page keeps and shows it: whole hundredths, as ``f"{value:.2f}"`` has them."""
    return round(100 * round(value, 2))


def all_hundredths(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """``hundredths`` of every value of an array."""
    rounded = np.rint(values * 100)
    # The product may be half way where the value itself is not: 0.995 is a little less.
    close = np.abs(np.abs(values * 100 - rounded) - 0.5) < 1e-6
    rounded[close] = [hundredths(value) for value in values[close].tolist()]
    return rounded.astype(np.int64)


def _differences(values: npt.NDArray[np.float64], plies: npt.NDArray[np.int64]) -> bytes:
    """Hundredths, each as its difference modulo 256 from the one two plies before in its game."""
    rounded = all_hundredths(values)
    before = np.concatenate(([0, 0], rounded))[: len(rounded)]
    return (rounded - np.where(plies < 2, 0, before)).astype(np.uint8).tobytes()


def _note(game: GameRecord) -> str:
    """What is to be said of how the game ended, if anything."""
    if game.forfeit:
        return printable(game.forfeit)
    if (after := game.played_on) is None:
        return ""
    plies = f"{len(after.moves):,} {'ply' if len(after.moves) == 1 else 'plies'}"
    return f"played on for an audit, {plies} not shown: {after.result}, {after.termination}"
