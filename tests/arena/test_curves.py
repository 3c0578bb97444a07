"""The curves of a report against recomputation by the longest way, python-chess for the boards."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import chess
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_of_runs import SESSION, varied
from scipy.stats import binomtest
from scripted_match import OPENINGS, identity, pair, run_folder

from arena.game import (
    NO_SCORE,
    WHITE_POINTS,
    GameRecord,
    Opening,
    PairRecord,
    Remark,
    Result,
    Termination,
)
from arena.judgement import Judgement
from arena.match_file import EngineIdentity, MatchIdentity, NetIdentity, Role
from arena.players import NO_LIMITS
from arena.report.curves.calibration import LEAST_POSITIONS, MOST_BINS, calibration
from arena.report.curves.deciding import deciding
from arena.report.curves.expectations import engines_of, expected_games
from arena.report.curves.match import curves_of, divergence, lengths, path, session_speeds
from arena.report.curves.opening_groups import MOST_GROUPS, family, first_moves, opening_groups
from arena.report.run import read_run
from arena.report.summary import summarize
from arena.sessions import Pace
from arena.stats.confidence import confidence_sequence
from arena.stats.pentanomial import PairCounts
from arena.stats.proportion import wilson
from arena.stats.sprt import PAIR_MODELS, Method, Sprt

CHESS960 = "nrkbqbrn/pppppppp/8/8/8/8/PPPPPPPP/NRKBQBRN w GBgb - 0 1"

STARTS = (
    Opening(chess.STARTING_FEN),
    Opening(chess.STARTING_FEN, ("e2e4", "c7c5", "g1f3"), "B27 Sicilian Defense: Hyperaccelerated"),
    Opening("8/P3k3/8/8/8/8/3K3p/8 b - - 12 60", (), "promotions"),
    Opening("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 3 9", ("e1g1",)),
    Opening("4k3/8/8/8/1p6/8/P7/4K3 w - - 0 1", ("a2a4",), "en passant"),
    Opening(CHESS960, ("g2g3", "g7g6")),
)

RESULTS: tuple[Result, ...] = ("1-0", "1/2-1/2", "0-1")


def random_pairs(
    seed: int, number: int, engine: Role | None = None, plies: int = 14
) -> list[PairRecord]:
    """Pairs of legal games by chance, of which the second often begins like the first.

    A few values of q, so that there are equal ones. An ``engine`` often tells no score.
    """
    chance = random.Random(seed)
    records = []
    for index in range(number):
        opening = chance.choice(STARTS)
        first = _moves(opening, chance, (), plies)
        shared = first[: chance.randrange(len(first) + 1)] if first else ()
        games = [
            _game(opening, moves, white, chance, engine)
            for moves, white in ((first, True), (_moves(opening, chance, shared, plies), False))
        ]
        records.append(PairRecord(3 * index, opening, (games[0], games[1])))
    return records


def _moves(
    opening: Opening, chance: random.Random, begin: Sequence[str], plies: int
) -> tuple[str, ...]:
    board = _board(opening, begin)
    moves = list(begin)
    while len(moves) < chance.randrange(plies + 1) and (legal := list(board.legal_moves)):
        move = chance.choice(legal)
        moves.append(board.uci(move, chess960=False) if not board.chess960 else move.uci())
        board.push(move)
    return tuple(moves)


def _game(
    opening: Opening,
    moves: tuple[str, ...],
    white: bool,
    chance: random.Random,
    engine: Role | None,
) -> GameRecord:
    q = tuple(chance.choice((-1.0, -0.5, -0.25, 0.0, 0.125, 0.75, 1.0)) for _ in moves)
    remarks = []
    board = _board(opening)
    for value, move in zip(q, moves, strict=True):
        mover: Role = "candidate" if (board.turn == chess.WHITE) is white else "baseline"
        score = chance.choice((f"{value:+.2f}", f"{value:+.2f}", NO_SCORE, ""))
        remarks.append(Remark(score if mover == engine else "", seconds=0.5))
        board.push_uci(move)
    return GameRecord(
        candidate_white=white,
        moves=moves,
        result=chance.choice(RESULTS),
        termination=Termination.RESIGNATION,
        q=q,
        d=(0.0,) * len(moves),
        visits=(1,) * len(moves),
        remarks=tuple(remarks) if engine else (),
    )


def _board(opening: Opening, moves: Sequence[str] = ()) -> chess.Board:
    board = chess.Board(opening.fen, chess960=opening.fen == CHESS960)
    for move in (*opening.moves, *moves):
        board.push_uci(move)
    return board


def match_with(engine: Role | None) -> MatchIdentity:
    players = [NetIdentity("baseline", "raw", "a" * 64), NetIdentity("candidate", "swa", "b" * 64)]
    if engine is not None:
        fish = EngineIdentity(engine, "fish", "c" * 64, "fish", "Fish 1", (), (), (), NO_LIMITS)
        players[engine == "candidate"] = fish  # type: ignore[call-overload]
    return replace(identity(), nets=tuple(players))


def said(
    record: PairRecord, game: GameRecord, engine: Role | None
) -> list[tuple[Role, float | None, str]]:
    """Mover, its q where it said one, and the FEN before each move, by the board."""
    board = _board(record.opening)
    found = []
    for index, move in enumerate(game.moves):
        white = board.turn == chess.WHITE
        mover: Role = "candidate" if white is game.candidate_white else "baseline"
        silent = mover == engine and game.remarks[index].score in ("", "?")
        fen = board.fen(shredder=board.chess960)
        found.append((mover, None if silent else game.q[index], fen))
        board.push_uci(move)
    return found


seeds = st.integers(0, 2**32)
players = st.sampled_from([None, "baseline", "candidate"])
few_pairs = st.integers(0, 12)


# --- path ---


@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 2), max_size=40),
    st.integers(1, 60),
    st.sampled_from([None, *PAIR_MODELS]),
)
@settings(max_examples=25)
def test_path_is_the_match_after_some_of_its_pairs(points, most, model):
    sprt = None if model is None else Sprt(-3, 5, model=model)
    shown = path([pair(number, *both) for number, both in enumerate(points)], sprt, most)
    numbers = [point["pairs"] for point in shown]
    assert len(shown) == min(most, len(points))
    assert numbers[-1:] == ([len(points)] if points else [])
    gaps = [after - before for before, after in itertools.pairwise([0, *numbers])]
    assert all(gap >= 1 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 1
    for point in shown:
        counts = PairCounts()
        for both in points[: point["pairs"]]:
            counts += PairCounts.of_pair(*both)
        interval = confidence_sequence(counts)
        assert point["score"] == sum(map(sum, points[: point["pairs"]])) / (2 * point["pairs"])
        assert point["elo"] == interval.elo.elo
        ends = [interval.elo.low, interval.elo.high]
        assert point["elo_ci"] == (None if ends == [None, None] else ends)
        assert point["llr"] == (None if sprt is None else sprt.llr(counts))


@pytest.mark.parametrize("method", Method)
def test_path_has_the_llr_of_the_judgement_after_every_pair(method):
    records = varied(30)
    sprt = Sprt(0, 5, method=method)
    judgement = Judgement.start(sprt, 100)
    for record, point in zip(records, path(records, sprt), strict=True):
        judgement = judgement.then(record.points)
        assert point["llr"] == judgement.llr


def test_path_ends_with_the_figures_of_the_summary(tmp_path):
    summary = summarize(read_run(run_folder(tmp_path / "run", identity(pairs=40), varied(30))))
    last = summary["curves"]["path"][-1]
    assert (last["pairs"], last["score"]) == (summary["pairs"], summary["score"])
    assert last["llr"] == summary["llr"]
    assert last["elo_ci"] == summary["anytime"]["elo_ci"]


# --- calibration ---


@given(seeds, st.integers(0, 25), players)
@settings(max_examples=20)
def test_calibration_is_that_of_every_move_by_the_board(seed, number, engine):
    records = random_pairs(seed, number, engine, plies=40)
    engines = engines_of(match_with(engine))
    found = calibration(list(expected_games(records, engines)))
    assert found.keys() == {"baseline", "candidate"}
    for role in ("baseline", "candidate"):
        moves = []
        for record in records:
            for game in record.games:
                white = WHITE_POINTS[game.result]
                mine = white if game.candidate_white is (role == "candidate") else 1 - white
                moves += [
                    ((q + 1) / 2, mine, record.number)
                    for mover, q, _ in said(record, game, engine)
                    if mover == role and q is not None
                ]
        moves.sort(key=lambda move: move[0])
        bins = found[role]
        sizes = [each["positions"] for each in bins]
        assert sum(sizes) == len(moves)
        assert len(bins) == (min(MOST_BINS, max(1, len(moves) // LEAST_POSITIONS)) if moves else 0)
        assert not sizes or max(sizes) - min(sizes) <= 1
        rest = iter(moves)
        for each in bins:
            own = list(itertools.islice(rest, each["positions"]))
            assert each["expected"] == pytest.approx(np.mean([move[0] for move in own]))
            assert each["scored"] == pytest.approx(np.mean([move[1] for move in own]))
            assert each["pairs"] == len({move[2] for move in own})
            check_interval(each["scored_ci"], own)


def check_interval(interval, moves):
    """The formulas of the module's docstring, by loops."""
    pairs = {number for _, _, number in moves}
    if len(pairs) < 10:
        assert interval is None
        return
    mean = sum(points for _, points, _ in moves) / len(moves)
    variance = 0.0
    for number in pairs:
        own = [points for _, points, of in moves if of == number]
        variance += (sum(own) - mean * len(own)) ** 2
    variance *= len(pairs) / (len(pairs) - 1) / len(moves) ** 2
    effective = mean * (1 - mean) / variance if variance > 1e-15 else len(pairs)
    # Wilson's ends are where (mean - p)^2 = z^2 p (1 - p) / n.
    for end in interval:
        assert 0.0 <= end <= 1.0
        assert (mean - end) ** 2 == pytest.approx(
            1.959963984540054**2 * end * (1 - end) / effective, abs=1e-9
        )
    assert interval[0] <= mean <= interval[1]


