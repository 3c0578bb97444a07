"""``nightly.toml``: what a night does, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from arena.config import MatchConfig
from arena.options import match_of
from swa.build_config import BuildConfig, EmaStartName, RefreshName, RuleName

if TYPE_CHECKING:
    from arena.stats.sprt import EloModel

Entries = Literal["raw", "swa", "better"]
"""Who may meet the champion: the latest net itself, its average, or the better of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """One way to average the last snapshots; the fields are those of ``swa build``."""

    name: str = "swa"
    last: int = 10  # snapshots at most, the newest among them
    rule: RuleName = "mean"
    max_n: int | None = None
    decay: float | None = None
    scale: float | None = None
    ema_start: EmaStartName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """Of all averages: what batch norm is refreshed on, and losses are measured on."""

    data: tuple[Path, ...] = ()
    eval_data: tuple[Path, ...] = ()
    held_out: float | None = None
    positions: int | None = None
    eval_positions: int | None = None
    refresh: RefreshName = "exact"
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SanitySettings:
    """What a net must pass before it plays."""

    excess_loss: float = 0.5  # nats that the held-out loss may be above the champion's


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceSettings:
    """The choice among several entries, by matches of all against all in rounds."""

    error: float = 0.1  # chance that the best of them is dropped
    round: int = 50  # pairs of each two between two looks
    pairs: int = 300  # of each two, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class NightlySettings:
    """Everything a night needs. Stages are ``MatchConfig``'s settings by name, without the nets.

    Those of the search are among them. ``quick`` and ``confirm`` are None where the stage is left
    out. Each stage has the settings of ``[match]`` and what its own table changes; ``pairs`` is
    always there.
    """

    home: Path
    latest: str  # a folder, a glob or a series, as for ``swa latest``
    entries: Entries
    first_champion: Path | None
    seed: int
    on_decision: tuple[str, ...]  # a command and its arguments; none: no hook
    averages: tuple[Average, ...]  # none where entries are raw
    build: BuildSettings
    sanity: SanitySettings
    racing: RaceSettings
    race: Mapping[str, Any]  # visits and so on; no test, as all pairs of a round are played
    quick: Mapping[str, Any] | None
    gate: Mapping[str, Any]
    confirm: Mapping[str, Any] | None  # no test: all its pairs are played
    starts: Mapping[str, int] = field(default_factory=dict)
    """Of each stage that may be played: the number of its first opening, in the order of the
    night's seed. The stages' slices of the book do not overlap: what selects never decides."""

    @property
    def stages(self) -> dict[str, Mapping[str, Any]]:
        """The stages that may be played, in their order, by name."""
        of_entries = len(self.averages) + (self.entries != "swa")
        found = {"race": self.race if of_entries > 1 else None, "quick": self.quick}
        found |= {"gate": self.gate, "confirm": self.confirm}
        return {name: stage for name, stage in found.items() if stage is not None}

    @property
    def gate_bound(self) -> tuple[float, EloModel]:
        """ELO0 of the gate's test, and which Elo it is in."""
        from arena.match import sprt_of  # with all that plays

        gate = self.match(self.gate, (Path("a"), Path("b")), seed=self.seed, start=1)
        test = sprt_of(gate)
        assert test is not None  # the reader refuses a gate without
        return test.elo0, test.model

    def match(
        self, stage: Mapping[str, Any], nets: tuple[Path, Path], *, seed: int, start: int
    ) -> MatchConfig:
        """Return the match of a stage between two nets, the baseline first."""
        return match_of({**stage, "nets": nets, "seed": seed, "start": start})

    def build_config(self, average: Average, nets: Sequence[Path], output: Path) -> BuildConfig:
        """Return the build of an average of ``nets``, which go from the oldest to the newest.

        Raises BuildError where settings contradict each other.
        """
        build = self.build
        return BuildConfig(
            nets=tuple(nets),
            data=build.data,
            output=output,
            rule=average.rule,
            max_n=average.max_n,
            decay=average.decay,
            scale=average.scale,
            ema_start=average.ema_start,
            last=average.last if average.rule == "lawa" else None,
            eval_data=build.eval_data,
            held_out=build.held_out,
            positions=build.positions,
            eval_positions=build.eval_positions,
            refresh=build.refresh,
            device=build.device,
            threads=build.threads,
            overwrite=True,
        )
