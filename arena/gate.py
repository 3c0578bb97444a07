"""A match made into one decision: promote the candidate, keep the baseline, or neither.

Only a match that is over decides, and only by what was laid down before its first pair: its
sequential test, or without one the least Elo that the candidate must exceed. Whatever stands
against the figures (faults, pairs that are missing) leaves the decision open: nothing is promoted
on doubt. It rests on the ledger alone; summary.json is not asked.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from arena.config import MatchConfig
from arena.report.block import counted
from arena.report.headline import WORDS, Headline, headline, interval
from arena.report.ratings.tournament import is_tournament
from arena.report.run import Run, read_run
from arena.report.schema import Summary
from arena.report.verdict import heading_of, verdict_sentence
from arena.run import Played, ProgressOf, play
from arena.stats.sprt import Verdict

FORMAT = 1
"""Version of the decision document; raised when a key changes its meaning or goes."""

EXIT_CODES: Mapping[Verdict, int] = {Verdict.PROMOTE: 0, Verdict.KEEP: 1, Verdict.UNDECIDED: 3}
"""What a decision is to whoever called a program for it."""

NUMBERS: tuple[str, ...] = (
    "nets",
    "config",
    "state",
    "doubts",
    "faults",
    "decided_at",
    "headline",
    "pairs",
    "pairs_repeated",
    "pairs_beyond",
    "pairs_limit",
    "earlier_limits",
    "games",
    "pentanomial",
    "wins",
    "draws",
    "losses",
    "points",
    "score",
    "elo",
    "elo_ci",
    "nelo",
    "nelo_ci",
    "los",
    "anytime",
    "llr",
    "llr_bounds",
    "overshoot_bounds",
    "sprt",
    "certified",
    "homogeneity",
    "versions",
    "device",
    "evaluator",
    "command",
    "date",
    "sessions",
    "throughput",
)
"""Keys of summary.json that a decision document has as well, with the same meaning."""


class GateError(ValueError):
    """A match that cannot decide anything: what, why, what to do."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a match has come to, for whoever has to act on it."""

    run: Run
    verdict: Verdict
    reason: str  # one sentence: who, against whom, on what grounds
    by: Literal["test", "min-elo"]
    min_elo: float | None  # logistic; None where a test decides
    go_on: tuple[str, ...]  # the command that plays the pairs that are missing, if there are some

    @property
    def exit_code(self) -> int:
        """0 promote, 1 keep, 3 undecided."""
        return EXIT_CODES[self.verdict]

    @property
    def line(self) -> str:
        """Return the verdict and its reason in one line."""
        return f"{self.verdict.value}: {self.reason}"


def play_gate(
    config: MatchConfig,
    command: Sequence[str],
    show: ProgressOf,
    note: Callable[[str], None],
    min_elo: float | None = None,
) -> tuple[Played, Decision]:
    """Play the match that decides between two nets, or go on with it, and decide.

    Parameters and errors are those of ``arena.run.play``. Raises GateError before anything is
    played where the match could not decide.
    """
    players = len(config.lineup)
    if players > 2:
        raise GateError(
            f"{players} players: a gate is between two, the baseline and the candidate\n"
            "Choose among more by a tournament (arena run), then let the best one through the gate."
        )
    if config.part is not None:
        raise GateError(
            f"--part {config.part}: a part decides nothing, as pairs count in their order\n"
            "Play the parts with arena run, put them together with arena merge, then: "
            "arena gate RUN_DIR"
        )
    _require_grounds(config.sprt is not None, min_elo)
    played = play(config, command, show, note)
    return played, decide(played.run, min_elo)


def decide_folder(folder: Path, min_elo: float | None = None) -> Decision:
    """Decide by a match that was played before, finished or not.

    Raises LedgerError where it is no run folder or is damaged, GateError where its match cannot
    decide.
    """
    if folder.is_dir() and is_tournament(folder):
        raise GateError(
            f"{folder}: holds several matches, and a gate is one\n"
            "Name the folder of one of them; arena ratings says what all have come to."
        )
    return decide(read_run(folder), min_elo)


