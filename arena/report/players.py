"""How the players of a match are described: who they are, and under which settings they play."""

from __future__ import annotations

from arena.config import SearchParams
from arena.match_file import EngineIdentity, MatchIdentity, NetIdentity, PlayerIdentity
from arena.players import Limits
from arena.report.block import counted
from arena.report.characters import printable


def effort(identity: MatchIdentity, player: PlayerIdentity) -> str:
    """How long a player thinks: "100 visits", "values only", "5,000 nodes", "tc 10+0.1"."""
    words = []
    if isinstance(player, NetIdentity):
        words.append(effort_of_search(identity.search_of(player)))
    words += _limits(player.limits)
    return " or ".join(words)


def effort_of_search(search: SearchParams) -> str:
    """How long a net thinks that has no clock; in the value-only mode visits mean nothing."""
    return "values only" if search.mode == "value" else counted(search.visits, "visit")


def _limits(limits: Limits) -> list[str]:
    words = [counted(limits.nodes, "node")] if limits.nodes is not None else []
    if limits.depth is not None:
        words.append(f"depth {limits.depth}")
    if limits.st is not None:
        words.append(f"{limits.st:g} s")
    if limits.tc is not None:
        words.append(f"tc {limits.tc}")
    return words


def efforts(identity: MatchIdentity) -> str:
    """How long both think; where they differ the candidate's first, as names stand in headings."""
    baseline, candidate = (effort(identity, player) for player in identity.nets)
    return candidate if candidate == baseline else f"{candidate} vs {baseline}"


def own_settings(player: PlayerIdentity) -> str:
    """What a player does not share with the others, "visits=200 cpuct=2.0"; "" of a plain net."""
    return printable(" ".join(f"{key}={value}" for key, value in player.settings.items()))


def tags(identity: MatchIdentity, player: PlayerIdentity) -> dict[str, str]:
    """PGN headers of one side, without its colour: what it is, how it plays, its clock.

    cutechess writes WhiteTimeControl and BlackTimeControl where clocks differ, in the words of the
    standard's TimeControl (PGN standard, 9.6.1).
    """
    limits = player.limits
    values: dict[str, str] = {}
    if isinstance(player, NetIdentity):
        search = identity.search_of(player)
        values |= {"Mode": "value"} if search.mode == "value" else {"Visits": str(search.visits)}
    if isinstance(player, EngineIdentity):
        values["Engine"] = player.id
    if settings := own_settings(player):
        values["Settings"] = settings
    if limits.tc is not None:
        values["TimeControl"] = str(limits.tc)
    elif limits.st is not None:
        values["TimeControl"] = f"1/{limits.st:g}"
    return values
