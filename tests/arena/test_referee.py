"""The referee agrees with python-chess's own outcome, and finds every kind of wrong game."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import chess
import pytest
from conftest import read_jsonl
from hypothesis import given
from hypothesis import strategies as st

from arena.game import ADJUDICATIONS, FORFEITS, GameRecord, Opening, PairRecord, Result, Termination
from arena.referee import RefereeError, check_game, check_pair, position_key

START = chess.STARTING_FEN

TERMINATIONS = {
    chess.Termination.CHECKMATE: Termination.CHECKMATE,
    chess.Termination.STALEMATE: Termination.STALEMATE,
    chess.Termination.INSUFFICIENT_MATERIAL: Termination.INSUFFICIENT_MATERIAL,
}


def game(moves: str, result: Result, termination: Termination) -> GameRecord:
    played = tuple(moves.split())
    plies = len(played)
    return GameRecord(
        True, played, result, termination, (0.0,) * plies, (0.0,) * plies, (1,) * plies
    )


def random_game(opening: Opening, seed: int) -> GameRecord:
    """A random game, ended by python-chess's slow and independent methods."""
    rng = random.Random(seed)
    board = chess.Board(opening.fen)
    for move in opening.moves:
        board.push_uci(move)
    moves = []
    while True:
        outcome = board.outcome(claim_draw=False)
        if outcome and outcome.termination in TERMINATIONS:
            ended = outcome.result(), TERMINATIONS[outcome.termination]
        elif board.is_fifty_moves():
            ended = "1/2-1/2", Termination.FIFTY_MOVES
        elif board.is_repetition(3):
            ended = "1/2-1/2", Termination.THREEFOLD
        else:
            move = rng.choice(list(board.legal_moves))
            # Going back makes repetitions frequent.
            back = chess.Move(move.to_square, move.from_square)
            if len(board.move_stack) > 1 and rng.random() < 0.3:
                last = board.move_stack[-2]
                back = chess.Move(last.to_square, last.from_square)
                move = back if back in board.legal_moves else move
            moves.append(move.uci())
            board.push(move)
            continue
        return game(" ".join(moves), ended[0], ended[1])


OPENINGS = [
    Opening(START),
    Opening(START, ("e2e4", "e7e5", "g1f3", "b8c6")),
    Opening("r3k2r/pppq1ppp/2n2n2/8/8/2N2N2/PPPQ1PPP/R3K2R w KQkq - 0 1"),
    Opening("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1"),
    Opening("8/8/4k3/8/8/3K4/3R4/8 w - - 80 90"),
    Opening("8/5k2/8/8/8/2B5/3K1p2/8 b - - 0 1"),
    Opening("4k3/8/8/8/8/8/8/QQ2K3 w - - 0 1"),
]


@given(st.sampled_from(OPENINGS), st.integers(0, 10**6))
def test_games_that_end_by_the_rules_are_accepted(opening: Opening, seed: int) -> None:
    check_game(opening, random_game(opening, seed))


def test_every_termination_was_among_them() -> None:
    seen = {random_game(opening, seed).termination for opening in OPENINGS for seed in range(12)}
    assert seen == set(Termination) - ADJUDICATIONS - FORFEITS


@pytest.mark.parametrize(
    ("moves", "result", "termination", "accepted"),
    [
        ("e2e4 e7e5", "0-1", Termination.RESIGNATION, True),
        ("e2e4 e7e5", "1-0", Termination.RESIGNATION, True),
        ("e2e4 e7e5", "1/2-1/2", Termination.RESIGNATION, False),
        ("e2e4 e7e5", "1/2-1/2", Termination.DRAW_ADJUDICATION, True),
        ("e2e4 e7e5", "1-0", Termination.DRAW_ADJUDICATION, False),
        ("e2e4 e7e5", "0-1", Termination.TABLEBASE, True),
        ("e2e4 e7e5", "0-1", Termination.TIME_FORFEIT, True),  # white is to move
        ("e2e4 e7e5", "1-0", Termination.ILLEGAL_MOVE, False),
        ("e2e4", "1-0", Termination.CRASH, True),
        ("e2e4", "1/2-1/2", Termination.MAX_LENGTH, True),
        ("e2e4", "1-0", Termination.MAX_LENGTH, False),
        ("e2e5", "1-0", Termination.RESIGNATION, False),  # no legal move
        ("f2f3 e7e5 g2g4 d8h4", "0-1", Termination.RESIGNATION, False),  # mate
        ("f2f3 e7e5 g2g4 d8h4", "1/2-1/2", Termination.MAX_LENGTH, False),
    ],
)
def test_ends_by_a_rule_of_the_run(
    moves: str, result: Result, termination: Termination, accepted: bool
) -> None:
    """They are of games that chess has not ended; who forfeits one is to move."""
    with nullcontext() if accepted else pytest.raises(RefereeError):
        check_game(Opening(START), game(moves, result, termination))


@given(st.sampled_from(OPENINGS), st.integers(0, 10**6))
def test_counting_keys_is_counting_repetitions(opening: Opening, seed: int) -> None:
    board = chess.Board(opening.fen)
    keys = [position_key(board)]
    for move in (*opening.moves, *random_game(opening, seed).moves):
        board.push_uci(move)
        keys.append(position_key(board))
        occurrences = keys.count(keys[-1])
        for count in (1, 2, 3):
            assert board.is_repetition(count) == (occurrences >= count)


