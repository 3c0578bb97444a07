"""The stream of training batches: the same from any place on, everything once, nothing held out."""

from __future__ import annotations

import errno
import itertools
import json
import threading
import tracemalloc
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_bytes import bits
from training_games import LENGTHS, game, identities, mixed_files, write_games

from swa import batches, dataset
from swa.batches import read_batches
from swa.build_data import HASHES, game_hash
from swa.chunks import pack_chunk
from swa.dataset import START, Place, TrainingGames, TrainingStream
from swa.records import Damage, RecordError

TOTAL = sum(LENGTHS)
HELD_OUT = 0.3


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    return mixed_files(tmp_path_factory.mktemp("mixed"))


def games_in(folder: Path, held_out: float = 0.0) -> TrainingGames:
    return TrainingGames.find([folder], held_out)


def stream(games: TrainingGames, place: Place = START, **options) -> TrainingStream:
    given = {"batch": 4, "buffer": 50, "sampling": 1.0, "seed": 1, **options}
    return TrainingStream(games, place=place, **given)


def contents(batch) -> bytes:
    return b"".join(bits(part) for part in batch)


def some(games: TrainingGames, count: int, place: Place = START, **options) -> list[bytes]:
    """The first batches from a place on, bit for bit."""
    with closing(stream(games, place, **options)) as found:
        return [contents(batch) for batch in itertools.islice(found, count)]


def epochs_of(games: TrainingGames, count: int, **options):
    """The identities of the positions of each of the first epochs, and its windows."""
    found = [[] for _ in range(count)]
    windows = [set() for _ in range(count)]
    with closing(stream(games, **options)) as batches_:
        for batch in batches_:
            place = batches_.place
            if place.epoch >= count:
                return found, windows
            found[place.epoch] += identities(batch)
            windows[place.epoch].add((place.file, place.game))
    raise AssertionError("a stream has no end")


def held_out_games(held_out: float) -> set[int]:
    hashes = [game_hash(game(number, length)) for number, length in enumerate(LENGTHS)]
    return {number for number, one in enumerate(hashes) if one < held_out * HASHES}


# The same from any place on


@settings(max_examples=15)
@given(
    batch=st.integers(1, 20),
    buffer=st.integers(1, TOTAL + 40),
    sampling=st.sampled_from([1.0, 0.6, 0.25]),
    seed=st.integers(0, 2**63 - 1),
    held_out=st.sampled_from([0.0, HELD_OUT]),
    cut=st.integers(1, 39),
)
def test_any_place_leads_on_to_the_same_batches(
    mixed, batch, buffer, sampling, seed, held_out, cut
):
    options = {"batch": batch, "buffer": buffer, "sampling": sampling, "seed": seed}
    games = games_in(mixed, held_out)
    with closing(stream(games, **options)) as straight:
        expected = [contents(next(straight)) for _ in range(cut)]
        place = straight.place
        expected += [contents(next(straight)) for _ in range(40 - cut)]
    assert some(games, 40, **options) == expected
    kept = Place(*json.loads(json.dumps(place)))
    assert some(games_in(mixed, held_out), 40 - cut, kept, **options) == expected[cut:]


@pytest.mark.parametrize("sampling", [1.0, 0.4])
@pytest.mark.parametrize("buffer", [30, TOTAL - 1, TOTAL - 5, TOTAL - 20, TOTAL])
def test_killed_after_every_batch_over_epochs(mixed, sampling, buffer):
    # A little less than all: whether the last game makes an epoch two windows is by its order.
    games, options = games_in(mixed), {"batch": 16, "buffer": buffer, "sampling": sampling}
    found, place = [], Place()
    while place.epoch < 4:
        with closing(stream(games, place, **options)) as one:
            found.append(contents(next(one)))
            place = one.place
    assert some(games, len(found), **options) == found


@pytest.mark.parametrize("sampling", [0.4, 0.9])
def test_in_memory_and_read_again_are_the_same(mixed, sampling):
    # All of an epoch is in one window in either; all there is fits into memory in one alone.
    found = [
        some(games_in(mixed), 60, sampling=sampling, buffer=buffer) for buffer in (TOTAL, TOTAL - 1)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("sampling", [1.0, 0.4])
def test_what_fits_into_memory_is_read_once(tmp_path, sampling):
    folder = write_games(tmp_path / "games", [30, 20])
    with closing(stream(games_in(folder), buffer=50, sampling=sampling)) as found:
        next(found)
        for file in folder.iterdir():
            file.unlink()
        while found.place.epoch < 4:
            next(found)


def test_a_tar_is_read_once_an_epoch(mixed, monkeypatch):
    read, original = Counter(), dataset.read_games

    def counted(path, *rest):
        read[path.name] += 1
        return original(path, *rest)

    monkeypatch.setattr(dataset, "read_games", counted)
    _, windows = epochs_of(games_in(mixed), 2, buffer=4)
    assert len(windows[0]) > 6
    assert read["a.tar"] <= 3  # two epochs, and the one that is read ahead


def test_seeds_and_epochs_have_orders_of_their_own(mixed):
    games = games_in(mixed)
    orders = []
    for seed in (1, 2):
        for buffer in (20, TOTAL):
            orders += epochs_of(games, 2, seed=seed, buffer=buffer, batch=1)[0]
    assert len({tuple(order) for order in orders}) == 8
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(orders[0]))}


