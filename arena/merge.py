"""Parts of a match that were played apart become one run folder.

A pair is what its number, the seed and the two players make it, so it does not matter on which
machine it was played: the ledger of the whole is the lines of its parts. ``arena run --part K/N``
gives every machine numbers of its own. Nothing is decided by a part, since pairs count in the order
of issue; the merged folder is judged as if one machine had played it, and can be gone on with.

Everything is compared before anything is written. What is written is written as by a match: pairs
that are on the disk count, and the same merge again adds what is missing, after a crash too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arena.faults import note_void, read_void
from arena.game import GameRecord, PairRecord
from arena.ledger import GAMES_FILE, Ledger, read_pairs
from arena.match_file import MATCH_FILE, MatchIdentity, differences, read_identity
from arena.sessions import Session, read_sessions, session_ended, session_started


class MergeError(ValueError):
    """Run folders that are no parts of one match: which, why, what to do."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge has brought into a run folder, in pairs."""

    identity: MatchIdentity
    added: int
    duplicates: int  # of the parts, the same games as in another part or in the folder
    pairs: int  # that are there now


@dataclass(frozen=True, slots=True)
class _Part:
    """A run folder, read: its pairs in the order in which they were finished."""

    folder: Path
    identity: MatchIdentity
    pairs: Sequence[PairRecord]
    sessions: Sequence[Session]


def merge(out: Path, folders: Sequence[Path]) -> Merged:
    """Bring the pairs of run folders into one, which is made or added to.

    Parts may overlap: a pair that two of them have is taken once, if its games are the same move
    for move. Of limits of pairs that differ the highest is taken, as when a match is extended.

    Raises MergeError where a part is of another match, or two hold other games as the same pair;
    LedgerError where a folder is none, damaged, in use as ``out``, or cannot be written. ``out`` is
    then as it was, unless it is the disk that has no room: finished pairs are kept.
    """
    parts = _read(folders)
    existing = [_read_part(out)] if (out / MATCH_FILE).exists() else []
    identity = _identity_of([*existing, *parts])
    _refuse_conflicts([*existing, *parts])
    with Ledger.open_or_create(out, identity) as ledger:
        before = len(ledger.results)
        for part in parts:
            _add(ledger, part)
            _add_void(out, part.folder)
        after = len(ledger.results)
    offered = sum(len(part.pairs) for part in parts)
    return Merged(ledger.identity, after - before, offered - (after - before), after)


def _read(folders: Sequence[Path]) -> list[_Part]:
    seen: set[Path] = set()
    parts = []
    for folder in folders:
        if folder.resolve() not in seen:
            seen.add(folder.resolve())
            parts.append(_read_part(folder))
    return parts


def _read_part(folder: Path) -> _Part:
    return _Part(folder, read_identity(folder), list(read_pairs(folder)), read_sessions(folder))


def _identity_of(parts: Sequence[_Part]) -> MatchIdentity:
    """Return the match that all parts are of, with the highest of their limits."""
    first, *others = parts
    for part in others:
        same_limit = replace(part.identity, pairs=first.identity.pairs)
        found = differences(first.identity, same_limit)
        if found:
            raise MergeError(
                f"{first.folder} and {part.folder} are no parts of one match\n"
                f"  {found[0]}{f'; and {len(found) - 1} more' if len(found) > 1 else ''}\n"
                "Merge what was played with the same settings, or rate the folders with arena "
                "ratings."
            )
    limits = {part.identity.pairs for part in parts}
    limits |= {limit for part in parts for limit in part.identity.earlier_limits}
    *earlier, highest = sorted(limits)
    return replace(first.identity, pairs=highest, earlier_limits=tuple(earlier))


def _refuse_conflicts(parts: Sequence[_Part]) -> None:
    known: dict[int, tuple[PairRecord, Path]] = {}
    for part in parts:
        for pair in part.pairs:
            other, folder = known.setdefault(pair.number, (pair, part.folder))
            if other is not pair and (where := _difference(other, pair)):
                raise MergeError(
                    f"pair {pair.number} is not the same in {folder / GAMES_FILE} and "
                    f"{part.folder / GAMES_FILE}: {where}\n"
                    "Nobody can tell which of them counts. Leave one of the folders out; parts "
                    "that were begun with --part K/N have no pair in common."
                )


def _difference(one: PairRecord, other: PairRecord) -> str:
    """Say where two pairs of one number part; "" where they are the same.

    Evaluations and times may differ: they are not the same on every machine.
    """
    if (one.opening.fen, one.opening.moves) != (other.opening.fen, other.opening.moves):
        return "another opening"
    for number, games in enumerate(zip(one.games, other.games, strict=True), start=1):
        if where := _ply_of_difference(*games):
            return f"game {number} differs from ply {where} after the opening"
    return ""


def _ply_of_difference(one: GameRecord, other: GameRecord) -> int:
    """Return the ply, from 1, at which two games part; their ends are one ply after the last."""
    plies = zip(one.moves, other.moves, strict=False)
    same = next((ply for ply, (a, b) in enumerate(plies) if a != b), None)
    if same is None:
        same = min(len(one.moves), len(other.moves))
        end, other_end = ((game.moves, game.result, game.termination) for game in (one, other))
        if end == other_end:
            return 0
    return same + 1


def _add(ledger: Ledger, part: _Part) -> None:
    """Append what the ledger lacks, session by session, in the order of the part.

    A session that brings nothing is left out; one that was merged while it was played, and brings
    more now, is noted again, with its pace if it has ended.
    """
    for session, pairs in _by_session(part):
        new = [pair for pair in pairs if pair.number not in ledger.results]
        if not new:
            continue
        if session is not None:
            session_started(ledger.folder, replace(session, pairs_before=len(ledger.results)))
        ledger.append_all(new)
        if session is not None and session.ended is not None:
            session_ended(ledger.folder, session.pace, session.ended)


def _add_void(out: Path, part: Path) -> None:
    """Note the pairs that were void in a part, as they count when a verdict is doubted."""
    known = read_void(out)
    for void in read_void(part):
        if void not in known:
            note_void(out, void)


def _by_session(part: _Part) -> Iterator[tuple[Session | None, Sequence[PairRecord]]]:
    """Yield each session with the pairs that were finished in it; None: of no known session."""
    begins = [min(session.pairs_before or 0, len(part.pairs)) for session in part.sessions]
    if not begins or begins[0]:
        yield None, part.pairs[: begins[0] if begins else len(part.pairs)]
    for number, session in enumerate(part.sessions):
        end = begins[number + 1] if number + 1 < len(begins) else len(part.pairs)
        yield session, part.pairs[begins[number] : end]
