"""What the README says of backups, on real databases: all of them and the broker are lost, and no message is."""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from contracts import budget, erkenning, match, opdracht, traject
from contracts.catalogue import CATALOGUE
from deploy.local.broker import Broker
from deploy.local.bus import ROOT, SERVICES
from deploy.local.postgres import DatabaseServer, programs
from services.chassis import repair
from services.chassis.messages import Effect
from services.chassis.service import Service
from services.notify.mails import MAIL
from tests.integration.conftest import migrations
from tests.integration.test_isolation import registered
from tests.integration.test_replay import DAY, SHOP, accepted
from tests.stand import Reader, Stand, eventually, stand

INTAKE, MATCHING, BILLING, NOTIFY = SERVICES
AMOUNT = budget.Vastgesteld(bedrag_cent=500_000, van=date(2026, 1, 1), tot=date(2026, 12, 31))
PARTNERS = ("leerwerkloket", "coach-kompas", "wsp-venlo", "bakkerij-de-es", "sbb", "roc-maas")

DOCKER = """#!{python}
import os, sys
words = [word.replace("praktijkbus_", "{prefix}_") for word in sys.argv[1:]]
with open("{log}", "a") as log:
    print(*words[:4], file=log)
if words[:4] == ["compose", "exec", "-T", "postgres"]:
    words[words.index("-U") + 1] = "{user}"
    os.execv("{programs}/" + words[4], words[4:])
"""
"""In the place of docker: what is to be done in the container of the database is done on the one of the test."""


@pytest.fixture
async def own_stand(broker: Broker, database: DatabaseServer) -> AsyncIterator[Stand]:
    async with stand(broker, database, *SERVICES, migrations=migrations) as made:
        yield made


