"""The log of a run: what is in its files, and what is left of them after a run was killed."""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
from pathlib import Path
from subprocess import run as run_program

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import Event, SessionLog

from swa import training_log
from swa.training_log import EVENTS, METRICS, TrainingLog, TrainingLogError, event_names

KEYS = ("train/policy_loss", "validation/raw/value_mse", "validation/swa/policy_accuracy")


def read_events(path: Path) -> list[Event]:
    """The events of a file of TFRecords: length, its checksum, the event, its checksum."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def shown(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run's folder.

    Files are read in the order of their names; where a new session starts, what is there of its
    step and later ones goes away (tensorboard/backend/event_processing/event_accumulator.py).
    """
    tags: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(run.iterdir()):
        for event in read_events(path):
            if event.session_log.status == SessionLog.START:
                tags = {
                    tag: [(step, value) for step, value in points if step < event.step]
                    for tag, points in tags.items()
                }
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append((event.step, value.simple_value))
    return tags


def lines_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_a_line_has_the_step_the_time_and_the_figures(tmp_path: Path):
    with TrainingLog(tmp_path, "tiny") as log:
        log.write(100, {"train/policy_loss": 2.5, "train/learning_rate": 0.02})
        assert lines_of(tmp_path)[0]["step"] == 100  # before it is closed
        log.write(100, {"validation/raw/policy_cross_entropy": 2.25})
    first, second = lines_of(tmp_path)
    assert list(first) == ["step", "time", "train/policy_loss", "train/learning_rate"]
    assert (first["train/policy_loss"], first["train/learning_rate"]) == (2.5, 0.02)
    assert second["validation/raw/policy_cross_entropy"] == 2.25


def test_what_is_not_finite_is_null_and_no_event(tmp_path: Path):
    with TrainingLog(tmp_path, "tiny") as log:
        log.write(1, {"train/loss": float("nan"), "train/value_loss": float("inf")})
    assert "NaN" not in (tmp_path / METRICS).read_text()
    line = lines_of(tmp_path)[0]
    assert line["train/loss"] is None
    assert line["train/value_loss"] is None
    assert not (tmp_path / EVENTS).exists()


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("train/policy_loss", ("train", "Policy Loss", 1)),
        ("train/learning_rate", ("train", "LR", 1)),
        ("train/loss", ("train", "Total Loss", 1)),
        ("train/positions_per_second", ("train", "Positions per second", 1)),
        ("validation/raw/policy_cross_entropy", ("test", "Policy Loss", 1)),
        ("validation/raw/value_accuracy", ("test", "Value Accuracy", 100)),
        ("validation/swa/value_mse", ("swa-test", "MSE Loss", 0.25)),
        ("validation/swa refreshed/moves_left_loss", ("swa-refreshed-test", "Moves Left Loss", 1)),
        ("validation/ema/value_brier", ("ema-test", "Value brier", 1)),
        (
            "validation/swa/policy_accuracy/minus_raw",
            ("swa-test", "Policy Accuracy minus raw", 100),
        ),
    ],
)  # fmt: skip
def test_names_are_those_of_lczero_training(key: str, names: tuple[str, str, float]):
    assert event_names(key) == names


def test_moves_left_is_scaled_as_it_is_trained():
    """Huber's loss of e / 20 with delta 1/2 is that of e with delta 10, over 400."""
    import numpy as np

    from swa.metrics import huber
    from swa.training_pictures import _LOSSES

    errors = np.array([0.5, 9.0, 10.0, 37.0])
    _, _, scale = event_names("validation/raw/moves_left_huber")
    assert np.allclose(scale * huber(errors, 10.0), huber(errors / 20, 0.5))
    assert scale == _LOSSES[2].factor


def test_events_have_the_runs_and_units_of_lczero_training(tmp_path: Path):
    with TrainingLog(tmp_path, "tiny") as log:
        log.write(10, {"train/policy_loss": 3.0, "validation/raw/policy_accuracy": 0.25})
        key = "validation/swa/value_mse"
        log.write(20, {key: 0.5, f"{key}/minus_raw": -0.5, f"{key}/minus_raw_low": -1.0})
    folder = tmp_path / EVENTS
    assert {path.name for path in folder.iterdir()} == {"tiny-train", "tiny-test", "tiny-swa-test"}
    assert shown(folder / "tiny-train") == {"Policy Loss": [(10, 3.0)]}
    assert shown(folder / "tiny-test") == {"Policy Accuracy": [(10, 25.0)]}
    assert shown(folder / "tiny-swa-test") == {
        "MSE Loss": [(20, 0.125)],
        "MSE Loss minus raw": [(20, -0.125)],
    }
    first = read_events(next((folder / "tiny-train").iterdir()))[0]
    assert first.file_version == "brain.Event:2"  # without it TensorBoard drops nothing