@given(st.integers(0, 40), st.integers(1, 40))
@settings(max_examples=30)
def test_wilson_is_scipys(wins, losses):
    expected = binomtest(wins, wins + losses).proportion_ci(0.95, "wilson")
    found = wilson(wins / (wins + losses), wins + losses)
    assert found == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_calibration_intervals_cover_the_truth_though_positions_are_not_independent(monkeypatch):
    """150 matches of 40 pairs whose games have 1 to 30 positions, all with the pair's result."""
    monkeypatch.setattr("arena.report.curves.calibration.MOST_BINS", 1)
    chance = random.Random(1)
    covered = by_positions = 0
    for _ in range(150):
        records = []
        for number in range(40):
            length = 2 * chance.randrange(1, 31)
            won = chance.random() < 0.35
            games = [_silent_game(white, won, length) for white in (True, False)]
            records.append(PairRecord(number, OPENINGS[0], (games[0], games[1])))
        (whole,) = calibration(list(expected_games(records, ())))["candidate"]
        low, high = whole["scored_ci"]
        covered += low <= 0.35 <= high
        naive = wilson(whole["scored"], whole["positions"])
        by_positions += naive[0] <= 0.35 <= naive[1]
    assert 0.90 <= covered / 150 <= 0.99
    assert by_positions / 150 < 0.5