class Operator:
    """Types what the README says, in a folder of its own."""

    def __init__(self, made: Stand, folder: Path) -> None:
        url = make_url(made.database.url("postgres"))
        self._folder = folder
        self._log = folder / "log"
        self._env = {
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PGHOST": str(url.host),
            "PGPORT": str(url.port),
            "PGPASSWORD": str(url.password),
        }
        docker = folder / "docker"
        docker.write_text(
            DOCKER.format(
                python=sys.executable, prefix=made.name, log=self._log, programs=programs(), user=url.username
            )
        )
        docker.chmod(0o755)

    async def follow(self, commands: str) -> list[str]:
        """The words with which docker was called."""
        self._log.write_text("")
        shell = await asyncio.create_subprocess_exec(
            *("sh", "-euc", commands), cwd=self._folder, env=self._env, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await shell.communicate()
        assert shell.returncode == 0, errors.decode()
        return self._log.read_text().splitlines()


def commands(about: str) -> str:
    """The commands of that paragraph of the README."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"\n**{about}**")[2]
    found = re.search(r"^(```|~~~)\n(.*?)^\1$", section, re.MULTILINE | re.DOTALL)
    assert found
    return found[2]


@pytest.mark.timeout(300)
async def test_nothing_is_lost_when_all_is_put_back_from_a_backup(
    own_stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: Counter[str] = Counter()

    async def deliver(effect: Effect) -> None:
        mails[effect.key] += 1

    monkeypatch.setitem(NOTIFY.performers, MAIL, deliver)
    for service in SERVICES:
        await own_stand.run(service)
    cast = {name: await own_stand.reader(name) for name in PARTNERS}
    loket, shop, sbb = (cast[name] for name in ("leerwerkloket", "bakkerij-de-es", "sbb"))
    nummer = await registered(loket, "roc-maas")
    fit = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
    await accepted(cast["coach-kompas"], traject.IntakeAfgerond, fit, subject=nummer)
    proposal = match.Voorgesteld(trajectnummer=nummer, **SHOP)
    proposed = await accepted(cast["wsp-venlo"], match.Voorgesteld, proposal)

    # The backup finds messages in queues: facts for services and for a partner, a submission.
    await sbb.stop()
    for service in (INTAKE, BILLING, NOTIFY):
        await own_stand.stop(service)
    await accepted(shop, match.Bevestigd, subject=proposed)
    await _sent(own_stand, MATCHING)
    await own_stand.stop(MATCHING)
    unjudged = await loket.submit(budget.Vastgesteld, AMOUNT, subject="POW")
    operator = Operator(own_stand, tmp_path)
    await operator.follow(commands("Back up"))

    await own_stand.forget_messages()
    for service in SERVICES:
        await own_stand.engines[service.name].dispose()
        if service is not NOTIFY:  # that of notify is put back over what is there
            await asyncio.to_thread(own_stand.database.drop_database, f"{own_stand.name}_{service.name}")
    done = await operator.follow(commands("Restore"))
    assert done[:3] == [
        "compose down",
        f"volume rm --force {own_stand.name}_broker",
        "compose up -d postgres",
    ]
    assert done[-1] == "compose up -d"

    for service in SERVICES:
        await own_stand.run(service)
    cast["sbb"] = sbb = await own_stand.reader("sbb")
    receipt = await loket.submit(budget.Vastgesteld, AMOUNT, subject="POW", message_id=unjudged)
    assert (await loket.final_receipt(receipt))["uitkomst"] == "aanvaard"

    async def asked() -> list[dict[str, Any]]:
        return sbb.facts("erkenning.aangevraagd")

    request = (await eventually(asked))[0]["subject"]
    granted = erkenning.Verleend(leerbedrijf_id="100234567", geldig_vanaf=DAY, geldig_tot=date(2030, 11, 1))
    await accepted(sbb, erkenning.Verleend, granted, subject=request)
    order = opdracht.Verstrekt(trajectnummer=nummer, opleider="roc-maas", bedrag_cent=100, bron="POW")
    await accepted(loket, opdracht.Verstrekt, order)
    await _everything_is_accounted_for(own_stand, cast)
    (row,) = await own_stand.rows(INTAKE, "SELECT body->>'status' FROM traject WHERE subject = :pv", pv=nummer)
    assert row == ("erkend",)
    sent = {key for (key,) in await own_stand.rows(NOTIFY, "SELECT key FROM effects WHERE status = 'done'")}
    assert mails == Counter(dict.fromkeys(sent, 1))


async def _sent(made: Stand, service: Service) -> None:
    await eventually(
        partial(made.rows, service, "SELECT 1 FROM outbox WHERE sent IS NULL"), lambda rows: rows == []
    )


async def _everything_is_accounted_for(made: Stand, cast: dict[str, Reader]) -> None:
    """Every fact of every owner is in the journal, took effect wherever it is heard, and reached its readers."""
    for service in SERVICES:
        await _sent(made, service)
    decided = {fact for service in SERVICES for fact in await made.rows(service, _DECIDED)}
    assert {CATALOGUE[fact.type].owner for fact in decided} >= {service.owner for service in SERVICES[:3]}
    ids = sorted(fact.message_id for fact in decided)
    await eventually(
        partial(made.rows, INTAKE, "SELECT id FROM journal ORDER BY id"), _are([(key,) for key in ids])
    )
    streams = await made.rows(
        INTAKE, "SELECT entity, subject, max(sequence) FROM journal GROUP BY 1, 2 ORDER BY 1, 2"
    )
    for service in SERVICES:
        cursors = "SELECT entity, subject, sequence FROM cursors ORDER BY 1, 2"
        heard = [stream for stream in streams if stream.entity in service.entities_heard()]
        await eventually(partial(made.rows, service, cursors), _are(heard))
        assert await made.rows(service, "SELECT 1 FROM pending") == []
    for name, reader in cast.items():
        await eventually(partial(_received, reader), _are(await _meant_for(made, name)))


_DECIDED = "SELECT DISTINCT message_id, type FROM outbox WHERE type NOT LIKE '%.ontvangst.%'"


def _are(wanted: Any) -> Callable[[Any], bool]:
    return lambda found: bool(found == wanted)


async def _received(reader: Reader) -> set[str]:
    return {str(fact["id"]) for fact in reader.facts()}


async def _meant_for(made: Stand, partner: str) -> set[str]:
    types = [name for name, item in CATALOGUE.items() if item.owner]
    found: set[str] = set()
    for service in SERVICES:
        async with made.engines[service.name].connect() as connection:
            found |= await repair.addressed_to(connection, partner, types)
    return found
