from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr, stdtrit

from arena.commands.ratings import PRIOR_PAIRS
from arena.stats.elo import logistic_elo, score_of_elo
from arena.stats.pentanomial import GameCounts, PairCounts, Pentanomial
from arena.stats.ratings import (
    DEFAULT_PRIOR_PAIRS,
    ELO_PER_NAT,
    Encounter,
    Ratings,
    rate,
)

NIGHT = PairCounts(LL=3, LD=50, WL=80, DD=60, WD=70, WW=12)


def games(baseline: str, candidate: str, wins: int, draws: int, losses: int) -> Encounter:
    return Encounter(baseline, candidate, GameCounts(losses, draws, wins))


def error(ratings: Ratings, one: str, other: str) -> float:
    """Standard error of a difference."""
    margin = ratings.difference(one, other).margin
    assert margin is not None
    return margin / float(stdtrit(ratings.dof, 0.975))


# --- what other programs compute ---


def vectors(shared: Path, system: str) -> list[dict[str, Any]]:
    every = json.loads((shared / "golden/stats_vectors.json").read_text())["vectors"]
    found = [v for v in every if (v["kind"], v["system"]) == ("multiplayer_elo", system)]
    assert found
    return found


def test_katago_vectors(shared: Path) -> None:
    for vector in vectors(shared, "KataGo"):
        given, output = vector["input"], vector["output"]
        records = given["records_player1_player2_win_loss_draw"]
        ratings = rate(
            [games(two, one, win, draw, loss) for one, two, win, loss, draw in records],
            prior_pairs=given["elo_prior_games"] / 2,
            independent_games=True,
        )
        assert output["diff_stderr"]
        for names, expected in output["diff_stderr"].items():
            one, two = names.split("-")
            elo = ratings.difference(one, two).elo
            assert elo == pytest.approx(output["elo"][one] - output["elo"][two], abs=1e-3)
            assert error(ratings, one, two) == pytest.approx(expected, abs=1e-3), vector["id"]
            # KataGo counts degrees of freedom by an effective number of games.
            los = ratings.superiority(one, two)
            assert los == pytest.approx(output["los"][f"{one}>{two}"], abs=1e-3)


def test_ordo_vectors(shared: Path) -> None:
    for vector in vectors(shared, "Ordo"):
        output = vector["output"]
        if vector["input"]["flags"] == ["-W"]:
            check_advantage_of_white(vector)
            continue
        assert vector["input"]["flags"] == []
        ratings = rate(ordo_games(vector), prior_pairs=0, anchors={"B": 0.0})
        for player, expected in output["rating"].items():
            assert ordo_points(ratings.rating(player).elo) == pytest.approx(expected, abs=0.02)


def ordo_games(vector: dict[str, Any]) -> list[Encounter]:
    of_white = {"1-0": (1, 0, 0), "1/2-1/2": (0, 1, 0), "0-1": (0, 0, 1)}
    rows = vector["input"]["games_white_black_result_count"]
    return [
        games(black, white, *(count * share for share in of_white[result]))
        for white, black, result, count in rows
    ]


def ordo_points(elo: float | None) -> float:
    """Ordo's unit: 202 of its points are 76 %."""
    assert elo is not None
    return elo * 175.25 / ELO_PER_NAT


def check_advantage_of_white(vector: dict[str, Any]) -> None:
    """An advantage of White is no parameter of ours, since pairs cancel it.

    Of two players it is half of what their difference is the more when one has White: Ordo fits
    two numbers to two scores. So each colour is rated by itself.
    """
    output, encounters = vector["output"], ordo_games(vector)
    white, black = (
        ordo_points(
            rate([e for e in encounters if e.candidate == player], prior_pairs=0)
            .difference("A", "B")
            .elo
        )
        for player in ("A", "B")
    )
    assert output["rating"]["B"] == 0.0
    assert (white + black) / 2.0 == pytest.approx(output["rating"]["A"], abs=0.02)
    assert (white - black) / 2.0 == pytest.approx(output["white_advantage"], abs=0.02)


# --- closed forms ---


