"""Players that were found: nets loaded, engines asked who they are; what they are called.

Names are for people, so no two of a match or a tournament are alike; what decides is in their
identities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from arena.config import SearchParams
from arena.match import MatchError
from arena.match_file import NetIdentity, PlayerIdentity, Role
from arena.players import NetPlayer, Reading
from swa.net import Net, same_weights

if TYPE_CHECKING:  # python-chess's engines take a moment to import
    from arena.engine_identity import FoundEngine

SHOWN_SHA = 8
"""Digits of a sha256 that tell namesakes apart."""


@dataclass(frozen=True, slots=True)
class FoundNet:
    """A net that plays, loaded."""

    player: NetPlayer
    net: Net

    @property
    def name(self) -> str:
        """What it is called unless something else was asked for."""
        return self.net.name

    @property
    def sha256(self) -> str:
        """Of its file."""
        return self.net.sha256

    @property
    def evaluated(self) -> tuple[str, Reading]:
        """What tells its evaluations from those of every other net."""
        return self.net.sha256, self.player.reading

    @property
    def chess960(self) -> bool:
        """Whether it can tell which rooks may castle."""
        return self.net.spec.input_format.knows_chess960

    def search(self, of_match: SearchParams) -> SearchParams:
        """How it is searched in a match: its own settings, then the match's."""
        return replace(of_match, **dict(self.player.own))  # type: ignore[arg-type]

    def identity(self, role: Role, name: str) -> NetIdentity:
        """Return what match.toml says of it."""
        player = self.player
        return NetIdentity(role, name, self.net.sha256, player.own, player.limits, player.reading)


Found: TypeAlias = "FoundNet | FoundEngine"


def no_difference(one: Found, other: Found, search: SearchParams) -> bool:
    """Whether two players are the same net under the same settings, or the same engine.

    Files may be packed in different ways and hold the same net.
    """
    if isinstance(one, FoundNet) and isinstance(other, FoundNet):
        return (
            one.search(search) == other.search(search)
            and one.player.limits == other.player.limits
            and one.player.reading == other.player.reading
            and same_weights(one.net, other.net)
        )
    return one.identity("baseline", "").key == other.identity("baseline", "").key


def same_player(one: Found, other: Found) -> MatchError:
    """Return the error for two players between which there is no difference."""
    if isinstance(one, FoundNet) and isinstance(other, FoundNet):
        return MatchError(
            f"{one.net.path} and {other.net.path} hold the same net\n"
            "A net has no strength relative to itself: name another one (--nets), or give it other "
            "settings (--net)."
        )
    return MatchError(
        f"{one.name} is there twice, with the same settings\n"
        "An engine has no strength relative to itself: give one of them other settings."
    )


def identities(baseline: Found, candidate: Found) -> tuple[PlayerIdentity, PlayerIdentity]:
    """Return what match.toml says of both. Raises MatchError where their names are the same."""
    first, second = names_of([baseline, candidate])
    return baseline.identity("baseline", first), candidate.identity("candidate", second)


def names_of(found: Sequence[Found]) -> list[str]:
    """Name players so that a reader can tell them apart, even where their files are namesakes.

    Those with the same file are told apart by their settings, other namesakes by their folders,
    else by their hashes. Raises MatchError where two were given the same name.
    """
    names = [one.player.name or one.name for one in found]
    steps: list[Callable[[Found, str], str]] = [_with_settings(found), _with_folder, _with_sha]
    for step in steps:
        count = Counter(names)
        names = [
            step(one, name) if count[name] > 1 and one.player.name is None else name
            for one, name in zip(found, names, strict=True)
        ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise MatchError(f"two players are called {twice[0]}: give them other names (name=)")
    return names


def _with_settings(found: Sequence[Found]) -> Callable[[Found, str], str]:
    """Name players of the same file by the settings that differ between them."""

    def named(one: Found, name: str) -> str:
        mine = _settings(one)
        others = [_settings(other) for other in found if other.sha256 == one.sha256]
        differ = {
            key: value for key, value in mine.items() if any(o.get(key) != value for o in others)
        }
        words = ", ".join(f"{key.removeprefix('option.')} {value}" for key, value in differ.items())
        return f"{name} ({words})" if words else name

    return named


def _settings(one: Found) -> dict[str, str]:
    return one.identity("baseline", "").settings


def _with_folder(one: Found, name: str) -> str:
    path = one.net.path if isinstance(one, FoundNet) else Path(one.player.command)
    return f"{path.parent.name or one.sha256[:SHOWN_SHA]}/{one.name}"


def _with_sha(one: Found, name: str) -> str:
    return f"{one.name}@{one.sha256[:SHOWN_SHA]}"
