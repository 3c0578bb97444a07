"""Which settings decide what a run comes to: it is gone on with only where they are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from swa.schedules import decay_steps
from swa.settings import SettingsError, key_of
from swa.train_config import TrainConfig

_FREE = frozenset(
    {
        "output",
        "device",  # nothing is the same to the last bit on another, but that is known
        "threads",  # told apart in ``check_same``: where it is not given, it stays as it was
        "log-every",
        "checkpoint-minutes",
        "snapshots",
        "validation",
        "training.total-steps",
        "data.input",  # what is in it counts, not where it lies
        "data.validation-positions",
    }
)
"""Keys, or whole tables, that change nothing of the weights or only how long they are trained."""

DATA, THREADS = "the data", "threads"


def deciding_settings(config: TrainConfig, data: str, threads: int) -> dict[str, Any]:
    """The settings by key, as plain values; ``data`` is the digest of the data.

    How long a cosine lasts is among them: it may be the number of steps in all.
    """
    flat = _flat(asdict(config), "")
    found = {key: value for key, value in flat.items() if not _is_free(key)}
    steps = config.training.total_steps
    if config.net.start is not None:
        found["net.start"] = PurePath(config.net.start).name  # wherever it lies
    found["learning-rate.decay-steps"] = decay_steps(config.learning_rate, steps)
    return found | {DATA: data, THREADS: threads}


def check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise SettingsError, naming the key, where a run was begun with other settings."""
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        remedy = "Set it back to go on with the run, or choose another output for a new one."
        if key == DATA:
            reason = "the files of data.input, or the games in them, are not those of the run"
            raise SettingsError(f"{reason}\n{remedy}")
        raise SettingsError(
            f"{key}: the run was begun with {_said(old)}, not {_said(new)}\n{remedy}"
        )


def _is_free(key: str) -> bool:
    return key in _FREE or key.partition(".")[0] in _FREE


def _said(value: Any) -> str:
    return "none" if value is None else str(value)


def _flat(value: Any, key: str) -> dict[str, Any]:
    """Leaves of nested tables and lists by dotted keys: ``averages.0.rule``."""
    if isinstance(value, Mapping):
        inner = {key_of(name): one for name, one in value.items()}
    elif isinstance(value, (list, tuple)):
        inner = {str(place): one for place, one in enumerate(value)}
    else:
        return {
            key: value if value is None or isinstance(value, (bool, int, float)) else str(value)
        }
    found: dict[str, Any] = {}
    for name, one in inner.items():
        found |= _flat(one, f"{key}.{name}" if key else name)
    return found
