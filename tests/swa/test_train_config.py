from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from tiny_net import KINDS, TINY, random_weights
from training_fakes import NET, tiny_config

from swa.averaging import Ema, EmaStart, Lawa, Lczero, Mean
from swa.beginning import first_net, make_spec
from swa.commands.train import EXAMPLES
from swa.net import NetError, new_net, save_net
from swa.settings import SettingsError
from swa.spec import Activation, MovesLeftSpec, PolicyKind, ValueKind
from swa.train_config import AverageSettings, NetSettings, TrainConfig, read_config

WHOLE = """
name = "first"
output = "runs/first"
seed = 7
[net]
blocks = 2
filters = 32
[data]
input = "games"
sampling = 1
[training]
batch-size = 256
total-steps = 1000
[learning-rate]
lr = 0.05
[[averages]]
name = "swa"
rule = "lczero"
max-n = 4
[[averages]]
name = "last"
rule = "lawa"
last = 3
"""


def read(tmp_path, text) -> TrainConfig:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return read_config(path)


def test_a_file_is_read_with_paths_relative_to_it(tmp_path):
    config = read(tmp_path, WHOLE)
    assert config.output == tmp_path / "runs/first"
    assert config.data.input == (tmp_path / "games",)
    assert config.data.sampling == 1.0
    assert (config.net.blocks, config.training.momentum, config.seed) == (2, 0.9, 7)
    assert [average.made_rule for average in config.averages] == [Lczero(4), Lawa(3)]


def test_the_example_of_the_help_is_one(tmp_path):
    text = EXAMPLES.partition("[net]")[2].partition("keys and their")[0]
    top = 'name = "first"\noutput = "runs/first"\n'
    config = read(tmp_path, f"{top}[net]{text}")
    assert config.averages[0].refresh_positions == 20000


def test_the_help_names_every_key_and_the_plain_defaults():
    text = EXAMPLES.partition("keys and their defaults")[2].partition("exit codes")[0]
    for name, kind in get_type_hints(TrainConfig).items():
        table = (get_args(kind) or (kind,))[0]
        declared = fields(table) if is_dataclass(table) else ()
        assert name.replace("_", "-") in text
        for field in declared:
            key = field.name.replace("_", "-")
            assert key in text
            if type(field.default) in (int, float):
                told = re.search(rf"\b{key}\s+([0-9.e-]*[0-9])", text)
                assert told is not None, key
                assert float(told[1]) == field.default, key


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch-size", "batch-sise", "training: unknown key 'batch-sise'; did you mean 'batch-s"),
        ("seed = 7", "sede = 7", "run.toml: unknown key 'sede'; did you mean 'seed'"),
        ("[net]", "[model]", "run.toml: unknown key 'model'"),
        ("total-steps = 1000", "", "training.total-steps is missing"),
        ('[data]\ninput = "games"\nsampling = 1', "", "data is missing"),
        ("total-steps = 1000", "total-steps = 0", "training.total-steps: is at least 1, not 0"),
        ("total-steps = 1000", "total-steps = 1e3", "must be a whole number, not 1000.0"),
        ("batch-size = 256", "batch-size = 1", "training.batch-size: is at least 2"),
        ("lr = 0.05", "lr = -1", "learning-rate.lr: is from 0 to 1e.30, not -1"),
        ("lr = 0.05", "lr = nan", "learning-rate.lr: must be a finite number, not nan"),
        ("lr = 0.05", "lr = inf", "learning-rate.lr: must be a finite number, not inf"),
        ("lr = 0.05", "lr = 1e39", "learning-rate.lr: is from 0 to 1e.30, not 1e.39"),
        ("lr = 0.05", "lr = 'high'", "learning-rate.lr: must be a number, not 'high'"),
        ("lr = 0.05", "", "learning-rate.lr is missing"),
        ("lr = 0.05", "schedule = 'wavy'", "must be one of constant, steps, cosine, cyclic"),
        ("lr = 0.05", "schedule='steps'\nvalues=[1]\nboundaries=[5]", "1 values for 1 boundaries"),
        ("lr = 0.05", "schedule='steps'\nvalues=[1,1,1]\nboundaries=[5,5]", "are to rise"),
        ("lr = 0.05", "lr=1\nschedule='cyclic'", "learning-rate.cycle is missing"),
        ("lr = 0.05", "lr=1\nswa-start=5", "swa-start and swa-lr go together"),
        ("lr = 0.05", "lr=1\nswa-start=1000\nswa-lr=1", "swa-start: 1000 is not before step 1000"),
        ("lr = 0.05", "lr=1\ncycle=5", "cycle: goes with"),
        ("lr = 0.05", "lr=1\nfinal=0.1", "final: goes with"),
        ("sampling = 1", "sampling = 0", "data.sampling: is above 0"),
        ("sampling = 1", "held-out = 1", "data.held-out: is between 0 and 1"),
        ('input = "games"', "input = []", "data.input: names no data"),
        ("blocks = 2", "", "net.blocks is missing"),
        ("blocks = 2", "blocks = 0", "net.blocks: is at least 1"),
        ("blocks = 2", "blocks = 2\nse = 4\nse-ratio = 8", "net.se and se-ratio say the same"),
        ("last = 3", "max-n = 3", "averages.rule: --max-n goes with --rule lczero"),
        ("last = 3", "last = 0", "averages.rule: the last 0 nets cannot be averaged"),
        ("last = 3", "every = 0", "averages.every: is at least 1"),
        ('name = "last"', 'name = "swa"', "averages: two of them have one name"),
        ('name = "last"', 'name = "a/b"', "averages.name: 'a/b' is not of letters"),
        ('name = "last"', 'name = "raw"', "averages.name: 'raw' is the net that is trained"),
        ('name = "first"', 'name = "a/b"', "name: 'a/b' cannot begin a file's name"),
        ("seed = 7", "seed = -1", "seed: is from 0"),
        ("seed = 7", "threads = 0", "threads: is at least 1"),
        ("[[averages]]", "[averages", "not a TOML file"),
        ('[[averages]]\nname = "swa"', "averages = 3\n[x]", "unknown key|must be a table"),
    ],
)
def test_what_cannot_be_is_refused_by_key(tmp_path, old, new, message):
    assert old in WHOLE
    with pytest.raises(SettingsError, match=message) as caught:
        read(tmp_path, WHOLE.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'run.toml'}: ")
    assert len(str(caught.value).splitlines()) <= 3


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="cannot read the configuration: no such file"):
        read_config(tmp_path / "none.toml")


