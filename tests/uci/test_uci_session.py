"""The conversation stays in step: one best move for each go, one readyok for each isready."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future

import chess
import pytest
from conversation import Gui, number

from arena.evaluator import Evaluation, Leaves
from arena.stand_ins import HashEvaluator
from arena.uci.options import uci_options
from arena.uci.search import Searcher


def test_it_introduces_itself() -> None:
    gui = Gui()
    gui.send("uci")
    assert gui.said[0].startswith("id name ")
    assert gui.said[1].startswith("id author ")
    assert gui.said[-1] == "uciok"
    assert len(gui.said) == 3 + len(list(uci_options()))


def test_isready_is_answered_at_once_while_it_searches() -> None:
    gui = Gui()
    gui.send("isready", "position startpos", "go infinite", "isready", "isready")
    assert gui.count("readyok") == 3
    assert gui.count("bestmove") == 0
    gui.send("stop")
    assert gui.count("bestmove") == 1


def test_an_endless_search_waits_with_its_move_though_it_has_nothing_left_to_do() -> None:
    gui = Gui()
    gui.send("position fen 7k/8/8/8/8/8/4q3/7K w - - 0 1", "go infinite nodes 1")
    gui.wait_for("info")
    time.sleep(0.2)
    assert gui.count("bestmove") == 0
    gui.send("stop", "stop")
    assert gui.count("bestmove") == 1


def test_a_ponderhit_starts_the_clock() -> None:
    gui = Gui()
    gui.send("position startpos moves e2e4 e7e5", "go ponder wtime 300 btime 300")
    gui.wait_for("info")
    time.sleep(0.4)
    assert gui.count("bestmove") == 0
    gui.send("ponderhit", "ponderhit")
    gui.wait_for("bestmove")
    gui.send("ponderhit", "stop")
    assert gui.count("bestmove") == 1


def test_a_ponderhit_ends_a_search_that_has_its_nodes() -> None:
    gui = Gui()
    gui.send("position startpos", "go ponder nodes 3")
    gui.wait_for("info")
    gui.send("ponderhit")
    gui.wait_for("bestmove")
    gui.send("go infinite", "ponderhit")  # which was not pondering
    time.sleep(0.1)
    assert gui.count("bestmove") == 1
    gui.send("stop")


def test_a_second_go_ends_the_first_search() -> None:
    gui = Gui()
    gui.session.run(["go infinite", "go infinite", "go nodes 5"])
    assert gui.count("bestmove") == 3


def test_what_comes_during_a_search_is_for_the_next_one() -> None:
    gui = Gui()
    gui.send("position startpos", "go infinite")
    gui.send("position startpos moves e2e4", "setoption name MultiPV value 2", "nonsense")
    gui.send("stop")
    assert chess.Board().parse_uci(gui.said[-1].split()[1])
    assert not any("multipv" in line for line in gui.said)
    said = gui.ask("go nodes 30")
    board = chess.Board()
    board.push_uci("e2e4")
    assert board.parse_uci(said[-1].split()[1])
    assert number(said[-2], "multipv") == 2


def test_after_a_position_that_is_none_there_is_no_move() -> None:
    gui = Gui()
    gui.send("position startpos moves e2e4", "position startpos moves e2e5")
    assert gui.said[-1].startswith("info string error: position: illegal move e2e5")
    assert gui.best("go nodes 5") == "(none)"
    assert gui.best("position startpos moves e2e4", "go nodes 5") != "(none)"


@pytest.mark.parametrize(
    "line",
    [
        "joho",
        "setoption",
        "setoption name Hash value 16",
        "position",
        "position fen",
        "go nodes x movetime y nodes 1",
        "Go",
        "\x00\x01\u2028",
        "x" * 100_000,
    ],
)
def test_nonsense_is_told_in_one_line_of_ascii(line: str) -> None:
    gui = Gui()
    gui.send(line)
    gui.session.run([])
    first = gui.said[0]
    assert first.startswith("info string error: ")
    assert first.isascii()
    assert first.isprintable()
    assert len(first) < 300


def test_words_that_mean_nothing_to_an_engine_are_taken() -> None:
    gui = Gui()
    gui.send("", "   ", "debug on", "register later", "ponderhit", "stop")
    assert gui.said == []


def test_quit_ends_a_search_with_its_move() -> None:
    gui = Gui()
    gui.session.run(["position startpos", "go infinite", "quit", "isready"])
    assert gui.count("bestmove") == 1
    assert gui.count("readyok") == 0


@pytest.mark.parametrize(("go", "nodes"), [("go nodes 5000", 5000), ("go infinite", None)])
def test_at_the_end_of_the_input_a_search_that_ends_is_let_to_its_end(
    go: str, nodes: int | None
) -> None:
    gui = Gui()
    gui.session.run(["position startpos", go])
    assert gui.count("bestmove") == 1
    assert nodes is None or number(gui.said[-2], "nodes") == nodes


def test_at_the_end_of_the_input_isready_is_answered() -> None:
    made: Future[Searcher] = Future()
    gui = Gui(searcher=made)
    threading.Timer(0.1, made.set_result, (Searcher(HashEvaluator(1), 0),)).start()
    gui.session.run(["isready"])
    assert gui.said == ["readyok"]


def test_a_searcher_in_the_making_is_waited_for() -> None:
    made: Future[Searcher] = Future()
    gui = Gui(searcher=made)
    gui.send("uci", "isready", "position startpos", "go nodes 10")
    assert gui.said[-1] == "uciok"
    made.set_result(Searcher(HashEvaluator(1), 0))
    gui.wait_for("bestmove")
    assert number(gui.said[-2], "nodes") == 10
    assert gui.count("readyok") == 1


def test_a_search_that_is_stopped_before_it_could_begin_has_a_legal_move() -> None:
    gui = Gui(searcher=Future())
    gui.send("position startpos", "go infinite", "stop")
    assert chess.Board().parse_uci(gui.said[-1].split()[1])


def test_a_searcher_that_cannot_be_made_is_told_of() -> None:
    made: Future[Searcher] = Future()
    made.set_exception(MemoryError("not enough"))
    gui = Gui(searcher=made)
    said = gui.ask("isready", "position startpos", "go nodes 10")
    assert said[0] == "readyok"
    assert said[1] == "info string error: MemoryError: not enough"
    assert chess.Board().parse_uci(said[-1].split()[1])


class Slow:
    """A net that takes its time."""

    name, has_moves_left = "slow", False

    def __init__(self, seconds: float):
        self.seconds = seconds

    def evaluate(self, leaves: Leaves) -> Evaluation:
        time.sleep(self.seconds)
        return HashEvaluator(1).evaluate(leaves)


def test_a_clock_ends_a_search() -> None:
    """Not before its time, and with no more nodes than fit into it."""
    gui = Gui(Slow(0.01))
    gui.send("setoption name MoveOverheadMs value 0", "setoption name NNCacheSize value 0")
    gui.send("position startpos")
    for go, seconds in (
        ("go movetime 500", 0.5),
        ("go wtime 3000 btime 1", 0.1),
        ("go wtime 1000 btime 1 movestogo 2", 0.5),
        ("go wtime 3000 btime 1 winc 200", 0.3),
    ):
        began = time.perf_counter()
        said = gui.ask("ucinewgame", go)
        assert time.perf_counter() - began >= seconds
        assert 1 <= number(said[-2], "nodes") <= seconds / 0.01 + 1


@pytest.mark.parametrize("factor", ["0", "1.33"])
def test_a_clock_ends_a_search_in_which_all_is_proven(factor: str) -> None:
    gui = Gui()
    gui.send(f"setoption name SmartPruningFactor value {factor}")
    said = gui.ask("position fen 6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1", "go movetime 10")
    assert said[-1].startswith("bestmove d1d8")
    assert number(said[-2], "nodes") < 500_000


@pytest.mark.parametrize(
    "clock", ["wtime 0", "wtime -5", "movetime 0", "movetime -1", "wtime 1 winc -9"]
)
def test_without_any_time_there_is_one_visit(clock: str) -> None:
    said = Gui(Slow(0.001)).ask("position startpos", f"go {clock}")
    assert number(said[-2], "nodes") == 1


# --- fuzzing ---

GAMES = [
    "startpos",
    "startpos moves e2e4",
    "startpos moves e2e4 e7e5 g1f3",
    "startpos moves d2d4 d7d5 c2c4",
    "fen r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "fen 8/P7/8/8/8/7k/p7/7K b - - 0 1 moves a2a1n a7a8q",
    "fen 8/P7/8/8/8/7k/p7/7K b - - 0 1 moves a2a1q",  # mate
    "fen 4k3/8/4K3/4P3/8/8/8/8 w - - 99 150",
]
VOCABULARY = """
uci isready ucinewgame setoption name value position startpos fen moves go searchmoves ponder
wtime btime winc binc movestogo depth nodes mate movetime infinite stop ponderhit debug on off
register later MultiPV CPuct Temperature Visits UCI_ShowWDL VerboseMoveStats FpuStrategy true
false absolute 0 1 2 7 -1 0.5 nan 99999999999999999999 e2e4 e7e5 a7a8q 0000 e1g1 w b KQkq -
8/8/8/8/8/8/8/8 rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR
"""
WORDS = (*VOCABULARY.split(), "\x00", "\ufeff", "\u0663", "'", '"', ";", "\\", "%s", "\t")


class Babble:
    """Lines that a GUI would send, such lines spoiled, and none at all; the seed decides."""

    def __init__(self, seed: int):
        self._chance = random.Random(seed)

    def line(self) -> str:
        chance = self._chance
        match chance.randrange(12):
            case 0 | 1:
                return f"position {chance.choice(GAMES)}"
            case 2 | 3:
                nodes = chance.choice((1, 2, 3, 5, 40))
                return f"go nodes {nodes}" + chance.choice(("", " searchmoves e2e4", " infinite"))
            case 4:
                return chance.choice(("stop", "isready", "ponderhit", "ucinewgame", "uci"))
            case 5:
                option = chance.choice(list(uci_options()))
                value = chance.choice((*option.choices, "true", "0", "1", "2", "0.4", "x", "-3"))
                return f"setoption name {option.name} value {value}"
            case 6:
                limits = ("movetime 1", "wtime 3 btime 3", "depth 1", "infinite", "ponder nodes 2")
                return f"go {chance.choice(limits)}"
            case 7:
                return self._spoilt(f"position {chance.choice(GAMES)}")
            case 8:
                return self._spoilt(f"go nodes {chance.randrange(10)} movetime 1")
            case 9:
                return "".join(map(chr, chance.choices(range(256), k=chance.randrange(40))))
            case _:
                return " ".join(chance.choices(WORDS, k=chance.randrange(1, 9)))

    def _spoilt(self, line: str) -> str:
        place = self._chance.randrange(len(line))
        with_what = self._chance.choice(WORDS)
        return line[:place] + with_what + line[place + self._chance.randrange(4) :]


def fuzz(lines: int, seed: int) -> None:
    """Send lines; count that nothing is answered twice or not at all."""
    babble, gui = Babble(seed), Gui()
    known: chess.Board | None = None
    expected: list[chess.Board | None] = []  # of each go, where it is known
    ready = 0
    for sent in range(lines):
        line = babble.line()
        words = line.split()
        if words[:1] == ["quit"]:
            continue
        if words[:1] == ["position"]:
            known = board_of(line)
        if words[:1] == ["go"]:
            expected.append(known)
        ready += words[:1] == ["isready"]
        gui.send(line)
        if sent % 500 == 499:
            gui.send("stop", "isready")
            ready += 1
            check(gui, expected, ready)
            gui.said.clear()
            expected.clear()
            ready = 0
    gui.send("stop")
    check(gui, expected, ready)


def board_of(line: str) -> chess.Board | None:
    """The position of a line that is one of ``GAMES``; None for any other."""
    game = line.removeprefix("position ")
    if game not in GAMES:
        return None
    where, _, moves = game.partition(" moves ")
    board = chess.Board() if where == "startpos" else chess.Board(where.removeprefix("fen "))
    for move in moves.split():
        board.push_uci(move)
    return board


def check(gui: Gui, expected: list[chess.Board | None], ready: int) -> None:
    moves = [line.split()[1] for line in gui.said if line.startswith("bestmove")]
    assert gui.count("readyok") == ready
    assert len(moves) == len(expected)
    for move, board in zip(moves, expected, strict=True):
        if board is not None:
            assert move in ([legal.uci() for legal in board.legal_moves] or ["(none)"])
    for line in gui.said:
        assert line.isascii()
        assert "\n" not in line
        assert "internal" not in line
        assert "nan" not in line.split("error")[0]


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_never_brings_it_out_of_step(seed: int) -> None:
    fuzz(2_000, seed)


@pytest.mark.slow
def test_a_million_lines_of_nonsense() -> None:
    fuzz(1_000_000, 2026)
