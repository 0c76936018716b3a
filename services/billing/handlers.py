"""Which messages billing answers, and what follows from them."""

from datetime import date

from contracts import betaling, budget, factuur, opdracht, traject, verklaring
from contracts.catalogue import Owner
from contracts.fields import Bron, Categorie, PartnerId, Rol, Trajectnummer
from contracts.model import Data, Leeg
from contracts.ontvangst import Code, Waarop
from services.billing import gauges, tables
from services.billing.betaling import Betaling
from services.billing.budget import Budget
from services.billing.factuur import Factuur, Status, by_factuurnummer
from services.billing.nummering import Nummering, by_reeks, reeks_van
from services.billing.opdracht import Opdracht, by_opdrachtnummer
from services.billing.tegoed import Tegoed, by_reeks_met_tegoed
from services.billing.trajectbeeld import Trajectbeeld
from services.chassis.aggregate import by_subject, by_trajectnummer
from services.chassis.messages import (
    AlreadyKnown,
    Dossier,
    Emit,
    Fact,
    Follows,
    On,
    Parties,
    Refused,
    Submission,
    TooEarly,
    registered_as,
)
from services.chassis.service import Service
from services.chassis.work import Work

service = Service(Owner.BILLING)
service.aggregate(
    Trajectbeeld,
    tables.trajectbeeld,
    moved_by={
        "traject": by_subject,
        "verklaring": by_trajectnummer,
        "opdracht": by_trajectnummer,
        "factuur": by_trajectnummer,
    },
)
service.aggregate(Budget, tables.budget, moved_by={"budget": by_subject, "besteding": by_subject})
service.aggregate(
    Opdracht,
    tables.opdracht,
    moved_by={"opdracht": by_subject, "factuur": by_opdrachtnummer},
    lookups={"registratie": lambda state: state.registratie},
)
service.aggregate(Factuur, tables.factuur, moved_by={"factuur": by_subject, "betaling": by_factuurnummer})
service.aggregate(Nummering, tables.nummering, moved_by={"factuur": by_reeks})
service.aggregate(Betaling, tables.betaling, moved_by={"betaling": by_subject})
service.aggregate(
    Tegoed, tables.tegoed, moved_by={"factuur": by_reeks_met_tegoed, "betaling": by_reeks_met_tegoed}
)
service.readings = gauges.READINGS


@service.parties("budget")
def betrokken_bij_budget(event: Submission[budget.Vastgesteld], work: Work) -> Parties:
    return _financiers(work, event.about)


@service.parties("opdracht")
def betrokken_bij_opdracht(
    event: Submission[opdracht.Verstrekt | opdracht.IngetrokkenInzending], work: Work
) -> Parties:
    if isinstance(event.data, opdracht.Verstrekt):
        return _school(event.data.opleider)
    return _school(_opdracht(work, event.about).opleider)


@service.parties("factuur")
def betrokken_bij_factuur(event: Submission[Leeg | factuur.AfgekeurdInzending], work: Work) -> Parties:
    return _school(_factuur(work, event.about).opleider)


@service.parties("betaling")
def betrokken_bij_betaling(
    event: Submission[betaling.BevestigdInzending | betaling.MisluktInzending], work: Work
) -> Parties:
    return _school(_betaling(work, event.about).opleider)


@service.submission(budget.Vastgesteld)
def budget_vastgesteld(event: Submission[budget.Vastgesteld], work: Work) -> Follows:
    known = work.get(Budget, event.about)
    data = known.vaststellen(event.data) if known else event.data
    correlationid = known.correlationid if known else work.new_id()
    yield Emit(event.about, data, Dossier(correlationid, _financiers(work, event.about)))


@service.submission(opdracht.Verstrekt)
def opdracht_verstrekt(event: Submission[opdracht.Verstrekt], work: Work) -> Follows:
    data = event.data
    if naam := registered_as(event.partner, event.referentie):
        for known in work.find(Opdracht, "registratie", naam):
            if known.zelfde_opdracht(data):
                raise AlreadyKnown(known.nummer)
            raise Refused(Code.REFERENTIE_HERGEBRUIKT, "referentie")
    beeld = _beeld(work, data.trajectnummer)
    beeld.opdrachtbaar(data.opleider)
    reserved = _budget(work, data.bron).reserveren(data.bedrag_cent, work.calendar.today())
    yield Emit(work.draw("OP"), data, _dossier(work, data.trajectnummer, data.opleider))
    yield _besteding(work, data.bron, reserved)
    yield from _reken_af(work, data.trajectnummer)


