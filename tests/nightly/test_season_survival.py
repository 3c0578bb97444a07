"""A season of nights that are killed at any moment comes to what it comes to without: once.

Each call of a night is a process of its own (``night_server``) that is killed at a random time, or
in a chosen call of os.replace and os.fsync, in the middle of SQLite's commits, and while reports,
index and hook are at work.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from night_server import Aim, Call, NightServer, Report
from season import Season, begin_season

from arena.registry.home import Home
from arena.registry.store import Registry
from arena.registry.verify import verify
from swa.net import load_net

RUN: Mapping[str, Any] = {
    "drift": 100.0,
    "noise": 60.0,
    "regressions": {5: 400.0, 8: 200.0, 13: 600.0, 14: 600.0},
}
"""Steps large enough for short gates to decide on, in both directions."""

HOOK = "grep -o '\"night\": [0-9]*' | head -n 1 >> told.txt"

OF_TIMES_AND_PLACES = {
    *("began", "decided", "seen", "source"),
    *("date", "command", "sessions", "throughput", "homogeneity", "pairs_beyond", "parts"),
}
"""Keys of a decision that tell when, where and in how many pieces it came about."""

KINDS = {"time": 3, "commit": 4, "replace": 4, "fsync": 2, "publish": 3}
"""How nights die, and how often."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NightServer]:
    season = begin_season(tmp_path_factory.mktemp("warm"), hook=HOOK, **RUN)
    season.train(1)
    with NightServer(Call(season.settings, season.play)) as server:
        yield server


def remembered(season: Season) -> dict[str, Any]:
    """All that a season has come to, without times and places."""
    with Registry.open(season.home / "registry.sqlite") as registry:
        return {
            "nights": [(n.number, n.folder, n.state, n.latest) for n in registry.nights()],
            "reigns": [(r.number, r.sha256, r.how, r.night) for r in registry.reigns()],
            "decisions": [
                (d.night, d.verdict, d.candidate, d.champion, d.reason, _lasting(d.document))
                for d in registry.decisions()
            ],
            "matches": sorted(
                (m.folder, m.stage, m.baseline, m.candidate, m.counts, m.verdict, m.state)
                for m in registry.matches()
            ),
            "champion": load_net(season.home / "champion.pb.gz").sha256,
        }


def _lasting(value: Any) -> Any:
    match value:
        case Mapping():
            return {k: _lasting(v) for k, v in value.items() if k not in OF_TIMES_AND_PLACES}
        case list() | tuple():
            return [_lasting(item) for item in value]
    return value


def problems(season: Season) -> list[str]:
    """What ``arena registry verify`` says."""
    home = Home(season.home)
    with Registry.open(home.registry) as registry:
        return [f"{one.kind}: {one.where}: {one.what}" for one in verify(home, registry)]


@dataclass
class Killer:
    """Kills calls of a season's nights."""

    server: NightServer
    season: Season
    seed: int
    deaths: Counter[str] = field(default_factory=Counter)  # by kind
    calls: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def night(self, typical: Report, kills: int) -> None:
        """Play a night to its end, killing it so often on the way, or less if it ends before."""
        before = self.deaths.total()
        for left in range(kills, 0, -1):
            if self._call(typical, left) is not None:
                break
        code, report = self.server.run(Call(self.season.settings, self.season.play))
        self.calls += 1
        assert code == 0
        assert report is not None
        assert report.error is None
        assert self.deaths.total() - before <= kills

    def _call(self, typical: Report, left: int) -> Report | None:
        """Begin a call and kill it; returns its report if it ended before that."""
        self.calls += 1
        kind = self._chance.choices(list(KINDS), list(KINDS.values()))[0]
        aim = None if kind == "time" else self._aim(kind, typical, left)
        pid = self.server.start(Call(self.season.settings, self.season.play, aim=aim))
        if aim is None:
            time.sleep(self._chance.uniform(0.0, 1.5 * typical.seconds / left))
            os.kill(pid, signal.SIGKILL)
        code, report = self.server.wait(pid)
        if code == 0:
            assert report is not None
            assert report.error is None
            return report
        assert code in (-signal.SIGKILL, -signal.SIGALRM)
        self.deaths[kind] += 1
        self._assert_whole_champion()
        return None

    def _aim(self, kind: str, typical: Report, left: int) -> Aim:
        # What is done is not done again, so that later calls of a night have less to do.
        most = min(typical.calls[kind], max(1, round(1.5 * typical.calls[kind] / left)))
        longest = 0.3 if kind == "publish" else 0.003
        seconds = self._chance.choice((0.0, self._chance.uniform(1e-5, longest)))
        return Aim(kind, self._chance.randrange(most), seconds)

    def _assert_whole_champion(self) -> None:
        """Whenever a call dies, the champion's file is a whole net, if there is one."""
        path = self.season.home / "champion.pb.gz"
        if path.exists():
            load_net(path)


