"""Games as training records: against python-chess, and against records that lc0 wrote."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import chess
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_index import index_of
from python_chess_records import expected_records

from arena.boards import MoveError, PositionError, replay
from arena.game import WHITE_POINTS
from arena.training_records import (
    UNKNOWN,
    Expectation,
    SearchedPosition,
    game_records,
    line_records,
)
from swa.batches import read_batches
from swa.chunks import read_records, write_chunk
from swa.policy_map import MOVES
from swa.records import V6, planes_of, targets_of, validate

STARTS = (
    chess.STARTING_FEN,
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R b Kq - 3 9",
    "4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 1",
    "4k3/8/8/8/3pP3/8/8/4K3 b - e3 0 1",
    "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1",
    "8/PPP4k/8/8/8/8/4Kppp/8 w - - 0 1",
    "8/PPP4k/8/8/8/8/4Kppp/8 b - - 90 120",
    "8/8/8/8/8/7k/R7/K7 w - - 96 80",
)


def random_game(fen: str, seed: int, plies: int) -> tuple[chess.Board, list[chess.Move]]:
    """Legal moves from a position; every other one goes back where it can: games repeat so."""
    dice = random.Random(seed)
    start = chess.Board(fen)
    board, moves = start.copy(), []
    while len(moves) < plies and (legal := list(board.legal_moves)):
        move = dice.choice(legal)
        if len(moves) > 1 and dice.random() < 0.5:
            back = chess.Move(moves[-2].to_square, moves[-2].from_square)
            move = back if back in legal else move
        moves.append(move)
        board.push(move)
    return start, moves


def assert_equal(records: Any, expected: list[dict[str, object]]) -> None:
    assert len(records) == len(expected)
    for number, (record, fields) in enumerate(zip(records, expected, strict=True)):
        assert fields.keys() == set(V6.names or ())
        for name, value in fields.items():
            np.testing.assert_array_equal(record[name], value, err_msg=f"{name} of {number}")


@given(
    fen=st.sampled_from(STARTS),
    seed=st.integers(0, 2**32),
    plies=st.integers(1, 60),
    result=st.sampled_from(sorted(WHITE_POINTS)),
)
def test_every_field_equals_python_chess(fen: str, seed: int, plies: int, result: Any) -> None:
    start, moves = random_game(fen, seed, plies)
    records = game_records(start, moves, result)
    expected = list(expected_records(start, moves, result))
    if len(records) < len(moves):  # a record cannot hold more than 100 plies without progress
        assert expected[len(records)]["rule50"] == 101
    assert_equal(records, expected[: len(records)])
    validate(records)


def test_repetition_castling_and_en_passant_are_put_to_the_test() -> None:
    """The games that the property above is made of have what is hard in them."""
    seen = set()
    for seed in range(20):
        for fen in STARTS:
            board, moves = random_game(fen, seed, 40)
            for move in moves:
                seen |= {"castling"} if board.is_castling(move) else set()
                seen |= {"en passant"} if board.is_en_passant(move) else set()
                seen |= {"knight"} if move.promotion == chess.KNIGHT else set()
                seen |= {"queen"} if move.promotion == chess.QUEEN else set()
                board.push(move)
                seen |= {"repetition"} if board.is_repetition(2) else set()
    assert seen == {"castling", "en passant", "knight", "queen", "repetition"}


MATE = ["f2f3", "e7e5", "g2g4", "d8h4"]


def test_result_and_length_are_the_movers() -> None:
    records = game_records(chess.Board(), MATE, "0-1")
    assert records["result_q"].tolist() == [-1, 1, -1, 1]
    assert records["result_d"].tolist() == [0, 0, 0, 0]
    assert records["side_to_move"].tolist() == [0, 1, 0, 1]
    assert records["plies_left"].tolist() == [4, 3, 2, 1]
    assert [MOVES[index] for index in records["played_idx"]] == ["f2f3", "e2e4", "g2g4", "d1h5"]
    assert records["invariance_info"].tolist() == [0, 0, 0, 0]
    drawn = game_records(chess.Board(), MATE[:3], "1/2-1/2", adjudicated=True)
    assert drawn["result_q"].tolist() == [0, 0, 0]
    assert drawn["result_d"].tolist() == [1, 1, 1]
    assert drawn["invariance_info"].tolist() == [32, 32, 32]


def test_moves_of_the_opening_are_history_without_records() -> None:
    whole = game_records(chess.Board(), MATE, "0-1")
    rest = game_records(chess.Board(), MATE, "0-1", first=2)
    assert rest.tobytes() == whole[2:].tobytes()
    assert not len(game_records(chess.Board(), MATE, "0-1", first=4))
    with pytest.raises(ValueError, match="do not lead from position 5"):
        game_records(chess.Board(), MATE, "0-1", first=5)


def test_records_end_where_fifty_moves_are_over() -> None:
    start = chess.Board("8/7k/8/8/8/8/8/K5R1 w - - 98 100")
    moves = ["g1f1", "h7h8", "f1g1", "h8h7", "g1f1"]
    records = game_records(start, moves, "1-0")
    assert records["rule50"].tolist() == [98, 99, 100]
    assert records["plies_left"].tolist() == [5, 4, 3]
    validate(records)
    assert not len(game_records(chess.Board("8/7k/8/8/8/8/8/K5R1 w - - 101 100"), ["g1f1"], "1-0"))
    far = chess.Board("8/7k/8/8/8/8/8/K5R1 w - - 300 300")
    assert not len(game_records(far, ["g1f1"], "1-0"))


def searched(board: chess.Board, move: chess.Move, m: float = 30.0) -> SearchedPosition:
    """A search that visited the move twice and another legal one once."""
    other = next(each for each in board.legal_moves if each != move)
    return SearchedPosition(
        moves=np.array([index_of(board, other), index_of(board, move)], np.uint16),
        policy=np.array([1 / 3, 2 / 3], np.float32),
        best_move=index_of(board, other),
        root=Expectation(0.25, 0.5, m + 1),
        best=Expectation(0.5, 0.25, m),
        played=Expectation(-0.125, 0.75, m - 1),
        net=Expectation(0.0625, 0.125, 17.0),
        visits=4,
        policy_kld=0.5,
        proven=board.fullmove_number == 2,
    )


def test_searches_fill_their_fields() -> None:
    board, searches = chess.Board(), []
    for text in MATE:
        searches.append(searched(board, chess.Move.from_uci(text)))
        board.push_uci(text)
    records = game_records(chess.Board(), MATE, "0-1", searches)
    plain = game_records(chess.Board(), MATE, "0-1")
    for name in ("planes", "rule50", "side_to_move", "result_q", "result_d", "played_idx"):
        assert records[name].tobytes() == plain[name].tobytes(), name
    for number, (record, search) in enumerate(zip(records, searches, strict=True)):
        assert record["best_idx"] == search.best_move != record["played_idx"]
        expected = np.minimum(plain["probabilities"][number], 0)
        expected[search.moves] = search.policy
        assert record["probabilities"].tolist() == expected.tolist()
        for what, wanted in (
            ("root", search.root),
            ("best", search.best),
            ("played", search.played),
            ("orig", search.net),
        ):
            assert [record[f"{what}_{part}"] for part in "qdm"] == [*wanted], what
        assert (record["visits"], record["policy_kld"]) == (4, 0.5)
    assert records["invariance_info"].tolist() == [0, 0, 8, 8]
    assert records["plies_left"].tolist() == [4, 3, 2, 1]
    validate(records)
    resigned = game_records(chess.Board(), MATE, "0-1", searches, adjudicated=True)
    assert resigned["plies_left"].tolist() == [33, 32, 31, 30]
    assert resigned["invariance_info"].tolist() == [32, 32, 40, 40]
    stopped = game_records(chess.Board(), MATE, "1/2-1/2", searches, max_length=True)
    assert stopped["invariance_info"].tolist() == [48, 48, 56, 56]
    assert stopped["plies_left"].tolist() == resigned["plies_left"].tolist()


def test_a_net_without_moves_left_has_none() -> None:
    board = chess.Board()
    search = replace(searched(board, chess.Move.from_uci("e2e4")), net=UNKNOWN)
    search = replace(search, **{name: Expectation(0.0, 1.0, np.nan) for name in ("root", "best")})
    (record,) = game_records(board, ["e2e4"], "1-0", [search], adjudicated=True)
    assert (record["root_m"], record["best_m"], record["plies_left"]) == (0, 0, 1)
    assert np.isnan([record["orig_q"], record["orig_d"], record["orig_m"]]).all()


@given(
    q=st.floats(-1 - 2**-20, 1 + 2**-20, width=32),
    d=st.floats(-(2**-20), 1 + 2**-20, width=32),
)
def test_sums_of_float32_become_possible(q: float, d: float) -> None:
    board = chess.Board()
    search = searched(board, chess.Move.from_uci("e2e4"))
    records = game_records(board, ["e2e4"], "1-0", [replace(search, root=Expectation(q, d, 1.0))])
    validate(records)
    lead, draw = float(records["root_q"][0]), float(records["root_d"][0])
    assert abs(lead - min(max(q, -1.0), 1.0)) < 1e-7
    assert abs(lead) + draw <= 1 + 1e-6
    if abs(q) + d <= 1 and d >= 0:
        assert abs(draw - d) < 2e-7


def test_what_does_not_fit_is_refused() -> None:
    board = chess.Board()
    search = searched(board, chess.Move.from_uci("e2e4"))
    with pytest.raises(ValueError, match="1 searches do not fit 2 moves"):
        game_records(board, ["e2e4", "e7e5"], "1-0", [search])
    with pytest.raises(ValueError, match="not legal in the game"):
        game_records(board, ["e2e4"], "1-0", [replace(search, best_move=MOVES.index("e1h1"))])
    with pytest.raises(ValueError, match="did not end 1-0"):
        game_records(board, ["e2e4"], "1-0", max_length=True)
    with pytest.raises(MoveError, match="illegal move"):
        game_records(board, ["e2e4", "e2e4"], "1-0")
    with pytest.raises(PositionError, match="not a playable position"):
        game_records(chess.Board("8/8/8/8/8/8/8/4K3 w - - 0 1"), [], "1-0")


def test_records_survive_the_file(tmp_path: Path) -> None:
    start, moves = random_game(STARTS[1], 5, 50)
    records = game_records(start, moves, "1-0")
    path = tmp_path / "training.0.gz"
    write_chunk(path, records)
    (chunk,) = read_records(path)
    assert chunk.records.tobytes() == records.tobytes()
    (batch,) = read_batches(path)
    masks, values = planes_of(records)
    assert np.array_equal(batch.masks, masks)
    assert np.array_equal(batch.values, values)
    assert batch.moves[batch.policy == 1].tolist() == records["played_idx"].tolist()
    targets = targets_of(records)
    assert np.array_equal(targets.plies_left, records["plies_left"])
    assert targets.result[:, 0].tolist() == [1 - black for black in records["side_to_move"]]


def searches_of(game: Any) -> list[SearchedPosition]:
    """What lc0 wrote of its searches."""

    def expectation(record: Any, what: str) -> Expectation:
        return Expectation(*(float(record[f"{what}_{part}"]) for part in "qdm"))

    return [
        SearchedPosition(
            moves=np.flatnonzero(record["probabilities"] >= 0).astype(np.uint16),
            policy=record["probabilities"][record["probabilities"] >= 0],
            best_move=int(record["best_idx"]),
            root=expectation(record, "root"),
            best=expectation(record, "best"),
            played=expectation(record, "played"),
            net=expectation(record, "orig"),
            visits=int(record["visits"]),
            policy_kld=float(record["policy_kld"]),
            proven=bool(record["invariance_info"] & 8),
        )
        for record in game
    ]


def chess960_start(game: Any) -> chess.Board:
    """The start position with the first record's back rank."""
    at = [
        [int(game["planes"][0, kind]) >> (7 - file) & 1 for kind in range(6)] for file in range(8)
    ]
    rank = "".join("PNBRQK"[kinds.index(1)] for kinds in at)
    return chess.Board(
        f"{rank.lower()}/pppppppp/8/8/8/8/PPPPPPPP/{rank} w KQkq - 0 1", chess960=True
    )


