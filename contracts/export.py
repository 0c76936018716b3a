"""Writes what partners read, from the models: `python -m contracts.export`; `--check` only compares.

`schemas/<entity>.<event>.v1.inzending.json` and `….feit.json` describe whole messages in JSON Schema
2020-12, `examples/` has one of each, `schemas/persoon.json` is what goes into the JWE and
`schemas/partnerregister.json` the partner registry. The words in them come from `GLOSSARY.md`, the
tables in `README.md` from `ontvangst.UITLEG` and `inzage.VELDEN`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from contracts import example
from contracts.catalogue import CATALOGUE, EventType
from contracts.envelope import SCHEMA_BASE, FactEnvelope, SubmissionEnvelope
from contracts.inzage import VELDEN
from contracts.ontvangst import UITLEG, Uitleg
from contracts.partners import Registry
from contracts.persoon import Persoon

FOLDER: Final = Path(__file__).parent
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_BEGIN: Final = "<!-- {name}: written by python -m contracts.export -->\n"
_END: Final = "<!-- end of {name} -->\n"
Schema = dict[str, Any]


class Kind(StrEnum):
    """The two forms of an event type: what a partner claims, and what the owner makes of it."""

    INZENDING = "inzending"
    FEIT = "feit"


@dataclass(frozen=True, slots=True)
class Term:
    english: str
    meaning: str


def glossary(folder: Path = FOLDER) -> dict[str, Term]:
    """The rows of `GLOSSARY.md` by their Dutch term, as it is on the wire."""
    rows = [line.strip("|").split("|") for line in _read(folder, "GLOSSARY.md").splitlines() if line[:1] == "|"]
    return {dutch.strip(): Term(english.strip(), meaning.strip()) for dutch, english, meaning in rows[2:]}


def words() -> frozenset[str]:
    """What the glossary must explain: streams, events, fields and enum values.

    Not the sentences of `Uitleg`: those explain themselves, and are as many as the codes.
    """
    found = {word for event_type in CATALOGUE.values() for word in (event_type.entity, event_type.event)}
    for schema in (message(event_type, kind) for event_type in CATALOGUE.values() for kind in forms(event_type)):
        found |= set(_words(schema))
    found |= set(_words(Persoon.model_json_schema())) | set(_words(Registry.model_json_schema()))
    return frozenset(found)


def forms(event_type: EventType) -> tuple[Kind, ...]:
    return tuple(Kind) if event_type.submission else (Kind.FEIT,)


def message(event_type: EventType, kind: Kind) -> Schema:
    """The JSON Schema of a whole message, the envelope with its `data`, still without the glossary's words.

    It is stricter than the envelope alone: the type is this one, the subject has the form of the stream,
    and what this type does not take (`namens`, a subject where the owner draws it) is not there. A submission
    has no field besides; a fact may get more in time, which its readers pass over.
    """
    if kind is Kind.INZENDING:
        assert event_type.submission is not None, f"{event_type.name} is submitted by nobody"
        model, schema = event_type.submission, SubmissionEnvelope.model_json_schema()
    else:
        model, schema = event_type.fact, FactEnvelope.model_json_schema()
    data = model.model_json_schema()
    definitions = schema.pop("$defs", {}) | data.pop("$defs", {})
    properties = schema["properties"]
    properties["type"] = {"const": event_type.name, "type": "string"}
    properties["subject"] = event_type.about.json_schema()
    properties["data"] = data
    required = {*schema["required"], "subject", *(["data"] if data.get("required") else [])}
    if kind is Kind.INZENDING and event_type.opens:
        del properties["subject"]
    if kind is Kind.INZENDING and event_type.namens:
        properties["namens"] = {"enum": sorted(voor for _, voor in event_type.namens), "type": "string"}
    elif kind is Kind.INZENDING:
        del properties["namens"]
    used = _used(definitions, properties)
    whole: Schema = {
        "$schema": _DIALECT,
        "$id": f"{SCHEMA_BASE}{_name(event_type, kind)}",
        "title": f"{event_type.routing_key}.v1 ({kind})",
        "description": _summary(event_type, kind),
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name in required],
        "properties": properties,
        **({"$defs": used} if used else {}),
    }
    return _open(whole) if kind is Kind.FEIT else whole


def _open(schema: Schema) -> Schema:
    """The same, with room for more fields in every object."""
    return {
        name: _open(content) if isinstance(content, dict) else content
        for name, content in schema.items()
        if (name, content) != ("additionalProperties", False)
    }


def files(folder: Path = FOLDER) -> dict[str, str]:
    """Every file that is written from the models: its path in `folder`, and what should be in it."""
    terms = glossary(folder)
    written = {
        "schemas/partnerregister.json": _pretty(_of_model(Registry, "partnerregister.json", terms)),
        "schemas/persoon.json": _pretty(_of_model(Persoon, "persoon.json", terms)),
        "examples/persoon.json": _pretty(example.as_json(example.example(Persoon))),
        "README.md": _with_tables(_read(folder, "README.md")),
    }
    for event_type in CATALOGUE.values():
        for kind in forms(event_type):
            shown = example.submission(event_type) if kind is Kind.INZENDING else example.fact(event_type)
            written[f"schemas/{_name(event_type, kind)}"] = _pretty(_explained(message(event_type, kind), terms))
            written[f"examples/{_name(event_type, kind)}"] = _pretty(example.as_json(shown))
    return written


def drift(folder: Path = FOLDER) -> list[str]:
    """What is not as the models say, a line for each; empty when all is well."""
    written = files(folder)
    return [
        *(f"missing: {path}" for path in written if not (folder / path).is_file()),
        *(
            f"differs: {path}"
            for path, content in written.items()
            if (folder / path).is_file() and _read(folder, path) != content
        ),
        *(f"too many: {path}" for path in _too_many(folder, written)),
        *(f"not in GLOSSARY.md: {word}" for word in sorted(words() - glossary(folder).keys())),
    ]


def write(folder: Path = FOLDER) -> None:
    """Writes every file, and removes those whose event type is no longer in the catalogue."""
    written = files(folder)
    for path, content in written.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    for path in _too_many(folder, written):
        (folder / path).unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where files and models differ")
    if not parser.parse_args(arguments).check:
        write()
    problems = drift()
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def _name(event_type: EventType, kind: Kind) -> str:
    return f"{event_type.routing_key}.v1.{kind}.json"


def _summary(event_type: EventType, kind: Kind) -> str:
    """What the event means, and who says it to whom."""
    lines = [event_type.fact.__doc__ or ""]
    if kind is Kind.INZENDING:
        lines.append(f"Submitted by: {_list(event_type.submitters)}.")
        lines += [f"Also by {who} on behalf of {voor} (`namens`)." for who, voor in sorted(event_type.namens)]
        if event_type.opens:
            lines.append("It has no `subject`: the owner draws one, and says which in its receipt.")
    elif event_type.owner is None:
        lines.append("From the owner of the stream, for the submitter alone.")
    else:
        lines.append(f"Recorded by: {event_type.owner}.")
        lines.append(f"Read by parties in the role of: {_list(event_type.readers)}.")
    return " ".join(" ".join(line.split()) for line in lines)


def _list(values: frozenset[Any]) -> str:
    return ", ".join(sorted(values))


def _of_model(model: type[BaseModel], name: str, terms: Mapping[str, Term]) -> Schema:
    return _explained({"$schema": _DIALECT, "$id": f"{SCHEMA_BASE}{name}", **model.model_json_schema()}, terms)


def _explained(schema: Schema, terms: Mapping[str, Term]) -> Schema:
    """`schema` with the glossary's English as title and its meaning as description of each field and value."""
    for part in _parts(schema):
        for name, field in part.get("properties", {}).items():
            field.pop("title", None)
            if term := terms.get(name):
                form = field.get("description", "").rstrip(".")
                field["title"] = term.english
                field["description"] = f"{term.meaning} {form}." if form else term.meaning
    for definition in _enums(schema):
        values = [f"`{value}`: {terms[value].meaning}" for value in _members(definition) if value in terms]
        definition["description"] = " ".join([definition.get("description", ""), *values]).strip()
    return schema


