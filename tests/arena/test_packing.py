"""The games of a page against the ledger's, unpacked here by the words of the module alone."""

from __future__ import annotations

import base64
import json
import random
import zlib
from dataclasses import replace

import chess
import numpy as np
import pytest
from replayed_games import random_game, random_pairs, walk
from scripted_match import identity, pair, run_folder

from arena.game import Opening, PairRecord, PlayedOn, Termination
from arena.ledger import LedgerError
from arena.report.replay.packing import all_hundredths, hundredths, packed_games
from arena.report.run import read_run
from arena.report.summary import summarize


def policy_key(board: chess.Board, move: chess.Move) -> int:
    """Where a move stands in the order of the policy (swa/policy_map.py)."""
    mirror = 0 if board.turn == chess.WHITE else 56
    target = move.to_square
    if board.is_castling(move):
        backrank = chess.BB_RANK_1 if board.turn == chess.WHITE else chess.BB_RANK_8
        rooks = chess.SquareSet(board.clean_castling_rights() & backrank)
        right = target > move.from_square
        target = next(rook for rook in rooks if (rook > move.from_square) == right)
    plain = (move.from_square ^ mirror) * 64 + (target ^ mirror)
    if move.promotion in (None, chess.KNIGHT):
        return plain
    return 4096 + plain * 4 + (chess.QUEEN, chess.ROOK, chess.BISHOP).index(move.promotion)


def rank(board: chess.Board, move: chess.Move) -> int:
    keys = sorted(policy_key(board, other) for other in board.legal_moves)
    return keys.index(policy_key(board, move))


def packed(tmp_path, pairs):
    run = read_run(run_folder(tmp_path / "run", identity(pairs=max(16, len(pairs))), pairs))
    return unpacked(packed_games(run, summarize(run)))


def pack_broken(tmp_path, broken):
    """Pack a pair that stands in the ledger of a match that was sound when it was summarized."""
    run = read_run(run_folder(tmp_path / "run", identity(), [pair(0, 1.0, 0.5)]))
    packed_games(replace(run, pairs=[broken]), summarize(run))


def unpacked(data: bytes):
    """The head, and the columns as arrays: opening ranks, ranks, evaluations and draws."""
    raw = zlib.decompress(data)
    size = int.from_bytes(raw[:4], "little")
    head = json.loads(raw[4 : 4 + size])
    rest = np.frombuffer(raw[4 + size :], np.uint8)
    own = sum(plies for _, plies, _ in head["openings"])
    total = sum(head["plies"])
    return head, rest[:own], np.split(rest[own:], [total, 2 * total])


def undone(differences: np.ndarray) -> np.ndarray:
    values = np.zeros(len(differences), np.int64)
    for place, difference in enumerate(differences.astype(np.int8).tolist()):
        before = values[place - 2] if place > 1 else 0
        values[place] = (before + difference + 128) % 256 - 128
    return values


def test_ranks_are_those_among_the_legal_moves(tmp_path):
    pairs = random_pairs(14)
    head, openings, (ranks, _, _) = packed(tmp_path, pairs)
    expected_openings, expected = [], []
    for one in pairs:
        plies = len(one.opening.moves)
        for game in one.games:
            known = [rank(board, move) for board, move in walk(one, game) if move is not None]
            expected += known[plies:]
        expected_openings += known[:plies]
    assert ranks.tolist() == expected
    assert openings.tolist() == expected_openings
    assert head["plies"] == [len(game.moves) for one in pairs for game in one.games]


def test_evaluations_are_the_ledgers_to_a_hundredth_from_whites_side(tmp_path):
    pairs = random_pairs(14)
    head, _, (_, evaluations, draws) = packed(tmp_path, pairs)
    ends = np.cumsum(head["plies"])[:-1]
    games = [(one, game) for one in pairs for game in one.games]
    columns = zip(np.split(evaluations, ends), np.split(draws, ends), games, strict=True)
    for q, d, (one, game) in columns:
        boards = [board.turn for board, move in walk(one, game) if move is not None]
        of_white = [1 if turn else -1 for turn in boards[len(one.opening.moves) :]]
        assert np.abs(undone(q) / 100 - np.multiply(of_white, game.q)).max(initial=0) < 0.0051
        assert np.abs(undone(d) / 100 - np.array(game.d)).max(initial=0) < 0.0051


