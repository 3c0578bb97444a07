"""Matches of real nets on a CPU are the same to the last move, however they are played."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from arena.cli import main
from arena.game import PairRecord, Termination
from arena.ledger import GAMES_FILE
from arena.report.run import read_run

PAIRS = 8

FORETOLD = (Termination.DRAW_ADJUDICATION, Termination.RESIGNATION)


class Match(NamedTuple):
    """Two nets and what decides their match."""

    baseline: str
    candidate: str
    settings: tuple[str, ...]

    def words(self, shared: Path, folder: Path, parallel: int, *more: str) -> list[str]:
        nets = [str(shared / "nets" / f"{name}.pb.gz") for name in (self.baseline, self.candidate)]
        device = ["--device", "cpu", "--parallel", str(parallel)]
        out = ["--out", str(folder), "-q"]
        return ["run", "--nets", *nets, *self.settings, *device, *out, *more]


FIXED = Match("tinygyal-8", "meangirl-8", ("--visits", "3", "--no-sprt", "--pairs", str(PAIRS)))
TESTED = Match(
    "maia-1100", "maia-1900", ("--visits", "2", "--sprt", "-400", "0", "--pairs", str(PAIRS))
)
RULES = "--draw movenumber=20 movecount=2 score=60 --resign movecount=2 score=200 --maxmoves 70"
ADJUDICATED = Match("tinygyal-8", "maia-1900", (*FIXED.settings, *RULES.split(), "--audit", "0.5"))


ON_ONE_CORE = """\
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # before anything counts them
from arena.cli import main
from swa.cores import usable_cores
sys.exit(main(sys.argv[1:]) if usable_cores() == 1 else "more than one core")
"""
"""``arena`` in a process of one core."""


def result_of(folder: Path) -> tuple[list[PairRecord], str, bool]:
    """The pairs that count, the verdict, and whether the match came to its end."""
    run = read_run(folder)
    return list(run.counted), run.judgement.verdict.value, run.judgement.settled


def played(
    match: Match, shared: Path, folder: Path, parallel: int, *more: str
) -> tuple[list[PairRecord], str, bool]:
    assert main(match.words(shared, folder, parallel, *more)) == 0
    return result_of(folder)


@pytest.mark.parametrize(
    "match", [FIXED, TESTED, ADJUDICATED], ids=["fixed", "sprt", "adjudicated"]
)
def test_games_and_verdict_do_not_depend_on_what_is_in_flight(
    shared: Path, tmp_path: Path, match: Match
) -> None:
    alone = played(match, shared, tmp_path / "alone", 1, "--nncache", "0")
    pairs, verdict, settled = alone
    assert settled
    if match is TESTED:
        assert verdict != "undecided"
    else:
        assert len(pairs) == PAIRS
    if match is ADJUDICATED:  # and games in flight beside it are played on, or not
        ended = [game for pair in pairs for game in pair.games if game.termination in FORETOLD]
        assert {game.played_on is None for game in ended} == {True, False}
    ways = [(3, "0"), (16, "0"), (64, "0"), (1, "1000"), (16, "1000"), (64, "200000")]
    for parallel, cache in ways:
        folder = tmp_path / f"{parallel}-{cache}"
        assert played(match, shared, folder, parallel, "--nncache", cache) == alone, folder.name


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process has all cores")
def test_games_do_not_depend_on_the_cores(shared: Path, tmp_path: Path) -> None:
    all_cores = played(FIXED, shared, tmp_path / "all", 64)
    folder = tmp_path / "one"
    done = subprocess.run(
        [sys.executable, "-c", ON_ONE_CORE, *FIXED.words(shared, folder, 64)], check=False
    )
    assert done.returncode == 0
    assert result_of(folder) == all_cores


def test_what_evaluated_is_noted(shared: Path, tmp_path: Path) -> None:
    short = FIXED._replace(settings=("--visits", "1", "--no-sprt", "--pairs", "1"))
    for evaluator in ("torch", "winograd"):
        folder = tmp_path / evaluator
        pairs, *_ = played(short, shared, folder, 2, "--evaluator", evaluator)
        assert len(pairs) == 1
        assert read_run(folder).sessions[-1].evaluator == f"{evaluator} (asked for)"


@pytest.mark.parametrize("cache", ["0", "1000"])
def test_a_killed_match_goes_on_to_the_same_end(shared: Path, tmp_path: Path, cache: str) -> None:
    expected = played(FIXED, shared, tmp_path / "whole", 16)
    folder = tmp_path / "killed"
    finished = 0
    for parallel in (1, 3):
        words = FIXED.words(shared, folder, parallel, "--nncache", cache)
        process = subprocess.Popen([sys.executable, "-m", "arena", *words], env=os.environ)
        while process.poll() is None and lines_of(folder) <= finished:
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -9, "ended by itself"
        assert finished < lines_of(folder) < PAIRS
        finished = lines_of(folder)
    assert played(FIXED, shared, folder, 16, "--nncache", cache) == expected
    assert len(read_run(folder).sessions) == 3


def lines_of(folder: Path) -> int:
    path = folder / GAMES_FILE
    return path.read_bytes().count(b"\n") if path.exists() else 0
