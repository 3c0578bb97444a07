"""Games that end early by rules: when, by whom, and what an audit says of it."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import chess
import chess.syzygy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.adjudication import Adjudication, MovedGame, Probe, RuleJudge, is_audited, judges
from arena.adjudication_rules import (
    NO_RULES,
    AdjudicationRules,
    DrawRule,
    ResignRule,
    rule_of,
    rule_of_table,
)
from arena.config import SearchParams
from arena.game import (
    ADJUDICATIONS,
    GameRecord,
    GameTask,
    Opening,
    PlayedOn,
    Remark,
    Termination,
    game_seed,
)
from arena.openings import default_book, final_position
from arena.referee import RefereeError, check_game
from arena.scores import centipawns, expected_result, wdl
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.stand_ins import HashEvaluator

DRAWN = Adjudication("1/2-1/2", Termination.DRAW_ADJUDICATION)
TOO_LONG = Adjudication("1/2-1/2", Termination.MAX_LENGTH)
WHITE_WINS = Adjudication("1-0", Termination.RESIGNATION)
BLACK_WINS = Adjudication("0-1", Termination.RESIGNATION)


def views(
    scores: Sequence[float], *, d: float = 0.0, first_ply: int = 0, zeroing: Sequence[int] = ()
) -> Iterator[MovedGame]:
    """A game by the movers' scores in centipawns; ``zeroing`` are indices of captures."""
    for index, score in enumerate(scores):
        ply = first_ply + index + 1
        yield MovedGame(
            ply=ply,
            move_number=(ply + 1) // 2,
            white_moved=ply % 2 == 1,
            q=expected_result(score),
            d=d,
            rule50=0 if index in zeroing else 1,
            pieces=32,
            castling=False,
            evaluations=10 * ply,
            board=lambda: pytest.fail("nobody asked for tablebases"),
        )


def ruling(rules: AdjudicationRules, seen: Iterator[MovedGame]) -> tuple[int, Adjudication] | None:
    """After how many moves a judge ends the game, and how."""
    judge = RuleJudge(rules)
    for count, view in enumerate(seen, start=1):
        if (found := judge.moved(view)) is not None:
            return count, found
    return None


def draw(**rule: object) -> AdjudicationRules:
    return AdjudicationRules(draw=DrawRule(**rule))  # type: ignore[arg-type]


def resign(**rule: object) -> AdjudicationRules:
    return AdjudicationRules(resign=ResignRule(**rule))  # type: ignore[arg-type]


# --- draw ---


def test_a_draw_needs_the_move_number_and_the_count_of_both_sides() -> None:
    level = [0.0] * 100
    assert ruling(draw(movenumber=0, movecount=3), views(level)) == (6, DRAWN)
    # Full move 34 is done after black's 34th move.
    assert ruling(draw(movenumber=34, movecount=8), views(level)) == (68, DRAWN)
    assert ruling(draw(movenumber=34, movecount=40), views(level)) == (80, DRAWN)
    # An odd number of plies counts as well: the row is of plies.
    assert ruling(draw(movenumber=0, movecount=2), views([50, 0, 0, 0, 0])) == (5, DRAWN)


def test_level_is_within_the_score_and_any_other_one_begins_the_row_anew() -> None:
    rule = draw(movenumber=0, movecount=2, score=20)
    assert ruling(rule, views([20, -20, 20, -20])) == (4, DRAWN)
    assert ruling(rule, views([20, -20, 20, -21, 0, 0, 0])) is None
    assert ruling(rule, views([20, -20, 21, 0, 0, 0, 0])) == (7, DRAWN)


