"""What a call came to, in one line and as JSON; without any import that takes time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from arena.registry.records import NetRecord

FORMAT = 1
"""Of decision.json; raised when a key changes its meaning or goes."""

_DONE = {"promote": "promoted", "keep": "kept the champion", "undecided": "undecided"}


def net_figures(net: NetRecord) -> dict[str, Any]:
    """What tells a net: all of its record but the manifest, which stands beside the kept file."""
    figures = asdict(net)
    del figures["manifest"]
    return figures


def nothing_document(reason: str, champion: NetRecord) -> dict[str, Any]:
    """Return what ``--json`` says where there was nothing new to judge."""
    return {
        "format": FORMAT,
        "night": None,
        "verdict": None,
        "reason": reason,
        "champion": net_figures(champion),
    }


def outcome_line(document: Mapping[str, Any]) -> str:
    """Return a decision, or that there was none, in one line for a mail's subject or a log."""
    if document["night"] is None:
        return f"nothing new: {document['reason']}; {document['champion']['name']} is champion"
    line = f"night {document['night']}: {_DONE[document['verdict']]}: {document['reason']}"
    gate = document["stages"].get("gate")
    if gate is None or gate["headline"] is None:
        return line
    elo, ends = gate["headline"]["elo"], gate["headline"]["elo_ci"]
    if elo is not None and ends is not None:
        low, high = ("n/a" if end is None else f"{end:+.1f}" for end in ends)
        line += f"; Elo {elo:+.1f} [{low}, {high}] after {gate['pairs']:,} pairs"
    return line
