"""A valid example of every message, made from the models themselves.

A field shows its own `examples`, an enum its first member, a list one item; dates run on in the order
of the fields, so that what ends does so after it begins. Whoever adds an event type gets its example
for free: for the schemas' readers, for tests, for a first message to try.
"""

import hashlib
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from enum import Enum
from itertools import combinations
from types import UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from contracts import traject
from contracts.catalogue import EventType, Owner, service_source
from contracts.envelope import SCHEMA_BASE, FactEnvelope, SubmissionEnvelope

M = TypeVar("M", bound=BaseModel)

_TWO_WEEKS: Final = timedelta(days=14)
_PARTNER: Final = "roc-maas"
_TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_KEY: Final = "1f0c2b7e-5d0a-5a43-8e55-7f2d3a9b4c11"
_HAPPENED: Final = "2026-11-02T09:30:00Z"
_RECORDED: Final = "2026-11-02T09:30:02Z"


class NoExample(TypeError):
    """A field, or a rule over several fields, from which no example follows."""


def example(model: type[M], /, **given: object) -> M:
    """A valid instance of `model`, always the same, with `given` in place of what it would choose.

    Optional fields are there, unless a rule of the model forbids the combination; then as few as
    possible are left out.

    Raises:
        NoExample: naming the field whose type needs `examples=[…]`.
    """
    values: dict[str, object] = dict(given)
    optional: list[str] = []
    last: date | None = None
    for name, field in model.model_fields.items():
        if name in given:
            continue
        try:
            value = _value(field)
        except NoExample as problem:
            if field.is_required():
                raise NoExample(f"{model.__name__}.{name}: give its type examples=[…]") from problem
            continue
        if isinstance(value, date):
            last = value = value if last is None else max(value, last + _TWO_WEEKS)
        values[name] = value
        if not field.is_required():
            optional.append(name)
    problem_found: ValidationError | None = None
    for left_out in _fewest_first(optional):
        try:
            return model.model_validate({name: value for name, value in values.items() if name not in left_out})
        except ValidationError as problem:
            problem_found = problem_found or problem
    raise NoExample(f"{model.__name__}: its rules refuse the examples of its fields") from problem_found


def submission(event_type: EventType) -> SubmissionEnvelope:
    """What a partner sends to say that this happened.

    Raises:
        NoExample: nobody submits this type.
    """
    if event_type.submission is None:
        raise NoExample(f"{event_type.name} is submitted by nobody")
    return example(
        SubmissionEnvelope,
        id=_id(event_type, "inzending"),
        type=event_type.name,
        time=_HAPPENED,
        dataschema=f"{SCHEMA_BASE}{event_type.routing_key}.v1.inzending.json#/properties/data",
        subject=None if event_type.opens else _subject(event_type),
        referentie="aanmelding-2026-0042" if event_type.opens else None,
        namens=None,
        traceparent=_TRACEPARENT,
        tracestate=None,
        data=example(event_type.submission).model_dump(mode="json", exclude_none=True),
    )


def fact(event_type: EventType) -> FactEnvelope:
    """What the readers of this type receive."""
    owner = event_type.owner or Owner.INTAKE
    subject = _subject(event_type)
    personal = event_type.fact is traject.Aangemeld
    return example(
        FactEnvelope,
        id=_id(event_type, "feit"),
        source=service_source(owner),
        type=event_type.name,
        time=_HAPPENED,
        dataschema=event_type.schema,
        subject=subject,
        recordedtime=_RECORDED,
        causationid=_id(event_type, "inzending"),
        actor=_PARTNER if event_type.submitters or event_type.owner is None else owner.value,
        dataref=f"https://intake.praktijkverklaringen.nl/personen/{_KEY}" if personal else None,
        traceparent=_TRACEPARENT,
        tracestate=None,
        data=example(event_type.fact).model_dump(mode="json", exclude_none=True),
    )


def as_json(model: BaseModel) -> dict[str, Any]:
    """A message as it is on the wire: what is not there is left out."""
    return model.model_dump(mode="json", exclude_none=True)


def _subject(event_type: EventType) -> str:
    return str(event_type.about.json_schema()["examples"][0])


def _id(event_type: EventType, kind: str) -> str:
    """A fixed UUIDv7 for each message: one day, the rest a digest of its name."""
    digest = hashlib.sha256(f"{event_type.name}.{kind}".encode()).hexdigest()
    return f"01a19b98-1dc0-7{digest[:3]}-8{digest[3:6]}-{digest[6:18]}"


def _value(field: FieldInfo) -> object:
    kind: Any = field.annotation
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is date:
        return date.fromisoformat(field.examples[0]) if field.examples else date(2026, 11, 2)
    if field.examples:
        return field.examples[0]
    if origin in (Union, UnionType):
        return _value(FieldInfo.from_annotation(arguments[0]))
    if origin in (tuple, frozenset):
        return (_value(FieldInfo.from_annotation(arguments[0])),)
    if origin is Literal:
        return arguments[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return example(kind)
    raise NoExample(f"no example of {kind}")


def _fewest_first(names: Collection[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(names) + 1):
        yield from combinations(names, count)
