"""`praktijkbus figures` on a real journal."""

import csv
import io
import json
from pathlib import Path

import pytest

from deploy.local.bus import SERVICES
from services.intake.cijfers import Cijfers
from tests.integration.command import command
from tests.integration.test_isolation import registered
from tests.stand import Stand, eventually


async def test_figures_for_people_programs_and_spreadsheets(
    full_stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    intake = SERVICES[0]
    await full_stand.run(intake)
    loket = await full_stand.reader("leerwerkloket")
    for _ in range(5):
        await registered(loket, "roc-maas")
    await eventually(
        lambda: full_stand.rows(intake, "SELECT DISTINCT subject FROM journal"), lambda rows: len(rows) == 5
    )
    praktijkbus = command(full_stand, monkeypatch, tmp_path)
    for_programs = Cijfers.model_validate_json((await praktijkbus("figures", "--json")).output)
    assert list(for_programs.trechter.values()) == [5, *["<5"] * 5]
    assert for_programs.toegangspartner["leerwerkloket"].anders == 5
    assert set(for_programs.toegangspartner) >= {"roc-maas", "sbb"}
    rows = list(csv.reader(io.StringIO((await praktijkbus("figures", "--csv")).output)))
    assert [for_programs.op.isoformat(), "trechter", "", "aangemeld", "5"] in rows
    long_ago = await praktijkbus("figures", "--json", "--op", "2020-01-01")
    assert json.loads(long_ago.output)["trechter"]["aangemeld"] == "<5"
    for_people = (await praktijkbus("figures")).output
    assert "Trajecten die zo ver kwamen" in for_people
    assert "doel: 150 verklaringen" in for_people
