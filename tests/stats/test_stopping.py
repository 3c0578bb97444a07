from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import log_ndtr
from scipy.stats import invgauss

from arena.stats.elo import (
    FASTCHESS,
    FISHTEST,
    Convention,
    EloEstimate,
    elo_of_score,
    logistic_elo,
    score_of_elo,
)
from arena.stats.pentanomial import GameCounts, Outcomes, PairCounts, Pentanomial
from arena.stats.sprt import PAIR_MODELS, EloModel, Sprt, Verdict
from arena.stats.stopping import StoppingAware, chance_of_worse, stopping_aware

COUNT = st.just(0) | st.integers(0, 100) | st.integers(0, 2 * 10**6)
PAIRS = st.builds(PairCounts, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
GAMES = st.builds(GameCounts, COUNT, COUNT, COUNT)
ERRORS = st.floats(1e-6, 0.45)
CONVENTIONS = st.sampled_from([FASTCHESS, FISHTEST])


@st.composite
def sprts(draw: st.DrawFn) -> Sprt:
    elo0, elo1 = sorted((draw(st.floats(-400, 400)), draw(st.floats(-400, 400))))
    assume(elo1 - elo0 >= 0.01)
    return Sprt(elo0, elo1, draw(ERRORS), draw(ERRORS), draw(st.sampled_from(EloModel)))


@pytest.fixture(scope="module")
def vectors(shared: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared / "golden/stats_vectors.json").read_text())[
        "vectors"
    ]
    return found


# --- against fishtest ---


@dataclass(frozen=True, slots=True)
class RecordedPairs(PairCounts):
    """A test of fishtest's whose games and pairs were recorded apart, and do not quite agree."""

    games_apart: GameCounts = GameCounts()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        """Accept the counts as they are."""

    @property
    def single_games(self) -> GameCounts:
        return self.games_apart


def outcomes_of(given: dict[str, Any]) -> Outcomes:
    games = GameCounts(given.get("losses", 0), given.get("draws", 0), given.get("wins", 0))
    if "pentanomial" not in given:
        return games
    LL, LD, even, WD, WW = given["pentanomial"]  # noqa: N806
    return RecordedPairs(LL=LL, LD=LD, DD=even, WD=WD, WW=WW, games_apart=games)


def test_sequential_elo_vectors(vectors: list[dict[str, Any]]) -> None:
    chosen = [vector for vector in vectors if vector["kind"] == "sequential_elo"]
    assert len(chosen) >= 7
    for vector in chosen:
        given, output = vector["input"], vector["output"]
        model = given["model"].replace("BayesElo", "bayesian")
        sprt = Sprt(given["elo0"], given["elo1"], given["alpha"], given["beta"], model)
        counts = outcomes_of(given)
        found = stopping_aware(counts, sprt, convention=FISHTEST)
        assert found is not None
        expected = (output["elo_median_unbiased"], *output["ci95"])
        shown = (found.elo.elo, found.elo.low, found.elo.high)
        assert shown == pytest.approx(expected, rel=0, abs=1e-6), vector["id"]
        assert found.los == pytest.approx(output["los"], abs=1e-9)
        assert sprt.llr(counts) == pytest.approx(output["llr"], rel=1e-9)
        ours = stopping_aware(counts, sprt)
        if ours is not None and counts.size > 1000:  # hardly a jump to speak of
            assert (ours.elo.elo, ours.elo.low, ours.elo.high) == pytest.approx(shown, abs=0.03)


def test_brownian_vectors(vectors: list[dict[str, Any]]) -> None:
    chosen = [vector for vector in vectors if vector["kind"] == "brownian_cdf"]
    assert chosen
    for vector in chosen:
        given = vector["input"]
        variance = given["sigma"] ** 2
        chance = chance_of_worse(
            given["a"], given["b"], time=given["T"] * variance, position=given["y"]
        )
        expected = pytest.approx(vector["output"]["cdf"], rel=vector["rtol"], abs=vector["atol"])
        assert chance(given["mu"] / variance) == expected, vector["id"]


# --- the chance of a worse outcome, by other ways ---


