"""Ratings of all nets in a number of run folders: which runs, which players, which games count.

A net is its file's sha256: two files of the same name are two players, and a net that was renamed
is one. What a player has of its own (settings of the search, an engine's options and limits) is
part of it: a net at 100 visits and the same net at 200 are two.

Only the counted pairs of each run enter, and none of them twice: nets do not vary by chance, so a
second run from the same openings repeats games, which is no more evidence.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena.game import PairRecord
from arena.match_file import MATCH_FILE, MatchIdentity, PlayerIdentity, to_table
from arena.report.adjudication import conditions
from arena.report.block import counted
from arena.report.characters import printable
from arena.report.players import own_settings
from arena.report.run import read_run
from arena.stats.pentanomial import PairCounts
from arena.stats.ratings import DEFAULT_PRIOR_PAIRS, Encounter, Ratings, rate

SHOWN_SHA = 8
"""Digits of a sha256 that tell nets of the same name apart."""


class RatingsError(Exception):
    """Run folders that cannot be rated together: what, why, what to do."""


@dataclass(frozen=True, slots=True)
class Player:
    """A net or engine: how it is shown, its sha256, and all names that it had in the folders."""

    label: str
    sha256: str
    names: tuple[str, ...]
    key: str  # by which it is known again; the sha256 of a plain net
    settings: str = ""  # its own


@dataclass(frozen=True, slots=True)
class PlayedRun:
    """One run folder's share in the ratings; ``counts`` are the candidate's."""

    folder: Path
    identity: MatchIdentity
    stopped: bool  # by its sequential test
    settled: bool  # neither interrupted nor still being played
    counts: PairCounts
    repeated: int  # counted pairs that an earlier folder had already, not in ``counts``


@dataclass(frozen=True, slots=True)
class Field:
    """All runs that are rated together; ``differences`` between their conditions, as text."""

    runs: tuple[PlayedRun, ...]
    players: tuple[Player, ...]
    differences: tuple[str, ...]

    def encounters(self) -> list[Encounter]:
        """Return the results; a player's name there is its label."""
        return [
            Encounter(baseline.label, candidate.label, run.counts)
            for run in self.runs
            for baseline, candidate in [self.players_of(run)]
            if baseline is not candidate
        ]

    def players_of(self, run: PlayedRun) -> tuple[Player, Player]:
        """Return baseline and candidate; the same player where a net met itself."""
        by_key = {player.key: player for player in self.players}
        baseline, candidate = run.identity.nets
        return by_key[baseline.key], by_key[candidate.key]

    def player(self, name: str) -> Player:
        """Find a player by label, by a name that is no other's, or by the beginning of its sha256.

        RatingsError where there is none, or more than one.
        """
        found = [player for player in self.players if player.label == name]
        found = found or [player for player in self.players if name in player.names]
        if not found and len(name) >= SHOWN_SHA:
            found = [player for player in self.players if player.sha256.startswith(name)]
        if len(found) == 1:
            return found[0]
        labels = ", ".join(player.label for player in found or self.players)
        if found:
            raise RatingsError(f"{name!r} could be any of {labels}")
        raise RatingsError(f"{name!r} is none of the nets that played\nThey are: {labels}")


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """Return the run folders that are meant: each given one, or all that lie anywhere inside it.

    A folder that is found twice is there once. RatingsError where nothing is found.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        inside = runs_inside(folder)
        if not inside:
            what = "has no run folder in it" if folder.is_dir() else "there is no such folder"
            raise RatingsError(f"{folder}: {what}\nA run folder is one with a {MATCH_FILE}.")
        for run in inside:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def runs_inside(folder: Path, unread: Callable[[OSError], None] | None = None) -> list[Path]:
    """Return the run folders that lie anywhere inside a folder, or that it is itself.

    ``unread`` is told of folders that cannot be looked into, which otherwise are passed over.
    """
    found = []
    for name, subfolders, files in os.walk(folder, onerror=unread):
        if MATCH_FILE in files:
            found.append(Path(name))
            subfolders.clear()  # what a run folder holds belongs to it
        subfolders.sort()
    return found


def read_field(folders: Iterable[Path]) -> Field:
    """Read all runs in the folders. Raises RatingsError and LedgerError."""
    runs: list[PlayedRun] = []
    seen: dict[frozenset[str], set[int]] = defaultdict(set)
    for folder in find_runs(folders):
        run = read_run(folder)
        keys = [net.key for net in run.identity.nets]
        counts, known = run.judgement.counts, seen[frozenset(keys)]
        games = [_fingerprint(pair, *keys) for pair in run.counted]
        repeated = [pair for pair, its in zip(run.counted, games, strict=True) if its in known]
        if repeated:
            fresh = [p for p, its in zip(run.counted, games, strict=True) if its not in known]
            counts = PairCounts.total(PairCounts.of_pair(*pair.points) for pair in fresh)
        known.update(games)
        stopped, settled = run.judgement.decided_at is not None, run.judgement.settled
        runs.append(PlayedRun(run.folder, run.identity, stopped, settled, counts, len(repeated)))
    players = named_players(run.identity for run in runs)
    return Field(tuple(runs), players, tuple(_differences(runs)))


def _fingerprint(pair: PairRecord, baseline: str, candidate: str) -> int:
    """Hash who played what from where; the order of a pair's two games does not matter."""
    games = frozenset(
        (candidate if game.candidate_white else baseline, game.moves) for game in pair.games
    )
    return hash((pair.opening.fen, pair.opening.moves, games))


