"""Person data, really stored and asked over HTTP: readable for nobody, shown to whom it concerns, and gone."""

import json
import secrets
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from contracts import traject
from contracts.fields import Categorie, Rol, Sector, Werkstatus
from contracts.inzage import DOEL_HEADER, ROL_HEADER, VELDEN, Doel
from contracts.model import Data
from contracts.persoon import Persoon
from deploy.local.bus import KEYS, SERVICES
from deploy.local.processes import free_port
from services.chassis.database import connect
from services.chassis.messages import Keep
from services.intake.inzage import Inzage
from services.intake.kluis import Kluis, PersoonGewist, PersoonOnbekend, vernietiging
from tests.desk import REGISTRY
from tests.integration.command import command
from tests.persons import SECRETS, TOKENS, sealed
from tests.stand import Reader, Stand, eventually

INTAKE = SERVICES[0]
LOKET, COACH, ROC, ANDER_ROC, WSP, RMC = (
    "leerwerkloket",
    "coach-kompas",
    "roc-maas",
    "roc-peel",
    "wsp-venlo",
    "rmc-noord-limburg",
)
NOA = Persoon(
    naam="Noa Kanarie",
    geboortedatum=date(1991, 2, 3),
    postcode="5921KN",
    e_mail="noa@kanarie.example",
    telefoon="06 98765432",
)
CANARIES = ("Noa", "Kanarie", "1991-02-03", "5921KN", "98765432")
EVERYTHING = NOA.model_dump(mode="json")


class Case:
    """One registered person, and the partners that come and ask."""

    def __init__(self, stand: Stand, loket: Reader, coach: Reader) -> None:
        self.stand = stand
        self.loket = loket
        self.coach = coach
        self.nummer = ""
        self.dataref = ""
        self.message_id = ""
        self.body = aanmelding()

    async def register(self, by: Reader, data: traject.AangemeldInzending | None = None) -> None:
        self.body = data or self.body
        self.message_id = await by.submit(traject.Aangemeld, self.body)
        self.nummer = (await by.final_receipt(self.message_id))["subject"]
        fact = await self.fact("traject.aangemeld")
        self.dataref = fact["dataref"]

    async def fact(self, name: str) -> dict[str, Any]:
        async def found() -> list[dict[str, Any]]:
            return [fact for fact in self.loket.facts(name) if fact["subject"] == self.nummer]

        return (await eventually(found))[0]

    async def tell(self, by: Reader, data: Data, subject: str | None = None) -> None:
        sent = await by.submit(type(data), data, subject=subject or self.nummer)
        assert (await by.final_receipt(sent))["uitkomst"] == "aanvaard"

    async def assign(self, school: str) -> None:
        await self.tell(self.loket, traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=school))

    async def erase(self) -> None:
        stop = traject.Teruggetrokken(datum=date(2026, 1, 5), categorie=Categorie.DEELNEMER)
        await self.tell(self.coach, stop)
        await self.tell(self.loket, traject.GegevensGewist(redencode=traject.Wisreden.VERZOEK))

        async def destroyed() -> bool:
            return [row.wrapped for row in await self.keys()] == [None]

        await eventually(destroyed)

    async def keys(self) -> Sequence[Any]:
        async with self.stand.engines[KEYS].connect() as connection:
            return (await connection.execute(text("SELECT key, wrapped FROM sleutel"))).all()

    async def ask(self, who: str | None, rol: str | None, doel: str | None, url: str = "") -> httpx.Response:
        headers = {ROL_HEADER: rol, DOEL_HEADER: doel, "Authorization": f"Bearer {TOKENS.get(who or '', who)}"}
        started = httpx.AsyncHTTPTransport(retries=8)  # the web server comes up beside the runner
        async with httpx.AsyncClient(transport=started) as http:
            given = {name: value for name, value in headers.items() if value and "None" not in value}
            return await http.get(url or self.dataref, headers=given)

    async def record(self) -> list[tuple[Any, ...]]:
        query = "SELECT wie, rol, doel, key, uitkomst FROM inzage ORDER BY position"
        return [tuple(row) for row in await self.stand.rows(INTAKE, query)]


def aanmelding(persoon: Persoon = NOA) -> traject.AangemeldInzending:
    return traject.AangemeldInzending(
        persoon=sealed(persoon), werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.HORECA
    )


@pytest.fixture
async def case(full_stand: Stand) -> Case:
    await full_stand.run(INTAKE)
    made = Case(full_stand, await full_stand.reader(LOKET), await full_stand.reader(COACH))
    await made.register(made.coach)
    return made


