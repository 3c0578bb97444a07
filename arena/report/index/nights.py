"""Nights of ``arena nightly``: folders with night.toml, and in decision.json what they came to.

A night plays several matches to one end. That the candidate passed one of them promotes nothing:
the decision does, and says by which match.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from arena.match_file import MATCH_FILE, MatchIdentity
from arena.report.characters import printable
from arena.report.index.checked import count_of, mapping, moment, one_of

NIGHT_FILE = "night.toml"
"""By which a night's folder is known: what was set when it began."""

DECISION_FILE = "decision.json"

FORMAT = 1
"""Of decision.json, the one that is understood here."""

VERDICTS = ("promote", "keep", "undecided")

BROKEN = (OSError, ValueError, TypeError, LookupError, RecursionError)
"""What ``read_decision`` raises for a file that is none."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DecidedNet:
    """A net that a night decided about."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NightDecision:
    """What the index needs of a decision.json."""

    number: int
    decided: str | None  # ISO 8601, UTC; None where it is no time
    verdict: str  # one of VERDICTS
    reason: str
    latest: DecidedNet
    candidate: DecidedNet | None
    champion: DecidedNet
    gate: str | None  # name of the run folder, in the night's, by which it was decided


def night_above(folder: Path) -> Path | None:
    """Return the folder of the night that a run folder belongs to, or None."""
    parents = Path(os.path.abspath(folder)).parents
    return next((above for above in parents if (above / NIGHT_FILE).is_file()), None)


def nights_inside(root: Path) -> list[Path]:
    """Return the folders of decided nights anywhere inside a folder, or that it is itself."""
    found = []
    for name, subfolders, files in os.walk(root):
        if NIGHT_FILE in files and DECISION_FILE in files:
            found.append(Path(name))
        if NIGHT_FILE in files or MATCH_FILE in files:
            subfolders.clear()
        subfolders.sort()
    return found


def promotes(night: Path, folder: Path, identity: MatchIdentity) -> bool:
    """Whether a night promoted the candidate of one of its matches by that match.

    Where decision.json cannot be read, it has not (yet).
    """
    try:
        decision = read_decision(night)
    except BROKEN:
        return False
    champion, candidate = (net.sha256 for net in identity.nets)
    return (
        decision.verdict == "promote"
        and Path(os.path.abspath(folder)) == night / (decision.gate or "")
        and decision.candidate is not None
        and (decision.champion.sha256, decision.candidate.sha256) == (champion, candidate)
    )


def read_decision(night: Path) -> NightDecision:
    """Read a night's decision.json. Raises one of BROKEN where it is none."""
    document = mapping(json.loads((night / DECISION_FILE).read_text(encoding="utf-8")))
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r:.40}, not {FORMAT}")
    candidate, gate = document["candidate"], document["gate"]
    if gate is not None and (gate in ("", "..") or Path(gate).name != gate):
        raise ValueError(f"{gate!r:.40} is not the name of a folder")
    return NightDecision(
        number=count_of(document["night"]),
        decided=moment(document["decided"]),
        verdict=one_of(document["verdict"], VERDICTS),
        reason=printable(str(document["reason"])),
        latest=_net(document["latest"]),
        candidate=None if candidate is None else _net(candidate),
        champion=_net(document["champion"]),
        gate=gate,
    )


def _net(value: object) -> DecidedNet:
    net = mapping(value)
    if not _SHA256.fullmatch(net["sha256"]):
        raise ValueError(f"{net['sha256']!r:.40} is no sha256")
    return DecidedNet(printable(str(net["name"])), net["sha256"])