@service.submission(opdracht.Ingetrokken)
def opdracht_ingetrokken(event: Submission[opdracht.IngetrokkenInzending], work: Work) -> Follows:
    yield from _trek_in(work, _opdracht(work, event.about), event.data.categorie)


@service.fact(traject.IntakeAfgerond, traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten)
def traject_beeindigd(event: Fact[Data], work: Work) -> Follows:
    """However a traject ends, what is reserved for it and not invoiced is freed, once."""
    yield from _reken_af(work, event.subject, getattr(event.data, "categorie", Categorie.OVERIG))


@service.fact(verklaring.Afgegeven)
def verklaring_afgegeven(event: Fact[verklaring.Afgegeven], work: Work) -> Follows:
    _bekend(work, event.data.trajectnummer)
    yield from _reken_af(work, event.data.trajectnummer)


@service.fact(verklaring.Ingetrokken)
def verklaring_ingetrokken(event: Fact[verklaring.Ingetrokken], work: Work) -> Follows:
    """Credits the invoice for this verklaring, paid or not; then a new verklaring may be invoiced."""
    beeld = _bekend(work, event.data.trajectnummer)
    order = _opdracht(work, beeld.opdracht) if beeld.opdracht else None
    if order is None or order.factuurnummer is None or beeld.gefactureerd != event.subject:
        return
    invoice = _factuur(work, order.factuurnummer)
    dossier = _dossier(work, invoice.trajectnummer, invoice.opleider)
    yield Emit(_volgend_nummer(work, invoice.opleider), invoice.crediteren(), dossier)
    if invoice.status is Status.BETAALD:
        yield _besteding(work, order.bron, _budget(work, order.bron).terugkomen(invoice.bedrag_cent))
        yield _besteding(work, order.bron, _budget(work, order.bron).weer_reserveren(order.bedrag_cent))
    yield from _reken_af(work, invoice.trajectnummer)


@service.submission(factuur.Goedgekeurd)
def factuur_goedgekeurd(event: Submission[Leeg], work: Work) -> Follows:
    invoice = _factuur(work, event.about)
    dossier = _dossier(work, invoice.trajectnummer, invoice.opleider)
    yield Emit(invoice.nummer, invoice.goedkeuren(staat=_staat(work, invoice)), dossier)
    order = invoice.betalen(work.get(Tegoed, reeks_van(invoice.nummer)))
    nummer = work.draw("BT")
    yield Emit(nummer, order, dossier)
    if not order.bedrag_cent:
        yield from _betaald(work, _betaling(work, nummer), work.calendar.today())


@service.submission(factuur.Afgekeurd)
def factuur_afgekeurd(event: Submission[factuur.AfgekeurdInzending], work: Work) -> Follows:
    invoice = _factuur(work, event.about)
    rejected = invoice.afkeuren(event.data.regelcodes, staat=_staat(work, invoice))
    yield Emit(invoice.nummer, rejected, _dossier(work, invoice.trajectnummer, invoice.opleider))


@service.submission(betaling.Bevestigd)
def betaling_bevestigd(event: Submission[betaling.BevestigdInzending], work: Work) -> Follows:
    return _betaald(work, _betaling(work, event.about), event.data.datum)


@service.submission(betaling.Mislukt)
def betaling_mislukt(event: Submission[betaling.MisluktInzending], work: Work) -> Follows:
    payment = _betaling(work, event.about)
    failed = payment.mislukken(event.data.datum, event.data.redencode, work.calendar.today())
    yield Emit(payment.nummer, failed, _dossier(work, payment.trajectnummer, payment.opleider))


def _trek_in(work: Work, order: Opdracht, categorie: Categorie) -> Follows:
    """The opdracht is off, and its reservation free."""
    withdrawn = order.intrekken(categorie)
    yield Emit(order.nummer, withdrawn, _dossier(work, order.trajectnummer, order.opleider))
    yield _besteding(work, order.bron, _budget(work, order.bron).vrijvallen(order.bedrag_cent))


