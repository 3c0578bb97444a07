"""The book that the arena ships, and the script that makes it."""

from __future__ import annotations

import importlib.util
import random
import re
import shutil
import sys
import zipfile
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import chess
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.game import Opening
from arena.openings import DEFAULT_BOOK, Book, default_book, final_position

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_book.py"
ANNOTATION = re.compile(r'\[Annotator "(?P<engine>.*), (?P<nodes>\d+) nodes"\]')
EVALUATION = re.compile(r"\{ (?P<pawns>[+-]\d+\.\d\d) \}")


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_book", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_book"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


make_book = load_script()


@pytest.fixture(scope="module")
def book() -> Book:
    return default_book()


@pytest.fixture(scope="module")
def openings(book: Book) -> list[Opening]:
    return [book.opening(index) for index in range(len(book))]


@pytest.fixture(scope="module")
def texts(book: Book) -> list[str]:
    return [book.content[start:end].decode() for start, end in book.spans]


def evaluation(text: str) -> int:
    """The stored evaluation of one game, in centipawns for white."""
    match = EVALUATION.search(text)
    assert match is not None, text
    return round(float(match["pawns"]) * 100)


# --- what is shipped ---


def test_many_distinct_positions_of_six_to_ten_plies(openings: list[Opening]) -> None:
    """Parsing also checked that every move is legal and no game over."""
    assert {opening.fen for opening in openings} == {chess.STARTING_FEN}
    assert all(6 <= len(opening.moves) <= 10 for opening in openings)
    positions = {final_position(opening).epd() for opening in openings}
    assert len(positions) == len(openings) >= 5000


def test_every_opening_is_level(texts: list[str]) -> None:
    evaluations = [evaluation(text) for text in texts]
    assert all(abs(cp) <= make_book.BALANCE_CP for cp in evaluations)
    assert len(set(evaluations)) > make_book.BALANCE_CP  # judged one by one
    assert all(ANNOTATION.search(text) for text in texts)


@pytest.mark.parametrize(
    ("plies", "at_least", "largest_share"),
    [(1, 15, 0.25), (2, 150, 0.15), (4, 1500, 0.015)],
)
def test_openings_are_spread(
    openings: list[Opening], plies: int, at_least: int, largest_share: float
) -> None:
    beginnings = Counter(opening.moves[:plies] for opening in openings)
    [(_, most)] = beginnings.most_common(1)
    assert len(beginnings) >= at_least
    assert most / len(openings) <= largest_share


def test_the_main_roads_are_there(openings: list[Opening]) -> None:
    """A spread book must still hold what chess players call openings."""
    lines = Counter(" ".join(opening.moves) for opening in openings)
    for first in ("e2e4 e7e5", "e2e4 c7c5", "e2e4 e7e6", "d2d4 d7d5", "d2d4 g8f6", "c2c4", "g1f3"):
        assert sum(line.startswith(first) for line in lines) >= len(openings) // 200, first


def test_read_in_order_the_book_is_mixed(openings: list[Opening]) -> None:
    """For tools that take openings in file order: any hundred in a row have many beginnings."""
    for start in range(0, len(openings) - 100, 100):
        beginnings = {opening.moves[:2] for opening in openings[start : start + 100]}
        assert len(beginnings) >= 30


def test_the_script_writes_this_file(texts: list[str], tmp_path: Path) -> None:
    """From the same lines and evaluations: format, order and packing."""
    lines = []
    for text in texts:
        board = chess.Board()
        sans = re.sub(r"\{.*|\d+\.+", "", text.rpartition("]")[2]).split()
        lines.append(
            make_book.JudgedLine(tuple(board.push_san(san) for san in sans), evaluation(text))
        )
    annotation = ANNOTATION.search(texts[0])
    assert annotation is not None
    again = tmp_path / DEFAULT_BOOK.name
    make_book.write_book(lines, f"{annotation['engine']}, {annotation['nodes']} nodes", again)
    with zipfile.ZipFile(DEFAULT_BOOK) as shipped, zipfile.ZipFile(again) as made:
        assert made.namelist() == shipped.namelist() == ["book.pgn"]
        assert made.read("book.pgn") == shipped.read("book.pgn")
        assert made.infolist()[0].date_time == shipped.infolist()[0].date_time
    assert DEFAULT_BOOK.stat().st_size < 400_000


