"""report.html in a real browser: whole, readable, the summary's numbers, and nothing runs in it."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import LOOKS, WIDTHS, visit
from replayed_games import random_pairs
from scripted_match import OPENINGS, identity, pair, run_folder

from arena.cli import main
from arena.commands import report as command
from arena.faults import VoidPair, note_void
from arena.game import Termination
from arena.report.folder import FORMATS, write_reports
from arena.report.page import page, write_page
from arena.report.pictures.match import pictures
from arena.report.run import read_run
from arena.report.schema import Summary
from arena.report.summary import summarize
from arena.sessions import NetFile, Pace, Session, session_ended, session_started
from arena.stats.sprt import Method, Sprt

pytestmark = pytest.mark.draws

HOSTILE = (
    "</script><script>hacked=1</script><img src=x onerror=hacked=2>'\"`\n{{ 7*7 }}{% x %}"
    "&lt;b&gt;\u2028\u202e]]>--><style>*{display:none}</style>"
)
SHOWN = "".join(c if c.isprintable() else " " for c in HOSTILE)


def session(**changes: Any) -> Session:
    values: dict[str, Any] = {
        "started": "2025-01-31T23:59:59+00:00",
        "command": ("arena", "run", "--nets", "my raw.pb", "swa.pb"),
        "versions": {"python": "3.11.0"},
        "device": "cpu (a processor)",
        "parallel": 64,
        "nets": (NetFile("b" * 64, "swa.pb.gz", "6x64 relu", 12000),),
    }
    return Session(**(values | changes))


def written(folder: Path) -> tuple[Path, Summary]:
    run = read_run(folder)
    summary = summarize(run)
    write_page(folder / "report.html", run, summary)
    return folder / "report.html", summary


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """A match that its test decided, with a pace and all pictures for which there can be data."""
    points = itertools.cycle([(1.0, 0.5), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0), (1.0, 0.5)])
    pairs = [pair(number, *next(points)) for number in range(40)]
    folder = tmp_path_factory.mktemp("page") / "run"
    run_folder(folder, identity(pairs=40, sprt=Sprt(0, 150)), pairs)
    session_started(folder, session())
    pace = Pace(60.0, pairs=40, visits=9000, evaluations=5000, batch_slots=8000)
    session_ended(folder, pace, "2025-02-01T00:00:59+00:00")
    return written(folder)


# --- the page as a whole ---


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_it_is_whole_at_every_width_in_light_and_dark(chromium, match, width, scheme):
    path, summary = match
    with visit(chromium, path, width=width, color_scheme=scheme) as seen:
        seen.page.wait_for_timeout(100)
        assert seen.errors == []
        assert seen.requests == [path.absolute().as_uri()]
        assert seen.width_needed <= width
        names = [one.name for one in pictures(summary)]
        assert len(names) >= 5
        for name in names:
            figure = seen.page.locator(f"#picture-{name} figure svg")
            box = figure.bounding_box()
            assert box["width"] > 200
            assert box["height"] > 50
            seen.page.locator(f"#picture-{name} summary").click()
            assert seen.page.locator(f"#picture-{name} table tbody tr").first.is_visible()
        assert seen.page.locator("#games").is_visible()
        assert seen.width_needed <= width
        assert seen.grave_faults() == []
        assert seen.errors == []


def test_the_results_are_copied(chromium, match):
    path, _ = match
    with visit(chromium, path) as seen:
        seen.page.click("#copy")
        seen.page.wait_for_function("document.getElementById('copied').textContent === 'Copied.'")
        seen.page.evaluate(
            "document.getElementById('main').prepend(document.createElement('textarea'))"
        )
        seen.page.focus("textarea")
        seen.page.keyboard.press("Control+V")
        pasted = seen.page.input_value("textarea")
        assert pasted == seen.page.inner_text("#block") + "\n"
        assert pasted.splitlines()[1].startswith("Results of swa vs raw (100 visits")
        assert pasted.splitlines()[0] == pasted.splitlines()[-1] == "-" * 50


def test_where_nothing_may_be_copied_the_results_are_selected(chromium, match):
    path, _ = match
    with visit(chromium, path) as seen:
        seen.page.evaluate(
            "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
            "document.execCommand = () => false;"
        )
        seen.page.click("#copy")
        seen.page.wait_for_function("document.getElementById('copied').textContent !== ''")
        assert seen.page.inner_text("#copied").startswith("Selected: copy it with Ctrl+C")
        assert seen.page.evaluate("String(getSelection())") == seen.page.inner_text("#block")


def test_without_script_everything_but_the_board_is_there(chromium, match):
    path, _ = match
    with visit(chromium, path, java_script_enabled=False) as seen:
        assert seen.page.locator("#copy").is_hidden()
        assert seen.page.locator("#statistics table").first.is_visible()
        assert seen.page.locator("#picture-elo svg").is_visible()


def test_in_print_everything_is_unfolded_and_nothing_is_to_be_pressed(chromium, match):
    path, _ = match
    with visit(chromium, path, width=800, color_scheme="dark") as seen:
        seen.page.emulate_media(media="print")
        for name in ("nav", "#copy", ".skip"):
            assert seen.page.locator(name).first.is_hidden()
        folded = seen.page.locator("main details:not([open])").count()
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert seen.page.locator("main details:not([open])").count() == 0
        assert seen.page.locator("#picture-elo table").is_visible()
        seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert seen.page.locator("main details:not([open])").count() == folded > 0


def test_the_keyboard_reaches_the_report_first_and_only_stops_where_it_must(chromium, match):
    path, _ = match
    with visit(chromium, path, width=1400) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.className") == "skip"
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "main"
        assert seen.page.locator(".block .scroll[tabindex]").count() == 0
    with visit(chromium, path, width=360) as seen:
        assert seen.page.locator(".block .scroll[tabindex]").count() == 1


# --- markup ---

VOID = {"meta", "br", "img", "input", "hr", "link", "path", "use", "rect"}


class Reader(HTMLParser):
    """Checks that elements end where they must, and keeps what refers to what."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[int] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        assert len(values) == len(attributes), f"{tag} has an attribute twice"
        self.elements.append((tag, values))
        self.ids += [values["id"] or ""] if "id" in values else []
        for key in ("aria-labelledby", "aria-describedby"):
            self.refers += (values.get(key) or "").split()
        if tag in ("a", "use") and (values.get("href") or "").startswith("#"):
            self.refers.append((values["href"] or "")[1:])
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"{tag} ends within another element"


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_markup_is_sound(match):
    path, _ = match
    found = read(path.read_text())
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.refers) <= set(found.ids)
    tags = [tag for tag, _ in found.elements]
    for landmark in ("header", "nav", "main", "h1", "title"):
        assert tags.count(landmark) >= 1
    assert tags.count("main") == tags.count("h1") == 1
    assert all("style" not in values for _, values in found.elements), "no hash applies to it"
    assert not any(key.startswith("on") for _, values in found.elements for key in values)
    assert all("src" not in values for _, values in found.elements)


