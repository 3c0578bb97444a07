"""Pairs, run folders and players by script: real chess of a few plies, played by nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import chess
import numpy as np
import pytest

from arena.config import SearchParams
from arena.evaluator import Choice
from arena.game import GameRecord, GameTask, Opening, PairRecord, Result, Termination
from arena.lane import Throughput
from arena.ledger import Ledger
from arena.match_file import BookIdentity, MatchIdentity, NetIdentity
from arena.stand_ins import UniformEvaluator
from arena.stats.sprt import Sprt
from swa.spec import InputFormat

WHITE_MATES = ["e2e4", "e7e5", "f1c4", "b8c6", "d1h5", "g8f6", "h5f7"]
BLACK_MATES = ["f2f3", "e7e5", "g2g4", "d8h4"]
REPETITION = ["g1f3", "g8f6", "f3g1", "f6g8", "g1f3", "g8f6", "f3g1", "f6g8"]

ENDINGS: dict[Result, tuple[list[str], Termination]] = {
    "1-0": (WHITE_MATES, Termination.CHECKMATE),
    "0-1": (BLACK_MATES, Termination.CHECKMATE),
    "1/2-1/2": (REPETITION, Termination.THREEFOLD),
}

DEFAULT_TEST = Sprt(0, 50)

# Moves at the edge, after which each of the three games can still be played.
OPENINGS = [
    Opening(chess.STARTING_FEN, (white, black), f"edge {white} {black}")
    for white in ("a2a3", "a2a4", "b2b3", "h2h3")
    for black in ("a7a6", "a7a5", "b7b6", "h7h6")
]


def game(candidate_white: bool, candidate_points: float) -> GameRecord:
    """The shortest game with this result for the candidate."""
    white_points = candidate_points if candidate_white else 1.0 - candidate_points
    result: Result = {1.0: "1-0", 0.5: "1/2-1/2", 0.0: "0-1"}[white_points]
    moves, termination = ENDINGS[result]
    return GameRecord(
        candidate_white=candidate_white,
        moves=tuple(moves),
        result=result,
        termination=termination,
        q=tuple(round(0.1 * ply - 0.3, 4) for ply in range(len(moves))),
        d=(0.25,) * len(moves),
        visits=tuple(range(100, 100 + len(moves))),
    )


def pair(number: int, as_white: float, as_black: float, opening: Opening | None = None):
    """A pair by the candidate's points in both games."""
    opening = opening or OPENINGS[number % len(OPENINGS)]
    return PairRecord(number, opening, (game(True, as_white), game(False, as_black)))


def identity(
    pairs: int = 16,
    sprt: Sprt | None = DEFAULT_TEST,
    names: tuple[str, str] = ("raw", "swa"),
    visits: int = 100,
) -> MatchIdentity:
    return MatchIdentity(
        nets=(
            NetIdentity("baseline", names[0], "a" * 64),
            NetIdentity("candidate", names[1], "b" * 64),
        ),
        evaluator="net",
        dtype="float32",
        search=SearchParams(visits=visits),
        sprt=sprt,
        pairs=pairs,
        openings=BookIdentity("book.pgn", "c" * 64, 16, "random"),
        seed=7,
    )


def run_folder(folder: Path, of: MatchIdentity, pairs: Sequence[PairRecord]) -> Path:
    with Ledger.open_or_create(folder, of) as ledger:
        for record in pairs:
            ledger.append(record)
    return folder


def write_book(path: Path) -> Path:
    """The openings as a PGN book."""
    games = []
    for opening in OPENINGS:
        board = chess.Board()
        first, second = (board.san_and_push(chess.Move.from_uci(move)) for move in opening.moves)
        games.append(f'[Event "{opening.name}"]\n\n1. {first} {second} *\n')
    path.write_text("\n".join(games))
    return path


class ScriptedSearch:
    """Stands for ``BatchedSearch``: the candidate scores ``points`` (as white, as black)."""

    points = (1.0, 0.5)
    interrupt_after: int | None = None  # games
    throughput = Throughput(visits=5000, evaluations=4000, batches=100, largest_batch=50)

    def __init__(
        self,
        players: Sequence[object],
        parallel: int,
        lanes: int = 2,
        cache_positions: int = 0,
        judge_of: object = None,
    ):
        self.lanes = 1

    def play(self, tasks: Sequence[Iterator[GameTask]]) -> Iterator[tuple[GameTask, GameRecord]]:
        played = 0
        for lane in tasks:
            for task in lane:
                if played == self.interrupt_after:
                    raise KeyboardInterrupt
                played += 1
                points = self.points[0 if task.candidate_white else 1]
                yield task, game(task.candidate_white, points)


class ScriptedSpec(str):
    input_format = InputFormat.CLASSICAL_112_PLANE
    heads = "policy and value by script"


def scripted_net(path: Path) -> SimpleNamespace:
    """What ``play`` wants to know of a net; its hash is its name's."""
    name = path.name.removesuffix(".pb")
    sha256 = (name.encode().hex() * 64)[:64]
    return SimpleNamespace(
        name=name,
        sha256=sha256,
        path=path,
        spec=ScriptedSpec("2x16"),
        training_steps=9,
        weights={"input": np.array([int(sha256[:8], 16)])},
    )


def scripted_choice(spec: object, *settings: object) -> Choice:
    return Choice("winograd", "cpu", "by script")


class ScriptedEvaluator(UniformEvaluator):
    def __init__(self, net: object, choice: Choice, dtype: str):
        pass


def play_by_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``arena.run.play`` have its nets, and what searches by them, by script."""
    monkeypatch.setattr("arena.run.load_net", scripted_net)
    monkeypatch.setattr("arena.run.choose_evaluator", scripted_choice)
    monkeypatch.setattr("arena.run.make_evaluator", ScriptedEvaluator)
    monkeypatch.setattr("arena.run.BatchedSearch", ScriptedSearch)
