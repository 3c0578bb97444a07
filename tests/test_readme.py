"""The README's commands work as they stand, and it stays short."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"

COMMANDS = re.findall(r"^\$ (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE)

SHORT = """\
[tool.arena]
visits = 1
pairs = 2
parallel = 4
"""
"""Settings of the folder in which the commands run: a flag in the README still wins."""

BOOK = """\
rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq -
rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq -
rnbqkbnr/pp1ppppp/8/2p5/4P3/8/PPPP1PPP/RNBQKBNR w KQkq -
rnbqkbnr/ppp1pppp/8/3p4/3P4/8/PPP1PPPP/RNBQKBNR w KQkq -
"""

TRAINING = """\
name = "first"
output = "runs/first"
net = { blocks = 1, filters = 8 }
data = { input = ["games"], held-out = 0.3, sampling = 1.0, validation-positions = 200 }
training = { batch-size = 16, total-steps = 4 }
learning-rate = { lr = 0.01 }
averages = [{ name = "swa", rule = "mean", every = 2, refresh-positions = 50 }]
"""

NIGHTLY = """\
home = "home"
latest = "snapshot"
first-champion = "snapshot-1.pb.gz"
quick = false
build = { data = ["games"] }
sanity = { excess-loss = 5.0 }
match = { visits = 1, openings = "book.epd", parallel = 4 }
gate = { pairs = 2 }
"""


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "raw.pb.gz").symlink_to(shared / "nets" / "maia-1100.pb.gz")
    (folder / "swa.pb.gz").symlink_to(shared / "nets" / "maia-1900.pb.gz")
    (folder / "snapshot-1.pb.gz").symlink_to(shared / "nets" / "ckpt-1-10000.pb.gz")
    (folder / "snapshot-2.pb.gz").symlink_to(shared / "nets" / "ckpt-11-110000.pb.gz")
    (folder / "games").mkdir()
    for game in sorted((shared / "chunks" / "v7").glob("*.gz"))[:12]:
        (folder / "games" / game.name).symlink_to(game)
    (folder / "pyproject.toml").write_text(SHORT)
    (folder / "train.toml").write_text(TRAINING)
    (folder / "nightly.toml").write_text(NIGHTLY)
    (folder / "book.epd").write_text(BOOK)
    return folder


def test_it_has_commands_and_fewer_than_150_lines() -> None:
    assert len(COMMANDS) >= 8
    assert len(README.read_text(encoding="utf-8").splitlines()) < 150


def test_its_commands_run_in_their_order(folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in COMMANDS:
        done = subprocess.run(
            shlex.split(command),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout
    assert (folder / "reports/night/report.md").is_file()
    assert (folder / "reports/swa-vs-raw-1/games.pgn").is_file()
    assert (folder / "home/nights/0001-snapshot-2/gate/report.html").is_file()


def test_the_places_it_names_exist() -> None:
    table = README.read_text(encoding="utf-8").split("## What is where")[1]
    places = re.findall(r"`([\w./]+(?:/|\.py))`", table)
    assert len(places) >= 15
    root = README.parent
    assert [
        place
        for place in places
        if not (root / place).exists() and not (root / "arena" / place).exists()
    ] == []