def test_a_move_without_a_score_breaks_every_row() -> None:
    """cutechess's addEval: what a player does not say it has not agreed to."""

    def seen(scores: Sequence[float | None]) -> Iterator[MovedGame]:
        for score, view in zip(scores, views([s or 0.0 for s in scores]), strict=True):
            yield view._replace(scored=score is not None)

    level = draw(movenumber=0, movecount=2, score=20)
    assert ruling(level, seen([0, None] * 50)) is None
    assert ruling(level, seen([0, 0, 0, None, 0, 0, 0, 0])) == (8, DRAWN)
    lost = resign(movecount=2, score=600)
    assert ruling(lost, seen([-700, 0, None, 0, -700, 0])) is None
    agreed = resign(movecount=2, score=600, twosided=True)
    assert ruling(agreed, seen([-700, 700, -700, None, -700, 700])) is None


def test_a_capture_begins_the_row_anew_and_counts_itself() -> None:
    """fastchess's DrawTracker: the row is cleared, then the move is counted."""
    rule = draw(movenumber=0, movecount=2)
    assert ruling(rule, views([0] * 9, zeroing=[2])) == (6, DRAWN)
    assert ruling(rule, views([0] * 9, zeroing=[2, 4, 6])) is None


def test_the_move_number_is_the_score_sheets_own() -> None:
    rule = draw(movenumber=34, movecount=1)
    assert ruling(rule, views([0] * 9, first_ply=67)) == (2, DRAWN)
    assert ruling(rule, views([0] * 9, first_ply=100)) == (2, DRAWN)


def test_level_can_be_said_of_the_probability_of_a_draw() -> None:
    rule = draw(movenumber=0, movecount=1, score=None, drawn=0.5)
    assert ruling(rule, views([50, -50], d=0.5)) == (2, DRAWN)
    assert ruling(rule, views([0, 0], d=0.49)) is None
    both = draw(movenumber=0, movecount=1, score=20, drawn=0.5)
    assert ruling(both, views([50, -50], d=0.5)) is None
    assert ruling(both, views([0, 0], d=0.5)) == (2, DRAWN)


# --- resign ---


def test_whoever_is_lost_for_long_enough_loses() -> None:
    rule = resign(movecount=3, score=600)
    assert ruling(rule, views([-600, 600] * 9)) == (5, BLACK_WINS)
    assert ruling(rule, views([600, -600] * 9)) == (6, WHITE_WINS)
    assert ruling(rule, views([-599, 600] * 9)) is None
    # The opponent's opinion is not asked for, and one better score begins the row anew.
    assert ruling(rule, views([-600, -600, -600, 0, -600])) == (5, BLACK_WINS)
    assert ruling(rule, views([-600, 0, -600, 0, -599, 0, -600, 0, -600])) is None


def test_the_opponent_must_agree_if_twosided() -> None:
    rule = resign(movecount=3, score=600, twosided=True)
    assert ruling(rule, views([-600, 600] * 9)) == (7, BLACK_WINS)
    assert ruling(rule, views([600, -600] * 9)) == (6, WHITE_WINS)
    assert ruling(rule, views([-900, 599] * 9)) is None
    # Both despair of the game: fastchess would take black's large scores for agreement.
    assert ruling(rule, views([-900, -900] * 9)) is None


def test_lost_can_be_said_of_its_probability() -> None:
    lost = expected_result(-600)  # -0.909
    rule = resign(movecount=1, score=None, lost=0.9)
    assert ruling(rule, views([-600], d=0.0)) == (1, BLACK_WINS)
    assert ruling(rule, views([0], d=0.0)) is None
    assert wdl(round(lost, 4), 0.0).loss == pytest.approx(0.9546, abs=1e-4)
    assert ruling(resign(movecount=1, score=None, lost=0.96), views([-600])) is None


# --- length, and several rules ---


def test_a_game_is_a_draw_after_so_many_moves_of_each_side() -> None:
    rules = AdjudicationRules(maxmoves=3)
    assert ruling(rules, views([900, -900] * 9)) == (6, TOO_LONG)
    # Moves of the opening are moves of the game.
    assert ruling(rules, views([900, -900] * 9, first_ply=4)) == (2, TOO_LONG)


