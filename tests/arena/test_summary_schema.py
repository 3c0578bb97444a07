"""The JSON schema of summary.json, docs/summary.md and the typed keys say the same.

After keys were added to arena/report/schema.py: read "Versions" in docs/summary.md, then
    python scripts/make_summary_schema.py
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any, NotRequired, get_origin, get_type_hints, is_typeddict

import pytest
from jsonschema import Draft202012Validator, ValidationError
from kinds_of_runs import KINDS

from arena.report import schema
from arena.report.run import read_run
from arena.report.summary import summarize, summary_json

REPOSITORY = Path(__file__).parents[2]
SCHEMA_FILE = REPOSITORY / "arena" / "data" / "summary.schema.json"

FINGERPRINTS = {"2.1": "0c6dba5f09c18fa5"}
"""Of the keys of each version: a version that was released keeps its keys. Where this fails before
a release, put the new value here; afterwards raise MINOR, or FORMAT if a key went, and add a line
here and in docs/summary.md."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = REPOSITORY / "scripts" / "make_summary_schema.py"
    spec = importlib.util.spec_from_file_location("make_summary_schema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return document


def strict(document: dict[str, Any]) -> Draft202012Validator:
    """The schema without room for keys of later versions."""
    document = deepcopy(document)
    for part in (document, *document["$defs"].values()):
        part["additionalProperties"] = False
    return Draft202012Validator(document)


def test_the_files_are_what_the_script_makes(script: ModuleType) -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == script.schema_text()
    document = script.DOCUMENT.read_text(encoding="utf-8")
    head, mark, tables = document.partition(script.MARK)
    assert mark
    assert tables == script.tables()
    assert f"| {schema.FORMAT}.{schema.MINOR} |" in head


def test_the_schema_is_one(published: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(published)


def typed_dicts() -> dict[str, Any]:
    return {name: kind for name, kind in vars(schema).items() if is_typeddict(kind)}


def test_keys_and_types_are_those_of_the_typed_dicts(published: dict[str, Any]) -> None:
    """Compared without the script that made the schema."""
    objects = {"Summary": published, **published["$defs"]}
    assert objects.keys() == typed_dicts().keys()
    for name, kind in typed_dicts().items():
        hints = get_type_hints(kind, include_extras=True)
        needed = {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}
        assert objects[name]["properties"].keys() == hints.keys(), name
        assert set(objects[name]["required"]) == needed, name
        for key, hint in get_type_hints(kind).items():
            may_be_null = type(None) in getattr(hint, "__args__", ())
            nulls = {"type": "null"} in objects[name]["properties"][key].get("anyOf", [])
            assert nulls is may_be_null, f"{name}.{key}"


def test_every_key_is_described(published: dict[str, Any]) -> None:
    for name, part in {"Summary": published, **published["$defs"]}.items():
        for key, value in part["properties"].items():
            assert value["description"], f"{name}.{key}: say behind the key what it means"


def test_a_version_keeps_its_keys() -> None:
    keys = sorted(
        f"{name}.{key}" for name, kind in typed_dicts().items() for key in kind.__annotations__
    )
    fingerprint = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    assert FINGERPRINTS[f"{schema.FORMAT}.{schema.MINOR}"] == fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_summaries_of_all_kinds_of_run_are_valid(
    kind: str, tmp_path: Path, published: dict[str, Any]
) -> None:
    summary = json.loads(summary_json(summarize(read_run(KINDS[kind](tmp_path / "run")))))
    strict(published).validate(summary)


def test_documents_that_are_none_are_refused(published: dict[str, Any], tmp_path: Path) -> None:
    text = summary_json(summarize(read_run(KINDS["sessions"](tmp_path / "run"))))
    validator = Draft202012Validator(published)
    wrong = {
        "format": schema.FORMAT + 1,
        "minor": schema.MINOR - 1,
        "pairs": -1,
        "score": 1.5,
        "state": "over",
        "pentanomial": [0.5],
        "nets": None,
    }
    for key, value in wrong.items():
        document = json.loads(text)
        document[key] = value
        with pytest.raises(ValidationError):
            validator.validate(document)
        del document[key]
        with pytest.raises(ValidationError):
            validator.validate(document)


def test_a_later_minor_version_with_more_keys_is_read(
    published: dict[str, Any], tmp_path: Path
) -> None:
    document = json.loads(summary_json(summarize(read_run(KINDS["decided"](tmp_path / "run")))))
    document["minor"] += 1
    document["news"] = document["nets"][0]["news"] = document["curves"]["news"] = {"any": 1}
    Draft202012Validator(published).validate(document)
    with pytest.raises(ValidationError):
        strict(published).validate(document)