# Everything once, nothing that is held out


@settings(max_examples=20)
@given(
    batch=st.integers(1, 30),
    buffer=st.integers(1, TOTAL + 40),
    held_out=st.sampled_from([0.0, HELD_OUT]),
)
def test_an_epoch_has_each_position_once_but_for_less_than_a_batch_of_each_window(
    mixed, batch, buffer, held_out
):
    without = held_out_games(held_out)
    all_of_them = {
        (number, ply)
        for number, length in enumerate(LENGTHS)
        for ply in range(length)
        if number not in without
    }
    for found, windows in zip(
        *epochs_of(games_in(mixed, held_out), 2, batch=batch, buffer=buffer), strict=True
    ):
        assert len(found) == len({*found})
        assert {*found} <= all_of_them
        assert len(all_of_them) - len(found) <= (len(windows) + 1) * (batch - 1)
        if batch == 1:
            assert {*found} == all_of_them


def test_held_out_games_are_for_validation_alone_and_so_are_their_copies(tmp_path):
    folder = write_games(tmp_path / "games", [10] * 40)
    write_games(tmp_path / "games" / "copies", [10] * 40)
    games = games_in(folder, HELD_OUT)
    held_out = {one for batch in games.validation(1000) for one, _ in identities(batch)}
    by_hash = {one for one in range(40) if game_hash(game(one, 10)) < HELD_OUT * HASHES}
    assert held_out == by_hash
    assert 0 < len(held_out) < 40
    trained = {one for one, _ in epochs_of(games, 1, batch=1, buffer=99)[0][0]}
    assert trained == {*range(40)} - held_out
    masks, values = games.refresh_planes(800, 0.25)
    refreshed = {one for one, _ in identities(batches.Batch(masks, values, *[None] * 7))}
    assert refreshed == trained


def test_validation_is_of_fixed_positions(mixed):
    games = games_in(mixed, HELD_OUT)
    first = [identities(batch) for batch in games.validation(20)]
    assert sum(map(len, first)) == 20
    assert [identities(batch) for batch in games_in(mixed, HELD_OUT).validation(20)] == first
    more = itertools.chain(*(identities(batch) for batch in games.validation(10**6)))
    assert list(itertools.chain(*first)) == list(more)[:20]


@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
def test_refresh_has_as_many_positions_as_it_is_asked_for(mixed, share):
    games = games_in(mixed)
    for count in (1, 50, TOTAL):
        masks, values = games.refresh_planes(count, share)
        assert masks.shape == values.shape == (count, 112)
        assert bits(games.refresh_planes(count, share)[0]) == bits(masks)
    assert len(games.refresh_planes(TOTAL + 1, share)[0]) == TOTAL


def test_sampling_takes_its_share_another_one_each_epoch(tmp_path):
    folder = write_games(tmp_path / "games", [100] * 20)
    for buffer in (300, 2000):
        first, second = epochs_of(
            games_in(folder), 2, batch=1, buffer=buffer, sampling=0.25, seed=buffer
        )[0]
        for epoch in (first, second):
            assert abs(len(epoch) - 500) < 100  # five standard deviations
            assert len({one for one, _ in epoch}) == 20
            assert len({*epoch}) == len(epoch)
        assert 50 < len({*first} & {*second}) < 200  # 125 by chance


def test_shuffling_mixes_the_games_of_a_window(tmp_path):
    folder = write_games(tmp_path / "games", [50] * 20)
    with closing(stream(games_in(folder), batch=50, buffer=1000)) as found:
        assert all(len({one for one, _ in identities(next(found))}) > 10 for _ in range(20))


# What a batch says


