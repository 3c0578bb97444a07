"""report.md and summary.json of two fixed ledgers, word for word: tests/golden_report.

``nets`` are real games of two small nets, decided by a test; ``players`` are an engine against a
net by script, with rules of adjudication, faults and names that are markup. After a change that is
meant, renew the files and read the difference:
    ARENA_RENEW_REPORT=1 .venv/bin/pytest tests/arena/test_golden_report.py
    git diff tests/golden_report
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kinds_of_runs import GOLDEN, KINDS

from arena.referee import check_pair
from arena.report.markdown import escape, markdown
from arena.report.run import read_run
from arena.report.schema import Summary
from arena.report.summary import summarize, summary_json

RUNS = ("nets", "players")


@pytest.mark.parametrize("name", RUNS)
def test_golden_report(name: str) -> None:
    run = read_run(GOLDEN / name)
    summary = summarize(run)
    texts = {"summary.json": summary_json(summary), "report.md": markdown(run, summary)}
    if os.environ.get("ARENA_RENEW_REPORT"):
        for file, text in texts.items():
            (GOLDEN / name / file).write_text(text, encoding="utf-8")
    golden = {file: (GOLDEN / name / file).read_text(encoding="utf-8") for file in texts}
    assert texts["report.md"] == golden["report.md"]
    found, expected = json.loads(texts["summary.json"]), json.loads(golden["summary.json"])
    assert list(_leaves(found)) == [
        (place, pytest.approx(value, rel=1e-9, abs=1e-12) if type(value) is float else value)
        for place, value in _leaves(expected)
    ]


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """All values with where they stand, in order; empty lists and objects among them."""
    parts: list[tuple[object, object]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    if not parts:
        yield place, value
    for key, part in parts:
        yield from _leaves(part, f"{place}.{key}")


@pytest.mark.parametrize("name", RUNS)
def test_the_golden_games_are_games(name: str) -> None:
    for pair in read_run(GOLDEN / name).pairs:
        check_pair(pair)


# --- every number of the page is one of summary.json ---

PICTURES = "Pictures"
"""The section that may show the curves; numbers elsewhere must be found without them, since among
so many any number is found."""

CONSTANTS = {
    "95": "the confidence of all intervals",
    "0-2": "a line of fastchess's: Ptnml(0-2)",
    "of 2": "the points of a pair",
    "fewer than 20 positions": "what a picture leaves out",
    "from 10 pairs": "where a picture has intervals",
}


class Printed(NamedTuple):
    """A number as the page has it."""

    value: float
    digits: int  # after the point
    percent: bool
    text: str

    def is_one_of(self, numbers: set[float]) -> bool:
        scale = 100.0 if self.percent else 1.0
        tolerance = 0.5 * 10.0**-self.digits * (1 + 1e-9) + 1e-9
        return any(abs(number * scale - self.value) <= tolerance for number in numbers)


def derived(summary: Summary) -> set[float]:
    """The few figures that the page works out of two numbers of the summary, and no others."""
    found = {count / summary["games"] for count in summary["terminations"].values()}
    for interval in (summary["elo_ci"], summary["nelo_ci"]):  # fastchess's "+/-"
        if interval is not None and None not in interval:
            found.add((interval[1] - interval[0]) / 2)
    if summary["llr"] is not None:  # fastchess's share of the bound
        lower, upper = summary["llr_bounds"]
        found.add(summary["llr"] / upper if summary["llr"] >= 0 else -summary["llr"] / lower)
    for rule in (summary["adjudication"] or {"rules": []})["rules"]:
        if rule["audited"]:
            found.add(-rule["by_net"]["candidate"]["points_withheld"] / rule["audited"])
    adjudication = summary["adjudication"]
    if adjudication is not None:  # games of all rules that foretell
        rules = [rule for rule in adjudication["rules"] if rule["rule"] != "maximal length"]
        found.add(sum(rule["games"] for rule in rules))
    if summary["homogeneity"] is not None:
        found.add(len(summary["homogeneity"]["parts"]))
    if summary["sprt"] is not None:  # "is not 250 Elo weaker"
        found |= {-summary["sprt"]["elo0"], -summary["sprt"]["elo1"]}
    return found


def derived_in_pictures(summary: Summary) -> set[float]:
    """The same of the tables below the pictures."""
    curves, pentanomial = summary["curves"], summary["pentanomial"]
    found = {point["differ"] / point["positions"] for point in curves["divergence"]}
    found |= {session["seconds"] / 60.0 for session in curves["sessions"]}
    return found | {(pentanomial[place] + pentanomial[4 - place]) / 2 for place in range(5)}


def strangers(page: str, summary: Summary) -> list[str]:
    """The numbers of a page that are not in the summary, each with its line."""
    figures = {key: value for key, value in summary.items() if key != "curves"}
    known = numbers(figures) | derived(summary)
    of_curves = known | numbers(summary["curves"]) | derived_in_pictures(summary)
    found, section = [], ""
    for line in without_texts(page, summary).splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        here = of_curves if section == PICTURES else known
        strange = (number for number in printed(line) if not number.is_one_of(here))
        found += [f"{number.text!r} in {line!r}" for number in strange]
    return found


def numbers(value: object) -> set[float]:
    """All numbers in a document; texts that are numbers are such."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, int | float):
        return {float(value)}
    if isinstance(value, str):
        return {float(value)} if re.fullmatch(r"-?\d+(\.\d+)?", value) else set()
    parts = value.values() if isinstance(value, dict) else value
    return set().union(*map(numbers, parts))


