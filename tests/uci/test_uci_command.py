"""``arena uci`` as a process: with python-chess as the GUI, and when things go wrong."""

from __future__ import annotations

import random
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import chess
import chess.engine
import pytest
from tiny_net import tiny_payload

from arena.cli import main
from arena.commands.uci import LONGEST_LINE, lines_of
from arena.game import FORFEITS
from arena.ledger import read_pairs_in_issue_order

PATIENCE = 300
"""Seconds: the first start of all compiles the search."""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "tiny.pb"
    path.write_bytes(tiny_payload())
    return path


@pytest.fixture
def command(net: Path) -> list[str]:
    return [sys.executable, "-m", "arena", "uci", "--net", str(net), "--seed", "1", "-q"]


@pytest.fixture
def engine(command: list[str]) -> Iterator[chess.engine.SimpleEngine]:
    with chess.engine.SimpleEngine.popen_uci(command, timeout=PATIENCE) as engine:
        engine.ping()
        yield engine


def talk(command: list[str], said: str | bytes) -> subprocess.CompletedProcess[bytes]:
    told = said.encode() if isinstance(said, str) else said
    return subprocess.run(command, input=told, capture_output=True, timeout=PATIENCE, check=False)


def test_python_chess_plays_a_game_with_it(engine: chess.engine.SimpleEngine) -> None:
    assert engine.id["name"].endswith(" tiny")
    board, clocks = chess.Board(), [20.0, 20.0]
    for _ in range(16):
        limit = chess.engine.Limit(white_clock=clocks[0], black_clock=clocks[1], nodes=20)
        played = engine.play(board, limit, info=chess.engine.INFO_ALL)
        assert played.move in board.legal_moves
        assert played.info["nodes"] >= 20
        assert played.info["pv"][0] == played.move
        board.push(played.move)


def test_python_chess_analyses_with_it(engine: chess.engine.SimpleEngine) -> None:
    engine.configure({"UCI_ShowWDL": True, "CPuct": "2.5", "FpuStrategy": "absolute"})
    board = chess.Board("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1")
    lines = engine.analyse(board, chess.engine.Limit(nodes=200), multipv=4)
    assert len(lines) == 4
    for line in lines:
        assert line["pv"][0] in board.legal_moves
        assert line["wdl"].turn == chess.WHITE
        assert line["score"].relative.score(mate_score=100_000) is not None
    only = [chess.Move.from_uci("e1g1"), chess.Move.from_uci("a1a8")]
    limit = chess.engine.Limit(nodes=200)
    found = engine.play(board, limit, root_moves=only)
    assert found.move in only
    with engine.analysis(board) as analysis:  # infinite, then stopped
        for info in analysis:
            if info.get("nodes", 0) > 100:
                break
    assert analysis.wait().move in board.legal_moves


def test_a_net_plays_itself_over_uci_as_it_does_in_a_match(net: Path, tmp_path: Path) -> None:
    """With the same visits both games of a pair have the same moves, whoever has white."""
    words = f"-m arena uci -q --net {shlex.quote(str(net))}"
    code = main(
        [
            *("run", "-q", "--no-sprt", "--pairs", "1", "--parallel", "2"),
            *("--net", f"path={net} visits=30 name=net"),
            *("--engine", f"cmd={sys.executable} args={shlex.quote(words)} name=uci nodes=30"),
            *("--out", str(tmp_path / "match")),
        ]
    )
    assert code == 0
    (pair,) = read_pairs_in_issue_order(tmp_path / "match")
    first, second = pair.games
    assert first.moves == second.moves
    assert first.visits == second.visits
    assert first.termination == second.termination
    assert first.termination not in FORFEITS


def test_input_that_ends_lets_a_search_come_to_its_end(command: list[str]) -> None:
    done = talk(command, "position startpos moves e2e4\nisready\ngo nodes 50\n")
    assert done.returncode == 0
    *_, info, best = done.stdout.decode().splitlines()
    assert b"readyok" in done.stdout
    assert " nodes 50 " in info
    assert best.startswith("bestmove ")
    assert done.stderr == b""


@pytest.mark.parametrize("said", ["quit\n", "uci\nquit\n", "", "go infinite\nquit\n", "quit"])
def test_it_leaves_at_any_time(command: list[str], said: str) -> None:
    done = talk(command, said)
    assert done.returncode == 0
    assert done.stdout.count(b"bestmove") == said.count("go")


def test_bytes_that_are_no_text_do_not_hurt(command: list[str]) -> None:
    chance = random.Random(7)
    noise = b"".join(chance.randbytes(chance.randrange(60)) + b"\n" for _ in range(3_000))
    noise = noise.replace(b"quit", b"")
    done = talk(command, noise + b"\xff\xfe\r\n" + b"position startpos\r\nisready\r\ngo nodes 9\n")
    assert done.returncode == 0
    assert done.stdout.count(b"readyok") == 1
    assert done.stdout.splitlines()[-1].startswith(b"bestmove ")
    assert done.stdout.isascii()
    assert done.stderr == b""


def test_a_gui_that_has_gone_is_not_waited_for(command: list[str]) -> None:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as engine:
        assert engine.stdin is not None
        assert engine.stdout is not None
        engine.stdin.write(b"position startpos\ngo infinite\n")
        engine.stdin.flush()
        assert engine.stdout.readline().startswith(b"info ")
        engine.stdout.close()
        # Its input stays open: what it notices is that nobody reads what it says.
        assert engine.wait(PATIENCE) == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--net", "nowhere.pb.gz"], "nowhere.pb.gz"),
        (["--net", __file__], "test_uci_command.py"),
        ([], "--net"),
    ],
)
def test_without_a_net_it_does_not_start(words: list[str], what: str) -> None:
    done = talk([sys.executable, "-m", "arena", "uci", *words], "uci\n")
    assert done.returncode == 2
    assert done.stdout == b""
    assert what in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) <= 3


def test_a_line_without_an_end_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"isready\n" + b"x" * (3 * LONGEST_LINE + 5) + b"\nstop\n\nuci")
    with path.open("rb") as stream:
        first, long, *rest = lines_of(stream)
    assert first.strip() == "isready"
    assert len(long) < 100
    assert [line.strip() for line in rest] == ["stop", "", "uci"]