def test_two_players_are_logistic_elo_and_its_error() -> None:
    ratings = rate([Encounter("raw", "swa", NIGHT)], prior_pairs=0)
    difference, moments = ratings.difference("swa", "raw"), NIGHT.moments()
    assert moments is not None
    assert difference.elo == pytest.approx(logistic_elo(NIGHT).elo, abs=1e-9)
    slope = ELO_PER_NAT / (moments.mean * (1 - moments.mean))
    assert error(ratings, "swa", "raw") == pytest.approx(slope * moments.mean_error, rel=1e-9)
    assert ratings.dof == NIGHT.pairs - 1
    los = ratings.superiority("swa", "raw")
    assert los == pytest.approx(stdtr(ratings.dof, difference.elo / error(ratings, "swa", "raw")))
    # Each lies half the difference from their mean.
    rating = ratings.rating("swa")
    assert rating.elo == pytest.approx(difference.elo / 2)
    assert rating.margin == pytest.approx(difference.margin / 2)
    assert ratings.intransitivity is None
    assert ratings.meetings[0].z is None
    assert ratings.meetings[0].expected == pytest.approx(NIGHT.score)


def test_a_chain_adds_up_differences_and_variances() -> None:
    first, second = NIGHT, PairCounts(LL=5, LD=20, WL=10, DD=40, WD=15, WW=2)
    chain = [Encounter("a", "b", first), Encounter("b", "c", second)]
    ratings = rate(chain, prior_pairs=0)
    parts = [ratings.difference("b", "a").elo, ratings.difference("c", "b").elo]
    assert parts == pytest.approx([logistic_elo(counts).elo for counts in (first, second)])
    assert ratings.difference("c", "a").elo == pytest.approx(sum(parts))
    errors = error(ratings, "b", "a"), error(ratings, "c", "b")
    assert error(ratings, "c", "a") == pytest.approx(math.hypot(*errors))
    assert ratings.intransitivity is None


def test_three_players_whose_scores_agree_are_fitted_exactly() -> None:
    """Odds of 3 : 1 and 2 : 1 make 6 : 1."""
    encounters = [
        games("a", "b", 300, 0, 100),
        games("b", "c", 200, 0, 100),
        games("a", "c", 600, 0, 100),
    ]
    ratings = rate(encounters, prior_pairs=0)
    assert ratings.difference("b", "a").elo == pytest.approx(400 * math.log10(3), abs=1e-8)
    assert ratings.difference("c", "b").elo == pytest.approx(400 * math.log10(2), abs=1e-8)
    assert ratings.elo == pytest.approx(np.array(ratings.elo) - np.mean(ratings.elo), abs=1e-9)
    assert ratings.intransitivity is not None
    assert ratings.intransitivity.dof == 1
    assert ratings.intransitivity.statistic == pytest.approx(0, abs=1e-15)
    # Independent decisive games: the variance that was seen is the binomial one.
    binomial = rate(encounters, prior_pairs=0, independent_games=True)
    assert ratings.covariance == pytest.approx(binomial.covariance)


def test_a_circle_of_three_contradicts_itself() -> None:
    """All ratings are equal, and each result is sqrt(3) times as far off as chance would have it.

    Round the circle the logits add up to 3 x, their variances to 3 v: chi-squared is 3 x^2 / v, and
    each residual is a third of the sum, that is x in size, with a variance of v / 3.
    """
    won = {"wins": 60, "draws": 0, "losses": 40}
    circle = [games("a", "b", **won), games("b", "c", **won), games("c", "a", **won)]
    ratings = rate(circle, prior_pairs=0, independent_games=True)
    assert ratings.elo == pytest.approx([0, 0, 0], abs=1e-9)
    surplus, variance = (60 - 50) / 25, 1 / 25
    found = ratings.intransitivity
    assert found is not None
    assert (found.dof, found.statistic) == (1, pytest.approx(3 * surplus**2 / variance))
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(found.statistic / 2)))
    z = [meeting.z for meeting in ratings.meetings]
    assert z == pytest.approx([math.sqrt(found.statistic)] * 3)


def test_pairs_kept_together_know_more_than_their_games() -> None:
    """On a biased book White wins every game: all pairs are level, and single games toss a coin."""
    pairs = PairCounts(LL=2, LD=3, WL=400, WD=4, WW=2)
    counts = pairs.single_games
    by_pairs = rate([Encounter("a", "b", pairs)])
    by_games = rate([Encounter("a", "b", counts)])
    assert by_pairs.elo == pytest.approx(by_games.elo, abs=1e-9)
    assert error(by_pairs, "b", "a") < 0.2 * error(by_games, "b", "a")


# --- anchors, the prior, the order of things ---


