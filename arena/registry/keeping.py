"""A net's file becomes a record, and a copy that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arena.registry.home import Home
from arena.registry.records import NetKind, NetRecord


def keep(home: Home, path: Path, kind: NetKind, *, source: str | None = None) -> NetRecord:
    """Copy a net to the home and say what it is; ``source``: where it came from, else its path.

    What is described is the copy, so a file that changes meanwhile does no harm. Raises HomeError
    where it cannot be copied, NetError (``swa.net``) where it is no usable net.
    """
    from swa.net import load_net  # takes seconds

    load_net(path)  # what is no net is not kept
    kept = home.keep_net(path)
    net = load_net(kept)
    return NetRecord(
        sha256=net.sha256,
        name=_name(path),
        file=home.relative(kept),
        kind=kind,
        bytes=kept.stat().st_size,
        architecture=str(net.spec),
        training_steps=net.training_steps,
        manifest=manifest_beside(kept, net.sha256),
        source=str(path.absolute()) if source is None else source,
        seen=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def manifest_beside(net: Path, sha256: str) -> Mapping[str, Any] | None:
    """What ``swa build`` wrote beside a net; None where there is nothing, or it is another's."""
    try:
        manifest = json.loads(net.with_name(f"{net.name}.json").read_bytes())
        ours = manifest["output"]["sha256"] == sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if ours else None


def _name(path: Path) -> str:
    for suffix in (".pb.gz", ".pb"):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name