@pytest.mark.slow
def test_an_engine_finds_a_sample_level(openings: list[Opening], texts: list[str]) -> None:
    """The engine that made the book must repeat itself; another may see things differently."""
    command = shutil.which("stockfish") or shutil.which("stockfish", path="/usr/games")
    if command is None:
        pytest.skip("needs stockfish: apt-get install stockfish")
    sample = random.Random(1).sample(range(len(openings)), 50)
    with make_book.Engine(command) as engine:
        found = [engine.evaluate(final_position(openings[index])) for index in sample]
    stored = [evaluation(texts[index]) for index in sample]
    if f'"{engine.name}, ' in texts[0]:
        assert found == stored
    else:
        assert max(abs(cp) for cp in found) <= 2 * make_book.BALANCE_CP


# --- how it is made ---

WEIGHTS = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20)


@given(st.integers(1, 500), WEIGHTS, st.floats(0, 1, exclude_max=True))
def test_a_share_is_within_one_of_its_due(quota: int, weights: list[float], offset: float) -> None:
    shares = make_book.share(quota, weights, offset)
    assert sum(shares) == quota
    for got, weight in zip(shares, weights, strict=True):
        assert abs(got - quota * weight / sum(weights)) < 1 + 1e-9


def test_a_quota_of_one_is_drawn_in_proportion() -> None:
    drawn = [make_book.share(1, [5, 3, 2], offset / 1000) for offset in range(1000)]
    assert [sum(column) for column in zip(*drawn, strict=True)] == pytest.approx(
        [500, 300, 200], abs=1
    )


@given(st.integers(1, 30), WEIGHTS, st.floats(0, 1, exclude_max=True))
def test_single_shares_go_as_far_as_they_can(
    quota: int, weights: list[float], offset: float
) -> None:
    shares = make_book.share_singly(quota, weights, offset)
    assert set(shares) <= {0, 1}
    assert sum(shares) == min(quota, len(weights))


def test_transpositions_are_merged() -> None:
    def line(text: str, quota: int) -> Any:
        return make_book.Line(tuple(chess.Move.from_uci(move) for move in text.split()), quota)

    merged = make_book.merge(
        [line("e2e4 e7e5 g1f3", 2), line("g1f3 e7e5 e2e4", 5), line("d2d4 d7d5 g1f3", 1)]
    )
    assert merged == [line("g1f3 e7e5 e2e4", 7), line("d2d4 d7d5 g1f3", 1)]


def test_growing_gives_distinct_level_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an engine that likes moves in the order of their names, 30 cp apart."""
    scores: dict[tuple[chess.Move, ...], int] = {}

    def candidates(board: chess.Board, search: Any) -> list[Any]:
        sign = 1 if board.turn == chess.WHITE else -1
        moves = sorted(board.legal_moves, key=chess.Move.uci)[: search.width]
        found = [make_book.Candidate(move, -sign * 30 * rank) for rank, move in enumerate(moves)]
        scores.update({(*board.move_stack, one.move): one.white_cp for one in found})
        return found

    monkeypatch.setattr(make_book, "PLIES", (make_book.Search(nodes=1, width=6),) * 3)
    lines = make_book.grow(candidates, 40)
    assert 10 <= len(lines) <= 40
    assert len({line.board().epd() for line in lines}) == len(lines)
    assert all(len(line.moves) == 3 for line in lines)
    assert {scores[line.moves] for line in lines} == {0, -30, -60}  # never -90


def test_judging_drops_what_is_not_level() -> None:
    lines = [make_book.Line((chess.Move.from_uci(move),), 1) for move in ("e2e4", "g2g4", "f2f3")]
    scores = {"e2e4": 60, "g2g4": -61, "f2f3": -60}
    kept = make_book.judge(lambda board: scores[board.peek().uci()], lines)
    assert [(line.moves[0].uci(), line.white_cp) for line in kept] == [("e2e4", 60), ("f2f3", -60)]
