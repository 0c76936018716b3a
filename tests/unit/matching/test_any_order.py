"""Whatever the order of events: one active match a traject, one open request a place, nobody forgotten."""

from datetime import date
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from contracts import erkenning, match
from contracts.model import Data
from services.chassis.messages import Fact, Verdict
from services.matching.erkenning import Erkenning
from services.matching.match import Match, Status
from tests.unit.matching import given as g

PLACES = st.sampled_from([g.BAKERY_AT, g.GREENPORT_AT])


class AnyOrder(RuleBasedStateMachine):
    trajecten: Bundle[str] = Bundle("trajecten")
    matches: Bundle[str] = Bundle("matches")

    def __init__(self) -> None:
        super().__init__()
        self.desk = g.at_matching()
        self.all_matches: list[str] = []
        self.open_requests: dict[str, str] = {}
        """By place, as a reader of the erkenning stream counts them."""

    @initialize(target=matches, at=PLACES, answered=st.booleans())
    def a_match_is_under_way(self, at: str, answered: bool) -> str:
        self.all_matches.append(g.proposed(self.desk, g.a_fit_traject(self.desk), at))
        self._try(partial(g.confirm, self.desk, self.all_matches[0], g.EMPLOYER_AT[at]))
        if answered:
            self._sbb_answers(at, g.grant)
        return self.all_matches[0]

    @rule(target=trajecten)
    def a_traject_is_found_fit(self) -> str:
        return g.a_fit_traject(self.desk)

    @rule(target=matches, trajectnummer=trajecten, at=PLACES)
    def wsp_proposes(self, trajectnummer: str, at: str) -> str:
        facts = self._try(
            lambda: self.desk.submit(match.Voorgesteld, g.a_proposal(trajectnummer, at), partner=g.WSP)
        )
        self.all_matches += [fact.subject for fact in facts]
        return facts[0].subject if facts else "refused"

    @rule(matchnummer=matches)
    def employer_confirms(self, matchnummer: str) -> None:
        if matchnummer != "refused":
            employer = g.EMPLOYER_AT[self.desk.state(Match, matchnummer).vestigingsnummer]
            self._try(lambda: g.confirm(self.desk, matchnummer, employer))

    @rule(matchnummer=matches)
    def wsp_lets_lapse(self, matchnummer: str) -> None:
        if matchnummer != "refused":
            self._try(lambda: g.let_lapse(self.desk, matchnummer))

    @rule(at=PLACES, vanaf=st.sampled_from([g.TODAY, date(2026, 12, 1)]))
    def sbb_grants(self, at: str, vanaf: date) -> None:
        self._sbb_answers(at, partial(g.grant, vanaf=vanaf))

    @rule(at=PLACES)
    def sbb_refuses(self, at: str) -> None:
        self._sbb_answers(at, g.refuse)

    @rule(at=PLACES)
    def sbb_withdraws(self, at: str) -> None:
        self._sbb_answers(at, g.withdraw)

    def _sbb_answers(self, at: str, answer: Any) -> None:
        for known in self.desk.work.find(Erkenning, "plaats", f"{at}/{g.HORECA}"):
            self._try(partial(answer, self.desk, known.nummer))

    @rule(trajectnummer=consumes(trajecten))
    def participant_drops_out(self, trajectnummer: str) -> None:
        g.dropped_out(self.desk, trajectnummer)

    @invariant()
    def a_traject_has_one_active_match_at_most(self) -> None:
        active = [found.trajectnummer for found in self._matches() if found.actief]
        assert len(active) == len(set(active))

    @invariant()
    def a_waiting_match_has_an_open_request_and_a_recognised_one_a_recognition(self) -> None:
        for found in self._matches():
            if found.actief:
                (place,) = self.desk.work.find(Erkenning, "plaats", found.plaats)
                valid = place.geldend_besluit(g.TODAY) is not None
                assert place.aangevraagd if found.status is Status.BEVESTIGD else valid

    def _matches(self) -> list[Match]:
        return [self.desk.state(Match, nummer) for nummer in self.all_matches]

    def _try(self, submit: Any) -> list[Fact[Data]]:
        try:
            facts: list[Fact[Data]] = submit()
        except Verdict:
            return []
        for fact in facts:
            if isinstance(fact.data, erkenning.Aangevraagd):
                place = f"{fact.data.vestigingsnummer}/{fact.data.crebo}"
                assert place not in self.open_requests, "a second request for the same place"
                self.open_requests[place] = fact.subject
            elif fact.type.entity == "erkenning":
                self.open_requests = {p: er for p, er in self.open_requests.items() if er != fact.subject}
        return facts


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
