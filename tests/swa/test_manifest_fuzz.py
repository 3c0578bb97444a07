"""Manifests that were damaged, in every place and in many ways: refused in words, or as good."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from build_inputs import write_games, write_run

from swa.build import build
from swa.build_config import BuildConfig, BuildError
from swa.manifest import read_manifest
from swa.rebuild import rebuild
from swa.spec import NetError

REMOVED = object()

DAMAGES: tuple[Any, ...] = (
    REMOVED,
    None,
    True,
    -1,
    0,
    3,
    2**64,
    10**400,
    0.5,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "auto",
    "..",
    "\0",
    "\ud800",  # no byte of a path has it
    "x" * 5000,
    "ffffffffffffffffffff",
    [],
    [None],
    {},
    {"x": "x"},
)

Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a build in it, ``out.pb``."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "games").mkdir()
    write_games(folder / "games", games=3)
    nets = tuple(write_run(folder, folder / "games", count=2))
    data = (folder / "games",)
    build(BuildConfig(nets=nets, data=data, output=folder / "out.pb", threads=1, force=True))
    return folder


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where something stands; of lists that are all of a kind the first only."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value[:1]):
            yield from places(inner, (*at, place))


def damaged(document: Any, at: Place, damage: Any) -> Any:
    """A copy with something else at one place."""
    changed = copy.deepcopy(document)
    *outer, last = at
    inside = changed
    for step in outer:
        inside = inside[step]
    if damage is REMOVED:
        del inside[last]
    else:
        inside[last] = damage
    return changed


def said_of(manifest: Path, out: Path, build_again: bool) -> str | None:
    """What is said of a manifest, None of a good one; any error but a typed one goes through."""
    try:
        found = read_manifest(manifest)
        if build_again:
            found = rebuild(manifest, out, force=True, overwrite=True).built.manifest
    except (BuildError, NetError) as error:
        return str(error)
    assert found.to_json()
    assert not build_again or read_manifest(Path(f"{out}.json")) == found
    return None


@pytest.mark.slow
def test_every_damage_is_refused_in_words_or_none(inputs: Path) -> None:
    """By the reader, or else by the build from it, whose own manifest can be read again."""
    document = json.loads((inputs / "out.pb.json").read_text())
    for rows in (document["output"]["rounding"], document["refresh"]["layers"]):
        del rows[2:]  # many and alike
    hurt, out, refused, good = inputs / "hurt.json", inputs / "again.pb", 0, 0
    for at in [place for place in places(document) if place]:
        used = at[0] in ("output", "ingredients", "data", "refresh") and "layers" not in at
        for damage in DAMAGES:
            hurt.write_text(json.dumps(damaged(document, at, damage)))
            said = said_of(hurt, out, used)
            refused, good = refused + (said is not None), good + (said is None)
            assert said is None or len(said.splitlines()) <= 3, at
    assert refused > good > 0


@pytest.mark.parametrize(
    ("at", "damage", "words"),
    [
        (("refresh", "method"), "exactly", "refresh.method must be one of exact, pooled, "),
        (("refresh", "method"), "none", "refresh.method is none, and the nets have batch norm"),
        (("refresh", "dtype"), "float16", "refresh.dtype must be one of float32, float64"),
        (("refresh", "threads"), 0, "refresh.threads must be from 1 to 4096"),
        (("refresh", "positions"), -1, "refresh.positions must be a whole number from 0"),
        (("data", "files"), [], "data.refresh_positions must be 0, the sum of its files'"),
        (("data", "held_out_below"), "-1", "data.held_out_below must be a hexadecimal number"),
        (("data", "held_out_below"), f"{2**64 + 1:x}", "data.held_out_below must be a hexadecimal"),
        (("data", "files", 0, "games"), 2, "data.games must be 4, the sum of its files'"),
        (("data", "files", 0, "path"), "\ud800", r"data.files\[0\].path must be a path"),
        (("ingredients",), [], "the ingredients' rule_weight: an average of no nets"),
        (("ingredients", 0, "rule_weight"), -1, "the ingredients' rule_weight: a weight cannot"),
        (("ingredients", 0, "weight"), 0.125, r"\[0\].weight must be .*, its share by rule_weight"),
        (("ingredients", 0, "rule_weight"), 10**400, r"\[0\].rule_weight must be a finite number"),
        (("ingredients", 0, "sha256"), "0", r"ingredients\[0\].sha256 must be 64 hexadecimal"),
        (("output", "encoding_asked"), "float8", "output.encoding_asked must be one of linear16"),
        (("output", "licence_asked"), "\udcff", "output.licence_asked must be a text in UTF-8"),
        (("rule", "settings"), {"a": [float("nan")]}, "no JSON"),
    ],
)
def test_what_is_said_of_a_damage(inputs: Path, at: Place, damage: Any, words: str) -> None:
    document = json.loads((inputs / "out.pb.json").read_text())
    hurt = inputs / "hurt.json"
    hurt.write_text(json.dumps(damaged(document, at, damage)))
    with pytest.raises(BuildError, match=words):
        rebuild(hurt, inputs / "never.pb")
    assert not (inputs / "never.pb").exists()


def test_numbers_that_are_too_large_for_json(inputs: Path) -> None:
    text = (inputs / "out.pb.json").read_text()
    hurt = inputs / "hurt.json"
    for settings in ('{"a": 1e999}', '{"a": ' + "[" * 900 + "]" * 900 + "}"):
        hurt.write_text(text.replace('"settings": {}', f'"settings": {settings}'))
        assert hurt.read_text() != text
        with pytest.raises(BuildError, match=r"rule\.settings must be|no JSON"):
            read_manifest(hurt)
