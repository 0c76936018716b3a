"""The traces of a traject on the whole bus, as a receiver in a process of its own gets them.

Billing's handler fails once on the verklaring, and billing is killed after it committed the invoice and before it
published it.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from deploy.local.bus import ROOT, LocalBus
from deploy.local.partners.script import BEGIN, Script
from deploy.local.pilot import play
from services.billing.handlers import service as billing
from tests.e2e.conftest import SERVERS
from tests.integration.collector import Remote, Span
from tests.stand import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    made = Remote(tmp_path_factory.mktemp("collector"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Remote) -> Iterator[LocalBus]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in SERVERS:
            patch.delenv(variable, raising=False)
        made = LocalBus(tmp_path_factory.mktemp("traces"), lambda _: None, begin=BEGIN)
        made.extra_settings = {"PRAKTIJKBUS_OTLP_ENDPOINT": collector.endpoint, "PRAKTIJKBUS_METRICS_EVERY": "1"}
        with made:
            yield made


@pytest.fixture(scope="module")
async def spans(traced: LocalBus, collector: Remote) -> list[Span]:
    """All of them, after one candidate was carried through."""
    await asyncio.to_thread(traced.supervisor.stop, billing.name)
    traced.start_service(billing, ("-m", "tests.e2e.troubled"))
    playing = asyncio.create_task(play(traced, Script(1, rustig=True)))

    async def committed() -> bool:
        assert not playing.done() or playing.result()
        return any(span.name == "create factuur.klaargezet" for span in await collector.spans())

    await eventually(committed)
    traced.supervisor.kill(billing.name)
    traced.start_service(billing)
    await playing

    async def complete() -> list[Span]:
        found = await collector.spans()
        return found if any(span.name == "create betaling.bevestigd" for span in found) else []

    await eventually(complete)
    for name in ("intake", "matching", "billing", "notify"):
        await asyncio.to_thread(traced.supervisor.stop, name)
    return await collector.spans()


class Tree:
    """The spans of one trace."""

    def __init__(self, spans: Sequence[Span], trace: str) -> None:
        self._all = spans
        self.inside = [span for span in spans if span.trace == trace]

    def below(self, parent: Span, name: str, service: str, **wanted: str | int) -> Span:
        """The one child with that name."""
        found = [
            span
            for span in self.inside
            if (span.parent, span.name, span.service) == (parent.id, name, f"praktijkbus-{service}")
            and all(span.attributes.get(f"praktijkbus.{key}") == value for key, value in wanted.items())
        ]
        assert len(found) == 1, f"{len(found)} of {name} of {service} below {parent.name}"
        assert found[0].start >= parent.start
        return found[0]

    def linked(self, to: Span, name: str) -> Span:
        """The one span of that name, in whatever trace, that is linked to this one."""
        found = [span for span in self._all if span.name == name and (to.trace, to.id) in span.links]
        assert len(found) == 1, f"{len(found)} of {name} linked to {to.name}"
        return found[0]


def root(spans: Sequence[Span], name: str, service: str) -> Span:
    found = [
        span for span in spans if (span.name, span.service, span.parent) == (name, f"praktijkbus-{service}", None)
    ]
    assert len(found) == 1, f"{len(found)} of {name} begin a trace in {service}"
    return found[0]


async def test_from_match_to_recognition(spans: list[Span]) -> None:
    confirmed = root(spans, "process match.bevestigd", "matching")
    tree = Tree(spans, confirmed.trace)
    fact = tree.below(confirmed, "create match.bevestigd", "matching")
    tree.below(confirmed, "create ontvangst.aanvaard", "matching")
    for service in ("intake", "notify"):
        heard = tree.below(fact, "process match.bevestigd", service, outcome="accepted")
        assert tree.linked(heard, "commit").service == heard.service
        assert heard.attributes["messaging.message.conversation_id"] == fact.attributes[CASE]
    assert tree.linked(fact, "send feiten").service == "praktijkbus-matching"

    # Recognition is a case of its own: SBB sees no traject. It begins a trace, linked to what it follows from.
    asked = root(spans, "create erkenning.aangevraagd", "matching")
    assert asked.trace != confirmed.trace
    assert asked.links == ((confirmed.trace, confirmed.id),)
    recognition = Tree(spans, asked.trace)
    told = recognition.below(asked, "process erkenning.aangevraagd", "notify", outcome="accepted")
    recognition.below(recognition.below(told, "deliver mail", "notify", outcome="done"), "send mail", "notify")

    granted = root(spans, "process erkenning.verleend", "matching")
    recognised = root(spans, "create match.erkend", "matching")
    assert recognised.links == ((granted.trace, granted.id),)
    assert recognised.attributes[CASE] == fact.attributes[CASE]
    assert asked.attributes[CASE] != fact.attributes[CASE]
    Tree(spans, recognised.trace).below(recognised, "process match.erkend", "intake", outcome="accepted")


async def test_from_verklaring_to_invoice_and_mail(spans: list[Span]) -> None:
    issued = root(spans, "process verklaring.afgegeven", "intake")
    tree = Tree(spans, issued.trace)
    fact = tree.below(issued, "create verklaring.afgegeven", "intake")

    failed = tree.below(fact, "process verklaring.afgegeven", "billing", outcome="retry")
    assert failed.failed
    assert failed.attributes["error.type"] == "builtins.RuntimeError"
    again = tree.below(fact, "process verklaring.afgegeven", "billing", outcome="accepted")
    assert (again.attributes["praktijkbus.attempt"], again.failed) == (2, False)

    invoice = tree.below(again, "create factuur.klaargezet", "billing")
    assert {span.name for span in tree.inside if span.parent == failed.id} == set()
    sent = tree.linked(invoice, "send feiten")
    assert sent.service == invoice.service
    assert sent.instance != invoice.instance, "the one that committed it was killed"
    for service in ("intake", "notify"):
        tree.below(invoice, "process factuur.klaargezet", service, outcome="accepted")

    heard = tree.below(fact, "process verklaring.afgegeven", "notify", outcome="accepted")
    mail = tree.below(heard, "deliver mail", "notify", outcome="done")
    asked = tree.below(mail, "GET", "notify")
    answered = tree.below(asked, "GET /personen/{key}", "intake")
    assert (asked.kind, answered.kind) == ("client", "server")
    assert asked.attributes["http.response.status_code"] == answered.attributes["http.response.status_code"] == 200
    over_smtp = tree.below(mail, "send mail", "notify")
    assert over_smtp.attributes["network.protocol.name"] == "smtp"
    assert mail.start <= asked.start <= asked.end <= over_smtp.start <= over_smtp.end <= mail.end


CASE = "messaging.message.conversation_id"


async def test_no_span_has_a_parent_that_was_lost(spans: list[Span]) -> None:
    known = {(span.trace, span.id) for span in spans}
    lost = {(span.name, span.service) for span in spans if span.parent and (span.trace, span.parent) not in known}
    assert lost == set()


def test_the_terminal_draws_the_same(traced: LocalBus, spans: list[Span]) -> None:
    issued = root(spans, "process verklaring.afgegeven", "intake")
    drawn = subprocess.run(
        [sys.executable, "-m", "cli.main", "trace", issued.trace[:12], "--state", str(traced.state)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert drawn.returncode == 0, drawn.stderr
    head, _, *lines = drawn.stdout.splitlines()
    assert head.startswith(issued.trace)
    inside = [span for span in spans if span.trace == issued.trace]
    names = [line for line in lines if "↪" not in line]
    for name in {span.name for span in inside}:
        assert sum(f" {name} " in line for line in names) >= sum(span.name == name for span in inside)
    assert any("builtins.RuntimeError" in line and "billing" in line for line in names)
    assert any("↪ send feiten" in line for line in lines)
