"""What summary, report and PGN say of adjudicated games."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import chess.pgn
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from scripted_match import REPETITION, WHITE_MATES, game, identity, pair, run_folder

from arena.adjudication_rules import NO_RULES, AdjudicationRules, DrawRule, ResignRule
from arena.game import GameRecord, PairRecord, PlayedOn, Result, Termination
from arena.referee import check_pair
from arena.report.adjudication import adjudication_summary, conditions
from arena.report.folder import write_reports
from arena.sessions import Pace, Session, now, session_ended, session_started
from arena.stats.proportion import proportion_interval

RULES = AdjudicationRules(resign=ResignRule(), draw=DrawRule(), audit=0.25)


def resigned(whole: GameRecord, plies: int, result: Result, *, audited: bool) -> GameRecord:
    """A game that somebody resigned after some plies."""
    rest = whole.moves[plies:]
    after = PlayedOn(rest, whole.result, whole.termination, 40 * len(rest)) if audited else None
    return replace(
        whole,
        moves=whole.moves[:plies],
        result=result,
        termination=Termination.RESIGNATION,
        q=whole.q[:plies],
        d=whole.d[:plies],
        visits=whole.visits[:plies],
        played_on=after,
    )


def pairs() -> list[PairRecord]:
    """Three pairs: of six games three are adjudicated, two played on, one of them wrongly ended.

    Candidate's games: white mates (7 plies) resigned after 4, right; a draw (8 plies) with black
    that it resigned after 5, wrong; a win resigned after 6, not played on; and 19 plies of others.
    """
    right = resigned(game(True, 1.0), 4, "1-0", audited=True)
    wrong = resigned(game(False, 0.5), 5, "1-0", audited=True)
    unseen = resigned(game(True, 1.0), 6, "1-0", audited=False)
    plain = [pair(number, 1.0, 0.5) for number in range(3)]
    return [
        replace(plain[0], games=(right, plain[0].games[1])),
        replace(plain[1], games=(plain[1].games[0], wrong)),
        replace(plain[2], games=(unseen, game(False, 1.0))),
    ]


def test_the_games_of_this_test_are_games() -> None:
    for record in pairs():
        check_pair(record)


def test_a_summary_counts_rules_nets_and_errors() -> None:
    games = [one for record in pairs() for one in record.games]
    found = adjudication_summary(RULES, games, evaluations=1000)
    assert found is not None
    (rule,) = found["rules"]
    assert (rule["rule"], rule["games"], rule["audited"], rule["wrong"]) == (
        "resignation",
        3,
        2,
        1,
    )
    assert rule["error"] == found["error"] == 0.5
    interval = binomtest(1, 2).proportion_ci(0.95, "exact")
    assert rule["error_ci"] == pytest.approx([interval.low, interval.high])
    assert rule["by_net"]["candidate"] == {
        "wins": 2,
        "draws": 0,
        "losses": 1,
        "wronged": 1,
        "points_withheld": 0.5,
    }
    assert rule["by_net"]["baseline"] == {
        "wins": 1,
        "draws": 0,
        "losses": 2,
        "wronged": 0,
        "points_withheld": -0.5,
    }
    # The audited games went on for 3 plies each; the other one would have, too.
    played = 4 + 3 + 8 + 7 + 5 + 3 + 6 + 4
    assert rule["plies_saved"] == 3.0
    assert found["plies"] == {
        "saved": 3.0,
        "share": pytest.approx(3 / (played + 3)),
        "share_unaudited": pytest.approx(9 / (played + 3)),
    }
    assert rule["evaluations_saved"] == 120.0
    assert found["evaluations"] == {
        "saved": 120.0,
        "share": pytest.approx(120 / 1120),
        "share_unaudited": pytest.approx(360 / 1120),
    }


def test_without_rules_there_is_nothing_to_say() -> None:
    games = [one for record in pairs() for one in record.games]
    assert adjudication_summary(NO_RULES, games, 0) is None
    none = adjudication_summary(RULES, [game(True, 1.0)], 0)
    assert none is not None
    assert none["rules"] == []
    assert none["error"] is none["error_ci"] is none["plies"] is none["evaluations"] is None
    assert conditions(NO_RULES) == "none: games end by the rules of chess"


def test_the_length_limit_foretells_nothing() -> None:
    long = replace(
        game(True, 0.5), result="1/2-1/2", termination=Termination.MAX_LENGTH, played_on=None
    )
    found = adjudication_summary(AdjudicationRules(maxmoves=4), [long], 10)
    assert found is not None
    (rule,) = found["rules"]
    assert (rule["games"], rule["audited"], rule["plies_saved"]) == (1, 0, None)
    assert found["plies"] is None


def test_an_engine_that_fails_in_an_audit_says_nothing_of_the_rule() -> None:
    crashed = resigned(game(True, 1.0), 4, "1-0", audited=True)
    crashed = replace(crashed, played_on=PlayedOn(("d1h5",), "0-1", Termination.CRASH))
    found = adjudication_summary(RULES, [crashed], 10)
    assert found is not None
    assert (found["audited"], found["wrong"], found["rules"][0]["games"]) == (0, 0, 1)


def test_files_of_a_run_with_rules(tmp_path: Path) -> None:
    match = replace(identity(pairs=3, sprt=None), adjudication=RULES)
    folder = run_folder(tmp_path / "run", match, pairs())
    write_reports(folder)

    summary = json.loads((folder / "summary.json").read_text())
    assert summary["adjudication"]["audited"] == 2
    assert summary["config"]["adjudication"]["resign"] == "movecount=3 score=600"

    report = (folder / "report.md").read_text()
    assert (
        "| adjudication | draw movenumber=34 movecount=8 score=20; resign movecount=3 score=600 |\n"
        "| played on all the same | 25.00 % of such games |\n"
    ) in report
    assert "## Adjudication" in report
    assert (
        "| resignation | 3 | 2-0-1 | 2 | 1 (50.00 %): 0 against the baseline, 1 against" in report
    )
    assert (
        "Saved, by the 2 games played on: 6.98 % of all moves; without the audit it would be "
        "20.93 %."
    ) in report
    assert "Of 2 games played on after a resignation, 1 ended otherwise (50.00 %)" in report

    pgn = io.StringIO((folder / "games.pgn").read_text())
    first = chess.pgn.read_game(pgn)
    assert first is not None
    assert first.headers["Termination"] == "resignation"
    assert first.headers["PlyCount"] == "6"
    last = list(first.mainline())[-1]
    assert last.comment.replace("\n", " ").endswith("played on for 3 plies: 1-0, checkmate")
    assert [move.uci() for move in first.mainline_moves()][2:] == WHITE_MATES[:4]
    second = chess.pgn.read_game(pgn)
    assert second is not None
    assert [move.uci() for move in second.mainline_moves()][2:] == REPETITION
    assert "played on" not in list(second.mainline())[-1].comment


def test_saved_are_shares_of_what_was_evaluated_by_nets_and_by_caches(tmp_path: Path) -> None:
    match = replace(identity(pairs=3, sprt=None), adjudication=RULES)
    folder = run_folder(tmp_path / "run", match, pairs())
    session_started(folder, Session(now(), ("arena", "run"), {}, "cpu", 1))
    session_ended(folder, Pace(1.0, 3, evaluations=700, cache_hits=300))

    _, summary = write_reports(folder)
    assert summary["adjudication"] is not None
    games = [one for record in pairs() for one in record.games]
    expected = adjudication_summary(RULES, games, evaluations=1000)
    assert expected is not None
    assert summary["adjudication"]["evaluations"] == expected["evaluations"]


def test_a_run_without_audits_says_so(tmp_path: Path) -> None:
    games = [replace(one, played_on=None) for one in pairs()[0].games]
    record = replace(pairs()[0], games=(games[0], games[1]))
    match = replace(identity(pairs=1, sprt=None), adjudication=replace(RULES, audit=0.0))
    folder = run_folder(tmp_path / "run", match, [record])
    write_reports(folder)
    report = (folder / "report.md").read_text()
    assert "1 game was adjudicated and none was played on: nobody knows" in report
    assert "Saved, by" not in report


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.9, 0.95, 0.99]))
def test_an_interval_is_clopper_s_and_pearson_s(seen: int, of: int, confidence: float) -> None:
    seen = min(seen, of)
    expected = binomtest(seen, of).proportion_ci(confidence, "exact")
    assert proportion_interval(seen, of, confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_nothing_seen_is_not_nothing_there() -> None:
    assert proportion_interval(0, 72) == (0.0, pytest.approx(1 - 0.025 ** (1 / 72)))
    assert proportion_interval(5, 5) == (pytest.approx(0.025 ** (1 / 5)), 1.0)
    assert proportion_interval(0, 0) == (0.0, 1.0)
    for seen, of, confidence in ((3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)):
        with pytest.raises(ValueError, match="at confidence"):
            proportion_interval(seen, of, confidence)
