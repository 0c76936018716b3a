"""Trajecten at each point of their way, as the partners of the sample registry bring them there."""

from dataclasses import dataclass, field
from datetime import date, timedelta

from contracts import match, opdracht, traject, verklaring
from contracts.fields import Categorie, PartnerId, Rol, Sector, Werkstatus, number_from
from contracts.model import Data
from contracts.partners import Registry
from contracts.persoon import Persoon
from services.chassis.messages import Fact
from services.intake.handlers import service
from services.intake.traject import Status, Traject
from services.intake.verklaring import Verklaring
from tests.desk import NOW, REGISTRY, Desk
from tests.persons import sealed

VANDAAG = NOW.date()
GISTEREN, MORGEN = VANDAAG - timedelta(days=1), VANDAAG + timedelta(days=1)

LOKET, COACH, ROC, ANDER_ROC, WSP = "leerwerkloket", "coach-kompas", "roc-maas", "roc-peel", "wsp-venlo"
BAKKERIJ, ZORGHOF = "bakkerij-de-es", "zorghof"
VESTIGING = {BAKKERIJ: "000051000001", ZORGHOF: "000051000004"}
KVK = {BAKKERIJ: "51000001", ZORGHOF: "51000003"}
LEERBEDRIJF = {BAKKERIJ: "100234567", ZORGHOF: "100345678"}
ERKEND_VANAF, ERKEND_TOT = date(2026, 10, 1), date(2030, 11, 1)
CREBO, ANDERE_CREBO = "25252", "25251"
PLAN = ("B1-K1-W1", "B1-K1-W2", "P3-K1-W1")
SAM = Persoon(naam="Sam Voorbeeld", geboortedatum=date(1990, 4, 1), postcode="5911AB", e_mail="sam@example.org")
ALEX = Persoon(naam="Alex Voorbeeld", geboortedatum=date(1984, 11, 23), postcode="5801AB")
HASH = "sha256:" + "ab" * 32
MATCH, ANDERE_MATCH = number_from("M", "000000001"), number_from("M", "000000002")
OPDRACHT = number_from("OP", "000000001")
ONBEKEND = number_from("PV", "ZZZZZZZZZ")
POK, ANDERE_POK = "7b0c1f7e-6f3e-4c53-9a55-0d3f3d3b7c11", "7b0c1f7e-6f3e-4c53-9a55-0d3f3d3b7c22"
ALLE_DRIE = tuple(traject.PokPartij)


def aanmelding(persoon: Persoon = SAM) -> traject.AangemeldInzending:
    return traject.AangemeldInzending(
        persoon=sealed(persoon), werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.HORECA
    )


AANMELDING = aanmelding()
GESCHIKT = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
NIET_GESCHIKT = traject.IntakeAfgerond(
    uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=traject.Verwijzing.RMC
)


