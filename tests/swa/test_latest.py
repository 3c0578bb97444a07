"""The newest net: of which names, and of which files."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_net import tiny_payload

from swa import latest
from swa.cli import main
from swa.latest import (
    find_latest,
    last_nets,
    latest_net,
    nets_before,
    resolve_net,
    resolve_nets,
)
from swa.net import NetError, load_net
from swa.net_names import choose_series, is_net_name, parse_latest, parse_name, series_of, within

PAYLOAD = tiny_payload()
PACKED = gzip.compress(PAYLOAD, mtime=0)

names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(
    lambda name: not name.startswith(".")
)
suffixes = st.sampled_from([".pb.gz", ".pb"])


def put(folder: Path, *files: str) -> Path:
    """Complete nets of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).write_bytes(PACKED if name.endswith(".gz") else PAYLOAD)
    return folder


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are opened."""
    opened: list[Path] = []

    def load(path: Path):
        opened.append(path)
        return load_net(path)

    monkeypatch.setattr(latest, "load_net", load)
    return opened


# --- names ---


@given(names, st.integers(0, 10**12), st.integers(0, 5), st.sampled_from("-_"), suffixes)
def test_a_name_is_its_series_and_its_steps(series, steps, zeros, dash, suffix):
    name = f"{series}{dash}{'0' * zeros}{steps}{suffix}"
    assert parse_name(name) == (series, steps, name)
    assert is_net_name(name)


@given(st.text())
def test_other_names_are_no_snapshots(name):
    """What is no name of digits before a suffix, hidden, or being written, is none."""
    snapshot = parse_name(name)
    if snapshot is not None:
        assert is_net_name(name)
        assert name.startswith(snapshot.series)
        assert f"{snapshot.steps}" in name
    for written in (f".{name}-5.pb.gz.77.tmp", f".{name}-5.pb.gz", f"{name}-5.pb.gz.tmp", "-5.pb"):
        assert parse_name(written) is None
    for other in ("run.pb.gz", "run-.pb", "run-5.pb.gz.json", "run5.pb", "run-٥.pb", "run-5.onnx"):
        assert parse_name(other) is None


@given(st.lists(st.tuples(names, st.integers(0, 99), suffixes), unique=True), st.randoms())
def test_each_series_is_in_the_order_of_steps(files, dice):
    listing = [f"{series}-{steps}{suffix}" for series, steps, suffix in files]
    dice.shuffle(listing)
    found = series_of(listing)
    assert {s.name for snapshots in found.values() for s in snapshots} == set(listing)
    for series, snapshots in found.items():
        assert [s.steps for s in snapshots] == sorted(s.steps for s in snapshots)
        assert {s.series for s in snapshots} == {series}
    dice.shuffle(listing)
    assert series_of(listing) == found


@given(names, names)
def test_raw_and_averaged_nets_are_told_apart(run, average):
    series = [run, f"{run}-swa", f"{run}-{average}"]
    assert choose_series(series, run=run) == [run]
    if average not in ("swa", "-swa") and not average.endswith(("-swa", "_swa")):
        assert choose_series(series, average="swa", run=run) == [f"{run}-swa"]
        assert choose_series(series, average=average, run=run) == [f"{run}-{average}"]
    if not run.endswith(("-swa", "_swa")):
        assert choose_series([run, f"{run}-swa"]) == [run]
        assert choose_series([run, f"{run}-swa"], average="swa") == [f"{run}-swa"]
        assert choose_series([run, f"{run}-swa"], average="") == []


@given(names, st.none() | st.integers(0, 10**6))
def test_what_latest_asks_for_is_read_back(where, count):
    word = f"latest:{where}" + ("" if count is None else f":{count}")
    wanted = parse_latest(word)
    if count is not None:
        assert wanted == (where, count)
    elif not where.rpartition(":")[2].isdigit():
        assert wanted == (where, None)
    assert (parse_latest(where) is None) == (not where.startswith("latest:"))


def test_settings_are_relative_to_their_file_after_latest_too():
    assert within(Path("a"), "b.pb") == Path("a/b.pb")
    assert within(Path("a"), "/b.pb") == Path("/b.pb")
    assert within(Path("a"), "latest:b:3") == Path("latest:a/b:3")
    assert within(Path("a"), "latest:/b") == Path("latest:/b")
    assert within(Path("a"), "latest:~/b") == Path(f"latest:{Path.home()}/b")
    assert parse_latest(within(Path("a"), "latest:.")) == ("a", None)


# --- where ---


def test_a_series_goes_by_steps_and_not_by_time_or_alphabet(tmp_path: Path):
    put(tmp_path, "run-900.pb.gz", "run-10000.pb.gz", "run-2000.pb.gz")
    os.utime(tmp_path / "run-10000.pb.gz", (1, 1))
    assert latest_net(tmp_path) == tmp_path / "run-10000.pb.gz"
    assert latest_net(str(tmp_path / "run")) == tmp_path / "run-10000.pb.gz"
    assert latest_net(tmp_path / "*-[29]*.gz") == tmp_path / "run-2000.pb.gz"


def test_without_steps_it_is_the_time_of_the_last_change(tmp_path: Path):
    put(tmp_path, "a.pb.gz", "b.pb", "c.pb.gz")
    for seconds, name in ((5, "a.pb.gz"), (9, "b.pb"), (7, "c.pb.gz")):
        os.utime(tmp_path / name, (seconds, seconds))
    assert latest_net(tmp_path) == tmp_path / "b.pb"
    assert latest_net(tmp_path / "*.gz") == tmp_path / "c.pb.gz"
    assert latest_net(tmp_path / "a.pb.gz") == tmp_path / "a.pb.gz"
    with pytest.raises(NetError, match="their names have no steps"):
        last_nets(tmp_path, 2)


def test_raw_nets_unless_an_average_is_asked_for(tmp_path: Path):
    put(tmp_path, "run-100.pb.gz", "run-swa-200.pb.gz", "run-swa-100.pb.gz", "start.pb.gz")
    assert latest_net(tmp_path).name == "run-100.pb.gz"
    assert latest_net(tmp_path, average="swa").name == "run-swa-200.pb.gz"
    assert latest_net(tmp_path / "run").name == "run-100.pb.gz"
    assert latest_net(tmp_path / "run", average="swa").name == "run-swa-200.pb.gz"
    assert latest_net(tmp_path / "run-swa").name == "run-swa-200.pb.gz"
    assert latest_net(tmp_path / "*.pb.gz").name == "run-100.pb.gz"
    assert latest_net(tmp_path / "*-swa-*").name == "run-swa-200.pb.gz"
    with pytest.raises(NetError, match=r"no nets of an average 'ema'; there are .*run, .*run-swa"):
        latest_net(tmp_path, average="ema")


def test_averages_alone_are_not_taken_for_raw_nets(tmp_path: Path):
    put(tmp_path, "run-swa-200.pb.gz")
    with pytest.raises(NetError, match=r"no raw nets; there are .*run-swa") as error:
        latest_net(tmp_path)
    assert error.value.remedy == f"Say which: latest:{tmp_path}/run-swa"


def test_several_runs_are_named(tmp_path: Path):
    put(tmp_path, "one-5.pb.gz", "two-7.pb.gz", "two-swa-7.pb.gz", "maia-1500.pb.gz")
    runs = ", ".join(str(tmp_path / name) for name in ("maia", "one", "two"))
    with pytest.raises(NetError, match=f"nets of several runs: {runs}\n"):
        latest_net(tmp_path)
    assert latest_net(tmp_path / "two").name == "two-7.pb.gz"
    assert latest_net(tmp_path, average="swa").name == "two-swa-7.pb.gz"


def test_one_name_in_two_folders_is_two_runs(tmp_path: Path):
    put(tmp_path / "a", "run-5.pb.gz")
    put(tmp_path / "b", "run-7.pb.gz")
    with pytest.raises(NetError, match=r"several runs: .*a/run, .*b/run"):
        latest_net(tmp_path / "*" / "*.pb.gz")
    assert latest_net(tmp_path / "[b]" / "*.pb.gz") == tmp_path / "b" / "run-7.pb.gz"


def test_a_folder_of_swa_train_is_of_its_run(tmp_path: Path):
    """Its averages have any names, as other runs have."""
    put(tmp_path, "t-swa-5.pb.gz", "t-swa-ema-5.pb.gz", "t-swa-swa-5.pb.gz", "maia-1500.pb.gz")
    with pytest.raises(NetError, match="several runs"):
        latest_net(tmp_path)
    (tmp_path / "config.toml").write_text('name = "t-swa"\n')
    assert latest_net(tmp_path).name == "t-swa-5.pb.gz"
    assert latest_net(tmp_path, average="ema").name == "t-swa-ema-5.pb.gz"
    assert latest_net(tmp_path, average="swa").name == "t-swa-swa-5.pb.gz"
    for odd in ('name = "other"', "name = 3", "not toml", "\xff"):
        (tmp_path / "config.toml").write_bytes(odd.encode("latin-1"))
        with pytest.raises(NetError, match="several runs"):
            latest_net(tmp_path)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("", "no nets there"),
        ("*.pb.gz", "no nets there"),
        ("none", "no such folder, and no nets none-STEPS.pb.gz"),
        ("none/none", "no such folder, and no nets none-STEPS.pb.gz"),
        ("a\0b", "no such folder, and no nets"),
        ("x" * 5000, "cannot look for nets: file name too long"),
    ],
)
def test_where_there_is_nothing(tmp_path: Path, where: str, reason: str):
    (tmp_path / "notes.txt").write_text("no net")
    with pytest.raises(NetError, match=reason):
        latest_net(f"{tmp_path}/{where}")


# --- files that are not complete ---


@pytest.mark.parametrize("name", ["run-9.pb.gz", "run-9.pb"])
def test_no_part_of_a_file_is_taken_for_it(tmp_path: Path, name: str):
    """Wherever the writer is: the older one stays the latest until the last byte."""
    put(tmp_path, "run-8.pb.gz")
    whole = PACKED if name.endswith(".gz") else PAYLOAD
    dice = random.Random(0)
    for length in [0, 1, 2, 20, *sorted(dice.sample(range(len(whole)), 60)), len(whole) - 1]:
        (tmp_path / name).write_bytes(whole[:length])
        found = find_latest(tmp_path)
        assert found.paths == (tmp_path / "run-8.pb.gz",), length
        assert len(found.passed_over) == 1
        assert found.passed_over[0].startswith(f"{tmp_path / name}: ")
    (tmp_path / name).write_bytes(whole)
    assert find_latest(tmp_path) == ((tmp_path / name,), ())


def test_what_else_is_no_net_is_passed_over(tmp_path: Path):
    put(tmp_path, "run-1.pb.gz", ".run-20.pb.gz", "run-21.pb.gz.5.tmp")
    (tmp_path / "run-2.pb.gz").mkdir()
    os.mkfifo(tmp_path / "run-3.pb.gz")  # opening it would wait for ever
    (tmp_path / "run-4.pb.gz").symlink_to(tmp_path / "gone")
    (tmp_path / "run-5.pb.gz").symlink_to(tmp_path / "run-5.pb.gz")
    (tmp_path / "run-6.pb.gz").write_text("<html>")
    found = find_latest(tmp_path)
    assert found.paths == (tmp_path / "run-1.pb.gz",)
    assert [line.split(": ")[0][-11:] for line in found.passed_over] == [
        f"run-{number}.pb.gz" for number in (6, 5, 4, 3, 2)
    ]


def test_links_are_followed(tmp_path: Path):
    store = put(tmp_path / "store", "net.pb.gz")
    runs = put(tmp_path / "runs", "run-1.pb.gz")
    (runs / "run-2.pb.gz").symlink_to(store / "net.pb.gz")
    (tmp_path / "link").symlink_to(runs)
    assert latest_net(tmp_path / "link") == tmp_path / "link" / "run-2.pb.gz"


def changed_meanwhile(monkeypatch, change: Callable[[Path], object]) -> None:
    """Do something to the newest file while it is read."""

    def load(path: Path):
        net = load_net(path)
        if path.name == "run-2.pb":
            change(path)
        return net

    monkeypatch.setattr(latest, "load_net", load)


def test_a_file_that_changes_while_it_is_read_is_passed_over(tmp_path: Path, monkeypatch):
    put(tmp_path, "run-1.pb", "run-2.pb")
    changed_meanwhile(monkeypatch, lambda path: path.write_bytes(PAYLOAD + b"\0"))
    found = find_latest(tmp_path)
    assert found.paths == (tmp_path / "run-1.pb",)
    assert found.passed_over == (f"{tmp_path}/run-2.pb: is being written",)


def test_a_file_that_goes_away_is_passed_over(tmp_path: Path, monkeypatch):
    put(tmp_path, "run-1.pb", "run-2.pb", "run-3.pb")
    changed_meanwhile(monkeypatch, lambda path: path.unlink())
    listed = latest.series_of

    def vanish(listing):
        found = listed(listing)
        (tmp_path / "run-3.pb").unlink()
        return found

    monkeypatch.setattr(latest, "series_of", vanish)
    found = find_latest(tmp_path)
    assert found.paths == (tmp_path / "run-1.pb",)
    assert [line.split(": ")[1] for line in found.passed_over] == ["no such file or directory"] * 2


def test_a_file_that_goes_away_before_its_time_is_asked_for(tmp_path: Path, monkeypatch):
    put(tmp_path, "a.pb", "b.pb")
    real = latest._by_time

    def vanish(folders, where):
        (tmp_path / "b.pb").unlink()
        return real(folders, where)

    monkeypatch.setattr(latest, "_by_time", vanish)
    assert latest_net(tmp_path) == tmp_path / "a.pb"


def test_where_none_is_complete_it_says_why(tmp_path: Path):
    (tmp_path / "run-1.pb.gz").write_bytes(PACKED[:50])
    with pytest.raises(NetError, match=r"no complete net; .*run-1\.pb\.gz: the file is truncated"):
        latest_net(tmp_path)


# --- the last K, many files, words ---


def test_the_last_k_come_oldest_first_without_gaps(tmp_path: Path):
    put(tmp_path, *(f"run-{steps}.pb.gz" for steps in (8, 9, 10, 11, 12)), "run-swa-99.pb.gz")
    (tmp_path / "run-11.pb.gz").write_bytes(PACKED[:99])
    taken = [path.name for path in last_nets(tmp_path, 3)]
    assert taken == ["run-9.pb.gz", "run-10.pb.gz", "run-12.pb.gz"]
    with pytest.raises(NetError, match=r"4 of the 5 nets wanted are there; .*run-11.*truncated"):
        last_nets(tmp_path, 5)
    assert [path.name for path in last_nets(tmp_path, 1, average="swa")] == ["run-swa-99.pb.gz"]


def test_a_net_in_two_packings_counts_once(tmp_path: Path):
    put(tmp_path, "run-1.pb.gz", "run-2.pb", "run-2.pb.gz", "run-02.pb")
    assert [path.name for path in last_nets(tmp_path, 2)] == ["run-1.pb.gz", "run-2.pb.gz"]
    (tmp_path / "run-2.pb.gz").write_bytes(b"")
    assert latest_net(tmp_path).name == "run-2.pb"


def test_of_many_files_only_those_needed_are_opened(tmp_path: Path, loads: list[Path], monkeypatch):
    for steps in range(1, 10_001):
        (tmp_path / f"run-{steps}.pb.gz").touch()
    put(tmp_path, *(f"run-{steps}.pb.gz" for steps in (9_998, 9_999, 10_000)))
    stats: list[Path] = []
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **kw: stats.append(path) or real(path, **kw))
    assert latest_net(tmp_path).name == "run-10000.pb.gz"
    assert loads == [tmp_path / "run-10000.pb.gz"]
    assert len(stats) < 10
    assert len(last_nets(tmp_path, 3)) == 3
    assert len(loads) == 4


def test_words_stand_for_paths(tmp_path: Path):
    put(tmp_path, "run-1.pb.gz", "run-2.pb.gz", "run-3.pb.gz")
    (tmp_path / "run-3.pb.gz").write_bytes(b"")
    said: list[str] = []
    words = ["other.pb", f"latest:{tmp_path}", Path(f"latest:{tmp_path}/run:2")]
    one, two = tmp_path / "run-1.pb.gz", tmp_path / "run-2.pb.gz"
    assert resolve_nets(words, said.append) == (Path("other.pb"), two, one, two)
    assert resolve_net(f"latest:{tmp_path}") == two
    assert said[0] == f"passed over {tmp_path}/run-3.pb.gz: the file is empty"
    assert said[1] == f"latest:{tmp_path} is {two}"
    with pytest.raises(NetError, match="one net is wanted"):
        resolve_net(f"latest:{tmp_path}:2")
    for odd in ("latest:", f"latest:{tmp_path}:0"):
        with pytest.raises(NetError, match="is not said"):
            resolve_nets([odd])


# --- the commands ---


def test_swa_latest_prints_the_path_alone(tmp_path: Path, capsys):
    put(tmp_path, "run-1.pb.gz", "run-2.pb.gz", "run-3.pb.gz", "run-swa-3.pb.gz")
    (tmp_path / "run-3.pb.gz").write_bytes(PACKED[:-1])
    passed_over = f"{tmp_path}/run-3.pb.gz: the file is truncated: the gzip stream has no end"
    assert main(["latest", str(tmp_path)]) == 0
    assert capsys.readouterr() == (f"{tmp_path}/run-2.pb.gz\n", f"passed over {passed_over}\n")
    assert main(["latest", str(tmp_path), "--average", "swa"]) == 0
    assert capsys.readouterr() == (f"{tmp_path}/run-swa-3.pb.gz\n", "")
    assert main(["latest", str(tmp_path), "--last", "2", "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert json.loads(output.out) == {
        "nets": [f"{tmp_path}/run-1.pb.gz", f"{tmp_path}/run-2.pb.gz"],
        "passed_over": [passed_over],
    }
    assert main(["latest", str(tmp_path / "none")]) == 2
    assert main(["latest", str(tmp_path), "--last", "0"]) == 2


def test_every_command_of_swa_takes_the_latest(tmp_path: Path, capsys):
    put(tmp_path / "runs", "run-1.pb.gz", "run-2.pb.gz")
    where, newest = f"latest:{tmp_path}/runs", f"{tmp_path}/runs/run-2.pb.gz"
    assert main(["inspect", where, "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["name"] == "run-2"
    assert output.err == f"{where} is {newest}\n"
    assert main(["convert", where, str(tmp_path / "a.pb"), "--json"]) == 0
    assert capsys.readouterr().err == f"{where} is {newest}\n"
    assert main(["average", f"{where}:2", "-o", str(tmp_path / "b.pb"), "--json"]) == 0
    ingredients = json.loads(capsys.readouterr().out)["ingredients"]
    assert [one["path"][-11:] for one in ingredients] == ["run-1.pb.gz", "run-2.pb.gz"]
    assert main(["convert", where, newest]) == 2  # the net itself is not overwritten
    assert main(["inspect", f"{where}:2"]) == 2


# --- what was seen before, and what came before ---


def test_what_is_known_to_be_complete_is_not_read(tmp_path: Path, loads: list[Path]) -> None:
    put(tmp_path, "run-1.pb", "run-2.pb")
    newest = tmp_path / "run-2.pb"
    found = find_latest(tmp_path, known=lambda path, status: path == newest)
    assert found.paths == (newest,)
    assert loads == []
    assert find_latest(tmp_path, known=lambda path, status: status.st_size == 0).paths == (newest,)
    assert loads == [newest]


def test_nets_before_one_are_those_of_its_series_with_fewer_steps(tmp_path: Path) -> None:
    names = ("run-1.pb", "run-2.pb.gz", "run-2.pb", "run-9.pb", "run-10.pb", "run-swa-3.pb")
    put(tmp_path, *names)
    (tmp_path / "run-5.pb").write_bytes(b"half a net")
    found = nets_before(tmp_path / "run-10.pb", 3)
    assert [path.name for path in found.paths] == ["run-1.pb", "run-2.pb.gz", "run-9.pb"]
    assert [line.partition(": ")[0] for line in found.passed_over] == [str(tmp_path / "run-5.pb")]
    assert nets_before(tmp_path / "run-10.pb", 1).paths == (tmp_path / "run-9.pb",)
    assert nets_before(tmp_path / "run-10.pb", 0).paths == ()
    assert nets_before(tmp_path / "run-1.pb", 5).paths == ()
    assert len(nets_before(tmp_path / "run-99.pb.gz", 9).paths) == 4  # it need not be there


def test_nothing_comes_before_a_name_without_steps(tmp_path: Path) -> None:
    put(tmp_path, "net.pb")
    with pytest.raises(NetError, match="its name has no steps"):
        nets_before(tmp_path / "net.pb", 3)
    with pytest.raises(NetError, match="cannot look for nets: no such file"):
        nets_before(tmp_path / "gone" / "run-3.pb", 3)
