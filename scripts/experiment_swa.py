"""Is the average better than the last net? Train, average, refresh, measure: reports/swa.

Small nets are trained on games of people, with five seeds at a constant learning rate and five at
one that falls to zero. Of each run's last snapshots averages are made over windows of several
lengths, with batch norm as it was averaged and with batch norm refreshed, and all are measured on
the same games, which no net has seen. Then the first run's last net plays two of its averages.

Stages leave alone what is done already, so that an experiment which was interrupted goes on. Needs
the games of the shared folder, ``ARENA_SHARED`` or ``../shared``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiment_swa_report import write

REPOSITORY = Path(__file__).parent.parent
REPORT = REPOSITORY / "reports" / "swa"
STAGES = ("data", "train", "match", "write")

SHARDS, GAMES = 2, 24_000
SEEDS = (1, 2, 3, 4, 5)
SCHEDULES = {"constant": "", "cosine": 'schedule = "cosine"\n'}
"""Lines for [learning-rate]: cosine falls to 0 at the last step."""

AVERAGES = ("swa", "last5")
"""Who meets the last net: the average of the second half, and that with the least loss."""
VISITS, SPRT, MOST_PAIRS = 100, ("0", "20"), 4000


@dataclass(frozen=True, slots=True)
class Run:
    """One training run."""

    schedule: str
    seed: int

    @property
    def name(self) -> str:
        """What its nets are called."""
        return f"{self.schedule}-{self.seed}"


RUNS = tuple(Run(schedule, seed) for seed in SEEDS for schedule in SCHEDULES)


def main(arguments: list[str] | None = None) -> int:
    """Go through the stages that are asked for."""
    options = parse(arguments)
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    for stage in options.stages or STAGES:
        print(f"stage: {stage}", flush=True)
        if stage == "data":
            make_data(options.shared / "pgn", work)
        elif stage == "train":
            with ThreadPoolExecutor(options.workers) as pool:
                done = pool.map(lambda run: train(run, work), RUNS)
                for run, validated in zip(RUNS, done, strict=True):
                    keep("runs", run.name, validated)
                    print(run.name, flush=True)
        elif stage == "match":
            for average in AVERAGES:
                keep("match", average, play(work, average))
        else:
            write(REPORT)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "experiment", help="folder")
    parser.add_argument("--shared", type=Path, default=shared_folder(), help="folder with pgn/")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side (2)")
    options = parser.parse_args(arguments)
    if other := [stage for stage in options.stages if stage not in STAGES]:
        parser.error(f"there is no stage {other[0]!r}")
    return options


def shared_folder() -> Path:
    """Where games and nets of other people are."""
    return Path(os.environ.get("ARENA_SHARED") or REPOSITORY.parent / "shared")


def make_data(games: Path, work: Path) -> None:
    """Records of the first games of the first shards."""
    if not (work / "games" / "import.json").exists():
        shards = sorted(map(str, games.glob("*.pgn.gz")))[:SHARDS]
        out, most = str(work / "games"), str(GAMES)
        call("arena", "import-pgn", *shards, "--out", out, "--max-games", most)


def train(run: Run, work: Path) -> dict[str, Any]:
    """Train to the end, from the beginning or from where it stopped; the last line of its log."""
    folder = work / run.name
    settings = (REPORT / "run.toml").read_text()
    settings = settings.replace("[data]\n", f'[data]\ninput = ["{work / "games"}"]\n')
    rate = "[learning-rate]\n"
    settings = settings.replace(rate, rate + SCHEDULES[run.schedule])
    head = f'name = "{run.name}"\noutput = "{folder}"\nseed = {run.seed}\n'
    config = work / f"{run.name}.toml"
    config.write_text(head + settings)
    done = work / f"{run.name}.json"
    if not done.exists():
        done.write_text(call("swa", "train", str(config), "--json"))
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {
        "curve": [line for line in lines if any(key.startswith("validation") for key in line)],
    }


def play(work: Path, average: str) -> dict[str, Any]:
    """The match of a raw net against one of its averages; its summary."""
    run = RUNS[0]
    nets = [work / run.name / f"{run.name}{part}-1200.pb.gz" for part in ("", f"-{average}")]
    out = work / f"match-{average}"
    words = ["--nets", *map(str, nets), "--visits", str(VISITS), "--sprt", *SPRT]
    call("arena", "run", *words, "--pairs", str(MOST_PAIRS), "--seed", "1", "--out", str(out))
    return summary_of(out)


def summary_of(folder: Path) -> dict[str, Any]:
    """A match's summary, without the command, which names paths of this machine."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    del summary["command"]
    return summary


def keep(section: str, name: str, value: object) -> None:
    """Put a result into results.json, whole at every moment."""
    path = REPORT / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results.setdefault(section, {})[name] = value
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1) + "\n")
    new.replace(path)


def call(program: str, *words: str) -> str:
    """Run one of the project's commands; its standard output."""
    code = f"import sys; from {program}.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{program} {words[0]} ended with exit code {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
