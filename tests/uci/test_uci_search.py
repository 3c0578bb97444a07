"""A search by UCI is the search of matches and of ``arena analyze``, whatever was asked before."""

from __future__ import annotations

import random

import chess
import numpy as np
import pytest
from conversation import Gui, number
from scripted_nets import WhiteWins

from arena.analyze import Analysis
from arena.config import SearchParams
from arena.evaluator import Evaluation, Leaves
from arena.game import GameTask, Opening
from arena.kernel.tree import ROOT
from arena.search import BatchedSearch, Player
from arena.stand_ins import HashEvaluator, UniformEvaluator
from arena.uci import game_tree
from arena.uci.game_tree import GameTree
from arena.uci.options import Settings
from arena.uci.standing import standing

POSITIONS = [
    ("startpos", []),
    ("startpos", ["e2e4", "c7c5", "g1f3"]),
    ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", []),
    ("8/P7/8/8/8/7k/p7/7K b - - 0 1", []),
    ("k7/8/8/8/8/8/8/K6R w - - 0 1", ["h1h2", "a8b8", "h2h1", "b8a8", "h1h2", "a8b8", "h2h1"]),
]


def position_line(fen: str, moves: list[str]) -> str:
    where = fen if fen == "startpos" else f"fen {fen}"
    return f"position {where}" + (f" moves {' '.join(moves)}" if moves else "")


@pytest.mark.parametrize("net", [HashEvaluator(1), WhiteWins(0.3, 0.5, has_moves_left=True)])
def test_go_nodes_is_the_search_of_arena_analyze(net: HashEvaluator | WhiteWins) -> None:
    gui = Gui(net)
    gui.send("setoption name VerboseMoveStats value true")
    for fen, moves in POSITIONS:
        said = gui.ask("ucinewgame", position_line(fen, moves), "go nodes 300")
        (expected,) = Analysis(Player("x", net, SearchParams(visits=300)), [(fen, moves)]).search()
        assert said[-1].split()[:2] == ["bestmove", expected.bestmove]
        stats = {
            line.split()[2]: int(line.split(" N: ")[1].split()[0])
            for line in said
            if line.startswith("info string")
        }
        assert stats.pop("node") == 300
        assert stats == {child.move: child.visits for child in expected.children}


@pytest.mark.parametrize("chosen", [{}, {"draw_score": 0.4}, {"reuse_tree": False}])
def test_a_game_by_uci_is_the_game_of_a_match(chosen: dict[str, float]) -> None:
    """Two engines that are told the moves, each with its own tree, play what a match plays."""
    params = SearchParams(visits=30, **chosen)
    nets = HashEvaluator(3), HashEvaluator(4)
    players = [Player(net.name, net, params) for net in nets]
    opening = Opening(chess.STARTING_FEN, ("d2d4", "d7d5"))
    (game,) = BatchedSearch(players, 1, lanes=1).play([iter([GameTask(0, True, opening, 0, 1)])])
    guis = [Gui(net, Settings(search=params)) for net in nets]
    moves = list(opening.moves)
    for ply, move in enumerate(game.record.moves[:60]):
        said = guis[ply % 2].ask(position_line("startpos", moves), "go nodes 30")
        assert said[-1].split()[1] == move, ply
        assert number(said[-2], "nodes") == game.record.visits[ply]
        moves.append(move)


def test_an_analysis_that_goes_on_move_by_move_keeps_its_tree() -> None:
    gui, moves = Gui(), []
    gui.ask("position startpos", "go nodes 400")
    for _ in range(6):
        moves.append(gui.said[-1].split()[1])
        said = gui.ask(position_line("startpos", moves), "go nodes 400")
        first = next(line for line in said if line.startswith("info depth"))
        assert number(first, "nodes") > 1
        assert number(said[-2], "nodes") == 400
    # The same position again: nothing is left to do.
    assert number(gui.ask("go nodes 400")[-2], "nodes") == 400
    # Another game: nothing is known.
    said = gui.ask("ucinewgame", "go nodes 1")
    assert number(said[-2], "nodes") == 1


def test_what_was_asked_before_does_not_matter_without_reuse() -> None:
    """After any other questions a position that is no later one of the same game is new."""
    fresh = [Gui().best(position_line(*position), "go nodes 60") for position in POSITIONS]
    gui, chance = Gui(), random.Random(5)
    for _ in range(40):
        chosen = chance.randrange(len(POSITIONS))
        gui.ask(position_line(*POSITIONS[chosen]), "go nodes 7 searchmoves h1g2 e2e4 a8b8")
        gui.send("ucinewgame")
        assert gui.best("go nodes 60") == fresh[chosen]


