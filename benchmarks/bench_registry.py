"""What a registry of many matches costs: opening, listing, verifying, deciding.

    python benchmarks/bench_registry.py [--matches 10000] [--times 5]

Nights of five matches each, every fourth promotes; run folders are empty, so ``verify`` is the
quick one. Each command is a process of its own, Python's start included. The limit that the project
has set itself: 10,000 matches are listed in one second.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from arena.registry.champion import settle_champion
from arena.registry.home import Home
from arena.registry.records import DecisionRecord, MatchRecord, NetRecord
from arena.registry.store import Registry
from arena.stats.pentanomial import PairCounts
from arena.stats.verdict import Verdict

MATCHES_A_NIGHT = 5
WHEN = "2025-01-31T12:00:00+00:00"


def add_net(home: Home, registry: Registry, number: int) -> str:
    data = f"net {number}".encode()
    sha256 = hashlib.sha256(data).hexdigest()
    file = f"nets/{sha256[:16]}/net-{number}.pb.gz"
    (home.root / file).parent.mkdir()
    (home.root / file).write_bytes(data)
    registry.add_net(
        NetRecord(
            sha256, f"net-{number}", file, "raw", len(data), "10x128 SE 32", number, None, "", WHEN
        )
    )
    return sha256


def fill(home: Home, matches: int) -> float:
    """Fill a home; the median seconds of one decision, with its backup."""
    home.create()
    seconds = []
    with Registry.open(home.registry, create=True) as registry:
        registry.crown(add_net(home, registry, 0), "first")
        settle_champion(home, registry)
        for number in range(1, matches // MATCHES_A_NIGHT + 1):
            latest, champion = add_net(home, registry, number), registry.champion()
            assert champion is not None
            night = registry.begin_night(
                latest=latest, champion=champion.sha256, settings="seed = 1\n" * 60, name="net"
            )
            for game in range(MATCHES_A_NIGHT):
                folder = f"{night.folder}/race/{game}"
                (home.root / folder).mkdir(parents=True)
                counts = PairCounts(number, game, 30, 200, 40, 7)
                registry.record_match(
                    MatchRecord(
                        folder, night.number, "race", champion.sha256, latest, counts,
                        Verdict.KEEP, "decided", WHEN,
                    )
                )  # fmt: skip
            verdict = Verdict.KEEP if number % 4 else Verdict.PROMOTE
            document = {"numbers": [number / 7] * 200}
            begun = time.perf_counter()
            registry.decide(
                DecisionRecord(
                    night.number, verdict, latest, champion.sha256, "as measured", document, WHEN,
                    "none",
                )
            )  # fmt: skip
            settle_champion(home, registry)
            if number % 100 == 0 or number * MATCHES_A_NIGHT > matches - 20:
                registry.backup(home.backup)
                seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[-4:])


def measured(work: Callable[[], object], times: int) -> str:
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matches", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place))
        last = fill(home, arguments.matches)
        size = home.registry.stat().st_size / 1e6
        print(f"{arguments.matches:,} matches, registry {size:.1f} MB")
        print(f"a decision, with the champion's file and the backup: {last:.3f} s")
        opened = measured(lambda: Registry.open(home.registry).close(), arguments.times)
        print(f"opening it, checked: {opened}")
        for words in (
            ["--version"],
            ["registry", "list", "matches"],
            ["registry", "list", "matches", "--json"],
            ["registry", "list", "nights"],
            ["registry", "champion"],
            ["registry", "export"],
            ["registry", "verify", "--quick"],
        ):
            where = ["--home", place] if words[0] == "registry" else []
            command = [sys.executable, "-m", "arena", *words, *where]

            def run(command: list[str] = command) -> None:
                subprocess.run(command, stdout=subprocess.DEVNULL, check=False)

            print(f"arena {' '.join(words)}: {measured(run, arguments.times)}")


if __name__ == "__main__":
    main()
