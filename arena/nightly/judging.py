"""A night from its newest net to a decision: entries, race, quick stage, gate, confirmation.

What selects never decides: the stages take disjoint slices of one shuffled book, no pair is counted
in two of them, and only the gate can promote. Each stage's run folder is all that is remembered of
it; one that is settled is read and not played again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arena.ledger import GAMES_FILE
from arena.match import Ending, sprt_of
from arena.match_file import MATCH_FILE
from arena.nightly.decision import Conclusion, StageResult, conclude, refused
from arena.nightly.document import decision_document, match_figures, race_figures
from arena.nightly.field import Field, prepare_field
from arena.nightly.job import Job
from arena.nightly.night import NightError, night_seed
from arena.nightly.race import race, report_race
from arena.nightly.slices import check_slices
from arena.registry.records import DecisionRecord, MatchRecord, NetRecord, NightRecord, Stage
from arena.report.folder import write_reports
from arena.report.run import Run, read_run
from arena.sessions import now
from arena.stats.verdict import Verdict


def judge(night: NightRecord, job: Job) -> DecisionRecord:
    """Return what a night comes to; it is not yet written anywhere. Errors: ``run_night``."""
    return _Judge(night, job).decision()


class _Judge:
    """One night, stage by stage."""

    def __init__(self, night: NightRecord, job: Job) -> None:
        self._night, self._job = night, job
        self._settings, self._home, self._registry = job.settings, job.home, job.registry
        self._tell = job.tell
        self._folder = job.home.root / night.folder
        self._seed = night_seed(job.settings.seed, night.number)
        self._figures: dict[str, Mapping[str, Any]] = {}

    def decision(self) -> DecisionRecord:
        """Play what is to be played, and conclude."""
        check_slices(self._settings, self._seed)
        champion = self._job.net(self._night.champion)
        field = prepare_field(self._night, self._job)
        candidate = self._choose(field) if field.entries else None
        if candidate is None:
            conclusion = refused([f"{one.name}: {one.reason}" for one in field.refused])
        elif doubts := self._figures.get("race", {}).get("doubts"):
            reason = f"the race cannot be trusted: {'; '.join(doubts)}"
            conclusion = Conclusion(Verdict.UNDECIDED, reason)
        elif self._same(candidate, champion):
            reason = f"{candidate.name} is the same net as the champion, {champion.name}"
            conclusion = Conclusion(Verdict.KEEP, reason)
        else:
            conclusion = self._meet(candidate, champion)
        decided = now()
        document = decision_document(
            self._night,
            conclusion,
            field,
            candidate,
            champion,
            self._job.net,
            self._figures,
            decided,
        )
        return DecisionRecord(
            night=self._night.number,
            verdict=conclusion.verdict,
            candidate=candidate.sha256 if candidate else None,
            champion=champion.sha256,
            reason=conclusion.reason,
            document=document,
            decided=decided,
            hook="due",
        )

    # --- stages ---

    def _choose(self, field: Field) -> NetRecord:
        """Return who is to meet the champion: the only entry, or who wins the race."""
        if len(field.entries) == 1:
            return self._job.net(field.entries[0].sha256)
        self._tell(f"race of {len(field.entries)}: {', '.join(e.name for e in field.entries)}")
        folder = self._folder / "race"
        outcome = race(
            field.entries,
            self._settings,
            self._job.play,
            folder,
            seed=self._seed,
            start=self._start("race"),
        )
        sha256 = {entry.name: entry.sha256 for entry in field.entries}
        for meeting in outcome.meetings:
            run = read_run(meeting.folder)
            self._require_nets(run, sha256[meeting.baseline], sha256[meeting.candidate])
            self._record("race", run)
        try:
            report_race(folder, outcome)
        except Exception as error:  # a fault in a picture, say, must not hold up the night
            self._tell(f"note: the race's report is not whole: {error}")
        self._figures["race"] = race_figures(outcome, self._home)
        self._tell(f"{outcome.winner} goes on, after {outcome.pairs:,} pairs")
        return self._job.net(sha256[outcome.winner])

    def _meet(self, candidate: NetRecord, champion: NetRecord) -> Conclusion:
        """Let the candidate play the champion in all stages that it comes to."""
        both = champion, candidate
        settings = self._settings
        quick = gate = confirm = None
        elo0, model = settings.gate_bound
        if settings.quick is not None:
            quick = StageResult.of(self._stage("quick", settings.quick, both))
        if quick is None or not (quick.doubts or quick.verdict is Verdict.KEEP):
            gate = StageResult.of(self._stage("gate", settings.gate, both))
            if settings.confirm is not None and gate.promotes:
                confirmed = self._stage("confirm", settings.confirm, both)
                confirm = StageResult.of(confirmed, model)
        return conclude(
            candidate.name,
            champion.name,
            elo0=elo0,
            quick=quick,
            gate=gate,
            confirm=confirm,
        )

    def _stage(
        self, stage: Stage, match: Mapping[str, Any], nets: tuple[NetRecord, NetRecord]
    ) -> Run:
        """Play a stage to its end, or read it if it has come to that."""
        folder = self._folder / stage
        paths = self._home.root / nets[0].file, self._home.root / nets[1].file
        config = self._settings.match(match, paths, seed=self._seed, start=self._start(stage))
        run = self._finished(stage)
        if run is None:
            self._tell(f"{stage} stage: {nets[1].name} against {nets[0].name}")
            whole = stage in ("gate", "confirm")
            ending = self._job.play(config, folder, whole)
            if ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt
            run = read_run(folder)
            if ending is Ending.FAULTS and not run.judgement.settled:
                raise NightError(
                    f"{folder}: too many pairs are void, so the night cannot go on\n"
                    "Its faults.jsonl says what happened; the same command goes on."
                )
            if not whole:
                write_reports(folder, ("json",))
        self._require_nets(run, *(net.sha256 for net in nets))
        found, wanted = run.identity, (sprt_of(config), config.pairs, config.seed, config.search)
        if (found.sprt, found.pairs, found.seed, found.search) != wanted:
            raise self._another(run, "was played by other settings")
        self._record(stage, run)
        self._figures[stage] = match_figures(run, self._home)
        return run

    def _finished(self, stage: Stage) -> Run | None:
        """Return a stage's run if it has come to its end.

        Raises NightError where the registry knows the stage and its folder is gone: what it had
        found would be played again, and might come out otherwise.
        """
        folder = self._folder / stage
        known = any(
            match.stage == stage and match.state != "unfinished"
            for match in self._registry.matches(self._night.number)
        )
        if not (folder / MATCH_FILE).exists():
            if known:
                raise NightError(
                    f"{folder}: is gone, and with it the games that night {self._night.number} "
                    "rests on\nBring it back, or begin the night anew: arena nightly CONFIG.toml "
                    "--abandon."
                )
            return None
        if not (folder / GAMES_FILE).exists():
            return None
        run = read_run(folder)
        return run if run.judgement.settled else None

    def _require_nets(self, run: Run, *wanted: str) -> None:
        """Raise NightError where a match that was found is not that of these nets, by sha256.

        One that is played is refused by its run folder; one that is settled is only read.
        """
        if tuple(player.sha256 for player in run.identity.nets) != wanted:
            raise self._another(run, "is a match of other nets")

    def _another(self, run: Run, why: str) -> NightError:
        return NightError(
            f"{run.folder}: {why} than night {self._night.number} is about, so it decides nothing\n"
            "Bring the right folder back, or begin the night anew: arena nightly CONFIG.toml "
            "--abandon."
        )

    def _start(self, stage: Stage) -> int:
        """Return the number of a stage's first opening, from 1."""
        return self._settings.starts[stage]

    def _record(self, stage: Stage, run: Run) -> None:
        baseline, candidate = run.identity.nets
        self._registry.record_match(
            MatchRecord(
                folder=self._home.relative(run.folder),
                night=self._night.number,
                stage=stage,
                baseline=baseline.sha256,
                candidate=candidate.sha256,
                counts=run.judgement.counts,
                verdict=Verdict.UNDECIDED if run.doubts else run.judgement.verdict,
                state=run.state,
                finished=run.sessions[-1].ended if run.sessions else None,
            )
        )

    def _same(self, one: NetRecord, other: NetRecord) -> bool:
        """Whether two files hold one net, which cannot play itself."""
        if one.sha256 == other.sha256:
            return True
        from swa.net import load_net, same_weights

        return same_weights(*(load_net(self._home.root / net.file) for net in (one, other)))
