from __future__ import annotations

import math

import numpy as np
import pytest

from arena.simulation.anytime import watch
from arena.simulation.draws import outcome, run_keys, thresholds
from arena.simulation.in_flight import Schedule, play_in_flight
from arena.simulation.matches import law_at, play
from arena.simulation.sequential import KEEP, PROMOTE, Rule, advance, decision, new_state
from arena.stats.betting import BettingTest
from arena.stats.confidence import confidence_sequence
from arena.stats.outcomes import PAIR_SCORES, BayesElo
from arena.stats.overshoot import Overshoot
from arena.stats.pentanomial import Pentanomial
from arena.stats.sprt import EloModel, Sprt, Verdict

MODELS = [EloModel.LOGISTIC, EloModel.NORMALIZED]
BOOKS = {"20": BayesElo(0.2), "85": BayesElo(0.85), "unbalanced": BayesElo(0.49, 191.0)}
AS_VERDICT = {KEEP: Verdict.KEEP, PROMOTE: Verdict.PROMOTE}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rule", [Rule.PLAIN, Rule.OVERSHOOT])
@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize(("elo0", "elo1", "runs"), [(0, 80, 400), (-10, 15, 60), (0, 5, 4)])
def test_looking_seldom_finds_what_looking_each_time_finds(
    model: EloModel, rule: Rule, book: str, elo0: float, elo1: float, runs: int
) -> None:
    test, keys = Sprt(elo0, elo1, model=model), run_keys(11, runs=runs)
    law = law_at(BOOKS[book], elo0, model)
    seldom = play(decision(test, rule), law, keys)
    always = play(decision(test, rule, skips=False), law, keys)
    assert np.array_equal(seldom.verdicts, always.verdicts)
    assert np.array_equal(seldom.counts, always.counts)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("corrected", [False, True])
def test_a_match_ends_as_the_statistics_say(model: EloModel, corrected: bool) -> None:
    """Pair by pair with arena.stats, on the same results."""
    test, keys = Sprt(0, 60, model=model), run_keys(12, runs=6)
    law = law_at(BayesElo(0.5), 30, model)
    ends = play(decision(test, Rule.OVERSHOOT if corrected else Rule.PLAIN), law, keys)
    for key, verdict, counts in zip(keys, ends.verdicts, ends.counts, strict=True):
        seen, overshoot, said = np.zeros(5, int), Overshoot(), Verdict.UNDECIDED
        for pair in range(counts.sum()):
            assert said is Verdict.UNDECIDED
            seen[outcome(key, pair, thresholds(law))] += 1
            ratio = test.llr(Pentanomial(*seen))
            said = test.verdict(ratio)
            if corrected:
                overshoot = overshoot.then(ratio)
                lower, upper = overshoot.bounds(*test.bounds)
                said = Verdict.KEEP if ratio < lower else Verdict.UNDECIDED
                said = Verdict.PROMOTE if ratio > upper else said
        assert said is AS_VERDICT[verdict]
        assert np.array_equal(seen, counts)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("elo0", "elo1"), [(0, 60), (-30, 20), (5, 30), (-40, -5)])
def test_the_gamblers_are_those_of_the_statistics(
    model: EloModel, elo0: float, elo1: float
) -> None:
    test = Sprt(elo0, elo1, model=model)
    law = law_at(BayesElo(0.5), (elo0 + elo1) / 2, model)
    compiled, state, expected = decision(test, Rule.CERTIFIED), new_state(), BettingTest.start(test)
    key = run_keys(13, runs=1)[0]
    for pair in range(600):
        result = outcome(key, pair, thresholds(law))
        verdict = advance(compiled, state, result)
        expected = expected.then(result / 4)
        for capitals, gambler in zip(state.capitals, expected.against, strict=True):
            found = np.log(capitals[: len(gambler.log_capitals)])
            assert found == pytest.approx(gambler.log_capitals, abs=1e-10)
        assert AS_VERDICT.get(verdict, Verdict.UNDECIDED) is expected.verdict
        if verdict:
            break


@pytest.mark.parametrize(
    ("rule", "errors", "pairs"),
    # SPRT(0, 35), logistic, 50 % draws, at elo0: 50,000 runs of other code
    [(Rule.PLAIN, 0.0493, 136.0), (Rule.OVERSHOOT, 0.0538, 131.0)],
)
def test_a_known_cell_comes_out(rule: Rule, errors: float, pairs: float) -> None:
    test, runs = Sprt(0, 35, model=EloModel.LOGISTIC), 5000
    law = law_at(BayesElo(0.5), 0, EloModel.LOGISTIC)
    ends = play(decision(test, rule), law, run_keys(14, runs=runs))
    assert ends.passed == pytest.approx(errors, abs=4 * math.sqrt(errors / runs))
    assert ends.passed + ends.kept == 1.0
    assert ends.mean_pairs == pytest.approx(pairs, abs=4 * ends.mean_pairs_error + 0.5)