def named_players(identities: Iterable[MatchIdentity]) -> tuple[Player, ...]:
    """Return all players of some matches, each with a label that is no other's."""
    names: dict[str, dict[str, None]] = {}  # a set would forget the order
    known: dict[str, PlayerIdentity] = {}
    for identity in identities:
        for net in identity.nets:
            names.setdefault(net.key, {})[printable(net.name)] = None
            known[net.key] = net
    owners: dict[str, set[str]] = defaultdict(set)
    for key, its_names in names.items():
        for name in its_names:
            owners[name].add(key)
    players: dict[str, Player] = {}
    for key, its_names in names.items():
        name = next(iter(its_names))
        sha256, settings = known[key].sha256, own_settings(known[key])
        label = name if len(owners[name]) == 1 else f"{name}@{sha256[:SHOWN_SHA]}"
        if label in players:
            label = f"{name}@{sha256}"
        if label in players:  # the same file
            label = f"{name}@{sha256[:SHOWN_SHA]} {settings or 'without settings of its own'}"
        players[label] = Player(label, sha256, tuple(its_names), key, settings)
    return tuple(players.values())


def _differences(runs: Sequence[PlayedRun]) -> Iterable[str]:
    """Yield the conditions that are not the same in all folders, as ``visits: 100 in a, 800 in b``.

    Those that change what a difference in Elo means: evaluator, dtype, search and book.
    """
    if not runs:
        return
    tables = [shared_conditions(run.identity) for run in runs]
    for key, value in tables[0].items():
        for run, table in zip(runs, tables, strict=True):
            if table[key] != value:
                yield f"{key}: {value} in {runs[0].folder}, {table[key]} in {run.folder}"
                break


def shared_conditions(identity: MatchIdentity) -> dict[str, Any]:
    """Return what must be the same in two matches for their Elo to mean the same, by name."""
    return {
        "evaluator": identity.evaluator,
        "dtype": identity.dtype,
        **to_table(identity)["search"],
        "book of openings": f"sha256 {identity.openings.sha256[:SHOWN_SHA]}",
        "tablebases": _tablebases(identity),
        "adjudication": conditions(identity.adjudication),
    }


def _tablebases(identity: MatchIdentity) -> str:
    tables = identity.tables
    if tables is None or not tables.search:
        return "none"
    fast = ", fast play" if tables.fast_play else ""
    return f"{tables.pieces} pieces (sha256 {tables.sha256[:SHOWN_SHA]}){fast}"


def rate_field(
    field: Field,
    *,
    prior_pairs: float = DEFAULT_PRIOR_PAIRS,
    anchors: Mapping[str, float] | None = None,
    mixed: bool = False,
) -> Ratings:
    """Rate a field's players; ``anchors`` by any name that ``Field.player`` knows.

    ``mixed`` allows conditions that differ. Raises RatingsError where they do and are not to,
    and where no rating is possible.
    """
    if field.differences and not mixed:
        others = len(field.differences) - 1
        more = f" (and {counted(others, 'other setting')})" if others else ""
        raise RatingsError(
            f"the folders were played under different conditions\n"
            f"{field.differences[0]}{more}\n"
            "Ratings mean something within one set of conditions; --mixed takes them all the same."
        )
    fixed: dict[str, float] = {}
    for name, elo in (anchors or {}).items():
        label = field.player(name).label
        if label in fixed:
            raise RatingsError(f"two anchors are the same net, {label}")
        fixed[label] = elo
    try:
        return rate(field.encounters(), prior_pairs=prior_pairs, anchors=fixed)
    except ValueError as error:
        raise RatingsError(str(error)) from None
