"""Run folders of every kind that a report meets, by script."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scripted_match import OPENINGS, identity, pair, run_folder
from test_adjudication_report import RULES
from test_adjudication_report import pairs as adjudicated

from arena.config import Part
from arena.game import PairRecord
from arena.match_file import TablesIdentity
from arena.sessions import NetFile, Pace, Session, session_ended, session_started
from arena.stats.sprt import Method, Sprt

GOLDEN = Path(__file__).parents[1] / "golden_report"

SESSION = Session(
    started="2025-01-31T23:59:59+00:00",
    command=("arena", "run", "--nets", "raw.pb", "swa.pb"),
    versions={"python": "3.11.0"},
    device="cpu (a processor)",
    parallel=64,
    pairs_before=0,
    evaluator="winograd (float32 on a CPU)",
    nets=(NetFile("b" * 64, "swa.pb.gz", "6x64 relu", 12000),),
)


def varied(number: int, seed: int = 3) -> list[PairRecord]:
    """Pairs of all results, each from a start of its own."""
    chance = random.Random(seed)
    records = []
    for index in range(number):
        opening = OPENINGS[index % len(OPENINGS)]
        fen = f"{opening.fen[:-1]}{1 + index // len(OPENINGS)}"
        points = chance.choice((0.0, 0.5, 1.0)), chance.choice((0.0, 0.5, 1.0))
        records.append(pair(index, *points, opening=replace(opening, fen=fen)))
    return records


def _winning(number: int) -> list[PairRecord]:
    return [pair(index, 1.0, (0.5, 1.0)[index % 2]) for index in range(number)]


def _in_sessions(folder: Path) -> Path:
    run_folder(folder, identity(sprt=None, pairs=40), varied(40))
    session_started(folder, SESSION)
    pace = Pace(seconds=60.0, pairs=20, visits=600, evaluations=300, batch_slots=400, cache_hits=9)
    session_ended(folder, pace)
    session_started(folder, replace(SESSION, pairs_before=20, device="cuda:0 (a GPU)"))
    session_ended(folder, Pace(seconds=30.0, pairs=20))
    session_started(folder, replace(SESSION, pairs_before=40))
    return folder


def _part(folder: Path) -> Path:
    run_folder(folder, identity(pairs=16), varied(16)[1::2])
    session_started(folder, replace(SESSION, part=Part(2, 2)))
    return folder


def _tables(folder: Path) -> Path:
    tables = TablesIdentity("d" * 64, 290, 5, search=True, fast_play=False)
    return run_folder(folder, replace(identity(), tables=tables), varied(5))


KINDS: dict[str, Callable[[Path], Path]] = {
    "nothing": lambda folder: run_folder(folder, identity(), []),
    "one pair": lambda folder: run_folder(folder, identity(), varied(1)),
    "unfinished": lambda folder: run_folder(folder, identity(), [*varied(5), varied(9)[8]]),
    "decided": lambda folder: run_folder(folder, identity(sprt=Sprt(0, 300)), _winning(16)),
    "sweep": lambda folder: run_folder(
        folder, identity(), [pair(index, 1.0, 1.0) for index in range(4)]
    ),
    "limit": lambda folder: run_folder(folder, identity(pairs=30, sprt=Sprt(0, 5)), varied(30)),
    "certified": lambda folder: run_folder(
        folder, identity(pairs=40, sprt=Sprt(0, 50, method=Method.CERTIFIED)), varied(30)
    ),
    "overshoot": lambda folder: run_folder(
        folder, identity(pairs=40, sprt=Sprt(0, 50, method=Method.OVERSHOOT)), varied(30)
    ),
    "without a test": lambda folder: run_folder(folder, identity(sprt=None, pairs=30), varied(30)),
    "raised limit": lambda folder: run_folder(
        folder, replace(identity(pairs=40), earlier_limits=(10, 20)), varied(30)
    ),
    "repeats": lambda folder: run_folder(
        folder, identity(), [*varied(3), pair(3, 1.0, 1.0, opening=varied(1)[0].opening)]
    ),
    "rules": lambda folder: run_folder(
        folder, replace(identity(sprt=None, pairs=3), adjudication=RULES), adjudicated()
    ),
    "sessions": _in_sessions,
    "part": _part,
    "tablebases": _tables,
    "golden nets": lambda folder: GOLDEN / "nets",
    "golden players": lambda folder: GOLDEN / "players",
}
