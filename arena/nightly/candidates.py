"""Who may meet the champion: the newest net of the run, and averages of its last snapshots."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from arena.nightly.settings import Average, NightlySettings
from swa.files import write_whole
from swa.net_names import parse_name
from swa.provenance import file_sha256
from swa.spec import NetError, UnfitError

if TYPE_CHECKING:  # they take a second to import, and most nights' calls find nothing new
    from swa.build import Notify
    from swa.build_config import BuildConfig
    from swa.net import Net

RAW = "raw"
"""Name of the entry that is the latest net itself; averages have their own."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest complete net of the run."""

    path: Path
    size: int  # bytes
    mtime_ns: int  # of the last change
    sha256: str
    net: Net | None  # None where the file was noted before, so that it was not read
    passed_over: tuple[str, ...]  # newer ones: "run-5000.pb.gz: the file is truncated"


@dataclass(frozen=True, slots=True)
class Entry:
    """A net that may meet the champion."""

    name: str
    path: Path
    kind: Literal["raw", "average"]
    sha256: str
    manifest: Mapping[str, Any] | None = None  # of an average
    passed_over: tuple[str, ...] = ()  # snapshots that are not in it, though they should be


@dataclass(frozen=True, slots=True)
class Refusal:
    """An average that cannot be made of these snapshots, however often it is tried."""

    name: str
    reason: str  # one sentence
    numbers: Mapping[str, Any]


def newest(settings: NightlySettings, noted: Callable[[str, int, int], str | None]) -> Newest:
    """Find the newest complete net of the run.

    ``noted(path, size, mtime_ns)`` is the sha256 of a file that was read as a whole before, when it
    had this size and time: it is not read again.

    Raises NetError where there is none, there are several runs, or it changes meanwhile.
    """
    from swa.latest import find_latest
    from swa.net import load_net

    def known(path: Path, status: os.stat_result) -> bool:
        return noted(str(path), status.st_size, status.st_mtime_ns) is not None

    found = find_latest(settings.latest, known=known)
    path = found.paths[-1]
    before = _status(path)
    sha256, net = noted(str(path), before.st_size, before.st_mtime_ns), None
    if sha256 is None:
        net = load_net(path)
        sha256 = net.sha256
        after = _status(path)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise NetError("is being written", "Call again when it is whole.", str(path))
    return Newest(path, before.st_size, before.st_mtime_ns, sha256, net, found.passed_over)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot read the net: {reason}", "Call again.", str(path)) from error


# --- averages ---


