"""Stream `match` (owner matching, subject M-…): one traject at one employer for one crebo."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.fields import (
    Categorie,
    Crebo,
    Datum,
    Kvk,
    LeerbedrijfId,
    Matchnummer,
    Trajectnummer,
    Vestigingsnummer,
)
from contracts.model import Data


class _Werkplek(Data):
    trajectnummer: Trajectnummer
    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: Crebo


class Voorgesteld(_Werkplek):
    """The WSP proposes an employer's establishment for a traject."""


class Bevestigd(_Werkplek):
    """The employer agreed. What follows depends on the recognition of its establishment."""


class Afgewezen(Data):
    """The employer declined."""

    trajectnummer: Trajectnummer


class Erkend(_Werkplek):
    """The establishment is recognised for the crebo: preparation can begin, and the start within these dates."""

    leerbedrijf_id: LeerbedrijfId
    erkenning_geldig_vanaf: Datum
    erkenning_geldig_tot: Annotated[Datum, Field(examples=["2030-11-01"])]

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.erkenning_geldig_tot < self.erkenning_geldig_vanaf:
            raise ValueError("erkenning_geldig_tot ligt voor erkenning_geldig_vanaf")
        return self


class VervallenInzending(Data):
    categorie: Categorie


class Vervallen(Data):
    """The match is off: withdrawn, refused by SBB, or another match won."""

    trajectnummer: Trajectnummer
    categorie: Categorie


class HerplaatsingInzending(Data):
    trajectnummer: Trajectnummer
    vorige_match: Matchnummer
    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: Crebo


class HerplaatsingGestart(_Werkplek):
    """The search for a new workplace in a running traject has a proposal."""

    vorige_match: Matchnummer