@pytest.mark.parametrize("extreme", [1.0, -1.0])
def test_the_widest_jumps_of_an_evaluation_come_back(tmp_path, extreme):
    one = pair(0, 1.0, 0.5)
    first = one.games[0]
    jumping = tuple(extreme if ply // 2 % 2 else -extreme for ply in range(len(first.moves)))
    game = replace(first, q=jumping, d=tuple(abs(q) for q in jumping))
    head, _, (_, evaluations, _) = packed(tmp_path, [replace(one, games=(game, one.games[1]))])
    signs = [1 if ply % 2 == 0 else -1 for ply in range(len(jumping))]
    assert undone(evaluations[: head["plies"][0]]).tolist() == [
        int(100 * q * sign) for q, sign in zip(jumping, signs, strict=True)
    ]


def test_no_column_of_draws_where_no_player_says_any(tmp_path):
    one = pair(0, 1.0, 0.5)
    games = tuple(replace(game, d=(0.0,) * len(game.moves)) for game in one.games)
    _, _, (_, _, draws) = packed(tmp_path, [replace(one, games=games)])
    assert len(draws) == 0


def test_the_head_tells_pairs_results_and_ends(tmp_path):
    head, _, _ = packed(tmp_path, [pair(0, 1.0, 0.5), pair(2, 0.0, 1.0)])
    assert np.cumsum(head["numbers"]).tolist() == [1, 3]
    assert np.cumsum(head["opened"]).tolist() == [0, 1]
    assert head["white"] == [1.0, 0.5, 0.0, 0.0]
    assert [head["terminations"][end] for end in head["ends"]] == [
        "checkmate", "3-fold repetition", "checkmate", "checkmate",
    ]  # fmt: skip
    assert head["uncounted"] == {"3": "a pair before it is missing"}
    assert (head["baseline"], head["candidate"]) == ("raw", "swa")


def test_a_game_that_was_played_on_ends_where_its_rule_ended_it(tmp_path):
    one = pair(0, 1.0, 0.5)
    after = PlayedOn(("e1e2", "e8e7"), "0-1", Termination.CHECKMATE)
    games = (replace(one.games[0], termination=Termination.RESIGNATION, played_on=after),
             one.games[1])  # fmt: skip
    head, _, _ = packed(tmp_path, [replace(one, games=games)])
    assert head["plies"][0] == len(games[0].moves)
    assert head["notes"] == {"0": "played on for an audit, 2 plies not shown: 0-1, checkmate"}


def test_a_move_that_nobody_can_have_played_is_an_error_that_says_where(tmp_path):
    one = pair(4, 1.0, 0.5)
    moves = (one.games[1].moves[0], "e2e5", *one.games[1].moves[2:])
    broken = replace(one, games=(one.games[0], replace(one.games[1], moves=moves)))
    with pytest.raises(LedgerError, match=r"games.jsonl, pair 5, game 2: move 4, e2e5, is illegal"):
        pack_broken(tmp_path, broken)


def test_a_start_that_is_no_position_is_an_error_that_says_where(tmp_path):
    one = replace(pair(0, 1.0, 0.5), opening=Opening("8/8/8/8/8/8/8/K7 w - - 0 1"))
    with pytest.raises(LedgerError, match=r"pair 1, game 1: not a playable position"):
        pack_broken(tmp_path, one)


def test_five_thousand_pairs_of_120_plies_take_less_than_three_megabytes(tmp_path):
    """By the size of 30 pairs more; random moves are harder to foretell than a net's.

    A match of two maia nets with 50 visits, 400 pairs, takes 2.7 MB by the same rule.
    """
    rng = random.Random(1)
    start = Opening(chess.STARTING_FEN)
    pairs = []
    while len(pairs) < 60:
        games = [random_game(start, white, rng, most=120) for white in (True, False)]
        if all(len(game.moves) == 120 for game in games):
            pairs.append(PairRecord(len(pairs), start, (games[0], games[1])))
    run = read_run(run_folder(tmp_path / "run", identity(pairs=60), pairs))
    half = replace(run, pairs=run.pairs[:30])
    sizes = [len(base64.b64encode(packed_games(one, summarize(run)))) for one in (half, run)]
    assert (sizes[1] - sizes[0]) / 30 * 5000 < 3_000_000


def test_values_are_rounded_as_python_writes_them():
    values = [place / 10_000 for place in range(-10_000, 10_001)]
    assert (all_hundredths(np.array(values)) / 100).tolist() == [
        float(f"{value:.2f}") for value in values
    ]
    assert [hundredths(value) / 100 for value in values[::7]] == [
        float(f"{value:.2f}") for value in values[::7]
    ]