@dataclass
class Zaak:
    """One traject at the desk. Each step is what a partner reports, or what intake hears."""

    desk: Desk = field(default_factory=lambda: Desk(service))
    nummer: str = ""

    @property
    def stand(self) -> Traject:
        return self.desk.state(Traject, self.nummer)

    def status(self) -> Status:
        return self.stand.status

    def meld(self, data: Data, *, partner: PartnerId = ROC) -> list[Fact[Data]]:
        return self.desk.submit(type(data), data, partner=partner, subject=self.nummer)

    def hoor(self, data: Data, subject: str) -> list[Fact[Data]]:
        return self.desk.hear(data, subject=subject, correlationid=self.stand.betrokkenen.correlationid)

    def lezers(self, fact: Fact[Data]) -> frozenset[PartnerId]:
        return self.desk.readers[fact.id]

    # Steps

    def aangemeld(
        self,
        data: traject.AangemeldInzending = AANMELDING,
        *,
        partner: PartnerId = COACH,
        referentie: str | None = None,
    ) -> list[Fact[Data]]:
        facts = self.desk.submit(traject.Aangemeld, data, partner=partner, referentie=referentie)
        self.nummer = facts[0].subject
        return facts

    def toegewezen(self, partner: PartnerId = ROC, rol: Rol = Rol.OPLEIDER) -> list[Fact[Data]]:
        return self.meld(traject.BetrokkeneToegewezen(rol=rol, partner=partner), partner=LOKET)

    def intake_afgerond(self, data: traject.IntakeAfgerond = GESCHIKT) -> list[Fact[Data]]:
        return self.meld(data, partner=COACH)

    def match_bevestigd(
        self, nummer: str = MATCH, *, bij: PartnerId = BAKKERIJ, crebo: str = CREBO
    ) -> list[Fact[Data]]:
        return self.hoor(
            match.Bevestigd(trajectnummer=self.nummer, kvk=KVK[bij], vestigingsnummer=VESTIGING[bij], crebo=crebo),
            nummer,
        )

    def match_erkend(
        self,
        nummer: str = MATCH,
        *,
        bij: PartnerId = BAKKERIJ,
        crebo: str = CREBO,
        vanaf: date = ERKEND_VANAF,
        tot: date = ERKEND_TOT,
    ) -> list[Fact[Data]]:
        return self.hoor(
            match.Erkend(
                trajectnummer=self.nummer,
                kvk=KVK[bij],
                vestigingsnummer=VESTIGING[bij],
                crebo=crebo,
                leerbedrijf_id=LEERBEDRIJF[bij],
                erkenning_geldig_vanaf=vanaf,
                erkenning_geldig_tot=tot,
            ),
            nummer,
        )

    def match_vervallen(self, nummer: str = MATCH, categorie: Categorie = Categorie.WERKGEVER) -> list[Fact[Data]]:
        return self.hoor(match.Vervallen(trajectnummer=self.nummer, categorie=categorie), nummer)

    def opdracht_verstrekt(self, *, opleider: PartnerId = ROC, nummer: str = OPDRACHT) -> list[Fact[Data]]:
        return self.hoor(
            opdracht.Verstrekt(trajectnummer=self.nummer, opleider=opleider, bedrag_cent=250000, bron="POW"),
            nummer,
        )

    def opdracht_ingetrokken(self, nummer: str = OPDRACHT) -> list[Fact[Data]]:
        return self.hoor(opdracht.Ingetrokken(trajectnummer=self.nummer, categorie=Categorie.OVERIG), nummer)

    def begeleidingsdocument(
        self, *, crebo: str = CREBO, dossierversie: str = "2024", werkprocessen: tuple[str, ...] = PLAN
    ) -> list[Fact[Data]]:
        return self.meld(
            traject.BegeleidingsdocumentVastgesteld(
                crebo=crebo, dossierversie=dossierversie, werkprocessen=werkprocessen, documenthash=HASH
            )
        )

    def inschrijving(self) -> list[Fact[Data]]:
        return self.meld(traject.InschrijvingBevestigd(brin="25PZ", onderwijslocatie="100X123", datum=VANDAAG))

    def pok_opgesteld(
        self, pok_id: str = POK, *, begin: date = GISTEREN, eind: date = date(2027, 4, 30)
    ) -> list[Fact[Data]]:
        return self.meld(traject.PokOpgesteld(pok_id=pok_id, begin=begin, eind=eind, uren=640))

    def pok_ondertekend(
        self, *partijen: traject.PokPartij, pok_id: str = POK, datum: date = GISTEREN
    ) -> list[Fact[Data]]:
        handtekeningen = tuple(
            traject.Handtekening(partij=partij, datum=datum) for partij in partijen or ALLE_DRIE
        )
        return self.meld(traject.PokOndertekend(pok_id=pok_id, handtekeningen=handtekeningen))

    def pok_ontbonden(self, pok_id: str = POK, *, datum: date = VANDAAG) -> list[Fact[Data]]:
        return self.meld(traject.PokOntbonden(pok_id=pok_id, datum=datum, categorie=Categorie.WERKGEVER))

    def gestart(self, datum: date = VANDAAG) -> list[Fact[Data]]:
        return self.meld(traject.Gestart(datum=datum))

    def onderbroken(self, datum: date = VANDAAG, *, partner: PartnerId = COACH) -> list[Fact[Data]]:
        return self.meld(traject.Onderbroken(datum=datum, categorie=Categorie.DEELNEMER), partner=partner)

    def hervat(self, datum: date = VANDAAG) -> list[Fact[Data]]:
        return self.meld(traject.Hervat(datum=datum))

    def beoordeeld(
        self,
        werkproces: str = PLAN[0],
        beoordeling: traject.Beoordeling = traject.Beoordeling.BEHEERST,
        *,
        datum: date = VANDAAG,
        leerbedrijf_id: str = LEERBEDRIJF[BAKKERIJ],
    ) -> list[Fact[Data]]:
        return self.meld(
            traject.WerkprocesBeoordeeld(
                werkproces=werkproces, beoordeling=beoordeling, datum=datum, leerbedrijf_id=leerbedrijf_id
            )
        )

    def verklaring_afgegeven(
        self, *werkprocessen: str, datum: date = VANDAAG, partner: PartnerId = ROC
    ) -> list[Fact[Data]]:
        data = verklaring.AfgegevenInzending(
            trajectnummer=self.nummer,
            werkprocessen=werkprocessen or PLAN[:1],
            datum=datum,
            documenthash=HASH,
        )
        return self.desk.submit(verklaring.Afgegeven, data, partner=partner)

    def verklaring_ingetrokken(
        self, nummer: str, *, datum: date = VANDAAG, partner: PartnerId = ROC
    ) -> list[Fact[Data]]:
        data = verklaring.IngetrokkenInzending(datum=datum, redencode=verklaring.VerklaringIntrekreden.CORRECTIE)
        return self.desk.submit(verklaring.Ingetrokken, data, partner=partner, subject=nummer)

    def gegeven_verklaring(self, nummer: str) -> Verklaring:
        return self.desk.state(Verklaring, nummer)

    def uitgevallen(self) -> list[Fact[Data]]:
        return self.meld(traject.Uitgevallen(datum=VANDAAG, categorie=Categorie.DEELNEMER), partner=COACH)

    def teruggetrokken(self) -> list[Fact[Data]]:
        return self.meld(traject.Teruggetrokken(datum=VANDAAG, categorie=Categorie.DEELNEMER), partner=COACH)

    def nazorg(self) -> list[Fact[Data]]:
        data = traject.NazorgGeregistreerd(
            moment=traject.NazorgMoment.NA_3_MAANDEN, uitkomst=traject.NazorgUitkomst.BAAN
        )
        return self.meld(data, partner=COACH)

    def gesloten(self) -> list[Fact[Data]]:
        return self.meld(traject.Gesloten(redencode=traject.Sluitreden.VOLTOOID), partner=LOKET)

    def heropend(self) -> list[Fact[Data]]:
        return self.meld(traject.Heropend(redencode=traject.Heropenreden.CORRECTIE), partner=LOKET)

    def gewist(self) -> list[Fact[Data]]:
        return self.meld(traject.GegevensGewist(redencode=traject.Wisreden.VERZOEK), partner=LOKET)


