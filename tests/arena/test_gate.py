"""The gate: one decision of a match, as the exit code, and never a promotion on doubt."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_folders import EVEN, LOST, WON, between, played
from scripted_match import ScriptedSearch, play_by_script, write_book

from arena.cli import main
from arena.faults import VoidPair, note_void
from arena.gate import (
    EXIT_CODES,
    GateError,
    _beside,
    _said,
    decide,
    decide_folder,
    decision_document,
    resume_command,
)
from arena.report.headline import Headline, Kind, headline
from arena.report.run import read_run
from arena.report.summary import summarize
from arena.sessions import Session, session_started
from arena.stats.elo import EloEstimate
from arena.stats.sprt import Sprt, Verdict

FIXED = {"sprt": None, "pairs": 16}


@pytest.fixture
def match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """``arena gate`` of at most 16 pairs by script, each 1.5 points for the candidate."""
    monkeypatch.chdir(tmp_path)
    play_by_script(monkeypatch)
    write_book(tmp_path / "book.pgn")
    words = ["gate", "--nets", "raw.pb", "swa.pb", "--openings", "book.pgn", "--pairs", "16"]
    return [*words, "--out", "run"]


# --- by a folder ---


@pytest.mark.parametrize(
    ("points", "code", "line"),
    [
        (WON, 0, "promote: b is stronger than a (H1 accepted: LLR "),
        (LOST, 1, "keep: b is not shown to be stronger than a (H0 accepted: LLR -"),
    ],
)
def test_a_test_decides(tmp_path, capsys, points, code, line):
    folder = played(tmp_path / "run", between("a", "b"), points)
    assert main(["gate", str(folder)]) == code
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith(line)
    assert ": promote (" not in out
    assert err == ""
    assert main(["gate", str(folder), "-q"]) == code
    assert capsys.readouterr() == ("", "")


def test_the_limit_decides_nothing(tmp_path, capsys):
    folder = played(tmp_path / "run", between("a", "b", pairs=6, sprt=Sprt(0, 50)), EVEN)
    assert main(["gate", str(folder)]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("undecided: b against a: no decision within the limit")
    assert err == ""  # there is nothing to go on with


@pytest.mark.parametrize(
    ("points", "min_elo", "verdict"),
    [
        (WON, 0.0, Verdict.PROMOTE),
        (WON, 2000.0, Verdict.KEEP),
        (LOST, 0.0, Verdict.KEEP),
        (LOST, -2000.0, Verdict.PROMOTE),
        (EVEN, 0.0, Verdict.UNDECIDED),
    ],
)
def test_without_a_test_the_interval_decides(tmp_path, points, min_elo, verdict):
    folder = played(tmp_path / "run", between("a", "b", sprt=None, pairs=len(points)), points)
    decision = decide_folder(folder, min_elo)
    assert (decision.verdict, decision.by, decision.min_elo) == (verdict, "min-elo", min_elo)
    found = headline(decision.run.judgement)
    assert f"{found.elo.low:.2f}" in decision.reason
    assert decision.exit_code == EXIT_CODES[verdict]


ENDS = st.none() | st.floats(-800, 800)


@given(low=ENDS, high=ENDS, asked=st.floats(-1000, 1000))
def test_only_an_interval_that_excludes_the_bound_decides(low, high, asked):
    verdict = _beside(Headline(Kind.FIXED_LENGTH, EloEstimate(0.0, low, high)), asked)
    above = low is not None and low > asked
    below = high is not None and high < asked
    if not above and not below:
        assert verdict is Verdict.UNDECIDED
    elif above != below:  # an interval has its ends in order
        assert verdict is (Verdict.PROMOTE if above else Verdict.KEEP)


@pytest.mark.parametrize(
    ("verdict", "min_elo", "words"),
    [
        (Verdict.PROMOTE, 0.0, "c is stronger than b ("),
        (Verdict.PROMOTE, 5.0, "c is more than 5 Elo stronger than b ("),
        (Verdict.PROMOTE, -5.0, "c is not 5 Elo weaker than b ("),
        (Verdict.KEEP, 0.0, "c is weaker than b ("),
        (Verdict.KEEP, 5.0, "c is not 5 Elo stronger than b ("),
        (Verdict.KEEP, -5.0, "c is more than 5 Elo weaker than b ("),
        (Verdict.UNDECIDED, 5.0, "c against b: whether Elo is above 5 is left open by Elo 1.00 ["),
    ],
)
def test_what_the_interval_says(verdict, min_elo, words):
    found = Headline(Kind.FIXED_LENGTH, EloEstimate(1.0, None, 9.0))
    said = _said(verdict, ("c", "b"), found, min_elo, "6 pairs")
    assert said.startswith(words)
    assert "1.00 [n/a, 9.00]" in said


def test_a_sweep_has_an_interval_all_the_same(tmp_path):
    folder = played(tmp_path / "run", between("a", "b", **FIXED), [(1.0, 1.0)] * 16)
    assert decide_folder(folder, 0.0).verdict is Verdict.PROMOTE
    folder = played(tmp_path / "level", between("a", "b", **FIXED), [(0.5, 0.5)] * 16)
    assert decide_folder(folder, 0.0).verdict is Verdict.UNDECIDED


def test_faults_leave_no_decision(tmp_path, capsys):
    for name, of, flags in (
        ("test", between("a", "b"), []),
        ("fixed", between("a", "b", **FIXED), ["--min-elo", "0"]),
    ):
        folder = played(tmp_path / name, of, WON)
        assert main(["gate", str(folder), *flags]) == 0
        for number in range(3):
            note_void(folder, VoidPair(number, 1, "the machine is on fire", "2026-01-01"))
        capsys.readouterr()
        # Its summary.json, older than the faults, says "promote": it is not asked.
        assert json.loads((folder / "summary.json").read_text())["doubts"] == []
        assert main(["gate", str(folder), *flags]) == 3
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith("undecided: b against a: no verdict, since 3 pairs were void")


def test_an_unfinished_match_decides_nothing_and_says_how_to_go_on(tmp_path, capsys):
    # So far it would promote at +0 Elo by an interval that holds at any moment.
    strong = [(1.0, 1.0)] * 15
    folder = played(tmp_path / "run", between("a", "b", **FIXED), strong, "2026-01-05")
    assert main(["gate", str(folder), "--min-elo", "0"]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("undecided: ")
    assert "15 pairs" in out.splitlines()[-1]
    assert err.splitlines() == ["The match is not finished. To go on:", "  arena"]


@pytest.mark.parametrize(
    ("command", "kept", "out"),
    [
        ("run --nets a b", "run --nets a b", "run"),
        ("run --nets a b --out x", "run --nets a b", "run"),
        ("run --out=x --net path=a --net path=b", "run --net path=a --net path=b", "run"),
        ("run --nets a b --part 2/3 --seed 1", "run --nets a b --seed 1", "run"),
        ("run --nets a b --part=2/3", "run --nets a b", "run"),
        ("gate --nets a b", "gate --nets a b", "run"),
        # An encounter of a tournament is gone on with by the tournament.
        ("run --nets a b c --pairs 4", "run --nets a b c --pairs 4", "."),
        ("run --nets a b --engine cmd=c", "run --nets a b --engine cmd=c", "."),
        ("nightly nightly.toml", "nightly nightly.toml", None),
    ],
)
def test_the_command_that_goes_on(tmp_path, command, kept, out):
    folder = played(tmp_path / "run", between("a", "b"), EVEN[:2])
    assert resume_command(read_run(folder)) == ()  # nobody knows how it was played
    for day, words in ((5, ("other",)), (6, ("arena", *command.split()))):
        session_started(folder, Session(f"2026-01-0{day}T10:00:00+00:00", words, {}, "cpu", 1))
    where = [] if out is None else ["--out", str(tmp_path / out)]
    assert resume_command(read_run(folder)) == ("arena", *kept.split(), *where)


def test_nothing_is_left_to_play_of_a_match_that_is_over(tmp_path):
    folder = played(tmp_path / "run", between("a", "b"), WON, "2026-01-05")
    assert resume_command(read_run(folder)) == ()


def test_a_raised_limit_is_judged_by_what_holds_at_any_moment(tmp_path):
    of = between("a", "b", sprt=None, pairs=6)
    points = [(1.0, 1.0), (1.0, 0.5)] * 3
    fixed = played(tmp_path / "fixed", of, points)
    assert decide_folder(fixed, 0.0).verdict is Verdict.PROMOTE
    raised = played(tmp_path / "raised", replace(of, earlier_limits=(4,)), points)
    assert headline(read_run(raised).judgement).kind is Kind.ANYTIME
    assert decide_folder(raised, 0.0).verdict is Verdict.UNDECIDED


def test_the_document_has_the_numbers_of_the_summary(tmp_path, capsys):
    folder = played(tmp_path / "run", between("a", "b"), WON, "2026-01-05")
    assert main(["gate", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    summary = json.loads((folder / "summary.json").read_text())
    own = ["format", "verdict", "reason", "by", "min_elo", "folder", "go_on"]
    assert list(document)[: len(own)] == own
    assert all(document[key] == summary[key] for key in list(document)[len(own) :])
    assert document["verdict"] == "promote"
    assert (document["by"], document["folder"]) == ("test", str(folder))
    promised = "nets config pairs pentanomial wins draws losses elo elo_ci nelo nelo_ci los llr "
    promised += "llr_bounds sprt versions throughput doubts headline"
    assert set(promised.split()) <= set(document)


def test_a_folder_whose_name_is_no_text_is_in_the_document(tmp_path, capsys):
    folder = played(tmp_path / os.fsdecode(b"r\xffn"), between("a", "b"), EVEN[:2], "2026-01-05")
    assert main(["gate", str(folder), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["folder"].endswith("r\ufffdn")


def test_every_key_of_the_document_is_explained():
    text = (Path(__file__).parents[2] / "docs" / "matches.md").read_text(encoding="utf-8")
    section = text.partition("\n## One decision")[2].partition("\n## ")[0]
    for key in ("format", "verdict", "reason", "by", "min_elo", "folder", "go_on"):
        assert f"`{key}`" in section


def test_the_verdict_of_an_interval_is_the_document_s(tmp_path):
    folder = played(tmp_path / "run", between("a", "b", **FIXED), WON)
    run = read_run(folder)
    document = decision_document(decide(run, 0.0), summarize(run))
    assert summarize(run)["verdict"] == "undecided"
    assert (document["verdict"], document["by"], document["min_elo"]) == ("promote", "min-elo", 0.0)


# --- what cannot decide ---


@pytest.mark.parametrize(
    ("of", "flags", "told"),
    [
        (between("a", "b"), ["--min-elo", "3"], "--min-elo 3: the match has a test"),
        (between("a", "b", **FIXED), [], "a match without a test decides nothing by itself"),
        (between("a", "b"), ["--visits", "9"], "--visits and RUN_DIR contradict each other"),
        (between("a", "b"), ["--no-sprt"], "--sprt and RUN_DIR contradict each other"),
        (between("a", "b"), ["--nets", "a", "b"], "--nets and RUN_DIR contradict each other"),
        (between("a", "b"), ["--net", "path=a"], "--net and RUN_DIR contradict each other"),
        (between("a", "b"), ["--config", "x"], "--config and RUN_DIR contradict each other"),
        (between("a", "b"), ["--min-elo", "nan"], "'nan' is not a number"),
    ],
)
def test_what_is_refused_beside_a_folder(tmp_path, capsys, of, flags, told):
    folder = played(tmp_path / "run", of, WON)
    assert main(["gate", str(folder), *flags]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert len(err.splitlines()) <= 3


def test_folders_that_are_no_match(tmp_path, capsys):
    played(tmp_path / "cup" / "1", between("a", "b"), WON)
    played(tmp_path / "cup" / "2", between("a", "c"), WON)
    for folder, told in (("cup", "holds several matches"), ("none", "not a run folder")):
        assert main(["gate", str(tmp_path / folder)]) == 2
        err = capsys.readouterr().err
        assert told in err
        assert len(err.splitlines()) <= 3


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--no-sprt"], "a match without a test decides nothing by itself"),
        (["--min-elo", "0"], "--min-elo 0: the match has a test"),
        (["--part", "1/2"], "--part 1/2: a part decides nothing"),
        (["--nets", "a", "b", "c"], "3 players: a gate is between two"),
    ],
)
def test_nothing_is_played_that_could_not_decide(match, tmp_path, capsys, flags, told):
    assert main([*match, *flags]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) <= 3
    assert not (tmp_path / "run").exists()


# --- by a match that is played ---


def test_two_nets_are_played_and_decided(match, tmp_path, capsys):
    assert main([*match, "--sprt", "0", "300"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-2] == "Report: run/report.md, run/report.html"
    assert out[-1].startswith("promote: swa is stronger than raw (H1 accepted: LLR ")
    assert (tmp_path / "run" / "summary.json").is_file()
    # Decided already, it is only read again; and by its folder it is decided the same.
    assert main([*match, "--sprt", "0", "300", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert main(["gate", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == again


@pytest.mark.parametrize(
    ("points", "flags", "code"),
    [
        ((0.0, 0.5), ["--sprt", "0", "300"], 1),
        ((0.5, 0.5), ["--sprt", "-300", "300"], 3),
        ((1.0, 0.5), ["--no-sprt", "--min-elo", "0"], 0),
        ((0.5, 0.5), ["--no-sprt", "--min-elo", "0"], 3),
    ],
)
def test_the_other_ends(match, monkeypatch, capsys, points, flags, code):
    monkeypatch.setattr(ScriptedSearch, "points", points)
    assert main([*match, *flags, "-q"]) == code
    assert capsys.readouterr().out == ""


def test_an_interrupt_is_told_from_a_decision(match, monkeypatch, capsys):
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 5)
    assert main([*match, "--sprt", "0", "300", "--json"]) == 130
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["verdict"], document["pairs"]) == ("undecided", 2)
    assert err.splitlines()[-2] == "Interrupted. To go on:"
    resume = shlex.split(err.splitlines()[-1])
    assert resume == document["go_on"]
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", None)
    assert main(resume[1:]) == 0
    assert "Resumed: 2 finished pairs" in capsys.readouterr().err


def test_a_report_that_goes_wrong_keeps_no_decision_back(match, monkeypatch, capsys):
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arena.report.folder.write_pictures", broken)
    assert main([*match, "--sprt", "0", "300"]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("promote: ")
    assert "Report: " not in out
    assert "the report cannot be written" in err
    assert main(["gate", "run", "-q"]) == 0


def test_an_undecidable_run_is_the_same_error_for_programs(tmp_path):
    run = read_run(played(tmp_path / "run", between("a", "b", **FIXED), WON))
    with pytest.raises(GateError, match="decides nothing"):
        decide(run)
