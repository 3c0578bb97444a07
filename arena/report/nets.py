"""The nets of a match in words: what they are, and what averaged ones were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import cast

from arena.net_facts import SwaFacts
from arena.report.block import counted
from arena.report.schema import NetSummary, SwaSummary

NONE = "-"
"""What stands where a player has no such fact."""


def swa_summary(facts: SwaFacts | None) -> SwaSummary | None:
    """What summary.json says of how a net was averaged."""
    if facts is None:
        return None
    return cast(SwaSummary, asdict(facts) | {"raw_loss": facts.raw_loss})


def net_rows(nets: Sequence[NetSummary]) -> Iterator[tuple[str, list[str]]]:
    """Yield a fact's name and what it is for each player, as plain text.

    Facts that nobody has are left out. Names are for a reader and no markup; the hash is whole.
    """
    for name, words_of in _FACTS.items():
        words = [words_of(net) for net in nets]
        if any(words):
            yield name, [word or NONE for word in words]


def _of_swa(words_of: Callable[[SwaSummary], str]) -> Callable[[NetSummary], str]:
    return lambda net: words_of(net["swa"]) if net["swa"] is not None else ""


def _steps(steps: int | None) -> str:
    return "" if steps is None else f"{steps:,}"


def _size(net: NetSummary) -> str:
    return "" if net["bytes"] is None else f"{net['bytes']:,} bytes"


def _ingredients(swa: SwaSummary) -> str:
    """Name what was averaged: each one, with its share where they are not all alike."""
    items = swa["ingredients"]
    alike = max((item["weight"] for item in items), default=0.0) <= 1.0000001 / max(len(items), 1)
    words = (item["name"] + ("" if alike else f" ({100 * item['weight']:.1f} %)") for item in items)
    steps = [_steps(item["training_steps"]) for item in items if item["training_steps"]]
    trained = f"; after {', '.join(steps)} steps" if len(steps) == len(items) and items else ""
    return f"{counted(len(items), 'net')}: {', '.join(words)}{trained}"


def _refresh(swa: SwaSummary) -> str:
    if swa["refresh"] == "none":
        return "none in this net"
    if swa["refresh"] == "averaged":
        return "averaged like the weights, not refreshed"
    return f"refreshed ({swa['refresh']}) on {counted(swa['refresh_positions'], 'position')}"


def _losses(swa: SwaSummary) -> str:
    """Policy and value loss of the net and of what it came from, least made first."""
    if swa["losses_on"] is None:
        return ""
    found = (
        (swa["raw_loss"], "longest trained ingredient"),
        (swa["stale_loss"], "average before its refresh"),
        (swa["refreshed_loss"], "this net"),
    )
    words = [f"{loss:.4f} {of}" for loss, of in found if loss is not None]
    kind = f"{swa['losses_on']} position"
    return f"{', '.join(words)} (nats, {counted(swa['losses_positions'], kind)})"


_FACTS: dict[str, Callable[[NetSummary], str]] = {
    "name": lambda net: net["name"],
    "file": lambda net: net["file"] or "",
    "size": _size,
    "engine": lambda net: net.get("engine", ""),
    "net": lambda net: net["architecture"] or "",
    "heads": lambda net: net["heads"] or "",
    "training steps": lambda net: _steps(net["training_steps"]),
    "sha256": lambda net: net["sha256"],
    "average of": _of_swa(_ingredients),
    "averaged by": _of_swa(lambda swa: swa["rule"]),
    "batch norm": _of_swa(_refresh),
    "loss": _of_swa(_losses),
}
