from __future__ import annotations

import itertools
import json
import math
import random
import timeit
from decimal import Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from arena.stats.bayeselo import BayesElo
from arena.stats.diffusion import log_likelihood_ratios
from arena.stats.elo import NELO_PER_DEVIATION, elo_of_score, score_of_elo
from arena.stats.outcomes import PAIR_SCORES, PairLaw
from arena.stats.pentanomial import GameCounts, Moments, Outcomes, PairCounts, Pentanomial
from arena.stats.sprt import PAIR_MODELS, EloModel, Sprt, Verdict, closed_form_llr

COUNT = st.just(0) | st.integers(0, 100) | st.integers(0, 2 * 10**6)
PENTANOMIALS = st.builds(Pentanomial, COUNT, COUNT, COUNT, COUNT, COUNT)
MODELS = st.sampled_from(PAIR_MODELS)
ELOS = st.floats(-400, 400) | st.sampled_from([-5.0, 0.0, 2.5, 10.0])


@st.composite
def sprts(draw: st.DrawFn) -> Sprt:
    elo0, elo1 = sorted((draw(ELOS), draw(ELOS)))
    assume(elo1 - elo0 >= 0.01)
    return Sprt(elo0, elo1, model=draw(MODELS))


def outcomes_of(vector: dict[str, Any]) -> Outcomes:
    given = vector["input"]
    if "pentanomial" in given:
        return Pentanomial(*given["pentanomial"])
    return GameCounts(given["losses"], given["draws"], given["wins"])


def sprt_of(vector: dict[str, Any]) -> Sprt:
    names = ("elo0", "elo1", "alpha", "beta", "model")
    return Sprt(**{name: vector["input"][name] for name in names})


@pytest.fixture(scope="module")
def vectors(shared: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared / "golden/stats_vectors.json").read_text())[
        "vectors"
    ]
    return found


def test_llr_vectors(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if v["kind"] == "llr"]
    assert len(chosen) >= 70
    for vector in chosen:
        llr = sprt_of(vector).llr(outcomes_of(vector))
        loose = vector["system"] == "fastchess"  # it stops its own root search at 1e-3
        tolerance = {"rel": vector["rtol"], "abs": vector["atol"]} if loose else {"rel": 1e-9}
        expected = pytest.approx(vector["output"]["llr"], **tolerance)
        assert llr == expected, vector["id"]


def test_fastchess_decides_alike(vectors: list[dict[str, Any]]) -> None:
    names = {"H0": Verdict.KEEP, "H1": Verdict.PROMOTE, "continue": Verdict.UNDECIDED}
    for vector in vectors:
        if (vector["kind"], vector["system"]) == ("llr", "fastchess"):
            sprt, output = sprt_of(vector), vector["output"]
            assert sprt.bounds == pytest.approx((output["lower"], output["upper"]))
            assert sprt.verdict(sprt.llr(outcomes_of(vector))) is names[output["result"]]


def test_inputs_on_which_fishtest_fails(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if v["kind"] == "robustness"]
    assert chosen
    for vector in chosen:
        llr = sprt_of(vector).llr(outcomes_of(vector))
        assert math.isfinite(llr)
        if "reference_llr_mpmath" in vector:
            assert llr == pytest.approx(vector["reference_llr_mpmath"], rel=1e-9), vector["id"]


def test_closed_form_vectors(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if v["kind"] == "llr_approx"]
    assert chosen
    for vector in chosen:
        elo0, elo1 = vector["input"]["elo0"], vector["input"]["elo1"]
        llr = closed_form_llr(outcomes_of(vector), elo0, elo1)
        assert llr == pytest.approx(vector["output"]["llr"], rel=1e-9), vector["id"]


def test_block_of_fastchess() -> None:
    """The figures of the block come from the closed form; the exact test is a little below."""
    counts, sprt = Pentanomial(11, 240, 560, 297, 14), Sprt(0, 10)
    shown = closed_form_llr(counts, 0, 10)
    assert shown == pytest.approx(2.48, abs=5e-3)
    assert sprt.progress(shown) == pytest.approx(0.842, abs=5e-4)
    assert sprt.bounds == pytest.approx((-2.94, 2.94), abs=5e-3)
    assert sprt.llr(counts) == pytest.approx(2.473059067, rel=1e-9)


