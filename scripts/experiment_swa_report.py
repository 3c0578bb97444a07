"""The report of ``experiment_swa.py``: text, tables and a plot from results.json alone."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt
from scipy import stats

GREY, ACCENT = "#8a8a8a", "#d1495b"
SEEDS = 5
AVERAGES = ("last5", "last10", "swa")
STALE, REFRESHED = "", " refreshed"
POLICY, ACCURACY, VALUE = "policy_cross_entropy", "policy_accuracy", "value_cross_entropy"
MATCH_AVERAGE = "swa refreshed"


class Difference(NamedTuple):
    """A net's figure minus the raw net's on the same positions, with its 95 % interval."""

    value: float
    low: float
    high: float


def write(folder: Path) -> None:
    """Write README.md and its plot into ``folder``."""
    results = json.loads((folder / "results.json").read_text())
    config = tomllib.loads((folder / "run.toml").read_text())
    lines = results["runs"]
    _plot(lines, folder / "losses.svg")
    (folder / "README.md").write_text(_text(lines, results.get("match", {}), config))


def schedules(runs: dict[str, Any]) -> list[str]:
    """The learning rates' names, in the order of the experiment."""
    return list(dict.fromkeys(name.rpartition("-")[0] for name in runs))


def last(runs: dict[str, Any], schedule: str) -> list[dict[str, float]]:
    """What was measured at the end of each run of a schedule, seed after seed."""
    return [run["curve"][-1] for name, run in runs.items() if name.rpartition("-")[0] == schedule]


def figure(line: dict[str, float], net: str, metric: str) -> float:
    """A net's own figure."""
    return line[f"validation/{net}/{metric}"]


def difference(line: dict[str, float], net: str, metric: str) -> Difference:
    """A net's figure against the raw net's."""
    key = f"validation/{net}/{metric}/minus_raw"
    return Difference(line[key], line[f"{key}_low"], line[f"{key}_high"])


def over_seeds(values: Sequence[float]) -> str:
    """Mean and the half-width of its 95 % interval (Student's t)."""
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):+.4f} +/- {half:.4f}"


def _text(runs: dict[str, Any], match: dict[str, Any], config: dict[str, Any]) -> str:
    net, training = config["net"], config["training"]
    every, steps = config["snapshots"]["every"], training["total-steps"]
    seeds = len(last(runs, schedules(runs)[0]))
    parts = [
        "# Is the average better than the last net?",
        f"Nets of {net['blocks']} blocks and {net['filters']} filters (SE {net['se']}) were "
        f"trained on human master games for {steps:,} steps of {training['batch-size']} positions, "
        f"with {seeds} seeds at a constant learning rate and {seeds} at one that falls to zero as "
        f"a cosine. From the middle on a snapshot was taken every {every} steps; averages are over "
        "the last 5, the last 10, and all of the second half (`swa`), each with batch norm's "
        'statistics averaged ("stale", what lczero-training does) and computed anew on 20,000 '
        'training positions ("refreshed"). All nets of a run are measured on the same '
        f"{config['data']['validation-positions']:,} positions of games that no net has seen. "
        "Differences are paired, their intervals are from games resampled.",
        "```\npython scripts/experiment_swa.py        # all of it; results.json has every figure\n"
        "```",
        _findings(runs),
        "![What each average gains on the last net](losses.svg)",
    ]
    for schedule in schedules(runs):
        parts += [f"## Learning rate: {schedule}", _table(last(runs, schedule))]
        parts += [_seeds(last(runs, schedule))]
    missing = SEEDS - seeds
    unfinished = [f"{missing} of {SEEDS} seeds"] * bool(missing) + ["the match"] * (not match)
    if unfinished:
        parts.insert(1, f"**Not finished**: {' and '.join(unfinished)} are still to be run.")
    parts += [_match(match)] if match else []
    return "\n\n".join(parts) + "\n"


def _findings(runs: dict[str, Any]) -> str:
    told = []
    for schedule in schedules(runs):
        lines = last(runs, schedule)
        found = [difference(line, MATCH_AVERAGE, POLICY) for line in lines]
        better = sum(one.high < 0 for one in found)
        worse = sum(one.low > 0 for one in found)
        told.append(
            f"- **{schedule}**: the refreshed average of the second half is better than the last "
            f"net in held-out policy loss in {better} of {len(found)} seeds beyond chance, worse "
            f"in {worse}: {over_seeds([one.value for one in found])} nats over the seeds."
        )
        gains = [
            difference(line, f"{AVERAGES[-1]}{REFRESHED}", POLICY).value
            - difference(line, f"{AVERAGES[-1]}{STALE}", POLICY).value
            for line in lines
        ]
        told.append(f"  What the refresh itself changes: {over_seeds(gains)} nats.")
    return "\n".join(told)


