"""Metrics: what is measured, and the numbers so far.

Names and units follow OpenTelemetry's semantic conventions for messaging, databases and HTTP where these have
one; the rest is under `praktijkbus.`. Every service has the instruments of `CATALOGUE`; what a service adds itself
stands in its declaration (`Service.readings`). Dashboards and alert rules are checked against both.

Numbers are plain dictionaries, to which a batch adds once. What attributes may say is bounded: partners come from
the registry, types from the catalogue, causes are kinds of errors; beyond `MOST_SERIES` combinations the rest of
an instrument is counted together. No subject, no id, no text of an error.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from time import time_ns
from typing import Final, NamedTuple

Value = int | float
Attribute = str | int | None
"""None: that attribute does not apply."""
Series = tuple[Attribute, ...]
"""Attributes in the order in which their instrument names them."""

MOST_SERIES: Final = 2000
"""For each instrument: the limit that OpenTelemetry's metrics SDK has by default."""
OVERFLOW: Final = ("otel.metric.overflow",)
"""Marks, as its only element, the series in which the rest is counted together."""


class Kind(Enum):
    COUNTER = "counter"
    """Only rises, from 0 when the process began."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Instrument:
    name: str
    kind: Kind
    unit: str
    """As UCUM writes it: `s`, or what is counted in braces."""
    attributes: tuple[str, ...]
    description: str
    bounds: tuple[float, ...] = ()
    """Of a histogram: the upper bounds of its buckets."""

    @property
    def prometheus(self) -> str:
        """What Prometheus makes of it; of a histogram the part before `_bucket`, `_sum` and `_count`."""
        name = self.name.replace(".", "_") + {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return f"{name}_total" if self.kind is Kind.COUNTER else name


_FAST: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
_ADVISED: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""As the conventions advise for durations."""
_LONG: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

_MESSAGING: Final = ("messaging.system", "messaging.operation.name", "messaging.destination.name")