def logistic_llr_in_decimals(counts: Outcomes, elo0: float, elo1: float) -> float:
    """The definition, by bisection of the multiplier in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        weights = [Decimal(n) if n else Decimal("0.001") for n in counts.counts]
        scores = [Decimal(i) / (len(weights) - 1) for i in range(len(weights))]

        def log_ratios(elo: float) -> list[Decimal]:
            mean = 1 / (1 + Decimal(10) ** (-Decimal(elo) / 400))
            offsets = [score - mean for score in scores]
            low, high = -1 / offsets[-1], -1 / offsets[0]
            for _ in range(190):
                middle = (low + high) / 2
                balance = sum(
                    n * x / (1 + middle * x) for n, x in zip(weights, offsets, strict=True)
                )
                low, high = (middle, high) if balance > 0 else (low, middle)
            return [(1 + low * x).ln() for x in offsets]

        both = zip(weights, log_ratios(elo0), log_ratios(elo1), strict=True)
        return float(sum(n * (a - b) for n, a, b in both))


def random_outcomes(generator: random.Random) -> Pentanomial:
    """Up to four empty cells and totals up to 10^7, cells of very unequal size."""
    total = 10 ** generator.uniform(0, 7)
    power = generator.choice([1, 3])
    shares = [generator.expovariate(1) ** power for _ in range(5)]
    for empty in generator.sample(range(5), generator.randint(0, 4)):
        shares[empty] = 0.0
    return Pentanomial(*(int(total * share / sum(shares)) for share in shares))


def test_logistic_llr_is_the_definition_in_60_digits() -> None:
    generator = random.Random(4)
    for _ in range(40):
        counts = random_outcomes(generator)
        elo0 = generator.uniform(-200, 100)
        elo1 = elo0 + generator.choice([0.5, 5, 100])
        expected = logistic_llr_in_decimals(counts, elo0, elo1)
        llr = Sprt(elo0, elo1, model=EloModel.LOGISTIC).llr(counts)
        assert llr == pytest.approx(expected, rel=1e-9, abs=1e-9), counts


def best_trinomial(counts: GameCounts, t: float) -> float:
    """Greatest log-likelihood under mean = 1/2 + t deviations: a scan of the one free number.

    With W - L = 2m and W + L = w the hypothesis is m^2 = t^2 (w/4 - m^2), so w gives the law.
    """
    losses, draws, wins = counts.regularised()
    k2 = t * t / (1 + t * t)

    def likelihood(w: float) -> float:
        m = math.copysign(math.sqrt(k2 * w / 4), t)
        law = w / 2 - m, 1 - w, w / 2 + m
        if min(law) <= 0:
            return -math.inf
        return sum(n * math.log(p) for n, p in zip((losses, draws, wins), law, strict=True))

    low, high = 0.0, 1.0
    for _ in range(7):  # ever finer grids round the best point
        width = (high - low) / 1000
        best = max((low + i * width for i in range(1, 1000)), key=likelihood)
        low, high = max(best - 2 * width, 0.0), min(best + 2 * width, 1.0)
    return likelihood(best)


def test_normalized_llr_of_games_is_that_of_a_scan() -> None:
    generator = random.Random(5)
    for _ in range(15):
        counts = GameCounts(*(generator.choice([0, 3, 40, 1000]) for _ in range(3)))
        elo0 = generator.uniform(-300, 100)
        elo1 = elo0 + generator.uniform(5, 200)
        t0, t1 = (elo * math.log(10) / 800 for elo in (elo0, elo1))
        expected = best_trinomial(counts, t1) - best_trinomial(counts, t0)
        llr = Sprt(elo0, elo1).llr(counts)
        assert llr == pytest.approx(expected, rel=1e-6, abs=1e-7), counts


@pytest.mark.parametrize("model", EloModel)
def test_every_count_vector_has_a_finite_llr(model: EloModel) -> None:
    check_random_outcomes(model, 1500, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("model", EloModel)
def test_a_hundred_thousand_count_vectors_have_a_finite_llr(model: EloModel) -> None:
    check_random_outcomes(model, 50_000, seed=2)


def check_random_outcomes(model: EloModel, samples: int, seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(samples):
        counts: Outcomes = random_outcomes(generator)
        if model is EloModel.BAYESIAN:
            LL, LD, even, WD, WW = counts.counts  # noqa: N806
            drawn = generator.choice([0, even // 3, even])
            pairs = PairCounts(LL=LL, LD=LD, WL=even - drawn, DD=drawn, WD=WD, WW=WW)
            counts = generator.choice([pairs, pairs.single_games])
        elo0 = generator.choice([-400.0, -5.0, 0.0, 0.5, generator.uniform(-400, 390)])
        elo1 = min(elo0 + generator.choice([0.5, 5, 20, 100, 800]), 400)
        llr = Sprt(elo0, elo1, model=model).llr(counts)
        assert math.isfinite(llr), (counts, elo0, elo1)


@given(PENTANOMIALS, sprts())
def test_the_other_side_has_the_negative_llr(counts: Pentanomial, sprt: Sprt) -> None:
    mirror = Sprt(-sprt.elo1, -sprt.elo0, model=sprt.model)
    assert mirror.llr(counts.flipped()) == pytest.approx(-sprt.llr(counts), rel=1e-9, abs=1e-9)


@given(PENTANOMIALS, MODELS, st.lists(ELOS, min_size=3, max_size=3, unique=True))
def test_llrs_between_three_hypotheses_add_up(
    counts: Pentanomial, model: EloModel, elos: list[float]
) -> None:
    a, b, c = sorted(elos)
    assume(b - a >= 0.01)
    assume(c - b >= 0.01)
    parts = Sprt(a, b, model=model).llr(counts) + Sprt(b, c, model=model).llr(counts)
    whole = Sprt(a, c, model=model).llr(counts)
    assert parts == pytest.approx(whole, rel=1e-9, abs=1e-9 * max(1.0, abs(parts)))


@given(st.lists(st.integers(1, 10**5), min_size=5, max_size=5), sprts(), st.integers(2, 40))
def test_the_same_results_again_multiply_the_llr(cells: list[int], sprt: Sprt, times: int) -> None:
    repeated = Pentanomial(*(times * n for n in cells))
    expected = times * sprt.llr(Pentanomial(*cells))
    assert sprt.llr(repeated) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.lists(st.integers(20, 3000), min_size=5, max_size=5), MODELS)
def test_better_results_raise_the_llr(cells: list[int], model: EloModel) -> None:
    """Even pairs turned into WD pairs one by one."""
    sprt = Sprt(0, 5, model=model)
    LL, LD, even, WD, WW = cells  # noqa: N806
    llrs = [sprt.llr(Pentanomial(LL, LD, even - i, WD + i, WW)) for i in range(0, 20, 5)]
    assert all(before < after for before, after in pairwise(llrs))


def test_hypothesis_at_the_sample_itself_costs_nothing() -> None:
    """At the sample's own score the likelihood is at its maximum: LLR to any other is positive."""
    counts = Pentanomial(100, 300, 500, 350, 120)
    elo = 400 * math.log10(counts.points / (counts.games - counts.points))
    assert Sprt(elo - 5, elo, model=EloModel.LOGISTIC).llr(counts) > 0
    assert Sprt(elo, elo + 5, model=EloModel.LOGISTIC).llr(counts) < 0


