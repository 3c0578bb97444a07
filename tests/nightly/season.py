"""A simulated season: a training run whose nets have known strengths, and matches that show them.

All files are real: snapshots are tiny nets with batch norms of real records, ``swa build`` averages
them, run folders are written by ``run_match``, and the referee replays every game. Only who wins is
drawn, by the difference in strength, and depends on nothing but the season, the opening, the two
nets and the visits: not on when, in which order or how often it is played.

A net's strength is written into its weights where it has no effect: in the mean of the last biases
of WDL, which softmax does not see. An average has the mean of its ingredients for that by itself,
with the rule's own weights. A second mark, in the moves left that nobody asks for, is +1 and -1 in
turns, so that what is not quite one of them is an average, and gets a bonus.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import chess
import numpy as np
from build_inputs import write_games
from numpy.typing import NDArray
from scripted_games import ScriptedGames, back_rank_positions, chance, game_with
from tiny_net import TINY, calm_weights

from arena.config import MatchConfig
from arena.entrants import FoundNet, identities
from arena.game import GameRecord, GameTask, Result
from arena.ledger import Ledger
from arena.match import Ending, MatchOutcome, MatchState, deck_of, match_identity, run_match
from arena.nightly.reading import read_nightly
from arena.nightly.settings import NightlySettings
from arena.openings import read_book
from arena.players import NetPlayer
from arena.registry.store import Registry
from arena.report.folder import write_reports
from arena.sessions import NetFile, Pace, Session, now, session_ended, session_started
from arena.stats.outcomes import BayesElo, PairLaw
from swa.chunks import read_records
from swa.net import Net, load_net, new_net, save_net
from swa.records import planes_of
from swa.refresh import refresh

STEPS = 1000
"""Between two snapshots."""

STRENGTH, MARK = "value.dense2.bias", "moves_left.dense2.bias"
"""Weights that hold a net's strength, in thousands of Elo, and whether it is an average."""

LAST_LAYERS = ("policy.conv2.weight", "value.dense2.weight")
"""Weights in which snapshots differ otherwise. Losses are convex in them, so that an average is
never worse than the worst of its ingredients, and no build is refused by chance."""

Damage = str
"""What a snapshot may suffer: "torn" (half a file), "loud" (logits explode), "dead" norms."""


# --- the training run ---


