"""What a user can get wrong with ``arena run``, one test each: real files, games by script.

Every case is told in one to three lines, leaves with 2 and leaves nothing half-written.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_match import ScriptedEvaluator, ScriptedSearch, write_book
from tiny_net import TINY, net_message, random_weights, tiny_payload

from arena.cli import main

Refused = Callable[..., str]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with raw.pb, swa.pb and book.pgn, where games are played by script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arena.run.make_evaluator", ScriptedEvaluator)
    monkeypatch.setattr("arena.run.BatchedSearch", ScriptedSearch)
    (tmp_path / "raw.pb").write_bytes(tiny_payload(seed=1))
    (tmp_path / "swa.pb").write_bytes(tiny_payload(seed=2))
    write_book(tmp_path / "book.pgn")
    return tmp_path


def command(*, nets: tuple[str, str] = ("raw.pb", "swa.pb"), book: str = "book.pgn") -> list[str]:
    words = ["run", "--nets", *nets, "--openings", book, "--out", "reports/run"]
    return [*words, "--no-sprt", "--pairs", "6", "-q"]


@pytest.fixture
def refused(folder, capsys) -> Refused:
    """Run a command that must fail; returns what it says."""

    def run(words: list[str]) -> str:
        before = snapshot(folder)
        assert main(words) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert "internal" not in captured.err
        assert 1 <= len(captured.err.splitlines()) <= 3
        assert snapshot(folder) == before
        return captured.err

    return run


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    """Every file with its content, and every folder; where a session was noted decides nothing."""
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != "sessions.jsonl"
    }


# --- nets ---


def test_missing_net(refused):
    assert "gone.pb.gz: cannot read the net: no such file" in refused(
        command(nets=("gone.pb.gz", "swa.pb"))
    )


def test_directory_for_a_net(refused, folder):
    (folder / "nets").mkdir()
    assert "nets: cannot read the net: is a directory" in refused(command(nets=("nets", "swa.pb")))


def test_empty_net(refused, folder):
    (folder / "empty.pb.gz").touch()
    assert "empty.pb.gz: the file is empty" in refused(command(nets=("empty.pb.gz", "swa.pb")))


def test_text_for_a_net(refused, folder):
    (folder / "notes.pb").write_text("Remember the milk.\n")
    assert "notes.pb: not a net" in refused(command(nets=("raw.pb", "notes.pb")))


def test_truncated_gzip(refused, folder):
    packed = gzip.compress(tiny_payload())
    (folder / "half.pb.gz").write_bytes(packed[: len(packed) // 2])
    assert "half.pb.gz: the file is truncated" in refused(command(nets=("raw.pb", "half.pb.gz")))


def test_net_of_an_unsupported_kind(refused, folder):
    net = net_message(TINY, random_weights(TINY))
    net.format.network_format.value = 3
    (folder / "param.pb").write_bytes(net.SerializeToString())
    error = refused(command(nets=("raw.pb", "param.pb")))
    assert "param.pb: network_format.value is 3 (VALUE_PARAM)" in error
    assert "not supported" in error


def test_a_net_against_its_copy(refused, folder):
    shutil.copy(folder / "raw.pb", folder / "copy.pb")
    assert "same net" in refused(command(nets=("raw.pb", "copy.pb")))


def test_a_net_against_itself_packed(refused, folder):
    (folder / "packed.pb.gz").write_bytes(gzip.compress((folder / "raw.pb").read_bytes()))
    assert "same net" in refused(command(nets=("raw.pb", "packed.pb.gz")))


# --- openings ---


@pytest.mark.parametrize("last", [False, True], ids=["first game", "last game"])
def test_book_with_an_illegal_move(last, refused, folder):
    good = (folder / "book.pgn").read_text()
    bad = '[Event "?"]\n\n1. e4 e5 2. Ke3 *\n'
    (folder / "bad.pgn").write_text(f"{good}\n{bad}" if last else f"{bad}\n{good}")
    words = [*command(book="bad.pgn"), "--order", "sequential"]
    if last:
        words[words.index("6")] = "17"
    error = refused(words)
    assert f"bad.pgn, game {17 if last else 1} (line " in error
    assert "2. Ke3 is not a legal move" in error


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a remark\n"])
def test_book_without_a_line(text, refused, folder):
    (folder / "empty.epd").write_text(text)
    assert "empty.epd: has no opening" in refused(command(book="empty.epd"))


def test_book_that_is_too_small(refused):
    words = command()
    words[words.index("6")] = "17"
    assert "has 16 openings, too few for 17 pairs" in refused(words)


# --- flags ---


def test_bounds_of_the_test_the_wrong_way_round(refused):
    words = [word for word in command() if word != "--no-sprt"]
    assert "--sprt 5 0: ELO0 must be below ELO1" in refused([*words, "--sprt", "5", "0"])


def test_tablebases_that_are_not_there(refused, folder):
    (folder / "tables").mkdir()
    assert "nowhere: cannot be read: no such file" in refused([*command(), "--tb", "nowhere"])
    assert "tables: has no Syzygy WDL tables" in refused([*command(), "--tb", "tables"])
    (folder / "tables" / "KQvK.rtbw").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert "KQvK.rtbw: not a whole Syzygy table" in refused([*command(), "--tb", "tables"])


def test_settings_of_tablebases_without_any(refused):
    assert "--tb-fast-play: is a setting of --tb" in refused([*command(), "--tb-fast-play"])
    assert "--tb-pieces 2: must be from 3 to 7" in refused([*command(), "--tb-pieces", "2"])


def test_no_visits(refused):
    assert "--visits 0: a move needs at least 1 visit" in refused([*command(), "--visits", "0"])


@pytest.mark.parametrize(
    ("flag", "what"),
    [
        ("--visit=5", "(did you mean --visits?)\n  try: arena run --help"),
        ("--visits=many", "argument --visits: 'many' is not a whole number"),
        ("--sprt", "argument --sprt: expected 2 arguments"),
    ],
)
def test_usage_is_not_shown_above_the_error(flag, what, refused):
    words = [word for word in command() if word != "--no-sprt"]
    assert what in refused([*words, flag])


# --- the device ---


@pytest.mark.parametrize("flags", [["--device", "cuda"], ["--dtype", "float16"]])
def test_winograd_where_it_cannot_compute(flags, refused):
    error = refused([*command(), "--evaluator", "winograd", *flags])
    assert "--evaluator winograd computes float32 on a CPU" in error


def test_winograd_for_a_net_it_does_not_cover(refused, monkeypatch):
    monkeypatch.setattr("arena.evaluator.why_not", lambda spec: "it is too large")
    error = refused([*command(), "--evaluator", "winograd"])
    assert "does not cover 1x4 SE 2 relu" in error
    assert "too large" in error


# --- the run folder ---


def test_run_folder_of_another_configuration(refused):
    assert main(command()) == 0
    error = refused([*command(), "--visits", "7"])
    assert "reports/run: holds a match with other settings" in error
    assert "search.visits: 100 -> 7" in error


def test_run_folder_that_is_a_file(refused, folder):
    (folder / "reports").touch()
    assert "reports/run: cannot be used as a run folder" in refused(command())


def test_run_folder_that_cannot_be_written(refused, monkeypatch):
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert "cannot be used as a run folder: read-only file system" in refused(command())


def test_run_folder_in_use(refused, folder):
    assert main(command()) == 0
    with (folder / "reports" / "run" / "games.jsonl").open() as other_process:
        fcntl.flock(other_process, fcntl.LOCK_EX)
        assert "another process is playing this match" in refused(command())


def test_torn_last_line_is_played_again(folder, capsys):
    assert main(command()) == 0
    ledger = folder / "reports" / "run" / "games.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-30])
    assert main([word for word in command() if word != "-q"]) == 0
    assert "the last line was torn and is cut off" in capsys.readouterr().err
    assert ledger.read_bytes() == whole


@pytest.mark.parametrize("room", [0, 3], ids=["for nothing", "for three pairs"])
def test_disk_full_while_appending(room, folder, monkeypatch, capsys):
    """The pair that found no room does not count, those before it stay, and the match goes on."""
    disk = FullDisk(room)
    monkeypatch.setattr("arena.ledger.os", disk)
    assert main(command()) == 2
    captured = capsys.readouterr()
    assert f"cannot write pair {room}: no space left on device" in captured.err
    assert f"the {room} pairs before it are safe" in captured.err
    assert len(captured.err.splitlines()) == 3
    run = folder / "reports" / "run"
    if room:
        lines = (run / "games.jsonl").read_text().splitlines()
        assert [json.loads(line)["pair"] for line in lines] == [0, 1, 2]
    else:
        assert not run.exists()
    monkeypatch.setattr("arena.ledger.os", os)
    assert main(command()) == 0
    assert json.loads((run / "summary.json").read_text())["pairs"] == 6


class FullDisk:
    """``os`` of a machine whose disk has room for some lines and half of the next one."""

    def __init__(self, lines: int):
        self._lines = lines

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self._lines > 0:
            self._lines -= 1
            return os.write(descriptor, data)
        if self._lines == 0:
            self._lines = -1
            return os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_full_while_the_report_is_written(folder, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("arena.report.folder.write_pgn", full)
    assert main(command()) == 2
    error = capsys.readouterr().err
    assert "reports/run: the report cannot be written: no space left on device" in error
    assert "All pairs are safe" in error
    monkeypatch.undo()
    assert main(["report", str(folder / "reports" / "run"), "-q"]) == 0


@pytest.mark.parametrize("what", ["missing", "empty", "foreign", "a file"])
def test_report_of_what_is_no_run_folder(what, refused, folder):
    path = folder / "here"
    if what == "a file":
        path.touch()
    elif what != "missing":
        path.mkdir()
    if what == "foreign":
        (path / "notes.txt").write_text("mine")
    error = refused(["report", "here"])
    assert "here" in error
    assert "run folder" in error or "cannot be read" in error
