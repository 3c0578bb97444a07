"""The newest net that is there: of a folder, of a glob, or of a series of snapshots.

A trainer writes while others read, so a file counts only if it can be read as a net from its first
byte to its last and does not change meanwhile; else the next older one is taken. In a series the
steps in the names say what is newest, since files are copied in any order; where no name has steps
it is the time of the last change.
"""

from __future__ import annotations

import glob
import os
import stat
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from swa.net import load_net
from swa.net_names import (
    LATEST,
    SUFFIXES,
    choose_series,
    is_net_name,
    parse_latest,
    parse_name,
    series_of,
)
from swa.spec import NetError

MOST_NAMED = 5
"""Series that an error lists."""


class Latest(NamedTuple):
    """Nets that were found, from the oldest to the newest, and what is not complete."""

    paths: tuple[Path, ...]
    passed_over: tuple[str, ...]  # "run-5000.pb.gz: the file is truncated"


class _Files(NamedTuple):
    """What may be taken, from the newest to the oldest; ``steps`` of each where names have them."""

    paths: Sequence[Path]
    steps: Sequence[int] | None


def latest_net(where: str | Path, *, average: str | None = None) -> Path:
    """The newest complete net of ``where``.

    ``where`` is a folder, a glob, or a series: ``runs/tiny`` stands for ``runs/tiny-STEPS.pb.gz``.
    ``average`` is the name of an average, whose nets are ``RUN-AVERAGE-STEPS.pb.gz``; without it,
    the raw net is meant wherever there are both. Of a folder that ``swa train`` writes to, the
    series are those of its run.

    Raises NetError where there is no such net, or where there are several runs.
    """
    return find_latest(where, average=average).paths[-1]


def last_nets(where: str | Path, count: int, *, average: str | None = None) -> tuple[Path, ...]:
    """The last ``count`` complete nets of a series, from the oldest to the newest.

    As ``latest_net``; raises NetError also where names have no steps, or there are fewer.
    """
    return find_latest(where, average=average, count=count).paths


Known = Callable[[Path, os.stat_result], bool]
"""Says of a file that it was found to be a complete net before, so that it need not be read."""


def find_latest(
    where: str | Path,
    *,
    average: str | None = None,
    count: int | None = None,
    known: Known = lambda path, status: False,
) -> Latest:
    """What ``latest_net``, or with ``count`` ``last_nets``, takes, and what it passes over."""
    where = str(where)
    try:
        files = _files(where, average)
    except (OSError, ValueError) as error:
        if isinstance(error, NetError):
            raise
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise NetError(f"cannot look for nets: {reason}", path=where) from None
    if count is not None and files.steps is None:
        raise NetError(
            "which nets are the last cannot be told: their names have no steps",
            "Name the nets one by one, from the oldest to the newest.",
            where,
        )
    return _take(files, where, 1 if count is None else count, known)


def nets_before(path: Path, count: int) -> Latest:
    """The last complete nets of the series of ``path`` with fewer steps, at most ``count``.

    ``path`` itself need not be there any more. Raises NetError where its name has no steps, or its
    folder cannot be read.
    """
    of = parse_name(path.name)
    if of is None:
        raise NetError(
            "which nets came before it cannot be told: its name has no steps",
            "Snapshots to average are named RUN-STEPS.pb.gz.",
            str(path),
        )
    try:
        series = series_of(_names(path.parent)).get(of.series, [])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot look for nets: {reason}", path=str(path.parent)) from error
    before = [each for each in reversed(series) if each.steps < of.steps]
    files = _Files([path.parent / each.name for each in before], [each.steps for each in before])
    return _complete(files, count)


def resolve_nets(
    words: Iterable[str | Path], note: Callable[[str], None] = lambda _: None
) -> tuple[Path, ...]:
    """The paths of NETs as command lines and files of settings give them.

    ``latest:WHERE`` is the newest net there, ``latest:WHERE:K`` the last K of a series, and all
    else the path of a file. ``note`` is told what was taken and what was passed over.
    """
    return tuple(path for word in words for path in _resolved(word, note))


def resolve_net(word: str | Path, note: Callable[[str], None] = lambda _: None) -> Path:
    """The same where one net is wanted; raises NetError for ``latest:WHERE:K``."""
    wanted = parse_latest(word)
    if wanted is not None and wanted.last is not None:
        raise NetError("here one net is wanted, not several", "Leave out the count.", str(word))
    return resolve_nets([word], note)[0]


def _resolved(word: str | Path, note: Callable[[str], None]) -> tuple[Path, ...]:
    wanted = parse_latest(word)
    if wanted is None:
        return (Path(word),)
    if not wanted.where or wanted.last == 0:
        raise NetError(
            "of what the newest net is to be taken is not said",
            f"Give {LATEST}FOLDER, {LATEST}GLOB or {LATEST}RUN, and :K for the last K, from 1.",
            str(word),
        )
    found = find_latest(wanted.where, count=wanted.last)
    for line in found.passed_over:
        note(f"passed over {line}")
    for path in found.paths:
        note(f"{word} is {path}")
    return found.paths


# --- what there is ---