def test_anchors_move_all_and_change_no_difference() -> None:
    encounters = [Encounter("a", "b", NIGHT), Encounter("b", "c", NIGHT.flipped())]
    free, anchored = rate(encounters), rate(encounters, anchors={"b": 1500.0})
    for one, other in itertools.combinations("abc", 2):
        there, here = anchored.difference(one, other), free.difference(one, other)
        assert (there.elo, there.margin) == pytest.approx((here.elo, here.margin))
    assert anchored.rating("b").elo == 1500.0
    assert anchored.rating("b").margin is None
    assert anchored.rating("c").margin == pytest.approx(free.difference("c", "b").margin)


def test_two_anchors_hold_and_are_tested() -> None:
    encounters = [games("a", "b", 100, 0, 100), games("b", "c", 100, 0, 100)]
    ratings = rate(encounters, anchors={"a": 0.0, "c": 200.0}, prior_pairs=0)
    assert ratings.elo == pytest.approx((0.0, 100.0, 200.0))
    assert ratings.superiority("a", "c") is None
    assert ratings.intransitivity is not None
    assert ratings.intransitivity.dof == 1
    assert ratings.intransitivity.p_value < 1e-5
    both = rate(encounters[:1], anchors={"a": 0.0, "b": 200.0})
    assert both.elo == (0.0, 200.0)


def test_anchors_too_far_from_the_results_are_refused() -> None:
    """Between 5000 and -5000 Elo, a player that drew with both may be anywhere in the middle."""
    million = 10**6
    encounters = [
        games("a", "b", 0, 1, 0),
        games("b", "c", million, million, million),
        games("d", "c", 0, 1, 0),
    ]
    with pytest.raises(ValueError, match="anchors too far"):
        rate(encounters, anchors={"a": -5000.0, "d": 5000.0}, prior_pairs=0)
    near = rate(encounters, anchors={"a": -500.0, "d": 500.0}, prior_pairs=0)
    assert near.elo == pytest.approx((-500.0, 0.0, 0.0, 500.0), abs=1e-2)


def test_anchors_bind_groups_that_never_met() -> None:
    groups = [Encounter("a", "b", NIGHT), Encounter("c", "d", NIGHT)]
    ratings = rate(groups, anchors={"a": 0.0, "c": 50.0}, prior_pairs=0)
    known = logistic_elo(NIGHT).elo
    assert known is not None
    assert ratings.elo == pytest.approx((0.0, known, 50.0, 50.0 + known))


def test_groups_that_never_met_are_named() -> None:
    groups = [Encounter("a", "b", NIGHT), Encounter("c", "d", NIGHT)]
    with pytest.raises(ValueError, match=r"never met.*: a, b \| c, d"):
        rate(groups)


def test_a_sweep_has_a_rating_by_the_prior_alone() -> None:
    field = [Encounter("a", "b", NIGHT), Encounter("a", "c", PairCounts(WW=5))]
    without = rate(field, prior_pairs=0)
    assert without.elo[2] is None
    assert without.rated == ("a", "b")
    assert without.rating("c") == without.difference("c", "a")
    assert without.superiority("c", "a") is None
    assert without.meetings[1].expected is None
    # c's games say nothing about a and b: c would have won them all anyway.
    assert without.difference("b", "a").elo == pytest.approx(logistic_elo(NIGHT).elo)
    elos = [rate(field, prior_pairs=pairs).elo[2] for pairs in (1.0, 0.5, 0.1)]
    assert all(elo is not None and elo > 200 for elo in elos)
    assert elos == sorted(elos)


def test_a_sweep_of_the_anchor_leaves_the_anchor() -> None:
    ratings = rate([Encounter("a", "b", PairCounts(WW=5))], prior_pairs=0, anchors={"a": 10.0})
    assert ratings.elo == (10.0, None)
    assert rate([Encounter("a", "b", PairCounts(WW=5))], prior_pairs=0).elo == (None, None)


def test_the_prior_of_two_players_is_jeffreys() -> None:
    """Near an even score: half a win and half a loss, that is one more drawn game of the two."""
    ratings = rate([games("a", "b", 52, 0, 48)], prior_pairs=DEFAULT_PRIOR_PAIRS)
    expected = rate([games("a", "b", 52, 1, 48)], prior_pairs=0)
    assert ratings.difference("b", "a").elo == pytest.approx(
        expected.difference("b", "a").elo, rel=1e-4
    )
    assert PRIOR_PAIRS == DEFAULT_PRIOR_PAIRS


def test_the_prior_pulls_towards_the_field_and_not_to_a_number() -> None:
    encounters = [Encounter("a", "b", NIGHT), Encounter("b", "c", NIGHT)]
    low, high = (rate(encounters, anchors={"a": elo}, prior_pairs=20.0) for elo in (0.0, 3000.0))
    assert np.array(high.elo) - np.array(low.elo) == pytest.approx(3000.0)