def _table(lines: list[dict[str, float]]) -> str:
    rows = [
        "| net | policy loss | accuracy | value loss | policy loss against the last net |",
        "| --- | --- | --- | --- | --- |",
    ]
    names = ["raw", *(f"{name}{kind}" for name in AVERAGES for kind in (STALE, REFRESHED))]
    for name in names:
        means = [fmean(figure(line, name, metric) for line in lines) for metric in _METRICS]
        against = (
            ""
            if name == "raw"
            else over_seeds([difference(line, name, POLICY).value for line in lines])
        )
        shown = "the last net" if name == "raw" else name if REFRESHED in name else f"{name} stale"
        rows.append(f"| {shown} | {means[0]:.4f} | {means[1]:.2%} | {means[2]:.4f} | {against} |")
    return "Means over the seeds; +/- is the 95 % interval over them.\n\n" + "\n".join(rows)


_METRICS = (POLICY, ACCURACY, VALUE)


def _seeds(lines: list[dict[str, float]]) -> str:
    rows = ["| seed | stale - last net | refreshed - last net |", "| --- | --- | --- |"]
    for seed, line in enumerate(lines, 1):
        cells = [
            f"{one.value:+.4f} ({one.low:+.4f} {one.high:+.4f})"
            for one in (
                difference(line, f"{AVERAGES[-1]}{kind}", POLICY) for kind in (STALE, REFRESHED)
            )
        ]
        rows.append(f"| {seed} | {cells[0]} | {cells[1]} |")
    head = "Policy loss of the average of the second half, by seed, with 95 % intervals:"
    return head + "\n\n" + "\n".join(rows)


def _match(match: dict[str, Any]) -> str:
    told = ["## The match"]
    for what, summary in match.items():
        low, high = summary["elo_ci"]
        told.append(
            f"Last net against average of the first run (constant learning rate), {what}, SPRT "
            f"[{summary['sprt']['elo0']:g}, {summary['sprt']['elo1']:g}]: **{summary['verdict']}** "
            f"after {summary['pairs']:,} pairs, Elo of the average {summary['elo']:+.1f} "
            f"[{low:+.1f}, {high:+.1f}], pentanomial {summary['pentanomial']}, LLR "
            f"{summary['llr']:.2f}."
        )
    return "\n\n".join(told)


def _plot(runs: dict[str, Any], path: Path) -> None:
    mpl.use("Agg")
    names = schedules(runs)
    style = {"svg.hashsalt": "arena", "font.size": 9, "axes.spines.top": False}
    with mpl.rc_context(style | {"axes.spines.right": False}):
        drawing, panels = plt.subplots(
            1, len(names), figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained"
        )
        for panel, schedule in zip(panels, names, strict=True):
            lines = last(runs, schedule)
            for row, average in enumerate(AVERAGES):
                for kind, colour, mark in ((STALE, GREY, "o"), (REFRESHED, ACCENT, "s")):
                    found = [difference(line, average + kind, POLICY) for line in lines]
                    below = 0.2 * (kind == REFRESHED) - 0.1
                    heights = [row + below + 0.03 * seed for seed in range(len(found))]
                    panel.errorbar(
                        [one.value for one in found],
                        heights,
                        xerr=[
                            [one.value - one.low for one in found],
                            [one.high - one.value for one in found],
                        ],
                        fmt=mark,
                        color=colour,
                        markersize=4,
                        linewidth=1,
                        label=(kind.strip() or "stale") if row == 0 else None,
                    )
            panel.axvline(0, color="black", linewidth=0.8)
            panel.set_title(f"learning rate: {schedule}")
            panel.set_xlabel("policy loss minus the last net's (nats)")
        panels[0].set_yticks(range(len(AVERAGES)), ["last 5", "last 10", "second half"])
        panels[0].invert_yaxis()
        panels[0].legend(frameon=False)
        drawing.savefig(path, metadata={"Date": None})
        plt.close(drawing)
