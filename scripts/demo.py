"""The main job on the nets that ship: average, refresh, compare, play to a verdict.

Builds the average of the snapshots in nets/ with batch norm refreshed on the positions that lie
beside them, checks that it is the net that ships, and lets the last snapshot and the average play
each other. Ends with the path of the report.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from arena.cli import main as arena
from swa.cli import main as swa
from swa.net import load_net

REPOSITORY = Path(__file__).parent.parent
NETS = REPOSITORY / "nets"
SERIES = "fledgling"
SNAPSHOTS = 5
POSITIONS = NETS / "selfplay.tar"

VISITS, SPRT = "10", ("0", "40")

CLOSE = 2e-4
"""Of two builds of the average, by their largest number: another kind of processor rounds
otherwise, and a number in the file has 16 bits of its layer's range."""


def demo(out: Path | None) -> int:
    """Build, compare, play; returns the exit code of what failed, or of the match."""
    with tempfile.TemporaryDirectory() as folder:
        average = Path(folder) / f"{SERIES}-swa.pb.gz"
        built = run(
            swa,
            *("build", "--nets", f"latest:{NETS}:{SNAPSHOTS}", "--data", str(POSITIONS)),
            *("-o", str(average)),
        )
        if built:
            return built
        shipped = max(NETS.glob(f"{SERIES}-swa-*.pb.gz"))
        print(compared(average, shipped), file=sys.stderr, flush=True)
    return run(
        arena,
        *("run", "--nets", f"latest:{NETS}", str(shipped), "--visits", VISITS, "--sprt", *SPRT),
        *(("--out", str(out)) if out else ()),
    )


def run(program: object, *words: str) -> int:
    """Run a command of the project, having shown it."""
    print(f"$ {'arena' if program is arena else 'swa'} {' '.join(words)}", file=sys.stderr)
    assert callable(program)
    return int(program(list(words)))


def compared(built: Path, shipped: Path) -> str:
    """One line on whether two nets are the same. Raises SystemExit where they are not."""
    one, other = load_net(built), load_net(shipped)
    if one.sha256 == other.sha256:
        return f"The average is the net that ships, byte for byte: {shipped.name}"
    apart = max(
        float(np.abs(one.weights[name] - other.weights[name]).max())
        / max(float(np.abs(other.weights[name]).max()), 1.0)
        for name in other.weights
    )
    if apart > CLOSE:
        raise SystemExit(f"error: the average is not the net that ships: {apart:.1e} apart")
    return f"The average is the net that ships, but for rounding ({apart:.1e}): {shipped.name}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="run folder of the match (default: in reports/)")
    sys.exit(demo(parser.parse_args().out))
