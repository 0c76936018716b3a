"""What happened before, in the words of the domain. Amounts are in cents."""

from datetime import date
from itertools import count

from contracts import betaling, budget, factuur, opdracht, traject, verklaring
from contracts.fields import Categorie, PartnerId, Rol, Sector, Werkstatus, number_from
from contracts.model import Data
from services.billing.handlers import service
from services.chassis.messages import Fact
from tests.desk import NOW, Desk

LOKET, FINANCIER, MAAS, PEEL = "leerwerkloket", "werkbedrijf", "roc-maas", "roc-peel"
CASE = "0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21"
TODAY = NOW.date()

_serial = count(1)


def at_billing() -> Desk:
    return Desk(service)


def a_number(prefix: str) -> str:
    return number_from(prefix, f"{next(_serial):09d}")


def budgeted(
    desk: Desk, bedrag_cent: int = 1_000_000, bron: str = "POW", by: PartnerId = LOKET
) -> list[Fact[Data]]:
    data = budget.Vastgesteld(bedrag_cent=bedrag_cent, van=date(2026, 1, 1), tot=date(2027, 10, 31))
    return desk.submit(budget.Vastgesteld, data, partner=by, subject=bron)


def registered(desk: Desk) -> str:
    nummer = a_number("PV")
    desk.hear(
        traject.Aangemeld(werkstatus=Werkstatus.WERKENDE, sectorwens=Sector.HORECA, toegangspartner="wsp-venlo"),
        subject=nummer,
        correlationid=CASE,
    )
    return nummer


def a_traject_of(desk: Desk, opleider: PartnerId = MAAS) -> str:
    nummer = registered(desk)
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=opleider), subject=nummer)
    return nummer


def an_order(
    trajectnummer: str, bedrag_cent: int = 250_000, *, opleider: PartnerId = MAAS, bron: str = "POW"
) -> opdracht.Verstrekt:
    return opdracht.Verstrekt(trajectnummer=trajectnummer, opleider=opleider, bedrag_cent=bedrag_cent, bron=bron)


def commission(
    desk: Desk, trajectnummer: str, bedrag_cent: int = 250_000, *, opleider: PartnerId = MAAS, bron: str = "POW"
) -> list[Fact[Data]]:
    data = an_order(trajectnummer, bedrag_cent, opleider=opleider, bron=bron)
    return desk.submit(opdracht.Verstrekt, data, partner=LOKET)


def take_back(desk: Desk, opdrachtnummer: str) -> list[Fact[Data]]:
    data = opdracht.IngetrokkenInzending(categorie=Categorie.OVERIG)
    return desk.submit(opdracht.Ingetrokken, data, partner=LOKET, subject=opdrachtnummer)


def issue(
    desk: Desk, trajectnummer: str, *, nummer: str | None = None, opleider: PartnerId = MAAS
) -> list[Fact[Data]]:
    """What follows from a verklaring; with `nummer` it is that one again."""
    data = verklaring.Afgegeven(
        trajectnummer=trajectnummer,
        opleider=opleider,
        crebo="25252",
        dossierversie="2024",
        werkprocessen=("B1-K1-W1",),
        datum=TODAY,
        documenthash="sha256:" + "0" * 64,
    )
    return desk.hear(data, subject=nummer or a_number("VK"), actor=opleider)


def take_back_verklaring(desk: Desk, trajectnummer: str, nummer: str) -> list[Fact[Data]]:
    data = verklaring.Ingetrokken(
        trajectnummer=trajectnummer, datum=TODAY, redencode=verklaring.VerklaringIntrekreden.CORRECTIE
    )
    return desk.hear(data, subject=nummer, actor=MAAS)


def drop_out(desk: Desk, trajectnummer: str) -> list[Fact[Data]]:
    return desk.hear(traject.Uitgevallen(datum=TODAY, categorie=Categorie.DEELNEMER), subject=trajectnummer)


def invoiced(desk: Desk, bedrag_cent: int = 250_000, opleider: PartnerId = MAAS) -> str:
    """The number of the invoice of a new traject, commissioned and done."""
    nummer = a_traject_of(desk, opleider)
    commission(desk, nummer, bedrag_cent, opleider=opleider)
    return issue(desk, nummer, opleider=opleider)[0].subject


def approve(desk: Desk, factuurnummer: str) -> list[Fact[Data]]:
    return desk.submit(factuur.Goedgekeurd, partner=LOKET, subject=factuurnummer)


def reject(desk: Desk, factuurnummer: str) -> list[Fact[Data]]:
    data = factuur.AfgekeurdInzending(regelcodes=("BR-NL-1",))
    return desk.submit(factuur.Afgekeurd, data, partner=LOKET, subject=factuurnummer)


def ordered(desk: Desk) -> str:
    """The number of the payment of a new, approved invoice."""
    return approve(desk, invoiced(desk))[1].subject


def pay(desk: Desk, betalingsnummer: str, datum: date = TODAY) -> list[Fact[Data]]:
    data = betaling.BevestigdInzending(datum=datum)
    return desk.submit(betaling.Bevestigd, data, partner=LOKET, subject=betalingsnummer)


def fail(desk: Desk, betalingsnummer: str, datum: date = TODAY) -> list[Fact[Data]]:
    data = betaling.MisluktInzending(datum=datum, redencode=betaling.Misluktreden.OVERIG)
    return desk.submit(betaling.Mislukt, data, partner=LOKET, subject=betalingsnummer)


def told(facts: list[Fact[Data]]) -> list[str]:
    return [fact.type.routing_key for fact in facts]
