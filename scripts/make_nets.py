"""The nets that ship, from training to strength: nets/, and their figures in reports/swa.

A net of two blocks is trained on games of people at a constant learning rate (half an hour on two
cores), plays against itself for positions to refresh batch norm on, and its last snapshots are
averaged. Then the figures: held-out accuracy beside nets of other people on the same positions, and
matches against a random mover and a player that counts material.

Stages leave alone what is done already. Needs the games and nets of the shared folder,
``ARENA_SHARED`` or ``../shared``, and the records that ``experiment_swa.py data`` has made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from demo import NETS, POSITIONS, SERIES, SNAPSHOTS
from experiment_swa import REPORT, call, keep, shared_folder, summary_of

from arena.config import SearchParams
from arena.evaluator import WinogradEvaluator
from arena.game import GameTask
from arena.openings import default_book
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.stand_ins import HashEvaluator, MaterialEvaluator
from swa.batches import Batch
from swa.dataset import TrainingGames
from swa.evaluation import evaluate
from swa.net import load_net

STAGES = ("train", "games", "ship", "accuracy", "positions", "strength", "match")

GAMES = 100
SELF_PLAY = (
    *("--games", str(GAMES), "--visits", "30", "--noise-epsilon", "0", "--temperature", "0.7"),
    *("--temp-cutoff-move", "30", "--max-plies", "80"),
)
"""The refresh wants positions like those the net was trained on: sane moves, and games that are no
longer than people's. ``positions`` measures what others cost."""
LONG_GAMES = (
    *("--games", str(GAMES), "--visits", "30", "--temp-cutoff-move", "20", "--max-plies", "200"),
)

OTHERS = ("tinygyal-8", "meangirl-8")
PAIRS, VISITS = 50, 50
MATCH_VISITS, SPRT, MOST_PAIRS = 100, ("0", "20"), 4000


def main() -> int:
    """Go through the stages that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", choices=[[], *STAGES], metavar="STAGE")
    parser.add_argument("--work", type=Path, default=REPORT.parent.parent / "experiment")
    parser.add_argument("--shared", type=Path, default=shared_folder())
    options = parser.parse_args()
    work = options.work.absolute()
    for stage in options.stages or STAGES:
        print(f"stage: {stage}", flush=True)
        if stage == "train":
            train(work)
        elif stage == "games":
            play_itself(work)
        elif stage == "ship":
            ship(work)
        elif stage == "accuracy":
            keep(SERIES, "accuracy", accuracy(work, options.shared / "nets"))
        elif stage == "positions":
            keep(SERIES, "refreshed on", positions(work))
        elif stage == "strength":
            keep(SERIES, "strength", strength())
        else:
            keep(SERIES, "match", {"last 5 refreshed": match(work)})
    return 0


def train(work: Path) -> None:
    """Train to the end, or on from where it stopped."""
    settings = (REPORT / f"{SERIES}.toml").read_text()
    settings = settings.replace("[data]\n", f'[data]\ninput = ["{work / "games"}"]\n')
    head = f'name = "{SERIES}"\noutput = "{work / SERIES}"\nseed = 1\n'
    config = work / f"{SERIES}.toml"
    config.write_text(head + settings)
    call("swa", "train", str(config), "--json")
    lines = [json.loads(line) for line in (work / SERIES / "metrics.jsonl").open()]
    times = [line["time"] for line in lines]
    keep(SERIES, "minutes", (times[-1] - times[0]) / 60)
    keep(SERIES, "curve", [line for line in lines if any("validation" in key for key in line)])


def play_itself(work: Path, name: str = "selfplay", how: Sequence[str] = SELF_PLAY) -> Path:
    """Games of the average that the training made, in a folder of ``work``."""
    (net,) = sorted((work / SERIES).glob(f"{SERIES}-last{SNAPSHOTS}-*.pb.gz"))[-1:]
    call("arena", "selfplay", "--net", str(net), *how, "--out", str(work / name))
    return work / name


def ship(work: Path) -> None:
    """Put snapshots, positions and their average into nets/."""
    NETS.mkdir(exist_ok=True)
    for old in NETS.glob(f"{SERIES}-*"):
        old.unlink()
    raw = [path for path in (work / SERIES).glob(f"{SERIES}-*.pb.gz") if path.stem.count("-") == 1]
    newest = sorted(raw, key=lambda path: int(path.name.split("-")[1].split(".")[0]))[-SNAPSHOTS:]
    for path in newest:
        shutil.copyfile(path, NETS / path.name)
    with tarfile.open(POSITIONS, "w") as tar:  # not packed: each game is
        for game in sorted((work / "selfplay").rglob("*.gz")):
            entry = tarfile.TarInfo(game.name)
            entry.size = game.stat().st_size
            with game.open("rb") as file:
                tar.addfile(entry, file)
    average = newest[-1].name.replace(f"{SERIES}-", f"{SERIES}-swa-")
    folder, data = NETS.name, f"{NETS.name}/{POSITIONS.name}"  # the manifest names them so
    snapshots = f"latest:{folder}:{SNAPSHOTS}"
    call("swa", "build", "--nets", snapshots, "--data", data, "-o", f"{folder}/{average}")


def shipped() -> tuple[Path, Path]:
    """The last raw net and the average."""
    average = max(NETS.glob(f"{SERIES}-swa-*.pb.gz"))
    return NETS / average.name.replace("-swa", ""), average


def held_out(work: Path) -> list[Batch]:
    """The positions that the run is measured on."""
    data = tomllib.loads((work / f"{SERIES}.toml").read_text())["data"]
    games = TrainingGames.find([work / "games"], data["held-out"])
    return games.validation(data["validation-positions"])


def accuracy(work: Path, nets: Path) -> dict[str, Any]:
    """How our nets and others' foresee the moves of games that ours were not trained on."""
    others = [next(nets.glob(f"{name}*")) for name in OTHERS]
    measured = evaluate([load_net(path) for path in (*shipped(), *others)], held_out(work))
    kinds = ("policy_accuracy", "policy_cross_entropy")
    found: dict[str, Any] = {
        one.net.name: {kind: one.metrics[kind] for kind in kinds} for one in measured.nets
    }
    return found | {"positions": measured.positions, "games": measured.games}


