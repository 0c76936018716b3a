"""Stream `traject` (owner intake, subject PV-…): one person's way to a praktijkverklaring."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.fields import (
    Brin,
    Categorie,
    Crebo,
    Datum,
    Documenthash,
    Dossierversie,
    LeerbedrijfId,
    Onderwijslocatie,
    PartnerId,
    PokId,
    Rol,
    Sector,
    Trajectnummer,
    Uren,
    Werkproces,
    Werkstatus,
)
from contracts.model import Data
from contracts.persoon import Jwe


class AangemeldInzending(Data):
    """A partner registers a person. `persoon` is encrypted for intake alone."""

    persoon: Jwe
    werkstatus: Werkstatus
    sectorwens: Sector


class Aangemeld(Data):
    """The person is registered. Who it is stays with intake; the envelope's `dataref` says where."""

    werkstatus: Werkstatus
    sectorwens: Sector
    toegangspartner: PartnerId


class BetrokkeneToegewezen(Data):
    """A partner becomes party to the traject in that role, and replaces who was."""

    rol: Annotated[Rol, Field(examples=[Rol.OPLEIDER])]
    partner: PartnerId


class Uitkomst(StrEnum):
    GESCHIKT = "geschikt"
    NIET_GESCHIKT = "niet-geschikt"


class Verwijzing(StrEnum):
    LOOPBAANCENTRUM = "loopbaancentrum"
    RMC = "rmc"


class IntakeAfgerond(Data):
    """The coach's verdict after the first talks. A person who does not fit is referred."""

    uitkomst: Uitkomst
    verwezen_naar: Verwijzing | None = None

    @model_validator(mode="after")
    def _referral_goes_with_unfit(self) -> Self:
        if (self.uitkomst is Uitkomst.NIET_GESCHIKT) != (self.verwezen_naar is not None):
            raise ValueError("verwezen_naar hoort bij niet-geschikt, en alleen daarbij")
        return self


class BegeleidingsdocumentVastgesteld(Data):
    """The tailored plan: which part of which qualification, within one dossier version."""

    crebo: Crebo
    dossierversie: Dossierversie
    werkprocessen: Annotated[tuple[Werkproces, ...], Field(min_length=1, max_length=40)]
    documenthash: Documenthash


class InschrijvingBevestigd(Data):
    """The school has enrolled the participant."""

    brin: Brin
    onderwijslocatie: Onderwijslocatie
    datum: Datum


class PokPartij(StrEnum):
    """Who signs a praktijkovereenkomst: these three, not SBB."""

    DEELNEMER = "deelnemer"
    OPLEIDER = "opleider"
    LEERBEDRIJF = "leerbedrijf"


class _PokInhoud(Data):
    pok_id: PokId
    begin: Datum
    eind: Annotated[Datum, Field(examples=["2027-04-30"])]
    uren: Uren

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.eind < self.begin:
            raise ValueError("eind ligt voor begin")
        return self


class PokOpgesteld(_PokInhoud):
    """The agreement is ready to be signed."""


class PokGewijzigd(_PokInhoud):
    """Period or hours were changed; what was signed must be signed again."""


class Handtekening(Data):
    """Who signed, and when."""

    partij: PokPartij
    datum: Datum


class PokOndertekend(Data):
    """One or more of the three parties signed."""

    pok_id: PokId
    handtekeningen: Annotated[tuple[Handtekening, ...], Field(min_length=1, max_length=3)]


class PokOntbonden(Data):
    """The agreement is dissolved before its end."""

    pok_id: PokId
    datum: Datum
    categorie: Categorie


class Gestart(Data):
    """The participant began at the leerbedrijf."""

    datum: Datum


class Onderbroken(Data):
    """The participant stopped for a while; the traject stays open."""

    datum: Datum
    categorie: Categorie


class Hervat(Data):
    """The participant went on after an interruption."""

    datum: Datum


class BezoekOordeel(StrEnum):
    VOLDOET = "voldoet"
    ACTIE_NODIG = "actie_nodig"


class BezoekGeregistreerd(Data):
    """The praktijkbegeleider of the school visited the workplace."""

    datum: Datum
    oordeel: BezoekOordeel


class Beoordeling(StrEnum):
    BEHEERST = "beheerst"
    NOG_NIET = "nog_niet"


class WerkprocesBeoordeeld(Data):
    """Verdict on one werkproces, at one leerbedrijf: that of `match.erkend` of a workplace where the traject
    started, this one or one before a replacement. Keeps its date and leerbedrijf for good.
    """

    werkproces: Werkproces
    beoordeling: Beoordeling
    datum: Datum
    leerbedrijf_id: LeerbedrijfId


class Uitgevallen(Data):
    """The participant stopped for good after the start."""

    datum: Datum
    categorie: Categorie


class Teruggetrokken(Data):
    """The traject ends before its goal because somebody steps back."""

    datum: Datum
    categorie: Categorie


class NazorgMoment(StrEnum):
    NA_3_MAANDEN = "na_3_maanden"
    NA_6_MAANDEN = "na_6_maanden"


class NazorgUitkomst(StrEnum):
    BAAN = "baan"
    VERVOLGOPLEIDING = "vervolgopleiding"
    GEEN = "geen"


class NazorgGeregistreerd(Data):
    """What became of the participant, three or six months later."""

    moment: NazorgMoment
    uitkomst: NazorgUitkomst


class Sluitreden(StrEnum):
    VOLTOOID = "voltooid"
    ADMINISTRATIEF = "administratief"


class Gesloten(Data):
    """Nothing more happens in this traject."""

    redencode: Sluitreden


class Heropenreden(StrEnum):
    CORRECTIE = "correctie"
    NIEUWE_KANS = "nieuwe_kans"


class Heropend(Data):
    """Back to the state before the end."""

    redencode: Heropenreden


class Wisreden(StrEnum):
    VERZOEK = "verzoek"
    BEWAARTERMIJN = "bewaartermijn"


class GegevensGewist(Data):
    """The person's key is destroyed; nothing brings the data back."""

    redencode: Wisreden


class MogelijkDubbel(Data):
    """The same person seems to be registered for another traject too. Whether that is so, coordinatie finds out;
    nothing is merged, and the parties of neither traject learn of the other.
    """

    ander_trajectnummer: Trajectnummer
