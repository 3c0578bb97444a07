from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from browser import WIDTHS, visit
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from scripted_match import identity, pair, run_folder

from arena.report.block import number, percent
from arena.report.folder import write_reports
from arena.report.markdown import markdown
from arena.report.pictures.axes import apart
from arena.report.pictures.evidence import elo_picture, llr_picture
from arena.report.pictures.files import section, write_pictures
from arena.report.pictures.match import PICTURES, pictures
from arena.report.pictures.nets import calibration_picture, divergence_picture, opinions_picture
from arena.report.pictures.outcomes import (
    lengths_picture,
    openings_picture,
    pentanomial_picture,
    symmetric,
    terminations_picture,
)
from arena.report.pictures.pace import pace_picture
from arena.report.pictures.words import short, some
from arena.report.run import read_run
from arena.report.schema import Curves, Summary
from arena.report.summary import summarize
from arena.stats.elo import logistic_elo
from arena.stats.pentanomial import Pentanomial
from arena.stats.sprt import Sprt
from swa.picture import VARIABLES, Picture, _attributes, drawn, png, svg, write_png

pytestmark = pytest.mark.draws

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = {
    "markup": '"><script>alert(1)</script>&amp;<!-- ]]> -->',
    "mathtext": r"$x_1$ \frac{1}{0} ^_{",
    "long": "a-net-of-many-words-" * 12,
    "wide": "W" * 60,
    "lines": "two\nlines\ttab\x00\x1b[31m\u2028end",
    "emoji": "🦄🦄🦄 net 漢字漢字漢字漢字漢字漢字",
    "right to left": "שלום עולם מבחן רשת \u202eארוכה",
    "empty": "",
}


def point(pairs, elo, ends, llr=None, score=0.6):
    return {"pairs": pairs, "score": score, "elo": elo, "elo_ci": ends, "llr": llr}


def opening(name, pairs, score, ends):
    return {
        "name": name,
        "pairs": pairs,
        "score": score,
        "score_ci": ends,
        "white_score": 0.53125,
    }


def calibration_bins(lean):
    return [
        {"positions": 100 + k, "expected": 0.1 * k + 0.05, "scored": min(0.1 * k + lean, 1.0)}
        for k in range(10)
    ]


def session_speed(hour, fill=0.375):
    return {
        "started": f"2025-01-31T{hour:02}:59:59+00:00",
        "seconds": 90.0,
        "pairs": 1500,
        "pairs_per_minute": 1000.0 + hour,
        "evaluations_per_second": 54321.0 * (hour + 1),
        "batch_fill": fill,
        "cache_hit_share": 0.02,
    }


