"""The report of a tournament: who did what against whom, by the ratings' own figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from match_folders import EVEN, HOSTILE, LOST, WON, between, played
from test_index import Page

from arena.cli import main
from arena.report.ratings.field import read_field
from arena.report.ratings.table import RatingsDocument
from arena.report.ratings.tournament import cross_table, headline, write_tournament
from arena.report.run import read_run

FIXED = {"sprt": None, "pairs": 6}


@pytest.fixture(scope="module")
def cup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nets, one of a hostile name, all against all, some in two matches."""
    folder = tmp_path_factory.mktemp("cups") / "a cup"
    played(folder / "1", between("raw", "swa", **FIXED), EVEN)
    played(folder / "2", between("raw", HOSTILE, **FIXED), LOST[:6])
    played(folder / "3", between("swa", HOSTILE, **FIXED), EVEN[::-1])
    played(folder / "4", between("swa", "raw", **FIXED, seed=8), WON[:6])
    write_tournament(folder)
    return folder


@pytest.fixture(scope="module")
def document(cup: Path) -> RatingsDocument:
    return json.loads((cup / "ratings.json").read_text(encoding="utf-8"))


def test_the_cross_table_is_what_was_played(cup, document):
    names = [net["net"] for net in document["nets"]]
    rows = cross_table(cup, document)
    raw, swa = names.index("raw"), names.index("swa")
    # Match 1 from swa's side, and match 4 from raw's.
    first, second = (read_run(cup / name).judgement.counts for name in ("1", "4"))
    cell = rows[swa][raw]
    assert cell.points == first.points + second.flipped().points
    assert cell.games == first.games + second.games == 24
    won = first.WW + first.WD + second.LL + second.LD
    lost = first.LL + first.LD + second.WW + second.WD
    assert (cell.won, cell.level, cell.lost) == (won, 12 - won - lost, lost)
    for one in range(3):
        assert rows[one][one] is None
        total = rows[one][-1]
        assert total.points == document["nets"][one]["points"]
        assert total.games == 2 * document["nets"][one]["pairs"]
        for other in range(3):
            if one != other:
                mine, theirs = rows[one][other], rows[other][one]
                assert mine.points + theirs.points == mine.games
                assert (mine.won, mine.level, mine.lost) == (theirs.lost, theirs.level, theirs.won)
                assert mine.won + mine.level + mine.lost == mine.games / 2


def test_the_pentanomial_of_each_two_nets_is_in_the_document(cup, document):
    for encounter in document["encounters"]:
        counts = encounter["pentanomial"]
        assert sum(counts) == encounter["pairs"]
        points = sum(0.5 * n * count for n, count in enumerate(counts))
        assert points == encounter["points"]


def test_every_figure_of_the_pages_is_the_documents(cup, document):
    pages = [(cup / name).read_text(encoding="utf-8") for name in ("report.md", "report.html")]
    for page in pages:
        for net in document["nets"]:
            assert f"{net['elo']:+.1f}".replace("-", "−") in page
            low, high = (f"{end:+.1f}".replace("-", "−") for end in net["elo_ci"])
            assert f"[{low}, {high}]" in page
            assert f"{100 * net['score']:.2f} %" in page
        for row in document["los"]:
            assert all(f"{100 * chance:.2f} %" in page for chance in row if chance is not None)


def test_two_nets_that_met_twice_have_both_reports(cup, document):
    page = Page(cup / "report.html")
    links = [link for link in page.links if not link.startswith("#")]
    reports = {unquote(link).partition("/")[0] for link in links if "/" in link}
    assert reports == {"1", "2", "3", "4"}
    assert all((cup / unquote(link)).is_file() for link in links)
    markdown = (cup / "report.md").read_text(encoding="utf-8")
    in_markdown = re.findall(r"(?<!\\)\]\(([^)]+)\)", markdown)
    assert {"ratings.png", "ratings.json"} <= set(in_markdown)
    assert all((cup / unquote(link)).is_file() for link in in_markdown)


def test_hostile_names_break_nothing(cup):
    page = Page(cup / "report.html")
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.handlers == []
    markdown = (cup / "report.md").read_text(encoding="utf-8")
    assert "<img" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| 1 |")]
    assert len(rows) == 3  # ratings, cross table, likelihoods


def test_the_leader_is_said_with_the_grounds(document):
    words = headline(document)
    best, second = document["nets"][:2]
    assert words.startswith(best["net"])
    assert f"{100 * best['los']:.2f} %" in words
    assert second["net"] in words
    assert "24 pairs" in words


def test_the_command_writes_the_pages_and_shows_the_table(cup, capsys):
    before = (cup / "ratings.json").read_bytes()
    (cup / "report.html").unlink()
    assert main(["report", str(cup)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Ratings of 3 nets")
    assert out.endswith("report.html\n")
    assert (cup / "report.html").exists()
    assert (cup / "ratings.json").read_bytes() == before
    assert main(["report", str(cup), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(before)


def test_what_cannot_be_rated_together_is_refused_with_a_way_out(tmp_path, capsys):
    played(tmp_path / "1", between("a", "b", **FIXED), EVEN)
    played(tmp_path / "2", between("a", "c", **FIXED, dtype="float16"), EVEN)
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "dtype" in error
    assert "arena report --index" in error
    assert len(error.splitlines()) == 3
    assert not (tmp_path / "ratings.json").exists()


def test_a_folder_without_matches_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_one_match_in_a_folder_is_no_tournament(tmp_path, capsys):
    played(tmp_path / "1", between("a", "b", **FIXED), EVEN)
    assert main(["report", str(tmp_path)]) == 2
    assert "It holds run folders: name one of them" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_report_that_cannot_be_written_says_so(tmp_path, capsys):
    played(tmp_path / "1", between("a", "b", **FIXED), EVEN)
    played(tmp_path / "2", between("a", "c", **FIXED), EVEN)
    (tmp_path / "report.html").mkdir()
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "the report cannot be written" in error
    assert len(error.splitlines()) <= 3


def test_nets_that_won_everything_are_shown(tmp_path):
    """All results alike: ratings without intervals, and no likelihoods."""
    for number, both in enumerate((("a", "b"), ("b", "c"))):
        played(tmp_path / str(number), between(*both, **FIXED), [(1.0, 1.0)] * 6)
    document = write_tournament(tmp_path)
    assert [net["net"] for net in document["nets"]] == ["c", "b", "a"]
    assert document["nets"][0]["elo_ci"] is None
    assert "c leads after 12 pairs" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert read_field([tmp_path]).runs[0].counts.pairs == 6
