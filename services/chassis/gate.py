"""The gate: what stands between a partner's message and the rules, in this order.

identity (the exchange it came through is who it is from; `user_id` and `source` must agree), role
(the catalogue lets that role submit this type), contract (envelope and data validate), party (that
partner belongs to the subject in that role), rule (the aggregate's; see `service`).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from contracts.catalogue import ALWAYS_READS, CATALOGUE, EVERYONE, EventType, Owner
from contracts.envelope import CONTENT_TYPE, MAX_BYTES, MessageId, SubmissionEnvelope, Unreadable, attributes
from contracts.fields import PartnerId
from contracts.model import Data
from contracts.ontvangst import Code
from contracts.partners import Registry
from services.chassis.messages import Due, Fact, Refused, Submission
from services.chassis.service import Service
from services.chassis.telemetry import begun_by, child_of, usable
from services.chassis.work import UnitOfWork

_ID: Final = TypeAdapter(MessageId)
_PATH: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_PATH_LENGTH: Final = 100
_CODES: Final = {"missing": Code.VELD_ONTBREEKT, "extra_forbidden": Code.VELD_ONBEKEND}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message as it came in through a partner's own exchange."""

    partner: PartnerId
    """Whose exchange: only that account may write there."""
    body: bytes
    content_type: str | None = None
    message_id: str | None = None
    user_id: str | None = None
    headers: Mapping[str, object]

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.body).digest()

    def structured(self) -> bytes:
        """The message in structured mode, whatever mode it came in."""
        if self.content_type == CONTENT_TYPE:
            return self.body
        return to_json(attributes(self.body, self.content_type, self.headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """Turned away before any rule. `known` says whether (source, id) is the sender's to use up."""

    partner: PartnerId
    id: str
    source: str | None
    known: bool
    code: Code
    veld: str | None = None
    traceparent: str
    begins_trace: bool


class Gate:
    """The part of the gate that needs no storage."""

    def __init__(self, owner: Owner, registry: Registry) -> None:
        self._owner = owner
        self._registry = registry

    def admit(self, arrival: Arrival) -> Submission[Data] | Turned:
        """The submission, or why it goes no further. Never raises for what a partner sent."""
        name = _valid_id(arrival.message_id) or f"sha256:{arrival.digest.hex()}"
        source: str | None = None
        known = False
        traceparent: str | None = None
        try:
            if len(arrival.body) > MAX_BYTES:
                raise Refused(Code.TE_GROOT)
            try:
                content = attributes(arrival.body, arrival.content_type, arrival.headers)
            except Unreadable as problem:
                raise Refused(Code.ONLEESBAAR) from problem
            name = _valid_id(content.get("id")) or name
            traceparent = usable(content.get("traceparent"))
            source = self._identify(arrival, content)
            known = _valid_id(content.get("id")) is not None
            event_type = self._authorise(arrival.partner, content)
            return _validated(arrival.partner, event_type, content)
        except Refused as refused:
            return Turned(
                partner=arrival.partner,
                id=name,
                source=source,
                known=known,
                code=refused.code,
                veld=refused.veld,
                traceparent=traceparent or child_of(None),
                begins_trace=traceparent is None,
            )

    def readmit(self, partner: PartnerId, body: bytes) -> Submission[Data] | Turned:
        """A submission that was admitted before and set aside since; the contract may have changed."""
        content = attributes(body, CONTENT_TYPE, {})
        try:
            return _validated(partner, CATALOGUE[content["type"]], content)
        except Refused as refused:
            traceparent = usable(content.get("traceparent"))
            return Turned(
                partner=partner,
                id=content["id"],
                source=content["source"],
                known=True,
                code=refused.code,
                veld=refused.veld,
                traceparent=traceparent or child_of(None),
                begins_trace=traceparent is None,
            )

    def _identify(self, arrival: Arrival, content: Mapping[str, Any]) -> str:
        source = content.get("source")
        if not isinstance(source, str):
            raise Refused(Code.ENVELOP_ONGELDIG, "source")
        if arrival.user_id is not None and arrival.user_id != arrival.partner:
            raise Refused(Code.AFZENDER_ONJUIST)
        if source not in self._registry[arrival.partner].sources:
            raise Refused(Code.AFZENDER_ONJUIST, "source")
        return source

    def _authorise(self, partner: PartnerId, content: Mapping[str, Any]) -> EventType:
        name = content.get("type")
        event_type = CATALOGUE.get(name) if isinstance(name, str) else None
        if event_type is None:
            raise Refused(Code.TYPE_ONBEKEND, "type")
        if event_type.submission is None:
            raise Refused(Code.TYPE_NIET_IN_TE_DIENEN, "type")
        if event_type.owner is not self._owner:
            raise Refused(Code.ROUTERING_ONJUIST, "type")
        rollen = self._registry[partner].rollen
        if content.get("namens") is not None:
            if not any(rol in rollen and content["namens"] == voor for rol, voor in event_type.namens):
                raise Refused(Code.NAMENS_NIET_TOEGESTAAN, "namens")
        elif rollen.isdisjoint(event_type.submitters):
            raise Refused(Code.ROL_NIET_BEVOEGD, "type")
        return event_type


def decide(
    service: Service, event: Submission[Any] | Fact[Any] | Due, work: UnitOfWork, now: datetime
) -> list[Fact[Data]]:
    """Lets the service judge one message: the party and rule stages, and what follows.

    Raises:
        Verdict: the submission is not accepted (yet).
        Missing: aggregates must be loaded first.
    """
    if isinstance(event, Due):
        return _fall_due(service, event, work, now)
    if isinstance(event, Fact):
        work.hear(event)
        reaction = service.on_fact.get(event.type)
        return work.record(reaction(event, work), event, now) if reaction else []
    _check_party(service, event, work)
    facts = work.record(service.on_submission[event.type](event, work), event, now)
    if not facts or facts[0].type is not event.type:
        raise ValueError(f"the handler of {event.type.name} must emit that fact first")
    return facts


def _fall_due(service: Service, event: Due, work: UnitOfWork, now: datetime) -> list[Fact[Data]]:
    """What follows from time alone, if the time has come: it is looked at again under the lock."""
    store = service.stores[event.kind]
    state = work.get(event.kind, event.key)
    assert store.due is not None
    at = None if state is None else store.due(state, work.calendar)
    if at is None or at > work.calendar.now():
        if state is not None:  # what counts as a working day was changed: note the time anew
            work.touch(event.kind, event.key)
        return []
    facts = work.record(service.on_due[event.kind](state, work), event, now)
    if work.get(event.kind, event.key) is state:
        raise RuntimeError(f"{event.kind.__name__} fell due and nothing moved it: it would for ever")
    return facts


def _check_party(service: Service, event: Submission[Any], work: UnitOfWork) -> None:
    if event.type.submitters == EVERYONE:
        return
    parties = service.parties_of[event.type.entity](event, work)
    rollen = work.registry[event.partner].rollen
    if event.namens is not None:
        if any(rol is event.namens for rol, _ in parties):
            raise Refused(Code.NAMENS_NIET_TOEGESTAAN, "namens")
        acting = rollen & {rol for rol, voor in event.type.namens if voor is event.namens}
    else:
        acting = rollen & event.type.submitters
    if not any(rol in ALWAYS_READS or (rol, event.partner) in parties for rol in acting):
        raise Refused(Code.GEEN_PARTIJ, None if event.subject is None else "subject")


def _valid_id(value: object) -> str | None:
    try:
        return _ID.validate_python(value, strict=True)
    except ValidationError:
        return None


def _validated(partner: PartnerId, event_type: EventType, content: Mapping[str, Any]) -> Submission[Data]:
    try:
        envelope = SubmissionEnvelope.model_validate(content)
    except ValidationError as problem:
        raise _refusal(problem, (), Code.ENVELOP_ONGELDIG) from None
    if event_type.opens and envelope.subject is not None:
        raise Refused(Code.ENVELOP_ONGELDIG, "subject")
    if not event_type.opens and envelope.subject is None:
        raise Refused(Code.VELD_ONTBREEKT, "subject")
    if envelope.subject is not None:
        try:
            event_type.about.validate_python(envelope.subject)
        except ValidationError:
            raise Refused(Code.VELD_ONGELDIG, "subject") from None
    traceparent = usable(envelope.traceparent)
    assert event_type.submission is not None
    try:
        data = event_type.submission.model_validate(envelope.data)
    except ValidationError as problem:
        raise _refusal(problem, ("data",), Code.VELD_ONGELDIG) from None
    return Submission(
        type=event_type,
        id=envelope.id,
        source=envelope.source,
        partner=partner,
        subject=envelope.subject,
        referentie=envelope.referentie,
        namens=envelope.namens,
        time=envelope.time,
        data=data,
        # One reaction is one trace, also where the partner began none.
        traceparent=traceparent or begun_by(envelope.source, envelope.id),
        tracestate=envelope.tracestate if traceparent else None,
        begins_trace=traceparent is None,
    )


def _refusal(problem: ValidationError, prefix: tuple[str, ...], default: Code) -> Refused:
    """The first problem as a code and a field, without the value: it may be personal."""
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [*prefix, *(str(part) for part in first["loc"])]
    code = _CODES.get(first["type"], default)
    return Refused(code, _path(path))


def _path(parts: list[str]) -> str | None:
    """The longest leading part of a path that is safe to repeat: a key of the sender's may be a name."""
    path = ".".join(parts)
    while path and (len(path) > _PATH_LENGTH or not _PATH.fullmatch(path)):
        path = path.rpartition(".")[0]
    return path or None