def full_curves() -> Curves:
    """Something of everything, each figure made up by a rule."""
    return Curves(
        path=[
            point(n, 30.0 + 200 / n, [30 - 900 / n**0.5, 30 + 900 / n**0.5], 0.004 * n)
            for n in range(1, 401)
        ],
        calibration={"baseline": calibration_bins(0.0), "candidate": calibration_bins(0.09)},
        lengths=[
            {
                "colour": colour,
                "plies_from": first,
                "plies_to": first + 39,
                "wins": 1234,
                "draws": first,
                "losses": 3,
            }
            for colour in ("white", "black")
            for first in (1, 41, 81)
        ],
        opening_groups=[
            opening(f"Defence number {k}", 1000 - k, 0.5 + 0.01 * k, [0.4, 0.6 + 0.01 * k])
            for k in range(20)
        ],
        divergence=[
            {"ply": ply, "positions": 400 - 10 * ply, "differ": ply // 4} for ply in range(1, 40)
        ],
        opinions=[
            {
                "plies_from": ply,
                "plies_to": ply + 19,
                "positions": 50,
                "kl": 0.001 * ply,
                "top_differs": 0.25,
                "value_difference": 0.0125,
            }
            for ply in range(1, 100, 20)
        ],
        deciding=[],
        sessions=[session_speed(1), session_speed(2)],
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Summary:
    """A match of twenty pairs under a test, with its own curves or those that come."""
    points = [(1.0, 0.5), (1.0, 0.0), (0.5, 0.5), (0.0, 0.5), (1.0, 1.0)]
    pairs = [pair(n, *points[n % len(points)]) for n in range(16)]
    folder = run_folder(tmp_path_factory.mktemp("match") / "run", identity(), pairs)
    return summarize(read_run(folder))


@pytest.fixture
def summary(base) -> Summary:
    changed = copy.deepcopy(base)
    changed["curves"] = full_curves()
    return changed


@pytest.fixture(scope="module")
def svgs(base) -> dict[str, tuple[Picture, str]]:
    """All pictures and what a page has of them."""
    changed = copy.deepcopy(base)
    changed["curves"] = full_curves()
    return {picture.name: (picture, svg(picture)) for picture in pictures(changed)}


def named(summary: Summary, baseline: str, candidate: str) -> Summary:
    summary["nets"][0]["name"], summary["nets"][-1]["name"] = baseline, candidate
    summary["curves"]["opening_groups"][0]["name"] = candidate
    return summary


def texts(picture: Picture) -> list[str]:
    """What stands in the picture, as a page has it."""
    elements = ElementTree.fromstring(svg(picture)).iter(f"{SVG}text")
    return ["".join(element.itertext()) for element in elements]


# --- which there are ---


def test_a_match_with_all_data_has_all_pictures(summary):
    made = pictures(summary)
    assert [picture.name for picture in made] == list(PICTURES)
    for picture in made:
        assert picture.title
        assert picture.caption.endswith(".")
        assert picture.rows
        assert {len(row) for row in picture.rows} == {len(picture.header)}
        assert all(cell for row in picture.rows for cell in row)


def test_a_match_without_pairs_has_no_pictures(tmp_path):
    run = read_run(run_folder(tmp_path / "run", identity(), []))
    assert pictures(summarize(run)) == []


@pytest.mark.parametrize(
    ("name", "curve", "empty"),
    [
        ("elo", "path", []),
        ("elo", "path", [point(1, None, [None, None], 0.01, 1.0), point(2, None, None)]),
        ("llr", "path", [point(1, 10.0, [-1.0, None])]),
        ("openings", "opening_groups", []),
        ("lengths", "lengths", []),
        ("calibration", "calibration", {"baseline": [], "candidate": []}),
        ("divergence", "divergence", []),
        ("divergence", "divergence", [{"ply": 1, "positions": 0, "differ": 0}]),
        ("opinions", "opinions", []),
        ("pace", "sessions", []),
    ],
)
def test_a_picture_without_data_is_left_out(summary, name, curve, empty):
    summary["curves"][curve] = empty
    assert name not in {picture.name for picture in pictures(summary)}
    assert len(pictures(summary)) >= len(PICTURES) - 2


def test_without_a_test_no_llr_and_no_bounds(summary):
    summary["sprt"] = summary["llr_bounds"] = None
    assert llr_picture(summary) is None
    assert not any("elo0" in text for text in texts(elo_picture(summary)))


# --- their numbers ---


def test_tables_have_the_summary_s_numbers(summary):
    curves = summary["curves"]
    last = curves["path"][-1]
    low, high = last["elo_ci"]
    assert elo_picture(summary).rows[-1] == [
        "400",
        percent(last["score"]),
        number(last["elo"]),
        f"{number(low)} to {number(high)}",
    ]
    assert llr_picture(summary).rows[-1] == ["400", "60.00 %", number(last["llr"])]
    assert [row[2] for row in pentanomial_picture(summary).rows] == [
        f"{count:,}" for count in summary["pentanomial"]
    ]
    assert lengths_picture(summary).rows[0] == ["white", "1–40", "1,234", "1", "3"]
    assert terminations_picture(summary).rows == [
        [end, str(games), percent(games / summary["games"])]
        for end, games in summary["terminations"].items()
    ]
    assert calibration_picture(summary).rows[11] == ["swa", "101", "15.00 %", "19.00 %"]
    assert divergence_picture(summary).rows[-1] == ["39", "10", "9", "90.00 %"]
    assert opinions_picture(summary).rows[1] == ["21–40", "50", "25.00 %", "0.0210", "0.0125"]
    assert pace_picture(summary).rows[0] == [
        "2025-01-31 01:59",
        "1,500",
        "1.5",
        "1,001.0",
        "108,642",
        "37.50 %",
        "2.00 %",
    ]


def test_openings_are_the_most_frequent_by_score(summary):
    rows = openings_picture(summary).rows
    assert [row[0] for row in rows] == [f"Defence number {k}" for k in range(14, -1, -1)]
    assert rows[0][1:] == ["986", "64.00 %", "40.00 % to 74.00 %", "53.12 %"]
    assert "the 15 of 20 with most" in openings_picture(summary).caption


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([None, None], "candidate, by opening"),
        ([None, [0.4, 0.6]], "candidate, with 95 % intervals from 10 pairs on, by opening"),
        ([[0.3, 0.6], [0.4, 0.6]], "candidate, with 95 % intervals, by opening"),
    ],
)
def test_openings_promise_only_the_intervals_that_are_drawn(summary, intervals, said):
    groups = summary["curves"]["opening_groups"][:2]
    of_two = copy.deepcopy(summary)
    of_two["nets"][1]["name"] = "candidate"
    of_two["curves"]["opening_groups"] = [
        {**group, "score_ci": ends} for group, ends in zip(groups, intervals, strict=True)
    ]
    assert said in openings_picture(of_two).caption


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ((30, 20), "own plies."),
        ((20, 19), "own plies. Shares of fewer than 20 positions are not drawn."),
        ((19, 1), "own plies. All are shares of fewer than 20 positions and say little."),
    ],
)
def test_shares_of_few_positions_are_named(summary, positions, said):
    of_two = copy.deepcopy(summary)
    of_two["curves"]["divergence"] = [
        {"ply": ply, "positions": count, "differ": 1} for ply, count in enumerate(positions, 1)
    ]
    assert divergence_picture(of_two).caption.endswith(said)


