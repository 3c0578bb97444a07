"""The report of ``experiment_stats.py``: targets, tables and plots from the cells of results.json.

Nothing is simulated here. A table leaves out what has not been run; a target whose cells are not
all there says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import statistics_plots
from statistics_plots import MODELS, RULES, Row, error_of, most_errors

from arena.simulation.experiments import BOOKS, PLANNED, SECTIONS, TRUTHS, WIDTHS

Cells = dict[str, dict[str, Row]]

ORDERS = ("issue", "completion")
COVERAGE, BELOW = (0.94, 0.975), (0.47, 0.53)
LONG_TEST = 200


@dataclass(frozen=True)
class Target:
    """What was asked, and the worst figure that came out; ``met`` is None where cells miss."""

    asked: str
    measured: str
    met: bool | None

    @property
    def line(self) -> str:
        """The row of the table of targets."""
        said = {True: "met", False: "**not met**", None: "not run in full"}[self.met]
        return f"| {self.asked} | {self.measured} | {said} |"


def write(folder: Path, cells: Cells) -> list[Target]:
    """Write README.md and the plots into ``folder``; returns the targets."""
    statistics_plots.write(folder, {section: _rows(cells, section) for section in cells})
    targets = targets_of(cells)
    (folder / "README.md").write_text(_text(cells, targets))
    return targets


def _rows(cells: Cells, section: str, **wanted: object) -> list[Row]:
    rows = cells.get(section, {}).values()
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


# Targets


def targets_of(cells: Cells) -> list[Target]:
    """Return every target of the experiment, met or not."""
    errors = [row for row in _rows(cells, "errors") if row["truth"] != "middle"]
    found = [
        _error_target(
            errors, rule, model, f"{name}, {model}: type I and II at most 5.46 % in every cell"
        )
        for rule, name in (("plain", "GSPRT"), ("certified", "Certified test"))
        for model in MODELS
    ]
    found += [
        _error_target(
            [row for row in errors if row["width"] <= 35],
            "overshoot",
            model,
            f"Overshoot-corrected, {model}: at most 5.5 % up to width 35",
            expected=2 * len(BOOKS) * sum(width <= 35 for width in WIDTHS),
            limit=0.055,
        )
        for model in MODELS
    ]
    return [*found, *_order_targets(cells), *_interval_targets(cells), *_plan_targets(cells)]


def _error_target(
    rows: list[Row],
    rule: str,
    model: str,
    asked: str,
    *,
    expected: int = 2 * len(BOOKS) * len(WIDTHS),
    limit: float | None = None,
) -> Target:
    rows = [row for row in rows if row["rule"] == rule and row["model"] == model]
    if not rows:
        return Target(asked, "", None)
    worst = max(rows, key=error_of)
    measured = (
        f"{error_of(worst):.2%} at most, of {len(rows)} cells ({worst['book']}, "
        f"width {worst['width']}, {worst['truth']})"
    )
    good = all(error_of(row) <= (limit or most_errors(row["runs"])) for row in rows)
    return Target(asked, measured, _if_all(good, rows, expected))


def _if_all(good: bool, rows: list[Row], expected: int) -> bool | None:
    """A target with a bad cell is missed; to be met it takes all cells."""
    return good if not good or len(rows) == expected else None


def _order_targets(cells: Cells) -> list[Target]:
    found = []
    for order, asked in (
        ("issue", "256 pairs in flight, durations ±40 % by result, issue order: at most 5.46 %"),
        ("completion", "The same counted at completion: must fail"),
    ):
        rows = [
            row
            for row in _rows(cells, "order", order=order, lanes=256)
            if abs(row["spread"]) == 0.4
            and (order == "issue" or row["truth"] == "elo0")
            and (order == "issue" or row["spread"] > 0)
        ]
        if not rows:
            found.append(Target(asked, "", None))
            continue
        errors = [error_of(row) for row in rows]
        held = [error_of(row) <= most_errors(row["runs"]) for row in rows]
        good = all(held) if order == "issue" else not any(held)
        measured = f"{min(errors):.2%} to {max(errors):.2%} ({len(rows)} cells)"
        expected = len(RULES) * (4 if order == "issue" else 1)
        found.append(Target(asked, measured, _if_all(good, rows, expected)))
    return found


def _interval_targets(cells: Cells) -> list[Target]:
    anytime = _rows(cells, "anytime")
    found = [
        _worst(
            "Confidence sequence: wrong at any moment of 20,000 pairs in at most 5 % of matches",
            anytime,
            lambda row: row["wrong"],
            0.05,
            "{:.2%} at most",
        )
    ]
    for pairs, limit in ((200, 1.6), (1000, 2.0)):
        found.append(
            _worst(
                f"Its half-width at {pairs} pairs: at most {limit} times the usual one",
                anytime,
                lambda row, n=pairs: _width_ratio(row, n),
                limit,
                "{:.2f} at most",
            )
        )
    stopping = _rows(cells, "stopping")
    for asked, key, low, high in (
        ("Stopping-aware interval: coverage 94 to 97.5 %", "coverage", *COVERAGE),
        ("47 to 53 % of its point estimates below the truth", "below", *BELOW),
    ):
        for model in MODELS:
            rows = [row for row in stopping if row["model"] == model]
            asked_here = f"{asked}, {model}"
            if not rows:
                found.append(Target(asked_here, "", None))
                continue
            within = [low <= row[key] <= high for row in rows]
            smallest, largest = (f(row[key] for row in rows) for f in (min, max))
            measured = f"{smallest:.1%} to {largest:.1%}; {sum(within)} of {len(rows)} cells within"
            good = _if_all(all(within), rows, len(list(SECTIONS["stopping"]())) // len(MODELS))
            found.append(Target(asked_here, measured, good))
    return [*found, _long_tests(stopping)]


def _long_tests(rows: list[Row]) -> Target:
    """Both targets after a stop, of the tests that are long enough: no target by itself."""
    asked = f"Both of these, of the tests that take {LONG_TEST} pairs or more at elo0"
    long = {_test_of(r) for r in rows if r["truth"] == "elo0" and r["mean_pairs"] >= LONG_TEST}
    rows = [row for row in rows if _test_of(row) in long]
    if not rows:
        return Target(asked, "", None)
    within = [
        COVERAGE[0] <= row["coverage"] <= COVERAGE[1] and BELOW[0] <= row["below"] <= BELOW[1]
        for row in rows
    ]
    measured = f"{sum(within)} of {len(rows)} cells within"
    return Target(asked, measured, _if_all(all(within), rows, len(TRUTHS) * len(long)))


def _test_of(row: Row) -> tuple[str, int, str]:
    return row["model"], row["width"], row["book"]


def _width_ratio(row: Row, pairs: int) -> float:
    return float(row[f"half_width_{pairs}"] / row[f"naive_half_width_{pairs}"])


def _worst(
    asked: str, rows: list[Row], figure: Callable[[Row], float], limit: float, shown: str
) -> Target:
    if not rows:
        return Target(asked, "", None)
    worst = max(rows, key=figure)
    measured = f"{shown.format(figure(worst))}, of {len(rows)} cells ({worst['book']})"
    good = figure(worst) <= limit
    return Target(asked, measured, _if_all(good, rows, len(list(SECTIONS["anytime"]()))))


def _plan_targets(cells: Cells) -> list[Target]:
    rows = _planned(cells)
    found = []
    for asked, figure, limit, shown in (
        (
            "`arena plan`: mean length within 5 % of the simulated",
            _length_error,
            0.05,
            "{:.1%}",
        ),
        ("... and pass probability within 1.5 points", _chance_error, 0.015, "{:.2%}"),
    ):
        if not rows:
            found.append(Target(asked, "", None))
            continue
        worst = max(rows, key=figure)
        measured = (
            f"{shown.format(figure(worst))} off at most, of {len(rows)} cells ({worst['book']}, "
            f"{worst['model']}, width {worst['width']}, {worst['truth']})"
        )
        good = _if_all(figure(worst) <= limit, rows, len(PLANNED) * len(list(SECTIONS["plan"]())))
        found.append(Target(asked, measured, good))
    return found


def _planned(cells: Cells) -> list[Row]:
    """The simulated matches of the plain rule that a plan was made for, with what it said."""
    found = []
    for plan in _rows(cells, "plan"):
        same = {key: plan[key] for key in ("book", "model", "width")}
        for truth, pairs, promoted in zip(PLANNED, plan["pairs"], plan["promoted"], strict=True):
            found += [
                row | {"planned_pairs": pairs, "planned_promoted": promoted}
                for row in _rows(cells, "errors", rule="plain", truth=truth, **same)
            ]
    return found


def _length_error(row: Row) -> float:
    return abs(float(row["planned_pairs"] / row["mean_pairs"] - 1.0))


def _chance_error(row: Row) -> float:
    return abs(float(row["planned_promoted"] - row["promoted"]))


# Text


def _text(cells: Cells, targets: list[Target]) -> str:
    seeds = sorted({row["seed"] for rows in cells.values() for row in rows.values()})
    parts = [
        INTRODUCTION.format(seeds=", ".join(map(str, seeds))),
        "## Targets\n",
        _table(["asked", "measured", ""], []) + "\n".join(t.line for t in targets) + "\n",
        _errors_text(_rows(cells, "errors")),
        _order_text(_rows(cells, "order")),
        _anytime_text(_rows(cells, "anytime")),
        _stopping_text(_rows(cells, "stopping")),
        _plan_text(_planned(cells)),
        LIMITS,
    ]
    return "\n".join(part for part in parts if part)


def _table(heads: list[str], lines: Iterable[Iterable[str]]) -> str:
    top = "| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|\n"
    return top + "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _runs(rows: list[Row]) -> str:
    runs = sorted({row["runs"] for row in rows})
    return " or ".join(f"{n:,}" for n in runs)


def _errors_text(rows: list[Row]) -> str:
    if not rows:
        return ""
    parts = [ERRORS.format(runs=_runs(rows))]
    for model in MODELS:
        for rule, name in RULES.items():
            here = {
                (row["book"], row["width"], row["truth"]): row
                for row in rows
                if row["model"] == model and row["rule"] == rule
            }
            if not here:
                continue
            lines = []
            for book in BOOKS:
                line = [book]
                for width in sorted(WIDTHS):
                    pair = [here.get((book, width, truth)) for truth in ("elo0", "elo1")]
                    line.append(_error_cell([row for row in pair if row]))
                lines.append(line)
            heads = ["", *(f"0 to {width}" for width in sorted(WIDTHS))]
            parts.append(f"**{name}, {model} bounds**\n\n{_table(heads, lines)}")
    return "\n".join(parts)


def _error_cell(pair: list[Row]) -> str:
    if len(pair) < 2:
        return "-"
    errors = " / ".join(f"{100 * error_of(row):.2f}" for row in pair)
    pairs = " / ".join(f"{row['mean_pairs']:,.0f}" for row in pair)
    return f"{errors} % ({pairs})"


def _order_text(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = []
    kinds = sorted(
        {(row["rule"], -row["lanes"], -row["spread"]) for row in rows},
        key=lambda kind: (list(RULES).index(kind[0]), *kind[1:]),
    )
    for rule, lanes, spread in kinds:
        line = [RULES[rule], f"{-lanes}", f"{-100 * spread:+.0f} %"]
        for order in ORDERS:
            for truth in ("elo0", "elo1"):
                wanted = {"rule": rule, "lanes": -lanes, "spread": -spread}
                found = [
                    row
                    for row in rows
                    if row["order"] == order
                    and row["truth"] == truth
                    and all(row[key] == value for key, value in wanted.items())
                ]
                line += [f"{error_of(row):.2%}" for row in found] or ["-"]
        lines.append(line)
    heads = ["test", "in flight", "longer by", "issue order: type I", "type II"]
    return ORDER.format(runs=_runs(rows)) + _table(
        [*heads, "at completion: type I", "type II"], lines
    )


def _anytime_text(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [
        [
            row["book"],
            f"{row['elo']:g}",
            f"{row['wrong']:.2%}",
            f"{row['naive_wrong']:.0%}",
            *(
                f"{row[f'half_width_{n}']:.1f} / {row[f'naive_half_width_{n}']:.1f} "
                f"= {_width_ratio(row, n):.2f}"
                for n in (200, 1000)
            ),
        ]
        for row in rows
    ]
    heads = ["", "true Elo", "sequence wrong", "usual interval wrong"]
    heads += ["half-widths at 200 pairs, Elo", "at 1,000 pairs"]
    return ANYTIME.format(runs=_runs(rows)) + _table(heads, lines)


def _stopping_text(rows: list[Row]) -> str:
    if not rows:
        return ""
    order = {name: i for i, name in enumerate([*MODELS, *BOOKS, *("elo0", "middle", "elo1")])}
    rows = sorted(
        rows,
        key=lambda r: (order[r["model"]], r["width"], order[r["book"]], order[r["truth"]]),
    )
    lines = [
        [
            f"{row['model']} 0 to {row['width']}",
            row["book"],
            row["truth"],
            f"{row['mean_pairs']:,.0f}",
            _marked(row["coverage"], *COVERAGE),
            _marked(row["below"], *BELOW),
            f"{row['naive_coverage']:.1%}",
            f"{row['naive_below']:.1%}",
        ]
        for row in rows
    ]
    heads = ["test", "", "truth", "pairs", "aware: coverage", "below", "usual: coverage", "below"]
    return STOPPING.format(runs=_runs(rows)) + _table(heads, lines)


def _marked(share: float, low: float, high: float) -> str:
    return f"{share:.1%}" if low <= share <= high else f"**{share:.1%}**"


def _plan_text(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [
        [
            f"{row['model']} 0 to {row['width']}",
            row["book"],
            row["truth"],
            f"{row['planned_pairs']:,.1f} / {row['mean_pairs']:,.1f} "
            f"({row['planned_pairs'] / row['mean_pairs'] - 1:+.1%})",
            f"{row['planned_promoted']:.2%} / {row['promoted']:.2%} "
            f"({100 * (row['planned_promoted'] - row['promoted']):+.2f})",
        ]
        for row in rows
    ]
    heads = ["test", "", "truth", "pairs, planned / simulated", "passes, planned / simulated"]
    return PLAN.format(runs=_runs(rows)) + _table(heads, lines)


INTRODUCTION = """# Statistics that can be trusted: what was measured

