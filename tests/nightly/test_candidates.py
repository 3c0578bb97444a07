"""The newest net, and averages of the last snapshots: built once, refused for good, or later."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build_inputs import write_training_run
from tiny_net import KINDS, TINY, calm_weights

import swa.build
import swa.latest
from arena.nightly.candidates import Entry, Refusal, build_averages, newest
from arena.nightly.reading import read_nightly
from arena.nightly.settings import NightlySettings
from swa.build import Step
from swa.build_checks import Failure
from swa.build_config import BuildError
from swa.manifest import read_manifest
from swa.net import NetError, load_net, new_net, save_net
from swa.records import RecordError

TEXT = """
home = "home"
latest = "run"
[build]
data = "games"
threads = 1
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four snapshots in ``run``, and ``games``."""
    return write_training_run(tmp_path_factory.mktemp("made"), 4)


@pytest.fixture
def job(made: Path, tmp_path: Path) -> Path:
    """A copy of it with nightly.toml."""
    folder = tmp_path / "job"
    shutil.copytree(made, folder)
    (folder / "nightly.toml").write_text(TEXT)
    return folder


def read(job: Path, more: str = "") -> NightlySettings:
    (job / "nightly.toml").write_text(TEXT + more)
    return read_nightly(job / "nightly.toml")


def averages(job: Path, more: str = "", **settings: Any) -> list[Entry | Refusal]:
    latest = job / "run" / "run-4.pb"
    return build_averages(read(job, more), latest, job / "night", lambda _: None, **settings)


def only(found: list[Entry | Refusal]) -> Entry:
    (entry,) = found
    assert isinstance(entry, Entry)
    return entry


def refused(found: list[Entry | Refusal]) -> Refusal:
    (refusal,) = found
    assert isinstance(refusal, Refusal)
    return refusal


def ingredients(entry: Entry) -> list[str]:
    assert entry.manifest is not None
    return [item["name"] for item in entry.manifest["ingredients"]]


def no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("is built again")

    monkeypatch.setattr(swa.build, "build", build)


# --- the newest net ---


class Notes:
    """What a registry has noted."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self.known = dict(known or {})

    def __call__(self, path: str, size: int, mtime_ns: int) -> str | None:
        return self.known.get(f"{path} {size} {mtime_ns}")


