"""A match: pairs are issued, played, refereed, written, counted in the order of issue, judged.

Why the order of issue: with many games in flight the short ones finish first, and if wins are
shorter than losses a test that counts whatever is finished promotes by speed. A nominal error of
5 % becomes 37 to 100 % with 256 pairs in flight. So only the pairs from number 0 on without a gap
count, each is put to the test by itself, and the first to cross a bound decides; what was finished
behind it is in the ledger and counts for nothing.

A pair one of whose games was played before, move for move, brings no news and is not counted:
statistics take pairs for independent, and one game told twice is not two.

Counts and verdict hence depend on the games alone: not on how many are in flight, in which order
they end, or how often the match was interrupted. The games depend on nothing else either; with
torch up to float rounding, as its last digits vary with the batch that a position is evaluated in.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, Self

from arena.adjudication_rules import NO_RULES, AdjudicationRules
from arena.books import AnyBook, Dealing
from arena.config import DEFAULT_DELTA, MatchConfig, Part, SearchParams
from arena.external import Fault
from arena.faults import VoidPair, note_void, too_many_void
from arena.game import GameRecord, GameTask, Opening, PairRecord, game_seed
from arena.judgement import Judgement, Repeats
from arena.ledger import Ledger
from arena.match_file import (
    BookIdentity,
    EngineIdentity,
    MatchIdentity,
    PlayerIdentity,
    TablesIdentity,
)
from arena.openings import Deck, Sieve
from arena.referee import check_pair
from arena.sessions import now
from arena.stats.presets import preset
from arena.stats.sprt import EloModel, Method, Sprt

BASELINE, CANDIDATE = 0, 1
"""Indices of the players, as ``GameTask`` has them."""


class MatchError(ValueError):
    """A match that cannot be played: what, why, what to do."""


# --- what a match shows of itself ---


class Ending(StrEnum):
    """Why a match played no further pair."""

    DECIDED = "decided"
    LIMIT = "limit"
    PART = "part"  # all pairs of the part that was asked for are there, though not of the match
    INTERRUPTED = "interrupted"
    FAULTS = "faults"  # so many pairs were void that nothing good comes of playing on


@dataclass(frozen=True, slots=True)
class MatchState:
    """A match at one moment. ``games``, ``plies`` and ``seconds`` are since it was started last."""

    judgement: Judgement
    finished: int  # pairs in the ledger, counted or not
    resumed: int  # pairs that were in the ledger at the start
    games: int = 0  # those of unfinished pairs included
    plies: int = 0  # without those of the openings
    seconds: float = 0.0
    void: int = 0  # times that a pair has to be played again, since the start
    part: Part | None = None  # None: all of the match is played
    part_left: int = 0  # pairs of the part that are not finished

    @property
    def progress(self) -> int:
        """Pairs that are done with: put to the test, or of a part, finished."""
        return self.judgement.seen if self.part is None else self.finished

    @property
    def left(self) -> int:
        """Pairs that may still have to be played."""
        if self.part is not None:
            return self.part_left
        return 0 if self.judgement.settled else self.judgement.limit - self.judgement.seen

    @property
    def beyond(self) -> int:
        """Finished pairs that do not count: behind a pair still being played, or the verdict."""
        return self.finished - self.judgement.seen


@dataclass(frozen=True, slots=True)
class MatchOutcome:
    """How a match ended, for now or for good."""

    state: MatchState
    ending: Ending


class MatchObserver(Protocol):
    """Whoever shows a match. All calls come from the thread that called ``run_match``."""

    def started(self, state: MatchState) -> None:
        """Show the match before its first game, or that there is none left to play."""

    def pair_counted(self, state: MatchState) -> None:
        """Show the match after the next pair in the order of issue was put to the test.

        Of a part of a match also after a pair that cannot be put to it yet.
        """

    def finished(self, outcome: MatchOutcome) -> None:
        """Show how the match ended; no game is being played any more."""


# --- the match ---


class PlaysGames(Protocol):
    """What plays: ``arena.search.BatchedSearch``, or a script in its place."""

    @property
    def lanes(self) -> int:
        """Groups of games that are played side by side."""

    def play(
        self, tasks: Sequence[Iterator[GameTask]], /
    ) -> Iterator[tuple[GameTask, GameRecord | Fault]]:
        """Play each lane's tasks, taken in order as games end; yield games in whatever order."""


