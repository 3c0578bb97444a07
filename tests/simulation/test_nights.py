"""Races, nights and seasons by the thousand: as the statistics have them, within their errors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from arena.simulation.draws import run_keys
from arena.simulation.nights import Choice, Night, play_nights, play_seasons
from arena.simulation.racing import (
    Field,
    field_of,
    new_work,
    result,
    rules_of,
    run_race,
    run_races,
)
from arena.simulation.sequential import Rule, decision
from arena.stats.outcomes import PAIR_SCORES, BayesElo
from arena.stats.proportion import proportion_interval
from arena.stats.racing import Race
from arena.stats.sprt import Sprt


def shares_of(field: Field, key: np.uint64, opening: int, entries: int) -> list[list[float]]:
    table = [[math.nan] * entries for _ in range(entries)]
    for one in range(entries):
        for other in range(one + 1, entries):
            share = result(field, key, opening, one, other) / 4.0
            table[one][other], table[other][one] = share, 1.0 - share
    return table


@pytest.mark.parametrize("entries", [2, 3, 5])
@pytest.mark.parametrize("taste", [0.0, 100.0])
def test_a_compiled_race_is_the_race(entries: int, taste: float) -> None:
    """Opening by opening, who is dropped when, who wins, and by how many pairs."""
    field = field_of([60.0, 40.0, 0.0, -50.0, -300.0][:entries], 0.4, taste)
    rules = rules_of(entries, 0.1, 20, 90)
    for key in run_keys(5, entries, runs=12):
        race, pairs = Race.start(entries, 0.1), 0
        dropped = dict.fromkeys(range(entries), 0)
        for opening in range(90):
            left = len(race.survivors)
            pairs += left * (left - 1) // 2
            race = race.then(shares_of(field, key, opening, entries))
            if opening % 20 == 19 or opening == 89:
                after = race.cut()
                dropped |= dict.fromkeys(set(race.survivors) - set(after.survivors), opening + 1)
                race = after
                if len(race.survivors) == 1:
                    break
        work = new_work(rules)
        assert run_race(field, rules, key, work) == (race.leader, pairs)
        assert work.dropped.tolist() == list(dropped.values())


@pytest.mark.parametrize("taste", [0.0, 80.0])
@pytest.mark.parametrize("elo", [0.0, 30.0])
def test_pairs_follow_the_model(elo: float, taste: float) -> None:
    """Without tastes the law is BayesElo's; with them an equal still expects half of the points."""
    field = field_of([elo, 0.0], 0.5, taste)
    keys = run_keys(6, int(elo), int(taste), runs=200)
    seen = np.bincount(
        [result(field, key, opening, 0, 1) for key in keys for opening in range(100)], minlength=5
    )
    runs = seen.sum()
    if taste == 0.0:
        law = np.array(BayesElo(0.5).law(elo))
        # Elo are those of small differences: 30 of them are 0.1 off in the score's fourth digit.
        assert seen / runs == pytest.approx(law, abs=5 * math.sqrt(0.25 / runs) + 1e-4)
    elif elo == 0.0:
        mean = np.dot(seen, PAIR_SCORES) / runs
        assert mean == pytest.approx(0.5, abs=5 * math.sqrt(0.06 / runs))


def test_a_taste_ties_the_results_on_an_opening_together() -> None:
    for taste, low, high in ((0.0, -0.05, 0.05), (200.0, 0.15, 0.6)):
        field = field_of([0.0, 0.0, 0.0], 0.3, taste)
        (key,) = run_keys(7, runs=1)
        against = [
            [result(field, key, opening, 0, other) for opening in range(6000)] for other in (1, 2)
        ]
        assert low < np.array(np.corrcoef(against))[0, 1] < high


@pytest.mark.parametrize("entries", [2, 3, 4, 6])
@pytest.mark.parametrize(("draw_rate", "taste"), [(0.2, 0.0), (0.5, 150.0), (0.85, 0.0)])
def test_the_best_of_equals_is_dropped_within_the_error(
    entries: int, draw_rate: float, taste: float
) -> None:
    """Where all are equal each of them is a best one: the case where it errs most often."""
    races = run_races(
        field_of([0.0] * entries, draw_rate, taste),
        rules_of(entries, 0.2, 50, 400),
        run_keys(8, entries, int(100 * draw_rate), runs=1500),
    )
    for entry in range(entries):
        low, _ = proportion_interval(int((races.dropped[:, entry] > 0).sum()), 1500, 0.9999)
        assert low <= 0.2
    assert (races.dropped > 0).any()


