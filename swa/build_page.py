"""The page beside a built net: what its manifest says, for people."""

from __future__ import annotations

from pathlib import Path

from swa.build_pictures import build_pictures
from swa.manifest import Manifest
from swa.page import page, write_page

MOST_NAMED = 12
"""Nets that are named one by one."""


def page_of(manifest: Path) -> Path:
    """Where the page goes: ``mean.pb.gz.html`` beside ``mean.pb.gz`` and ``mean.pb.gz.json``."""
    return manifest.with_suffix(".html")


def save_page(manifest: Manifest, path: Path) -> None:
    """Write the page of a manifest. Raises OSError where it cannot be written."""
    write_page(path, build_page(manifest))


def build_page(manifest: Manifest) -> str:
    """The page: the same manifest gives the same page."""
    pictures = build_pictures(manifest.losses, manifest.refresh)
    return page(f"{manifest.output.name}: how it was built", _lines(manifest), pictures)


def _lines(manifest: Manifest) -> list[str]:
    used = [item for item in manifest.ingredients if item.weight]
    names = [f"{item.name} ({item.weight:.3g})" for item in used]
    if len(names) > MOST_NAMED:
        names[1:-1] = ["..."]
    refresh = {
        "none": "It has no batch norm.",
        "averaged": "Its batch norm is averaged, not refreshed.",
    }.get(
        manifest.refresh.method,
        f"Its batch norm was refreshed ({manifest.refresh.method}) on "
        f"{manifest.refresh.positions:,} positions.",
    )
    lines = [
        f"Averaged by the rule {manifest.rule.name} from {len(used)} "
        f"{'net' if len(used) == 1 else 'nets'} with their shares: {', '.join(names)}. {refresh}",
        f"sha256 {manifest.output.sha256}; all else stands in {manifest.output.name}.json.",
    ]
    failed = manifest.checks.failed.items()
    return [*lines, *(f"Forced in spite of a failed check ({c}): {why}" for c, why in failed)]
