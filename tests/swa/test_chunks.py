"""Files, folders and tars of training records: what is read, what is counted, what is written."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record_bytes import SIZES, bits, game_bytes, packed_game, record_bytes, tar_of

from swa import chunks
from swa.chunks import Chunk, ReadCounts, games_of, read_records, write_chunk
from swa.records import LAYOUTS, V6, Damage, RecordError, parse, to_v6


def read(*paths: Path) -> tuple[list[Chunk], ReadCounts]:
    counts = ReadCounts()
    return list(read_records(paths, counts)), counts


def read_file(folder: Path, name: str, data: bytes) -> tuple[list[Chunk], ReadCounts]:
    path = folder / name
    path.write_bytes(data)
    return read(path)


def lengths(found: list[Chunk]) -> list[int]:
    return [len(chunk.records) for chunk in found]


# Real files


def test_all_shared_chunks_are_read(shared: Path) -> None:
    found, counts = read(shared / "chunks")
    assert (counts.files, counts.records) == (69, 11_689)
    assert (counts.truncated, counts.others, dict(counts.skipped)) == (0, 1, {})  # 1: LICENSE
    by_version = {
        version: [len(chunk.records) for chunk in found if chunk.version == version]
        for version in LAYOUTS
    }
    assert {version: len(games) for version, games in by_version.items()} == {
        3: 0,
        4: 3,
        5: 0,
        6: 2,
        7: 64,
    }
    assert (sum(by_version[4]), sum(by_version[6]), sum(by_version[7])) == (4145, 159, 7385)
    assert str(counts) == "files: 69, records: 11,689"


@pytest.mark.parametrize(("folder", "version"), [("v6", 6), ("v7", 7)])
def test_written_as_v6_every_common_field_is_kept(
    shared: Path, tmp_path: Path, folder: str, version: int
) -> None:
    common = [name for name in V6.names or () if name != "version"]
    for number, path in enumerate(sorted((shared / "chunks" / folder).glob("*.gz"))):
        source = np.frombuffer(gzip.decompress(path.read_bytes()), LAYOUTS[version])
        written = tmp_path / f"{number}.gz"
        write_chunk(written, source)
        data = gzip.decompress(written.read_bytes())
        assert version == 7 or data == source.tobytes()
        (chunk,) = read_records(written)
        assert bits(chunk.records) == data
        for name in common:
            assert bits(chunk.records[name]) == bits(source[name]), name
        assert (chunk.records["version"] == 6).all()


# Kinds of files


@pytest.mark.parametrize("version", LAYOUTS)
def test_a_game_of_each_version(tmp_path: Path, version: int) -> None:
    (chunk,), counts = read_file(tmp_path, "game.gz", packed_game(version, 5))
    assert chunk.version == version
    assert chunk.records["rule50"].tolist() == [0, 1, 2, 3, 4]
    assert (chunk.path.name, chunk.member) == ("game.gz", "")
    assert not chunk.records.flags.writeable
    assert (counts.files, counts.records, counts.truncated) == (1, 5, 0)


def test_bare_records(tmp_path: Path) -> None:
    (chunk,), counts = read_file(tmp_path, "game", game_bytes(6, 3))
    assert len(chunk.records) == 3
    assert counts.truncated == 0


def test_gzip_members_follow_each_other_and_the_rest_is_ignored(tmp_path: Path) -> None:
    members = packed_game(6, 2) + gzip.compress(b"") + packed_game(6, 3)
    for rest in (b"", b"\0" * 100, b"rubbish"):
        (chunk,), counts = read_file(tmp_path, "game.gz", members + rest)
        assert chunk.records["rule50"].tolist() == [0, 1, 0, 1, 2]
        assert counts.truncated == 0


def test_pieces_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 7, 100):
        monkeypatch.setattr(chunks, "_PIECE", size)
        (chunk,), _ = read_file(tmp_path, "game.gz", packed_game(6, 2) + packed_game(6, 1))
        assert len(chunk.records) == 3


def test_folders_are_read_in_order_of_names(tmp_path: Path) -> None:
    for number, name in enumerate(["b/2.gz", "b/10.gz", "a/z.gz", "c.gz", "a/deep/er/x.gz"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed_game(6, number + 1))
    (tmp_path / "t.tar").write_bytes(tar_of({"z.gz": packed_game(), "a.gz": packed_game()}))
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / ".hidden.gz").write_bytes(packed_game())
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "1.gz").write_bytes(packed_game())
    found, counts = read(tmp_path)
    names = [str(chunk.path.relative_to(tmp_path)) + chunk.member for chunk in found]
    assert names == [
        "c.gz",
        "t.tarz.gz",
        "t.tara.gz",
        "a/z.gz",
        "a/deep/er/x.gz",
        "b/10.gz",
        "b/2.gz",
    ]
    assert lengths(found) == [4, 3, 3, 3, 5, 2, 1]
    assert (counts.files, counts.records, counts.others) == (7, 21, 1)


def test_several_sources(tmp_path: Path) -> None:
    for name in ("b.gz", "a.gz"):
        (tmp_path / name).write_bytes(packed_game())
    found, _ = read(tmp_path / "b.gz", tmp_path / "a.gz", tmp_path)
    assert [chunk.path.name for chunk in found] == ["b.gz", "a.gz"]


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    found, counts = read(tmp_path)
    assert (found, counts.files, str(counts)) == ([], 0, "files: 0, records: 0")


def test_a_missing_source_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such file or folder") as caught:
        read_records([tmp_path, tmp_path / "none"])
    assert str(caught.value).startswith(str(tmp_path / "none"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gz")
    found, counts = read(tmp_path)
    assert (found, counts.others) == ([], 1)
    found, counts = read(tmp_path / "pipe.gz")
    assert (found, counts.skipped) == ([], {Damage.UNREADABLE: 1})


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "game.gz"
    path.write_bytes(packed_game())
    path.chmod(0)
    _, counts = read(path)
    assert counts.skipped == {Damage.UNREADABLE: 1}


# Tars


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tars(tmp_path: Path, kind: int) -> None:
    long = "x" * 90 + "/" + "y" * 60 + ".gz"
    members = {
        "LICENSE": b"free",
        "data/1.gz": packed_game(6, 1),
        "data/._1.gz": b"a Mac's own",
        long: packed_game(7, 2),
        "bare": game_bytes(4, 3),
        "empty": b"",
    }
    found, counts = read_file(tmp_path, "t.tar", tar_of(members, format=kind))
    assert lengths(found) == [1, 2, 3]
    assert [chunk.member for chunk in found][::2] == ["data/1.gz", "bare"]
    assert long.startswith(found[1].member[:80])
    assert (counts.files, counts.others, counts.truncated) == (3, 3, 0)
    assert not counts.skipped


def test_a_tar_needs_no_suffix(tmp_path: Path) -> None:
    found, _ = read_file(tmp_path, "data", tar_of({"1.gz": packed_game()}))
    assert lengths(found) == [3]


def test_folders_and_links_in_a_tar_are_no_files(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for kind, name in ((tarfile.DIRTYPE, "a.gz"), (tarfile.SYMTYPE, "b.gz")):
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info)
    found, counts = read_file(tmp_path, "t.tar", packed.getvalue())
    assert (found, counts) == ([], ReadCounts())


def test_a_cut_tar_gives_what_is_whole(tmp_path: Path) -> None:
    tar = tar_of(
        {f"{number}.gz": packed_game(6, 4) for number in range(3)}, format=tarfile.GNU_FORMAT
    )
    block = 512 + -(-len(packed_game(6, 4)) // 512) * 512
    for cut, files, truncated in ((2 * block, 2, 1), (2 * block + 100, 2, 1), (block + 520, 1, 2)):
        found, counts = read_file(tmp_path, "t.tar", tar[:cut])
        assert lengths(found)[:files] == [4] * files
        assert (counts.files, counts.truncated) == (len(found), truncated)
        assert not counts.skipped


def test_a_damaged_header_ends_a_tar(tmp_path: Path) -> None:
    tar = bytearray(
        tar_of({"1.gz": packed_game(), "2.gz": packed_game()}, format=tarfile.GNU_FORMAT)
    )
    tar[tar.index(b"2.gz")] ^= 1
    found, counts = read_file(tmp_path, "t.tar", bytes(tar))
    assert lengths(found) == [3]
    assert counts.skipped == {Damage.TAR: 1}
    assert "checksum" in str(counts.examples[Damage.TAR])


def signed_header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A member's header with a right checksum, whatever its size says."""
    header = bytearray(512)
    header[: len(name)] = name
    header[124 : 124 + len(size)] = size
    header[156:157] = kind
    header[257:262] = b"ustar"
    header[148:156] = b"%06o\0 " % (sum(header) + 8 * 32)
    return bytes(header)