def test_without_variance_there_is_no_interval() -> None:
    for counts in (PairCounts(DD=50), PairCounts(WW=5), PairCounts(WD=1)):
        ratings = rate([Encounter("a", "b", counts)])
        assert ratings.difference("b", "a").elo is not None
        assert ratings.difference("b", "a").margin is None
        assert ratings.superiority("b", "a") is None
        assert ratings.covariance is None


def test_one_short_encounter_without_variance_borrows_the_fields() -> None:
    """Four pairs that all ended level do not make their difference known to a hair."""
    level = rate([Encounter("a", "b", NIGHT), Encounter("b", "c", PairCounts(DD=4))])
    assert error(level, "c", "b") > 4 * error(level, "b", "a")


@pytest.mark.parametrize(
    ("encounters", "settings", "message"),
    [
        ([], {}, "no games"),
        ([Encounter("a", "b", PairCounts())], {}, "no games"),
        ([Encounter("a", "a", NIGHT)], {}, "'a' cannot be rated by games against itself"),
        ([Encounter("a", "b", NIGHT)], {"prior_pairs": -1.0}, "must be 0 or more"),
        ([Encounter("a", "b", NIGHT)], {"prior_pairs": math.inf}, "must be 0 or more"),
        ([Encounter("a", "b", NIGHT)], {"anchors": {"c": 0.0}}, "anchor 'c' has not played"),
        ([Encounter("a", "b", NIGHT)], {"anchors": {"a": math.nan}}, "within 5000"),
        ([Encounter("a", "b", NIGHT)], {"anchors": {"a": 1e9}}, "within 5000"),
    ],
)
def test_bad_input(encounters: list[Encounter], settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rate(encounters, **settings)


def test_bad_questions() -> None:
    ratings = rate([Encounter("a", "b", NIGHT)])
    with pytest.raises(ValueError, match="confidence"):
        ratings.rating("a", confidence=1.0)
    with pytest.raises(ValueError, match="itself"):
        ratings.difference("a", "a")
    with pytest.raises(KeyError):
        ratings.rating("c")


COUNT = st.integers(0, 30) | st.integers(0, 10**5) | st.just(0)
COUNTS = st.builds(PairCounts, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
FIELDS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), COUNTS)
    .filter(lambda drawn: drawn[0] != drawn[1] and drawn[2].pairs > 0)
    .map(lambda drawn: Encounter(*drawn)),
    min_size=1,
    max_size=8,
)


def connected(encounters: Sequence[Encounter]) -> bool:
    """Whether all players are bound together: of four, only two couples can be apart."""
    couples = {frozenset((e.baseline, e.candidate)) for e in encounters}
    return len(couples) != 2 or not frozenset.isdisjoint(*couples)


