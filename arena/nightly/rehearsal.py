"""``--dry-run``: what a call would do, without a byte written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from arena.config import SearchParams
from arena.match import sprt_of
from arena.nightly.candidates import newest
from arena.nightly.night import why_nothing
from arena.nightly.reading import frozen_text
from arena.nightly.settings import NightlySettings
from arena.registry.home import Home
from arena.registry.store import Registry
from arena.report.verdict import sprt_name
from arena.stats.outcomes import BayesElo
from arena.stats.plan import operating_characteristic

DRAW_RATE = 0.5
"""Of games, that costs are told for; ``arena plan`` knows of others."""


def rehearse(settings: NightlySettings, *, again: bool = False) -> Iterator[str]:
    """Yield what a call would do, line by line; ``again`` as in ``run_night``."""
    home, frozen = Home(settings.home), frozen_text(settings)
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
            if open_night is not None and open_night.settings == frozen:
                yield f"night {open_night.number} goes on"
            else:
                reason = why_nothing(registry, found, again=again)
                if reason is not None:
                    yield f"nothing to do: {reason}"
                    return
    yield from _stages(settings)


def _stages(settings: NightlySettings) -> Iterator[str]:
    averages = ", ".join(average.name for average in settings.averages)
    match settings.entries:
        case "raw":
            yield "entry: the newest net itself"
        case "swa":
            yield f"entries: {averages}"
        case _:
            yield f"entries: the newest net itself, {averages}"
    for name, stage in settings.stages.items():
        if name == "race":
            yield (
                f"race: rounds of {settings.racing.round:,} pairs of each two, at most "
                f"{settings.racing.pairs:,}; the best is dropped with a chance of at most "
                f"{settings.racing.error:g}"
            )
        elif name == "confirm":
            yield f"confirm: {stage['pairs']:,} pairs, {_visits(stage)}"
        else:
            yield f"{name}: {_cost(settings, stage)}, {_visits(stage)}"


def _cost(settings: NightlySettings, stage: Mapping[str, Any]) -> str:
    """Say what a test is and takes; any two nets will do, as none is opened."""
    config = settings.match(stage, (Path("a"), Path("b")), seed=0, start=1)
    sprt = sprt_of(config)
    assert sprt is not None  # the settings refuse such a stage without a test
    rows = operating_characteristic(sprt, BayesElo(DRAW_RATE, 0.0), config.pairs)
    pairs = ", ".join(f"{row.pairs:,.0f}" for row in rows)
    return (
        f"{sprt_name(sprt)}, at most {config.pairs:,} pairs; {pairs} on average for a net at the "
        f"lower bound, between, at the upper (half of the games drawn)"
    )


def _visits(stage: Mapping[str, Any]) -> str:
    visits = stage.get("visits", SearchParams().visits)
    return f"{visits:,} {'visit' if visits == 1 else 'visits'}"
