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
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from arena.books import AnyBook, Dealing
from arena.config import DEFAULT_DELTA, MatchConfig
from arena.external import Fault
from arena.game import GameRecord, GameTask, Opening, PairRecord, game_seed
from arena.judgement import Judgement, Repeats
from arena.ledger import Ledger
from arena.match_file import BookIdentity, MatchIdentity, NetIdentity
from arena.openings import Deck, Sieve
from arena.referee import check_pair
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
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class MatchState:
    """A match at one moment. ``games``, ``plies`` and ``seconds`` are since it was started last."""

    judgement: Judgement
    finished: int  # pairs in the ledger, counted or not
    resumed: int  # pairs that were in the ledger at the start
    games: int = 0  # those of unfinished pairs included
    plies: int = 0  # without those of the openings
    seconds: float = 0.0

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
        """Show the match after the next pair in the order of issue was put to the test."""

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
    config: MatchConfig, nets: Sequence[NetIdentity], book: AnyBook, evaluator: str = "net"
) -> MatchIdentity:
    """Put together all that decides a match: match.toml.

    ``nets``: baseline, candidate. ``evaluator`` names the stand-in that plays for the nets, if any.
    Raises MatchError where the nets are the same, or the bounds make no test.
    """
    baseline, candidate = nets
    if baseline.sha256 == candidate.sha256:
        raise MatchError(
            f"{baseline.name} and {candidate.name} are the same net (sha256 "
            f"{baseline.sha256[:12]}...)\nA net has no strength relative to itself: name another "
            "one (--nets)."
        )
    return MatchIdentity(
        nets=(baseline, candidate),
        evaluator=evaluator,
        dtype=config.dtype,
        search=config.search,
        sprt=_test_of(config),
        pairs=config.pairs,
        openings=_book_identity(config, book),
        seed=config.seed,
    )


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


def _test_of(config: MatchConfig) -> Sprt | None:
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
) -> MatchOutcome:
    """Play the pairs that the ledger lacks, until the match is settled or interrupted.

    An interrupt (KeyboardInterrupt, or ``stop``, which is looked at whenever a game ends) drops the
    games that are being played and the halves of pairs; the same call goes on later. A match that
    was settled before plays nothing and has the same outcome.

    Raises OpeningError where the book is too small (before any game) or an opening of it cannot be
    played from (within seconds, whichever pair's it is), RefereeError for a game that breaks the
    rules, LedgerError where a pair cannot be written. The ledger still holds every pair before.
    """
    match = _RunningMatch(ledger, observer)
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

    def __init__(self, ledger: Ledger, observer: MatchObserver):
        self._ledger = ledger
        self._observer = observer
        self._began = time.monotonic()
        self._resumed = len(ledger.results)
        self._games = self._plies = 0
        self._halves: dict[int, GameRecord] = {}
        identity = ledger.identity
        self._repeats = Repeats()
        self._judgement = Judgement.start(identity.sprt, identity.pairs)
        while self._next_counts():
            pass

    def state(self) -> MatchState:
        return MatchState(
            self._judgement,
            len(self._ledger.results),
            self._resumed,
            self._games,
            self._plies,
            time.monotonic() - self._began,
        )

    def missing(self) -> list[int]:
        """Return the numbers of the pairs that may have to be played."""
        if self._judgement.settled:
            return []
        limit = self._ledger.identity.pairs
        return [number for number in range(limit) if number not in self._ledger.results]

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
        lanes = [
            _tasks(numbers[lane :: games.lanes], openings, seed) for lane in range(games.lanes)
        ]
        finished = games.play(lanes)
        try:
            for task, record in finished:
                if stop.is_set():
                    return
                if isinstance(record, Fault):
                    raise MatchError(f"pair {task.pair}: {record.what}")
                self._take(task, record)
                if self._judgement.settled:
                    return
        finally:
            if isinstance(finished, Generator):
                finished.close()
        raise MatchError("the players stopped before the match was settled")

    def _take(self, task: GameTask, record: GameRecord) -> None:
        """Note a finished game; with the other one of its pair, write and count the pair."""
        self._games += 1
        self._plies += len(record.moves)
        other = self._halves.pop(task.pair, None)
        if other is None:
            self._halves[task.pair] = record
            return
        both = (record, other) if record.candidate_white else (other, record)
        pair = PairRecord(task.pair, task.opening, both)
        check_pair(pair)
        self._ledger.append(pair)
        self.count()

    def count(self) -> None:
        """Count every pair in the ledger that is next in the order of issue."""
        while self._next_counts():
            self._observer.pair_counted(self.state())

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
        else:
            ending = Ending.LIMIT if self._judgement.settled else Ending.INTERRUPTED
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


def _tasks(numbers: Iterable[int], openings: _Dealer, seed: int) -> Iterator[GameTask]:
    """Yield both games of each pair, the candidate with white first."""
    for number in numbers:
        opening = openings.opening(number)
        first, second = game_seed(seed, 2 * number), game_seed(seed, 2 * number + 1)
        yield GameTask(number, True, opening, white=CANDIDATE, black=BASELINE, seed=first)
        yield GameTask(number, False, opening, white=BASELINE, black=CANDIDATE, seed=second)
