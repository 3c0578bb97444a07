"""The benchmarks, one after the other: evaluators, their start, search, a device, a match.

Each answers the question that the next one raises: how fast a net is, whether search keeps up with
it, whether it keeps a device busy that needs no CPU, and what is left of all that in a match.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

from arena.bench.evaluators import (
    BareForward,
    leaves_of_games,
    rate,
    time_evaluators,
    time_refreshes,
)
from arena.bench.figures import BenchConfig, DeviceLoad, Figures, MatchSpeed, SearchSpeed, Spread
from arena.bench.games import GamesInFlight, Prelude, Slice, book_openings, play_prelude
from arena.bench.nets import RANDOM_NETS, match_nets, random_net
from arena.bench.start import BATCH as START_BATCH
from arena.bench.start import time_start
from arena.config import SearchParams
from arena.evaluator import (
    Dtype,
    Evaluation,
    Evaluator,
    Leaves,
    TorchEvaluator,
    WinogradEvaluator,
    choose_evaluator,
    pick_device,
)
from arena.search_settings import Player
from arena.stand_ins import DelayEvaluator, HashEvaluator
from swa import provenance
from swa.cores import usable_cores
from swa.forward import Forward
from swa.net import Net, load_net

VISITS = 100
"""Visits a move of the match, and of the games that feed the stand-in: a match's default."""

LANES = 2
"""Groups of games in flight, as in ``arena run``."""

CACHE_POSITIONS = 200_000
"""Evaluations remembered for each net in the match: its default."""

STAND_IN_BATCH, STAND_IN_SECONDS = 256, 0.005
"""The stand-in for an accelerator: 51,200 evaluations/s if its batches are full."""

BARE_BATCH = 64
"""Where a CPU core is at its fastest."""

Note = Callable[[str], None]


def measure(config: BenchConfig, note: Note) -> Figures:
    """Measure what ``config`` asks for; ``note`` takes lines of progress.

    Raises NetError for a net that cannot be read, before anything is measured, and DeviceError
    for a device that is not there or that does not compute so.
    """
    pick_device(config.device, config.dtype)
    nets = [load_net(path) for path in config.nets]
    figures = Figures(provenance.versions(), provenance.processor_name())
    note("playing random games to begin from")
    prelude = _random_prelude(config)
    if "evaluator" in config.what:
        timed = nets or [random_net(blocks, filters) for blocks, filters in RANDOM_NETS]
        speeds = tuple(time_evaluators(timed, prelude, config, note))
        figures = replace(figures, evaluator=speeds)
    if "start" in config.what:
        start = time_start(leaves_of_games(START_BATCH, prelude), config, note)
        figures = replace(figures, start=start)
    if "refresh" in config.what:
        refreshed = nets or [random_net(*RANDOM_NETS[0], batch_norm=True)]
        refreshes = tuple(time_refreshes(refreshed, prelude, config, note))
        figures = replace(figures, refresh=refreshes)
    if "search" in config.what:
        searches = tuple(
            _search_speed(prelude.first(games), visits, config, note)
            for games, visits in config.sizes
        )
        figures = replace(figures, search=searches)
    if "device" in config.what:
        figures = replace(figures, device=_device_load(prelude, config, note))
    if "match" in config.what:
        figures = replace(figures, match=_match_speed(match_nets(nets), prelude, config, note))
    return figures


def _random_prelude(config: BenchConfig) -> Prelude:
    most = max(
        LANES * STAND_IN_BATCH, START_BATCH, *config.batches, *(games for games, _ in config.sizes)
    )
    players = _both_sides(HashEvaluator(), VISITS)
    return play_prelude(players, config.effort.prelude, most, book_openings())


def _both_sides(evaluator: Evaluator, visits: int) -> tuple[Player, Player]:
    """One net against itself: every game in flight then has its leaf in the same batch."""
    player = Player(evaluator.name, evaluator, SearchParams(visits=visits))
    return player, player


def _search_speed(prelude: Prelude, visits: int, config: BenchConfig, note: Note) -> SearchSpeed:
    games = len(prelude.midgames)
    note(f"search: {games} games, {visits} visits")
    flight = GamesInFlight(_both_sides(HashEvaluator(), visits), prelude, lanes=1)
    flight.settle(3 * config.effort.search)
    slices = [flight.play(config.effort.search) for _ in range(config.effort.slices)]
    speed = Spread.of([part.visits / part.seconds for part in slices])
    return SearchSpeed(
        games=games,
        visits=visits,
        threads=1,
        visits_per_second=speed.median,
        visits_range=speed.range,
        visits_per_cpu_second=Spread.of([s.visits / s.cpu_seconds for s in slices]).median,
        evaluations_per_visit=Spread.of([s.evaluations / s.visits for s in slices]).median,
        plies_per_second=Spread.of([s.plies / s.seconds for s in slices]).median,
        array_bytes=flight.array_bytes,
    )


