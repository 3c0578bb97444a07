"""Seasons of nights with nets of known strength: who is promoted, and what is remembered of it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scipy.stats import binom
from season import DRAWING, Season, begin_season

from arena.cli import main
from arena.nightly.night import NightOutcome, run_night
from arena.registry.records import DecisionRecord, NightRecord, Reign
from arena.registry.store import Registry
from arena.stats.outcomes import BayesElo, nelo_of_law
from arena.stats.sprt import Verdict

CHANCE = 1e-3
"""Of a season that breaks its bound though every error rate is what was asked for."""


class Told(NamedTuple):
    """What a season's registry holds, and the truth."""

    season: Season
    outcomes: Sequence[NightOutcome]
    nights: Sequence[NightRecord]
    decisions: Sequence[DecisionRecord]
    reigns: Sequence[Reign]
    strengths: dict[str, float]  # Elo by sha256

    def gain(self, decision: DecisionRecord) -> float:
        """How much stronger the candidate of a decision was than the champion, in Elo."""
        assert decision.candidate is not None
        return self.strengths[decision.candidate] - self.strengths[decision.champion]

    @property
    def ladder(self) -> list[float]:
        """The strength of every champion."""
        return [self.strengths[reign.sha256] for reign in self.reigns]


def play_season(season: Season, nights: int) -> Told:
    outcomes = []
    for night in range(1, nights + 1):
        season.train(night)
        outcomes.append(run_night(season.settings, season.play, lambda line: None))
    with Registry.open(season.home / "registry.sqlite") as registry:
        return Told(
            season,
            outcomes,
            registry.nights(),
            registry.decisions(),
            registry.reigns(),
            season.strengths(registry),
        )


def arena(*words: object) -> str:
    """Run a command, which must succeed, and return what it says."""
    with redirect_stdout(io.StringIO()) as said:
        assert main([str(word) for word in words]) == 0
    return said.getvalue()


def assert_all_is_remembered(told: Told, nights: int) -> None:
    """The whole season is in the registry, in the index and in the ratings."""
    home = told.season.home
    assert [night.number for night in told.nights] == list(range(1, nights + 1))
    assert {night.state for night in told.nights} == {"decided"}
    assert [decision.night for decision in told.decisions] == list(range(1, nights + 1))
    promoted = [one.candidate for one in told.decisions if one.verdict is Verdict.PROMOTE]
    assert [reign.sha256 for reign in told.reigns[1:]] == promoted
    assert [reign.ended is None for reign in told.reigns] == [False] * len(promoted) + [True]
    arena("registry", "verify", "--home", home)

    arena("report", "--index", home)
    index: dict[str, Any] = json.loads((home / "index.json").read_text())
    assert not index["unreadable"]
    assert sorted(map(_indexed, index["decisions"])) == [
        (one.night, one.verdict, one.candidate, one.champion) for one in told.decisions
    ]
    assert all(match["kind"] == "nightly" for match in index["matches"])
    if promoted:
        (ladder,) = index["ladders"]
        assert {rung["sha256"] for rung in ladder["rungs"]} == {one.sha256 for one in told.reigns}

    # Of one kind of match: at few visits, as in the quick stage, strengths may be others.
    gates = sorted(home.glob("nights/*/gate"))
    ratings = json.loads(arena("ratings", "--json", *gates))
    rated = {one["sha256"] for one in ratings["nets"]}
    assert rated >= {one.sha256 for one in told.reigns}


def _indexed(decision: dict[str, Any]) -> tuple[int, str, str | None, str]:
    candidate = decision["candidate"]
    return (
        decision["night"],
        decision["verdict"],
        None if candidate is None else candidate["sha256"],
        decision["champion"]["sha256"],
    )


def leave_drawing_out(patched: pytest.MonkeyPatch) -> None:
    for name, instead in DRAWING.items():
        patched.setattr(name, instead)


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_drawing_out(monkeypatch)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Five nights: progress, a lasting regression, a loud snapshot, a recovery."""
    season = begin_season(
        tmp_path_factory.mktemp("season"),
        drift=120.0,
        noise=0.0,
        regressions={6: 700.0},
        damage={7: "loud"},
    )
    with pytest.MonkeyPatch.context() as patched:
        leave_drawing_out(patched)
        return play_season(season, 5)


def test_a_short_season_promotes_what_is_stronger_and_nothing_else(short: Told) -> None:
    first, second, third, fourth, fifth = short.decisions
    assert first.verdict is second.verdict is fifth.verdict is Verdict.PROMOTE
    assert third.verdict is fourth.verdict is Verdict.KEEP
    assert all(short.gain(one) > 100.0 for one in (first, second, fifth))
    assert short.gain(third) < -100.0
    assert fourth.candidate is None
    assert "explosion" in fourth.reason
    assert short.ladder == sorted(short.ladder)
    champions = [outcome.champion.sha256 for outcome in short.outcomes]
    assert champions == [first.candidate, *[second.candidate] * 3, fifth.candidate]


def test_a_short_season_is_remembered_everywhere(short: Told) -> None:
    assert_all_is_remembered(short, 5)


def test_a_call_without_a_new_net_says_which_night_judged_it(short: Told) -> None:
    outcome = run_night(short.season.settings, short.season.play, lambda line: None)
    assert outcome.decision is None
    assert outcome.nothing is not None
    assert "night 5" in outcome.nothing


@pytest.mark.slow
def test_sixty_nights_promote_no_more_wrongly_than_alpha_allows(tmp_path: Path) -> None:
    """A season of small steps, of 12 in which training has gone wrong, by much and by little."""
    nights, elo1 = 60, 40.0
    season = begin_season(
        tmp_path,
        openings=1_500,
        averages={"three": 3, "six": 6},
        round_=20,
        race=40,
        quick=60,
        gate=1_000,
        elo1=elo1,
        confirm=50,
        drift=6.0,
        noise=16.0,
        regressions={
            **dict.fromkeys((12, 13, 14), 80.0),
            **dict.fromkeys((25, 26), 30.0),
            **dict.fromkeys((40, 41, 42, 43, 44), 120.0),
            **dict.fromkeys((55, 56), 50.0),
        },
    )
    told = play_season(season, nights)
    assert_all_is_remembered(told, nights)
    judged = [one for one in told.decisions if one.candidate is not None]
    worse = [one for one in judged if told.gain(one) <= 0.0]
    wrong = [one for one in worse if one.verdict is Verdict.PROMOTE]
    right = [one for one in judged if one.verdict is Verdict.PROMOTE and one not in wrong]
    alpha = beta = 0.05
    assert len(worse) >= 10
    assert len(wrong) <= binom.isf(CHANCE, len(worse), alpha)
    assert len(right) >= 3, "a gate that promotes nothing passes every bound"

    # A net that is weaker by d is promoted with a chance of at most ((1 - beta) / alpha)^-h, with
    # h = 1 + 2 d / (elo1 - elo0) (Wald, Sequential Analysis, 1947, sections 3.4 and A.2.3: the
    # operating characteristic without overshoot). With which d is that CHANCE in a whole season?
    h = math.log(nights / CHANCE) / math.log((1 - beta) / alpha)
    most = (h - 1) / 2 * elo1
    model = BayesElo(season.play.draw_rate, season.play.opening_bias)
    falls = [before - after for before, after in zip(told.ladder, told.ladder[1:], strict=False)]
    assert max(-nelo_of_law(model.law(-fall)) for fall in falls) <= most
    assert told.ladder[-1] > told.ladder[0] + 100.0
