"""Whatever happens when, and in whichever order it is heard: no level early, twice or after the answer."""

from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts import erkenning, traject, verklaring
from contracts.fields import Categorie, Rol
from contracts.model import Data
from contracts.termijn import Niveau, Overschreden
from contracts.traject import PokPartij
from services.chassis.calendar import AMSTERDAM, WorkingDays
from services.chassis.messages import Fact
from services.notify.mails import Mail, Soort
from services.notify.termijn import Termijnen, Vraag
from tests.desk import Desk
from tests.unit.notify import given as g

SBB_LADDER: Final = {8: Niveau.HINT, 11: Niveau.VERLOPEN, 16: Niveau.COORDINATIE, 21: Niveau.MANAGER}
"""By the how-manieth working day after the dagtekening, at eight."""
STARTS = st.dates(date(2026, 3, 20), date(2027, 4, 1))
EXTRA = st.frozensets(st.dates(date(2026, 4, 1), date(2027, 6, 1)), max_size=12)


class Ladder(RuleBasedStateMachine):
    """Requests, answers, hours and days that pass, standstills, second looks: against a count by hand."""

    nummer: str
    desk: Desk
    working_days: WorkingDays
    dagtekening: date | None
    told: list[Niveau]

    @initialize(start=STARTS, extra=EXTRA)
    def begin(self, start: date, extra: frozenset[date]) -> None:
        self.working_days = WorkingDays(extra)
        now = datetime.combine(start, time(7, 30), AMSTERDAM)
        self.desk = g.at_notify(now=now, working_days=self.working_days)
        self.nummer = g.a_number("ER")
        self.dagtekening = None
        self.told = []

    @precondition(lambda self: self.dagtekening is None)
    @rule(days_ago=st.integers(0, 3))
    def sbb_is_asked(self, days_ago: int) -> None:
        self.dagtekening = self.desk.calendar.today() - timedelta(days=days_ago)
        self.told = []
        self.desk.hear(g.a_request(self.dagtekening), subject=self.nummer)

    @precondition(lambda self: self.dagtekening is not None)
    @rule(granted=st.booleans())
    def sbb_answers(self, granted: bool) -> None:
        today = self.desk.calendar.today()
        answer: Data = erkenning.Geweigerd(datum=today, redencode=erkenning.Weigerreden.OVERIG)
        if granted:
            answer = erkenning.Verleend(leerbedrijf_id="100234567", geldig_vanaf=today, geldig_tot=today)
        self.desk.hear(answer, subject=self.nummer)
        self.dagtekening = None

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.desk.calendar.set(self.desk.calendar.now() + timedelta(hours=hours))
        self._look()

    @rule(days=st.integers(1, 40))
    def the_service_stands_still(self, days: int) -> None:
        self.desk.calendar.set(self.desk.calendar.now() + timedelta(days=days))
        self._look()

    @precondition(lambda self: self.desk.work.get(Termijnen, self.nummer) is not None)
    @rule()
    def another_instance_looks(self) -> None:
        assert self.desk.look_again(Termijnen, self.nummer) == []

    @invariant()
    def what_was_told_is_what_a_count_by_hand_gives(self) -> None:
        if not hasattr(self, "desk") or self.dagtekening is None:
            return
        self._look()
        assert self.told == self._expected(self.dagtekening)

    def _look(self) -> None:
        for fact in self.desk.fall_due():
            assert self.dagtekening is not None, "told after the answer"
            assert isinstance(fact.data, Overschreden)
            self.told.append(fact.data.niveau)

    def _expected(self, dagtekening: date) -> list[Niveau]:
        now = self.desk.calendar.now().astimezone(AMSTERDAM)
        passed, day, expected = 0, dagtekening, []
        while day < now.date():
            day += timedelta(days=1)
            if self.working_days.is_working_day(day):
                passed += 1
                if passed in SBB_LADDER and (day < now.date() or now.time() >= time(8)):
                    expected.append(SBB_LADDER[passed])
        return expected

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            reminders = [Mail.of(effect) for effect in self.desk.effects]
            keys = [effect.key for effect in self.desk.effects]
            assert len(keys) == len(set(keys))
            assert all(mail.nummer == self.nummer for mail in reminders)


TestLadder = Ladder.TestCase
TestLadder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

PV, M1, M2, VK = (g.a_number(prefix) for prefix in ("PV", "M", "M", "VK"))
WHOLE = tuple(PokPartij)
CATEGORIE = Categorie.WERKGEVER


