"""A match from its configuration to its report: the parts of the project, put together once.

``arena run`` is a thin layer over ``play``; whatever else decides between two nets (a gate, a
nightly job) plays its matches through it too.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from arena.adjudication import judges
from arena.adjudication_rules import AdjudicationRules
from arena.compilation import kernels_compiled
from arena.config import DEFAULT_DELTA, MatchConfig
from arena.console import COMPILING, PaceSource
from arena.entrants import Found, FoundNet, identities, no_difference, same_player
from arena.evaluator import Choice, Evaluator, choose_evaluator, make_evaluator
from arena.faults import FAULTS_FILE
from arena.ledger import GAMES_FILE, Ledger, read_pairs
from arena.match import (
    Ending,
    MatchError,
    MatchObserver,
    MatchState,
    deck_of,
    match_identity,
    run_match,
)
from arena.match_file import MATCH_FILE, LedgerError, MatchIdentity, TablesIdentity
from arena.net_facts import swa_facts
from arena.opening_filter import OpeningFilter
from arena.openings import Deck, default_book, read_book
from arena.opinions import Asked, after_match, words_of
from arena.players import Entrant, NetPlayer, Reading
from arena.report.block import Heading
from arena.report.folder import write_reports
from arena.report.purpose import purpose_lines
from arena.report.run import Run, read_run
from arena.report.schema import Summary
from arena.report.summary import summarize
from arena.report.verdict import heading_of
from arena.search import BatchedSearch
from arena.search_settings import Player, Visitor
from arena.sessions import (
    SESSIONS_FILE,
    NetFile,
    Pace,
    Session,
    evaluators_of,
    now,
    read_sessions,
    session_ended,
    session_started,
)
from arena.tablebase import Tablebase
from swa import provenance
from swa.net import Net, load_net

REPORTS = Path("reports")
"""Where run folders go that were not given a name."""

LANES = 2
"""Groups of games: one is searched while the other's leaves are evaluated."""

OPENINGS_TRIED = 500
"""How many are parsed before anything is written: most broken books are found out within a second.
The others are while the match begins; thousands of openings take too long to wait for."""

Choices = Mapping[tuple[str, Reading], Choice]
"""What evaluates each net, by ``FoundNet.evaluated``, in the order of the players."""

ProgressOf = Callable[[Heading, PaceSource], AbstractContextManager[MatchObserver]]


@dataclass(frozen=True, slots=True)
class Played:
    """A run folder after a match was played in it, or went on, or had nothing left to play."""

    run: Run
    ending: Ending
    state: MatchState
    written: Summary | None = None  # what the report says; None: none was asked for, or none whole
    trouble: BaseException | None = (
        None  # why the report is not whole: to be raised once all is told
    )

    @property
    def summary(self) -> Summary:
        """Every number of the match; worked out here where no report has been written."""
        return summarize(self.run) if self.written is None else self.written