def test_pair_counts_and_their_pentanomial_agree() -> None:
    pairs = PairCounts(LL=3, LD=12, WL=15, DD=25, WD=18, WW=4)
    assert Sprt(0, 10).llr(pairs) == Sprt(0, 10).llr(Pentanomial(*pairs.pentanomial))


def test_one_update_takes_less_than_a_millisecond() -> None:
    counts, sprt = Pentanomial(10789, 19328, 33806, 19402, 10543), Sprt(0, 10)
    best = min(
        timeit.repeat(lambda: sprt.remaining(counts), timer=process_time, number=10, repeat=20)
    )
    assert best / 10 < 1e-3


def test_bounds_and_verdict() -> None:
    sprt = Sprt(0, 10, alpha=0.05, beta=0.1)
    lower, upper = sprt.bounds
    assert lower == pytest.approx(math.log(0.1 / 0.95))
    assert upper == pytest.approx(math.log(0.9 / 0.05))
    assert sprt.verdict(lower) is Verdict.KEEP
    assert sprt.verdict(math.nextafter(lower, 0)) is Verdict.UNDECIDED
    assert sprt.verdict(math.nextafter(upper, 0)) is Verdict.UNDECIDED
    assert sprt.verdict(upper) is Verdict.PROMOTE
    assert [sprt.progress(llr) for llr in (lower, 0.0, upper)] == [-1.0, 0.0, 1.0]
    assert [verdict.value for verdict in Verdict] == ["promote", "keep", "undecided"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"elo0": 5, "elo1": 0}, "elo0 is 5 and elo1 is 0: elo0 must be the smaller"),
        ({"elo0": 5, "elo1": 5}, "elo0 must be the smaller"),
        ({"elo0": 0, "elo1": 1000}, r"elo1 is 1000: it must be within \+-600 Elo"),
        ({"elo0": math.nan, "elo1": 5}, "elo0 is nan"),
        ({"elo0": 0, "elo1": 1e-200}, "elo1 is 1e-200: they must be at least 0.01 Elo apart"),
        ({"elo0": 5, "elo1": 5.0099}, "at least 0.01 Elo apart"),
        ({"elo0": 0, "elo1": 5, "alpha": 0}, "alpha is 0: it must be within"),
        ({"elo0": 0, "elo1": 5, "alpha": 1e-320}, r"alpha is 1e-320: it must be within \[1e-09"),
        ({"elo0": 0, "elo1": 5, "beta": 9e-10}, r"beta is 9e-10: it must be within \[1e-09"),
        ({"elo0": 0, "elo1": 5, "beta": math.nan}, "beta is nan"),
        ({"elo0": 0, "elo1": 5, "beta": 1}, "beta is 1: it must be within"),
        ({"elo0": 0, "elo1": 5, "alpha": 0.5, "beta": 0.495}, "more than 0.99"),
        ({"elo0": 0, "elo1": 5, "model": "BayesElo"}, "one of normalized, logistic, bayesian"),
    ],
)
def test_bounds_that_make_no_test(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Sprt(**arguments)


def test_the_narrowest_and_the_surest_test() -> None:
    for elo0 in (-600.0, 0.0, 5.0, 599.99):
        sprt = Sprt(elo0, elo0 + 0.01, alpha=1e-9, beta=1e-9)
        assert sprt.bounds == pytest.approx((-math.log(1e9), math.log(1e9)))
        assert math.isfinite(sprt.llr(Pentanomial(1, 2, 3, 4, 5)))


def planned_moments(draw_ratio: float, rms_bias_elo: float, score: float) -> Moments:
    """What sprt.js assumes of a game: variance (1 - draws) / 4 less the bias squared."""
    variance = (1 - draw_ratio) / 4 - (score_of_elo(rms_bias_elo) - 0.5) ** 2
    return Moments(1, score, variance, 0, 0, games_each=1)


def test_forecast_vectors(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if (v["kind"], v["system"]) == ("expected_length", "fishtest")]
    assert chosen
    for vector in chosen:
        given, output = vector["input"], vector["output"]
        moments = planned_moments(
            given["draw_ratio"], given["rms_bias_elo"], score_of_elo(given["true_logistic_elo"])
        )
        forecast = sprt_of(vector).forecast(moments)
        assert forecast is not None
        assert forecast.pass_probability == pytest.approx(output["pass_prob"], rel=1e-9)
        # Half-way between the bounds sprt.js cancels eight digits; ours is right to the last.
        assert 2 * forecast.pairs == pytest.approx(output["expected_games"], rel=1e-8)


def biased_law(elo: float, given: dict[str, Any]) -> PairLaw:
    """Of a pair by BayesElo, from openings that have each of the biases equally often."""
    law, biases = [0.0] * 5, given["biases_bayeselo"]
    for bias in biases:
        games = (BayesElo(elo + b, given["draw_elo"]).law for b in (bias, -bias))
        for (i, first), (j, second) in itertools.product(*map(enumerate, games)):
            law[i + j] += first * second / len(biases)
    ll, ld, level, wd, ww = law
    return ll, ld, level, wd, ww


def mean_of(law: PairLaw) -> float:
    return math.fsum(p * score for p, score in zip(law, PAIR_SCORES, strict=True))


def test_random_walk_vectors(vectors: list[dict[str, Any]]) -> None:
    """Wald's identity with what a pair really adds to the LLR: vdbergh's ``sprta5.py``.

    A walk of steps X, with E[e^(hX)] = 1 for an h that is not 0, passes the upper bound b before
    the lower a with chance (1 - e^(ha)) / (e^(hb) - e^(ha)), overshoot left out of account. The
    program makes scores of normalized bounds by the deviation between equals. Its trinomial mode
    plays a test that takes the games of a pair for independent: both bounds are nearer by the
    ratio of the variances.
    """
    system = "vdbergh-pentanomial"
    chosen = [v for v in vectors if (v["kind"], v["system"]) == ("expected_length", system)]
    assert chosen
    for vector in chosen:
        given, output = vector["input"], vector["output"]
        equals = biased_law(0.0, given)
        assert equals == pytest.approx(output["probs5_at_0"], rel=1e-12)
        deviation = math.sqrt(
            2.0 * math.fsum(p * (x - 0.5) ** 2 for p, x in zip(equals, PAIR_SCORES, strict=True))
        )
        elo0, elo1, true = (
            elo_of_score(0.5 + given[name] / NELO_PER_DEVIATION * deviation)
            if given["model"] == "normalized"
            else given[name]
            for name in ("elo0", "elo1", "true_elo")
        )
        target = score_of_elo(true)
        bayes = brentq(lambda x: mean_of(biased_law(x, given)) - target, -500, 500, xtol=1e-12)  # noqa: B023
        law = biased_law(bayes, given)
        sprt = Sprt(elo0, elo1, given["alpha"], given["beta"], EloModel.LOGISTIC)
        steps = log_likelihood_ratios(sprt, law)
        ratio = output["var5_over_var3"] if given["mode"] == "trinomial" else 1.0
        lower, upper = (bound / ratio for bound in sprt.bounds)
        drift = math.fsum(p * step for p, step in zip(law, steps, strict=True))
        ends = (-5.0, -0.1) if drift > 0.0 else (0.1, 5.0)
        h = brentq(lambda x: float(np.exp(x * np.array(steps)) @ law) - 1.0, *ends, xtol=1e-14)  # noqa: B023
        passed = -math.expm1(h * lower) / (math.exp(h * upper) - math.exp(h * lower))
        pairs = (passed * upper + (1.0 - passed) * lower) / drift
        assert passed == pytest.approx(output["pass_prob"], rel=1e-7), vector["id"]
        assert 2.0 * pairs == pytest.approx(output["expected_games"], rel=1e-8), vector["id"]


def test_forecast_at_the_bounds_is_the_error_rates() -> None:
    sprt = Sprt(0, 10, alpha=0.03, beta=0.1, model=EloModel.LOGISTIC)
    passed = []
    for elo in (0, 10):
        forecast = sprt.forecast(planned_moments(0.5, 0, score_of_elo(elo)))
        assert forecast is not None
        passed.append(forecast.pass_probability)
    assert passed == pytest.approx([0.03, 0.9])


@given(st.floats(-100, 100), st.floats(-2.9, 2.9))
def test_forecast_is_continuous_and_within_reason(elo: float, llr: float) -> None:
    sprt = Sprt(-10, 10, model=EloModel.LOGISTIC)
    here, near = (
        sprt.forecast(planned_moments(0.5, 0, score_of_elo(e)), llr) for e in (elo, elo + 1e-6)
    )
    assert here is not None
    assert near is not None
    assert 0.0 <= here.pass_probability <= 1.0
    assert here.pairs > 0.0
    assert near.pass_probability == pytest.approx(here.pass_probability, abs=1e-5)
    assert near.pairs == pytest.approx(here.pairs, rel=1e-5)


def test_remaining_pairs() -> None:
    sprt = Sprt(0, 10)
    running = sprt.remaining(Pentanomial(11, 240, 560, 297, 14))
    assert running is not None
    assert running.pass_probability > 0.99
    assert 100 < running.pairs < 400
    decided = sprt.remaining(Pentanomial(11, 240, 560, 397, 14))
    assert decided is not None
    assert (decided.pass_probability, decided.pairs) == (1.0, 0.0)


@pytest.mark.parametrize("counts", [Pentanomial(), Pentanomial(WL_DD=50), Pentanomial(WW=3)])
def test_nothing_can_be_foretold_from_one_kind_of_result(counts: Pentanomial) -> None:
    assert Sprt(0, 10).remaining(counts) is None
