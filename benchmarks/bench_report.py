"""What ``arena report`` costs for a long match: seconds, bytes, memory.

    python benchmarks/bench_report.py [--pairs 5000] [--plies 120]

The match is made up: games of random legal moves, cut off at ``--plies``. They are worse to pack
than real ones, whose moves are mostly the likeliest. So that this ends soon, some games are there
several times, from starts that differ by their move number; they are farther apart than what a
packer remembers (32 KiB). The limits that the project has set itself: 20 s, 5 MB, 1 GiB.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import chess

from arena.config import SearchParams
from arena.game import GameRecord, Opening, PairRecord, Termination
from arena.ledger import Ledger
from arena.match_file import BookIdentity, MatchIdentity, NetIdentity
from arena.sessions import Pace, Session, session_ended, session_started

DISTINCT = 600
"""Games that are really played."""

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 "


def identity(pairs: int) -> MatchIdentity:
    return MatchIdentity(
        nets=(
            NetIdentity("baseline", "raw", "a" * 64),
            NetIdentity("candidate", "swa", "b" * 64),
        ),
        evaluator="net",
        dtype="float32",
        search=SearchParams(visits=100),
        sprt=None,
        pairs=pairs,
        openings=BookIdentity("book.pgn", "c" * 64, pairs, "random"),
        seed=7,
    )


def played(rng: random.Random, plies: int) -> tuple[str, ...]:
    """Random legal moves; a game that ends by itself is begun anew."""
    while True:
        board = chess.Board()
        for _ in range(plies):
            legal = list(board.generate_legal_moves())
            if not legal:
                break
            board.push(rng.choice(legal))
        else:
            return tuple(move.uci() for move in board.move_stack)


def game(moves: tuple[str, ...], white: bool, rng: random.Random) -> GameRecord:
    """A game with the evaluations of players who change their minds slowly."""
    q, d, value, draw = [], [], 0.0, 0.3
    for _ in moves:
        value = min(max(-value + rng.gauss(0, 0.05), -1.0), 1.0)
        draw = min(max(draw + rng.gauss(0, 0.02), 0.0), 1.0)
        q.append(round(value, 4))
        d.append(round(draw, 4))
    result = rng.choice(("1-0", "0-1", "1/2-1/2", "1/2-1/2"))
    visits = tuple(rng.randint(90, 140) for _ in moves)
    return GameRecord(white, moves, result, Termination.MAX_LENGTH, tuple(q), tuple(d), visits)


def made_up(pairs: int, plies: int) -> Iterator[PairRecord]:
    rng = random.Random(1)
    games = [played(rng, plies) for _ in range(min(DISTINCT, 2 * pairs))]
    for number in range(pairs):
        first, second = games[2 * number % len(games)], games[(2 * number + 1) % len(games)]
        opening = Opening(f"{START}{1 + number // (len(games) // 2)}", (), "made up")
        yield PairRecord(number, opening, (game(first, True, rng), game(second, False, rng)))


def write_match(folder: Path, pairs: int, plies: int) -> None:
    folder.mkdir()
    session = Session(
        started="2025-01-31T12:00:00+00:00",
        command=("arena", "run"),
        versions={"python": "3.11"},
        device="cpu",
        parallel=256,
        nets=(),
    )
    with Ledger.open_or_create(folder, identity(pairs)) as ledger:
        ledger.append_all(list(made_up(pairs, plies)))
    session_started(folder, session)
    session_ended(folder, Pace(3600.0, pairs, 100_000_000, 60_000_000, 90_000_000, 1_000_000))


def measured(folder: Path, formats: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of ``arena report`` in a process of its own."""
    words = [sys.executable, "-m", "arena", "report", str(folder), "-q", "--format", *formats]
    begun = time.perf_counter()
    process = subprocess.Popen(words)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"arena report failed: {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--plies", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        write_match(folder, arguments.pairs, arguments.plies)
        ledger = (folder / "games.jsonl").stat().st_size / 1e6
        print(f"{arguments.pairs:,} pairs of {arguments.plies} plies, ledger {ledger:.1f} MB")
        for formats in (["html"], ["md", "html", "json", "pgn"]):
            wall, processor, memory = measured(folder, formats)
            print(
                f"arena report --format {' '.join(formats)}: {wall:.1f} s ({processor:.1f} s of "
                f"CPU), peak {memory:.0f} MiB"
            )
        size = (folder / "report.html").stat().st_size / 1e6
        print(f"report.html {size:.2f} MB")


if __name__ == "__main__":
    main()