def positions(work: Path) -> dict[str, float]:
    """Held-out policy loss of the shipped snapshots' average, by what it is refreshed on."""
    long_games = play_itself(work, "selfplay-long", LONG_GAMES)
    averages = {
        "the positions that ship (self-play to ply 80)": shipped()[1],
        "self-play to ply 200, with noise": work / "on-long-games.pb.gz",
        "games that it was trained on": work / "on-training-games.pb.gz",
    }
    snapshots = f"latest:{NETS}:{SNAPSHOTS}"
    for data, net in zip((long_games, work / "games"), list(averages.values())[1:], strict=True):
        words = ("--data", str(data), "--positions", "20000", "--overwrite", "-o", str(net))
        call("swa", "build", "--nets", snapshots, *words)
    measured = evaluate([load_net(path) for path in averages.values()], held_out(work))
    losses = [one.metrics["policy_cross_entropy"].value for one in measured.nets]
    return dict(zip(averages, losses, strict=True))


def strength() -> dict[str, Any]:
    """Points of the average in pairs against a random mover and a counter of material."""
    net = load_net(shipped()[1])
    found: dict[str, Any] = {"pairs": PAIRS, "visits": VISITS}
    one = SearchParams(visits=1)
    for name, opponent in (("random", HashEvaluator(1)), ("material", MaterialEvaluator(1))):
        players = [
            Player(name, opponent, one),
            Player(net.name, WinogradEvaluator(net), SearchParams(visits=VISITS)),
        ]
        games = BatchedSearch(players, 2 * PAIRS, 1).play([encounters()])
        points = sum(game.record.candidate_points for game in games)
        found[name] = {"points": points, "games": 2 * PAIRS}
        print(f"against {name}: {points:g} of {2 * PAIRS}", flush=True)
    return found


def encounters() -> Iterator[GameTask]:
    """Games of player 1, the candidate, against player 0 from the first openings of the book."""
    book = default_book()
    for pair in range(PAIRS):
        opening = book.opening(pair * (len(book) // PAIRS))
        yield GameTask(pair, True, opening, white=1, black=0, seed=pair)
        yield GameTask(pair, False, opening, white=0, black=1, seed=pair)


def match(work: Path) -> dict[str, Any]:
    """The last snapshot against the average, to a verdict."""
    out = work / f"{SERIES}-match"
    words = ["--nets", *map(str, shipped()), "--visits", str(MATCH_VISITS), "--sprt", *SPRT]
    call("arena", "run", *words, "--pairs", str(MOST_PAIRS), "--seed", "1", "--out", str(out))
    return summary_of(out)


if __name__ == "__main__":
    sys.exit(main())
