"""The nets that ship are what they are said to be: nets/, and scripts/demo.py on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from swa.cli import main as swa
from swa.manifest import read_manifest
from swa.net import load_net

REPOSITORY = Path(__file__).parent.parent
NETS = REPOSITORY / "nets"
MOST_BYTES = 1_500_000


def shipped(kind: str) -> Path:
    (net,) = sorted(NETS.glob(f"fledgling-{kind}*.pb.gz"))[-1:]
    return net


def test_they_are_small_and_load() -> None:
    for path in NETS.glob("*.pb.gz"):
        assert path.stat().st_size < MOST_BYTES
        assert (load_net(path).spec.blocks, load_net(path).spec.filters) == (2, 32)


def test_the_average_is_built_again_from_what_ships(tmp_path: Path) -> None:
    average = tmp_path / "again.pb.gz"
    words = ["--nets", f"latest:{NETS}:5", "--data", str(NETS / "selfplay.tar"), "-o", str(average)]
    assert swa(["build", *words]) == 0
    again, net = load_net(average), load_net(shipped("swa-"))
    for name, weights in net.weights.items():  # another processor may round otherwise
        assert np.abs(again.weights[name] - weights).max() <= 2e-4 * max(1, np.abs(weights).max())


def test_its_manifest_names_the_snapshots() -> None:
    manifest = read_manifest(NETS / f"{shipped('swa-').name}.json")
    named = [entry.sha256 for entry in manifest.ingredients]
    snapshots = [path for path in NETS.glob("*.pb.gz") if "swa" not in path.name]
    assert sorted(named) == sorted(load_net(path).sha256 for path in snapshots)
    assert len(named) == 5


@pytest.mark.slow
def test_the_demo_ends_with_a_report_without_the_shared_folder(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "demo.py"), "--out", str(out)],
        env={**os.environ, "ARENA_SHARED": str(tmp_path / "nowhere")},
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "The average is the net that ships" in done.stderr
    assert (out / "report.md").is_file()
    assert str(out / "report.md") in done.stdout.splitlines()[-1]
