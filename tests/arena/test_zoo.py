"""``arena analyze`` on nets of every kind against lc0: each net of the zoo, each choice of heads.

Numbers are lc0's own (backend eigen), but for the kinds that lc0's CPU code does not evaluate:
these are an independent float64 forward pass's (golden/README.md). Positions cover castling, en
passant, promotions, repetitions, the 50-move rule and every transform of canonical inputs.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import read_jsonl, shared_folder

from arena.cli import main

LOGITS, OUTCOME, PLIES = 5e-4, 1e-4, 3e-3
"""Tolerances of the zoo: LINEAR16 decoded in another rounding order moves a logit by 3e-4."""

Rows = list[dict[str, Any]]


class Choice(NamedTuple):
    """A net of the zoo with the heads that are asked."""

    net: str  # the rows' name of it: "n08a_bt4like_multihead:optimistic:q"
    file: str
    policy_head: str
    value_head: str


def choices() -> list[Choice]:
    """All that nets.json has; none without the shared folder."""
    folder = shared_folder()
    if folder is None:
        return []
    found = json.loads((folder / "golden" / "zoo" / "nets.json").read_text())
    return [
        Choice(
            name if len(about["heads"]) == 1 else f"{name}:{policy}:{value}", file, policy, value
        )
        for name, about in found.items()
        for file in [about["file"]]
        for policy, value in about["heads"]
    ]


CHOICES = choices()


@pytest.fixture(scope="module")
def zoo(shared: Path) -> Path:
    return shared / "golden" / "zoo"


@pytest.fixture(scope="module")
def rows(zoo: Path) -> dict[str, Rows]:
    found = read_jsonl(zoo / "rows.jsonl.gz")
    return {net: list(of_net) for net, of_net in groupby(found, lambda row: row["net"])}


@pytest.fixture(scope="module")
def positions(rows: dict[str, Rows], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The positions of every net, which are the same for all."""
    path = tmp_path_factory.mktemp("zoo") / "positions.jsonl"
    keys = ("id", "fen", "moves")
    path.write_text(
        "".join(
            json.dumps({key: row[key] for key in keys}) + "\n" for row in next(iter(rows.values()))
        )
    )
    return path


def word_of(path: Path, choice: Choice) -> str:
    """What ``--net`` has to be; the default heads are not asked for."""
    words = [f"path={path}"]
    if choice.policy_head != "vanilla":
        words.append(f"policy-head={choice.policy_head}")
    if choice.value_head != "winner":
        words.append(f"value-head={choice.value_head}")
    return str(path) if len(words) == 1 else " ".join(words)


def test_every_row_is_asked_for(rows: dict[str, Rows]) -> None:
    assert [choice.net for choice in CHOICES if choice.net not in rows] == []
    assert sorted(rows) == sorted(choice.net for choice in CHOICES)
    first = next(iter(rows.values()))
    for of_net in rows.values():
        assert [(row["id"], row["fen"], row["moves"]) for row in of_net] == [
            (row["id"], row["fen"], row["moves"]) for row in first
        ]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.net)
def test_analyze_says_what_lc0_says(
    zoo: Path,
    rows: dict[str, Rows],
    positions: Path,
    capsys: pytest.CaptureFixture[str],
    choice: Choice,
) -> None:
    flags = ["--positions", str(positions), "--device", "cpu", "--json"]
    assert main(["analyze", "--net", word_of(zoo / "nets" / choice.file, choice), *flags]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == len(rows[choice.net]) == 47
    for answer, row in zip(answers, rows[choice.net], strict=True):
        compare(answer, row)


def compare(answer: dict[str, Any], row: dict[str, Any]) -> None:
    assert answer["id"] == row["id"]
    logits = dict(zip(row["legal"], row["logits"], strict=True))
    assert answer["logits"] == pytest.approx(logits, rel=0, abs=LOGITS)
    policy = dict(zip(row["legal"], row["p"], strict=True))
    assert answer["policy"] == pytest.approx(policy, rel=0, abs=OUTCOME)
    assert answer["q"] == pytest.approx(row["q"], rel=0, abs=OUTCOME)
    win, draw, loss = answer["wdl"]
    assert draw == pytest.approx(row["d"], rel=0, abs=OUTCOME)
    assert (win, loss) == pytest.approx((row["w"], row["l"]), rel=0, abs=OUTCOME)
    assert win + draw + loss == pytest.approx(1.0, rel=0, abs=1e-6)
    if not row["has_wdl"]:
        assert draw == 0
    if row["has_m"]:
        assert answer["moves_left"] == pytest.approx(row["m"], rel=0, abs=PLIES)
    else:
        assert answer["moves_left"] is None
