"""NETs of command lines and configuration files that are no paths: ``latest:WHERE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from arena.config import MatchConfig
from arena.options import load_config
from swa.net_names import parse_latest


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


def load_match(arguments: argparse.Namespace) -> tuple[MatchConfig, list[str]]:
    """Return the match that is asked for, and the command line that goes on with it.

    That one names the nets which were the latest now: later they will be others.
    """
    given = getattr(arguments, "nets", None)
    if given is not None:  # before there is a match, which is of two at least
        arguments.nets = list(take_nets(given, quiet=arguments.quiet))
    config = load_config(MatchConfig, arguments)
    nets = take_nets(config.nets, quiet=arguments.quiet)
    words = list(arguments.words)
    if nets != config.nets or any(parse_latest(word) for word in given or ()):
        config, words = replace(config, nets=nets), _with_nets(words, nets)
    return config, ["arena", *words]


def _with_nets(words: Sequence[str], nets: Sequence[Path]) -> list[str]:
    """A command line with these nets instead of its own."""
    kept, of_nets = [], False
    for word in words:
        of_nets = word.split("=")[0] == "--nets" or (of_nets and not word.startswith("-"))
        if not of_nets:
            kept.append(word)
    return [*kept, "--nets", *map(str, nets)]


def _note(quiet: bool) -> Callable[[str], None]:
    def note(line: str) -> None:
        if not quiet:
            sys.stderr.write(f"{line}\n")

    return note