def _silent_game(white: bool, won: bool, length: int) -> GameRecord:
    """A game that the candidate won or lost, each player expecting a draw all the time."""
    return GameRecord(
        white,
        ("a2a3",) * length,
        "1-0" if won is white else "0-1",
        Termination.RESIGNATION,
        (0.0,) * length,
        (0.0,) * length,
        (1,) * length,
    )


@pytest.mark.parametrize("score", ["", NO_SCORE])
def test_an_engine_that_tells_no_score_expects_nothing(score):
    records = random_pairs(5, 10, engine="candidate")
    silent = [
        replace(
            record,
            games=tuple(
                replace(game, remarks=tuple(mark._replace(score=score) for mark in game.remarks))
                for game in record.games
            ),
        )
        for record in records
    ]
    games = list(expected_games(silent, engines_of(match_with("candidate"))))
    found = calibration(games)
    assert found["candidate"] == []
    assert found["baseline"]
    assert deciding(games) == []
    # The same records of two nets with clocks: q is what they say.
    assert calibration(list(expected_games(silent, ())))["candidate"]


# --- lengths ---


@given(seeds, few_pairs, st.sampled_from([3, 40, 130]))
@settings(max_examples=30)
def test_lengths_have_every_game_once(seed, number, plies):
    records = random_pairs(seed, number, plies=plies)
    rows = lengths(records)
    counts = Counter()
    for record in records:
        for game in record.games:
            length = len(_board(record.opening, game.moves).move_stack)
            (row,) = (
                place
                for place, row in enumerate(rows)
                if row["plies_from"] <= length <= row["plies_to"]
                and (row["colour"] == "white") is game.candidate_white
            )
            outcome = {1.0: "wins", 0.5: "draws", 0.0: "losses"}[game.candidate_points]
            counts[row, outcome] += 1
    for place, row in enumerate(rows):
        for outcome in ("wins", "draws", "losses"):
            assert row[outcome] == counts[place, outcome]
    assert [row["colour"] for row in rows] == ["white", "black"] * (len(rows) // 2)
    widths = {row["plies_to"] - row["plies_from"] + 1 for row in rows}
    assert len(widths) <= 1
    for before, after in itertools.pairwise(rows[::2]):
        assert after["plies_from"] == before["plies_to"] + 1
    assert len(rows) <= 32


# --- openings ---


@given(seeds, st.integers(0, 60))
@settings(max_examples=30)
def test_opening_groups_share_out_the_pairs(seed, number):
    records = random_pairs(seed, number, plies=2)
    groups = opening_groups(records)
    if not groups:
        return
    assert sum(group["pairs"] for group in groups) == len(records)
    points = sum(record.candidate_points for record in records)
    assert sum(2 * g["pairs"] * g["score"] for g in groups) == pytest.approx(points)
    white = sum(WHITE_POINTS[game.result] for record in records for game in record.games)
    assert sum(2 * g["pairs"] * g["white_score"] for g in groups) == pytest.approx(white)
    named = [group for group in groups if group["name"] != "others"]
    assert groups == named + [group for group in groups if group["name"] == "others"]
    sizes = [group["pairs"] for group in named]
    assert sizes == sorted(sizes, reverse=True)
    assert len(named) <= MOST_GROUPS


def test_opening_groups_have_anytime_intervals_of_their_pairs():
    records = [
        pair(number, *((1.0, 0.5), (0.5, 0.0), (1.0, 0.0))[number % 3], opening=opening)
        for number, opening in enumerate([replace(OPENINGS[0], name="A")] * 12)
    ]
    records += [pair(12 + n, 0.0, 0.5, replace(OPENINGS[1], name="B")) for n in range(9)]
    first, second = opening_groups(records)
    interval = confidence_sequence(PairCounts(LD=4, WL=4, WD=4))
    assert first["name"] == "A"
    assert first["score"] == 0.5
    assert first["score_ci"] == [interval.low, interval.high]
    assert (second["name"], second["pairs"], second["score_ci"]) == ("B", 9, None)


def test_smaller_groups_are_put_together():
    names = [f"opening {chr(65 + n)}" for n in range(25) for _ in range(n + 1)]
    records = [
        pair(number, 1.0, 0.5, opening=replace(OPENINGS[0], name=name))
        for number, name in enumerate(names)
    ]
    groups = opening_groups(records)
    assert [group["pairs"] for group in groups] == [*range(25, 5, -1), 15]
    assert groups[-1]["name"] == "others"


def test_openings_without_names_go_by_their_first_moves():
    records = [
        pair(number, 1.0, 0.5, opening=Opening(chess.STARTING_FEN, moves))
        for number, moves in enumerate(
            [("e2e4", "c7c5", "g1f3")] * 3 + [("e2e4", "e7e5")] * 2 + [("d2d4", "d7d5", "c2c4")]
        )
    ]
    assert [(g["name"], g["pairs"]) for g in opening_groups(records)] == [
        ("1. e4 c5", 3),
        ("1. e4 e5", 2),
        ("1. d4 d5", 1),
    ]
    # Too many second moves for so few pairs: by the first moves.
    replies = ["e7e5", "c7c5", "e7e6", "c7c6", "d7d5"]
    records = [
        pair(n, 1.0, 0.5, opening=Opening(chess.STARTING_FEN, (first, replies[n % 5])))
        for n, first in enumerate(["e2e4"] * 5 + ["d2d4"] * 2)
    ]
    assert [g["name"] for g in opening_groups(records)] == ["1. e4", "1. d4"]


def test_positions_without_names_are_no_groups():
    assert opening_groups([replace(r, opening=STARTS[2]) for r in random_pairs(1, 9)]) == []
    assert opening_groups(varied(16)[:1]) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("B90 Sicilian Defense: Najdorf, English Attack", "Sicilian Defense"),
        ("B20 Sicilian", "Sicilian"),
        ("Queen's Gambit Declined, Orthodox", "Queen's Gambit Declined"),
        ("Nimzo-Indian - Classical", "Nimzo-Indian"),
        ("C42", "C42"),
        ("C42 : ", "C42 :"),
        ("  A00\nPolish ", "Polish"),
        ("", ""),
    ],
)
def test_family(name, kind):
    assert family(Opening(chess.STARTING_FEN, (), name)) == kind


