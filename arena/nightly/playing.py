"""How the stages of a night have their matches played."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from arena.config import MatchConfig
from arena.match import Ending


class PlayMatch(Protocol):
    """Plays a match in a run folder, or goes on with it: ``arena.run.play``, or a script."""

    def __call__(self, match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        """Return why no further pair was played; ``report``: whether its reports are written.

        Raises what ``arena.run.play`` raises. A Ctrl-C while games are played is an Ending.
        """
