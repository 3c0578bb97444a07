"""All matches below a folder, read for the index: quickly where that can be trusted.

A run folder's summary.json spares reading every game again. It is taken where it is newer than all
that it was made from, of the current format, and of the match that match.toml names; otherwise the
figures are worked out anew. What cannot be read is told with the reason and hinders nothing else.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from arena.faults import FAULTS_FILE
from arena.ledger import GAMES_FILE
from arena.match_file import MATCH_FILE, LedgerError, MatchIdentity, read_identity, to_table
from arena.report.characters import printable
from arena.report.index.checked import count_of, finite, mapping, moment, one_of
from arena.report.index.nights import VERDICTS, night_above, promotes
from arena.report.ratings.field import runs_inside
from arena.report.run import read_run
from arena.report.schema import FORMAT
from arena.report.summary import summarize
from arena.sessions import read_sessions
from arena.stats.pentanomial import Pentanomial

SUMMARY_FILE = "summary.json"

STATES = ("decided", "limit", "unfinished")
KINDS = ("anytime", "stopping-aware", "fixed-length")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the index shows of a summary; all of it the candidate's, relative to the baseline."""

    state: str  # one of STATES
    verdict: str  # one of VERDICTS
    doubts: tuple[str, ...]
    kind: str | None  # of the interval, one of KINDS; None before anything can be said
    elo: float | None  # logistic, the one to quote
    elo_ci: tuple[float | None, float | None] | None  # 95 %
    pairs: int
    counts: Pentanomial


@dataclass(frozen=True, slots=True)
class FoundMatch:
    """One run folder, as far as the index needs it."""

    folder: Path
    identity: MatchIdentity
    figures: Figures
    began: str | None  # ISO 8601, UTC; None where no session was noted
    ended: str | None  # of the last session that came to an end, or else ``began``
    anew: bool  # whether the figures were worked out anew
    night: Path | None = None  # folder of the night that it was played in, if it was in one
    decided: bool = True  # of a night's match, whether the night promoted its candidate by it

    @property
    def promoted(self) -> bool:
        """Whether the test accepted the candidate, and nothing stands against its verdict.

        In a night several matches are played to one end; only the one by which the night promoted
        its candidate is a promotion.
        """
        return self.figures.verdict == "promote" and self.decided


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder that holds, or should hold, a match or a tournament, and why it is not shown."""

    folder: Path
    reason: str  # one line


def find_matches(root: Path) -> tuple[list[FoundMatch], list[Unreadable]]:
    """Read all run folders below ``root``, or ``root`` itself; those that cannot be, beside them.

    Raises LedgerError where ``root`` is no folder.
    """
    if not root.is_dir():
        raise LedgerError(f"{root}: there is no such folder\nName one that holds run folders.")
    found: list[FoundMatch] = []
    lost: list[Unreadable] = []

    def unread(error: OSError) -> None:
        folder = Path(error.filename)
        lost.append(Unreadable(folder, reason_of(error, folder)))

    for folder in runs_inside(root, unread):
        try:
            found.append(read_match(folder))
        except (LedgerError, OSError) as error:
            lost.append(Unreadable(folder, reason_of(error, folder)))
    return found, lost


def read_match(folder: Path) -> FoundMatch:
    """Read one run folder, finished or not. Raises LedgerError and OSError."""
    identity = read_identity(folder)
    figures = noted_figures(folder, identity)
    anew = figures is None
    if figures is None:
        figures = _figures(summarize(read_run(folder)))
    night = night_above(folder)
    sessions = read_sessions(folder)
    began = moment(sessions[0].started) if sessions else None
    ends = [end for session in sessions if (end := moment(session.ended)) is not None]
    return FoundMatch(
        folder=folder,
        identity=identity,
        figures=figures,
        began=began,
        ended=ends[-1] if ends else began,
        anew=anew,
        night=night,
        decided=night is None or promotes(night, folder, identity),
    )


def noted_figures(folder: Path, identity: MatchIdentity) -> Figures | None:
    """Return what summary.json says, or None where it is not to be trusted.

    That is where it is missing or damaged, not newer than the ledger, of another format, or of
    another match than ``identity``.
    """
    try:
        written = (folder / SUMMARY_FILE).stat().st_mtime_ns
        if any(_changed(folder / name) >= written for name in (GAMES_FILE, MATCH_FILE)):
            return None
        if (folder / FAULTS_FILE).exists() and _changed(folder / FAULTS_FILE) >= written:
            return None
        document = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["config"] != _as_json(identity):
            return None
        return _figures(document)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def reason_of(error: Exception, folder: Path) -> str:
    """Return the first line of an error, without the folder's path, which is shown beside it."""
    line = str(error).partition("\n")[0]
    line = line.replace(f"{folder}{os.sep}", "").removeprefix(f"{folder}: ")
    return printable(line) or type(error).__name__


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


def _as_json(identity: MatchIdentity) -> object:
    return json.loads(json.dumps(to_table(identity)))


def _figures(document: object) -> Figures:
    """Take the figures out of a summary. KeyError, TypeError or ValueError where it is none."""
    values = mapping(document)
    headline = values["headline"]
    kind, elo, elo_ci = None, None, None
    if headline is not None:
        found = mapping(headline)
        kind, elo = one_of(found["kind"], KINDS), finite(found["elo"])
        if found["elo_ci"] is not None:
            low, high = found["elo_ci"]
            elo_ci = finite(low), finite(high)
    counts = [count_of(number) for number in values["pentanomial"]]
    if len(counts) != len(Pentanomial().counts):
        raise ValueError("not the five counts of a pentanomial")
    return Figures(
        state=one_of(values["state"], STATES),
        verdict=one_of(values["verdict"], VERDICTS),
        doubts=tuple(printable(str(doubt)) for doubt in values["doubts"]),
        kind=kind,
        elo=elo,
        elo_ci=elo_ci,
        pairs=count_of(values["pairs"]),
        counts=Pentanomial(*counts),
    )
