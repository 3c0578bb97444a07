"""Positions from records in batches: which are taken, what is said of them, in what memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from record_bytes import game_bytes, packed_game, record_bytes, tar_of

from swa import batches
from swa.batches import BATCH, BatchCounts, read_batches
from swa.chunks import ReadCounts, read_records
from swa.records import Damage, RecordError, planes_of, targets_of


def seen(found):
    """What tells positions of these tests apart: the game, and the count of plies."""
    return [
        (int(game), int(plies))
        for batch in found
        for game, plies in zip(batch.games, batch.values[:, 109], strict=True)
    ]


def test_batches_hold_what_the_records_say(shared):
    batch = next(read_batches(shared / "chunks" / "v7"))
    chunks = read_records(shared / "chunks" / "v7")
    game = next(chunks)
    count = len(game.records)
    targets = targets_of(game.records)
    for found, expected in zip((batch.masks, batch.values), planes_of(game.records), strict=True):
        np.testing.assert_array_equal(found[:count], expected)
    assert (len(batch.games), len(batch.offsets)) == (BATCH, BATCH + 1)
    for position in (0, 7, count - 1):
        first, end = batch.offsets[position : position + 2]
        legal = np.flatnonzero(targets.legal[position])
        np.testing.assert_array_equal(batch.moves[first:end], legal)
        np.testing.assert_allclose(
            batch.policy[first:end], targets.policy[position, legal], rtol=1e-6
        )
    sums = np.add.reduceat(batch.policy, batch.offsets[:-1])
    np.testing.assert_allclose(sums, 1, rtol=1e-14)
    np.testing.assert_array_equal(batch.result[:count], targets.result)
    np.testing.assert_allclose(
        batch.searched[:count] @ [1, 0, -1], targets.best_q, rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(batch.searched[:count, 1], targets.best_d)
    np.testing.assert_array_equal(batch.plies_left[:count], targets.plies_left)


def test_games_are_files_whatever_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 4)
    for number, count in enumerate((3, 9, 1)):
        (tmp_path / f"{number}.gz").write_bytes(packed_game(count=count))
    counts = BatchCounts()
    found = list(read_batches(tmp_path, counts=counts))
    assert [len(batch.games) for batch in found] == [4, 4, 4, 1]
    expected = [(game, plies) for game, count in enumerate((3, 9, 1)) for plies in range(count)]
    assert seen(found) == expected
    assert (counts.positions, counts.games) == (13, 3)


def test_the_first_positions(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.gz").write_bytes(packed_game(count=4))
    for limit in (1, 4, 5, 12, 99):
        counts = BatchCounts()
        found = seen(read_batches(tmp_path, positions=limit, counts=counts))
        assert found == [(game, plies) for game in range(3) for plies in range(4)][:limit]
        assert (counts.positions, counts.games) == (min(limit, 12), -(-min(limit, 12) // 4))
    for bad in ({"positions": 0}, {"every": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            read_batches(tmp_path, **bad)


def test_one_in_so_many_whatever_the_packing(shared, tmp_path):
    source = shared / "chunks" / "v7"
    everything = sum(len(batch.games) for batch in read_batches(source))
    some = list(read_batches(source, every=8))
    count = sum(len(batch.games) for batch in some)
    assert abs(count - everything / 8) < 4 * np.sqrt(everything / 8)
    files = sorted(source.glob("*.gz"), reverse=True)
    (tmp_path / "all.tar").write_bytes(tar_of({file.name: file.read_bytes() for file in files}))
    masks = [np.concatenate([batch.masks for batch in some])]
    masks.append(np.concatenate([b.masks for b in read_batches(tmp_path, every=8)]))
    one, other = ({row.tobytes() for row in rows} for rows in masks)
    assert one == other


@pytest.mark.parametrize("every", [2**31, 2**32, 2**63, 10**30])
def test_one_in_more_than_there_are(tmp_path, every):
    (tmp_path / "0.gz").write_bytes(packed_game())
    assert list(read_batches(tmp_path, every=every)) == []


def test_what_is_left_out_is_counted(tmp_path):
    (tmp_path / "0.gz").write_bytes(packed_game(count=3, invariance_info=64))
    mixed = game_bytes(6, 2) + record_bytes(6, rule50=9, invariance_info=64 | 7)
    (tmp_path / "1").write_bytes(mixed)
    (tmp_path / "2.gz").write_bytes(packed_game(count=2, input_format=3))
    (tmp_path / "3.gz").write_bytes(packed_game()[:-9])
    (tmp_path / "4.gz").write_bytes(b"no records")
    read, counts = ReadCounts(), BatchCounts()
    found = list(read_batches(tmp_path, read=read, counts=counts))
    assert seen(found)[:2] == [(0, 0), (0, 1)]
    assert (counts.placeholders, counts.no_moves) == (4, 0)
    assert read.truncated == 1
    assert read.skipped == {Damage.INPUT_FORMAT: 1, Damage.NOT_RECORDS: 1}
    assert "2.gz" in str(read.examples[Damage.INPUT_FORMAT])


def test_only_placeholders_are_no_batch(tmp_path):
    (tmp_path / "0.gz").write_bytes(packed_game(invariance_info=64))
    assert list(read_batches(tmp_path)) == []


@pytest.mark.parametrize("version", range(3, 8))
def test_v3_does_not_know_the_search(version, tmp_path):
    fields = {"result": 1} if version < 6 else {"result_q": 1.0}
    search = {"best_q": 0.5, "best_d": 0.25} if version > 3 else {}
    (tmp_path / "0.gz").write_bytes(packed_game(version, **fields, **search))
    (batch,) = read_batches(tmp_path)
    np.testing.assert_array_equal(batch.result, [[1, 0, 0]] * 3)
    np.testing.assert_array_equal(
        batch.searched, [[np.nan] * 3 if version == 3 else [0.625, 0.25, 0.125]] * 3
    )


def test_a_source_that_is_not_there_is_told_at_once(tmp_path):
    with pytest.raises(RecordError, match="no such file"):
        read_batches(Path(tmp_path / "nowhere"))


def test_games_of_one_file_are_games_of_their_own(shared):
    counts = BatchCounts()
    found = list(read_batches(shared / "chunks" / "v4", counts=counts))
    assert counts.games == 61  # 59 of them in one file
    games = np.concatenate([batch.games for batch in found])
    assert set(np.diff(games)) == {0, 1}
    assert games[-1] == 60


def test_a_file_of_another_format_counts_once(tmp_path):
    board, later = ([1] * 13 + [0] * 91, [1] * 104)
    game = b"".join(record_bytes(6, planes=planes, input_format=3) for planes in (board, later))
    (tmp_path / "0").write_bytes(game * 3)
    read = ReadCounts()
    assert list(read_batches(tmp_path, read=read)) == []
    assert read.skipped == {Damage.INPUT_FORMAT: 1}
