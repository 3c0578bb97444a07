from __future__ import annotations

import io
import json
import sys
import threading
import time
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from rich.console import Console

import arena.bench.figures as figures
import arena.bench.start as start
import arena.bench.suite as suite
import arena.cli
from arena.bench.evaluators import (
    leaves_of_games,
    many_leaves,
    positions_of_refresh,
    rate,
    time_evaluators,
    time_refreshes,
)
from arena.bench.figures import EVERYTHING, BenchConfig, Effort, Spread
from arena.bench.games import GamesInFlight, Prelude, book_openings, play_prelude
from arena.bench.nets import match_nets, random_net
from arena.bench.onnx import BareOnnx
from arena.cli import main
from arena.commands.bench import tables_of
from arena.config import SearchParams
from arena.evaluator import Evaluation, Leaves, TorchEvaluator
from arena.openings import final_position
from arena.search_settings import Player
from arena.stand_ins import HashEvaluator
from swa.cores import usable_cores

BRIEF = Effort(
    prelude=2,
    slices=2,
    evaluator=0.001,
    search=0.05,
    device=0.05,
    match=0.05,
    refresh=300,
    starts=1,
    compiles=False,
)


def players(visits: int) -> list[Player]:
    """One net that costs nothing against itself."""
    net = HashEvaluator()
    return [Player(net.name, net, SearchParams(visits=visits))] * 2


@pytest.fixture(scope="module")
def prelude() -> Prelude:
    return play_prelude(players(visits=100), 4, 16, book_openings(4))


@pytest.fixture
def small(monkeypatch) -> None:
    """Everything of ``arena bench`` in little time, with nets that are there on every machine."""
    monkeypatch.setattr(figures, "QUICK", BRIEF)
    monkeypatch.setattr(suite, "RANDOM_NETS", ((1, 16),))
    monkeypatch.setattr(suite, "match_nets", lambda _: (random_net(1, 16), random_net(1, 16, 1)))
    monkeypatch.setattr(suite, "STAND_IN_BATCH", 8)


# --- what is measured ---


def test_a_spread_is_the_median_with_the_extremes():
    assert Spread.of([3.0, 9.0, 1.0, 2.0, 8.0]) == (3.0, (1.0, 9.0))


def test_rate_counts_positions_by_the_clock_it_is_given():
    clock = iter([10.0, 10.2, 10.4, 10.6])
    assert rate(lambda: None, 64, 0.5, lambda: next(clock)) == pytest.approx(3 * 64 / 0.6)


def test_the_prelude_gives_places_all_along_whole_games(prelude):
    assert len(prelude.midgames) == 16
    plies = [final_position(place).ply() for place in prelude.midgames]
    assert min(plies) < 0.2 * prelude.plies_per_game
    assert max(plies) > 0.6 * prelude.plies_per_game
    assert all(len(place.moves) == 8 for place in prelude.midgames)  # all the history a net sees
    assert not any(final_position(place).is_game_over() for place in prelude.midgames)


def test_games_go_on_from_slice_to_slice_and_are_refilled(prelude):
    flight = GamesInFlight(players(visits=1), prelude.first(4), lanes=2)
    plies = 0.0
    for _ in range(100):
        part = flight.play(0.05, referee=True)
        assert part.seconds >= 0.05
        assert part.visits >= part.evaluations > part.batches > 0
        plies += part.plies
        if plies > 2 * 4 * prelude.plies_per_game:  # more than was left of the first games
            return
    pytest.fail(f"{plies} plies in 100 slices")


def test_plies_count_the_part_of_a_move_that_is_searched(prelude):
    flight = GamesInFlight(players(visits=1_000_000), prelude.first(1), lanes=1)
    part = flight.play(0.05)
    assert 0 < part.plies < 1
    assert part.plies == pytest.approx(part.visits / 1_000_000, rel=1e-9)


