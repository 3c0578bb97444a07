"""What a decision is told by: decision.json, reports, the index of all nights, the hook.

All of it follows from the registry and the ledgers and can be made again: a call that is killed
here is followed by one that does it, and so a hook runs at least once (the decision's ``night``
tells it whether it has seen it). Nothing here can undo a decision: what goes wrong is told.
"""

from __future__ import annotations

import json
from pathlib import Path

from arena.ledger import GAMES_FILE
from arena.nightly.hook import run_hook
from arena.nightly.job import Job
from arena.registry.records import DecisionRecord, HookState
from arena.report.folder import FORMATS, write_reports
from arena.report.index.document import write_index
from arena.report.index.nights import DECISION_FILE
from swa.files import write_whole

REPORTED = ("gate", "confirm")
"""Stages that have a whole report; of the others there is summary.json."""


def publish(decision: DecisionRecord, job: Job) -> None:
    """Write all that tells of a decision, run the hook, and note that it is done.

    Where not even decision.json can be written the disk is full: all of it is left to the next
    call. A night's folder that is gone by now is made anew, with nothing else in it.
    """
    home, registry, tell = job.home, job.registry, job.tell
    on_decision = job.settings.on_decision
    night = registry.night(decision.night)
    assert night is not None  # a foreign key
    folder = home.root / night.folder
    try:
        _write_decision(folder, decision)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        tell(f"note: night {night.number} is decided; the next call tells of it: {reason}")
        return
    for step in (
        lambda: registry.backup(home.backup),
        lambda: _report_stages(folder),
        lambda: write_index(home.root),
    ):
        try:
            step()
        except Exception as error:  # a fault in a picture, say, must not keep a decision back
            tell(f"note: night {night.number} is decided; its report is not whole: {error}")
    state: HookState = "none"
    if on_decision:
        failure = run_hook(on_decision, decision.document, home.root)
        state = "done" if failure is None else "failed"
        if failure is not None:
            tell(f"note: on-decision: {on_decision[0]} {failure}")
    registry.hook_ran(decision.night, state)


def _write_decision(folder: Path, decision: DecisionRecord) -> None:
    text = json.dumps(decision.document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / DECISION_FILE, text.encode())


def _report_stages(folder: Path) -> None:
    """Write the reports that are missing, or older than the last pair."""
    for stage in REPORTED:
        games, page = folder / stage / GAMES_FILE, folder / stage / FORMATS["html"]
        if games.exists() and not (
            page.exists() and page.stat().st_mtime_ns > games.stat().st_mtime_ns
        ):
            write_reports(folder / stage)
