"""Both versions run while one replaces the other: what one says, the other understands."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from contracts.catalogue import CATALOGUE
from contracts.envelope import SubmissionEnvelope
from contracts.export import FOLDER
from services.chassis import wire
from tests import previous


def before(folder: str, kind: str) -> dict[str, Any]:
    """The files of one kind as they were in the previous version, by name."""
    paths = [path for path in previous.listed(f"contracts/{folder}") if path.endswith(f".{kind}.json")]
    return {Path(path).name: json.loads(previous.text(path)) for path in paths}


def now(name: str) -> Any:
    return json.loads((FOLDER / "examples" / name).read_text(encoding="utf-8"))


def test_facts_of_the_previous_version_are_understood() -> None:
    facts = before("examples", "feit")
    assert len(facts) > 40
    for fact in facts.values():
        assert wire.decode(json.dumps(fact).encode()).type is CATALOGUE[fact["type"]]


def test_submissions_that_the_previous_version_took_are_taken() -> None:
    submissions = before("examples", "inzending")
    assert len(submissions) > 20
    for content in submissions.values():
        model = CATALOGUE[content["type"]].submission
        assert model is not None, content["type"]
        model.model_validate(SubmissionEnvelope.model_validate(content).data)


def test_the_previous_version_understands_our_facts() -> None:
    schemas = before("schemas", "feit")
    assert len(schemas) > 40
    for name, schema in schemas.items():
        Draft202012Validator(schema).validate(now(name))
