"""Measure what the project says of nightly promotion, and write the report: reports/nightly.

Simulated are races among averages, nights that end with a gate, and seasons of nights. Every figure
of the report comes from ``results.json``, which gathers the cells as they are run; ``--only`` runs
a part anew and leaves the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from arena.simulation.experiments import Job, Row, keys_of
from arena.simulation.nights import Choice, Night, Seasons, play_nights, play_seasons
from arena.simulation.racing import field_of, rules_of, run_races
from arena.simulation.sequential import Rule, decision
from arena.stats.proportion import proportion_interval
from arena.stats.sprt import Sprt

REPOSITORY = Path(__file__).parent.parent

ERROR, ROUND, PAIRS = 0.1, 50, 300  # the defaults of [race]

DRAWS = (0.2, 0.5, 0.85)
TASTES = (0.0, 150.0)  # Elo

GATE = Sprt(0.0, 10.0)  # the default of [gate]

NIGHTS = 60  # of a season

Cells = dict[str, dict[str, Row]]


# --- what is simulated ---


def race_jobs() -> Iterator[Job]:
    """Races of equals, of which each is a best one, and races that one is ahead in."""
    for ahead in (0.0, 20.0, 50.0):
        for entries in range(2, 7):
            for draw_rate in DRAWS if ahead == 0.0 else (0.5,):
                for taste in TASTES if ahead == 0.0 else (0.0,):
                    yield _race_job(ahead, entries, draw_rate, taste)


def _race_job(ahead: float, entries: int, draw_rate: float, taste: float) -> Job:
    name = f"{entries} entries, the first {ahead:g} ahead, {draw_rate:g} drawn, taste {taste:g}"

    def run(runs: int, seed: int) -> Row:
        field = field_of([ahead] + [0.0] * (entries - 1), draw_rate, taste)
        races = run_races(field, rules_of(entries, ERROR, ROUND, PAIRS), keys_of(seed, name, runs))
        return {
            "ahead": ahead,
            "entries": entries,
            "draw_rate": draw_rate,
            "taste": taste,
            "best_dropped": int((races.dropped[:, 0] > 0).sum()),
            "best_won": int((races.winners == 0).sum()),
            "pairs": float(races.pairs.mean()),
            "most_pairs": PAIRS * entries * (entries - 1) // 2,
        }

    return Job("races", name, run, runs=5_000)


KINDS = {
    "race, fresh openings": (Choice.RACE, True),
    "race, gate on the race's openings": (Choice.RACE, False),
    "best score against the champion, fresh openings": (Choice.SCORE, True),
    "best score against the champion, its pairs counted": (Choice.SCORE, False),
}


def night_jobs() -> Iterator[Job]:
    """Nights whose entries all equal the champion, where a gate errs most often."""
    for kind in KINDS:
        for rule in (
            (Rule.PLAIN, Rule.CERTIFIED) if kind == "race, fresh openings" else (Rule.PLAIN,)
        ):
            for entries in (2, 4, 6):
                yield _night_job(kind, rule, entries)


def _night_job(kind: str, rule: Rule, entries: int) -> Job:
    name = f"{kind}, {entries} entries, {rule.name.lower()}"

    def run(runs: int, seed: int) -> Row:
        choice, fresh = KINDS[kind]
        rules = rules_of(entries, ERROR, ROUND, PAIRS)
        night = Night(int(choice), fresh, rules, decision(GATE, rule))
        field = field_of([0.0] * (entries + 1), 0.5, 100.0)
        nights = play_nights(night, field, keys_of(seed, name, runs))
        return {
            "kind": kind,
            "rule": rule.name.lower(),
            "entries": entries,
            "promoted": int(nights.promoted.sum()),
            "gate_pairs": float(nights.gate_pairs.mean()),
        }

    return Job("nights", name, run, runs=5_000)


def season_jobs() -> Iterator[Job]:
    """Seasons of nets that are all as much worse than the champion, and of a run that learns."""
    for below in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0):
        yield _season_job(f"every entry {below:g} Elo below the champion", below)
    yield _season_job("a run that learns, every fifth night a regression", None)


def _season_job(name: str, below: float | None) -> Job:
    def run(runs: int, seed: int) -> Row:
        entries = 3
        rules = rules_of(entries, ERROR, ROUND, PAIRS)
        night = Night(int(Choice.RACE), True, rules, decision(GATE, Rule.PLAIN))
        field = field_of([0.0] * (entries + 1), 0.5, 50.0)
        logit = float(field_of([1.0], 0.5).strengths[0])
        elos = np.full((NIGHTS, entries), -below) if below is not None else _learning(entries)
        keys = keys_of(seed, name, runs)
        seasons = play_seasons(night, field, logit * elos, keys, relative=below is not None)
        return {"kind": name, "below": below, **_figures(seasons, logit)}

    return Job("seasons", name, run, runs=200)


def _learning(entries: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Strengths in Elo: the run gains 150 in 60 nights, ever more slowly.

    Every fifth night is 40 below its curve. The first entry is the snapshot, of which averages are
    15 and 20 above it.
    """
    nights = np.arange(1, NIGHTS + 1)
    curve = 150.0 * (1.0 - np.exp(-nights / 20.0)) / (1.0 - np.exp(-NIGHTS / 20.0))
    curve[4::5] -= 40.0
    return np.asarray(curve[:, np.newaxis] + np.array([0.0, 15.0, 20.0])[:entries])


