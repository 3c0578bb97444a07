"""The simulated season is what the tests of the nightly job take it for."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_games import game_with
from season import STEPS, SeasonGames, SeasonPlay, TrainingRun, write_book

from arena.config import MatchConfig
from arena.game import Opening, PairRecord
from arena.ledger import GAMES_FILE
from arena.match import Ending
from arena.referee import check_pair
from arena.report.run import read_run
from arena.stats.outcomes import PAIR_SCORES, BayesElo
from arena.stats.pentanomial import PairCounts
from swa.build import RefusedError, build
from swa.build_config import BuildConfig
from swa.latest import latest_net
from swa.net import batch_norm_health, load_net
from swa.spec import NetError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("season") / "training"
    run = TrainingRun(folder, regressions={4: 70.0}, bonus=12.0)
    run.begin()
    for number in range(1, 7):
        run.write(number)
    return run


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_book(tmp_path_factory.mktemp("book"), 1000)


def match_between(run: TrainingRun, book: Path, *numbers: int, **settings: object) -> MatchConfig:
    nets = tuple(map(run.path, numbers))
    of_test = {"pairs": 40, "sprt": None}
    return MatchConfig(**{"nets": nets, "openings": book, **of_test, **settings})


def average(run: TrainingRun, output: Path, *numbers: int) -> BuildConfig:
    nets = tuple(map(run.path, numbers))
    return BuildConfig(
        nets=nets, data=(run.data,), eval_data=(run.held_out,), output=output, threads=1
    )


def test_a_snapshot_is_as_strong_as_was_planned(run: TrainingRun) -> None:
    for number in range(1, 7):
        net = load_net(run.path(number))
        assert run.strength(net) == pytest.approx(run.elo(number), abs=1e-3)
        assert net.training_steps == STEPS * number
    assert replace(run, regressions={}).elo(4) - run.elo(4) == 70.0


def test_a_snapshot_written_again_has_the_same_bytes(run: TrainingRun) -> None:
    before = run.path(3).read_bytes()
    assert replace(run).write(3).read_bytes() == before


@pytest.mark.parametrize("numbers", [(1, 2), (2, 3, 4), (2, 3, 4, 5, 6)])
def test_an_average_has_the_mean_of_its_ingredients_and_a_bonus(
    run: TrainingRun, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    built = build(average(run, tmp_path / "mean.pb.gz", *numbers))
    net = load_net(built.saved.path)
    mean = sum(map(run.elo, numbers)) / len(numbers)
    unmixed = (len(numbers) % 2) / len(numbers)  # of odd and even snapshots
    assert run.strength(net) == pytest.approx(mean + 12.0 * (1 - unmixed**2), abs=1e-2)


def test_damage_is_found(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path / "training", damage={2: "loud", 3: "dead", 4: "torn"})
    run.begin()
    for number in range(1, 5):
        run.write(number)
    with pytest.raises(NetError):
        load_net(run.path(4))
    assert latest_net(run.snapshots) == run.path(3)
    health = batch_norm_health(load_net(run.path(3)))
    assert [layer.dead for layer in health if layer.name == "blocks.0.bn1"] == [4]
    with pytest.raises(RefusedError, match="explosion"):
        build(average(run, tmp_path / "mean.pb.gz", 2))


def test_all_positions_of_the_book_can_be_played_and_none_is_there_twice(tmp_path: Path) -> None:
    epds = write_book(tmp_path, 20_000).read_text().splitlines()
    assert len(epds) == len(set(epds)) == 11_232
    for epd in epds[::150]:
        opening = Opening(f"{epd} 0 1")
        for result in ("1-0", "0-1", "1/2-1/2"):
            games = game_with(result, opening, candidate_white=True)
            other = game_with("1/2-1/2", opening, candidate_white=False)
            check_pair(PairRecord(0, opening, (games, other)))


@pytest.mark.parametrize("elo", [-80.0, 0.0, 15.0])
def test_results_follow_the_law(elo: float) -> None:
    law = BayesElo(0.4, 60.0).law(elo)
    games = SeasonGames(law=law, drawn=0.4, key=(elo,))
    count = 20_000
    found = Counter(sum(games._points(str(number))) for number in range(count))
    for share, score in zip(law, PAIR_SCORES, strict=True):
        spread = (share * (1 - share) / count) ** 0.5
        assert abs(found[2 * score] / count - share) < 4.5 * spread


def test_a_match_depends_on_openings_nets_and_visits_alone(
    run: TrainingRun, book: Path, tmp_path: Path
) -> None:
    play = SeasonPlay(run)
    one = match_between(run, book, 1, 2)
    assert play(one, tmp_path / "one", False) is Ending.LIMIT
    # In another order, in two parts, and each opening under another number.
    other = replace(play, parallel=1)
    assert other(replace(one, pairs=7), tmp_path / "two", False) is Ending.LIMIT
    assert other(one, tmp_path / "two", False) is Ending.LIMIT
    pairs = {folder: read_run(tmp_path / folder).pairs for folder in ("one", "two")}
    assert pairs["one"] == pairs["two"]
    assert read_run(tmp_path / "one").written != sorted(read_run(tmp_path / "one").written)
    play(replace(one, start=11, pairs=30), tmp_path / "later", False)
    later = read_run(tmp_path / "later").pairs
    assert [pair.points for pair in later] == [pair.points for pair in pairs["one"][10:]]

    def points(folder: str, match: MatchConfig) -> list[tuple[float, float]]:
        play(match, tmp_path / folder, False)
        return [pair.points for pair in read_run(tmp_path / folder).pairs]

    search = replace(one.search, visits=one.search.visits + 1)
    first = [pair.points for pair in pairs["one"]]
    assert points("deeper", replace(one, search=search)) != first
    assert points("others", match_between(run, book, 1, 3)) != first


def test_a_test_decides_by_the_strengths(run: TrainingRun, book: Path, tmp_path: Path) -> None:
    play = SeasonPlay(run)
    assert run.elo(4) < run.elo(3) - 50.0
    match = match_between(run, book, 3, 4, sprt=(-40.0, 0.0), pairs=1000)
    assert play(match, tmp_path / "keep", True) is Ending.DECIDED
    found = read_run(tmp_path / "keep")
    assert found.judgement.verdict == "keep"
    assert found.judgement.counts != PairCounts()
    assert (tmp_path / "keep" / "report.html").exists()
    assert found.sessions[-1].nets[1].training_steps == 4 * STEPS


def test_a_match_that_is_interrupted_goes_on_to_the_same_pairs(
    run: TrainingRun, book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    match = match_between(run, book, 1, 2)
    threads = threading.active_count()
    whole = SeasonPlay(run)
    whole(match, tmp_path / "whole", False)
    left = iter([True] * 30)

    def record(self: SeasonGames, task: object) -> object:
        if not next(left, False):
            raise KeyboardInterrupt
        return real(self, task)  # type: ignore[arg-type]

    real = SeasonGames.record
    with monkeypatch.context() as patched:
        patched.setattr(SeasonGames, "record", record)
        assert whole(match, tmp_path / "cut", False) is Ending.INTERRUPTED
    assert 0 < len(read_run(tmp_path / "cut").pairs) < 40
    assert whole(match, tmp_path / "cut", False) is Ending.LIMIT
    assert read_run(tmp_path / "cut").pairs == read_run(tmp_path / "whole").pairs
    assert threading.active_count() == threads
    lines = (tmp_path / "cut" / GAMES_FILE).read_bytes().splitlines()
    assert len({hashlib.sha256(line).digest() for line in lines}) == 40
