"""``arena import-pgn`` as scripts and people call it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chess
import chess.pgn
import pytest
from python_chess_records import expected_records
from scripted_match import pair
from test_training_records import assert_equal

import arena.pgn_import
from arena.cli import main
from arena.game import Opening
from arena.pgn_game import Filters
from arena.pgn_import import import_games
from arena.report.pgn import MatchTags, write_pgn
from swa.batches import read_batches
from swa.chunks import ReadCounts, read_records

REPOSITORY = Path(__file__).parent.parent.parent

WON = (
    '[Event "a"]\n[WhiteElo "2400"]\n[Result "1-0"]\n\n1. e4 e5 2. Bc4 Nc6 3. Qh5 Nf6 4. Qxf7#\n\n'
)
DRAWN = '[Event "b"]\n[Result "1/2-1/2"]\n\n1. Nf3 Nf6 2. Ng1 Ng8 3. Nf3 Nf6 1/2-1/2\n\n'
ILLEGAL = '[Event "c"]\n[Result "1-0"]\n\n1. e4 e5 2. Ke3 1-0\n\n'
NO_RESULT = '[Event "d"]\n[Result "*"]\n\n1. e4 e5 *\n\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "games.pgn").write_text(WON + ILLEGAL + DRAWN + NO_RESULT + WON)
    return tmp_path


def files_of(folder: Path) -> dict[str, str]:
    """Everything in a folder, hidden files too, by a hash of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_games_become_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-pgn", "games.pgn", "--out", "new/records", "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("3 games, 20 positions in ")
    assert "Broken: illegal or unreadable move 1, no result 1" in shown.out
    assert "  games.pgn, game 2 (line 7): 2. Ke3 is not a legal move" in shown.out
    assert shown.out.endswith("Records: new/records\n")
    records = folder / "new" / "records"
    assert files_of(records).keys() == (
        {"import.json", *(f"00000/training.{number}.gz" for number in range(3))}
    )
    counts = ReadCounts()
    chunks = list(read_records(records, counts))
    assert (counts.files, counts.records, counts.skipped.total()) == (3, 20, 0)
    assert [chunk.records["result_q"][0] for chunk in chunks] == [1, 0, 1]
    assert sum(len(batch.masks) for batch in read_batches(records)) == 20


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-pgn", "games.pgn", "--out", "r", "--workers", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["games"], document["positions"], document["games_read"]) == (3, 20, 5)
    assert document["broken"] == {"illegal or unreadable move": 1, "no result": 1}
    assert document["unwanted"] == {}
    assert document["damaged_files"] == []
    assert document["out"] == "r"
    assert document["positions_per_second"] > 0
    kept = json.loads(Path("r/import.json").read_text())
    for name in ("games", "positions", "broken", "examples"):
        assert kept[name] == document[name]
    assert kept["filters"]["min_plies"] == 1
    assert kept["files"] == [{"path": "games.pgn", "bytes": Path("games.pgn").stat().st_size}]


