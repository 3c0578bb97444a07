"""Searches by tablebases: what they look up, what they make of it, and what comes of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import chess
import chess.syzygy
import numpy as np
import pytest
from endgames import best_move, folder_of, random_board, random_win

from arena.analyze import Analysis, SearchResult
from arena.cli import main
from arena.config import SearchParams
from arena.evaluator import Evaluation, Leaves
from arena.external import Answer, FoundMove, GameState
from arena.game import GameRecord, GameTask, Opening, Termination
from arena.match_file import read_identity
from arena.referee import check_game
from arena.search import BatchedSearch
from arena.search_settings import Player, Visitor
from arena.stand_ins import HashEvaluator, UniformEvaluator
from arena.tablebase import Tablebase
from swa import planes

VISITS = 100


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "syzygy"


@pytest.fixture(scope="module")
def tables(folder: Path) -> Iterator[Tablebase]:
    with Tablebase([folder]) as opened:
        yield opened


@pytest.fixture(scope="module")
def syzygy(folder: Path) -> Iterator[chess.syzygy.Tablebase]:
    with chess.syzygy.open_tablebase(str(folder)) as opened:
        yield opened


class Curious(HashEvaluator):
    """Notes men, rule50 and castling of every position that it is asked for."""

    def __init__(self) -> None:
        super().__init__(5)
        self.seen: set[tuple[int, int, bool]] = set()

    def evaluate(self, leaves: Leaves) -> Evaluation:
        for masks, values in zip(leaves.masks, leaves.values, strict=True):
            men = sum(int(mask).bit_count() for mask in masks[:12])
            castling = bool((masks[104:108] != 0).any())
            self.seen.add((men, int(values[planes.RULE50]), castling))
        return super().evaluate(leaves)


def searched(
    fen: str, tables: Tablebase | None, evaluator: HashEvaluator | None = None, **more: object
) -> SearchResult:
    params = SearchParams(visits=600, **more)  # type: ignore[arg-type]
    player = Player("net", evaluator or HashEvaluator(5), params, tables=tables)
    return Analysis(player, [(fen, [])]).search()[0]


FIVE_MEN = "8/8/3k4/8/3pR3/8/3K4/5r2 w - - 4 30"
"""A rook may take a pawn, or give itself up: captures into four men."""


def test_a_leaf_that_the_tables_know_is_not_the_nets(tables: Tablebase) -> None:
    curious = Curious()
    without = Curious()
    searched(FIVE_MEN, tables, curious)
    searched(FIVE_MEN, None, without)
    fresh = {(men, rule50) for men, rule50, castling in without.seen if not castling}
    assert any(men <= 4 and rule50 == 0 for men, rule50 in fresh), "nothing to look up"
    assert all(men == 5 or rule50 > 0 for men, rule50, _ in curious.seen)


def test_a_capture_is_worth_what_the_tables_say(tables: Tablebase) -> None:
    board = chess.Board(FIVE_MEN)
    values = {}
    for child in searched(FIVE_MEN, tables).children:
        board.push_uci(child.move)
        wdl = tables.wdl(board)
        if board.halfmove_clock == 0 and wdl is not None and child.visits:
            values[child.move] = child.q
            assert child.q == -np.sign(wdl)
            assert child.d == (wdl == 0)
        board.pop()
    assert values


def test_at_the_root_only_moves_that_keep_the_result_are_searched(tables: Tablebase) -> None:
    chance = random.Random(2)
    for pieces in ("KQvKR", "KRvKP", "KPvKP", "KRvKB"):
        board = random_board(pieces, chance)
        found = tables.root_moves(board)
        assert found is not None
        result = searched(board.fen(), tables)
        assert {child.move for child in result.children} == {move.uci() for move in found.moves}
        assert result.visits == 600
        priors = {child.move: child.prior for child in searched(board.fen(), None).children}
        for child in result.children:
            assert child.prior == priors[child.move]  # as lc0, which does not share out the rest


def test_with_dtz_at_the_root_no_leaf_is_looked_up(tables: Tablebase) -> None:
    """As lc0: or else the net had no say in how a won game is won."""
    curious = Curious()
    searched("8/8/8/8/4k3/8/1r6/K5Q1 w - - 0 1", tables, curious)
    assert any(rule50 == 0 and men < 4 for men, rule50, _ in curious.seen)


def test_with_wdl_at_the_root_leaves_are_looked_up(folder: Path, tmp_path: Path) -> None:
    names = ["KQvKR.rtbw", "KQvK.rtbw", "KRvK.rtbw"]
    folder_of(names, folder, tmp_path)
    curious = Curious()
    fen = "8/8/8/8/4k3/8/1r6/K5Q1 w - - 2 1"
    with Tablebase([tmp_path]) as some:
        result = searched(fen, some, curious)
        found = some.root_moves(chess.Board(fen))
        assert found is not None
        assert {child.move for child in result.children} == {move.uci() for move in found.moves}
    assert all(men == 4 or rule50 > 0 for men, rule50, _ in curious.seen)


@pytest.mark.parametrize("mode", ["search", "value"])
def test_where_no_table_fits_the_search_is_that_without(
    folder: Path, tmp_path: Path, mode: str
) -> None:
    folder_of(["KNvKN.rtbw", "KQvK.rtbw"], folder, tmp_path)
    with Tablebase([tmp_path]) as others:
        for fen in (FIVE_MEN, "8/8/8/8/4k3/8/1r6/K5R1 w - - 0 1"):
            assert searched(fen, others, mode=mode) == searched(fen, None, mode=mode)


def test_tables_of_which_no_position_comes_up_change_nothing(tables: Tablebase) -> None:
    fen = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"
    assert searched(fen, tables) == searched(fen, None)


@pytest.mark.parametrize("sticky", [True, False])
def test_a_forced_capture_into_a_won_ending_is_proven(tables: Tablebase, sticky: bool) -> None:
    """White takes the last pawn of two rooks against nothing: every line is known."""
    fen = "8/8/8/3k4/8/2p5/1R6/K1R5 b - - 0 1"
    result = searched(fen, tables, sticky_endgames=sticky)
    taking = next(child for child in result.children if child.move == "c3b2")
    wdl = tables.wdl(chess.Board("8/8/8/3k4/8/8/1p6/K1R5 w - - 0 1"))
    assert wdl is not None
    assert taking.q == -np.sign(wdl)


# --- games ---


def played(
    players: list[Player | Visitor],
    openings: list[str],
    parallel: int = 8,
    lanes: int = 1,
    most_plies: int = 0,
) -> list[GameRecord]:
    """Games of player 0, who moves first in each opening, against player 1."""
    tasks = []
    for number, fen in enumerate(openings):
        first = chess.Board(fen).turn
        colours = (0, 1) if first == chess.WHITE else (1, 0)
        tasks.append(GameTask(number, True, Opening(fen), *colours, most_plies=most_plies))
    search = BatchedSearch(players, parallel, lanes)
    finished = list(search.play([iter(tasks[lane::lanes]) for lane in range(lanes)]))
    for game in finished:
        check_game(game.task.opening, game.record)
    return [game.record for game in sorted(finished, key=lambda game: game.task.pair)]


@pytest.mark.parametrize("mode", ["search", "value"])
def test_games_by_tables_do_not_depend_on_what_is_in_flight(
    tables: Tablebase, mode: Literal["search", "value"]
) -> None:
    chance = random.Random(4)
    starts = [
        random_board(pieces, chance).fen()
        for pieces in ("KRPvKR", "KQPvKQ", "KBPvKN", "KPPvKP", "KRBvKR", "KRvKN")
    ]
    nets: list[Player | Visitor] = [
        Player("a", HashEvaluator(1), SearchParams(visits=12, mode=mode), tables=tables),
        Player("b", HashEvaluator(2), SearchParams(visits=12)),
    ]
    alone = played(nets, starts, parallel=1, most_plies=40)
    assert played(nets, starts, parallel=6, most_plies=40) == alone
    assert played(nets, starts, parallel=4, lanes=2, most_plies=40) == alone


class Stubborn:
    """Defends as long as Syzygy's tables say that it can be done."""

    def __init__(self, tables: chess.syzygy.Tablebase):
        self._tables = tables

    def find_move(self, state: GameState, answer: Callable[[Answer], None]) -> None:
        board = chess.Board(state.task.opening.fen)
        for move in state.moves:
            board.push_uci(move)
        chosen = best_move(board, self._tables).uci()
        threading.Thread(target=lambda: answer(FoundMove(chosen, 0.0, 0.0, 1))).start()

    def game_over(self, game: int) -> None:
        pass


