"""What the mails look like: neutral, in Dutch, readable, in two parts, the same each time."""

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import date, timedelta
from email.message import EmailMessage
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError

from contracts import traject
from contracts.fields import Categorie
from services.chassis.messages import Effect
from services.notify.mails import Composer, Mail, Soort
from tests.desk import NOW, REGISTRY
from tests.unit.notify.given import (
    BEGIN,
    WSP,
    a_matched_traject,
    a_number,
    a_request,
    at_notify,
    everything,
    lapse,
    step_to,
)

FROM = "Praktijkbus <geen-antwoord@praktijkbus.example>"
PORTAL = "https://portaal.praktijkbus.example"
TO = "postvak@partner.example"
composer = Composer(FROM, PORTAL)

SUBJECTS = {
    Soort.AANGEMELD: "We hebben uw aanmelding",
    Soort.ZOEK_WERKPLEK: "Zoek een werkplek",
    Soort.CONTROLEER_LEERBEDRIJF: "Controleer een leerbedrijf",
    Soort.BEDRIJF_KAN_NIET: "Dit bedrijf kan nu niet",
    Soort.HANDTEKENING: "Uw handtekening is nodig",
    Soort.HANDTEKENING_WERKGEVER: "Uw handtekening is nodig",
    Soort.BEGONNEN: "Het traject is begonnen",
    Soort.ACTIE_NODIG: "Er is actie nodig",
    Soort.GOED_NIEUWS: "Goed nieuws",
    Soort.MOGELIJK_DUBBEL: "Controleer een aanmelding",
    Soort.FACTUUR_AANPASSEN: "Pas uw factuur aan",
    Soort.FACTUUR_BETAALD: "Uw factuur is betaald",
    Soort.TERMIJN_NADERT: "Wij wachten op uw antwoord",
    Soort.HERINNERING: "Herinnering: wij wachten op uw antwoord",
    Soort.ANTWOORD_BLIJFT_UIT: "Een antwoord blijft uit",
    Soort.ANTWOORD_BLIJFT_LANG_UIT: "Een antwoord blijft lang uit",
}


def _one_of_each() -> dict[Soort, Effect]:
    desk = at_notify()
    for data, subject in everything(desk):
        desk.hear(data, subject=subject)
    late = at_notify()
    late.hear(a_request(), subject=a_number("ER"))
    step_to(late, date(2026, 12, 1))
    return {Mail.of(effect).soort: effect for effect in [*desk.effects, *late.effects]}


EFFECTS = _one_of_each()
each = pytest.mark.parametrize("soort", list(Soort))


def sent(effect: Effect) -> EmailMessage:
    """The mail as its reader gets it: through bytes and back."""
    content = composer.compose(effect, TO, NOW).as_bytes()
    return email.message_from_bytes(content, policy=email.policy.default)


def text_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content


def html_of(soort: Soort) -> ElementTree.Element:
    """Its HTML, which is XML too."""
    return ElementTree.fromstring(text_of(sent(EFFECTS[soort]), "html"))


def visible(soort: Soort) -> tuple[str, str]:
    """What a person reads in the text and in the HTML part, spaces evened out."""
    rich = html_of(soort).find("body")
    assert rich is not None
    plain = text_of(sent(EFFECTS[soort]), "plain")
    return " ".join(plain.split()), " ".join(" ".join(rich.itertext()).split())


def link_of(soort: Soort) -> str:
    (link,) = html_of(soort).iter("a")
    return link.attrib["href"]


def test_every_mail_is_sent_by_some_fact_or_the_lack_of_one() -> None:
    assert set(EFFECTS) == set(Soort) == set(SUBJECTS)


@each
def test_headers_say_what_it_is_and_no_more(soort: Soort) -> None:
    mail = sent(EFFECTS[soort])
    assert mail["Subject"] == SUBJECTS[soort]
    assert (mail["From"], mail["To"]) == (FROM, TO)
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "nl"
    assert re.fullmatch(r"<[0-9a-f-]{36}@praktijkbus\.example>", mail["Message-ID"])
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language"),
        *("MIME-Version", "Content-Type"),
    }


@each
def test_text_and_html_are_alternatives_and_nothing_is_attached(soort: Soort) -> None:
    mail = sent(EFFECTS[soort])
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert not mail.defects
    assert all(len(line) <= 998 for line in composer.compose(EFFECTS[soort], TO, NOW).as_bytes().split(b"\r\n"))