def _signed(*partijen: PokPartij) -> traject.PokOndertekend:
    signatures = tuple(traject.Handtekening(partij=partij, datum=g.BEGIN) for partij in partijen)
    return traject.PokOndertekend(pok_id=g.a_pok().pok_id, handtekeningen=signatures)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Data]]:
    """A traject as it happened: facts with the stream they are of, in the order in which they were recorded."""
    story: list[tuple[str, Data]] = [(PV, g.registration())]
    if draw(st.booleans()):
        story.append((PV, traject.BetrokkeneToegewezen(rol=Rol.COACH, partner=g.COACH)))
    for rol, partner in ((Rol.WSP, g.WSP), (Rol.OPLEIDER, g.SCHOOL)):
        story.append((PV, traject.BetrokkeneToegewezen(rol=rol, partner=partner)))
    story.append((PV, traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)))
    for stream, at in ((M1, g.BAKERY_AT), (M2, g.SHOP_AT)):
        story.append((stream, g.confirmation(PV, at)))
        if not draw(st.booleans()):
            story.append((stream, g.lapse(PV, CATEGORIE)))
            if draw(st.booleans()):  # intake had not heard that it lapsed
                story.append((PV, g.a_pok()))
            continue
        story.append((PV, g.a_pok()))
        signers = draw(st.sampled_from([(), (PokPartij.OPLEIDER,), WHOLE]))
        if signers:
            story.append((PV, _signed(*signers)))
        if signers == WHOLE:
            story.append((PV, traject.Gestart(datum=g.BEGIN)))
            if draw(st.booleans()):
                story.append((VK, _verklaring()))
                return story
        if draw(st.booleans()):
            return story
        story.append((stream, g.lapse(PV, CATEGORIE)))
        if signers == WHOLE:
            story.append((PV, traject.Onderbroken(datum=g.BEGIN, categorie=CATEGORIE)))
    if draw(st.booleans()):
        story.append((PV, traject.Teruggetrokken(datum=g.BEGIN, categorie=CATEGORIE)))
    return story


def _verklaring() -> verklaring.Afgegeven:
    return verklaring.Afgegeven(
        trajectnummer=PV,
        opleider=g.SCHOOL,
        crebo="25252",
        dossierversie="2024",
        werkprocessen=("B1-K1-W1",),
        datum=g.BEGIN,
        documenthash="sha256:" + "0" * 64,
    )


def _recorded(story: list[tuple[str, Data]]) -> list[Fact[Data]]:
    """The story as facts, each recorded a minute after the one before."""
    facts = [g.a_fact(data, subject) for subject, data in story]
    return [replace(fact, recorded=fact.recorded + timedelta(minutes=minute)) for minute, fact in enumerate(facts)]


def _open(facts: list[Fact[Data]]) -> set[Vraag]:
    """What is waited for once these were heard, in that order; what cannot be yet holds back its stream."""
    desk = g.at_notify()
    waiting = list(facts)
    while waiting:
        left: list[Fact[Data]] = []
        for fact in waiting:
            try:
                if all(earlier.subject != fact.subject for earlier in left):
                    desk.take_in(fact)
                    continue
            except LookupError:
                pass
            left.append(fact)
        assert len(left) < len(waiting), "nothing gets any further"
        waiting = left
    stand = desk.state(Termijnen, PV)
    assert len({termijn.nummer for termijn in stand.lopend}) == len(stand.lopend)
    return {termijn.vraag for termijn in stand.lopend}


@given(story=histories(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_waited_for_does_not_depend_on_the_order_in_which_streams_are_heard(
    story: list[tuple[str, Data]], data: st.DataObject
) -> None:
    facts = _recorded(story)
    streams: dict[str, list[Fact[Data]]] = defaultdict(list)
    for fact in facts:
        streams[fact.subject].append(fact)
    heard = []
    while streams:
        subject = data.draw(st.sampled_from(sorted(streams)))
        heard.append(streams[subject].pop(0))
        if not streams[subject]:
            del streams[subject]
    assert _open(heard) == _open(facts)


@given(start=STARTS, extra=EXTRA, hops=st.lists(st.integers(1, 12), min_size=5, max_size=20))
@settings(max_examples=60, deadline=None)
def test_reminders_of_a_step_are_five_working_days_apart(
    start: date, extra: frozenset[date], hops: list[int]
) -> None:
    """Also where the service stands still for days and is behind."""
    rules = WorkingDays(extra)
    desk = g.at_notify(now=datetime.combine(start, time(12), AMSTERDAM), working_days=rules)
    desk.hear(g.a_request(start), subject=g.a_number("ER"))
    reminded = []
    for hop in hops:
        desk.calendar.set(desk.calendar.now() + timedelta(days=hop))
        desk.fall_due()
        reminded += [
            desk.calendar.today() for effect in desk.effects if Mail.of(effect).soort is Soort.HERINNERING
        ]
        desk.effects.clear()
    apart = [rules.working_days_between(one, other) for one, other in pairwise(reminded)]
    assert all(days >= 5 for days in apart)
