"""Records for tests of the registry, and a home with some of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from arena.registry.champion import settle_champion
from arena.registry.home import Home
from arena.registry.records import DecisionRecord, MatchRecord, NetRecord, NightRecord
from arena.registry.store import Registry
from arena.stats.pentanomial import PairCounts
from arena.stats.verdict import Verdict

WHEN = "2025-01-31T12:00:00+00:00"


def payload(name: str) -> bytes:
    """What stands in a net's file here; nobody plays it."""
    return f"the net {name}".encode()


def sha(name: str) -> str:
    return hashlib.sha256(payload(name)).hexdigest()


def net(name: str, /, **changed: Any) -> NetRecord:
    values: dict[str, Any] = {
        "sha256": sha(name),
        "name": name,
        "file": f"nets/{sha(name)[:16]}/{name}.pb.gz",
        "kind": "raw",
        "bytes": len(payload(name)),
        "architecture": "1x4",
        "training_steps": 100,
        "manifest": None,
        "source": f"/run/{name}.pb.gz",
        "seen": WHEN,
    }
    return NetRecord(**values | changed)


def match(folder: str, of: str, candidate: str, /, **changed: Any) -> MatchRecord:
    values: dict[str, Any] = {
        "folder": folder,
        "night": None,
        "stage": None,
        "baseline": sha(of),
        "candidate": sha(candidate),
        "counts": PairCounts(1, 2, 3, 4, 5, 6),
        "verdict": Verdict.PROMOTE,
        "state": "decided",
        "finished": WHEN,
    }
    return MatchRecord(**values | changed)


def decision(night: NightRecord, verdict: str, candidate: str | None) -> DecisionRecord:
    return DecisionRecord(
        night=night.number,
        verdict=Verdict(verdict),
        candidate=None if candidate is None else sha(candidate),
        champion=night.champion,
        reason=f"the test says {verdict}",
        document={"verdict": verdict, "elo": 3.25, "ci": [1, None]},
        decided=WHEN,
        hook="due",
    )


def keep(home: Home, registry: Registry, name: str, **changed: Any) -> NetRecord:
    """Put a net into the home and the registry."""
    home.create()
    path = home.root / f"{name}.pb.gz"
    path.write_bytes(payload(name))
    kept = home.keep_net(path)
    path.unlink()
    known = net(name, file=home.relative(kept), **changed)
    registry.add_net(known)
    return known


def begin(registry: Registry, latest: str) -> NightRecord:
    champion = registry.champion()
    assert champion is not None
    return registry.begin_night(
        latest=sha(latest), champion=champion.sha256, settings="seed = 1\n", name=latest
    )


def judge(home: Home, registry: Registry, name: str, verdict: str) -> NightRecord:
    """A whole night, its match not in a folder."""
    keep(home, registry, name)
    night = begin(registry, name)
    registry.decide(decision(night, verdict, name))
    settle_champion(home, registry)
    registry.backup(home.backup)
    return night


def first(root: Path, name: str = "first") -> Home:
    """A home with its first champion."""
    home = Home(root)
    home.create()
    with Registry.open(home.registry, create=True) as registry:
        keep(home, registry, name)
        registry.crown(sha(name), "first")
        settle_champion(home, registry)
    return home
