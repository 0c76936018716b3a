"""Which messages matching answers, and what follows from them."""

from contracts import erkenning, match, verklaring
from contracts.catalogue import Owner
from contracts.fields import Categorie, Crebo, Rol, Trajectnummer, Vestigingsnummer
from contracts.model import Leeg
from contracts.ontvangst import Code, Waarop
from services.chassis.aggregate import by_subject, by_trajectnummer
from services.chassis.messages import (
    AlreadyKnown,
    Dossier,
    Emit,
    Fact,
    Follows,
    Parties,
    Refused,
    Submission,
    registered_as,
)
from services.chassis.service import Service
from services.chassis.work import Work
from services.matching import tables
from services.matching.erkenning import BESLISTERMIJN, Erkenning
from services.matching.match import Match, plaats
from services.matching.trajectbeeld import Trajectbeeld

service = Service(Owner.MATCHING, shared=frozenset({"match"}))
service.aggregate(
    Trajectbeeld,
    tables.trajectbeeld,
    moved_by={"traject": by_subject, "verklaring": by_trajectnummer, "match": by_trajectnummer},
)
service.aggregate(
    Match,
    tables.match,
    moved_by={"match": by_subject},
    lookups={
        "voorgesteld_voor": lambda state: state.voorgesteld_voor,
        "actief_op": lambda state: state.actief_op,
        "registratie": lambda state: state.registratie,
    },
)
service.aggregate(
    Erkenning,
    tables.erkenning,
    moved_by={"erkenning": by_subject},
    lookups={"plaats": lambda state: state.plaats},
)


@service.parties("match")
def betrokken_bij_match(
    event: Submission[match.Voorgesteld | match.HerplaatsingInzending | Leeg], work: Work
) -> Parties:
    if isinstance(event.data, match.Voorgesteld | match.HerplaatsingInzending):
        beeld = _beeld(work, event.data.trajectnummer)
        vestigingsnummer = event.data.vestigingsnummer
    else:
        known = _match(work, event.about)
        beeld = _beeld(work, known.trajectnummer)
        vestigingsnummer = known.vestigingsnummer
    parties = beeld.dossier(work.registry, vestigingsnummer).parties
    if Rol.WSP in work.registry[event.partner].rollen and event.partner not in {p for _, p in parties}:
        raise beeld.nog_geen_partij(Rol.WSP)
    return parties


@service.parties("erkenning")
def betrokken_bij_erkenning(event: Submission[erkenning.Verleend], work: Work) -> Parties:
    _erkenning(work, event.about)
    return _sbb(work)


@service.submission(match.Voorgesteld)
def voorgesteld(event: Submission[match.Voorgesteld], work: Work) -> Follows:
    beeld = _te_plaatsen(event, work)
    dossier = beeld.dossier(work.registry, event.data.vestigingsnummer)
    yield Emit(work.draw("M"), event.data, dossier)


@service.submission(match.HerplaatsingGestart)
def herplaatsing_gestart(event: Submission[match.HerplaatsingInzending], work: Work) -> Follows:
    beeld = _te_plaatsen(event, work)
    _match(work, event.data.vorige_match).herplaatsbaar(event.data.trajectnummer)
    dossier = beeld.dossier(work.registry, event.data.vestigingsnummer)
    yield Emit(work.draw("M"), match.HerplaatsingGestart(**event.data.model_dump()), dossier)


@service.submission(match.Bevestigd)
def bevestigd(event: Submission[Leeg], work: Work) -> Follows:
    """The first confirmation wins: the traject's other proposals lapse, unless this place cannot be had."""
    confirmed = _match(work, event.about)
    beeld = _beeld(work, confirmed.trajectnummer)
    beeld.loopt()
    yield _emit(work, confirmed, confirmed.bevestigen())
    confirmed = _match(work, event.about)
    vandaag = work.calendar.today()
    known = _erkenning_van(work, confirmed.plaats)
    if known and known.geblokkeerd_op(vandaag):
        yield _emit(work, confirmed, confirmed.vervallen(Categorie.ERKENNING))
        return
    for other in work.find(Match, "voorgesteld_voor", confirmed.trajectnummer):
        yield _emit(work, other, other.vervallen(Categorie.OVERIG))
    besluiten = known.geldende_besluiten(vandaag) if known else ()
    for besluit in besluiten:
        yield _emit(work, confirmed, confirmed.erkennen(besluit))
    if not besluiten and not (known and known.aangevraagd):
        yield _aanvraag(work, confirmed, known)


@service.submission(match.Afgewezen)
def afgewezen(event: Submission[Leeg], work: Work) -> Follows:
    declined = _match(work, event.about)
    yield _emit(work, declined, declined.afwijzen())


@service.submission(match.Vervallen)
def vervallen(event: Submission[match.VervallenInzending], work: Work) -> Follows:
    lapsed = _match(work, event.about)
    yield _emit(work, lapsed, lapsed.vervallen(event.data.categorie))


