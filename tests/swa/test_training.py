from __future__ import annotations

import contextlib
import errno
import hashlib

import numpy as np
import pytest
import torch
from tiny_net import KINDS, calm_weights
from training_fakes import FakeData, FakeLog, tiny_config

import swa.files
from swa.averaging import WeightAverage
from swa.checkpoint import CheckpointError, load_checkpoint
from swa.learner import DivergedError
from swa.net import load_net, new_net, save_net
from swa.run_folder import TrainingError
from swa.settings import SettingsError
from swa.train_config import (
    AverageSettings,
    NetSettings,
    RateSettings,
    SnapshotSettings,
    TrainingSettings,
    ValidationSettings,
)
from swa.training import Progress, Validated, train

STEPS = 12


class Killed(BaseException):
    """As by a signal that nobody handles: no clean-up may rely on it."""


def kill_at(fatal):
    def change(number, batch):
        if number == fatal:
            raise Killed
        return batch

    return change


def run(config, data=FakeData, **more):
    logs = []

    def open_log(step):
        logs.append(FakeLog(step))
        return logs[-1]

    return train(config, data, open_log, **more), logs[0].lines


def nets_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.pb.gz")}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What a run comes to that nothing interrupts: its nets, lines and checkpoint."""
    folder = tmp_path_factory.mktemp("straight")
    trained, lines = run(tiny_config(folder))
    assert trained.finished
    return nets_of(folder), lines, load_checkpoint(folder / "checkpoint")