def build_averages(
    settings: NightlySettings,
    latest: Path,
    folder: Path,
    notify: Notify,
    *,
    kept: Path | None = None,
    command: Sequence[str] = ("arena", "nightly"),
) -> list[Entry | Refusal]:
    """Build the averages whose newest snapshot is ``latest``, in ``folder``.

    The other snapshots are those of its series with fewer steps, as many as there are. ``kept`` is
    a copy that is read in place of ``latest``, which may be gone by now. What was built here from
    this net before is not built again, and what was refused is not tried again; a build that was
    interrupted goes on. An average that comes out as another entry is refused: nobody plays
    himself. ``command`` goes into the manifests.

    Raises NetError, RecordError, BuildError and DeviceError where nets or data are not there or
    cannot be read or written: the same call may succeed later.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = kept or latest
    try:
        sha256 = file_sha256(source)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot read the net: {reason}", "", str(source)) from error
    found: list[Entry | Refusal] = []
    for average in settings.averages:
        order = _Order(settings, average, latest, source, sha256, folder)
        entry = _average(order, command, notify)
        if isinstance(entry, Entry):
            twin = _twin(entry, found, source if settings.entries == "better" else None)
            if twin is not None:
                reason = f"it is the same net as {twin}: its snapshots do not differ enough"
                entry = Refusal(average.name, reason, {"snapshots": _snapshots(entry)})
        found.append(entry)
    return found


@dataclass(frozen=True, slots=True)
class _Order:
    """An average that is wanted."""

    settings: NightlySettings
    average: Average
    latest: Path
    source: Path  # of which the newest snapshot is read
    sha256: str  # of it
    folder: Path

    @property
    def output(self) -> Path:
        """Where the net goes, named as trainers name averages: ``RUN-AVERAGE-STEPS.pb.gz``."""
        name = parse_name(self.latest.name)
        if name is None:
            stem = self.latest.name.removesuffix(".gz").removesuffix(".pb")
            return self.folder / f"{stem}-{self.average.name}.pb.gz"
        return self.folder / f"{name.series}-{self.average.name}-{name.steps}.pb.gz"

    @property
    def refused(self) -> Path:
        """Where a refusal is kept, so that hours of work are not repeated to come to it again."""
        return self.folder / f"{self.average.name}.refused.json"

    def built(self) -> Entry | None:
        """The average if it stands here already, by its manifest."""
        from swa.build_config import BuildError, manifest_of
        from swa.manifest import read_manifest

        path = manifest_of(self.output)
        if not (path.is_file() and self.output.is_file()):
            return None
        try:
            manifest = read_manifest(path)
            agrees = (
                manifest.output.sha256 == file_sha256(self.output)
                and manifest.ingredients[-1].sha256 == self.sha256
                and manifest.rule.name == self.average.rule
                and (self.average.rule == "soup" or manifest.rule.settings == self._rule())
            )
        except (BuildError, OSError):
            return None
        return self.entry(manifest.output.sha256, asdict(manifest)) if agrees else None

    def _rule(self) -> dict[str, Any]:
        from swa.rules import make_rule

        config = self.config([self.source])
        return asdict(make_rule(config.rule, config.rule_settings))  # type: ignore[call-overload, no-any-return]

    def config(self, nets: list[Path]) -> BuildConfig:
        """The build of it."""
        return self.settings.build_config(self.average, nets, self.output)

    def entry(
        self, sha256: str, manifest: Mapping[str, Any], passed_over: tuple[str, ...] = ()
    ) -> Entry:
        """The average as an entry, its manifest as JSON has it."""
        plain = json.loads(json.dumps(manifest))
        return Entry(self.average.name, self.output, "average", sha256, plain, passed_over)

    def refusal(self) -> Refusal | None:
        """What was said of the same net before."""
        try:
            kept = json.loads(self.refused.read_bytes())
            if kept["latest"] == self.sha256 and kept["name"] == self.average.name:
                return Refusal(kept["name"], str(kept["reason"]), dict(kept["numbers"]))
        except (OSError, ValueError, KeyError, TypeError):  # not there, or half of it: try again
            pass
        return None

    def refuse(self, reason: str, numbers: Mapping[str, Any]) -> Refusal:
        """Keep and return a refusal."""
        refusal = Refusal(self.average.name, reason, numbers)
        document = json.dumps({"latest": self.sha256, **asdict(refusal)}, indent=1)
        try:
            write_whole(self.refused, document.encode())
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise NetError(f"cannot be written: {said}", "", str(self.refused)) from error
        return refusal


def _average(order: _Order, command: Sequence[str], notify: Notify) -> Entry | Refusal:
    known = order.built() or order.refusal()
    if known is not None:
        return known
    from swa.build import RefusedError, Step, build
    from swa.latest import nets_before

    before = nets_before(order.latest, order.average.last - 1)
    nets = [*before.paths, order.source]
    if len(nets) == 1:
        reason = "there is one snapshot, and no average of one"
        return order.refuse(reason, {"snapshots": 1})

    def tell(step: Step) -> None:
        notify(Step(f"{order.average.name}: {step.what}", step.done, step.of))

    try:
        built = build(order.config(nets), command=command, notify=tell)
    except RefusedError as error:
        checks = {failure.check: failure.reason for failure in error.failures}
        reason = "; ".join(f"{check}: {said}" for check, said in checks.items())
        return order.refuse(reason, {"snapshots": len(nets), "checks": checks})
    except UnfitError as error:  # it will be the same the next time, and newer nets wait
        where = f"{Path(error.path).name}: " if error.path else ""
        return order.refuse(f"{where}{error.reason}", {"snapshots": len(nets)})
    return order.entry(built.saved.sha256, asdict(built.manifest), before.passed_over)


def _twin(entry: Entry, others: Sequence[Entry | Refusal], raw: Path | None) -> str | None:
    """The name of an entry that is the same net, whatever its file is called; None without one."""
    from swa.net import load_net, same_weights

    for other in others:
        if isinstance(other, Entry) and _payload(other) == _payload(entry):
            return other.name
    same = raw is not None and same_weights(load_net(raw), load_net(entry.path))
    return RAW if same else None


def _payload(entry: Entry) -> str:
    assert entry.manifest is not None
    return str(entry.manifest["output"]["payload_sha256"])


def _snapshots(entry: Entry) -> int:
    assert entry.manifest is not None
    return len(entry.manifest["ingredients"])