def by_images(lower: float, upper: float, time: float, position: float, drift: float) -> float:
    """All reflections of the path at both bounds, forty of them: no series of sines, no choices.

    The chance to have left below (first passages, an inverse Gaussian law each) and that to be
    within, no higher than ``position``.
    """
    width, deviation = upper - lower, math.sqrt(time)

    def tail(log_weight: float, z: float) -> float:
        return math.exp(log_weight + log_ndtr(z))

    total = 0.0
    for k in range(-20, 21):
        shift = 2 * k * width
        for image, sign in ((shift, 1), (2 * lower + shift, -1)):
            low, high = ((end - image - drift * time) / deviation for end in (lower, position))
            if image < lower:  # the same difference, of the small tails
                low, high = -high, -low
            total += sign * (tail(drift * image, high) - tail(drift * image, low))
        distance, speed = abs(shift - lower), abs(drift) * time
        passage = tail(
            drift * lower - distance * abs(drift), (speed - distance) / deviation
        ) + tail(drift * lower + distance * abs(drift), -(speed + distance) / deviation)
        total += math.copysign(1, shift - lower) * passage
    return total


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("time", [0.2, 0.36, 1.0, 10.0])
@pytest.mark.parametrize("bounds", [(-2.944, 2.944), (-2.2, 4.0), (-1.0, 0.5)])
def test_chance_is_that_of_all_reflections(
    bounds: tuple[float, float], time: float, place: float
) -> None:
    lower, upper = bounds
    position = lower + place * (upper - lower)
    chance = chance_of_worse(lower, upper, time=time, position=position)
    for drift in (-1.5, -0.4, -1e-6, 0.0, 1e-9, 0.1, 1.2):
        exact = by_images(lower, upper, time, position, drift)
        assert chance(drift) == pytest.approx(exact, abs=1e-9), drift


@pytest.mark.parametrize("time", [0.05, 0.3, 0.6, 1.2])
@pytest.mark.parametrize("drift", [-8.0, -4.0, -2.0, 2.0, 4.0, 8.0])
def test_steep_drifts_are_as_exact_as_fishtest_has_them(time: float, drift: float) -> None:
    lower, upper = -2.944, 2.944
    for position in (lower, 0.3, upper):
        chance = chance_of_worse(lower, upper, time=time, position=position)(drift)
        exact = by_images(lower, upper, time, position, drift)
        assert chance == pytest.approx(exact, abs=7e-4)


@pytest.mark.parametrize("drift", [-1.5, -1.0, -0.1])
def test_with_one_bound_far_off_it_is_the_law_of_a_first_passage(drift: float) -> None:
    """Inverse Gaussian: mean -1 / drift, shape 1, for a distance of 1."""
    for time in (0.2, 1.0, 5.0):
        chance = chance_of_worse(-1.0, 1e3, time=time, position=-1.0)
        assert chance(drift) == pytest.approx(invgauss.cdf(time, -1.0 / drift), abs=1e-9)


@given(
    st.floats(-5, -0.1), st.floats(0.1, 5), st.floats(1e-3, 50), st.floats(0, 1), st.floats(-20, 20)
)
def test_chance_falls_with_drift_and_rises_with_position(
    lower: float, upper: float, time: float, place: float, drift: float
) -> None:
    position = lower + place * (upper - lower)
    chance = chance_of_worse(lower, upper, time=time, position=position)
    assert -1e-3 <= chance(drift) <= 1 + 1e-3
    assert chance(drift + 0.5) <= chance(drift) + 1e-3
    higher = chance_of_worse(lower, upper, time=time, position=(position + upper) / 2)
    assert higher(drift) >= chance(drift) - 1e-3


# --- estimates ---


def found(counts: Outcomes, sprt: Sprt, **options: Any) -> StoppingAware:
    estimate = stopping_aware(counts, sprt, **options)
    assert estimate is not None
    return estimate


@pytest.mark.parametrize("model", PAIR_MODELS)
def test_a_test_that_could_not_have_stopped_changes_nothing(model: EloModel) -> None:
    """Bounds so far off that no path meets them: the plain estimate and its normal interval.

    Ours asks each strength with the variance about it, v + d^2 at a distance d from the mean: d is
    z errors where d^2 = z^2 (v + d^2) / n.
    """
    counts = Pentanomial(11, 240, 560, 297, 14)
    never = Sprt(0, 10, alpha=1e-9, beta=1e-9, model=model)
    plain, theirs = logistic_elo(counts), found(counts, never, convention=FISHTEST).elo
    ours = found(counts, never).elo
    assert plain.elo is not None
    assert (theirs.elo, theirs.low, theirs.high) == pytest.approx(
        (plain.elo, plain.low, plain.high), abs=1e-6
    )
    moments = counts.moments()
    assert moments is not None
    z = NormalDist().inv_cdf(0.975)
    reach = z * math.sqrt(moments.variance / (counts.size - z * z))
    ends = [elo_of_score(moments.mean + side * reach) for side in (-1, 1)]
    assert (ours.elo, ours.low, ours.high) == pytest.approx((plain.elo, *ends), abs=1e-6)


