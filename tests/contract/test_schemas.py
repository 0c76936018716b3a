"""What partners build on: the exported schemas, the examples and the models say the same."""

import copy
import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from jsonschema import ValidationError as SchemaError
from pydantic import ValidationError
from pydantic_core import to_json

from contracts import export
from contracts.catalogue import CATALOGUE, EventType
from contracts.envelope import FactEnvelope, SubmissionEnvelope
from contracts.export import FOLDER, Kind
from contracts.partners import Registry
from contracts.persoon import Persoon
from services.chassis import wire

MESSAGES = [(event_type, kind) for event_type in CATALOGUE.values() for kind in export.forms(event_type)]
NAMES = [f"{event_type.routing_key}.v1.{kind}.json" for event_type, kind in MESSAGES]
FORMATS = FormatChecker(["date"])


def is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


FORMATS.checks("date-time", raises=ValueError)(is_moment)  # RFC 3339 is no part of jsonschema itself


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(read("schemas", name), format_checker=FORMATS)


def read(folder: str, name: str) -> Any:
    return json.loads((FOLDER / folder / name).read_text(encoding="utf-8"))


def validate_by_model(event_type: EventType, kind: Kind, message: dict[str, Any]) -> None:
    if kind is Kind.FEIT:
        event_type.fact.model_validate(FactEnvelope.model_validate(message).data)
    else:
        assert event_type.submission is not None
        event_type.submission.model_validate(SubmissionEnvelope.model_validate(message).data)


def objects(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all objects in a JSON value."""
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from objects(inner, (*path, key))


PLACES = [
    (event_type, kind, name, path)
    for (event_type, kind), name in zip(MESSAGES, NAMES, strict=True)
    for path in objects(read("examples", name))
]


@pytest.mark.parametrize(("event_type", "kind"), MESSAGES, ids=NAMES)
def test_example_is_valid_by_schema_and_by_model(event_type: EventType, kind: Kind) -> None:
    name = f"{event_type.routing_key}.v1.{kind}.json"
    message = read("examples", name)

    Draft202012Validator.check_schema(read("schemas", name))
    validator(name).validate(message)
    validate_by_model(event_type, kind, message)
    if "subject" in message:
        event_type.about.validate_python(message["subject"])


@given(place=st.sampled_from(PLACES), key=st.text(min_size=1, max_size=20), value=st.none() | st.text(max_size=5))
def test_unknown_field_is_refused_in_a_submission_and_passed_over_in_a_fact_at_every_level(
    place: tuple[EventType, Kind, str, tuple[str | int, ...]], key: str, value: str | None
) -> None:
    event_type, kind, name, path = place
    before = read("examples", name)
    message = target = copy.deepcopy(before)
    for step in path:
        target = target[step]
    key = f"x_{key}"  # no field of ours begins so
    target[key] = value

    if kind is Kind.FEIT:
        validator(name).validate(message)
        assert wire.decode(to_json(message)) == wire.decode(to_json(before))
    else:
        with pytest.raises(SchemaError):
            validator(name).validate(message)
        with pytest.raises(ValidationError):
            validate_by_model(event_type, kind, message)


@pytest.mark.parametrize("field", ["type", "subject", "source", "time", "id", "specversion"])
def test_envelope_without_its_field_is_refused(field: str) -> None:
    name = "match.vervallen.v1.feit.json"
    message = read("examples", name)
    del message[field]

    with pytest.raises(SchemaError):
        validator(name).validate(message)


def test_schema_of_one_type_refuses_the_example_of_another() -> None:
    with pytest.raises(SchemaError):
        validator("traject.gestart.v1.feit.json").validate(read("examples", "traject.hervat.v1.feit.json"))


def test_submission_that_opens_a_stream_names_no_subject() -> None:
    message = read("examples", "match.voorgesteld.v1.inzending.json") | {"subject": "M-7K3F9-QX2ME"}

    with pytest.raises(SchemaError):
        validator("match.voorgesteld.v1.inzending.json").validate(message)


def test_only_types_with_a_party_without_a_system_take_namens() -> None:
    bevestigd = read("examples", "match.bevestigd.v1.inzending.json")
    gestart = read("examples", "traject.gestart.v1.inzending.json")

    validator("match.bevestigd.v1.inzending.json").validate(bevestigd | {"namens": "werkgever"})
    with pytest.raises(SchemaError):
        validator("match.bevestigd.v1.inzending.json").validate(bevestigd | {"namens": "opleider"})
    with pytest.raises(SchemaError):
        validator("traject.gestart.v1.inzending.json").validate(gestart | {"namens": "werkgever"})


@pytest.mark.parametrize("event_type", CATALOGUE.values(), ids=CATALOGUE)
def test_dataschema_points_into_the_published_schema(event_type: EventType) -> None:
    file, _, pointer = event_type.schema.partition("#")
    published = read("schemas", f"{event_type.routing_key}.v1.feit.json")

    assert published["$id"] == file
    assert pointer == "/properties/data"
    assert read("examples", f"{event_type.routing_key}.v1.feit.json")["dataschema"] == event_type.schema


@pytest.mark.parametrize("name", NAMES)
def test_schema_explains_every_field(name: str) -> None:
    schema = read("schemas", name)
    fields = schema["properties"] | schema["properties"]["data"]["properties"]

    assert schema["title"]
    assert schema["description"]
    assert [
        field for field, content in fields.items() if not (content.get("title") and content["description"])
    ] == []


def test_example_of_a_person_is_valid() -> None:
    validator("persoon.json").validate(read("examples", "persoon.json"))
    Persoon.model_validate(read("examples", "persoon.json"))


def test_partner_registry_of_the_pilot_fits_its_schema() -> None:
    registry = Registry.load(FOLDER.parent / "deploy" / "partners.toml")

    validator("partnerregister.json").validate(registry.model_dump(mode="json"))


def test_files_are_as_the_models_say() -> None:
    assert export.drift() == [], "run python -m contracts.export, and complete GLOSSARY.md"


def test_check_names_what_differs_is_missing_is_too_many_or_unexplained(tmp_path: Path) -> None:
    for name in ("schemas", "examples"):
        shutil.copytree(FOLDER / name, tmp_path / name)
    for name in ("README.md", "GLOSSARY.md"):
        shutil.copy(FOLDER / name, tmp_path)
    assert export.drift(tmp_path) == []

    (tmp_path / "schemas" / "match.erkend.v1.feit.json").unlink()
    (tmp_path / "examples" / "match.gewist.v1.feit.json").touch()
    (tmp_path / "examples" / "traject.gestart.v1.feit.json").write_text("{}\n")
    readme, words = tmp_path / "README.md", tmp_path / "GLOSSARY.md"
    readme.write_text(readme.read_text("utf-8").replace("| `te_groot` |", "| `klein` |"), "utf-8")
    words.write_text(re.sub(r"\| uiterlijk \|.*\n", "", words.read_text("utf-8")), "utf-8")

    assert set(export.drift(tmp_path)) >= {
        "missing: schemas/match.erkend.v1.feit.json",
        "too many: examples/match.gewist.v1.feit.json",
        "differs: examples/traject.gestart.v1.feit.json",
        "differs: README.md",
        "not in GLOSSARY.md: uiterlijk",
    }

    export.write(tmp_path)

    assert export.drift(tmp_path) == ["not in GLOSSARY.md: uiterlijk"]


def test_glossary_has_no_term_twice_and_no_empty_meaning() -> None:
    rows = re.findall(r"^\|.*\|$", (FOLDER / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)[2:]

    assert len(rows) == len(export.glossary())
    assert all(term.english and term.meaning for term in export.glossary().values())