scores = st.lists(st.sampled_from([-700, -600, -100, -20, 0, 20, 100, 600, 700]), max_size=40)


@given(
    scores,
    st.sets(st.integers(0, 39)),
    st.integers(0, 12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 20),
)
def test_rules_agree_with_their_definition(
    said: list[int],
    zeroing: set[int],
    movenumber: int,
    draw_count: int,
    resign_count: int,
    twosided: bool,
    maxmoves: int,
) -> None:
    """Each rule written down once more, of the whole game so far and not as a counter."""

    def ends_at(plies: int) -> Adjudication | None:
        seen = said[:plies]
        mine, others = seen[::-2], seen[-2::-2]
        lost = len(mine) >= resign_count and all(s <= -600 for s in mine[:resign_count])
        won = len(others) >= resign_count and all(s >= 600 for s in others[:resign_count])
        if lost and (won or not twosided):
            return BLACK_WINS if plies % 2 else WHITE_WINS
        row = seen[max((i for i in zeroing if i < plies), default=0) :][-2 * draw_count :]
        level = len(row) == 2 * draw_count and all(abs(s) <= 20 for s in row)
        if level and plies // 2 >= movenumber:
            return DRAWN
        return TOO_LONG if 0 < 2 * maxmoves <= plies else None

    rules = AdjudicationRules(
        draw=DrawRule(movenumber=movenumber, movecount=draw_count),
        resign=ResignRule(movecount=resign_count, twosided=twosided),
        maxmoves=maxmoves,
    )
    ends = ((n, found) for n in range(1, len(said) + 1) if (found := ends_at(n)) is not None)
    assert ruling(rules, views(said, zeroing=sorted(zeroing))) == next(ends, None)


# --- tablebases ---

KQ_K = "8/8/8/8/8/2k5/8/K6Q w - - 0 1"


def after(fen: str, **view: object) -> MovedGame:
    """The view of a game whose last move led to a position."""
    board = chess.Board(fen)
    known = MovedGame(
        ply=1,
        move_number=1,
        white_moved=not board.turn,
        q=0.0,
        d=1.0,
        rule50=board.halfmove_clock,
        pieces=chess.popcount(board.occupied),
        castling=bool(board.castling_rights),
        evaluations=0,
        board=lambda: board,
    )
    return known._replace(**view)


@pytest.mark.parametrize(
    ("fen", "says", "result"),
    [
        (KQ_K, 1, "1-0"),
        (KQ_K, 0, "1/2-1/2"),
        (KQ_K, -1, "0-1"),
        (KQ_K.replace(" w ", " b "), -1, "1-0"),
        (KQ_K.replace(" w ", " b "), 1, "0-1"),
        (KQ_K, None, None),
    ],
)
def test_tablebases_speak_for_the_side_to_move(
    fen: str, says: int | None, result: str | None
) -> None:
    asked: list[str] = []

    def probe(board: chess.Board) -> int | None:
        asked.append(board.fen())
        return says

    judge = RuleJudge(AdjudicationRules(tablebase=True), probe)
    found = judge.moved(after(fen))
    assert found == (result and Adjudication(result, Termination.TABLEBASE))  # type: ignore
    assert asked == [fen]


def test_tablebases_are_not_asked_in_vain() -> None:
    def probe(board: chess.Board) -> int | None:
        pytest.fail("asked")

    judge = RuleJudge(AdjudicationRules(tablebase=True), probe)
    assert judge.moved(after(chess.STARTING_FEN)) is None
    assert judge.moved(after("8/8/8/8/8/8/8/R3K2k w Q - 0 1")) is None
    assert RuleJudge(draw(), probe).moved(after(KQ_K)) is None


def test_without_tablebases_nobody_adjudicates_by_them() -> None:
    with pytest.raises(ValueError, match="needs tablebases"):
        judges(AdjudicationRules(tablebase=True))