Matches were simulated by the thousand, with the program's own tests and intervals, to see whether
what it says of itself holds: that a test errs in 5 % of matches at most, that pairs played side by
side may be counted in the order of issue and in no other, that an interval may be watched while a
match runs, that Elo after a stop is not flattered, and that a plan comes true.

```
make experiment-stats                                    # everything
python scripts/experiment_stats.py --only order          # one part; --help has the rest
```

Every figure is in [results.json](results.json); seed {seeds}. The matches of a cell do not depend
on the number of threads or on what else is run.

**The model.** BayesElo with openings that favour one side: books with 20, 50 and 85 % of drawn
games between equal players, and an unbalanced one with 49 % and an rms bias of 191 Elo. All tests
have alpha = beta = 5 %, elo0 = 0, and see the same matches. "normalized" and "logistic" are the Elo
of the bounds; true strengths are in the same Elo. A limit of 5.46 % is 5 % and three standard
errors of 20,000 runs.
"""

ERRORS = """## Error rates

Type I / type II in per cent, and in brackets the mean number of pairs at elo0 / elo1. {runs}
matches a figure (standard error 0.15 points at 20,000 and 5 %).

![Error rates of every cell](errors.svg)
"""

ORDER = """## Issue order

SPRT(0, 35), logistic, 50 % draws, {runs} matches a figure. A pair of two losses lasts longer than a
drawn one by the share given, and one of two wins is shorter by as much (a negative share: the other
way round); gamma distributed about that (shape 8). A lane that finishes a pair takes the next.