@pytest.mark.parametrize("lean", [-0.1, 0.0, 0.02, 0.05, 0.3])
def test_where_the_steps_are_small_it_is_fishtests(lean: float) -> None:
    """Ever nearer bounds, and as many more pairs as they take, that lean as little as they do.

    Stopped or not, what is mended matters by as much as a step is to the way to the bound.
    """
    off = []
    for times in (10, 100, 1000):
        pairs = [times * times * n for n in (1, 20, 58, 20, 1)]
        pairs[3] += round(times * 100 * lean)
        counts, sprt = Pentanomial(*pairs), Sprt(0, 80 / times, model=EloModel.LOGISTIC)
        ours, theirs = found(counts, sprt).elo, found(counts, sprt, convention=FISHTEST).elo
        assert theirs.elo is not None
        assert theirs.margin is not None
        assert None not in (ours.elo, ours.low, ours.high)
        both = zip(
            (ours.elo, ours.low, ours.high), (theirs.elo, theirs.low, theirs.high), strict=True
        )
        off.append(max(abs(a - b) / theirs.margin for a, b in both if a is not None))
    assert off[0] < 0.1
    assert off[1] < 0.15 * off[0] + 1e-9
    assert off[2] < 0.15 * off[1] + 1e-9


def test_an_early_promotion_flatters() -> None:
    """The stopping rule is seen in the estimate: nearer to the bounds than the plain one."""
    counts, sprt = Pentanomial(11, 240, 560, 330, 14), Sprt(0, 10)
    assert sprt.verdict(sprt.llr(counts)) is Verdict.PROMOTE
    plain, aware = logistic_elo(counts), found(counts, sprt)
    assert plain.elo is not None
    assert aware.elo.elo is not None
    assert 5.0 < aware.elo.elo < plain.elo - 0.5


def test_pairs_after_the_stop_are_cut_off_along_the_mean_path() -> None:
    """The same shares, more of them: the bound was met at the same point, and so it is one stop."""
    sprt = Sprt(0, 10)
    once = found(Pentanomial(22, 480, 1120, 660, 28), sprt)
    twice = found(Pentanomial(44, 960, 2240, 1320, 56), sprt)
    assert twice.elo.elo == pytest.approx(once.elo.elo, abs=1e-9)
    assert twice.los == pytest.approx(once.los)


def test_estimates_are_continuous_where_the_test_stops() -> None:
    """Some 10,000 pairs, four WD pairs more at a time, from before the bound to past it."""
    sprt = Sprt(0, 10, model=EloModel.LOGISTIC)
    samples = [Pentanomial(95, 2400, 5000, 2560 + n, 105) for n in range(0, 240, 4)]
    stopped = [sprt.verdict(sprt.llr(counts)) is Verdict.PROMOTE for counts in samples]
    assert 10 < stopped.count(True) < 50
    shown = [found(counts, sprt).elo for counts in samples]
    for name in ("elo", "low", "high"):
        values = [getattr(estimate, name) for estimate in shown]
        steps = [after - before for before, after in pairwise(values)]
        assert min(steps) > -0.02  # the bound is moved on the side of the LLR: seen near 0
        assert max(steps) < 0.3


@pytest.mark.parametrize("model", EloModel)
def test_the_other_side_sees_the_negative(model: EloModel) -> None:
    generator = random.Random(11)
    for _ in range(60):
        counts = PairCounts(*(generator.choice([0, 1, 7, 90, 4000]) for _ in range(6)))
        if sum(n > 0 for n in counts.counts) < 2:
            continue
        ours = found(counts, Sprt(-3, 12, 0.03, 0.1, model))
        theirs = found(counts.flipped(), Sprt(-12, 3, 0.1, 0.03, model))
        for mine, other in ((ours.elo, theirs.elo), (ours.nelo, theirs.nelo)):
            for a, b in ((mine.elo, other.elo), (mine.low, other.high), (mine.high, other.low)):
                assert (a is None) == (b is None)
                if a is not None and b is not None:
                    assert a == pytest.approx(-b, rel=1e-6, abs=1e-5), counts
        assert ours.los + theirs.los == pytest.approx(1.0)


