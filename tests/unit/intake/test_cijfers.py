"""The figures of the coördinatiepunt, from facts to what may be shown."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.figures import regels, spreadsheet
from contracts import (
    besteding,
    betaling,
    budget,
    erkenning,
    factuur,
    match,
    opdracht,
    termijn,
    traject,
    verklaring,
)
from contracts.catalogue import CATALOGUE
from contracts.fields import Categorie, Sector, Werkstatus, number_from
from contracts.model import Data
from services.intake.afscherming import AFGESCHERMD, KLEIN
from services.intake.cijfers import Cijfers, Duur, Einde, Geld, Stap, bereken
from services.intake.journal import Entry

MONDAY = date(2026, 11, 2)
LATER = date(2027, 12, 31)
SHOP = {"kvk": "51000001", "vestigingsnummer": "000051000001", "crebo": "25252"}
HASH = "sha256:" + "0" * 64


def number(prefix: str, n: int) -> str:
    return number_from(prefix, f"{n:09d}")


def fact(data: Data, subject: str, day: date = MONDAY) -> Entry:
    return Entry(
        position=1,
        time=datetime.combine(day, time(12), UTC),
        type=CATALOGUE.of(type(data)).name,
        subject=subject,
        actor="leerwerkloket",
        trace_id=None,
        data=data.model_dump(mode="json"),
    )


def registered(n: int, *, werkstatus: Werkstatus = Werkstatus.WERKENDE, way_in: str = "wsp-venlo") -> Entry:
    data = traject.Aangemeld(werkstatus=werkstatus, sectorwens=Sector.HORECA, toegangspartner=way_in)
    return fact(data, number("PV", n))


def walk(n: int, upto: Stap, step: int = 1, werkstatus: Werkstatus = Werkstatus.WERKENDE) -> list[Entry]:
    """A traject that goes as far as `upto`, a step every `step` days."""
    pv, m = number("PV", n), number("M", n)
    days = [MONDAY + timedelta(days=step * place) for place in range(6)]
    valid = {"erkenning_geldig_vanaf": MONDAY, "erkenning_geldig_tot": LATER}
    way = [
        registered(n, werkstatus=werkstatus),
        fact(traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT), pv, days[1]),
        fact(match.Bevestigd(trajectnummer=pv, **SHOP), m, days[2]),
        fact(match.Erkend(trajectnummer=pv, leerbedrijf_id="100234567", **SHOP, **valid), m, days[3]),
        fact(traject.Gestart(datum=days[4]), pv, days[4]),
        fact(issued(pv, days[5]), number("VK", n), days[5]),
    ]
    return way[: tuple(Stap).index(upto) + 1]


def issued(pv: str, day: date) -> verklaring.Afgegeven:
    return verklaring.Afgegeven(
        trajectnummer=pv,
        opleider="roc-maas",
        crebo="25252",
        dossierversie="2024",
        werkprocessen=("B1-K1-W1",),
        datum=day,
        documenthash=HASH,
    )


def stopped(n: int, categorie: Categorie = Categorie.DEELNEMER) -> Entry:
    return fact(traject.Uitgevallen(datum=MONDAY, categorie=categorie), number("PV", n), LATER)


def figures(facts: Iterable[Entry], op: date = LATER, partners: Sequence[str] = ("wsp-venlo",)) -> Cijfers:
    return bereken(facts, op, partners=partners)


def test_funnel_counts_different_trajecten_that_came_so_far() -> None:
    facts = [*walk(0, Stap.AFGEROND), *walk(1, Stap.AANGEMELD)]
    facts += [entry for n in range(2, 8) for entry in walk(n, Stap.AFGEROND)]
    facts += [entry for n in range(8, 13) for entry in walk(n, Stap.GEMATCHT)]
    facts += walk(0, Stap.AFGEROND)  # the same again
    assert figures(facts).trechter == {
        Stap.AANGEMELD: 13,
        Stap.GESCHIKT: 12,
        Stap.GEMATCHT: 12,
        Stap.ERKEND: 7,
        Stap.GESTART: 7,
        Stap.AFGEROND: 7,
    }


def test_figures_are_as_of_the_end_of_a_day_in_the_netherlands() -> None:
    facts = [entry for n in range(5) for entry in walk(n, Stap.AFGEROND)]
    late = datetime(2026, 11, 2, 23, 30, tzinfo=UTC)  # in Venlo it is the third by then
    facts += [
        Entry(**{name: getattr(registered(n), name) for name in FIELDS} | {"time": late}) for n in range(5, 10)
    ]
    assert figures(facts, MONDAY).trechter[Stap.AANGEMELD] == 5
    assert figures(facts, MONDAY + timedelta(days=1)).trechter[Stap.AANGEMELD] == 10
    assert figures(facts, MONDAY + timedelta(days=3)).trechter[Stap.AFGEROND] == KLEIN
    assert figures(facts, MONDAY - timedelta(days=1)).trechter[Stap.AANGEMELD] == KLEIN


FIELDS = ("position", "time", "type", "subject", "actor", "trace_id", "data")


def test_withdrawn_verklaring_counts_no_more_and_a_new_one_does() -> None:
    facts = [entry for n in range(5) for entry in walk(n, Stap.AFGEROND)]
    withdrawn = verklaring.Ingetrokken(
        trajectnummer=number("PV", 0), datum=LATER, redencode=verklaring.VerklaringIntrekreden.CORRECTIE
    )
    facts.append(fact(withdrawn, number("VK", 0), LATER))
    assert figures(facts).trechter[Stap.AFGEROND] == KLEIN
    facts.append(fact(issued(number("PV", 0), LATER), number("VK", 99), LATER))
    assert figures(facts).trechter[Stap.AFGEROND] == 5


def test_reopened_traject_has_not_ended() -> None:
    facts = [entry for n in range(6) for entry in [*walk(n, Stap.GESTART), stopped(n)]]
    assert figures(facts).einde[Einde.UITGEVALLEN] == 6
    for n in range(2):
        facts.append(fact(traject.Heropend(redencode=traject.Heropenreden.NIEUWE_KANS), number("PV", n), LATER))
    assert figures(facts).einde[Einde.UITGEVALLEN] == KLEIN


def test_durations_are_working_days_and_hidden_below_five() -> None:
    facts = [entry for n in range(4) for entry in walk(n, Stap.GESCHIKT, step=1)]
    assert figures(facts).doorlooptijden[Duur.INTAKE].mediaan is None
    facts += walk(4, Stap.GESCHIKT, step=7) + walk(5, Stap.GESCHIKT, step=2)
    intake = figures(facts).doorlooptijden[Duur.INTAKE]
    assert (intake.mediaan, intake.p90) == (1, 5)  # 1 1 1 1 2 5
    assert figures(facts).doorlooptijden[Duur.GEHEEL].p90 is None


def test_small_group_cannot_be_told_from_the_rest() -> None:
    facts = [entry for n in range(20) for entry in walk(n, Stap.AFGEROND)]
    facts += [entry for n in range(20, 23) for entry in walk(n, Stap.AFGEROND, werkstatus=Werkstatus.WERKZOEKENDE)]
    found = figures(facts)
    assert found.trechter[Stap.AFGEROND] == 23
    assert found.werkstatus[Werkstatus.WERKZOEKENDE].afgerond == KLEIN
    assert found.werkstatus[Werkstatus.WERKENDE].afgerond == AFGESCHERMD


def test_late_partners_are_counted_a_step_once_and_not_by_a_hint() -> None:
    def late(n: int, niveau: termijn.Niveau, partner: str = "coach-kompas") -> Entry:
        data = termijn.Overschreden(
            stroom=number("PV", n), stap=termijn.Stap.INTAKE, partner=partner, uiterlijk=MONDAY, niveau=niveau
        )
        return fact(data, number("TM", n))

    facts = [late(n, termijn.Niveau.VERLOPEN) for n in range(6)]
    facts += [late(n, termijn.Niveau.COORDINATIE) for n in range(6)]
    facts += [late(n, termijn.Niveau.HINT) for n in range(6, 20)] + [late(30, termijn.Niveau.VERLOPEN, "sbb")]
    assert figures(facts).te_laat == {"coach-kompas": 6, "sbb": KLEIN}


def test_refusals_rematches_and_what_came_after() -> None:
    facts = [entry for n in range(7) for entry in [*walk(n, Stap.GESTART), stopped(n)]]
    for n in range(7):
        pv = number("PV", n)
        gone = match.Vervallen(trajectnummer=pv, categorie=Categorie.WERKGEVER)
        again = match.HerplaatsingGestart(trajectnummer=pv, vorige_match=number("M", n), **SHOP)
        work = traject.NazorgGeregistreerd(
            moment=traject.NazorgMoment.NA_3_MAANDEN, uitkomst=traject.NazorgUitkomst.BAAN
        )
        refused = erkenning.Geweigerd(datum=MONDAY, redencode=erkenning.Weigerreden.OVERIG)
        asked = erkenning.Aangevraagd(**SHOP, dagtekening=MONDAY, uiterlijk=LATER)
        facts += [fact(gone, number("M", n)), fact(again, number("M", 100 + n)), fact(work, pv, LATER)]
        facts += [fact(asked, number("ER", n)), fact(refused, number("ER", n), MONDAY + timedelta(days=14))]
    found = figures(facts)
    assert (found.herplaatsing, found.match_vervallen, found.erkenning_geweigerd) == (7, 7, 7)
    assert found.match_afgewezen == found.erkenning_ingetrokken == KLEIN
    assert found.uitval[Categorie.DEELNEMER] == 7
    assert found.nazorg[traject.NazorgMoment.NA_3_MAANDEN][traject.NazorgUitkomst.BAAN] == 7
    assert found.doorlooptijden[Duur.BESLUIT_SBB].mediaan == 10


def test_money_of_a_source_is_not_hidden() -> None:
    pv, order, bill = number("PV", 1), number("OP", 1), "RM-000001"

    def stand(reserved: int, spent: int) -> besteding.Stand:
        return besteding.Stand(vastgesteld_cent=10_000, gereserveerd_cent=reserved, besteed_cent=spent)

    ready = factuur.Klaargezet(
        trajectnummer=pv,
        opdrachtnummer=order,
        opleider="roc-maas",
        bedrag_cent=400,
        profiel=factuur.Profiel.NLCIUS,
    )
    paid = betaling.Bevestigd(trajectnummer=pv, factuurnummer=bill, kenmerk="RF18539007547034", datum=MONDAY)
    order_given = opdracht.Verstrekt(trajectnummer=pv, opleider="roc-maas", bedrag_cent=400, bron="POW")
    credited = factuur.Gecrediteerd(
        trajectnummer=pv, opdrachtnummer=order, opleider="roc-maas", vorig_factuurnummer=bill, bedrag_cent=400
    )
    facts = [
        fact(budget.Vastgesteld(bedrag_cent=10_000, van=MONDAY, tot=LATER), "POW"),
        fact(besteding.Gereserveerd(bedrag_cent=1_000, stand=stand(1_000, 0)), "POW"),
        fact(order_given, order),
        fact(ready, bill),
        fact(paid, number("BT", 1)),
        fact(besteding.Besteed(bedrag_cent=400, stand=stand(600, 400)), "POW"),
    ]
    expected = Geld(
        vastgesteld_cent=10_000,
        beschikbaar_cent=9_000,
        gereserveerd_cent=600,
        gefactureerd_cent=400,
        betaald_cent=400,
        prognose_cent=1_000,
    )
    assert figures(facts).budget == {"POW": expected}
    facts.append(fact(credited, "RM-000002"))
    assert figures(facts).budget["POW"].gefactureerd_cent == 0


Make = Callable[[int], Entry]
EVENTS: tuple[Make, ...] = (
    *(lambda n, place=place: walk(n, Stap.AFGEROND)[place] for place in range(6)),
    lambda n: stopped(n, Categorie.OVERIG),
    lambda n: fact(traject.Heropend(redencode=traject.Heropenreden.CORRECTIE), number("PV", n)),
    lambda n: fact(traject.Teruggetrokken(datum=MONDAY, categorie=Categorie.OVERIG), number("PV", n)),
    lambda n: fact(
        traject.IntakeAfgerond(uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=traject.Verwijzing.RMC),
        number("PV", n),
    ),
)
ANY_FACTS = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 11)), max_size=120)


@given(events=ANY_FACTS)
def test_whatever_happened_the_funnel_never_widens_and_nothing_small_is_shown(
    events: list[tuple[Make, int]],
) -> None:
    found = figures([make(n) for make, n in events])
    shown = [count for count in found.trechter.values() if isinstance(count, int)]
    assert all(later <= earlier for earlier, later in pairwise(shown))
    hidden = [place for place, count in enumerate(found.trechter.values()) if count == KLEIN]
    assert hidden == list(range(6 - len(hidden), 6))
    for onderdeel, _, naam, value in regels(found):
        if onderdeel not in ("doel", "budget", "doorlooptijden"):
            assert value in (KLEIN, AFGESCHERMD) or (isinstance(value, int) and value >= 5), (onderdeel, naam)
    for groups in (found.werkstatus, found.sector, found.toegangspartner):
        members = [(group.afgerond, group.uitgevallen, group.anders) for group in groups.values()]
        for column, total in zip(zip(*members, strict=True), found.samen, strict=True):
            counts = [count for count in column if isinstance(count, int)]
            if isinstance(total[1], int):
                assert sum(counts) <= total[1]


@given(facts=ANY_FACTS, day=st.integers(0, 6))
def test_funnel_only_grows_with_time(facts: list[tuple[Make, int]], day: int) -> None:
    entries = [make(n) for make, n in facts]
    before, after = (figures(entries, MONDAY + timedelta(days=n)).trechter for n in (day, day + 1))
    for stap in Stap:
        if isinstance(before[stap], int) and isinstance(after[stap], int):
            assert int(before[stap]) <= int(after[stap])


def test_spreadsheet_opens_and_holds_no_formula() -> None:
    facts = [entry for n in range(6) for entry in walk(n, Stap.AFGEROND)]
    facts.append(fact(budget.Vastgesteld(bedrag_cent=10_000, van=MONDAY, tot=LATER), "POW"))
    strange = {"=cmd|'/c calc'!A1": 6, '+a,"b"\nc': 6, "@a": 6}  # the model refuses these; so does the sheet
    found = figures(facts).model_copy(update={"te_laat": strange})
    written = spreadsheet(found)
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert rows[0] == ["op", "onderdeel", "groep", "naam", "waarde"]
    assert {len(row) for row in rows} == {5}
    assert written.endswith("\r\n")
    assert [LATER.isoformat(), "trechter", "", "afgerond", "6"] in rows
    assert [LATER.isoformat(), "budget", "POW", "beschikbaar_cent", "10000"] in rows
    assert not [cell for row in rows for cell in row if cell[:1] in "=+@\t\r" and cell]
    assert {row[3] for row in rows if row[1] == "te_laat"} == {f"'{name}" for name in strange}


def test_figures_for_programs_follow_their_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    found = json.loads(figures([entry for n in range(9) for entry in walk(n, Stap.AFGEROND)]).model_dump_json())
    jsonschema.validate(found, Cijfers.model_json_schema())
    assert found["trechter"]["afgerond"] == 9
    assert Cijfers.model_validate(found).op == LATER
