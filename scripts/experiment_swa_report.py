"""The report of ``experiment_swa.py``: text, tables and a plot from results.json alone."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt
from scipy import stats

from swa.picture import BASELINE, CANDIDATE

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
    (folder / "README.md").write_text(_text(results, config))


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


def over_seeds(found: Sequence[Difference]) -> str:
    """Mean and the half-width of its 95 % interval (Student's t); of one run, its own interval."""
    values = [one.value for one in found]
    if len(found) == 1:
        return f"{values[0]:+.4f} ({found[0].low:+.4f} {found[0].high:+.4f})"
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):+.4f} +/- {half:.4f}"


def _text(results: dict[str, Any], config: dict[str, Any]) -> str:
    runs = results["runs"]
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
    if missing:
        parts.insert(1, f"**Not finished**: {missing} of {SEEDS} seeds are still to be run.")
    parts += [_matches(results["match"])] if "match" in results else []
    parts += [_fledgling(results["fledgling"])] if "fledgling" in results else []
    parts.append(_when_not(results))
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
            f"in {worse}: {over_seeds(found)} nats over the seeds."
        )
        gains = [
            Difference(
                difference(line, f"{AVERAGES[-1]}{REFRESHED}", POLICY).value
                - difference(line, f"{AVERAGES[-1]}{STALE}", POLICY).value,
                math.nan,
                math.nan,
            )
            for line in lines
        ]
        told.append(f"  What the refresh itself changes: {over_seeds(gains)} nats.")
    return "\n".join(told)


def _table(
    lines: list[dict[str, float]],
    head: str = "Means over the seeds; +/- is the 95 % interval over them.",
) -> str:
    rows = [
        "| net | policy loss | accuracy | value loss | policy loss against the last net |",
        "| --- | --- | --- | --- | --- |",
    ]
    names = ["raw", *(f"{name}{kind}" for name in AVERAGES for kind in (STALE, REFRESHED))]
    for name in names:
        means = [fmean(figure(line, name, metric) for line in lines) for metric in _METRICS]
        against = (
            "" if name == "raw" else over_seeds([difference(line, name, POLICY) for line in lines])
        )
        shown = "the last net" if name == "raw" else name if REFRESHED in name else f"{name} stale"
        rows.append(f"| {shown} | {means[0]:.4f} | {means[1]:.2%} | {means[2]:.4f} | {against} |")
    return head + "\n\n" + "\n".join(rows)


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


def _matches(matches: dict[str, Any]) -> str:
    told = [
        "## The matches",
        "The last net of the first run (constant learning rate) against two of its averages, from "
        "the book that arena ships; Elo of the average, allowing for "
        'the test\'s stop; "undecided": stopped before a bound was met:',
    ]
    return "\n\n".join([*told, _match_table(matches)])


def headline(summary: dict[str, Any]) -> tuple[float, float, float]:
    """Elo of the candidate with its 95 % interval, as a match's own report gives it."""
    found = summary["headline"] or summary
    return (found["elo"], *found["elo_ci"])


