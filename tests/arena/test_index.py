"""The index of many matches: what it lists, on which grounds, and where its links lead."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import pytest
from match_folders import (
    EVEN,
    LOST,
    WON,
    between,
    played,
    sha,
    some_matches,
)

from arena.cli import main
from arena.report.index.collection import read_match
from arena.report.index.document import make_index, write_index
from arena.report.index.forest import Forest
from arena.report.run import read_run
from arena.stats.ratings import Encounter, rate


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = some_matches(tmp_path_factory.mktemp("reports"))
    write_index(root)
    return root


@pytest.fixture(scope="module")
def index(matches: Path) -> dict:
    return json.loads((matches / "index.json").read_text(encoding="utf-8"))


def rewrite(folder: Path, **changed: object) -> None:
    """Change summary.json and leave it newer than the ledger."""
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def html_text(path: Path) -> str:
    return unescape(path.read_text(encoding="utf-8"))


class Page(HTMLParser):
    """Tags, links and text of a page; what is within script and style is no text."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def leads_somewhere(link: str, folder: Path) -> bool:
    return (folder / unquote(link)).is_file()


def test_every_match_is_there_with_its_outcome(index, matches):
    found = {match["folder"]: match for match in index["matches"]}
    assert {folder: match["outcome"] for folder, match in found.items()} == {
        "night 1": "promote",
        "night 2": "keep",
        "night 3": "promote",
        "fast": "promote",
        "fixed": "no test",
        "undecided": "undecided",
        "unfinished": "unfinished",
        "odd: #1 100%": "keep",
    }
    dates = [match["date"] for match in index["matches"]]
    assert dates == sorted(dates, reverse=True)
    for folder, match in found.items():
        summary = json.loads((matches / folder / "summary.json").read_text())
        for key in ("pairs", "pairs_limit", "verdict"):
            assert match[key] == summary[key]
        for key in ("elo", "elo_ci"):
            assert match[key] == summary["headline"][key]
        assert match["elo_kind"] == summary["headline"]["kind"]
        assert [match[role]["sha256"] for role in ("baseline", "candidate")] == [
            net["sha256"] for net in summary["nets"]
        ]
        assert match["date"][:10] == summary["date"]
        assert match["kind"] == "match"
    assert index["unreadable"] == [
        {"folder": "damaged", "reason": index["unreadable"][0]["reason"]}
    ]
    assert "match.toml" in index["unreadable"][0]["reason"]
    assert index["summarised_anew"] == 0


def test_every_figure_of_the_pages_is_the_documents(index, matches):
    text = (matches / "index.md").read_text(encoding="utf-8").partition("## All matches")[2]
    html = (matches / "index.html").read_text(encoding="utf-8")
    for match in index["matches"]:
        elo = match["elo"]
        shown = "n/a" if elo is None else f"{elo:+.1f}".replace("-", "−")
        row = next(r for r in text.splitlines() if r.startswith(f"| {match['date'][:10]}"))
        assert f"| {shown} |" in row
        assert f'data-elo="{"" if elo is None else elo}"' in html
        assert f"{shown} <span" in html
    assert text.count("\n| 2026-01-1") == 3


def test_links_lead_to_files(index, matches):
    page = Page(matches / "index.html")
    links = [link for link in page.links if not link.startswith("#")]
    assert len(links) >= 8 + 3
    assert all(leads_somewhere(link, matches) for link in links)
    assert not any(":" in link or link.startswith("/") for link in links)
    markdown = (matches / "index.md").read_text(encoding="utf-8")
    in_markdown = re.findall(r"(?<!\\)\]\(([^)]+)\)", markdown)
    assert len(in_markdown) >= 8 + 1
    assert all(leads_somewhere(link, matches) for link in in_markdown)


def test_hostile_names_break_nothing(index, matches):
    page = Page(matches / "index.html")
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert page.handlers == []
    assert "{{ 7 * 7 }}" in html_text(matches / "index.html")
    html = (matches / "index.html").read_text(encoding="utf-8")
    assert "&lt;img src=x" in html
    markdown = (matches / "index.md").read_text(encoding="utf-8")
    assert "<img" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| 2026-01-12")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 9