def move_at(board: chess.Board, index: int) -> chess.Move:
    """The legal move of a policy index; python-chess's own index of each says which it is."""
    flip = 56 if board.turn == chess.BLACK else 0
    for move in board.legal_moves:
        name = chess.square_name(move.from_square ^ flip) + chess.square_name(move.to_square ^ flip)
        if move.promotion and move.promotion != chess.KNIGHT:
            name += chess.piece_symbol(move.promotion)
        if name == MOVES[index]:  # castling is king takes rook in Chess960
            return move
    raise AssertionError(f"{MOVES[index]} is not legal in {board.fen()}")


@pytest.mark.parametrize(("folder", "positions"), [("v6", 159), ("v7", 7385)])
def test_lc0s_own_records_come_out_again(shared: Path, folder: str, positions: int) -> None:
    """Bit for bit, but for V7's q_st and for plies_left of games that were drawn on the board."""
    compared = exact = 0
    for chunk in read_records(shared / "chunks" / folder):
        game = chunk.records
        start = chess960_start(game)
        board, moves = start.copy(), []
        for record in game:
            moves.append(move_at(board, int(record["played_idx"])))
            board.push(moves[-1])
        line, played = replay(start, moves, len(moves) + 1)
        drawn, white = game["result_d"][0] == 1, game["result_q"][0] > 0
        adjudicated = bool(game["invariance_info"][0] & 32)
        records = line_records(
            replace(line, fill=0),  # lc0's rescorer leaves the history before a game empty
            played,
            "1/2-1/2" if drawn else "1-0" if white else "0-1",
            searches_of(game),
            adjudicated=adjudicated,
            max_length=bool(game["invariance_info"][0] & 16),
        )
        if folder == "v7":
            records["q_st"] = game["q_st"]
        if drawn and not adjudicated:
            assert records["plies_left"].tolist() == list(range(len(game), 0, -1))
            records["plies_left"] = game["plies_left"]
        else:
            exact += len(game)
        for name in V6.names or ():
            assert records[name].tobytes() == game[name].tobytes(), (chunk.path.name, name)
        compared += len(game)
    assert compared == positions
    assert exact > positions / 2
