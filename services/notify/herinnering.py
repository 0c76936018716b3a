"""The mails that go with an overdue term, and whether one is still wanted when it is about to leave."""

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import String, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.fields import PartnerId, Rol
from contracts.partners import MANAGER, Registry
from contracts.termijn import Niveau
from services.chassis import tables as chassis
from services.chassis.calendar import Calendar
from services.chassis.messages import Effect
from services.notify import tables
from services.notify.mails import Mail, Soort
from services.notify.termijn import Termijn, Termijnen

_STAND: Final = TypeAdapter(Termijnen)


def mails(
    stand: Termijnen, termijn: Termijn, rol: Rol, late: Iterable[PartnerId], registry: Registry, calendar: Calendar
) -> Iterator[Effect]:
    """What is mailed at the level that is due now.

    The late partner: a hint while there is time left, after that a reminder, unless it had one shortly before.
    Coordinatie and the manager, from their level on: that somebody should step in. Nobody gets both.
    """
    trede = termijn.trede
    assert trede is not None, "a level is due"
    gegevens = {
        "stap": termijn.vraag.stap.value,
        "rol": rol.value,
        "gevraagd": termijn.dagtekening,
        "uiterlijk": termijn.uiterlijk(calendar),
        "termijn": termijn.nummer,
        "niveau": trede.niveau.value,
    }
    late = sorted(late)
    if trede.niveau is Niveau.HINT:
        soort = Soort.TERMIJN_NADERT
        due = calendar.today() <= termijn.uiterlijk(calendar)
    else:
        soort = Soort.HERINNERING
        due = all(stand.mag_herinneren(termijn.vraag.stap, partner, calendar) for partner in late)
    told = [(soort, partner) for partner in late if due]
    coordinatie = [partner for partner in registry.in_role(Rol.COORDINATIE) if partner not in late]
    if trede.niveau is Niveau.COORDINATIE:
        told += [(Soort.ANTWOORD_BLIJFT_UIT, partner) for partner in coordinatie]
    if trede.niveau is Niveau.MANAGER:
        managers = [MANAGER] if registry.manager else coordinatie
        told += [(Soort.ANTWOORD_BLIJFT_LANG_UIT, manager) for manager in managers]
    for soort, aan in told:
        if registry.wants_mail(aan):
            yield Mail.about(soort, aan, stand.stroom, **gegevens).effect(_cause(termijn.nummer, trede.niveau))


async def still_needed(effect: Effect, connection: AsyncConnection) -> bool:
    """Whether the term still runs and nothing told since takes the place of this mail: of a hint the next level,
    of the others a later mail of the same text to the same reader. A mail that goes with no term is needed.
    """
    nummer = effect.payload.get("termijn")
    if nummer is None:
        return True
    mail = Mail.of(effect)
    stand = await connection.scalar(
        select(cast(tables.termijnen.c.body, String)).where(tables.termijnen.c.subject == mail.nummer)
    )
    termijn = None if stand is None else _STAND.validate_json(stand).lopende(nummer)
    if termijn is None:
        return False
    niveau = Niveau(effect.payload["niveau"])
    if niveau is Niveau.HINT:
        return termijn.gemeld is niveau
    levels = list(Niveau)
    later = levels[levels.index(niveau) + 1 :]
    keys = [mail.effect(_cause(nummer, niveau)).key for niveau in later]
    superseded = select(chassis.effects.c.key).where(chassis.effects.c.key.in_(keys)).limit(1)
    return await connection.scalar(superseded) is None


def _cause(nummer: str, niveau: Niveau) -> str:
    return f"{nummer}.{niveau}"
