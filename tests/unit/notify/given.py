"""What happened before, in the words of the domain, and who heard of it by mail."""

from datetime import date, datetime, time, timedelta
from itertools import count

from contracts import betaling, erkenning, factuur, match, traject, verklaring
from contracts.catalogue import CATALOGUE, service_source
from contracts.example import example
from contracts.fields import Categorie, PartnerId, Rol, Sector, Werkstatus, number_from
from contracts.model import Data
from contracts.partners import Registry
from services.chassis.calendar import AMSTERDAM, WorkingDays
from services.chassis.messages import Fact
from services.chassis.telemetry import new_uuid
from services.notify.handlers import service
from services.notify.mails import Mail, Soort
from tests.desk import NOW, REGISTRY, Desk

WSP, COACH, SCHOOL, OTHER_SCHOOL, SBB = "wsp-venlo", "coach-kompas", "roc-maas", "roc-peel", "sbb"
LOKET, RMC, FINANCIER = "leerwerkloket", "rmc-noord-limburg", "werkbedrijf"
BAKERY, GREENPORT = "bakkerij-de-es", "greenport-logistiek"
BAKERY_AT, GREENPORT_AT, SHOP_AT = "000051000001", "000051000003", "000088000001"
"""The shop has no system of its own."""
BEGIN, EIND = date(2026, 11, 23), date(2027, 4, 30)

_serial = count(1)


def at_notify(
    registry: Registry = REGISTRY, *, now: datetime = NOW, working_days: WorkingDays | None = None
) -> Desk:
    return Desk(service, registry=registry, now=now, working_days=working_days)


def without_mail(partner: PartnerId) -> Registry:
    partners = [p.model_copy(update={"mail": p.mail and p.id != partner}) for p in REGISTRY.partners]
    return Registry(regio=REGISTRY.regio, partners=tuple(partners))


def a_number(prefix: str) -> str:
    return number_from(prefix, f"{next(_serial):09d}")


def a_fact(data: Data, subject: str) -> Fact[Data]:
    event_type = CATALOGUE.of(type(data))
    assert event_type.owner is not None
    return Fact(
        type=event_type,
        id=new_uuid(),
        source=service_source(event_type.owner),
        subject=subject,
        sequence=1,
        time=NOW,
        recorded=NOW,
        correlationid=new_uuid(),
        causationid=new_uuid(),
        actor=LOKET,
        data=data,
    )


def mails(desk: Desk) -> dict[Soort, set[PartnerId]]:
    """Who got which mail since this was last asked."""
    sent: dict[Soort, set[PartnerId]] = {}
    for effect in desk.effects:
        mail = Mail.of(effect)
        assert mail.aan not in sent.setdefault(mail.soort, set()), "the same mail twice"
        sent[mail.soort].add(mail.aan)
    desk.effects.clear()
    return sent


def registration(toegangspartner: PartnerId = WSP) -> traject.Aangemeld:
    return traject.Aangemeld(
        werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.HORECA, toegangspartner=toegangspartner
    )


DATAREF = "https://intake.example/personen/1f0c2b7e-5d0a-5a43-8e55-7f2d3a9b4c11"


def registered(desk: Desk, toegangspartner: PartnerId = WSP, dataref: str | None = None) -> str:
    nummer = a_number("PV")
    desk.hear(registration(toegangspartner), subject=nummer, dataref=dataref)
    return nummer


def issued(trajectnummer: str) -> verklaring.Afgegeven:
    return example(verklaring.Afgegeven, trajectnummer=trajectnummer)


def assigned(desk: Desk, trajectnummer: str) -> None:
    for rol, partner in ((Rol.WSP, WSP), (Rol.COACH, COACH), (Rol.OPLEIDER, SCHOOL)):
        desk.hear(traject.BetrokkeneToegewezen(rol=rol, partner=partner), subject=trajectnummer)


def confirmation(trajectnummer: str, at: str = BAKERY_AT) -> match.Bevestigd:
    return match.Bevestigd(trajectnummer=trajectnummer, kvk="51000001", vestigingsnummer=at, crebo="25252")


def lapse(trajectnummer: str, categorie: Categorie) -> match.Vervallen:
    return match.Vervallen(trajectnummer=trajectnummer, categorie=categorie)


