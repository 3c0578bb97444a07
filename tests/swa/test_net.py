from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_net import EVERY_KIND, KINDS, TINY, random_weights, tiny_payload

from swa import provenance
from swa.cli import main
from swa.net import NetError, batch_norm_health, load_net
from swa.spec import NetSpec, PolicyKind, ValueKind, norm_of, normed_convolutions, parameters

REAL_NETS = {
    "maia-1100": (6, 64, 8, ValueKind.WDL, 400_000),
    "maia-2200": (6, 64, 8, ValueKind.WDL, 400_000),
    "meangirl-8": (4, 32, 16, ValueKind.CLASSICAL, 200_000),
    "tinygyal-8": (2, 16, 16, ValueKind.CLASSICAL, 200_000),
    "ckpt-1-10000": (6, 64, 8, ValueKind.WDL, 10_000),
    "ckpt-11-110000": (6, 64, 8, ValueKind.WDL, 110_000),
}


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pb"
    path.write_bytes(tiny_payload())
    return path


# The description


def test_parameters_have_names_and_fields_of_their_own() -> None:
    for spec in EVERY_KIND.values():
        rows = parameters(spec)
        assert len({row.name for row in rows}) == len({row.field for row in rows}) == len(rows)


def test_batch_norm_of_a_convolution() -> None:
    assert norm_of("input.conv") == "input.bn"
    assert norm_of("blocks.12.conv2") == "blocks.12.bn2"
    assert normed_convolutions(TINY) == (
        "input.conv",
        "blocks.0.conv1",
        "blocks.0.conv2",
        "policy.conv1",
        "value.conv",
        "moves_left.conv",
    )
    assert normed_convolutions(KINDS["batch norm folded"]) == ()


def test_the_tables_of_the_package_agree() -> None:
    from swa import planes, policy_map, spec

    assert spec.PLANES == planes.PLANE_COUNT
    assert spec.POLICY_MOVES == policy_map.MOVE_COUNT == len(policy_map.MOVES)
    assert spec.CONV_POLICY_PLANES == policy_map.CONV_POLICY_PLANES


# Files


@pytest.mark.parametrize("name", REAL_NETS)
def test_real_nets(shared: Path, name: str) -> None:
    blocks, filters, se, value, steps = REAL_NETS[name]
    path = shared / "nets" / f"{name}.pb.gz"
    net = load_net(path)
    assert (net.spec.blocks, net.spec.filters, net.spec.se) == (blocks, filters, se)
    assert (net.spec.policy.kind, net.spec.value.kind) == (PolicyKind.CONVOLUTION, value)
    assert (net.name, net.format, net.encoding) == (name, "pb.gz", "linear16")
    assert net.training_steps == steps
    assert net.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_net_says_where_it_comes_from(tiny_file: Path) -> None:
    net = load_net(tiny_file)
    assert (net.name, net.path, net.format) == ("tiny", tiny_file, "pb")
    assert net.sha256 == provenance.file_sha256(tiny_file)
    assert net.training_steps is None
    assert net.min_version == (0, 33, 0)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pb.gz"
    empty.touch()
    for path, reason in (
        (tmp_path / "absent.pb.gz", "no such file"),
        (tmp_path, "is a directory"),
        (empty, "empty"),
        (Path("null\0character"), "null"),
    ):
        with pytest.raises(NetError, match=reason) as refused:
            load_net(path)
        message = str(refused.value)
        assert message.startswith(str(path))
        assert len(message.splitlines()) == 2


def test_dead_channels_are_counted(tiny_file: Path) -> None:
    weights = random_weights(TINY)
    weights["blocks.0.bn2.variance"][:] = [1, 0, 9e-6, 1.1e-5]
    net = replace(load_net(tiny_file), weights=weights)
    health = {layer.name: layer for layer in batch_norm_health(net)}
    layer = health["blocks.0.bn2"]
    assert (layer.channels, layer.dead) == (4, 2)
    assert (layer.variance_min, layer.variance_max) == (0, 1)
    assert layer.mean_max == np.max(weights["blocks.0.bn2.mean"])
    assert sum(other.dead for other in health.values()) == 2


# swa inspect

INSPECT_KEYS = (
    "format blocks filters se policy value moves_left input_format activation encoding "
    "training_steps sha256 parameters"
)


def test_inspect_json(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(shared / "nets/maia-1500.pb.gz"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(INSPECT_KEYS.split()) <= set(said)
    assert (said["blocks"], said["filters"], said["se"]) == (6, 64, 8)
    assert (said["policy"], said["value"], said["moves_left"]) == ("convolution", "wdl", False)
    assert (said["input_format"], said["activation"]) == (1, "relu")
    assert len(said["batch_norm"]["layers"]) == 15
    assert said["batch_norm"]["dead_channels"] == 0


@pytest.mark.parametrize("spec", EVERY_KIND.values(), ids=EVERY_KIND.keys())
def test_inspect_table(spec: NetSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tiny.pb"
    path.write_bytes(tiny_payload(spec))
    assert main(["inspect", str(path)]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if line)
    assert lines["policy"].strip() == spec.policy.kind
    assert lines["training steps"].strip() == "not told"
    assert ("input.bn" in lines) is spec.batch_norm
    if not spec.batch_norm:
        why = "none: no convolutions" if not spec.filters else "folded into the convolutions"
        assert lines["batch norm"].strip() == why


def test_inspect_refuses_in_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "absent.pb.gz")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert len(said.err.splitlines()) <= 3


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from swa.cli import main\n"
        "main(['inspect', '--help'])\n"
        "print(sorted({'torch', 'numpy', 'google.protobuf'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "swa inspect maia" in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"


# Provenance


def test_versions_name_this_project_and_its_libraries() -> None:
    versions = provenance.versions()
    assert {"python", "numpy", "torch", "protobuf"} <= set(versions)
    assert versions["numpy"] == np.__version__


def test_hashes_agree(tiny_file: Path) -> None:
    assert provenance.sha256(tiny_file.read_bytes()) == provenance.file_sha256(tiny_file)


def test_the_processor_has_a_name() -> None:
    assert provenance.device_name("cpu")