async def test_each_role_sees_what_its_purpose_needs(case: Case) -> None:
    await case.assign(ROC)
    asked = {
        (LOKET, "coordinatie", "registratie"): EVERYTHING,
        (COACH, "coach", "intake"): {name: EVERYTHING[name] for name in ("naam", "e_mail", "telefoon")},
        (WSP, "wsp", "bemiddeling"): {name: EVERYTHING[name] for name in ("naam", "postcode")},
        (ROC, "opleider", "verklaring"): {name: EVERYTHING[name] for name in ("naam", "geboortedatum")},
        ("notify", "notify", "mailen"): {"e_mail": EVERYTHING["e_mail"]},
    }
    for who, shown in asked.items():
        answer = await case.ask(*who)
        assert (answer.status_code, answer.json()) == (200, shown), who
        assert answer.headers["cache-control"] == "no-store"
    key = case.dataref.rpartition("/")[2]
    assert await case.record() == [(*who, key, "getoond") for who in asked]


async def test_only_who_is_party_now_sees_a_person(case: Case) -> None:
    async def as_school(who: str) -> int:
        return (await case.ask(who, "opleider", "inschrijving")).status_code

    assert await as_school(ROC) == 403
    await case.assign(ROC)
    assert (await as_school(ROC), await as_school(ANDER_ROC)) == (200, 403)
    await case.assign(ANDER_ROC)
    assert (await as_school(ROC), await as_school(ANDER_ROC)) == (403, 200)
    assert [row[-1] for row in await case.record()].count("geen_partij") == 3


async def test_way_in_that_is_no_party_sees_nothing_of_whom_it_registered(case: Case) -> None:
    rmc = await case.stand.reader(RMC)
    other = Case(case.stand, case.loket, case.coach)
    await other.register(rmc, aanmelding(NOA.model_copy(update={"naam": "Bo Vink"})))
    assert (await other.ask(RMC, "rmc", "doorverwijzing")).json()["code"] == "geen_partij"


@pytest.mark.parametrize(
    ("who", "rol", "doel", "status", "code"),
    [
        (None, "coach", "intake", 401, "token_onbekend"),
        ("geraden", "coach", "intake", 401, "token_onbekend"),
        (COACH, None, "intake", 400, "vraag_onvolledig"),
        (COACH, "coach", None, 400, "vraag_onvolledig"),
        (COACH, "coach", "Noa Kanarie", 400, "vraag_onvolledig"),
        (COACH, "coach", "verklaring", 403, "doel_past_niet"),
        (COACH, "opleider", "verklaring", 403, "doel_past_niet"),
        (COACH, "notify", "mailen", 403, "doel_past_niet"),
        (COACH, "coordinatie", "registratie", 403, "doel_past_niet"),
        ("notify", "coordinatie", "registratie", 403, "doel_past_niet"),
        ("notify", "coach", "intake", 403, "doel_past_niet"),
        ("sbb", "sbb", "registratie", 400, "vraag_onvolledig"),
    ],
)
async def test_what_is_refused_says_why_and_is_recorded(
    case: Case, who: str | None, rol: str | None, doel: str | None, status: int, code: str
) -> None:
    answer = await case.ask(who, rol, doel)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert problem["title"]
    assert problem["detail"].endswith(".")
    ((by, _, purpose, _, outcome),) = await case.record()
    assert (by, outcome) == (who if who in TOKENS else None, code)
    assert purpose in {*Doel, None}


@pytest.mark.parametrize("key", ["0198c5d2-7c1e-5a33-9d5e-0c6b9a4f1e21", "Noa%20Kanarie", "x" * 300])
async def test_unknown_address_is_not_found_and_does_not_get_into_the_record(case: Case, key: str) -> None:
    answer = await case.ask(LOKET, "coordinatie", "registratie", f"{case.dataref.rpartition('/')[0]}/{key}")
    assert (answer.status_code, answer.json()["code"]) == (404, "onbekend")
    ((*_, recorded, outcome),) = await case.record()
    assert (recorded in (None, key), outcome) == (True, "onbekend")
    assert "Noa" not in str(recorded)


async def test_no_table_holds_a_readable_person_or_the_message_that_brought_it(case: Case) -> None:
    for name, engine in case.stand.engines.items():
        async with engine.connect() as connection:
            tables = await connection.scalars(
                text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
            )
            for table in tables.all():
                rows = (await connection.execute(text(f'SELECT * FROM "{table}"'))).all()
                seen = " ".join(
                    value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    for row in rows
                    for value in row
                )
                assert not [word for word in (*CANARIES, case.body.persoon) if word in seen], f"{name}.{table}"
    ((kept,),) = await case.stand.rows(INTAKE, "SELECT versleuteld FROM persoon")
    ((_, wrapped),) = await case.keys()
    assert len(kept) > 100
    assert len(wrapped) == 12 + 32 + 16


