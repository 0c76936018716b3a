"""What will happen in the year of the pilot: who comes in when, and how it goes with each. The same by its seed.

Partners act on what is in their own queue and nothing else; what their people decide, and when, is in here.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Final

from contracts.fields import Kvk, Sector, Vestigingsnummer, Werkstatus
from contracts.persoon import Persoon
from deploy.local.persons import invented
from services.chassis.calendar import AMSTERDAM

BEGIN: Final = datetime(2026, 1, 5, 8, 0, tzinfo=AMSTERDAM)
"""The first morning: a year with Good Friday, 5 May and a bridge day by royal decree on working days."""
CLOSING: Final = (12, 14)
"""Month and day from which what is finished is closed for the year."""
BEDRAG: Final = 250_000
"""Cents for each traject."""
_SEED: Final = 20_260_105
_AANMELDDAGEN: Final = 80
"""Working days over which people come in."""


class Verloop(StrEnum):
    """How it goes with somebody."""

    GEWOON = "gewoon"
    ONDERBREKING = "onderbreking"
    HERPLAATSING = "herplaatsing"
    """The employer stops; another is found, and what was assessed stays."""
    ERKENNING_INGETROKKEN = "erkenning ingetrokken"
    """Runs at the place whose recognition SBB withdraws."""
    ERKENNING_GEWEIGERD = "erkenning geweigerd"
    """Is first proposed at a place that SBB refuses."""
    AFWIJZING = "afwijzing"
    WEDLOOP = "wedloop"
    """Two employers confirm on the same day."""
    UITVAL = "uitval"
    NIET_GESCHIKT = "niet geschikt"
    TERUGTREKKING_VROEG = "terugtrekking vroeg"
    TERUGTREKKING_LAAT = "terugtrekking laat"
    NIEUWE_KANS = "nieuwe kans"
    """Not fit, and reopened."""
    BEDACHT = "bedacht"
    """Withdrawn, and reopened."""
    DOORGAAN = "doorgaan"
    """Dropped out, and reopened."""
    NOG_EVEN_OPEN = "nog even open"
    """Closed, and reopened."""
    ANDERE_SCHOOL = "andere school"
    ANDERE_POK = "andere pok"
    DEELS = "deels"
    """A verklaring over part of the plan."""
    CORRECTIE = "correctie"
    """The verklaring is withdrawn and issued again before its invoice is approved."""
    CORRECTIE_LAAT = "correctie laat"
    """The same, after its invoice was paid."""
    AFKEUR = "afkeur"
    """The invoice is rejected, so withdrawn, credited and made again."""
    BETALING_MISLUKT = "betaling mislukt"
    DUBBEL = "dubbel"
    """Somebody who was registered through another partner already."""


STOPS: Final = (
    *(Verloop.ONDERBREKING, Verloop.HERPLAATSING, Verloop.ERKENNING_INGETROKKEN),
    *(Verloop.UITVAL, Verloop.DOORGAAN, Verloop.TERUGTREKKING_LAAT),
    *(Verloop.TERUGTREKKING_VROEG, Verloop.BEDACHT, Verloop.DUBBEL),
)
"""Where somebody stops a traject while others are at work in it."""

_OP_150: Final[Mapping[Verloop, int]] = {
    Verloop.ONDERBREKING: 12,
    Verloop.HERPLAATSING: 8,
    Verloop.ERKENNING_INGETROKKEN: 7,
    Verloop.ERKENNING_GEWEIGERD: 5,
    Verloop.AFWIJZING: 8,
    Verloop.WEDLOOP: 6,
    Verloop.UITVAL: 9,
    Verloop.NIET_GESCHIKT: 6,
    Verloop.TERUGTREKKING_VROEG: 4,
    Verloop.TERUGTREKKING_LAAT: 4,
    Verloop.NIEUWE_KANS: 3,
    Verloop.BEDACHT: 3,
    Verloop.DOORGAAN: 3,
    Verloop.NOG_EVEN_OPEN: 3,
    Verloop.ANDERE_SCHOOL: 5,
    Verloop.ANDERE_POK: 4,
    Verloop.DEELS: 5,
    Verloop.CORRECTIE: 4,
    Verloop.CORRECTIE_LAAT: 3,
    Verloop.AFKEUR: 4,
    Verloop.BETALING_MISLUKT: 4,
    Verloop.DUBBEL: 3,
}
"""How many of 150; the rest goes as it should."""


@dataclass(frozen=True)
class Werkplek:
    """A place that the WSP knows: an establishment and what one can learn there."""

    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: str


WERKPLEKKEN: Final = (
    Werkplek("51000001", "000051000001", "25252"),
    Werkplek("51000001", "000051000001", "25258"),
    Werkplek("51000002", "000051000003", "25254"),
    Werkplek("51000002", "000051000003", "25255"),
    Werkplek("51000003", "000051000004", "25252"),
    # and employers without a system
    Werkplek("51000097", "000051000097", "25250"),
    Werkplek("51000097", "000051000097", "25251"),
    Werkplek("51000098", "000051000098", "25250"),
    Werkplek("51000098", "000051000098", "25253"),
    Werkplek("51000098", "000051000098", "25251"),
    Werkplek("51000099", "000051000099", "25258"),
    Werkplek("51000099", "000051000099", "25254"),
    Werkplek("51000096", "000051000096", "25253"),
    Werkplek("51000096", "000051000096", "25255"),
)
NIET_ERKEND: Final = Werkplek("51000001", "000051000002", "25252")
"""A place that SBB will not recognise."""
INGETROKKEN: Final = Werkplek("51000003", "000051000004", "25251")
"""A place whose recognition SBB withdraws in the course of the year."""

_CREBO: Final[Mapping[Sector, str]] = {
    Sector.BOUW: "25250",
    Sector.ZORG: "25251",
    Sector.HORECA: "25252",
    Sector.TECHNIEK: "25253",
    Sector.LOGISTIEK: "25254",
    Sector.MOBILITEIT: "25255",
    Sector.RETAIL: "25258",
    Sector.ONBEKEND: "25258",
}
_SECTOR: Final[Mapping[Verloop, Sector]] = {
    Verloop.ERKENNING_GEWEIGERD: Sector.HORECA,
    Verloop.ERKENNING_INGETROKKEN: Sector.ZORG,
}


@dataclass(frozen=True)
class Kandidaat:
    """Somebody who wants a verklaring. Invented; travels encrypted only."""

    nummer: int
    persoon: Persoon
    werkstatus: Werkstatus
    sectorwens: Sector
    verloop: Verloop
    dag: int
    """On which working day of the year the registration is."""
    seed: int = field(repr=False)

    @property
    def referentie(self) -> str:
        return f"pilot-{self.nummer:03d}"

    @property
    def crebo(self) -> str:
        return _CREBO[self.sectorwens]

    def dagen(self, waarvoor: str, minst: int, meest: int) -> int:
        """Working days that this takes with this person."""
        return random.Random(f"{self.seed}/{self.nummer}/{waarvoor}").randint(minst, meest)

    def werkplekken(self) -> list[Werkplek]:
        """Where the WSP looks, in that order."""
        known = [place for place in WERKPLEKKEN if place.crebo == self.crebo]
        turn = self.nummer % len(known)
        first = {
            Verloop.ERKENNING_GEWEIGERD: [NIET_ERKEND],
            Verloop.ERKENNING_INGETROKKEN: [INGETROKKEN],
        }.get(self.verloop, [])
        return [*first, *known[turn:], *known[:turn]]


@dataclass(frozen=True)
class Stilte:
    """A partner's system is off from one working day of the year until another."""

    partner: str
    van: int
    tot: int


