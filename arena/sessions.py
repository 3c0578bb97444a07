"""Where and when the pairs of a run folder were played: what its result does not depend on.

match.toml holds what decides a match and must not change when it is resumed. The command line, the
device, the versions and the speed may differ from one part of it to the next, and a report wants
them all the same: ``sessions.jsonl`` has one line for each start of the match and one for each end.
A session that was killed has no second line; nothing but the report's conditions ever reads them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arena.config import Part
from arena.net_facts import SwaFacts, read_swa_facts

SESSIONS_FILE = "sessions.jsonl"


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done in how long; ``+`` adds sessions. Zero where nothing was measured."""

    seconds: float = 0.0
    pairs: int = 0  # finished and written
    visits: int = 0
    evaluations: int = 0  # positions that a net saw
    batch_slots: int = 0  # positions that would have fitted into the batches
    cache_hits: int = 0  # positions that the cache answered instead

    def __add__(self, other: Pace) -> Pace:
        return Pace(
            self.seconds + other.seconds,
            self.pairs + other.pairs,
            self.visits + other.visits,
            self.evaluations + other.evaluations,
            self.batch_slots + other.batch_slots,
            self.cache_hits + other.cache_hits,
        )

    @property
    def pairs_per_minute(self) -> float | None:
        """None before anything was finished."""
        return 60.0 * self.pairs / self.seconds if self.pairs and self.seconds else None

    @property
    def visits_per_second(self) -> float | None:
        """None where no visit was counted."""
        return self.visits / self.seconds if self.visits and self.seconds else None

    @property
    def evaluations_per_second(self) -> float | None:
        """None where no evaluation was counted."""
        return self.evaluations / self.seconds if self.evaluations and self.seconds else None

    @property
    def batch_fill(self) -> float | None:
        """Share of the batches' places that held a position, in [0, 1]; None where not counted."""
        return self.evaluations / self.batch_slots if self.batch_slots else None

    @property
    def cache_hit_share(self) -> float | None:
        """Share of positions that needed no net, in [0, 1]; None where not counted."""
        asked = self.evaluations + self.cache_hits
        return self.cache_hits / asked if self.cache_hits and asked else None


@dataclass(frozen=True, slots=True)
class NetFile:
    """What a report tells of a net beyond its name and hash, which match.toml has."""

    sha256: str
    file: str  # its name, without the folder
    architecture: str  # "6x64 SE 8 relu, convolution policy, wdl value"
    training_steps: int | None
    bytes: int | None = None  # this and all below: None where an older version noted it
    heads: str | None = None  # "policy by convolution (64 channels), value as ..."
    swa: SwaFacts | None = None  # None, too, for a net without a manifest
    path: str | None = None  # as it was given


@dataclass(frozen=True, slots=True)
class Session:
    """One start of a match, and how it went where it also came to an end."""

    started: str  # ISO 8601, UTC, to the second
    command: tuple[str, ...]
    versions: Mapping[str, str]
    device: str  # as torch knows it, with its name: "cpu (AMD EPYC)"
    parallel: int  # games in flight
    pairs_before: int | None = None  # in the ledger; None: noted by an older version
    evaluator: str | None = None  # "winograd (float32 on a CPU)"; None: noted by an older version
    nets: tuple[NetFile, ...] = ()
    pace: Pace = Pace()
    ended: str | None = None  # None: killed, or still playing
    part: Part | None = None  # None: all of the match

    @property
    def played(self) -> bool:
        """Whether pairs may be its own; of a session that was killed nobody counted them."""
        return self.ended is None or self.pace.pairs > 0


def now() -> str:
    """Return the time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def session_started(folder: Path, session: Session) -> None:
    """Note that a session begins. Raises OSError where the folder cannot be written."""
    line = {
        "started": session.started,
        "command": session.command,
        "versions": dict(session.versions),
        "device": session.device,
        "parallel": session.parallel,
        "pairs_before": session.pairs_before,
        "evaluator": session.evaluator,
        "nets": [asdict(net) for net in session.nets],
    }
    if session.part is not None:
        line["part"] = str(session.part)
    _append(folder, line)


def session_ended(folder: Path, pace: Pace, ended: str | None = None) -> None:
    """Note how the session that began last went, and when: by default now."""
    _append(folder, {"ended": ended or now(), **asdict(pace)})


def _append(folder: Path, line: Mapping[str, Any]) -> None:
    path = folder / SESSIONS_FILE
    try:
        with path.open("a", encoding="utf-8") as file:
            # A line torn by a crash must not swallow this one.
            torn = file.tell() and not _ends_whole(folder)
            file.write(("\n" if torn else "") + json.dumps(line) + "\n")
    except OSError as error:
        error.filename = str(path)  # Python does not say which file the disk has no room for
        raise


def _ends_whole(folder: Path) -> bool:
    with (folder / SESSIONS_FILE).open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def read_sessions(folder: Path) -> list[Session]:
    """Return every session of a run folder, oldest first; lines that say nothing are skipped."""
    try:
        lines = (folder / SESSIONS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    sessions: list[Session] = []
    for text in lines:
        try:
            line = json.loads(text)
            if "started" in line:
                sessions.append(_begun(line))
            elif sessions:
                sessions[-1] = _finished(sessions[-1], line)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
    return sessions


def evaluators_of(sessions: Sequence[Session]) -> tuple[str, ...]:
    """What evaluated the pairs, one after the other; sessions that noted nothing are left out."""
    noted = [session.evaluator for session in sessions if session.played and session.evaluator]
    return tuple(text for text, _ in itertools.groupby(noted))


def devices_of(sessions: Sequence[Session]) -> tuple[str, ...]:
    """What the pairs were played on, one after the other."""
    return tuple(text for text, _ in itertools.groupby(s.device for s in sessions if s.played))


def _begun(line: Mapping[str, Any]) -> Session:
    return Session(
        started=str(line["started"]),
        command=tuple(str(word) for word in line["command"]),
        versions={str(name): str(version) for name, version in line["versions"].items()},
        device=str(line["device"]),
        parallel=int(line["parallel"]),
        pairs_before=int(before) if (before := line.get("pairs_before")) is not None else None,
        evaluator=str(line["evaluator"]) if line.get("evaluator") else None,
        nets=tuple(_net_file(net) for net in line["nets"]),
        part=Part.parse(line["part"]) if "part" in line else None,
    )


def _net_file(values: Mapping[str, Any]) -> NetFile:
    """Read a net; what a later version notes of one is passed over."""
    size, path, heads = (values.get(key) for key in ("bytes", "path", "heads"))
    return NetFile(
        sha256=values["sha256"],
        file=values["file"],
        architecture=values["architecture"],
        training_steps=values["training_steps"],
        bytes=size if isinstance(size, int) else None,
        heads=heads if isinstance(heads, str) else None,
        swa=read_swa_facts(values.get("swa")),
        path=path if isinstance(path, str) else None,
    )


def _finished(session: Session, line: Mapping[str, Any]) -> Session:
    pace = Pace(
        seconds=float(line["seconds"]),
        pairs=int(line["pairs"]),
        visits=int(line["visits"]),
        evaluations=int(line["evaluations"]),
        batch_slots=int(line["batch_slots"]),
        cache_hits=int(line["cache_hits"]),
    )
    return replace(session, pace=pace, ended=str(line["ended"]))