def decide(run: Run, min_elo: float | None = None) -> Decision:
    """Decide by what the counted pairs of a run say.

    ``min_elo``: of a match without a test, the logistic Elo that the candidate must exceed. The
    95 % interval of the match's headline is held against it, which allows for how the match
    ended: wholly above promotes, wholly below keeps. As such an interval misses on either side
    once in forty, a candidate of exactly that strength is promoted in 2.5 % of matches.

    Raises GateError where a match with a test is given ``min_elo``, or one without is not.
    """
    _require_grounds(run.identity.sprt is not None, min_elo)
    heading, judgement, doubts = heading_of(run.identity), run.judgement, run.doubts
    by: Literal["test", "min-elo"] = "test" if min_elo is None else "min-elo"
    found = headline(judgement) if min_elo is not None else None
    if doubts or run.state == "unfinished" or (min_elo is not None and found is None):
        reason = verdict_sentence(heading, judgement, doubts)
        return Decision(run, Verdict.UNDECIDED, reason, by, min_elo, resume_command(run))
    if min_elo is None or found is None:
        reason = verdict_sentence(heading, judgement, advice=False)
        return Decision(run, judgement.verdict, reason, by, None, ())
    verdict = _beside(found, min_elo)
    names = heading.candidate, heading.baseline
    grounds = f"{counted(judgement.counts.pairs, 'pair')} ({heading.conditions})"
    return Decision(run, verdict, _said(verdict, names, found, min_elo, grounds), by, min_elo, ())


def decision_document(decision: Decision, summary: Summary) -> dict[str, Any]:
    """Return the decision with every number that it rests on (docs/matches.md)."""
    numbers: Mapping[str, Any] = dict(summary)
    return {
        "format": FORMAT,
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "by": decision.by,
        "min_elo": decision.min_elo,
        "folder": _text(str(decision.run.folder)),
        "go_on": list(map(_text, decision.go_on)) or None,
        **{key: numbers[key] for key in NUMBERS},
    }


def resume_command(run: Run) -> tuple[str, ...]:
    """Return the command that plays what is missing of a match, as it was played last.

    Empty where nothing is missing, or where no session says how it was played. Paths in it are
    relative to wherever that was.
    """
    if run.state != "unfinished" or not run.sessions:
        return ()
    words = _without(run.sessions[-1].command, "--part")
    if words[1:2] not in (("run",), ("gate",)):
        return words  # it knows its folders by itself
    out = run.folder.parent if _players_in(words) > 2 else run.folder
    return (*_without(words, "--out"), "--out", str(out))


def _require_grounds(has_test: bool, min_elo: float | None) -> None:
    """Refuse a match that nothing decides, or two things do."""
    if has_test and min_elo is not None:
        raise GateError(
            f"--min-elo {min_elo:g}: the match has a test, which decides by itself\n"
            "Leave it out, or play all pairs without a test (--no-sprt)."
        )
    if not has_test and min_elo is None:
        raise GateError(
            "a match without a test decides nothing by itself\n"
            "Say what the candidate's Elo must exceed (--min-elo 0), or play with a test (--sprt)."
        )


def _beside(found: Headline, min_elo: float) -> Verdict:
    """Say on which side of an Elo the interval lies; an end past a score of 0 or 1 is open."""
    low = -math.inf if found.elo.low is None else found.elo.low
    high = math.inf if found.elo.high is None else found.elo.high
    if low > min_elo:
        return Verdict.PROMOTE
    return Verdict.KEEP if high < min_elo else Verdict.UNDECIDED


def _said(
    verdict: Verdict, names: tuple[str, str], found: Headline, min_elo: float, grounds: str
) -> str:
    """Say what the interval says of ``names``, the candidate's and the baseline's."""
    candidate, baseline = names
    elo = f"Elo {interval(found.elo)}, {WORDS[found.kind]}"
    if verdict is Verdict.UNDECIDED:
        return (
            f"{candidate} against {baseline}: whether Elo is above {min_elo:g} is left open by "
            f"{elo}, after {grounds}."
        )
    above = verdict is Verdict.PROMOTE
    if min_elo == 0:
        claim = "is stronger than" if above else "is weaker than"
    elif (min_elo > 0) is above:
        claim = f"is more than {abs(min_elo):g} Elo {'stronger' if above else 'weaker'} than"
    else:
        claim = f"is not {abs(min_elo):g} Elo {'weaker' if above else 'stronger'} than"
    return f"{candidate} {claim} {baseline} ({elo}) after {grounds}."


def _text(path: str) -> str:
    """Return a path as text that JSON can hold, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")


def _without(words: Sequence[str], flag: str) -> tuple[str, ...]:
    """Return a command line without a flag of one value."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word == flag:
            skip = word == flag and not skip
        elif not word.startswith(f"{flag}="):
            kept.append(word)
    return tuple(kept)


def _players_in(words: Sequence[str]) -> int:
    """Count the players that a command line names; a file may name others."""
    count, flag = 0, ""
    for word in words:
        if word.startswith("-"):
            flag = word
            count += flag in ("--net", "--engine")
        elif flag == "--nets":
            count += 1
    return count
