"""``--dry-run``: what a call would do, without a byte written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from arena.nightly.candidates import newest
from arena.nightly.night import why_nothing
from arena.nightly.reading import frozen_text
from arena.nightly.settings import NightlySettings
from arena.registry.home import Home
from arena.registry.store import Registry
from arena.stats.outcomes import BayesElo
from arena.stats.plan import operating_characteristic
from arena.stats.sprt import Sprt

DRAW_RATE = 0.5
"""Of games, that costs are told for; ``arena plan`` knows of others."""


def rehearse(settings: NightlySettings) -> Iterator[str]:
    """Yield what a call would do, line by line."""
    home = Home(settings.home)
    if not home.registry.exists():
        first = settings.first_champion
        yield f"{home.root}: a new home" + (f"; {first} becomes champion" if first else "")
        found = newest(settings, lambda *_: None)
        yield f"newest net: {found.path}"
    else:
        with Registry.open(home.registry) as registry:
            reign = registry.pending() or registry.champion()
            champion = registry.net(reign.sha256) if reign else None
            yield f"champion: {champion.name if champion else 'none yet'}"
            found = newest(settings, registry.noted_file)
            yield f"newest net: {found.path}"
            open_night = registry.open_night()
            if open_night is not None and open_night.settings == frozen_text(settings):
                yield f"night {open_night.number} goes on"
            else:
                reason = why_nothing(registry, found)
                if reason is not None:
                    yield f"nothing to do: {reason}"
                    return
    yield from _stages(settings)


def _stages(settings: NightlySettings) -> Iterator[str]:
    names = [average.name for average in settings.averages]
    match settings.entries:
        case "raw":
            yield "entry: the newest net itself"
        case "swa":
            yield f"entries: averages {', '.join(names)}"
        case _:
            yield f"entries: the newest net itself, and averages {', '.join(names)}"
    if len(names) + (settings.entries == "better") > 1 and settings.entries != "raw":
        yield (
            f"race: rounds of {settings.racing.round} pairs of each two, at most "
            f"{settings.racing.pairs}; the best is dropped with a chance of at most "
            f"{settings.racing.error:g}"
        )
    if settings.quick is not None:
        yield f"quick stage: {_match(settings.quick)}"
    yield f"gate: {_match(settings.gate)}"
    if settings.confirm is not None:
        yield f"confirmation: {settings.confirm['pairs']:,} pairs"
