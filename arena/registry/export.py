"""The registry as one JSON document, for whoever reads it without SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from arena.registry.records import DecisionRecord, MatchRecord, NetRecord, NightRecord, Reign
from arena.registry.store import Registry

FORMAT = "arena registry, version 1"
"""Raised when a key changes its meaning or goes; keys may be added within a version."""

AnyRecord = NetRecord | NightRecord | MatchRecord | DecisionRecord | Reign


def document_of(record: AnyRecord) -> dict[str, Any]:
    """Return a record as a JSON object, keys as its fields; ``counts`` is an object by pair."""
    document = {field.name: getattr(record, field.name) for field in fields(record)}
    if isinstance(record, MatchRecord):
        counts = record.counts
        document["counts"] = {field.name: getattr(counts, field.name) for field in fields(counts)}
    return {key: str(value) if key == "verdict" else value for key, value in document.items()}


def export(registry: Registry) -> Mapping[str, Any]:
    """Return everything that is remembered, each list in the order in which it came to be."""
    return {
        "format": FORMAT,
        "nets": list(map(document_of, registry.nets())),
        "nights": list(map(document_of, registry.nights())),
        "matches": list(map(document_of, registry.matches())),
        "decisions": list(map(document_of, registry.decisions())),
        "reigns": list(map(document_of, registry.reigns())),
    }


def night_document(registry: Registry, night: NightRecord) -> Mapping[str, Any]:
    """Return a night with its matches and its decision, null where there is none."""
    decided = [one for one in registry.decisions() if one.night == night.number]
    return {
        "night": document_of(night),
        "decision": document_of(decided[0]) if decided else None,
        "matches": list(map(document_of, registry.matches(night.number))),
    }


def net_document(registry: Registry, net: NetRecord) -> Mapping[str, Any]:
    """Return a net with its matches and its reigns."""
    played = [one for one in registry.matches() if net.sha256 in (one.baseline, one.candidate)]
    reigns = [one for one in registry.reigns() if one.sha256 == net.sha256]
    return {
        "net": document_of(net),
        "matches": list(map(document_of, played)),
        "reigns": list(map(document_of, reigns)),
    }
