"""What may not play at all: broken batch norm, policies that explode, losses far above."""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from build_inputs import GAMES, PLIES, write_games, write_training_run
from tiny_net import KINDS, calm_weights

from arena.nightly.candidates import Entry
from arena.nightly.reading import read_nightly
from arena.nightly.sanity import SanityRecord, check_sanity
from arena.nightly.settings import NightlySettings
from swa.build_data import survey
from swa.evaluation import evaluate
from swa.net import NetError, load_net, new_net, save_net
from swa.records import RecordError
from swa.spec import NetSpec

TEXT = 'home = "home"\nlatest = "run"\nentries = "raw"\nbuild.threads = 1\n'
DATA = 'build.data = "games"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two snapshots in ``run``, and ``games``."""
    return write_training_run(tmp_path_factory.mktemp("made"), 2)


@pytest.fixture
def job(made: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    shutil.copytree(made, folder)
    return folder


def read(job: Path, text: str = DATA) -> NightlySettings:
    (job / "nightly.toml").write_text(TEXT + text)
    return read_nightly(job / "nightly.toml")


def entry(path: Path, kind: Literal["raw", "average"] = "raw") -> Entry:
    return Entry(path.name, path, kind, load_net(path).sha256)


def check(job: Path, path: Path | None = None, text: str = DATA, **kind: Any) -> SanityRecord:
    asked = entry(path or job / "run" / "run-2.pb", **kind)
    (found,) = check_sanity([asked], job / "run" / "run-1.pb", read(job, text))
    assert found.passed == (not found.reasons)
    assert (found.name, found.sha256) == (asked.name, asked.sha256)
    json.dumps(asdict(found), allow_nan=False)
    return found


def changed(job: Path, change: Callable[[str, Any], Any]) -> Path:
    """The second snapshot with other weights."""
    net = load_net(job / "run" / "run-2.pb")
    weights = {name: change(name, values) for name, values in net.weights.items()}
    save_net(replace(net, weights=weights), job / "changed.pb", encoding="float32")
    return job / "changed.pb"


def other_kind(job: Path, spec: NetSpec) -> Path:
    """A net of another kind that has learnt nothing."""
    net = new_net(spec, calm_weights(spec))
    save_net(net, job / "other.pb", encoding="float32", licence="a licence")
    return job / "other.pb"


# --- what passes, and by which numbers ---


def test_the_numbers_are_those_of_a_paired_evaluation(job: Path) -> None:
    found = check(job)
    assert found.passed
    data = survey([job / "games"], share=0.1)
    champion, net = (load_net(job / "run" / f"run-{number}.pb") for number in (1, 2))
    expected = evaluate([champion, net], data.batches(), threads=1)
    numbers = found.numbers
    assert numbers["positions"] == expected.positions == data.held_out_positions
    assert numbers["loss"] == pytest.approx(expected.nets[1].loss, rel=1e-12)
    assert numbers["champion_loss"] == pytest.approx(expected.nets[0].loss, rel=1e-12)
    difference = numbers["loss"] - numbers["champion_loss"]
    assert numbers["excess_loss"] == pytest.approx(difference, abs=1e-12)
    assert numbers["policy_uniform"] == pytest.approx(math.log(4))  # four legal moves each
    assert numbers["dead_channels"] == 0


def test_the_champion_itself_is_no_worse_than_itself(job: Path) -> None:
    found = check(job, job / "run" / "run-1.pb", 'build.eval-data = "games"\n')
    assert found.passed
    assert found.numbers["excess_loss"] == 0
    assert found.numbers["excess_loss_low"] == found.numbers["excess_loss_high"] == 0
    assert found.numbers["positions"] == GAMES * PLIES
    assert found.numbers["games"] == GAMES


def test_one_game_tells_no_interval(job: Path) -> None:
    (job / "one").mkdir()
    shutil.copy(job / "games" / "game-0.gz", job / "one")
    found = check(job, text='build.eval-data = "one"\n')
    assert found.numbers["excess_loss_low"] is found.numbers["excess_loss_high"] is None


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ('build.data = "games"\nbuild.held-out = 0.0\n', GAMES * PLIES),
        ('build.data = "games"\nbuild.held-out = 0.0\nbuild.positions = 30\n', 30),
        ('build.eval-data = "games"\nbuild.eval-positions = 50\n', 50),
        ('build.data = "more"\nbuild.eval-data = "games"\n', GAMES * PLIES),
        ('build.data = "games"\nbuild.eval-positions = 20\n', 20),
    ],
)
def test_which_positions_are_taken(job: Path, text: str, positions: int) -> None:
    (job / "more").mkdir()
    write_games(job / "more", seed=5)
    assert check(job, text=text).numbers["positions"] == positions


def test_without_data_the_numbers_alone_are_looked_at(job: Path) -> None:
    found = check(job, text="")
    assert found.passed
    assert set(found.numbers) == {"channels", "dead_channels"}