@pytest.mark.parametrize("folder", ["v4", "v6", "v7"])
def test_positions_are_what_evaluation_has_of_the_same_records(shared, folder):
    source = shared / "chunks" / folder
    files = sorted(source.glob("*.gz"))[:3]
    expected = {}
    for batch in read_batches(files):
        for row in range(len(batch.games)):
            expected.setdefault(_position(batch, row), []).append(row)
    count = sum(map(len, expected.values()))
    found = Counter()
    with closing(stream(TrainingGames.find(files, 0), batch=1, buffer=1000)) as batches_:
        while True:
            batch = next(batches_)
            if batches_.place.epoch:
                break
            found[_position(batch, 0)] += 1
    assert found.total() == count
    assert found == {position: len(rows) for position, rows in expected.items()}


def _position(batch, row) -> bytes:
    """A row of a batch of either kind, in float32."""
    first, end = batch.offsets[row : row + 2]
    parts = [batch.masks[row], batch.values[row], batch.moves[first:end]]
    parts += [batch.policy[first:end], batch.result[row], batch.searched[row]]
    parts += [batch.plies_left[row : row + 1]]
    return b"".join(
        bits(part if part.dtype in (np.uint64, np.uint16) else part.astype(np.float32))
        for part in parts
    )


def test_kinds_and_shapes(mixed):
    with closing(stream(games_in(mixed), batch=9)) as found:
        batch = next(found)
    moves = len(batch.moves)
    assert {name: (part.dtype.name, part.shape) for name, part in batch._asdict().items()} == {
        "masks": ("uint64", (9, 112)),
        "values": ("float32", (9, 112)),
        "moves": ("uint16", (moves,)),
        "offsets": ("int64", (10,)),
        "policy": ("float32", (moves,)),
        "result": ("float32", (9, 3)),
        "searched": ("float32", (9, 3)),
        "plies_left": ("float32", (9,)),
    }
    assert (batch.offsets[0], batch.offsets[-1]) == (0, moves)
    np.testing.assert_allclose(np.add.reduceat(batch.policy, batch.offsets[:-1]), 1, rtol=1e-6)


def test_positions_without_search_or_moves_are_left_out_before_the_share_is_taken(tmp_path):
    records = game(0, 30)
    records["invariance_info"][::3] = 1 << 6  # placeholders
    (tmp_path / "a.gz").write_bytes(pack_chunk(records))
    first = epochs_of(games_in(tmp_path), 1, batch=1)[0][0]
    assert sorted(ply for _, ply in first) == [ply for ply in range(30) if ply % 3]


# What is wrong with the data


def test_folders_without_data(tmp_path):
    with pytest.raises(RecordError, match="empty folder") as found:
        games_in(tmp_path)
    assert str(tmp_path) in str(found.value)
    with pytest.raises(RecordError, match="no such file or folder"):
        games_in(tmp_path / "none")


@pytest.mark.parametrize("sampling", [1.0, 0.1])
def test_folders_of_other_files(tmp_path, sampling):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    games = games_in(tmp_path, 0.1)
    with closing(stream(games, sampling=sampling)) as found:
        for _ in range(2):
            with pytest.raises(RecordError, match=r"no training records in 1 files") as error:
                next(found)
    assert "photo.jpg" in str(error.value)
    assert len(str(error.value).splitlines()) <= 3
    for work in (lambda: games.validation(10), lambda: games.refresh_planes(10, sampling)):
        with pytest.raises(RecordError, match=r"no training records in 1 files"):
            work()


def test_everything_is_held_out_or_nothing_is(tmp_path):
    folder = write_games(tmp_path / "games", [10, 10])
    with pytest.raises(RecordError, match="no game is held out: there are only 2 files"):
        games_in(folder, 0.0).validation(10)
    everything = games_in(folder, 1.0)
    with closing(stream(everything)) as found, pytest.raises(RecordError, match="trained on"):
        next(found)
    with pytest.raises(RecordError, match="no position is trained on: there are only 2 files"):
        everything.refresh_planes(10, 0.1)


@pytest.mark.parametrize("sampling", [1.0, 0.5])
def test_fewer_positions_than_a_batch(tmp_path, sampling):
    folder = write_games(tmp_path / "games", [10, 10])
    with closing(stream(games_in(folder), batch=21, sampling=sampling)) as found:
        for _ in range(2):
            with pytest.raises(RecordError, match="positions in an epoch, less than a batch"):
                next(found)


def test_an_epoch_that_has_no_batch_by_chance_is_passed_over(tmp_path):
    folder = write_games(tmp_path / "games", [40])
    options = {"batch": 20, "sampling": 0.5}
    with closing(stream(games_in(folder), **options)) as found:
        epochs = [found.place.epoch for _ in zip(range(20), found, strict=False)]
    assert len({*epochs}) == 20
    assert max(epochs) > 19  # some had none


