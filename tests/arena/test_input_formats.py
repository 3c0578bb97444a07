"""Nets of every input format in searches, matches and training records."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import chess
import numpy as np
import pytest
from conftest import read_jsonl
from policy_index import index_of
from test_search import played, tasks_of
from tiny_net import TINY, random_weights

from arena.analyze import Analysis
from arena.boards import line_from_game
from arena.config import SearchParams
from arena.encoding import Encoding
from arena.evaluator import TorchEvaluator, WinogradEvaluator
from arena.game import GameRecord, Opening, PairRecord, Termination
from arena.kernel.formats import pack_input
from arena.opening_filter import leaves_of
from arena.opinions import Place, positions_of, say
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.selfplay_records import tally_of
from arena.training_records import UNKNOWN, SearchedPosition, game_records
from swa.batches import read_batches
from swa.chunks import Chunk, ReadCounts, games_of, pack_chunk, read_records
from swa.net import Net, NetError, load_net, new_net
from swa.policy_map import LC0_TRANSFORMED, TRANSFORMED
from swa.records import BLACK, TRANSFORM, black_to_move, planes_of, targets_of
from swa.spec import InputFormat

FORMATS = list(InputFormat)
CANONICAL = [each for each in FORMATS if each.canonical]
ENDGAME = "8/8/1k6/8/3Q4/8/r7/6K1 w - - 2 20"
"""Kings in all quarters soon, and no pawns: every transform comes to pass."""


def tiny(input_format: InputFormat, seed: int = 0, **changed: Any) -> Net:
    spec = replace(TINY, input_format=input_format)
    net = new_net(spec, random_weights(spec, seed), f"tiny-{int(input_format)}")
    return replace(net, **changed)


def chance_game(start: str, plies: int, seed: int = 0) -> tuple[chess.Board, list[chess.Move]]:
    dice, board, moves = random.Random(seed), chess.Board(start), []
    first = board.copy()
    while len(moves) < plies and not board.is_game_over() and board.halfmove_clock < 99:
        quiet = [move for move in board.legal_moves if not board.is_capture(move)]
        moves.append(dice.choice(quiet or list(board.legal_moves)))
        board.push(moves[-1])
    return first, moves


# --- what a net answers ---


def test_lc0s_error_is_reproduced_where_it_is_asked_for(shared: Path) -> None:
    """lc0 0.33 reads other logits than the net gives for a move; with lc0_transpose so do we."""
    zoo = shared / "golden" / "zoo"
    rows = [row for row in read_jsonl(zoo / "rows.jsonl.gz") if "n09_" in row["net"]]
    wrong = 0
    for file, group in groupby(rows, lambda row: row["file"]):
        of_net = list(group)
        if of_net[0]["input_format"] < InputFormat.WITH_CANONICALIZATION:
            continue
        net = load_net(zoo / "nets" / file, lc0_transpose=True)
        player = Player(net.name, WinogradEvaluator(net), SearchParams(visits=1))
        asked = [(row["fen"], row["moves"]) for row in of_net]
        for row, said in zip(of_net, Analysis(player, asked).evaluate(), strict=True):
            found = [said.logits[move] for move in row["legal"]]
            expected = row.get("lc0_032plus_logits", row["logits"])
            np.testing.assert_allclose(found, expected, atol=5e-4, err_msg=f"{file} {row['id']}")
            wrong += expected != row["logits"]
    assert wrong == 45


def test_lc0_transpose_is_refused_where_it_means_nothing(shared: Path) -> None:
    nets = shared / "golden" / "zoo" / "nets"
    for name, number in (("n09_fmt001_classical112", 1), ("n09_fmt002_castlingplane", 2)):
        with pytest.raises(NetError, match=f"input format {number} .*not turned\nLeave it out"):
            load_net(nets / f"{name}.pb.gz", lc0_transpose=True)


@pytest.mark.parametrize("lc0_transpose", [False, True])
def test_torch_and_winograd_turn_moves_alike(lc0_transpose: bool) -> None:
    net = tiny(InputFormat.WITH_CANONICALIZATION, lc0_transpose=lc0_transpose)
    start, moves = chance_game(ENDGAME, 12)
    openings = [Opening(start.fen(), tuple(map(str, moves[:ply]))) for ply in range(len(moves))]
    winograd, torch = WinogradEvaluator(net), TorchEvaluator(net, "cpu")
    leaves = leaves_of(openings, winograd.encoding)
    assert set(leaves.transforms.tolist()) - {0, 1, 2, 3}  # some are transposed
    one, other = winograd.evaluate(leaves), torch.evaluate(leaves)
    np.testing.assert_allclose(one.logits, other.logits, atol=2e-5)
    straight = replace(net, lc0_transpose=not lc0_transpose)
    assert abs(WinogradEvaluator(straight).evaluate(leaves).logits - one.logits).max() > 1e-3


@pytest.mark.parametrize("transform", range(8))
def test_a_search_of_an_image_is_the_image_of_the_search(transform: int) -> None:
    """Visits and values of a position without pawns do not depend on how its board is turned."""
    from swa.policy_map import turned

    net = WinogradEvaluator(tiny(InputFormat.WITH_CANONICALIZATION_HECTOPLIES))
    board, image = chess.Board("8/8/1k6/8/3Q1n2/8/r7/6K1 w - - 0 1"), chess.Board(None)
    squares = {square: int(turned(np.array([square]), transform)[0]) for square in chess.SQUARES}
    for square, piece in board.piece_map().items():
        image.set_piece_at(squares[square], piece)
    player = Player("tiny", net, SearchParams(visits=40))
    one, other = Analysis(player, [(board.fen(), []), (image.fen(), [])]).search()
    names = {chess.square_name(square): chess.square_name(to) for square, to in squares.items()}
    expected = {names[c.move[:2]] + names[c.move[2:]]: (c.visits, c.q) for c in one.children}
    assert {child.move: (child.visits, child.q) for child in other.children} == expected


@pytest.mark.parametrize(
    "input_format",
    [InputFormat.WITH_CANONICALIZATION_V2, InputFormat.WITH_CANONICALIZATION_HECTOPLIES],
)
def test_games_are_the_same_with_and_without_a_cache(input_format: InputFormat) -> None:
    """Against a net of format 1, in one batch or many; a match of two kinds is no special case."""
    nets = WinogradEvaluator(tiny(InputFormat.CLASSICAL_112_PLANE)), tiny(input_format, 1)
    both = [
        Player(evaluator.name, evaluator, SearchParams(visits=12))
        for evaluator in (nets[0], WinogradEvaluator(nets[1]))
    ]
    tasks = tasks_of([Opening(ENDGAME), Opening("7k/8/8/3q4/8/2R5/K7/8 b - - 0 1")])
    tasks = [replace(task, most_plies=40) for task in tasks]
    games = played(BatchedSearch(both, 4, lanes=1), tasks)
    assert games == played(BatchedSearch(both, 1, cache_positions=1000), tasks)
    assert games == played(BatchedSearch(both, 3, lanes=2, cache_positions=100), tasks)


def test_both_nets_are_asked_in_their_own_format() -> None:
    """Positions of a match, as nets of any format see them, against an analysis of each."""
    start, moves = chance_game(ENDGAME, 10)
    game = GameRecord(
        True,
        tuple(map(str, moves)),
        "1/2-1/2",
        Termination.MAX_LENGTH,
        (0.0,) * 10,
        (0.0,) * 10,
        (1,) * 10,
    )
    pair = PairRecord(0, Opening(start.fen()), (game, replace(game, candidate_white=False)))
    places = [Place(1, 1, ply) for ply in range(1, len(moves) + 1)]
    for input_format in FORMATS:
        net = WinogradEvaluator(tiny(input_format))
        leaves = positions_of({1: pair}, places, encoding=net.encoding).leaves
        player = Player("tiny", net, SearchParams(visits=1))
        asked = [(start.fen(), [str(move) for move in moves[:ply]]) for ply in range(len(moves))]
        expected = [said.q for said in Analysis(player, asked).evaluate()]
        np.testing.assert_allclose(say(net, leaves).q, expected, atol=1e-6)


# --- training records ---

STARTS = [
    chess.STARTING_FEN,
    ENDGAME,
    "r3k2r/pppppppp/8/8/8/8/PPPPPPPP/R3K2R b KQkq - 0 1",
    "4k3/8/8/8/3Pp3/8/8/4K3 b - d3 0 1",
]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("lc0_transpose", [False, True])
@pytest.mark.parametrize("input_format", FORMATS)
def test_records_say_what_the_net_sees(
    input_format: InputFormat, lc0_transpose: bool, start: str, tmp_path: Path
) -> None:
    """Planes, legal and played moves, side to move: by the kernel, and by python-chess."""
    first, moves = chance_game(start, 30)
    encoding = Encoding(input_format, lc0_transpose)
    records = game_records(first, moves, "0-1", encoding=encoding)
    assert len(records) == len(moves)
    masks, values = planes_of(records)
    line = line_from_game(first, [str(move) for move in moves], len(moves) + 1)
    board, table = first.copy(), LC0_TRANSFORMED if lc0_transpose else TRANSFORMED
    for ply, move in enumerate(moves):
        record = records[ply]
        seen, factors = np.zeros(112, np.uint64), np.zeros(112, np.float32)
        transform = pack_input(line.positions, ply, line.fill, int(input_format), seen, factors)
        np.testing.assert_array_equal(masks[ply], seen)
        np.testing.assert_array_equal(values[ply], factors)
        legal = [table[transform, index_of(board, each)] for each in board.legal_moves]
        assert sorted(np.flatnonzero(record["probabilities"] >= 0).tolist()) == sorted(legal)
        assert record["played_idx"] == table[transform, index_of(board, move)]
        assert record["probabilities"][record["played_idx"]] == 1
        black = board.turn == chess.BLACK
        assert record["result_q"] == (1 if black else -1)
        info = transform | (BLACK if black else 0)
        assert record["invariance_info"] == (info if input_format.canonical else 0)
        if not input_format.canonical:
            assert record["side_to_move"] == black
        board.push(move)
    assert (black_to_move(records) == line.positions["black"][: len(moves)]).all()
    assert tally_of(records, 0.0, False).black_wins == 1
    (tmp_path / "game.gz").write_bytes(pack_chunk(records))
    (chunk,) = read_records(tmp_path / "game.gz")
    assert chunk.records.tobytes() == records.tobytes()
    (batch,) = read_batches(tmp_path, input_format=input_format)
    np.testing.assert_array_equal(batch.masks, masks)
    np.testing.assert_array_equal(batch.values, values)


def test_a_search_s_moves_are_turned_with_the_board() -> None:
    first = chess.Board(ENDGAME)
    legal = [index_of(first, move) for move in first.legal_moves]
    policy = np.arange(1, len(legal) + 1, dtype=np.float32)
    policy /= policy.sum()
    search = SearchedPosition(
        moves=np.array(legal, np.uint16),
        policy=policy,
        best_move=legal[3],
        root=UNKNOWN._replace(q=0.0, d=1.0),
        best=UNKNOWN._replace(q=0.0, d=1.0),
        played=UNKNOWN._replace(q=0.0, d=1.0),
        visits=100,
    )
    encoding = Encoding(InputFormat.WITH_CANONICALIZATION)
    move = next(iter(first.legal_moves))
    (record,) = records = game_records(first, [move], "1/2-1/2", [search], encoding=encoding)
    transform = record["invariance_info"] & TRANSFORM
    assert transform == 0b110 or transform
    images = TRANSFORMED[transform, legal]
    np.testing.assert_array_equal(targets_of(records).policy[0, images], policy)
    assert record["best_idx"] == images[3]
    wrong = replace(search, best_move=TRANSFORMED[transform, legal[3]])
    if wrong.best_move not in legal:
        with pytest.raises(ValueError, match="not legal"):
            game_records(first, [move], "1/2-1/2", [wrong], encoding=encoding)


@pytest.mark.parametrize("input_format", CANONICAL)
def test_a_capture_does_not_begin_a_game(input_format: InputFormat) -> None:
    """History is empty after it; only the start position begins one of several in a file."""
    moves = ["e2e4", "d7d5", "e4d5", "d8d5", "b1c3", "d5a5", "c3b1", "a5d8"]
    one = game_records(chess.Board(), moves, "1-0", encoding=Encoding(input_format))
    whole = Chunk(Path("x"), "", 6, np.concatenate([one, one, one[:3]]))
    assert [len(game.records) for game in games_of(whole)] == [8, 8, 3]


def test_records_of_another_format_are_left_out_with_the_reason(tmp_path: Path) -> None:
    first, moves = chance_game(STARTS[0], 4)
    for number in (3, 4):
        records = game_records(first, moves, "1-0", encoding=Encoding(InputFormat(number)))
        (tmp_path / f"{number}.gz").write_bytes(pack_chunk(records))
    read = ReadCounts()
    (batch,) = read_batches(tmp_path, read=read, input_format=InputFormat(4))
    assert len(batch.masks) == 4
    (error,) = read.examples.values()
    assert "input format 3, where the net has 4" in str(error)
    assert "INPUT_112_WITH_CANONICALIZATION_HECTOPLIES" in str(error)


def test_formats_are_lc0_s() -> None:
    from swa.weights_file import INPUT_FORMATS

    assert {int(each): each.lc0_name for each in FORMATS} == {
        number: name for number, name in INPUT_FORMATS.items() if number
    }
    assert TINY.input_format is InputFormat.CLASSICAL_112_PLANE
