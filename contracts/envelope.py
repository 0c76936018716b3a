"""CloudEvents 1.0 in the NL GOV profile 1.1, structured JSON over AMQP.

Partners send a `SubmissionEnvelope`; services publish a `FactEnvelope`. Attribute names are lower
case letters and digits, as CloudEvents 1.0 §3 asks of extensions.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from contracts.fields import PartnerId, Rol, Tijdstip

CONTENT_TYPE: Final = "application/cloudevents+json"
MAX_BYTES: Final = 64 * 1024
TYPE_PREFIX: Final = "nl.praktijkverklaringen."
SCHEMA_BASE: Final = "https://praktijkverklaringen.nl/schemas/"
_BINARY_PREFIXES: Final = ("ce-", "cloudEvents:", "cloudEvents_")

Source = Annotated[
    str,
    Field(
        pattern=r"^urn:nld:[a-z0-9][a-z0-9.:-]{2,120}$",
        examples=["urn:nld:oin:00000001234567890000:systeem:studentvolg"],
        description="Bron: een URN in de naamruimte nld, van de organisatie en haar systeem",
    ),
]
MessageId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$",
        examples=["0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21"],
        description="Id, uniek binnen de source; een UUID is aan te raden",
    ),
]
EventTypeName = Annotated[
    str,
    Field(
        pattern=r"^nl\.praktijkverklaringen\.[a-z]+\.[a-z-]+\.v[0-9]+$",
        examples=["nl.praktijkverklaringen.match.bevestigd.v1"],
    ),
]
Subject = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$", examples=["PV-7K3F9-QX2ME"])]
Sequence = Annotated[str, Field(pattern=r"^[0-9]{10}$", examples=["0000000001"])]
TraceParent = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    ),
]
TraceState = Annotated[str, Field(pattern=r"^[!-~]{1,512}$", examples=["sbb=1"])]
Referentie = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$", examples=["aanmelding-2026-0042"])
]
Uuid = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", examples=["0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21"]
    ),
]


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    specversion: Literal["1.0"]
    id: MessageId
    source: Source
    type: EventTypeName
    time: Tijdstip
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(pattern=r"^https://[!-~]{1,200}$")] | None = None
    traceparent: TraceParent | None = None
    tracestate: TraceState | None = None


class SubmissionEnvelope(_Envelope):
    """What a partner sends. `data` is checked against the catalogue's model afterwards.

    `subject` is left out where the owner draws the number. `referentie` is the partner's own, unique
    per partner, so that a repeated registration under a new id is recognised. `namens` claims to speak
    for a party without a system of its own.
    """

    subject: Subject | None = None
    referentie: Referentie | None = None
    namens: Rol | None = None
    data: dict[str, JsonValue] = Field(default_factory=dict)


class FactEnvelope(_Envelope):
    """What a service publishes: a fact or a receipt.

    `sequence` counts the facts of one stream without a gap; `recordedtime` is when the owner recorded
    what happened at `time`; `correlationid` ties a case together, `causationid` is the id of what
    caused it and `actor` is the partner or the service that did it.
    """

    id: Uuid
    subject: Subject
    sequence: Sequence
    recordedtime: Tijdstip
    correlationid: Uuid
    causationid: MessageId
    actor: PartnerId
    dataref: Annotated[str, Field(pattern=r"^https?://[!-~]{1,200}$")] | None = None
    data: dict[str, JsonValue]


class Unreadable(ValueError):
    """The bytes hold no CloudEvent in a form we know."""


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number that JSON can give back")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One reading only: a repeated key means different things to different readers."""
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("repeated key")
    return keys


def attributes(body: bytes, content_type: str | None, headers: Mapping[str, object]) -> dict[str, Any]:
    """The attributes and `data` of a message in structured or binary mode, not yet validated.

    Binary mode is recognised by its headers (prefix `ce-`, `cloudEvents:` or `cloudEvents_`) where the
    content type is not that of structured mode (CloudEvents AMQP binding §3).

    Raises:
        Unreadable: no UTF-8, no JSON, or not a JSON object.
    """
    try:
        content = json.loads(
            body.decode("utf-8-sig"),  # json.loads(bytes) would also take UTF-16 and lone surrogates
            parse_constant=_reject_constant,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as problem:
        raise Unreadable("not JSON") from problem
    if not isinstance(content, dict):
        raise Unreadable("not a JSON object")
    if content_type == CONTENT_TYPE:
        return content
    binary = {
        name.removeprefix(prefix): value
        for prefix in _BINARY_PREFIXES
        for name, value in headers.items()
        if name.startswith(prefix)
    }
    return {**binary, "data": content} if binary else content