def test_the_ladder_is_the_promotions_in_a_row(index, matches):
    main_ladder, fast = sorted(index["ladders"], key=lambda ladder: -len(ladder["rungs"]))
    assert [rung["net"] for rung in main_ladder["rungs"]] == ["first", "second", "fourth"]
    assert [rung["over"] for rung in main_ladder["rungs"]] == [None, "first", "second"]
    assert [rung["match"] for rung in main_ladder["rungs"]] == [None, "night 1", "night 3"]
    assert [(rung["date"] or "")[:16] for rung in main_ladder["rungs"]] == [
        "2026-01-05T10:00",
        "2026-01-05T12:00",
        "2026-01-07T12:00",
    ]
    # The match of fixed length between two of its nets counts as well.
    assert main_ladder["matches"] == 3
    folders = {"night 1": ("first", "second"), "night 3": ("second", "fourth")}
    folders["fixed"] = ("first", "fourth")
    counts = {name: read_run(matches / name).judgement.counts for name in folders}
    joint = rate(
        [Encounter(*folders[name], counts[name]) for name in folders], anchors={"first": 0.0}
    )
    for rung in main_ladder["rungs"]:
        estimate = joint.rating(rung["net"])
        assert rung["elo"] == pytest.approx(estimate.elo)
        if rung["net"] == "first":
            assert (rung["elo"], rung["elo_ci"], rung["step"]) == (0.0, None, None)
            continue
        assert rung["elo_ci"] == pytest.approx([estimate.low, estimate.high])
        step = joint.difference(rung["net"], rung["over"])
        assert rung["step"] == pytest.approx(step.elo)
        assert rung["step_ci"] == pytest.approx([step.low, step.high])
        assert rung["los"] == pytest.approx(joint.superiority(rung["net"], rung["over"]))
    assert main_ladder["pairs"] == sum(count.pairs for count in counts.values())
    assert [rung["net"] for rung in fast["rungs"]] == ["first", "other"]


def test_other_conditions_are_a_ladder_of_their_own_with_the_reason(index):
    shown_first, second = index["ladders"]
    assert shown_first["apart"] == []
    assert shown_first["rungs"][-1]["net"] == "other"  # promoted last
    assert second["apart"] == ["visits: 100 here, 1 there"]
    assert second["conditions"].startswith("100 visits")


def test_series_that_nothing_connects_are_two_ladders(tmp_path):
    played(tmp_path / "1", between("a", "b"), WON, "2026-01-01")
    played(tmp_path / "2", between("x", "y"), WON, "2026-01-02")
    assert [ladder["apart"] for ladder in make_index(tmp_path)["ladders"]] == [
        [],
        ["no promotion connects its nets with those of the first ladder"],
    ]
    # A promotion between them makes them one, whichever came first.
    played(tmp_path / "3", between("b", "x"), WON, "2026-01-03")
    (ladder,) = make_index(tmp_path)["ladders"]
    assert [rung["net"] for rung in ladder["rungs"]] == ["a", "b", "x", "y", "x"]
    assert [rung["over"] for rung in ladder["rungs"]] == [None, "a", None, "x", "b"]


def test_games_that_two_folders_have_count_once(tmp_path):
    played(tmp_path / "1", between("a", "b"), WON, "2026-01-01")
    (once,) = make_index(tmp_path)["ladders"]
    played(tmp_path / "2", between("a", "b", seed=8), WON, "2026-01-02")
    (twice,) = make_index(tmp_path)["ladders"]
    assert twice["pairs"] == once["pairs"]
    assert twice["rungs"][-1]["elo"] == pytest.approx(once["rungs"][-1]["elo"])


def test_nets_of_one_name_are_told_apart(tmp_path):
    one, other = between("a", "b"), between("a", "c")
    renamed = replace(other.nets[1], name="b")
    played(tmp_path / "1", one, WON, "2026-01-01")
    played(tmp_path / "2", replace(other, nets=(other.nets[0], renamed)), WON, "2026-01-02")
    names = {match["candidate"]["name"] for match in make_index(tmp_path)["matches"]}
    assert names == {f"b@{sha(name)[:8]}" for name in ("b", "c")}


def test_a_summary_is_trusted_where_it_is_newer_than_the_ledger(tmp_path):
    folder = played(tmp_path / "1", between("a", "b"), WON)
    truth = read_match(folder)
    assert not truth.anew
    rewrite(folder, pairs=3)
    assert read_match(folder).figures.pairs == 3
    age(folder / "summary.json", 60)
    found = read_match(folder)
    assert found.anew
    assert found.figures == truth.figures


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 1},
        {"config": {}},
        {"pairs": "many"},
        {"pairs": True},
        {"pentanomial": [1, 2]},
        {"pentanomial": [0, 0, 0, 0, 10**400]},
        {"verdict": "<b>"},
        {"state": None},
        {"headline": {"kind": "anytime", "elo": float("nan"), "elo_ci": None}},
        {"headline": {"kind": "anytime", "elo": 10**400, "elo_ci": None}},
        {"headline": {"kind": "anytime", "elo": 1.0, "elo_ci": [1.0]}},
        {"headline": []},
        {"doubts": 3},
    ],
)
def test_a_summary_that_says_something_odd_is_not_trusted(tmp_path, changed):
    folder = played(tmp_path / "1", between("a", "b"), WON)
    truth = read_match(folder)
    rewrite(folder, **changed)
    found = read_match(folder)
    assert found.anew
    assert found.figures == truth.figures


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\udcff"])
def test_a_summary_that_is_no_summary_is_not_trusted(tmp_path, text):
    folder = played(tmp_path / "1", between("a", "b"), WON)
    (folder / "summary.json").write_text(text, errors="surrogateescape")
    assert read_match(folder).anew


