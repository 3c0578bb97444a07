"""Nets on their way into the registry: a copy in the home, and what their files tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arena.registry.home import Home
from arena.registry.records import NetKind, NetRecord
from arena.sessions import now


def keep_net(
    home: Home, path: Path, kind: NetKind, manifest: Mapping[str, Any] | None = None
) -> NetRecord:
    """Copy a net into the home and return its record, which is not yet in the registry.

    Raises NetError for a file that is no net, HomeError where it cannot be copied.
    """
    from swa.net import load_net

    kept = home.keep_net(path)
    net = load_net(kept)  # the copy: the file may be another one by now
    return NetRecord(
        sha256=net.sha256,
        name=net.name,
        file=home.relative(kept),
        kind=kind,
        bytes=kept.stat().st_size,
        architecture=str(net.spec),
        training_steps=net.training_steps,
        manifest=manifest,
        source=str(path.absolute()),
        seen=now(),
    )