@each
def test_both_parts_give_the_number_and_the_same_link_behind_a_login(soort: Soort) -> None:
    nummer = Mail.of(EFFECTS[soort]).nummer
    plain, rich = visible(soort)
    assert nummer in plain
    assert nummer in rich
    assert link_of(soort) in plain.split()
    assert re.fullmatch(rf"{PORTAL}/(trajecten|erkenningen|facturen)/{nummer}", link_of(soort))


@each
def test_both_parts_say_the_same(soort: Soort) -> None:
    plain, rich = visible(soort)
    assert plain.replace(f": {link_of(soort)}", "") == rich


@each
def test_html_is_dutch_and_loads_nothing(soort: Soort) -> None:
    page = html_of(soort)
    assert page.attrib["lang"] == "nl"
    assert page.findtext("head/title") == SUBJECTS[soort]
    assert {element.tag for element in page.iter()} <= {
        *("html", "head", "meta", "title", "body", "div", "h1", "p", "strong", "br", "a"),
    }
    assert "url(" not in text_of(sent(EFFECTS[soort]), "html")


@each
def test_no_mail_names_a_partner_a_place_or_an_address(soort: Soort) -> None:
    said = "\n".join([SUBJECTS[soort], *visible(soort)])
    names = [p.naam for p in REGISTRY.partners if p.naam != "SBB"]
    for secret in [*names, *(p.id for p in REGISTRY.partners if "-" in p.id), "SBB", "@", "51000001"]:
        assert secret not in said, secret


@pytest.mark.parametrize("fact", [traject.Onderbroken, traject.Uitgevallen])
def test_the_reason_makes_no_difference_to_what_is_sent(
    fact: type[traject.Onderbroken] | type[traject.Uitgevallen],
) -> None:
    desk = at_notify()
    nummer, _ = a_matched_traject(desk)
    for categorie in Categorie:
        desk.hear(fact(datum=BEGIN, categorie=categorie), subject=nummer)
    said = {composer.parts(Mail.of(effect)) for effect in desk.effects}
    assert len(said) == 1


def test_a_refusal_says_nothing_of_recognition() -> None:
    desk = at_notify()
    nummer, matchnummer = a_matched_traject(desk)
    desk.hear(lapse(nummer, Categorie.ERKENNING), subject=matchnummer)
    assert not any("erken" in part for effect in desk.effects for part in composer.parts(Mail.of(effect)))


@pytest.mark.parametrize(
    ("soort", "sentence"),
    [
        (Soort.AANGEMELD, "Een coach plant binnen 5 werkdagen een gesprek."),
        (Soort.ZOEK_WERKPLEK, "In het dossier staat wat er nodig is."),
        (Soort.CONTROLEER_LEERBEDRIJF, "leerbedrijf kan zijn voor crebo 25252?"),
        (Soort.CONTROLEER_LEERBEDRIJF, "Antwoord uiterlijk op maandag 16 november 2026."),
        (Soort.BEDRIJF_KAN_NIET, "De reden staat in het dossier."),
        (Soort.BEDRIJF_KAN_NIET, "Zoek samen een andere werkplek."),
        (Soort.HANDTEKENING, "Teken dan uiterlijk op maandag 16 november 2026."),
        (Soort.HANDTEKENING_WERKGEVER, "Zorg dat de werkgever uiterlijk op maandag 16 november 2026 tekent."),
        (Soort.BEGONNEN, "Dit traject is begonnen op maandag 23 november 2026."),
        (Soort.BEGONNEN, "Volgens de planning duurt het tot en met vrijdag 30 april 2027."),
        (Soort.ACTIE_NODIG, "Doe dat binnen 2 werkdagen, uiterlijk op woensdag 4 november 2026."),
        (Soort.GOED_NIEUWS, "Log in en bekijk uw resultaat."),
        (Soort.MOGELIJK_DUBBEL, "Controleer of het om dezelfde persoon gaat."),
        (Soort.FACTUUR_AANPASSEN, "De factuur voldoet niet aan deze regels: BR-NL-1, BR-CO-10."),
        (Soort.FACTUUR_BETAALD, "Uw factuur is betaald op donderdag 12 november 2026."),
        (Soort.FACTUUR_BETAALD, "Het betalingskenmerk is RF18539007547034."),
        (Soort.TERMIJN_NADERT, "Sinds maandag 2 november 2026 wachten wij op een besluit over deze erkenning."),
        (Soort.TERMIJN_NADERT, "U hebt nog tijd tot en met maandag 16 november 2026."),
        (Soort.HERINNERING, "Sinds maandag 2 november 2026 wachten wij op een besluit over deze erkenning."),
        (Soort.HERINNERING, "U had tijd tot en met maandag 16 november 2026. Die dag is voorbij."),
        (Soort.ANTWOORD_BLIJFT_UIT, "Neem daarna contact op met deze partner."),
        (Soort.ANTWOORD_BLIJFT_LANG_UIT, "Toch is er nog geen antwoord."),
    ],
)
def test_the_gist_of_the_mail_table_is_there(soort: Soort, sentence: str) -> None:
    assert sentence in visible(soort)[0]