def match_identity(
    config: MatchConfig,
    nets: Sequence[PlayerIdentity],
    book: AnyBook,
    evaluator: str = "net",
    tables: TablesIdentity | None = None,
) -> MatchIdentity:
    """Put together all that decides a match: match.toml.

    ``nets``: baseline, candidate. ``evaluator`` names the stand-in that plays for the nets, if any.
    Raises MatchError where both are the same under the same settings, or the bounds make no test.
    """
    baseline, candidate = (_without_the_match_s(net, config.search) for net in nets)
    if baseline.key == candidate.key:
        kind = "engine" if isinstance(baseline, EngineIdentity) else "net"
        raise MatchError(
            f"{baseline.name} and {candidate.name} are the same {kind} (sha256 "
            f"{baseline.sha256[:12]}...)\nIt has no strength relative to itself: name another one, "
            "or give one of them settings of its own."
        )
    return MatchIdentity(
        nets=(baseline, candidate),
        evaluator=evaluator,
        dtype=config.dtype,
        search=config.search,
        sprt=sprt_of(config),
        pairs=config.pairs,
        openings=_book_identity(config, book),
        seed=config.seed,
        tables=tables,
        adjudication=_rules_of(config.adjudication),
    )


def _rules_of(rules: AdjudicationRules) -> AdjudicationRules:
    """The rules without an audit that has nothing to look at."""
    return rules if rules.foretell else replace(rules, audit=NO_RULES.audit)


def _without_the_match_s(player: PlayerIdentity, search: SearchParams) -> PlayerIdentity:
    """A player without settings of its own that are the match's anyway."""
    if isinstance(player, EngineIdentity) or not player.own:
        return player
    own = tuple((name, value) for name, value in player.own if value != getattr(search, name))
    return replace(player, own=own)


def _book_identity(config: MatchConfig, book: AnyBook) -> BookIdentity:
    least, most = config.opening_filter or (0.0, 1.0)
    return BookIdentity(
        book.path.name,
        book.sha256,
        len(book),
        config.order,
        plies=config.plies or 0,
        start=config.start,
        least_q=least,
        most_q=most,
    )


def sprt_of(config: MatchConfig) -> Sprt | None:
    """Return a match's test, None for one without. Raises MatchError for bounds that make none."""
    if config.preset is None and config.sprt is None:
        return None
    method = Method.GSPRT
    if config.certified:
        method = Method.CERTIFIED
    elif config.overshoot:
        method = Method.OVERSHOOT
    name = "sprt" if config.preset is None else "preset"
    try:
        bounds = config.sprt
        if config.preset is not None:
            asked = preset(config.preset, config.delta or DEFAULT_DELTA)
            bounds = asked.elo0, asked.elo1
        assert bounds is not None  # or there is no test
        return Sprt(*bounds, config.alpha, config.beta, EloModel(config.sprt_model), method)
    except ValueError as error:
        raise MatchError(f"--{name}: {error}") from None


def deck_of(
    identity: MatchIdentity,
    book: AnyBook,
    sieve: Sieve | None = None,
    novices: Sequence[str] = (),
) -> Deck:
    """Return the openings of a match's pairs, in the order that its seed gives.

    ``sieve`` is the filter of openings, if one was asked for, and ``novices`` are the players that
    cannot play Chess960.
    """
    chosen = identity.openings
    dealing = Dealing(chosen.order, identity.seed, chosen.plies or None, chosen.start)
    return Deck(book, dealing, sieve, novices)


