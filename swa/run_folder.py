"""The folder of a training run: what is where in it, which nets are kept, and who is at work there.

Files: ``config.toml``, ``checkpoint``, ``start.pb.gz``, and nets ``NAME-STEPS.pb.gz``, averaged
ones ``NAME-AVERAGE-STEPS.pb.gz`` (lczero's own name where the average is called swa).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from swa.files import write_whole
from swa.net import Net, load_net, save_net
from swa.settings import SettingsError
from swa.spec import NetError

SUFFIX = ".pb.gz"


class TrainingError(ValueError):
    """A run that cannot go on: one to three lines for the user, what, why, what to do."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run of a name writes."""

    path: Path
    name: str
    keep: int  # nets of each kind
    encoding: str | None = None

    @property
    def checkpoint(self) -> Path:
        """The state of the run."""
        return self.path / "checkpoint"

    @property
    def start(self) -> Path:
        """The net that training started from."""
        return self.path / f"start{SUFFIX}"

    def net(self, step: int, average: str | None = None) -> Path:
        """The net after a step: raw, or of an average."""
        kind = f"-{average}" if average else ""
        return self.path / f"{self.name}{kind}-{step}{SUFFIX}"

    def nets(self, average: str | None = None) -> list[Path]:
        """The nets of a kind that are there, from the oldest to the newest."""
        kind = f"-{average}" if average else ""
        pattern = re.compile(rf"{re.escape(self.name + kind)}-(\d+){re.escape(SUFFIX)}")
        found = [(pattern.fullmatch(path.name), path) for path in self.path.iterdir()]
        numbered = [(int(match[1]), path) for match, path in found if match]
        return [path for _, path in sorted(numbered)]

    def save(self, net: Net, step: int, average: str | None = None) -> None:
        """Write the net after a step, in the place of the same net where it is there already.

        Raises OSError for a full disk, NetError for a net that cannot be stored.
        """
        _write(net, self.net(step, average), self.encoding)

    def save_start(self, net: Net) -> Net:
        """Write the first net; its file's header is that of all nets of the run.

        The net itself comes back, its numbers as they were. Raises as ``save``.
        """
        _write(net, self.start, None)
        return replace(load_net(self.start), weights=net.weights)

    def prune(self, step: int, average: str | None = None) -> None:
        """Delete all but the last nets of a kind up to a step."""
        newest = self.net(step, average)
        old = self.nets(average)
        if newest in old:
            for path in old[: old.index(newest) + 1][: -self.keep]:
                path.unlink(missing_ok=True)

    def save_config(self, text: str) -> None:
        """Keep the configuration beside what came of it."""
        write_whole(self.path / "config.toml", text.encode())

    def check_fresh(self) -> None:
        """Raise SettingsError where nets of this name are there that a new run would replace."""
        if old := self.nets():
            raise SettingsError(
                f"{self.path}: there are nets named {self.name} already, such as {old[-1].name}, "
                "and no checkpoint of their run\nChoose another name or output."
            )


def _write(net: Net, path: Path, encoding: str | None) -> None:
    try:
        save_net(net, path, encoding=encoding, overwrite=True)
    except NetError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise


@contextmanager
def opened(folder: RunFolder) -> Iterator[None]:
    """Make a folder and keep others from training in it meanwhile.

    Raises SettingsError where it cannot be made, or another program is at work there.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"output: cannot make {folder.path}: {reason}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = f"{folder.path}: another swa train is at work there"
            raise SettingsError(f"{reason}\nWait for it, or choose another output.") from None
        yield
    finally:
        os.close(descriptor)
