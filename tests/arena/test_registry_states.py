"""The registry against a few lists in Python that do the same, by random calls."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from registry_records import decision, keep, match, sha

from arena.registry.champion import before_champion, check_champion, settle_champion
from arena.registry.home import Home
from arena.registry.store import Registry, RegistryError
from arena.registry.verify import verify

NAMES = ("a", "b", "c", "d")

names = st.sampled_from(NAMES)
verdicts = st.sampled_from(("promote", "keep", "undecided"))


class Nights(RuleBasedStateMachine):
    """``stack``: the champions that a rollback goes back through; the last one is champion."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Home(Path(tempfile.mkdtemp(prefix="arena-registry-")))
        self.stack: list[str] = []
        self.pending: tuple[str, str] | None = None
        self.nights: list[str] = []  # states
        self.latest: list[str] = []
        self.decided: dict[int, tuple[str, str]] = {}
        self.reigned: list[str] = []

    @initialize()
    def begin(self) -> None:
        self.registry = Registry.open(self.home.registry, create=True)
        self._hurry()
        for name in NAMES:
            keep(self.home, self.registry, name)

    def _hurry(self) -> None:
        """Nobody pulls the plug here."""
        self.registry._connection.execute("PRAGMA synchronous = OFF")

    def teardown(self) -> None:
        self.registry.close()
        shutil.rmtree(self.home.root)

    @property
    def is_open(self) -> bool:
        return bool(self.nights) and self.nights[-1] == "open"

    @rule(name=names)
    def begin_night(self, name: str) -> None:
        champion = self.stack[-1] if self.stack else name
        call = {"latest": sha(name), "champion": sha(champion), "settings": "", "name": name}
        if not self.stack or self.pending or self.is_open:
            with pytest.raises(RegistryError):
                self.registry.begin_night(**call)
            return
        night = self.registry.begin_night(**call)
        (self.home.root / night.folder).mkdir()
        self.nights.append("open")
        self.latest.append(name)
        assert night.number == len(self.nights)

    @rule(verdict=verdicts, name=names, back=st.integers(0, 1))
    def decide(self, verdict: str, name: str, back: int) -> None:
        number = len(self.nights) - back
        if number < 1:
            return
        night = self.registry.nights()[number - 1]
        refused = self.nights[number - 1] != "open" or (
            verdict == "promote" and sha(name) == night.champion
        )
        if refused:
            with pytest.raises(RegistryError):
                self.registry.decide(decision(night, verdict, name))
            return
        self.registry.decide(decision(night, verdict, name))
        self.nights[-1] = "decided"
        self.decided[number] = verdict, name
        if verdict == "promote":
            self.pending = name, "promotion"

    @rule(note=st.text(max_size=5))
    def abandon(self, note: str) -> None:
        number = len(self.nights)
        if not self.is_open:
            with pytest.raises(RegistryError):
                self.registry.abandon_night(number, note)
            return
        self.registry.abandon_night(number, note)
        self.nights[-1] = "abandoned"

    @rule(name=names)
    def crown(self, name: str) -> None:
        how = "by hand" if self.reigned or self.pending else "first"
        if self.pending or (self.stack and self.stack[-1] == name):
            with pytest.raises(RegistryError):
                self.registry.crown(sha(name), how)
            return
        self.registry.crown(sha(name), how)
        self._crowned(name, how)

    @rule()
    def roll_back(self) -> None:
        before = before_champion(self.registry.reigns())
        assert (before is None) == (len(self.stack) < 2)
        if before is not None and not self.pending:
            assert before.sha256 == sha(self.stack[-2])
            self.registry.crown(before.sha256, "rollback")
            self._crowned(self.stack[-2], "rollback")

    def _crowned(self, name: str, how: str) -> None:
        self.pending = name, how
        if self.is_open:
            self.nights[-1] = "abandoned"

    @rule()
    def settle(self) -> None:
        settle_champion(self.home, self.registry)
        if self.pending:
            name, how = self.pending
            if how == "rollback":
                self.stack.pop()
            else:
                self.stack.append(name)
            self.reigned.append(name)
            self.pending = None

    @rule(name=names, other=names)
    def record(self, name: str, other: str) -> None:
        number = len(self.nights) or None
        played = match(f"match/{number}", name, other, night=number, stage="gate")
        known = [one for one in self.registry.matches(number) if one.folder == played.folder]
        if number is not None and not self.is_open and known != [played]:
            with pytest.raises(RegistryError):
                self.registry.record_match(played)
            return
        self.registry.record_match(played)
        assert played in self.registry.matches(number)

    @rule()
    def open_again(self) -> None:
        self.registry.close()
        self.registry = Registry.open(self.home.registry)
        self._hurry()

    @rule()
    def back_up(self) -> None:
        self.registry.backup(self.home.backup)

    @invariant()
    def agrees(self) -> None:
        registry = self.registry
        current, pending, night = registry.champion(), registry.pending(), registry.open_night()
        assert (current and current.sha256) == (sha(self.stack[-1]) if self.stack else None)
        assert (pending and pending.sha256) == (sha(self.pending[0]) if self.pending else None)
        assert [one.state for one in registry.nights()] == self.nights
        assert (night and night.number) == (len(self.nights) if self.is_open else None)
        assert {one.night: (str(one.verdict), one.candidate) for one in registry.decisions()} == {
            number: (verdict, sha(name)) for number, (verdict, name) in self.decided.items()
        }
        for name in NAMES:
            judged = registry.judged(sha(name))
            of = [n for n in self.decided if self.latest[n - 1] == name]
            assert (judged and judged.night) == max(of, default=None)
        assert [one.sha256 for one in registry.reigns() if not one.pending] == list(
            map(sha, self.reigned)
        )
        check_champion(self.home, registry)
        problems = [one for one in verify(self.home, registry, quick=True) if one.kind == "problem"]
        # No match was played here.
        assert [one for one in problems if not one.where.startswith("match/")] == []


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault
)