@pytest.mark.parametrize("sampling", [1.0, 0.5])
@pytest.mark.parametrize("vanish", [False, True])
def test_files_that_change(tmp_path, sampling, vanish):
    folder = write_games(tmp_path / "games", [20] * 10)
    with closing(stream(games_in(folder), sampling=sampling, buffer=20)) as found:
        next(found)
        for file in folder.iterdir():
            if vanish:
                file.unlink()
            else:
                file.write_bytes(file.read_bytes() + b"\0")
        # Looked for or opened: either may come first.
        words = "[Nn]o such file" if vanish else "changed while it was trained on"
        for _ in range(2):
            with pytest.raises(RecordError, match=words) as error:
                sum(1 for _ in zip(range(200), found, strict=False))
            assert "game-00" in str(error.value)


def test_a_file_that_cannot_be_read_just_now_is_not_left_out(tmp_path, monkeypatch):
    folder = write_games(tmp_path / "games", [20] * 3)
    original = Path.open

    def failing(path, *arguments, **options):
        if path.name == "game-0001.gz":
            raise OSError(errno.EIO, "Input/output error")
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing)
    with (
        closing(stream(games_in(folder))) as found,
        pytest.raises(RecordError, match="Input/output error") as error,
    ):
        next(found)
    assert error.value.damage is Damage.UNREADABLE
    assert "game-0001.gz" in str(error.value)


def test_truncated_and_damaged_files_give_what_is_whole(tmp_path):
    folder = write_games(tmp_path / "games", [60, 60, 60])
    cut, damaged = folder / "game-0001.gz", folder / "game-0002.gz"
    cut.write_bytes(cut.read_bytes()[:-2000])
    damaged.write_bytes(b"\x1f\x8b\x08" + bytes(500))
    first, second = epochs_of(games_in(folder), 2, batch=1, buffer=70)[0]
    lengths = Counter(one for one, _ in first)
    assert sorted(lengths) == [0, 1]
    assert lengths[0] == 60
    assert 0 < lengths[1] < 60
    assert sorted(first) == sorted(second)


def test_the_digest_tells_of_names_sizes_and_what_is_held_out(tmp_path):
    folder = write_games(tmp_path / "games", [3, 4])
    digests = [games_in(folder).digest, games_in(folder, 0.1).digest]
    assert digests == [games_in(folder).digest, games_in(folder, 0.1).digest]
    (folder / "game-0001.gz").rename(folder / "game-0002.gz")
    digests.append(games_in(folder).digest)
    (folder / "game-0002.gz").write_bytes(pack_chunk(game(1, 5)))
    digests.append(games_in(folder).digest)
    write_games(folder, [3], 7)
    digests.append(games_in(folder).digest)
    assert len({*digests}) == 5


@pytest.mark.parametrize("bad", [{"batch": 0}, {"buffer": 0}, {"sampling": 0}, {"sampling": 1.5}])
def test_numbers_that_cannot_be(mixed, bad):
    with pytest.raises(ValueError, match="at least 1"):
        stream(games_in(mixed), **bad)


# The thread


def reading() -> bool:
    return any(thread.name.startswith("training-data") for thread in threading.enumerate())


def test_what_goes_wrong_in_the_thread_is_raised_where_a_batch_is_asked_for(mixed, monkeypatch):
    def broken(*_):
        raise RuntimeError("the thread")

    monkeypatch.setattr(dataset, "read_games", broken)
    with closing(stream(games_in(mixed))) as found:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="the thread"):
                next(found)
    assert not reading()


def test_closing_ends_the_thread_while_it_reads(mixed, monkeypatch):
    begun = threading.Event()

    def endless(path, *rest):
        chunk = next(original(mixed / "c", *rest))
        begun.set()
        return itertools.repeat(chunk)

    original = dataset.read_games
    monkeypatch.setattr(dataset, "read_games", endless)
    found = stream(games_in(mixed), buffer=10**9)
    assert begun.wait(60)
    assert reading()
    found.close()
    assert not reading()
    found.close()
    with pytest.raises(ValueError, match="closed"):
        next(found)


@pytest.mark.parametrize("sampling", [1.0, 0.5])
def test_two_windows_are_in_memory(tmp_path, monkeypatch, sampling):
    monkeypatch.setattr(batches, "BATCH", 64)
    packed = pack_chunk(game(0, 50))
    for number in range(300):
        (tmp_path / f"{number:03}.gz").write_bytes(packed)
    games, buffer = games_in(tmp_path), 1000
    # CPython crashes where tracing begins or ends while another thread allocates.
    tracemalloc.start()
    try:
        with closing(stream(games, batch=100, buffer=buffer, sampling=sampling)) as found:
            while not found.place.epoch:
                next(found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Of 15,000 positions that take 15 MB; a file that is being read takes 2 MB.
    assert peak < 2 * buffer * 1100 * 1.2 + 3e6