def test_where_there_are_no_rules_there_is_no_judge() -> None:
    assert judges(NO_RULES) is None
    assert judges(AdjudicationRules(audit=1.0)) is None


# --- audits ---


def test_an_audited_game_is_kept_as_if_it_had_ended() -> None:
    judge = RuleJudge(
        AdjudicationRules(resign=ResignRule(movecount=1), maxmoves=6), None, 3, audited=True
    )
    seen = list(views([600, -600, 700, -700, 100, 0, 0, 0, 0], first_ply=3))
    assert [judge.moved(view) for view in seen] == [None] * 8 + [TOO_LONG]
    moves = tuple("abcdefghi")
    q = tuple(round(view.q, 4) for view in seen)
    whole = GameRecord(
        True, moves, "1/2-1/2", Termination.MAX_LENGTH, q, q, (1,) * 9, (Remark(depth=1),) * 9
    )
    assert judge.record(whole) == GameRecord(
        True,
        moves[:2],
        "0-1",
        Termination.RESIGNATION,
        q[:2],
        q[:2],
        (1,) * 2,
        (Remark(depth=1),) * 2,
        PlayedOn(moves[2:], "1/2-1/2", Termination.MAX_LENGTH, 70),
    )


def test_a_game_at_its_limit_cannot_be_played_on() -> None:
    rules = AdjudicationRules(resign=ResignRule(movecount=1), maxmoves=1)
    judge = RuleJudge(rules, audited=True)
    seen = list(views([0, -600]))
    assert [judge.moved(view) for view in seen] == [None, WHITE_WINS]
    record = GameRecord(True, ("a", "b"), *WHITE_WINS, (0, 0), (0, 0), (1, 1))
    assert judge.record(record) is record


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_seed_chooses_the_share_that_was_asked_for(share: float) -> None:
    games = 4000
    task = GameTask(0, True, Opening(chess.STARTING_FEN), 0, 1)
    tasks = [replace(task, seed=game_seed(5, number)) for number in range(games)]
    audited = sum(is_audited(task, share) for task in tasks)
    sigma = (games * share * (1 - share)) ** 0.5
    assert abs(audited - games * share) <= 4 * sigma
    assert [is_audited(task, 0.5) for task in tasks] == [is_audited(task, 0.5) for task in tasks]


# --- real games ---

RULES = AdjudicationRules(
    draw=DrawRule(movenumber=10, movecount=2, score=15),
    resign=ResignRule(movecount=2, score=40),
    maxmoves=60,
    audit=0.5,
)


def play(
    rules: AdjudicationRules,
    openings: Mapping[int, Opening] | None = None,
    probe: Probe | None = None,
) -> dict[tuple[int, bool], GameRecord]:
    """Both games of each pair, by the pair and whether the candidate has white."""
    openings = openings or {pair: default_book().opening(7 * pair) for pair in range(8)}
    tasks = [
        GameTask(
            pair,
            first,
            opening,
            white=int(first),
            black=int(not first),
            seed=game_seed(1, 2 * pair + first),
        )
        for pair, opening in openings.items()
        for first in (True, False)
    ]
    nets = [
        Player("one", HashEvaluator(1), SearchParams(visits=6)),
        Player("other", HashEvaluator(2), SearchParams(visits=3)),
    ]
    search = BatchedSearch(nets, 8, 2, judge_of=judges(rules, probe))
    finished = search.play([iter(tasks[::2]), iter(tasks[1::2])])
    games = {}
    for game in finished:
        check_game(game.task.opening, game.record)
        games[game.task.pair, game.task.candidate_white] = game.record
    return games


