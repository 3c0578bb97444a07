"""A registry that is not what was written into it: it is refused, never believed."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from registry_records import begin, decision, first, judge, keep, match, sha

from arena.registry import schema, store
from arena.registry.champion import settle_champion
from arena.registry.export import export
from arena.registry.home import Home
from arena.registry.store import Registry, RegistryError
from arena.registry.telling import backup_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Some nights, matches and champions."""
    home = first(tmp_path_factory.mktemp("whole") / "home")
    with Registry.open(home.registry) as registry:
        for number in range(12):
            name = f"net {number}"
            judge(home, registry, name, "promote" if number % 4 == 1 else "keep")
            registry.record_match(match(f"elsewhere/{number}", "first", name))
        registry.note_file("/run/net.pb.gz", 1000, 10**18, sha("net 1"))
        registry.backup(home.backup)
    return home


@pytest.fixture
def copy(whole: Home, tmp_path: Path) -> Iterator[Home]:
    return Home(Path(shutil.copytree(whole.root, tmp_path / "copy")))


def everything(path: Path) -> object:
    with Registry.open(path) as registry:
        registry.check_seals()
        return export(registry)


def assert_refused_or_the_same(path: Path, expected: object, where: object) -> bool:
    """Whether it was refused."""
    found, told = None, ""
    try:
        found = everything(path)
    except RegistryError as error:
        told = str(error)
    assert found == expected or told, f"{where}: believed"
    assert len(told.splitlines()) <= 3
    return bool(told)


