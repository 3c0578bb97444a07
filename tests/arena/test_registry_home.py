"""The home of a nightly job: kept nets, the champion's file, the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from registry_records import first, judge, keep, payload, sha
from registry_records import net as record

from arena.registry.champion import (
    ChampionError,
    change_champion,
    check_champion,
    restore_champion,
    roll_back,
    settle_champion,
)
from arena.registry.home import BusyError, Home, HomeError, lock
from arena.registry.store import Registry, RegistryError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return first(tmp_path / "home")


# --- kept nets ---


def test_a_net_is_kept_once_with_its_manifest_and_mended_if_damaged(
    home: Home, tmp_path: Path
) -> None:
    net = tmp_path / "gen-7.pb.gz"
    net.write_bytes(payload("gen-7"))
    net.with_name("gen-7.pb.gz.json").write_text("{}")
    kept = home.keep_net(net)
    assert kept == home.nets / sha("gen-7")[:16] / "gen-7.pb.gz"
    assert kept.read_bytes() == payload("gen-7")
    assert kept.with_name(f"{kept.name}.json").read_text() == "{}"
    renamed = net.rename(tmp_path / "the same.pb.gz")
    assert home.keep_net(renamed) == home.keep_net(kept) == kept
    kept.write_bytes(b"damaged")
    assert home.keep_net(renamed).read_bytes() == payload("gen-7")
    assert home.relative(kept) == f"nets/{sha('gen-7')[:16]}/gen-7.pb.gz"


def test_a_net_that_is_gone_is_told(home: Home, tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="the net cannot be read: no such file"):
        home.keep_net(tmp_path / "gone.pb.gz")
    with pytest.raises(HomeError, match="the net cannot be read: is a directory"):
        home.keep_net(tmp_path)


@pytest.mark.parametrize("name", ["é 日.pb.gz", "\udcff\n.pb", "x" * 250, "-.pb.gz"])
def test_a_net_of_any_name_is_kept_and_remembered(home: Home, tmp_path: Path, name: str) -> None:
    net = tmp_path / name
    net.write_bytes(payload("strange"))
    kept = home.keep_net(net)
    assert kept.name.isprintable()
    assert kept.name == name or len(name) > 200 or not name.isprintable()
    with Registry.open(home.registry) as registry:
        strange = record("strange", file=home.relative(kept), name=name, source=str(net))
        registry.add_net(strange)
        assert (home.root / registry.net(sha("strange")).file).read_bytes() == payload("strange")
        registry.note_file(str(net), 1, 2, sha("strange"))
        assert registry.noted_file(str(net), 1, 2) == sha("strange")


def test_a_copy_that_the_disk_spoils_is_not_taken(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = tmp_path / "gen-7.pb.gz"
    net.write_bytes(payload("gen-7"))
    monkeypatch.setattr(
        "arena.registry.home.write_whole", lambda path, data: path.write_bytes(data[:-1])
    )
    with pytest.raises(HomeError, match="is not what was written"):
        home.keep_net(net)


# --- the champion's file ---


def test_a_champion_that_was_swapped_by_hand_is_refused_and_can_be_put_back(home: Home) -> None:
    good = home.champion.read_bytes()
    with Registry.open(home.registry) as registry:
        check_champion(home, registry)
        home.champion.write_bytes(b"another net")
        with pytest.raises(ChampionError, match="is not the registry's champion"):
            check_champion(home, registry)
        keep(home, registry, "new")
        for change in (
            lambda: change_champion(home, registry, sha("new"), "by hand"),
            lambda: roll_back(home, registry),
        ):
            with pytest.raises((ChampionError, RegistryError)):
                change()
        assert registry.pending() is None
        aside = restore_champion(home, registry)
        assert aside.read_bytes() == b"another net"
        assert home.champion.read_bytes() == good
        assert restore_champion(home, registry) is None


def test_a_swap_between_decision_and_file_is_not_written_over(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        keep(home, registry, "new")
        registry.crown(sha("new"), "by hand")
        home.champion.write_bytes(b"another net")
        with pytest.raises(ChampionError, match="is not the registry's champion"):
            settle_champion(home, registry)
        assert registry.champion().sha256 == sha("first")
        aside = restore_champion(home, registry)
        assert aside.read_bytes() == b"another net"
        assert registry.champion().sha256 == sha("new")
        check_champion(home, registry)


def test_a_champion_s_file_that_is_gone_is_told_and_put_back(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        home.champion.unlink()
        with pytest.raises(ChampionError, match="the champion's file is gone"):
            check_champion(home, registry)
        restore_champion(home, registry)
        check_champion(home, registry)


def test_a_file_without_a_champion_is_nobody_s(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.champion.write_bytes(b"a net")
    with Registry.open(home.registry, create=True) as registry:
        with pytest.raises(ChampionError, match="the registry knows no champion"):
            check_champion(home, registry)
        with pytest.raises(RegistryError, match="knows no champion"):
            restore_champion(home, registry)


def test_a_kept_net_that_is_damaged_does_not_become_champion(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        new = keep(home, registry, "new")
        (home.root / new.file).write_bytes(b"damaged")
        with pytest.raises(ChampionError, match="the kept copy of new is damaged"):
            change_champion(home, registry, sha("new"), "by hand")
        assert registry.pending() is None
        (home.root / new.file).unlink()
        with pytest.raises(ChampionError, match="the kept copy of new cannot be read"):
            change_champion(home, registry, sha("new"), "by hand")
        assert registry.champion().sha256 == sha("first")
        check_champion(home, registry)


def test_writing_into_the_champion_s_file_leaves_the_kept_net_alone(home: Home) -> None:
    with home.champion.open("r+b") as file:
        file.write(b"XXXX")
    (kept,) = home.nets.glob("*/*")
    assert kept.read_bytes() == payload("first")


def test_a_rollback_that_was_broken_off_is_ended_not_doubled(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        for name in ("one", "two"):
            judge(home, registry, name, "promote")
        registry.crown(sha("one"), "rollback")
        roll_back(home, registry)
        assert registry.champion().sha256 == sha("one")
        roll_back(home, registry)
        assert registry.champion().sha256 == sha("first")
        with pytest.raises(RegistryError, match="no champion before this one"):
            roll_back(home, registry)


# --- the lock ---

HOLDER = """
import sys, time
from pathlib import Path
from arena.registry.home import Home, lock
with lock(Home(Path(sys.argv[1]))):
    print("mine", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_one_process_s_until_it_ends_however_that_ends(home: Home) -> None:
    command = [sys.executable, "-c", HOLDER, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(BusyError) as error, lock(home):
            pass
        assert f"(process {holder.pid}, since 2" in str(error.value)
        home.lock_file.unlink()  # as people do with locks
        with pytest.raises(BusyError), lock(home, 0.3):
            pass
        holder.send_signal(signal.SIGKILL)
        with lock(home, None):
            assert str(os.getpid()) in home.lock_file.read_text()
    with lock(home):
        pass
    assert home.lock_file.read_text() == ""


def test_who_waits_gets_the_lock_when_it_is_free(home: Home) -> None:
    command = [sys.executable, "-c", HOLDER.replace("60", "0.5"), str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "mine\n"
        begun = time.monotonic()
        with lock(home, 30.0):
            assert time.monotonic() - begun < 30.0


def test_a_lock_ends_with_an_error_too(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), lock(home):
        raise ZeroDivisionError
    with lock(home):
        pass


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="cannot be a home: not a directory"):
        Home(tmp_path / "file" / "home").create()
