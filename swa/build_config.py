"""What ``swa build`` is to do: settings from a TOML file and from flags, each declared once.

Keys of the file are the names of the settings in kebab case, as flags are (``swa.settings``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from swa.licence import encoded_licence
from swa.settings import SettingsError, read_settings
from swa.spec import NetError

RuleName = Literal["mean", "ema", "lczero", "lawa", "soup"]
RefreshName = Literal["exact", "pooled", "mean-of-batches", "running-average", "averaged", "none"]
EncodingName = Literal["linear16", "float16", "bfloat16", "float32"]
EmaStartName = Literal["first", "unbiased", "warm-up"]

HELD_OUT = 0.1
"""Share of games that losses are measured on and that the refresh does not see."""


MAX_THREADS = 4096
"""More cores than any machine of today has; torch takes no number beyond 2^31."""


class BuildError(SettingsError):
    """A build that cannot be made: one to three lines for the user, what, why, what to do."""


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """The settings of a build. Raises BuildError where they cannot be."""

    nets: tuple[Path, ...]  # snapshots; for ema, lczero and lawa from the oldest to the newest
    data: tuple[Path, ...]  # training records: folders, .gz files, tars
    output: Path
    rule: RuleName = "mean"
    weights: tuple[float, ...] | None = None
    max_n: int | None = None
    decay: float | None = None
    scale: float | None = None
    ema_start: EmaStartName | None = None
    last: int | None = None
    eval_data: tuple[Path, ...] = ()  # held-out records; without, a share of the games of data
    held_out: float | None = None  # that share; 0: losses are measured on what the refresh saw
    positions: int | None = None  # for the refresh, at most
    eval_positions: int | None = None  # for losses, at most
    refresh: RefreshName = "exact"
    encoding: EncodingName | None = None  # None: each layer as it was in the newest net
    licence: str | None = None  # None: what the nets tell, where they agree
    device: str = "auto"
    threads: int | None = None  # None: all cores of this process
    work_dir: Path | None = None  # for the refresh's progress and what does not fit into memory
    force: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        _check(len(self.nets) > 0, "no nets to build from", "Give --nets.")
        _check(len(self.data) > 0, "no data to refresh batch norm on", "Give --data.")
        share = f"--held-out is from 0 to below 1, not {self.held_out}"
        _check(self.held_out is None or 0 <= self.held_out < 1, share)
        both = "--eval-data and --held-out are two ways to the same"
        _check(not self.eval_data or not self.held_out, both, "Give one of them.")
        for name in ("positions", "eval_positions", "threads"):
            number = getattr(self, name)
            flag = f"--{name.replace('_', '-')}"
            _check(number is None or number >= 1, f"{flag} is at least 1, not {number}")
        threads = f"--threads is at most {MAX_THREADS}, not {self.threads}"
        _check(self.threads is None or self.threads <= MAX_THREADS, threads)
        held_out = "a greedy soup chooses by loss on held-out data, and there is none"
        _check(self.rule != "soup" or self.has_held_out, held_out, "Give --eval-data.")
        if self.licence is not None:
            try:
                encoded_licence(self.licence)
            except NetError as error:
                raise BuildError(str(error)) from error
        if self.work_dir is not None:
            there = self.work_dir.is_dir()
            _check(there, f"{self.work_dir}: no such folder", "It is for --work-dir.")

    @property
    def share(self) -> float:
        """The share of games of ``data`` that is held out."""
        if self.eval_data:
            return 0.0
        return HELD_OUT if self.held_out is None else self.held_out

    @property
    def has_held_out(self) -> bool:
        """Whether losses are measured on positions that the refresh does not see."""
        return bool(self.eval_data) or self.share > 0

    @property
    def rule_settings(self) -> dict[str, Any]:
        """The settings that belong to rules, those that were not given being None."""
        names = ("weights", "max_n", "decay", "scale", "ema_start", "last")
        return {name: getattr(self, name) for name in names}

    @property
    def manifest(self) -> Path:
        """Where the manifest goes: beside the net."""
        return manifest_of(self.output)

    @property
    def progress(self) -> Path:
        """Where the refresh's progress is kept until the net is written."""
        return progress_of(self.output, self.work_dir)


def manifest_of(output: Path) -> Path:
    """The manifest beside a net: its name and ``.json``."""
    return output.with_name(f"{output.name}.json")


def progress_of(output: Path, work_dir: Path | None) -> Path:
    """Where a refresh keeps its progress: in ``work_dir`` if there is one, else beside the net."""
    return (work_dir or output.parent) / f".{output.name}.refresh.json"


_INSTEAD = {
    "eval_data": ("held_out",),
    "held_out": ("eval_data",),
    "decay": ("scale",),
    "scale": ("decay",),
    "rule": ("weights", "max_n", "decay", "scale", "ema_start", "last"),
}
"""Flags, and what they take the place of in a file."""


def make_config(given: Mapping[str, Any], file: Path | None = None) -> BuildConfig:
    """A configuration from what was given by name, and a TOML file for what was not.

    Raises BuildError for a file that cannot be read, unknown keys, values of the wrong kind, and
    settings that are missing or contradict each other.
    """
    try:
        values = read_settings(file, BuildConfig) if file is not None else {}
    except SettingsError as error:
        raise BuildError(str(error)) from error
    for one, others in _INSTEAD.items():
        if one in given:
            values = {name: value for name, value in values.items() if name not in others}
    values |= given
    for name, flag in (("nets", "--nets"), ("data", "--data"), ("output", "-o")):
        _check(name in values, f"{flag} is missing", "Give it, or a TOML file with it.")
    return BuildConfig(**values)


def _check(holds: bool, reason: str, remedy: str = "") -> None:
    if not holds:
        raise BuildError(f"{reason}\n{remedy}" if remedy else reason)