@dataclass(frozen=True)
class TrainingRun:
    """Snapshots from number 1 on; strengths are Elo relative to where the run began."""

    folder: Path
    seed: int = 0
    drift: float = 3.0  # Elo a snapshot
    noise: float = 8.0  # Elo, deviation of a snapshot
    regressions: Mapping[int, float] = field(default_factory=dict)  # number: Elo it is too weak
    bonus: float = 10.0  # Elo of an average of many, above the mean of its ingredients
    damage: Mapping[int, Damage] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Records that batch norm is refreshed on."""
        return self.folder / "games"

    @property
    def held_out(self) -> Path:
        """Records that losses are measured on."""
        return self.folder / "held-out"

    @property
    def snapshots(self) -> Path:
        """The folder that the trainer writes to."""
        return self.folder / "run"

    def begin(self) -> None:
        """Make the folders and the records."""
        for folder in (self.data, self.held_out, self.snapshots):
            folder.mkdir(parents=True)
        write_games(self.data)
        write_games(self.held_out, games=4, seed=1)

    def elo(self, number: int) -> float:
        """The strength of a snapshot."""
        luck = float(np.random.default_rng((self.seed, number)).normal())
        return self.drift * number + self.noise * luck - self.regressions.get(number, 0.0)

    def path(self, number: int) -> Path:
        return self.snapshots / f"run-{STEPS * number}.pb.gz"

    def write(self, number: int) -> Path:
        """Write a snapshot, as a trainer would; the same bytes whenever it is written."""
        random = np.random.default_rng((self.seed, number, 1))
        weights = dict(self._common)
        for name in LAST_LAYERS:
            values = weights[name]
            astray = 0.1 * np.abs(values).mean() * random.normal(size=values.shape)
            weights[name] = (values + astray).astype(np.float32)
        weights[STRENGTH] = (
            weights[STRENGTH] - weights[STRENGTH].mean() + np.float32(self.elo(number) / 1000.0)
        )
        weights[MARK] = np.array([1.0 if number % 2 else -1.0], np.float32)
        damage = self.damage.get(number)
        if damage == "loud":
            weights["policy.conv2.weight"] *= np.float32(1000.0)
        if damage == "dead":
            weights["blocks.0.bn1.variance"] = np.full(TINY.filters, 1e-12, np.float32)
        net = replace(new_net(TINY, weights), training_steps=STEPS * number)
        path = self.path(number)
        save_net(net, path, encoding="float32", licence="a licence", overwrite=True)
        if damage == "torn":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    def strength(self, net: Net) -> float:
        """The strength of a snapshot or of an average of some, from its file alone."""
        mean, mark = float(net.weights[STRENGTH].mean()), float(net.weights[MARK][0])
        return 1000.0 * mean + self.bonus * (1.0 - mark**2)

    @cached_property
    def _common(self) -> Mapping[str, NDArray[np.float32]]:
        """What all snapshots have in common; batch norm has the statistics of the records."""
        records = np.concatenate([chunk.records for chunk in read_records(self.data)])
        weights = calm_weights(TINY, self.seed)
        return refresh(TINY, weights, planes_of(records), threads=1).weights


def write_book(folder: Path, entries: int) -> Path:
    """Write a book of positions from which a scripted game can end in any way; 11,232 at most."""
    path = folder / "book.epd"
    path.write_text("\n".join(itertools.islice(_positions(), entries)) + "\n")
    return path


def _positions() -> Iterator[str]:
    """The back-rank positions with any pawns on the e-file."""
    for white, black in itertools.product((None, 2, 3, 4), (None, 7, 6, 5)):
        for epd in back_rank_positions():
            board = chess.Board(f"{epd} 0 1")
            for colour, rank in ((chess.WHITE, white), (chess.BLACK, black)):
                if rank:
                    board.set_piece_at(chess.square(4, rank - 1), chess.Piece(chess.PAWN, colour))
            yield board.epd()


# --- the matches ---


@dataclass
class SeasonGames(ScriptedGames):
    """Games whose pairs follow a law; they end in another order than they begin."""

    lanes: int = 1
    law: PairLaw = (0.0, 0.0, 1.0, 0.0, 0.0)
    drawn: float = 0.5  # share of the level pairs that are two draws
    key: tuple[object, ...] = ()

    def record(self, task: GameTask) -> GameRecord:
        first, second = self._points(task.opening.fen)
        points = first if task.candidate_white else second
        white = points if task.candidate_white else 1.0 - points
        results: dict[float, Result] = {1.0: "1-0", 0.5: "1/2-1/2", 0.0: "0-1"}
        return game_with(results[white], task.opening, candidate_white=task.candidate_white)

    def _points(self, opening: str) -> tuple[float, float]:
        """The candidate's points in both games of an opening, with white first."""
        luck, split = chance("pair", *self.key, opening), chance("split", *self.key, opening)
        half_points = next(
            (at for at, share in enumerate(itertools.accumulate(self.law)) if luck < share), 4
        )
        if half_points == 2:
            return (0.5, 0.5) if split < self.drawn else (1.0, 0.0)
        total = half_points / 2.0
        better, worse = min(1.0, total), max(0.0, total - 1.0)
        return (better, worse) if split < 0.5 else (worse, better)


@dataclass
class _Quiet:
    """Shows nothing of a match."""

    def started(self, state: MatchState) -> None:
        pass

    def pair_counted(self, state: MatchState) -> None:
        pass

    def finished(self, outcome: MatchOutcome) -> None:
        pass


@dataclass(frozen=True)
class SeasonPlay:
    """Plays what a night asks for: ``arena.nightly.playing.PlayMatch``."""

    run: TrainingRun
    draw_rate: float = 0.4
    opening_bias: float = 60.0  # Elo, of the side that an opening favours
    parallel: int = 8
    seconds_a_game: float = 0.0
    hold: Path | None = None  # no match begins before there is this file

    def elo(self, baseline: Net, candidate: Net) -> float:
        """How much stronger the candidate is."""
        return self.run.strength(candidate) - self.run.strength(baseline)

    def __call__(self, match: MatchConfig, folder: Path, report: bool, /) -> Ending:
        """Play a match of two nets, or go on with it, and report if asked to."""
        end = time.monotonic() + 300.0
        while self.hold is not None and not self.hold.exists():
            assert time.monotonic() < end, "nobody says go"
            time.sleep(0.005)
        seats = [FoundNet(player, load_net(player.path)) for player in _nets(match)]
        assert match.openings is not None
        book = read_book(match.openings)
        identity = match_identity(match, identities(*seats), book)
        deck = deck_of(identity, book)
        deck.require(identity.pairs)
        baseline, candidate = (seat.net for seat in seats)
        games = SeasonGames(
            parallel=self.parallel,
            seconds_a_game=self.seconds_a_game,
            law=BayesElo(self.draw_rate, self.opening_bias).law(self.elo(baseline, candidate)),
            drawn=self.draw_rate,
            key=(self.run.seed, baseline.sha256, candidate.sha256, match.search.visits),
        )
        with Ledger.open_or_create(folder, identity) as ledger:
            before = len(ledger.results)
            nets = tuple(_facts(net) for net in (baseline, candidate))
            session_started(
                folder,
                Session(now(), ("season",), {}, "script", self.parallel, before, "script", nets),
            )
            outcome = run_match(ledger, deck, games, _Quiet())
            session_ended(folder, Pace(pairs=len(ledger.results) - before))
        if report:
            write_reports(folder)
        return outcome.ending