@pytest.mark.parametrize(
    "size",
    [
        b"77777777777\0",
        b"\x80" + b"\xff" * 11,
        b"\xff" * 12,
        b"\xff" * 11 + b"\0",
        b"-0000000512",
        b"1_0",
        b"0x200",
        b"99999999999",
    ],
)
@pytest.mark.parametrize("kind", [b"0", b"x", b"L"])
def test_a_tars_sizes_are_not_trusted(tmp_path: Path, size: bytes, kind: bytes) -> None:
    """Negative sizes send other readers round for ever, huge ones out of memory."""
    data = signed_header(b"a.gz", size, kind) + bytes(4096)
    found, counts = read_file(tmp_path, "t.tar", data)
    assert found == []
    assert counts.skipped.total() + counts.truncated + counts.others > 0


def test_sizes_in_binary_are_read(tmp_path: Path) -> None:
    game = packed_game()
    data = signed_header(b"a.gz", b"\x80" + len(game).to_bytes(11)) + game.ljust(2048, b"\0")
    assert lengths(read_file(tmp_path, "t.tar", data + bytes(1024))[0]) == [3]


# Damage


@pytest.mark.parametrize("kept", [0, 1, 2, 9, 10, 11, 200, -20, -9, -1])
def test_a_cut_gzip_gives_whole_records(tmp_path: Path, kept: int) -> None:
    """Truncated it is counted even where only the checksum is missing."""
    dice = np.random.default_rng(1)
    data = b"".join(
        record_bytes(6, planes=dice.integers(0, 2**63, 104).tolist()) for _ in range(20)
    )
    found, counts = read_file(tmp_path, "game.gz", gzip.compress(data)[:kept])
    assert (counts.truncated, counts.files) == (1, len(found))
    assert not counts.skipped
    for chunk in found:
        assert data.startswith(bits(chunk.records))
    assert sum(lengths(found)) == (20 if kept in (-1,) else counts.records)
    assert (kept < 0) == bool(found)