def test_a_flight_settles_when_the_trees_have_been_used_or_time_is_up(prelude):
    flight = GamesInFlight(players(visits=8), prelude, lanes=1)
    start = time.perf_counter()
    flight.settle(20.0)
    assert time.perf_counter() - start < 10.0
    slow = GamesInFlight(players(visits=1_000_000), prelude.first(1), lanes=1)
    slow.settle(0.05)


def test_a_single_game_has_a_single_lane(prelude):
    flight = GamesInFlight(players(visits=8), prelude.first(1), lanes=2)
    assert flight.lanes == 1
    assert flight.play(0.02).visits > 0


def test_a_fault_in_a_lane_is_raised(prelude):
    class Broken(HashEvaluator):
        def evaluate(self, leaves: Leaves) -> Evaluation:
            raise RuntimeError("no device")

    broken = Player("broken", Broken(), SearchParams(visits=8))
    flight = GamesInFlight([broken, broken], prelude.first(4), lanes=2)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="no device"):
        flight.play(0.01)
    assert threading.active_count() == before


def test_leaves_of_games_are_positions_in_mid_search(prelude):
    leaves = leaves_of_games(16, prelude)
    assert leaves.masks.shape == (16, 112)
    assert leaves.offsets.shape == (17,)
    assert len(leaves.moves) == leaves.offsets[-1]
    assert np.unique(leaves.masks, axis=0).shape[0] == 16


# --- nets ---


@pytest.mark.parametrize(("blocks", "filters"), [(1, 16), (6, 64)])
def test_random_nets_keep_activations_in_bounds(blocks, filters, prelude):
    net = random_net(blocks, filters)
    evaluation = TorchEvaluator(net, "cpu").evaluate(leaves_of_games(4, prelude))
    assert np.isfinite(evaluation.logits).all()
    assert 0.01 < evaluation.logits.std() < 100
    assert str(net.spec).startswith(f"{blocks}x{filters} SE 8")


def test_the_seed_decides_the_random_weights():
    first, second, other = (random_net(1, 16, seed).weights for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["input.conv.weight"], other["input.conv.weight"])


def test_who_plays_the_match(tmp_path, monkeypatch):
    one, two, three = (random_net(1, 16, seed) for seed in range(3))
    assert match_nets([one, two, three]) == (one, two)
    assert match_nets([one]) == (one, one)
    monkeypatch.setenv("ARENA_SHARED", str(tmp_path))
    assert [net.name for net in match_nets([])] == ["random-6x64-0", "random-6x64-1"]


def test_the_shared_nets_play_where_they_are(shared, monkeypatch):
    monkeypatch.setenv("ARENA_SHARED", str(shared))
    assert [net.name for net in match_nets([])] == ["maia-1500", "maia-1900"]


# --- arena bench ---