@service.submission(erkenning.Verleend)
def verleend(event: Submission[erkenning.Verleend], work: Work) -> Follows:
    """Every active match there is told, also of a renewal: a start is judged by what is valid on its date."""
    granted = _erkenning(work, event.about)
    yield Emit(event.about, granted.verlenen(event.data, work.calendar.today()), _dossier_sbb(work, granted))
    for active in work.find(Match, "actief_op", granted.plaats):
        yield _emit(work, active, active.erkennen(event.data))


@service.submission(erkenning.Geweigerd)
def geweigerd(event: Submission[erkenning.Geweigerd], work: Work) -> Follows:
    """A request is open only where no recognition is valid, so no match there can go on."""
    refused = _erkenning(work, event.about)
    yield Emit(event.about, refused.weigeren(event.data, work.calendar.today()), _dossier_sbb(work, refused))
    for active in work.find(Match, "actief_op", refused.plaats):
        yield _emit(work, active, active.vervallen(Categorie.ERKENNING))


@service.submission(erkenning.Ingetrokken)
def ingetrokken(event: Submission[erkenning.Ingetrokken], work: Work) -> Follows:
    withdrawn = _erkenning(work, event.about)
    yield Emit(event.about, withdrawn.intrekken(event.data, work.calendar.today()), _dossier_sbb(work, withdrawn))
    for active in work.find(Match, "actief_op", withdrawn.plaats):
        yield _emit(work, active, active.vervallen(Categorie.ERKENNING))


@service.fact(verklaring.Afgegeven, verklaring.Ingetrokken)
def verklaring_veranderd(event: Fact[verklaring.Afgegeven] | Fact[verklaring.Ingetrokken], work: Work) -> Follows:
    """Nothing follows; but it counts, so it is tried again while the traject is not known."""
    if work.get(Trajectbeeld, event.data.trajectnummer) is None:
        raise LookupError(f"traject {event.data.trajectnummer} was not heard of yet")
    return ()


def _te_plaatsen(
    event: Submission[match.Voorgesteld] | Submission[match.HerplaatsingInzending], work: Work
) -> Trajectbeeld:
    """The traject, if that place may be proposed for it."""
    data = event.data
    if naam := registered_as(event.partner, event.referentie):
        for known in work.find(Match, "registratie", naam):
            if known.zelfde_voorstel(data):
                raise AlreadyKnown(known.nummer)
            raise Refused(Code.REFERENTIE_HERGEBRUIKT, "referentie")
    if not work.kwalificaties.kent(data.crebo):
        raise Refused(Code.CREBO_ONBEKEND, "data.crebo")
    _plaats_vrij(work, data.vestigingsnummer, data.crebo)
    beeld = _beeld(work, data.trajectnummer)
    beeld.zoekt_werkplek()
    return beeld


def _plaats_vrij(work: Work, vestigingsnummer: Vestigingsnummer, crebo: Crebo) -> None:
    known = _erkenning_van(work, plaats(vestigingsnummer, crebo))
    if known and known.geblokkeerd_op(work.calendar.today()):
        raise Refused(Code.PLAATS_GEBLOKKEERD, "data.vestigingsnummer")


def _aanvraag(work: Work, confirmed: Match, known: Erkenning | None) -> Emit:
    """A request to SBB, under the place's own number and correlation."""
    vandaag = work.calendar.today()
    data = erkenning.Aangevraagd(
        kvk=confirmed.kvk,
        vestigingsnummer=confirmed.vestigingsnummer,
        crebo=confirmed.crebo,
        dagtekening=vandaag,
        uiterlijk=work.calendar.add_working_days(vandaag, BESLISTERMIJN),
    )
    if known:
        return Emit(known.nummer, data, _dossier_sbb(work, known))
    return Emit(work.draw("ER"), data, Dossier(work.new_id(), _sbb(work)))


def _beeld(work: Work, trajectnummer: Trajectnummer) -> Trajectbeeld:
    return work.require(Trajectbeeld, trajectnummer, Waarop.TRAJECT_BEKEND)


def _match(work: Work, nummer: str) -> Match:
    return work.require(Match, nummer, Waarop.MATCH_BEKEND)


def _erkenning(work: Work, nummer: str) -> Erkenning:
    return work.require(Erkenning, nummer, Waarop.ERKENNING_BEKEND)


def _erkenning_van(work: Work, place: str) -> Erkenning | None:
    return next(iter(work.find(Erkenning, "plaats", place)), None)


def _emit(
    work: Work, subject: Match, data: match.Bevestigd | match.Afgewezen | match.Erkend | match.Vervallen
) -> Emit:
    return Emit(subject.nummer, data, _dossier(work, subject))


def _dossier(work: Work, subject: Match) -> Dossier:
    return _beeld(work, subject.trajectnummer).dossier(work.registry, subject.vestigingsnummer)


def _sbb(work: Work) -> Parties:
    return frozenset((Rol.SBB, partner) for partner in work.registry.in_role(Rol.SBB))


def _dossier_sbb(work: Work, subject: Erkenning) -> Dossier:
    return Dossier(subject.correlationid, _sbb(work))