def test_a_champion_of_another_kind_is_compared_by_loss_alone(job: Path) -> None:
    """By MSE of the value where one of them knows no draws."""
    classical = other_kind(job, KINDS["no se, classical policy and value"])
    text = DATA + "sanity.excess-loss = 50.0\n"
    (found,) = check_sanity([entry(job / "run" / "run-2.pb")], classical, read(job, text))
    assert found.passed
    assert found.numbers["value_metric"] == "value_mse"


# --- what does not ---


def test_a_loss_far_above_the_champions(job: Path) -> None:
    def flipped(name: str, values: Any) -> Any:
        return values * np.float32(20) if name == "value.dense2.weight" else values

    path = changed(job, flipped)
    excess = check(job, path, DATA + "sanity.excess-loss = 1000.0\n").numbers["excess_loss"]
    assert excess > 0
    assert check(job, path, DATA + f"sanity.excess-loss = {excess * 1.01}\n").passed
    found = check(job, path, DATA + f"sanity.excess-loss = {excess * 0.99}\n")
    (reason,) = found.reasons
    assert "more than the" in reason
    assert "of sanity.excess-loss" in reason


def test_a_policy_that_explodes(job: Path) -> None:
    def louder(name: str, values: Any) -> Any:
        return values * np.float32(300) if name.startswith("policy.") else values

    found = check(job, changed(job, louder), DATA + "sanity.excess-loss = 1e9\n")
    (reason,) = found.reasons
    assert "of taking all moves as equally likely" in reason
    assert found.numbers["policy_loss"] > 2 * found.numbers["policy_uniform"]


def test_what_is_no_number_at_some_positions(job: Path) -> None:
    found = check(job, changed(job, lambda _, values: values * np.float32(1e20)))
    assert not found.passed
    assert "is no number" in found.reasons[0]


def test_batch_norm_that_has_died_beyond_the_champions(job: Path) -> None:
    def died(name: str, values: Any) -> Any:
        return values * 0 if name.endswith(".variance") else values

    path = changed(job, died)
    found = check(job, path, text="")
    assert "channels are dead" in found.reasons[0]
    assert found.numbers["dead_channels"] == found.numbers["channels"]
    # An average was compared with its own snapshots, by the guard of its build.
    assert check(job, path, text="", kind="average").passed
    (again,) = check_sanity([entry(path)], path, read(job, ""))
    assert again.passed  # the champion is as dead


def test_each_net_is_judged_by_itself(job: Path) -> None:
    broken = changed(job, lambda _, values: values * np.float32(1e20))
    entries = [entry(broken), entry(job / "run" / "run-2.pb")]
    found = check_sanity(entries, job / "run" / "run-1.pb", read(job))
    assert [record.passed for record in found] == [False, True]


# --- errors, which are no results ---


def test_a_champion_that_cannot_be_used_is_an_error(job: Path) -> None:
    settings, asked = read(job), [entry(job / "run" / "run-2.pb")]
    with pytest.raises(NetError, match="cannot read the net: no such file"):
        check_sanity(asked, job / "gone.pb", settings)
    broken = changed(job, lambda _, values: values * np.float32(1e20))
    with pytest.raises(NetError, match=r"changed\.pb: .*is no number"):
        check_sanity(asked, broken, settings)


def test_a_file_that_was_exchanged_is_an_error(job: Path) -> None:
    asked = entry(job / "run" / "run-2.pb")
    shutil.copyfile(job / "run" / "run-1.pb", job / "run" / "run-2.pb")
    with pytest.raises(NetError, match="another one than was entered"):
        check_sanity([asked], job / "run" / "run-1.pb", read(job))


def test_missing_data_are_an_error(job: Path) -> None:
    shutil.rmtree(job / "games")
    with pytest.raises(RecordError, match="games"):
        check(job)


# --- kept results ---


def test_results_are_kept_and_read(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, record = read(job), job / "sanity.json"
    champion, asked = job / "run" / "run-1.pb", [entry(job / "run" / "run-2.pb")]
    first = check_sanity(asked, champion, settings, record=record)
    shutil.rmtree(job / "games")
    assert check_sanity(asked, champion, settings, record=record) == first
    with pytest.raises(RecordError):  # of another champion they say nothing
        check_sanity(asked, asked[0].path, settings, record=record)
    with pytest.raises(RecordError):  # nor of another entry
        check_sanity([entry(champion)], champion, settings, record=record)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"records": [{}]}', '{"records": 3}'])
def test_half_a_result_is_none(job: Path, text: str) -> None:
    record = job / "sanity.json"
    record.write_text(text)
    asked = [entry(job / "run" / "run-2.pb")]
    (found,) = check_sanity(asked, job / "run" / "run-1.pb", read(job, ""), record=record)
    assert json.loads(record.read_text())["records"][0]["name"] == found.name


def test_a_full_disk_is_an_error(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("arena.nightly.sanity.write_whole", full)
    asked = [entry(job / "run" / "run-2.pb")]
    with pytest.raises(NetError, match=r"sanity\.json: cannot be written: no space left"):
        check_sanity(asked, job / "run" / "run-1.pb", read(job, ""), record=job / "sanity.json")