def test_the_symmetric_pentanomial_keeps_pairs_and_has_no_winner():
    counts = [26, 40, 135, 100, 99]
    level = symmetric(counts)
    assert sum(level) == sum(counts)
    assert level == level[::-1] == [62.5, 70.0, 135.0, 70.0, 62.5]


def lines_at(picture: Picture) -> list[float]:
    """Heights of the lines that go across."""
    with drawn(picture) as figure:
        return [
            line.get_ydata()[0]
            for line in figure.axes[0].lines
            if list(line.get_xdata()) == [0, 1] and line.get_transform() != figure.axes[0].transData
        ]


def test_logistic_bounds_are_drawn_where_they_are(summary):
    summary["sprt"] |= {"elo0": -5.0, "elo1": 12.5, "model": "logistic"}
    picture = elo_picture(summary)
    assert sorted(lines_at(picture)) == pytest.approx([-5.0, 0.0, 12.5], abs=1e-9)
    assert {"elo0 −5", "elo1 12.5", "baseline"} <= set(texts(picture))


def test_normalized_bounds_are_drawn_where_the_same_elo_would_be(summary):
    """A bound that equals the match's own normalized Elo lies at its logistic Elo."""
    counts = [26, 40, 135, 100, 99]
    moments = Pentanomial(*counts).moments()
    nelo = 800 / math.log(10) * (moments.mean - 0.5) / math.sqrt(2 * moments.variance)
    summary["pentanomial"] = counts
    summary["sprt"] |= {"elo0": 0.0, "elo1": nelo, "model": "normalized"}
    expected = logistic_elo(Pentanomial(*counts)).elo
    assert max(lines_at(elo_picture(summary))) == pytest.approx(expected, abs=1e-9)
    assert "normalized Elo" in elo_picture(summary).caption


def test_the_bounds_of_the_llr_are_drawn_and_named(summary):
    lower, upper = summary["llr_bounds"]
    picture = llr_picture(summary)
    assert {lower, upper} <= set(lines_at(picture))
    assert {"promote at 2.94", "keep at −2.94"} <= set(texts(picture))


def test_a_certified_test_does_not_decide_by_the_llr(summary):
    summary["sprt"]["method"] = "certified"
    picture = llr_picture(summary)
    assert not any("promote" in text for text in texts(picture))
    assert "by its own evidence" in picture.caption


def test_the_llr_of_an_overshoot_test_tells_that_its_bounds_are_others(summary):
    summary["sprt"]["method"] = "overshoot"
    assert "overshoot" in llr_picture(summary).caption


# --- data at the edge ---

