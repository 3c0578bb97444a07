"""Rules of averaging by the names and settings that people give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swa.averaging import KATAGO_SCALE, Ema, EmaStart, Lawa, Lczero, Mean, Rule
from swa.spec import NetError

RULE_OF_SETTING = {
    "weights": "mean",
    "max_n": "lczero",
    "decay": "ema",
    "scale": "ema",
    "ema_start": "ema",
    "last": "lawa",
}

DEFAULT_MAX_N = 10
DEFAULT_LAST = 5


def make_rule(name: str, settings: Mapping[str, Any]) -> Rule:
    """The rule ``name`` (mean, lczero, ema, lawa) with ``settings`` by ``RULE_OF_SETTING``.

    What is None or missing has its default. ``weights`` are not part of a rule, but belong to the
    mean. Raises NetError for a setting of another rule, or one that cannot be.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if RULE_OF_SETTING[key] != name:
            flag = f"--{key.replace('_', '-')}"
            raise NetError(f"{flag} goes with --rule {RULE_OF_SETTING[key]}")
    if name == "lczero":
        return Lczero(given.get("max_n", DEFAULT_MAX_N))
    if name == "lawa":
        return Lawa(given.get("last", DEFAULT_LAST))
    if name == "ema":
        if "decay" in given and "scale" in given:
            raise NetError("--decay and --scale say the same", "Give one of them.")
        start = EmaStart(given.get("ema_start", "first"))
        if "decay" in given:
            return Ema(given["decay"], start)
        return Ema.of_scale(given.get("scale", KATAGO_SCALE), start)
    return Mean()