def play_undisturbed(server: NightServer, season: Season, nights: Iterable[int]) -> Report | None:
    """Play nights of a season, and return how the last one went."""
    report = None
    for night in nights:
        season.train(night)
        code, report = server.run(Call(season.settings, season.play))
        assert code == 0
        assert report is not None
        assert report.error is None
        assert report.verdict is not None
    return report


@pytest.mark.parametrize(
    ("kills", "a_night", "fewest"),
    [(6, 6, 1), pytest.param(200, 12, 12, marks=pytest.mark.slow)],
)
def test_a_season_that_is_killed_comes_to_the_same(
    server: NightServer, tmp_path: Path, kills: int, a_night: int, fewest: int
) -> None:
    whole, season = (
        begin_season(tmp_path / name, hook=HOOK, **RUN) for name in ("whole", "killed")
    )
    typical = play_undisturbed(server, whole, range(1, fewest + 1))
    assert typical is not None
    killer = Killer(server, season, seed=3)
    nights = 0
    while killer.deaths.total() < kills or nights < fewest:
        nights += 1
        assert nights < max(kills, fewest + 1), "nights end before they are killed"
        season.train(nights)
        killer.night(typical, a_night)
        assert problems(season) == []
        found = remembered(season)
        assert [one[0] for one in found["decisions"]] == list(range(1, nights + 1))
    if kills >= 200:
        assert set(killer.deaths) == set(KINDS)

    play_undisturbed(server, whole, range(fewest + 1, nights + 1))
    assert problems(whole) == []
    expected = remembered(whole)
    for what, value in found.items():
        assert value == expected[what], what
    assert len(found["reigns"]) > 1

    # The hook was told every decision at least once, in order; twice only where it was killed.
    told = (season.home / "told.txt").read_text().splitlines()
    assert list(dict.fromkeys(told)) == [f'"night": {night}' for night in range(1, nights + 1)]
    assert len(told) <= killer.calls
    decisions = [one["document"] for one in _written(season)]
    assert [one["night"] for one in decisions] == list(range(1, nights + 1))


def _written(season: Season) -> list[dict[str, Any]]:
    paths = sorted((season.home / "nights").glob("*/decision.json"))
    return [{"path": path, "document": json.loads(path.read_text())} for path in paths]


def test_of_two_calls_at_once_exactly_one_works(server: NightServer, tmp_path: Path) -> None:
    season = begin_season(tmp_path, averages={}, gate=20, **RUN)
    for night in range(1, 11):
        season.train(night)
        go = tmp_path / f"go-{night}"
        waits = night % 2 == 0
        play = replace(season.play, hold=go)
        call = Call(season.settings, play, wait=60.0 if waits else 0.0)
        pids = [server.start(call) for _ in range(2)]
        holder = _holder(season)
        (other,) = {*pids} - {holder}
        refused = None if waits else server.wait(other)
        go.touch()
        code, report = server.wait(holder)
        assert code == 0
        assert report is not None
        assert report.error is None
        assert report.verdict is not None
        code, second = refused or server.wait(other)
        assert code == 0
        assert second is not None
        assert second.verdict is None
        assert second.lines == (), "it did something"
        if waits:
            assert second.error is None
        else:
            assert second.error is not None
            assert second.error.startswith("BusyError")
            assert f"process {holder}," in second.error
    assert problems(season) == []
    assert len(remembered(season)["decisions"]) == 10


def _holder(season: Season) -> int:
    """Wait until a call has the lock; which one that is."""
    lock = season.home / "lock"
    for _ in range(60_000):
        with suppress(FileNotFoundError, ValueError):
            return int(json.loads(lock.read_text())["pid"])
        time.sleep(0.001)
    raise AssertionError("neither call has the lock")