def _files(where: str, average: str | None) -> _Files:
    """The files of ``where``, by the newest."""
    path = Path(where)
    if path.is_dir():
        run = _run_of(path)
        return _chosen({path: list(_names(path))}, where, average, run, is_glob=False)
    if glob.has_magic(where) and not path.exists():
        folders: dict[Path, list[str]] = defaultdict(list)
        for found in glob.iglob(where):
            if is_net_name(os.path.basename(found)):
                folders[Path(found).parent].append(os.path.basename(found))
        return _chosen(folders, where, average, None, is_glob=True)
    if path.is_file():
        return _Files([path], None)
    series = f"{path.name}-{average}" if average else path.name
    names = _names(path.parent) if path.parent.is_dir() else ()
    snapshots = series_of(names).get(series)
    if not snapshots:
        raise NetError(
            f"no such folder, and no nets {series}-STEPS.pb.gz",
            "Give a folder, a glob, or what stands before the steps in the nets' names.",
            where,
        )
    paths = [path.parent / snapshot.name for snapshot in reversed(snapshots)]
    return _Files(paths, [snapshot.steps for snapshot in reversed(snapshots)])


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if is_net_name(entry.name))


def _run_of(folder: Path) -> str | None:
    """The name of the run that ``swa train`` writes to a folder, by the settings it keeps there."""
    try:
        name = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def _chosen(
    folders: dict[Path, list[str]], where: str, average: str | None, run: str | None, is_glob: bool
) -> _Files:
    """The files of the one series that is meant; without any series, all by their time."""
    series = {
        (folder, name): snapshots
        for folder, names in folders.items()
        for name, snapshots in series_of(names).items()
    }
    if not series and average is None:
        return _Files(_by_time(folders, where), None)
    wanted = set(choose_series((name for _, name in series), average=average, run=run))
    chosen = [key for key in series if key[1] in wanted]
    if not chosen and is_glob and average is None:  # a glob of averages alone says what it wants
        chosen = list(series)
    if len(chosen) != 1:
        raise _unclear(chosen, list(series), where, average)
    folder, _ = key = chosen[0]
    snapshots = series[key][::-1]
    return _Files([folder / each.name for each in snapshots], [each.steps for each in snapshots])


def _unclear(
    chosen: Sequence[tuple[Path, str]],
    series: Sequence[tuple[Path, str]],
    where: str,
    average: str | None,
) -> NetError:
    """What is said where there are several series, or none of those that were asked for."""
    shown = sorted(str(folder / name) for folder, name in chosen or series)
    some = ", ".join(shown[:MOST_NAMED]) + (", ..." if len(shown) > MOST_NAMED else "")
    if chosen:
        reason = f"nets of several runs: {some}"
    elif series:
        kind = f"nets of an average {average!r}" if average else "raw nets"
        reason = f"no {kind}; there are {some}"
    else:
        reason = "no nets RUN-AVERAGE-STEPS.pb.gz"
    remedy = f"Say which: {LATEST}{shown[0]}" if shown else "Give the folder of a training run."
    return NetError(reason, remedy, where)


def _by_time(folders: dict[Path, list[str]], where: str) -> list[Path]:
    """Files that are no series, the one that was changed last first."""
    times = []
    for folder, names in folders.items():
        for name in names:
            try:
                times.append(((folder / name).stat().st_mtime_ns, folder / name))
            except OSError:  # taken away meanwhile, or a link to nowhere
                continue
    if not times:
        suffixes = " or ".join(SUFFIXES)
        raise NetError("no nets there", f"Nets are files that end in {suffixes}.", where)
    return [path for _, path in sorted(times, reverse=True)]


# --- what is complete ---


def _take(files: _Files, where: str, count: int, known: Known) -> Latest:
    """The first ``count`` complete ones; raises NetError where there are fewer."""
    found = _complete(files, count, known)
    if len(found.paths) == count:
        return found
    taken = len(found.paths)
    reason = f"{taken} of the {count} nets wanted are there" if taken else "no complete net"
    if found.passed_over:
        reason += f"; {found.passed_over[0]}"
    raise NetError(reason, "Wait until the trainer has written it, or name another.", where)


def _complete(files: _Files, count: int, known: Known = lambda path, status: False) -> Latest:
    """The first complete ones, at most ``count``."""
    taken: list[Path] = []
    passed_over: list[str] = []
    steps: set[int] = set()
    for place, path in enumerate(files.paths):
        if len(taken) == count:
            break
        if files.steps is not None and files.steps[place] in steps:
            continue  # the same net in another packing
        reason = _incomplete(path, known)
        if reason is not None:
            passed_over.append(f"{path}: {reason}")
            continue
        taken.append(path)
        if files.steps is not None:
            steps.add(files.steps[place])
    return Latest(tuple(reversed(taken)), tuple(passed_over))


def _incomplete(path: Path, known: Known) -> str | None:
    """Why a file cannot be taken: it is no net, not whole, or is being written."""
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):  # opening a pipe would wait for its writer
            return "not a file"
        if known(path, before):
            return None
        load_net(path)
        after = path.stat()
    except NetError as error:
        return error.reason
    except OSError as error:  # taken away meanwhile
        return (error.strerror or str(error)).lower()
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return None if same else "is being written"
