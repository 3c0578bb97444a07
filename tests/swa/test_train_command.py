"""``swa train``, as users and scripts call it."""

from __future__ import annotations

import json
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from build_inputs import write_games

from swa.cli import main
from swa.net import load_net

SETTINGS = """
name = "tiny"
output = "out"
threads = 1
log-every = 10
checkpoint-minutes = 0.001
[net]
blocks = 1
filters = 8
value-channels = 2
value-hidden = 4
moves-left = false
[data]
input = "games"
held-out = 0.3
sampling = 0.5
shuffle-size = 100
validation-positions = 48
[training]
batch-size = 16
total-steps = 300
[learning-rate]
lr = 0.02
[[averages]]
every = 20
start = 100
refresh-positions = 64
[[averages]]
name = "last"
rule = "lawa"
last = 2
every = 50
[snapshots]
every = 100
keep = 2
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "games").mkdir()
    write_games(tmp_path / "games")
    (tmp_path / "run.toml").write_text(SETTINGS)
    return tmp_path / "run.toml"


def nets_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.pb.gz")}


def begin(config: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "swa.cli", "train", str(config)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process: subprocess.Popen[str], config: Path, step: int) -> None:
    """Wait until the log is as far."""
    log = config.parent / "out" / "metrics.jsonl"
    for _ in range(6000):
        steps = [int(line.split(b",")[0].split(b":")[1]) for line in lines_of(log)]
        if max(steps, default=0) >= step:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    pytest.fail("no progress in a minute")


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


@pytest.mark.slow
def test_killed_three_times_it_ends_with_the_same_bytes(config, tmp_path, capsys):
    assert main(["train", str(config)]) == 0
    straight = nets_of(tmp_path / "out")
    figures = lines_of(tmp_path / "out" / "metrics.jsonl")
    (tmp_path / "out").rename(tmp_path / "straight")
    dice = random.Random()
    for step in (0, 60, 170):  # which moment after that is left to chance
        process = begin(config)
        wait_for_step(process, config, step + dice.randrange(50))
        time.sleep(dice.random() / 10)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert main(["train", str(config)]) == 0
    assert nets_of(tmp_path / "out") == straight
    assert straight.keys() == {
        "start.pb.gz",
        *(f"tiny{kind}-{step}.pb.gz" for kind in ("", "-swa", "-last") for step in (200, 300)),
    }
    again = lines_of(tmp_path / "out" / "metrics.jsonl")
    for one, other in zip(figures, again, strict=True):
        first, second = json.loads(one), json.loads(other)
        for key in first.keys() - {"time", "train/positions_per_second"}:
            assert first[key] == second[key], key


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_saves_and_says_how_to_go_on(config, tmp_path, number):
    process = begin(config)
    wait_for_step(process, config, 10)
    process.send_signal(number)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping after this step" in told
    assert f"to go on: swa train {config}" in told
    assert "no net yet" in out or "checkpoint" in out
    assert (tmp_path / "out" / "checkpoint").exists()
    assert (tmp_path / "out" / "training.png").exists()


def test_words_end_with_a_command_that_works(config, tmp_path, capsys):
    assert main(["train", str(config)]) == 0
    out, told = capsys.readouterr()
    assert f"net {tmp_path}/out/tiny-300.pb.gz\n" in out
    assert f"average swa: {tmp_path}/out/tiny-swa-300.pb.gz\n" in out
    assert "step 300 of 300: policy" in told
    assert "positions/s" in told
    assert "swa refreshed" in told
    commands = [line for line in out.splitlines() if line.startswith("  swa build")]
    assert len(commands) == 2
    assert main([*shlex.split(commands[0])[1:], "--force"]) == 0
    built = tmp_path / "out" / "tiny-swa-built.pb.gz"
    assert f"wrote {built}" in capsys.readouterr().out
    assert load_net(built).training_steps == 300
    assert main(["train", str(config)]) == 0  # there is nothing left to do
    assert "going on after step 300" in capsys.readouterr().err


def test_json(config, tmp_path, capsys):
    assert main(["train", str(config), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["steps"], document["finished"]) == (300, True)
    assert [Path(path).name for path in document["nets"]] == ["tiny-200.pb.gz", "tiny-300.pb.gz"]
    assert document["averages"]["last"]["net"] == str(tmp_path / "out" / "tiny-last-300.pb.gz")
    assert document["averages"]["last"]["build"][-6:-2] == ["--rule", "lawa", "--last", "2"]
    raw, *others = document["validation"]
    assert (raw["name"], raw["minus_raw"]) == ("raw", None)
    assert [net["name"] for net in others] == ["swa", "swa refreshed", "last"]
    value, low, high = others[0]["minus_raw"]["policy_cross_entropy"]
    difference = others[0]["metrics"]["policy_cross_entropy"]
    difference -= raw["metrics"]["policy_cross_entropy"]
    assert value == pytest.approx(difference)
    assert low <= value <= high


def test_a_net_to_start_from_is_the_latest(config, tmp_path, capsys):
    assert main(["train", str(config)]) == 0
    capsys.readouterr()
    text = config.read_text().replace('output = "out"', 'output = "more"')
    net = text.partition("[net]")[2].partition("[data]")[0]
    config.write_text(text.replace(net, '\nstart = "latest:out"\n').replace("= 300", "= 5"))
    assert main(["train", str(config)]) == 0
    assert "tiny-300.pb.gz" in capsys.readouterr().err
    start = load_net(tmp_path / "more" / "start.pb.gz")
    before = load_net(tmp_path / "out" / "tiny-300.pb.gz")
    assert all((start.weights[name] == values).all() for name, values in before.weights.items())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch-size", "bach-size", "unknown key 'bach-size'; did you mean 'batch-size'"),
        ('input = "games"', 'input = "none"', "none"),
        ('input = "games"', 'input = "empty"', ""),
        ("lr = 0.02", "lr = 1e30", "step 10: the net is not finite|loss is not finite"),
        ("blocks = 1", 'start = "none.pb.gz"\nblocks = 1', "cannot read the net"),
        ('output = "out"', 'output = "run.toml"', "output: cannot make"),
        ("threads = 1", 'device = "abacus"', "device 'abacus' is not available here"),
    ],
)
def test_what_cannot_be_done_is_said_in_three_lines(config, tmp_path, capsys, old, new, message):
    (tmp_path / "empty").mkdir()
    config.write_text(SETTINGS.replace(old, new))
    assert main(["train", str(config)]) == 2
    out, told = capsys.readouterr()
    assert out == ""
    error = told[told.index("error: ") :]
    assert re.search(message, error)
    assert len(error.splitlines()) <= 3


def test_a_changed_setting_is_named(config, capsys):
    config.write_text(SETTINGS.replace("total-steps = 300", "total-steps = 5"))
    assert main(["train", str(config)]) == 0
    config.write_text(SETTINGS.replace("lr = 0.02", "lr = 0.01"))
    assert main(["train", str(config)]) == 2
    assert "learning-rate.lr: the run was begun with 0.02, not 0.01" in capsys.readouterr().err
