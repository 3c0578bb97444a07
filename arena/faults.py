"""What went wrong in a match: pairs that were void, games lost by a fault, and what to make of it.

A fault of an engine loses it the game. A fault of the harness or the machine is nobody's: both
games of its pair are dropped and played again from the same seed, so that no result is picked by
what else the machine was doing. ``faults.jsonl`` has a line for each time that a pair was void,
written before anything else is played; nothing that decides a game or a count reads it.

Where too much went wrong the figures are not those of the players, and no verdict is given.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from arena.game import FORFEITS, GameRecord

FAULTS_FILE = "faults.jsonl"

FEW = 3
"""Fewer of a kind are never too many: short matches have accidents too."""

MOST_VOID = 0.05
"""Share of void pairs, among all that were played, above which there is no verdict. Replays are
fair only if faults do not depend on how a game goes: one in twenty leaves room for little bias."""

MOST_FORFEITS = 0.01
"""Share of games that a side may lose by faults. Each moves the score by a point at most, so that
one in a hundred is worth up to 7 Elo: what a test is usually about."""


@dataclass(frozen=True, slots=True)
class VoidPair:
    """One time that a pair was void."""

    pair: int
    game: int  # 1 or 2, in which it happened
    what: str
    at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Faults:
    """All faults of a match: void pairs, and forfeits of the counted games by their kind."""

    pairs: int = 0  # counted
    void: tuple[VoidPair, ...] = ()
    baseline: Counter[str] = field(default_factory=Counter)
    candidate: Counter[str] = field(default_factory=Counter)

    @property
    def any(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.void or self.baseline or self.candidate)

    def doubts(self, baseline: str, candidate: str) -> list[str]:
        """Why there is no verdict, if so; for people, with the players' names."""
        reasons = []
        if too_many_void(len(self.void), self.pairs):
            reasons.append(
                f"{len(self.void):,} pairs were void by faults of harness or machine, to "
                f"{self.pairs:,} that count (more than {MOST_VOID:.0%})"
            )
        games = 2 * self.pairs
        for name, forfeits in ((baseline, self.baseline), (candidate, self.candidate)):
            lost = forfeits.total()
            if lost >= FEW and lost > MOST_FORFEITS * games:
                kinds = ", ".join(f"{count:,} {kind}" for kind, count in forfeits.most_common())
                reasons.append(
                    f"{name} lost {lost:,} of {games:,} games by faults (more than "
                    f"{MOST_FORFEITS:.0%}): {kinds}"
                )
        return reasons


def too_many_void(void: int, pairs: int) -> bool:
    """Whether so many times that a pair was void are too many beside ``pairs`` good ones."""
    return void >= FEW and void > MOST_VOID * (void + pairs)


def faults_of(games: Sequence[GameRecord], void: Iterable[VoidPair]) -> Faults:
    """Count the faults of a match by its counted games, both of each pair."""
    lost: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for game in games:
        if game.termination in FORFEITS:
            lost[game.candidate_points == 0.0][game.termination.value] += 1
    return Faults(len(games) // 2, tuple(void), lost[False], lost[True])


def note_void(folder: Path, void: VoidPair) -> None:
    """Write down that a pair was void; when this returns, it is on the disk.

    Raises OSError, with the file's name, where it cannot be written.
    """
    path = folder / FAULTS_FILE
    try:
        with path.open("a+b") as file:
            # A line that a crash has torn must not swallow this one.
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            torn = file.read(1) not in (b"", b"\n")
            line = json.dumps(asdict(void), ensure_ascii=False) + "\n"
            file.write(("\n" if torn else "").encode() + line.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise


def read_void(folder: Path) -> list[VoidPair]:
    """Every time that a pair of a run folder was void, oldest first; torn lines are skipped."""
    try:
        text = (folder / FAULTS_FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.split("\n"):
        try:
            values = json.loads(line)
            found.append(
                VoidPair(
                    int(values["pair"]), int(values["game"]), str(values["what"]), str(values["at"])
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
    return found
