from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import chess
import chess.pgn
import pytest
from scripted_match import OPENINGS, identity, pair, run_folder

from arena.config import Part
from arena.game import Opening
from arena.ledger import Ledger, LedgerError
from arena.match_file import TablesIdentity
from arena.report.caveats import caveats
from arena.report.files import atomic_writer
from arena.report.folder import write_reports
from arena.report.markdown import markdown
from arena.report.markup import escape
from arena.report.pgn import MatchTags, write_pgn
from arena.report.run import read_run
from arena.report.schema import Summary
from arena.report.summary import summarize
from arena.scores import centipawns
from arena.sessions import NetFile, Pace, Session, read_sessions, session_ended, session_started
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import Sprt

HOSTILE = 'a"b\\c\n[Event "x"]<script>alert(1)</script>|`*_[link](http://evil) {brace} @user é'

# What scripts read (the project's interfaces); more keys are welcome, these stay.
PROMISED_KEYS = {
    "nets",
    "config",
    "pairs",
    "pentanomial",
    "wins",
    "draws",
    "losses",
    "elo",
    "elo_ci",
    "nelo",
    "nelo_ci",
    "los",
    "llr",
    "llr_bounds",
    "sprt",
    "verdict",
    "versions",
    "throughput",
}

MIXED = [(1.0, 0.5), (1.0, 0.0), (0.5, 0.5), (0.0, 0.5), (1.0, 1.0)]