def _nets(match: MatchConfig) -> tuple[NetPlayer, NetPlayer]:
    baseline, candidate = match.lineup
    assert isinstance(baseline, NetPlayer)
    assert isinstance(candidate, NetPlayer)
    return baseline, candidate


def _facts(net: Net) -> NetFile:
    return NetFile(net.sha256, net.path.name, str(net.spec), net.training_steps, path=str(net.path))


# --- the nights ---


DRAWING: Mapping[str, Callable[..., object]] = {
    "swa.picture.png": lambda picture: b"",
    "arena.report.page.svg": lambda picture: "<svg></svg>",
    "arena.report.ratings.tournament.svg": lambda picture: "<svg></svg>",
    "arena.report.index.pages.svg": lambda picture: "<svg></svg>",
}
"""What draws, and what stands in its place: pictures take longer than all the rest of a night."""

SETTINGS = """\
home = "home"
latest = "training/run"
entries = {entries}
first-champion = {first}
seed = 7
on-decision = {hook}
{averages}
[build]
data = ["training/games"]
eval-data = ["training/held-out"]
threads = 1

[match]
openings = "book.epd"

[race]
round = {round}
pairs = {race}

[quick]
sprt = [-60, 0]
pairs = {quick}

[gate]
sprt = [0, {elo1}]
pairs = {gate}

[confirm]
pairs = {confirm}
"""


@dataclass(frozen=True)
class Season:
    """A training run and the nightly job that follows it, in one folder."""

    folder: Path
    run: TrainingRun
    play: SeasonPlay
    settings: NightlySettings
    first: int  # snapshot that is champion before the first night

    @property
    def home(self) -> Path:
        return self.settings.home

    def copied(self, folder: Path) -> Season:
        """Return the same season in a folder of its own."""
        shutil.copytree(self.folder, folder)
        file = folder / "nightly.toml"
        file.write_text(file.read_text().replace(str(self.folder), str(folder)))
        run = replace(self.run, folder=folder / "training")
        vars(run)["_common"] = self.run._common  # takes a second
        return Season(folder, run, replace(self.play, run=run), read_nightly(file), self.first)

    def train(self, night: int) -> None:
        """Write the snapshot that a night is to find, from 1."""
        self.run.write(self.first + night)

    def strengths(self, registry: Registry) -> dict[str, float]:
        """The strength of every net of the registry by its sha256."""
        return {
            net.sha256: self.run.strength(load_net(self.home / net.file)) for net in registry.nets()
        }


def begin_season(
    folder: Path,
    *,
    first: int = 3,
    openings: int = 400,
    averages: Mapping[str, int] = MappingProxyType({"three": 3}),
    round_: int = 10,
    race: int = 20,
    quick: int = 20,
    gate: int = 80,
    elo1: float = 150.0,
    confirm: int = 6,
    hook: str = "",
    seconds_a_game: float = 0.0,
    **of_run: Any,
) -> Season:
    """Make a training run with its first snapshots, a book, and the settings of its nights.

    By default nights are short, and steps of 100 Elo are needed to tell anything. ``averages``: how
    many snapshots go into each, by name; with none the raw nets play, without a race.
    """
    run = TrainingRun(folder / "training", **of_run)
    run.begin()
    for number in range(1, first + 1):
        run.write(number)
    write_book(folder, openings)
    (folder / "nightly.toml").write_text(
        SETTINGS.format(
            entries=json.dumps("better" if averages else "raw"),
            averages="".join(
                f'\n[[averages]]\nname = "{name}"\nlast = {last}\n'
                for name, last in averages.items()
            ),
            first=json.dumps(str(run.path(first))),
            round=round_,
            race=race,
            quick=quick,
            gate=gate,
            elo1=elo1,
            confirm=confirm,
            hook=json.dumps(["sh", "-c", hook] if hook else []),
        )
    )
    settings = read_nightly(folder / "nightly.toml")
    return Season(folder, run, SeasonPlay(run, seconds_a_game=seconds_a_game), settings, first)