def play(
    config: MatchConfig,
    command: Sequence[str],
    show: ProgressOf,
    note: Callable[[str], None],
    folder: Path | None = None,
    *,
    report: bool = True,
) -> Played:
    """Play a match, or go on with it, and write its report.

    ``command`` is noted in the report, ``show`` makes the view of the match, ``note`` takes single
    lines about its beginning. ``folder`` overrides ``config.out``. Without ``report`` the folder is
    left with its ledger alone and the nets are not asked what they think of its positions, for
    whoever goes on with the match at once; ``arena report`` makes it later.

    Raises NetError, DeviceError, TablebaseError or MatchError before anything is written;
    OpeningError too, unless the book is found to be broken farther on; LedgerError also where a
    pair cannot be written, RefereeError or EvaluationError where a game goes wrong, TablebaseError
    where a table turns out to be damaged. Finished pairs are kept in any case. An error or Ctrl-C
    while the report is written is no reason to keep the outcome back: it is ``Played.trouble``.
    """
    baseline, candidate = seated = [find(player) for player in config.lineup]
    if no_difference(baseline, candidate, config.search):
        raise same_player(baseline, candidate)
    book = default_book() if config.openings is None else read_book(config.openings)
    tables = Tablebase(config.tb, config.tb_pieces) if config.tb else None
    identity = match_identity(
        config, identities(baseline, candidate), book, tables=_tables_identity(config, tables)
    )
    _refuse_rules_on_wdl(identity.adjudication, seated)
    judge_of = judges(identity.adjudication, tables.result if tables else None)
    nets = [seat.net for seat in seated if isinstance(seat, FoundNet)]
    novices = [seat.player.name or seat.name for seat in seated if not seat.chess960]
    deck = deck_of(identity, book, novices=novices)
    deck.require(identity.pairs)
    deck.opening(min(identity.pairs, OPENINGS_TRIED) - 1)
    choices = {
        seat.evaluated: choose_evaluator(
            seat.net.spec, config.evaluator, config.device, config.dtype
        )
        for seat in seated
        if isinstance(seat, FoundNet)
    }
    folder = folder or config.out or next_folder(identity)
    with tables or nullcontext(), _open_run_folder(folder, identity) as ledger:
        for line in _beginning(config, identity, ledger, folder):
            note(line)
        winograd = any(choice.kind == "winograd" for choice in choices.values())
        if not kernels_compiled(forward=winograd):
            note(COMPILING)  # nothing is left that could be refused
        session = _session(config, command, choices, nets, len(ledger.results))
        before = evaluators_of(read_sessions(folder))
        if before and before[-1] != session.evaluator:
            note(f"{folder}: evaluated by {before[-1]} so far, from here by {session.evaluator}.")
        session_started(folder, session)
        with ExitStack() as running:
            players = _players(running, config, seated, choices, tables)
            if config.opening_filter is not None:
                deck = deck_of(identity, book, _sieve(players[0], config.opening_filter), novices)
                _check_openings(ledger, deck)
            games = BatchedSearch(
                players, config.parallel, LANES, config.nncache, judge_of=judge_of
            )
            clock = _Clock(games, ledger)
            observer = running.enter_context(show(heading_of(ledger.identity), clock.pace))
            try:
                outcome = run_match(ledger, deck, games, observer, part=config.part)
            finally:
                # Of a full disk the ledger or the report tells; this line is not worth an error.
                with suppress(OSError):
                    session_ended(folder, clock.pace())
    ending, state = outcome.ending, outcome.state
    if not report:
        return Played(read_run(folder), ending, state)
    asked = _asked(players, choices) if ending is not Ending.INTERRUPTED else None
    try:
        run, summary = write_reports(folder, extend=after_match(asked, note))
    except LedgerError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        return Played(read_run(folder), ending, state, trouble=error)
    return Played(run, ending, state, summary)


def _beginning(
    config: MatchConfig, identity: MatchIdentity, ledger: Ledger, folder: Path
) -> Iterator[str]:
    """What is told before the first move: where it goes, what the test is for, what was mended."""
    yield f"Run folder: {folder}"
    if config.preset is not None and identity.sprt is not None:
        width = config.delta or DEFAULT_DELTA
        yield from purpose_lines(config.preset, width, identity.sprt, config.pairs)
    if ledger.torn_bytes:
        yield f"{folder}: the last line was torn and is cut off; its pair is played again."
    if ledger.raised_from is not None:
        yield (
            f"{folder}: at most {identity.pairs:,} pairs from here on, instead of "
            f"{ledger.raised_from:,}; its report says so."
        )


def _asked(players: Sequence[Player | Visitor], choices: Choices) -> Asked | None:
    """Whom a report may ask about positions; None unless two nets have played."""
    evaluators = [player.evaluator for player in players if isinstance(player, Player)]
    if len(evaluators) < 2 or len(choices) < 2:
        return None
    baseline, candidate = evaluators
    return Asked(baseline, candidate, words_of(choices.values()))


def _refuse_rules_on_wdl(rules: AdjudicationRules, seated: Sequence[Found]) -> None:
    """Refuse rules on probabilities for an engine that tells none.

    Without its draws -1.2 pawns would be a loss at 80 %. Raises MatchError.
    """
    asked = {
        "--draw drawn=": rules.draw is not None and rules.draw.drawn is not None,
        "--resign lost=": rules.resign is not None and rules.resign.lost is not None,
    }
    flag = next((flag for flag, is_asked in asked.items() if is_asked), None)
    for seat in seated if flag else ():
        if not isinstance(seat, FoundNet) and not seat.shows_wdl:
            raise MatchError(
                f"{flag}: {seat.player.name or seat.name} does not tell how likely a draw or a "
                "loss is (UCI_ShowWDL)\nGive the rule in centipawns: score=."
            )


def _sieve(baseline: Player | Visitor, bounds: tuple[float, float]) -> OpeningFilter:
    if isinstance(baseline, Visitor):
        raise MatchError(
            f"--opening-filter: {baseline.name}, the baseline, is no net to value openings\n"
            "Name a net first, or play without a filter."
        )
    return OpeningFilter(baseline.evaluator, *bounds)


def _check_openings(ledger: Ledger, deck: Deck) -> None:
    """Refuse to go on with openings that a filter has chosen otherwise than before.

    Raises MatchError. Where another evaluator or processor differs in the last digit of an opening
    at the filter's edge, all pairs from there on would have other openings, some of them again.
    """
    for pair in read_pairs(ledger.folder) if ledger.results else ():
        if deck.opening(pair.number) != pair.opening:
            raise MatchError(
                f"{ledger.folder}: the filter now gives pair {pair.number} another opening\n"
                "Its net is evaluated otherwise than before: go on where the match was begun, or "
                "choose\nanother folder (--out)."
            )