def _reken_af(work: Work, trajectnummer: Trajectnummer, categorie: Categorie = Categorie.OVERIG) -> Follows:
    """What is due for this traject now: the invoice for its verklaring, or its reservation back. Only the school
    that issued the verklaring is paid for it.
    """
    beeld = work.get(Trajectbeeld, trajectnummer)
    if beeld is None or beeld.opdracht is None:
        return
    order = _opdracht(work, beeld.opdracht)
    if beeld.te_factureren(order.opleider):
        dossier = _dossier(work, trajectnummer, order.opleider)
        yield Emit(_volgend_nummer(work, order.opleider), order.factureren(), dossier)
    elif beeld.af(order.opleider):
        yield from _trek_in(work, order, categorie)


def _betaald(work: Work, payment: Betaling, datum: date) -> Follows:
    """What was reserved is spent, unless the invoice was credited while its payment was under way."""
    invoice = _factuur(work, payment.factuurnummer)
    staat = _staat(work, invoice)
    paid = payment.bevestigen(datum, work.calendar.today(), staat=staat)
    yield Emit(payment.nummer, paid, _dossier(work, payment.trajectnummer, payment.opleider))
    if not staat:
        return
    order = _opdracht(work, invoice.opdrachtnummer)
    yield _besteding(work, order.bron, _budget(work, order.bron).besteden(invoice.bedrag_cent))
    if rest := order.bedrag_cent - invoice.bedrag_cent:
        yield _besteding(work, order.bron, _budget(work, order.bron).vrijvallen(rest))


def _volgend_nummer(work: Work, opleider: PartnerId) -> str:
    reeks = work.registry[opleider].factuurreeks
    if reeks is None:
        raise ValueError(f"{opleider} has no factuurreeks in the partner registry")
    return work.unused((work.get(Nummering, reeks) or Nummering(reeks)).volgende())


def _staat(work: Work, invoice: Factuur) -> bool:
    """Whether the invoice was not credited."""
    return _opdracht(work, invoice.opdrachtnummer).factuurnummer == invoice.nummer


def _beeld(work: Work, trajectnummer: Trajectnummer) -> Trajectbeeld:
    return work.require(Trajectbeeld, trajectnummer, Waarop.TRAJECT_BEKEND)


def _bekend(work: Work, trajectnummer: Trajectnummer) -> Trajectbeeld:
    """For facts that overtake the registration: they are tried again until the traject is known."""
    beeld = work.get(Trajectbeeld, trajectnummer)
    if beeld is None:
        raise LookupError(f"traject {trajectnummer} was not heard of yet")
    return beeld


def _budget(work: Work, bron: Bron) -> Budget:
    found = work.get(Budget, bron)
    if found is None and not work.registry.financiers_of(bron):
        raise Refused(Code.BRON_ONBEKEND, "data.bron")
    if found is None:
        raise TooEarly(Waarop.BUDGET_BEKEND, On(Budget, bron))
    return found


def _opdracht(work: Work, nummer: str) -> Opdracht:
    return work.require(Opdracht, nummer, Waarop.OPDRACHT_BEKEND)


def _factuur(work: Work, nummer: str) -> Factuur:
    return work.require(Factuur, nummer, Waarop.FACTUUR_BEKEND)


def _betaling(work: Work, nummer: str) -> Betaling:
    return work.require(Betaling, nummer, Waarop.BETALING_BEKEND)


def _besteding(work: Work, bron: Bron, data: Data) -> Emit:
    """What the financiers of a source see, in that source's own case."""
    return Emit(bron, data, Dossier(_budget(work, bron).correlationid, _financiers(work, bron)))


def _dossier(work: Work, trajectnummer: Trajectnummer, opleider: PartnerId) -> Dossier:
    return _beeld(work, trajectnummer).betrokkenen.dossier(_school(opleider))


def _school(opleider: PartnerId) -> Parties:
    return frozenset({(Rol.OPLEIDER, opleider)})


def _financiers(work: Work, bron: Bron) -> Parties:
    return frozenset((Rol.FINANCIER, partner) for partner in work.registry.financiers_of(bron))
