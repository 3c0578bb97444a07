"""More than two nets: who plays whom, each encounter a match in a run folder of its own.

An encounter is an ordinary match of fixed length, so all that is true of a match is true of it:
resume, ledger, report. All of them start from the same openings in the same order. A net that is
added later brings only its own encounters. What the folders say together is worked out by
``arena.report.ratings.field``, which ``arena ratings`` shares.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arena.config import MatchConfig
from arena.entrants import Found, FoundNet, names_of, no_difference, same_player
from arena.match import Ending, MatchError
from arena.players import Entrant
from arena.report.ratings.field import RatingsError
from arena.report.ratings.table import RatingsDocument
from arena.report.ratings.tournament import write_tournament
from arena.run import REPORTS, ProgressOf, file_name, find, play
from swa.net import Net


@dataclass(frozen=True, slots=True)
class Encounter:
    """Two nets of a tournament, and where their match is."""

    baseline: Entrant
    candidate: Entrant
    folder: Path


@dataclass(frozen=True, slots=True)
class Tournament:
    """A tournament after all of its encounters, or those before an interrupt."""

    folder: Path
    ratings: RatingsDocument | None  # None: too little was played to compare everybody
    ending: Ending  # LIMIT, INTERRUPTED or FAULTS


def pairings(players: int, kind: str) -> Iterator[tuple[int, int]]:
    """Yield who plays whom, by index: the one that was named first is the baseline.

    ``kind``: "roundrobin" for everybody against everybody, "gauntlet" for the first against each
    of the others (fastchess's and cutechess's words).
    """
    if kind == "gauntlet":
        return ((0, other) for other in range(1, players))
    return itertools.combinations(range(players), 2)


def encounters(config: MatchConfig, found: Sequence[Found], folder: Path) -> list[Encounter]:
    """Return the encounters in the order in which they are played.

    Where players have settings of their own, all keep the name that tells them apart here.
    Raises MatchError where two were given the same name.
    """
    players: list[Entrant] = [one.player for one in found]
    if config.nets:
        names = unique_names([one.net for one in found if isinstance(one, FoundNet)])
    else:
        names = names_of(found)
        players = [replace(one, name=name) for one, name in zip(players, names, strict=True)]
    in_files = [file_name(name) for name in names]
    if len(set(in_files)) < len(in_files):  # "a b" and "a-b"
        in_files = [f"{name}-{number}" for number, name in enumerate(in_files, start=1)]
    return [
        Encounter(
            players[baseline],
            players[candidate],
            folder / f"{in_files[candidate]}-vs-{in_files[baseline]}",
        )
        for baseline, candidate in pairings(len(found), config.tournament)
    ]


def unique_names(nets: Sequence[Net]) -> list[str]:
    """Name the nets so that a reader can tell them apart, namesakes by their hash."""
    count = Counter(net.name for net in nets)
    return [net.name if count[net.name] == 1 else f"{net.name}@{net.sha256[:8]}" for net in nets]


def play_tournament(
    config: MatchConfig, command: Sequence[str], show: ProgressOf, note: Callable[[str], None]
) -> Tournament:
    """Play all encounters, or go on with them; parameters and errors are those of ``play``.

    Raises MatchError before anything is written where two of the nets are the same; what kept an
    encounter's report from being written, after all have been played.
    """
    if config.opening_filter is not None and config.tournament == "roundrobin":
        raise MatchError(
            "--opening-filter: in a round robin each match has a baseline of its own, which would "
            "choose other openings\nPlay a gauntlet (--tournament gauntlet), or without a filter."
        )
    found = [find(player) for player in config.lineup]
    for one, other in itertools.combinations(found, 2):
        if no_difference(one, other, config.search):
            raise same_player(one, other)
    folder = config.out or next_tournament_folder(config.tournament)
    todo = encounters(config, found, folder)
    who = "nets" if config.nets else "players"
    note(f"Tournament: {len(found)} {who}, {len(todo)} encounters of {config.pairs:,} pairs")
    trouble: BaseException | None = None
    for number, encounter in enumerate(todo, start=1):
        note(f"Encounter {number} of {len(todo)}: {encounter.folder.name}")
        both = encounter.baseline, encounter.candidate
        match = replace(config, nets=(), players=both, sprt=None, preset=None)
        played = play(match, command, show, note, folder=encounter.folder)
        if played.ending in (Ending.INTERRUPTED, Ending.FAULTS):
            return Tournament(folder, _rate(folder), played.ending)
        if isinstance(played.trouble, KeyboardInterrupt):
            raise played.trouble
        if played.trouble is not None:  # a report can be made later; the others are to be played
            trouble = trouble or played.trouble
            note(f"{encounter.folder}: its report is not whole.")
    if trouble is not None:
        raise trouble
    return Tournament(folder, _rate(folder), Ending.LIMIT)


def _rate(folder: Path) -> RatingsDocument | None:
    """Rate and report what has been played, those who joined and left included."""
    try:
        return write_tournament(folder)
    except RatingsError:  # too few encounters so far to compare everybody
        return None


def next_tournament_folder(kind: str, reports: Path = REPORTS) -> Path:
    """Return ``reports/<kind>-<n>`` with the least n, from 1, that is free."""
    folders = (reports / f"{kind}-{number}" for number in itertools.count(1))
    return next(folder for folder in folders if not folder.exists())
