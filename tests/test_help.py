"""The help of every command, word for word, 80 columns wide: tests/golden_help/*.txt.

After a change that is meant, renew the files and read the difference:
    ARENA_RENEW_HELP=1 .venv/bin/pytest tests/test_help.py; git diff tests/golden_help
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import arena.cli
import swa.cli

GOLDEN = Path(__file__).parent / "golden_help"

WRITTEN_BY = (3, 11)
"""argparse breaks lines a little differently from one Python to the next."""

HELPS = [
    ("arena",),
    *(
        ("arena", command.__name__.rpartition(".")[2].replace("_", "-"))
        for command in arena.cli.COMMANDS
    ),
    ("swa",),
    *(
        ("swa", command.__name__.rpartition(".")[2].replace("_", "-"))
        for command in swa.cli.COMMANDS
    ),
]


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    program, *command = words
    main = {"arena": arena.cli.main, "swa": swa.cli.main}[program]
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    path = GOLDEN / f"{'-'.join(words)}.txt"
    if os.environ.get("ARENA_RENEW_HELP"):
        path.write_text(text)
    golden = path.read_text()
    if sys.version_info[:2] == WRITTEN_BY:
        assert text == golden
        assert max(map(len, text.splitlines())) <= 80
    else:
        assert text.split() == golden.split()


@pytest.mark.parametrize("program", ["arena", "swa"])
def test_python_runs_it_too(program):
    words = [sys.executable, "-m", program, "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(program)


def test_every_file_is_of_a_command():
    assert {path.stem for path in GOLDEN.iterdir()} == {"-".join(words) for words in HELPS}
