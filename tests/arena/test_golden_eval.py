"""What a net says of a position, from its moves to its numbers, against lc0's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import read_jsonl

from arena.analyze import Analysis
from arena.config import SearchParams
from arena.evaluator import TorchEvaluator
from arena.search import Player
from swa.net import load_net

NETS = {
    "eval": ("maia-1100", "maia-1500", "maia-1900"),
    "eval_more": ("meangirl-8", "tinygyal-8", "maia-2200", "ckpt-1-10000", "ckpt-11-110000"),
}


@pytest.mark.parametrize(("file", "net"), [(file, net) for file in NETS for net in NETS[file]])
def test_evaluations_are_lc0s(shared: Path, file: str, net: str) -> None:
    rows = read_jsonl(shared / "golden" / f"{file}.jsonl.gz")
    evaluator = TorchEvaluator(load_net(shared / "nets" / f"{net}.pb.gz"), "cpu")
    player = Player(net, evaluator, SearchParams(visits=1))
    ours = Analysis(player, [(row["fen"], row["moves"]) for row in rows]).evaluate()
    assert len(ours) == 155
    for row, evaluation in zip(rows, ours, strict=True):
        theirs = row["eval"][net]
        logits = dict(zip(row["moves_legal"], theirs["logits"], strict=True))
        assert evaluation.logits == pytest.approx(logits, rel=0, abs=2e-4)
        policy = dict(zip(row["moves_legal"], theirs["p"], strict=True))
        assert evaluation.policy == pytest.approx(policy, rel=0, abs=2e-5)
        assert evaluation.q == pytest.approx(theirs["q"], rel=0, abs=2e-5)
        assert evaluation.wdl == pytest.approx(
            (theirs["w"], theirs["d"], theirs["l"]), rel=0, abs=2e-5
        )