def same(one, other):
    """Whether states are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_a_run_learns_and_writes_what_was_asked_for(tmp_path, straight):
    nets, lines, checkpoint = straight
    assert nets.keys() == {
        "start.pb.gz",
        *(f"tiny{kind}-{step}.pb.gz" for kind in ("", "-swa", "-ema") for step in (8, 12)),
    }
    assert checkpoint.step == STEPS
    assert [step for step, _ in lines] == [5, 6, 10, 12, 12]
    (tmp_path / "raw.pb.gz").write_bytes(nets["tiny-12.pb.gz"])
    assert load_net(tmp_path / "raw.pb.gz").training_steps == 12
    config = tiny_config(
        tmp_path / "longer",
        training=TrainingSettings(64, 150),
        averages=(),
        log_every=50,
        snapshots=SnapshotSettings(),
        validation=ValidationSettings(),
    )
    _, lines = run(config, lambda: FakeData(64))
    losses = [figures["train/loss"] for _, figures in lines if "train/loss" in figures]
    assert losses == sorted(losses, reverse=True)
    assert lines[-1][1]["validation/raw/value_accuracy"] > 0.9


def test_the_same_again_gives_the_same_bytes(tmp_path, straight):
    run(tiny_config(tmp_path))
    assert nets_of(tmp_path) == straight[0]


def test_another_seed_gives_another_net(tmp_path, straight):
    run(tiny_config(tmp_path, seed=1))
    assert nets_of(tmp_path)["tiny-12.pb.gz"] != straight[0]["tiny-12.pb.gz"]


@pytest.mark.parametrize("dies_at", range(1, STEPS + 1))
def test_killed_at_any_step_it_goes_on_to_the_same_bytes(tmp_path, straight, dies_at):
    """Killed twice: at this step, and at the next one once it goes on."""
    for fatal in (dies_at, dies_at + 1):
        with contextlib.suppress(Killed):
            run(tiny_config(tmp_path), lambda: FakeData(change=kill_at(fatal)))  # noqa: B023
    trained, lines = run(tiny_config(tmp_path))
    assert trained.finished
    assert nets_of(tmp_path) == straight[0]
    assert same(load_checkpoint(tmp_path / "checkpoint").learner, straight[2].learner)
    assert same(load_checkpoint(tmp_path / "checkpoint").averages, straight[2].averages)
    wanted = {(step, key): value for step, figures in straight[1] for key, value in figures.items()}
    for step, figures in lines:
        for key, value in figures.items():
            if not key.endswith("positions_per_second"):
                assert value == wanted[step, key]


@pytest.mark.parametrize("write", range(1, 15))
def test_a_write_that_fails_leaves_the_last_checkpoint(tmp_path, straight, monkeypatch, write):
    """The disk is full at the n-th file; with room again the run goes on to the same bytes."""
    written = 0
    write_together = swa.files.write_together

    def full(contents):
        nonlocal written
        written += 1
        if written == write:
            raise OSError(errno.ENOSPC, "No space left on device", str(next(iter(contents))))
        write_together(contents)

    monkeypatch.setattr(swa.files, "write_together", full)
    config = tiny_config(tmp_path)
    if write <= 13:  # so many files are written in all
        with pytest.raises(TrainingError, match=r"no space left on device\n(The last|Nothing)"):
            run(config)
    if (tmp_path / "checkpoint").exists():
        assert load_checkpoint(tmp_path / "checkpoint").step <= STEPS
    monkeypatch.undo()
    run(config)
    assert nets_of(tmp_path) == straight[0]


def test_a_checkpoint_may_fall_due_after_each_step(tmp_path, straight):
    run(tiny_config(tmp_path, checkpoint_minutes=0.0))
    assert nets_of(tmp_path) == straight[0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_goes_on_to_the_same_bytes_too(tmp_path, straight, dtype):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    run(tiny_config(whole, dtype=dtype))
    asked = iter([False] * 6 + [True])
    run(tiny_config(halves, dtype=dtype), should_stop=lambda: next(asked))
    run(tiny_config(halves, dtype=dtype))
    assert nets_of(whole) == nets_of(halves)
    assert nets_of(whole) != straight[0]
    exact = straight[1][-1][1]["validation/raw/policy_cross_entropy"]
    _, lines = run(tiny_config(tmp_path / "again", dtype=dtype))
    assert lines[-1][1]["validation/raw/policy_cross_entropy"] == pytest.approx(exact, rel=0.05)


def test_asked_to_stop_it_saves_and_goes_on_later(tmp_path, straight):
    asked = iter([False] * 6 + [True])
    trained, _ = run(tiny_config(tmp_path), should_stop=lambda: next(asked))
    assert (trained.step, trained.finished) == (7, False)
    assert load_checkpoint(tmp_path / "checkpoint").step == 7
    run(tiny_config(tmp_path))
    assert nets_of(tmp_path) == straight[0]


def test_more_steps_may_be_asked_for_later(tmp_path, straight):
    run(tiny_config(tmp_path, training=TrainingSettings(16, 8, q_ratio=0.5)))
    trained, _ = run(tiny_config(tmp_path))
    assert trained.step == 12
    assert nets_of(tmp_path)["tiny-12.pb.gz"] == straight[0]["tiny-12.pb.gz"]
    assert nets_of(tmp_path)["tiny-swa-12.pb.gz"] == straight[0]["tiny-swa-12.pb.gz"]
    with pytest.raises(SettingsError, match="made 12 already"):
        run(tiny_config(tmp_path, training=TrainingSettings(16, 8, q_ratio=0.5)))


def test_a_run_that_has_ended_is_not_made_again(tmp_path):
    config = tiny_config(tmp_path)
    run(config)
    before = nets_of(tmp_path)
    trained, lines = run(config)
    assert (trained.finished, trained.validated, lines) == (True, None, [])
    assert nets_of(tmp_path) == before


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"learning_rate": RateSettings(0.1)}, "learning-rate.lr: .* 0.05, not 0.1"),
        ({"seed": 1}, "seed"),
        ({"threads": 2}, "threads: .* 1, not 2"),
        ({"training": TrainingSettings(8, 12, q_ratio=0.5)}, "training.batch-size"),
        ({"averages": (AverageSettings(every=4),)}, "averages.0.every"),
        ({"net": NetSettings(blocks=1, filters=8)}, "net.moves-left-channels: .* 2, not none"),
    ],
)
def test_changed_settings_are_refused_by_name(tmp_path, changed, key):
    run(tiny_config(tmp_path, training=TrainingSettings(16, 2, q_ratio=0.5)))
    with pytest.raises(SettingsError, match=key):
        run(tiny_config(tmp_path, **{"training": TrainingSettings(16, 2, q_ratio=0.5), **changed}))


def test_a_cosine_may_not_become_longer(tmp_path):
    def config(steps, **rate):
        rates = RateSettings(0.05, "cosine", **rate)
        training = TrainingSettings(16, steps)
        return tiny_config(tmp_path, training=training, learning_rate=rates)

    run(config(2))
    with pytest.raises(SettingsError, match=r"learning-rate.decay-steps: .* 2, not 3"):
        run(config(3))
    run(config(3, decay_steps=2))  # it ends where it was to


def test_other_data_are_refused(tmp_path):
    run(tiny_config(tmp_path, training=TrainingSettings(16, 2)))

    with pytest.raises(SettingsError, match=r"data.input"):
        run(tiny_config(tmp_path, training=TrainingSettings(16, 2)), lambda: FakeData(digest="b"))


def test_what_changes_no_result_may_change(tmp_path, straight):
    stopped, _ = run(tiny_config(tmp_path), should_stop=lambda: True)
    assert stopped.step == 1
    more = {"snapshots": SnapshotSettings(6, keep=9), "validation": ValidationSettings(4)}
    run(tiny_config(tmp_path, log_every=1, threads=None, **more))
    assert nets_of(tmp_path)["tiny-swa-12.pb.gz"] == straight[0]["tiny-swa-12.pb.gz"]


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    def spoil(number, batch):
        return batch._replace(policy=batch.policy * np.nan) if number == 7 else batch

    with pytest.raises(DivergedError, match="step 7: the loss is not") as caught:
        run(tiny_config(tmp_path), lambda: FakeData(change=spoil))
    assert caught.value.step == 7
    assert load_checkpoint(tmp_path / "checkpoint").step == 6
    assert not (tmp_path / "tiny-8.pb.gz").exists()


def test_an_absurd_learning_rate_is_told_with_its_step(tmp_path):
    with pytest.raises(DivergedError, match=r"step \d+: the (loss|gradient|net) is not finite"):
        run(tiny_config(tmp_path, learning_rate=RateSettings(1e30)))


def test_averages_are_those_of_the_snapshots(tmp_path):
    """An average that takes its snapshots when nets are written is the mean of these nets."""
    config = tiny_config(
        tmp_path,
        averages=(AverageSettings(start=4, every=2),),
        snapshots=SnapshotSettings(2, keep=9, encoding="float32"),
    )
    run(config)
    expected = WeightAverage(config.averages[0].made_rule)
    for step in (6, 8, 10, 12):
        expected = expected.add(load_net(tmp_path / f"tiny-{step}.pb.gz").weights)
    found = load_net(tmp_path / "tiny-swa-12.pb.gz").weights
    for name, values in expected.result().items():
        np.testing.assert_array_equal(found[name], values.astype(np.float32))


def test_batch_norm_is_refreshed_on_positions_of_the_run(tmp_path, straight):
    """Refreshed and stale averages differ in statistics alone, and both are measured."""
    run(tiny_config(tmp_path, averages=(AverageSettings(every=2),)))
    (tmp_path / "refreshed.pb.gz").write_bytes(straight[0]["tiny-swa-12.pb.gz"])
    refreshed = load_net(tmp_path / "refreshed.pb.gz").weights
    stale = load_net(tmp_path / "tiny-swa-12.pb.gz").weights
    for name, values in stale.items():
        statistics = name.endswith((".mean", ".variance"))
        assert np.array_equal(values, refreshed[name]) != statistics
    measured = straight[1][-1][1]
    for net in ("swa", "swa refreshed", "ema"):
        key = f"validation/{net}/policy_cross_entropy"
        difference = measured[key] - measured["validation/raw/policy_cross_entropy"]
        assert measured[f"{key}/minus_raw"] == pytest.approx(difference)
        low, high = measured[f"{key}/minus_raw_low"], measured[f"{key}/minus_raw_high"]
        assert low < difference < high


@pytest.mark.parametrize("kind", KINDS)
def test_any_net_can_be_trained_further(tmp_path, kind):
    """From a file that is needed only once; without batch norm there is nothing to refresh."""
    spec, start = KINDS[kind], tmp_path / "given.pb.gz"
    weights = calm_weights(spec)
    if spec.moves_left:
        weights["moves_left.dense2.bias"] += 50  # below 0 its ReLU has no gradient
    net = new_net(spec, weights)
    net.message.license = b"GPL"
    save_net(net, start, encoding="float32")
    config = tiny_config(
        tmp_path / "run",
        net=NetSettings(start=str(start)),
        snapshots=SnapshotSettings(6, encoding="float32"),
        learning_rate=RateSettings(0.01),
    )
    run(config, should_stop=lambda: True)
    start.unlink()
    trained, lines = run(config)
    found = load_net(trained.nets[-1])
    assert (found.spec, found.training_steps) == (spec, 12)
    assert found.message.license == b"GPL"
    begun = load_net(tmp_path / "run" / "start.pb.gz")
    assert all((begun.weights[name] == values).all() for name, values in net.weights.items())
    moved = {name for name, values in net.weights.items() if (found.weights[name] != values).any()}
    assert moved == net.weights.keys()
    assert f"validation/{'swa refreshed' if spec.batch_norm else 'swa'}/value_mse" in lines[-1][1]


def test_progress_is_told(tmp_path):
    told = []
    run(tiny_config(tmp_path), notify=told.append)
    steps = [one.step for one in told if isinstance(one, Progress)]
    assert steps == [5, 10, 12]
    assert all(one.seconds_left >= 0 and one.per_second > 0 for one in told if one in steps)
    assert [one.step for one in told if isinstance(one, Validated)] == [6, 12]


def test_two_runs_do_not_share_a_folder(tmp_path):
    config = tiny_config(tmp_path)

    def again():
        with pytest.raises(SettingsError, match="another swa train is at work there"):
            run(config)
        return True

    run(config, should_stop=again)


def test_nets_of_another_run_are_not_overwritten(tmp_path):
    run(tiny_config(tmp_path, training=TrainingSettings(16, 2)))
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(SettingsError, match=r"there are nets named tiny already, such as tiny-2"):
        run(tiny_config(tmp_path))
    run(tiny_config(tmp_path, name="other", training=TrainingSettings(16, 2)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "damaged"),
        (lambda data: data[:10], "not a checkpoint"),
        (lambda data: b"", "not a checkpoint"),
        (lambda data: b"PK\3\4" + data, "not a checkpoint"),
        (lambda data: data.replace(b"checkpoint 0001", b"checkpoint 0002", 1), "version 0002"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_words(tmp_path, damage, message):
    config = tiny_config(tmp_path, training=TrainingSettings(16, 1))
    run(config)
    path = tmp_path / "checkpoint"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=message):
        run(config)


def test_a_checkpoint_runs_no_code(tmp_path):
    class Code:
        def __reduce__(self):
            return (pytest.fail, ("code of a checkpoint was run",))

    torch.save({"step": Code()}, tmp_path / "payload")
    payload = (tmp_path / "payload").read_bytes()
    head = b"swa training checkpoint 0001\n" + hashlib.sha256(payload).digest()
    (tmp_path / "checkpoint").write_bytes(head + payload)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "checkpoint")