def test_a_start_without_a_known_end_does_not_promise_one() -> None:
    text, _ = composer.parts(Mail.about(Soort.BEGONNEN, WSP, a_number("PV"), begin=BEGIN, eind=None))
    assert "planning" not in text
    assert "\n\n\n" not in text


@each
def test_sentences_are_short(soort: Soort) -> None:
    """B1: no sentence over 15 words, dates and numbers counted as one."""
    text, _ = composer.parts(Mail.of(EFFECTS[soort]))
    text = re.sub(r"[a-z]+dag \d+ [a-z]+ \d{4}", "datum", text)
    for sentence in re.split(r"[.?:]\s|\n\n", text):
        assert len(sentence.split()) <= 15, sentence


def test_a_second_attempt_repeats_all_but_the_date() -> None:
    effect = EFFECTS[Soort.BEGONNEN]
    first, second = (composer.compose(effect, TO, NOW + timedelta(hours=h)) for h in (0, 1))
    assert first["Message-ID"] == second["Message-ID"]
    del first["Date"], second["Date"]
    assert first.as_bytes() == second.as_bytes()


def test_message_ids_stay_the_same_between_versions() -> None:
    effect = Mail.about(Soort.AANGEMELD, WSP, "PV-7K3F9-QX2ME").effect("0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21")
    assert effect.key == "mail/aangemeld/0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21/wsp-venlo"
    assert sent(effect)["Message-ID"] == "<fd8a65fe-3d07-5fa1-87ae-5ee35343f629@praktijkbus.example>"


def test_every_mail_has_a_message_id_of_its_own() -> None:
    ids = {sent(effect)["Message-ID"] for effect in EFFECTS.values()}
    assert len(ids) == len(EFFECTS)


@pytest.mark.parametrize("contact", ["a,b@partner.example", "o'brien+x@partner.example"])
def test_a_contact_with_odd_characters_is_one_recipient(contact: str) -> None:
    content = composer.compose(EFFECTS[Soort.AANGEMELD], contact, NOW).as_bytes()
    (to,) = email.message_from_bytes(content, policy=email.policy.default)["To"].addresses
    assert (to.username, to.domain) == tuple(contact.split("@"))


def test_what_a_template_is_given_cannot_become_markup() -> None:
    mail = Mail.about(Soort.FACTUUR_AANPASSEN, WSP, "RM-000001", regelcodes="<b>BR</b>")
    _, html = composer.parts(mail)
    assert "&lt;b&gt;BR&lt;/b&gt;" in html


def test_a_template_that_lacks_a_fact_fails_rather_than_leave_a_gap() -> None:
    with pytest.raises(UndefinedError, match="regelcodes"):
        composer.parts(Mail.about(Soort.FACTUUR_AANPASSEN, WSP, "RM-000001"))


@pytest.mark.parametrize("mail_from", ["", "Praktijkbus", "Praktijkbus <>"])
def test_a_sender_without_an_address_is_refused_at_the_start(mail_from: str) -> None:
    with pytest.raises(ValueError, match="mail_from"):
        Composer(mail_from, PORTAL)


# Contrast (WCAG 2.1, 1.4.3)


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colours(element: ElementTree.Element, text: str, ground: str) -> Iterator[tuple[str, str]]:
    """Text colour and background of every element with text in it, as they are inherited."""
    style = dict(re.findall(r"(?:^|;)\s*(color|background-color):\s*(#[0-9a-f]{6})", element.get("style", "")))
    text, ground = style.get("color", text), style.get("background-color", ground)
    if (element.text or "").strip():
        yield text, ground
    for child in element:
        yield from colours(child, text, ground)


def test_the_contrast_formula_gives_the_known_extremes() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@each
def test_all_text_stands_out_from_its_background(soort: Soort) -> None:
    body = html_of(soort).find("body")
    assert body is not None
    used = set(colours(body, "#000000", "#ffffff"))
    assert len(used) >= 4
    for text, ground in used:
        assert contrast(text, ground) >= 4.5, (text, ground)
