"""Which messages intake answers, and what follows from each."""

from operator import attrgetter
from typing import Any

from contracts import match, traject, verklaring
from contracts.catalogue import Owner
from contracts.fields import Categorie
from contracts.model import Data
from contracts.ontvangst import Waarop
from services.chassis.aggregate import by_subject, by_trajectnummer
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import (
    AlreadyKnown,
    Emit,
    Fact,
    Follows,
    Keep,
    Parties,
    Submission,
    registered_as,
)
from services.chassis.service import Service
from services.chassis.work import Work
from services.intake import gauges, journal, tables
from services.intake.kluis import vernietiging
from services.intake.persoon import key_of, lezer
from services.intake.traject import TOE_TE_WIJZEN, Traject
from services.intake.verklaring import Verklaring

service = Service(
    Owner.INTAKE,
    recorder=journal.record,
    shared=frozenset({"traject", "verklaring"}),
)

service.aggregate(
    Traject,
    tables.traject,
    moved_by={
        "traject": by_subject,
        "match": by_trajectnummer,
        "verklaring": by_trajectnummer,
        "opdracht": by_trajectnummer,
    },
    lookups={name: attrgetter(name) for name in ("persoon", "referentie", "vingerafdruk")},
)
service.aggregate(Verklaring, tables.verklaring, moved_by={"verklaring": by_subject})
service.readings = gauges.READINGS


@service.parties("traject")
def _of_traject(event: Submission[Any], work: Work) -> Parties:
    return _traject(event.about, work).betrokkenen.parties(work.registry)


@service.parties("verklaring")
def _of_verklaring(event: Submission[Any], work: Work) -> Parties:
    if isinstance(event.data, verklaring.AfgegevenInzending):
        nummer = event.data.trajectnummer
    else:
        nummer = _verklaring(event.about, work).trajectnummer
    return _traject(nummer, work).betrokkenen.parties(work.registry)


# Registration and intake


@service.submission(traject.Aangemeld)
def aangemeld(event: Submission[traject.AangemeldInzending], work: Work) -> Follows:
    """Opens the case; whoever is the only partner in a role is assigned at once."""
    eerder = _registered_before(event, work)
    persoon = lezer.open(event.data.persoon)
    vingerafdruk = lezer.vingerafdruk(persoon)
    if eerder is not None:
        eerder.aangemeld(event.data, vingerafdruk)
        raise AlreadyKnown(eerder.nummer)
    nummer, key = work.draw("PV"), key_of(event)
    betrokkenen = Betrokkenen(correlationid=work.new_id(), toegangspartner=event.partner)
    feit = traject.Aangemeld(
        werkstatus=event.data.werkstatus, sectorwens=event.data.sectorwens, toegangspartner=event.partner
    )
    dossier = betrokkenen.dossier(betrokkenen.with_way_in(work.registry))
    yield Keep(key, persoon.model_dump_json(exclude_none=True))
    yield Emit(nummer, feit, dossier, work.dataref(key), private=vingerafdruk)
    for rol in TOE_TE_WIJZEN:
        if partner := work.registry.only_in_role(rol):
            yield _toegewezen(_traject(nummer, work), traject.BetrokkeneToegewezen(rol=rol, partner=partner), work)


@service.fact(traject.Aangemeld)
def aangemeld_gehoord(event: Fact[traject.Aangemeld], work: Work) -> Follows:
    """Tells coordinatie of each other traject of the same person. Only now that this one is committed: of two that
    come in at once, each is seen by the other.
    """
    pv = work.get(Traject, event.subject)
    if pv is None or pv.vingerafdruk is None:
        return
    for ander in work.find(Traject, "vingerafdruk", pv.vingerafdruk):
        if ander.nummer != pv.nummer and pv.nummer not in ander.dubbel_met:
            yield _feit(pv, traject.MogelijkDubbel(ander_trajectnummer=ander.nummer), work)


