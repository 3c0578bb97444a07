"""Finds the files of a run's nets again: where its sessions had them, known by their hashes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from arena.report.run import Run
from swa import provenance


class NetSearchError(ValueError):
    """A net whose file is not found: which, where it was looked for, what to do."""


def find_nets(run: Run) -> list[Path]:
    """Find the files of both nets, by their hashes, where the match's sessions had them.

    Paths that are not absolute are looked up from here, from the run folder and from those above
    it. Raises NetSearchError that says which net is missing, and where it was looked for.
    """
    return [_find(run, net.name, net.sha256) for net in run.identity.nets]


def _find(run: Run, name: str, sha256: str) -> Path:
    paths = list(dict.fromkeys(_paths(run, sha256)))
    bases = [Path(), *(run.folder.resolve() / "x").parents]
    tried = dict.fromkeys(base / path for path in paths for base in bases)
    for path in tried:
        try:
            if path.is_file() and provenance.file_sha256(path) == sha256:
                return path
        except (OSError, ValueError):  # ValueError: a path with a null character
            continue
    where = ", ".join(map(shlex.quote, map(str, paths))) or "no session has noted its path"
    raise NetSearchError(
        f"{name}: no file with its sha256 ({sha256[:16]}...): {where}\n"
        "Put the net where it was in the match, or run this where the match was run."
    )


def _paths(run: Run, sha256: str) -> Iterator[Path]:
    """Where a net may be: as sessions noted it, newest first, or as their command lines name it.

    Older sessions have the command line alone, in which a net is a word or ``path=``.
    """
    for session in reversed(run.sessions):
        yield from (Path(net.path) for net in session.nets if net.sha256 == sha256 and net.path)
    files = {net.file for session in run.sessions for net in session.nets if net.sha256 == sha256}
    for session in reversed(run.sessions):
        for word in session.command:
            found = Path(word.partition("path=")[2].partition(" ")[0] or word)
            if found.name in files:
                yield found
