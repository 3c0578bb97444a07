"""Make the JSON schema of summary.json, and the tables of docs/summary.md, from the typed keys.

arena/report/schema.py is the one place where keys are added: its types become the schema's, and
the words behind each key are the description in both. After a change there, read "Versions" in
docs/summary.md, then:

    python scripts/make_summary_schema.py
"""

from __future__ import annotations

import inspect
import json
import re
import types
from pathlib import Path
from typing import (
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from arena.report import schema

REPOSITORY = Path(__file__).parent.parent
SCHEMA_FILE = REPOSITORY / "arena" / "data" / "summary.schema.json"
DOCUMENT = REPOSITORY / "docs" / "summary.md"

MARK = "<!-- From here on made by scripts/make_summary_schema.py. -->\n"

PLAIN: dict[object, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number"},
    str: {"type": "string"},
    type(None): {"type": "null"},
    Any: {},
}

RANGE = re.compile(r"\bin \[(-?\d+), (-?\d+)\]")


def main() -> None:
    """Write both files."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    head = DOCUMENT.read_text(encoding="utf-8").partition(MARK)[0]
    DOCUMENT.write_text(head + MARK + tables(), encoding="utf-8")


def schema_text() -> str:
    """Return the JSON schema (draft 2020-12). It allows keys that a later minor version adds."""
    definitions = {kind.__name__: _object(kind) for kind in typed_dicts()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"arena's summary.json, version {schema.FORMAT}.{schema.MINOR}",
        **definitions.pop("Summary"),
        "$defs": definitions,
    }
    document["properties"]["format"] |= {"const": schema.FORMAT}
    document["properties"]["minor"] |= {"minimum": schema.MINOR}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def typed_dicts() -> list[Any]:
    """All kinds of object, the document itself first, then as they are met in it."""
    found: list[Any] = []

    def visit(kind: Any) -> None:
        if is_typeddict(kind):
            if kind in found:
                return
            found.append(kind)
            for annotation in get_type_hints(kind).values():
                visit(annotation)
        for part in get_args(kind):
            visit(part)

    visit(schema.Summary)
    return found


def comments(kind: Any) -> dict[str, str]:
    """What is said behind each key of a kind of object."""
    found = re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(kind), re.MULTILINE)
    return {key: words.replace("None", "null") for key, words in found}


def required(kind: Any) -> list[str]:
    """The keys that every object of a kind has."""
    # __required_keys__ knows no NotRequired where annotations are kept as text (PEP 563).
    hints = get_type_hints(kind, include_extras=True)
    return [key for key, hint in hints.items() if get_origin(hint) is not NotRequired]


def _object(kind: Any) -> dict[str, Any]:
    said = comments(kind)
    return {
        "description": inspect.getdoc(kind),
        "type": "object",
        "required": required(kind),
        "properties": {
            key: _described(_schema(annotation), said.get(key, ""))
            for key, annotation in get_type_hints(kind).items()
        },
    }


def _described(of_type: dict[str, Any], words: str) -> dict[str, Any]:
    ends = RANGE.search(words)
    if ends is not None:
        _limit(of_type, *map(int, ends.groups()))
    return {"description": words, **of_type}


def _limit(of_type: dict[str, Any], low: int, high: int) -> None:
    """Set the range of the numbers in a type."""
    if of_type.get("type") == "number":
        of_type |= {"minimum": low, "maximum": high}
    for part in [*of_type.get("anyOf", []), *([of_type["items"]] if "items" in of_type else [])]:
        _limit(part, low, high)


def _schema(annotation: Any) -> dict[str, Any]:
    if annotation in PLAIN:
        return dict(PLAIN[annotation])
    if is_typeddict(annotation):
        return {"$ref": f"#/$defs/{annotation.__name__}"}
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(part) for part in parts]}
    if origin is list:
        return {"type": "array", "items": _schema(parts[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(parts[1])}
    raise TypeError(f"arena/report/schema.py: nobody has said what {annotation} is in JSON")


def tables() -> str:
    """Return a section with a table of keys for each kind of object."""
    return "\n".join(_table(kind) for kind in typed_dicts())


def _table(kind: Any) -> str:
    said = comments(kind)
    heading = "The document" if kind is schema.Summary else kind.__name__
    rows = [
        f"| `{key}`{'' if key in required(kind) else ' (not always there)'} "
        f"| {_cell(_type_name(annotation))} | {_cell(said.get(key, ''))} |"
        for key, annotation in get_type_hints(kind).items()
    ]
    lines = [f"\n## {heading}\n", inspect.getdoc(kind) or "", "", "| key | type | meaning |"]
    return "\n".join([*lines, "| --- | --- | --- |", *rows]) + "\n"


def _type_name(annotation: Any) -> str:
    if is_typeddict(annotation):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    names = {int: "integer", float: "number", str: "text", bool: "true or false", Any: "anything"}
    if annotation in names:
        return names[annotation]
    if annotation is type(None):
        return "null"
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is list:
        return f"list of {_bracketed(parts[0])}"
    if origin is dict:
        return f"object of {_bracketed(parts[1])}"
    if origin is Literal:
        return " or ".join(f'"{part}"' for part in parts)
    return " or ".join(map(_type_name, parts))


def _bracketed(annotation: Any) -> str:
    name = _type_name(annotation)
    return f"({name})" if " or " in name else name


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    main()