@service.submission(traject.BetrokkeneToegewezen)
def betrokkene_toegewezen(event: Submission[traject.BetrokkeneToegewezen], work: Work) -> Follows:
    """A running traject whose school is replaced is interrupted until the new one has its papers in order."""
    pv = _traject(event.about, work)
    yield _toegewezen(pv, pv.betrokkene_toegewezen(event.data, work.registry), work)
    yield from _legt_stil(pv.nummer, Categorie.OPLEIDING, work)


@service.submission(traject.IntakeAfgerond)
def intake_afgerond(event: Submission[traject.IntakeAfgerond], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.intake_afgerond(event.data), work)]


# Preparation


@service.submission(traject.BegeleidingsdocumentVastgesteld)
def begeleidingsdocument_vastgesteld(
    event: Submission[traject.BegeleidingsdocumentVastgesteld], work: Work
) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.begeleidingsdocument_vastgesteld(event.data, work.kwalificaties), work)]


@service.submission(traject.InschrijvingBevestigd)
def inschrijving_bevestigd(event: Submission[traject.InschrijvingBevestigd], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.inschrijving_bevestigd(event.data), work)]


@service.submission(traject.PokOpgesteld)
def pok_opgesteld(event: Submission[traject.PokOpgesteld], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.pok_opgesteld(event.data), work)]


@service.submission(traject.PokOndertekend)
def pok_ondertekend(event: Submission[traject.PokOndertekend], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.pok_ondertekend(event.data, work.calendar.today()), work)]


@service.submission(traject.PokGewijzigd)
def pok_gewijzigd(event: Submission[traject.PokGewijzigd], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.pok_gewijzigd(event.data), work)]


@service.submission(traject.PokOntbonden)
def pok_ontbonden(event: Submission[traject.PokOntbonden], work: Work) -> Follows:
    pv = _traject(event.about, work)
    yield _feit(pv, pv.pok_ontbonden(event.data, work.calendar.today()), work)
    yield from _legt_stil(pv.nummer, event.data.categorie, work)


# Execution


@service.submission(traject.Gestart)
def gestart(event: Submission[traject.Gestart], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.gestart(event.data, work.kwalificaties, work.calendar.today()), work)]


@service.submission(traject.Onderbroken)
def onderbroken(event: Submission[traject.Onderbroken], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.onderbroken(event.data, work.calendar.today()), work)]


@service.submission(traject.Hervat)
def hervat(event: Submission[traject.Hervat], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.hervat(event.data, work.kwalificaties, work.calendar.today()), work)]


@service.submission(traject.BezoekGeregistreerd)
def bezoek_geregistreerd(event: Submission[traject.BezoekGeregistreerd], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.bezoek_geregistreerd(event.data, work.calendar.today()), work)]


@service.submission(traject.WerkprocesBeoordeeld)
def werkproces_beoordeeld(event: Submission[traject.WerkprocesBeoordeeld], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.werkproces_beoordeeld(event.data, work.calendar.today()), work)]


@service.fact(match.Bevestigd, match.Vervallen)
def werkplek_veranderd(event: Fact[match.Bevestigd] | Fact[match.Vervallen], work: Work) -> Follows:
    """A running traject that loses its workplace is interrupted; also when the next is heard of first."""
    categorie = event.data.categorie if isinstance(event.data, match.Vervallen) else Categorie.OVERIG
    return _legt_stil(event.data.trajectnummer, categorie, work)


# The verklaring


@service.submission(verklaring.Afgegeven)
def verklaring_afgegeven(event: Submission[verklaring.AfgegevenInzending], work: Work) -> Follows:
    pv = _traject(event.data.trajectnummer, work)
    feit = Verklaring.afgegeven(pv, event.data, event.partner, work.calendar.today())
    return [_over_verklaring(work.draw("VK"), pv, feit, work)]


