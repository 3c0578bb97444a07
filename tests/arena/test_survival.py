"""Whatever happens to a match, it goes on to the games and the verdict of one that was left alone.

All of it is real: ``arena run`` as a process, two small nets of random weights, their games from
positions in which a mate is near, so that all results occur.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fork_server import ForkServer, Running
from scripted_games import ScriptedGames, Watcher, play_match, write_book
from tiny_net import tiny_payload

from arena.ledger import GAMES_FILE, read_pairs
from arena.match_file import MATCH_FILE
from arena.report.run import read_run

PAIRS = 16

FIXED = ("--no-sprt",)
TESTED = ("--sprt", "-30", "30")  # decided by the 35th pair

FILES = {
    "match.toml",
    "games.jsonl",
    "sessions.jsonl",
    "summary.json",
    "games.pgn",
    "openings.csv",
    "opinions.json",
    "report.md",
    "report.html",
    "pictures",
}

OF_SESSIONS = {"date", "command", "sessions", "throughput", "homogeneity", "pairs_beyond", "parts"}
"""Keys of summary.json that tell how a match was played, not what came of it."""


class Arena(NamedTuple):
    """Where matches are played, and who plays them."""

    server: ForkServer
    folder: Path

    def words(self, out: Path, pairs: int, *more: str) -> list[str]:
        match = ["--nets", "raw.pb", "swa.pb", "--openings", "book.epd", "--visits", "10"]
        return ["run", *match, "--pairs", str(pairs), "--parallel", "4", "--out", str(out), *more]

    def play(self, out: Path, pairs: int, *more: str) -> None:
        code, errors = self.server.run(*self.words(out, pairs, *more))
        assert code == 0, errors

    def start(self, out: Path, pairs: int, *more: str) -> Running:
        return self.server.start(*self.words(out, pairs, *more))


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("arena")
    for seed, name in enumerate(("raw.pb", "swa.pb")):
        (folder / name).write_bytes(tiny_payload(seed=seed))
    write_book(folder)
    words = Arena.words(Arena(None, folder), folder / "warm", 2, "--no-sprt", "-q")  # type: ignore[arg-type]
    with ForkServer(folder, words) as server:
        yield Arena(server, folder)


@pytest.fixture(scope="module")
def whole(arena: Arena) -> Path:
    """A match that nothing happened to."""
    arena.play(arena.folder / "whole", PAIRS, *FIXED)
    return arena.folder / "whole"


def lines_of(folder: Path) -> list[bytes]:
    """The whole lines of the ledger."""
    path = folder / GAMES_FILE
    return re.findall(rb".*\n", path.read_bytes()) if path.exists() else []


def pgn_of(folder: Path, pairs: int) -> str:
    """The games of the first pairs, without the day."""
    games = re.split(r"(?m)^(?=\[Event )", (folder / "games.pgn").read_text())
    return re.sub(r'\[Date ".*"\]', "", "".join(games[: 1 + 2 * pairs]))


def result_of(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    for net in summary["nets"]:
        del net["file"]  # its name in the last session
    del summary["curves"]["sessions"]
    return {key: value for key, value in summary.items() if key not in OF_SESSIONS}


def assert_same_match(folder: Path, expected: Path) -> None:
    """Counts, verdict and PGN are the same, as far as games count; no pair is there twice."""
    run = read_run(folder)
    assert run.judgement == read_run(expected).judgement
    assert result_of(folder) == result_of(expected)
    counted = run.judgement.seen
    assert pgn_of(folder, counted) == pgn_of(expected, counted)
    lines = lines_of(folder)
    assert len(set(lines)) == len({json.loads(line)["pair"] for line in lines}) == len(lines)
    if run.judgement.decided_at is None:  # else those in flight at the verdict may differ
        assert sorted(lines) == sorted(lines_of(expected))
    assert {path.name for path in folder.iterdir()} == FILES


def wait_for_pairs(folder: Path, pid: int, pairs: int) -> None:
    """Wait until so many pairs are in the ledger, or the process has ended."""
    while len(lines_of(folder)) < pairs and _state(pid) not in ("Z", ""):
        time.sleep(0.001)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


# --- kills ---


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("settings", "pairs", "kills"),
    [
        (FIXED, PAIRS, 8),
        pytest.param(FIXED, 200, 100, marks=pytest.mark.slow),
        pytest.param(TESTED, 200, 25, marks=pytest.mark.slow),
    ],
)
def test_a_match_that_is_killed_at_random_moments_loses_nothing(
    arena: Arena, tmp_path: Path, settings: tuple[str, ...], pairs: int, kills: int
) -> None:
    expected, folder = tmp_path / "whole", tmp_path / "killed"
    arena.play(expected, pairs, *settings)
    last = min(pairs, read_run(expected).judgement.seen)
    chance = random.Random(7)
    # Of the moments, one in ten is while the report is written, after the last pair.
    moments = sorted(chance.randrange(last) for _ in range(kills - kills // 10))
    moments += [last] * (kills // 10)
    kept: list[bytes] = []
    killed = started = 0
    while killed < kills:
        started += 1
        assert started <= 3 * kills, "it ends before it is killed"
        running = arena.start(folder, pairs, *settings, "-q")
        wait_for_pairs(folder, running.pid, moments[killed])
        # Where it has come so far already, it is killed while it starts.
        time.sleep(chance.uniform(0.0, 0.1 if len(kept) >= moments[killed] else 0.02))
        os.kill(running.pid, signal.SIGKILL)
        code, errors = running.wait()
        assert code in (0, -signal.SIGKILL), errors
        killed += code != 0
        lines = lines_of(folder)
        assert lines[: len(kept)] == kept, "a pair that was on the disk is gone"
        kept = lines
    arena.play(folder, pairs, *settings)
    assert_same_match(folder, expected)
    assert 1 <= len(read_run(folder).sessions) <= started + 1


# --- a disk that fills up ---


def test_a_match_goes_on_whenever_its_disk_has_room_again(
    arena: Arena, tmp_path: Path, whole: Path
) -> None:
    folder = tmp_path / "full"
    kept: list[bytes] = []
    chance = random.Random(3)
    most = int(0.9 * (whole / GAMES_FILE).stat().st_size)
    for room in [0, 300, 1200, *sorted(chance.randrange(3_000, most) for _ in range(4))]:
        words = arena.words(folder, PAIRS, *FIXED, "-q")
        code, errors = arena.server.run(*words, largest_file=room)
        assert code == 2
        assert "file too large" in errors
        assert len(errors.splitlines()) <= 3
        lines = lines_of(folder)
        assert lines[: len(kept)] == kept, "a pair that was on the disk is gone"
        assert not lines or b"".join(lines) == (folder / GAMES_FILE).read_bytes()
        assert (folder / MATCH_FILE).exists() == bool(lines), "it stands in another match's way"
        kept = lines
    assert len(kept) >= 3
    arena.play(folder, PAIRS, *FIXED)
    assert_same_match(folder, whole)


def test_a_report_that_has_no_room_leaves_the_last_one(
    arena: Arena, tmp_path: Path, whole: Path
) -> None:
    folder = shutil.copytree(whole, tmp_path / "full")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    for room in (0, 1_000, 10_000):
        code, errors = arena.server.run("report", str(folder), largest_file=room)
        assert code == 2
        assert "the report cannot be written: file too large" in errors
        assert "All pairs are safe" in errors
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


# --- a ledger that is cut ---


def test_a_ledger_cut_anywhere_is_played_to_the_same_end(
    arena: Arena, tmp_path: Path, whole: Path
) -> None:
    games = (whole / GAMES_FILE).read_bytes()
    last = games[:-1].rindex(b"\n") + 1
    chance = random.Random(5)
    cuts = [0, last, last + 1, len(games) - 1]
    cuts += [chance.randrange(len(games)) for _ in range(2)]
    for cut in cuts:
        folder = shutil.copytree(whole, tmp_path / str(cut))
        os.truncate(folder / GAMES_FILE, cut)
        arena.play(folder, PAIRS, *FIXED)
        kept = games[: games.rfind(b"\n", 0, cut) + 1]
        assert (folder / GAMES_FILE).read_bytes().startswith(kept)
        assert_same_match(folder, whole)


def test_a_last_line_cut_at_every_byte_is_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    book = write_book(tmp_path, 2)
    folder = tmp_path / "run"

    def play() -> None:
        play_match(folder, book, ScriptedGames(lanes=1, parallel=1), Watcher(), pairs=2, sprt=None)

    play()
    games = (folder / GAMES_FILE).read_bytes()
    judgement = read_run(folder).judgement
    last = games[:-1].rindex(b"\n") + 1
    for cut in range(last, len(games)):
        os.truncate(folder / GAMES_FILE, cut)
        assert [pair.number for pair in read_pairs(folder)] == [0]
        play()
        assert (folder / GAMES_FILE).read_bytes() == games
        assert read_run(folder).judgement == judgement


# --- other places, more pairs, several machines ---


def test_a_match_goes_on_in_another_place_with_renamed_nets_and_book(
    arena: Arena, tmp_path: Path, whole: Path
) -> None:
    begun, moved = tmp_path / "here" / "run", tmp_path / "there" / "moved"
    running = arena.start(begun, PAIRS, *FIXED, "-q")
    wait_for_pairs(begun, running.pid, 5)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    moved.parent.mkdir()
    shutil.move(begun, moved)
    names = {"raw.pb": "baseline.pb", "swa.pb": "averaged.pb", "book.epd": "openings.epd"}
    for name, other in names.items():
        shutil.copy(arena.folder / name, moved.parent / other)
    words = arena.words(moved, PAIRS, *FIXED)
    code, errors = arena.server.run(
        *[str(moved.parent / names[word]) if word in names else word for word in words]
    )
    assert code == 0, errors
    assert "Resumed: " in errors
    assert_same_match(moved, whole)


@pytest.mark.parametrize("settings", [FIXED, ("--sprt", "0", "5")], ids=["fixed", "sprt"])
def test_a_match_that_is_extended_is_the_longer_one_and_says_so(
    arena: Arena, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    folder, longer = tmp_path / "run", tmp_path / "longer"
    arena.play(folder, 12, *settings)
    first = json.loads((folder / "summary.json").read_text())
    kind = "fixed-length" if settings == FIXED else "stopping-aware"
    assert (first["state"], first["headline"]["kind"]) == ("limit", kind)
    code, errors = arena.server.run(*arena.words(folder, PAIRS, *settings))
    assert code == 0, errors
    assert "at most 16 pairs from here on, instead of 12; its report says so" in errors
    arena.play(longer, PAIRS, *settings)
    assert sorted(lines_of(folder)) == sorted(lines_of(longer))
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["llr"] == json.loads((longer / "summary.json").read_text())["llr"]
    assert (summary["pairs_limit"], summary["earlier_limits"]) == (PAIRS, [12])
    assert summary["headline"]["kind"] == "anytime"
    report = " ".join((folder / "report.md").read_text().split())
    assert "raised, from 12 |" in report
    assert "The limit of pairs was raised from 12 to 16" in report

    code, errors = arena.server.run(*arena.words(folder, 20, "--sprt", "0", "7"))
    assert code == 2
    assert "sprt.elo1: " in errors
    assert "A test is chosen before the first game." in errors


@pytest.mark.slow
def test_parts_that_are_killed_and_merged_are_the_whole_match(
    arena: Arena, tmp_path: Path, whole: Path
) -> None:
    parts = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    merged = tmp_path / "merged"
    for number, part in enumerate(parts, start=1):
        settings = (*FIXED, "--part", f"{number}/3")
        running = arena.start(part, PAIRS, *settings, "-q")
        wait_for_pairs(part, running.pid, 2)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    code, errors = arena.server.run("merge", str(merged), *map(str, parts))
    assert code == 0, errors
    so_far = json.loads((merged / "summary.json").read_text())
    assert so_far["state"] == "unfinished"
    assert "arena merge" in (merged / "report.md").read_text()
    for number, part in enumerate(parts, start=1):
        arena.play(part, PAIRS, *FIXED, "--part", f"{number}/3")
        numbers = [pair.number for pair in read_pairs(part)]
        assert sorted(numbers) == list(range(number - 1, PAIRS, 3))
    code, errors = arena.server.run("merge", str(merged), *map(str, parts))
    assert code == 0, errors
    code, errors = arena.server.run("report", str(merged), "--opinions")
    assert code == 0, errors
    assert_same_match(merged, whole)
    summary = json.loads((merged / "summary.json").read_text())
    assert summary["parts"] == ["1/3", "2/3", "3/3"]
    assert len(summary["homogeneity"]["parts"]) >= 2
