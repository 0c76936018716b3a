"""A trace in the terminal: what follows from what, with times, from the files of several services."""

from pathlib import Path

import pytest

from cli.place import Trouble
from cli.trace import trace
from deploy.local.bus import TRACES
from services.chassis.otlp import CONSUMER, Operation, Span
from services.chassis.telemetry import Attributes, child_of
from services.chassis.tracefile import TraceFile

ROOT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = ROOT[3:35]
CASE: Attributes = {"messaging.message.conversation_id": "0198c5d2"}


def span(
    name: str, own: str, parent: str | None, since: float, took: float, more: Attributes | None = None
) -> Span:
    """Times in milliseconds."""
    return Span(
        operation=Operation(name, CONSUMER),
        own=own,
        parent=parent,
        remote=True,
        state=None,
        since=int(since * 1e6),
        until=int((since + took) * 1e6),
        attributes=more or {},
        failed="error.type" in (more or {}),
    )


def keep(state: Path, service: str, *spans: Span) -> None:
    file = TraceFile(state / TRACES / f"{service}.jsonl", {"service.name": f"praktijkbus-{service}"})
    file.deliver(spans)
    file.close()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A submission at intake, its fact at billing that failed at first; commit and relay; another case."""
    monkeypatch.setenv("COLUMNS", "160")
    fact, receipt, again = child_of(ROOT), child_of(ROOT), child_of(ROOT)
    count, other_case = "messaging.batch.message_count", {"messaging.message.conversation_id": "b-1"}
    accepted: Attributes = {"praktijkbus.outcome": "accepted"}
    failed: Attributes = {"praktijkbus.outcome": "retry", "error.type": "builtins.KeyError"}
    keep(
        tmp_path,
        "intake",
        span("create verklaring.afgegeven", fact, ROOT, 1, 0.5, CASE),
        span("create ontvangst.aanvaard", receipt, ROOT, 1.5, 0.25, {**other_case}),
        span("process verklaring.afgegeven", ROOT, None, 0, 2.5, accepted),
        span("commit", child_of(None), None, -1, 5, {count: 3})._replace(links=(ROOT,)),
        span("process traject.gestart", child_of(None), None, 0, 1),
    )
    keep(
        tmp_path,
        "billing",
        span("process verklaring.afgegeven", again, fact, 900, 1, accepted | {"praktijkbus.attempt": 2}),
        span("process verklaring.afgegeven", child_of(fact), fact, 10, 1, failed),
        span("create erkenning.aangevraagd", child_of(None), None, 901, 1)._replace(links=(again,)),
        span("send feiten", child_of(None), None, 5, 1)._replace(links=(fact, child_of(None))),
    )
    return tmp_path


def test_every_span_stands_below_what_it_follows_from(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace("4BF92F3577", state)
    head, case, columns, *lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert head == f"{TRACE}  5 spans, 901.0 ms"
    assert case == "correlationid 0198c5d2"
    assert columns.split() == ["+ms", "took", "what", "service", "how"]
    shown = [" ".join(line.split()) for line in lines]
    assert shown[:6] == [
        "0.0 2.5 process verklaring.afgegeven intake accepted",
        "-1.0 5.0 ├─ ↪ commit intake 3 messages",
        "1.0 0.5 ├─ create verklaring.afgegeven intake",
        "5.0 1.0 │ ├─ ↪ send feiten billing",
        "10.0 1.0 │ ├─ process verklaring.afgegeven billing retry, builtins.KeyError",
        "900.0 1.0 │ └─ process verklaring.afgegeven billing accepted, attempt 2",
    ]
    assert shown[6].startswith("901.0 1.0 │ └─ ↪ create erkenning.aangevraagd billing begins trace ")
    assert shown[7:] == ["1.5 0.2 └─ create ontvangst.aanvaard intake"]


def test_a_trace_whose_beginning_is_elsewhere_is_drawn_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    keep(tmp_path, "billing", span("process match.erkend", child_of(ROOT), ROOT, 5, 1))
    trace(TRACE, tmp_path)
    assert "process match.erkend" in capsys.readouterr().out


def test_what_follows_from_another_trace_says_from_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    other = child_of(None)
    keep(tmp_path, "billing", span("create match.erkend", ROOT, None, 5, 1)._replace(links=(other,)))
    trace(TRACE, tmp_path)
    assert f"follows from trace {other[3:35]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("PV-7K3F9-QX2ME", "no trace id"),
        ("4bf", "no trace id"),
        (f"{TRACE}0", "no trace id"),
        ("ffffffff", "No trace ffffffff"),
    ],
)
def test_what_is_no_trace_is_said(state: Path, asked: str, said: str) -> None:
    with pytest.raises(Trouble, match=said):
        trace(asked, state)


def test_where_no_bus_ran_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="make run"):
        trace(TRACE, tmp_path)


def test_of_several_traces_one_must_be_chosen(state: Path) -> None:
    other = f"00-4bf9{'0' * 27}1-{'0' * 15}1-01"
    keep(state, "notify", span("process match.erkend", other, None, 5, 1))
    with pytest.raises(Trouble, match=f"2 traces begin(.|\n)*{other[3:35]}"):
        trace("4bf9", state)
