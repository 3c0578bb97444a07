"""Whose win a win is: records, targets and nets all speak for the side to move.

A sign that is wrong somewhere, for black, or in one version of records, would leave every mean
plausible: games are as often won as lost. So what is compared here is decided beyond doubt.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import chess
import numpy as np
import pytest
from pgn_records import write_games
from record_bytes import packed_game
from tiny_net import TINY, calm_weights

from swa import planes
from swa.batches import Batch, read_batches
from swa.evaluation import evaluate
from swa.inference import make_inference
from swa.metrics import q_of
from swa.net import load_net, new_net

PIECES = (chess.PAWN, chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN, chess.KING)
WORTH = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9}


def board_of(masks: np.ndarray) -> chess.Board:
    """The position as the side to move sees it: its pieces are white."""
    board = chess.Board(None)
    for plane, mask in enumerate(masks[:12].tolist()):
        piece = chess.Piece(PIECES[plane % 6], plane < 6)
        for square in chess.scan_forward(mask):
            board.set_piece_at(square, piece)
    return board


def lead_of(board: chess.Board) -> int:
    """What the side to move has more, in pawns."""
    return sum(
        worth * (len(board.pieces(piece, chess.WHITE)) - len(board.pieces(piece, chess.BLACK)))
        for piece, worth in WORTH.items()
    )


def joined(folder: Path) -> Batch:
    """All positions; moves and offsets are the first batch's."""
    found = list(read_batches(folder))
    whole = {
        name: np.concatenate([getattr(batch, name) for batch in found])
        for name in ("masks", "values", "result", "searched", "games")
    }
    return found[0]._replace(**whole)


def sides(q: np.ndarray, winners: np.ndarray) -> float:
    """The share of positions where Q is the winner's."""
    return float((np.sign(q) == winners).mean())


@pytest.mark.parametrize("turn", [0, 1])
def test_the_search_and_material_agree_with_the_result(shared: Path, turn: int) -> None:
    """In lc0's own games, of white and of black each."""
    data = joined(shared / "chunks" / "v7")
    winners, searched = q_of(data.result), q_of(data.searched)
    mine = (data.masks[:, planes.BLACK_TO_MOVE] != 0) == turn
    sure = mine & (winners != 0) & (abs(searched) > 0.5)
    assert sure.sum() > 500
    assert sides(searched[sure], winners[sure]) == 1
    decided = np.flatnonzero(mine & (winners != 0))
    leads = np.array([lead_of(board_of(data.masks[place])) for place in decided])
    clear = abs(leads) >= 5
    assert clear.sum() > 100
    assert sides(leads[clear], winners[decided][clear]) > 0.9
    assert sides(leads[clear], np.sign(searched[decided][clear])) > 0.9


@pytest.mark.parametrize("name", ["maia-2200", "maia-1900", "meangirl-8", "tinygyal-8"])
@pytest.mark.parametrize("folder", ["v4", "v7"])
def test_nets_agree_with_the_result_where_they_are_sure(
    shared: Path, folder: str, name: str
) -> None:
    """Nets of four kinds and makers, on records of two."""
    net = make_inference(load_net(shared / "nets" / f"{name}.pb.gz"))
    agreed = wrong = 0
    for batch in read_batches(shared / "chunks" / folder):
        q, winners = q_of(net(*batch[:4]).wdl), q_of(batch.result)
        sure = (winners != 0) & (abs(q) > 0.5)
        agreed += int((np.sign(q[sure]) == winners[sure]).sum())
        wrong += int((np.sign(q[sure]) != winners[sure]).sum())
    assert agreed > 150
    assert wrong < 0.05 * agreed


def test_human_games_of_known_results(shared: Path, tmp_path: Path) -> None:
    """Records that are made here from PGN: the last ten plies of games that somebody won."""
    write_games(shared / "pgn" / "human_master_000.pgn.gz", tmp_path, 40)
    net, right = make_inference(load_net(shared / "nets" / "maia-2200.pb.gz")), []
    for batch in read_batches(tmp_path):
        q, winners = q_of(net(*batch[:4]).wdl), q_of(batch.result)
        for game in np.unique(batch.games)[:-1]:  # the last may go on in the next batch
            last = np.flatnonzero(batch.games == game)[-10:]
            right += (np.sign(q[last]) == winners[last])[winners[last] != 0].tolist()
    assert len(right) > 100
    assert np.mean(right) > 0.8


@pytest.mark.parametrize("side_to_move", [0, 1])
@pytest.mark.parametrize("version", range(3, 8))
@pytest.mark.parametrize("result", [1, -1])
def test_a_net_that_says_win_is_right_where_the_mover_won(
    tmp_path: Path, version: int, side_to_move: int, result: int
) -> None:
    """From the bytes of each version to the figures; no net or record of others is needed."""
    weights = calm_weights(TINY)
    weights["value.dense2.weight"] = np.zeros_like(weights["value.dense2.weight"])
    weights["value.dense2.bias"] = np.array([3, 0, -3], np.float32)
    net = replace(new_net(TINY, weights), name="optimist")
    said = {"result": result} if version < 6 else {"result_q": float(result)}
    data = packed_game(version, side_to_move=side_to_move, **said)
    (tmp_path / "game.gz").write_bytes(data)
    found = evaluate([net], read_batches(tmp_path), resamples=0)
    (optimist,) = found.nets
    won = result == 1
    assert found.results == (won, 0, not won)
    assert optimist.metrics["value_side"].value == won
    assert optimist.metrics["value_accuracy"].value == won
    assert optimist.outcomes is not None
    assert optimist.outcomes[0] > 0.9
    odds = np.exp([3.0, 0, -3])
    expected = -np.log(odds[0 if won else 2] / odds.sum())
    assert optimist.metrics["value_cross_entropy"].value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("version", range(4, 8))
def test_what_the_search_says_is_the_movers_too(tmp_path: Path, version: int) -> None:
    said = {"result": -1} if version < 6 else {"result_q": -1.0}
    data = packed_game(version, best_q=0.5, best_d=0.25, side_to_move=1, **said)
    (tmp_path / "game.gz").write_bytes(data)
    (batch,) = read_batches(tmp_path)
    np.testing.assert_array_equal(batch.searched, [[0.625, 0.25, 0.125]] * 3)
    np.testing.assert_array_equal(batch.result, [[0, 0, 1]] * 3)