def test_the_newest_net_is_read(job: Path) -> None:
    found = newest(read(job), Notes())
    path = job / "run" / "run-4.pb"
    assert found.path == path
    assert found.net is not None
    assert found.sha256 == found.net.sha256 == load_net(path).sha256
    assert (found.size, found.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_a_file_that_was_noted_is_not_read(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = newest(read(job), Notes())
    notes = Notes({f"{found.path} {found.size} {found.mtime_ns}": "noted"})

    def load(path: Path) -> Any:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(swa.latest, "load_net", load)
    monkeypatch.setattr(swa.net, "load_net", load)
    again = newest(read(job), notes)
    assert (again.path, again.sha256, again.net) == (found.path, "noted", None)


def test_a_noted_name_with_other_bytes_is_read(job: Path) -> None:
    found = newest(read(job), Notes())
    notes = Notes({f"{found.path} {found.size} {found.mtime_ns}": "noted"})
    shutil.copyfile(job / "run" / "run-1.pb", found.path)
    again = newest(read(job), notes)
    assert again.sha256 == load_net(job / "run" / "run-1.pb").sha256


def test_a_noted_net_gives_way_to_a_newer_one(job: Path) -> None:
    found = newest(read(job), Notes())
    shutil.copyfile(job / "run" / "run-1.pb", job / "run" / "run-5.pb")
    notes = Notes({f"{found.path} {found.size} {found.mtime_ns}": "noted"})
    assert newest(read(job), notes).path.name == "run-5.pb"


def test_what_is_being_written_is_passed_over(job: Path) -> None:
    whole = (job / "run" / "run-4.pb").read_bytes()
    (job / "run" / "run-5.pb").write_bytes(whole[: len(whole) // 2])
    found = newest(read(job), Notes())
    assert found.path.name == "run-4.pb"
    assert len(found.passed_over) == 1
    assert found.passed_over[0].startswith(f"{job / 'run' / 'run-5.pb'}: ")


def test_no_net_at_all(job: Path) -> None:
    shutil.rmtree(job / "run")
    with pytest.raises(NetError, match="no such folder"):
        newest(read(job), Notes())


# --- averages ---


def test_an_average_is_of_the_last_snapshots(job: Path) -> None:
    entry = only(averages(job, '[[averages]]\nname = "three"\nlast = 3\n'))
    assert (entry.name, entry.kind) == ("three", "average")
    assert entry.path == job / "night" / "run-three-4.pb.gz"
    assert ingredients(entry) == ["run-2", "run-3", "run-4"]
    assert load_net(entry.path).sha256 == entry.sha256
    manifest = read_manifest(entry.path.with_name("run-three-4.pb.gz.json"))
    assert json.loads(manifest.to_json()) == entry.manifest


def test_newer_snapshots_and_other_series_are_not_in_it(job: Path) -> None:
    for name in ("run-5.pb", "run-swa-3.pb", "other-3.pb"):
        shutil.copyfile(job / "run" / "run-1.pb", job / "run" / name)
    assert ingredients(only(averages(job))) == ["run-1", "run-2", "run-3", "run-4"]


def test_a_broken_snapshot_is_passed_over_and_told(job: Path) -> None:
    (job / "run" / "run-3.pb").write_bytes(b"no net")
    entry = only(averages(job))
    assert ingredients(entry) == ["run-1", "run-2", "run-4"]
    assert len(entry.passed_over) == 1
    assert "run-3.pb: " in entry.passed_over[0]


def test_what_is_built_is_not_built_again(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = '[[averages]]\nname = "ema"\nrule = "ema"\ndecay = 0.5\nlast = 3\n'
    first = averages(job, more)
    shutil.rmtree(job / "games")  # not needed any more, nor are older snapshots
    (job / "run" / "run-2.pb").unlink()
    no_build(monkeypatch)
    assert averages(job, more) == first


@pytest.mark.parametrize("damage", ["net", "manifest", "no manifest", "latest", "rule"])
def test_what_does_not_agree_is_built_again(job: Path, damage: str) -> None:
    whole = only(averages(job))
    manifest = whole.path.with_name(whole.path.name + ".json")
    more = ""
    match damage:
        case "net":
            whole.path.write_bytes(whole.path.read_bytes()[:-1])
        case "manifest":
            manifest.write_text("{")
        case "no manifest":
            manifest.unlink()
        case "latest":
            save_net(
                replace(load_net(job / "run" / "run-3.pb"), training_steps=4000),
                job / "run" / "run-4.pb",
                overwrite=True,
            )
        case "rule":
            more = '[[averages]]\nrule = "ema"\ndecay = 0.9\n'
    again = only(averages(job, more))
    assert (again.sha256 == whole.sha256) == (damage not in ("latest", "rule"))
    assert load_net(again.path).sha256 == again.sha256


def test_an_interrupted_build_goes_on(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = only(averages(job))
    shutil.rmtree(job / "night")

    def stop(step: Step) -> None:
        if "refresh" in step.what and "layer 2" in step.what:
            raise KeyboardInterrupt

    settings, latest = read(job), job / "run" / "run-4.pb"
    with pytest.raises(KeyboardInterrupt):
        build_averages(settings, latest, job / "night", stop)
    assert not list((job / "night").glob("*.pb.gz"))
    assert only(averages(job)).sha256 == whole.sha256


def test_a_kept_copy_stands_in_for_a_net_that_is_gone(job: Path) -> None:
    expected = only(averages(job)).sha256
    shutil.rmtree(job / "night")
    kept = job / "kept" / "0123456789abcdef-run-4.pb"
    kept.parent.mkdir()
    shutil.move(job / "run" / "run-4.pb", kept)
    with pytest.raises(NetError, match="cannot read the net: no such file"):
        averages(job)
    entry = only(averages(job, kept=kept))
    assert entry.sha256 == expected
    assert entry.path.name == "run-swa-4.pb.gz"


def test_averages_that_come_out_alike_are_one(job: Path) -> None:
    more = '[[averages]]\nlast = 4\n[[averages]]\nname = "long"\nlast = 40\n'
    first, second = averages(job, more)
    assert isinstance(first, Entry)
    assert second == Refusal(
        "long", "it is the same net as swa: its snapshots do not differ enough", {"snapshots": 4}
    )


def test_an_average_that_is_the_newest_net_does_not_race_against_it(job: Path) -> None:
    for number in (1, 2, 3):
        shutil.copyfile(job / "run" / "run-4.pb", job / "run" / f"run-{number}.pb")
    more = 'refresh = "none"\n'
    settings = read(job, more)
    assert isinstance(only(averages(job, more)), Entry)  # alone it may play
    both = replace(settings, entries="better")
    found = build_averages(both, job / "run" / "run-4.pb", job / "night", lambda _: None)
    assert refused(found).reason.startswith("it is the same net as raw: ")


# --- refused for good ---


def test_one_snapshot_has_no_average(job: Path) -> None:
    for number in (1, 2, 3):
        (job / "run" / f"run-{number}.pb").unlink()
    refusal = refused(averages(job))
    assert refusal.reason == "there is one snapshot, and no average of one"


def test_the_guards_refusal_is_kept_with_its_numbers(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = Failure("loss", "the loss is 9.0000, by 5 nats more than that of the worst")
    monkeypatch.setattr(swa.build, "bad_losses", lambda *_: [failure])
    refusal = refused(averages(job))
    assert refusal.reason == f"loss: {failure.reason}"
    assert refusal.numbers == {"snapshots": 4, "checks": {"loss": failure.reason}}
    assert not list((job / "night").glob("*.pb.gz"))
    no_build(monkeypatch)
    assert refused(averages(job)) == refusal


def test_a_refusal_of_another_net_does_not_count(job: Path) -> None:
    for number in (1, 2, 3):
        shutil.move(job / "run" / f"run-{number}.pb", job / f"run-{number}.pb")
    refused(averages(job))
    for number in (1, 2, 3):
        shutil.move(job / f"run-{number}.pb", job / "run" / f"run-{number}.pb")
    refused(averages(job))  # of the same net it does: a night is not judged twice
    kept = replace(load_net(job / "run" / "run-4.pb"), training_steps=4001)
    save_net(kept, job / "run" / "run-4.pb", overwrite=True)
    only(averages(job))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"latest": 3}', '{"name": "swa"}'])
def test_half_a_refusal_is_none(job: Path, text: str) -> None:
    (job / "night").mkdir()
    (job / "night" / "swa.refused.json").write_text(text)
    only(averages(job))


def test_snapshots_of_two_kinds_are_refused_and_stand_in_nobodys_way(job: Path) -> None:
    spec = KINDS["mish"]
    other = replace(new_net(spec, calm_weights(spec)), training_steps=3000)
    save_net(
        other, job / "run" / "run-3.pb", encoding="float32", licence="a licence", overwrite=True
    )
    assert "run-3.pb" in refused(averages(job)).reason


def test_a_snapshot_of_another_run_is_refused(job: Path) -> None:
    stranger = replace(new_net(TINY, calm_weights(TINY, seed=9)), training_steps=3000)
    save_net(
        stranger, job / "run" / "run-3.pb", encoding="float32", licence="a licence", overwrite=True
    )
    assert refused(averages(job)).reason.startswith("run-3.pb: is of another run than ")


def test_numbers_that_overflow_are_refused(job: Path) -> None:
    for number in (3, 4):
        net = load_net(job / "run" / f"run-{number}.pb")
        weights = {name: values * np.float32(1e20) for name, values in net.weights.items()}
        save_net(replace(net, weights=weights), net.path, overwrite=True)
    assert refused(averages(job)).reason


# --- later ---


def test_missing_data_are_an_error_and_no_refusal(job: Path) -> None:
    shutil.move(job / "games", job / "elsewhere")
    with pytest.raises(RecordError, match="games"):
        averages(job)
    (job / "games").mkdir()
    with pytest.raises((RecordError, BuildError)):
        averages(job)
    (job / "games").rmdir()
    shutil.move(job / "elsewhere", job / "games")
    only(averages(job))


def test_a_snapshot_that_goes_while_it_is_read_is_an_error(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = swa.latest.nets_before

    def then_gone(path: Path, count: int) -> Any:
        found = real(path, count)
        (job / "run" / "run-2.pb").unlink()
        return found

    monkeypatch.setattr(swa.latest, "nets_before", then_gone)
    with pytest.raises(NetError, match=r"run-2\.pb: cannot read the net: no such file"):
        averages(job)
    monkeypatch.undo()
    assert ingredients(only(averages(job))) == ["run-1", "run-3", "run-4"]


def test_a_device_that_is_not_there_is_an_error(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swa.refresh.is_available", lambda device: False)
    with pytest.raises(NetError, match="device 'cuda' is not available here"):
        averages(job, 'device = "cuda"\n')
    monkeypatch.undo()
    only(averages(job))


def test_a_full_disk_is_an_error(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("swa.build_files.write_together", full)
    with pytest.raises(NetError, match="no space left on device"):
        averages(job)
    assert not list((job / "night").glob("*.refused.json"))
    monkeypatch.undo()
    only(averages(job))


def test_names_without_steps_have_no_last_ones(job: Path) -> None:
    shutil.copyfile(job / "run" / "run-4.pb", job / "net.pb")
    with pytest.raises(NetError, match="its name has no steps"):
        build_averages(read(job), job / "net.pb", job / "night", lambda _: None)
