"""Whether the registry, the champion's file, the kept nets and the run folders agree.

Opening the registry has looked at its pages, and reading a row at its seal; this looks at what they
say. A problem is what no crash leaves behind; a note is what the next call mends by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arena.registry.champion import ChampionError, check_champion
from arena.registry.home import Home
from arena.registry.opening import backup_marks
from arena.registry.records import DecisionRecord, MatchRecord, NightRecord, Reign
from arena.registry.store import Registry
from arena.stats.verdict import Verdict
from swa.provenance import file_sha256


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree."""

    kind: Literal["problem", "note"]
    where: str
    what: str


def verify(home: Home, registry: Registry, *, quick: bool = False) -> list[Finding]:
    """Return everything that does not agree, in no more than a line each.

    ``quick`` believes kept nets by their size and does not read the matches' games. Raises
    RegistryError where a row of the registry is damaged.
    """
    registry.check_seals()
    return [
        *_nets(home, registry, quick=quick),
        *_nights(home, registry),
        *_reigns(registry),
        *_champion(home, registry),
        *_matches(home, registry, quick=quick),
        *_backup(home, registry),
    ]


def _problem(where: object, what: str) -> Finding:
    return Finding("problem", str(where), what)


def _nets(home: Home, registry: Registry, *, quick: bool) -> Iterator[Finding]:
    for net in registry.nets():
        path = home.root / net.file
        try:
            same = path.stat().st_size == net.bytes
            if same and not quick:
                same = file_sha256(path) == net.sha256
        except OSError as error:
            yield _problem(net.file, f"the kept net cannot be read: {_reason(error)}")
            continue
        if not same:
            yield _problem(net.file, f"is not the net {net.name} ({net.sha256[:12]}...)")


def _nights(home: Home, registry: Registry) -> Iterator[Finding]:
    nights = registry.nights()
    decisions = {decision.night: decision for decision in registry.decisions()}
    yield from _numbered("nights", [night.number for night in nights])
    for night in nights:
        decision = decisions.pop(night.number, None)
        if (decision is not None) != (night.state == "decided"):
            has = "none" if decision is None else "one"
            yield _problem(night.folder, f"is {night.state}, and of its decisions there is {has}")
        if decision is not None:
            yield from _decision(home, night, decision)
    for number in decisions:
        yield _problem(f"night {number}", "has a decision, but is not known")
    known = {night.folder for night in nights}
    if home.nights.is_dir():
        for path in sorted(home.nights.iterdir()):
            if path.is_dir() and home.relative(path) not in known:
                yield _problem(home.relative(path), "is a night that the registry does not know")


def _decision(home: Home, night: NightRecord, decision: DecisionRecord) -> Iterator[Finding]:
    if decision.champion != night.champion:
        yield _problem(night.folder, "was decided against another champion than it was begun with")
    path = home.root / night.folder / "decision.json"
    try:
        verdict = json.loads(path.read_bytes())["verdict"]
    except FileNotFoundError:
        yield Finding("note", night.folder, "has no decision.json; the registry has the decision")
    except (OSError, ValueError, KeyError, TypeError):
        yield _problem(home.relative(path), "cannot be read as a decision")
    else:
        if verdict != str(decision.verdict):
            yield _problem(
                home.relative(path), f"says {verdict!r}, but it was decided {decision.verdict}"
            )


def _reigns(registry: Registry) -> Iterator[Finding]:
    reigns = registry.reigns()
    yield from _numbered("reigns", [reign.number for reign in reigns])
    for reign in reigns[:-1]:
        if reign.ended is None and not (reign is reigns[-2] and reigns[-1].pending):
            yield _problem(f"reign {reign.number}", "has not ended, though another one began")
    if reigns and reigns[-1].ended is not None:
        yield _problem(f"reign {reigns[-1].number}", "has ended, and no other one began")
    crowned = {reign.night: reign for reign in reigns if reign.how == "promotion"}
    for decision in registry.decisions():
        won: Reign | None = crowned.pop(decision.night, None)
        if decision.verdict is not Verdict.PROMOTE:
            if won is not None:
                yield _problem(f"reign {won.number}", f"night {decision.night} promoted no net")
        elif won is None or won.sha256 != decision.candidate:
            yield _problem(f"night {decision.night}", "promoted a net that has no reign of it")
    for reign in crowned.values():
        yield _problem(f"reign {reign.number}", f"is of night {reign.night}, which has no decision")


def _numbered(what: str, numbers: Sequence[int]) -> Iterator[Finding]:
    if list(numbers) != list(range(1, len(numbers) + 1)):
        yield _problem(what, "are not numbered from 1 without a gap: one is gone")


def _champion(home: Home, registry: Registry) -> Iterator[Finding]:
    try:
        check_champion(home, registry)
    except ChampionError as error:
        yield _problem(home.champion.name, str(error).splitlines()[0].partition(": ")[2])
    if registry.pending() is not None:
        yield Finding("note", home.champion.name, "a change of champion is not ended yet")


def _matches(home: Home, registry: Registry, *, quick: bool) -> Iterator[Finding]:
    still = registry.open_night()
    for match in registry.matches():
        folder = home.root / match.folder
        if not folder.is_dir():
            yield _problem(match.folder, "the run folder of this match is gone")
        elif not quick:
            # What is being played has more pairs than the registry knows, or is about to.
            grows = match.state == "unfinished" or (still and match.night == still.number)
            yield from _match(folder, match, grows=bool(grows))


def _match(folder: Path, match: MatchRecord, *, grows: bool) -> Iterator[Finding]:
    from arena.judgement import in_issue_order, judge
    from arena.ledger import read_pairs
    from arena.match_file import LedgerError, read_identity

    try:
        identity = read_identity(folder)
        results = {pair.number: pair.result for pair in read_pairs(folder)}
    except LedgerError as error:
        told = str(error).splitlines()[0]
        yield _problem(match.folder, told.removeprefix(f"{folder}: ").removeprefix(f"{folder}/"))
        return
    if tuple(player.sha256 for player in identity.nets) != (match.baseline, match.candidate):
        yield _problem(match.folder, "is a match of other nets")
        return
    raised = bool(identity.earlier_limits)
    judgement = judge(in_issue_order(results), identity.sprt, identity.pairs, raised=raised)
    known, found = match.counts, judgement.counts
    if found.pairs < known.pairs or (not grows and found != known):
        yield _problem(
            match.folder,
            f"has {found.pairs:,} pairs {_shown(found.pentanomial)}, the registry "
            f"{known.pairs:,} {_shown(known.pentanomial)}",
        )
        return
    # Doubts about a run leave it undecided, whatever its test says.
    allowed = (judgement.verdict, Verdict.UNDECIDED)
    if not grows and identity.sprt is not None and match.verdict not in allowed:
        yield _problem(
            match.folder, f"its test says {judgement.verdict}, the registry {match.verdict}"
        )


def _backup(home: Home, registry: Registry) -> Iterator[Finding]:
    there, here = backup_marks(home.backup), (len(registry.decisions()), len(registry.reigns()))
    if there is None and home.backup.exists():
        yield _problem(home.backup.name, "the backup cannot be read; the next decision renews it")
    elif there != here and here[0]:
        yield Finding("note", home.backup.name, "the backup is older; the next decision renews it")


def _shown(pentanomial: Sequence[int]) -> str:
    return f"[{', '.join(map(str, pentanomial))}]"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
