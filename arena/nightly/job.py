"""What every step of a call of ``arena nightly`` needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arena.nightly.settings import NightlySettings
from arena.registry.home import Home
from arena.registry.records import NetRecord
from arena.registry.store import Registry

if TYPE_CHECKING:
    from arena.nightly.playing import PlayMatch

Tell = Callable[[str], None]
"""Takes single lines about what is going on."""


@dataclass(frozen=True, slots=True)
class Job:
    """A nightly job at work: its settings, its locked home, what plays and who is told."""

    settings: NightlySettings
    home: Home
    registry: Registry
    play: PlayMatch
    tell: Tell

    def net(self, sha256: str) -> NetRecord:
        """Return a net that a row of the registry refers to."""
        record = self.registry.net(sha256)
        assert record is not None  # a foreign key
        return record

    @property
    def champion(self) -> NetRecord:
        """The champion, once a first one has been crowned."""
        reign = self.registry.champion()
        assert reign is not None
        return self.net(reign.sha256)