def test_a_clear_best_wins_and_the_others_are_dropped() -> None:
    field = field_of([0.0, 100.0, -100.0, 0.0], 0.5)
    races = run_races(field, rules_of(4, 0.1, 50, 300), run_keys(9, runs=300))
    assert np.mean(races.winners == 1) > 0.98
    assert np.mean(races.dropped[:, 2] == 50) > 0.98


GATE = decision(Sprt(0.0, 40.0), Rule.CERTIFIED)


@pytest.mark.parametrize("choice", [*Choice])
def test_a_fresh_gate_errs_no_more_than_its_test(choice: Choice) -> None:
    """All entries equal the champion, and the gate asks for more."""
    night = Night(int(choice), True, rules_of(4, 0.1, 50, 100), GATE)
    nights = play_nights(night, field_of([0.0] * 5, 0.5, 60.0), run_keys(10, choice, runs=2000))
    low, _ = proportion_interval(int(nights.promoted.sum()), 2000, 0.9999)
    assert low <= 0.05
    assert nights.promoted.any()


def test_pairs_that_chose_the_candidate_must_not_decide() -> None:
    """What the project avoids does happen: the same simulation sees the error grow."""
    night = Night(int(Choice.SCORE), False, rules_of(4, 0.1, 50, 100), GATE)
    nights = play_nights(night, field_of([0.0] * 5, 0.5, 60.0), run_keys(11, runs=2000))
    low, _ = proportion_interval(int(nights.promoted.sum()), 2000, 0.9999)
    assert low > 0.08


def test_a_season_climbs_and_notes_its_falls() -> None:
    night = Night(int(Choice.RACE), True, rules_of(2, 0.1, 50, 50), GATE)
    field = field_of([0.0, 0.0, 0.0], 0.5)
    logit = field_of([1.0], 0.5).strengths[0]
    entries = logit * np.array([[-200.0, -150.0], [300.0, -300.0], [100.0, 0.0], [600.0, 0.0]])
    seasons = play_seasons(night, field, entries, run_keys(12, runs=50))
    assert seasons.champions / logit == pytest.approx(
        np.tile([0.0, 0.0, 300.0, 300.0, 600.0], (50, 1))
    )
    assert seasons.promotions.tolist() == [2] * 50
    assert not seasons.worse.any()
    assert not seasons.fallen.any()
    assert not seasons.deepest.any()


def test_falls_are_counted_from_the_highest() -> None:
    night = Night(int(Choice.RACE), True, rules_of(2, 0.1, 20, 20), GATE)
    field = field_of([0.0, 0.0, 0.0], 0.5)
    entries = np.full((30, 2), -field_of([1.0], 0.5).strengths[0])
    seasons = play_seasons(night, field, entries, run_keys(13, runs=100), relative=True)
    assert seasons.worse.tolist() == seasons.promotions.tolist()
    assert seasons.worse.sum() > 0
    assert seasons.fallen == pytest.approx(-entries[0, 0] * seasons.worse)
    assert seasons.deepest == pytest.approx(seasons.fallen)
    assert seasons.champions[:, -1] == pytest.approx(-seasons.fallen)


def test_the_experiment_is_written_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent / "scripts"))
    import experiment_nights as script

    names = [job.name for jobs in script.SECTIONS.values() for job in jobs()]
    assert len(set(names)) == len(names)
    for section, word in (
        ("races", "2 entries, the first 0 ahead, 0.85 drawn"),
        ("races", "3 entries, the first 50"),
        ("nights", "its pairs counted, 2"),
        ("seasons", "20 Elo"),
    ):
        words = ["--only", section, "--match", word, "--runs", "2", "--out", str(tmp_path)]
        assert script.main(words) == 0
    cells = json.loads((tmp_path / "results.json").read_text())
    assert {section: len(rows) for section, rows in cells.items()} == {
        "races": 3,
        "nights": 1,
        "seasons": 1,
    }
    assert list(cells) == list(script.SECTIONS)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.count("\n## ") == 3
    assert "2 races a cell" in text
    assert "| every entry 20 Elo below the champion |" in text
