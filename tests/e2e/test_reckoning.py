"""The reckoning finds what is wrong: each test spoils the books of a pilot that balances, in one way."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from deploy.local.reckoning import Books, balance

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def books(read: Books) -> Books:
    """Of a pilot without trouble; to be spoilt."""
    assert balance(read).findings == []
    return copy.deepcopy(read)


def fact_of(books: Books, name: str) -> Any:
    return next(fact for fact in books.facts if fact.name == name)


def findings(books: Books) -> list[str]:
    for derived in ("receipts", "rights", "standing"):
        vars(books).pop(derived, None)
    return balance(books).findings


async def test_fact_that_did_not_reach_a_party_is_lost(books: Books) -> None:
    fact = fact_of(books, "traject.gestart")
    del books.received["coach-kompas"][fact.id]
    assert findings(books) == [f"traject.gestart of {fact.subject} ({fact.id}) did not reach coach-kompas"]


async def test_fact_read_by_a_stranger_is_found(books: Books) -> None:
    fact = fact_of(books, "traject.gestart")
    books.received["sbb"][fact.id] = books.received["coach-kompas"][fact.id]
    assert findings(books) == [
        f"sbb received nl.praktijkverklaringen.traject.gestart.v1 {fact.id} without a right to it"
    ]


async def test_submission_without_an_outcome_is_lost(books: Books) -> None:
    receipt = _receipt_of(books, "sbb")
    del books.received["sbb"][receipt["id"]]
    (finding,) = findings(books)
    assert finding == f"submission {receipt['subject']} of sbb has 0 final receipts for 1 messages"


async def test_refusal_that_nobody_foresaw_is_found(books: Books) -> None:
    receipt = _receipt_of(books, "sbb")
    receipt["data"] = {"code": "geen_partij"}
    (finding,) = findings(books)
    assert finding == (f"erkenning.verleend.v1 {receipt['subject']} of sbb ended as geen_partij, not as aanvaard")


async def test_mistake_that_was_taken_for_right_is_found(books: Books) -> None:
    receipt = _receipt_of(books, "sbb")
    place = next(n for n, row in enumerate(books.sent) if row.id == receipt["subject"])
    books.sent[place] = _Row(books.sent[place], outcomes=["geen_partij"])
    assert findings(books) == [
        f"erkenning.verleend.v1 {receipt['subject']} of sbb ended as aanvaard, not as geen_partij"
    ]


async def test_fact_that_a_service_did_not_hear_is_lost(books: Books) -> None:
    fact = fact_of(books, "verklaring.afgegeven")
    del books.inboxes["billing"][fact.id]
    assert f"billing did not hear verklaring.afgegeven of {fact.subject} ({fact.id})" in findings(books)


async def test_gap_in_the_journal_is_found(books: Books) -> None:
    fact = fact_of(books, "traject.gestart")
    books.journal = [row for row in books.journal if row.id != fact.id]
    first, second = findings(books)
    assert first == f"traject.gestart of {fact.subject} is not in the journal"
    assert second.startswith(f"the journal has traject of {fact.subject} as [1, 2")


async def test_second_invoice_for_one_verklaring_is_found(books: Books) -> None:
    invoice = fact_of(books, "factuur.klaargezet")
    _add(books, replace(invoice, subject="RM-999999", id=_after(invoice.id)), like=invoice)
    nummer = invoice.data["trajectnummer"]
    assert findings(books) == [
        f"2 times invoice for {nummer}",
        f"{nummer} has 2 invoices that stand and 1 verklaringen to invoice",
    ]


async def test_second_mail_to_the_same_partner_on_the_same_fact_is_found(books: Books) -> None:
    key = books.mailed[0]
    books.mailed.append(key)
    found = findings(books)
    assert any(finding.startswith("2 times mail on ") for finding in found)


async def test_mail_that_did_not_arrive_is_lost(books: Books) -> None:
    books.mails.pop()
    assert findings(books) == ["1 mails that were written down as sent are not in the mailbox"]


@pytest.mark.parametrize("field", ["gereserveerd_cent", "besteed_cent"])
async def test_budget_that_is_a_cent_off_is_found(books: Books, field: str) -> None:
    books.budgetten[0].body[field] += 1
    (finding,) = findings(books)
    assert finding.startswith(f"budget {books.budgetten[0].subject} stands at ")


async def test_payment_of_another_amount_is_found(books: Books) -> None:
    payment = books.betalingen[0].body
    payment["bedrag_cent"] -= 1
    (finding,) = findings(books)
    assert finding.startswith(f"{payment['opleider']} was paid ")


async def test_parked_row_that_nobody_planted_is_found(books: Books) -> None:
    books.parked["billing", "some-id"] = "ValueError"
    assert findings(books) == ["billing parked some-id (ValueError), which nobody planted"]


async def test_planted_row_that_was_not_parked_is_found(books: Books) -> None:
    books.planted.add(("billing", "some-id"))
    assert findings(books) == ["billing did not park some-id, which was planted"]


async def test_traject_that_did_not_end_is_found(books: Books) -> None:
    row = books.trajecten[0]
    row.body["status"] = "gestart"
    assert findings(books) == [f"{row.subject} ended as gestart"]


async def test_what_did_not_occur_is_told(books: Books) -> None:
    coverage = balance(books).coverage
    assert "traject.uitgevallen" in coverage
    assert "traject uitgevallen" in coverage
    assert "traject.gestart" not in coverage
    assert "traject voorbereid" not in coverage


class _Row:
    """A row of which something was changed."""

    def __init__(self, row: Any, **changed: Any) -> None:
        self._row, self._changed = row, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed[name] if name in self._changed else getattr(self._row, name)


def _receipt_of(books: Books, partner: str) -> dict[str, Any]:
    return next(message for message in books.received[partner].values() if ".ontvangst." in message["type"])


def _after(fact_id: str) -> str:
    """An id that comes just after, as far as time goes."""
    return fact_id[:-1] + ("f" if fact_id[-1] != "f" else "e")


def _add(books: Books, fact: Any, like: Any) -> None:
    """Writes a fact into all the books, so that only what it says is wrong."""
    books.facts.append(fact)
    for inbox in books.inboxes.values():
        if like.id in inbox:
            inbox[fact.id] = inbox[like.id]
    for messages in books.received.values():
        if like.id in messages:
            messages[fact.id] = {**messages[like.id], "id": fact.id, "subject": fact.subject}
    row = next(row for row in books.journal if row.id == like.id)
    books.journal.append(_Row(row, id=fact.id, subject=fact.subject, sequence=1))
