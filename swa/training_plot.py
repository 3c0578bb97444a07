"""The files that show a training run: one picture of all, and a page with their numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swa.evaluation_plot import short_name
from swa.files import write_whole
from swa.page import page, write_page
from swa.picture import Picture, drawn
from swa.train_config import TrainConfig
from swa.training_log import TrainingLogError, read_metrics
from swa.training_pictures import NO_MARKS, Marks, training_pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def marks_of(config: TrainConfig, last: int) -> Marks:
    """The steps up to ``last`` at which snapshots fall due."""
    every, end = config.snapshots.every, config.training.total_steps
    written = [*range(every, min(last, end - 1) + 1, every)] if every else []
    return Marks(
        [*written, end] if last >= end else written,
        {
            average.name: range(average.start + average.every, last + 1, average.every)
            for average in config.averages
        },
    )


def save_training_plot(metrics: Path, path: Path, title: str = "", marks: Marks = NO_MARKS) -> None:
    """Draw the run of a ``metrics.jsonl`` to ``path``, all pictures in one (.svg, .png, .pdf).

    Raises TrainingLogError where there is nothing to draw, OSError where it cannot be written.
    """
    pictures = _pictures_of(metrics, marks)
    columns = min(len(pictures), 3 if len(pictures) > 4 else 2)
    heights = [
        max(picture.size[1] for picture in pictures[place : place + columns])
        for place in range(0, len(pictures), columns)
    ]
    sheet = Picture(
        name="training",
        title=title,
        caption="",
        header=[],
        rows=[],
        draw=lambda figure: _draw_sheet(figure, pictures, heights, title),
        size=(5.2 * columns, sum(heights) + 0.3 * bool(title)),
    )
    data, kind = io.BytesIO(), path.suffix[1:].lower()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with drawn(sheet) as figure:
        figure.savefig(data, format=kind, dpi=120, metadata=undated)
    write_whole(path, data.getvalue())


def save_training_page(metrics: Path, path: Path, title: str, marks: Marks = NO_MARKS) -> None:
    """Write the same pictures with their tables as a page. Raises as ``save_training_plot``."""
    told = "Losses by step, of the raw net and of its averages, as metrics.jsonl has them."
    write_page(path, page(f"{title}: how it was trained", [told], _pictures_of(metrics, marks)))


def _pictures_of(metrics: Path, marks: Marks) -> list[Picture]:
    pictures = training_pictures(read_metrics(metrics), marks)
    if not pictures:
        raise TrainingLogError(f"{metrics}: no losses to draw\nTrain some steps first.")
    return pictures


def _draw_sheet(
    figure: Figure, pictures: Sequence[Picture], heights: Sequence[float], title: str
) -> None:
    """Draw pictures row by row, each row of its height."""
    columns = -(-len(pictures) // len(heights))
    parts = figure.subfigures(len(heights), columns, squeeze=False, height_ratios=heights)
    for part, picture in zip(parts.flat, pictures, strict=False):
        picture.draw(part)
    if title:
        figure.suptitle(short_name(title))
