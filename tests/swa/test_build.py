"""Building nets: what is written, from what, and when nothing is."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from build_inputs import GAMES, PLIES, write_games, write_run
from record_bytes import packed_game, record_bytes, tar_of
from tiny_net import KINDS, TINY, calm_weights

import swa.build
import swa.build_files
import swa.files
from swa.averaging import weighted_mean
from swa.bootstrap import FEW_GAMES
from swa.build import RefusedError, build
from swa.build_checks import bad_losses, broken_statistics
from swa.build_config import BuildConfig, BuildError
from swa.build_data import HASHES, game_hash, survey
from swa.chunks import read_records
from swa.evaluation import evaluate
from swa.manifest import Manifest, read_manifest
from swa.net import Net, load_net, new_net, save_net
from swa.rebuild import rebuild
from swa.records import RecordError, planes_of
from swa.refresh import refresh
from swa.spec import NetError


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with ``games`` and the nets of a run."""
    (tmp_path / "games").mkdir()
    write_games(tmp_path / "games")
    write_run(tmp_path, tmp_path / "games")
    return tmp_path


def config_of(inputs: Path, name: str = "out.pb.gz", **settings: Any) -> BuildConfig:
    return BuildConfig(
        **{
            "nets": tuple(sorted(inputs.glob("run-*.pb"))),
            "data": (inputs / "games",),
            "output": inputs / name,
            "threads": 1,
            **settings,
        }
    )


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def a_game(number: int) -> list[int]:
    """Planes that tell a game from others; no record begins one, there being a history."""
    return [number + 1] * 104


# --- what is written ---


def test_a_build_is_average_then_refresh(inputs: Path) -> None:
    config = config_of(inputs)
    built = build(config, command=["swa", "build"])
    nets = [load_net(path) for path in config.nets]
    mean = weighted_mean([net.weights for net in nets], [1, 1, 1])
    rounded = {name: values.astype(np.float32) for name, values in mean.items()}
    data = survey(config.data, share=config.share)
    chunks = [
        chunk.records
        for chunk in read_records(inputs / "games")
        if game_hash(chunk.records) >= data.held_out_below
    ]
    assert 0 < len(chunks) < GAMES
    expected = refresh(nets[0].spec, rounded, planes_of(np.concatenate(chunks))).weights
    net = load_net(config.output)
    for name, values in net.weights.items():
        np.testing.assert_array_equal(values, expected[name])
    assert net.training_steps == 3000
    assert net.message.license == b"a licence"  # type: ignore[attr-defined]
    assert not config.progress.exists()

    manifest = read_manifest(config.manifest)
    assert manifest == built.manifest
    assert manifest.output.sha256 == net.sha256
    assert manifest.command == ("swa", "build")
    assert [item.weight for item in manifest.ingredients] == pytest.approx([1 / 3] * 3)
    assert [item.path for item in manifest.ingredients] == ["run-1.pb", "run-2.pb", "run-3.pb"]
    assert manifest.refresh.positions == PLIES * len(chunks)
    assert manifest.data.held_out_positions == PLIES * (GAMES - len(chunks))
    assert sum(file.games for file in manifest.data.files) == GAMES
    assert manifest.checks.failed == {}


def test_losses_in_the_manifest_are_of_the_file_that_was_written(inputs: Path) -> None:
    config = config_of(inputs, encoding="bfloat16", held_out=0.5)
    manifest = build(config).manifest
    assert manifest.losses is not None
    roles = [net.role for net in manifest.losses.nets]
    assert roles == ["built", "averaged", *["ingredient"] * 3]
    nets = [load_net(path) for path in (config.output, *config.nets)]
    data = survey(config.data, share=0.5)
    again = evaluate(nets, data.batches())
    for net, record in zip(
        again.nets, [manifest.losses.nets[0], *manifest.losses.nets[2:]], strict=True
    ):
        assert record.loss == net.loss
        assert record.metrics["policy_cross_entropy"] == net.metrics["policy_cross_entropy"].value
        if net.to_first:
            value, low, high = net.to_first.metrics["value_mse"]
            assert low is not None
            assert high is not None
            assert record.built_minus_this["value_mse"] == (-value, -high, -low)


