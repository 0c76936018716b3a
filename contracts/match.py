"""Stream `match` (owner matching, subject M-…): one traject at one employer for one crebo."""

from typing import Annotated

from pydantic import Field

from contracts.fields import (
    Categorie,
    Crebo,
    Datum,
    Kvk,
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
    """The establishment is recognised for the crebo: preparation can begin."""

    erkenning_geldig_tot: Annotated[Datum, Field(examples=["2030-11-01"])]


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