def test_rules_are_those_of_swa_average():
    assert AverageSettings().made_rule == Mean()
    made = AverageSettings(rule="ema", scale=4.0, ema_start="unbiased").made_rule
    assert made == Ema(0.75, EmaStart.UNBIASED)


def test_averages_fall_due_as_lczeros():
    due = [step for step in range(12) if AverageSettings(every=4).is_due(step)]
    assert due == [4, 8]
    due = [step for step in range(12) if AverageSettings(start=3, every=4).is_due(step)]
    assert due == [7, 11]


def test_the_kind_of_net():
    spec = make_spec(NetSettings(blocks=2, filters=32))
    assert str(spec) == "2x32 SE 4 relu, convolution policy, wdl value, moves left"
    assert spec.policy.channels == 32
    assert (spec.value.channels, spec.value.hidden) == (32, 128)
    spec = make_spec(
        NetSettings(
            blocks=1,
            filters=16,
            se=0,
            policy="classical",
            value="classical",
            moves_left=False,
            activation="mish",
        )
    )
    assert (spec.se, spec.policy.kind, spec.policy.channels) == (0, PolicyKind.CLASSICAL, 32)
    assert (spec.value.kind, spec.moves_left) == (ValueKind.CLASSICAL, None)
    assert spec.activation is Activation.MISH
    assert make_spec(NetSettings(blocks=1, filters=16, se_ratio=2)).se == 8
    assert make_spec(NET).moves_left == MovesLeftSpec(2, 4)
    with pytest.raises(SettingsError, match="as many as filters"):
        make_spec(NetSettings(blocks=1, filters=16, policy_channels=8))


@pytest.fixture
def start(tmp_path) -> Path:
    path = tmp_path / "start.pb.gz"
    save_net(new_net(TINY, random_weights(TINY)), path, encoding="float32")
    return path


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 2}, "net.blocks: is 2, but the net to start from has 1"),
        ({"policy": "classical"}, "net.policy: is classical, .* has convolution"),
        ({"moves_left": False}, "net.moves-left: is false, .* has true"),
        ({"activation": "mish"}, "net.activation: is mish, .* has relu"),
        ({"value_hidden": 128}, "net.value-hidden: is 128, .* has 3"),
        ({"se": 0}, "net.se: is 0, .* has 2"),
        ({"se_ratio": 4}, "net.se-ratio: is 4, .* has 2"),
    ],
)
def test_a_net_to_start_from_must_be_as_is_said(tmp_path, start, settings, message):
    config = tiny_config(tmp_path, net=NetSettings(start=str(start), **settings))
    with pytest.raises(SettingsError, match=message):
        first_net(config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_to_start_from_keeps_its_weights_and_header(tmp_path, kind):
    spec, path = KINDS[kind], tmp_path / "start.pb.gz"
    net = new_net(spec, random_weights(spec))
    net.message.training_params.accuracy = 0.5
    net.message.license = b"GPL"
    save_net(net, path, encoding="float32")
    found = first_net(tiny_config(tmp_path, net=NetSettings(start=str(path))))
    assert found.spec == spec
    assert all((values == net.weights[name]).all() for name, values in found.weights.items())
    assert found.message.license == b"GPL"
    assert not found.message.training_params.HasField("accuracy")


def test_a_net_to_start_from_that_is_none(tmp_path):
    with pytest.raises(NetError, match="cannot read the net"):
        first_net(tiny_config(tmp_path, net=NetSettings(start=str(tmp_path / "none.pb.gz"))))