@dataclass(frozen=True)
class Script:
    """A year. `rustig`: everybody prompt, friendly and right, for tests that make trouble of their own."""

    count: int
    rustig: bool = False
    seed: int = _SEED

    @cached_property
    def kandidaten(self) -> tuple[Kandidaat, ...]:
        return tuple(self._kandidaat(number, verloop) for number, verloop in enumerate(self._verlopen(), 1))

    def _verlopen(self) -> list[Verloop]:
        if self.rustig:
            return [Verloop.GEWOON] * self.count
        share = {verloop: max(1, round(of_150 * self.count / 150)) for verloop, of_150 in _OP_150.items()}
        drawn = [verloop for verloop, number in share.items() for _ in range(number)][: self.count]
        drawn += [Verloop.GEWOON] * (self.count - len(drawn))
        random.Random(self.seed).shuffle(drawn)
        if drawn and drawn[0] is Verloop.DUBBEL:  # somebody must have been there before
            other = next(place for place, verloop in enumerate(drawn) if verloop is not Verloop.DUBBEL)
            drawn[0], drawn[other] = drawn[other], drawn[0]
        return drawn

    def _kandidaat(self, number: int, verloop: Verloop) -> Kandidaat:
        sectoren = list(Sector)
        somebody = Kandidaat(
            nummer=number,
            persoon=invented(number),
            werkstatus=Werkstatus.WERKENDE if number % 4 == 0 else Werkstatus.WERKZOEKENDE,
            sectorwens=_SECTOR.get(verloop, sectoren[number % len(sectoren)]),
            verloop=verloop,
            dag=number * (10 if self.rustig else _AANMELDDAGEN) // max(self.count, 1),
            seed=self.seed,
        )
        # what is withdrawn, or corrected late, must have run for a while
        early = verloop in (Verloop.ERKENNING_INGETROKKEN, Verloop.CORRECTIE_LAAT, Verloop.ERKENNING_GEWEIGERD)
        if early:
            somebody = replace(somebody, dag=somebody.dag // 4)
        if verloop is Verloop.DUBBEL:
            somebody = replace(somebody, persoon=invented(number - 1))
        return somebody

    @property
    def stiltes(self) -> tuple[Stilte, ...]:
        """Partners whose system is off for weeks."""
        if self.rustig:
            return ()
        return (Stilte("sbb", 32, 45), Stilte("zorghof", 60, 72), Stilte("roc-peel", 140, 155))

    @property
    def werkbedrijf_vanaf(self) -> int:
        """The working day of the year on which the budget of the werkbedrijf begins."""
        return 0 if self.rustig else 25

    def budgetten(self) -> dict[str, tuple[int, int]]:
        """For each source, in cents: what it begins with, and what it is raised to halfway the year."""
        if self.rustig:
            return {"POW": (500 * BEDRAG,) * 2, "WERKBEDRIJF": (500 * BEDRAG,) * 2}
        pow_cent = self.count * 36 // 100 * BEDRAG  # to the last cent
        werkbedrijf = self.count * 42 // 100 * BEDRAG
        return {"POW": (pow_cent, pow_cent), "WERKBEDRIJF": (werkbedrijf, self.count * BEDRAG)}
