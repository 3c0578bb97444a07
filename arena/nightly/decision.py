"""What a night comes to, by what its stages found: nothing is promoted on doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from arena.report.run import Run
from arena.stats.elo import logistic_elo, normalized_elo
from arena.stats.sprt import EloModel
from arena.stats.verdict import Verdict


class Conclusion(NamedTuple):
    """A night's verdict, and in one sentence why."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage's match says of the candidate against the champion."""

    verdict: Verdict
    settled: bool = True
    doubts: tuple[str, ...] = ()
    upper: float | None = None  # of the 95 % interval in the Elo that the gate's bounds are in

    @property
    def promotes(self) -> bool:
        """Whether the test has accepted the candidate, and nothing speaks against that."""
        return self.verdict is Verdict.PROMOTE and self.settled and not self.doubts

    @classmethod
    def of(cls, run: Run, model: EloModel = EloModel.NORMALIZED) -> StageResult:
        """Take what matters from a run; ``model`` is that of the gate's bounds."""
        counts = run.judgement.counts
        estimate = (normalized_elo if model is EloModel.NORMALIZED else logistic_elo)(counts)
        return cls(run.judgement.verdict, run.judgement.settled, tuple(run.doubts), estimate.high)


def refused(reasons: list[str]) -> Conclusion:
    """Conclude where no net was fit to play."""
    return Conclusion(Verdict.KEEP, f"no net was fit to play: {'; '.join(reasons)}")


def conclude(
    candidate: str,
    champion: str,
    *,
    elo0: float,
    quick: StageResult | None,
    gate: StageResult | None,
    confirm: StageResult | None,
) -> Conclusion:
    """Return the verdict of a night in which a candidate met the champion.

    ``elo0``: the gate's lower bound. ``gate`` is None where the quick stage dropped the candidate,
    ``confirm`` where none was played.
    """
    for name, stage in (("quick", quick), ("gate", gate), ("confirm", confirm)):
        if stage is not None and stage.doubts:
            return Conclusion(
                Verdict.UNDECIDED, f"the {name} stage cannot be trusted: {'; '.join(stage.doubts)}"
            )
    if gate is None:
        return Conclusion(Verdict.KEEP, f"{candidate} was dropped by the quick stage")
    if gate.verdict is Verdict.UNDECIDED or not gate.settled:
        return Conclusion(
            Verdict.UNDECIDED, "the gate reached its limit of pairs before it was decided"
        )
    if gate.verdict is Verdict.KEEP:
        return Conclusion(Verdict.KEEP, f"{candidate} did not pass the gate against {champion}")
    if confirm is not None and confirm.upper is not None and confirm.upper < elo0:
        return Conclusion(
            Verdict.UNDECIDED,
            f"{candidate} passed the gate, and the confirmation contradicts it: at most "
            f"{confirm.upper:+.1f} in the Elo of the gate's bounds",
        )
    return Conclusion(Verdict.PROMOTE, f"{candidate} passed the gate against {champion}")
