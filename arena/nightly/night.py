"""One call of ``arena nightly``: what is due is done, from wherever the last call came to an end.

A night is remembered in the registry from the moment there is something to judge until there is a
decision; what its stages found stands in their run folders. So after a call that was killed there
is nothing to repair but a promotion that had not reached the champion's file
(``arena.registry.champion``): the next call reads what is there and goes on.

Whatever takes time to import is imported where there is something to judge: most calls find nothing
new, and end at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arena.nightly.candidates import Newest, newest
from arena.nightly.job import Job, Tell
from arena.nightly.reading import frozen_text
from arena.nightly.settings import NightlySettings
from arena.registry.champion import change_champion, check_champion, settle_champion
from arena.registry.home import Home, lock
from arena.registry.keeping import keep
from arena.registry.records import DecisionRecord, NetRecord, NightRecord
from arena.registry.store import Registry
from arena.sessions import now
from swa.files import sync_folder, write_whole

if TYPE_CHECKING:
    from arena.nightly.playing import PlayMatch

SETTINGS_FILE = "night.toml"
"""In a night's folder: all that decides the night."""


class NightError(Exception):
    """A night that cannot begin or go on: what, why, what to do."""


@dataclass(frozen=True, slots=True)
class NightOutcome:
    """What a call has come to."""

    decision: DecisionRecord | None  # None: there was nothing new to judge
    nothing: str | None  # why, then
    folder: Path | None  # of the night
    champion: NetRecord  # now


def run_night(
    settings: NightlySettings,
    play: PlayMatch,
    tell: Tell,
    *,
    wait: float | None = 0.0,
    abandon: bool = False,
    again: bool = False,
) -> NightOutcome:
    """Do what is due: end what was interrupted, then judge the newest net.

    ``play`` plays a match in a folder; ``tell`` takes single lines about what is going on.
    ``wait``: seconds to wait for another call that is at work, None for as long as it takes.
    ``abandon``: give up the night that is open, if one is. ``again``: judge the newest net even if
    it was judged before.

    Raises BusyError where another call is at work, RegistryError, ChampionError, NightError, and
    whatever building and playing raise, KeyboardInterrupt too: the night then stays open, and the
    next call goes on with it.
    """
    home = Home(settings.home)
    with lock(home, wait), Registry.open(home.registry, create=True) as registry:
        job = Job(settings, home, registry, play, tell)
        return _Call(job).run(abandon=abandon, again=again)


class _Call:
    """One call, step by step."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._settings, self._home, self._registry = job.settings, job.home, job.registry
        self._tell = job.tell

    def run(self, *, abandon: bool, again: bool) -> NightOutcome:
        self._compare_clocks()
        self._crown_the_first()
        settle_champion(self._home, self._registry)
        check_champion(self._home, self._registry)
        self._publish_what_is_due()
        night = self._open_night(abandon=abandon)
        if night is None:
            found = self._newest()
            reason = why_nothing(self._registry, found, again=again)
            if reason is not None:
                self._registry.note_file(str(found.path), found.size, found.mtime_ns, found.sha256)
                return NightOutcome(None, reason, None, self._job.champion)
            night = self._begin(found)
        return self._judge(night)

    # --- what the last call has left ---

    def _compare_clocks(self) -> None:
        """Say it where the clock is behind what was noted; the order of events does not need it."""
        night = self._registry.last_night()
        last = None if night is None else night.ended or night.began
        if last is not None and now() < last:
            self._tell(
                f"note: the clock says {now()}, the registry has something of {last}: times that "
                "are noted now may seem out of order"
            )

    def _crown_the_first(self) -> None:
        """Make the net that was named champion where there has never been one."""
        if self._registry.reigns():
            return
        first = self._settings.first_champion
        if first is None:
            raise NightError(
                f"{self._home.root}: there is no champion yet\n"
                "Name the net that has to be beaten first: first-champion = NET."
            )
        record = keep(self._home, first, "given")
        self._registry.add_net(record)
        change_champion(self._home, self._registry, record.sha256, "first")
        self._registry.backup(self._home.backup)
        self._tell(f"{record.name} is the first champion")

    def _publish_what_is_due(self) -> None:
        """Write reports and run hooks of decisions whose call did not get so far."""
        due = self._registry.due()
        if due:
            from arena.nightly.publication import publish
        for decision in due:
            self._tell(f"night {decision.night}: publishing its decision, which was interrupted")
            publish(decision, self._job)

    # --- what there is to judge ---

    def _newest(self) -> Newest:
        found = newest(self._settings, self._registry.noted_file)
        for line in found.passed_over:
            self._tell(f"passed over {line}")
        return found

    def _open_night(self, *, abandon: bool) -> NightRecord | None:
        """Return the night to go on with; one that cannot be is abandoned, saying why."""
        night = self._registry.open_night()
        if night is None:
            return None
        reason = None
        if abandon:
            reason = "it was asked for"
        elif night.settings != frozen_text(self._settings):
            reason = "the settings have changed since it began"
        elif night.champion != self._job.champion.sha256:
            reason = "there is another champion since it began"
        elif not self._has_played(night) and self._newest().sha256 != night.latest:
            reason = "there is a newer net, and no game had been played"
        if reason is None:
            self._tell(f"going on with night {night.number}")
            return night
        self._registry.abandon_night(night.number, reason)
        self._tell(f"night {night.number} is abandoned: {reason}")
        return None

    def _has_played(self, night: NightRecord) -> bool:
        """Whether a pair of a night was finished; the registry knows of whole stages alone."""
        from arena.ledger import GAMES_FILE

        ledgers = (self._home.root / night.folder).rglob(GAMES_FILE)
        return bool(self._registry.matches(night.number)) or any(
            ledger.stat().st_size for ledger in ledgers
        )

    def _begin(self, found: Newest) -> NightRecord:
        record = keep(self._home, found.path, "raw")
        if record.sha256 != found.sha256:
            raise NightError(
                f"{found.path}: has changed while it was read\nThe same command tries it again."
            )
        self._registry.add_net(record)
        self._registry.found_net(record.sha256, record.source)  # the snapshots before it are there
        night = self._registry.begin_night(
            latest=record.sha256,
            champion=self._job.champion.sha256,
            settings=frozen_text(self._settings),
            name=record.name,
        )
        self._tell(f"night {night.number}: {record.name} against {self._job.champion.name}")
        return night

    # --- the night ---

    def _judge(self, night: NightRecord) -> NightOutcome:
        from arena.nightly.judging import judge
        from arena.nightly.publication import publish

        folder = self._home.root / night.folder
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        write_whole(folder / SETTINGS_FILE, night.settings.encode())
        decision = judge(night, self._job)
        self._registry.decide(decision)
        settle_champion(self._home, self._registry)
        publish(decision, self._job)
        return NightOutcome(decision, None, folder, self._job.champion)


def why_nothing(registry: Registry, found: Newest, *, again: bool = False) -> str | None:
    """Say why the newest net is nothing to judge; None where it is. ``again``: once more."""
    judged = registry.judged(found.sha256)
    if judged is not None and not again:
        return f"{found.path.name} was judged in night {judged.night}: {judged.verdict}"
    reign = registry.champion()
    if reign is not None and found.sha256 == reign.sha256:
        return f"{found.path.name} is the champion"
    return None


def night_seed(seed: int, night: int) -> int:
    """Return the seed of all matches of a night: another one each night, in [0, 2^53).

    So many every reader of JSON can tell apart.
    """
    digest = hashlib.sha256(f"night {night} of {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11
