"""The torch module against lc0 and against an independent forward pass, for every kind of net.

The planes are those that lc0 made, so that this tests nets only.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import read_jsonl

from swa.model import for_play, tower
from swa.net import load_net

Rows = list[tuple[dict[str, Any], dict[str, Any]]]  # of lc0, of the float64 pass


def stacked_planes(rows: list[dict[str, Any]]) -> torch.Tensor:
    """Planes [B, 112, 8, 8] in float64 of rows of planes.jsonl.gz."""
    boards = np.zeros((len(rows), 112, 64))
    for board, row in zip(boards, rows, strict=True):
        for plane, (mask, value) in row["planes"].items():
            bits = np.frombuffer(bytes.fromhex(mask)[::-1], np.uint8)
            board[int(plane)] = np.unpackbits(bits, bitorder="little") * value
    return torch.from_numpy(boards).view(-1, 112, 8, 8)


@pytest.fixture(scope="module")
def zoo(shared: Path) -> dict[str, Rows]:
    folder, nets = shared / "golden/zoo", defaultdict(list)
    both = (read_jsonl(folder / f"{name}.jsonl.gz") for name in ("rows", "float64"))
    for of_lc0, exact in zip(*both, strict=True):
        assert (of_lc0["net"], of_lc0["id"]) == (exact["net"], exact["id"])
        nets[of_lc0["net"]].append((of_lc0, exact))
    assert len(nets) == 59
    return nets


@pytest.fixture(scope="module")
def planes(shared: Path) -> dict[tuple[int, int], dict[str, Any]]:
    rows = read_jsonl(shared / "golden/zoo/planes.jsonl.gz")
    return {(row["input_format"], row["id"]): row for row in rows}


def check(outputs: Any, rows: list[dict[str, Any]], indices: list[Any], limits: Any) -> None:
    """Hold logits, q and d, plies against ``rows``."""
    logits, scalars, plies = limits
    policy, value = outputs.policy.double().numpy(), outputs.value.double()
    if value.shape[1] == 3:
        w, d, l = value.softmax(1).T.numpy()  # noqa: E741
        q = w - l
    else:
        q, d = value[:, 0].numpy(), np.zeros(len(value))
    m = outputs.moves_left
    moves_left = np.zeros(len(value)) if m is None else m[:, 0].double().numpy()
    for board, (row, index) in enumerate(zip(rows, indices, strict=True)):
        np.testing.assert_allclose(policy[board, index], row["logits"], rtol=0, atol=logits)
        found = (q[board], d[board])
        np.testing.assert_allclose(found, (row["q"], row["d"]), rtol=0, atol=scalars)
        np.testing.assert_allclose(moves_left[board], row["m"], rtol=0, atol=plies)


def test_every_net_says_what_lc0_and_the_exact_pass_say(
    shared: Path, zoo: dict[str, Rows], planes: dict[tuple[int, int], dict[str, Any]]
) -> None:
    for name, pairs in zoo.items():
        first = pairs[0][0]
        net = load_net(
            shared / "golden/zoo/nets" / first["file"],
            policy_head=first["policy_head"],
            value_head=first["value_head"],
        )
        assert net.spec.input_format == first["input_format"], name
        of_lc0, exact = ([pair[side] for pair in pairs] for side in (0, 1))
        indices = [row["index"] for row in of_lc0]
        boards = stacked_planes([planes[row["input_format"], row["id"]] for row in of_lc0])
        with torch.no_grad():
            double = tower(net.spec, net.weights).eval().double()(boards)
            single = for_play(net.spec, net.weights)(boards.float())
        check(double, exact, indices, (3e-5, 5e-6, 4e-4))
        check(single, of_lc0, indices, (5e-4, 1e-4, 3e-3))