def test_normalized_elo_is_of_the_same_scores() -> None:
    counts = PairCounts(LL=3, LD=12, WL=15, DD=25, WD=18, WW=4)
    moments = counts.moments(regularised=True)
    assert moments is not None
    for model in EloModel:
        aware = found(counts, Sprt(0, 35, model=model))
        for name in ("elo", "low", "high"):
            score = score_of_elo(getattr(aware.elo, name))
            nelo = (800 / math.log(10)) * (score - 0.5) / moments.game_deviation
            assert getattr(aware.nelo, name) == pytest.approx(nelo, rel=1e-9)


def test_los_is_half_where_the_median_is_zero() -> None:
    """Symmetric results and bounds."""
    aware = found(Pentanomial(10, 200, 500, 200, 10), Sprt(-5, 5))
    assert aware.elo.elo == pytest.approx(0.0, abs=1e-9)
    assert aware.los == pytest.approx(0.5, abs=1e-9)


@given(PAIRS | GAMES, sprts(), st.sampled_from([0.5, 0.95, 0.999]), CONVENTIONS)
def test_every_number_is_finite_and_the_ends_enclose_the_point(
    counts: PairCounts | GameCounts, sprt: Sprt, confidence: float, convention: Any
) -> None:
    aware = stopping_aware(counts, sprt, confidence=confidence, convention=convention)
    if aware is None:
        return
    check_finite_and_in_order(aware)


def check_finite_and_in_order(aware: StoppingAware) -> None:
    assert 0.0 <= aware.los <= 1.0
    for estimate in (aware.elo, aware.nelo):
        known = [x for x in (estimate.low, estimate.elo, estimate.high) if x is not None]
        assert all(math.isfinite(x) for x in known)
        assert known == sorted(known)
    assert aware.elo.elo is None or aware.nelo.elo is not None


@pytest.mark.parametrize(
    "counts",
    [
        Pentanomial(0, 0, 0, 1, 10**7),
        Pentanomial(10**15, 0, 0, 0, 1),
        Pentanomial(0, 0, 10**9, 1, 0),
        Pentanomial(0, 0, 1, 1, 0),
        Pentanomial(1, 0, 0, 0, 1),
        GameCounts(0, 1, 1),
        GameCounts(10**9, 10**9, 10**9),
        GameCounts(1, 0, 10**14),
    ],
)
@pytest.mark.parametrize("bounds", [(0, 10), (-400, 400), (0, 0.01), (399, 400)])
@pytest.mark.parametrize("model", PAIR_MODELS)
def test_extreme_counts(counts: Outcomes, bounds: tuple[float, float], model: EloModel) -> None:
    check_finite_and_in_order(found(counts, Sprt(*bounds, model=model)))


@pytest.mark.parametrize(
    "counts", [PairCounts(), PairCounts(WW=10), PairCounts(WL=3, DD=97), PairCounts(LD=10**7)]
)
def test_nothing_is_said_before_two_different_results(counts: PairCounts) -> None:
    for model in EloModel:
        sprt = Sprt(0, 10, model=model)
        assert stopping_aware(counts, sprt) is None
        check_finite_and_in_order(found(counts, sprt, convention=FISHTEST))


def test_an_end_past_a_perfect_score() -> None:
    """fishtest looks no further than 1000 Elo and shows that; we have no number there."""
    counts, sprt = Pentanomial(WD=1, WW=1), Sprt(0, 10)
    aware, theirs = found(counts, sprt), found(counts, sprt, convention=FISHTEST)
    assert aware.elo.high is aware.nelo.high is None
    assert aware.elo.margin is None
    assert theirs.elo.high == 1000.0
    clamped = found(counts, sprt, convention=replace(FISHTEST, touching=False))
    assert clamped.elo == EloEstimate(aware.elo.elo, -1000.0, 1000.0)
    assert clamped.nelo == aware.nelo


def test_bounds_too_close_to_be_two_scores() -> None:
    """Of BayesElo, which means next to nothing where nearly every game is drawn."""
    sprt = Sprt(0, 10, model=EloModel.BAYESIAN)
    assert stopping_aware(GameCounts(1, 10**18, 1), sprt) is None


