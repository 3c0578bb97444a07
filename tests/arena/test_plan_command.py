from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_match import identity, pair, run_folder

from arena.cli import main
from arena.ledger import Ledger

REPOSITORY = Path(__file__).parent.parent.parent


def document(capsys, *words: str) -> dict:
    assert main(["plan", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_table(capsys):
    assert main(["plan", "--elo0", "0", "--elo1", "10", "--true", "0", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "SPRT [0, 10] normalized Elo, alpha 0.05, beta 0.05, no limit of pairs"
    assert lines[1] == "Games: draw rate 50.0 %, opening bias 0.0 Elo"
    assert lines[3].endswith(" 90 %")
    assert lines[4].split()[:4] == ["0.00", "0.00", "4.9", "%"]
    assert lines[5].split()[:2] == ["7.07", "10.00"]
    assert lines[-2].startswith("Cost: ")
    assert "minute" not in lines[-2]
    assert lines[-1].startswith("Of the plain GSPRT; a certified test takes 2 to 10 % more pairs")


def test_document(capsys):
    words = ["--elo0", "-5", "--elo1", "5", "--sprt-model", "logistic", "--pairs", "500"]
    found = document(capsys, *words, "--pairs-per-minute", "10", "--draw-rate", "0.3")
    assert found["sprt"] == {
        "elo0": -5.0,
        "elo1": 5.0,
        "alpha": 0.05,
        "beta": 0.05,
        "model": "logistic",
    }
    assert (found["preset"], found["method"], found["computed_by"]) == (None, "gsprt", "diffusion")
    assert found["pairs_limit"] == 500
    assert found["assumed"]["draw_rate"] == 0.3
    assert [row["elo"] for row in found["rows"]] == [-10 + 2.5 * i for i in range(9)]
    for row in found["rows"]:
        assert row["minutes"] == pytest.approx(row["pairs"] / 10)
        assert row["promote"] + row["keep"] + row["undecided"] == pytest.approx(1.0)
        assert row["p90"] <= 500


def test_presets_say_what_they_mean(capsys):
    assert main(["plan", "--preset", "pick-best", "--delta", "6", "--pairs-per-minute", "4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("SPRT [-6, 6]")
    assert "the candidate is not 6 Elo weaker" in out
    assert "pairs a minute" in out
    found = document(capsys, "--preset", "pick-best", "--delta", "60")
    assert (found["preset"], found["computed_by"]) == ("pick-best", "rehearsal")


def test_one_pair(capsys):
    assert main(["plan", "--elo0", "-5", "--elo1", "5", "--true", "0", "--pairs", "1"]) == 0
    out = capsys.readouterr().out
    assert "beta 0.05, at most 1 pair\n" in out
    assert "(where it takes longest, 0.0 Elo)" in out


@pytest.mark.parametrize(
    "words",
    [
        ["--elo1", "0.01", "--alpha", "1e-9", "--beta", "1e-9"],
        ["--elo1", "0.01", "--pairs", "1"],
        ["--elo0", "599.99", "--elo1", "600", "--sprt-model", "logistic", "--draw-rate", "0"],
        ["--alpha", "0.98", "--beta", "1e-9", "--pairs", "1000000000000"],
        ["--elo1", "5", "--alpha", "1e-6", "--beta", "0.9", "--draw-rate", "0.999", "--pairs", "1"],
        ["--draw-rate", "0.999", "--opening-bias", "0.001", "--true", "1e-12", "--pairs", "9"],
        [
            "--elo0",
            "3",
            "--elo1",
            "3.01",
            "--draw-rate",
            "0.999",
            "--true",
            "599",
            "--sprt-model",
            "logistic",
        ],
        ["--true", "-600", "600", "--pairs-per-minute", "1e-4"],
        ["--elo0", "-600", "--elo1", "600", "--pairs-per-minute", "1e6"],
    ],
)
def test_at_the_limits_of_what_may_be_asked(words, capsys):
    found = document(capsys, *words)
    for row in found["rows"]:
        assert row["promote"] + row["keep"] + row["undecided"] == pytest.approx(1.0)
        assert row["pairs"] > 0.0
    assert main(["plan", *words]) == 0
    assert not {"nan", "inf"} & set(capsys.readouterr().out.split())


@pytest.fixture
def played(tmp_path) -> Path:
    """A run folder of eight pairs: 16 games, 8 of them drawn, every pair but two level."""
    results = [(1.0, 0.0), (1.0, 0.5), (0.5, 0.5), (0.5, 0.5)] * 2
    folder = tmp_path / "run"
    run_folder(folder, identity(), [pair(i, *points) for i, points in enumerate(results)])
    return folder


def test_takes_the_games_of_a_run(played, capsys):
    found = document(capsys, "--elo1", "20", "--from", str(played))
    assert found["assumed"]["run_pairs"] == 8
    assert found["assumed"]["draw_rate"] == pytest.approx(10 / 16)
    assert found["assumed"]["opening_bias"] > 0
    assert (
        document(capsys, "--from", str(played), "--draw-rate", "0.3", "--opening-bias", "0")["rows"]
        == document(capsys, "--draw-rate", "0.3")["rows"]
    )


def test_a_run_without_pairs_tells_nothing(tmp_path, capsys):
    Ledger.open_or_create(tmp_path / "run", identity()).close()
    assert main(["plan", "--from", str(tmp_path / "run")]) == 2
    assert "no pair is finished yet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan.png", "plan.svg"])
def test_plot(name, tmp_path, capsys):
    path = tmp_path / name
    assert main(["plan", "--elo1", "20", "--pairs", "300", "--plot", str(path), "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert path.read_bytes().startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--elo0", "5", "--elo1", "0"], "elo0 must be the smaller one"),
        (["--elo0", "10"], "elo0 must be the smaller one"),
        (["--elo0", "nan"], "'nan' is not a number"),
        (["--alpha", "0.9", "--beta", "0.2"], "alpha 0.9"),
        (["--draw-rate", "1"], "draw rate is 1.0"),
        (["--draw-rate", "-0.2"], "draw rate is -0.2"),
        (["--draw-rate", "0.8", "--opening-bias", "200"], "cannot be biased by 200 Elo"),
        (["--pairs", "0"], "at least 1 pair"),
        (["--pairs", "1.5"], "'1.5' is not a whole number"),
        (["--pairs", "9" * 400], "above 1,000,000,000,000: leave it out"),
        (["--pairs-per-minute", "0"], "must be from 0.0001 to 1,000,000"),
        (["--pairs-per-minute", "1e-300"], "must be from 0.0001"),
        (["--pairs-per-minute", "1e300"], "must be from 0.0001"),
        (["--true", "9e6"], "a true Elo of 9000000.0: it must be within +-600"),
        (["--true", "0", "nan"], "'nan' is not a number"),
        (["--alpha", "1e-320"], "alpha is 1e-320: it must be within [1e-09, 1)"),
        (["--elo1", "1e-200"], "they must be at least 0.01 Elo apart"),
        (["--preset", "superiority", "--delta", "1e-7"], "at least 0.01 Elo apart"),
        (["--delta", "5"], "--delta is of a preset"),
        (["--preset", "superiority", "--elo0", "1"], "leave out --elo0"),
        (["--preset", "superiority", "--delta", "-1"], "above 0 Elo"),
        (["--from", "nowhere"], "nowhere: not a run folder"),
        (["--plot", "plan.gif"], "must end in .png or .svg"),
        (["--plot", "no/plan.png"], "the plot cannot be written"),
    ],
)
def test_bad_input(words, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert what in captured.err
    assert 1 <= len(captured.err.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


def test_a_table_needs_no_matplotlib_and_help_nothing():
    code = (
        "import sys\n"
        "from arena.cli import main\n"
        "assert main(['plan', '--help']) == 0\n"
        "assert not {'numpy', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert main(['plan']) == 0\n"
        "assert not {'torch', 'numba', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
