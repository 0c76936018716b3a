"""Terms: exact in Dutch working days, told level by level, each once, to the late partner, until the answer."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts import erkenning, factuur, traject, verklaring
from contracts.fields import Categorie, PartnerId, Rol
from contracts.model import Data
from contracts.partners import MANAGER
from contracts.termijn import Niveau, Overschreden, Stap
from contracts.traject import PokPartij
from services.chassis.calendar import WorkingDays
from services.chassis.messages import Fact
from services.notify.mails import Mail, Soort
from services.notify.termijn import Overschrijding, Termijnen
from tests.desk import REGISTRY, Desk
from tests.unit.notify.given import (
    BAKERY,
    BEGIN,
    COACH,
    GREENPORT_AT,
    LOKET,
    OTHER_SCHOOL,
    SBB,
    SCHOOL,
    SHOP_AT,
    WSP,
    a_matched_traject,
    a_number,
    a_pok,
    a_request,
    an_invoice,
    assigned,
    at_notify,
    confirmation,
    lapse,
    mails,
    registered,
    step_to,
    without_mail,
)

POK_ID = a_pok().pok_id
GRANTED = erkenning.Verleend(
    leerbedrijf_id="100234567", geldig_vanaf=date(2026, 11, 2), geldig_tot=date(2030, 11, 1)
)
REFUSED = erkenning.Geweigerd(datum=date(2026, 11, 9), redencode=erkenning.Weigerreden.OVERIG)
FAR = date(2027, 3, 1)


def levels(told: list[Fact[Data]]) -> list[tuple[str, Niveau, datetime]]:
    found = [(fact.data, fact.time) for fact in told]
    return [(data.partner, data.niveau, time) for data, time in found if isinstance(data, Overschreden)]


def overdue(told: list[Fact[Data]]) -> list[tuple[Stap, PartnerId, Niveau, str]]:
    """Step, partner, level and the day in the Netherlands."""
    return [
        (fact.data.stap, fact.data.partner, fact.data.niveau, f"{fact.time:%Y-%m-%d}")
        for fact in told
        if isinstance(fact.data, Overschreden)
    ]


def ladder(dagtekening: date, working_days: WorkingDays | None = None) -> list[str]:
    """When each level about SBB is told, as UTC."""
    desk = at_notify(now=datetime.combine(dagtekening, datetime.min.time(), UTC), working_days=working_days)
    desk.hear(a_request(dagtekening), subject=a_number("ER"))
    told = levels(step_to(desk, dagtekening + timedelta(days=50)))
    assert [niveau for _, niveau, _ in told] == list(Niveau)
    return [f"{time:%m-%d %H:%M}" for _, _, time in told]


def sign(*partijen: PokPartij) -> traject.PokOndertekend:
    return traject.PokOndertekend(
        pok_id=POK_ID,
        handtekeningen=tuple(traject.Handtekening(partij=partij, datum=BEGIN) for partij in partijen),
    )


def a_fit_traject(desk: Desk, at: str | None = None) -> tuple[str, str]:
    nummer, matchnummer = a_matched_traject(desk, at) if at else a_matched_traject(desk)
    desk.hear(traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT), subject=nummer)
    desk.effects.clear()
    return nummer, matchnummer


def a_running_traject(desk: Desk) -> str:
    nummer, _ = a_fit_traject(desk)
    desk.hear(a_pok(), subject=nummer)
    desk.hear(sign(*PokPartij), subject=nummer)
    desk.hear(traject.Gestart(datum=desk.calendar.today()), subject=nummer)
    desk.effects.clear()
    return nummer


def a_verklaring(trajectnummer: str) -> verklaring.Afgegeven:
    return verklaring.Afgegeven(
        trajectnummer=trajectnummer,
        opleider=SCHOOL,
        crebo="25252",
        dossierversie="2024",
        werkprocessen=("B1-K1-W1",),
        datum=BEGIN,
        documenthash="sha256:" + "0" * 64,
    )


# The ladder of SBB


@pytest.mark.parametrize(
    ("dagtekening", "told"),
    [
        # 27 April, 5 May, Ascension Day, 15 May (royal decree) and Whit Monday are no working days
        (date(2026, 4, 22), ["05-06 06:00", "05-11 06:00", "05-20 06:00", "05-28 06:00"]),
        # summer time ends on 25 October
        (date(2026, 10, 12), ["10-22 06:00", "10-27 07:00", "11-03 07:00", "11-10 07:00"]),
        # summer time begins on 28 March, between Good Friday and Easter Monday
        (date(2027, 3, 15), ["03-25 07:00", "04-01 06:00", "04-08 06:00", "04-15 06:00"]),
        # a Saturday is no working day itself
        (date(2026, 11, 7), ["11-18 07:00", "11-23 07:00", "11-30 07:00", "12-07 07:00"]),
    ],
)
def test_ladder_is_told_at_eight_on_the_exact_working_day(dagtekening: date, told: list[str]) -> None:
    assert ladder(dagtekening) == told


def test_extra_days_of_the_operator_move_the_ladder() -> None:
    extra = WorkingDays(frozenset({date(2026, 5, 13)}))  # and 15 May is a working day then
    assert ladder(date(2026, 4, 22), extra) == ["05-06 06:00", "05-11 06:00", "05-20 06:00", "05-28 06:00"]
    none = WorkingDays(frozenset())
    assert ladder(date(2026, 4, 22), none) == ["05-06 06:00", "05-11 06:00", "05-19 06:00", "05-27 06:00"]


def test_nothing_is_told_a_second_before_eight() -> None:
    desk = at_notify()
    desk.hear(a_request(), subject=a_number("ER"))
    desk.calendar.set(datetime(2026, 11, 12, 6, 59, 59, tzinfo=UTC))
    assert desk.fall_due() == []
    desk.calendar.set(datetime(2026, 11, 12, 7, tzinfo=UTC))
    assert overdue(desk.fall_due()) == [(Stap.ERKENNING, SBB, Niveau.HINT, "2026-11-12")]


def test_each_level_is_a_fact_of_one_stream_caused_by_the_request_and_read_by_who_is_late() -> None:
    desk = at_notify()
    nummer, case = a_number("ER"), "0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e99"
    desk.hear(a_request(), subject=nummer, correlationid=case)
    told = step_to(desk, FAR)
    assert [fact.sequence for fact in told] == [1, 2, 3, 4]
    assert len({fact.subject for fact in told}) == 1
    assert {fact.actor for fact in told} == {"notify"}
    assert {fact.correlationid for fact in told} == {case}
    assert len({fact.causationid for fact in told}) == 1
    assert len({fact.traceparent for fact in told}) == len(told)
    assert {desk.readers[fact.id] for fact in told} == {frozenset({SBB, LOKET})}
    assert desk.state(Overschrijding, told[0].subject).niveaus == tuple(Niveau)
    data = told[0].data
    assert isinstance(data, Overschreden)
    assert (data.stroom, data.uiterlijk) == (nummer, date(2026, 11, 16))


def test_more_people_hear_at_each_level() -> None:
    desk = at_notify()
    desk.hear(a_request(), subject=a_number("ER"))
    mails(desk)
    told = {}
    for day in (date(2026, 11, 12), date(2026, 11, 17), date(2026, 11, 24), date(2026, 12, 1)):
        step_to(desk, day)
        told[day.isoformat()[5:]] = mails(desk)
    assert told == {
        "11-12": {Soort.TERMIJN_NADERT: {SBB}},
        "11-17": {Soort.HERINNERING: {SBB}},
        "11-24": {Soort.HERINNERING: {SBB}, Soort.ANTWOORD_BLIJFT_UIT: {LOKET}},
        "12-01": {Soort.HERINNERING: {SBB}, Soort.ANTWOORD_BLIJFT_LANG_UIT: {MANAGER}},
    }


def test_without_a_manager_coordinatie_hears_it() -> None:
    desk = at_notify(REGISTRY.model_copy(update={"manager": None}))
    desk.hear(a_request(), subject=a_number("ER"))
    step_to(desk, date(2026, 11, 30))
    desk.effects.clear()
    step_to(desk, date(2026, 12, 1))
    assert mails(desk) == {Soort.HERINNERING: {SBB}, Soort.ANTWOORD_BLIJFT_LANG_UIT: {LOKET}}


def test_who_wants_no_mail_is_told_by_message_alone() -> None:
    desk = at_notify(without_mail(SBB))
    desk.hear(a_request(), subject=a_number("ER"))
    assert len(step_to(desk, date(2026, 11, 17))) == 2
    assert mails(desk) == {}


@pytest.mark.parametrize("answer", [GRANTED, REFUSED])
@pytest.mark.parametrize("after", [date(2026, 11, 3), date(2026, 11, 12), date(2026, 11, 20)])
def test_nothing_is_told_after_the_answer(answer: Data, after: date) -> None:
    desk = at_notify()
    nummer = a_number("ER")
    desk.hear(a_request(), subject=nummer)
    step_to(desk, after)
    desk.hear(answer, subject=nummer)
    assert desk.state(Termijnen, nummer).lopend == ()
    assert step_to(desk, FAR) == []


def test_a_new_request_for_the_same_place_has_a_term_of_its_own() -> None:
    desk = at_notify()
    nummer = a_number("ER")
    desk.hear(a_request(), subject=nummer)
    first = step_to(desk, date(2026, 11, 12))
    desk.hear(GRANTED, subject=nummer)
    withdrawn = erkenning.Ingetrokken(datum=date(2026, 11, 13), redencode=erkenning.Intrekreden.OVERIG)
    desk.hear(withdrawn, subject=nummer)
    desk.hear(a_request(date(2026, 11, 12)), subject=nummer)
    second = step_to(desk, date(2026, 11, 24))
    assert [niveau for _, niveau, _ in levels(second)] == [Niveau.HINT]
    assert second[0].subject != first[0].subject
    assert second[0].sequence == 1


def test_a_second_look_finds_nothing_to_do() -> None:
    desk = at_notify()
    nummer = a_number("ER")
    desk.hear(a_request(), subject=nummer)
    assert len(step_to(desk, date(2026, 11, 17))) == 2
    assert desk.look_again(Termijnen, nummer) == []


def test_after_a_standstill_each_level_is_told_and_the_late_partner_mailed_once() -> None:
    desk = at_notify()
    desk.hear(a_request(), subject=a_number("ER"))
    mails(desk)
    desk.calendar.set(datetime(2026, 12, 7, 12, tzinfo=UTC))
    assert [niveau for _, niveau, _ in levels(desk.fall_due())] == list(Niveau)
    assert mails(desk) == {
        Soort.HERINNERING: {SBB},
        Soort.ANTWOORD_BLIJFT_UIT: {LOKET},
        Soort.ANTWOORD_BLIJFT_LANG_UIT: {MANAGER},
    }


def test_a_reminder_that_left_late_puts_off_the_next_one() -> None:
    """At most one a step in 5 working days; the level itself is told when it is due."""
    desk = at_notify()
    desk.hear(a_request(), subject=a_number("ER"))
    desk.calendar.set(datetime(2026, 11, 20, 9, tzinfo=UTC))
    desk.fall_due()
    mails(desk)
    told = step_to(desk, date(2026, 11, 24))
    assert overdue(told) == [(Stap.ERKENNING, SBB, Niveau.COORDINATIE, "2026-11-24")]
    assert mails(desk) == {Soort.ANTWOORD_BLIJFT_UIT: {LOKET}}


# The coach's first talk


def test_a_coach_has_five_working_days_from_its_assignment() -> None:
    desk = at_notify()
    nummer = registered(desk)
    assert step_to(desk, date(2026, 11, 5)) == []
    assigned(desk, nummer)
    assert overdue(step_to(desk, FAR)) == [
        (Stap.INTAKE, COACH, Niveau.VERLOPEN, "2026-11-13"),
        (Stap.INTAKE, COACH, Niveau.COORDINATIE, "2026-11-20"),
    ]


def test_without_a_coach_coordinatie_is_late_and_is_mailed_once_a_level() -> None:
    desk = at_notify()
    registered(desk)
    mails(desk)
    told = step_to(desk, date(2026, 11, 10))
    assert overdue(told) == [(Stap.INTAKE, LOKET, Niveau.VERLOPEN, "2026-11-10")]
    assert desk.readers[told[0].id] == {LOKET}
    assert mails(desk) == {Soort.HERINNERING: {LOKET}}
    step_to(desk, date(2026, 11, 17))
    assert mails(desk) == {Soort.HERINNERING: {LOKET}}


def test_who_replaces_the_coach_has_a_term_of_its_own() -> None:
    desk = at_notify()
    nummer = registered(desk)
    assigned(desk, nummer)
    step_to(desk, date(2026, 11, 9))
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.COACH, partner=WSP), subject=nummer)
    told = step_to(desk, date(2026, 11, 17))
    assert overdue(told) == [(Stap.INTAKE, WSP, Niveau.VERLOPEN, "2026-11-17")]
    assert desk.readers[told[0].id] == {WSP, LOKET}


@pytest.mark.parametrize(
    "stop",
    [
        traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT),
        traject.IntakeAfgerond(
            uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=traject.Verwijzing.LOOPBAANCENTRUM
        ),
        traject.Teruggetrokken(datum=date(2026, 11, 3), categorie=Categorie.DEELNEMER),
    ],
)
def test_the_intake_is_waited_for_until_it_is_done_or_the_traject_ends(stop: Data) -> None:
    desk = at_notify()
    nummer = registered(desk)
    assigned(desk, nummer)
    desk.hear(stop, subject=nummer)
    assert step_to(desk, FAR) == []


def test_a_reopened_traject_has_a_new_term_and_an_erased_one_none() -> None:
    desk = at_notify()
    nummer = registered(desk)
    assigned(desk, nummer)
    step_to(desk, date(2026, 11, 9))
    desk.hear(traject.Teruggetrokken(datum=date(2026, 11, 9), categorie=Categorie.DEELNEMER), subject=nummer)
    step_to(desk, date(2026, 11, 12))
    desk.hear(traject.Heropend(redencode=traject.Heropenreden.CORRECTIE), subject=nummer)
    assert overdue(step_to(desk, date(2026, 11, 20))) == [(Stap.INTAKE, COACH, Niveau.VERLOPEN, "2026-11-20")]
    desk.hear(traject.GegevensGewist(redencode=traject.Wisreden.VERZOEK), subject=nummer)
    assert step_to(desk, FAR) == []


# Signatures


def test_who_has_not_signed_is_late_the_coach_for_the_participant() -> None:
    desk = at_notify()
    nummer, _ = a_fit_traject(desk)
    desk.hear(a_pok(), subject=nummer)
    mails(desk)
    told = step_to(desk, date(2026, 11, 17))
    day = "2026-11-17"
    assert sorted(overdue(told)) == sorted(
        (Stap.HANDTEKENING, partner, Niveau.VERLOPEN, day) for partner in (COACH, SCHOOL, BAKERY)
    )
    assert [desk.readers[fact.id] for fact in told] == [
        {fact.data.partner, LOKET} for fact in told if isinstance(fact.data, Overschreden)
    ]
    assert len({fact.subject for fact in told}) == 3
    assert mails(desk) == {Soort.HERINNERING: {COACH, SCHOOL, BAKERY}}


@pytest.mark.parametrize(
    ("signed", "late"),
    [
        ([PokPartij.LEERBEDRIJF], {COACH, SCHOOL}),
        ([PokPartij.DEELNEMER, PokPartij.OPLEIDER], {BAKERY}),
        (list(PokPartij), set()),
    ],
)
def test_who_signed_is_not_late(signed: list[PokPartij], late: set[PartnerId]) -> None:
    desk = at_notify()
    nummer, _ = a_fit_traject(desk)
    desk.hear(a_pok(), subject=nummer)
    for partij in signed:
        desk.hear(sign(partij), subject=nummer)
    assert {partner for _, partner, _, _ in overdue(step_to(desk, FAR))} == late


def test_the_wsp_is_late_for_an_employer_without_a_system() -> None:
    desk = at_notify()
    nummer, _ = a_fit_traject(desk, SHOP_AT)
    desk.hear(a_pok(), subject=nummer)
    desk.hear(sign(PokPartij.DEELNEMER, PokPartij.OPLEIDER), subject=nummer)
    mails(desk)
    step_to(desk, date(2026, 11, 17))
    (effect,) = desk.effects
    assert Mail.of(effect).gegevens["rol"] == "wsp"
    assert mails(desk) == {Soort.HERINNERING: {WSP}}


def test_a_changed_pok_must_be_signed_again_within_a_new_term() -> None:
    desk = at_notify()
    nummer, _ = a_fit_traject(desk)
    desk.hear(a_pok(), subject=nummer)
    desk.hear(sign(*PokPartij), subject=nummer)
    step_to(desk, date(2026, 11, 6))
    desk.hear(traject.PokGewijzigd(**a_pok().model_dump()), subject=nummer)
    desk.hear(sign(PokPartij.DEELNEMER, PokPartij.OPLEIDER), subject=nummer)
    assert overdue(step_to(desk, date(2026, 11, 23))) == [
        (Stap.HANDTEKENING, BAKERY, Niveau.VERLOPEN, "2026-11-23")
    ]


def test_a_dissolved_pok_and_a_lapsed_match_wait_for_no_signature() -> None:
    for_dissolution, for_lapse = at_notify(), at_notify()
    nummer, _ = a_fit_traject(for_dissolution)
    for_dissolution.hear(a_pok(), subject=nummer)
    dissolved = traject.PokOntbonden(pok_id=POK_ID, datum=BEGIN, categorie=Categorie.WERKGEVER)
    for_dissolution.hear(dissolved, subject=nummer)
    assert step_to(for_dissolution, FAR) == []
    nummer, matchnummer = a_fit_traject(for_lapse)
    for_lapse.hear(a_pok(), subject=nummer)
    for_lapse.hear(lapse(nummer, Categorie.WERKGEVER), subject=matchnummer)
    assert step_to(for_lapse, FAR) == []


def test_a_pok_that_is_heard_of_after_its_match_lapsed_waits_for_nobody() -> None:
    desk = at_notify()
    nummer, matchnummer = a_fit_traject(desk)
    desk.hear(lapse(nummer, Categorie.WERKGEVER), subject=matchnummer)
    desk.hear(a_pok(), subject=nummer)
    assert desk.state(Termijnen, nummer).lopend == ()
    desk.calendar.set(desk.calendar.now() + timedelta(hours=1))
    desk.hear(confirmation(nummer, GREENPORT_AT), subject=a_number("M"))
    assert desk.state(Termijnen, nummer).lopend == ()


# Invoices


def test_an_invoice_is_judged_within_ten_working_days() -> None:
    desk = at_notify()
    an_invoice(desk)
    assert overdue(step_to(desk, FAR)) == [
        (Stap.FACTUUR, LOKET, Niveau.VERLOPEN, "2026-11-17"),
        (Stap.FACTUUR, LOKET, Niveau.COORDINATIE, "2026-11-24"),
    ]


def judged(nummer: str) -> list[tuple[Data, str]]:
    pv = a_number("PV")
    credit = factuur.Gecrediteerd(
        trajectnummer=pv,
        opdrachtnummer=a_number("OP"),
        opleider=SCHOOL,
        vorig_factuurnummer=nummer,
        bedrag_cent=1,
    )
    return [
        (factuur.Goedgekeurd(trajectnummer=pv), nummer),
        (factuur.Afgekeurd(trajectnummer=pv, regelcodes=("BR-NL-1",)), nummer),
        (credit, "RM-900000"),
    ]


@pytest.mark.parametrize("way", range(3))
def test_an_invoice_that_was_judged_or_credited_is_not_waited_for(way: int) -> None:
    desk = at_notify()
    nummer = an_invoice(desk)
    data, subject = judged(nummer)[way]
    desk.hear(data, subject=subject)
    assert step_to(desk, FAR) == []


def test_an_invoice_whose_credit_was_heard_of_first_is_not_waited_for() -> None:
    desk = at_notify()
    nummer = "RM-800001"
    data, subject = judged(nummer)[2]
    desk.hear(data, subject=subject)
    ready = factuur.Klaargezet(
        trajectnummer=a_number("PV"),
        opdrachtnummer=a_number("OP"),
        opleider=SCHOOL,
        bedrag_cent=1,
        profiel=factuur.Profiel.NLCIUS,
    )
    desk.hear(ready, subject=nummer)
    assert step_to(desk, FAR) == []


# Silence in a running traject


def test_silence_of_twenty_working_days_is_for_the_school() -> None:
    desk = at_notify()
    a_running_traject(desk)
    assert overdue(step_to(desk, date(2026, 12, 31))) == [
        (Stap.VOORTGANG, SCHOOL, Niveau.VERLOPEN, "2026-12-01"),
        (Stap.VOORTGANG, SCHOOL, Niveau.COORDINATIE, "2026-12-08"),
    ]


@pytest.mark.parametrize(
    "sign_of_life",
    [
        traject.BezoekGeregistreerd(datum=BEGIN, oordeel=traject.BezoekOordeel.VOLDOET),
        traject.WerkprocesBeoordeeld(
            werkproces="B1-K1-W1",
            beoordeling=traject.Beoordeling.BEHEERST,
            datum=BEGIN,
            leerbedrijf_id="100234567",
        ),
    ],
)
def test_a_sign_of_life_begins_the_term_anew(sign_of_life: Data) -> None:
    desk = at_notify()
    nummer = a_running_traject(desk)
    step_to(desk, date(2026, 11, 9))
    desk.hear(sign_of_life, subject=nummer)
    assert overdue(step_to(desk, date(2026, 12, 8))) == [(Stap.VOORTGANG, SCHOOL, Niveau.VERLOPEN, "2026-12-08")]


def test_an_interruption_stops_the_term_and_going_on_begins_it_anew() -> None:
    desk = at_notify()
    nummer = a_running_traject(desk)
    desk.hear(traject.Onderbroken(datum=BEGIN, categorie=Categorie.DEELNEMER), subject=nummer)
    assert step_to(desk, date(2027, 1, 4)) == []
    desk.hear(traject.Hervat(datum=date(2027, 1, 4)), subject=nummer)
    assert overdue(step_to(desk, date(2027, 2, 2))) == [(Stap.VOORTGANG, SCHOOL, Niveau.VERLOPEN, "2027-02-02")]


def test_a_verklaring_ends_the_silence_in_whichever_order_it_is_heard_of() -> None:
    before, after = at_notify(), at_notify()
    nummer, _ = a_fit_traject(before)
    before.hear(a_verklaring(nummer), subject=a_number("VK"))
    before.hear(traject.Gestart(datum=BEGIN), subject=nummer)
    assert step_to(before, FAR) == []
    nummer = a_running_traject(after)
    vk = a_number("VK")
    after.hear(a_verklaring(nummer), subject=vk)
    assert step_to(after, date(2027, 1, 4)) == []
    withdrawn = verklaring.Ingetrokken(
        trajectnummer=nummer,
        datum=date(2027, 1, 4),
        redencode=verklaring.VerklaringIntrekreden.CORRECTIE,
    )
    after.hear(withdrawn, subject=vk)
    assert overdue(step_to(after, date(2027, 2, 2))) == [(Stap.VOORTGANG, SCHOOL, Niveau.VERLOPEN, "2027-02-02")]


def test_another_school_has_a_term_of_its_own() -> None:
    desk = at_notify()
    nummer = a_running_traject(desk)
    step_to(desk, date(2026, 11, 30))
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=OTHER_SCHOOL), subject=nummer)
    assert overdue(step_to(desk, date(2026, 12, 30))) == [
        (Stap.VOORTGANG, OTHER_SCHOOL, Niveau.VERLOPEN, "2026-12-30")
    ]