def test_a_match_that_is_being_played_or_has_no_summary_is_there(tmp_path):
    played(tmp_path / "1", between("a", "b"), EVEN[:2], reported=False)
    index = make_index(tmp_path)
    (match,) = index["matches"]
    assert (match["outcome"], match["pairs"], match["report"]) == ("unfinished", 2, None)
    assert match["date"] is None
    assert index["summarised_anew"] == 1
    write_index(tmp_path)
    assert "2 of 16" in (tmp_path / "index.md").read_text()


def test_a_match_before_its_first_pair_is_there(tmp_path):
    played(tmp_path / "1", between("a", "b"), [])
    write_index(tmp_path)
    (match,) = make_index(tmp_path)["matches"]
    assert (match["elo"], match["pairs"], match["outcome"]) == (None, 0, "unfinished")


def test_times_that_are_none_or_the_same(tmp_path):
    for name, pairs in (("1", ("a", "b")), ("2", ("b", "c")), ("3", ("x", "y"))):
        played(tmp_path / name, between(*pairs), WON, "2026-01-01")
    when = {"1": "yesterday", "2": "0001-01-01T00:00:00+14:00", "3": "2026-01-01T10:00:00"}
    for name, said in when.items():
        path = tmp_path / name / "sessions.jsonl"
        start = json.loads(path.read_text().splitlines()[0]) | {"started": said}
        path.write_text(json.dumps(start) + "\n")
    dates = {match["folder"]: match["date"] for match in make_index(tmp_path)["matches"]}
    assert dates == {"1": None, "2": None, "3": "2026-01-01T10:00:00+00:00"}
    write_index(tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 1  # of the ladder whose times are known


def test_what_is_damaged_is_told_and_the_rest_shown(tmp_path):
    played(tmp_path / "good", between("a", "b"), WON)
    torn = played(tmp_path / "torn", between("a", "c"), WON, reported=False)
    lines = (torn / "games.jsonl").read_text().splitlines(keepends=True)
    (torn / "games.jsonl").write_text("".join(["{}\n", *lines[1:]]))
    empty = played(tmp_path / "no ledger", between("a", "d"), WON, reported=False)
    (empty / "games.jsonl").unlink()
    index = make_index(tmp_path)
    assert [match["folder"] for match in index["matches"]] == ["good"]
    reasons = {one["folder"]: one["reason"] for one in index["unreadable"]}
    assert reasons.keys() == {"torn", "no ledger"}
    assert reasons["torn"].startswith("games.jsonl, line 1: broken")
    assert "no such file" in reasons["no ledger"]
    assert not any(str(tmp_path) in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"moves":"f2f3', '"moves":"f2f6'),  # of a game
        ('"moves":"a2a3', '"moves":"a2a8'),  # of an opening
        ("8/8/8/8", "8/8/8/9"),
    ],
)
def test_games_that_are_no_chess_are_told_and_hinder_nothing(tmp_path, capsys, before, after):
    played(tmp_path / "good", between("a", "b"), WON)
    folder = played(tmp_path / "odd", between("a", "c"), LOST, reported=False)
    text = (folder / "games.jsonl").read_text()
    assert before in text
    (folder / "games.jsonl").write_text(text.replace(before, after))
    index = make_index(tmp_path)
    assert [match["folder"] for match in index["matches"]] == ["good"]
    (lost,) = index["unreadable"]
    assert lost["folder"] == "odd"
    assert lost["reason"].startswith("games.jsonl: a game is no chess: ")
    capsys.readouterr()
    for formats in (["html"], ["md", "html", "json", "pgn"]):
        assert main(["report", str(folder), "--format", *formats]) == 2
        assert "a game is no chess" in capsys.readouterr().err
    assert not (folder / "openings.csv").exists()


def test_folders_with_odd_names(tmp_path):
    names = ["javascript:alert(1)", "a b#c?d%20", "quote'\"<i>", os.fsdecode(b"\xff\xfe")]
    for name in names:
        played(tmp_path / name, between("a", f"net {len(name)}"), WON, "2026-01-01")
    write_index(tmp_path)
    links = [match["report"] for match in make_index(tmp_path)["matches"]]
    there = [os.fsencode(tmp_path) + b"/" + unquote_to_bytes(link) for link in links]
    assert len(set(there)) == len(names)
    assert all(os.path.isfile(path) for path in there)
    page = Page(tmp_path / "index.html")
    assert not any(":" in link for link in page.links)
    assert "i" not in page.tags