@settings(max_examples=40)
@given(
    sessions=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=5),
    torn=st.binary(max_size=12),
)
def test_after_any_kills_each_step_is_there_once(tmp_path_factory, sessions, torn: bytes):
    """Sessions begin at a step that the one before has reached, and go on for some steps."""
    folder = tmp_path_factory.mktemp("run")
    truth: dict[int, float] = {}
    for number, (back, steps) in enumerate(sessions):
        start = max(0, max(truth, default=0) - back)
        truth = {step: value for step, value in truth.items() if step <= start}
        if number:
            with (folder / METRICS).open("ab") as file:  # a line that was not finished
                file.write(torn.replace(b"\n", b""))
        with TrainingLog(folder, "tiny", start) as log:
            for step in range(start + 1, start + steps + 1):
                truth[step] = float(number + 1)
                log.write(step, dict.fromkeys(KEYS, truth[step]))
    assert [(line["step"], line[KEYS[0]]) for line in lines_of(folder)] == list(truth.items())
    if truth and sessions[-1][1]:  # a session that writes nothing leaves what was there
        assert shown(folder / EVENTS / "tiny-train") == {"Policy Loss": list(truth.items())}
        quarter = [(step, value / 4) for step, value in truth.items()]
        assert shown(folder / EVENTS / "tiny-test") == {"MSE Loss": quarter}


def test_lines_of_the_step_itself_stay_whatever_their_order(tmp_path: Path):
    steps = [1, 3, 2, 3, 4]
    (tmp_path / METRICS).write_text("".join(f'{{"step": {step}}}\n' for step in steps))
    TrainingLog(tmp_path, "tiny", 3).close()
    assert [line["step"] for line in lines_of(tmp_path)] == [1, 3, 2, 3]


def test_a_log_that_needs_no_cut_is_not_written_anew(tmp_path: Path):
    (tmp_path / METRICS).write_text('{"step": 1}\n')
    before = (tmp_path / METRICS).stat().st_ino
    TrainingLog(tmp_path, "tiny", 1).close()
    assert (tmp_path / METRICS).stat().st_ino == before


@pytest.mark.parametrize("tail", [b'{"step": 2, "tra', b"\0\0\0\0\n", b"[]\n", b'{"step": "2"}\n'])
def test_a_damaged_end_is_dropped(tmp_path: Path, tail: bytes):
    (tmp_path / METRICS).write_bytes(b'{"step": 1}\n' + tail)
    assert training_log.read_metrics(tmp_path / METRICS) == [{"step": 1}]
    TrainingLog(tmp_path, "tiny", 9).close()
    assert (tmp_path / METRICS).read_bytes() == b'{"step": 1}\n'


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"step": true}', "\xff", ""])
def test_damage_elsewhere_is_told_and_nothing_is_changed(tmp_path: Path, line: str):
    text = f'{{"step": 1}}\n{line}\n{{"step": 2}}\n'.encode("latin-1")
    (tmp_path / METRICS).write_bytes(text)
    with pytest.raises(TrainingLogError, match="line 2: not a line of a training run's metrics"):
        TrainingLog(tmp_path, "tiny", 2)
    assert (tmp_path / METRICS).read_bytes() == text
    assert [path.name for path in tmp_path.iterdir()] == [METRICS]


def test_a_full_disk_leaves_whole_lines_and_names_the_file(tmp_path: Path, monkeypatch):
    log = TrainingLog(tmp_path, "tiny")
    log.write(1, {"train/loss": 1.0})
    real, left = os.write, [7]

    def write(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(training_log.os, "write", write)
    with pytest.raises(OSError, match="No space left") as full:
        log.write(2, {"train/loss": 2.0})
    assert full.value.filename == str(tmp_path / METRICS)
    assert left == [0]  # some of the line was written
    monkeypatch.undo()
    log.close()
    assert [line["step"] for line in lines_of(tmp_path)] == [1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_full_for_events_is_an_error_and_not_a_wait(tmp_path: Path, monkeypatch):
    log = TrainingLog(tmp_path, "tiny")
    log.write(1, {"train/loss": 1.0, "validation/raw/value_mse": 1.0})
    writer = log._events._writers["tiny-train"]
    writer._writer.close()
    writer._writer = open("/dev/full", "wb")  # noqa: SIM115
    log.write(2, {"train/loss": 1.0})
    with pytest.raises(OSError, match="No space left") as full:
        log.flush()
    assert full.value.filename == str(tmp_path / EVENTS / "tiny-train")
    with pytest.raises(OSError, match="No space left"):
        log.close()
    log.close()
    whole = next((tmp_path / EVENTS / "tiny-test").iterdir())
    assert len(read_events(whole)) == 3  # version, start, figures
    with pytest.raises(ValueError, match="closed"):
        log.write(3, {})


def test_nothing_is_lost_by_kill_9_after_a_flush(tmp_path: Path):
    program = f"""
import os, signal
from pathlib import Path
from swa.training_log import TrainingLog
log = TrainingLog(Path({str(tmp_path)!r}), "tiny")
log.write(1, {{"train/loss": 1.0}})
log.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_program([sys.executable, "-c", program], check=False)
    assert [line["step"] for line in lines_of(tmp_path)] == [1]
    assert shown(tmp_path / EVENTS / "tiny-train") == {"Total Loss": [(1, 1.0)]}


def test_tensorboardx_is_not_imported_before_it_is_needed():
    program = "import sys, swa.training_log; print('tensorboardX' in sys.modules)"
    done = run_program([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