def test_a_tree_that_grows_is_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    line = position_line(*POSITIONS[2])
    roomy = Gui()
    expected = roomy.ask("setoption name VerboseMoveStats value true", line, "go nodes 3000")
    monkeypatch.setattr(game_tree, "FIRST_ROOM", 20)
    tight = Gui()
    said = tight.ask("setoption name VerboseMoveStats value true", line, "go nodes 3000")
    stats = [line for line in expected if line.startswith("info string")]
    assert [line for line in said if line.startswith("info string")] == stats


@pytest.mark.parametrize("moves", ["a2a3", "a2a3 h2h4", "a2a3 e7e5 nonsense"])
def test_searchmoves_are_the_only_ones_searched(moves: str) -> None:
    gui = Gui()
    gui.send("setoption name MultiPV value 500")
    said = gui.ask("position startpos", f"go nodes 200 searchmoves {moves}")
    legal = {move for move in moves.split() if move in ("a2a3", "h2h4")}
    starts = {line.split(" pv ")[1].split()[0] for line in said if " pv " in line}
    assert starts == legal
    # And the next search, of all moves, is not touched by it.
    assert gui.best("go nodes 200") == Gui().best("position startpos", "go nodes 200")


def test_searchmoves_that_are_all_illegal_are_no_limit() -> None:
    best = Gui().best("position startpos", "go nodes 50")
    assert Gui().best("position startpos", "go nodes 50 searchmoves e7e5 x") == best


def test_lines_are_legal_and_in_order() -> None:
    gui = Gui(WhiteWins(0.3, 0.5, has_moves_left=True))
    gui.send(
        "setoption name MultiPV value 500",
        "setoption name UCI_ShowWDL value true",
        "setoption name UCI_ShowMovesLeft value true",
    )
    for fen, moves in POSITIONS:
        board = chess.Board() if fen == "startpos" else chess.Board(fen)
        for move in moves:
            board.push_uci(move)
        said = gui.ask(position_line(fen, moves), "go nodes 500")
        last = [line for line in said if line.startswith("info") and "nodes 500 " in line]
        assert [number(line, "multipv") for line in last] == list(range(1, len(last) + 1))
        assert len(last) == board.legal_moves.count()
        for line in last:
            words = line.split()
            wdl = list(map(int, words[words.index("wdl") + 1 :][:3]))
            assert sum(wdl) == 1000
            assert min(wdl) >= 0
            assert number(line, "movesleft") >= 0
            assert number(line, "seldepth") >= number(line, "depth") >= 1
            replay = board.copy()
            for move in line.split(" pv ")[1].split():
                replay.push(replay.parse_uci(move))
        best, ponder = said[-1].split()[1], last[0].split(" pv ")[1].split()[1:2]
        assert last[0].split(" pv ")[1].split()[0] == best
        assert said[-1].split()[2:] == ["ponder", *ponder] * bool(ponder)


@pytest.mark.parametrize(
    ("fen", "score", "best"),
    [
        ("6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1", "score mate 1 ", "d1d8"),
        ("7k/8/8/8/8/8/R7/KR6 w - - 0 1", "score mate 2 ", None),
        ("k7/8/8/8/8/8/8/7K w - - 0 1", "score cp 0 ", None),
    ],
)
def test_mates_are_told_as_mates(fen: str, score: str, best: str | None) -> None:
    said = Gui(UniformEvaluator()).ask(f"position fen {fen}", "go nodes 3000")
    assert score in said[-2]
    assert best is None or said[-1].split()[1] == best


@pytest.mark.parametrize(
    "fen", ["7k/8/8/8/8/8/6q1/5q1K w - - 0 1", "7k/8/8/8/8/8/5q2/7K w - - 0 1"]
)
def test_where_the_game_is_over_there_is_no_move(fen: str) -> None:
    assert Gui().ask(f"position fen {fen}", "go nodes 10") == ["bestmove (none)"]


def test_go_mate_stops_at_the_mate() -> None:
    gui = Gui(UniformEvaluator())
    said = gui.ask("position fen 7k/8/8/8/8/8/R7/KR6 w - - 0 1", "go mate 2")
    assert " score mate 2 " in said[-2]


def test_being_mated_is_told_as_a_negative_mate() -> None:
    gui = Gui(UniformEvaluator())
    said = gui.ask("position fen 7K/8/5k2/8/8/8/8/6r1 w - - 0 1 moves h8h7 g1g2", "go nodes 3000")
    assert said[-1].split()[1] == "h7h8"
    assert " score mate -2 " in said[-2]


def test_go_depth_stops_at_the_depth() -> None:
    said = Gui().ask("position startpos", "go depth 3")
    assert number(said[-2], "depth") == 3


def test_the_limit_of_visits_ends_what_has_none_of_its_own() -> None:
    gui = Gui()
    gui.send("setoption name Visits value 25", "position startpos")
    assert number(gui.ask("go")[-2], "nodes") == 25
    assert number(gui.ask("go nodes 40")[-2], "nodes") == 40
    assert number(gui.ask("ucinewgame", "go wtime 3600000 btime 3600000")[-2], "nodes") == 25