async def test_who_was_erased_is_gone_for_everyone(case: Case) -> None:
    await case.erase()
    for who in ((LOKET, "coordinatie", "registratie"), ("notify", "notify", "mailen")):
        answer = await case.ask(*who)
        assert (answer.status_code, answer.json()["code"]) == (410, "gewist")
    assert [tuple(row) for row in await case.stand.rows(INTAKE, "SELECT versleuteld FROM persoon")] == [(None,)]
    ((afdruk, persoon),) = await case.stand.rows(INTAKE, "SELECT vingerafdruk, persoon FROM traject")
    assert (afdruk, persoon) == (None, None)


async def test_backup_of_intake_does_not_bring_an_erased_person_back(case: Case) -> None:
    tables = ("traject", "persoon")
    async with case.stand.engines["intake"].begin() as connection:
        for table in tables:
            await connection.execute(text(f"CREATE TABLE backup_{table} AS TABLE {table}"))
    await case.erase()
    await case.stand.stop(INTAKE)
    async with case.stand.engines["intake"].begin() as connection:
        for table in tables:
            await connection.execute(text(f"DELETE FROM {table}"))
            await connection.execute(text(f"INSERT INTO {table} TABLE backup_{table}"))
            await connection.execute(text(f"DROP TABLE backup_{table}"))
    await case.stand.run(INTAKE)
    answer = await case.ask(LOKET, "coordinatie", "registratie")
    assert (answer.status_code, answer.json()["code"]) == (410, "gewist")


async def test_registration_that_comes_again_out_of_a_backup_is_not_kept(case: Case) -> None:
    """As when inbox and traject are put back to before it, while the message is there to be judged again."""
    await case.erase()
    async with case.stand.engines["intake"].begin() as connection:
        for table in ("inbox", "traject", "persoon"):
            await connection.execute(text(f"DELETE FROM {table}"))
    await case.coach.submit(traject.Aangemeld, case.body, message_id=case.message_id)

    async def set_aside() -> list[str]:
        return [row.cause for row in await case.stand.rows(INTAKE, "SELECT cause FROM pending")]

    assert await eventually(set_aside) == ["services.intake.kluis.PersoonGewist"]
    assert await case.stand.rows(INTAKE, "SELECT 1 FROM traject") == []
    assert [row.wrapped for row in await case.keys()] == [None]