EDGES = {
    "one pair": {"path": [point(1, None, [-300.0, None], 0.02, 1.0)]},
    "two pairs": {"path": [point(1, None, [None, None]), point(2, 190.8, [-400.0, None], -0.1)]},
    "all won": {"path": [point(n, None, [30.0 * n, None], 0.1, 1.0) for n in range(1, 9)]},
    "all lost": {"path": [point(n, None, [None, -30.0 * n], -9.0, 0.0) for n in range(1, 9)]},
    "all level": {"path": [point(n, 0.0, [-300 / n, 300 / n], 0.0, 0.5) for n in range(1, 9)]},
    "one opening": {"opening_groups": [opening("1. e4", 1, 1.0, None)]},
    "one lost opening": {"opening_groups": [opening("1. e4", 9, 0.0, [0.0, 0.0])]},
    "a mute player": {"calibration": {"baseline": [], "candidate": calibration_bins(0.1)[:1]}},
    "one game": {
        "lengths": [
            {
                "colour": "white",
                "plies_from": 7,
                "plies_to": 7,
                "wins": 0,
                "draws": 0,
                "losses": 1,
            }
        ]
    },
    "one position": {"divergence": [{"ply": 1, "positions": 1, "differ": 0}]},
    "agreeing nets": {
        "opinions": [
            {
                "plies_from": 9,
                "plies_to": 9,
                "positions": 1,
                "kl": 0.0,
                "top_differs": 0.0,
                "value_difference": 0.0,
            }
        ]
    },
    "an idle session": {
        "sessions": [
            session_speed(1)
            | dict.fromkeys(
                ("pairs_per_minute", "evaluations_per_second", "batch_fill", "cache_hit_share")
            )
        ]
    },
    "many sessions": {"sessions": [session_speed(hour) for hour in range(24)]},
}


@pytest.mark.parametrize("edge", EDGES)
def test_data_at_the_edge_is_drawn_within_the_picture(summary, edge):
    summary["curves"].update(EDGES[edge])
    curve = next(iter(EDGES[edge]))
    names = {"path": ("elo", "llr"), "opening_groups": ("openings",), "sessions": ("pace",)}
    for name in names.get(curve, (curve,)):
        picture = PICTURES[name](summary)
        if picture is not None:
            assert_all_is_seen(picture)
            assert "nan" not in svg(picture).lower()


@pytest.mark.parametrize("counts", [[1, 0, 0, 0, 0], [0, 0, 3, 0, 0], [99999, 0, 0, 0, 12345]])
def test_any_pentanomial_is_drawn(summary, counts):
    """Where all pairs are alike normalized bounds have no place, and none is claimed."""
    summary["pentanomial"] = counts
    assert_all_is_seen(pentanomial_picture(summary))
    assert_all_is_seen(elo_picture(summary))
    spread = sum(count > 0 for count in counts) > 1
    assert ("Dotted" in elo_picture(summary).caption) is spread


def assert_all_is_seen(picture: Picture) -> None:
    """No words are cut off at the edge, none are over others."""
    with drawn(picture) as figure:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer, edge = canvas.get_renderer(), figure.bbox.padded(1)
        shown = [
            (text.get_text(), text.get_window_extent(renderer))
            for text in set(figure.findobj(Text)) - ticks_outside(figure)
            if text.get_visible() and text.get_text()
        ]
    for words, box in shown:
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1, f"{words!r} is cut off"
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, f"{words!r} is cut off"
    for (one, box), (other, second) in itertools.combinations(shown, 2):
        # Boxes have room for letters that go up and down; of half of it others may take.
        across = min(box.x1, second.x1) - max(box.x0, second.x0)
        along = min(box.y1, second.y1) - max(box.y0, second.y0)
        overlap = across > 1 and along > 0.3 * min(box.height, second.height)
        assert not overlap, f"{one!r} is over {other!r}"


def ticks_outside(figure: Figure) -> set[Text]:
    """Labels of ticks beyond the limits, which are not drawn."""
    outside = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not min(limits) <= tick.get_loc() <= max(limits):
                    outside |= {tick.label1, tick.label2}
    return outside


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_cut_off_or_covered(summary, name):
    assert_all_is_seen(PICTURES[name](summary))


# --- hostile names ---


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        ("markup", "mathtext"),
        ("wide", "wide"),
        ("lines", "long"),
        ("right to left", "emoji"),
        ("empty", "markup"),
    ],
)
@pytest.mark.parametrize("name", ["elo", "pentanomial", "openings", "calibration"])
def test_hostile_names_stay_within_the_picture(summary, name, baseline, candidate):
    named(summary, HOSTILE[baseline], HOSTILE[candidate])
    assert_all_is_seen(PICTURES[name](summary))


