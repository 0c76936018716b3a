"""Stream `betaling` (owner billing, subject BT-…): paying an approved invoice."""

from enum import StrEnum

from contracts.fields import Betalingskenmerk, Cents, Datum, Factuurnummer, PartnerId, Trajectnummer
from contracts.model import Data


class Opgedragen(Data):
    """The payment order for an approved invoice: its amount, less what the supplier holds of invoices that were
    credited after payment. Of 0 cents nothing goes to the bank: `bevestigd` follows at once.
    """

    trajectnummer: Trajectnummer
    factuurnummer: Factuurnummer
    opleider: PartnerId
    bedrag_cent: Cents
    kenmerk: Betalingskenmerk
    verrekend_cent: Cents = 0


class BevestigdInzending(Data):
    datum: Datum


class Bevestigd(Data):
    """The bank paid, or there was nothing left to pay. For an invoice that was credited meanwhile the supplier
    holds what was paid, as `tegoed_cent`.
    """

    trajectnummer: Trajectnummer
    factuurnummer: Factuurnummer
    kenmerk: Betalingskenmerk
    datum: Datum
    tegoed_cent: Cents = 0


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