def _device_load(prelude: Prelude, config: BenchConfig, note: Note) -> DeviceLoad:
    games = LANES * STAND_IN_BATCH
    note(f"device: {STAND_IN_BATCH} positions each {1000 * STAND_IN_SECONDS:g} ms, {games} games")
    device = DelayEvaluator(HashEvaluator(), STAND_IN_SECONDS)
    flight = GamesInFlight(_both_sides(device, VISITS), prelude.first(games), LANES)
    flight.settle(config.effort.device)
    slices = [flight.play(config.effort.device, referee=True) for _ in range(config.effort.slices)]
    # Not the device's own busy_seconds: where its thread wakes up late, they would count as work.
    busy = Spread.of([part.batches * STAND_IN_SECONDS / part.seconds for part in slices])
    return DeviceLoad(
        busy=busy.median,
        busy_range=busy.range,
        batch=sum(part.evaluations for part in slices) / sum(part.batches for part in slices),
        seconds_per_batch=STAND_IN_SECONDS,
        games=games,
        visits=VISITS,
        threads=LANES,
        visits_per_second=Spread.of([part.visits / part.seconds for part in slices]).median,
    )


# --- the match ---


class _Forward(NamedTuple):
    """What the forward passes of a net took so far."""

    cpu_seconds: float = 0.0
    positions: int = 0


class _Meter:
    """Adds up what forward passes take, on whichever threads they run."""

    def __init__(self) -> None:
        self.total = _Forward()
        self._began = threading.local()
        self._adding = threading.Lock()

    def begin(self) -> None:
        """Note that this thread begins a forward pass."""
        self._began.at = time.thread_time()

    def end(self, positions: int) -> None:
        """Add the pass that this thread began."""
        seconds = time.thread_time() - self._began.at
        with self._adding:
            spent, done = self.total
            self.total = _Forward(spent + seconds, done + positions)


class _TimedTorch(TorchEvaluator):
    """An evaluator that knows the CPU time of its forward passes alone."""

    def __init__(self, net: Net, device: str, dtype: Dtype):
        super().__init__(net, device, dtype)
        self.meter = _Meter()
        self._module.register_forward_pre_hook(self._begin)
        self._module.register_forward_hook(self._end)

    def _begin(self, module: Any, planes: Any) -> None:
        self.meter.begin()

    def _end(self, module: Any, planes: Any, outputs: Any) -> None:
        self.meter.end(len(planes[0]))


class _TimedForward(Forward):
    """A forward pass that knows the CPU time of its chunks, on whichever threads they run."""

    def __init__(self, net: Net, meter: _Meter):
        super().__init__(net.spec, net.weights)
        self._run: Callable[..., None] = _timed(self._run, meter)


def _timed(run: Callable[..., None], meter: _Meter) -> Callable[..., None]:
    def timed(*arguments: Any) -> None:
        meter.begin()
        run(*arguments)
        meter.end(0)

    return timed


class _TimedWinograd(WinogradEvaluator):
    """An evaluator that knows the CPU time of its forward passes alone."""

    def __init__(self, net: Net):
        super().__init__(net, threads=usable_cores())
        self.meter = _Meter()
        self._forward = _TimedForward(net, self.meter)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        self.meter.begin()
        self.meter.end(len(leaves.offsets) - 1)
        return super().evaluate(leaves)


_Timed = _TimedTorch | _TimedWinograd


class _Round(NamedTuple):
    """A slice of the match, and how much of it went into the forward passes."""

    played: Slice
    forward_seconds: float
    bare_seconds: float  # what as many positions take bare forward passes; 0 if not on a CPU

    @property
    def visits_per_cpu_second(self) -> float:
        """Of all threads."""
        return self.played.visits / self.played.cpu_seconds

    @property
    def forward_share(self) -> float:
        """Of the CPU time, in [0, 1]."""
        return self.forward_seconds / self.played.cpu_seconds

    @property
    def forward_to_torch(self) -> float:
        """Speed of the forward passes, relative to bare ones."""
        return self.bare_seconds / self.forward_seconds