def test_en_passant_that_pins_forbid_does_not_tell_positions_apart() -> None:
    pinned = chess.Board("8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1")
    allowed = chess.Board("8/8/8/8/k2Pp3/8/8/3K4 b - d3 0 1")
    for board, tells in ((pinned, False), (allowed, True)):
        without = board.copy()
        without.ep_square = None
        assert (position_key(board) != position_key(without)) == tells


FOOLS_MATE = game("f2f3 e7e5 g2g4 d8h4", "0-1", Termination.CHECKMATE)
SHUFFLE = "g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1 f6g8"
REPEATED = game(SHUFFLE, "1/2-1/2", Termination.THREEFOLD)
KINGS = Opening("8/8/4k3/8/8/3K4/3p4/8 w - - 0 1")
CLOCK_98 = Opening("8/8/4k3/8/8/3K4/3R4/8 w - - 98 90")
MATE_AT_100 = Opening("k7/8/1K6/8/8/8/8/7R w - - 99 90")


@pytest.mark.parametrize(
    ("opening", "right"),
    [
        (Opening(START), FOOLS_MATE),
        (Opening(START), REPEATED),
        (
            Opening(START, tuple(SHUFFLE.split()[:6])),
            game("f3g1 f6g8", "1/2-1/2", Termination.THREEFOLD),
        ),
        (KINGS, game("d3d2", "1/2-1/2", Termination.INSUFFICIENT_MATERIAL)),
        (CLOCK_98, game("d2d1 e6e5", "1/2-1/2", Termination.FIFTY_MOVES)),
        (MATE_AT_100, game("h1h8", "1-0", Termination.CHECKMATE)),
        (
            Opening("7k/8/6K1/8/8/8/8/5Q2 w - - 0 1"),
            game("f1f7", "1/2-1/2", Termination.STALEMATE),
        ),
        (
            Opening("4k3/8/8/8/8/8/8/4K3 w - - 0 1"),
            game("", "1/2-1/2", Termination.INSUFFICIENT_MATERIAL),
        ),
    ],
)
def test_right_games_are_accepted(opening: Opening, right: GameRecord) -> None:
    check_game(opening, right)


@pytest.mark.parametrize(
    ("opening", "wrong", "ply", "what"),
    [
        (Opening(START), game("f2f3 e7e6 g2g4 d8h3", "0-1", Termination.CHECKMATE), 4, "not legal"),
        (Opening(START), game("f2f3 e7e5 g2g4", "0-1", Termination.CHECKMATE), 3, "not over"),
        (
            Opening(START),
            game("f2f3 e7e5 g2g4 d8h4 a2a3", "0-1", Termination.CHECKMATE),
            5,
            "legal",
        ),
        (
            Opening(START),
            replace(FOOLS_MATE, result="1-0"),
            4,
            "by the rules it is 0-1 by checkmate",
        ),
        (Opening(START), replace(FOOLS_MATE, result="1/2-1/2"), 4, "by the rules"),
        (Opening(START), replace(REPEATED, termination=Termination.FIFTY_MOVES), 8, "repetition"),
        (Opening(START), game(SHUFFLE + " g1f3", "1/2-1/2", Termination.THREEFOLD), 9, "played on"),
        (
            Opening(START),
            game("g1f3 g8f6 f3g1 f6g8", "1/2-1/2", Termination.THREEFOLD),
            4,
            "not over",
        ),
        (CLOCK_98, game("d2d1 e6e5 d1d2", "1/2-1/2", Termination.FIFTY_MOVES), 3, "after 50-move"),
        (CLOCK_98, game("d2d1", "1/2-1/2", Termination.FIFTY_MOVES), 1, "not over"),
        (MATE_AT_100, game("h1h8", "1/2-1/2", Termination.FIFTY_MOVES), 1, "1-0 by checkmate"),
        (KINGS, game("d3d2 e6e5", "1/2-1/2", Termination.INSUFFICIENT_MATERIAL), 2, "played on"),
        (Opening(START), game("e2e9", "1-0", Termination.CHECKMATE), 1, "not legal"),
        (Opening(START, ("e2e5",)), FOOLS_MATE, 0, "e2e5 is not legal"),
        (OPENINGS[2], game("e1h1", "1-0", Termination.CHECKMATE), 1, "should be written e1g1"),
    ],
)
def test_wrong_games_are_refused(opening: Opening, wrong: GameRecord, ply: int, what: str) -> None:
    with pytest.raises(RefereeError, match=what) as refusal:
        check_game(opening, wrong)
    assert refusal.value.ply == ply


def test_the_error_names_pair_game_and_ply() -> None:
    wrong = replace(FOOLS_MATE, result="1-0", candidate_white=False)
    with pytest.raises(RefereeError, match=r"^pair 12, game 2, ply 4: 1-0 by checkmate, but"):
        check_pair(PairRecord(12, Opening(START), (FOOLS_MATE, wrong)))


LC0S_WORDS = {
    "checkmate": Termination.CHECKMATE,
    "stalemate": Termination.STALEMATE,
    "insufficient_material": Termination.INSUFFICIENT_MATERIAL,
    "threefold_repetition": Termination.THREEFOLD,
}


def test_lc0s_games_are_accepted(shared: Path) -> None:
    """lc0 ends games by the same rules; these it played itself."""
    lines = read_jsonl(shared / "golden" / "games_1500_meangirl.jsonl.gz")
    for line in lines:
        opening = Opening(START, tuple(line["opening"]))
        moves = " ".join(line["moves"])
        check_game(opening, game(moves, line["result"], LC0S_WORDS[line["end"]]))
    assert len(lines) == 200