CONSUMED: Final = Instrument(
    "messaging.client.consumed.messages",
    Kind.COUNTER,
    "{message}",
    (*_MESSAGING, "praktijkbus.partner", "praktijkbus.outcome"),
    "Messages that were judged and committed, each as often as it was judged: one that waits, is held or is tried"
    " again counts once more each time. The destination is the queue; the partner is who submitted it, absent for"
    " facts; the outcome is accepted, refused, repeated, discarded, waiting, held, retry or parked.",
)
PROCESS_DURATION: Final = Instrument(
    "messaging.process.duration",
    Kind.HISTOGRAM,
    "s",
    (*_MESSAGING, "praktijkbus.type", "error.type"),
    "How long the judging of one message took, without its share in the transaction. The type is the entity and"
    " event, such as match.bevestigd; `submission` or `fact` where it cannot be told.",
    _FAST,
)
SENT: Final = Instrument(
    "messaging.client.sent.messages",
    Kind.COUNTER,
    "{message}",
    (*_MESSAGING, "praktijkbus.type", "error.type"),
    "Facts and receipts that the relay gave to the broker.",
)
SEND_DURATION: Final = Instrument(
    "messaging.client.operation.duration",
    Kind.HISTOGRAM,
    "s",
    (*_MESSAGING, "error.type"),
    "How long it took until the broker had confirmed a window of messages.",
    _ADVISED,
)
LAG: Final = Instrument(
    "praktijkbus.lag",
    Kind.HISTOGRAM,
    "s",
    ("praktijkbus.stream",),
    "From when a fact was recorded by its owner until it took effect here.",
    _LONG,
)
COMMIT_DURATION: Final = Instrument(
    "db.client.operation.duration",
    Kind.HISTOGRAM,
    "s",
    ("db.system.name", "db.namespace", "db.operation.name"),
    "How long the transaction of a batch took, from its beginning until it was committed.",
    _ADVISED,
)
BATCH_SIZE: Final = Instrument(
    "praktijkbus.batch.messages", Kind.HISTOGRAM, "{message}", (), "Messages in one transaction.", _SIZES
)
RECEIPTS: Final = Instrument(
    "praktijkbus.receipts",
    Kind.COUNTER,
    "{receipt}",
    ("praktijkbus.outcome", "praktijkbus.code"),
    "Receipts given: aanvaard, afgewezen with its code, or wacht with what it waits for.",
)
RETRIES: Final = Instrument(
    "praktijkbus.retries",
    Kind.COUNTER,
    "{retry}",
    ("error.type",),
    "Messages and due work that failed by a fault of ours and are tried again.",
)
EFFECTS: Final = Instrument(
    "praktijkbus.effects",
    Kind.COUNTER,
    "{effect}",
    ("praktijkbus.kind", "praktijkbus.outcome"),
    "Attempts at what is done in the outside world, such as mail: done, skipped, retry, or failed for good.",
)
EFFECT_DURATION: Final = Instrument(
    "praktijkbus.effect.duration",
    Kind.HISTOGRAM,
    "s",
    ("praktijkbus.kind", "praktijkbus.outcome"),
    "How long such an attempt took.",
    _ADVISED,
)
PENDING: Final = Instrument(
    "praktijkbus.pending.messages",
    Kind.GAUGE,
    "{message}",
    ("praktijkbus.status", "praktijkbus.partner"),
    "Messages set aside: waiting, held, retry, attempting, parked, discard. No partner: facts.",
)
PENDING_OLDEST: Final = Instrument(
    "praktijkbus.pending.oldest",
    Kind.GAUGE,
    "s",
    PENDING.attributes,
    "For how long the oldest of these has been set aside.",
)
PARKED: Final = Instrument(
    "praktijkbus.parked.messages",
    Kind.GAUGE,
    "{message}",
    ("praktijkbus.cause",),
    "Parked messages by cause: the type of the error, or what is wrong with a fact.",
)
OUTBOX: Final = Instrument(
    "praktijkbus.outbox.messages", Kind.GAUGE, "{message}", (), "Messages committed and not yet sent."
)
OUTBOX_OLDEST: Final = Instrument(
    "praktijkbus.outbox.oldest", Kind.GAUGE, "s", (), "For how long the oldest of these has been there; 0 if none."
)
EFFECTS_OPEN: Final = Instrument(
    "praktijkbus.effects.open", Kind.GAUGE, "{effect}", ("praktijkbus.kind",), "Effects still to be carried out."
)
EFFECTS_OLDEST: Final = Instrument(
    "praktijkbus.effects.oldest",
    Kind.GAUGE,
    "s",
    EFFECTS_OPEN.attributes,
    "For how long the oldest of these has been asked for.",
)
EFFECTS_FAILED: Final = Instrument(
    "praktijkbus.effects.failed",
    Kind.GAUGE,
    "{effect}",
    EFFECTS_OPEN.attributes,
    "Effects that failed for good, and that nobody has retried or discarded yet.",
)
INLET: Final = Instrument(
    "praktijkbus.inlet.messages",
    Kind.GAUGE,
    "{message}",
    ("messaging.destination.name",),
    "Messages that the process took from a queue and has not judged yet.",
)
RELAY_ACTIVE: Final = Instrument(
    "praktijkbus.relay.active", Kind.GAUGE, "{relay}", (), "1 if this process relays, 0 if it stands by."
)
HTTP_SERVER_DURATION: Final = Instrument(
    "http.server.request.duration",
    Kind.HISTOGRAM,
    "s",
    ("http.request.method", "url.scheme", "http.route", "http.response.status_code", "error.type"),
    "How long an answer over HTTP took, health apart.",
    _ADVISED,
)
HTTP_CLIENT_DURATION: Final = Instrument(
    "http.client.request.duration",
    Kind.HISTOGRAM,
    "s",
    ("http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"),
    "How long another service took to answer over HTTP.",
    _ADVISED,
)
DROPPED: Final = Instrument(
    "praktijkbus.telemetry.dropped",
    Kind.COUNTER,
    "{item}",
    ("praktijkbus.signal",),
    "Telemetry given up because its receiver is down or slow: spans of traces, lines of logs, rounds of metrics.",
)

CATALOGUE: Final[tuple[Instrument, ...]] = (
    *(CONSUMED, PROCESS_DURATION, SENT, SEND_DURATION, LAG, COMMIT_DURATION, BATCH_SIZE),
    *(RECEIPTS, RETRIES, EFFECTS, EFFECT_DURATION),
    *(PENDING, PENDING_OLDEST, PARKED, OUTBOX, OUTBOX_OLDEST, EFFECTS_OPEN, EFFECTS_OLDEST, EFFECTS_FAILED),
    *(INLET, RELAY_ACTIVE),
    *(HTTP_SERVER_DURATION, HTTP_CLIENT_DURATION, DROPPED),
)
"""What every service measures."""


