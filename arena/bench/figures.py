"""What is measured and what comes of it, as frozen values: the JSON document of ``arena bench``.

A speed without its size says nothing, and on a shared machine neither does one measurement. So
every figure stands beside the size it was measured at, and is the median of several equal slices,
given with their range.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

What = Literal["evaluator", "start", "refresh", "search", "device", "match"]
EVERYTHING: tuple[What, ...] = ("evaluator", "start", "refresh", "search", "device", "match")

Range = tuple[float, float]
"""The least and the greatest of several measurements."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: in each benchmark ``slices`` of so many seconds.

    ``prelude`` games are played through beforehand, for others to begin somewhere within. Batches
    with more ``work`` (``evaluators.work_of``) are left out, and ``refresh`` is of so many
    positions, if there is room. A start from the cache is timed ``starts`` times, after one that
    ``compiles``.
    """

    prelude: int
    slices: int
    evaluator: float
    search: float
    device: float
    match: float
    refresh: int = 20_000
    work: float = math.inf
    starts: int = 3
    compiles: bool = True


THOROUGH = Effort(prelude=64, slices=5, evaluator=0.5, search=4.0, device=2.0, match=8.0)
QUICK = Effort(
    prelude=16,
    slices=5,
    evaluator=0.02,
    search=0.3,
    device=0.2,
    match=0.35,
    refresh=400,
    work=7e6,
    starts=1,
    compiles=False,
)
"""For a result within 40 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """What to measure, and how long."""

    what: tuple[What, ...] = EVERYTHING
    nets: tuple[Path, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ((64, 100), (256, 800))  # games, visits; of search alone
    batches: tuple[int, ...] = (1, 16, 64, 256)  # positions; of the evaluators
    parallel: int = 64  # games in flight of the match
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    effort: Effort = THOROUGH


class Spread(NamedTuple):
    """Several measurements of one thing."""

    median: float
    range: Range

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise at least one measurement."""
        return cls(statistics.median(values), (min(values), max(values)))


@dataclass(frozen=True, slots=True)
class EvaluatorSpeed:
    """Evaluations/s of one caller: by an evaluator, and by a bare forward pass of the same net."""

    name: str  # "winograd", "torch", "onnxruntime"
    net: str
    architecture: str  # "6x64 SE 8 relu, convolution policy, wdl value"
    device: str
    batch: int
    threads: int
    per_second: float
    torch_per_second: float  # channels last, batch norm folded, planes as floats, one thread
    ratio_to_torch: float
    ratio_range: Range
    ratio_to_one_core: float | None = None  # only where several threads compute
    ratio_to_one_core_range: Range | None = None


@dataclass(frozen=True, slots=True)
class StartSpeed:
    """How soon winograd has evaluated a first position, in a process of its own, and its memory."""

    net: str
    architecture: str
    batch: int  # positions that it evaluates then
    threads: int
    compile_seconds: float | None  # with nothing in the cache; None: not measured
    cached_seconds: float
    cached_range: Range
    peak_bytes: int  # of the whole process, that reads the cache; no torch is in it


@dataclass(frozen=True, slots=True)
class RefreshSpeed:
    """The exact refresh of a net's batch norms against a forward pass on the same positions."""

    net: str
    architecture: str
    positions: int  # no more than there is room for
    threads: int
    seconds: float
    forward_seconds: float  # of our own forward pass
    ratio_to_forward: float
    ratio_range: Range


@dataclass(frozen=True, slots=True)
class SearchSpeed:
    """Search alone, with a pseudo-random net for both sides that costs next to nothing."""

    games: int  # in flight
    visits: int  # a move
    threads: int
    visits_per_second: float
    visits_range: Range
    visits_per_cpu_second: float
    evaluations_per_visit: float  # the other visits end where the rules know the value
    plies_per_second: float
    array_bytes: int  # of the games in flight; pages that were never touched are not resident


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """How well two lanes feed a device that takes a fixed time a batch, as ``arena run`` would.

    The referee replays every finished game meanwhile.
    """

    busy: float  # share of the time, in [0, 1]: batches of ``seconds_per_batch``, nothing else
    busy_range: Range
    batch: float  # positions, mean
    seconds_per_batch: float
    games: int
    visits: int
    threads: int
    visits_per_second: float


@dataclass(frozen=True, slots=True)
class MatchSpeed:
    """A while of a match between two nets; CPU seconds are those of all threads.

    The figures are those of ``evaluator``, which a match takes by itself; where that is winograd,
    the same match is played on torch too, in slices that take turns.

    ``forward_share`` is the share of the CPU time that the nets' forward passes take, and
    ``forward_to_torch`` their evaluations a CPU second, relative to a bare forward pass in batches
    of 64 on as many threads at once. Both are None where an accelerator computes.
    """

    nets: tuple[str, str]
    evaluator: str  # "winograd", "torch"
    device: str
    games: int
    visits: int
    threads: int
    visits_per_cpu_second: float
    visits_range: Range
    torch_visits_per_cpu_second: float | None
    torch_visits_range: Range | None
    ratio_to_torch: float | None  # of the visits a CPU second
    ratio_range: Range | None
    visits_per_second: float
    evaluations_per_second: float
    batch: float  # positions, mean
    cache_hits_per_visit: float
    pairs_per_minute: float  # estimated: plies/s over the plies of a pair
    plies_per_game: float  # of the games that the nets play with one visit a move
    forward_share: float | None
    forward_to_torch: float | None
    forward_to_torch_range: Range | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was measured; None where it was not asked for."""

    versions: dict[str, str]
    processor: str
    evaluator: tuple[EvaluatorSpeed, ...] | None = None
    start: StartSpeed | None = None
    refresh: tuple[RefreshSpeed, ...] | None = None
    search: tuple[SearchSpeed, ...] | None = None
    device: DeviceLoad | None = None
    match: MatchSpeed | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the document that ``arena bench --json`` prints."""
        return {name: value for name, value in asdict(self).items() if value is not None}
