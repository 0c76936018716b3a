"""Person data over HTTP: `GET /personen/{key}`, the address that `dataref` gives.

Shows what the asker's role and purpose need, while it is party to the traject in that role, and records every
request, refused ones too, before the answer leaves. The record names no participant.
"""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from contracts.catalogue import Owner
from contracts.fields import Rol
from contracts.inzage import DOEL_HEADER, ROL_HEADER, VELDEN, Doel
from contracts.partners import Registry
from services.chassis.database import is_passing
from services.intake.kluis import Kluis, PersoonGewist, PersoonOnbekend
from services.intake.tables import inzage
from services.intake.traject import Traject

_log = logging.getLogger(__name__)

_TRAJECT: Final = TypeAdapter(Traject)
_KEY: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ASKERS: Final = frozenset(who for who, _ in VELDEN)
_GETOOND: Final = "getoond"
_HEADERS: Final = {"Cache-Control": "no-store"}


class Weigering(Enum):
    """Why nothing is shown: the status, what it is called, and what to do."""

    TOKEN_ONBEKEND = (
        401,
        "Onbekend token",
        "Stuur het token dat u van het coördinatiepunt kreeg als Bearer-token.",
    )
    VRAAG_ONVOLLEDIG = (
        400,
        "Onvolledige vraag",
        f"Noem in {ROL_HEADER} uw rol en in {DOEL_HEADER} een doel uit de lijst in contracts/README.md.",
    )
    DOEL_PAST_NIET = (
        403,
        "Niet toegestaan",
        "Dit is niet uw rol, of deze rol mag voor dit doel geen gegevens zien.",
    )
    GEEN_PARTIJ = (403, "Geen partij", "U bent nu in deze rol geen partij bij dit traject.")
    ONBEKEND = (404, "Onbekend", "Onder dit adres zijn geen gegevens bekend. Neem het adres over uit dataref.")
    GEWIST = (410, "Gewist", "Deze gegevens zijn voorgoed gewist. Wis ze ook in uw eigen administratie.")
    STORING = (503, "Storing", "De gegevens zijn nu niet te lezen. Probeer het later opnieuw.")

    def answer(self) -> JSONResponse:
        """As RFC 9457 describes it; `type` is left out, which means that the status says it all."""
        status, title, detail = self.value
        challenge = {"WWW-Authenticate": "Bearer"} if self is Weigering.TOKEN_ONBEKEND else {}
        return JSONResponse(
            {"title": title, "status": status, "detail": detail, "code": self.name.lower()},
            status_code=status,
            headers=_HEADERS | challenge,
            media_type="application/problem+json",
        )


class _Refused(Exception):
    def __init__(self, weigering: Weigering) -> None:
        super().__init__(weigering.name)
        self.weigering = weigering


@dataclass(frozen=True, slots=True, kw_only=True)
class Vraag:
    """Who asks for what. What does not read as one of ours is None, so that nothing of it gets into the record."""

    wie: str | None
    rol: str | None
    doel: Doel | None
    key: str | None


class Inzage:
    def __init__(self, engine: AsyncEngine, kluis: Kluis, registry: Registry, callers: Mapping[str, str]) -> None:
        self._engine = engine
        self._kluis = kluis
        self._registry = registry
        self._callers = callers

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return (Route("/personen/{key}", self._get, methods=["GET"]),)

    async def _get(self, request: Request) -> JSONResponse:
        vraag = self._vraag(request)
        try:
            async with self._engine.begin() as connection:
                refusal, shown = await self._decide(connection, vraag)
                await connection.execute(
                    insert(inzage).values(
                        wie=vraag.wie,
                        rol=vraag.rol,
                        doel=vraag.doel,
                        key=vraag.key,
                        uitkomst=refusal.name.lower() if refusal else _GETOOND,
                    )
                )
        except Exception as error:
            _log.error("person data not shown", exc_info=None if is_passing(error) else error)
            return Weigering.STORING.answer()
        return refusal.answer() if refusal else JSONResponse(shown, headers=_HEADERS)

    def _vraag(self, request: Request) -> Vraag:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).hexdigest() if scheme.lower() == "bearer" else ""
        rol, doel = request.headers.get(ROL_HEADER), request.headers.get(DOEL_HEADER)
        key = request.path_params["key"]
        return Vraag(
            wie=self._callers.get(digest),
            rol=rol if rol in _ASKERS else None,
            doel=Doel(doel) if doel in set(Doel) else None,
            key=key if _KEY.fullmatch(key) else None,
        )

    async def _decide(self, connection: AsyncConnection, vraag: Vraag) -> tuple[Weigering | None, dict[str, str]]:
        try:
            return None, await self._show(connection, vraag)
        except _Refused as refused:
            return refused.weigering, {}
        except PersoonGewist:
            return Weigering.GEWIST, {}
        except PersoonOnbekend:
            return Weigering.ONBEKEND, {}

    async def _show(self, connection: AsyncConnection, vraag: Vraag) -> dict[str, str]:
        if vraag.wie is None:
            raise _Refused(Weigering.TOKEN_ONBEKEND)
        if vraag.rol is None or vraag.doel is None:
            raise _Refused(Weigering.VRAAG_ONVOLLEDIG)
        velden = VELDEN.get((vraag.rol, vraag.doel))
        if velden is None or not self._acts_as(vraag.wie, vraag.rol):
            raise _Refused(Weigering.DOEL_PAST_NIET)
        if vraag.key is None:
            raise _Refused(Weigering.ONBEKEND)
        body = await connection.scalar(
            text("SELECT body::text FROM traject WHERE persoon = :key"), {"key": vraag.key}
        )
        if body is not None and not self._is_party(vraag.wie, vraag.rol, _TRAJECT.validate_json(body)):
            raise _Refused(Weigering.GEEN_PARTIJ)
        kept = await self._kluis.read(connection, vraag.key)
        if body is None:  # kept for no traject: of nobody
            raise _Refused(Weigering.ONBEKEND)
        return {veld: kept[veld] for veld in velden if veld in kept}

    def _acts_as(self, wie: str, rol: str) -> bool:
        partner = self._registry.get(wie)
        return rol in partner.rollen if partner else wie == rol and wie in set(Owner)

    def _is_party(self, wie: str, rol: str, pv: Traject) -> bool:
        if rol in set(Owner) or rol == Rol.COORDINATIE:
            return True
        return (Rol(rol), wie) in pv.betrokkenen.parties(self._registry)