def test_filters_and_limits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["import-pgn", "games.pgn", "games.pgn", "--workers", "1", "--json", "--out"]
    assert main([*words, "a", "--min-elo", "2000", "--elo-of", "either"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["games"], document["unwanted"]) == (4, {"rating": 6})
    assert main([*words, "b", "--results", "1/2-1/2", "--since", "1900"]) == 2
    assert "nothing was imported: none is left of 10 games (date: 10)" in capsys.readouterr().err
    assert main([*words, "c", "--max-games", "3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["games"], document["games_read"]) == (3, 5)
    assert main([*words, "d", "--skip-plies", "6"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["games"], document["positions"]) == (4, 4)
    assert not Path("b").exists()


def test_a_folder_for_every_thousand(folder: Path) -> None:
    Path("games.pgn").write_text("e4 1-0\n" * 2001)
    assert import_games([Path("games.pgn")], Path("r"), Filters()).games == 2001
    assert sorted(os.listdir("r")) == ["00000", "00001", "00002", "import.json"]
    assert [len(os.listdir(f"r/0000{number}")) for number in range(3)] == [1000, 1000, 1]
    assert Path("r/00002/training.2000.gz").is_file()


def test_processes_change_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("games.pgn").write_text((WON + ILLEGAL + DRAWN + NO_RESULT) * 50)
    words = ["import-pgn", "games.pgn", "--max-games", "90", "--json", "--out"]
    documents = []
    for workers in ("1", "2"):
        assert main([*words, workers, "--workers", workers]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    for name in ("games", "positions", "games_read", "broken", "examples"):
        assert documents[0][name] == documents[1][name]
    assert files_of(Path("1")) == files_of(Path("2"))
    assert len(files_of(Path("1"))) == 91


def test_stdin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress((WON * 2).encode())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(packed))))
    assert main(["import-pgn", "-", "--out", "r", "--workers", "1", "-q"]) == 0
    assert len(files_of(Path("r"))) == 3


def test_a_pipe_is_read_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=(WON * 2,))
    writer.start()
    assert main(["import-pgn", "pipe", "games.pgn", "--out", "r", "--workers", "1"]) == 0
    writer.join()
    assert capsys.readouterr().out.startswith("5 games")


def test_games_of_a_match_come_back(folder: Path) -> None:
    """What ``arena run`` writes: the book's moves are history, everything else is learned."""
    openings = [
        Opening(chess.STARTING_FEN, ("a2a3", "a7a6"), "edge"),
        Opening("rnbqkbnr/pppppppp/8/8/8/7P/PPPPPPP1/RNBQKBNR b KQkq - 0 1", ("h7h6",)),
    ]
    pairs = [
        pair(0, 1.0, 0.5, openings[0]),
        pair(1, 0.0, 1.0, openings[1]),
    ]
    write_pgn(folder / "match.pgn", pairs, MatchTags("raw", "swa", 100))
    assert main(["import-pgn", "match.pgn", "--out", "r", "--workers", "1", "-q"]) == 0
    chunks = {chunk.path.name: chunk.records for chunk in read_records(Path("r"))}
    games = [(each.opening, game) for each in pairs for game in each.games]
    assert len(chunks) == len(games)
    for number, (opening, game) in enumerate(games):
        moves = [chess.Move.from_uci(uci) for uci in (*opening.moves, *game.moves)]
        expected = list(expected_records(chess.Board(opening.fen), moves, game.result))
        assert_equal(chunks[f"training.{number}.gz"], expected[len(opening.moves) :])


# --- what goes wrong ---


Refused = Callable[..., str]


@pytest.fixture
def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail; returns what it says."""

    def run(*words: str) -> str:
        before = files_of(folder)
        assert main(["import-pgn", *words, "--workers", "1"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert "internal" not in captured.err
        assert 1 <= len(captured.err.splitlines()) <= 3
        assert files_of(folder) == before
        return captured.err

    return run


def test_bad_input(refused: Refused, folder: Path) -> None:
    assert "absent.pgn: no such file" in refused("games.pgn", "absent.pgn", "--out", "r")
    assert "is a folder" in refused(".", "--out", "r")
    assert "games.pgn is a file" in refused("games.pgn", "--out", "games.pgn")
    assert f"{folder} is not empty" in refused("games.pgn", "--out", str(folder))
    (folder / "empty.pgn").write_text("\n")
    assert "there are no games in these files" in refused("empty.pgn", "--out", "r")
    (folder / "bad.pgn").write_text(ILLEGAL)
    said = refused("bad.pgn", "--out", "r")
    assert "none is left of 1 games (illegal or unreadable move: 1)" in said
    assert "bad.pgn, game 1 (line 1): 2. Ke3 is not a legal move" in said
    (folder / "cut.pgn.gz").write_bytes(gzip.compress(WON.encode())[:-20])
    assert "cannot be read to its end" in refused("cut.pgn.gz", "--out", "r")
    (folder / "wide.pgn").write_text(WON, encoding="utf-16")
    assert "is UTF-16" in refused("wide.pgn", "--out", "r")
    assert not Path("r").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min-elo", "2500", "--max-elo", "2400"], "--min-elo 2500 is above --max-elo 2400"),
        (["--min-plies", "9", "--max-plies", "8"], "--min-plies 9 is above --max-plies 8"),
        (["--since", "2014", "--until", "2013-12"], "--since is after --until"),
        (["--since", "2013-13"], "'2013-13' is no date"),
        (["--since", "soon"], "'soon' is no date"),
        (["--since", "2013-1-1-1"], "is no date"),
        (["--min-elo", "-1"], "expected one argument|no whole number"),
        (["--min-elo", "0"], "'0' is no whole number from 1"),
        (["--max-games", "1e6"], "'1e6' is no whole number from 1"),
        (["--results", "won"], "invalid choice: 'won'"),
        (["--min-ello", "2000"], "did you mean --min-elo"),
    ],
)
def test_bad_flags(refused: Refused, words: list[str], said: str) -> None:
    message = refused("games.pgn", "--out", "r", *words)
    assert any(part in message for part in said.split("|"))


def test_since_and_until_may_be_one_year(folder: Path) -> None:
    dated = WON.replace("[Result", '[Date "2013.04.05"]\n[Result')
    Path("games.pgn").write_text(dated)
    words = ["import-pgn", "games.pgn", "--workers", "1", "-q", "--out"]
    assert main([*words, "a", "--since", "2013.04", "--until", "2013"]) == 0
    assert main([*words, "b", "--since", "2013-04-06", "--until", "2013"]) == 2


def test_a_damaged_file_does_not_stop_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cut.pgn.gz").write_bytes(gzip.compress((WON * 3).encode())[:-9])
    words = ["import-pgn", "cut.pgn.gz", "games.pgn", "--out", "r", "--workers", "1"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "Damaged: cut.pgn.gz: cannot be read to its end" in shown
    assert json.loads(Path("r/import.json").read_text())["damaged_files"] != []


def test_a_full_disk_is_said_and_leaves_whole_games(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = Path.write_bytes

    def fails(path: Path, data: bytes) -> int:
        if "training.1." not in path.name:
            return write(path, data)
        write(path, data[:10])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fails)
    assert main(["import-pgn", "games.pgn", "--out", "r", "--workers", "1"]) == 2
    assert "no space left on device" in capsys.readouterr().err
    assert files_of(Path("r")).keys() == {"00000/training.0.gz"}


def test_a_killed_worker_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("arena.pgn_import._begin_worker", _dies)
    assert main(["import-pgn", "games.pgn", "--out", "r", "--workers", "2"]) == 2
    assert "a process of the import was killed" in capsys.readouterr().err


def _dies() -> None:
    os._exit(9)


def test_progress(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("arena.commands.import_pgn.LOG_SECONDS", 0.0)
    assert main(["import-pgn", "games.pgn", "--out", "r", "--workers", "1"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[-1].startswith("3 games, 20 positions, 2 left out, ")
    assert "100%" in lines[-1]
    assert main(["import-pgn", "games.pgn", "--out", "q", "--workers", "1", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_an_interrupted_import(tmp_path: Path) -> None:
    (tmp_path / "games.pgn").write_text((WON + DRAWN) * 100_000)
    out = tmp_path / "r"
    words = ["import-pgn", "games.pgn", "--out", "r", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "arena", *words],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )
    while not (out / "00000" / "training.99.gz").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what is in r are whole games" in said
    assert "Traceback" not in said
    assert not (out / "import.json").exists()
    counts = ReadCounts()
    assert len(list(read_records(out, counts))) >= 100
    assert (counts.skipped.total(), counts.truncated) == (0, 0)
    assert not list(out.rglob(".*"))


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "games.pgn").write_text((WON + DRAWN) * 100_000)
    words = ["import-pgn", "games.pgn", "--out", "r", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "arena", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    while not (tmp_path / "r" / "00000" / "training.9.gz").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)  # its pipes are closed once no worker has them any more


def test_human_games(shared: Path, tmp_path: Path) -> None:
    """Real games against an encoder on python-chess, field by field."""
    shard = shared / "pgn" / "human_master_003.pgn.gz"
    counts = import_games([shard], tmp_path / "r", Filters(), max_games=20)
    assert (counts.games, counts.broken.total()) == (20, 0)
    chunks: dict[str, Any] = {chunk.path.name: chunk.records for chunk in read_records(tmp_path)}
    with gzip.open(shard, "rt") as text:
        for number in range(20):
            game = chess.pgn.read_game(text)
            assert game is not None
            moves = list(game.mainline_moves())
            expected = expected_records(game.board(), moves, game.headers["Result"])
            assert_equal(chunks[f"training.{number}.gz"], list(expected))


def test_the_same_import_twice_gives_the_same_bytes(folder: Path) -> None:
    for name in ("a", "b"):
        import_games([folder / "games.pgn"], folder / name, Filters())
    assert files_of(folder / "a") == files_of(folder / "b")
    assert arena.pgn_import.SUMMARY_FILE in files_of(folder / "a")