def mixed_pairs():
    return [pair(number, *points) for number, points in enumerate(MIXED)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five pairs of sixteen, one more behind a gap."""
    return run_folder(tmp_path / "run", identity(), [*mixed_pairs(), pair(7, 0.0, 0.0)])


def session(**changes) -> Session:
    values = {
        "started": "2025-01-31T23:59:59+00:00",
        "command": ("arena", "run", "--nets", "my raw.pb", "swa.pb"),
        "versions": {"python": "3.11.0"},
        "device": "cpu (a processor)",
        "parallel": 64,
        "nets": (NetFile("b" * 64, "swa.pb.gz", "6x64 relu", 12000),),
    }
    return Session(**(values | changes))


# --- summary.json ---


def test_summary_has_what_scripts_were_promised(folder):
    summary = summarize(read_run(folder))
    assert summary.keys() >= PROMISED_KEYS
    assert summary.keys() == Summary.__annotations__.keys()


def test_summary_counts_the_pairs_in_the_order_of_issue(folder):
    summary = summarize(read_run(folder))
    assert summary["pairs"] == 5
    assert summary["pairs_beyond"] == 1
    assert summary["pentanomial"] == [0, 1, 2, 1, 1]
    assert (summary["wins"], summary["draws"], summary["losses"]) == (4, 4, 2)
    assert summary["by_colour"] == {
        "white": {"games": 5, "wins": 3, "draws": 1, "losses": 1, "score": 0.7},
        "black": {"games": 5, "wins": 1, "draws": 3, "losses": 1, "score": 0.5},
    }
    assert summary["terminations"] == {"checkmate": 6, "3-fold repetition": 4}
    assert (summary["state"], summary["interrupted"]) == ("unfinished", True)
    assert summary["verdict"] == "undecided"
    assert summary["openings"]["distinct"] == 5
    assert summary["models"]["normalized"]["llr"] == summary["llr"]
    assert summary["models"]["logistic"]["llr"] != summary["llr"]


def test_summary_of_a_decided_match(tmp_path):
    decisive = [pair(number, 1.0, (0.5, 1.0)[number % 2]) for number in range(16)]
    folder = run_folder(tmp_path / "run", identity(sprt=Sprt(0, 300)), decisive)
    summary = summarize(read_run(folder))
    assert (summary["state"], summary["verdict"]) == ("decided", "promote")
    assert summary["decided_at"] == summary["pairs"] < 16
    assert summary["pairs"] + summary["pairs_beyond"] == 16
    assert summary["llr"] >= summary["llr_bounds"][1]


def test_summary_of_an_empty_run_is_null_where_nothing_is_known(tmp_path):
    folder = run_folder(tmp_path / "run", identity(), [])
    _, summary = write_reports(folder)
    assert summary["pairs"] == 0
    for key in ("elo", "elo_ci", "nelo", "los", "score", "llr", "plies", "draw_ratio", "command"):
        assert summary[key] is None
    text = (folder / "report.md").read_text()
    assert "no pair has been finished yet" in text
    assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)
    assert (folder / "games.pgn").read_text() == ""


def test_summary_without_a_test(tmp_path):
    folder = run_folder(tmp_path / "run", identity(sprt=None, pairs=5), mixed_pairs())
    _, summary = write_reports(folder)
    assert (summary["sprt"], summary["llr"], summary["llr_bounds"]) == (None, None, None)
    assert summary["state"] == "limit"
    assert "no test was asked for" in (folder / "report.md").read_text()


def test_repeated_games_are_found_by_their_moves_across_pairs(tmp_path):
    twice = [pair(0, 1.0, 0.5), pair(1, 1.0, 1.0, opening=OPENINGS[0])]
    summary = summarize(read_run(run_folder(tmp_path / "run", identity(), twice)))
    assert summary["repeated_games"] == 1
    assert (summary["pairs"], summary["pairs_repeated"], summary["pairs_beyond"]) == (1, 1, 0)
    assert summary["pentanomial"] == [0, 0, 0, 1, 0]
    assert "1 pair with such a game is not counted" in rendered(tmp_path / "run")


def test_a_pair_of_one_game_played_twice_is_a_result_not_a_repetition(tmp_path):
    # White wins both: the nets played the same moves, whoever had them.
    summary = summarize(read_run(run_folder(tmp_path / "run", identity(), [pair(0, 1.0, 0.0)])))
    assert (summary["repeated_games"], summary["mirrored_pairs"]) == (0, 1)


def test_sessions_are_put_to_the_test_of_homogeneity(tmp_path):
    """The first session wins everything, the second loses everything."""
    records = [pair(n, *((1.0, 1.0) if n < 8 else (0.0, 0.0))) for n in range(16)]
    folder = tmp_path / "run"
    with Ledger.open_or_create(folder, identity(sprt=None)) as ledger:
        session_started(folder, session(pairs_before=0))
        for record in records[:8]:
            ledger.append(record)
        session_started(folder, session(pairs_before=8))
        for record in records[8:]:
            ledger.append(record)
    run = read_run(folder)
    assert [part.pentanomial for part in run.parts] == [(0, 0, 0, 0, 8), (8, 0, 0, 0, 0)]
    assert run.parts == [PairCounts(WW=8), PairCounts(LL=8)]
    summary = summarize(run)
    assert summary["homogeneity"]["p_value"] < 0.001
    assert any("sessions do not agree" in caveat for caveat in caveats(run, summary))


def test_what_was_in_flight_at_an_interrupt_is_in_no_part(tmp_path):
    """Pairs 3 and 5 were slow: the second session had to begin them anew."""
    records = [pair(n, 1.0, 0.5) for n in range(12)]
    folder = tmp_path / "run"
    with Ledger.open_or_create(folder, identity(sprt=None, pairs=12)) as ledger:
        session_started(folder, session(pairs_before=0))
        for number in (1, 0, 2, 4, 6):
            ledger.append(records[number])
        session_started(folder, session(pairs_before=5))  # killed before it finished anything
        session_started(folder, session(pairs_before=5))
        for number in (7, 3, 8, 5, 9, 10, 11):
            ledger.append(records[number])
    run = read_run(folder)
    assert len(run.counted) == 12
    assert [part.pairs for part in run.parts] == [3, 5]  # 0 to 2, and 7 to 11


def test_sessions_give_the_conditions_that_do_not_decide(folder):
    session_started(folder, session())
    session_ended(folder, Pace(seconds=60.0, pairs=3, visits=600, evaluations=300, batch_slots=400))
    session_started(
        folder,
        session(
            started="2025-02-01T08:00:00+00:00",
            device="cuda:0 (a GPU)",
            evaluator="torch (runs on cuda)",
        ),
    )
    summary = summarize(read_run(folder))
    assert summary["evaluator"] == "torch (runs on cuda)"
    assert (summary["date"], summary["sessions"]) == ("2025-01-31", 2)
    assert summary["device"] == "cpu (a processor), then cuda:0 (a GPU)"
    assert summary["throughput"]["pairs_per_minute"] == 3.0
    assert summary["throughput"]["batch_fill"] == 0.75
    assert [net["training_steps"] for net in summary["nets"]] == [None, 12000]


def test_all_evaluators_that_played_are_named(folder):
    by_torch, by_winograd = (
        session(evaluator=evaluator) for evaluator in ("torch (asked for)", "winograd (on a CPU)")
    )
    session_started(folder, by_torch)
    session_ended(folder, Pace(seconds=1.0, pairs=2))
    session_started(folder, by_torch)  # killed: it may have played
    session_started(folder, by_winograd)
    session_ended(folder, Pace(seconds=1.0, pairs=3))
    session_started(folder, by_torch)
    session_ended(folder, Pace(seconds=1.0, pairs=0))
    run = read_run(folder)
    assert summarize(run)["evaluator"] == "torch (asked for), then winograd (on a CPU)"
    assert "| torch (asked for), then winograd (on a CPU) |" in markdown(run, summarize(run))
    session_started(folder, by_torch)
    named = summarize(read_run(folder))["evaluator"]
    assert named == "torch (asked for), then winograd (on a CPU), then torch (asked for)"


def test_a_session_of_before_evaluators_were_noted_is_read(folder):
    session_started(folder, session())
    path = folder / "sessions.jsonl"
    line = json.loads(path.read_text())
    del line["evaluator"]
    path.write_text(json.dumps(line) + "\n")
    run = read_run(folder)
    assert [old.evaluator for old in run.sessions] == [None]
    assert "| evaluator |" not in markdown(run, summarize(run))
    session_started(folder, session(evaluator="winograd (float32 on a CPU)"))
    run = read_run(folder)
    assert "| evaluator | winograd (float32 on a CPU) |" in markdown(run, summarize(run))


def test_a_torn_session_line_is_skipped_and_swallows_no_other(folder):
    session_started(folder, session())
    with (folder / "sessions.jsonl").open("a") as file:
        file.write('{"ended": "2025-')
    session_started(folder, session(device="mps"))
    assert [s.device for s in read_sessions(folder)] == ["cpu (a processor)", "mps"]
    text = (folder / "sessions.jsonl").read_text()
    odd = text.splitlines()[0].replace('{"python": "3.11.0"}', "[]")
    (folder / "sessions.jsonl").write_text(f'{text}{odd}\n{{"ended": "x", "seconds": {10**400}}}\n')
    assert [s.device for s in read_sessions(folder)] == ["cpu (a processor)", "mps"]


@pytest.mark.draws
def test_the_reports_can_be_deleted_and_come_back_the_same(folder):
    session_started(folder, session())
    write_reports(folder)
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name in ("summary.json", "games.pgn", "report.md"):
        (folder / name).unlink()
    shutil.rmtree(folder / "pictures")
    write_reports(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


def test_no_run_folder_is_an_error_of_few_lines(tmp_path):
    with pytest.raises(LedgerError) as error:
        read_run(tmp_path)
    assert len(str(error.value).splitlines()) <= 3


def test_a_file_that_cannot_be_finished_leaves_the_last_good_one(tmp_path):
    path = tmp_path / "report.md"
    path.write_text("good")

    def write_half() -> None:
        with atomic_writer(path) as file:
            file.write("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]
    assert path.read_text() == "good"


# --- games.pgn ---


def read_games(path: Path) -> list[chess.pgn.Game]:
    games = []
    with path.open() as file:
        while (game := chess.pgn.read_game(file)) is not None:
            games.append(game)
    return games


def test_pgn_is_what_was_played(tmp_path):
    pairs = mixed_pairs()
    path = tmp_path / "games.pgn"
    write_pgn(path, pairs, MatchTags("raw", "swa", 100, "2025-01-31"))
    games = read_games(path)
    assert len(games) == 10
    records = [(pair, game) for pair in pairs for game in pair.games]
    for read, (record, game) in zip(games, records, strict=True):
        assert read.errors == []
        assert [m.uci() for m in read.mainline_moves()] == [*record.opening.moves, *game.moves]
        assert read.headers["Result"] == game.result
        assert read.headers["Termination"] == game.termination.value
        assert read.headers["White"] == ("swa" if game.candidate_white else "raw")
        assert read.headers["Black"] == ("raw" if game.candidate_white else "swa")
        assert read.headers["PlyCount"] == str(read.end().ply())
        assert read.headers["Opening"] == record.opening.name
        assert read.headers["Date"] == "2025.01.31"
        comments = [node.comment for node in read.mainline()]
        assert comments[:2] == ["book", "book"]
        for comment, q, visits in zip(comments[2:], game.q, game.visits, strict=True):
            score, count = comment.split("/")
            assert float(score) == pytest.approx(centipawns(q) / 100)
            assert int(count) == visits
    assert [game.headers["Round"] for game in games[:3]] == ["1.1", "1.2", "2.1"]


def test_pgn_begins_where_the_opening_does(tmp_path):
    board = chess.Board("4k3/8/8/8/8/8/4P3/4K3 b - - 5 33")
    record = pair(0, 0.5, 0.5)
    moves = ["e8e7", "e1d2", "e7e8"]
    games = tuple(
        replace(game, moves=tuple(moves), q=(0.0,) * 3, d=(1.0,) * 3, visits=(1,) * 3)
        for game in record.games
    )
    record = replace(record, opening=Opening(board.fen()), games=games)
    path = tmp_path / "games.pgn"
    write_pgn(path, [record], MatchTags("raw", "swa", 1))
    [game, _] = read_games(path)
    assert game.board() == board
    assert (game.headers["SetUp"], game.headers["FEN"]) == ("1", board.fen())
    assert game.headers["Date"] == "????.??.??"
    assert "33... Ke7 {+0.00/1} 34. Kd2" in path.read_text()


def test_pgn_lines_are_at_most_80_columns(tmp_path):
    path = tmp_path / "games.pgn"
    write_pgn(path, mixed_pairs(), MatchTags("raw", "swa", 100))
    moves = [line for line in path.read_text().splitlines() if not line.startswith("[")]
    assert max(map(len, moves)) <= 80


def test_hostile_names_cannot_break_the_pgn(tmp_path):
    record = pair(0, 1.0, 0.0, opening=replace(OPENINGS[0], name=HOSTILE))
    path = tmp_path / "games.pgn"
    write_pgn(path, [record], MatchTags(HOSTILE, "swa", 100))
    games = read_games(path)
    assert len(games) == 2
    assert all(not game.errors for game in games)
    assert games[0].headers["Event"].startswith("swa against a'b/c [Event 'x']<script>")
    assert games[0].end().board().is_checkmate()


@pytest.mark.skipif(
    shutil.which("pgn-extract", path="/usr/games:/usr/bin") is None,
    reason="needs pgn-extract (apt-get install pgn-extract)",
)
def test_pgn_extract_reads_every_game(tmp_path):
    path = tmp_path / "games.pgn"
    write_pgn(path, [*mixed_pairs(), pair(5, 1.0, 0.0)], MatchTags(HOSTILE, "swa", 100))
    program = shutil.which("pgn-extract", path="/usr/games:/usr/bin")
    done = subprocess.run([program, "-r", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "12 games matched out of 12" in done.stderr


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0.0, 0), (0.5, 89), (-0.5, -89), (1.0, 12780), (-1.0, -12780), (1.2, 12780)],
)
def test_centipawns_are_lc0_s(q, expected):
    assert centipawns(q) == expected


# --- report.md ---


def rendered(folder: Path) -> str:
    run = read_run(folder)
    return markdown(run, summarize(run))


def test_report_begins_with_the_verdict_and_a_block_to_copy(folder):
    lines = rendered(folder).splitlines()
    assert lines[0] == "# swa against raw"
    assert lines[2].startswith("**swa against raw: unfinished, undecided (LLR ")
    assert lines[4] == "```text"
    assert lines[6] == "Results of swa vs raw (100 visits, float32, book.pgn):"
    assert lines[lines.index("```") - 1] == "-" * 50


def test_report_shows_the_numbers_of_the_summary(folder):
    session_started(folder, session())
    text, summary = rendered(folder), summarize(read_run(folder))
    fixed = "as of a match of fixed length"
    assert f"| Elo (logistic), {fixed} | {summary['elo']:.2f} |" in text
    assert f"| normalized Elo, {fixed} | {summary['nelo']:.2f} |" in text
    low, high = summary["headline"]["elo_ci"]
    row = f"| **Elo, valid at every moment of the match** | {summary['elo']:.2f} |"
    assert f"{row} {low:.2f} to {high:.2f} |" in text
    assert "| [0, 1, 2, 1, 1] |" in text
    assert "| white | 5 | 3 | 1 | 1 | 70.00 % |" in text
    assert "| checkmate | 6 | 60.00 % |" in text
    assert "| what | baseline | candidate |" in text
    assert "| file | - | swa.pb.gz |" in text
    assert "| net | - | 6x64 relu |" in text
    assert "| training steps | - | 12,000 |" in text
    assert "| sha256 | `aaaaaaaaaaaaaaaa` | `bbbbbbbbbbbbbbbb` |" in text
    assert "| command | arena run --nets 'my raw.pb' swa.pb |" in text
    assert "lc0's defaults |" in text


def test_report_and_summary_name_the_tablebases(tmp_path):
    tables = TablesIdentity("e" * 64, files=290, pieces=5, search=True, fast_play=False)
    folder = run_folder(tmp_path / "run", replace(identity(), tables=tables), [pair(0, 1.0, 0.5)])
    row = "| tablebases | Syzygy, up to 5 pieces, 290 files (sha256 of their names and sizes "
    assert f"{row}`{'e' * 16}`); nets search by them |" in rendered(folder)
    assert summarize(read_run(folder))["config"]["tb"]["pieces"] == 5
    assert "tablebases" not in rendered(run_folder(tmp_path / "other", identity(), []))


def test_hostile_names_cannot_break_the_report(tmp_path):
    names = (HOSTILE, "swa")
    folder = run_folder(tmp_path / "run", identity(names=names), [pair(0, 1.0, 0.5)])
    session_started(folder, session(command=("arena", HOSTILE), device=HOSTILE))
    text = rendered(folder)
    before, block, after = re.split(r"^```(?:text)?$", text, flags=re.MULTILINE)
    for part in (before, after):
        assert "<script>" not in part
        assert not re.search(r"(?<!\\)\]\(http", part)
        assert "@user" not in part
    assert len(block.strip().splitlines()) == 11
    rows = [line for line in text.splitlines() if line.startswith("| name")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 4


def test_escaped_text_reads_as_it_was():
    assert escape("swa-10.pb (best) [0, 10]") == "swa-10.pb (best) [0, 10]"
    assert escape("a_b*c|d\x1b[31m") == r"a\_b\*c\|d [31m"


def caveat_text(folder: Path) -> str:
    run = read_run(folder)
    return "\n".join(caveats(run, summarize(run)))


def test_caveats_are_those_that_apply(folder, tmp_path):
    unfinished = caveat_text(folder)
    assert "not finished (5 of 16 pairs at most)" in unfinished
    assert "5 pairs are few" in unfinished
    assert "Not counted: 1 finished pair," in unfinished
    assert "In 2 pairs the nets played the same moves" in unfinished
    assert "overstates" not in unfinished

    decisive = [pair(number, 1.0, 1.0 - 0.5 * (number % 2)) for number in range(16)]
    decided = caveat_text(run_folder(tmp_path / "d", identity(sprt=Sprt(0, 300)), decisive))
    assert "overstates the difference" in decided
    assert "not finished (" not in decided


def test_sessions_of_different_versions_are_told(folder):
    session_started(folder, session())
    session_started(folder, session())
    assert "different versions" not in caveat_text(folder)
    session_started(folder, session(versions={"python": "3.12.0"}))
    assert "had different versions of Python or of its libraries" in caveat_text(folder)


def test_a_match_without_a_test_says_all_played_once_they_are(tmp_path):
    fixed = identity(pairs=len(MIXED), sprt=None)
    before = rendered(run_folder(tmp_path / "before", fixed, mixed_pairs()[:-1]))
    after = rendered(run_folder(tmp_path / "after", fixed, mixed_pairs()))
    assert f"| most pairs | {len(MIXED)}, all to be played |" in before
    assert f"| most pairs | {len(MIXED)}, all played |" in after


def test_summary_json_is_one_document(folder):
    write_reports(folder)
    text = (folder / "summary.json").read_text()
    assert json.load(io.StringIO(text))["pairs"] == 5
    assert text.endswith("}\n")


def test_what_killed_reports_left_behind_goes_with_the_next_one(folder):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    left = [f".games.pgn.{int(dead.stdout)}.tmp", f".report.md.{int(dead.stdout)}.tmp"]
    kept = [f".summary.json.{os.getppid()}.tmp", ".games.pgn.mine.tmp"]  # somebody still writes
    for name in (*left, *kept):
        (folder / name).touch()
    write_reports(folder)
    assert {path.name for path in folder.iterdir() if path.name[0] == "."} == set(kept)


def test_a_report_of_a_part_says_what_it_is(folder):
    session_started(folder, session(part=Part(2, 3)))
    run = read_run(folder)
    text = rendered(folder)
    assert summarize(run)["parts"] == ["2/3"]
    assert "part 2/3" in text
    assert any(
        "`arena merge` puts the parts together" in one for one in caveats(run, summarize(run))
    )
