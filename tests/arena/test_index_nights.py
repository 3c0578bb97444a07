"""Nights in the index: what they decided, and that nothing else of a night promotes."""

from __future__ import annotations

import json
import os
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from match_folders import EVEN, HOSTILE, LOST, WON, between, night, played, sha

from arena.report.index.document import index_json, make_index, write_index
from arena.report.index.pages import summary_line
from arena.stats.sprt import Sprt


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three nights: b beat a after a race and a quick match; c failed; d was dropped before."""
    first = night(tmp_path / "nights" / "0001-b", 1, "promote", ("a", "b"))
    fixed = {"sprt": None, "pairs": 6}
    played(first / "race" / "b-vs-x", between("x", "b", **fixed), EVEN, "2026-03-01")
    played(first / "quick", between("a", "b", sprt=Sprt(-60, 400)), WON, "2026-03-01")
    played(first / "gate", between("a", "b"), WON, "2026-03-01")
    played(first / "confirm", between("a", "b", **fixed), EVEN, "2026-03-01")
    second = night(tmp_path / "nights" / "0002-c", 2, "keep", ("b", "c"))
    played(second / "quick", between("b", "c"), WON, "2026-03-02")
    played(second / "gate", between("b", "c", seed=8), LOST, "2026-03-02")
    night(tmp_path / "nights" / "0003-d", 3, "keep", ("b", "d"), candidate=None, gate=None)
    played(tmp_path / "by hand", between("a", "z"), WON, "2026-03-04")
    return tmp_path


def outcomes(root: Path) -> dict[str, str]:
    return {match["folder"]: match["outcome"] for match in make_index(root)["matches"]}


def rungs(root: Path) -> set[str]:
    return {rung["net"] for ladder in make_index(root)["ladders"] for rung in ladder["rungs"]}


def test_only_the_gate_of_a_night_that_promoted_is_a_promotion(home):
    index = make_index(home)
    assert {match["folder"]: (match["kind"], match["outcome"]) for match in index["matches"]} == {
        "nights/0001-b/race/b-vs-x": ("nightly", "no test"),
        "nights/0001-b/quick": ("nightly", "passed"),
        "nights/0001-b/gate": ("nightly", "promote"),
        "nights/0001-b/confirm": ("nightly", "no test"),
        "nights/0002-c/quick": ("nightly", "passed"),
        "nights/0002-c/gate": ("nightly", "keep"),
        "by hand": ("match", "promote"),
    }
    assert rungs(home) == {"a", "b", "z"}
    assert [rung["match"] for rung in index["ladders"][0]["rungs"]] == [
        None,
        "nights/0001-b/gate",
        "by hand",
    ]
    line = summary_line(index)
    assert ", 2 promotions. The latest: z over a, 2026-03-04. 3 nights decided: " in line
    assert line.endswith("1 promote, 2 keep.")


def test_what_the_nights_decided_is_told(home):
    index = make_index(home)
    assert [one["night"] for one in index["decisions"]] == [3, 2, 1]
    third, _, first = index["decisions"]
    assert first == {
        "folder": "nights/0001-b",
        "night": 1,
        "date": "2026-03-01T13:00:00+00:00",
        "verdict": "promote",
        "reason": "b against a: promote",
        "latest": {"name": "raw 1", "sha256": sha("raw 1")},
        "candidate": {"name": "b", "sha256": sha("b")},
        "champion": {"name": "a", "sha256": sha("a")},
        "match": "nights/0001-b/gate",
        "report": "nights/0001-b/gate/report.md",
        "document": "nights/0001-b/decision.json",
    }
    assert (third["candidate"], third["match"], third["report"]) == (None, None, None)
    write_index(home)
    html = unescape((home / "index.html").read_text(encoding="utf-8"))
    markdown = (home / "index.md").read_text(encoding="utf-8")
    assert "3 nights decided: 1 promote, 2 keep." in html
    assert 'value="nightly"' in html
    for one in index["decisions"]:
        assert (home / unquote(one["document"])).is_file()
        assert f'href="{one["document"]}"' in html
        assert f"[{one['night']}]({one['document']})" in markdown
        assert one["reason"] in html
        assert one["reason"] in markdown
    assert "[b](nights/0001-b/gate/report.md)" in markdown
    for stage in ("quick", "gate"):  # of the same two nets
        assert f"· nightly: nights/0001-b/{stage}<" in html
        assert f"; nights/0001-b/{stage} |" in markdown


def test_no_nights_no_section(tmp_path):
    played(tmp_path / "1", between("a", "b"), WON)
    assert write_index(tmp_path).index["decisions"] == []
    assert "Nightly decisions" not in (tmp_path / "index.html").read_text()
    assert "Nightly decisions" not in (tmp_path / "index.md").read_text()


@pytest.mark.parametrize(
    ("verdict", "changed"),
    [
        ("keep", {}),
        ("undecided", {}),  # the confirmation contradicted the gate
        ("promote", {"gate": "quick"}),
        ("promote", {"gate": None}),
        ("promote", {"gate": "race"}),
        ("promote", {"candidate": None}),
        ("promote", {"candidate": {"name": "b", "sha256": sha("another")}}),
        ("promote", {"champion": {"name": "a", "sha256": sha("another")}}),
        ("promote", {"format": 2}),
    ],
)
def test_a_gate_that_the_decision_does_not_name_promotes_nothing(tmp_path, verdict, changed):
    folder = night(tmp_path / "night", 1, verdict, ("a", "b"), **changed)
    played(folder / "gate", between("a", "b"), WON, "2026-03-01")
    assert outcomes(tmp_path) == {"night/gate": "passed"}
    assert rungs(tmp_path) == set()
    assert "0 promotions" in summary_line(make_index(tmp_path))


def test_a_decision_promotes_no_match_that_says_otherwise(tmp_path):
    folder = night(tmp_path / "night", 1, "promote", ("a", "b"))
    played(folder / "gate", between("a", "b"), LOST, "2026-03-01")
    assert outcomes(tmp_path) == {"night/gate": "keep"}
    assert rungs(tmp_path) == set()


def test_a_night_that_is_not_decided_promotes_nothing(tmp_path):
    folder = night(tmp_path / "night", 1, "promote", ("a", "b"))
    played(folder / "gate", between("a", "b"), WON, "2026-03-01")
    (folder / "decision.json").unlink()
    index = make_index(tmp_path)
    assert (index["decisions"], index["unreadable"]) == ([], [])
    assert outcomes(tmp_path) == {"night/gate": "passed"}


@pytest.mark.parametrize("where", [".", "nights", "nights/0001-b", "nights/0001-b/gate"])
def test_a_night_is_known_from_wherever_it_is_looked_at(home, monkeypatch, where):
    monkeypatch.chdir(home / where)
    folder = os.path.relpath(home / "nights" / "0001-b" / "gate", home / where)
    for root in (home / where, Path(".")):
        found = {match["folder"]: match for match in make_index(root)["matches"]}
        assert (found[folder]["kind"], found[folder]["outcome"]) == ("nightly", "promote")
        nightly = [match for match in found.values() if match["kind"] == "nightly"]
        assert sum(match["outcome"] == "promote" for match in nightly) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, "\udcff", '{"format": 1}'])
def test_a_file_that_is_no_decision_is_told_once_and_hinders_nothing(tmp_path, text):
    folder = night(tmp_path / "night", 1, "promote", ("a", "b"))
    (folder / "decision.json").write_text(text, errors="surrogateescape")
    refused(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"night": -1},
        {"night": True},
        {"night": "1"},
        {"verdict": "win"},
        {"verdict": []},
        {"latest": None},
        {"latest": "b"},
        {"champion": {"name": "a"}},
        {"champion": {"name": "a", "sha256": "../../x"}},
        {"candidate": {"name": "a", "sha256": 5}},
        {"gate": "../gate"},
        {"gate": ".."},
        {"gate": ""},
        {"gate": "/etc"},
        {"gate": 5},
        {"decided": 5},
    ],
)
def test_a_decision_that_says_something_odd_is_told_likewise(tmp_path, changed):
    folder = night(tmp_path / "night", 1, "promote", ("a", "b"))
    path = folder / "decision.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    refused(tmp_path)


def refused(root: Path) -> None:
    """The night's gate is there, and promotes nothing; of the night there is the reason."""
    played(root / "night" / "gate", between("a", "b"), WON, "2026-03-01")
    index = make_index(root)
    assert [match["outcome"] for match in index["matches"]] == ["passed"]
    assert index["decisions"] == []
    ((where, reason),) = [(one["folder"], one["reason"]) for one in index["unreadable"]]
    assert where == "night"
    assert reason.startswith("decision.json: ")
    assert len(reason) < 200
    write_index(root)
    assert "decision.json: " in (root / "index.html").read_text()


