"""Grow the book of openings that the arena ships: from the start position and an engine alone.

A match of nets needs openings that are many, distinct, level and unlike each other. This script
makes them without any existing book:

1. **Grow.** The start position holds a quota of lines. Ply by ply each position is searched with
   MultiPV, and its quota is shared among the moves that the engine finds playable: a move that
   loses ``t`` centipawns against the best weighs ``exp(-t / softness)``. Sharing a quota, not
   drawing lines at random, keeps the spread: a move that deserves 2 % of the lines gets 2 %.
   Lines that transpose into one position are merged, so final positions are distinct.
2. **Judge.** Each final position gets a deeper search of its own; what is further than
   ``BALANCE_CP`` from level is dropped.
3. **Write.** A zipped PGN: the moves (nets look at the history too) and the engine's evaluation.

Every search starts with an empty hash table, on one thread, with a limit in nodes, so the same
engine version gives the same book on any machine. Stockfish 15.1 (Debian 12) takes a good
quarter of an hour of one core: 7,684 lines are judged, 6,175 of them are level.

    python scripts/make_book.py --engine stockfish --out arena/data/book.pgn.zip
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import chess
import chess.engine
import chess.pgn

log = logging.getLogger("make_book")

LINES = 12_000
"""The quota of the start position; some lines are lost to the judge, none are added."""

BALANCE_CP = 60
"""How far from level a final position may be. Stockfish >= 15.1 scales its centipawns so that
+100 is a win in half of its own games (its UCI::NormalizeToPawnValue); the start position has
some +30."""

SLACK_CP = 30
"""How much further from level a position on the way may be: its search is short and noisy."""

JUDGE_NODES = 20_000
MATE_CP = 10_000
RESULT_FILE = Path(__file__).parent.parent / "arena" / "data" / "book.pgn.zip"


@dataclass(frozen=True, slots=True)
class Search:
    """How one ply is explored: ``width`` moves for ``nodes`` nodes in all.

    A move that loses ``softness`` centipawns against the best gets 1/e of its share: the shorter
    the search, the less a loss says.
    """

    nodes: int
    width: int
    softness: float = 15.0


PLIES = (
    Search(nodes=4_000_000, width=20, softness=12.0),
    Search(nodes=300_000, width=20, softness=12.0),
    Search(nodes=80_000, width=10),
    Search(nodes=25_000, width=7),
    Search(nodes=8_000, width=4),
    Search(nodes=8_000, width=4),
    Search(nodes=8_000, width=4),
    Search(nodes=8_000, width=4),
)
"""One entry a ply. Wide at the start, where few positions decide what the whole book is about."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A move and the engine's score of it in centipawns for white."""

    move: chess.Move
    white_cp: int


@dataclass(frozen=True, slots=True)
class Line:
    """Moves from the start position and how many lines of the book may pass through their end."""

    moves: tuple[chess.Move, ...]
    quota: int

    def board(self) -> chess.Board:
        """Set up the position at the end."""
        board = chess.Board()
        for move in self.moves:
            board.push(move)
        return board


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """A finished line with the judge's evaluation of its end, in centipawns for white."""

    moves: tuple[chess.Move, ...]
    white_cp: int


class Engine:
    """A UCI engine whose every answer depends on the position alone."""

    def __init__(self, command: str):
        self._engine = chess.engine.SimpleEngine.popen_uci(command)
        self._engine.configure({"Threads": 1, "Hash": 16})
        self.name = self._engine.id.get("name", command).split(" by ")[0]

    def candidates(self, board: chess.Board, search: Search) -> list[Candidate]:
        """Find the ``search.width`` best moves (fewer where fewer are legal), best first.

        They come from the deepest iteration that scored so many: one that the node limit cut short
        would mix scores of two depths. Scores are kept by move, not by rank: stockfish numbers
        the moves anew whenever it prints, and prints what it has when it stops.
        """
        limit = chess.engine.Limit(nodes=search.nodes)
        width = min(search.width, board.legal_moves.count())
        iterations: dict[int, dict[chess.Move, int]] = {}
        with self._engine.analysis(
            board,
            limit,
            multipv=width,
            game=object(),  # a game never seen before: the engine forgets the last search
            info=chess.engine.INFO_SCORE | chess.engine.INFO_PV,
        ) as analysis:
            for info in analysis:
                if "pv" not in info or "lowerbound" in info or "upperbound" in info:
                    continue
                white_cp = info["score"].white().score(mate_score=MATE_CP)
                iterations.setdefault(info["depth"], {})[info["pv"][0]] = white_cp
        complete = [depth for depth, scores in iterations.items() if len(scores) >= width]
        if not complete:
            raise RuntimeError(f"no complete iteration in {search} at {board.fen()}")
        found = [Candidate(move, cp) for move, cp in iterations[max(complete)].items()]
        sign = 1 if board.turn == chess.WHITE else -1
        return sorted(found, key=lambda one: -sign * one.white_cp)[:width]

    def evaluate(self, board: chess.Board) -> int:
        """Judge the position, in centipawns for white."""
        return self.candidates(board, Search(JUDGE_NODES, width=1))[0].white_cp

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine.quit()


