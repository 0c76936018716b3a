"""The story of a traject: what the journal holds of its case, as Dutch sentences (B1) for people."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from contracts import betaling, factuur, match, opdracht, termijn, traject, verklaring
from contracts.catalogue import CATALOGUE
from contracts.model import Data
from services.chassis.calendar import AMSTERDAM
from services.intake.journal import Entry

_MAANDEN: Final = (
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regel:
    """One event. `tijdstip` is Dutch time; `trace_id` leads to what it set in motion."""

    tijdstip: datetime
    zin: str
    actor: str
    trace_id: str | None

    def __str__(self) -> str:
        wanneer = f"{_dag(self.tijdstip.date())} {self.tijdstip:%H:%M}"
        return f"{wanneer}  {self.zin} (door {self.actor}, trace {self.trace_id or 'onbekend'})"


def vertel(entries: Iterable[Entry]) -> list[Regel]:
    """One line for each fact, in the given order. What has no sentence is told by its type."""
    return [
        Regel(
            tijdstip=entry.time.astimezone(AMSTERDAM),
            zin=_zin(entry),
            actor=entry.actor,
            trace_id=entry.trace_id,
        )
        for entry in entries
    ]


def _zin(entry: Entry) -> str:
    event_type = CATALOGUE.get(entry.type)
    sentence = ZINNEN.get(event_type.fact) if event_type else None
    if event_type is None or sentence is None:
        return f"Er is een gebeurtenis vastgelegd: {entry.type}."
    return sentence(event_type.fact.model_validate(entry.data), entry.subject)


def _dag(dag: date) -> str:
    return f"{dag.day} {_MAANDEN[dag.month - 1]} {dag.year}"


def _euro(cent: int) -> str:
    hele, rest = divmod(cent, 100)
    return f"€ {hele:,}".replace(",", ".") + f",{rest:02}"


def _opsomming(delen: Iterable[object]) -> str:
    *eerste, laatste = [str(deel) for deel in delen]
    return f"{', '.join(eerste)} en {laatste}" if eerste else laatste


_CATEGORIE: Final[Mapping[str, str]] = {
    "deelnemer": "De reden ligt bij de deelnemer.",
    "werkgever": "De reden ligt bij de werkgever.",
    "opleiding": "De reden ligt bij de opleiding.",
    "erkenning": "De reden is de erkenning van het leerbedrijf.",
    "overig": "Er is een andere reden.",
}
_VERWIJZING: Final[Mapping[str, str]] = {"loopbaancentrum": "het loopbaancentrum", "rmc": "het RMC"}
_OORDEEL: Final[Mapping[str, str]] = {
    "voldoet": "Alles was in orde.",
    "actie_nodig": "Er is actie nodig.",
    "beheerst": "beheerst",
    "nog_niet": "nog niet beheerst",
}
_NAZORG: Final[Mapping[str, str]] = {
    "na_3_maanden": "Na drie maanden",
    "na_6_maanden": "Na zes maanden",
    "baan": "heeft de deelnemer een baan",
    "vervolgopleiding": "doet de deelnemer een opleiding",
    "geen": "heeft de deelnemer nog geen baan of opleiding",
}
_REDEN: Final[Mapping[str, str]] = {
    "voltooid": "Alles is klaar.",
    "administratief": "De reden is administratief.",
    "correctie": "Er moet iets worden verbeterd.",
    "nieuwe_kans": "De deelnemer krijgt een nieuwe kans.",
    "verzoek": "De deelnemer heeft dit gevraagd.",
    "bewaartermijn": "De bewaartermijn is voorbij.",
    "onterecht": "De verklaring was niet terecht.",
    "rekening_onjuist": "Het rekeningnummer klopt niet.",
    "geweigerd_door_bank": "De bank heeft de betaling geweigerd.",
    "overig": "Er is een andere reden.",
}
_STAP: Final[Mapping[str, str]] = {
    "intake": "de intake",
    "erkenning": "de erkenning",
    "handtekening": "de handtekening",
    "factuur": "de factuur",
    "voortgang": "de voortgang",
}
_NIVEAU: Final[Mapping[str, str]] = {
    "hint": "De partner kreeg een bericht vooraf.",
    "verlopen": "De termijn is voorbij.",
    "coordinatie": "Het coördinatiepunt weet dit nu ook.",
    "manager": "De manager weet dit nu ook.",
}


def _intake(data: traject.IntakeAfgerond) -> str:
    if data.verwezen_naar is None:
        return "De intake is klaar: de deelnemer kan beginnen aan een traject."
    return f"De intake is klaar: dit traject past niet. De deelnemer gaat naar {_VERWIJZING[data.verwezen_naar]}."


def _pok(data: traject.PokOpgesteld | traject.PokGewijzigd) -> str:
    return f"van {_dag(data.begin)} tot en met {_dag(data.eind)}, voor {data.uren} uur"


def _handtekening(data: traject.Handtekening) -> str:
    wie = "het leerbedrijf" if data.partij is traject.PokPartij.LEERBEDRIJF else f"de {data.partij}"
    return f"{wie} op {_dag(data.datum)}"


def _tegoed(cent: int) -> str:
    return f" Daarvan gaat {_euro(cent)} van de volgende betaling af." if cent else ""


def _verrekend(cent: int) -> str:
    return f" Er gaat {_euro(cent)} af, van een factuur die gecrediteerd is." if cent else ""


def _werkplek(data: match.Voorgesteld | match.Bevestigd | match.Erkend | match.HerplaatsingGestart) -> str:
    return f"vestiging {data.vestigingsnummer} (crebo {data.crebo})"


ZINNEN: Final[Mapping[type[Data], Callable[[Any, str], str]]] = {
    traject.Aangemeld: lambda data, nummer: (
        f"{data.toegangspartner} heeft een {data.werkstatus} aangemeld als {nummer}. "
        f"De gewenste sector is {data.sectorwens}."
    ),
    traject.BetrokkeneToegewezen: lambda data, _: f"{data.partner} doet nu mee als {data.rol}.",
    traject.IntakeAfgerond: lambda data, _: _intake(data),
    traject.BegeleidingsdocumentVastgesteld: lambda data, _: (
        f"De school heeft het plan gemaakt: crebo {data.crebo} (versie {data.dossierversie}), "
        f"met {_opsomming(data.werkprocessen)}."
    ),
    traject.InschrijvingBevestigd: lambda data, _: (
        f"De school heeft de deelnemer ingeschreven per {_dag(data.datum)}."
    ),
    traject.PokOpgesteld: lambda data, _: f"De praktijkovereenkomst is klaar om te tekenen: {_pok(data)}.",
    traject.PokGewijzigd: lambda data, _: (
        f"De praktijkovereenkomst is veranderd: {_pok(data)}. Iedereen moet opnieuw tekenen."
    ),
    traject.PokOndertekend: lambda data, _: (
        f"De praktijkovereenkomst is ondertekend door {_opsomming(map(_handtekening, data.handtekeningen))}."
    ),
    traject.PokOntbonden: lambda data, _: (
        f"De praktijkovereenkomst stopt op {_dag(data.datum)}. {_CATEGORIE[data.categorie]}"
    ),
    traject.Gestart: lambda data, _: f"De deelnemer is op {_dag(data.datum)} begonnen bij het leerbedrijf.",
    traject.Onderbroken: lambda data, _: (
        f"Het traject ligt stil sinds {_dag(data.datum)}. {_CATEGORIE[data.categorie]}"
    ),
    traject.Hervat: lambda data, _: f"De deelnemer gaat weer verder sinds {_dag(data.datum)}.",
    traject.BezoekGeregistreerd: lambda data, _: (
        f"De school was op {_dag(data.datum)} op bezoek bij het leerbedrijf. {_OORDEEL[data.oordeel]}"
    ),
    traject.WerkprocesBeoordeeld: lambda data, _: (
        f"Werkproces {data.werkproces} is beoordeeld op {_dag(data.datum)}: {_OORDEEL[data.beoordeling]}."
    ),
    traject.Uitgevallen: lambda data, _: (
        f"De deelnemer is gestopt op {_dag(data.datum)}. {_CATEGORIE[data.categorie]}"
    ),
    traject.Teruggetrokken: lambda data, _: (
        f"Het traject gaat niet door sinds {_dag(data.datum)}. {_CATEGORIE[data.categorie]}"
    ),
    traject.NazorgGeregistreerd: lambda data, _: f"{_NAZORG[data.moment]} {_NAZORG[data.uitkomst]}.",
    traject.Gesloten: lambda data, _: f"Het traject is gesloten. {_REDEN[data.redencode]}",
    traject.Heropend: lambda data, _: f"Het traject is weer open. {_REDEN[data.redencode]}",
    traject.GegevensGewist: lambda data, _: (
        f"De gegevens van de deelnemer zijn voorgoed gewist. {_REDEN[data.redencode]}"
    ),
    traject.MogelijkDubbel: lambda data, _: (
        f"Misschien is deze deelnemer twee keer aangemeld: ook als {data.ander_trajectnummer}."
    ),
    match.Voorgesteld: lambda data, nummer: f"Er is een werkplek voorgesteld ({nummer}): {_werkplek(data)}.",
    match.Bevestigd: lambda data, nummer: f"De werkgever doet mee ({nummer}): {_werkplek(data)}.",
    match.Afgewezen: lambda data, nummer: f"De werkgever doet niet mee ({nummer}).",
    match.Erkend: lambda data, nummer: (
        f"De werkplek is erkend ({nummer}): {_werkplek(data)}, als leerbedrijf {data.leerbedrijf_id}, "
        f"geldig van {_dag(data.erkenning_geldig_vanaf)} tot en met {_dag(data.erkenning_geldig_tot)}."
    ),
    match.Vervallen: lambda data, nummer: f"De werkplek gaat niet door ({nummer}). {_CATEGORIE[data.categorie]}",
    match.HerplaatsingGestart: lambda data, nummer: (
        f"Er is een nieuwe werkplek voorgesteld ({nummer}, na {data.vorige_match}): {_werkplek(data)}."
    ),
    verklaring.Afgegeven: lambda data, nummer: (
        f"{data.opleider} heeft op {_dag(data.datum)} de praktijkverklaring {nummer} gegeven "
        f"voor {_opsomming(data.werkprocessen)}."
    ),
    verklaring.Ingetrokken: lambda data, nummer: (
        f"De praktijkverklaring {nummer} is op {_dag(data.datum)} ingetrokken. {_REDEN[data.redencode]}"
    ),
    opdracht.Verstrekt: lambda data, nummer: (
        f"{data.opleider} heeft de opdracht {nummer} gekregen, voor ten hoogste {_euro(data.bedrag_cent)} "
        f"uit {data.bron}."
    ),
    opdracht.Ingetrokken: lambda data, nummer: (
        f"De opdracht {nummer} is ingetrokken. {_CATEGORIE[data.categorie]}"
    ),
    factuur.Klaargezet: lambda data, nummer: (
        f"De factuur {nummer} van {data.opleider} is klaar: {_euro(data.bedrag_cent)}."
    ),
    factuur.Goedgekeurd: lambda data, nummer: f"De factuur {nummer} is goedgekeurd.",
    factuur.Afgekeurd: lambda data, nummer: f"De factuur {nummer} is afgekeurd, om {_opsomming(data.regelcodes)}.",
    factuur.Gecrediteerd: lambda data, nummer: (
        f"De factuur {data.vorig_factuurnummer} is gecrediteerd met {nummer}: {_euro(data.bedrag_cent)}."
        f"{_tegoed(data.tegoed_cent)}"
    ),
    betaling.Opgedragen: lambda data, nummer: (
        f"De betaling {nummer} van factuur {data.factuurnummer} aan {data.opleider} is gevraagd: "
        f"{_euro(data.bedrag_cent)}.{_verrekend(data.verrekend_cent)}"
    ),
    betaling.Bevestigd: lambda data, nummer: (
        f"De factuur {data.factuurnummer} is op {_dag(data.datum)} betaald ({nummer}).{_tegoed(data.tegoed_cent)}"
    ),
    betaling.Mislukt: lambda data, nummer: (
        f"De betaling {nummer} van factuur {data.factuurnummer} is op {_dag(data.datum)} mislukt. "
        f"{_REDEN[data.redencode]}"
    ),
    termijn.Overschreden: lambda data, _: (
        f"Er wordt gewacht op {_STAP[data.stap]} door {data.partner}, uiterlijk {_dag(data.uiterlijk)}. "
        f"{_NIVEAU[data.niveau]}"
    ),
}
"""A sentence for every event that can occur in the case of a traject, from its data and subject."""
