"""What happened before, in the words of the domain."""

from datetime import date
from itertools import count

from contracts import erkenning, match, traject
from contracts.fields import Categorie, PartnerId, Rol, Sector, Werkstatus, number_from
from contracts.model import Data
from services.chassis.messages import Fact
from services.matching.handlers import service
from tests.desk import NOW, Desk

WSP, COACH, SCHOOL, SBB = "wsp-venlo", "coach-kompas", "roc-maas", "sbb"
BAKERY, GREENPORT = "bakkerij-de-es", "greenport-logistiek"
BAKERY_AT, GREENPORT_AT, SHOP_AT = "000051000001", "000051000003", "000088000001"
"""The shop has no system of its own."""
EMPLOYER_AT = {BAKERY_AT: BAKERY, GREENPORT_AT: GREENPORT}
HORECA, LOGISTICS = "25252", "25254"
CASE = "0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21"
TODAY = NOW.date()
LEERBEDRIJF = "100234567"

_serial = count(1)


def at_matching() -> Desk:
    return Desk(service)


def a_number(prefix: str) -> str:
    return number_from(prefix, f"{next(_serial):09d}")


def registered(desk: Desk, *, correlationid: str = CASE) -> str:
    nummer = a_number("PV")
    desk.hear(
        traject.Aangemeld(werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.HORECA, toegangspartner=WSP),
        subject=nummer,
        correlationid=correlationid,
    )
    return nummer


def assigned(desk: Desk, trajectnummer: str) -> None:
    for rol, partner in ((Rol.WSP, WSP), (Rol.COACH, COACH), (Rol.OPLEIDER, SCHOOL)):
        desk.hear(traject.BetrokkeneToegewezen(rol=rol, partner=partner), subject=trajectnummer)


def found_fit(desk: Desk, trajectnummer: str) -> None:
    desk.hear(traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT), subject=trajectnummer)


def a_fit_traject(desk: Desk) -> str:
    nummer = registered(desk)
    assigned(desk, nummer)
    found_fit(desk, nummer)
    return nummer


def dropped_out(desk: Desk, trajectnummer: str) -> None:
    desk.hear(traject.Uitgevallen(datum=TODAY, categorie=Categorie.DEELNEMER), subject=trajectnummer)


def a_proposal(trajectnummer: str, at: str = BAKERY_AT, crebo: str = HORECA) -> match.Voorgesteld:
    return match.Voorgesteld(trajectnummer=trajectnummer, kvk="51000001", vestigingsnummer=at, crebo=crebo)


def proposed(desk: Desk, trajectnummer: str, at: str = BAKERY_AT, crebo: str = HORECA) -> str:
    facts = desk.submit(match.Voorgesteld, a_proposal(trajectnummer, at, crebo), partner=WSP)
    return facts[0].subject


def confirm(desk: Desk, matchnummer: str, by: PartnerId = BAKERY) -> list[Fact[Data]]:
    return desk.submit(match.Bevestigd, partner=by, subject=matchnummer)


def confirmed(desk: Desk, at: str = BAKERY_AT, crebo: str = HORECA) -> str:
    """A new traject's match, confirmed there by its employer."""
    matchnummer = proposed(desk, a_fit_traject(desk), at, crebo)
    confirm(desk, matchnummer, EMPLOYER_AT[at])
    return matchnummer


def requested(desk: Desk, at: str = BAKERY_AT, crebo: str = HORECA) -> tuple[str, str]:
    """The number of a new recognition, and of the match that waits for it."""
    matchnummer = proposed(desk, a_fit_traject(desk), at, crebo)
    facts = confirm(desk, matchnummer, EMPLOYER_AT[at])
    (request,) = (fact for fact in facts if isinstance(fact.data, erkenning.Aangevraagd))
    return request.subject, matchnummer


def grant(
    desk: Desk, erkenningsnummer: str, *, vanaf: date = TODAY, tot: date = date(2030, 11, 1)
) -> list[Fact[Data]]:
    data = erkenning.Verleend(leerbedrijf_id=LEERBEDRIJF, geldig_vanaf=vanaf, geldig_tot=tot)
    return desk.submit(erkenning.Verleend, data, partner=SBB, subject=erkenningsnummer)


def refuse(desk: Desk, erkenningsnummer: str, *, datum: date | None = None) -> list[Fact[Data]]:
    data = erkenning.Geweigerd(datum=datum or desk.calendar.today(), redencode=erkenning.Weigerreden.OVERIG)
    return desk.submit(erkenning.Geweigerd, data, partner=SBB, subject=erkenningsnummer)


def withdraw(desk: Desk, erkenningsnummer: str) -> list[Fact[Data]]:
    data = erkenning.Ingetrokken(datum=desk.calendar.today(), redencode=erkenning.Intrekreden.OVERIG)
    return desk.submit(erkenning.Ingetrokken, data, partner=SBB, subject=erkenningsnummer)


def let_lapse(desk: Desk, matchnummer: str, by: PartnerId = WSP) -> list[Fact[Data]]:
    data = match.VervallenInzending(categorie=Categorie.WERKGEVER)
    return desk.submit(match.Vervallen, data, partner=by, subject=matchnummer)


def told(facts: list[Fact[Data]]) -> list[tuple[str, str]]:
    """What happened to which subject, in order."""
    return [(fact.type.routing_key, fact.subject) for fact in facts]
