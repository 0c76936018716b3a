"""Which facts notify follows, and who gets mail about them: the mail table of the domain, row by row."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from contracts import betaling, erkenning, factuur, match, traject, verklaring
from contracts.catalogue import Owner
from contracts.fields import Categorie, PartnerId, Rol
from contracts.termijn import Overschreden, Stap
from services.chassis.aggregate import by_subject, by_trajectnummer
from services.chassis.messages import Dossier, Effect, Emit, Fact, Follows
from services.chassis.service import Service
from services.chassis.work import Work
from services.notify import gauges, herinnering, tables
from services.notify.begunstigde import Begunstigde
from services.notify.mails import MAIL, Mail, Soort
from services.notify.termijn import Overschrijding, Termijn, Termijnen, by_stroom, uiterlijk
from services.notify.trajectbeeld import Trajectbeeld

OVERLEGTERMIJN: Final = 2
"""Working days within which coach and coordinatie discuss an interruption or a drop-out."""

service = Service(Owner.NOTIFY)
service.aggregate(Trajectbeeld, tables.trajectbeeld, moved_by={"traject": by_subject, "match": by_trajectnummer})
service.aggregate(Begunstigde, tables.begunstigde, moved_by={"factuur": by_subject, "betaling": by_subject})
service.aggregate(
    Termijnen,
    tables.termijnen,
    moved_by=dict.fromkeys(("traject", "match", "verklaring", "erkenning", "factuur", "termijn"), by_stroom),
)
service.aggregate(Overschrijding, tables.overschrijding, moved_by={"termijn": by_subject})
service.needed[MAIL] = herinnering.still_needed
service.readings = gauges.READINGS


@service.due(Termijnen, at=Termijnen.volgende)
def termijn_overschreden(stand: Termijnen, work: Work) -> Follows:
    """One level of each term that is due; a term that is further behind falls due again at once."""
    for termijn in stand.verlopen(work.calendar):
        yield from _meld(termijn, work.get(Termijnen, stand.stroom) or stand, work)


def _meld(termijn: Termijn, stand: Termijnen, work: Work) -> Follows:
    assert termijn.trede is not None, "a level is due"
    werkplek = stand.traject.werkplek if stand.traject else None
    rol, late = termijn.vraag.late(werkplek.vestigingsnummer if werkplek else None, work.registry)
    overschreden = Overschreden(
        stroom=stand.stroom,
        stap=termijn.vraag.stap,
        partner=late[0],
        uiterlijk=termijn.uiterlijk(work.calendar),
        niveau=termijn.trede.niveau,
    )
    dossier = Dossier(stand.correlationid, frozenset((rol, partner) for partner in late))
    yield Emit(termijn.nummer, overschreden, dossier, because=termijn.gezet_door)
    yield from herinnering.mails(stand, termijn, rol, late, work.registry, work.calendar)


@service.fact(traject.Aangemeld)
def aangemeld(event: Fact[traject.Aangemeld], work: Work) -> Follows:
    return _mails(event, work, Soort.AANGEMELD, {event.data.toegangspartner}, event.subject)


@service.fact(traject.IntakeAfgerond)
def intake_afgerond(event: Fact[traject.IntakeAfgerond], work: Work) -> Follows:
    if event.data.uitkomst is not traject.Uitkomst.GESCHIKT:
        return ()
    wsp = _beeld(work, event.subject).in_rol(work.registry, Rol.WSP)
    return _mails(event, work, Soort.ZOEK_WERKPLEK, wsp, event.subject)


@service.fact(erkenning.Aangevraagd)
def erkenning_aangevraagd(event: Fact[erkenning.Aangevraagd], work: Work) -> Follows:
    sbb = work.registry.in_role(Rol.SBB)
    crebo, dag = event.data.crebo, event.data.uiterlijk
    return _mails(event, work, Soort.CONTROLEER_LEERBEDRIJF, sbb, event.subject, crebo=crebo, uiterlijk=dag)


@service.fact(match.Bevestigd)
def match_bevestigd(event: Fact[match.Bevestigd], work: Work) -> Follows:
    """No mail; but it makes the employer a party, so it is tried again while the traject is not known."""
    _beeld(work, event.data.trajectnummer)
    return ()


@service.fact(match.Vervallen)
def match_vervallen(event: Fact[match.Vervallen], work: Work) -> Follows:
    beeld = _beeld(work, event.data.trajectnummer)
    if event.data.categorie is not Categorie.ERKENNING:
        return ()
    zoekers = beeld.in_rol(work.registry, Rol.WSP, Rol.COACH, Rol.OPLEIDER)
    return _mails(event, work, Soort.BEDRIJF_KAN_NIET, zoekers, event.data.trajectnummer)


@service.fact(traject.PokOpgesteld)
def pok_opgesteld(event: Fact[traject.PokOpgesteld], work: Work) -> Follows:
    """Who signs gets mail. For an employer without a system the wsp does, with a text of its own."""
    beeld = _beeld(work, event.subject)
    werkgever = beeld.in_rol(work.registry, Rol.WERKGEVER)
    tekenen = werkgever | beeld.in_rol(work.registry, Rol.OPLEIDER)
    dag = uiterlijk(Stap.HANDTEKENING, work.calendar.today(), work.calendar)
    yield from _mails(event, work, Soort.HANDTEKENING, tekenen, event.subject, uiterlijk=dag)
    if not werkgever:
        wsp = beeld.in_rol(work.registry, Rol.WSP)
        yield from _mails(event, work, Soort.HANDTEKENING_WERKGEVER, wsp, event.subject, uiterlijk=dag)
    yield from _mail_to_participant(event, beeld, Soort.HANDTEKENING, event.subject, uiterlijk=dag)


@service.fact(verklaring.Afgegeven)
def verklaring_afgegeven(event: Fact[verklaring.Afgegeven], work: Work) -> Follows:
    beeld = _beeld(work, event.data.trajectnummer)
    return _mail_to_participant(event, beeld, Soort.GOED_NIEUWS, event.data.trajectnummer)


@service.fact(traject.MogelijkDubbel)
def mogelijk_dubbel(event: Fact[traject.MogelijkDubbel], work: Work) -> Follows:
    coordinatie = work.registry.in_role(Rol.COORDINATIE)
    return _mails(event, work, Soort.MOGELIJK_DUBBEL, coordinatie, event.subject)


@service.fact(traject.Gestart)
def gestart(event: Fact[traject.Gestart], work: Work) -> Follows:
    beeld = _beeld(work, event.subject)
    allen = beeld.allen(work.registry, event.type.readers)
    begin, eind = event.data.datum, beeld.gepland_eind
    return _mails(event, work, Soort.BEGONNEN, allen, event.subject, begin=begin, eind=eind)


@service.fact(traject.Onderbroken, traject.Uitgevallen)
def onderbroken_of_uitgevallen(
    event: Fact[traject.Onderbroken] | Fact[traject.Uitgevallen], work: Work
) -> Follows:
    begeleiders = _beeld(work, event.subject).in_rol(work.registry, Rol.COACH, Rol.COORDINATIE)
    dag = work.calendar.add_working_days(work.calendar.today(), OVERLEGTERMIJN)
    return _mails(event, work, Soort.ACTIE_NODIG, begeleiders, event.subject, uiterlijk=dag)


@service.fact(factuur.Afgekeurd)
def factuur_afgekeurd(event: Fact[factuur.Afgekeurd], work: Work) -> Follows:
    regelcodes = ", ".join(event.data.regelcodes)
    opleider = _opleider(work, event.subject)
    return _mails(event, work, Soort.FACTUUR_AANPASSEN, {opleider}, event.subject, regelcodes=regelcodes)


@service.fact(betaling.Bevestigd)
def betaling_bevestigd(event: Fact[betaling.Bevestigd], work: Work) -> Follows:
    opleider = _opleider(work, event.subject)
    paid = event.data
    return _mails(
        event,
        work,
        Soort.FACTUUR_BETAALD,
        {opleider},
        paid.factuurnummer,
        datum=paid.datum,
        kenmerk=paid.kenmerk,
    )


def _mails(
    event: Fact[Any],
    work: Work,
    soort: Soort,
    aan: Iterable[PartnerId],
    nummer: str,
    **gegevens: str | date | None,
) -> Iterable[Effect]:
    """One mail to each of these partners that wants mail, whatever the number of its roles."""
    for partner in sorted(set(aan)):
        known = work.registry.get(partner)
        if known is not None and known.mail:
            yield Mail.about(soort, partner, nummer, **gegevens).effect(event.id)


def _mail_to_participant(
    event: Fact[Any], beeld: Trajectbeeld, soort: Soort, nummer: str, **gegevens: date
) -> Iterable[Effect]:
    """One mail to the participant, unless the data is erased. If there is no address, sending finds out."""
    if beeld.dataref is not None:
        yield Mail.to_participant(soort, beeld.dataref, nummer, **gegevens).effect(event.id)


def _beeld(work: Work, trajectnummer: str) -> Trajectbeeld:
    beeld = work.get(Trajectbeeld, trajectnummer)
    if beeld is None:
        raise LookupError(f"traject {trajectnummer} was not heard of yet")
    return beeld


def _opleider(work: Work, nummer: str) -> PartnerId:
    found = work.get(Begunstigde, nummer)
    if found is None:
        raise LookupError(f"whose {nummer} is was not heard yet")
    return found.opleider