def test_first_moves():
    opening = Opening(chess.STARTING_FEN, ("e2e4", "c7c5", "g1f3"))
    assert first_moves(opening, 2) == "1. e4 c5"
    assert first_moves(opening, 9) == "1. e4 c5 2. Nf3"
    assert first_moves(STARTS[2], 2) == ""


# --- divergence ---


@given(seeds, few_pairs)
@settings(max_examples=30)
def test_divergence_counts_positions_that_both_had(seed, number):
    records = random_pairs(seed, number)
    positions, differ = Counter(), Counter()
    for record in records:
        first, second = record.games
        for ply in range(1, 1 + min(len(first.moves), len(second.moves))):
            before = ply - 1
            if first.moves[:before] == second.moves[:before]:
                boards = [_board(record.opening, game.moves[:before]) for game in record.games]
                assert boards[0].fen() == boards[1].fen()
                movers = {said(record, game, None)[before][0] for game in record.games}
                assert movers == {"baseline", "candidate"}
                positions[ply] += 1
                differ[ply] += first.moves[before] != second.moves[before]
    assert divergence(records) == [
        {"ply": ply, "positions": positions[ply], "differ": differ[ply]}
        for ply in sorted(positions)
    ]


# --- deciding positions ---


@given(seeds, st.integers(0, 30), players)
@settings(max_examples=30)
def test_deciding_positions_are_the_widest_differences_by_the_board(seed, number, engine):
    records = random_pairs(seed, number, engine)
    games = list(expected_games(records, engines_of(match_with(engine))))
    best: list[tuple[float, int, dict[str, object]]] = []
    for record in records:
        if record.candidate_points == 1.0:
            continue
        widest: tuple[float, int, dict[str, object]] | None = None
        for which, game in enumerate(record.games, start=1):
            moves = said(record, game, engine)
            for at in range(1, len(moves)):
                (_, before, _), (mover, q, fen) = moves[at - 1], moves[at]
                if q is None or before is None:
                    continue
                gap = abs(q - -before)
                if gap > (widest[0] if widest else 0.0):
                    ply = len(record.opening.moves) + at + 1
                    widest = (
                        gap,
                        record.number,
                        {
                            "pair": record.number + 1,
                            "game": which,
                            "ply": ply,
                            "fen": fen,
                            "mover": mover,
                            "move": game.moves[at],
                            "mover_q": q,
                            "opponent_q": -before,
                            "points": game.candidate_points,
                            "baseline": None,
                            "candidate": None,
                        },
                    )
        best += [widest] if widest else []
    best.sort(key=lambda each: (-each[0], each[1]))
    found = deciding(games)
    assert found == [each[2] for each in best[:10]]
    assert "-0.0" not in [str(each["opponent_q"]) for each in found]