![Errors counted in issue order and at completion](order.svg)

"""

ANYTIME = """## While a match runs

Shares of {runs} matches in which an interval has excluded the truth at any moment of 20,000 pairs:
the confidence sequence after every pair, the usual 95 % interval from the tenth pair on.

![Share of matches with a wrong interval so far](anytime.svg)

"""

STOPPING = """## After a stop

The plain GSPRT plays to its verdict; then the stopping-aware and the usual 95 % interval are asked
for the true logistic Elo, and whether the point estimate lies below it. {runs} matches a row
(standard error of a coverage about 0.35 points, of a share below 0.8). Bold is off the target.

The estimate allows for what a Brownian motion between the bounds leaves out: the jump past the
bound, the exact LLR, which gets there later than its linear form, and the variance of a pair at
each strength that is asked for. As fishtest has it (`convention=FISHTEST`), the LLR set back onto
the bound, 12 of the 34 cells of fewer than 150 pairs are within both targets; coverage there is 95
to 100 %, and 38 to 62 % of the points lie below the truth. What still is off are tests of a few
dozen pairs. The farthest takes 17: 36 % of its matches end at one and the same pair, 10 % with one
and the same result, and a point just short of the truth counts as below it.

Measured apart, 1,500 matches each: strengths half a width outside the bounds, and a limit at about
the mean length. At width 80 coverage is 93 to 98 %, but 91 to 92 % on the unbalanced book at 120
logistic Elo, where some ten pairs decide.

![Coverage after a stop](stopping.svg)

"""

PLAN = """## The plan

Of the plain GSPRT, against the simulated matches of the first section ({runs} a row).

"""

LIMITS = """## Limits

Pairs are independent and of one law; real nets meet related openings. Durations are a guess at a
shape: what matters is that they depend on the result. elo0 is 0 throughout.
"""
