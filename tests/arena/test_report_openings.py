"""What reports say of the openings: which were taken, and what came of each."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import chess
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_match import OPENINGS, game, identity, pair, run_folder

from arena.game import NO_SCORE, Opening, PairRecord, Remark
from arena.report.folder import write_reports
from arena.report.openings import (
    COLUMNS,
    OPENINGS_FILE,
    OpeningScores,
    best_and_worst,
    opening_scores,
    opening_text,
    white_points,
)

POINTS = [(1.0, 0.5), (1.0, 0.0), (0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
"""The candidate's, with White and with Black. White has 1.5, 2, 1, 1, 1, 0."""


def pairs() -> list[PairRecord]:
    return [pair(number, *points) for number, points in enumerate(POINTS)]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / OPENINGS_FILE).open(newline="") as file:
        return list(csv.DictReader(file))


def section(folder: Path) -> str:
    report = (folder / "report.md").read_text()
    return report.partition("## Openings\n")[2].partition("\n## ")[0]


# --- figures ---


def test_scores_of_openings() -> None:
    assert opening_scores(pairs()) == OpeningScores(1, 1, 1, 1, 6.5 / 12)
    assert opening_scores([]) == OpeningScores(0, 0, 0, 0, None)


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 2), max_size=30))
def test_white_and_black_share_two_points_a_pair(points: list[tuple[float, float]]) -> None:
    played = [pair(number, *one) for number, one in enumerate(points)]
    assert [white_points(one) for one in played] == [1.0 + w - b for w, b in points]
    scores = opening_scores(played)
    swapped = opening_scores([pair(number, b, w) for number, (w, b) in enumerate(points)])
    assert (scores.white, scores.black) == (swapped.black, swapped.white)
    if points:
        assert scores.white_score == pytest.approx(1.0 - (swapped.white_score or 0.0))


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 2), max_size=30))
def test_best_and_worst_are_the_ends_of_the_order(points: list[tuple[float, float]]) -> None:
    played = [pair(number, *one) for number, one in enumerate(points)]
    best, worst = best_and_worst(played, shown=3)
    above = [one for one in played if one.candidate_points > 1]
    below = [one for one in played if one.candidate_points < 1]
    assert best == sorted(above, key=lambda one: -one.candidate_points)[:3]
    assert worst == sorted(below, key=lambda one: one.candidate_points)[:3]


@pytest.mark.parametrize(
    ("opening", "text"),
    [
        (Opening(chess.STARTING_FEN), "start position"),
        (Opening(chess.STARTING_FEN, ("e2e4", "c7c5")), "1. e4 c5"),
        (Opening(chess.STARTING_FEN, ("e2e4",), "B00 King's Pawn"), "B00 King's Pawn: 1. e4"),
        (
            Opening("8/8/8/8/8/4k3/4p3/4K2R b K - 0 40", ("e3d3",)),
            "8/8/8/8/8/4k3/4p3/4K2R b K - 0 40: 40...Kd3",
        ),
        (
            Opening("1r2k2r/8/8/8/8/8/8/1R2K2R w HBhb - 0 1", ("e1b1", "e8g8")),
            "1r2k2r/8/8/8/8/8/8/1R2K2R w HBhb - 0 1: 1. O-O-O O-O",
        ),
    ],
)
def test_an_opening_as_people_read_it(opening: Opening, text: str) -> None:
    assert opening_text(opening) == text


# --- files ---


def test_every_pair_has_a_row(tmp_path: Path) -> None:
    behind_a_gap = pair(9, 0.0, 0.0, OPENINGS[9])
    folder = run_folder(tmp_path / "run", identity(), [*pairs()[::-1], behind_a_gap])
    write_reports(folder)
    found = rows(folder)
    assert tuple(found[0]) == COLUMNS
    assert [row["pair"] for row in found] == ["1", "2", "3", "4", "5", "6", "10"]
    assert [row["counted"] for row in found] == ["yes"] * 6 + ["no"]
    assert [float(row["candidate_points"]) for row in found] == [1.5, 1, 1, 0, 2, 1, 0]
    assert [float(row["white_points"]) for row in found] == [1.5, 2, 1, 1, 1, 0, 1]
    assert found[0] == {
        "pair": "1",
        "counted": "yes",
        "name": "edge a2a3 a7a6",
        "fen": chess.STARTING_FEN,
        "moves": "a2a3 a7a6",
        "position": "rnbqkbnr/1ppppppp/p7/8/8/P7/1PPPPPPP/RNBQKBNR w KQkq - 0 2",
        "candidate_points": "1.5",
        "candidate_as_white": "1.0",
        "candidate_as_black": "0.5",
        "white_points": "1.5",
        "white_q_candidate": "-0.3",
        "white_q_baseline": "-0.3",
    }