def run_match(
    ledger: Ledger,
    deck: Deck,
    games: PlaysGames,
    observer: MatchObserver,
    stop: threading.Event | None = None,
    part: Part | None = None,
) -> MatchOutcome:
    """Play the pairs that the ledger lacks, until the match is settled or interrupted.

    ``part``: the pairs to play are among these only. As a rule a part decides nothing by itself,
    since pairs count in the order of issue; ``arena.merge`` puts parts together.

    An interrupt (KeyboardInterrupt, or ``stop``, which is looked at whenever a game ends) drops the
    games that are being played and the halves of pairs; the same call goes on later. A match that
    was settled before plays nothing and has the same outcome.

    A pair in which harness or machine failed is void: it is noted in faults.jsonl and played again
    from the same seeds. Where too many are, the match stops.

    Raises OpeningError where the book is too small (before any game) or an opening of it cannot be
    played from (within seconds, whichever pair's it is), RefereeError for a game that breaks the
    rules, LedgerError where a pair cannot be written. The ledger still holds every pair before.
    """
    match = _RunningMatch(ledger, observer, part)
    missing = match.missing()
    if missing:
        deck.require(ledger.identity.pairs)
    observer.started(match.state())
    if missing:
        with _Dealer(deck, missing[-1]) as openings, suppress(KeyboardInterrupt):
            match.play(games, missing, openings, stop or threading.Event())
    return match.finish()


class _RunningMatch:
    """The state of ``run_match``."""

    def __init__(self, ledger: Ledger, observer: MatchObserver, part: Part | None):
        self._part = part
        self._ledger = ledger
        self._observer = observer
        self._began = time.monotonic()
        self._resumed = len(ledger.results)
        self._games = self._plies = 0
        self._halves: dict[int, GameRecord | Fault] = {}
        self._again: deque[int] = deque()  # void pairs, for the lane that is free first
        self._void = 0
        identity = ledger.identity
        self._repeats = Repeats()
        raised = bool(identity.earlier_limits)
        self._judgement = Judgement.start(identity.sprt, identity.pairs, raised=raised)
        while self._next_counts():
            pass
        self._left = len(self.missing())

    def state(self) -> MatchState:
        return MatchState(
            self._judgement,
            len(self._ledger.results),
            self._resumed,
            self._games,
            self._plies,
            time.monotonic() - self._began,
            self._void,
            self._part,
            self._left if self._part else 0,
        )

    def missing(self) -> list[int]:
        """Return the numbers of the pairs that may have to be played."""
        if self._judgement.settled:
            return []
        limit = self._ledger.identity.pairs
        numbers = self._part.numbers(limit) if self._part else range(limit)
        return [number for number in numbers if number not in self._ledger.results]

    def play(
        self,
        games: PlaysGames,
        numbers: Sequence[int],
        openings: _Dealer,
        stop: threading.Event,
    ) -> None:
        """Play until the match is settled or stopped."""
        # Each lane has its own numbers from the start, not the next one free: what is evaluated
        # together in a lane then does not depend on how fast the other one is.
        seed = self._ledger.identity.seed
        own: list[Sequence[int]] = [numbers[lane :: games.lanes] for lane in range(games.lanes)]
        while self._play(games, [_Tasks(mine, self._again, openings, seed) for mine in own], stop):
            if not self._again and self._left:
                raise MatchError("the players stopped before the match was settled")
            if not self._again:  # a part has all its pairs
                return
            own = [()] * games.lanes  # the last pairs were void

    def _play(self, games: PlaysGames, lanes: Sequence[_Tasks], stop: threading.Event) -> bool:
        """Play the lanes' tasks; returns whether that was all and the match could still go on."""
        finished = games.play(lanes)
        try:
            for task, outcome in finished:
                if stop.is_set():
                    return False
                self._take(task, outcome)
                if self._judgement.settled or self._broken:
                    return False
        finally:
            if isinstance(finished, Generator):
                finished.close()
        return True

    @property
    def _broken(self) -> bool:
        return too_many_void(self._void, len(self._ledger.results) - self._resumed)

    def _take(self, task: GameTask, outcome: GameRecord | Fault) -> None:
        """Note a finished game; with the other one of its pair, write and count the pair.

        A pair with a fault is played again, once both of its games are over.
        """
        other = self._halves.pop(task.pair, None)
        if isinstance(outcome, Fault):
            if not isinstance(other, Fault):
                self._note(task, outcome)
        else:
            self._games += 1
            self._plies += len(outcome.moves)
        if other is None:
            self._halves[task.pair] = outcome
        elif isinstance(outcome, Fault) or isinstance(other, Fault):
            self._again.append(task.pair)
        else:
            both = (outcome, other) if outcome.candidate_white else (other, outcome)
            pair = PairRecord(task.pair, task.opening, both)
            check_pair(pair)
            self._ledger.append(pair)
            self._left -= 1
            if not self.count() and self._part:
                self._observer.pair_counted(self.state())

    def _note(self, task: GameTask, fault: Fault) -> None:
        """Write down that a pair is void."""
        self._void += 1
        game = 1 if task.candidate_white else 2
        try:
            note_void(self._ledger.folder, VoidPair(task.pair, game, fault.what, now()))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MatchError(
                f"{error.filename}: cannot note that pair {task.pair} is void: {reason}\n"
                f"({fault.what}) Make room, then give the same command again to go on."
            ) from error

    def count(self) -> bool:
        """Count every pair in the ledger that is next in the order of issue; whether any was."""
        counted = False
        while self._next_counts():
            counted = True
            self._observer.pair_counted(self.state())
        return counted

    def _next_counts(self) -> bool:
        """Judge the next pair in the order of issue, if it is there and anything is open."""
        result = self._ledger.results.get(self._judgement.seen)
        if self._judgement.settled or result is None:
            return False
        self._judgement = self._judgement.then(self._repeats.points_of(result))
        return True

    def finish(self) -> MatchOutcome:
        """Return the outcome, having shown it."""
        self.count()  # an interrupt may have come between the ledger and the count
        if self._judgement.decided_at is not None:
            ending = Ending.DECIDED
        elif self._judgement.settled:
            ending = Ending.LIMIT
        else:
            ending = Ending.FAULTS if self._broken else Ending.INTERRUPTED
            if self._part and not self.missing():
                ending = Ending.PART
        outcome = MatchOutcome(self.state(), ending)
        self._observer.finished(outcome)
        return outcome


