from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scripted_match import (
    ScriptedSearch,
    identity,
    pair,
    play_by_script,
    run_folder,
    write_book,
)
from tiny_net import tiny_payload

import arena.cli
from arena.cli import main
from arena.commands.analyze import searches
from arena.config import ConfigError
from arena.console import COMPILING
from arena.doctor import leaves_of_openings
from arena.evaluator import Choice
from arena.openings import OpeningError, default_book, final_position
from arena.run import next_folder
from swa.command_line import LONGEST_REASON, message_of

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def match(tmp_path, monkeypatch) -> list[str]:
    """``arena run`` of six pairs played by script, in a folder of its own: the words to extend."""
    monkeypatch.chdir(tmp_path)
    play_by_script(monkeypatch)
    write_book(tmp_path / "book.pgn")
    words = ["run", "--nets", "raw.pb", "swa.pb", "--openings", "book.pgn", "--pairs", "6"]
    return [*words, "--no-sprt"]


def run_arena(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "arena", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (RuntimeError("no font"), 2, "error: internal: RuntimeError: no font"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "report cannot be written: no space"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_report_that_goes_wrong_keeps_no_verdict_back(
    match, capsys, monkeypatch, error, code, told
):
    def broken(*_):
        raise error

    monkeypatch.setattr("arena.report.folder.write_pictures", broken)
    assert main([*match, "--out", "run"]) == code
    out, err = capsys.readouterr()
    assert "swa against raw: Elo " in out
    assert "Report: " not in out
    assert told in err
    assert json.loads(Path("run/summary.json").read_text())["pairs"] == 6
    assert main([*match, "--out", "again", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["pairs"] == 6


def test_a_report_that_goes_wrong_ends_no_tournament(match, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr("arena.report.folder.write_pictures", broken)
    place = match.index("swa.pb")
    assert main([*match[: place + 1], "third.pb", *match[place + 1 :], "--out", "cup"]) == 2
    assert capsys.readouterr().err.count("its report is not whole.") == 3
    assert len(list(Path("cup").glob("*/summary.json"))) == 3


def test_a_preset_says_what_it_means_and_does(match, capsys):
    words = [word for word in match if word != "--no-sprt"]
    assert main([*words, "--preset", "pick-best", "--delta", "5", "--out", "run"]) == 0
    shown = capsys.readouterr().err
    assert "pick-best, SPRT [-5, 5] in normalized Elo: promote: the candidate is not 5 Elo" in shown
    assert "With 50 % draws, at most 6 pairs" in shown
    for elo in ("-5.0", "0.0", "5.0"):  # six pairs decide nothing
        assert f"  truly {elo}: promote 0.00 %, keep 0.00 %, undecided 100.00 %, 6 pairs" in shown
    summary = json.loads(Path("run/summary.json").read_text())
    assert (summary["sprt"]["elo0"], summary["sprt"]["elo1"]) == (-5.0, 5.0)


@pytest.mark.parametrize(
    ("flag", "method"), [("--certified", "certified"), ("--overshoot", "overshoot")]
)
def test_the_method_of_the_test_is_the_match_s(match, flag, method):
    words = [word for word in match if word != "--no-sprt"]
    assert main([*words, flag, "-q", "--out", "run"]) == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["sprt"]["method"] == method
    assert (summary["certified"] is not None) == (method == "certified")
    assert main([*words, "--out", "run"]) == 2  # another method is another match


# --- help and errors ---


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from arena.cli import main\n"
        "assert main(['--help']) == main(['run', '--help']) == 0\n"
        "heavy = {'torch', 'numba', 'numpy', 'scipy', 'chess', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr


def test_help_names_the_exit_codes_and_examples():
    done = run_arena("run", "--help", COLUMNS="100")
    assert done.returncode == 0
    for words in ("exit codes:", "examples:", "ELO0 ELO1", "nets:", "match length:", "output:"):
        assert words in done.stdout
    assert "130  interrupted" in done.stdout


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["fly"], "invalid choice: 'fly'"),
        ([], "the following arguments are required: COMMAND"),
        (["run", "--nets", "a.pb"], "a match is between two nets, not 1"),
        (["run", "--nets", "a.pb", "b.pb", "--sprt", "5", "0"], "ELO0 must be below ELO1"),
        (["run", "--nets", "a.pb", "b.pb", "--visits", "0"], "at least 1 visit"),
        (["run", "--nets", "a.pb", "b.pb", "--pairs", "many"], "'many' is not a whole number"),
        (["run", "--nets", "missing.pb", "b.pb"], "missing.pb: cannot read the net"),
        (["run", "--nets", "a.pb", "b.pb", "--config", "no.toml"], "no.toml: cannot read"),
        (["report", "nowhere"], "nowhere: not a run folder"),
        (["analyze", "--net", "a.pb", "--positions", "no.jsonl"], "no.jsonl: no such file"),
        (["analyze", "--net", "a.pb", "--positions", "p", "--moves", "e2e4"], "leave out --fen"),
        (["doctor", "--net", "missing.pb"], "missing.pb: cannot read the net"),
        (["sprt", "1", "2", "3"], "3 counts of pairs, not LL LD WLDD WD WW"),
        (["sprt"], "give five counts of pairs, or --wdl"),
        (["sprt", *"12345", "--sprt-model", "bayesian"], "needs the draws of single games"),
        (["sprt", "1", "2", "3", "4", "-5"], "WW is -5"),
        (["sprt", "1", "2", "3", "4", "5", "--elo0", "5", "--elo1", "0"], "elo0 must be"),
        (["sprt", "1.5", "2", "3", "4", "5"], "'1.5' is not a whole number"),
        (["sprt", "9" * 400, "1", "1", "1", "1"], "a count is above 1,000,000,000,000,000"),
        (["sprt", *"12345", "--alpha", "1e-320"], "alpha is 1e-320: it must be within [1e-09"),
        (["sprt", *"12345", "--alpha", "1e-320", "--json"], "alpha is 1e-320"),
        (["sprt", *"12345", "--elo1", "inf"], "'inf' is not a number"),
        (["sprt", *"12345", "--elo1", "1e-9"], "at least 0.01 Elo apart"),
        (["sprt", "1", "2", "3", "4", "5", "--alpha", "0.9", "--beta", "0.2"], "alpha 0.9"),
    ],
)
def test_bad_input_is_told_in_three_lines_at_most(words, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert what in captured.err
    assert 1 <= len(captured.err.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


def test_what_the_project_raises_is_shown_as_it_is():
    error = OpeningError("book.epd, line 7", "invalid FEN", "Correct it.")
    assert message_of(error, verbose=False) == "error: book.epd, line 7: invalid FEN\n  Correct it."
    assert message_of(ConfigError("--visits 0"), verbose=False) == "error: --visits 0"


def test_an_unforeseen_error_is_no_verdict_and_asks_for_a_report(monkeypatch, capsys):
    def broken() -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(arena.cli, "build_parser", broken)
    assert main(["sprt"]) == 2
    assert capsys.readouterr().err == (
        "error: internal: ZeroDivisionError: division by zero\n"
        "  run again with -v for the traceback; please report\n"
    )


def test_an_unforeseen_error_is_no_page_of_text():
    text = message_of(ZeroDivisionError("nopython mode pipeline\n" * 999), verbose=True)
    assert len(text.splitlines()) == 2
    assert len(text) < LONGEST_REASON + 100


def test_too_little_memory_is_no_fault_of_the_program():
    assert message_of(MemoryError("Unable to allocate 745. GiB"), verbose=False) == (
        "error: not enough memory: Unable to allocate 745. GiB\n"
        "  Ask for less at a time: games in flight, visits, or a smaller net."
    )


def test_a_flag_that_does_not_exist_is_answered_by_its_command(capsys):
    assert main(["report", "here", "--jsno"]) == 2
    assert capsys.readouterr().err == (
        "error: unrecognized arguments: --jsno (did you mean --json?)\n  try: arena report --help\n"
    )


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("arena 0.")


def test_verbose_shows_the_traceback(capsys):
    assert main(["report", "nowhere", "-v"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


# --- run ---


@pytest.mark.draws
def test_run_plays_reports_and_says_so(match, tmp_path, capsys):
    assert main(match) == 0
    captured = capsys.readouterr()
    folder = tmp_path / "reports" / "swa-vs-raw-1"
    assert {path.name for path in folder.iterdir()} == {
        "match.toml",
        "games.jsonl",
        "sessions.jsonl",
        "openings.csv",
        "summary.json",
        "games.pgn",
        "opinions.json",
        "report.md",
        "report.html",
        "pictures",
    }
    lines = captured.out.splitlines()
    assert lines[1] == "Results of swa vs raw (100 visits, float32, book.pgn):"
    assert lines[4] == "Games: 12, Wins: 6, Losses: 0, Draws: 6, Points: 9.0 (75.00 %)"
    assert lines[-2].startswith("swa against raw: Elo 190.85 [-")
    assert lines[-1] == "Report: reports/swa-vs-raw-1/report.md, reports/swa-vs-raw-1/report.html"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["command"] == ["arena", *match]
    assert summary["throughput"]["evaluations_per_second"] > 0


def test_run_says_once_that_it_compiles(match, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("arena.run.kernels_compiled", lambda forward: asked.append(forward))
    assert main(match) == 0
    assert capsys.readouterr().err.splitlines().count(COMPILING) == 1
    assert asked == [True]  # by script winograd evaluates


def test_run_notes_what_evaluated(match, tmp_path):
    assert main([*match, "-q"]) == 0
    folder = tmp_path / "reports" / "swa-vs-raw-1"
    assert json.loads((folder / "summary.json").read_text())["evaluator"] == "winograd (by script)"
    assert main([*match, "-q", "--evaluator", "torch", "--out", str(folder)]) == 0  # not refused


def test_run_takes_the_next_free_folder(match, tmp_path):
    assert main([*match, "-q"]) == main([*match, "-q"]) == 0
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "swa-vs-raw-1",
        "swa-vs-raw-2",
    ]


def test_run_json_is_one_document_and_nothing_else(match, capsys):
    assert main([*match, "--json", "--report-every", "2"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["pentanomial"] == [0, 0, 0, 6, 0]
    assert captured.err.count("Results of swa vs raw") == 3


def test_quiet_says_nothing(match, capsys):
    assert main([*match, "-q"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_run_says_what_it_decided(match, capsys):
    match.remove("--no-sprt")
    assert main([*match[:-1], "16", "--sprt", "0", "300"]) == 0
    verdict = capsys.readouterr().out.splitlines()[-2]
    assert verdict.startswith("swa is stronger than raw: promote (H1 accepted: LLR ")


def test_an_interrupted_match_is_reported_and_goes_on(match, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 5)
    assert main(match) == 130
    captured = capsys.readouterr()
    resume = captured.err.splitlines()[-1].split()
    assert resume == ["arena", *match, "--out", "reports/swa-vs-raw-1"]
    folder = tmp_path / "reports" / "swa-vs-raw-1"
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["pairs"], summary["interrupted"]) == (2, True)
    assert (folder / "games.pgn").read_text().count("[Event ") == 4

    monkeypatch.setattr(ScriptedSearch, "interrupt_after", None)
    assert main(resume[1:]) == 0
    assert "Resumed: 2 finished pairs" in capsys.readouterr().err
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["pairs"], summary["interrupted"], summary["sessions"]) == (6, False, 2)


def test_another_evaluator_is_noted_when_a_match_goes_on(match, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 5)
    match += ["--out", str(tmp_path / "run")]
    assert main(match) == 130
    assert "so far" not in capsys.readouterr().err
    assert main(match) == 130
    assert "so far" not in capsys.readouterr().err
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", None)
    other = Choice("torch", "cpu", "asked for")
    monkeypatch.setattr("arena.run.choose_evaluator", lambda *settings: other)
    assert main(match) == 0
    assert "evaluated by winograd (by script) so far, from here by torch" in capsys.readouterr().err
    named = json.loads((tmp_path / "run" / "summary.json").read_text())["evaluator"]
    assert named == "winograd (by script), then torch (asked for)"


def test_next_folder_is_the_first_that_is_free(tmp_path):
    of = identity(names=("raw/net", "swa #1"))
    assert next_folder(of, tmp_path) == tmp_path / "swa-1-vs-raw-net-1"
    (tmp_path / "swa-1-vs-raw-net-1").mkdir()
    assert next_folder(of, tmp_path) == tmp_path / "swa-1-vs-raw-net-2"


# --- report, sprt, doctor ---


def test_report_rebuilds_what_was_deleted(tmp_path, capsys):
    folder = run_folder(tmp_path / "run", identity(), [pair(0, 1.0, 0.5), pair(1, 0.0, 0.5)])
    assert main(["report", str(folder)]) == 0
    assert f"Report: {folder}/report.md" in capsys.readouterr().out
    first = (folder / "summary.json").read_text()
    (folder / "summary.json").unlink()
    assert main(["report", str(folder), "--json"]) == 0
    assert capsys.readouterr().out == first == (folder / "summary.json").read_text()


def test_sprt_json_has_what_scripts_were_promised(capsys):
    counts = ["11", "240", "560", "297", "14"]
    assert main(["sprt", *counts, "--elo0", "0", "--elo1", "10", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pairs"] == 1122
    assert document["verdict"] == "undecided"
    assert document["elo"] == pytest.approx(9.7568, abs=1e-4)
    assert document["llr_bounds"] == pytest.approx([-2.944439, 2.944439])
    assert document["models"]["normalized"]["llr"] == document["llr"]
    assert document.keys() >= {"score", "elo_ci", "nelo", "nelo_ci", "los", "models"}


def test_sprt_of_single_games(capsys):
    assert main(["sprt", "--wdl", "505", "1297", "442", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["pairs"], document["games"]) == (None, 2244)
    assert document["score"] == pytest.approx(0.5140, abs=1e-4)


def test_sprt_in_bayeselo(capsys):
    """fishtest and fastchess: bounds become scores at the draw Elo of the sample."""
    wdl = ["--wdl", "21629", "41111", "21484", "--elo0", "0.5", "--elo1", "2.5"]
    assert main(["sprt", *wdl, "--sprt-model", "bayesian", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["llr"] == pytest.approx(-1.1307, abs=1e-3)
    assert document["sprt"]["model"] == "bayesian"
    assert list(document["models"]) == ["normalized", "logistic"]
    assert main(["sprt", *wdl, "--sprt-model", "bayesian"]) == 0
    assert "LLR: -1.13 (-38.4%) (-2.94, 2.94) [0.50, 2.50]" in capsys.readouterr().out


@pytest.mark.parametrize("counts", ["0 0 0 0 0", "0 0 9 0 0", "0 0 0 0 40", "7 0 0 0 0"])
def test_sprt_of_what_proves_little_is_finite(counts, capsys):
    assert main(["sprt", *counts.split()]) == 0
    text = capsys.readouterr().out.lower()
    assert "nan" not in text
    assert "inf" not in text
    assert main(["sprt", *counts.split(), "--json"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


@pytest.mark.parametrize("words", [["0"] * 5, ["--wdl", "0", "0", "0"]])
def test_sprt_of_nothing_has_no_llr(words, capsys):
    """As a match has none before its first pair."""
    assert main(["sprt", *words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["llr"], document["verdict"]) == (None, "undecided")
    assert document["models"] == {"normalized": {"llr": None}, "logistic": {"llr": None}}
    assert main(["sprt", *words]) == 0
    text = capsys.readouterr().out
    assert "\nLLR: 0.00 (0.0%) (-2.94, 2.94)" in text
    assert "\nLLR by logistic Elo: 0.00\n" in text
    assert f"different {'game' if '--wdl' in words else 'pair'} results" in text


def test_sprt_rounds_to_no_negative_zero(capsys):
    assert main(["sprt", "0", "0", "1", "0", "0", "--elo1", "0.1"]) == 0
    assert "-0.00" not in capsys.readouterr().out


def test_sprt_keeps_the_end_of_an_interval_that_there_is(capsys):
    """Near a sweep the upper end lies past a perfect score, the lower one does not."""

    def interval(counts: str, *keys: str) -> list[float | None]:
        assert main(["sprt", *counts.split(), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        for key in keys:
            found = found[key]
        return found["elo_ci"]

    for counts, keys in (("0 0 0 1 1", ()), ("0 0 1 3 2", ("stopping_aware",))):
        low, high = interval(counts, *keys)
        assert low > 0
        assert high is None
        mirrored = " ".join(reversed(counts.split()))
        assert interval(mirrored, *keys) == [None, pytest.approx(-low)]
    assert interval("0 0 5 0 0") is None
    low, high = interval("0 0 0 0 5", "anytime")
    assert low > -200
    assert high is None


def test_doctor_json_is_one_document(capsys):
    assert main(["doctor", "--json"]) in (0, 2)
    document = json.loads(capsys.readouterr().out)
    assert document["device"] in document["devices"]
    assert document["cores"] >= 1
    assert {"kernels", "openings"} <= {finding["name"] for finding in document["findings"]}
    assert document["versions"]["torch"]
    assert document["evaluator"] in ("winograd", "torch")
    assert document["evaluator_reason"]


def test_doctor_times_a_net(shared, monkeypatch, capsys):
    monkeypatch.setattr("arena.doctor.SECONDS_A_BATCH_SIZE", 0.02)
    net = str(shared / "nets" / "tinygyal-8.pb.gz")
    assert main(["doctor", "--net", net, "--device", "cpu"]) in (0, 2)
    out = capsys.readouterr().out
    assert "evaluator: winograd (float32 on a CPU)" in out
    assert "tinygyal-8.pb.gz by winograd, one caller:" in out
    assert "batch  256:" in out


def test_doctor_times_real_positions():
    leaves = leaves_of_openings(64)
    assert len(np.unique(leaves.masks, axis=0)) > 50
    squares = np.unpackbits(leaves.masks.view(np.uint8).reshape(64, 112, 8), axis=2).sum(2)
    pieces = np.where(squares == 64, 0, squares).sum(1)  # full planes cost next to nothing
    assert (pieces > 150).all()
    assert (pieces < 500).all()
    assert leaves.offsets.shape == (65,)
    counts = np.diff(leaves.offsets)
    assert counts.sum() == len(leaves.moves)
    assert [
        final_position(default_book().opening(row)).legal_moves.count() for row in range(64)
    ] == (counts.tolist())


def test_doctor_says_why_a_net_goes_to_torch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("arena.doctor.SECONDS_A_BATCH_SIZE", 0.0)
    monkeypatch.setattr("arena.evaluator.why_not", lambda spec: "it is too large")
    (tmp_path / "net.pb").write_bytes(tiny_payload())
    words = ["doctor", "--net", str(tmp_path / "net.pb"), "--device", "cpu"]
    assert main(words) in (0, 2)
    out = capsys.readouterr().out
    assert "evaluator: torch (not covered by winograd: it is too large)" in out
    assert main([*words, "--evaluator", "winograd"]) == 2
    assert "does not cover" in capsys.readouterr().err


@pytest.fixture
def net(shared) -> str:
    return str(shared / "nets" / "tinygyal-8.pb.gz")


def test_analyze_answers_a_file_in_order(net, tmp_path, capsys):
    questions = [
        {"id": "a", "fen": "startpos", "moves": ["e2e4"]},
        {"id": 7, "fen": "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1"},
    ]
    path = tmp_path / "positions.jsonl"
    path.write_text("".join(json.dumps(question) + "\n" for question in questions))
    assert main(["analyze", "--net", net, "--positions", str(path), "--visits", "20"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(a["id"], a["fen"], a["moves"]) for a in answers] == [
        ("a", "startpos", ["e2e4"]),
        (7, "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1", []),
    ]
    for answer in answers:
        assert sum(answer["policy"].values()) == pytest.approx(1.0)
        assert answer["policy"].keys() == answer["logits"].keys()
        assert answer["search"]["visits"] == 20
        assert answer["search"]["children"][0].keys() >= {"move", "visits", "prior", "q"}


def test_analyze_refuses_positions_that_are_no_text(tmp_path, capsys):
    path = tmp_path / "net.pb.gz"
    path.write_bytes(b"\x1f\x8b\xff")
    assert main(["analyze", "--net", "a.pb", "--positions", str(path)]) == 2
    assert "net.pb.gz: not a text file" in capsys.readouterr().err


def test_analyze_searches_where_settings_of_the_search_are_given():
    parser = arena.cli.build_parser()
    alone = ["analyze", "--net", "a.pb"]
    assert not searches(parser.parse_args(alone))
    assert searches(parser.parse_args([*alone, "--visits", "5"]))
    assert searches(parser.parse_args([*alone, "--config", "match.toml"]))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"fen": "junk"}', "line 2: expected 8 rows"),
        ('{"fen": "startpos", "moves": ["e2e5"]}', "line 2: illegal move e2e5"),
        ('{"fen": 7}', 'line 2: needs "fen"'),
        ("{", "line 2: not JSON"),
    ],
)
def test_analyze_names_the_line_that_is_wrong(line, what, net, tmp_path, capsys):
    path = tmp_path / "positions.jsonl"
    path.write_text(f'{{"fen": "startpos"}}\n{line}\n')
    assert main(["analyze", "--net", net, "--positions", str(path)]) == 2
    captured = capsys.readouterr()
    assert what in captured.err
    assert captured.out == ""


def put_nets(folder: Path, *names: str) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(tiny_payload())


def test_run_takes_the_latest_and_goes_on_with_the_same_nets(match, monkeypatch, capsys):
    put_nets(Path("runs"), "t-1.pb", "t-2.pb", "t-swa-2.pb")
    words = ["run", "--nets", "latest:runs", "latest:runs/t-swa", *match[4:]]
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 3)
    assert main([*words, "--out", "m"]) == 130
    said = capsys.readouterr().err
    assert "latest:runs is runs/t-2.pb\n" in said
    assert "latest:runs/t-swa is runs/t-swa-2.pb\n" in said
    resume = said.splitlines()[-1].split()
    assert resume[-3:] == ["--nets", "runs/t-2.pb", "runs/t-swa-2.pb"]
    assert "latest" not in "".join(resume)
    (Path("runs") / "t-3.pb").write_bytes(tiny_payload())
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", None)
    assert main(resume[1:]) == 0
    report = (Path("m") / "report.md").read_text()
    assert "t-2" in report
    assert "latest" not in report
    assert main([*words, "--out", "m"]) == 2  # t-3 is another net than the match's
    assert "t-3" in capsys.readouterr().err


def test_run_takes_the_latest_of_a_file_and_the_last_two(match, capsys):
    put_nets(Path("runs"), "t-1.pb", "t-2.pb", "u-9.pb")
    Path("conf").mkdir()
    text = 'nets = ["latest:../runs/t", "latest:../runs/u"]\n'
    Path("conf/a.toml").write_text(text)
    rest = match[4:]
    assert main(["run", "--config", "conf/a.toml", *rest, "--out", "m"]) == 0
    assert "latest:conf/../runs/t is conf/../runs/t-2.pb\n" in capsys.readouterr().err
    assert main(["run", "--nets", "latest:runs/t:2", *rest, "--out", "n", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert "t-2" in (Path("n") / "report.md").read_text()
    assert main(["run", "--nets", "latest:none", "a.pb", *rest]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_commands_of_one_net_take_the_latest(match, capsys):
    put_nets(Path("runs"), "t-1.pb", "t-2.pb")
    assert main(["analyze", "--net", "latest:runs", "--json"]) == 0
    assert capsys.readouterr().err == "latest:runs is runs/t-2.pb\n"
    assert main(["analyze", "--net", "latest:runs:2", "-q"]) == 2
    assert "here one net is wanted" in capsys.readouterr().err