@pytest.mark.slow
def test_an_audit_changes_no_result_and_ends_as_the_game_would_have() -> None:
    plain = play(AdjudicationRules(maxmoves=60))
    none, half, all_ = (play(replace(RULES, audit=share)) for share in (0.0, 0.5, 1.0))
    assert {game.played_on is None for game in half.values()} == {True, False}
    kinds = {game.termination for game in none.values()}
    assert kinds >= {Termination.RESIGNATION, Termination.DRAW_ADJUDICATION}
    for key, game in none.items():
        assert replace(half[key], played_on=None) == replace(all_[key], played_on=None) == game
        whole = plain[key]
        found = all_[key].played_on
        assert whole.moves[: len(game.moves)] == game.moves
        if found is None:
            assert game == whole
        else:
            assert game.moves + found.moves == whole.moves
            assert (found.result, found.termination) == (whole.result, whole.termination)
            assert half[key].played_on in (None, found)


def check_ruling(
    rules: AdjudicationRules, opening: Opening, game: GameRecord, probe: Probe | None = None
) -> None:
    """Judge a game once more, by python-chess's board and the record's rounded numbers."""
    board = final_position(opening)
    judge = RuleJudge(rules, probe, len(opening.moves))
    for index, move in enumerate(game.moves):
        board.push_uci(move)
        view = after(
            board.fen(),
            ply=len(opening.moves) + index + 1,
            move_number=board.fullmove_number - board.turn,
            q=game.q[index],
            d=game.d[index],
        )
        last = index + 1 == len(game.moves)
        if not last or game.termination in ADJUDICATIONS:
            expected = Adjudication(game.result, game.termination) if last else None
            assert judge.moved(view) == expected


def test_every_ruling_can_be_seen_in_the_record() -> None:
    for (pair, _), game in play(replace(RULES, audit=0.0)).items():
        check_ruling(RULES, default_book().opening(7 * pair), game)


def endgame(seed: int) -> Opening:
    """A game of five men that is not over."""
    chance = random.Random(seed)
    while True:
        board = chess.Board(None)
        men = "Kk" + "".join(chance.choices("QRBNPqrbnp", k=3))
        for man, square in zip(men, chance.sample(chess.SQUARES, 5), strict=True):
            board.set_piece_at(square, chess.Piece.from_symbol(man))
        if board.is_valid() and not board.is_game_over():
            return Opening(board.fen())


@pytest.mark.slow
def test_two_thousand_games_with_all_rules_end_as_python_chess_says(shared: Path) -> None:
    rules = AdjudicationRules(
        draw=DrawRule(movenumber=20, movecount=3, score=25),
        resign=ResignRule(movecount=2, score=40, twosided=True),
        tablebase=True,
        maxmoves=60,
        audit=0.1,
    )
    tables = chess.syzygy.open_tablebase(str(shared / "syzygy"))

    def probe(board: chess.Board) -> int | None:
        found = tables.get_wdl(board) if chess.popcount(board.occupied) <= 4 else None
        return found if found is None else (found > 1) - (found < -1)

    openings = {
        pair: default_book().opening(pair) if pair % 2 else endgame(pair) for pair in range(1000)
    }
    games = play(rules, openings, probe)
    assert len(games) == 2000
    for (pair, _), game in games.items():
        check_ruling(rules, openings[pair], game, probe)
        if game.termination is Termination.TABLEBASE:
            board = final_position(openings[pair])
            for move in game.moves:
                board.push_uci(move)
            white = (1 if board.turn else -1) * tables.probe_wdl(board)
            assert game.result == ("1-0" if white > 1 else "0-1" if white < -1 else "1/2-1/2")
    ends = Counter(game.termination for game in games.values())
    assert min(ends[end] for end in ADJUDICATIONS) >= 20
    assert sum(game.played_on is not None for game in games.values()) >= 50


