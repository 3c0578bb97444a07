"""A decision as a document: every number that it rests on, for the registry, the hook and people.

The keys are explained in docs/nightly.md. A match's figures are those of its summary.json, without
the curves, which can be made again from its ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from arena.nightly.candidates import Entry
from arena.nightly.decision import Conclusion
from arena.nightly.field import Field
from arena.nightly.race import RaceOutcome
from arena.nightly.telling import FORMAT, net_figures
from arena.registry.home import Home
from arena.registry.records import NetRecord, NightRecord
from arena.report.run import Run
from arena.report.summary import summarize
from swa.provenance import versions

LEFT_OUT = ("curves", "openings", "versions")
"""Of summary.json: not what a verdict rests on, and most of its bytes."""


def decision_document(
    night: NightRecord,
    conclusion: Conclusion,
    field: Field,
    candidate: NetRecord | None,
    champion: NetRecord,
    net: Callable[[str], NetRecord],
    stages: Mapping[str, Mapping[str, Any]],
    decided: str,
) -> dict[str, Any]:
    """Return the document, of nothing but what JSON has."""
    document = {
        "format": FORMAT,
        "night": night.number,
        "folder": night.folder,
        "began": night.began,
        "decided": decided,
        "verdict": conclusion.verdict.value,
        "reason": conclusion.reason,
        "latest": net_figures(net(night.latest)),
        "candidate": None if candidate is None else net_figures(candidate),
        "champion": net_figures(champion),
        "entries": [_entry_figures(entry) for entry in field.entries],
        "refused": [asdict(one) for one in field.refused],
        "sanity": [asdict(found) for found in field.sanity],
        "stages": dict(stages),
        "gate": "gate" if "gate" in stages else None,
        "settings": night.settings,
        "versions": versions(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return plain


def _entry_figures(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "sha256": entry.sha256,
        "passed_over": list(entry.passed_over),
    }


def match_figures(run: Run, home: Home) -> dict[str, Any]:
    """The figures of a stage's match."""
    summary = {key: value for key, value in summarize(run).items() if key not in LEFT_OUT}
    return {"folder": home.relative(run.folder), **summary}


def race_figures(outcome: RaceOutcome, home: Home) -> dict[str, Any]:
    """The figures of a race; points are the candidates', in pairs."""
    return {
        "winner": outcome.winner,
        "dropped": [asdict(one) for one in outcome.dropped],
        "left": [asdict(one) for one in outcome.left],
        "rounds": outcome.rounds,
        "error": outcome.error,
        "doubts": list(outcome.doubts),
        "pairs": outcome.pairs,
        "meetings": [
            {
                "folder": home.relative(one.folder),
                "baseline": one.baseline,
                "candidate": one.candidate,
                "pairs": one.pairs,
                "pentanomial": list(one.counts.pentanomial),
            }
            for one in outcome.meetings
        ],
    }
