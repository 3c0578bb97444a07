"""Games that are ended before chess ends them, by rules that the players agreed to.

A judge looks at one game after each of its moves. What the rules mean is what users of fastchess
and cutechess know, where these agree; where they do not:

* A draw needs ``movecount`` level scores of each player in a row. The row is broken by a score that
  is not level and begins anew with a capture or pawn move (fastchess app/src/matchmaking/match,
  ``DrawTracker``; cutechess's counter goes on). Both ask whether full move ``movenumber`` is done;
  fastchess takes it from the FEN, cutechess counts it from the game's first position. Here, as in
  fastchess: a book of positions and one of moves then mean the same.
* A player resigns after ``movecount`` scores in a row that are lost. With ``twosided`` the opponent
  must have had as many won ones (cutechess projects/lib/src/gameadjudicator.cpp, ``addEval``;
  fastchess's ``ResignTracker`` is content with large scores, whoever they favour).
* ``maxmoves`` counts each side's moves from the game's first position, those of the opening
  included (cutechess; fastchess leaves these out).

Scores are the movers' own, in centipawns of their expected result as lc0 shows them, or the
probabilities of its WDL; a move without one breaks every row (cutechess's ``addEval``). They are
rounded as the ledger keeps them, so that every ruling can be checked from it. Order, where several
rules would end the same game: tablebase, resignation, draw, length (fastchess).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, Protocol

import chess

from arena.adjudication_rules import AdjudicationRules, DrawRule, ResignRule
from arena.game import GameRecord, GameTask, PlayedOn, Result, Termination, game_seed
from arena.scores import centipawns, wdl

MOST_MEN = 7
"""On the board of the largest Syzygy tables that there are."""

DIGITS = 4
"""Of q and d in the ledger."""

WIN_OF: dict[bool, Result] = {chess.WHITE: "1-0", chess.BLACK: "0-1"}


class MovedGame(NamedTuple):
    """A game after a move, as its judge sees it; ``q`` and ``d`` are of the mover."""

    ply: int  # of the game from its first position, the opening's moves included, 1 after one move
    move_number: int  # the full move that was just played, as a score sheet numbers it
    white_moved: bool
    q: float  # expected result in [-1, 1]
    d: float  # draw probability in [0, 1]
    rule50: int  # plies since the last capture or pawn move, after the move
    pieces: int  # on the board, kings included
    castling: bool  # whether anybody may still castle
    evaluations: int  # by nets or from their caches, of the game until now
    board: Callable[[], chess.Board]  # made when it is asked for, without the moves before
    scored: bool = True  # whether the mover said what q and d are


class Adjudication(NamedTuple):
    """How a game is to end now."""

    result: Result
    termination: Termination


class GameJudge(Protocol):
    """Judges one game."""

    def moved(self, game: MovedGame) -> Adjudication | None:
        """Look at the game after a move; None lets it go on. Not asked where chess has ended it."""

    def record(self, game: GameRecord) -> GameRecord:
        """The record to keep of a finished game, which may have been played on for an audit."""


JudgeOf = Callable[[GameTask], GameJudge]
"""Makes the judge of a game that begins."""

Probe = Callable[[chess.Board], int | None]
"""What tablebases say of a position with its count of moves towards the 50-move rule: 1 the side to
move wins, 0 a draw (cursed wins and blessed losses are), -1 it loses, None: they do not know."""


def judges(rules: AdjudicationRules, probe: Probe | None = None) -> JudgeOf | None:
    """Return what makes a judge for each game of a match, or None where there are no rules.

    ``probe`` is asked where the rules want tablebases. Which games are played on for the audit is
    drawn by their seeds, so a match that is resumed or repeated audits the same ones.
    """
    if not rules.any:
        return None
    if rules.tablebase and probe is None:
        raise ValueError("adjudication by tablebases needs tablebases")

    def judge_of(task: GameTask) -> GameJudge:
        return RuleJudge(rules, probe, len(task.opening.moves), is_audited(task, rules.audit))

    return judge_of


def is_audited(task: GameTask, share: float) -> bool:
    """Whether a game is played on if it is adjudicated; its seed decides."""
    return game_seed(task.seed, 0, "audit") < share * 2.0**64


class RuleJudge:
    """Ends one game by the rules, or plays it on and ends it in the record.

    A game that is played on goes on until chess or ``maxmoves`` ends it: the latter would have
    ended it without the rule that is audited, too.
    """

    def __init__(
        self,
        rules: AdjudicationRules,
        probe: Probe | None = None,
        opening_plies: int = 0,
        audited: bool = False,
    ):
        self._rules = rules
        self._probe = probe if rules.tablebase else None
        self._opening_plies = opening_plies
        self._audited = audited
        self._draw = _DrawCount(rules.draw) if rules.draw else None
        self._resign = _ResignCount(rules.resign) if rules.resign else None
        self._ruling: Adjudication | None = None  # from which on the game is played on
        self._moves = self._evaluations = 0  # of the game until then
        self._last_evaluations = 0

    def moved(self, game: MovedGame) -> Adjudication | None:
        """Look at the game after a move; see GameJudge."""
        self._last_evaluations = game.evaluations
        too_long = 0 < 2 * self._rules.maxmoves <= game.ply
        if self._ruling is None and (ruling := self._foretold(game)) is not None:
            if too_long or not self._audited:
                return ruling
            self._ruling, self._moves = ruling, game.ply - self._opening_plies
            self._evaluations = game.evaluations
        return Adjudication("1/2-1/2", Termination.MAX_LENGTH) if too_long else None

    def record(self, game: GameRecord) -> GameRecord:
        """Cut a game that was played on where the rule had ended it; see GameJudge."""
        if self._ruling is None:
            return game
        end = self._moves
        return replace(
            game,
            moves=game.moves[:end],
            result=self._ruling.result,
            termination=self._ruling.termination,
            q=game.q[:end],
            d=game.d[:end],
            visits=game.visits[:end],
            remarks=game.remarks[:end],
            played_on=PlayedOn(
                game.moves[end:],
                game.result,
                game.termination,
                self._last_evaluations - self._evaluations,
            ),
            forfeit="",  # which was after the end
        )

    def _foretold(self, game: MovedGame) -> Adjudication | None:
        if (result := self._known(game)) is not None:
            return Adjudication(result, Termination.TABLEBASE)
        if self._resign is not None and self._resign.ends(game):
            return Adjudication(WIN_OF[not game.white_moved], Termination.RESIGNATION)
        if self._draw is not None and self._draw.ends(game):
            return Adjudication("1/2-1/2", Termination.DRAW_ADJUDICATION)
        return None

    def _known(self, game: MovedGame) -> Result | None:
        """What tablebases say, which hold no positions with castling rights."""
        if self._probe is None or game.pieces > MOST_MEN or game.castling:
            return None
        outcome = self._probe(game.board())
        if not outcome:
            return None if outcome is None else "1/2-1/2"
        turn = not game.white_moved
        return WIN_OF[turn if outcome > 0 else not turn]


class _DrawCount:
    """How many scores in a row have been level."""

    def __init__(self, rule: DrawRule):
        self._rule = rule
        self._row = 0

    def ends(self, game: MovedGame) -> bool:
        """Count a move; whether the game is now a draw."""
        if game.rule50 == 0:
            self._row = 0
        self._row = self._row + 1 if self._is_level(game) else 0
        done = game.move_number - game.white_moved  # full moves
        return done >= self._rule.movenumber and self._row >= 2 * self._rule.movecount

    def _is_level(self, game: MovedGame) -> bool:
        rule, q, d = self._rule, round(game.q, DIGITS), round(game.d, DIGITS)
        return (
            game.scored
            and (rule.score is None or abs(centipawns(q)) <= rule.score)
            and (rule.drawn is None or wdl(q, d).draw >= rule.drawn)
        )


class _ResignCount:
    """How many of each side's scores in a row have been lost or won."""

    def __init__(self, rule: ResignRule):
        self._rule = rule
        self._lost = {chess.WHITE: 0, chess.BLACK: 0}
        self._won = {chess.WHITE: 0, chess.BLACK: 0}

    def ends(self, game: MovedGame) -> bool:
        """Count a move; whether its side has now lost."""
        side, q, d = game.white_moved, round(game.q, DIGITS), round(game.d, DIGITS)
        self._lost[side] = self._lost[side] + 1 if game.scored and self._is_lost(q, d) else 0
        self._won[side] = self._won[side] + 1 if game.scored and self._is_lost(-q, d) else 0
        count = self._rule.movecount
        agreed = not self._rule.twosided or self._won[not side] >= count
        return self._lost[side] >= count and agreed

    def _is_lost(self, q: float, d: float) -> bool:
        rule = self._rule
        return (rule.score is None or centipawns(q) <= -rule.score) and (
            rule.lost is None or wdl(q, d).loss >= rule.lost
        )
