"""Names of net files: which series they belong to, and how ``latest:`` asks for the newest.

A trainer names snapshots ``RUN-STEPS.pb.gz``, and those of an average ``RUN-AVERAGE-STEPS.pb.gz``
(lczero-training: ``-swa-``); what is before the steps is the series. Nothing here opens a file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

LATEST = "latest:"
"""Before a folder, glob or series: its newest net."""

SUFFIXES = (".pb.gz", ".pb")

SWA = "swa"
"""The one average whose name every lc0 trainer gives its nets."""

_NUMBERED = re.compile(r"(?P<series>.+)[-_](?P<steps>[0-9]+)(?P<suffix>\.pb\.gz|\.pb)", re.DOTALL)
_COUNTED = re.compile(r"(?P<where>.+):(?P<count>[0-9]+)", re.DOTALL)


class Snapshot(NamedTuple):
    """A file's name that says how far a run was."""

    series: str  # what stands before the steps: "run", "run-swa"
    steps: int
    name: str


class Wanted(NamedTuple):
    """What ``latest:WHERE`` or ``latest:WHERE:K`` asks for."""

    where: str
    last: int | None  # K; None: the newest alone


def parse_name(name: str) -> Snapshot | None:
    """The series and steps of a file's name; None for other names, hidden and temporary ones.

    ``run-swa-5000.pb.gz`` is ("run-swa", 5000); lc0's own download names, ``weights_run1_5000``,
    are understood as well.
    """
    match = None if name.startswith(".") else _NUMBERED.fullmatch(name)
    return match and Snapshot(match["series"], int(match["steps"]), name)


def is_net_name(name: str) -> bool:
    """Whether a file may be a net by its name: neither hidden nor of another kind."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def series_of(names: Iterable[str]) -> dict[str, list[Snapshot]]:
    """The series among names of one folder, each from the oldest to the newest."""
    found: dict[str, list[Snapshot]] = defaultdict(list)
    for name in names:
        snapshot = parse_name(name)
        if snapshot is not None:
            found[snapshot.series].append(snapshot)
    return {series: sorted(found[series], key=_age) for series in sorted(found)}


def _age(snapshot: Snapshot) -> tuple[int, bool, str]:
    """Of the same steps the gzipped file counts as the newer: trainers write these."""
    return snapshot.steps, snapshot.name.endswith(".gz"), snapshot.name


def choose_series(
    series: Iterable[str], *, average: str | None = None, run: str | None = None
) -> list[str]:
    """Those series in which the net is to be looked for: one, where the request is clear.

    Without ``average`` they are the raw ones, all but ``...-swa``; with it ``...-AVERAGE``. Where
    it is known which ``run`` a folder is of, only its own series count.
    """
    names = list(series)
    if average == "":  # no average is called so
        return []
    if run in names:
        return [name for name in names if name == (f"{run}-{average}" if average else run)]
    kind = SWA if average is None else average
    ends = (f"-{kind}", f"_{kind}")
    return [name for name in names if name.endswith(ends) == (average is not None)]


def parse_latest(word: str | Path) -> Wanted | None:
    """What a NET that begins with ``latest:`` asks for; None for the path of a file."""
    text = str(word)
    if not text.startswith(LATEST):
        return None
    where = text.removeprefix(LATEST)
    match = _COUNTED.fullmatch(where)
    return Wanted(match["where"], int(match["count"])) if match else Wanted(where, None)


def within(folder: Path, word: str) -> Path:
    """A NET in a file of settings, relative to the file's folder; what ``latest:`` names too.

    Raises RuntimeError, as pathlib does, for the home of a user who is not there.
    """
    if word.startswith(LATEST):
        return Path(f"{LATEST}{folder / Path(word.removeprefix(LATEST)).expanduser()}")
    return folder / Path(word).expanduser()
