"""Betaling: the order to pay an approved invoice, and the bank's answer."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Self

from stdnum.iso7064 import mod_97_10

from contracts import betaling
from contracts.fields import (
    Betalingskenmerk,
    Betalingsnummer,
    Cents,
    Factuurnummer,
    PartnerId,
    Trajectnummer,
)
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused


class Status(StrEnum):
    OPGEDRAGEN = "opgedragen"
    MISLUKT = "mislukt"
    """Not paid yet: the order is given again, and its answer comes under the same number."""
    BEVESTIGD = "bevestigd"


@dataclass(frozen=True, slots=True)
class Betaling:
    nummer: Betalingsnummer
    trajectnummer: Trajectnummer
    factuurnummer: Factuurnummer
    opleider: PartnerId
    bedrag_cent: Cents
    kenmerk: Betalingskenmerk
    status: Status
    verrekend_cent: Cents = 0

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, betaling.Opgedragen):
            return cls(
                nummer=fact.subject,
                trajectnummer=data.trajectnummer,
                factuurnummer=data.factuurnummer,
                opleider=data.opleider,
                bedrag_cent=data.bedrag_cent,
                kenmerk=data.kenmerk,
                status=Status.OPGEDRAGEN,
                verrekend_cent=data.verrekend_cent,
            )
        if state is None:
            return None
        if isinstance(data, betaling.Bevestigd):
            return replace(state, status=Status.BEVESTIGD)
        if isinstance(data, betaling.Mislukt):
            return replace(state, status=Status.MISLUKT)
        return state

    def bevestigen(self, datum: date, vandaag: date, *, staat: bool) -> betaling.Bevestigd:
        """The bank paid; also after an earlier failure. `staat` says that the invoice was not credited meanwhile:
        what is paid of one that was, its supplier holds.

        Raises:
            Refused: it was paid before, or the date is in the future.
        """
        self._te_beantwoorden(datum, vandaag)
        return betaling.Bevestigd(
            trajectnummer=self.trajectnummer,
            factuurnummer=self.factuurnummer,
            kenmerk=self.kenmerk,
            datum=datum,
            tegoed_cent=0 if staat else self.bedrag_cent,
        )

    def mislukken(self, datum: date, redencode: betaling.Misluktreden, vandaag: date) -> betaling.Mislukt:
        """The bank did not pay; it may still.

        Raises:
            Refused: it was paid before, or the date is in the future.
        """
        self._te_beantwoorden(datum, vandaag)
        return betaling.Mislukt(
            trajectnummer=self.trajectnummer,
            factuurnummer=self.factuurnummer,
            datum=datum,
            redencode=redencode,
        )

    def _te_beantwoorden(self, datum: date, vandaag: date) -> None:
        if self.status is Status.BEVESTIGD:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
        if datum > vandaag:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")


def kenmerk_van(factuurnummer: Factuurnummer) -> Betalingskenmerk:
    """The RF reference (ISO 11649) of an invoice: `RM-000001` gives `RF65RM000001`, always the same."""
    reference = factuurnummer.replace("-", "")
    return f"RF{mod_97_10.calc_check_digits(reference + 'RF')}{reference}"
