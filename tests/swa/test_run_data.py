"""A run's data from files: by its configuration, and a whole run on them, stopped and gone on."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import replace

import pytest
from test_dataset import contents
from training_fakes import FakeLog, tiny_config
from training_games import identities, mixed_files

from swa.dataset import Place, TrainingGames, TrainingStream
from swa.records import RecordError
from swa.run_data import FileData
from swa.train_config import DataSettings
from swa.training import Note, train


@pytest.fixture
def config(tmp_path):
    (tmp_path / "games").mkdir()
    data = DataSettings(
        (mixed_files(tmp_path / "games"),),
        held_out=0.3,
        sampling=0.5,
        shuffle_size=40,
        validation_positions=30,
    )
    return tiny_config(tmp_path / "run", data=data, seed=5, averages=())


def test_a_stream_is_as_the_configuration_says(config):
    data, settings = FileData(config), config.data
    games = TrainingGames.find(settings.input, 0.3)
    assert data.digest == games.digest
    expected = TrainingStream(games, batch=16, buffer=40, sampling=0.5, seed=5)
    with closing(expected), closing(data.stream(None)) as found:
        for _ in range(12):
            assert contents(next(found)) == contents(next(expected))
        place = tuple(found.place)
        with closing(data.stream(place)) as resumed:
            assert contents(next(resumed)) == contents(next(found))
    with closing(data.stream((0, 0, 0, 0))) as found:
        assert found.place == Place()


def test_validation_and_refresh_are_disjoint_and_read_once(config):
    data = FileData(config)
    held_out = data.validation()
    assert sum(len(batch.games) for batch in held_out) == 30
    assert data.validation() is held_out
    masks, values = data.refresh_planes(60)
    assert masks.shape == values.shape == (60, 112)
    refreshed = held_out[0]._replace(masks=masks, values=values)
    of_validation = {game for batch in held_out for game, _ in identities(batch)}
    assert not of_validation & {game for game, _ in identities(refreshed)}


def test_no_data(config, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, words in ((tmp_path / "empty", "empty folder"), (tmp_path / "no", "no such file")):
        with pytest.raises(RecordError, match=words):
            FileData(replace(config, data=replace(config.data, input=(path,))))


@pytest.mark.parametrize("harm", ["cut", "spoilt", "none"])
def test_damaged_files_are_told_once(config, harm):
    files = sorted(config.data.input[0].rglob("*.gz"))
    for file in files[:2]:
        packed = file.read_bytes()
        if harm == "cut":
            file.write_bytes(packed[: len(packed) // 2])
        elif harm == "spoilt":
            middle = len(packed) // 2
            file.write_bytes(packed[:middle] + bytes(8) + packed[middle + 8 :])
    told = []
    train(config, lambda: FileData(config), FakeLog, notify=told.append)
    notes = [what.text for what in told if isinstance(what, Note) and "training data" in what.text]
    assert len(notes) == (harm != "none")
    if harm == "spoilt":
        assert any(str(file) in notes[0] for file in files[:2])


def test_a_run_that_is_stopped_three_times_ends_with_the_same_nets(config, tmp_path):
    straight = train(config, lambda: FileData(config), FakeLog)
    again = replace(config, output=tmp_path / "again")
    for steps in (1, 6, 2, 99):
        left = itertools.count(1 - steps)
        stopped = train(
            again, lambda: FileData(again), FakeLog, should_stop=lambda left=left: next(left) == 0
        )
    assert stopped.finished
    assert [net.read_bytes() for net in stopped.nets] == [net.read_bytes() for net in straight.nets]