def _words(schema: Schema) -> Iterator[str]:
    for part in _parts(schema):
        yield from part.get("properties", {})
    for definition in _enums(schema):
        yield from _members(definition)


def _enums(schema: Schema) -> Iterator[Schema]:
    """The enums among the definitions, but for the sentences of `Uitleg`."""
    for name, definition in schema.get("$defs", {}).items():
        if name != Uitleg.__name__ and _members(definition):
            yield definition


def _members(definition: Schema) -> list[str]:
    """An enum's values; pydantic writes an enum of one member as a const."""
    return definition.get("enum") or [value for name, value in definition.items() if name == "const"]


def _parts(schema: object) -> Iterator[Schema]:
    """Every schema inside a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for name in ("properties", "$defs"):
            for inner in schema.get(name, {}).values():
                yield from _parts(inner)
        for name in ("items", "anyOf", "allOf", "prefixItems"):
            inner = schema.get(name, ())
            for item in inner if isinstance(inner, list) else (inner,):
                yield from _parts(item)


def _used(definitions: Schema, properties: Schema) -> Schema:
    """The definitions that something refers to, directly or through another."""
    used: Schema = {}
    waiting = [properties]
    while waiting:
        text = json.dumps(waiting.pop())
        for name, definition in definitions.items():
            if name not in used and f'"#/$defs/{name}"' in text:
                used[name] = definition
                waiting.append(definition)
    return used


def _with_tables(readme: str) -> str:
    codes = [f"| `{code}` | {escape(text, quote=False)} |\n" for code, text in UITLEG.items()]
    seen = [f"| `{wie}` | `{doel}` | {', '.join(velden)} |\n" for (wie, doel), velden in VELDEN.items()]
    readme = _with_table(readme, "codes", "| code | uitleg |\n|---|---|\n", codes)
    return _with_table(readme, "inzage", "| rol | doel | what you get |\n|---|---|---|\n", seen)


def _with_table(readme: str, name: str, head: str, rows: Sequence[str]) -> str:
    begin, end = _BEGIN.format(name=name), _END.format(name=name)
    before, _, rest = readme.partition(begin)
    _, _, after = rest.partition(end)
    return "".join([before, begin, head, *rows, end, after])


def _too_many(folder: Path, written: Mapping[str, str]) -> list[str]:
    present = (path for name in ("schemas", "examples") for path in (folder / name).glob("**/*") if path.is_file())
    return sorted({path.relative_to(folder).as_posix() for path in present} - written.keys())


def _pretty(content: object) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
