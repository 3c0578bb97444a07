"""The main job on what is at hand: two nets play to a verdict; ends with the path of the report.

The project does not ship nets of its own yet: it takes two of the shared folder's, which is
``ARENA_SHARED`` or ``../shared``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from arena.cli import main

BASELINE, CANDIDATE = "maia-1100.pb.gz", "maia-1900.pb.gz"


def demo() -> int:
    """Play the two nets; returns the exit code of ``arena run``, 2 where there are no nets."""
    folder = Path(os.environ.get("ARENA_SHARED") or "../shared") / "nets"
    nets = [folder / BASELINE, folder / CANDIDATE]
    missing = [str(net) for net in nets if not net.is_file()]
    if missing:
        print(
            f"error: the demo needs two nets, and these are missing: {', '.join(missing)}\n"
            "The project ships no nets of its own yet; it takes these from the shared folder.\n"
            "Set ARENA_SHARED to that folder, or: arena run --nets BASELINE CANDIDATE",
            file=sys.stderr,
        )
        return 2
    arguments = ["run", "--nets", *map(str, nets), "--visits", "10", "--sprt", "0", "40"]
    print("arena " + " ".join(arguments), file=sys.stderr)
    return main(arguments)


if __name__ == "__main__":
    sys.exit(demo())