def next_folder(identity: MatchIdentity, reports: Path = REPORTS) -> Path:
    """Return ``reports/<candidate>-vs-<baseline>-<n>`` with the least n, from 1, that is free."""
    baseline, candidate = (file_name(net.name) for net in identity.nets)
    candidates = (reports / f"{candidate}-vs-{baseline}-{n}" for n in itertools.count(1))
    return next(folder for folder in candidates if not folder.exists())


@contextmanager
def _open_run_folder(folder: Path, identity: MatchIdentity) -> Iterator[Ledger]:
    """Open a run folder; one that was made here is taken back if an error leaves it without a pair.

    It would stand in the way of the same command with a better book, or on a disk with more room.
    An interrupted match keeps its folder.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    fresh = not (folder / MATCH_FILE).exists()
    with Ledger.open_or_create(folder, identity) as ledger:
        try:
            yield ledger
        except Exception:
            if fresh and not ledger.results:
                for name in (SESSIONS_FILE, FAULTS_FILE, MATCH_FILE, GAMES_FILE):
                    (folder / name).unlink(missing_ok=True)
                with suppress(OSError):  # something else is in it
                    for path in made:
                        path.rmdir()
            raise


def file_name(name: str) -> str:
    """Return a net's name as a part of a folder's name."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "net"


def find(player: Entrant) -> Found:
    """Load a player's net, or find its engine and ask who it is. Raises NetError, EngineError."""
    if isinstance(player, NetPlayer):
        return FoundNet(player, load_net(player.path, **player.reading.asked))
    from arena.engine_identity import find_engine

    return find_engine(player)


def _players(
    running: ExitStack,
    config: MatchConfig,
    seated: Sequence[Found],
    choices: Choices,
    tables: Tablebase | None,
) -> list[Player | Visitor]:
    """Make who plays. A net that is read in one way has one evaluator, whoever plays it.

    Engines run until the stack ends. Raises DeviceError for a net that cannot be evaluated as it
    was chosen.
    """
    evaluators: dict[tuple[str, Reading], Evaluator] = {}
    players: list[Player | Visitor] = []
    for seat in seated:
        if isinstance(seat, FoundNet):
            net = seat.evaluated
            if net not in evaluators:
                evaluators[net] = make_evaluator(seat.net, choices[net], config.dtype)
            params = seat.search(config.search)
            limits = seat.player.limits
            players.append(
                Player(
                    seat.name,
                    evaluators[net],
                    params,
                    limits,
                    tables if config.tb_search else None,
                    config.tb_fast_play,
                )
            )
            continue
        from arena.engines import engine_player

        moves = running.enter_context(engine_player(seat.player, config.parallel))
        players.append(Visitor(seat.name, moves, seat.player.limits))
    return players


def _tables_identity(config: MatchConfig, tables: Tablebase | None) -> TablesIdentity | None:
    if tables is None:
        return None
    return TablesIdentity(
        tables.sha256, tables.files, tables.pieces, config.tb_search, config.tb_fast_play
    )


def _session(
    config: MatchConfig,
    command: Sequence[str],
    choices: Choices,
    nets: Sequence[Net],
    pairs_before: int,
) -> Session:
    devices = [choice.device for choice in choices.values()] or ["cpu"]  # engines run on it
    device = devices[0]
    return Session(
        started=now(),
        command=tuple(command),
        versions=provenance.versions(),
        device=f"{device} ({provenance.device_name(device)})",
        parallel=config.parallel,
        part=config.part,
        pairs_before=pairs_before,
        evaluator=words_of(choices.values()) or None,
        nets=tuple(map(_net_file, nets)),
    )


def _net_file(net: Net) -> NetFile:
    size = None
    with suppress(OSError):  # it was read, and has been taken away since
        size = net.path.stat().st_size
    return NetFile(
        sha256=net.sha256,
        file=net.path.name,
        architecture=str(net.spec),
        training_steps=net.training_steps,
        bytes=size,
        heads=net.spec.heads,
        swa=swa_facts(net),
        path=str(net.path),
    )


class _Clock:
    """What a search has done since now, in the terms of the report."""

    def __init__(self, games: BatchedSearch, ledger: Ledger):
        self._games = games
        self._ledger = ledger
        self._pairs_before = len(ledger.results)
        self._began = time.monotonic()

    def pace(self) -> Pace:
        done = self._games.throughput
        return Pace(
            seconds=time.monotonic() - self._began,
            pairs=len(self._ledger.results) - self._pairs_before,
            visits=done.visits,
            evaluations=done.evaluations,
            batch_slots=done.batches * done.largest_batch,
            cache_hits=done.cache_hits,
        )