@pytest.mark.parametrize("name", ["elo", "openings"])
def test_hostile_names_are_words_and_no_elements(summary, name):
    named(summary, HOSTILE["emoji"], HOSTILE["markup"])
    text = svg(PICTURES[name](summary))
    assert "<script" not in text
    assert {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(text).iter()} <= {
        *("svg", "title", "g", "defs", "path", "use", "text", "clipPath", "rect", "pattern")
    }


def test_a_formula_is_not_set(summary):
    named(summary, "$x_1$", "$y^2$")
    assert any("$x_1$" in text for text in texts(elo_picture(summary)))
    assert {"$x_1$", "$y^2$"} <= set(texts(calibration_picture(summary)))


def test_hostile_names_cannot_break_the_section(summary):
    for name in HOSTILE.values():
        text = "\n\n".join(section(pictures(named(summary, name, name))))
        assert set(re.findall(r"<[^>]*>", text)) == {
            *("<details>", "</details>", "<summary>", "</summary>")
        }
        assert "\x1b" not in text
        for line in text.splitlines():
            if line.startswith("| ---"):
                columns = line.count("|")
            elif line.startswith("|"):
                cells = len(re.findall(r"(?<!\\)\|", line))
        assert cells == columns


# --- as part of a page ---


def test_colours_are_the_page_s_and_there_are_no_styles(svgs):
    for _, text in svgs.values():
        assert set(re.findall(r"var\((--[a-z]+)\)", text)) <= set(VARIABLES.values())
        root = ElementTree.fromstring(text)
        for element in root.iter():
            assert not set(element.keys()) & {"style", "font", "font-family"}
            for key in ("fill", "stroke", "color", "stop-color"):
                value = element.get(key, "none")
                assert re.fullmatch(r"none|var\(--[a-z]+\)|url\(#[\w-]+\)", value), value
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!-)[\"; ]", re.sub(r"url\([^)]*\)", "", text))
        assert "<style" not in text
        assert "metadata" not in text


def test_an_svg_is_named_and_as_wide_as_its_place(svgs):
    for picture, text in svgs.values():
        root = ElementTree.fromstring(text)
        title = root.find(f"{SVG}title")
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == title.get("id")
        assert title.text == picture.title
        assert (root.get("width"), root.get("height")) == ("100%", None)
        width, height = map(float, root.get("viewBox").split()[2:])
        assert (width, height) == pytest.approx([72 * side for side in picture.size])


def test_words_can_be_read_on_a_telephone(svgs):
    """328 pixels wide, as a page of 360 has them, no letter is under 9.5 pixels."""
    for _, text in svgs.values():
        root = ElementTree.fromstring(text)
        scale = 328 / float(root.get("viewBox").split()[2])
        sizes = [
            float(words.get("font-size").removesuffix("px")) for words in root.iter(f"{SVG}text")
        ]
        assert sizes
        assert min(sizes) * scale >= 9.5


def test_letters_of_older_matplotlibs_have_their_size_too():
    text = ElementTree.Element("text", style="font: 11px 'DejaVu Sans', serif; fill: #1f2328")
    assert dict(_attributes(text, "p-", set())) == {
        "font-size": "11px",
        "fill": "var(--ink)",
    }


def test_ids_of_all_pictures_differ_and_are_found(svgs):
    seen: list[str] = []
    for _, text in svgs.values():
        ids = re.findall(r' id="([^"]+)"', text)
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)
        seen += ids
    assert len(seen) == len(set(seen))


def test_the_same_numbers_give_the_same_bytes_whatever_the_user_s_settings(summary):
    picture = llr_picture(summary)
    before = svg(picture), png(picture)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.family": "serif", "axes.grid": True}):
        assert (svg(picture), png(picture)) == before
        assert matplotlib.rcParams["lines.linewidth"] == 9


WHITE_ON_BLACK = ":root { --ink: #ffffff; --paper: #000000; --muted: #ffffff }"