@service.submission(verklaring.Ingetrokken)
def verklaring_ingetrokken(event: Submission[verklaring.IngetrokkenInzending], work: Work) -> Follows:
    vk = _verklaring(event.about, work)
    pv = _traject(vk.trajectnummer, work)
    yield _over_verklaring(vk.nummer, pv, vk.ingetrokken(pv, event.data, work.calendar.today()), work)
    yield from _legt_stil(pv.nummer, Categorie.OVERIG, work)


# The ends, and after


@service.submission(traject.Uitgevallen)
def uitgevallen(event: Submission[traject.Uitgevallen], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.uitgevallen(event.data, work.calendar.today()), work)]


@service.submission(traject.Teruggetrokken)
def teruggetrokken(event: Submission[traject.Teruggetrokken], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.teruggetrokken(event.data, work.calendar.today()), work)]


@service.submission(traject.NazorgGeregistreerd)
def nazorg_geregistreerd(event: Submission[traject.NazorgGeregistreerd], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.nazorg_geregistreerd(event.data), work)]


@service.submission(traject.Gesloten)
def gesloten(event: Submission[traject.Gesloten], work: Work) -> Follows:
    pv = _traject(event.about, work)
    return [_feit(pv, pv.gesloten(event.data), work)]


@service.submission(traject.Heropend)
def heropend(event: Submission[traject.Heropend], work: Work) -> Follows:
    """Interrupted at once if what it rested on is gone by now."""
    pv = _traject(event.about, work)
    yield _feit(pv, pv.heropend(event.data), work)
    yield from _legt_stil(pv.nummer, Categorie.OVERIG, work)


@service.submission(traject.GegevensGewist)
def gegevens_gewist(event: Submission[traject.GegevensGewist], work: Work) -> Follows:
    """The fact that the data is gone, and its being gone, are one transaction; the key is destroyed after it."""
    pv = _traject(event.about, work)
    feit = pv.gegevens_gewist(event.data)
    assert pv.persoon is not None, "the rule saw to it"
    return [_feit(pv, feit, work), Keep(pv.persoon, None), vernietiging(pv.persoon)]


# What handlers share


def _traject(nummer: str, work: Work) -> Traject:
    return work.require(Traject, nummer, Waarop.TRAJECT_BEKEND)


def _verklaring(nummer: str, work: Work) -> Verklaring:
    return work.require(Verklaring, nummer, Waarop.VERKLARING_BEKEND)


def _registered_before(event: Submission[traject.AangemeldInzending], work: Work) -> Traject | None:
    """The same registration under a new id is recognised by the partner's own reference."""
    referentie = registered_as(event.partner, event.referentie)
    return next(iter(work.find(Traject, "referentie", referentie)), None) if referentie else None


def _feit(pv: Traject, data: Data, work: Work, dataref: str | None = None) -> Emit:
    """A fact of the traject's stream, for whoever is party once it is a fact."""
    betrokkenen = pv.betrokkenen.after(data)
    return Emit(pv.nummer, data, betrokkenen.dossier(betrokkenen.with_way_in(work.registry)), dataref)


def _legt_stil(nummer: str, categorie: Categorie, work: Work) -> Follows:
    """What follows once a running traject misses something that practice rests on."""
    pv = work.get(Traject, nummer)
    if pv and pv.stilgevallen:
        yield _feit(pv, traject.Onderbroken(datum=work.calendar.today(), categorie=categorie), work)


def _toegewezen(pv: Traject, data: traject.BetrokkeneToegewezen, work: Work) -> Emit:
    """Says again where the person data is: the new party did not receive the registration."""
    return _feit(pv, data, work, work.dataref(pv.persoon) if pv.persoon else None)


def _over_verklaring(
    nummer: str, pv: Traject, data: verklaring.Afgegeven | verklaring.Ingetrokken, work: Work
) -> Emit:
    return Emit(nummer, data, pv.betrokkenen.dossier(pv.betrokkenen.parties(work.registry)))
