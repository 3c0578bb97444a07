"""Refreshes that are interrupted, go on, run out of disk, or must do with little memory."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refresh_reference import SE_NET, random_planes
from tiny_net import calm_weights

from swa.files import write_whole
from swa.net import NetError
from swa.refresh import Progress, Refreshed, refresh
from swa.spill import SpaceError, Spill

ENGINES: dict[str, dict[str, Any]] = {
    "winograd": {"device": "cpu"},
    "torch float64": {"device": "cpu", "dtype": "float64"},
}
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)

WEIGHTS, PLANES = calm_weights(SE_NET), random_planes(50)
LAYERS = 1 + 2 * SE_NET.blocks + 1


def run(engine: Mapping[str, Any], **more: Any) -> Refreshed:
    return refresh(SE_NET, WEIGHTS, PLANES, **({"batch": 20} | dict(engine) | more))


def same(one: Refreshed, other: Refreshed) -> bool:
    """All weights and all digits of the statistics."""
    assert one.weights.keys() == other.weights.keys()
    return all(np.array_equal(one.weights[n], other.weights[n]) for n in one.weights) and all(
        np.array_equal(part, other_part)
        for name, statistics in one.statistics.items()
        for part, other_part in zip(statistics, other.statistics[name], strict=True)
    )


class Interrupt:
    """Ctrl-C when layer ``layer`` has come to ``positions``."""

    def __init__(self, layer: int, positions: int) -> None:
        self._layer, self._positions = layer, positions
        self.told: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)
        if (progress.layer, progress.positions) == (self._layer, self._positions):
            raise KeyboardInterrupt


@every_engine
@pytest.mark.parametrize("layer", range(LAYERS))
def test_what_was_interrupted_goes_on_to_the_same_bits(
    engine: dict[str, Any], layer: int, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    with pytest.raises(KeyboardInterrupt):
        run(engine, state=state, work_dir=tmp_path, memory=0, progress=Interrupt(layer, 40))
    assert [path.name for path in tmp_path.iterdir()] == (["state.json"] if layer else [])
    done = len(json.loads(state.read_text())["norms"]) if layer else 0
    assert done == layer
    told: list[Progress] = []
    resumed = run(engine, state=state, progress=told.append)
    # Planes are read again; layers that are done run as one.
    passes = {progress.layer for progress in told if progress.positions == 50}
    assert passes == {0, *range(max(layer - 1, 0), LAYERS)}
    assert same(resumed, run(engine))


@every_engine
def test_what_was_finished_is_not_computed_again(engine: dict[str, Any], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    first = run(engine, state=state)
    told: list[Progress] = []
    assert same(first, run(engine, state=state, progress=told.append))
    assert {progress.layer for progress in told} == {0}


def test_it_goes_on_twice_and_otherwise(tmp_path: Path) -> None:
    """In other windows, on more threads, from chunks: none of it changes a bit."""
    engine, state = ENGINES["winograd"], tmp_path / "state.json"
    for layer, batch in ((2, 7), (3, 50)):
        with pytest.raises(KeyboardInterrupt):
            run(engine, state=state, batch=batch, progress=Interrupt(layer, 50))
    chunks = [(PLANES[0][a : a + 9], PLANES[1][a : a + 9]) for a in range(0, 50, 9)]
    told: list[Progress] = []
    settings = engine | {"state": state, "threads": 2, "batch": 31, "progress": told.append}
    assert same(refresh(SE_NET, WEIGHTS, chunks, **settings), run(engine))
    assert {progress.layer for progress in told} == {0, 2, 3, 4, 5}


def test_the_progress_of_another_refresh_is_not_taken(tmp_path: Path) -> None:
    engine, state = ENGINES["winograd"], tmp_path / "state.json"
    other_weights, other_planes = calm_weights(SE_NET, seed=1), random_planes(50, seed=1)
    for weights, planes, settings in (
        (other_weights, PLANES, engine),
        (WEIGHTS, other_planes, engine),
        (WEIGHTS, (PLANES[0][::-1], PLANES[1][::-1]), engine),
        (WEIGHTS, PLANES, ENGINES["torch float64"]),
    ):
        state.unlink(missing_ok=True)
        interrupt = Interrupt(3, 20)
        with pytest.raises(KeyboardInterrupt):
            refresh(SE_NET, weights, planes, batch=20, state=state, progress=interrupt, **settings)
        told: list[Progress] = []
        assert same(run(engine, state=state, progress=told.append), run(engine))
        assert {progress.layer for progress in told} == set(range(LAYERS))


@pytest.mark.parametrize(
    "text", ["", "[1]", "{}", '{"format": "swa refresh, version 1"}', "\0", "[" * 10**5]
)
def test_another_file_is_neither_taken_nor_overwritten(text: str, tmp_path: Path) -> None:
    state = tmp_path / "notes.txt"
    state.write_text(text)
    with pytest.raises(NetError, match="is not the progress of a refresh"):
        run(ENGINES["winograd"], state=state)
    assert state.read_text() == text


def test_damaged_statistics_are_refused(tmp_path: Path) -> None:
    engine, state = ENGINES["winograd"], tmp_path / "state.json"
    run(engine, state=state)
    whole = json.loads(state.read_text())
    for norms in ([], {"input.bn": 3}, {"input.bn": {"mean": ["a"], "variance": []}}):
        write_whole(state, json.dumps(whole | {"norms": norms}).encode())
        with pytest.raises(NetError, match="is not the progress of a refresh"):
            run(engine, state=state)


def test_a_folder_that_is_not_there_is_told_before_anything_else(tmp_path: Path) -> None:
    interrupt = Interrupt(0, 20)
    with pytest.raises(NetError, match="no such folder"):
        run(ENGINES["winograd"], state=tmp_path / "none" / "state", progress=interrupt)
    with pytest.raises(SpaceError, match="no room for a temporary file: no such file"):
        run(ENGINES["winograd"], work_dir=tmp_path / "none", memory=0, progress=interrupt)
    assert not interrupt.told


def test_only_the_exact_method_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only the exact method"):
        run({}, state=tmp_path / "state", method="pooled")


@every_engine
def test_where_it_is_kept_does_not_matter(engine: dict[str, Any], tmp_path: Path) -> None:
    seen: list[list[Path]] = []
    half = 20 * 2 * 64 * 32 * 8  # bytes of at least a batch
    for memory in (0, half):
        kept = run(
            engine,
            work_dir=tmp_path,
            memory=memory,
            progress=lambda _: seen.append(list(tmp_path.iterdir())),
        )
        assert same(kept, run(engine))
    assert not any(seen)  # the file has no name at any time


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve, calls = os.posix_fallocate, 0

    def full(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reserve(*arguments)

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(SpaceError) as caught:
        run(ENGINES["winograd"], work_dir=tmp_path, memory=0)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{tmp_path}: no room for a temporary file: no space left on device")
    assert lines[1] == "Choose a folder on another disk, or take fewer positions."
    assert list(tmp_path.iterdir()) == []


def test_space_is_taken_where_it_cannot_be_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.posix_fallocate")
    with Spill(tmp_path, 0) as spill:
        one, other = spill.array(300_000, np.float32), spill.array(5, np.float64)
        with one.in_use(), other.in_use():
            assert not one.numbers.any()
            one.numbers[:], other.numbers[:] = 1, 2
        with one.in_use():
            assert (one.numbers == 1).all()
        assert other.numbers.tolist() == [2] * 5


START = """
    import sys
    sys.path.insert(0, {tests!r})
    import numpy as np
    from refresh_reference import PLAIN_NET, random_planes
    from tiny_net import calm_weights
    from swa.refresh import refresh

    def peak():  # not getrusage's, which begins with that of the process that started this one
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
"""


def script(code: str) -> list[str]:
    start = START.format(tests=str(Path(__file__).parent.parent))
    return [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(code)]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_refresh_leaves_nothing(end: signal.Signals, tmp_path: Path) -> None:
    code = f"""
    def wait(progress):
        if progress.layer == 1:
            print("kept", flush=True)
            sys.stdin.read()
    weights = calm_weights(PLAIN_NET)
    refresh(PLAIN_NET, weights, random_planes(60), device="cpu", memory=0,
            work_dir={str(tmp_path)!r}, progress=wait)
    """
    with subprocess.Popen(
        script(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        process.send_signal(end)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.returncode == -end
    assert list(tmp_path.iterdir()) == []


MEMORY = """
    weights = calm_weights(PLAIN_NET)
    few = random_planes(50)
    def chunks(count):
        for _ in range(count // 50):
            yield few
    settings = dict(device="cpu", memory={memory}, work_dir={folder!r}, batch=120)
    refresh(PLAIN_NET, weights, chunks(200), **settings)
    before = peak()
    refresh(PLAIN_NET, weights, chunks({positions}), **settings)
    print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere pages are not given back at once")
def test_memory_does_not_grow_with_the_positions(tmp_path: Path) -> None:
    """10,000 positions of 16 filters are 82 MB: all of it in memory, or next to nothing."""
    grown = []
    for memory in (0, 2**30):
        code = MEMORY.format(memory=memory, folder=str(tmp_path), positions=10_000)
        output = subprocess.run(script(code), capture_output=True, text=True, check=True).stdout
        grown.append(int(output))
    assert grown[0] < 15e6 < 75e6 < grown[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")
def test_a_hundred_thousand_positions_of_a_real_size_fit_in_two_gib(tmp_path: Path) -> None:
    code = f"""
    from dataclasses import replace
    spec = replace(PLAIN_NET, blocks=6, filters=64, se=8)
    masks, values = random_planes(1000)
    many = np.tile(masks, (100, 1)), np.tile(values, (100, 1))
    refresh(spec, calm_weights(spec), many, device="cpu", work_dir={str(tmp_path)!r})
    print(peak())
    """
    output = subprocess.run(script(code), capture_output=True, text=True, check=True).stdout
    assert int(output) < 2 * 2**30