@given(FIELDS, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_order_and_sides_do_not_matter(encounters: list[Encounter], random: Any) -> None:
    if not connected(encounters):
        return
    other = [
        Encounter(e.candidate, e.baseline, e.counts.flipped()) if random.random() < 0.5 else e
        for e in encounters
        if isinstance(e.counts, PairCounts)
    ]
    random.shuffle(other)
    one, two = rate(encounters), rate(other)
    for player in one.players:
        here, there = one.rating(player), two.rating(player)
        assert here.elo == pytest.approx(there.elo, abs=1e-5)
        if here.margin is None or there.margin is None:
            assert here.margin == there.margin
        else:
            assert here.margin == pytest.approx(there.margin, rel=1e-5, abs=1e-5)
    if one.intransitivity is None or two.intransitivity is None:
        assert one.intransitivity == two.intransitivity
    else:
        assert one.intransitivity.p_value == pytest.approx(two.intransitivity.p_value, abs=1e-5)


@given(FIELDS, st.sampled_from([0.0, 0.01, 1.0, 1e6]), st.none() | st.floats(-5000, 5000))
@settings(max_examples=150)
def test_no_figure_is_infinite(
    encounters: list[Encounter], prior_pairs: float, anchor: float | None
) -> None:
    if not connected(encounters):
        return
    anchors = {} if anchor is None else {encounters[0].baseline: anchor}
    ratings = rate(encounters, prior_pairs=prior_pairs, anchors=anchors)
    for player in ratings.players:
        estimate = ratings.rating(player)
        figures = [getattr(estimate, item.name) for item in fields(estimate)]
        assert all(figure is None or math.isfinite(figure) for figure in figures)
    for one, other in itertools.permutations(ratings.players, 2):
        los = ratings.superiority(one, other)
        assert los is None or 0.0 <= los <= 1.0
    for meeting in ratings.meetings:
        assert meeting.z is None or math.isfinite(meeting.z)
        assert meeting.expected is None or 0.0 <= meeting.expected <= 1.0
    if ratings.intransitivity is not None:
        assert 0.0 <= ratings.intransitivity.p_value <= 1.0


@given(FIELDS)
@settings(max_examples=60)
def test_the_fit_gives_every_player_its_points(encounters: list[Encounter]) -> None:
    """The likelihood's equations: expected points of each rated player are those it made."""
    if not connected(encounters):
        return
    ratings = rate(encounters, prior_pairs=0)
    for player in ratings.rated:
        surplus, games = 0.0, 0
        for meeting in ratings.meetings:
            if meeting.expected is not None and player in (meeting.candidate, meeting.baseline):
                sign = 1 if player == meeting.candidate else -1
                surplus += sign * (meeting.points - meeting.games * meeting.expected)
                games += meeting.games
        assert abs(surplus) < 1e-9 * games + 1e-9


# --- simulated matches ---

TRUTH = {"a": 0.0, "b": 40.0, "c": -60.0, "d": 120.0}


def simulated(random: np.random.Generator, pairs: int) -> list[Encounter]:
    """A round robin in which a pair's two games share the opening's bias and 40 % are drawn."""
    encounters = []
    for baseline, candidate in itertools.combinations(TRUTH, 2):
        score = score_of_elo(TRUTH[candidate] - TRUTH[baseline])
        bias = random.choice([-0.15, 0.15], size=pairs)
        points = np.stack([_points(random, score + side * bias) for side in (1, -1)])
        counts = np.bincount((2 * points.sum(axis=0)).astype(int), minlength=5)
        encounters.append(Encounter(baseline, candidate, Pentanomial(*counts)))
    return encounters


def _points(random: np.random.Generator, expected: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    draws = np.minimum(0.4, 2 * np.minimum(expected, 1 - expected))
    luck = random.random(len(expected))
    wins = expected - draws / 2
    return np.where(luck < wins, 1.0, np.where(luck < wins + draws, 0.5, 0.0))


def test_covariance_coverage_and_false_alarms() -> None:
    """400 round robins: the errors that are stated are those that are made."""
    random, names = np.random.default_rng(5), list(TRUTH)
    truth = np.array(list(TRUTH.values())) - np.mean(list(TRUTH.values()))
    found, stated, inside, alarms = [], [], 0, 0
    repetitions = 400
    for _ in range(repetitions):
        ratings = rate(simulated(random, pairs=30))
        assert ratings.players == tuple(names)
        found.append(ratings.elo)
        stated.append(ratings.covariance)
        for n, player in enumerate(names):
            estimate = ratings.rating(player)
            assert estimate.low is not None
            assert estimate.high is not None
            inside += estimate.low <= truth[n] <= estimate.high
        assert ratings.intransitivity is not None
        alarms += ratings.intransitivity.p_value < 0.05
    assert np.mean(found, axis=0) == pytest.approx(truth, abs=3.5)
    seen, mean = np.cov(np.array(found).T), np.mean(np.array(stated), axis=0)
    # A variance from 400 is known to 7 %.
    assert np.diag(mean) == pytest.approx(np.diag(seen), rel=0.21)
    assert mean == pytest.approx(seen, abs=0.21 * np.diag(seen).max())
    assert 0.93 <= inside / (4 * repetitions) <= 0.97
    assert alarms / repetitions < 0.05 + 3 * math.sqrt(0.05 * 0.95 / repetitions)


def test_a_bogey_is_found() -> None:
    random = np.random.default_rng(6)
    encounters = simulated(random, pairs=200)
    bogey = encounters[-1]
    assert (bogey.baseline, bogey.candidate) == ("c", "d")
    encounters[-1] = Encounter("c", "d", bogey.counts.__class__(*bogey.counts.counts[::-1]))
    ratings = rate(encounters)
    assert ratings.intransitivity is not None
    assert ratings.intransitivity.p_value < 1e-6
    largest = max(ratings.meetings, key=lambda meeting: abs(meeting.z or 0.0))
    assert (largest.baseline, largest.candidate) == ("c", "d")
    assert largest.z is not None
    assert largest.z < -5