def test_bayesian_bounds_need_the_drawn_games() -> None:
    sprt = Sprt(0, 10, model=EloModel.BAYESIAN)
    with pytest.raises(ValueError, match="share of drawn games"):
        stopping_aware(Pentanomial(1, 2, 3, 4, 5), sprt)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan, 1.0 - 1e-12])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        stopping_aware(Pentanomial(1, 2, 3, 4, 5), Sprt(0, 10), confidence=confidence)


def test_a_higher_confidence_is_a_wider_interval() -> None:
    counts, sprt = Pentanomial(11, 240, 560, 297, 14), Sprt(0, 10)
    narrow, wide = (found(counts, sprt, confidence=c) for c in (0.5, 0.99))
    assert narrow.elo.elo == wide.elo.elo
    assert narrow.elo.margin is not None
    assert wide.elo.margin is not None
    assert wide.elo.margin > 3 * narrow.elo.margin


def exactly(sprt: Sprt, elo: float, limit: int, convention: Convention) -> tuple[float, float]:
    """Chances that the interval covers and that the point is below ``elo``: no simulation.

    Every way to count pairs of which none is won or lost twice and 40 % are even, up to a stop or
    ``limit`` pairs, with its chance.
    """
    score = score_of_elo(elo)
    worse, better = (0.3 - side * 2.0 * (score - 0.5) for side in (1.0, -1.0))
    running = {(0, 0, 0): 1.0}
    covered = below = 0.0
    for played in range(1, limit + 1):
        reached: dict[tuple[int, int, int], float] = defaultdict(float)
        for (down, even, up), chance in running.items():
            reached[down + 1, even, up] += chance * worse
            reached[down, even + 1, up] += chance * 0.4
            reached[down, even, up + 1] += chance * better
        running = {}
        for (down, even, up), chance in reached.items():
            counts = Pentanomial(LD=down, WL_DD=even, WD=up)
            if played < limit and sprt.verdict(sprt.llr(counts)) is Verdict.UNDECIDED:
                running[down, even, up] = chance
                continue
            aware = stopping_aware(counts, sprt, convention=convention)
            low, point, high = (
                (None, None, None)
                if aware is None
                else (aware.elo.low, aware.elo.elo, aware.elo.high)
            )
            covered += chance * ((low is None or low <= elo) and (high is None or elo <= high))
            below += chance * (down > up if point is None else point < elo)
    return covered, below


@pytest.mark.parametrize("elo", [0.0, 40.0, 80.0])
@pytest.mark.parametrize("limit", [25, 40])
def test_a_short_test_keeps_its_word_exactly(elo: float, limit: int) -> None:
    """16 to 25 pairs; the lower limit ends a quarter to a half of the matches undecided."""
    sprt = Sprt(0, 80, model=EloModel.LOGISTIC)
    covered, below = exactly(sprt, elo, limit, FASTCHESS)
    assert 0.94 < covered < 0.975
    assert 0.47 < below < 0.53
    theirs, their_below = exactly(sprt, elo, limit, FISHTEST)
    assert theirs > 0.99
    assert abs(their_below - 0.5) > abs(below - 0.5) - 0.03


@pytest.mark.slow
@pytest.mark.parametrize("elo", [0.0, 17.5, 35.0])
def test_after_a_stop_the_interval_covers_and_the_point_is_the_median(elo: float) -> None:
    """1000 matches of SPRT(0, 35), half the games drawn: the limits are three standard errors."""
    generator, sprt = random.Random(2), Sprt(0, 35, model=EloModel.LOGISTIC)
    score = score_of_elo(elo)
    law = (0.75 - score, 0.5, score - 0.25)  # one game: lost, drawn, won
    covered = below = 0
    for _ in range(1000):
        counts = PairCounts()
        while sprt.verdict(sprt.llr(counts)) is Verdict.UNDECIDED:
            counts += PairCounts.of_pair(*generator.choices((0.0, 0.5, 1.0), law, k=2))
        aware = found(counts, sprt)
        assert aware.elo.elo is not None
        assert aware.elo.low is not None
        assert aware.elo.high is not None
        covered += aware.elo.low <= elo <= aware.elo.high
        below += aware.elo.elo < elo
    assert covered / 1000 == pytest.approx(0.957, abs=0.021)
    assert below / 1000 == pytest.approx(0.5, abs=0.048)
