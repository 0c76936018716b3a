"""Facts and receipts as bytes: the envelope around what a handler said."""

import hashlib
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import ValidationError
from pydantic_core import to_json

from contracts.catalogue import CATALOGUE, EventType, service_source
from contracts.envelope import CONTENT_TYPE, FactEnvelope
from contracts.model import Data
from contracts.ontvangst import UITLEG, Aanvaard, Afgewezen, Code, Uitleg, Waarop, Wacht
from services.chassis.messages import Fact
from services.chassis.telemetry import child_of

__all__ = ["CONTENT_TYPE", "Unusable", "accepted", "decode", "encode", "receipt", "refused", "waiting"]

_RECEIPTS: Final = UUID("5b6f0b0e-3f0e-4a38-9d2c-6b1f0f5d9c11")
"""Name space of receipts for messages that have no place in the inbox."""


class Unusable(ValueError):
    """A message on the fact exchange that is not a fact of the catalogue. Says where, never what.

    `place` is its (entity, subject, sequence), where the envelope can be read: that is what it holds back.
    `newer`: it has a type that this version does not know, and a newer one may.
    """

    def __init__(self, cause: str, place: tuple[str, str, int] | None = None, *, newer: bool = False) -> None:
        super().__init__(cause)
        self.place = place
        self.newer = newer


def encode(fact: Fact[Data]) -> bytes:
    """The fact as CloudEvents structured JSON."""
    return to_json(
        {
            "specversion": "1.0",
            "id": fact.id,
            "source": fact.source,
            "type": fact.type.name,
            "subject": fact.subject,
            "time": fact.time,
            "datacontenttype": "application/json",
            "dataschema": fact.type.schema,
            "sequence": f"{fact.sequence:010d}",
            "recordedtime": fact.recorded,
            "correlationid": fact.correlationid,
            "causationid": fact.causationid,
            "actor": fact.actor,
            "dataref": fact.dataref,
            "traceparent": fact.traceparent,
            "tracestate": fact.tracestate,
            "data": fact.data,
        },
        exclude_none=True,
    )


def decode(body: bytes) -> Fact[Any]:
    """The fact in a message. What a newer version added to it is passed over.

    Raises:
        Unusable: it does not fit the catalogue.
    """
    place: tuple[str, str, int] | None = None
    try:
        envelope = FactEnvelope.model_validate_json(body, extra="ignore")
        place = envelope.type.split(".")[2], envelope.subject, int(envelope.sequence)
        event_type = CATALOGUE.get(envelope.type)
        if event_type is None:
            raise Unusable("unknown type", place, newer=True)
        data = event_type.fact.model_validate(envelope.data, extra="ignore")
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        raise Unusable(f"{first['type']} at {'.'.join(map(str, first['loc']))}", place) from None
    return Fact(
        type=event_type,
        id=envelope.id,
        source=envelope.source,
        subject=envelope.subject,
        sequence=int(envelope.sequence),
        time=envelope.time,
        recorded=envelope.recordedtime,
        correlationid=envelope.correlationid,
        causationid=envelope.causationid,
        actor=envelope.actor,
        data=data,
        dataref=envelope.dataref,
        traceparent=envelope.traceparent,
        tracestate=envelope.tracestate,
    )


def accepted(subject: str, sequence: int) -> Aanvaard:
    return Aanvaard(subject=subject, sequence=sequence)


def refused(code: Code, veld: str | None = None) -> Afgewezen:
    return Afgewezen(code=code, veld=veld, uitleg=Uitleg(UITLEG[code]))


def waiting(waarop: Waarop, until: datetime) -> Wacht:
    return Wacht(waarop=waarop, tot=until)


def receipt(
    data: Aanvaard | Afgewezen | Wacht,
    *,
    service: str,
    submission_id: str,
    sequence: int,
    now: datetime,
    correlationid: str | None,
    traceparent: str | None,
    deterministic: bytes,
) -> Fact[Data]:
    """The receipt for a submission. The same answer to the same message has the same id."""
    event_type: EventType = CATALOGUE.of(type(data))
    name = hashlib.sha256(deterministic + b"\0" + str(sequence).encode()).hexdigest()
    message_id = str(uuid5(_RECEIPTS, name))
    return Fact(
        type=event_type,
        id=message_id,
        source=service_source(service),
        subject=submission_id,
        sequence=sequence,
        time=now,
        recorded=now,
        correlationid=correlationid or message_id,
        causationid=submission_id,
        actor=service,
        data=data,
        traceparent=child_of(traceparent),
    )