@pytest.mark.parametrize("pieces", ["KQvK", "KRvK", "KBNvK"])
@pytest.mark.parametrize("count", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_won_ending_is_mated_within_fifty_moves(
    tables: Tablebase, syzygy: chess.syzygy.Tablebase, pieces: str, count: int
) -> None:
    """A player that knows nothing but the tables, against the best defence."""
    chance = random.Random(9)
    wins = [random_win(pieces, chance, syzygy).fen() for _ in range(count)]
    player = Player("uniform", UniformEvaluator(), SearchParams(visits=VISITS), tables=tables)
    games = played([player, Visitor("stubborn", Stubborn(syzygy))], wins)
    for fen, game in zip(wins, games, strict=True):
        assert game.termination is Termination.CHECKMATE, fen
        assert len(game.moves) <= 99
        assert len(game.moves) % 2 == 1


def test_fast_play_takes_no_longer_than_the_tables_say(
    tables: Tablebase, syzygy: chess.syzygy.Tablebase
) -> None:
    chance = random.Random(10)
    wins = [random_win("KRvK", chance, syzygy) for _ in range(3)]
    fast = Player(
        "fast", UniformEvaluator(), SearchParams(visits=10), tables=tables, tb_fast_play=True
    )
    fens = [board.fen() for board in wins]
    games = played([fast, Visitor("stubborn", Stubborn(syzygy))], fens)
    for board, game in zip(wins, games, strict=True):
        assert len(game.moves) in (syzygy.probe_dtz(board), syzygy.probe_dtz(board) + 1)


def test_what_was_found_is_counted(tables: Tablebase) -> None:
    player = Player("net", HashEvaluator(1), SearchParams(visits=20), tables=tables)
    search = BatchedSearch([player, player], 1, 1)
    task = GameTask(0, True, Opening("8/8/8/3k4/8/8/8/KQ6 w - - 0 1"), 0, 1)
    (game,) = search.play([iter([task])])
    assert search.throughput.tb_hits == len(game.record.moves)  # each move's root
    assert game.record.termination is Termination.CHECKMATE


def test_a_match_goes_on_only_with_the_tables_that_it_began_with(
    shared: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(12)
    book = tmp_path / "book.epd"
    book.write_text("".join(random_board("KQvKR", chance).epd() + "\n" for _ in range(4)))
    nets = [str(shared / "nets" / f"{name}.pb.gz") for name in ("tinygyal-8", "meangirl-8")]
    run = tmp_path / "run"
    words = ["run", "--nets", *nets, "--openings", str(book), "--no-sprt", "--pairs", "2", "-q"]
    words += ["--visits", "2", "--device", "cpu", "--parallel", "4", "--out", str(run)]
    tables = ["--tb", str(folder)]
    assert main([*words, *tables]) == 0
    identity = read_identity(run)
    assert identity.tables is not None
    assert (identity.tables.pieces, identity.tables.search) == (4, True)
    assert "| tablebases | Syzygy, up to 4 pieces, 70 files" in (run / "report.md").read_text()
    assert main([*words, *tables]) == 0
    for others, what in (
        ([], "tb.pieces: 4 -> none"),
        ([*tables, "--tb-pieces", "3"], "tb.pieces: 4 -> 3"),
        ([*tables, "--no-tb-search"], "tb.search: True -> False"),
    ):
        capsys.readouterr()
        assert main([*words, *others]) == 2
        assert what in capsys.readouterr().err
