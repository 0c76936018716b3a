"""Match: one traject at one employer's establishment for one crebo."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from contracts import erkenning, match
from contracts.fields import Categorie, Crebo, Kvk, Matchnummer, Trajectnummer, Vestigingsnummer
from contracts.model import Data
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused, registered_as


class Status(StrEnum):
    VOORGESTELD = "voorgesteld"
    BEVESTIGD = "bevestigd"
    """Waits for the recognition of its place."""
    ERKEND = "erkend"
    AFGEWEZEN = "afgewezen"
    VERVALLEN = "vervallen"


_NEXT: dict[type[Data], Status] = {
    match.Bevestigd: Status.BEVESTIGD,
    match.Afgewezen: Status.AFGEWEZEN,
    match.Erkend: Status.ERKEND,
    match.Vervallen: Status.VERVALLEN,
}


def plaats(vestigingsnummer: Vestigingsnummer, crebo: Crebo) -> str:
    """What SBB recognises: one establishment for one crebo."""
    return f"{vestigingsnummer}/{crebo}"


@dataclass(frozen=True, slots=True)
class Match:
    nummer: Matchnummer
    trajectnummer: Trajectnummer
    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: Crebo
    status: Status
    registratie: str | None
    """The proposing partner and its referentie: repeated, it is the same proposal."""
    vorige_match: Matchnummer | None = None

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, match.Voorgesteld | match.HerplaatsingGestart):
            return cls(
                nummer=fact.subject,
                trajectnummer=data.trajectnummer,
                kvk=data.kvk,
                vestigingsnummer=data.vestigingsnummer,
                crebo=data.crebo,
                status=Status.VOORGESTELD,
                registratie=registered_as(fact.actor, fact.referentie),
                vorige_match=data.vorige_match if isinstance(data, match.HerplaatsingGestart) else None,
            )
        if state is None or type(data) not in _NEXT:
            return state
        return replace(state, status=_NEXT[type(data)])

    @property
    def plaats(self) -> str:
        return plaats(self.vestigingsnummer, self.crebo)

    @property
    def actief(self) -> bool:
        """Confirmed and not lapsed; a traject has one at most."""
        return self.status in (Status.BEVESTIGD, Status.ERKEND)

    @property
    def voorgesteld_voor(self) -> Trajectnummer | None:
        """The traject that this match is an open proposal for."""
        return self.trajectnummer if self.status is Status.VOORGESTELD else None

    @property
    def actief_op(self) -> str | None:
        """The place where this match is active."""
        return self.plaats if self.actief else None

    def zelfde_voorstel(self, data: match.Voorgesteld | match.HerplaatsingInzending) -> bool:
        vorige = data.vorige_match if isinstance(data, match.HerplaatsingInzending) else None
        return (self.trajectnummer, self.kvk, self.vestigingsnummer, self.crebo, self.vorige_match) == (
            data.trajectnummer,
            data.kvk,
            data.vestigingsnummer,
            data.crebo,
            vorige,
        )

    def bevestigen(self) -> match.Bevestigd:
        """The employer agrees.

        Raises:
            Refused: it is no open proposal, or not any more.
        """
        self._is(Status.VOORGESTELD)
        return match.Bevestigd(
            trajectnummer=self.trajectnummer,
            kvk=self.kvk,
            vestigingsnummer=self.vestigingsnummer,
            crebo=self.crebo,
        )

    def afwijzen(self) -> match.Afgewezen:
        """The employer declines.

        Raises:
            Refused: it is no open proposal, or not any more.
        """
        self._is(Status.VOORGESTELD)
        return match.Afgewezen(trajectnummer=self.trajectnummer)

    def erkennen(self, besluit: erkenning.Verleend) -> match.Erkend:
        """Its place is recognised, now or from a later date on; or that recognition is renewed.

        Raises:
            Refused: it is not active.
        """
        self._is(Status.BEVESTIGD, Status.ERKEND)
        return match.Erkend(
            trajectnummer=self.trajectnummer,
            kvk=self.kvk,
            vestigingsnummer=self.vestigingsnummer,
            crebo=self.crebo,
            leerbedrijf_id=besluit.leerbedrijf_id,
            erkenning_geldig_vanaf=besluit.geldig_vanaf,
            erkenning_geldig_tot=besluit.geldig_tot,
        )

    def vervallen(self, categorie: Categorie) -> match.Vervallen:
        """It is off, whatever came of it so far.

        Raises:
            Refused: it was declined or has lapsed.
        """
        self._is(Status.VOORGESTELD, Status.BEVESTIGD, Status.ERKEND)
        return match.Vervallen(trajectnummer=self.trajectnummer, categorie=categorie)

    def herplaatsbaar(self, trajectnummer: Trajectnummer) -> None:
        """Whether this match may be the `vorige_match` of a replacement in that traject.

        Raises:
            Refused: it is another traject's, or has not lapsed.
        """
        if self.trajectnummer != trajectnummer or self.status is not Status.VERVALLEN:
            raise Refused(Code.STATUS_PAST_NIET, "data.vorige_match")

    def _is(self, *statuses: Status) -> None:
        if self.status not in statuses:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