def _match_table(matches: dict[str, Any]) -> str:
    rows = [
        "| average | visits | SPRT | verdict | pairs | Elo | pentanomial | LLR |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for what, summary in matches.items():
        elo, low, high = headline(summary)
        test = summary["sprt"]
        rows.append(
            f"| {what} | {summary['config']['search']['visits']} "
            f"| [{test['elo0']:g}, {test['elo1']:g}] | **{summary['verdict']}** "
            f"| {summary['pairs']:,} | {elo:+.0f} [{low:+.0f}, {high:+.0f}] "
            f"| {summary['pentanomial']} | {summary['llr']:.2f} |"
        )
    return "\n".join(rows)


def _fledgling(found: dict[str, Any]) -> str:
    """The nets that ship: a longer run, and what they can do."""
    curve = found["curve"][-1]
    parts = [
        "## The nets that ship",
        f"The same net at the constant learning rate for {curve['step']:,} steps "
        f"([fledgling.toml](fledgling.toml), {found['minutes']:.0f} minutes on two cores; "
        "`python scripts/make_nets.py`). Its averages against its last net, on the held-out "
        "positions:",
        _table([curve], "One run; what stands against the last net has its 95 % interval."),
    ]
    if "accuracy" in found:
        parts.append(_accuracy(found["accuracy"]))
    if "strength" in found:
        parts.append(_strength(found["strength"]))
    if "match" in found:
        parts += ["The match that the verdict rests on:", _match_table(found["match"])]
    return "\n\n".join(parts)


def _when_not(results: dict[str, Any]) -> str:
    """What the figures above say of the conditions, and what they do not."""
    runs = results["runs"]
    told = ["## When the average does not win"]
    decaying = [line for name in schedules(runs)[1:] for line in last(runs, name)]
    if decaying:
        told.append(
            "- **At a learning rate that has fallen to zero.** The last steps hardly move, so that "
            "there is no noise to average away, and what the average adds is older nets: "
            + over_seeds([difference(line, MATCH_AVERAGE, POLICY) for line in decaying])
            + " nats for the second half, "
            + over_seeds([difference(line, f"last5{REFRESHED}", POLICY) for line in decaying])
            + " for the last five snapshots, which were taken when it was nearly there."
        )
    if (match := results.get("match", {}).get("swa")) and match["verdict"] != "promote":
        gain = difference(runs[next(iter(runs))]["curve"][-1], MATCH_AVERAGE, POLICY).value
        told.append(
            "- **With a window in which the net still learns fast.** The average of the second "
            f"half of 1,200 steps foresees people's moves better ({gain:+.3f} nats), and loses the "
            f"match ({headline(match)[0]:+.0f} Elo). A better loss on games of people is not yet a "
            "stronger player: that is what the match is for."
        )
    if on := results.get("fledgling", {}).get("refreshed on"):
        stale = figure(results["fledgling"]["curve"][-1], f"last5{STALE}", POLICY)
        told.append(
            "- **Refreshed on other positions than the net was trained on.** Held-out policy loss "
            "of the shipped average, by what its batch norm was refreshed on: "
            + "; ".join(f"{what} {loss:.4f}" for what, loss in on.items())
            + f"; not refreshed, the statistics averaged: {stale:.4f}. Long games with noise are "
            "endgames that people seldom reach."
        )
    told.append(
        "What is not said here: one size of net, one kind of data, one optimizer, runs of minutes; "
        "batch norm's own running statistics are of the last batches, so that a net which is "
        "trained longer between snapshots has more to refresh."
    )
    return "\n".join(told[:1]) + "\n\n" + "\n".join(told[1:-1]) + "\n\n" + told[-1]


def _accuracy(found: dict[str, Any]) -> str:
    rows = [
        f"How often they foresee the move of the game, on {found['positions']:,} positions of "
        "games that ours were not trained on; the others were made by other people from other "
        "games:",
        "",
        "| net | accuracy | policy loss |",
        "| --- | --- | --- |",
    ]
    for net, figures in found.items():
        if isinstance(figures, dict):
            share, low, high = figures["policy_accuracy"]
            loss = figures["policy_cross_entropy"][0]
            rows.append(f"| {net} | {share:.1%} [{low:.1%}, {high:.1%}] | {loss:.3f} |")
    return "\n".join(rows)


def _strength(found: dict[str, Any]) -> str:
    scores = {name: found[name]["points"] / found[name]["games"] for name in ("random", "material")}
    return (
        f"Over {found['pairs']} pairs at {found['visits']} visits the average scores "
        f"{scores['random']:.1%} against a random mover and {scores['material']:.1%} against a "
        "player that takes what it can, one ply ahead."
    )


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
                for kind, colour, mark in ((STALE, BASELINE, "o"), (REFRESHED, CANDIDATE, "s")):
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
