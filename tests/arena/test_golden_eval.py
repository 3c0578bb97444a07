"""What a net says of a position, from its moves to its numbers, against lc0's own and float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import read_jsonl
from numpy.typing import NDArray

from arena.analyze import Analysis
from arena.config import SearchParams
from arena.evaluator import Evaluator, TorchEvaluator, WinogradEvaluator
from arena.search_settings import Player
from swa import planes
from swa.forward import Forward
from swa.net import Net, load_net
from swa.packed import why_not
from swa.spec import ValueKind

NETS = {
    "eval": ("maia-1100", "maia-1500", "maia-1900"),
    "eval_more": ("meangirl-8", "tinygyal-8", "maia-2200", "ckpt-1-10000", "ckpt-11-110000"),
}

ALL_NETS = (*NETS["eval"], *NETS["eval_more"], "maia-1300", "maia-1600")
"""Every net of the shared folder; lc0's numbers are there for all but the last two."""


def evaluator_of(kind: str, net: Net) -> Evaluator:
    return TorchEvaluator(net, "cpu") if kind == "torch" else WinogradEvaluator(net)


@pytest.mark.parametrize("kind", ["torch", "winograd"])
@pytest.mark.parametrize(("file", "net"), [(file, net) for file in NETS for net in NETS[file]])
def test_evaluations_are_lc0s(shared: Path, file: str, net: str, kind: str) -> None:
    rows = read_jsonl(shared / "golden" / f"{file}.jsonl.gz")
    evaluator = evaluator_of(kind, load_net(shared / "nets" / f"{net}.pb.gz"))
    tolerance = 2e-5  # both sides of this comparison are float32
    player = Player(net, evaluator, SearchParams(visits=1))
    ours = Analysis(player, [(row["fen"], row["moves"]) for row in rows]).evaluate()
    assert len(ours) == 155
    for row, evaluation in zip(rows, ours, strict=True):
        theirs = row["eval"][net]
        logits = dict(zip(row["moves_legal"], theirs["logits"], strict=True))
        assert evaluation.logits == pytest.approx(logits, rel=0, abs=5e-5)
        policy = dict(zip(row["moves_legal"], theirs["p"], strict=True))
        assert evaluation.policy == pytest.approx(policy, rel=0, abs=2e-5)
        assert evaluation.q == pytest.approx(theirs["q"], rel=0, abs=tolerance)
        assert evaluation.wdl == pytest.approx(
            (theirs["w"], theirs["d"], theirs["l"]), rel=0, abs=tolerance
        )


# Against float64


class Golden(NamedTuple):
    """Positions as a net gets them, and the legal moves of all of them."""

    masks: NDArray[np.uint64]  # [155, 112]
    values: NDArray[np.float32]
    moves: NDArray[np.uint16]
    offsets: NDArray[np.int64]


class Exact(NamedTuple):
    """What a net says of them, reckoned in float64."""

    logits: NDArray[np.float64]
    q: NDArray[np.float64]
    d: NDArray[np.float64]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    rows = read_jsonl(shared / "golden" / "eval.jsonl.gz")
    with np.load(shared / "golden" / "eval_planes.npz") as packed:
        assert packed["id"].tolist() == [row["id"] for row in rows]
        masks, values = packed["mask"], packed["value"]
    lists = [row["policy_index"] for row in rows]
    return Golden(
        masks,
        values,
        np.concatenate(lists).astype(np.uint16),
        np.cumsum([0, *map(len, lists)], dtype=np.int64),
    )


def independent_float64(shared: Path, name: str) -> Exact | None:
    """From the shared folder: an independent forward pass, of three of the nets."""
    rows: list[dict[str, Any]] = [
        row["ref64"] for row in read_jsonl(shared / "golden" / "eval_float64.jsonl.gz")
    ]
    if name not in rows[0]:
        return None
    return Exact(
        np.concatenate([row[name]["logits"] for row in rows]),
        np.array([row[name]["q"] for row in rows]),
        np.array([row[name]["d"] for row in rows]),
    )


def float64_of_torch(net: Net, golden: Golden) -> Exact:
    """The torch module in float64, batch norm not folded."""
    import torch

    from swa.model import tower

    torch.set_num_threads(1)  # more collapse when anything else wants a core
    module = tower(net.spec, net.weights).eval().double()
    inputs = planes.unpack(golden.masks, golden.values.astype(np.float64))
    with torch.inference_mode():
        outputs = module(torch.from_numpy(inputs))
    rows = np.repeat(np.arange(len(golden.masks)), np.diff(golden.offsets))
    logits = outputs.policy.numpy()[rows, golden.moves]
    if net.spec.value.kind is ValueKind.CLASSICAL:
        q = outputs.value.numpy()[:, 0]
        return Exact(logits, q, np.zeros_like(q))
    win, draw, loss = outputs.value.softmax(1).numpy().T
    return Exact(logits, win - loss, draw)


def test_all_nets_are_here(shared: Path) -> None:
    assert sorted(path.name for path in (shared / "nets").glob("*.pb.gz")) == sorted(
        f"{name}.pb.gz" for name in ALL_NETS
    )


@pytest.mark.parametrize("name", ALL_NETS)
def test_the_forward_pass_is_as_exact_as_demanded(shared: Path, golden: Golden, name: str) -> None:
    """Within 1e-4 in logits and 1e-5 in q of float64."""
    net = load_net(shared / "nets" / f"{name}.pb.gz")
    assert why_not(net.spec) == ""
    logits, wdl, _ = Forward(net.spec, net.weights)(*golden)
    exact = float64_of_torch(net, golden)
    references = [exact]
    if (independent := independent_float64(shared, name)) is not None:
        references.append(independent)
        # They differ by how weights are decoded, in float32 as lc0 does or not (golden/README.md).
        np.testing.assert_allclose(exact.logits, independent.logits, rtol=0, atol=1e-4)
        np.testing.assert_allclose(exact.q, independent.q, rtol=0, atol=1e-5)
    for reference in references:
        np.testing.assert_allclose(logits, reference.logits, rtol=0, atol=1e-4)
        np.testing.assert_allclose(wdl[:, 0] - wdl[:, 2], reference.q, rtol=0, atol=1e-5)
        np.testing.assert_allclose(wdl[:, 1], reference.d, rtol=0, atol=1e-5)