def without_texts(page: str, summary: Summary) -> str:
    """Take out of a page what the summary has as text: names, versions, moves, dates, hashes."""
    texts = [str(value) for _, value in _leaves(summary) if isinstance(value, str)]
    texts += [str(key) for key in _keys(summary)]
    texts = [
        text for text in texts if re.search(r"\d", text) and not re.fullmatch(r"[-\d.]+", text)
    ]
    dates = [summary["date"] or "2025-01-31", *summary["versions"].values(), *summary["parts"]]
    for text in sorted({*texts, *dates}, key=len, reverse=True):
        for form in (escape(text), text):
            page = re.sub(rf"(?<![\w.]){re.escape(form)}(?![\w])", " ", page)
    page = re.sub(r"`[0-9a-f]{16}`|\b\d\d:\d\d\b", " ", page)
    for constant in CONSTANTS:
        page = re.sub(rf"(?<![\w.,]){re.escape(constant)}(?![\w.,])", " ", page)
    return page


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _keys(part)


def printed(line: str) -> Iterator[Printed]:
    """The numbers in a line; not those that are part of a word, as in ``H1`` and ``float32``."""
    for match in re.finditer(r"(?<![\w.])(-?[\d,]*\d)(?:\.(\d+))?(\s?%)?(?!\w)", line):
        whole, fraction, percent = match.groups()
        value = float(f"{whole.replace(',', '')}.{fraction or '0'}")
        yield Printed(value, len(fraction or ""), percent is not None, match[0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_the_page_is_in_the_summary(kind: str, tmp_path: Path) -> None:
    run = read_run(KINDS[kind](tmp_path / "run"))
    summary = summarize(run)
    assert strangers(markdown(run, summary), summary) == []


@pytest.mark.parametrize("name", RUNS)
def test_a_number_that_is_another_one_is_found(name: str) -> None:
    run = read_run(GOLDEN / name)
    summary = summarize(run)
    assert summary["elo_ci"] is not None
    page = markdown(run, summary)
    right = f"{summary['elo_ci'][1]:.2f}"
    assert right in page
    wrong = f"{summary['elo_ci'][1] + 0.01:.2f}"
    assert len(strangers(page.replace(right, wrong), summary)) == page.count(right)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("Elo: 9.76 +/- 7.65, nElo", [9.76, 7.65]),
        ("| 1,234 | 75.00 % |", [1234.0, 75.0]),
        ("LLR: -0.21 (-7.2%) (-2.94, 2.94)", [-0.21, -7.2, -2.94, 2.94]),
        ("[0, 1, 12]", [0, 1, 12]),
        ("H1 float32 e2e4 1st", []),
        ("58.15 to -126.55.", [58.15, -126.55]),
    ],
)
def test_numbers_are_read_as_they_are_printed(line: str, values: list[float]) -> None:
    assert [number.value for number in printed(line)] == values
