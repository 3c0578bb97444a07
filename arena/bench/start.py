"""What our own forward pass costs before it is fast: compiling, the cache's reading, and memory.

Each figure is that of a process of its own, which imports no torch: what a process has compiled
stays with it, and so does the most memory that it ever had.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from arena.bench.figures import BenchConfig, Spread, StartSpeed
from arena.bench.nets import random_net
from arena.evaluator import Leaves, WinogradEvaluator
from swa.jit import CACHE_DIR

SIZE = (10, 128)
"""Blocks and filters of a large net for a CPU."""

BATCH = 256
"""Positions."""

Note = Callable[[str], None]


def time_start(leaves: Leaves, config: BenchConfig, note: Note) -> StartSpeed:
    """Time until a random net of ``SIZE`` has evaluated its first position, one thread.

    It goes on with all ``leaves``, as one batch, before its memory is looked at. Nothing is
    compiled where ``config.effort`` forbids it; then the usual cache is read.
    """
    net = random_net(*SIZE)
    compiling = None
    with tempfile.TemporaryDirectory() as folder:
        positions = Path(folder) / "leaves.npz"
        np.savez(positions, *leaves)
        if config.effort.compiles:
            note("start: compiling the forward pass anew")
            cache = Path(folder)
            compiling, _ = _first_evaluation(positions, cache)
        else:
            cache = CACHE_DIR.parent.parent
            WinogradEvaluator(random_net(1, 16)).evaluate(leaves)  # compiles where nobody has
        note("start: reading it from the cache")
        starts = [_first_evaluation(positions, cache) for _ in range(config.effort.starts)]
    cached = Spread.of([seconds for seconds, _ in starts])
    return StartSpeed(
        net=net.name,
        architecture=str(net.spec),
        batch=len(leaves.offsets) - 1,
        threads=1,
        compile_seconds=compiling,
        cached_seconds=cached.median,
        cached_range=cached.range,
        peak_bytes=max(peak for _, peak in starts),
    )


def _first_evaluation(positions: Path, cache: Path) -> tuple[float, int]:
    """Seconds until a new process has evaluated a position, and the most bytes it ever had."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(positions)],
        env=os.environ | {"ARENA_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds, peak = json.loads(done.stdout)
    return float(seconds), int(peak)


def _main(positions: Path) -> None:
    with np.load(positions) as arrays:
        leaves = Leaves(*arrays.values())
    net = random_net(*SIZE)
    start = time.perf_counter()
    evaluator = WinogradEvaluator(net)
    evaluator.evaluate(leaves.first(1))
    seconds = time.perf_counter() - start
    evaluator.evaluate(leaves)
    sys.stdout.write(json.dumps([seconds, _peak_bytes()]))


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss begins with that of the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(lines["VmHWM"].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