def test_a_certified_test_errs_less_than_it_may() -> None:
    test = Sprt(0, 80)
    for truth, right in ((0, KEEP), (80, PROMOTE)):
        law = law_at(BayesElo(0.2), truth, test.model)
        ends = play(decision(test, Rule.CERTIFIED), law, run_keys(15, runs=5000))
        wrong = float(np.mean(ends.verdicts != right))
        assert 0.01 < wrong < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 5000)


def test_a_match_can_be_cut_short() -> None:
    law = law_at(BayesElo(0.5), 0, EloModel.NORMALIZED)
    ends = play(decision(Sprt(0, 5), Rule.PLAIN), law, run_keys(16, runs=5), most_pairs=30)
    assert ends.pairs.tolist() == [30] * 5
    assert ends.passed == ends.kept == 0.0


# Pairs in flight

TEST = Sprt(0, 35, model=EloModel.LOGISTIC)


@pytest.mark.parametrize("rule", Rule)
def test_in_issue_order_nothing_depends_on_lanes_and_durations(rule: Rule) -> None:
    law, keys = law_at(BayesElo(0.5), 0, TEST.model), run_keys(17, runs=100)
    expected = play(decision(TEST, rule), law, keys)
    for lanes, spread in ((1, 0.4), (7, -0.4), (256, 0.4)):
        ends, issued = play_in_flight(
            decision(TEST, rule), law, Schedule(lanes, spread, False), keys
        )
        assert np.array_equal(ends.verdicts, expected.verdicts)
        assert np.array_equal(ends.counts, expected.counts)
        assert issued >= expected.mean_pairs + lanes - 1


def test_one_at_a_time_pairs_finish_as_they_are_issued() -> None:
    law, keys = law_at(BayesElo(0.5), 0, TEST.model), run_keys(18, runs=100)
    expected = play(decision(TEST, Rule.PLAIN), law, keys)
    ends, issued = play_in_flight(decision(TEST, Rule.PLAIN), law, Schedule(1, 0.4, True), keys)
    assert np.array_equal(ends.counts, expected.counts)
    assert issued == expected.mean_pairs


def test_counted_at_completion_quick_wins_promote_an_equal_net() -> None:
    law, keys = law_at(BayesElo(0.5), 0, TEST.model), run_keys(19, runs=300)
    test = decision(TEST, Rule.PLAIN)
    assert play_in_flight(test, law, Schedule(256, 0.4, True), keys)[0].passed > 0.95
    assert play_in_flight(test, law, Schedule(256, 0.1, True), keys)[0].passed > 0.2
    # Durations that say nothing of the result do no harm.
    assert play_in_flight(test, law, Schedule(256, 0.0, True), keys)[0].passed < 0.1
    assert play_in_flight(test, law, Schedule(256, 0.4, False), keys)[0].passed < 0.1


# Intervals that are watched


def test_the_sequence_is_wrong_when_its_interval_is() -> None:
    law, keys, pairs = BayesElo(0.5).law(20.0), run_keys(20, runs=25), 80
    mean = float(np.dot(law, PAIR_SCORES))
    first = watch(law, keys, pairs, confidence=0.05)  # so that it is wrong often
    expected = []
    for key in keys:
        results = [outcome(key, pair, thresholds(law)) for pair in range(pairs)]
        wrong = 0
        for n in range(1, pairs + 1):
            interval = confidence_sequence(
                Pentanomial(*np.bincount(results[:n], minlength=5)), confidence=0.05
            )
            if not interval.low <= mean <= interval.high:
                wrong = n
                break
        expected.append(wrong)
    assert first.sequence.tolist() == expected
    assert 0 in expected
    assert len(set(expected)) > 3


def test_the_usual_interval_is_wrong_sooner_or_later() -> None:
    law = BayesElo(0.5).law(0.0)
    first = watch(law, run_keys(21, runs=200), 5000)
    # measured with other code: 60 % within 5,000 pairs, looked at from the tenth on
    assert np.mean(first.naive > 0) == pytest.approx(0.60, abs=0.12)
    assert np.mean(first.sequence > 0) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert first.naive[first.naive > 0].min() >= 10