def test_no_byte_that_has_changed_is_believed(whole: Home, tmp_path: Path) -> None:
    expected = everything(whole.registry)
    data = whole.registry.read_bytes()
    chance = random.Random(2)
    refused = 0
    path = tmp_path / "registry.sqlite"
    places = [*range(0, 100, 3), *(chance.randrange(len(data)) for _ in range(300))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        for leftover in (path, *schema.side_files(path)):
            leftover.unlink(missing_ok=True)
        path.write_bytes(changed)
        refused += assert_refused_or_the_same(path, expected, place)
    assert refused > 50  # the others are in pages' free room


def test_a_file_that_is_cut_off_is_refused(whole: Home, tmp_path: Path) -> None:
    expected = everything(whole.registry)
    data = whole.registry.read_bytes()
    path = tmp_path / "registry.sqlite"
    for size in [1, 15, 16, 99, 100, 4095, *range(4096, len(data), 4096), len(data) - 1]:
        for leftover in (path, *schema.side_files(path)):
            leftover.unlink(missing_ok=True)
        path.write_bytes(data[:size])
        assert assert_refused_or_the_same(path, expected, size), size


@pytest.mark.parametrize("create", [False, True])
def test_what_is_no_registry_is_refused_and_left_alone(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_text("No database, but long enough to be taken for one at first sight.\n" * 100)
    with pytest.raises(RegistryError, match="is damaged: file is not a database"):
        Registry.open(path, create=create)
    assert path.read_text().startswith("No database")
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (text)")
    before = path.read_bytes()
    with pytest.raises(RegistryError, match="no registry of arena's"):
        Registry.open(path, create=create)
    assert path.read_bytes() == before
    with pytest.raises(RegistryError, match="cannot be opened"):
        Registry.open(tmp_path, create=create)


def test_where_there_is_none_only_those_who_ask_get_one(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    with pytest.raises(RegistryError, match="there is no registry: the file is missing"):
        Registry.open(path)
    assert list(tmp_path.iterdir()) == []
    path.touch()
    with pytest.raises(RegistryError, match="there is no registry: the file is empty"):
        Registry.open(path)
    Registry.open(path, create=True).close()
    Registry.open(path).close()


@pytest.mark.parametrize("left", [None, b""])
def test_one_that_is_gone_is_not_begun_anew_beside_its_backup(
    copy: Home, left: bytes | None
) -> None:
    copy.registry.unlink()
    if left is not None:
        copy.registry.write_bytes(left)
    with pytest.raises(
        RegistryError, match=r"its backup is there\nMove .* and copy registry\.backup"
    ):
        Registry.open(copy.registry, create=True)
    shutil.copy(copy.backup, copy.registry)
    with Registry.open(copy.registry) as registry:
        assert len(registry.decisions()) == 12


def test_a_home_with_nights_gets_no_new_registry(copy: Home) -> None:
    copy.registry.unlink()
    copy.backup.unlink()
    (copy.nights / "0001-net").mkdir()
    with pytest.raises(RegistryError, match="is missing, but nights were played here"):
        Registry.open(copy.registry, create=True)
    assert not copy.registry.exists()


def test_a_night_that_a_restored_backup_does_not_know_is_left_alone(copy: Home) -> None:
    with Registry.open(copy.registry) as registry:
        keep(copy, registry, "lost")
        lost = begin(registry, "lost")
    (copy.root / lost.folder).mkdir()
    shutil.copy(copy.backup, copy.registry)
    with Registry.open(copy.registry) as registry:
        keep(copy, registry, "lost")
        night = begin(registry, "lost")
    assert (lost.folder, night.folder) == ("nights/0013-lost", "nights/0013-lost-2")


def test_one_without_its_wal_file_is_refused(copy: Home, tmp_path: Path) -> None:
    with Registry.open(copy.registry) as registry:
        with Registry.open(copy.registry):  # a reader, so that nothing moves to the main file
            judge(copy, registry, "last", "keep")
            lost = Path(shutil.copy(copy.registry, tmp_path / "registry.sqlite"))
        shutil.copy(copy.backup, backup_of(lost))
    with pytest.raises(RegistryError, match="knows less than its backup"):
        Registry.open(lost)


def test_a_row_that_was_changed_by_hand_is_refused(copy: Home) -> None:
    with closing(sqlite3.connect(copy.registry)) as connection, connection:
        connection.execute("UPDATE matches SET ww = 600 WHERE folder = 'elsewhere/3'")
    with Registry.open(copy.registry) as registry:
        assert len(registry.decisions()) == 12
        with pytest.raises(RegistryError, match="the row of matches 'elsewhere/3' has changed"):
            registry.matches()


def test_a_backup_replaces_a_damaged_registry(copy: Home) -> None:
    expected = everything(copy.registry)
    copy.registry.write_bytes(copy.registry.read_bytes()[:5000])
    with pytest.raises(RegistryError, match=r"and copy registry\.backup\.sqlite"):
        Registry.open(copy.registry)
    for leftover in schema.side_files(copy.registry):
        leftover.unlink(missing_ok=True)
    shutil.copy(copy.backup, copy.registry)
    assert everything(copy.registry) == expected


def test_a_backup_that_has_no_room_leaves_the_one_before(
    copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copy.backup.read_bytes()

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with Registry.open(copy.registry) as registry:
        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(RegistryError, match="backup cannot be written: no space left"):
            registry.backup(copy.backup)
    assert copy.backup.read_bytes() == before
    assert not list(copy.root.glob(".*tmp*"))


def test_a_clock_that_goes_back_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = iter(range(28, 0, -1))
    monkeypatch.setattr(store, "_now", lambda: f"2025-01-{next(days):02}T00:00:00+00:00")
    home = first(tmp_path / "home")
    with Registry.open(home.registry) as registry:
        for name in ("one", "two"):
            judge(home, registry, name, "promote")
    with Registry.open(home.registry) as registry:
        assert [reign.sha256 for reign in registry.reigns()] == list(
            map(sha, ("first", "one", "two"))
        )
        assert registry.champion().sha256 == sha("two")
        assert registry.judged(sha("two")).night == 2
        first_night, second = registry.nights()
        assert first_night.began > first_night.ended > second.began > second.ended


# --- versions ---


def test_one_of_a_newer_arena_is_refused_and_left_alone(
    copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*schema.MIGRATIONS, ("ALTER TABLE nets ADD COLUMN colour TEXT",))
    )
    Registry.open(copy.registry).close()
    monkeypatch.undo()
    before = copy.registry.read_bytes()
    with pytest.raises(RegistryError, match=r"by a newer arena \(version 2; this one knows 1\)"):
        Registry.open(copy.registry)
    assert copy.registry.read_bytes() == before


def test_an_older_one_is_led_to_this_version_and_its_copy_kept(
    copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = everything(copy.registry)
    steps = ("CREATE TABLE colours (name TEXT) STRICT", "INSERT INTO colours VALUES ('red')")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, steps))
    assert everything(copy.registry) == expected
    assert everything(copy.registry) == expected  # and not again
    with closing(sqlite3.connect(copy.registry)) as connection:
        assert connection.execute("SELECT * FROM colours").fetchall() == [("red",)]
        assert schema.version_of(connection) == 2
    monkeypatch.undo()
    assert everything(copy.root / "registry.version-1.sqlite") == expected


def test_a_migration_that_fails_changes_nothing(
    copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = everything(copy.registry)
    steps = ("CREATE TABLE colours (name TEXT) STRICT", "INSERT INTO nowhere VALUES (1)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, steps))
    with pytest.raises(RegistryError, match="nowhere"):
        Registry.open(copy.registry)
    monkeypatch.undo()
    assert everything(copy.registry) == expected


def test_what_is_refused_leaves_no_half_of_itself(copy: Home) -> None:
    with Registry.open(copy.registry) as registry:
        keep(copy, registry, "last")
        night = begin(registry, "last")
        unknown = decision(night, "promote", "a net that nobody has seen")
        expected = export(registry)
        with pytest.raises(RegistryError, match="FOREIGN KEY"):
            registry.decide(unknown)
        assert export(registry) == expected
        registry.decide(decision(night, "promote", "last"))
        settle_champion(copy, registry)
