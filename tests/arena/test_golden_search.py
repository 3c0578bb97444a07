"""The search against lc0's own: the same visits, the same moves, the same games.

Where we differ, and why (measured over all 400 reference searches of each kind):

- ``plain`` (bare rules): 100 of 100 searches of 100 nodes and 99 of 100 of 800 are identical. In
  the other one two children are one visit apart: evaluations differ in the seventh digit (another
  order of float32 sums in the net), and a near-tie between two scores turns on it.
- ``default``: lc0's out-of-order evaluation adds a visit beyond the limit in many searches (root
  visits 101 for 100), and its cache answers a transposition with the evaluation that the position
  had under another history or 50-move count; ours never does. Both move a visit or two.
- games at one visit: lc0 keeps priors in 16 bits, so among moves whose logits are closer than that
  it plays the first of its list; we play the one with the larger logit.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import chess
import pytest
from conftest import read_jsonl

from arena.analyze import Analysis, SearchResult
from arena.config import SearchParams
from arena.evaluator import WinogradEvaluator
from arena.game import GameTask, Opening
from arena.openings import read_book
from arena.search import BatchedSearch
from arena.search_settings import Player
from swa.cores import usable_cores
from swa.net import load_net


@cache
def evaluator(path: Path) -> WinogradEvaluator:
    return WinogradEvaluator(load_net(path), threads=usable_cores())


def as_king_moves(row: dict[str, Any], move: str) -> str:
    """The reference writes castling as king takes rook."""
    board = chess.Board(row["fen"])
    for earlier in row["moves"]:
        board.push_uci(earlier)
    return board.uci(board.parse_uci(move), chess960=False)


def compare(row: dict[str, Any], ours: SearchResult) -> tuple[bool, bool, float]:
    """Whether all visits are the same, whether the move is, total variation of the visits."""
    theirs = {as_king_moves(row, child["move"]): child["n"] for child in row["children"]}
    visits = {child.move: child.visits for child in ours.children}
    assert theirs.keys() <= visits.keys()
    ours_total, theirs_total = sum(visits.values()), sum(theirs.values())
    variation = sum(
        abs(count / ours_total - theirs.get(move, 0) / theirs_total)
        for move, count in visits.items()
    )
    same = all(count == theirs.get(move, 0) for move, count in visits.items())
    return same, ours.bestmove == as_king_moves(row, row["bestmove"]), variation / 2


def searched(shared: Path, kind: str, nodes: int) -> list[tuple[bool, bool, float]]:
    """All reference searches of a kind and size, compared with ours."""
    rows = [
        row
        for row in read_jsonl(shared / "golden" / f"search_{kind}.jsonl.gz")
        if row["nodes"] == nodes
    ]
    whole = kind == "default"
    params = SearchParams(visits=nodes, two_fold_draws=whole, sticky_endgames=whole)
    compared = []
    for net in sorted({row["net"] for row in rows}):
        asked = [row for row in rows if row["net"] == net]
        player = Player(net, evaluator(shared / "nets" / f"{net}.pb.gz"), params)
        results = Analysis(player, [(row["fen"], row["moves"]) for row in asked]).search()
        compared += [compare(row, ours) for row, ours in zip(asked, results, strict=True)]
    assert len(compared) == 100
    return compared


@pytest.mark.parametrize(("nodes", "identical"), [(100, 0.95), (800, 0.80)])
def test_bare_rules_give_lc0s_visits(shared: Path, nodes: int, identical: float) -> None:
    compared = searched(shared, "plain", nodes)
    assert sum(same for same, _, _ in compared) >= identical * len(compared)
    assert sum(best for _, best, _ in compared) >= 0.99 * len(compared)


@pytest.mark.parametrize("nodes", [100, pytest.param(800, marks=pytest.mark.slow)])
def test_default_rules_give_lc0s_moves(shared: Path, nodes: int) -> None:
    compared = searched(shared, "default", nodes)
    assert sum(best for _, best, _ in compared) >= 0.96 * len(compared)
    assert sum(variation for *_, variation in compared) / len(compared) <= 0.03


@pytest.mark.parametrize("match", ["games_1900_1100", "games_1500_meangirl"])
def test_games_at_one_visit_are_lc0s(shared: Path, match: str) -> None:
    rows = read_jsonl(shared / "golden" / f"{match}.jsonl.gz")
    names = sorted({row["white"] for row in rows})
    nets = [evaluator(shared / "nets" / f"{name}.pb.gz") for name in names]
    players = [
        Player(name, net, SearchParams(visits=1)) for name, net in zip(names, nets, strict=True)
    ]
    tasks = (
        GameTask(
            number,
            True,
            Opening(chess.STARTING_FEN, tuple(row["opening"])),
            names.index(row["white"]),
            names.index(row["black"]),
        )
        for number, row in enumerate(rows)
    )
    same = 0
    for task, ours in BatchedSearch(players, parallel=64, lanes=1).play([tasks]):
        row = rows[task.pair]
        moves = tuple(row["moves"])
        if ours.moves == moves:
            assert ours.result == row["result"]
            same += 1
            continue
        ply = next(
            n for n, both in enumerate(zip(ours.moves, moves, strict=False)) if len(set(both)) > 1
        )
        mover = players[task.white if (len(row["opening"]) + ply) % 2 == 0 else task.black]
        before = [*row["opening"], *moves[:ply]]
        logits = Analysis(mover, [("startpos", before)]).evaluate()[0].logits
        assert max(logits.values()) - logits[moves[ply]] <= 5e-4
    assert len(rows) == 200
    assert same >= 0.975 * len(rows)


def test_openings_of_the_reference_games_are_those_of_the_pgn(shared: Path) -> None:
    book = read_book(shared / "golden" / "games_openings.pgn")
    rows = read_jsonl(shared / "golden" / "games_1900_1100.jsonl.gz")
    assert len(book) == 100
    assert {tuple(row["opening"]) for row in rows} == {
        book.opening(number).moves for number in range(100)
    }
