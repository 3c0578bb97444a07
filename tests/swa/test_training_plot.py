"""Pictures of a run, from the lines of its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swa.picture import drawn as drawn_picture
from swa.train_config import TrainConfig, read_config
from swa.training_log import TrainingLogError
from swa.training_pictures import Marks, curves_of, nets_of, training_pictures
from swa.training_plot import marks_of, save_training_page, save_training_plot


def write_run(path: Path, nets: tuple[str, ...] = ("raw", "swa", "ema"), steps: int = 10) -> Path:
    lines = []
    for step in range(1, steps + 1):
        train = {"policy_loss": 3 - step / 10, "value_loss": 1.0, "moves_left_loss": 0.0}
        train["learning_rate"] = 0.01
        line: dict[str, object] = {"step": step} | {f"train/{k}": v for k, v in train.items()}
        lines.append(line)
        validation: dict[str, object] = {"step": step}
        for place, net in enumerate(nets):
            key = f"validation/{net}/policy_cross_entropy"
            validation[key] = 3 - step / 10 - place / 100
            if place:
                validation |= {f"{key}/minus_raw{end}": -place / 100 for end in ("", "_low")}
                validation[f"{key}/minus_raw_high"] = None  # an interval that is not known
        lines.append(validation)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_curves_are_by_step_without_what_is_null():
    lines = [
        {"step": 1, "time": 5, "train/a": 1.0},
        {"step": 2, "time": 6, "train/a": None, "validation/swa/b": 3},
        {"step": 4, "train/a": 2.0, "validation/raw/b": 3},
    ]
    curves = curves_of(lines)
    assert curves["train/a"] == ([1, 4], [1.0, 2.0])
    assert nets_of(curves) == ["raw", "swa"]


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_run_gives_the_same_picture(tmp_path: Path, suffix: str):
    metrics = write_run(tmp_path / "metrics.jsonl")
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    save_training_plot(metrics, one, "tiny")
    save_training_plot(metrics, other, "tiny")
    assert one.read_bytes() == other.read_bytes()


def drawn(metrics: Path, monkeypatch) -> list[object]:
    """The panels that are drawn."""
    from matplotlib.figure import Figure

    kept = []

    def keep(self, *_, **__):
        self.canvas.draw()
        kept.append(self)

    monkeypatch.setattr(Figure, "savefig", keep)
    save_training_plot(metrics, metrics.with_suffix(".png"))
    return [axes for axes in kept[0].axes if axes.get_visible()]


def test_panels_show_raw_in_grey_and_averages_in_one_colour(tmp_path: Path, monkeypatch):
    panels = drawn(write_run(tmp_path / "metrics.jsonl"), monkeypatch)
    titles = [axes.get_title("left") for axes in panels]
    assert titles == [
        "policy loss (nats)",
        "value loss",  # of training alone
        "held-out policy loss minus the raw net's (nats)",
        "learning rate",
    ]  # none of moves left: its loss is 0 throughout
    lines = {line.get_label(): line for line in panels[0].lines}
    assert list(lines) == ["raw, in training", "raw", "swa", "ema"]
    assert lines["raw, in training"].get_color() == lines["raw"].get_color()
    assert lines["swa"].get_color() == lines["ema"].get_color()
    assert lines["swa"].get_color() != lines["raw"].get_color()
    looks = {(line.get_marker(), line.get_linestyle()) for line in lines.values()}
    assert len(looks) == len(lines)
    assert list(lines["ema"].get_ydata()) == pytest.approx(
        [3 - step / 10 - 0.02 for step in range(1, 11)]
    )


def test_an_average_that_fits_nothing_does_not_flatten_the_others(tmp_path: Path, monkeypatch):
    path = write_run(tmp_path / "metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for key in [key for key in line if key.startswith("validation/ema/")]:
            line[key] = 1e6
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    panels = drawn(path, monkeypatch)
    assert panels[0].get_ylim()[1] < 10
    assert panels[2].get_ylim()[1] < 1


@pytest.mark.parametrize(
    ("steps", "nets"), [(1, ()), (1, ("raw",)), (2, ("raw", "a $name^2$ that is no formula" * 3))]
)
def test_short_runs_and_odd_names_are_drawn(tmp_path: Path, steps: int, nets: tuple[str, ...]):
    metrics = write_run(tmp_path / "metrics.jsonl", nets, steps)
    save_training_plot(metrics, tmp_path / "a.svg", "100 $ of_it")
    assert b"</svg>" in (tmp_path / "a.svg").read_bytes()


@pytest.mark.parametrize("text", ["", '{"step": 1}\n', '{"step": 1, "train/loss": null}\n'])
def test_without_losses_there_is_no_picture(tmp_path: Path, text: str):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(text)
    with pytest.raises(TrainingLogError, match="no losses to draw"):
        save_training_plot(metrics, tmp_path / "a.png")
    with pytest.raises(TrainingLogError, match="cannot read"):
        save_training_plot(tmp_path / "none", tmp_path / "a.png")


def config_of(tmp_path: Path, snapshots: str = "every = 30") -> TrainConfig:
    path = tmp_path / "run.toml"
    path.write_text(
        'name = "tiny"\noutput = "out"\n[net]\nblocks = 1\nfilters = 8\n[data]\ninput = ["x"]\n'
        "[training]\nbatch-size = 4\ntotal-steps = 100\n[learning-rate]\nlr = 0.1\n"
        '[[averages]]\nname = "swa"\nstart = 40\nevery = 20\n'
        f"[snapshots]\n{snapshots}\n"
    )
    return read_config(path)


@pytest.mark.parametrize(
    ("snapshots", "last", "written", "averaged"),
    [
        ("every = 30", 100, [30, 60, 90, 100], [60, 80, 100]),
        ("every = 30", 75, [30, 60], [60]),
        ("every = 50", 100, [50, 100], [60, 80, 100]),
        ("keep = 3", 100, [100], [60, 80, 100]),
        ("keep = 3", 99, [], [60, 80]),
        ("every = 30", 0, [], []),
    ],
)
def test_marks_are_where_snapshots_fell_due(
    tmp_path: Path, snapshots: str, last: int, written: list[int], averaged: list[int]
):
    config = config_of(tmp_path, snapshots)
    marks = marks_of(config, last)
    assert list(marks.written) == written
    assert list(marks.averaged["swa"]) == averaged
    (average,) = config.averages
    assert averaged == [step for step in range(1, last + 1) if average.is_due(step)]


def test_the_learning_rate_has_snapshot_marks(tmp_path: Path):
    lines = [{"step": step, "train/learning_rate": 0.1 * step} for step in range(1, 11)]
    (picture,) = training_pictures(lines, Marks([4, 8], {"swa": [5, 6, 7]}))
    assert picture.header[1:] == ["learning rate", "nets written so far", "snapshots of swa so far"]
    assert picture.rows[5] == ["6", "0.6", "1", "2"]
    with drawn_picture(picture) as figure:
        (axes,) = figure.axes
        written, taken = (
            next(line for line in axes.lines if line.get_marker() == marker) for marker in "o|"
        )
        assert list(zip(*written.get_data(), strict=True)) == [
            (4, pytest.approx(0.4)),
            (8, pytest.approx(0.8)),
        ]
        assert list(taken.get_xdata()) == [5, 6, 7]
        assert max(taken.get_ydata()) < 0
        assert all(tick >= 0 for tick in axes.get_yticks())


def test_tables_have_what_is_drawn(tmp_path: Path):
    lines = [
        json.loads(line)
        for line in write_run(tmp_path / "metrics.jsonl", steps=100).read_text().splitlines()
    ]
    policy, value, averages, rate = training_pictures(lines)
    assert policy.header == ["step", "raw, in training", "raw", "swa", "ema"]
    assert len(policy.rows) <= 40
    assert policy.rows[-1] == ["100", "-7.0000", "-7.0000", "-7.0100", "-7.0200"]
    assert value.header == ["step", "raw, in training"]
    assert averages.header[0] == "step"
    assert averages.rows[-1] == ["100", "-0.0100", "-0.0200"]  # the upper end is not known
    assert rate.rows[-1] == ["100", "0.01"]


def test_the_page_has_each_picture_and_its_table(tmp_path: Path):
    metrics = write_run(tmp_path / "metrics.jsonl", ("raw", "a<b>"))
    save_training_page(metrics, tmp_path / "a.html", "<i>tiny")
    save_training_page(metrics, tmp_path / "b.html", "<i>tiny")
    page = (tmp_path / "a.html").read_text()
    assert page == (tmp_path / "b.html").read_text()
    assert page.count("<svg") == page.count("<table>") == 4
    assert "<b>" not in page
    assert "<i>" not in page
