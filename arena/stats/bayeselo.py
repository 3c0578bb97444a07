"""BayesElo: strength and draw rate as two numbers of one law, for single games only.

Why it is still here: cutechess, leela-zero and older fishtest tests state their bounds in it. A
game is won with the chance that logistic Elo gives at ``elo - draw_elo`` and lost with that at
``-elo - draw_elo``, so the same bound means less the more games are drawn. The draw Elo is always
the sample's own. Pairs by score alone cannot tell it: a pair of one point is WL or DD.

The test itself is ``EloModel.BAYESIAN`` of arena.stats.sprt: bounds become scores, the rest is the
logistic GSPRT, as in fishtest and fastchess. ``plain_llr`` is the older test of a law against a
law, to reproduce what other programs print.

Source: R. Coulom, "Bayeselo", https://www.remi-coulom.fr/Bayesian-Elo/; fishtest
``stat_util.py:71-117, 157-165, 240-247``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from arena.stats.elo import ELO_PER_DECADE, score_of_elo
from arena.stats.pentanomial import GameCounts, Outcomes, PairCounts


@dataclass(frozen=True, slots=True)
class BayesElo:
    """A law of one game: the candidate's strength and how much the draw is worth, both in Elo."""

    elo: float
    draw_elo: float

    @property
    def law(self) -> tuple[float, float, float]:
        """Chances of a loss, a draw and a win."""
        win = score_of_elo(self.elo - self.draw_elo)
        loss = score_of_elo(-self.elo - self.draw_elo)
        # 1 - win - loss, written so that a small chance of a draw keeps all its digits
        draw = win * loss * math.expm1(2.0 * self.draw_elo * math.log(10.0) / ELO_PER_DECADE)
        return loss, draw, win

    @property
    def log_law(self) -> tuple[float, float, float]:
        """Natural logarithms of ``law``, finite however small a chance is; ``draw_elo`` above 0."""
        nat = math.log(10.0) / ELO_PER_DECADE
        win = -_softplus((self.draw_elo - self.elo) * nat)
        loss = -_softplus((self.draw_elo + self.elo) * nat)
        return loss, win + loss + math.log(math.expm1(2.0 * self.draw_elo * nat)), win

    @property
    def score(self) -> float:
        """Expected score in (0, 1)."""
        loss, _, win = self.law
        return 0.5 + (win - loss) / 2.0

    @property
    def scale(self) -> float:
        """Logistic Elo per BayesElo of a small difference, in (0, 1]: cutechess ``sprt.cpp:85-89``.

        4 x / (1 + x)^2 with x = 10^(-draw_elo / 400).
        """
        share = score_of_elo(self.draw_elo)
        return 4.0 * share * (1.0 - share)


def bayes_elo(games: GameCounts) -> BayesElo:
    """Return the law whose chances are the shares of the games; zero counts are taken as 0.001."""
    losses, draws, wins = games.regularised()
    return _bayes_elo(losses, draws, wins)


def sample_draw_elo(counts: Outcomes) -> float:
    """Return the draw Elo of the games in ``counts``, finite whatever they are.

    With pairs it is that of their single games. ValueError for pairs of which only the score is
    known. Zero counts are taken as 0.001: fishtest ``stat_util.py`` (fastchess sets its LLR to 0
    while no game was won or none lost).
    """
    if isinstance(counts, PairCounts):
        return bayes_elo(counts.single_games).draw_elo
    if isinstance(counts, GameCounts):
        return bayes_elo(counts).draw_elo
    raise ValueError(
        "BayesElo needs the share of drawn games, and pairs of one point may be drawn or shared\n"
        "Give wins, draws and losses of single games, or use normalized or logistic Elo."
    )


@dataclass(frozen=True, slots=True)
class PlainTest:
    """What a program's plain LLR does where the definition leaves a choice.

    ``prior``: games added to each of losses, draws and wins. ``scaled``: the bounds are divided by
    the law's ``scale``, so that they are nearly logistic Elo.
    """

    prior: float = 0.0
    scaled: bool = False


OPENBENCH = PlainTest()
"""OpenBench ``stats.py:33-50, 91-100``; also fishtest's ``LLRlegacy``."""

CUTECHESS = PlainTest(prior=0.5, scaled=True)
"""cutechess ``sprt.cpp:167-201``."""

LEELA_ZERO = PlainTest(scaled=True)
"""leela-zero ``validation/SPRT.cpp:144-182``, without its shortcut for a side that never lost."""


def plain_llr(games: GameCounts, elo0: float, elo1: float, test: PlainTest = OPENBENCH) -> float:
    """Return ln(likelihood at elo1 / likelihood at elo0), both with the sample's draw Elo.

    0 while, the prior included, there is a result that was not seen: so do those programs.
    """
    counts = [n + test.prior for n in games.counts]
    if not all(counts):
        return 0.0
    sample = _bayes_elo(*counts)
    unit = 1.0 / sample.scale if test.scaled else 1.0
    at_elo0, at_elo1 = (BayesElo(elo * unit, sample.draw_elo).log_law for elo in (elo0, elo1))
    return math.fsum(n * (q - p) for n, p, q in zip(counts, at_elo0, at_elo1, strict=True))


def _softplus(x: float) -> float:
    """ln(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _bayes_elo(losses: float, draws: float, wins: float) -> BayesElo:
    """Invert ``BayesElo.law``; all counts positive."""
    half_decade = ELO_PER_DECADE / 2.0
    not_lost, not_won = (draws + wins) / losses, (draws + losses) / wins
    return BayesElo(
        elo=half_decade * (math.log10(not_lost) - math.log10(not_won)),
        draw_elo=half_decade * (math.log10(not_lost) + math.log10(not_won)),
    )