def test_the_referee_replays_what_was_played_on() -> None:
    opening = Opening(chess.STARTING_FEN)
    after_it = PlayedOn(("g2g4", "d8h4"), "0-1", Termination.CHECKMATE)
    ended = (("f2f3", "e7e5"), "1-0", Termination.RESIGNATION)
    game = GameRecord(True, *ended, (0, 0), (0, 0), (1, 1), (), after_it)  # type: ignore[arg-type]
    check_game(opening, game)
    for wrong, message in (
        (replace(game, played_on=replace(after_it, result="1-0")), "played on, ply 4: 1-0 by"),
        (replace(game, played_on=replace(after_it, moves=("g2g4", "e8e5"))), "ply 4: e8e5 is not"),
        (replace(game, played_on=replace(after_it, moves=("g2g4",))), "not over"),
        (replace(game, termination=Termination.CRASH), "played on after engine crashed"),
    ):
        with pytest.raises(RefereeError, match=message):
            check_game(opening, wrong)


# --- rules as words ---


@given(
    st.builds(
        DrawRule,
        movenumber=st.integers(0, 100),
        movecount=st.integers(1, 100),
        score=st.integers(0, 12780),
        drawn=st.none() | st.floats(0, 1),
    )
    | st.builds(DrawRule, score=st.none(), drawn=st.floats(0, 1))
    | st.builds(
        ResignRule,
        movecount=st.integers(1, 100),
        score=st.integers(1, 12780),
        lost=st.none() | st.floats(0.5, 1),
        twosided=st.booleans(),
    )
    | st.builds(ResignRule, score=st.none(), lost=st.floats(0.5, 1))
)
def test_a_rule_reads_what_it_spells(rule: DrawRule | ResignRule) -> None:
    assert rule_of(type(rule), str(rule).split()) == rule


def test_rules_have_fishtest_s_defaults_and_toml_s_tables() -> None:
    assert str(rule_of(DrawRule, [])) == "movenumber=34 movecount=8 score=20"
    assert str(rule_of(ResignRule, [])) == "movecount=3 score=600"
    assert rule_of(DrawRule, ["drawn=0.9"]) == DrawRule(score=None, drawn=0.9)
    table = {"movecount": 5, "score": 400, "twosided": True}
    assert rule_of_table(ResignRule, table) == ResignRule(movecount=5, score=400, twosided=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("movecount", "'movecount' should be KEY=VALUE"),
        ("movecounts=3", "unknown key 'movecounts'; did you mean 'movecount'?"),
        ("xyz=3", "there are movecount, score, lost, twosided"),
        ("score=3 score=4", "'score' is given twice"),
        ("score=3.5", "score=3.5: must be a whole number"),
        ("score=", "score=: must be a whole number"),
        ("lost=nan", "lost=nan: must be a number"),
        ("lost=inf", "lost=inf: must be a number"),
        ("lost=0.4", "lost=0.4: must be from 0.5 to 1"),
        ("score=0", "score=0: must be from 1 to 12780"),
        ("score=-600", "score=-600: must be from 1 to 12780"),
        ("movecount=0", "movecount=0: must be from 1 to 10000"),
        ("twosided=yes", "twosided=yes: must be true or false"),
    ],
)
def test_words_that_spell_no_rule_are_refused(words: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        rule_of(ResignRule, words.split())


# --- scores ---


@given(st.integers(-12780, 12780))
def test_a_score_is_that_of_its_expected_result(score: int) -> None:
    # The last digit of a double of q is worth less than half a centipawn up to the very end.
    assert centipawns(expected_result(score)) == score


@given(st.floats(-1, 1), st.floats(0, 1))
def test_the_chances_are_chances(q: float, d: float) -> None:
    win, drawn, loss = wdl(q, d)
    assert win + drawn + loss == pytest.approx(1.0)
    assert win - loss == pytest.approx(q, abs=1e-15)
    assert min(win, drawn, loss) >= 0.0
    assert drawn == pytest.approx(min(d, 1.0 - abs(q)))


def test_no_score_is_beyond_certainty() -> None:
    assert expected_result(1e9) == 1.0
    assert expected_result(-1e9) == -1.0
    assert expected_result(0) == 0.0