def test_a_time_that_is_none_is_left_out(tmp_path):
    night(tmp_path / "night", 1, "keep", ("a", "b"), decided="yesterday")
    (one,) = make_index(tmp_path)["decisions"]
    assert one["date"] is None
    write_index(tmp_path)


def test_nights_are_in_order_of_their_numbers_where_times_are_the_same(tmp_path):
    for number in (2, 10, 9):
        when = "2026-03-01T00:00:00+00:00"
        night(tmp_path / str(number), number, "keep", ("a", "b"), decided=when)
    assert [one["night"] for one in make_index(tmp_path)["decisions"]] == [10, 9, 2]


def test_hostile_words_are_only_words(tmp_path):
    hostile = {"name": HOSTILE, "sha256": sha("h")}
    every = {"reason": HOSTILE, "latest": hostile, "candidate": hostile, "champion": hostile}
    night(tmp_path / "ni#ght?", 1, "keep", ("a", "b"), **every)
    write_index(tmp_path)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<img" not in html
    assert html.count("<script") == 1
    markdown = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "<img" not in markdown
    (row,) = [line for line in markdown.splitlines() if line.startswith("| 2026-03-01")]
    assert "(ni%23ght%3F/decision.json)" in row
    json.loads(index_json(make_index(tmp_path)))


def test_nets_are_called_as_in_the_matches(tmp_path):
    """Two nets of one name are told apart everywhere on the page."""
    one = between("a", "b")
    folder = night(tmp_path / "1", 1, "promote", ("a", "b"))
    played(folder / "gate", one, WON, "2026-03-01")
    champion, other = between("a", "c").nets
    renamed = type(other)(other.role, "b", other.sha256)
    played(tmp_path / "2", between("a", "c", nets=(champion, renamed)), LOST, "2026-03-02")
    (decision,) = make_index(tmp_path)["decisions"]
    assert decision["candidate"]["name"] == f"b@{sha('b')[:8]}"