def fraction(text: str) -> float:
    """Return a number in [0, 1) that looks random and is the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def share(quota: int, weights: list[float], offset: float) -> list[int]:
    """Split ``quota`` in proportion to ``weights``: systematic sampling.

    The weights are laid end to end and ``quota`` equally spaced points, the first at ``offset``
    in [0, 1) of their distance, fall on them: each share is within one of its due, and its
    expectation over the offsets is exactly its due, also where the quota is 1.
    """
    total = sum(weights)
    shares, reached, points = [], 0.0, 0
    for weight in weights:
        reached += weight
        # Points k with (k + offset) / quota * total < reached.
        until = min(quota, max(points, math.ceil(reached / total * quota - offset)))
        shares.append(until - points)
        points = until
    shares[-1] += quota - points  # Rounding may leave the last point beyond the sum.
    return shares


def share_singly(quota: int, weights: list[float], offset: float) -> list[int]:
    """Split ``quota`` as ``share`` does, but give no more than 1 to each, as far as that goes."""
    given = [0] * len(weights)
    while sum(given) < min(quota, len(weights)):
        waiting = [i for i, one in enumerate(given) if not one]
        shares = share(quota - sum(given), [weights[i] for i in waiting], offset)
        for i, wanted in zip(waiting, shares, strict=True):
            given[i] = min(wanted, 1)
    return given


def children(line: Line, candidates: list[Candidate], softness: float, *, last: bool) -> list[Line]:
    """Continue the line by each playable move that gets a share of its quota."""
    limit_cp = BALANCE_CP if last else BALANCE_CP + SLACK_CP
    playable = [found for found in candidates if abs(found.white_cp) <= limit_cp]
    if not playable:
        return []
    best = playable[0].white_cp
    weights = [math.exp(-abs(best - found.white_cp) / softness) for found in playable]
    offset = fraction(" ".join(move.uci() for move in line.moves))
    shares = (share_singly if last else share)(line.quota, weights, offset)
    return [
        Line((*line.moves, found.move), quota)
        for found, quota in zip(playable, shares, strict=True)
        if quota
    ]


def merge(lines: Iterable[Line]) -> list[Line]:
    """Keep one line for each final position, that of the largest quota, and add the quotas up."""
    by_position: dict[str, Line] = {}
    for line in lines:
        key = line.board().epd()
        known = by_position.get(key)
        if known is None:
            by_position[key] = line
        else:
            larger = max(known, line, key=lambda rival: rival.quota)
            by_position[key] = replace(larger, quota=known.quota + line.quota)
    return list(by_position.values())


def progress(lines: list[Line], doing: str) -> Iterator[Line]:
    """Pass the lines on, with a note in the log every half minute."""
    noted = time.monotonic()
    for done, line in enumerate(lines):
        if time.monotonic() - noted > 30:
            noted = time.monotonic()
            log.info("%s: %d of %d", doing, done, len(lines))
        yield line


def grow(candidates: Callable[[chess.Board, Search], list[Candidate]], quota: int) -> list[Line]:
    """Make lines of ``len(PLIES)`` moves, no final position twice, at most ``quota`` of them."""
    lines = [Line((), quota)]
    for ply, search in enumerate(PLIES, start=1):
        last = ply == len(PLIES)
        grown: list[Line] = []
        for line in progress(lines, f"ply {ply}"):
            found = candidates(line.board(), search)
            grown += children(line, found, search.softness, last=last)
        lines = merge(grown)
        quotas = sum(line.quota for line in lines)
        log.info("ply %d: %d positions for %d lines", ply, len(lines), quotas)
    return lines


def judge(evaluate: Callable[[chess.Board], int], lines: list[Line]) -> list[JudgedLine]:
    """Keep the lines that end level."""
    judged = (JudgedLine(x.moves, evaluate(x.board())) for x in progress(lines, "judging"))
    return [line for line in judged if abs(line.white_cp) <= BALANCE_CP]


def game_text(line: JudgedLine, annotator: str) -> str:
    """Write one game of PGN: what a reader of PGN needs, and who evaluated it."""
    moves = chess.Board().variation_san(line.moves)
    evaluation = f"{line.white_cp / 100:+.2f}"
    return f'[Event "?"]\n[Annotator "{annotator}"]\n\n{moves} {{ {evaluation} }} *\n\n'


def write_book(lines: list[JudgedLine], annotator: str, path: Path) -> None:
    """Write the zipped PGN, in an order that mixes the openings, for those who read it in order."""
    mixed = sorted(lines, key=lambda line: fraction(" ".join(x.uci() for x in line.moves)))
    text = "".join(game_text(line, annotator) for line in mixed)
    # A fixed time and system: the same lines give the same file wherever and whenever it is made.
    member = zipfile.ZipInfo(path.name.removesuffix(".zip"), date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    member.external_attr = 0o644 << 16
    part = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part, "w") as archive:
        archive.writestr(member, text, zipfile.ZIP_DEFLATED, compresslevel=9)
    part.replace(path)


def main() -> None:
    """Grow, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="stockfish", help="UCI engine (default: stockfish)")
    parser.add_argument("--lines", type=int, default=LINES, help=f"quota (default: {LINES})")
    parser.add_argument("--out", type=Path, default=RESULT_FILE, help="file to write")
    arguments = parser.parse_args()
    # Debian installs it as a game, where root's PATH does not look.
    command = shutil.which(arguments.engine) or shutil.which(arguments.engine, path="/usr/games")
    if command is None:
        parser.error(f"no engine {arguments.engine!r}: name one, or apt-get install stockfish")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with Engine(command) as engine:
        log.info("%s, a quota of %d lines", engine.name, arguments.lines)
        lines = grow(engine.candidates, arguments.lines)
        level = judge(engine.evaluate, lines)
        log.info("%d of %d lines end within %d cp", len(level), len(lines), BALANCE_CP)
        write_book(level, f"{engine.name}, {JUDGE_NODES} nodes", arguments.out)
    log.info("%s: %d bytes", arguments.out, arguments.out.stat().st_size)


if __name__ == "__main__":
    main()
