"""Who may meet the champion tonight: the newest net and its averages, as far as they are fit to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from arena.nightly.candidates import RAW, Entry, Refusal, build_averages
from arena.nightly.job import Job, Tell
from arena.nightly.sanity import SanityRecord, check_sanity
from arena.registry.keeping import keep
from arena.registry.records import NightRecord

if TYPE_CHECKING:
    from swa.build import Notify, Step

SANITY_FILE = "sanity.json"
"""In a night's folder, once all entries were looked at."""


@dataclass(frozen=True, slots=True)
class Field:
    """The entries that may play, why the others may not, and what was measured of all."""

    entries: tuple[Entry, ...]  # their files are the kept copies
    refused: tuple[Refusal, ...]
    sanity: tuple[SanityRecord, ...]


def prepare_field(night: NightRecord, job: Job) -> Field:
    """Build the averages that are asked for, keep a copy of each entry, and look at them all.

    What an earlier call of the night has built or found is not done again. Raises what building and
    reading nets and data raise.
    """
    settings, home, tell = job.settings, job.home, job.tell
    latest, champion = job.net(night.latest), job.net(night.champion)
    kept, folder = home.root / latest.file, home.root / night.folder
    entries: list[Entry] = []
    refused: list[Refusal] = []
    if settings.entries != "swa":
        entries.append(Entry(RAW, kept, "raw", latest.sha256))
    if settings.entries != "raw":
        source = Path(latest.source)
        for built in build_averages(settings, source, folder, _steps(tell), kept=kept):
            if isinstance(built, Refusal):
                refused.append(built)
                tell(f"{built.name} is refused: {built.reason}")
            else:
                record = keep(home, built.path, "average")
                job.registry.add_net(record)
                entries.append(replace(built, path=home.root / record.file))
    sanity = check_sanity(
        entries, home.root / champion.file, settings, record=folder / SANITY_FILE, notify=tell
    )
    for found in sanity:
        if not found.passed:
            refused.append(Refusal(found.name, "; ".join(found.reasons), found.numbers))
            tell(f"{found.name} may not play: {'; '.join(found.reasons)}")
    fit = {found.name for found in sanity if found.passed}
    return Field(
        tuple(entry for entry in entries if entry.name in fit), tuple(refused), tuple(sanity)
    )


def _steps(tell: Tell) -> Notify:
    """Tell what a build is at when that changes, not how far it is."""
    said = ""

    def notify(step: Step) -> None:
        nonlocal said
        what = step.what.partition(", layer")[0]
        if what != said:
            said = what
            tell(what)

    return notify
