"""``nightly.toml``: what a night does, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from arena.config import MatchConfig
from swa.build_config import EmaStartName, RefreshName, RuleName

Entries = Literal["raw", "swa", "better"]
"""Who may meet the champion: the latest net itself, its average, or the better of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """One way to average the last snapshots; the fields are those of ``swa build``."""

    name: str = "swa"
    last: int = 10  # snapshots, the newest among them
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

    ``quick``, ``race`` and ``confirm`` are None where the stage is left out. Each stage has the
    settings of ``[match]`` and what its own table changes.
    """

    home: Path
    latest: str  # a folder, a glob or a series, as for ``swa latest``
    entries: Entries
    first_champion: Path | None
    seed: int
    on_decision: tuple[str, ...]  # a command and its arguments; none: no hook
    averages: tuple[Average, ...]
    build: BuildSettings
    sanity: SanitySettings
    racing: RaceSettings
    race: Mapping[str, Any]  # visits and so on; no test, as all pairs of a round are played
    quick: Mapping[str, Any] | None
    gate: Mapping[str, Any]
    confirm: Mapping[str, Any] | None

    def match(
        self, stage: Mapping[str, Any], nets: tuple[Path, Path], *, seed: int, start: int
    ) -> MatchConfig:
        """Return the match of a stage between two nets, the baseline first."""
        return MatchConfig(**{**stage, "nets": nets, "seed": seed, "start": start})
