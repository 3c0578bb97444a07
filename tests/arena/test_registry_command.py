"""``arena registry``: what it shows, and what it changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from registry_records import begin, decision, first, judge, keep, match, net, sha
from tiny_net import tiny_payload

from arena.cli import main
from arena.registry.champion import settle_champion
from arena.registry.home import Home
from arena.registry.store import Registry
from arena.registry.telling import backup_of


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two nights: one promotes, one is abandoned; a net of a hostile name."""
    home = first(tmp_path / "home")
    with Registry.open(home.registry) as registry:
        keep(home, registry, "one")
        night = begin(registry, "one")
        of = {"night": 1, "stage": "gate"}
        registry.record_match(match(f"{night.folder}/gate", "first", "one", **of))
        registry.decide(decision(night, "promote", "one"))
        settle_champion(home, registry)
        registry.add_net(net("two", name="t\x1b[31mwo\n"))
        registry.abandon_night(begin(registry, "two").number, "other\nsettings")
        registry.backup(home.backup)
    (home.root / night.folder / "gate").mkdir(parents=True)
    return home


def text(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    assert main(["registry", *map(str, words)]) == 0
    return capsys.readouterr().out.splitlines()


def document(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    return json.loads("\n".join(text(capsys, *words, "--json")))


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What is said of bad input, in one to three lines."""
    assert main(["registry", *map(str, words)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert len(error.splitlines()) <= 3
    assert "internal" not in error
    return error


def test_lists_have_a_line_each(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--home", home.root)
    nights = text(capsys, "list", *at)
    assert nights == text(capsys, "list", "nights", *at)
    header = "night began latest candidate champion result why"
    assert nights[0].split() == header.split()
    assert nights[1].split()[2:6] == ["one", "one", "first", "promote"]
    assert nights[2].endswith("abandoned  other settings")
    assert len(nights) == 3
    nets = text(capsys, "list", "nets", *at)
    assert [line.split()[0] for line in nets] == ["net", "first", "one", "t"]
    assert "\x1b" not in "".join(nets)
    assert nets[2].split()[1] == sha("one")[:12]
    (_, line) = text(capsys, "list", "matches", *at)
    expected = "nights/0001-one/gate 1 gate one first 21 1 2 7 5 6 promote decided"
    assert line.split() == expected.split()
    (_, line) = text(capsys, "list", "decisions", *at)
    assert line.endswith("promote  one        first     due   the test says promote")


def test_json_has_every_field(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--home", home.root)
    (played,) = document(capsys, "list", "matches", *at)["matches"]
    assert played["counts"] == {"LL": 1, "LD": 2, "WL": 3, "DD": 4, "WD": 5, "WW": 6}
    assert (played["verdict"], played["baseline"]) == ("promote", sha("first"))
    everything = document(capsys, "export", *at)
    assert everything["format"] == "arena registry, version 1"
    assert [one["name"] for one in everything["nets"]] == ["first", "one", "t\x1b[31mwo\n"]
    assert everything["matches"] == [played]
    assert everything["decisions"][0]["document"]["elo"] == 3.25
    assert everything["reigns"] == document(capsys, "history", *at)["reigns"]
    out = home.root / "all.json"
    assert text(capsys, "export", "--out", out, *at) == []
    assert json.loads(out.read_text()) == everything
    shown = document(capsys, "show", 1, *at)
    assert shown["night"] == everything["nights"][0]
    assert shown["decision"] == everything["decisions"][0]
    assert shown["matches"] == [played]
    shown = document(capsys, "show", sha("one")[:6], *at)
    assert shown["net"] == everything["nets"][1]
    assert shown["reigns"] == everything["reigns"][1:]


def test_show_tells_a_night_and_a_net(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--home", home.root)
    night = text(capsys, "show", "1", *at)
    assert night[0].startswith("Night 1: decided, began 2")
    assert "Why: the test says promote" in night
    assert night[-1].startswith("nights/0001-one/gate")
    assert text(capsys, "show", "2", *at)[-1] == "Abandoned: other settings"
    shown = text(capsys, "show", "one", *at)
    assert shown[0] == "Net one: raw, 1x4, 100 training steps"
    assert shown[1] == f"sha256: {sha('one')}"
    assert any(line.startswith("Champion: promotion, from 2") for line in shown)
    assert "knows no net '3'" in refusal(capsys, "show", "3", *at)


def test_history_and_champion(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--home", home.root)
    history = text(capsys, "history", *at)
    assert [line.split()[1] for line in history[1:]] == ["first", "one"]
    assert history[-1].endswith("now")
    lines = text(capsys, "champion", *at)
    assert lines[0] == f"Champion: one ({sha('one')[:12]})"
    assert lines[1].endswith("(promotion of night 1)")
    with Registry.open(home.registry) as registry:
        registry.crown(sha("first"), "rollback")
    assert text(capsys, "champion", *at)[-1].startswith("Pending: first")
    assert document(capsys, "champion", *at)["pending"]["how"] == "rollback"


def test_the_home_may_be_that_of_a_configuration(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "nightly.toml"
    config.write_text('home = "home"\nlatest = "run"\n')
    assert text(capsys, "list", "--config", config) == text(capsys, "list", "--home", home.root)
    config.write_text("latest = 1\n")
    assert "names no home" in refusal(capsys, "list", "--config", config)
    config.write_text("home = \n")
    assert "is no TOML" in refusal(capsys, "list", "--config", config)
    assert "no such file" in refusal(capsys, "list", "--config", tmp_path / "none.toml")
    assert "required" in refusal(capsys, "list")
    assert "not allowed with" in refusal(capsys, "list", "--config", config, "--home", ".")


def test_the_home_of_a_configuration_may_begin_with_a_tilde(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "nightly.toml"
    config.write_text('home = "~/home"\n')
    assert text(capsys, "list", "--config", config) == text(capsys, "list", "--home", home.root)
    config.write_text('home = "~nobody-of-that-name/home"\n')
    assert "nightly.toml: home: " in refusal(capsys, "list", "--config", config)


def test_a_champion_is_set_by_hand_and_rolled_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home")
    at = ("--home", home.root)
    nets = [tmp_path / "a.pb", tmp_path / "b.pb"]
    for seed, path in enumerate(nets):
        path.write_bytes(tiny_payload(seed=seed))
    for path in nets:
        text(capsys, "champion", "--set", path, *at)
        assert home.champion.read_bytes() == path.read_bytes()
    assert "is champion already" in refusal(capsys, "champion", "--set", nets[1], *at)
    told = document(capsys, "rollback", *at)
    assert told["net"]["name"] == "a"
    assert told["net"]["architecture"].startswith("1x4 SE 2 relu")
    assert told["reign"]["how"] == "rollback"
    assert home.champion.read_bytes() == nets[0].read_bytes()
    assert "no champion before this one" in refusal(capsys, "rollback", *at)
    hows = [reign["how"] for reign in document(capsys, "history", *at)["reigns"]]
    assert hows == ["first", "by hand", "rollback"]
    with Registry.open(backup_of(home.registry)) as backup:
        assert len(backup.reigns()) == 3
    assert text(capsys, "verify", *at)[-1].endswith("everything agrees")


def test_what_is_no_net_does_not_become_champion(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--home", home.root)
    before = sorted(home.root.rglob("*.pb*"))
    (tmp_path / "no.pb").write_text("no net")
    refusal(capsys, "champion", "--set", tmp_path / "no.pb", *at)
    refusal(capsys, "champion", "--set", tmp_path / "none.pb", *at)
    assert sorted(home.root.rglob("*.pb*")) == before
    assert text(capsys, "champion", *at)[0].startswith("Champion: one")


def test_a_champion_s_file_that_was_changed_is_told_and_put_back(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--home", home.root)
    good = home.champion.read_bytes()
    home.champion.write_bytes(b"another")
    for words in (["champion"], ["rollback"]):
        assert "is not the registry's champion" in refusal(capsys, *words, *at)
    assert main(["registry", "verify", "--quick", "--home", str(home.root)]) == 1
    assert "problem: champion.pb.gz: is not" in capsys.readouterr().out
    told = text(capsys, "champion", "--restore", *at)
    assert told[-1].startswith("The file that was there is champion-")
    assert home.champion.read_bytes() == good


def test_a_night_at_work_is_not_disturbed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    from arena.registry.home import lock

    at = ("--home", home.root)
    with lock(home):  # a lock of another open file, as another process's is
        assert "another process is at work" in refusal(capsys, "rollback", *at)
        said = refusal(capsys, "champion", "--restore", "--wait", "0.2", *at)
        assert "another process is at work" in said
        text(capsys, "list", *at)
    assert "is no number of seconds" in refusal(capsys, "rollback", "--wait", "soon", *at)


def test_a_home_that_is_none_is_told_and_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--home", tmp_path / "none")
    for words in (["list"], ["verify"], ["rollback"], ["champion", "--restore"], ["export"]):
        assert "there is no registry" in refusal(capsys, *words, *at)
    assert not (tmp_path / "none").exists()


def test_verify_leaves_with_1_where_something_is_wrong(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with Registry.open(home.registry) as registry:
        judge(home, registry, "four", "keep")
    assert main(["registry", "verify", "--home", str(home.root), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["agrees"]
    assert {one["kind"] for one in told["findings"]} == {"problem", "note"}
    problems = [one["where"] for one in told["findings"] if one["kind"] == "problem"]
    assert problems == [net("two").file, "nights/0001-one/gate"]


def test_to_look_at_it_loads_nothing_heavy(home: Home) -> None:
    script = (
        "import sys; from arena.cli import main; "
        f"code = main(['registry', 'list', 'matches', '-q', '--home', {str(home.root)!r}]); "
        "heavy = {'torch', 'scipy', 'numpy', 'numba', 'chess', 'rich'} & set(sys.modules); "
        "print(code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "0 []\n", done.stderr