def test_an_only_move_is_played_at_once_on_a_clock() -> None:
    gui = Gui()
    hour = "go wtime 3600000 btime 3600000"
    said = gui.ask("position fen 7k/8/8/8/8/8/4q3/7K w - - 0 1", hour)
    assert number(said[-2], "nodes") == 1
    assert said[-1].split()[1] == "h1g1"


def test_what_is_left_to_chance_is_the_seeds() -> None:
    def game(seed: int) -> list[str]:
        gui = Gui(settings=Settings(search=SearchParams(temperature=1.0)), seed=seed)
        moves: list[str] = []
        for _ in range(12):
            moves.append(gui.best(position_line("startpos", moves), "go nodes 20"))
        return moves

    assert game(1) == game(1)
    assert len({tuple(game(seed)) for seed in range(5)}) == 5


def test_moves_of_the_second_game_by_chance_are_others() -> None:
    gui = Gui(settings=Settings(search=SearchParams(temperature=1.0)))
    games = []
    for _ in range(6):
        gui.send("ucinewgame")
        games.append(gui.best("position startpos", "go nodes 40"))
    assert len(set(games)) > 1


def test_settings_hold_from_the_next_search_on() -> None:
    gui = Gui()
    params = SearchParams(visits=200, cpuct=0.3, policy_temperature=3.0)
    gui.ask("position startpos", "go nodes 200")
    gui.send("setoption name CPuct value 0.3", "setoption name PolicyTemperature value 3")
    (expected,) = Analysis(Player("x", HashEvaluator(1), params), [("startpos", [])]).search()
    gui.send("setoption name VerboseMoveStats value true")
    said = gui.ask("go nodes 200")
    stats = {line.split()[2]: int(line.split(" N: ")[1].split()[0]) for line in said[-22:-2]}
    assert stats == {child.move: child.visits for child in expected.children}


def test_smart_pruning_ends_a_search_of_nodes_and_no_endless_one() -> None:
    gui = Gui(settings=Settings(search=SearchParams(smart_pruning_factor=1.33)))
    mate = "position fen 6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1"
    assert number(gui.ask(mate, "go nodes 100000")[-2], "nodes") < 1000
    gui.send("ucinewgame", "setoption name SmartPruningFactor value 10", "position startpos")
    before = len(gui.said)
    gui.send("go infinite")
    gui.wait_for("info depth", before)
    assert gui.count("bestmove") == 1
    gui.send("stop")
    assert gui.count("bestmove") == 2


def test_the_value_only_mode_looks_one_ply_ahead() -> None:
    params = SearchParams(mode="value")
    gui = Gui(settings=Settings(search=params))
    moves: list[str] = []
    for _ in range(10):
        (expected,) = Analysis(
            Player("x", HashEvaluator(1), params), [("startpos", moves)]
        ).search()
        said = gui.ask(position_line("startpos", moves), "go nodes 1")
        assert said[-1] == f"bestmove {expected.bestmove}"
        moves.append(expected.bestmove)


class Broken:
    """Says what is no number from its ``after``-th evaluation on."""

    name, has_moves_left = "broken", False

    def __init__(self, after: int):
        self.left = after

    def evaluate(self, leaves: Leaves) -> Evaluation:
        answers = HashEvaluator(1).evaluate(leaves)
        self.left -= 1
        return answers if self.left >= 0 else answers._replace(wdl=answers.wdl * np.float32("nan"))


@pytest.mark.parametrize("after", [0, 1, 17])
def test_a_net_that_breaks_costs_a_legal_move_and_a_word_of_it(after: int) -> None:
    net = Broken(after)
    gui = Gui(net)
    said = gui.ask("position startpos", "go nodes 100")
    assert (
        said[-2]
        == "info string error: EvaluationError: the net's evaluation is not a finite number"
    )
    assert chess.Board().parse_uci(said[-1].split()[1])
    net.left = 10**9
    assert gui.best("go nodes 60") == Gui().best("position startpos", "go nodes 60")


def test_a_tree_of_its_own_for_each_game() -> None:
    tree = GameTree(HashEvaluator(1), 0)
    start = standing("startpos", ())
    tree.go_to(start, (), SearchParams())
    while tree.visits < 50:
        tree.step(HashEvaluator(1), 50, prune=True)
    assert tree.children[ROOT].children > 1
    move = tree.choose()
    tree.go_to(standing("startpos", (move,), start), (), SearchParams())
    kept = tree.visits
    assert 0 < kept < 50
    tree.new_game()
    tree.go_to(start, (), SearchParams())
    assert tree.visits == 0