class Reading(NamedTuple):
    """Gauges that a query gives: each row has their attributes, then a value for each of them."""

    gauges: tuple[Instrument, ...]
    query: str


READINGS: Final[tuple[Reading, ...]] = (
    Reading(
        (PENDING, PENDING_OLDEST),
        "SELECT status, partner, count(*), extract(epoch FROM now() - min(created)) FROM pending GROUP BY 1, 2",
    ),
    Reading(
        (PARKED,),
        "SELECT coalesce(split_part(cause, ' at ', 1), ''), count(*) FROM pending"
        " WHERE status = 'parked' GROUP BY 1",
    ),
    Reading(
        (OUTBOX, OUTBOX_OLDEST),
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created)), 0) FROM outbox WHERE sent IS NULL",
    ),
    Reading(
        (EFFECTS_OPEN, EFFECTS_OLDEST),
        "SELECT kind, count(*), extract(epoch FROM now() - min(created)) FROM effects"
        " WHERE status = 'open' GROUP BY 1",
    ),
    Reading((EFFECTS_FAILED,), "SELECT kind, count(*) FROM effects WHERE status = 'failed' GROUP BY 1"),
)
"""What the tables of the chassis tell."""


@dataclass(slots=True)
class Spread:
    """How the values of a histogram are spread over its buckets."""

    counts: list[int]
    """One for each bound, and one for what is above the last."""
    sum: float = 0.0

    def add(self, bounds: tuple[float, ...], values: Iterable[float]) -> None:
        for value in values:
            self.counts[bisect_left(bounds, value)] += 1
            self.sum += value


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All numbers at one moment (Unix nanoseconds), those that rise since `began`."""

    began: int
    at: int
    numbers: Mapping[Instrument, Mapping[Series, Value | Spread]]


@dataclass(slots=True)
class Metrics:
    """The numbers of one process. Only its event loop may touch them."""

    began: int = field(default_factory=time_ns)
    _sums: dict[Instrument, dict[Series, Value]] = field(default_factory=lambda: defaultdict(dict))
    _spreads: dict[Instrument, dict[Series, Spread]] = field(default_factory=lambda: defaultdict(dict))
    _gauges: dict[Instrument, Mapping[Series, Value]] = field(default_factory=dict)
    _asked: dict[Instrument, Callable[[], Mapping[Series, Value]]] = field(default_factory=dict)

    def add(self, counter: Instrument, *series: Attribute, value: Value = 1) -> None:
        """Counts."""
        sums = self._sums[counter]
        key: Series = series if series in sums or len(sums) < MOST_SERIES else OVERFLOW
        sums[key] = sums.get(key, 0) + value

    def record(self, histogram: Instrument, *series: Attribute, values: Iterable[float]) -> None:
        """Takes in values, all of the same series."""
        spreads = self._spreads[histogram]
        spread = spreads.get(series)
        if spread is None:
            key: Series = series if len(spreads) < MOST_SERIES else OVERFLOW
            spread = spreads.setdefault(key, Spread([0] * (len(histogram.bounds) + 1)))
        spread.add(histogram.bounds, values)

    def set(self, gauge: Instrument, values: Mapping[Series, Value]) -> None:
        """What a gauge says now, in place of all it said before; what is beyond the limit is added up."""
        kept = dict(list(values.items())[:MOST_SERIES])
        rest = [value for series, value in values.items() if series not in kept]
        self._gauges[gauge] = kept | ({OVERFLOW: sum(rest)} if rest else {})

    def ask(self, instrument: Instrument, read: Callable[[], Mapping[Series, Value]]) -> None:
        """Has a gauge or a counter read at each snapshot."""
        self._asked[instrument] = read

    def snapshot(self) -> Snapshot:
        """The numbers as they are now."""
        spreads = {
            histogram: {series: Spread(list(spread.counts), spread.sum) for series, spread in found.items()}
            for histogram, found in self._spreads.items()
        }
        return Snapshot(
            self.began,
            time_ns(),
            {
                **{counter: dict(found) for counter, found in self._sums.items()},
                **spreads,
                **{gauge: dict(found) for gauge, found in self._gauges.items()},
                **{instrument: dict(read()) for instrument, read in self._asked.items()},
            },
        )
