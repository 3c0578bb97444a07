"""``arena doctor``: what this machine offers a match, and what is missing, in plain words.

Most questions about a slow or a failing match are answered by five facts: versions, device, cores,
whether the kernels are compiled, and what a net costs at each batch size.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from arena.compilation import kernels_compiled
from arena.evaluator import (
    Choice,
    Dtype,
    Evaluator,
    Kind,
    Leaves,
    choose_evaluator,
    make_evaluator,
)
from arena.opening_filter import leaves_of
from arena.openings import default_book
from arena.start_positions import OpeningError
from swa import provenance
from swa.cores import usable_cores
from swa.devices import may_have_accelerator
from swa.jit import CACHE_DIR
from swa.net import load_net

BATCHES = (1, 8, 32, 64, 128, 256)
"""Positions a batch: from a lone analysis to several hundred games in flight."""

SECONDS_A_BATCH_SIZE = 1.0

Mark = Literal["ok", "missing", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it works, and a sentence for a person."""

    name: str
    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Speed:
    """What a net does at one batch size."""

    batch: int  # positions
    per_second: float  # evaluations, one caller; median of the calls


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything the doctor found out."""

    versions: dict[str, str]
    device: str  # what --device auto takes
    devices: dict[str, str]  # what there is, with its name
    cores: int  # that this process may use
    findings: tuple[Finding, ...]
    evaluator: Kind  # of the net, or of one that everything covers
    evaluator_device: str  # where it computes
    evaluator_reason: str  # why this one: "float32 on a CPU"
    net: str | None = None
    speeds: tuple[Speed, ...] = ()

    @property
    def healthy(self) -> bool:
        """Nothing that a match needs is broken."""
        return all(finding.mark != "problem" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the document that ``arena doctor --json`` prints."""
        return {**asdict(self), "healthy": self.healthy}


def examine(
    net: Path | None = None,
    device: str = "auto",
    dtype: Dtype = "float32",
    wanted: Kind | Literal["auto"] = "auto",
    batches: Sequence[int] = BATCHES,
) -> Examination:
    """Look at everything; with ``net``, also time it, about a second for each batch size.

    Raises NetError for a net that cannot be read, DeviceError for a device that is not there or an
    evaluator that cannot compute as asked, and, with ``net``, OpeningError for a broken book.
    """
    loaded = load_net(net) if net is not None else None
    choice = choose_evaluator(loaded.spec if loaded else None, wanted, device, dtype)
    findings = tuple(_findings(choice))  # before the first evaluation compiles
    speeds = (
        tuple(_speeds(make_evaluator(loaded, choice, dtype), batches)) if loaded is not None else ()
    )
    devices = find_devices()
    return Examination(
        versions=provenance.versions(),
        device=next(iter(devices)),
        devices=devices,
        cores=usable_cores(),
        findings=findings,
        evaluator=choice.kind,
        evaluator_device=choice.device,
        evaluator_reason=choice.reason,
        net=str(net) if net is not None else None,
        speeds=speeds,
    )


def find_devices() -> dict[str, str]:
    """Every device that a net can be evaluated on, with its name, in the order of auto's choice."""
    devices: dict[str, str] = {}
    if may_have_accelerator():
        import torch

        for index in range(torch.cuda.device_count()):
            devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
        if torch.backends.mps.is_available():
            devices["mps"] = provenance.device_name("mps")
    return {**devices, "cpu": provenance.device_name("cpu")}


def _findings(choice: Choice) -> Iterator[Finding]:
    yield _kernels(choice)
    yield _book()
    yield _shared_data()
    yield _program(
        "pgn-extract", "checks games.pgn in the tests", "the test that needs it is skipped"
    )
    yield _program("stockfish", "builds the opening book", "the shipped book stays as it is")


def _kernels(choice: Choice) -> Finding:
    if kernels_compiled(forward=choice.kind == "winograd"):
        return Finding("kernels", "ok", f"compiled code is kept in {CACHE_DIR}")
    folder = next(parent for parent in CACHE_DIR.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        return Finding(
            "kernels", "problem", f"{folder} cannot be written: set ARENA_CACHE_DIR to a folder"
        )
    return Finding(
        "kernels", "missing", f"will be compiled at the next match, once, into {CACHE_DIR}"
    )


def _book() -> Finding:
    try:
        book = default_book()
    except OpeningError as error:
        return Finding("openings", "problem", " ".join(str(error).split()))
    return Finding("openings", "ok", f"the default book has {len(book):,} openings")


def _shared_data() -> Finding:
    repository = Path(__file__).parent.parent
    chosen = os.environ.get("ARENA_SHARED")
    folder = Path(chosen) if chosen else repository.parent / "shared"
    if (folder / "golden").is_dir():
        return Finding("shared data", "ok", f"{folder}: tests against lc0 can run")
    why = f"{folder} has no golden/" if chosen else "ARENA_SHARED is not set"
    return Finding("shared data", "missing", f"{why}: tests against lc0 are skipped")


def _program(name: str, purpose: str, without: str) -> Finding:
    # Debian installs games' binaries where not every PATH looks.
    found = shutil.which(name) or shutil.which(name, path="/usr/games")
    if found:
        return Finding(name, "ok", f"{found}: {purpose}")
    return Finding(name, "missing", f"not installed: {without}")


def _speeds(evaluator: Evaluator, batches: Sequence[int]) -> Iterator[Speed]:
    for batch in batches:
        leaves = leaves_of_openings(batch)
        evaluator.evaluate(leaves)  # the first call of a size allocates
        seconds: list[float] = []
        end = time.perf_counter() + SECONDS_A_BATCH_SIZE
        while not seconds or time.perf_counter() < end:
            start = time.perf_counter()
            evaluator.evaluate(leaves)
            seconds.append(time.perf_counter() - start)
        yield Speed(batch, batch / statistics.median(seconds))


def leaves_of_openings(batch: int) -> Leaves:
    """Real positions, those after the default book's openings, without keys: they are for no cache.

    Our own forward pass takes the longer the more pieces there are.
    """
    book = default_book()
    return leaves_of([book.opening(row % len(book)) for row in range(batch)])