def test_command(matches, capsys, monkeypatch):
    monkeypatch.chdir(matches.parent)
    assert main(["report", "--index", matches.name]) == 0
    out = capsys.readouterr().out
    assert out.startswith("8 matches of ")
    assert "Not shown: damaged: match.toml" in out
    assert out.endswith(f"Index: {matches.name}/index.html\n")
    assert main(["report", "--index", str(matches), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((matches / "index.json").read_text(encoding="utf-8"))
    assert main(["report", "--index", str(matches), "-q"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [[], ["RUN", "--index", "DIR"]])
def test_one_of_run_and_index_is_asked_for(words, capsys):
    assert main(["report", *words]) == 2
    assert "--index" in capsys.readouterr().err


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["report", "--index", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "there is no such folder" in error
    assert len(error.splitlines()) <= 3


def test_a_folder_without_matches_has_an_empty_index(tmp_path):
    write_index(tmp_path)
    assert make_index(tmp_path)["matches"] == []
    assert "There is no match yet." in (tmp_path / "index.html").read_text()


def test_pictures_of_ladders_that_are_gone_go(tmp_path):
    played(tmp_path / "1", between("a", "b"), WON, "2026-01-01")
    (tmp_path / "index-ladder-7.png").write_bytes(b"")
    write_index(tmp_path)
    assert [path.name for path in tmp_path.glob("*.png")] == ["index-ladder-1.png"]


def test_the_index_is_the_same_each_time(matches):
    names = ("index.json", "index.md", "index.html")
    before = [(matches / name).read_bytes() for name in names]
    write_index(matches)
    assert [(matches / name).read_bytes() for name in names] == before


def test_tournaments_are_listed_and_a_damaged_one_is_told(tmp_path, capsys):
    cup = tmp_path / "cups" / "1"
    fixed = {"sprt": None, "pairs": 6}
    for number, both in enumerate((("a", "b"), ("a", "c"), ("b", "c"))):
        played(cup / str(number), between(*both, **fixed), EVEN, f"2026-01-0{number + 1}")
    assert main(["report", str(cup)]) == 0
    index = make_index(tmp_path)
    (found,) = index["tournaments"]
    ratings = json.loads((cup / "ratings.json").read_text())
    best = ratings["nets"][0]
    assert (found["strongest"], found["elo"]) == (best["net"], best["elo"])
    assert (found["nets"], found["matches"], found["pairs"]) == (3, 3, 18)
    assert found["report"] == "cups/1/report.html"
    assert {match["tournament"] for match in index["matches"]} == {"cups/1"}
    nets = ([], [{"elo": math.nan}], [{"elo": 10**400, "elo_ci": None, "net": "a"}])
    documents = [json.dumps({"format": 1, "nets": net}) for net in nets]
    for text in ("", "{}", *documents):
        (cup / "ratings.json").write_text(text)
        index = make_index(tmp_path)
        assert index["tournaments"] == []
        assert index["unreadable"][0]["folder"] == "cups/1"


def test_the_column_of_intervals():
    forest = Forest.of([(10.0, [-5.0, 30.0])] * 9 + [(900.0, [-900.0, None])])
    assert forest.reach == 50.0
    bar = forest.bar(25.0, [-25.0, None])
    assert (bar.low, bar.middle, bar.high) == (25.0, 75.0, 100.0)
    assert forest.bar(-900.0, None).low == 0.0
    assert forest.bar(None, None) is None
    assert Forest.of([]).reach == 10.0


def test_a_candidate_that_lost_is_on_no_ladder(tmp_path):
    played(tmp_path / "1", between("a", "b"), LOST)
    assert make_index(tmp_path)["ladders"] == []


def test_a_folder_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = some_matches(tmp_path / "reports")
    closed = root / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refusing(path: str | os.PathLike[str]) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    before = make_index(root)
    monkeypatch.setattr(os, "scandir", refusing)
    index = make_index(root)
    (fault,) = [one for one in index["unreadable"] if one not in before["unreadable"]]
    assert fault["folder"] == "closed"
    assert "ermission denied" in fault["reason"]
    assert index["matches"] == before["matches"]


@pytest.mark.parametrize("flag", [["--opinions"], ["--format", "html"]])
def test_what_a_single_match_has_is_refused(
    flag: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = some_matches(tmp_path / "reports")
    assert main(["report", "--index", str(root), *flag]) == 2
    assert f"{flag[0]} is of a single match: name its RUN_DIR" in capsys.readouterr().err
    assert not (root / "index.html").exists()