def test_the_same_bytes_whatever_the_threads(inputs: Path) -> None:
    one = build(config_of(inputs, "one.pb.gz", threads=1))
    two = build(config_of(inputs, "two.pb.gz", threads=2))
    again = build(config_of(inputs, "one.pb.gz", threads=1, overwrite=True))
    assert one.saved.sha256 == two.saved.sha256 == again.saved.sha256
    assert one.manifest == again.manifest


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({"weights": (3.0, 1.0, 0.0)}, [0.75, 0.25, 0]),
        ({"rule": "lawa", "last": 2}, [0, 0.5, 0.5]),
        ({"rule": "lczero", "max_n": 1}, [0.25, 0.25, 0.5]),
        ({"rule": "ema", "scale": 2.0}, [0.25, 0.25, 0.5]),
    ],
)
def test_rules(inputs: Path, settings: dict[str, Any], weights: list[float]) -> None:
    manifest = build(config_of(inputs, **settings)).manifest
    assert [item.weight for item in manifest.ingredients] == pytest.approx(weights)


def test_a_soup_leaves_out_what_spoils_it(inputs: Path) -> None:
    net = load_net(inputs / "run-3.pb")
    bad = dict(net.weights)
    random = np.random.default_rng(0)
    bad["policy.conv2.bias"] = random.normal(0, 5, 80).astype(np.float32)
    spoilt = inputs / "run-4.pb"
    save_net(replace(net, weights=MappingProxyType(bad)), spoilt, encoding="float32")
    manifest = build(config_of(inputs, rule="soup", held_out=0.4, force=True)).manifest
    weights = [item.weight for item in manifest.ingredients]
    assert weights[3] == 0
    assert sum(weights) == pytest.approx(1)
    assert len(manifest.rule.settings["losses"]) == 4
    assert manifest.rule.settings["losses"][3] == max(manifest.rule.settings["losses"])