def _figures(seasons: Seasons, logit: float) -> Row:
    fallen, deepest = seasons.fallen / logit, seasons.deepest / logit
    return {
        "promotions": float(seasons.promotions.mean()),
        "worse": int(seasons.worse.sum()),
        "fallen": float(fallen.mean()),
        "fallen_99": float(np.quantile(fallen, 0.99)),
        "deepest_99": float(np.quantile(deepest, 0.99)),
        "deepest": float(deepest.max()),
        "end": float(seasons.champions[:, -1].mean() / logit),
    }


SECTIONS: dict[str, Callable[[], Iterator[Job]]] = {
    "races": race_jobs,
    "nights": night_jobs,
    "seasons": season_jobs,
}


# --- what is written ---

INTRODUCTION = f"""# Nightly promotion: what was simulated

```
make experiment-nights                                   # everything
python scripts/experiment_nights.py --only races         # one part; --help has the rest
```

Every figure is in [results.json](results.json). Games follow BayesElo. Where tastes are said, each
player is on each opening stronger or weaker than it is by a normal deviate of its own with that
standard deviation: so its results on one opening against several opponents go together. Races have
the defaults of `[race]`: error {ERROR:g}, rounds of {ROUND} pairs, {PAIRS} pairs of each two at
most. Intervals are exact ones of 95 %.
"""

RACES = f"""
## The race drops the best in at most {100 * ERROR:g} %

Where all entries are equal each of them is a best one, and the hardest to keep: against none of the
others does it expect more than half of the points. The table has how often a given one is dropped.
The bound holds for any number of entries, and whatever their results on an opening have to do with
each other.
"""

AHEAD = """
Where one entry is ahead of all others, which are equal (50 % draws, no tastes): how often it wins
the race, and how many of the pairs of a full round robin that takes.
"""

CHOICES = f"""
## What selects must not decide

Nights whose entries all equal the champion, gate {GATE.elo0:g} to {GATE.elo1:g} normalized Elo with
alpha = 5 %, 50 % draws, tastes of 100 Elo. On fresh openings the gate errs as its test does,
however the candidate was chosen. Pairs that it was chosen for must not count.
"""

LADDER = f"""
## How far the ladder falls

Seasons of {NIGHTS} nights, three entries a night, races and gates as above (GSPRT), tastes of 50
Elo. A promotion of a net that is worse is a fall. The bound on the mean is alpha times the nights
times the fall: a net that is worse than the champion passes in at most 5 % of nights, and the worse
it is the more seldom. Elo here are logistic.
"""


def write(folder: Path, cells: Cells) -> None:
    """Write README.md into ``folder``, with tables of the cells that there are."""
    text = [INTRODUCTION]
    rows = list(cells.get("races", {}).values())
    if equal := [row for row in rows if row["ahead"] == 0.0]:
        text.append(RACES + "\n" + _races_table(equal))
    if ahead := [row for row in rows if row["ahead"] > 0.0]:
        text.append(AHEAD + "\n" + _ahead_table(ahead))
    if rows := list(cells.get("nights", {}).values()):
        text.append(CHOICES + "\n" + _nights_table(rows))
    if rows := list(cells.get("seasons", {}).values()):
        text.append(LADDER + "\n" + _seasons_table(rows))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("".join(text), encoding="utf-8")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _share(seen: int, of: int) -> str:
    low, high = proportion_interval(seen, of)
    return f"{seen / of:.2%} ({low:.2%} to {high:.2%})"


