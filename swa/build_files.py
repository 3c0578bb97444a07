"""The two files of a build, net and manifest: over nothing that is read, both or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swa.build_config import manifest_of
from swa.chunks import read_records
from swa.files import write_together
from swa.manifest import Manifest
from swa.net import PackedNet, check_no_input, check_output
from swa.spec import NetError


def check_outputs(output: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise NetError where the net or its manifest cannot be written, or something is there.

    With ``overwrite`` something may be, but never one of ``inputs``, nor training records: a game
    that no build takes, as a copy of another, is lost like any other.
    """
    check_output(output, inputs=inputs, overwrite=overwrite)
    if output.exists() and next(read_records(output), None) is not None:
        reason = "holds training records: they would be lost"
        raise NetError(reason, "Choose another name.", str(output))
    manifest = manifest_of(output)
    check_no_input(manifest, inputs)
    if manifest.exists() and not overwrite:
        remedy = "Choose another name, or add --overwrite."
        raise NetError("is there already, where the manifest goes", remedy, str(manifest))
    if manifest.exists() and not manifest.is_file():
        raise NetError("cannot write the manifest: is no file", "", str(manifest))


def write_build(packed: PackedNet, manifest: Manifest, manifest_path: Path) -> None:
    """Write net and manifest, both or none. Raises NetError where that fails."""
    contents = {packed.saved.path: packed.data, manifest_path: manifest.to_json().encode()}
    try:
        write_together(contents)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        where = str(packed.saved.path)
        raise NetError(f"cannot write the net and its manifest: {reason}", "", where) from error
