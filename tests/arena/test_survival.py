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
from arena.openings import Book
from arena.report.folder import write_reports
from arena.report.summary import read_run

FIXED = ("--no-sprt",)
TESTED = ("--sprt", "-20", "80")  # with these nets and this book decided after 54 pairs

FILES = {"match.toml", "games.jsonl", "sessions.jsonl", "summary.json", "games.pgn", "report.md"}

OF_SESSIONS = {"date", "command", "sessions", "throughput", "homogeneity", "pairs_beyond", "parts"}
"""Keys of summary.json that tell how a match was played, not what came of it."""


class Arena(NamedTuple):
    """Where matches are played, and who plays them."""

    server: ForkServer
    folder: Path

    def words(self, out: Path, pairs: int, *more: str) -> list[str]:
        match = ["--nets", "raw.pb", "swa.pb", "--openings", "book.epd", "--visits", "30"]
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
    """A match of 24 pairs that nothing happened to."""
    arena.play(arena.folder / "whole", 24, *FIXED)
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
        (FIXED, 24, 12),
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
    killed = 0
    for moment in moments:
        running = arena.start(folder, pairs, *settings, "-q")
        wait_for_pairs(folder, running.pid, moment)
        # Where it has come so far already, it is killed while it starts.
        time.sleep(chance.uniform(0.0, 0.6 if len(kept) >= moment else 0.02))
        os.kill(running.pid, signal.SIGKILL)
        code, errors = running.wait()
        assert code in (0, -signal.SIGKILL), errors
        killed += code != 0
        lines = lines_of(folder)
        assert lines[: len(kept)] == kept, "a pair that was on the disk is gone"
        kept = lines
    print(f"{killed} of {kills} kills hit")
    assert killed >= 0.9 * kills
    arena.play(folder, pairs, *settings)
    assert_same_match(folder, expected)
    assert len(read_run(folder).sessions) <= kills + 1
