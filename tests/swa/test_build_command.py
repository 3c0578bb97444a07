"""``swa build``, as users and scripts call it; real nets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from build_inputs import write_games, write_run
from pgn_records import write_games as write_human_games

import swa.build
import swa.ingredients
from swa.build import RefusedError, build
from swa.build_config import BuildConfig, BuildError, make_config
from swa.build_data import game_hash, survey
from swa.chunks import read_records
from swa.cli import main
from swa.commands import build_output
from swa.evaluation import evaluate
from swa.manifest import LossesRecord, LossRecord, read_manifest
from swa.net import load_net, save_net


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    (tmp_path / "games").mkdir()
    write_games(tmp_path / "games")
    write_run(tmp_path, tmp_path / "games")
    return tmp_path


def words_of(inputs: Path, *more: str) -> list[str]:
    nets = [str(path) for path in sorted(inputs.glob("run-*.pb"))]
    out = str(inputs / "out.pb.gz")
    return ["build", "--nets", *nets, "--data", str(inputs / "games"), "-o", out, *more]


def test_json(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words_of(inputs, "--json")) == 0
    out, progress = capsys.readouterr()
    document: dict[str, Any] = json.loads(out)
    manifest = read_manifest(Path(document["manifest"]))
    assert document["net"] == str(inputs / "out.pb.gz")
    assert document["sha256"] == manifest.output.sha256 == load_net(document["net"]).sha256
    assert manifest.command[:2] == ("swa", "build")
    assert document["losses"]["nets"][0]["role"] == "built"
    assert document["checks"]["failed"] == {}
    assert document["data"]["files"] == 12
    assert "refreshing batch norm\n" in progress


def test_words(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words_of(inputs)) == 0
    out = capsys.readouterr().out
    assert "least alike: run-" in out
    assert "a barrier of" in out
    assert "averaged, batch norm not refreshed" in out
    refreshed, held_out = (
        sum(held_out == side for held_out in divided(inputs / "games")) for side in (False, True)
    )
    assert f"batch norm: exact on {24 * refreshed} positions of {refreshed} games, winograd" in out
    assert f"note: {refreshed} games are little to refresh on" in out
    assert f"losses on {24 * held_out} held-out positions of" in out
    assert f"manifest {inputs / 'out.pb.gz.json'}" in out
    words = ["build", "--from-manifest", str(inputs / "out.pb.gz.json")]
    assert main([*words, "-o", str(inputs / "again.pb.gz")]) == 0
    assert "the same bytes as the first time" in capsys.readouterr().out
    assert main([*words, "-o", str(inputs / "bare.pb")]) == 0
    assert "the same net, packed into other bytes: by another zlib, or gzipped or not" in (
        capsys.readouterr().out
    )
    assert main([*words, "-o", str(inputs / "third.pb.gz"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["same_bytes"], document["versions_differ"]) == (True, {})


def divided(games: Path) -> list[bool]:
    """Of each game whether it is held out of a build."""
    below = survey([games], share=0.1).held_out_below
    return [game_hash(chunk.records) < below for chunk in read_records(games)]


@pytest.mark.parametrize(
    ("losses", "interval", "words"),
    [
        # of the built net, of the average before its refresh, of two ingredients
        ((2.0, 2.1, 2.2, 2.3), (-0.2, -0.1), []),
        ((2.0, 2.0, 2.0, 2.3), (-0.2, 0.1), []),
        (
            (2.0, 1.9, 2.2, 2.3),
            (-0.1, 0.2),
            [
                "than the average before its refresh: loss (policy and value) 2.0000 instead of "
                "1.9000, which may be chance"
            ],
        ),
        (
            (2.0, 2.1, 1.8, 1.7),
            (0.1, 0.2),
            [
                "than the best ingredient, b: loss (policy and value) 2.0000 instead of 1.7000, "
                "beyond chance"
            ],
        ),
        ((2.0, 1.9, 2.2, 1.95), (None, None), ["before its refresh", "ingredient, b: loss"]),
    ],
)
def test_a_net_that_is_worse_than_what_went_in_is_told(
    losses: tuple[float, ...], interval: tuple[float | None, ...], words: list[str]
) -> None:
    roles = ("built", "averaged", "ingredient", "ingredient")
    metrics = {"policy_cross_entropy": 1.0, "value_mse": 1.0, "policy_accuracy": 0.5}
    nets = tuple(
        LossRecord(role, name, loss, metrics, dict.fromkeys(metrics, (0.0, *interval)))
        for role, name, loss in zip(roles, ("out", "average", "a", "b"), losses, strict=True)
    )
    lines = build_output._loss_lines(LossesRecord("held-out", 9, 99, 0.0, 1.0, nets), {})
    notes = [line for line in lines if line.startswith("note: the built net is worse")]
    assert len(notes) == len(words)
    for note, word in zip(notes, words, strict=True):
        assert word in note


def test_a_file_of_settings(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = inputs / "run.toml"
    file.write_text(
        'nets = ["run-1.pb", "run-2.pb", "run-3.pb"]\ndata = "games"\nrule = "ema"\n'
        'scale = 2\nheld-out = 0.25\nencoding = "float16"\nforce = true\n'
    )
    config = make_config({"output": inputs / "x.pb", "scale": 4.0}, file)
    assert config.nets == tuple(inputs / f"run-{number}.pb" for number in (1, 2, 3))
    assert config.data == (inputs / "games",)
    assert (config.scale, config.held_out, config.encoding) == (4.0, 0.25, "float16")
    assert config.force
    assert main(["build", str(file), "-o", str(inputs / "out.pb"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rule"]["name"] == "ema"
    assert document["encoding"] == "float16"
    assert [item["weight"] for item in document["ingredients"]] == [0.25, 0.25, 0.5]


def test_a_flag_takes_the_place_of_what_contradicts_it(inputs: Path) -> None:
    file = inputs / "run.toml"
    file.write_text('nets = "run-1.pb"\ndata = "games"\nrule = "ema"\nscale = 2\nheld-out = 0.2\n')
    given: dict[str, Any] = {"output": inputs / "x.pb"}
    assert make_config(given | {"rule": "lawa"}, file).scale is None
    assert make_config(given | {"decay": 0.5}, file).rule_settings["scale"] is None
    config = make_config(given | {"eval_data": (inputs,)}, file)
    assert (config.held_out, config.share, config.has_held_out) == (None, 0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hold-out = 0.1", "unknown key 'hold-out'; did you mean 'held-out'?"),
        ("positions = 1.5", "positions: must be a whole number, not 1.5"),
        ('rule = "median"', "rule: must be one of mean, ema, lczero, lawa, soup, not 'median'"),
        ("nets = [1]", "nets: must be a path, not 1"),
        ("force = 1", "force: must be true or false, not 1"),
        ('weights = ["a"]', "weights: must be a number, not 'a'"),
        ("held-out = 1", "--held-out is from 0 to below 1, not 1.0"),
        ('eval-data = "games"\nheld-out = 0.1', "two ways to the same"),
        ('rule = "soup"\nheld-out = 0', "there is none"),
        ("=", "not a TOML file"),
        ('licence = ""', "the licence is empty"),
        ('data = "\\u0000"', "data: must be a path, not '\\x00'"),
        (
            'data = "~nobody of that name/x"',
            "data: ~nobody of that name/x: could not determine home",
        ),
        (f"scale = {10**400}", "scale: must be a finite number, not 1000"),
    ],
)
def test_bad_settings(inputs: Path, text: str, words: str) -> None:
    file = inputs / "run.toml"
    file.write_text(text)
    given = {"nets": (inputs / "run-1.pb",), "data": (inputs,), "output": inputs / "x.pb"}
    for name in ("nets", "data"):
        if text.startswith(name):
            del given[name]
    with pytest.raises(BuildError) as caught:
        make_config(given, file)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["build", "-o", "x.pb"], "--nets is missing"),
        (["build", "--nets", "a.pb", "-o", "x.pb"], "--data is missing"),
        (["build", "nowhere.toml", "-o", "x.pb"], "cannot read the configuration"),
        (["build", "--from-manifest", "a.json"], "-o is missing"),
        (
            ["build", "--from-manifest", "a.json", "-o", "x.pb", "--rule", "ema"],
            "brings its own --rule",
        ),
        (["build", "--from-manifest", "a.json", "-o", "x.pb"], "cannot read the manifest"),
        (["build", "--nets", "a.pb", "--data", "d", "-o", "x.txt"], "not the name of a net"),
        (["build", "--nets", "a.pb", "--data", "d", "-o", "x.pb", "--search", "d"], "goes with"),
        (["build", "--nets", "a.pb", "--data", "d", "-o", "x.pb"], "cannot read the net"),
    ],
)
def test_bad_usage(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert reason in error
    assert out == ""
    assert len(error.splitlines()) <= 3
    assert not Path("x.pb").exists()


def test_a_setting_of_another_rule(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words_of(inputs, "--last", "2")) == 2
    assert "--last goes with --rule lawa" in capsys.readouterr().err


def test_an_empty_list_of_weights_is_not_none(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inputs / "run.toml").write_text("weights = []")
    assert main(words_of(inputs, str(inputs / "run.toml"))) == 2
    assert "0 weights for 3 nets" in capsys.readouterr().err


def test_names_that_are_not_utf8(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (inputs / "games" / "game-0.gz").rename(inputs / "games" / f"{odd}.gz")
    (inputs / "run-1.pb").rename(inputs / f"run-{odd}.pb")
    inputs = inputs.rename(inputs.parent / odd)
    assert main(words_of(inputs)) == 0
    assert "caf\\udce9" in capsys.readouterr().out
    assert main(words_of(inputs, "--overwrite", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["net"] == str(inputs / "out.pb.gz")
    words = ["build", "--from-manifest", str(inputs / "out.pb.gz.json")]
    assert main([*words, "-o", str(inputs / "again.pb.gz")]) == 0
    assert "the same bytes as the first time" in capsys.readouterr().out


def test_a_licence_that_is_not_utf8_is_refused_at_once(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words_of(inputs, "--licence", os.fsdecode(b"\xff"))) == 2
    assert capsys.readouterr().err.splitlines() == [
        r"error: the licence '\udcff' is not UTF-8",
        "  Give --licence in UTF-8.",
    ]


def test_different_licences_are_for_the_user_to_settle(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_net(load_net(inputs / "run-3.pb"), inputs / "run-3.pb", licence="other", overwrite=True)
    assert main(words_of(inputs)) == 2
    error = capsys.readouterr().err
    assert "run-3.pb: is under the licence 'other', " in error
    assert "run-1.pb under 'a licence'" in error
    assert "looking through the data" not in error  # nor anything that takes time
    assert main(words_of(inputs, "--licence", "mine")) == 0
    assert "licence: mine" in capsys.readouterr().out
    words = ["build", "--from-manifest", str(inputs / "out.pb.gz.json")]
    assert main([*words, "-o", str(inputs / "again.pb.gz")]) == 0
    out = capsys.readouterr().out
    assert "the same bytes as the first time" in out
    assert "licence: mine" in out


def test_ctrl_c_and_the_same_command_again(inputs: Path) -> None:
    """The signal comes as soon as the refresh has put something on the disk."""
    for game in range(40):
        folder = inputs / "games" / f"more-{game}"
        folder.mkdir()
        write_games(folder, seed=game + 1)
    command = [sys.executable, "-m", "swa.cli", *words_of(inputs, "--threads", "1")]
    state, out = inputs / ".out.pb.gz.refresh.json", inputs / "out.pb.gz"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not state.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    if process.returncode == 0:
        pytest.skip("the machine was too quick to be interrupted")
    assert process.returncode == 130
    assert error.endswith("goes on with the refresh where it stopped\ninterrupted\n")
    assert not out.exists()
    assert main(words_of(inputs, "--threads", "1")) == 0
    resumed = out.read_bytes()
    assert not state.exists()
    os.unlink(out)
    os.unlink(f"{out}.json")
    assert main(words_of(inputs, "--threads", "1")) == 0
    assert out.read_bytes() == resumed


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_before_there_is_anything_to_go_on_from(
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    again: bool,
) -> None:
    words = words_of(inputs)
    if again:
        assert main(words) == 0
        words = ["build", "--from-manifest", f"{words[-1]}.json", "-o", str(inputs / "again.pb")]

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(swa.build, "refresh", interrupted)
    assert main(words) == 130
    error = capsys.readouterr().err
    assert error.endswith("no net was written; the same command starts anew\ninterrupted\n")


def test_no_input_is_overwritten(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a manifest that a build is made from, nor settings, nor a game."""
    assert main(words_of(inputs)) == 0
    manifest, settings = inputs / "out.pb.gz.json", inputs / "mine.pb.json"
    settings.write_text("force = true")
    (inputs / "linked.pb.json").symlink_to(manifest)
    nets = [str(path) for path in sorted(inputs.glob("run-*.pb"))]
    games = inputs / "games"
    (games / "one.pb.gz").write_bytes((games / "game-1.gz").read_bytes())
    by_hand = ["--nets", *nets, "--data", str(games)]
    again = ["--from-manifest", str(manifest)]
    for words, name, lost in (
        (again, "out.pb.gz", manifest),
        (again, "linked.pb", inputs / "linked.pb.json"),
        ([str(settings), *by_hand], "mine.pb", settings),
        (by_hand, "games/one.pb.gz", games / "one.pb.gz"),
    ):
        capsys.readouterr()
        before = lost.read_bytes()
        assert main(["build", *words, "-o", str(inputs / name), "--overwrite"]) == 2
        reason = "holds training records: they" if lost.parent == games else "is an input: it"
        assert f"{lost}: {reason} would be lost" in capsys.readouterr().err
        assert lost.read_bytes() == before