@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_fit_a_page_that_forbids_their_styles(chromium, svgs, tmp_path, width):
    """No error of the browser, nothing wider than the window, words in the page's colours."""
    policy = "default-src 'none'; style-src 'sha256-{}'"
    digest = base64.b64encode(hashlib.sha256(WHITE_ON_BLACK.encode()).digest()).decode()
    page = tmp_path / "page.html"
    page.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pictures</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy.format(digest)}">'
        f'<meta name="viewport" content="width=device-width"><style>{WHITE_ON_BLACK}</style></head>'
        f"<body><main><h1>Pictures</h1>{''.join(text for _, text in svgs.values())}</main></body>",
        encoding="utf-8",
    )
    with visit(chromium, page, width=width) as seen:
        shown = seen.page.locator("svg[role=img]")
        assert shown.count() == len(PICTURES)
        for number_of in range(shown.count()):
            box = shown.nth(number_of).bounding_box()
            assert box["width"] == pytest.approx(width - 16, abs=1)
            assert box["height"] > 0.1 * box["width"]
        assert seen.width_needed <= width
        assert seen.page.locator("svg text").first.evaluate(
            "text => getComputedStyle(text).fill"
        ) == ("rgb(255, 255, 255)")
        assert seen.page.get_by_role("img", name="Elo against pairs").count() == 1
        assert seen.errors == []
        assert seen.grave_faults() == []


# --- beside report.md ---


def test_files_are_written_and_stale_ones_go(summary, tmp_path):
    write_pictures(tmp_path, pictures(summary))
    folder = tmp_path / "pictures"
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in PICTURES}
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    (folder / "mine.png").write_bytes(b"a user's own")
    few = [picture for picture in pictures(summary) if picture.name == "pace"]
    write_pictures(tmp_path, few)
    assert {path.name for path in folder.iterdir()} == {"pace.png", "mine.png"}
    (folder / "mine.png").unlink()
    write_pictures(tmp_path, [])
    assert not folder.exists()
    write_pictures(tmp_path, [])


def test_a_picture_that_cannot_be_finished_leaves_the_last_good_one(summary, tmp_path, monkeypatch):
    pace = [pace_picture(summary)]
    write_pictures(tmp_path, pace)
    before = (tmp_path / "pictures/pace.png").read_bytes()

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_png(tmp_path / "pictures/pace.png", replace(pace[0], size=(5.2, 2.0)))
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["pace.png"]
    assert (tmp_path / "pictures/pace.png").read_bytes() == before


def test_report_md_shows_what_lies_beside_it(tmp_path):
    pairs = [pair(n, 1.0, 0.5 * (n % 3)) for n in range(6)]
    folder = run_folder(tmp_path / "run", identity(sprt=Sprt(0, 50)), pairs)
    run, summary = write_reports(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text == markdown(run, summary)
    shown = re.findall(r"^!\[(.+)\]\((.+)\)$", text, flags=re.MULTILINE)
    assert [alt for alt, _ in shown] == [picture.title for picture in pictures(summary)]
    assert {"pentanomial", "terminations"} <= {Path(file).stem for _, file in shown}
    assert {folder / file for _, file in shown} == set((folder / "pictures").iterdir())


def test_tables_are_folded_and_still_tables(summary):
    parts = list(section(pictures(summary)))
    text = "\n\n".join(parts)
    assert parts[0] == "## Pictures"
    assert text.count("<summary>Numbers</summary>\n\n| ") == len(PICTURES)
    assert text.count(" |\n\n</details>") == len(PICTURES)
    assert list(section([])) == []


# --- words and places ---


@given(st.text(), st.integers(3, 60))
def test_a_short_name_fits_and_is_one_printable_line(text, width):
    name = short(text, width)
    assert 1 <= len([letter for letter in name if letter.isprintable()]) == len(name)
    assert short(name, width) == name


def test_a_long_name_keeps_both_ends():
    assert short("run-12-step-0004000-raw", 15) == "run-12-…00-raw"
    assert short("run-12", 15) == "run-12"
    assert short("漢字漢字漢字", 7) == "漢字…字"


@given(st.lists(st.integers(), max_size=99), st.integers(1, 20))
def test_some_are_spread_and_end_with_the_last(items, most):
    chosen = some(items, most)
    assert len(chosen) == min(len(items), most)
    assert chosen[-1:] == items[-1:]
    places = [items.index(item) for item in some(sorted(set(items)), most)]
    assert len(set(places)) == len(places)


@given(st.lists(st.floats(-0.5, 1.5), max_size=6).map(sorted), st.floats(0.01, 0.15))
def test_labels_are_apart_in_order_and_inside(places, gap):
    moved = apart(places, gap)
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(moved))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in moved)


def test_labels_that_do_not_touch_stay():
    assert apart([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
