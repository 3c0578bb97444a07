"""A run folder, read: what was asked, every finished pair, and what they say."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from arena.config import Part
from arena.faults import Faults, faults_of, read_void
from arena.game import PairRecord
from arena.judgement import Judgement, in_issue_order, judge
from arena.ledger import GAMES_FILE, impossible_game, read_pairs
from arena.match_file import MatchIdentity, read_identity
from arena.report.opinions import NOT_ASKED, Kept, read_opinions
from arena.report.schema import State
from arena.sessions import Session, read_sessions
from arena.stats.pentanomial import PairCounts


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, read: what was asked, every finished pair, and what they say."""

    folder: Path
    identity: MatchIdentity
    pairs: Sequence[PairRecord]  # by number; behind the counted ones there may be gaps
    written: Sequence[int]  # numbers of the pairs in the order in which they were finished
    judgement: Judgement
    sessions: Sequence[Session]
    faults: Faults = field(default_factory=Faults)
    opinions: Kept = NOT_ASKED

    @property
    def doubts(self) -> list[str]:
        """Why no verdict is given though pairs were counted; as a rule there is no reason."""
        baseline, candidate = (player.name for player in self.identity.nets)
        return self.faults.doubts(baseline, candidate)

    @property
    def counted(self) -> Sequence[PairRecord]:
        """The pairs that the verdict rests on: from the first on, without a gap or a repeat."""
        repeats = frozenset(self.judgement.repeats)
        seen = self.pairs[: self.judgement.seen]
        return [pair for pair in seen if pair.number not in repeats]

    @property
    def parts(self) -> Sequence[PairCounts]:
        """The counted pairs by session: those that it was the first to issue, and finished all.

        What was in flight at an interrupt is left out, finished or not: what had finished there are
        the short games, so that the sessions would differ by the interrupt alone. A session that
        played a part of the match issued the numbers of that part only.
        """
        # Of sessions that begin at one place, all but the last have finished nothing.
        issued_by = {session.pairs_before or 0: session.part for session in self.sessions}
        begins = sorted(issued_by) or [0]
        part_of: dict[int, int] = {}
        for part, (begin, end) in enumerate(itertools.pairwise([*begins, len(self.written)])):
            issuing = issued_by.get(begin) or Part(1, 1)
            before, done = set(self.written[:begin]), set(self.written[:end])
            issued = issuing.numbers(self.identity.pairs)
            first = max((number + 1 for number in issued if number in before), default=0)
            finished = itertools.takewhile(done.__contains__, issued)
            part_of |= dict.fromkeys((number for number in finished if number >= first), part)
        counts: dict[int, PairCounts] = defaultdict(PairCounts)
        for pair in self.counted:
            if pair.number in part_of:
                counts[part_of[pair.number]] += PairCounts.of_pair(*pair.points)
        return [counts[part] for part in sorted(counts)]

    @property
    def state(self) -> State:
        """Why there are no more pairs."""
        if self.judgement.decided_at is not None:
            return "decided"
        return "limit" if self.judgement.settled else "unfinished"


def read_run(folder: Path) -> Run:
    """Read a run folder, finished or not. Raises LedgerError where it is none or is damaged."""
    identity = read_identity(folder)
    written = list(read_pairs(folder))
    pairs = sorted(written, key=lambda pair: pair.number)
    results = {pair.number: pair.result for pair in pairs}
    raised = bool(identity.earlier_limits)
    judgement = judge(in_issue_order(results), identity.sprt, identity.pairs, raised=raised)
    order = [pair.number for pair in written]
    run = Run(folder, identity, pairs, order, judgement, read_sessions(folder))
    counted = run.counted
    games = [game for pair in counted for game in pair.games]
    return replace(
        run,
        faults=faults_of(games, read_void(folder)),
        opinions=read_opinions(folder, identity, counted),
    )


@contextmanager
def replaying(folder: Path) -> Iterator[None]:
    """Raise LedgerError where games of a run folder are replayed and are no chess.

    Reading a ledger takes a game's moves as they stand: to replay them all would take longer.
    """
    try:
        yield
    except ValueError as error:
        raise impossible_game(folder / GAMES_FILE, f"a game is no chess: {error}") from error
