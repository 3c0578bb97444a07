"""Measure what the project says of its statistics, and write the report: reports/statistics.

Every figure of the report comes from ``results.json``, which gathers the cells as they are run;
``--only`` runs a part anew and leaves the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from statistics_report import write

from arena.simulation.experiments import SECTIONS, Job

REPOSITORY = Path(__file__).parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Run the cells that are asked for, and write the report of all there are."""
    options = parse(arguments)
    results = Results(options.out / "results.json")
    jobs = [
        job
        for section in options.only or SECTIONS
        for job in SECTIONS[section]()
        if all(word in job.name for word in options.match)
        and not (options.keep and results.has(job, options.runs, options.seed))
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(options.workers) as pool:
        running = {
            pool.submit(job.run, options.runs or job.runs, options.seed): job for job in jobs
        }
        for done, future in enumerate(as_completed(running), 1):
            job = running[future]
            results.put(job, options.runs, options.seed, future.result())
            seconds = time.monotonic() - started
            print(f"[{done}/{len(jobs)}, {seconds:.0f} s] {job.section}: {job.name}", flush=True)
    for target in write(options.out, results.cells):
        print(target.line)
    print(f"report: {options.out / 'README.md'}")
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="simulated matches a cell (each has its own)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(SECTIONS), help="run this part")
    parser.add_argument("--match", action="append", default=[], help="... cells with this in them")
    parser.add_argument("--keep", action="store_true", help="... and not those that are there")
    parser.add_argument("--workers", type=int, default=2, help="threads (2)")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "reports" / "statistics")
    return parser.parse_args(arguments)


class Results:
    """The cells that have been run, in a file that is whole at every moment.

    A file from earlier runs is read; its cells stay in the order of the sections.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = json.loads(path.read_text()) if path.exists() else {}

    def has(self, job: Job, runs: int | None, seed: int) -> bool:
        """Whether a cell has been run with this seed and as often."""
        row = self.cells.get(job.section, {}).get(job.name, {})
        return row.get("runs") == (runs or job.runs) and row.get("seed") == seed

    def put(self, job: Job, runs: int | None, seed: int, row: dict[str, object]) -> None:
        """Keep a cell's figures in place of earlier ones."""
        row = {"runs": runs or job.runs, "seed": seed} | row
        self.cells.setdefault(job.section, {})[job.name] = row
        ordered = {
            section: {other.name: rows[other.name] for other in jobs() if other.name in rows}
            for section, jobs in SECTIONS.items()
            if (rows := self.cells.get(section))
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(ordered, indent=1) + "\n")
        fresh.replace(self.path)


if __name__ == "__main__":
    sys.exit(main())
