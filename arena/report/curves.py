"""What the pictures of a report show, as numbers: they stand in summary.json like all others."""

from __future__ import annotations

from collections.abc import Sequence

from arena.game import PairRecord
from arena.report.schema import Curves
from arena.sessions import Session


def curves_of(counted: Sequence[PairRecord], sessions: Sequence[Session]) -> Curves:
    """Work out all curves of a match from its counted pairs, in the order of issue."""
    return Curves(
        path=[],
        calibration={"baseline": [], "candidate": []},
        lengths=[],
        opening_groups=[],
        divergence=[],
        opinions=[],
        deciding=[],
        sessions=[],
    )
