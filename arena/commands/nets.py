"""NETs of command lines and configuration files that are no paths: ``latest:WHERE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from arena.config import MatchConfig
from arena.options import LINEUP, load_config
from arena.player_words import lone_net, words_of
from arena.players import Entrant, NetPlayer
from swa.net_names import parse_latest

NET_HELP = (
    "the net's file, or latest:DIR; of one with several heads others than vanilla and winner by "
    '"path=NET policy-head=NAME value-head=NAME"'
)

_FLAGS = ("--nets", "--net", "--engine")


def take_nets(words: Iterable[Path], *, quiet: bool = False) -> tuple[Path, ...]:
    """Return the paths of NETs; which one ``latest:`` stands for is said on stderr.

    Raises NetError where there is none (``swa.latest``).
    """
    words = tuple(words)
    if not any(parse_latest(word) for word in words):
        return words  # without the import
    from swa.latest import resolve_nets

    return resolve_nets(words, _note(quiet))


def take_net(word: Path, *, quiet: bool = False) -> Path:
    """Return the path of a NET where one is wanted; NetError for several."""
    if not parse_latest(word):
        return word
    from swa.latest import resolve_net

    return resolve_net(word, _note(quiet))


def take_player(word: str, *, quiet: bool = False) -> NetPlayer:
    """Return the net of a command that wants one: a path, ``latest:``, or either with heads.

    Raises ConfigError for settings that it cannot have, NetError where there is no latest net.
    """
    return newest(lone_net(word), quiet=quiet)


def newest(player: NetPlayer, *, quiet: bool = False) -> NetPlayer:
    """Return a player whose path is that of a file, whatever it was; NetError for several."""
    return replace(player, path=take_net(player.path, quiet=quiet))


def load_match(arguments: argparse.Namespace) -> tuple[MatchConfig, list[str]]:
    """Return the match that is asked for, and the command line that goes on with it.

    That one names the nets which were the latest now: later they will be others.
    """
    given = [path for flag, paths in _named(arguments) if flag == "--nets" for path in paths]
    if given:  # before there is a match, which is of two at least
        named = [
            (flag, list(take_nets(words, quiet=arguments.quiet)) if flag == "--nets" else words)
            for flag, words in _named(arguments)
        ]
        setattr(arguments, LINEUP, named)
        arguments.nets = next(nets for flag, nets in reversed(named) if flag == "--nets")
    config = load_config(MatchConfig, arguments)
    nets = take_nets(config.nets, quiet=arguments.quiet)
    players = tuple(_taken(player, quiet=arguments.quiet) for player in config.players)
    words = list(arguments.words)
    now = replace(config, nets=nets, players=players)
    if now != config or any(parse_latest(word) for word in given):
        words = _with_players(words, now)
    return now, ["arena", *words]


def _named(arguments: argparse.Namespace) -> list[tuple[str, list[Any]]]:
    return getattr(arguments, LINEUP, [])


def _taken(player: Entrant, *, quiet: bool) -> Entrant:
    return newest(player, quiet=quiet) if isinstance(player, NetPlayer) else player


def _with_players(words: Sequence[str], config: MatchConfig) -> list[str]:
    """A command line with this match's players instead of its own."""
    kept, of_players = [], False
    for word in words:
        flag = word.split("=")[0]
        of_players = flag in _FLAGS or (of_players and not word.startswith("-"))
        if not of_players:
            kept.append(word)
    if config.nets:
        return [*kept, "--nets", *map(str, config.nets)]
    return [*kept, *(word for player in config.players for word in words_of(player))]


def _note(quiet: bool) -> Callable[[str], None]:
    def note(line: str) -> None:
        if not quiet:
            sys.stderr.write(f"{line}\n")

    return note
