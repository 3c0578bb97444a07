"""What the registry remembers and what it refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from registry_records import begin, decision, first, judge, keep, match, net, sha

from arena.registry.champion import before_champion, check_champion, settle_champion
from arena.registry.home import Home
from arena.registry.store import Registry, RegistryError
from arena.stats.pentanomial import PairCounts


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return first(tmp_path / "home")


def test_what_is_added_is_found_again_as_it_was(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        averaged = net("swa", kind="average", manifest={"rule": "mean", "é": [1.5]})
        registry.add_net(averaged)
        registry.add_net(net("swa", name="another"))  # as it was first seen
        night = begin(registry, "swa")
        played = match(f"{night.folder}/gate", "first", "swa", night=night.number, stage="gate")
        registry.record_match(played)
        registry.decide(decision(night, "keep", "swa"))
    with Registry.open(home.registry) as registry:
        assert registry.nets()[1] == registry.net(sha("swa")) == averaged
        assert registry.matches() == registry.matches(1) == [played]
        assert registry.matches(2) == []
        assert registry.decisions() == [decision(night, "keep", "swa")]
        assert registry.judged(sha("swa")) == decision(night, "keep", "swa")
        assert registry.judged(sha("first")) is None
        (ended,) = registry.nights()
        assert (ended.state, ended.note, ended.folder) == ("decided", None, "nights/0001-swa")
        assert registry.open_night() is None
        assert registry.net("f" * 64) is None


def test_a_promotion_is_pending_until_its_file_is_there(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        before = home.champion.read_bytes()
        keep(home, registry, "new")
        registry.decide(decision(begin(registry, "new"), "promote", "new"))
        assert registry.pending().sha256 == sha("new")
        assert registry.champion().sha256 == sha("first")
        assert home.champion.read_bytes() == before
        check_champion(home, registry)
        settle_champion(home, registry)
        check_champion(home, registry)
        assert registry.pending() is None
        assert home.champion.read_bytes() != before
        old, new = registry.reigns()
        assert (old.sha256, old.how, old.ended) == (sha("first"), "first", new.began)
        assert (new.sha256, new.how, new.night, new.ended) == (sha("new"), "promotion", 1, None)
        settle_champion(home, registry)
        assert registry.reigns() == [old, new]


def test_a_match_is_replaced_until_its_night_has_ended(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        keep(home, registry, "new")
        night = begin(registry, "new")
        some = match("nights/0001-new/gate", "first", "new", night=1, state="unfinished")
        more = match("nights/0001-new/gate", "first", "new", night=1, counts=PairCounts(9))
        registry.record_match(some)
        registry.record_match(more)
        assert registry.matches() == [more]
        registry.decide(decision(night, "keep", "new"))
        registry.record_match(more)
        with pytest.raises(RegistryError, match="night 1 is decided already"):
            registry.record_match(some)
        assert registry.matches() == [more]


def test_what_would_be_two_of_one_is_refused(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        for name in ("one", "two"):
            keep(home, registry, name)
        night = begin(registry, "one")
        with pytest.raises(RegistryError, match="night 1 is open"):
            begin(registry, "two")
        registry.decide(decision(night, "promote", "one"))
        with pytest.raises(RegistryError, match="night 1 is decided already"):
            registry.decide(decision(night, "keep", "one"))
        with pytest.raises(RegistryError, match="not ended yet"):
            begin(registry, "two")
        with pytest.raises(RegistryError, match="not ended yet"):
            registry.crown(sha("two"), "by hand")
        settle_champion(home, registry)
        with pytest.raises(RegistryError, match="is champion already"):
            registry.crown(sha("one"), "by hand")
        with pytest.raises(RegistryError, match="is not the champion"):
            registry.begin_night(latest=sha("two"), champion=sha("first"), settings="", name="x")
        with pytest.raises(RegistryError, match="FOREIGN KEY"):
            begin(registry, "a net that nobody has seen")
        assert len(registry.nights()) == len(registry.decisions()) == 1
        assert registry.open_night() is None


def test_a_decision_against_a_champion_that_fell_meanwhile_is_refused(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        for name in ("one", "two"):
            keep(home, registry, name)
        night = begin(registry, "one")
        registry.crown(sha("two"), "by hand")
        assert registry.nights()[0].note == "the champion has changed: by hand"
        settle_champion(home, registry)
        with pytest.raises(RegistryError, match="abandoned already"):
            registry.decide(decision(night, "promote", "one"))
        assert registry.champion().sha256 == sha("two")


def test_a_rollback_undoes_one_change_after_the_other(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        for name in ("one", "two"):
            judge(home, registry, name, "promote")
        back = []
        while (before := before_champion(registry.reigns())) is not None:
            registry.crown(before.sha256, "rollback")
            settle_champion(home, registry)
            back.append(before.sha256)
        assert back == [sha("one"), sha("first")]
        judge(home, registry, "three", "promote")
        assert before_champion(registry.reigns()).sha256 == sha("first")


def test_where_a_net_was_found_may_change_and_nothing_else_of_it(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        registry.add_net(net("one"))
        before = registry.net(sha("one"))
        registry.found_net(sha("one"), "/moved/one.pb.gz")
        assert before is not None
        assert registry.net(sha("one")) == replace(before, source="/moved/one.pb.gz")
        registry.check_seals()
        with pytest.raises(RegistryError, match="knows no net"):
            registry.found_net(sha("nobody"), "/moved/nobody.pb.gz")


def test_a_night_is_found_by_number_and_the_last_one(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        assert registry.night(1) is registry.last_night() is None
        for name in ("one", "two"):
            judge(home, registry, name, "keep")
        nights = registry.nights()
        assert [registry.night(1), registry.night(2), registry.night(3)] == [*nights, None]
        assert registry.last_night() == nights[-1]


def test_a_file_is_known_by_size_and_time(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        registry.note_file("/run/a.pb", 10, 10**18 + 1, sha("a"))
        registry.note_file("/run/a.pb", 11, 10**18 + 2, sha("b"))
        assert registry.noted_file("/run/a.pb", 11, 10**18 + 2) == sha("b")
        assert registry.noted_file("/run/a.pb", 11, 10**18 + 1) is None
        assert registry.noted_file("/run/a.pb", 10, 10**18 + 2) is None
        assert registry.noted_file("/run/b.pb", 11, 10**18 + 2) is None


def test_a_hook_is_due_until_it_has_run(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        judge(home, registry, "one", "keep")
        assert registry.decisions()[0].hook == "due"
        registry.hook_ran(1, "done")
        assert registry.decisions()[0].hook == "done"
        with pytest.raises(RegistryError, match="night 2 has no decision"):
            registry.hook_ran(2, "done")


def test_a_net_is_found_by_name_or_by_the_beginning_of_its_hash(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        registry.add_net(net("other", name="first"))
        registry.add_net(net("third"))
        assert registry.find_net("third").sha256 == sha("third")
        assert registry.find_net(sha("other")[:8].upper()).sha256 == sha("other")
        with pytest.raises(RegistryError, match="knows 2 nets 'first'"):
            registry.find_net("first")
        with pytest.raises(RegistryError, match="knows no net 'fourth'"):
            registry.find_net("fourth")
        with pytest.raises(RegistryError, match="knows no net"):
            registry.find_net(sha("other")[:3])


def test_nothing_is_deleted_and_no_decision_changes_whoever_writes(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        night = judge(home, registry, "one", "keep")
        registry.record_match(match("elsewhere", "first", "one"))
    with closing(sqlite3.connect(home.registry)) as connection:
        for table in ("nets", "nights", "matches", "decisions", "reigns"):
            with pytest.raises(sqlite3.IntegrityError, match="nothing that was decided on"):
                connection.execute(f"DELETE FROM {table}")
        with pytest.raises(sqlite3.IntegrityError, match="is not changed"):
            connection.execute("UPDATE decisions SET verdict = 'promote'")
    with Registry.open(home.registry) as registry:
        assert registry.decisions() == [decision(night, "keep", "one")]