def _races_table(rows: list[Row]) -> str:
    conditions = list(dict.fromkeys((row["draw_rate"], row["taste"]) for row in rows))
    head = [f"{100 * draws:g} % drawn, tastes {taste:g}" for draws, taste in conditions]
    lines: dict[int, list[str]] = {}
    for row in sorted(rows, key=lambda row: conditions.index((row["draw_rate"], row["taste"]))):
        cells = lines.setdefault(row["entries"], [str(row["entries"])])
        cells.append(f"{row['best_dropped'] / row['runs']:.2%}")
    worst = max(rows, key=lambda row: row["best_dropped"] / row["runs"])
    most = _share(worst["best_dropped"], worst["runs"])
    note = f"\n{worst['runs']:,} races a cell; the most is {most}.\n"
    return _table(["entries", *head], (lines[entries] for entries in sorted(lines))) + note


def _ahead_table(rows: list[Row]) -> str:
    return _table(
        ["ahead by", "entries", "wins", "dropped", "pairs", "of a full round robin"],
        (
            [
                f"{row['ahead']:g} Elo",
                str(row["entries"]),
                f"{row['best_won'] / row['runs']:.1%}",
                f"{row['best_dropped'] / row['runs']:.2%}",
                f"{row['pairs']:,.0f}",
                f"{row['pairs'] / row['most_pairs']:.0%}",
            ]
            for row in rows
        ),
    )


def _nights_table(rows: list[Row]) -> str:
    return _table(
        ["candidate, and the gate's openings", "test", "entries", "promoted", "pairs of the gate"],
        (
            [
                row["kind"],
                row["rule"],
                str(row["entries"]),
                _share(row["promoted"], row["runs"]),
                f"{row['gate_pairs']:,.0f}",
            ]
            for row in rows
        ),
    )


def _seasons_table(rows: list[Row]) -> str:
    def bound(row: Row) -> str:
        return f"{GATE.alpha * NIGHTS * row['below']:.2f}" if row["below"] is not None else "-"

    runs = " and ".join(f"{number:,}" for number in sorted({row["runs"] for row in rows}))
    most = max(row["fallen"] for row in rows)
    note = f"{runs} seasons each; where champions fell the most, by {most:.1f} Elo on average.\n"
    return (
        note
        + "\n"
        + _table(
            [
                "season",
                "promotions",
                "of worse nets, of all nights",
                "mean fall",
                "bound",
                "99 % fall by at most",
                "deepest below the best",
                "champion at the end",
            ],
            (
                [
                    row["kind"],
                    f"{row['promotions']:.2f}",
                    _share(row["worse"], row["runs"] * NIGHTS),
                    f"{row['fallen']:.2f}",
                    bound(row),
                    f"{row['fallen_99']:.1f}",
                    f"{row['deepest']:.1f}",
                    f"{row['end']:+.1f}",
                ]
                for row in rows
            ),
        )
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the cells that are asked for, and write the report of all there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="simulated runs a cell (each has its own)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="run this part")
    parser.add_argument("--match", action="append", default=[], help="... cells with this in them")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "reports" / "nightly")
    options = parser.parse_args(arguments)
    path = options.out / "results.json"
    cells: Cells = json.loads(path.read_text()) if path.exists() else {}
    started = time.monotonic()
    for section in options.only or SECTIONS:
        for job in SECTIONS[section]():
            if not all(word in job.name for word in options.match):
                continue
            runs = options.runs or job.runs
            row = {"runs": runs, "seed": options.seed} | job.run(runs, options.seed)
            cells.setdefault(section, {})[job.name] = row
            options.out.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_ordered(cells), indent=1) + "\n")
            print(f"[{time.monotonic() - started:.0f} s] {section}: {job.name}", flush=True)
    write(options.out, _ordered(cells))
    print(f"report: {options.out / 'README.md'}")
    return 0


def _ordered(cells: Cells) -> Cells:
    return {
        section: {job.name: rows[job.name] for job in jobs() if job.name in rows}
        for section, jobs in SECTIONS.items()
        if (rows := cells.get(section))
    }


if __name__ == "__main__":
    sys.exit(main())