def een_aangemeld_traject(registry: Registry = REGISTRY) -> Zaak:
    """With a school assigned to it; coach and WSP were, being the only ones of the region."""
    zaak = Zaak(Desk(service, registry=registry))
    zaak.aangemeld()
    zaak.toegewezen()
    return zaak


def een_geschikt_traject() -> Zaak:
    zaak = een_aangemeld_traject()
    zaak.intake_afgerond()
    return zaak


def een_gematcht_traject() -> Zaak:
    zaak = een_geschikt_traject()
    zaak.match_bevestigd()
    return zaak


def een_erkend_traject(*, vanaf: date = ERKEND_VANAF, tot: date = ERKEND_TOT) -> Zaak:
    zaak = een_gematcht_traject()
    zaak.match_erkend(vanaf=vanaf, tot=tot)
    return zaak


def een_voorbereid_traject(
    *,
    crebo: str = CREBO,
    vanaf: date = ERKEND_VANAF,
    tot: date = ERKEND_TOT,
    begin: date = GISTEREN,
    eind: date = date(2027, 4, 30),
) -> Zaak:
    zaak = een_erkend_traject(vanaf=vanaf, tot=tot)
    zaak.opdracht_verstrekt()
    zaak.begeleidingsdocument(crebo=crebo, werkprocessen=PLAN[:2] if crebo != CREBO else PLAN)
    zaak.inschrijving()
    zaak.pok_opgesteld(begin=begin, eind=eind)
    zaak.pok_ondertekend()
    return zaak


def een_lopend_traject() -> Zaak:
    zaak = een_voorbereid_traject()
    zaak.gestart(GISTEREN)
    return zaak


def een_onderbroken_traject() -> Zaak:
    zaak = een_lopend_traject()
    zaak.onderbroken()
    return zaak


def een_afgerond_traject() -> Zaak:
    zaak = een_lopend_traject()
    zaak.beoordeeld()
    zaak.verklaring_afgegeven()
    return zaak