class _Dealer:
    """Deals the openings of all pairs in a thread of its own, well ahead of their games.

    Thousands of them take seconds to parse, which no match should begin with; but a broken one, or
    a book that runs out, should not end a match that has run for a night either.
    """

    def __init__(self, deck: Deck, last: int):
        self._deck = deck
        self._last = last
        self._dealt: list[Opening] = []
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._deal, name="openings", daemon=True)

    def opening(self, number: int) -> Opening:
        """Return a pair's opening, when it is dealt; from any thread."""
        with self._changed:
            self._changed.wait_for(lambda: number < len(self._dealt) or self._error)
        if self._error:  # of this opening, or of one that would be needed in an hour
            raise self._error
        return self._dealt[number]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()

    def _deal(self) -> None:
        try:
            for number in range(self._last + 1):
                if self._stopped:
                    return
                opening = self._deck.opening(number)
                with self._changed:
                    self._dealt.append(opening)
                    self._changed.notify_all()
        except Exception as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()


class _Tasks:
    """Both games of each pair, the candidate with white first: an iterator that may go on.

    Pairs that have to be played again come before the others, and also after they are used up.
    """

    def __init__(
        self, numbers: Iterable[int], again: deque[int], openings: _Dealer, seed: int
    ) -> None:
        self._numbers = iter(numbers)
        self._again = again
        self._openings = openings
        self._seed = seed
        self._second: GameTask | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> GameTask:
        if (waiting := self._second) is not None:
            self._second = None
            return waiting
        try:
            number = self._again.popleft()
        except IndexError:
            number = next(self._numbers)
        opening = self._openings.opening(number)
        first, other = (game_seed(self._seed, 2 * number + game) for game in range(2))
        self._second = GameTask(number, False, opening, white=BASELINE, black=CANDIDATE, seed=other)
        return GameTask(number, True, opening, white=CANDIDATE, black=BASELINE, seed=first)
