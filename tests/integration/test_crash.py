"""A message on which the process itself ends: tried alone, then parked, while the others go on."""

import asyncio
from datetime import date

import pytest

from contracts import budget
from tests.integration import toy
from tests.stand import Stand

MOST_STARTS = 8


def amount(cents: int) -> budget.Vastgesteld:
    return budget.Vastgesteld(bedrag_cent=cents, van=date(2026, 1, 1), tot=date(2026, 12, 31))


async def test_message_that_ends_the_process_is_parked(toy_stand: Stand) -> None:
    toy.faults.broken = True
    loket = await toy_stand.reader("leerwerkloket")
    good = await loket.submit(budget.Vastgesteld, amount(1), subject="POW")
    bad = await loket.submit(budget.Vastgesteld, amount(toy.ENDS_PROCESS), subject="WERKBEDRIJF")
    late = await loket.submit(budget.Vastgesteld, amount(2), subject="POW")
    for _ in range(MOST_STARTS):
        task = await toy_stand.start(toy.service)
        answered = asyncio.create_task(loket.final_receipt(late))
        await asyncio.wait([task, answered], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            assert (await answered)["uitkomst"] == "aanvaard"
            break
        answered.cancel()
        with pytest.raises(toy.Crash):
            task.result()
    else:
        pytest.fail("the process ended every time")
    assert (await loket.final_receipt(good))["uitkomst"] == "aanvaard"
    parked = await toy_stand.rows(toy.service, "SELECT id, status, cause FROM pending")
    assert [(row.id, row.status) for row in parked] == [(bad, "parked")]
    assert "ended twice" in parked[0].cause
    assert [receipt["data"]["waarop"] for receipt in loket.receipts(bad)] == ["herstel"]


async def test_what_was_prefetched_beside_it_is_not_parked(toy_stand: Stand) -> None:
    """A lost connection raises the delivery count of everything in hand: that is no verdict."""
    loket = await toy_stand.reader("leerwerkloket")
    sent = [await loket.submit(budget.Vastgesteld, amount(n), subject="POW") for n in range(20, 30)]
    for _ in range(4):
        await toy_stand.deliver_and_drop("billing.van.leerwerkloket", len(sent))
    await toy_stand.run(toy.service)
    for message_id in sent:
        assert (await loket.final_receipt(message_id))["uitkomst"] == "aanvaard"
    assert await toy_stand.rows(toy.service, "SELECT * FROM pending") == []