async def test_replay_brings_nothing_readable_back(
    case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await case.erase()
    praktijkbus = command(case.stand, monkeypatch, tmp_path)
    for consumer in ("intake", "notify", COACH):
        done = await praktijkbus("replay", "--to", consumer, "--reden", "verzoek", "--yes")
        assert done.exit_code == 0, done.exception

    async def registrations() -> int:
        return len(case.coach.facts("traject.aangemeld"))

    await eventually(registrations, lambda found: found == 2)
    said = json.dumps(case.coach.received)
    assert not [word for word in (*CANARIES, case.body.persoon) if word in said]
    answer = await case.ask(LOKET, "coordinatie", "registratie")
    assert (answer.status_code, answer.json()["code"]) == (410, "gewist")
    assert [row.wrapped for row in await case.keys()] == [None]


async def test_backup_of_the_keys_is_destroyed_again_at_the_next_start(case: Case) -> None:
    async with case.stand.engines[KEYS].begin() as connection:
        await connection.execute(text("CREATE TABLE backup AS TABLE sleutel"))
    await case.erase()
    await case.stand.stop(INTAKE)
    async with case.stand.engines[KEYS].begin() as connection:
        await connection.execute(text("DELETE FROM sleutel"))
        await connection.execute(text("INSERT INTO sleutel TABLE backup"))
        await connection.execute(text("DROP TABLE backup"))
    await case.stand.run(INTAKE)

    async def destroyed() -> bool:
        return [row.wrapped for row in await case.keys()] == [None]

    await eventually(destroyed)


async def test_same_person_through_two_partners_is_told_to_coordinatie_once_and_to_nobody_else(case: Case) -> None:
    rmc, wsp = await case.stand.reader(RMC), await case.stand.reader(WSP)
    twice = Case(case.stand, case.loket, case.coach)
    await twice.register(rmc, aanmelding(NOA.model_copy(update={"naam": "NOA  kanárie", "e_mail": None})))

    async def told() -> list[dict[str, Any]]:
        return case.loket.facts("traject.mogelijk-dubbel")

    await eventually(told)
    await twice.assign(ROC)
    (dubbel,) = await told()
    assert {dubbel["subject"], dubbel["data"]["ander_trajectnummer"]} == {case.nummer, twice.nummer}
    school = await case.stand.reader(ROC)

    async def whole() -> bool:
        return any(fact["type"].endswith("betrokkene-toegewezen.v1") for fact in school.facts())

    await eventually(whole)
    for reader in (case.coach, rmc, wsp, school):
        assert not reader.facts("traject.mogelijk-dubbel")
    assert len(case.loket.facts("traject.aangemeld")) == 2


# The vault by itself

KEY = "0198c5d2-7c1e-5a33-9d5e-0c6b9a4f1e21"
CONTENT = {"naam": "Noa Kanarie"}
KEPT = Keep(KEY, '{"naam": "Noa Kanarie"}')


def a_vault(stand: Stand, **wrapping: bytes) -> Kluis:
    return Kluis(stand.engines["intake"], stand.engines[KEYS], wrapping or SECRETS.wrapping)


async def read(stand: Stand, vault: Kluis) -> dict[str, str]:
    async with stand.engines["intake"].connect() as connection:
        return await vault.read(connection, KEY)


async def test_crash_after_the_key_was_made_leaves_a_key_that_is_found_again(full_stand: Stand) -> None:
    vault = a_vault(full_stand)
    async with full_stand.engines["intake"].connect() as connection:
        await vault.keep(connection, [KEPT])
        await connection.rollback()
    with pytest.raises(PersoonOnbekend):
        await read(full_stand, vault)
    async with full_stand.engines["intake"].begin() as connection:
        await vault.keep(connection, [KEPT])
    assert await read(full_stand, vault) == CONTENT


async def test_keys_wrapped_before_a_rotation_still_open(full_stand: Stand) -> None:
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    async with full_stand.engines["intake"].begin() as connection:
        await a_vault(full_stand, old=old).keep(connection, [KEPT])
    assert await read(full_stand, a_vault(full_stand, new=new, old=old)) == CONTENT
    with pytest.raises(KeyError):
        await read(full_stand, a_vault(full_stand, new=new))


async def test_what_is_kept_under_one_key_cannot_be_put_under_another(full_stand: Stand) -> None:
    vault = a_vault(full_stand)
    other = "0198c5d2-7c1e-5a33-9d5e-0c6b9a4f1e22"
    async with full_stand.engines["intake"].begin() as connection:
        await vault.keep(connection, [KEPT, Keep(other, '{"naam": "Bo Vink"}')])
        await connection.execute(
            text(
                "UPDATE persoon SET versleuteld = (SELECT versleuteld FROM persoon WHERE key = :other)"
                " WHERE key = :key"
            ),
            {"key": KEY, "other": other},
        )
    with pytest.raises(Exception) as failure:  # noqa: PT011 - the library's own, without a text
        await read(full_stand, vault)
    assert type(failure.value).__name__ == "InvalidTag"


async def test_destroying_a_key_again_or_one_that_never_was_changes_nothing(full_stand: Stand) -> None:
    vault = a_vault(full_stand)
    for _ in range(2):
        await vault.destroy(vernietiging(KEY))
    async with full_stand.engines["intake"].connect() as connection:
        with pytest.raises(PersoonGewist):
            await vault.keep(connection, [KEPT])


async def test_keys_that_are_away_are_a_fault_that_passes(full_stand: Stand) -> None:
    vault = a_vault(full_stand)
    async with full_stand.engines["intake"].begin() as connection:
        await vault.keep(connection, [KEPT])
    away = connect(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/nothing")
    broken = Kluis(full_stand.engines["intake"], away, SECRETS.wrapping)
    routes = Inzage(full_stand.engines["intake"], broken, REGISTRY, SECRETS.callers).routes
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    headers = {
        ROL_HEADER: "coordinatie",
        DOEL_HEADER: "registratie",
        "Authorization": f"Bearer {TOKENS[LOKET]}",
    }
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as http:
        answer = await http.get(f"/personen/{KEY}", headers=headers)
    await away.dispose()
    assert (answer.status_code, answer.json()["code"]) == (503, "storing")


def test_every_field_that_is_shown_is_one_of_a_person() -> None:
    assert {veld for velden in VELDEN.values() for veld in velden} == set(Persoon.model_fields)
