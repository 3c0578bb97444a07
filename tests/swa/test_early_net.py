"""Nets of text version 1 against a forward pass by leela-chess's own rules, planes and moves."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import chess
import numpy as np
import pytest
import torch
from leela_chess_game import Position, place_of, random_game
from numpy.typing import NDArray
from policy_index import index_of
from test_record_planes import Replay
from test_text_file import EARLY, weights_for
from text_nets import text_net
from torch.nn import functional

from swa.cli import main
from swa.legacy_records import parse as parse_records
from swa.model import for_play, tower
from swa.model.early import EarlyViews
from swa.net import Net, load_net, save_net
from swa.packed import why_not
from swa.records import planes_of
from swa.refresh_torch import module_on
from swa.spec import NetError, parameters

PAYLOAD = text_net(1, EARLY, weights_for(1, EARLY))
LINES = [np.array(line.split(), float) for line in PAYLOAD.split(b"\n")[1:]]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Net:
    path = tmp_path_factory.mktemp("early") / "early.txt"
    path.write_bytes(PAYLOAD)
    return load_net(path)


def reference(planes: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The 1924 logits and the value of leela-chess, ``forward_cpu``, for planes [120, 8, 8]."""
    lines = iter(LINES)

    def convolved(x: torch.Tensor, size: int) -> torch.Tensor:
        weights, biases, means, variances = (torch.tensor(next(lines)) for _ in range(4))
        weights = weights.reshape(len(means), -1, size, size)
        raw = functional.conv2d(x, weights, biases, padding=size // 2)
        return (raw - means[:, None, None]) / torch.sqrt(variances + 1e-5)[:, None, None]

    def dense(x: torch.Tensor) -> torch.Tensor:
        weights, biases = (torch.tensor(next(lines)) for _ in range(2))
        return weights.reshape(len(biases), -1) @ x.flatten() + biases

    x = convolved(torch.tensor(planes)[None], 3).relu()
    for _ in range(EARLY.blocks):
        skip, x = x, convolved(x, 3).relu()
        x = (convolved(x, 3) + skip).relu()
    logits = dense(convolved(x, 1).relu())
    value = dense(dense(convolved(x, 1).relu()).relu()).tanh()
    assert next(lines, None) is None
    return logits.numpy(), value.item()


def early_planes(position: Position) -> NDArray[np.float64]:
    """The 120 planes of a position, [120, 8, 8]."""
    planes = np.zeros((120, 64))
    for plane, mask in enumerate(position.planes):
        planes[plane] = [mask >> square & 1 for square in range(64)]
    planes[112:117] = np.array(position.flags)[:, None]
    planes[117] = position.rule50
    return planes.reshape(120, 8, 8)


@cache
def positions() -> list[tuple[chess.Board, Position, torch.Tensor]]:
    """Positions of a game as leela-chess has them, and their planes as lc0 has them."""
    replay, found = Replay(chess.Board()), []
    for number, (board, position) in enumerate(random_game(seed=11, plies=70)):
        if board.move_stack:
            replay.push(board.peek())
        if number % 9 < 2:
            masks, values = replay.planes()
            octets = np.array(masks, "<u8").view(np.uint8).reshape(112, 8, 1)
            planes = np.unpackbits(octets, axis=2, bitorder="little")
            scaled = planes * np.array(values)[:, None, None]
            found.append((board.copy(), position, torch.tensor(scaled)[None]))
    return found


def test_evaluations_are_those_of_leela_chess(net: Net) -> None:
    exact = tower(net.spec, net.weights).eval().double()
    single = for_play(net.spec, net.weights)
    sides = set()
    for board, position, planes in positions():
        logits, value = reference(early_planes(position))
        sides.add(board.turn)
        for module, tolerance in ((exact, 1e-6), (single, 2e-4)):
            dtype = next(module.parameters()).dtype
            with torch.no_grad():
                outputs = module(planes.to(dtype))
            assert outputs.policy.shape == (1, 1858)
            assert outputs.value.item() == pytest.approx(value, abs=tolerance)
            for move in board.legal_moves:
                found = outputs.policy[0, index_of(board, move)].item()
                assert found == pytest.approx(logits[place_of(board, move)], abs=tolerance)
    assert sides == {True, False}


@pytest.mark.parametrize(
    "fen",
    [
        "r3k2r/1P4p1/8/8/8/8/1p4P1/R3K2R b KQkq - 0 1",
        "r3k2r/1P4p1/8/8/8/8/1p4P1/R3K2R w KQkq - 0 1",
    ],
)
def test_promotions_and_castling_have_their_places(fen: str) -> None:
    board = chess.Board(fen)
    planes = torch.zeros(1, 112, 8, 8)
    planes[:, 108] = float(board.turn == chess.BLACK)
    numbered = EarlyViews().policy(torch.arange(1924.0)[None], planes)[0]
    moves = [move for move in board.legal_moves if move.promotion or board.is_castling(move)]
    assert {board.is_castling(move) for move in moves} == {True, False}
    assert {move.promotion for move in moves} == {None, *range(chess.KNIGHT, chess.KING)}
    for move in moves:
        assert numbered[index_of(board, move)] == place_of(board, move)


def test_a_batch_is_its_positions(net: Net) -> None:
    module = tower(net.spec, net.weights).eval().double()
    planes = torch.cat([planes for _, _, planes in positions()])
    with torch.no_grad():
        together = module(planes).policy
        for number, one in enumerate(planes.split(1)):
            torch.testing.assert_close(together[number], module(one).policy[0])


def test_its_own_records_are_its_own_planes(net: Net) -> None:
    """What a net of version 1 is trained on is, raised to V6, what it sees."""
    for board, position, planes in positions():
        masks, values = planes_of(parse_records(position.v2()))
        octets = masks.view(np.uint8).reshape(112, 8, 1)
        found = np.unpackbits(octets, axis=2, bitorder="little") * values[0, :, None, None]
        np.testing.assert_array_equal(found, planes[0].numpy(), err_msg=board.fen())


def test_the_refresh_sees_what_the_net_sees(net: Net) -> None:
    module = module_on(net.spec, net.weights, "cpu", "float64")
    planes = torch.rand(2, 112, 8, 8, dtype=torch.float64)
    seen = module.seen(planes)
    boards = planes[:, :104].reshape(2, 8, 13, 8, 8)
    for board in range(8):
        expected = boards[:, board]
        if board % 2:
            pieces = torch.cat((expected[:, 6:12], expected[:, :6], expected[:, 12:]), 1)
            expected = pieces.flip(2)
        torch.testing.assert_close(seen[:, 13 * board : 13 * board + 13], expected)
    torch.testing.assert_close(seen[:, 104:], planes[:, 104:])


def test_it_is_an_early_net(net: Net) -> None:
    assert net.spec == EARLY
    assert net.spec.policy_moves == 1924
    assert "early boards and moves" in str(net.spec)
    assert {row.name: row.shape for row in parameters(EARLY)}["policy.dense.bias"] == (1924,)
    assert "leela-chess" in why_not(net.spec)  # so that torch plays it


def test_it_is_not_written_as_what_it_is_not(
    net: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NetError, match="lc0's files cannot hold an early net"):
        save_net(net, tmp_path / "new.pb.gz")
    for command in (
        ["convert", str(net.path), str(tmp_path / "new.pb.gz")],
        ["average", str(net.path), str(net.path), "-o", str(tmp_path / "new.pb.gz")],
    ):
        assert main(command) == 2
        message = capsys.readouterr().err
        assert "lc0's files cannot hold an early net" in message
        assert len(message.splitlines()) <= 3
    assert not list(tmp_path.iterdir())
