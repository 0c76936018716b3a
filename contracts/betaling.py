"""Stream `betaling` (owner billing, subject BT-…): paying an approved invoice."""

from enum import StrEnum

from contracts.fields import Betalingskenmerk, Cents, Datum, Factuurnummer, PartnerId, Trajectnummer
from contracts.model import Data


class Opgedragen(Data):
    """The payment order for an approved invoice."""

    trajectnummer: Trajectnummer
    factuurnummer: Factuurnummer
    opleider: PartnerId
    bedrag_cent: Cents
    kenmerk: Betalingskenmerk


class BevestigdInzending(Data):
    datum: Datum


class Bevestigd(Data):
    """The bank paid."""

    trajectnummer: Trajectnummer
    factuurnummer: Factuurnummer
    kenmerk: Betalingskenmerk
    datum: Datum


class Misluktreden(StrEnum):
    REKENING_ONJUIST = "rekening_onjuist"
    GEWEIGERD_DOOR_BANK = "geweigerd_door_bank"
    OVERIG = "overig"


class MisluktInzending(Data):
    datum: Datum
    redencode: Misluktreden


class Mislukt(Data):
    """The bank did not pay."""

    trajectnummer: Trajectnummer
    factuurnummer: Factuurnummer
    datum: Datum
    redencode: Misluktreden