@pytest.mark.parametrize("turn", [chess.WHITE, chess.BLACK])
def test_evaluations_are_white_s_and_of_who_moves_first(tmp_path: Path, turn: bool) -> None:
    moves = ("a2a3", "a7a6") if turn == chess.WHITE else ("a2a3",)
    if turn == chess.BLACK:  # White's mate, after a move of each side less
        line = ("a7a6", "e2e4", "e7e5", "f1c4", "b8c6", "d1h5", "g8f6", "h5f7")
    else:
        line = ("e2e4", "e7e5", "f1c4", "b8c6", "d1h5", "g8f6", "h5f7")
    rest = (0.0,) * (len(line) - 1)
    zero = (0,) * len(line)
    as_white = replace(game(True, 1.0), moves=line, q=(0.25, *rest), d=(0.0, *rest), visits=zero)
    as_black = replace(game(False, 0.0), moves=line, q=(0.5, *rest), d=(0.0, *rest), visits=zero)
    record = PairRecord(0, Opening(chess.STARTING_FEN, moves), (as_white, as_black))
    folder = run_folder(tmp_path / "run", identity(), [record])
    write_reports(folder)
    [row] = rows(folder)
    # The candidate moves first with White if White is to move, else with Black.
    expected = ("0.25", "0.5") if turn == chess.WHITE else ("-0.5", "-0.25")
    assert (row["white_q_candidate"], row["white_q_baseline"]) == expected


def test_a_player_that_never_moved_has_said_nothing(tmp_path: Path) -> None:
    from arena.game import Termination

    lost = replace(game(True, 0.0), moves=(), q=(), d=(), visits=(), termination=Termination.CRASH)
    record = replace(pair(0, 0.0, 1.0), games=(lost, pair(0, 0.0, 1.0).games[1]))
    folder = run_folder(tmp_path / "run", identity(), [record])
    write_reports(folder)
    assert rows(folder)[0]["white_q_candidate"] == ""


def test_an_engine_that_told_no_score_has_said_nothing(tmp_path: Path) -> None:
    record = pair(0, 1.0, 0.5)
    first, second = record.games
    remarks = (Remark(score=NO_SCORE), *[Remark(score="+0.10")] * (len(first.moves) - 1))
    record = replace(record, games=(replace(first, remarks=remarks), second))
    folder = run_folder(tmp_path / "run", identity(), [record])
    write_reports(folder)
    (row,) = rows(folder)
    assert (row["white_q_candidate"], row["white_q_baseline"]) == ("", "-0.3")


def test_hostile_names_stay_in_their_cell(tmp_path: Path) -> None:
    name = 'a,"b"\n|c|`<d>`'
    folder = run_folder(
        tmp_path / "run", identity(), [pair(0, 1.0, 1.0, Opening(OPENINGS[0].fen, (), name))]
    )
    write_reports(folder)
    assert rows(folder)[0]["name"] == 'a,"b" |c|`<d>`'
    assert r'| a,"b" \|c\|\`&lt;d&gt;\`' in section(folder)


def test_the_report_shows_the_ends_and_the_bias(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", identity(), pairs())
    write_reports(folder)
    text = section(folder)
    assert "swa won both games from 1 of 6 openings and lost both from 1." in text
    assert "White won both from 1, Black from 1; White's score is 54.17 %." in text
    table = [line for line in text.splitlines() if line.startswith("| edge")]
    assert [line.split(" | ")[1:] for line in table] == [
        ["5", "2 of 2", "1 of 2 |"],
        ["1", "1.5 of 2", "1.5 of 2 |"],
        ["4", "0 of 2", "1 of 2 |"],
    ]
    assert table[0].startswith("| edge a2a4 a7a6: 1. a4 a6 |")


def test_before_the_first_pair_there_is_no_section(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", identity(), [])
    write_reports(folder)
    assert "## Openings" not in (folder / "report.md").read_text()
    assert rows(folder) == []


def test_what_was_taken_of_the_book_is_said(tmp_path: Path) -> None:
    plain = identity()
    taken = replace(plain.openings, plies=6, start=101, least_q=0.25, most_q=0.5)
    for number, (openings, words) in enumerate(
        [
            (plain.openings, "random order, seed 7; each opening played twice"),
            (
                taken,
                "random order, seed 7, from number 101 on, at most 6 plies of each, only those "
                "that the baseline's net values at 0.25 to 0.5 either way; each opening played",
            ),
        ]
    ):
        folder = tmp_path / str(number)
        run_folder(folder, replace(plain, openings=openings), pairs())
        _, summary = write_reports(folder)
        assert words in (folder / "report.md").read_text()
        assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["openings"]["plies"] == 6
    assert summary["openings"]["start"] == 101
    assert summary["openings"]["filter"] == [0.25, 0.5]
    assert (summary["openings"]["won"], summary["openings"]["white_score"]) == (1, 6.5 / 12)