def test_the_policy_lets_nothing_in_from_outside(match):
    path, _ = match
    elements = read(path.read_text()).elements
    policy = next(
        values["content"] or ""
        for _, values in elements
        if values.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_is_the_same_when_it_is_made_again(match):
    path, _ = match
    run = read_run(path.parent)
    assert page(run, summarize(run)) == path.read_text()


# --- numbers ---


def cells(seen: Any, section: str) -> dict[str, list[str]]:
    rows = seen.page.locator(f"#{section} tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return {row[0]: row[1:] for row in rows}


def test_the_numbers_are_the_summarys(chromium, match):
    path, _ = match
    # As a reader finds it beside the page, not as the page was given it.
    write_reports(path.parent, ["json"])
    summary = json.loads((path.parent / "summary.json").read_text())
    with visit(chromium, path) as seen:
        shown = cells(seen, "statistics")
        ends = cells(seen, "ends")
        nets = seen.page.inner_text("#nets")
        key = seen.page.inner_text(".key")

    def to(pair: list[float]) -> str:
        return f"{pair[0]:.2f} to {pair[1]:.2f}"

    head = summary["headline"]
    assert head["kind"] == "stopping-aware"
    assert shown["Elo, allowing for the test's stop"] == [f"{head['elo']:.2f}", to(head["elo_ci"])]
    name = "normalized Elo, allowing for the test's stop"
    assert shown[name] == [f"{head['nelo']:.2f}", to(head["nelo_ci"])]
    fixed = "as of a match of fixed length"
    assert shown[f"Elo (logistic), {fixed}"] == [f"{summary['elo']:.2f}", to(summary["elo_ci"])]
    assert shown[f"normalized Elo, {fixed}"] == [f"{summary['nelo']:.2f}", to(summary["nelo_ci"])]
    assert shown[f"likelihood of superiority, {fixed}"][0] == f"{100 * summary['los']:.2f} %"
    low, high = summary["llr_bounds"]
    llr = [f"{summary['llr']:.2f}", f"bounds {low:.2f}, {high:.2f}"]
    assert shown["LLR (normalized Elo, decides)"] == llr
    assert shown["score"][0] == f"{100 * summary['score']:.2f} %"
    assert shown["pairs lost to won [LL, LD, WL+DD, WD, WW]"][0] == str(summary["pentanomial"])
    for colour, of in summary["by_colour"].items():
        counts = [str(of[what]) for what in ("games", "wins", "draws", "losses")]
        assert shown[colour] == [*counts, f"{100 * of['score']:.2f} %"]
    for end, count in summary["terminations"].items():
        assert ends[end] == [f"{count:,}", f"{100 * count / summary['games']:.2f} %"]
    assert "12,000" in nets
    for value in (f"{head['elo']:.2f}", to(head["elo_ci"]), f"{summary['llr']:.2f}"):
        assert value in key
    assert f"{summary['wins']} won, {summary['draws']} drawn, {summary['losses']} lost" in key


def leaves(value: object) -> list[float]:
    """Every number in a document."""
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in leaves(one)]
    return [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", str(value))]


def test_no_number_is_the_pages_own(chromium, match):
    path, summary = match
    with visit(chromium, path) as seen:
        rows = seen.page.locator("#statistics td, .key dd, #ends td").all_inner_texts()
    known = set()
    for value in leaves(json.loads(json.dumps(summary))):
        known |= {f"{value:.2f}", f"{100 * value:.2f}", f"{value:.0f}", f"{value:g}", "95"}
        known |= {f"{100 * value / summary['games']:.2f}"}  # shares of the games
    printed = re.findall(r"-?\d[\d,]*(?:\.\d+)?", " ".join(rows))
    assert len(printed) > 50
    loose = [word for word in printed if word.replace(",", "") not in known]
    # Lists of counts are printed with commas: "[0, 1, 2]" is matched number by number.
    assert [word for word in loose if not word.endswith(",")] == []


# --- what others wrote ---


def test_hostile_names_do_nothing_and_are_read_as_they_are(chromium, tmp_path):
    opening = replace(OPENINGS[0], name=HOSTILE)
    of = identity(names=(HOSTILE, HOSTILE), pairs=40)
    of = replace(of, openings=replace(of.openings, file=HOSTILE))
    pairs = [pair(number, 1.0, 0.5, opening=opening) for number in range(2)]
    games = tuple(
        replace(game, termination=Termination.ILLEGAL_MOVE, result="0-1") for game in pairs[0].games
    )
    folder = run_folder(tmp_path / "run", of, [replace(pairs[0], games=games), *pairs[1:]])
    file = NetFile("b" * 64, HOSTILE, HOSTILE, 12000)
    versions = {"python": HOSTILE}
    command = ("arena", HOSTILE)
    session_started(
        folder, session(command=command, device=HOSTILE, versions=versions, nets=(file,))
    )
    note_void(folder, VoidPair(3, 1, HOSTILE, "2025-01-01"))
    path, _ = written(folder)
    for width in WIDTHS:
        with visit(chromium, path, width=width) as seen:
            seen.page.wait_for_timeout(200)
            assert seen.errors == []
            assert seen.requests == [path.absolute().as_uri()]
            assert seen.page.evaluate("typeof hacked") == "undefined"
            assert seen.page.locator("img, body style body style").count() == 0
            assert seen.page.locator("script").count() == 3
            assert seen.page.locator("style").count() == 2
            assert seen.width_needed <= width
            said = " ".join(SHOWN.split())
            heading = " ".join(seen.page.text_content("h1").split())
            assert heading == f"{said} against {said}"
            whole = " ".join(seen.page.text_content("main").split())
            for words in (f"{said}, 64 games in flight", f"pair void: {said}", f"python {said}"):
                assert words in whole
            assert "{{ 7*7 }}" in whole
            assert seen.page.title() == f"{said} against {said}"
            assert seen.grave_faults() == []
    read(path.read_text())


# --- every kind of match ---

KINDS = {
    "empty": (identity(), []),
    "one pair": (identity(), [pair(0, 1.0, 1.0)]),
    "without a test": (identity(sprt=None, pairs=8), random_pairs(8)),
    "certified": (identity(sprt=Sprt(0, 80, method=Method.CERTIFIED)), random_pairs(8)),
    "undecided": (identity(sprt=Sprt(-20, 20), pairs=4), random_pairs(4)),
}

SOME_KINDS = ("one pair", "certified")
"""Looked at every time: a page takes seconds."""

TITLES = {
    "empty": "No verdict yet",
    "one pair": "No verdict yet",
    "without a test": "Result, without a test",
    "certified": "No verdict yet",
    "undecided": "Verdict: undecided",
}


@pytest.mark.parametrize(
    "kind",
    [kind if kind in SOME_KINDS else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_every_kind_of_match_has_a_page(chromium, tmp_path, kind):
    path, _ = written(run_folder(tmp_path / "run", *KINDS[kind]))
    read(path.read_text())
    with visit(chromium, path, width=360) as seen:
        assert seen.errors == []
        assert seen.width_needed <= 360
        assert seen.page.inner_text("#verdict-title") == TITLES[kind]
        assert seen.grave_faults() == []


# --- colours ---


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_all_text_has_enough_contrast():
    css = Path(__file__).parents[2] / "arena" / "report" / "templates" / "report.css"
    blocks = re.findall(r":root \{(.*?)\}", css.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for text, ground in itertools.product(
            ("ink", "muted", "baseline", "candidate"), ("paper", "accent-bg")
        ):
            light, dark = sorted(map(luminance, (colours[text], colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, colours)


# --- arena report --format ---


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        (["html"], {"report.html", "openings.csv"}),
        (["json", "pgn"], {"summary.json", "games.pgn"}),
    ],
)
def test_only_what_was_asked_for_is_written(tmp_path, capsys, formats, expected):
    folder = run_folder(tmp_path / "run", identity(), [pair(0, 1.0, 0.5)])
    before = {path.name for path in folder.iterdir()}
    assert main(["report", str(folder), "--format", *formats]) == 0
    assert {path.name for path in folder.iterdir()} - before == expected
    named = [f"{folder}/{FORMATS[one]}" for one in FORMATS if one in formats]
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {', '.join(named)}"


def test_another_format_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--format", "pdf"]) == 2
    assert "pdf" in capsys.readouterr().err


def test_the_command_knows_the_formats():
    assert tuple(FORMATS) == command.FORMATS
