"""The champion's file and the registry: they never disagree for longer than one call.

A change of champion is decided in the registry first, as a pending reign, then the file takes its
place by rename, then the reign begins. Wherever that breaks off, the next call ends it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from arena.registry.home import Home
from arena.registry.records import How, NetRecord, Reign
from arena.registry.store import Registry
from arena.registry.telling import RegistryError
from swa.files import sync_folder, write_whole
from swa.provenance import file_sha256, sha256


class ChampionError(Exception):
    """A champion's file that is not the registry's champion: what, why, what to do."""


def settle_champion(home: Home, registry: Registry) -> None:
    """End a change of champion that was decided: put the file in its place, begin the reign.

    Without one that is pending nothing happens. Raises ChampionError where the file is neither the
    champion's before nor after, or the kept net is gone or damaged; RegistryError.
    """
    pending = registry.pending()
    if pending is None:
        return
    check_champion(home, registry)
    put_champion(home, _net(registry, pending.sha256))
    registry.settle()


def check_champion(home: Home, registry: Registry) -> None:
    """Raise ChampionError where the champion's file is not what the registry says.

    While a change is pending it may be that of either champion.
    """
    reigns = [reign for reign in (registry.champion(), registry.pending()) if reign is not None]
    allowed = [reign.sha256 for reign in reigns]
    found = _file_sha256(home.champion)
    if found is None:
        if not reigns or all(reign.pending for reign in reigns):
            return
        raise ChampionError(
            f"{home.champion}: the champion's file is gone\nPut it back: {_by_hand(home)} --restore"
        )
    if not allowed:
        raise ChampionError(
            f"{home.champion}: is there, but the registry knows no champion\n"
            f"Move it away, or make a net champion: {_by_hand(home)} --set NET"
        )
    if found not in allowed:
        raise ChampionError(
            f"{home.champion}: is not the registry's champion: sha256 {found[:12]}..., not "
            f"{allowed[0][:12]}...: somebody has changed it\nPut the champion back: "
            f"{_by_hand(home)} --restore\nor make this one champion (--set {home.champion.name})."
        )


def _by_hand(home: Home) -> str:
    """The command that changes a champion, as far as it is always the same."""
    return f"arena registry champion --home {shlex.quote(str(home.root))}"


def put_champion(home: Home, net: NetRecord) -> None:
    """Write the kept copy of a net to the champion's place, whole, by rename.

    Raises ChampionError where the copy is gone or damaged, or the file cannot be written.
    """
    data = _kept(home, net)
    try:
        for leftover in home.root.glob(f".{home.champion.name}.*.tmp"):  # of a call that was killed
            leftover.unlink(missing_ok=True)
        if _file_sha256(home.champion) != net.sha256:
            write_whole(home.champion, data)
        else:  # by a call that may have died before its name was on the disk
            sync_folder(home.root)
    except OSError as error:
        raise ChampionError(
            f"{home.champion}: cannot be written: {_reason(error)}\n"
            "The champion's file is as it was. Mend that, then give the same command again."
        ) from error


def change_champion(home: Home, registry: Registry, sha256: str, how: How) -> None:
    """Make a net champion, and put its file in its place; the very first one is so "first".

    A change that is pending is ended first; if it was to this net, that is all. Raises
    ChampionError where the champion's file is neither that of the champion nor this net's, or the
    kept copy cannot be used; then nothing has changed. Raises RegistryError where the net is not
    known, or is champion already.
    """
    pending = registry.pending()
    settle_champion(home, registry)
    if pending is not None and pending.sha256 == sha256:
        return
    if _file_sha256(home.champion) != sha256:
        check_champion(home, registry)
    net = registry.net(sha256)
    if net is None:
        raise RegistryError(f"{home.registry}: knows no net {sha256[:12]}...")
    _kept(home, net)
    registry.crown(sha256, how if registry.reigns() else "first")
    settle_champion(home, registry)


def roll_back(home: Home, registry: Registry) -> None:
    """Make the champion before this one champion again.

    A rollback that was broken off is ended, not followed by another. Raises RegistryError where
    there was no champion before, and what ``change_champion`` raises.
    """
    pending = registry.pending()
    settle_champion(home, registry)
    if pending is not None and pending.how == "rollback":
        return
    before = before_champion(registry.reigns())
    if before is None:
        raise RegistryError(
            f"{home.registry}: there was no champion before this one to go back to\n"
            f"Name another one: {_by_hand(home)} --set NET"
        )
    change_champion(home, registry, before.sha256, "rollback")


def restore_champion(home: Home, registry: Registry) -> Path | None:
    """Put the registry's champion's file back; one that was changed by hand is put aside.

    Also ends a pending change. Returns where the other file is now, if there was one. Raises
    ChampionError and RegistryError.
    """
    reign = registry.pending() or registry.champion()
    if reign is None:
        raise RegistryError(
            f"{home.registry}: knows no champion\nName one: {_by_hand(home)} --set NET"
        )
    aside = None
    known = {one.sha256 for one in (registry.pending(), registry.champion()) if one is not None}
    found = _file_sha256(home.champion)
    if found is not None and found not in known:
        aside = home.root / f"champion-{found[:16]}.pb.gz"
        try:
            if not aside.exists():
                os.link(home.champion, aside)
        except OSError as error:
            raise ChampionError(
                f"{home.champion}: cannot be put aside as {aside.name}: {_reason(error)}"
            ) from error
    put_champion(home, _net(registry, reign.sha256))
    registry.settle()
    return aside


def before_champion(reigns: Sequence[Reign]) -> Reign | None:
    """The reign that a rollback leads back to; None where there is none before the champion's.

    A rollback undoes the last change that has not been undone, so two in a row go back by two.
    """
    standing: list[Reign] = []
    for reign in reigns:
        if reign.pending:
            continue
        if reign.how == "rollback":
            standing.pop()
        else:
            standing.append(reign)
    return standing[-2] if len(standing) > 1 else None


def _kept(home: Home, net: NetRecord) -> bytes:
    """The bytes of a net's kept copy, which are those that were kept; else ChampionError."""
    kept = home.root / net.file
    try:
        data = kept.read_bytes()
    except OSError as error:
        raise ChampionError(
            f"{kept}: the kept copy of {net.name} cannot be read: {_reason(error)}\n"
            f"Bring the file with sha256 {net.sha256[:12]}... back there."
        ) from error
    if sha256(data) != net.sha256:
        raise ChampionError(
            f"{kept}: the kept copy of {net.name} is damaged: sha256 {sha256(data)[:12]}..., not "
            f"{net.sha256[:12]}...\nBring the right file back there."
        )
    return data


def _net(registry: Registry, sha256: str) -> NetRecord:
    net = registry.net(sha256)
    assert net is not None  # a reign refers to it
    return net


def _file_sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ChampionError(f"{path}: cannot be read: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
