"""Which messages billing answers, and what follows from them."""

from contracts import betaling, budget, factuur, opdracht, traject, verklaring
from contracts.catalogue import Owner
from contracts.fields import Bron, Categorie, PartnerId, Rol, Trajectnummer
from contracts.model import Data, Leeg
from contracts.ontvangst import Code, Waarop
from services.billing import tables
from services.billing.betaling import Betaling, kenmerk_van
from services.billing.budget import Budget
from services.billing.factuur import Factuur
from services.billing.nummering import Nummering, by_reeks
from services.billing.opdracht import Opdracht
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
    moved_by={"opdracht": by_subject},
    lookups={"registratie": lambda state: state.registratie},
)
service.aggregate(Factuur, tables.factuur, moved_by={"factuur": by_subject})
service.aggregate(Nummering, tables.nummering, moved_by={"factuur": by_reeks})
service.aggregate(Betaling, tables.betaling, moved_by={"betaling": by_subject})


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
    reserved = _budget(work, data.bron).reserveren(data.bedrag_cent)
    yield Emit(work.draw("OP"), data, _dossier(work, data.trajectnummer, data.opleider))
    yield _besteding(work, data.bron, reserved)


@service.submission(opdracht.Ingetrokken)
def opdracht_ingetrokken(event: Submission[opdracht.IngetrokkenInzending], work: Work) -> Follows:
    yield from _trek_in(work, _opdracht(work, event.about), event.data.categorie)


@service.fact(traject.IntakeAfgerond, traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten)
def traject_beeindigd(event: Fact[Data], work: Work) -> Follows:
    """However a traject ends, what is reserved for it and not invoiced is freed, once."""
    beeld = work.get(Trajectbeeld, event.subject)
    if beeld and beeld.beeindigd and beeld.opdracht and not beeld.factuur:
        categorie = getattr(event.data, "categorie", Categorie.OVERIG)
        yield from _trek_in(work, _opdracht(work, beeld.opdracht), categorie)


@service.fact(verklaring.Afgegeven)
def verklaring_afgegeven(event: Fact[verklaring.Afgegeven], work: Work) -> Follows:
    yield from _factureer(work, event.data.trajectnummer)


@service.fact(verklaring.Ingetrokken)
def verklaring_ingetrokken(event: Fact[verklaring.Ingetrokken], work: Work) -> Follows:
    """Credits the invoice for this verklaring, unless it was approved; then a new verklaring may be invoiced."""
    beeld = work.get(Trajectbeeld, event.data.trajectnummer)
    if beeld is None or beeld.factuur is None or beeld.gefactureerd != event.subject:
        return
    invoice = _factuur(work, beeld.factuur)
    if invoice.crediteerbaar:
        dossier = _dossier(work, invoice.trajectnummer, invoice.opleider)
        yield Emit(_volgend_nummer(work, invoice.opleider), invoice.crediteren(), dossier)
        yield from _factureer(work, invoice.trajectnummer)


@service.submission(factuur.Goedgekeurd)
def factuur_goedgekeurd(event: Submission[Leeg], work: Work) -> Follows:
    invoice = _factuur(work, event.about)
    dossier = _dossier(work, invoice.trajectnummer, invoice.opleider)
    yield Emit(invoice.nummer, invoice.goedkeuren(staat=_staat(work, invoice)), dossier)
    order = betaling.Opgedragen(
        trajectnummer=invoice.trajectnummer,
        factuurnummer=invoice.nummer,
        opleider=invoice.opleider,
        bedrag_cent=invoice.bedrag_cent,
        kenmerk=kenmerk_van(invoice.nummer),
    )
    yield Emit(work.draw("BT"), order, dossier)


@service.submission(factuur.Afgekeurd)
def factuur_afgekeurd(event: Submission[factuur.AfgekeurdInzending], work: Work) -> Follows:
    invoice = _factuur(work, event.about)
    rejected = invoice.afkeuren(event.data.regelcodes, staat=_staat(work, invoice))
    yield Emit(invoice.nummer, rejected, _dossier(work, invoice.trajectnummer, invoice.opleider))


@service.submission(betaling.Bevestigd)
def betaling_bevestigd(event: Submission[betaling.BevestigdInzending], work: Work) -> Follows:
    payment = _betaling(work, event.about)
    paid = payment.bevestigen(event.data.datum, work.calendar.today())
    yield Emit(payment.nummer, paid, _dossier(work, payment.trajectnummer, payment.opleider))
    order = _opdracht(work, _factuur(work, payment.factuurnummer).opdrachtnummer)
    yield _besteding(work, order.bron, _budget(work, order.bron).besteden(payment.bedrag_cent))
    if rest := order.bedrag_cent - payment.bedrag_cent:
        yield _besteding(work, order.bron, _budget(work, order.bron).vrijvallen(rest))


@service.submission(betaling.Mislukt)
def betaling_mislukt(event: Submission[betaling.MisluktInzending], work: Work) -> Follows:
    payment = _betaling(work, event.about)
    failed = payment.mislukken(event.data.datum, event.data.redencode, work.calendar.today())
    yield Emit(payment.nummer, failed, _dossier(work, payment.trajectnummer, payment.opleider))


def _trek_in(work: Work, order: Opdracht, categorie: Categorie) -> Follows:
    """The opdracht is off, and its reservation free."""
    beeld = _beeld(work, order.trajectnummer)
    gefactureerd = beeld.opdracht == order.nummer and beeld.factuur is not None
    withdrawn = order.intrekken(categorie, gefactureerd=gefactureerd)
    yield Emit(order.nummer, withdrawn, _dossier(work, order.trajectnummer, order.opleider))
    yield _besteding(work, order.bron, _budget(work, order.bron).vrijvallen(order.bedrag_cent))


def _factureer(work: Work, trajectnummer: Trajectnummer) -> Follows:
    """The invoice that is due for this traject, if one is. Only its own school is paid."""
    beeld = work.get(Trajectbeeld, trajectnummer)
    if beeld is None or beeld.opdracht is None or not beeld.factureerbaar:
        return
    order = _opdracht(work, beeld.opdracht)
    if order.opleider != beeld.opleider:
        return
    dossier = _dossier(work, trajectnummer, order.opleider)
    yield Emit(_volgend_nummer(work, order.opleider), order.factureren(), dossier)


def _volgend_nummer(work: Work, opleider: PartnerId) -> str:
    reeks = work.registry[opleider].factuurreeks
    if reeks is None:
        raise ValueError(f"{opleider} has no factuurreeks in the partner registry")
    return work.unused((work.get(Nummering, reeks) or Nummering(reeks)).volgende())


def _staat(work: Work, invoice: Factuur) -> bool:
    """Whether the invoice was not credited."""
    return _beeld(work, invoice.trajectnummer).factuur == invoice.nummer


def _beeld(work: Work, trajectnummer: Trajectnummer) -> Trajectbeeld:
    return work.require(Trajectbeeld, trajectnummer, Waarop.TRAJECT_BEKEND)


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