def test_cut_bare_records(tmp_path: Path) -> None:
    (chunk,), counts = read_file(tmp_path, "game", game_bytes(6, 3)[:-1])
    assert len(chunk.records) == 2
    assert counts.truncated == 1


@pytest.mark.parametrize(
    ("name", "data", "damage"),
    [
        ("a.gz", b"no gzip at all", Damage.NOT_RECORDS),
        ("a.gz", gzip.compress(b"no records at all", mtime=0), Damage.NOT_RECORDS),
        ("a.gz", gzip.compress(tar_of({"1.gz": packed_game()}), mtime=0), Damage.NOT_RECORDS),
        ("a.gz", b"\x1f\x8b" + b"\xff" * 20, Damage.GZIP),
        ("a.gz", packed_game()[:-5] + b"\0" + packed_game()[-4:], Damage.GZIP),
        ("a.gz", gzip.compress(game_bytes(6, 2)[:-1], mtime=0), Damage.SIZE),
        ("a.gz", gzip.compress(game_bytes(6, 1) + game_bytes(7, 1), mtime=0), Damage.SIZE),
        ("a.gz", packed_game(6, 2, root_q=7.0), Damage.VALUES),
        ("a.tar", b"no tar at all, but as long as one's header" * 20, Damage.TAR),
    ],
)
def test_damaged_files_are_skipped_and_counted(
    tmp_path: Path, name: str, data: bytes, damage: Damage
) -> None:
    (tmp_path / "b.gz").write_bytes(packed_game())
    (tmp_path / name).write_bytes(data)
    found, counts = read(tmp_path)
    assert lengths(found) == [3]
    assert counts.skipped == {damage: 1}
    message = str(counts.examples[damage])
    assert message.startswith(str(tmp_path / name))
    assert len(message.splitlines()) == 2
    assert str(counts) == f"files: 1, records: 3, skipped ({damage}): 1"


