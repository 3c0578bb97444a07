"""Three nights on the nets that ship: a training run that goes on, and arena nightly after it.

The first of the snapshots in nets/ is champion. Before each night some more of them appear in the
folder of the run, as a trainer would write them; the night builds the average of what is there,
lets it race the newest snapshot, and the better one meets the champion. One call comes too early
and finds nothing new. Nothing is scripted but the order of the files: what the nights decide is
what the games say, and on another kind of processor they may say something else. Ends with the
history, the nights, and the path of the index.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from demo import NETS, POSITIONS, SERIES, run

from arena.cli import main as arena
from arena.commands.nightly import EXIT_CODES

FIRST = 22400
"""Steps of the snapshot that is champion before the first night."""

EVENINGS: Sequence[Sequence[int]] = ((22400, 22800), (23200, 23600), (), (24000,))
"""Steps of the snapshots that appear before each call; none: the trainer was not so far."""

SETTINGS = """\
home = "home"
latest = "run"
first-champion = "{first}"
entries = "better"           # the newest snapshot races its average

[[averages]]
name = "swa"
last = 5

[build]
data = ["{data}"]

[match]                      # of all stages: so few visits, and pairs, for a demo of minutes
visits = 10

[race]
round = 20
pairs = 40

[quick]
visits = 1
pairs = 60

[gate]
preset = "pick-best"         # whoever is better, as a promotion costs nothing here
delta = 30                   # so wide that it takes tens of pairs
pairs = 200
"""


def demo(out: Path) -> int:
    """Have the nights in ``out``; returns the exit code of what failed, or 0."""
    snapshots = out / "run"
    if snapshots.exists():
        raise SystemExit(f"error: {out}: has had its nights: name another folder, or remove it")
    snapshots.mkdir(parents=True)
    settings = out / "nightly.toml"
    first = NETS / f"{SERIES}-{FIRST}.pb.gz"
    settings.write_text(SETTINGS.format(first=first, data=POSITIONS))
    tell(f"\n{settings}:\n\n{settings.read_text()}")
    for evening in EVENINGS:
        for steps in evening:
            shutil.copy(NETS / f"{SERIES}-{steps}.pb.gz", snapshots)
        names = ", ".join(f"{SERIES}-{steps}" for steps in evening)
        tell(f"\nNew in {snapshots}: {names or 'nothing'}")
        code = run(arena, "nightly", str(settings))
        if code not in EXIT_CODES.values():
            return code
        tell(f"(exit code {code})")
    home = out / "home"
    for action in ("history", "list", "verify"):
        tell("")
        code = run(arena, "registry", action, "--home", str(home))
        if code:
            return code
    tell("")
    print(f"All nights, the matches and the ladder: {home / 'index.html'}")
    return 0


def tell(line: str) -> None:
    """Say what is going on, in order with what commands write."""
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="new folder for all of it (default: a new one)")
    given = parser.parse_args().out
    sys.exit(demo(given or Path(tempfile.mkdtemp(prefix="arena-nightly-"))))