# --- real nets ---


@pytest.fixture(scope="module")
def human(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen games of masters."""
    folder = tmp_path_factory.mktemp("human")
    write_human_games(shared / "pgn" / "human_master_000.pgn.gz", folder, 24)
    return folder


def real(shared: Path, data: Path, out: Path, *names: str, **settings: Any) -> BuildConfig:
    nets = tuple(shared / "nets" / f"{name}.pb.gz" for name in names)
    return BuildConfig(nets=nets, data=(data,), output=out, **settings)


def test_two_points_of_one_run(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swa.build, "SAMPLE", 512)
    data, out = shared / "chunks" / "v7", tmp_path / "ckpt.pb.gz"
    names = ("ckpt-1-10000", "ckpt-11-110000")
    limits = {"positions": 2048, "held_out": 0.3, "eval_positions": 1024}
    config = real(shared, data, out, *names, **limits)
    manifest = build(config).manifest
    assert manifest.checks.failed == {}
    assert manifest.checks.cosine is not None
    assert manifest.checks.cosine > 0.9
    assert load_net(out).training_steps == 110_000


def test_the_refresh_brings_a_mixture_back(
    shared: Path, human: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KL to the net that makes up nine tenths, on positions that the refresh has not seen."""
    monkeypatch.setattr(swa.build, "SAMPLE", 64)
    nets = [load_net(shared / "nets" / "maia-1500.pb.gz")]
    common: dict[str, Any] = {"positions": 1024, "eval_positions": 512, "held_out": 0.3}
    for how in ("averaged", "exact"):
        out = tmp_path / f"{how}.pb.gz"
        config = real(
            shared,
            human,
            out,
            "maia-1500",
            "maia-1600",
            weights=(0.9, 0.1),
            refresh=how,
            force=True,
            **common,
        )
        assert set(build(config).manifest.checks.failed) >= {"run", "barrier"}
        nets.append(load_net(out))
    data = survey([human], share=0.3, positions=1024, eval_positions=512)
    found = evaluate(nets, data.batches(), resamples=0)
    assert found.positions == 512
    before, after = (
        net.to_first.comparisons["policy_kl"].value for net in found.nets[1:] if net.to_first
    )
    assert before > 5 * after


def test_nets_that_do_not_belong_together(
    shared: Path, human: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names, reason in (
        (("maia-1500", "maia-1600"), "the cosine between their convolutions is -0.001"),
        (("maia-1900", "meangirl-8"), "does not fit"),
    ):
        nets = [str(shared / "nets" / f"{name}.pb.gz") for name in names]
        out = tmp_path / "out.pb.gz"
        assert main(["build", "--nets", *nets, "--data", str(human), "-o", str(out)]) == 2
        assert reason in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


def test_another_basin_is_found_on_the_straight_line(
    shared: Path, human: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cosine says nothing, the loss halfway does."""
    monkeypatch.setattr(swa.build, "SAMPLE", 256)
    monkeypatch.setattr(swa.build, "SAME_RUN_COSINE", -1)
    monkeypatch.setattr(swa.ingredients, "SAME_RUN_COSINE", -1)
    out = tmp_path / "out.pb.gz"
    config = real(shared, human, out, "maia-1500", "maia-1600", positions=256)
    with pytest.raises(RefusedError, match="a barrier of") as caught:
        build(config)
    assert [failure.check for failure in caught.value.failures] == ["barrier"]
    assert list(tmp_path.iterdir()) == []


def test_the_last_snapshots_of_a_run(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(inputs / "games"), "--json"]
    run = f"latest:{inputs}/run:2"
    assert main(["build", "--nets", run, "-o", str(inputs / "a.pb"), *data]) == 0
    out, said = capsys.readouterr()
    assert f"{run} is {inputs}/run-2.pb\n{run} is {inputs}/run-3.pb\n" in said
    paths = [Path(one["path"]).name for one in json.loads(out)["ingredients"]]
    assert paths == ["run-2.pb", "run-3.pb"]
    (inputs / "run.toml").write_text('nets = ["latest:run:2"]\n')
    words = ["build", str(inputs / "run.toml"), "-o", str(inputs / "b.pb"), *data]
    assert main(words) == 0
    capsys.readouterr()
    assert (inputs / "a.pb").read_bytes() == (inputs / "b.pb").read_bytes()
    newest = str(inputs / "run-3.pb")
    assert main(["build", "--nets", run, "-o", newest, "--overwrite", *data]) == 2
