"""Pictures of a build, and the page they are in."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browser import SCHEMES, WIDTHS, visit
from conftest import REPOSITORY
from matplotlib.figure import Figure

from swa.build_page import build_page, page_of, save_page
from swa.build_pictures import build_pictures
from swa.commands.build import _save_page
from swa.manifest import LossesRecord, Manifest, read_manifest
from swa.picture import BASELINE, CANDIDATE, DARK, VARIABLES, Picture, drawn, svg
from swa.refresh_report import LayerShift

SHIPPED = next((REPOSITORY / "nets").glob("*-swa-*.json"))

HOSTILE = '"><script>alert(1)</script> $x_1$ \u2028 \x00 \udce9'


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(SHIPPED)


def losses_of(manifest: Manifest) -> LossesRecord:
    assert manifest.losses is not None
    return manifest.losses


def figure_of(picture: Picture) -> Figure:
    with drawn(picture) as figure:
        figure.draw_without_rendering()
        return figure


def test_the_table_of_losses_is_the_manifests(manifest: Manifest) -> None:
    losses = losses_of(manifest)
    picture, _ = build_pictures(losses, manifest.refresh)
    rows = {row[0]: row for row in picture.rows}
    labels = {"built": "built", "averaged": "average, stale"}
    assert len(rows) == len(losses.nets)
    for net in losses.nets:
        row = rows[labels.get(net.role, net.name)]
        assert float(row[1]) == pytest.approx(net.metrics["policy_cross_entropy"], abs=5e-5)
        assert float(row[3]) == pytest.approx(net.metrics["value_cross_entropy"], abs=5e-5)
        if net.role == "built":
            assert row[2] == row[4] == ""
            continue
        middle, low, high = net.built_minus_this["policy_cross_entropy"]
        told = [float(word) for word in re.findall(r"[-+][\d.]+", row[2])]
        # The built net minus this one in the manifest, this one minus the built net here.
        assert told == pytest.approx([-(middle or 0), -(high or 0), -(low or 0)], abs=5e-5)


def test_snapshots_are_grey_and_the_average_has_the_colour(manifest: Manifest) -> None:
    losses = losses_of(manifest)
    picture, _ = build_pictures(losses, manifest.refresh)
    axes, _ = figure_of(picture).axes
    points = {
        (line.get_ydata()[0], line.get_marker()): line
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert [label.get_text() for label in axes.get_yticklabels()][-2:] == [
        "average, stale",
        "built",
    ]
    last = len(losses.nets) - 1
    stale, built = points[last - 1, "o"], points[last, "o"]
    assert stale.get_color() == built.get_color() == CANDIDATE
    assert stale.get_markerfacecolor() != built.get_markerfacecolor()
    assert {points[place, "s"].get_color() for place in range(last - 1)} == {BASELINE}
    assert built.get_xdata()[0] == losses.nets[0].metrics["policy_cross_entropy"]


def test_a_loss_that_explodes_does_not_flatten_the_others(manifest: Manifest) -> None:
    losses = losses_of(manifest)
    nets = tuple(
        replace(net, metrics=net.metrics | {"policy_cross_entropy": 12345.0})
        if net.role == "averaged"
        else net
        for net in losses.nets
    )
    picture, _ = build_pictures(replace(losses, nets=nets), manifest.refresh)
    axes = figure_of(picture).axes[0]
    assert axes.get_xlim()[1] < 2.2
    assert any(text.get_text().strip() == "12,345" for text in axes.texts)


def test_many_snapshots_share_a_row_and_each_has_its_own_in_the_table(manifest: Manifest) -> None:
    losses = losses_of(manifest)
    more = tuple(replace(losses.nets[2], name=f"net {number}") for number in range(200))
    picture, _ = build_pictures(replace(losses, nets=losses.nets[:2] + more), manifest.refresh)
    assert picture.size[1] < 3
    assert len(picture.rows) == 202
    labels = [label.get_text() for label in figure_of(picture).axes[0].get_yticklabels()]
    assert labels == ["200 snapshots", "average, stale", "built"]


def test_the_shift_of_batch_norm_is_the_manifests(manifest: Manifest) -> None:
    _, picture = build_pictures(manifest.losses, manifest.refresh)
    assert [row[0] for row in picture.rows] == [layer.name for layer in manifest.refresh.layers]
    for row, layer in zip(picture.rows, manifest.refresh.layers, strict=True):
        told = [layer.mean_shift_rms, layer.mean_shift_max]
        told += [layer.variance_ratio_min, layer.variance_ratio_median, layer.variance_ratio_max]
        assert [float(cell) for cell in row[2:7]] == pytest.approx(told, rel=1e-3)
    means, variances = figure_of(picture).axes
    rms = next(line for line in means.lines if line.get_marker() == "o")
    assert list(rms.get_ydata()) == [layer.mean_shift_rms for layer in manifest.refresh.layers]
    assert means.get_ylim()[1] > max(layer.mean_shift_max for layer in manifest.refresh.layers)
    low, high = variances.get_ylim()
    assert low < 0.1444 < 1 < high
    assert [label.get_text() for label in variances.get_xticklabels()] == [
        *("input", "1", "2", "policy", "value")
    ]


def shift(name: str, ratio: float) -> LayerShift:
    return LayerShift(name, 8, 0.0, 0.0, min(ratio, 1.0), 1.0, max(ratio, 1.0), 0, 0)


@pytest.mark.parametrize("ratio", [1.0, 1.01, 3.0, 1e-12, 1e12])
@pytest.mark.parametrize("blocks", [0, 1, 40])
def test_odd_layers_are_drawn(manifest: Manifest, ratio: float, blocks: int) -> None:
    names = [f"blocks.{block}.bn{half}" for block in range(blocks) for half in (1, 2)]
    names = ["input.bn", *names, "policy.bn", "value.bn", "moves_left.bn"]
    layers = tuple(shift(name, ratio) for name in names)
    (picture,) = build_pictures(None, replace(manifest.refresh, layers=layers))
    means, variances = figure_of(picture).axes
    low, high = variances.get_ylim()
    assert low < min(ratio, 1) <= max(ratio, 1) < high
    assert means.get_ylim() == (0, 1)
    assert 3 <= len(variances.get_yticks()) <= 7
    words = [label.get_window_extent() for label in variances.get_xticklabels()]
    assert not any(one.overlaps(other) for one, other in pairwise(words))


def test_what_was_not_refreshed_has_no_such_picture(manifest: Manifest) -> None:
    for method in ("none", "averaged"):
        losses = replace(losses_of(manifest), nets=losses_of(manifest).nets[:1])
        (picture,) = build_pictures(losses, replace(manifest.refresh, method=method))
        assert picture.name == "build-losses"
    assert build_pictures(None, replace(manifest.refresh, layers=())) == []


def test_the_same_manifest_gives_the_same_page(manifest: Manifest, tmp_path: Path) -> None:
    page = build_page(manifest)
    assert page == build_page(read_manifest(SHIPPED))
    save_page(manifest, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert page.count("<svg") == page.count("<table>") == page.count("</details>") == 2
    for layer in manifest.refresh.layers:
        assert f"<td>{layer.name}</td>" in page


def test_names_cannot_break_the_page(manifest: Manifest) -> None:
    losses = losses_of(manifest)
    odd = replace(
        manifest,
        output=replace(manifest.output, name=HOSTILE),
        ingredients=tuple(replace(item, name=HOSTILE) for item in manifest.ingredients),
        losses=replace(losses, nets=tuple(replace(net, name=HOSTILE) for net in losses.nets)),
        checks=replace(manifest.checks, failed={HOSTILE: HOSTILE}),
    )
    page = build_page(odd)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert r"$x_1$ \u2028 \x00 \udce9" in page
    for picture in build_pictures(odd.losses, odd.refresh):
        figure_of(picture)


def test_pictures_have_the_pages_colours(manifest: Manifest) -> None:
    for picture in build_pictures(manifest.losses, manifest.refresh):
        text = svg(picture)
        ElementTree.fromstring(text)
        assert "var(--candidate)" in text
        assert not re.search("#[0-9a-f]{6}", text)
    assert DARK.keys() == VARIABLES.keys()


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's ratio of the relative luminances of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_are_legible_on_light_and_dark_paper() -> None:
    names = {variable: colour for colour, variable in VARIABLES.items()}
    for name in ("--ink", "--muted", "--baseline", "--candidate"):
        assert contrast(names[name], names["--paper"]) >= 4.5
        assert contrast(DARK[names[name]], DARK[names["--paper"]]) >= 4.5


def test_colours_are_those_of_arenas_pages() -> None:
    css = (REPOSITORY / "arena/report/templates/report.css").read_text()
    found: dict[str, list[str]] = {}
    for name, colour in re.findall(r"(--[a-z]+): (#[0-9a-f]{6});", css):
        found.setdefault(name, []).append(colour)
    for colour, name in VARIABLES.items():
        assert found[name][:2] == [colour, DARK[colour]]


class _Built:
    def __init__(self, manifest: Manifest, path: Path) -> None:
        self.manifest, self.manifest_path = manifest, path


def test_a_page_that_cannot_be_written_is_a_note(
    manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built: Any = _Built(manifest, tmp_path / "mean.pb.gz.json")
    page = page_of(built.manifest_path)
    assert page == tmp_path / "mean.pb.gz.html"
    page.write_text("somebody's own")
    assert _save_page(built) is None
    assert page.read_text() == "somebody's own"
    note = capsys.readouterr().err
    assert (
        note == f"note: the net is written, its page is not: {page}: is there already, and no "
        "page of swa's\n"
    )
    page.unlink()
    page.mkdir()
    assert _save_page(built) is None
    page.rmdir()
    assert _save_page(built) == page
    first = page.read_bytes()
    assert _save_page(built) == page  # an older page is replaced
    assert page.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [page.name]
    odd = tuple(replace(one, mean_shift_max=1.7e308) for one in manifest.refresh.layers)
    huge: Any = _Built(
        replace(manifest, refresh=replace(manifest.refresh, layers=odd)), built.manifest_path
    )
    assert _save_page(huge) is None  # no axis goes so far
    assert page.read_bytes() == first


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_in_a_browser(
    chromium: Any, manifest: Manifest, tmp_path: Path, width: int, scheme: str
) -> None:
    save_page(manifest, tmp_path / "page.html")
    with visit(chromium, tmp_path / "page.html", width=width, color_scheme=scheme) as seen:
        for opener in seen.page.locator("summary").all():
            opener.click()
        assert seen.page.locator("svg").count() == seen.page.locator("table:visible").count() == 2
        assert seen.width_needed <= width
        assert not seen.errors
        assert len(seen.requests) == 1
        assert not seen.grave_faults()
