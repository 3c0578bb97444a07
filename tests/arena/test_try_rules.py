"""The script that tries rules of adjudication on games that were played to their ends."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from arena.report.run import read_run
from arena.scores import centipawns

ROOT = Path(__file__).parents[2]
RUN = ROOT / "reports" / "fledgling-swa"


@pytest.mark.parametrize("score", [100, 400])
def test_it_counts_as_the_ledger_says(
    score: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("try_rules", ROOT / "scripts" / "try_rules.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    words = ["try_rules", str(RUN), "--resign", "movecount=1", f"score={score}"]
    monkeypatch.setattr(sys, "argv", words)
    script.main()
    found = re.search(r"of ([\d,]+) moves saved; (\d+) of ([\d,]+) games", capsys.readouterr().out)
    assert found is not None

    moves = ended = wrong = 0
    for pair in read_run(RUN).counted:
        for game in pair.games:
            moves += len(game.moves)
            begins_white = (len(pair.opening.moves) + pair.opening.fen.split().count("b")) % 2 == 0
            lost = [ply for ply, q in enumerate(game.q[:-1]) if centipawns(q) <= -score]
            if lost:
                ended += 1
                loser_is_white = (lost[0] % 2 == 0) == begins_white
                wrong += game.result != ("0-1" if loser_is_white else "1-0")
    assert [int(number.replace(",", "")) for number in found.groups()] == [moves, wrong, ended]
    assert 0 < wrong < ended