def test_a_deciding_position_can_be_set_up_and_its_move_played():
    records = random_pairs(11, 60)
    found = deciding(list(expected_games(records, ())), shown=60)
    assert len(found) > 20
    chess960 = 0
    for each in found:
        record = next(one for one in records if one.number + 1 == each["pair"])
        is_960 = record.opening.fen == CHESS960
        board = chess.Board(each["fen"], chess960=is_960)
        assert board.is_valid()
        assert board.parse_uci(each["move"]) in board.legal_moves
        chess960 += is_960
    assert chess960


# --- sessions, and all together ---


def test_sessions_that_came_to_an_end_have_a_speed():
    pace = Pace(seconds=60.0, pairs=3, visits=600, evaluations=300, batch_slots=400, cache_hits=100)
    over = replace(SESSION, pace=pace, ended="2025-02-01T00:00:59+00:00")
    idle = replace(over, pace=Pace())
    assert list(session_speeds([SESSION, over, idle])) == [
        {
            "started": "2025-01-31T23:59:59+00:00",
            "seconds": 60.0,
            "pairs": 3,
            "pairs_per_minute": 3.0,
            "evaluations_per_second": 5.0,
            "batch_fill": 0.75,
            "cache_hit_share": 0.25,
        },
        {
            "started": "2025-01-31T23:59:59+00:00",
            "seconds": 0.0,
            "pairs": 0,
            "pairs_per_minute": None,
            "evaluations_per_second": None,
            "batch_fill": None,
            "cache_hit_share": None,
        },
    ]


def test_a_run_without_a_pair_has_empty_curves():
    curves = curves_of(identity(), [], [])
    assert curves.pop("calibration") == {"baseline": [], "candidate": []}
    assert set(map(tuple, curves.values())) == {()}


def test_only_counted_pairs_are_in_the_curves(tmp_path):
    """One repeat, which is not counted, and a pair behind a gap."""
    records = [*varied(3), pair(3, 1.0, 1.0, opening=varied(1)[0].opening), varied(9)[8]]
    curves = summarize(read_run(run_folder(tmp_path / "run", identity(), records)))["curves"]
    assert [point["pairs"] for point in curves["path"]] == [1, 2, 3]
    games = sum(row["wins"] + row["draws"] + row["losses"] for row in curves["lengths"])
    assert games == 6
    assert curves["divergence"][0]["positions"] == 3
    assert all(position["pair"] <= 3 for position in curves["deciding"])