class _Match:
    """The match of two nets on one kind of evaluator, played for a while at a time."""

    def __init__(
        self, evaluators: Sequence[_Timed], midgames: Prelude, bare: Sequence[BareForward]
    ):
        self._evaluators = evaluators
        self._bare = bare
        self._flight = GamesInFlight(_players(evaluators), midgames, LANES, CACHE_POSITIONS)
        self.lanes = self._flight.lanes

    def settle(self, seconds: float) -> None:
        """See ``GamesInFlight``."""
        self._flight.settle(seconds)

    def play(self, seconds: float) -> _Round:
        """Play for so long, then time bare forward passes for a fifth of it, as many at a time."""
        before = [evaluator.meter.total for evaluator in self._evaluators]
        played = self._flight.play(seconds, referee=True)
        spent = [
            _Forward(now.cpu_seconds - then.cpu_seconds, now.positions - then.positions)
            for now, then in zip(
                (evaluator.meter.total for evaluator in self._evaluators), before, strict=True
            )
        ]
        with ThreadPoolExecutor(LANES) as threads:
            timed = [
                threads.submit(rate, one, one.batch, seconds / 5, time.thread_time)
                for one in self._bare
            ]
            rates = [one.result() for one in timed]
        return _Round(
            played,
            forward_seconds=sum(net.cpu_seconds for net in spent),
            bare_seconds=sum(
                net.positions / speed for net, speed in zip(spent, rates, strict=False)
            ),
        )


def _players(evaluators: Sequence[Evaluator]) -> list[Player]:
    return [Player(one.name, one, SearchParams(visits=VISITS)) for one in evaluators]


def _match_speed(
    nets: Sequence[Net], random: Prelude, config: BenchConfig, note: Note
) -> MatchSpeed:
    baseline, candidate = nets
    games, seconds = config.parallel, config.effort.match
    choices = [choose_evaluator(net.spec, "auto", config.device, config.dtype) for net in nets]
    device = choices[0].device
    by_kind: dict[str, list[_Timed]] = {}
    if all(choice.kind == "winograd" for choice in choices):
        by_kind["winograd"] = [_TimedWinograd(net) for net in nets]
    by_kind["torch"] = [_TimedTorch(net, device, config.dtype) for net in nets]
    kind = next(iter(by_kind))
    note(
        f"match: {candidate.name} against {baseline.name}, {games} games, {VISITS} visits, "
        f"{' and '.join(by_kind)}"
    )
    prelude = play_prelude(_players(by_kind[kind]), config.effort.prelude, games, random.openings)
    on_cpu = device == "cpu"
    leaves = leaves_of_games(BARE_BATCH, random)
    bare = [BareForward(net, leaves, device, config.dtype) for net in nets] if on_cpu else []
    matches = {name: _Match(timed, prelude, bare) for name, timed in by_kind.items()}
    for match in matches.values():
        match.settle(2 * seconds)
    slices = [
        {name: match.play(seconds) for name, match in matches.items()}
        for _ in range(config.effort.slices)
    ]
    rounds = [one[kind] for one in slices]
    played = [one.played for one in rounds]
    per_cpu_second = Spread.of([one.visits_per_cpu_second for one in rounds])
    torchs = Spread.of([one["torch"].visits_per_cpu_second for one in slices])
    ratio = Spread.of(
        [one[kind].visits_per_cpu_second / one["torch"].visits_per_cpu_second for one in slices]
    )
    compared = len(matches) > 1
    plies = Spread.of([part.plies / part.seconds for part in played]).median
    share = Spread.of([one.forward_share for one in rounds]) if on_cpu else None
    to_torch = Spread.of([one.forward_to_torch for one in rounds]) if on_cpu else None
    return MatchSpeed(
        nets=(baseline.name, candidate.name),
        evaluator=kind,
        device=device,
        games=games,
        visits=VISITS,
        threads=matches[kind].lanes,
        visits_per_cpu_second=per_cpu_second.median,
        visits_range=per_cpu_second.range,
        torch_visits_per_cpu_second=torchs.median if compared else None,
        torch_visits_range=torchs.range if compared else None,
        ratio_to_torch=ratio.median if compared else None,
        ratio_range=ratio.range if compared else None,
        visits_per_second=Spread.of([part.visits / part.seconds for part in played]).median,
        evaluations_per_second=Spread.of([s.evaluations / s.seconds for s in played]).median,
        batch=sum(part.evaluations for part in played) / sum(part.batches for part in played),
        cache_hits_per_visit=Spread.of([s.cache_hits / s.visits for s in played]).median,
        pairs_per_minute=60 * plies / (2 * prelude.plies_per_game),
        plies_per_game=prelude.plies_per_game,
        forward_share=share and share.median,
        forward_to_torch=to_torch and to_torch.median,
        forward_to_torch_range=to_torch and to_torch.range,
    )
