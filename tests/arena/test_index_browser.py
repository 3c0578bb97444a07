"""The pages of many matches in a real browser: what a reader does with them, and who cannot see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import LOOKS, WIDTHS, visit
from match_folders import EVEN, HOSTILE, LOST, WON, between, night, played, some_matches

from arena.report.index.document import write_index
from arena.report.ratings.tournament import write_tournament

SHOWN = "#table tbody tr:not([hidden])"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(some_matches(tmp_path_factory.mktemp("reports"))).page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cup")
    fixed = {"sprt": None, "pairs": 6}
    for number, both in enumerate((("raw", "swa"), ("raw", HOSTILE), ("swa", HOSTILE))):
        played(folder / str(number), between(*both, **fixed), LOST[:6] if number else EVEN)
    write_tournament(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with three nights, one of them of a net with a name of nobody's choice."""
    home = tmp_path_factory.mktemp("home")
    for number, (champion, candidate, verdict) in enumerate(
        (("raw", "swa", "promote"), ("swa", HOSTILE, "keep"), ("swa", "next", "undecided")), 1
    ):
        reason = f"{candidate} is not shown to be stronger than {champion} (H0 accepted: LLR -2.95)"
        nets = champion, candidate
        folder = night(home / "nights" / f"000{number}", number, verdict, nets, reason=reason)
        points = WON if verdict == "promote" else LOST
        played(folder / "gate", between(*nets), points, f"2026-03-0{number}")
    return write_index(home).page


def folders(page: Any) -> list[str]:
    """The folders of the matches that are shown, in order."""
    links = page.locator(f"{SHOWN} td.match a")
    return [str(link.get_attribute("href")).partition("/")[0] for link in links.all()]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("which", ["index", "nights", "report"])
def test_pages_are_whole_and_have_no_grave_fault(
    chromium: Any, request: pytest.FixtureRequest, which: str, scheme: str, width: int
) -> None:
    path = request.getfixturevalue(which)
    with visit(chromium, path, width=width, color_scheme=scheme) as seen:
        assert seen.width_needed <= width
        assert seen.page.locator("figure svg").count() >= 1
        for figure in seen.page.locator("figure svg").all():
            box = figure.bounding_box()
            assert box is not None
            assert box["width"] > 200
            assert box["height"] > 80
        seen.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert seen.grave_faults() == []
        assert seen.errors == []
        assert len(seen.requests) == 1  # the page itself


@pytest.mark.parametrize("which", ["index", "nights", "report"])
def test_paper_cuts_nothing_off(chromium: Any, request: pytest.FixtureRequest, which: str) -> None:
    # 640 CSS pixels: A4 within margins of 2 cm.
    with visit(chromium, request.getfixturevalue(which), width=640) as seen:
        seen.page.emulate_media(media="print")
        assert seen.page.locator(".wide").count() >= 2
        for box in seen.page.locator(".wide").all():
            assert box.evaluate("of => of.scrollWidth - of.clientWidth") <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_search_and_filters(chromium: Any, index: Path, width: int) -> None:
    with visit(chromium, index, width=width) as seen:
        page = seen.page
        assert len(folders(page)) == 8
        assert page.locator("#shown").inner_text() == "8 shown"
        page.get_by_label("Outcome").select_option("promote")
        assert folders(page) == ["fast", "night%203", "night%201"]
        assert page.locator("#shown").inner_text() == "3 of 8 shown"
        page.get_by_label("Net", exact=True).select_option("fourth")
        assert folders(page) == ["night%203"]
        page.get_by_role("button", name="Show all").click()
        page.wait_for_function("document.querySelectorAll('#table tr[hidden]').length === 0")
        page.get_by_label("Search", exact=True).fill("FOURTH  100 visits")
        assert folders(page) == ["unfinished", "undecided", "fixed", "night%203"]
        page.get_by_label("Search", exact=True).fill("<img src=x")
        assert folders(page) == ["odd%3A%20%231%20100%25"]
        page.get_by_label("Search", exact=True).fill("no such net")
        assert folders(page) == []
        assert page.locator("#shown").inner_text() == "0 of 8 shown"
        page.get_by_label("Search", exact=True).fill("")
        page.get_by_label("From", exact=True).fill("2026-01-06")
        page.get_by_label("To", exact=True).fill("2026-01-08")
        assert folders(page) == ["fast", "night%203", "night%202"]
        assert seen.errors == []


def test_a_net_of_any_name_can_be_chosen(chromium: Any, index: Path) -> None:
    with visit(chromium, index) as seen:
        values = [
            option.get_attribute("value")
            for option in seen.page.locator("select[name=net] option").all()
        ]
        hostile = next(value for value in values if "onerror" in value)
        seen.page.get_by_label("Net", exact=True).select_option(hostile)
        assert len(folders(seen.page)) == 1
        assert seen.errors == []


def test_order_by_click_and_by_key(chromium: Any, index: Path) -> None:
    with visit(chromium, index) as seen:
        page = seen.page
        heading = page.locator("th[data-key=elo]")
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "descending"
        figures = [row.get_attribute("data-elo") for row in page.locator("#table tbody tr").all()]
        known = [float(figure) for figure in figures if figure]
        assert known == sorted(known, reverse=True)
        assert all(figures[: len(known)])  # what has no figure is last
        heading.get_by_role("button").press("Enter")
        assert heading.get_attribute("aria-sort") == "ascending"
        figures = [row.get_attribute("data-elo") for row in page.locator("#table tbody tr").all()]
        assert [float(figure) for figure in figures if figure] == known[::-1]
        assert all(figures[: len(known)])
        assert page.locator("th[aria-sort]").count() == 1
        page.locator("th[data-key=date]").get_by_role("button").click()
        assert folders(page)[0].startswith("odd")


def test_order_on_a_phone(chromium: Any, index: Path) -> None:
    with visit(chromium, index, width=360, has_touch=True) as seen:
        order = seen.page.get_by_label("Order")
        assert order.is_visible()
        order.select_option("pairs ascending")
        pairs = [
            int(row.get_attribute("data-pairs"))
            for row in seen.page.locator("#table tbody tr").all()
        ]
        assert pairs == sorted(pairs)


def test_what_is_chosen_stands_in_the_address(chromium: Any, index: Path) -> None:
    with visit(chromium, index) as seen:
        page = seen.page
        page.get_by_label("Outcome").select_option("promote")
        page.locator("th[data-key=date]").get_by_role("button").click()
        found = folders(page)
        assert found == ["night%201", "night%203", "fast"]
        page.reload()
        assert folders(page) == found
        page.evaluate("location.hash = 'outcome=keep&net=nobody&length=1&item=2&order=x'")
        page.wait_for_function("document.getElementById('shown').textContent.startsWith('2 of')")
        assert seen.errors == []


def test_without_script_it_is_a_plain_table(chromium: Any, index: Path) -> None:
    with visit(chromium, index, java_script_enabled=False) as seen:
        assert len(folders(seen.page)) == 8
        assert not seen.page.locator("#tools").is_visible()


def test_every_link_opens(chromium: Any, index: Path, report: Path) -> None:
    for path in (index, report):
        with visit(chromium, path) as seen:
            hrefs = seen.page.evaluate("Array.from(document.links, link => link.href)")
            targets = {Path(_path_of(href)) for href in hrefs}
            assert len(targets) >= 5
            assert all(target.is_file() for target in targets)


def _path_of(url: str) -> str:
    from urllib.parse import unquote, urlparse

    parts = urlparse(url)
    assert parts.scheme == "file"
    return unquote(parts.path)
