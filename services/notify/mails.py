"""What the mails say: a neutral subject, what to do, the number of the dossier and a link behind a login.

No names, no employer, no reason, no attachment; the link grants nothing and follows nobody. The text of a
mail is one template of plain paragraphs, at B1 level; the text and the HTML part are both made of those.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from contracts.fields import PartnerId, is_number
from services.chassis.messages import Effect

MAIL: Final = "mail"
"""The kind of effect that a mail is."""
DEELNEMER: Final = "deelnemer"
"""Whom a mail is for that goes to the participant; no partner is called so."""


class Soort(StrEnum):
    """Each mail there is; its template is called the same."""

    AANGEMELD = "aangemeld"
    ZOEK_WERKPLEK = "zoek-werkplek"
    CONTROLEER_LEERBEDRIJF = "controleer-leerbedrijf"
    BEDRIJF_KAN_NIET = "bedrijf-kan-niet"
    HANDTEKENING = "handtekening"
    HANDTEKENING_WERKGEVER = "handtekening-werkgever"
    """To the wsp, for an employer without a system."""
    BEGONNEN = "begonnen"
    ACTIE_NODIG = "actie-nodig"
    GOED_NIEUWS = "goed-nieuws"
    MOGELIJK_DUBBEL = "mogelijk-dubbel"
    FACTUUR_AANPASSEN = "factuur-aanpassen"
    FACTUUR_BETAALD = "factuur-betaald"
    TERMIJN_NADERT = "termijn-nadert"
    HERINNERING = "herinnering"
    ANTWOORD_BLIJFT_UIT = "antwoord-blijft-uit"
    """To coordinatie."""
    ANTWOORD_BLIJFT_LANG_UIT = "antwoord-blijft-lang-uit"
    """To the manager."""


@dataclass(frozen=True, slots=True)
class _Dossier:
    """Where the portal shows it, and what it and its number are called."""

    pad: str
    nummer: str
    knop: str


_TRAJECT: Final = _Dossier("trajecten", "Trajectnummer", "Log in en bekijk het dossier")
_ERKENNING: Final = _Dossier("erkenningen", "Aanvraagnummer", "Log in en bekijk de aanvraag")
_FACTUUR: Final = _Dossier("facturen", "Factuurnummer", "Log in en bekijk de factuur")

_KOPPEN: Final[Mapping[Soort, tuple[str, _Dossier | None]]] = {
    Soort.AANGEMELD: ("We hebben uw aanmelding", _TRAJECT),
    Soort.ZOEK_WERKPLEK: ("Zoek een werkplek", _TRAJECT),
    Soort.CONTROLEER_LEERBEDRIJF: ("Controleer een leerbedrijf", _ERKENNING),
    Soort.BEDRIJF_KAN_NIET: ("Dit bedrijf kan nu niet", _TRAJECT),
    Soort.HANDTEKENING: ("Uw handtekening is nodig", _TRAJECT),
    Soort.HANDTEKENING_WERKGEVER: ("Uw handtekening is nodig", _TRAJECT),
    Soort.BEGONNEN: ("Het traject is begonnen", _TRAJECT),
    Soort.ACTIE_NODIG: ("Er is actie nodig", _TRAJECT),
    Soort.GOED_NIEUWS: ("Goed nieuws", _TRAJECT),
    Soort.MOGELIJK_DUBBEL: ("Controleer een aanmelding", _TRAJECT),
    Soort.FACTUUR_AANPASSEN: ("Pas uw factuur aan", _FACTUUR),
    Soort.FACTUUR_BETAALD: ("Uw factuur is betaald", _FACTUUR),
    Soort.TERMIJN_NADERT: ("Wij wachten op uw antwoord", None),
    Soort.HERINNERING: ("Herinnering: wij wachten op uw antwoord", None),
    Soort.ANTWOORD_BLIJFT_UIT: ("Een antwoord blijft uit", None),
    Soort.ANTWOORD_BLIJFT_LANG_UIT: ("Een antwoord blijft lang uit", None),
}
"""Subject and dossier; None: the number says which."""

_SPACE: Final = uuid.UUID("6b1f4c58-9e43-5a0c-8a35-6d5a3f0c7a11")
"""The namespace of our Message-IDs (RFC 9562 §5.5). Never change it: it tells a repeated mail."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one partner, or to the participant: which text, about which dossier, with which facts.

    Holds no address: the registry's `contact`, or what intake shows at `dataref`, is looked up when it is sent.
    """

    soort: Soort
    aan: PartnerId
    nummer: str
    gegevens: Mapping[str, str] = field(default_factory=dict)
    """What the text needs besides; dates as ISO 8601."""
    dataref: str | None = None
    """Of a mail to the participant."""

    @classmethod
    def about(cls, soort: Soort, aan: PartnerId, nummer: str, **gegevens: str | date | None) -> Self:
        """The mail; what is None is left out."""
        known = {name: str(value) for name, value in gegevens.items() if value is not None}
        return cls(soort, aan, nummer, known)

    @classmethod
    def to_participant(cls, soort: Soort, dataref: str, nummer: str, **gegevens: date) -> Self:
        return replace(cls.about(soort, DEELNEMER, nummer, **gegevens), dataref=dataref)

    @classmethod
    def of(cls, effect: Effect) -> Self:
        """The mail that `effect` asks for."""
        rest = dict(effect.payload)
        dataref = rest.pop("dataref", None)
        return cls(Soort(rest.pop("soort")), rest.pop("aan"), rest.pop("nummer"), rest, dataref)

    def effect(self, fact_id: str) -> Effect:
        """The request to send it, the same for the same fact, recipient and text."""
        payload = {"soort": self.soort.value, "aan": self.aan, "nummer": self.nummer, **self.gegevens}
        if self.dataref is not None:
            payload["dataref"] = self.dataref
        return Effect(kind=MAIL, key=f"{MAIL}/{self.soort}/{fact_id}/{self.aan}", payload=payload)

    @property
    def onderwerp(self) -> str:
        return _KOPPEN[self.soort][0]


class Composer:
    """Writes mails. The same effect gives the same mail, apart from the date."""

    def __init__(self, mail_from: str, portal_url: str) -> None:
        """Raises ValueError where `mail_from` holds no address."""
        name, address = parseaddr(mail_from)
        user, _, domain = address.rpartition("@")
        if not (user and domain):
            raise ValueError("mail_from must be like Praktijkbus <geen-antwoord@praktijkbus.example>")
        self._sender = Address(name, user, domain)
        self._portal_url = portal_url.rstrip("/")

    def compose(self, effect: Effect, to: str, now: datetime) -> EmailMessage:
        """The mail of `effect` to that address, dated `now`, as text and as HTML (RFC 2046 §5.1.4)."""
        mail = Mail.of(effect)
        name = uuid.uuid5(_SPACE, effect.key)
        user, _, domain = to.rpartition("@")
        composed = EmailMessage(policy=SMTP)
        composed["From"] = self._sender
        composed["To"] = Address(username=user, domain=domain)
        composed["Subject"] = mail.onderwerp
        composed["Date"] = now
        composed["Message-ID"] = f"<{name}@{self._sender.domain}>"
        composed["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office answers
        text, html = self.parts(mail)
        composed.set_content(text, cte="quoted-printable")
        composed.add_alternative(html, subtype="html", cte="quoted-printable")
        composed["Content-Language"] = "nl"  # RFC 3282; after the contents, which take such headers along
        composed.set_boundary(f"=_{name.hex}")
        return composed

    def parts(self, mail: Mail) -> tuple[str, str]:
        """What it says, as text and as HTML."""
        onderwerp, dossier = _KOPPEN[mail.soort]
        dossier = dossier or _dossier(mail.nummer)
        values = {
            "onderwerp": onderwerp,
            "dossier": dossier,
            "nummer": mail.nummer,
            "link": f"{self._portal_url}/{dossier.pad}/{mail.nummer}",
            "alineas": list(_paragraphs(mail)),
        }
        text, html = (_TEMPLATES.get_template(f"layout.{part}.j2").render(values) for part in ("txt", "html"))
        return text, html


def _dossier(nummer: str) -> _Dossier:
    if is_number(nummer, "PV"):
        return _TRAJECT
    return _ERKENNING if is_number(nummer, "ER") else _FACTUUR


def _paragraphs(mail: Mail) -> Iterable[str]:
    written = _TEMPLATES.get_template(f"{mail.soort}.txt.j2").render(mail.gegevens)
    return (" ".join(paragraph.split()) for paragraph in written.strip().split("\n\n"))


_DAYS: Final = ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag")
_MONTHS: Final = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)


def _datum(value: str) -> str:
    """`2026-11-09` as `maandag 9 november 2026`."""
    day = date.fromisoformat(value)
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["datum"] = _datum