def test_a_file_asked_for_by_name_must_hold_records(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("none")
    _, counts = read(tmp_path / "notes")
    assert counts.skipped == {Damage.NOT_RECORDS: 1}


def test_a_name_cannot_break_a_message(tmp_path: Path) -> None:
    _, counts = read_file(tmp_path, "t.tar", tar_of({"a\n\x1b[2Jb.gz": b"no"}))
    assert "a??[2Jb.gz" in str(counts.examples[Damage.NOT_RECORDS])


def test_too_many_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_UNPACKED", 3 * SIZES[6])
    for name, pack in (("a.gz", gzip.compress), ("a", bytes)):
        assert lengths(read_file(tmp_path, name, pack(game_bytes(6, 3)))[0]) == [3]
        found, counts = read_file(tmp_path, name, pack(game_bytes(6, 4)))
        assert (found, dict(counts.skipped)) == ([], {Damage.TOO_LONG: 1})


def test_a_bomb_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_UNPACKED", 2**20)
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    try:
        _, counts = read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()
    assert counts.skipped == {Damage.TOO_LONG: 1}


def test_many_empty_gzip_members_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_RECORDS", 100)
    _, counts = read_file(tmp_path, "game.gz", gzip.compress(b"") * 101)
    assert counts.skipped == {Damage.TOO_LONG: 1}


def test_one_game_is_in_memory_at_a_time(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.gz").write_bytes(packed_game(7, 20))
    tracemalloc.start()
    try:
        assert sum(len(chunk.records) for chunk in read_records(tmp_path)) == 800
        # A game as V7, as V6, and what its validation needs; all of them would be 13 MB.
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


# Writing


def test_written_bytes_depend_on_the_records_only(tmp_path: Path) -> None:
    records = parse(game_bytes(6, 3))
    for name in ("a.gz", "another.gz"):
        write_chunk(tmp_path / name, records)
    data = (tmp_path / "a.gz").read_bytes()
    assert data == (tmp_path / "another.gz").read_bytes()
    assert data[:4] == b"\x1f\x8b\x08\0"  # no name
    assert data[4:8] == bytes(4)  # no time
    assert gzip.decompress(data) == game_bytes(6, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gz", "another.gz"]


def test_other_versions_are_written_as_v6(tmp_path: Path) -> None:
    for version in LAYOUTS:
        native = np.frombuffer(game_bytes(version, 2), LAYOUTS[version])
        write_chunk(tmp_path / "a.gz", native)
        (chunk,) = read_records(tmp_path / "a.gz")
        assert chunk.version == 6
        assert bits(chunk.records) == bits(to_v6(native))


@pytest.mark.parametrize(
    ("fields", "damage"),
    [({"root_q": 2.0}, Damage.VALUES), ({"probabilities": [0.0] * 1858}, Damage.PROBABILITIES)],
)
def test_nothing_is_written_that_would_not_be_read(
    tmp_path: Path, fields: dict[str, Any], damage: Damage
) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(b"before")
    with pytest.raises(RecordError) as caught:
        write_chunk(path, np.frombuffer(record_bytes(6, **fields), V6))
    assert caught.value.damage is damage
    assert path.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_game_to_write_has_records_and_its_version(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not 0"):
        write_chunk(tmp_path / "a.gz", np.zeros(0, V6))
    wrong = parse(record_bytes(6)).copy()
    wrong["version"] = 5
    with pytest.raises(RecordError, match="do not call themselves version 6"):
        write_chunk(tmp_path / "a.gz", wrong)
    assert not list(tmp_path.iterdir())


# Several games in a file


def test_games_of_one_file(shared: Path) -> None:
    """trainingdata-tool's file of 4096 records: 59 games by the start positions in it."""
    (chunk,) = read_records(shared / "chunks" / "v4" / "ac404f_game_000000.gz")
    games = list(games_of(chunk))
    assert len(games) == 59
    assert np.concatenate([game.records for game in games]).tobytes() == chunk.records.tobytes()
    for game in games:
        records = game.records
        assert np.bitwise_count(records["planes"][0, :12]).sum() == 32
        # A game has one result, as white sees it
        result = np.where(records["side_to_move"] == 0, 1, -1) * records["result_q"]
        assert len(set(result)) == 1


@pytest.mark.parametrize("folder", ["v6", "v7"])
def test_a_file_of_lc0_is_one_game(folder: str, shared: Path) -> None:
    for chunk in read_records(shared / "chunks" / folder):
        (game,) = games_of(chunk)
        assert game.records.tobytes() == chunk.records.tobytes()


def test_positions_left_out_do_not_cut_a_game(shared: Path) -> None:
    (chunk,) = read_records(shared / "chunks" / "v4" / "dfc037_game_000000.gz")
    assert len(list(games_of(chunk))) == 1
    assert len(list(games_of(replace(chunk, records=chunk.records[5::3])))) == 1


# Files that are named more than once


def test_a_file_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.gz").write_bytes(packed_game(count=2))
    (folder / "symbolic.gz").symlink_to(folder / "a.gz")
    os.link(folder / "b.gz", folder / "hard.gz")
    found, counts = read(folder, folder / "a.gz", tmp_path, folder / ".." / "games")
    assert [chunk.path.name for chunk in found] == ["a.gz", "b.gz"]
    assert (counts.files, counts.repeated) == (2, 2 + 1 + 4 + 4)


def test_files_without_numbers_are_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def numberless(self: Path, **how: Any) -> os.stat_result:
        status = list(real(self, **how))
        status[1] = 0
        return os.stat_result(status)

    for name in "ab":
        (tmp_path / f"{name}.gz").write_bytes(packed_game())
    monkeypatch.setattr(Path, "stat", numberless)
    found, counts = read(tmp_path)
    assert (len(found), counts.repeated) == (2, 0)