def test_the_games_that_choose_a_soup_tell_no_losses(
    inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[bool, set[bytes]] = {True: set(), False: set()}
    real = swa.build.evaluate

    def watched(nets: Any, found: Any, **settings: Any) -> Any:
        found = list(found)
        for batch in found:
            seen[settings["resamples"] > 0] |= {row.tobytes() for row in batch.masks}
        return real(nets, found, **settings)

    monkeypatch.setattr(swa.build, "evaluate", watched)
    monkeypatch.setattr(swa.build, "_line", lambda *_: None)  # it looks at the refresh's positions
    manifest = build(config_of(inputs, rule="soup", held_out=0.4, force=True)).manifest
    assert manifest.losses is not None
    assert len(seen[False]) == manifest.rule.settings["positions"] > 0
    assert len(seen[True]) == manifest.losses.positions > 0
    assert not seen[True] & seen[False]
    assert len(seen[True] | seen[False]) == manifest.data.held_out_positions


@pytest.mark.parametrize("limits", [{}, {"eval_positions": 100}])
def test_halves_of_what_is_held_out(tmp_path: Path, limits: dict[str, int]) -> None:
    write_games(tmp_path, games=40)
    names = [f"game-{number}.gz" for number in range(10)]  # a copy is on the side of its game
    copies = {name: (tmp_path / name).read_bytes() for name in names}
    (tmp_path / "copies.tar").write_bytes(tar_of(copies))
    for data in (
        survey([tmp_path], share=0.5, select=True, **limits),
        survey([tmp_path], share=0.5, **limits),
    ):
        choosing, telling = (
            [row.tobytes() for batch in found for row in batch.masks]
            for found in (data.selection_batches(), data.batches())
        )
        assert (len(choosing), len(telling)) == (data.selection_positions, data.loss_positions)
        assert len(choosing) + len(telling) == data.held_out_positions
        assert not set(choosing) & set(telling)
        assert bool(choosing) == bool(data.report_from)
    (tmp_path / ".few").mkdir()
    write_games(tmp_path / ".few", games=1, seed=1)
    with pytest.raises(BuildError, match="takes two held-out games"):
        survey([tmp_path], share=0, eval_data=[tmp_path / ".few"], select=True)


@pytest.mark.parametrize(
    "method",
    [
        "pooled",
        "mean-of-batches",
        pytest.param("running-average", marks=pytest.mark.slow),  # 200 batches by torch, twice
        "averaged",
    ],
)
def test_other_refreshes_for_comparison(inputs: Path, method: str) -> None:
    config = config_of(inputs, refresh=method, force=True)
    manifest = build(config).manifest
    assert manifest.refresh.method == method
    assert rebuild(config.manifest, inputs / "again.pb.gz").same_bytes


def test_nothing_held_out_is_said(inputs: Path) -> None:
    manifest = build(config_of(inputs, held_out=0.0)).manifest
    assert manifest.losses is not None
    assert manifest.losses.on == "refresh"
    assert manifest.losses.positions == manifest.refresh.positions == GAMES * PLIES


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_net_and_a_single_one(inputs: Path, kind: str) -> None:
    spec = KINDS[kind]
    save_net(new_net(spec, calm_weights(spec)), inputs / "kind.pb", encoding="float32")
    config = config_of(inputs, nets=(inputs / "kind.pb",), force=True)
    manifest = build(config).manifest
    assert manifest.refresh.method == ("exact" if spec.batch_norm else "none")
    assert manifest.checks.cosine is None
    assert manifest.checks.barrier is None
    assert manifest.losses is not None
    assert len(manifest.losses.nets) == (3 if spec.batch_norm else 2)
    assert rebuild(config.manifest, inputs / "again.pb.gz").same_bytes


# --- the data ---


def test_what_is_held_out_does_not_depend_on_where_files_lie(inputs: Path) -> None:
    (inputs / "moved").mkdir()
    held_out = set()
    for number, chunk in enumerate(read_records(inputs / "games")):
        if game_hash(chunk.records) < HASHES // 2:
            held_out.add(chunk.records.tobytes())
        os.link(chunk.path, inputs / "moved" / f"{number}.gz")
    assert 0 < len(held_out) < GAMES
    data = survey([inputs / "moved"], share=0.5)
    assert {chunk.records.tobytes() for _, chunk in data.games(held_out=True)} == held_out


def test_games_of_the_same_name_are_games_of_their_own(tmp_path: Path) -> None:
    """As lc0 writes them: data-abc/game_000000.gz, data-xyz/game_000000.gz."""
    members = [packed_game(planes=a_game(number)) for number in range(6)]
    for number, member in enumerate(members):
        (tmp_path / "folders" / str(number)).mkdir(parents=True)
        (tmp_path / "folders" / str(number) / "game_000000.gz").write_bytes(member)
        (tmp_path / "tars" / str(number)).mkdir(parents=True)
        tar = tar_of({"game_000000.gz": member})
        (tmp_path / "tars" / str(number) / "games.tar").write_bytes(tar)
    folders, tars = (survey([tmp_path / kind], share=0.5) for kind in ("folders", "tars"))
    assert folders.held_out_below == tars.held_out_below
    for data in (folders, tars):
        assert sum(file.games for file in data.files) == 6
        assert 0 < data.held_out_positions < 18
    pair = [tmp_path / "folders" / name for name in "01"]
    assert survey(pair, share=0.001).held_out_positions == 3


def test_a_copy_of_a_game_is_on_its_side(tmp_path: Path) -> None:
    write_games(tmp_path, games=2)
    copies = {f"copy-{copy}.gz": (tmp_path / "game-1.gz").read_bytes() for copy in range(3)}
    (tmp_path / "copies.tar").write_bytes(tar_of(copies))
    data = survey([tmp_path], share=0.001)
    held_out, refreshed = (
        {chunk.records.tobytes() for _, chunk in data.games(held_out=side)}
        for side in (True, False)
    )
    assert (len(held_out), len(refreshed)) == (1, 1)
    assert not held_out & refreshed


def test_games_of_one_file_are_divided(tmp_path: Path) -> None:
    """trainingdata-tool puts many games into a file: each is held out or not as a whole."""
    games = [
        record_bytes(6, planes=[number + 1, *[0] * 103])
        + 2 * record_bytes(6, planes=a_game(number))
        for number in range(40)
    ]
    (tmp_path / "many.gz").write_bytes(gzip.compress(b"".join(games)))
    data = survey([tmp_path], share=0.5)
    (file,) = data.files
    assert file.games == 40
    assert 10 <= data.held_out_positions / 3 <= 30
    for side in (True, False):
        for _, chunk in data.games(held_out=side):
            assert len(chunk.records) == 3
            assert len({int(record["planes"][0]) for record in chunk.records}) == 1


def test_the_share_held_out(tmp_path: Path) -> None:
    members = {
        f"game-{number}.gz": packed_game(count=2, planes=a_game(number)) for number in range(400)
    }
    (tmp_path / "games.tar").write_bytes(tar_of(members))
    data = survey([tmp_path / "games.tar"], share=0.25)
    assert data.refresh_positions + data.held_out_positions == 800
    assert 2 * 70 < data.held_out_positions < 2 * 130  # 100 games expected, deviation 8.7
    (file,) = data.files
    assert file.games == 400
    assert sum(len(masks) for masks, _ in data.planes()) == data.refresh_positions
    assert sum(len(batch.games) for batch in data.batches()) == data.held_out_positions


def test_limits_are_kept_and_reading_goes_on_until_both_are_reached(inputs: Path) -> None:
    everything = survey([inputs / "games"], share=0.3)
    some = survey([inputs / "games"], share=0.3, positions=30)
    assert some.refresh_positions == 30
    assert len(some.files) < len(everything.files)
    both = survey([inputs / "games"], share=0.3, positions=30, eval_positions=PLIES + 1)
    assert (both.refresh_positions, both.held_out_positions) == (30, PLIES + 1)
    assert sum(len(masks) for masks, _ in both.planes()) == 30
    assert sum(len(batch.games) for batch in both.batches()) == PLIES + 1


def test_a_limit_of_the_refresh_leaves_enough_games_for_losses(tmp_path: Path) -> None:
    members = {f"{n}.gz": packed_game(count=2, planes=a_game(n)) for n in range(500)}
    (tmp_path / "games.tar").write_bytes(tar_of(members))
    data = survey([tmp_path], share=0.2, positions=4)
    assert (data.refresh_positions, data.held_out_positions) == (4, 2 * FEW_GAMES)
    assert sum(len(masks) for masks, _ in data.planes()) == 4
    # Told how many, it takes no more; without so many, all there are
    assert survey([tmp_path], share=0.2, positions=4, eval_positions=6).held_out_positions == 6
    assert 0 < survey([tmp_path], share=0.01, positions=4).held_out_positions < 2 * FEW_GAMES


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_of_two_games_one_is_held_out(tmp_path: Path, share: float) -> None:
    write_games(tmp_path, games=2)
    data = survey([tmp_path], share=share)
    assert data.refresh_positions == data.held_out_positions == PLIES


def test_a_file_that_is_named_twice_counts_once(inputs: Path) -> None:
    games = inputs / "games"
    once = survey([games], share=0.2)
    twice = survey([games, games, games / "game-3.gz", games / "game-3.gz"], share=0.2)
    assert twice.files == once.files
    assert sum(len(masks) for masks, _ in twice.planes()) == once.refresh_positions


def test_a_copy_of_a_file_counts_once(inputs: Path) -> None:
    """Moved, both copies would be found at the same place, by name and sha256."""
    once = survey([inputs / "games"], share=0.2)
    (inputs / "games" / "copies").mkdir()
    for path in list(inputs.glob("games/*.gz")):
        (path.parent / "copies" / path.name).write_bytes(path.read_bytes())
    twice = survey([inputs / "games"], share=0.2)
    assert twice.files == once.files
    assert twice.counts is not None
    assert twice.counts.repeated == GAMES
    config = config_of(inputs)
    build(config)
    (inputs / "games").rename(inputs / "elsewhere")
    again = rebuild(config.manifest, inputs / "again.pb.gz", search=[inputs / "elsewhere"])
    assert again.same_bytes


def test_a_tar_of_both_kinds_of_games(tmp_path: Path) -> None:
    for part, name in enumerate(("one", "two")):
        games = {f"{n}.gz": packed_game(planes=a_game(30 * part + n)) for n in range(30)}
        (tmp_path / f"{name}.tar").write_bytes(tar_of(games))
    data = survey([tmp_path], share=0.3, positions=10, eval_positions=30)
    assert (data.refresh_positions, data.held_out_positions) == (10, 30)
    assert sum(len(masks) for masks, _ in data.planes()) == 10
    assert sum(len(batch.games) for batch in data.batches()) == 30


def test_data_that_changes_while_it_is_read(inputs: Path) -> None:
    data = survey([inputs / "games"], share=0.2)
    path = next(file.path for file in data.files if file.refresh_positions)
    path.unlink()
    with pytest.raises(RecordError, match="no such file"):
        list(data.planes())
    path.write_bytes(packed_game(count=1))
    with pytest.raises(BuildError, match="changed while it was read"):
        list(data.planes())


def test_data_that_will_not_do(inputs: Path) -> None:
    single, empty = inputs / "games" / "game-0.gz", inputs / "empty"
    empty.mkdir()
    with pytest.raises(BuildError, match="only one game"):
        survey([single], share=0.1)
    with pytest.raises(BuildError, match="no positions to refresh"):
        survey([empty], share=0.1)
    with pytest.raises(BuildError, match="no positions in the held-out data"):
        survey([single], share=0, eval_data=[empty])
    with pytest.raises(BuildError, match="in the data for the refresh too"):
        survey([single], share=0, eval_data=[inputs / "games"])
    (inputs / "again.tar").write_bytes(tar_of({"a.gz": single.read_bytes()}))
    with pytest.raises(BuildError, match="in the data for the refresh too"):
        survey([single], share=0, eval_data=[inputs / "again.tar"])
    with pytest.raises(RecordError, match="no such file"):
        survey([inputs / "nowhere"], share=0.1)


# --- the guard ---


def test_statistics_that_are_broken(inputs: Path) -> None:
    net = load_net(inputs / "run-1.pb")
    assert broken_statistics(net, [net]) == []

    def planted(variance: float) -> str:
        weights = dict(net.weights)
        for name in [name for name in weights if name.endswith(".variance")]:
            weights[name] = np.full_like(weights[name], variance)
        failures = broken_statistics(replace(net, weights=MappingProxyType(weights)), [net])
        assert {failure.check for failure in failures} == {"statistics"}
        return failures[0].reason

    assert "4 of 4 values that are not finite" in planted(np.nan)
    assert "4 of 4 values that are not finite" in planted(np.inf)
    assert "4 negative variances, down to -0.5" in planted(-0.5)
    assert "20 of 20 channels are dead" in planted(1e-7)


def test_a_layer_that_died_in_a_deep_net_is_a_reason() -> None:
    deep = replace(TINY, blocks=20)
    net = new_net(deep, calm_weights(deep))

    def died(count: int) -> list[str]:
        variance = net.weights["blocks.7.bn2.variance"].copy()
        variance[:count] = 0
        weights = {**net.weights, "blocks.7.bn2.variance": variance}
        failures = broken_statistics(replace(net, weights=MappingProxyType(weights)), [net])
        return [failure.reason for failure in failures]

    assert died(2) == []
    (reason,) = died(3)
    assert reason.startswith("3 of 4 channels of blocks.7.bn2 are dead")
    assert reason.endswith("in the ingredients at most 0")


def test_channels_that_were_dead_before_are_no_reason(inputs: Path) -> None:
    net = load_net(inputs / "run-1.pb")
    weights = dict(net.weights)
    weights["input.bn.variance"] = np.zeros_like(weights["input.bn.variance"])
    dead = replace(net, weights=MappingProxyType(weights))
    assert broken_statistics(dead, [net])
    assert broken_statistics(dead, [net, dead]) == []


def plant(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the refresh give something else."""
    real = swa.build.refresh

    def changed(*arguments: Any, **settings: Any) -> Any:
        found = real(*arguments, **settings)
        if settings.get("state"):  # not the one for the straight line
            change(found.weights)
        return found

    monkeypatch.setattr(swa.build, "refresh", changed)


def noise(weights: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    for name, values in weights.items():
        if name.endswith(".weight"):
            weights[name] = (values + 3 * random.normal(size=values.shape)).astype(np.float32)


def negative(weights: dict[str, Any]) -> None:
    weights["input.bn.variance"] = -weights["input.bn.variance"]


def endless(weights: dict[str, Any]) -> None:
    weights["blocks.0.bn1.mean"] = np.full_like(weights["blocks.0.bn1.mean"], np.inf)


def exploding(weights: dict[str, Any]) -> None:
    weights["policy.conv2.weight"] = 1e6 * weights["policy.conv2.weight"]


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (noise, "loss", "more than that of the worst ingredient, run-"),
        (negative, "statistics", "input.bn.variance holds 4 negative variances"),
        (endless, "statistics", "blocks.0.bn1.mean holds 4 of 4 values that are not finite"),
        (exploding, "explosion", "more than 2 times the 1.386"),
    ],
)
def test_a_bad_net_is_refused(
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], None],
    check: str,
    words: str,
) -> None:
    before = files_in(inputs)
    plant(monkeypatch, change)
    with pytest.raises(RefusedError, match=words) as caught:
        build(config_of(inputs))
    assert check in {failure.check for failure in caught.value.failures}
    assert "--force" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert files_in(inputs) == before


def test_a_bad_net_is_written_by_force(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, noise)
    manifest = build(config_of(inputs, force=True)).manifest
    assert manifest.checks.forced
    assert "loss" in manifest.checks.failed


def test_any_excess_over_the_worst_ingredient_is_a_reason(inputs: Path) -> None:
    """Within its error too, which it says."""
    data = survey([inputs / "games"], share=0.5)

    def reason(built: Net, *ingredients: Net, resamples: int = 200) -> str:
        evaluation = evaluate([built, *ingredients], data.batches(), resamples=resamples)
        failures = bad_losses(evaluation, evaluation.nets[1:])
        assert {failure.check for failure in failures} <= {"loss"}
        worst = max(net.loss for net in evaluation.nets[1:])
        excess = evaluation.nets[0].loss - worst
        assert bool(failures) == (excess > 0)
        words = f"by {excess:.3g} nats more than that of the worst ingredient"
        assert all(words in failure.reason for failure in failures)
        return failures[0].reason if failures else ""

    net, worse = (load_net(inputs / f"run-{number}.pb") for number in (1, 2))
    little = biased(net, 0.1)
    assert reason(net, net) == ""
    assert reason(little, net) == ""
    assert reason(net, net, little) == ""
    assert re.search(r"; within its error of 0\.0\d+: more data would tell$", reason(net, little))
    assert re.search(r"; beyond its error of 0.\d+$", reason(worse, net))
    assert re.search(r"; one game tells no error$", reason(worse, net, resamples=0))


def biased(net: Net, amount: float) -> Net:
    """A net that expects more losses."""
    weights = dict(net.weights)
    weights["value.dense2.bias"] = weights["value.dense2.bias"] + np.float32([0, 0, amount])
    return replace(net, weights=MappingProxyType(weights))


# --- failures and interruptions ---


@pytest.mark.parametrize(
    "stage",
    [
        "load_net",
        "survey",
        "average_nets",
        "straight_line",
        "refresh",
        "broken_statistics",
        "pack_net",
        "evaluate",
        "bad_losses",
        "describe",
        "write_together",
    ],
)
def test_a_failure_at_any_stage_writes_nothing(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError(stage)

    before = files_in(inputs)
    module = swa.build_files if stage == "write_together" else swa.build
    monkeypatch.setattr(module, stage, fail)
    config = config_of(inputs)
    with pytest.raises(MemoryError, match=stage):
        build(config)
    after = files_in(inputs)
    after.pop(config.progress.name, None)
    assert after == before
    monkeypatch.undo()
    build(config)
    assert not config.progress.exists()


@pytest.mark.parametrize("place", [0, 1])
def test_a_disk_that_fails_while_files_take_their_places(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    real, calls = Path.replace, Counter[str]()

    def replaced(self: Path, target: Path) -> Path:
        if "refresh" not in target.name:
            calls["all"] += 1
            if calls["all"] > place:
                raise OSError(28, "No space left on device")
        return real(self, target)

    before = files_in(inputs)
    monkeypatch.setattr(Path, "replace", replaced)
    config = config_of(inputs)
    with pytest.raises(NetError, match="no space left on device"):
        build(config)
    after = files_in(inputs)
    after.pop(config.progress.name, None)
    assert after == before


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_an_interrupted_refresh_goes_on_to_the_same_bytes(inputs: Path, layer: int) -> None:
    whole = build(config_of(inputs, "whole.pb.gz")).saved.sha256
    before, config = files_in(inputs), config_of(inputs)
    seen = []

    def interrupt(step: swa.build.Step) -> None:
        if step.what.startswith("refreshing"):
            seen.append(step.what)
            if f"layer {layer + 1} " in step.what:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(config, notify=interrupt)
    after = files_in(inputs)
    assert (after.pop(config.progress.name, None) is not None) == (layer > 0)
    assert after == before
    assert build(config).saved.sha256 == whole
    assert not config.progress.exists()


def test_what_stands_there_is_not_replaced_unasked(inputs: Path) -> None:
    config = config_of(inputs)
    config.manifest.write_text("mine")
    with pytest.raises(NetError, match="is there already, where the manifest goes"):
        build(config)
    config.manifest.unlink()
    config.output.write_text("mine")
    with pytest.raises(NetError, match="is there already"):
        build(config)
    assert config.output.read_text() == "mine"
    with pytest.raises(NetError, match="is an input"):
        build(config_of(inputs, "run-1.pb", overwrite=True))


def test_snapshots_in_the_wrong_order_are_refused(inputs: Path) -> None:
    config = config_of(inputs)
    turned = replace(config, nets=config.nets[::-1], rule="ema")
    with pytest.raises(NetError, match=r"2,000 training steps, the net before it, run-3.pb, 3,000"):
        build(turned)
    assert build(replace(turned, rule="mean")).saved.path.exists()


# --- again from the manifest ---


def test_the_same_bytes_from_the_manifest(inputs: Path) -> None:
    config = config_of(inputs, weights=(0.7, 0.2, 0.1), encoding="linear16", licence="mine")
    first = build(config)
    again = rebuild(config.manifest, inputs / "again.pb.gz", command=["swa", "again"])
    assert again.same_bytes
    assert again.versions == {}
    assert (inputs / "again.pb.gz").read_bytes() == config.output.read_bytes()
    second = read_manifest(inputs / "again.pb.gz.json")
    assert second.losses == first.manifest.losses
    assert second.command == ("swa", "again")
    assert rebuild(inputs / "again.pb.gz.json", inputs / "third.pb.gz").same_bytes


def test_nets_and_data_are_found_where_they_were_moved(inputs: Path, tmp_path: Path) -> None:
    config = config_of(inputs)
    build(config)
    (inputs / "games").rename(inputs / "elsewhere")
    (inputs / "nets" / "deep").mkdir(parents=True)
    for path in config.nets:
        path.rename(inputs / "nets" / "deep" / path.name)
    with pytest.raises(BuildError, match=r"run-1.pb: is missing \(and 14 more: .*run-2.pb"):
        rebuild(config.manifest, inputs / "again.pb.gz")
    search = [inputs / "nets", inputs / "elsewhere"]
    again = rebuild(config.manifest, inputs / "again.pb.gz", search=search)
    assert again.same_bytes
    assert again.built.manifest.ingredients[0].path == "nets/deep/run-1.pb"
    assert again.built.manifest.data.files[0].path.startswith("elsewhere/")


def test_folders_and_files_behind_links(inputs: Path) -> None:
    (inputs / "far" / "away").mkdir(parents=True)
    (inputs / "link").symlink_to(inputs / "far" / "away")
    (inputs / "linked games").mkdir()
    for path in (inputs / "games").iterdir():
        (inputs / "linked games" / f"other-{path.name}").symlink_to(path)
    config = config_of(inputs, "link/out.pb.gz", data=(inputs / "linked games",))
    build(config)
    assert rebuild(config.manifest, inputs / "again.pb.gz").same_bytes


def test_changed_files_are_named(inputs: Path) -> None:
    config = config_of(inputs)
    build(config)
    write_games(inputs / "games", games=1, seed=9)
    with pytest.raises(BuildError, match=r"game-0.gz: has changed"):
        rebuild(config.manifest, inputs / "again.pb.gz")
    assert not (inputs / "again.pb.gz").exists()


def test_other_bytes_are_told_and_not_written(inputs: Path) -> None:
    config = config_of(inputs)
    build(config)
    document = json.loads(config.manifest.read_text())
    document["output"]["payload_sha256"] = document["output"]["sha256"] = "0" * 64
    document["versions"]["numpy"] = "1.0"
    config.manifest.write_text(json.dumps(document))
    before = files_in(inputs)
    with pytest.raises(BuildError, match=r"other bytes than .*\nversions differ: numpy"):
        rebuild(config.manifest, inputs / "again.pb.gz")
    assert files_in(inputs) == before
    again = rebuild(config.manifest, inputs / "again.pb.gz", force=True)
    assert not again.same_net
    assert again.versions["numpy"][0] == "1.0"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document.update(format="other"), "not a manifest of this kind"),
        (lambda document: document.pop("rule"), "rule is missing"),
        (lambda document: document["rule"].update(name=3), "rule.name must be a text"),
        (lambda document: document["data"].update(files={}), "data.files must be a list"),
        (
            lambda document: document["ingredients"][1].update(weight="x"),
            r"ingredients\[1\].weight must be a number",
        ),
        (lambda document: document["data"].update(held_out_below="?"), "hexadecimal"),
        (lambda document: document["refresh"].update(threads=True), "threads must be a whole"),
    ],
)
def test_damaged_manifests(
    inputs: Path, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    config = config_of(inputs)
    build(config)
    document = json.loads(config.manifest.read_text())
    change(document)
    config.manifest.write_text(json.dumps(document))
    with pytest.raises(BuildError, match=words):
        rebuild(config.manifest, inputs / "again.pb.gz")


def test_keys_of_later_versions_are_passed_over(inputs: Path) -> None:
    config = config_of(inputs)
    manifest = build(config).manifest
    document = json.loads(config.manifest.read_text()) | {"more": 1}
    document["output"]["more"] = [2]
    config.manifest.write_text(json.dumps(document))
    assert isinstance(manifest, Manifest)
    assert read_manifest(config.manifest) == manifest
