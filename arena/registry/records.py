"""What the registry remembers: nets, nights, matches, decisions, and who was champion when.

Times are ISO 8601 in UTC, to the second, and only shown: what came first is told by numbers, which
no clock can turn back. Folders and files are relative to the home of the nightly job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from arena.stats.pentanomial import PairCounts
from arena.stats.verdict import Verdict

NetKind = Literal["raw", "average", "given"]
"""A snapshot of the run, an average that was built from some, or a net that was named by hand."""

NightState = Literal["open", "decided", "abandoned"]

Stage = Literal["race", "quick", "gate", "confirm"]
"""Of a night, in the order in which they are played."""

How = Literal["first", "promotion", "rollback", "by hand"]
"""How a net became champion."""

HookState = Literal["none", "due", "done", "failed"]
"""Of the command that is told a decision; ``due`` from the decision on until it has run."""


@dataclass(frozen=True, slots=True)
class NetRecord:
    """A net's file, of which a copy is kept."""

    sha256: str
    name: str  # for people
    file: str  # the copy that is kept
    kind: NetKind
    bytes: int
    architecture: str
    training_steps: int | None
    manifest: Mapping[str, Any] | None  # of an average, as ``swa build`` wrote it
    source: str  # where it was found
    seen: str  # when


@dataclass(frozen=True, slots=True)
class NightRecord:
    """One call that found something to judge, and all calls that went on with it."""

    number: int  # from 1
    folder: str
    state: NightState
    latest: str  # sha256 of the newest net of the run
    champion: str  # sha256 of whom it has to beat
    settings: str  # the text of night.toml: all that decides the night's result
    began: str
    ended: str | None
    note: str | None  # why it was abandoned


@dataclass(frozen=True, slots=True)
class MatchRecord:
    """A match of a night as it stands in its run folder."""

    folder: str
    night: int | None
    stage: Stage | None
    baseline: str  # sha256
    candidate: str  # sha256
    counts: PairCounts  # the candidate's
    verdict: Verdict
    state: Literal["decided", "limit", "unfinished"]  # as in summary.json
    finished: str | None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What a night has come to. ``document`` has every number it rests on."""

    night: int
    verdict: Verdict
    candidate: str | None  # sha256 of the net that met the champion; None: none did
    champion: str  # sha256 of whom it had to beat
    reason: str  # one sentence
    document: Mapping[str, Any]
    decided: str
    hook: HookState


@dataclass(frozen=True, slots=True)
class Reign:
    """A net's time as champion.

    While it is ``pending`` the champion's file may still be the net before: a crash between the
    decision and the file leaves it so, and the next call ends it.
    """

    number: int  # from 1
    sha256: str
    how: How
    night: int | None
    began: str
    ended: str | None
    pending: bool
