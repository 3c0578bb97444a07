"""Whatever ends a call, the next one goes on: registry, champion's file and nets agree.

A call here is what a night does with the registry and the champion's file; it is killed for real,
in a fork.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from registry_records import decision, keep, match, sha

from arena.registry.champion import check_champion, settle_champion
from arena.registry.home import Home, lock
from arena.registry.records import DecisionRecord
from arena.registry.store import Registry
from arena.registry.verify import verify

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_fork(work: Callable[[], None]) -> int:
    """Do it in a process of its own: its exit code, negative for the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def call(home: Home, latest: str = "new", verdict: str = "promote") -> None:
    """A call of a nightly job, the first one too; whatever is done already is left out."""
    with lock(home), Registry.open(home.registry, create=True) as registry:
        settle_champion(home, registry)
        check_champion(home, registry)
        if not registry.reigns():
            keep(home, registry, "first")
            registry.crown(sha("first"), "first")
            settle_champion(home, registry)
        keep(home, registry, latest)
        if registry.judged(sha(latest)) is not None:
            return
        champion = registry.champion()
        night = registry.open_night() or registry.begin_night(
            latest=sha(latest), champion=champion.sha256, settings="seed = 1\n", name=latest
        )
        folder = f"{night.folder}/gate"
        (home.root / folder).mkdir(parents=True, exist_ok=True)
        of = {"night": night.number, "stage": "gate", "baseline": champion.sha256}
        registry.record_match(match(folder, "first", latest, **of))
        registry.decide(decision(night, verdict, latest))
        settle_champion(home, registry)
        registry.backup(home.backup)


def facts(home: Home) -> dict[str, Any]:
    """All that is remembered but times."""
    with Registry.open(home.registry) as registry:
        return {
            "nets": {net.sha256 for net in registry.nets()},
            "nights": [(one.number, one.folder, one.state) for one in registry.nights()],
            "matches": registry.matches(),
            "decisions": registry.decisions(),
            "reigns": [(one.sha256, one.how, one.pending) for one in registry.reigns()],
            "champion": home.champion.read_bytes(),
        }


def assert_agrees(home: Home) -> None:
    """What a crash may leave is in the notes."""
    if not home.registry.exists() or home.registry.stat().st_size == 0:
        return  # it died before the first commit
    with Registry.open(home.registry, create=True) as registry:
        problems = [one for one in verify(home, registry, quick=True) if one.kind == "problem"]
    assert [one for one in problems if not one.where.endswith("/gate")] == []


def die_at(step: int) -> None:
    """Kill this process at a step, counted from 0: an SQL statement, or a call that names a file.

    Python tells of both beforehand (``sys.addaudithook``, ``set_trace_callback``).
    """
    left = [step]

    def one_step(*_: object) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def connect(*arguments: Any, real: Any = sqlite3.connect, **settings: Any) -> Any:
        connection = real(*arguments, **settings)
        connection.set_trace_callback(one_step)
        return connection

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.rename", "os.remove", "os.mkdir", "os.truncate") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        ):
            one_step()

    sqlite3.connect = connect  # in a fork, so nobody else's
    sys.addaudithook(hook)


@needs_fork
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_call_that_dies_at_any_step_is_ended_by_the_next(tmp_path: Path, every: int) -> None:
    whole = Home(tmp_path / "whole")
    call(whole)
    expected = facts(whole)
    for step in itertools.count(0, every):
        home = Home(tmp_path / f"at {step}")

        def dying(home: Home = home, step: int = step) -> None:
            die_at(step)
            call(home)

        code = in_fork(dying)
        assert code in (0, -signal.SIGKILL)
        assert_agrees(home)
        call(home)
        assert facts(home) == expected, f"step {step}"
        if code == 0:
            break
    assert step > 100


def nights_without_end(home: Home, begin: int, told: int) -> None:
    """Night after night; each that is decided is told."""
    for number in itertools.count(begin):
        call(home, f"net {number}", "promote" if number % 2 else "keep")
        os.write(told, b".")


@needs_fork
@pytest.mark.parametrize("kills", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_kills_at_any_moment_lose_no_decision(tmp_path: Path, kills: int) -> None:
    home, chance = Home(tmp_path / "home"), random.Random(9)
    before: list[DecisionRecord] = []
    for _ in range(kills):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                nights_without_end(home, len(before), writing)
            finally:
                os._exit(99)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            seen = told.read(chance.randrange(3))
            time.sleep(chance.uniform(0.0, 0.04))
            os.kill(pid, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
            seen += told.read()
        assert_agrees(home)
        with Registry.open(home.registry, create=True) as registry:
            decisions = registry.decisions()
        assert decisions[: len(before)] == before, "a decision is gone, or another one"
        assert len(decisions) - len(before) >= len(seen), "a decision that was told is gone"
        assert [one.night for one in decisions] == list(range(1, len(decisions) + 1))
        before = decisions
    call(home, "net 0", "keep")  # ends what is pending
    with Registry.open(home.registry) as registry:
        won = [reign.sha256 for reign in registry.reigns() if reign.how == "promotion"]
    assert won == [one.candidate for one in before if one.verdict == "promote"]
    assert len(before) >= kills // 2


@needs_fork
def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    call(home, "one", "keep")
    before = facts(home)

    def call_without_room(room: int, said: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        try:
            call(home, "two")
        except Exception as error:
            os.write(said, f"{type(error).__name__}: {error}".encode())

    for room in (0, 1 << 10, 5 << 10, 9 << 10, 20 << 10, 40 << 10):
        reading, writing = os.pipe()
        assert in_fork(lambda room=room, writing=writing: call_without_room(room, writing)) == 0
        os.close(writing)
        with os.fdopen(reading) as told:
            text = told.read()
        assert text.startswith(("RegistryError", "HomeError", "ChampionError", "OSError")), text
        assert len(text.splitlines()) <= 3
        assert "damaged" not in text
        assert_agrees(home)
        assert facts(home)["decisions"][:1] == before["decisions"]
    call(home, "two")
    after = facts(home)
    assert len(after["decisions"]) == 2
    assert after["reigns"][-1] == (sha("two"), "promotion", False)


@needs_fork
def test_of_two_processes_that_decide_one_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    call(home, "one", "keep")
    for number in range(5):
        name = f"net {number}"
        with Registry.open(home.registry) as registry:
            keep(home, registry, name)
            champion = registry.champion().sha256
            night = registry.begin_night(
                latest=sha(name), champion=champion, settings="", name=name
            )
        ready, begin = os.pipe()
        pids = []
        for verdict in ("promote", "keep"):
            pid = os.fork()
            if pid == 0:
                code = 2
                try:
                    with Registry.open(home.registry) as registry:
                        os.close(begin)
                        os.read(ready, 1)  # ends when the parent closes the other end
                        registry.decide(decision(night, verdict, name))
                        code = 0
                finally:
                    os._exit(code)
            pids.append(pid)
        time.sleep(0.05)
        os.close(begin)
        os.close(ready)
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)
        assert codes == [0, 2]
        with Registry.open(home.registry) as registry:
            last = registry.decisions()[-1]
            assert last.night == night.number
            assert (registry.pending() is not None) == (last.verdict == "promote")
            settle_champion(home, registry)


def test_a_reader_sees_the_registry_while_somebody_writes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    call(home, "one", "keep")
    writer = sqlite3.connect(home.registry, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE nights SET note = NULL")
    with Registry.open(home.registry) as registry:
        assert len(registry.decisions()) == 1
    writer.execute("ROLLBACK")
    writer.close()