def run(*words: str, capsys: Any) -> tuple[str, str]:
    assert main(["bench", "--quick", "--device", "cpu", *words]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_json_has_what_scripts_were_promised(small, capsys):
    sizes = ("--games", "4", "8", "--visits", "10", "20", "--parallel", "4")
    out, err = run("--json", *sizes, capsys=capsys)
    document = json.loads(out)
    assert document.keys() >= set(EVERYTHING) | {"versions", "processor"}
    assert "search: 8 games, 20 visits ..." in err.splitlines()

    rows = document["evaluator"]
    alone = [(row["name"], row["batch"]) for row in rows if row["threads"] == 1]
    assert [row for row in alone if row[0] != "onnxruntime"] == [
        (name, batch) for batch in (1, 16, 64, 256) for name in ("winograd", "torch")
    ]
    for row in rows:
        assert row["net"] == "random-1x16-0"
        assert row["per_second"] > 0
        low, high = row["ratio_range"]
        assert 0 < low <= row["ratio_to_torch"] <= high
    together = [row for row in rows if row["threads"] > 1]
    assert [row["batch"] for row in together] == ([256] if usable_cores() > 1 else [])
    for row in together:
        low, high = row["ratio_to_one_core_range"]
        assert 0 < low <= row["ratio_to_one_core"] <= high

    began = document["start"]
    assert (began["batch"], began["threads"]) == (256, 1)
    assert "compile_seconds" in began
    assert 0 < began["cached_seconds"] < 60
    assert 20e6 < began["peak_bytes"] < 2e9

    (refresh,) = document["refresh"]
    assert (refresh["positions"], refresh["threads"]) == (300, 1)
    low, high = refresh["ratio_range"]
    assert 0 < low <= refresh["ratio_to_forward"] <= high

    assert [(row["games"], row["visits"]) for row in document["search"]] == [(4, 10), (8, 20)]
    for row in document["search"]:
        assert row["threads"] == 1
        assert row["visits_range"][0] <= row["visits_per_second"] <= row["visits_range"][1]
        assert 0 < row["evaluations_per_visit"] <= 1
        assert 10_000 < row["array_bytes"] < 2**30

    device = document["device"]
    assert 0 < device["busy"] <= 1
    assert 7 < device["batch"] <= 8  # two lanes of eight games; few leaves end a game
    assert device["seconds_per_batch"] == 0.005

    match = document["match"]
    assert match["nets"] == ["random-1x16-0", "random-1x16-1"]
    assert (match["games"], match["visits"]) == (4, 100)
    assert match["evaluator"] == "winograd"
    assert match["visits_per_cpu_second"] > 0
    assert match["torch_visits_per_cpu_second"] > 0
    low, high = match["ratio_range"]
    assert 0 < low <= match["ratio_to_torch"] <= high
    assert match["pairs_per_minute"] > 0
    assert 0 < match["forward_share"] < 1
    assert match["forward_to_torch"] > 0


def test_text_is_a_table_for_each_benchmark_on_80_columns(small, capsys):
    out, _ = run("--games", "4", "--visits", "10", "--parallel", "4", capsys=capsys)
    assert max(map(len, out.splitlines())) <= 80
    for words in ("Refresh of all", "the same on torch"):
        assert words in out
    for words in ("Evaluators, one thread", "Search alone", "busy", "pairs/min", "forward pass"):
        assert words in out


def test_large_batches_of_large_nets_are_left_out_where_time_is_short(prelude):
    config = BenchConfig(device="cpu", batches=(1, 16), effort=replace(BRIEF, work=16 * 16**2))
    small, large = random_net(1, 16), random_net(2, 16)
    speeds = time_evaluators([small, large], prelude, config, lambda line: None)
    alone = [(speed.net, speed.batch) for speed in speeds if speed.threads == 1]
    assert set(alone) == {(small.name, 1), (small.name, 16), (large.name, 1)}


def test_nets_without_batch_norm_are_not_refreshed(prelude):
    notes: list[str] = []
    config = BenchConfig(effort=BRIEF)
    assert list(time_refreshes([random_net(1, 16)], prelude, config, notes.append)) == []
    assert "random-1x16-0 is left out: no batch norm" in notes[0]


def test_the_positions_of_a_refresh_are_real_and_many(prelude, monkeypatch):
    monkeypatch.setattr("arena.bench.evaluators.GAMES", 16)
    leaves = many_leaves(40, prelude)
    assert leaves.masks.shape == leaves.values.shape == (40, 112)
    assert leaves.offsets.shape == (41,)
    assert len(leaves.moves) == leaves.offsets[-1]
    assert np.unique(leaves.masks, axis=0).shape[0] > 30


def test_a_refresh_takes_no_more_positions_than_there_is_room_for(prelude, monkeypatch):
    assert positions_of_refresh(256) == 8192
    assert positions_of_refresh(60) == positions_of_refresh(64) == 32768
    monkeypatch.setattr("arena.bench.evaluators.REFRESH_BYTES", 50 * 2 * 64 * 16 * 4)
    config = BenchConfig(effort=BRIEF)
    (speed,) = time_refreshes([random_net(1, 16, batch_norm=True)], prelude, config, print)
    assert speed.positions == 50


@pytest.mark.slow
def test_the_start_is_timed_compiled_and_from_the_cache(prelude, monkeypatch):
    monkeypatch.setattr(start, "SIZE", (1, 16))
    config = BenchConfig(effort=replace(BRIEF, compiles=True, starts=2))
    speed = start.time_start(leaves_of_games(16, prelude), config, print)
    assert speed.compile_seconds is not None
    assert speed.compile_seconds > 3 * speed.cached_seconds > 0


def test_onnxruntime_that_fails_is_left_out(prelude, monkeypatch):
    def fail(*arguments: Any) -> Any:
        raise ImportError("libonnx.so: not for this machine")

    monkeypatch.setattr("arena.bench.onnx.onnx_is_there", lambda: True)
    monkeypatch.setattr("swa.onnx_export.file.onnx_model", fail)
    monkeypatch.setitem(sys.modules, "onnxruntime", MagicMock())
    notes: list[str] = []
    config = BenchConfig(device="cpu", batches=(1,), effort=BRIEF)
    speeds = list(time_evaluators([random_net(1, 16)], prelude, config, notes.append))
    assert {speed.name for speed in speeds} == {"winograd", "torch"}
    assert "onnxruntime is left out: ImportError: libonnx.so: not for this machine" in notes[-2]


def test_onnxruntime_says_what_torch_says(prelude):
    net, leaves = random_net(1, 16), leaves_of_games(4, prelude)
    policy, value, *_ = BareOnnx(net, leaves)()
    ours = TorchEvaluator(net, "cpu").evaluate(leaves)
    rows = np.repeat(np.arange(4), np.diff(leaves.offsets))
    np.testing.assert_allclose(policy[rows, leaves.moves], ours.logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(value, ours.wdl, rtol=0, atol=1e-5)


def test_evaluator_is_short_for_what_evaluator():
    parser = arena.cli.build_parser()
    assert parser.parse_args(["bench", "--evaluator"]).what == ("evaluator",)


def test_figures_of_a_fast_machine_fit_the_table():
    speed = figures.SearchSpeed(1024, 800, 1, 1.1e6, (9.9e5, 1.2e6), 1.1e6, 0.99, 9e3, 2**30)
    table = next(tables_of(figures.Figures({}, "", search=(speed,))))
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(table)
    text = console.export_text()
    assert "990,000-1,200,000" in text
    assert "1,024 MiB" in text


def test_only_what_is_asked_for_is_measured(small, capsys):
    out, err = run(
        "--what", "search", "--json", "-q", *("--games", "4", "--visits", "10"), capsys=capsys
    )
    assert json.loads(out).keys() & set(EVERYTHING) == {"search"}
    assert err == ""


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--what", "search,luck"], "'luck' is none of evaluator, start, refresh, search"),
        (["--games", "0"], "'0' is not a whole number above 0"),
        (["--games", "64", "256", "--visits", "100"], "--games has 2 numbers, --visits 1"),
        (["--evaluator", "torch"], "--evaluator takes no name here: it is short for --what"),
        (["--net", "missing.pb"], "missing.pb: cannot read the net"),
    ],
)
def test_bad_input_is_told_in_three_lines_at_most(words, what, capsys):
    assert main(["bench", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert what in captured.err
    assert len(captured.err.splitlines()) <= 3


@pytest.mark.parametrize("flags", [["--device", "cuda"], ["--device", "cpu", "--dtype", "float16"]])
def test_a_device_that_cannot_is_refused_before_games_are_played(flags, monkeypatch, capsys):
    monkeypatch.setattr("torch.empty", MagicMock(side_effect=RuntimeError("no driver")))
    monkeypatch.setattr(suite, "play_prelude", lambda *settings: pytest.fail("played"))
    assert main(["bench", "-q", *flags]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
