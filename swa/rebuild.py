"""A build repeated from its manifest: the same bytes, or what stands in the way by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from swa import provenance
from swa.build import Built, Notify, RefreshSettings, Step, refresh_net
from swa.build_config import BuildError, manifest_of, progress_of
from swa.build_data import BuildData, DataFile
from swa.build_files import check_outputs, write_build
from swa.build_records import output_record, refresh_record, relative_to
from swa.ingredients import average_nets
from swa.manifest import FileRecord, Manifest, damaged, read_manifest
from swa.net import Net, load_net, pack_net
from swa.refresh import Dtype, Method, Report


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """A net made again, and how it compares."""

    built: Built
    same_bytes: bool
    # The unpacked bytes are the same: another zlib packs them differently, and so does a name with
    # .gz beside one without.
    same_net: bool
    versions: dict[str, tuple[str, str]]  # library: then and now, where they differ


def rebuild(
    manifest_path: Path,
    output: Path,
    *,
    search: Sequence[Path] = (),
    work_dir: Path | None = None,
    device: str | None = None,
    force: bool = False,
    overwrite: bool = False,
    command: Sequence[str] = (),
    notify: Notify | None = None,
) -> Rebuilt:
    """Make the net of a manifest again, as ``output``, with a manifest of its own.

    Ingredients and data are looked for where the manifest says, relative to its folder, then by
    name in and under the folders of ``search``; their sha256 must be the same. Checks and losses
    are not made anew: they are those of the first time. ``device`` is another one than then; what
    it gives may differ in the last bits.

    Raises BuildError for a manifest that is none, files that are missing or changed, and a result
    that differs, which is written with ``force`` only; NetError and RecordError as
    ``swa.build.build`` does.
    """
    notify = notify or (lambda _: None)
    manifest = read_manifest(manifest_path)
    check_outputs(output, [manifest_path], overwrite)
    notify(Step("checking the sha256 of nets and data"))
    finder = _Finder(manifest_path.parent, search)
    net_paths = [finder.find(item.path, item.sha256) for item in manifest.ingredients]
    files = tuple(_found(finder, record) for record in manifest.data.files)
    finder.complain()
    check_outputs(output, [*net_paths, *(file.path for file in files)], overwrite)
    nets = [load_net(path) for path in net_paths]
    below, input_format = int(manifest.data.held_out_below, 16), nets[0].spec.input_format
    data = BuildData(files, (), below, input_format=input_format)
    state = progress_of(output, work_dir)
    if manifest.refresh.method == "none" and any(net.spec.batch_norm for net in nets):
        raise damaged(manifest_path, "refresh.method is none, and the nets have batch norm")
    settings = _settings(manifest, device)
    net, report = _make(manifest, nets, data, settings, work_dir, state, notify)
    asked, now = manifest.output, provenance.versions()
    packed = pack_net(net, output, encoding=asked.encoding_asked, licence=asked.licence_asked)
    versions = _differences(manifest.versions, now)
    same_net = packed.payload_sha256 == asked.payload_sha256
    if not same_net and not force:
        state.unlink(missing_ok=True)
        raise _differs(manifest_path, versions)
    own = replace(
        _moved(manifest, manifest_path.parent, output.parent, finder),
        command=tuple(command),
        output=output_record(packed, asked.encoding_asked, asked.licence_asked),
        refresh=refresh_record(report, manifest.refresh.threads),
        versions=now,
    )
    write_build(packed, own, manifest_of(output))
    state.unlink(missing_ok=True)
    built = Built(packed.saved, own, manifest_of(output))
    return Rebuilt(built, packed.saved.sha256 == asked.sha256, same_net, versions)


def _make(
    manifest: Manifest,
    nets: Sequence[Net],
    data: BuildData,
    settings: RefreshSettings,
    work_dir: Path | None,
    state: Path,
    notify: Notify,
) -> tuple[Net, Report | None]:
    """Average and refresh as the manifest says."""
    weights = [item.rule_weight for item in manifest.ingredients]
    average = average_nets(nets, weights, force=True).net
    if not average.spec.batch_norm:
        return average, None
    return refresh_net(average, data, settings, work_dir=work_dir, state=state, notify=notify)


def _settings(manifest: Manifest, device: str | None) -> RefreshSettings:
    record = manifest.refresh
    method = cast(Method, record.method)
    if device is not None and device != record.device:
        return RefreshSettings(method, device, None, record.threads)
    return RefreshSettings(method, record.device, cast(Dtype, record.dtype), record.threads)


class _Finder:
    """Files of a manifest by path, name and sha256; what it does not find it keeps in mind."""

    def __init__(self, folder: Path, search: Sequence[Path]) -> None:
        self._folder = folder
        self._by_name: dict[str, list[Path]] = {}
        self._problems: list[str] = []
        self.found: dict[str, Path] = {}  # by the path that the manifest has
        for place in search:
            if not place.is_dir():
                raise BuildError(f"{place}: no such folder\n--search takes folders.")
            for where, folders, names in os.walk(place):
                folders.sort()
                for name in sorted(names):
                    self._by_name.setdefault(name, []).append(Path(where, name))

    def find(self, path: str, sha256: str) -> Path:
        """Where a file is; any path if it is nowhere, of which ``complain`` will tell."""
        here = self._folder / path
        # Not Path.is_file, which raises where a name is too long.
        candidates = [*([here] if os.path.isfile(here) else []), *self._by_name.get(here.name, [])]
        for candidate in candidates:
            if provenance.file_sha256(candidate) == sha256:
                self.found[path] = candidate
                return candidate
        if candidates:
            self._problems.append(
                f"{candidates[0]}: has changed: its sha256 is not {sha256[:12]}..."
            )
        else:
            self._problems.append(f"{here}: is missing")
        return here

    def complain(self) -> None:
        """Raise BuildError for what was not found."""
        if not self._problems:
            return
        first, *others = self._problems
        more = f" (and {len(others)} more: {others[0]})" if others else ""
        remedy = "Put the files back, or add --search DIR for the folders where they are."
        raise BuildError(f"{first}{more}\n{remedy}")


def _found(finder: _Finder, record: FileRecord) -> DataFile:
    return DataFile(
        finder.find(record.path, record.sha256),
        record.sha256,
        record.games,
        record.refresh_positions,
        record.held_out_positions,
    )


def _differences(then: dict[str, str], now: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {
        name: (then.get(name, "none"), now.get(name, "none"))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    }


def _differs(manifest_path: Path, versions: dict[str, tuple[str, str]]) -> BuildError:
    changed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in versions.items())
    why = f"versions differ: {changed}" if changed else "versions are the same: another machine?"
    return BuildError(
        f"{manifest_path}: the net comes out with other bytes than the first time\n"
        f"{why}\nInstall the same versions, or add --force to write it all the same."
    )


def _moved(manifest: Manifest, old: Path, new: Path, finder: _Finder) -> Manifest:
    """The manifest with paths relative to another folder, of files where they were found."""

    def moved(records: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(
            replace(record, path=relative_to(new, finder.found.get(record.path, old / record.path)))
            for record in records
        )

    data = replace(
        manifest.data,
        files=moved(manifest.data.files),
        eval_files=moved(manifest.data.eval_files),
    )
    return replace(manifest, data=data, ingredients=moved(manifest.ingredients))
