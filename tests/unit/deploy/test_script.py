"""The year of the pilot: always the same, with everything in it."""

from collections import Counter

from deploy.local.partners.mistakes import MISTAKES
from deploy.local.partners.script import INGETROKKEN, NIET_ERKEND, WERKPLEKKEN, Script, Verloop


def test_same_seed_is_the_same_year() -> None:
    assert Script(150).kandidaten == Script(150).kandidaten
    assert Script(150, seed=1).kandidaten != Script(150, seed=2).kandidaten


def test_every_story_is_told_and_most_go_as_they_should() -> None:
    told = Counter(kandidaat.verloop for kandidaat in Script(150).kandidaten)
    assert told.keys() == set(Verloop)
    assert told.total() == 150
    assert told[Verloop.GEWOON] > 30


def test_thirty_are_enough_for_every_story() -> None:
    assert {kandidaat.verloop for kandidaat in Script(30).kandidaten} == set(Verloop)


def test_quiet_year_has_no_trouble() -> None:
    script = Script(30, rustig=True)
    assert {kandidaat.verloop for kandidaat in script.kandidaten} == {Verloop.GEWOON}
    assert script.stiltes == ()


def test_more_candidates_leave_the_first_as_they_were() -> None:
    few, more = Script(3, rustig=True).kandidaten, Script(9, rustig=True).kandidaten
    assert [somebody.referentie for somebody in few] == [somebody.referentie for somebody in more[:3]]
    assert [somebody.persoon for somebody in few] == [somebody.persoon for somebody in more[:3]]


def test_double_is_somebody_who_was_there_before() -> None:
    kandidaten = Script(150).kandidaten
    for number, somebody in enumerate(kandidaten):
        if somebody.verloop is Verloop.DUBBEL:
            assert somebody.persoon == kandidaten[number - 1].persoon
            assert somebody.referentie != kandidaten[number - 1].referentie


def test_everybody_has_a_second_place_to_go_to() -> None:
    for somebody in Script(150).kandidaten:
        places = somebody.werkplekken()
        assert len(set(places)) == len(places) >= 2
        assert {place.crebo for place in places} == {somebody.crebo}


def test_places_with_a_story_are_for_those_of_the_story() -> None:
    assert NIET_ERKEND not in WERKPLEKKEN
    assert INGETROKKEN not in WERKPLEKKEN


def test_mistakes_have_names_of_their_own() -> None:
    names = [mistake.name for mistake in MISTAKES]
    assert len(set(names)) == len(names)
