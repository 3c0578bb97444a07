"""Folders of matches whose results are known, for the tests of what is said of many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from scripted_match import identity, pair, run_folder

from arena.game import PairRecord
from arena.match_file import MatchIdentity, NetIdentity
from arena.report.run import read_run
from arena.report.summary import summarize, write_summary
from arena.sessions import Pace, Session, session_ended, session_started
from arena.stats.sprt import Sprt

EVEN = [(1.0, 0.5), (0.5, 0.5), (1.0, 0.0), (0.0, 0.5), (1.0, 1.0), (0.5, 0.0)]
"""Six pairs, 6.5 points of 12."""

WON = [(1.0, 1.0 if number % 3 else 0.5) for number in range(16)]
"""What a test of [0, 400] promotes on before its end."""

LOST = [(0.0, 0.0 if number % 3 else 0.5) for number in range(16)]

HOSTILE = (
    "</script><img src=x onerror=alert(1)>\"'`|*_[link](http://evil) $x_1$ {{ 7 * 7 }} \n& é日本"
)

TEST = Sprt(0, 400)


def sha(name: str) -> str:
    return (name.encode().hex() * 64)[:64]


def between(baseline: str, candidate: str, **changed: object) -> MatchIdentity:
    """The identity of a match; a net's sha256 is its name's."""
    nets = (
        NetIdentity("baseline", baseline, sha(baseline)),
        NetIdentity("candidate", candidate, sha(candidate)),
    )
    return replace(identity(sprt=TEST), **({"nets": nets} | changed))


def records(points: list[tuple[float, float]]) -> list[PairRecord]:
    return [pair(number, *both) for number, both in enumerate(points)]


def played(
    folder: Path,
    of: MatchIdentity,
    points: list[tuple[float, float]],
    day: str | None = None,
    *,
    reported: bool = True,
) -> Path:
    """A run folder, played on a day from 10 to 12, with summary.json and a stand-in report."""
    run_folder(folder, of, records(points))
    if day is not None:
        session = Session(f"{day}T10:00:00+00:00", ("arena",), {}, "cpu", 1)
        session_started(folder, session)
        session_ended(folder, Pace(), f"{day}T12:00:00+00:00")
    if reported:
        write_summary(folder / "summary.json", summarize(read_run(folder)))
        (folder / "report.md").write_text("# A match\n")
    return folder


def some_matches(root: Path) -> Path:
    """Eight matches: two promotions in a row, one of other conditions, and what else there is."""
    played(root / "night 1", between("first", "second"), WON, "2026-01-05")
    played(root / "night 2", between("second", "third"), LOST, "2026-01-06")
    played(root / "night 3", between("second", "fourth"), WON, "2026-01-07")
    fast = replace(between("first", "other"), search=replace(identity().search, visits=1))
    played(root / "fast", fast, WON, "2026-01-08")
    played(root / "fixed", between("first", "fourth", sprt=None, pairs=6), EVEN, "2026-01-09")
    narrow = between("third", "fourth", pairs=6, sprt=Sprt(0, 50))
    played(root / "undecided", narrow, EVEN, "2026-01-10")
    played(root / "unfinished", between("fourth", "fifth"), EVEN[:3], "2026-01-11")
    played(root / "odd: #1 100%", between("fifth", HOSTILE), LOST, "2026-01-12")
    (root / "damaged").mkdir()
    (root / "damaged" / "match.toml").write_text("format = 99\n")
    return root


def night(
    folder: Path, number: int, verdict: str, nets: tuple[str, str], **changed: object
) -> Path:
    """A night's folder with its decision: of ``nets``, the champion and the candidate."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "night.toml").write_text("seed = 7\n")
    champion, candidate = ({"name": name, "sha256": sha(name)} for name in nets)
    document = {
        "format": 1,
        "night": number,
        "decided": f"2026-03-{number:02}T13:00:00+00:00",
        "verdict": verdict,
        "reason": f"{nets[1]} against {nets[0]}: {verdict}",
        "latest": {"name": f"raw {number}", "sha256": sha(f"raw {number}")},
        "candidate": candidate,
        "champion": champion,
        "stages": {},
        "gate": "gate",
    }
    (folder / "decision.json").write_text(json.dumps(document | changed))
    return folder