def a_matched_traject(desk: Desk, at: str = BAKERY_AT, toegangspartner: PartnerId = WSP) -> tuple[str, str]:
    """The numbers of a traject with all its parties and of its active match. What was mailed is forgotten."""
    trajectnummer, matchnummer = registered(desk, toegangspartner), a_number("M")
    assigned(desk, trajectnummer)
    desk.hear(confirmation(trajectnummer, at), subject=matchnummer)
    desk.effects.clear()
    return trajectnummer, matchnummer


def a_pok(eind: date = EIND) -> traject.PokOpgesteld:
    return traject.PokOpgesteld(pok_id="7b0c1f7e-6f3e-4c53-9a55-0d3f3d3b7c11", begin=BEGIN, eind=eind, uren=640)


def a_request(dagtekening: date = date(2026, 11, 2)) -> erkenning.Aangevraagd:
    return erkenning.Aangevraagd(
        kvk="51000001",
        vestigingsnummer=BAKERY_AT,
        crebo="25252",
        dagtekening=dagtekening,
        uiterlijk=WorkingDays().add_working_days(dagtekening, 10),
    )


def step_to(desk: Desk, day: date, hour: int = 8) -> list[Fact[Data]]:
    """Lets the days pass one by one, until that hour in the Netherlands; what is told on the way."""
    told: list[Fact[Data]] = []
    today = desk.calendar.today()
    while today < day:
        today += timedelta(days=1)
        desk.calendar.set(datetime.combine(today, time(hour), AMSTERDAM))
        told += desk.fall_due()
    return told


def an_invoice(desk: Desk, opleider: PartnerId = SCHOOL) -> str:
    nummer = f"RM-{next(_serial):06d}"
    desk.hear(
        factuur.Klaargezet(
            trajectnummer=a_number("PV"),
            opdrachtnummer=a_number("OP"),
            opleider=opleider,
            bedrag_cent=250000,
            profiel=factuur.Profiel.NLCIUS,
        ),
        subject=nummer,
    )
    return nummer


def a_rejection(*regelcodes: str) -> factuur.Afgekeurd:
    return factuur.Afgekeurd(trajectnummer=a_number("PV"), regelcodes=regelcodes or ("BR-NL-1",))


KENMERK = "RF18539007547034"


def a_payment_order(desk: Desk, factuurnummer: str, opleider: PartnerId = SCHOOL) -> str:
    nummer = a_number("BT")
    desk.hear(
        betaling.Opgedragen(
            trajectnummer=a_number("PV"),
            factuurnummer=factuurnummer,
            opleider=opleider,
            bedrag_cent=250000,
            kenmerk=KENMERK,
        ),
        subject=nummer,
    )
    return nummer


def paid(factuurnummer: str) -> betaling.Bevestigd:
    return betaling.Bevestigd(
        trajectnummer=a_number("PV"), factuurnummer=factuurnummer, kenmerk=KENMERK, datum=date(2026, 11, 12)
    )


def everything(desk: Desk) -> list[tuple[Data, str]]:
    """One of every fact that is mailed about, with its subject, at a desk that knows what went before."""
    pv, mt = a_matched_traject(desk)
    shop, _ = a_matched_traject(desk, SHOP_AT)
    known = registered(desk, dataref=DATAREF)
    desk.effects.clear()
    rm = an_invoice(desk)
    bt = a_payment_order(desk, rm)
    return [
        (registration(), a_number("PV")),
        (traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT), pv),
        (a_request(), a_number("ER")),
        (a_pok(), pv),
        (a_pok(), shop),
        (traject.Gestart(datum=BEGIN), pv),
        (traject.Onderbroken(datum=BEGIN, categorie=Categorie.DEELNEMER), pv),
        (traject.Uitgevallen(datum=BEGIN, categorie=Categorie.DEELNEMER), pv),
        (lapse(pv, Categorie.ERKENNING), mt),
        (issued(known), a_number("VK")),
        (traject.MogelijkDubbel(ander_trajectnummer=pv), known),
        (a_rejection("BR-NL-1", "BR-CO-10"), rm),
        (paid(rm), bt),
    ]
