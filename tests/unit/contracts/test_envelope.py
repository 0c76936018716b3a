import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import example
from contracts.catalogue import CATALOGUE
from contracts.envelope import CONTENT_TYPE, FactEnvelope, SubmissionEnvelope, Unreadable, attributes

GESTART = CATALOGUE["nl.praktijkverklaringen.traject.gestart.v1"]
MESSAGE = example.as_json(example.submission(GESTART))
CONTENT_TYPES = st.sampled_from([CONTENT_TYPE, "application/json", None])


def test_structured_mode_is_the_body() -> None:
    body = json.dumps(MESSAGE).encode()

    assert attributes(body, CONTENT_TYPE, {}) == MESSAGE
    assert attributes(body, CONTENT_TYPE, {"ce-id": "another"}) == MESSAGE


def test_structured_mode_without_its_content_type_is_read_all_the_same() -> None:
    assert attributes(json.dumps(MESSAGE).encode(), None, {"x-trace": "1"}) == MESSAGE


@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents:", "cloudEvents_"])
def test_binary_mode_is_read_with_each_prefix(prefix: str) -> None:
    body = json.dumps(MESSAGE["data"]).encode()
    headers: dict[str, object] = {f"{prefix}{name}": value for name, value in MESSAGE.items() if name != "data"}

    read = attributes(body, "application/json", headers | {"x-other": "ignored"})

    assert read == MESSAGE
    assert SubmissionEnvelope.model_validate(read) == example.submission(GESTART)


def test_byte_order_mark_is_taken() -> None:
    assert attributes(b'\xef\xbb\xbf{"id": "1"}', CONTENT_TYPE, {}) == {"id": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe{}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": "é"}'.encode("latin-1"),
        b'{"a": "\xed\xa0\x80"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"id": "1", "id": "2"}',
        b'{"data": {"kvk": "1", "kvk": "2"}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b'{"a": 1} {"b": 2}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_json_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        attributes(body, CONTENT_TYPE, {})


def _read(body: bytes, content_type: str | None, headers: dict[str, object]) -> object:
    try:
        return attributes(body, content_type, headers)
    except Unreadable:
        return {}


@given(body=st.binary(max_size=400), content_type=CONTENT_TYPES, headers=st.dictionaries(st.text(), st.integers()))
def test_any_bytes_are_a_dict_or_unreadable(
    body: bytes, content_type: str | None, headers: dict[str, object]
) -> None:
    assert isinstance(_read(body, content_type, headers), dict)


@given(
    text=st.text(alphabet='{}[]",:0123456789.eE+-\\u dNaInfty\ud800é', max_size=200), content_type=CONTENT_TYPES
)
def test_anything_like_json_is_a_dict_or_unreadable(text: str, content_type: str | None) -> None:
    assert isinstance(_read(text.encode("utf-8", "surrogatepass"), content_type, {}), dict)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(content=st.dictionaries(st.text(), JSON, max_size=5))
def test_any_json_object_is_read_as_it_was_written(content: dict[str, Any]) -> None:
    assert attributes(json.dumps(content).encode(), CONTENT_TYPE, {}) == content


@given(content=st.dictionaries(st.sampled_from([*FactEnvelope.model_fields]), JSON))
def test_envelope_of_anything_is_valid_or_a_validation_error(content: dict[str, Any]) -> None:
    for model in (SubmissionEnvelope, FactEnvelope):
        try:
            model.model_validate(content)
        except ValidationError:
            continue
        assert {"id", "source", "type", "time"} <= content.keys()


def test_data_that_is_nested_too_deep_is_a_validation_error() -> None:
    data: dict[str, Any] = {}
    for _ in range(600):
        data = {"a": data}

    with pytest.raises(ValidationError):
        SubmissionEnvelope.model_validate(MESSAGE | {"data": data})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("id", ""),
        ("id", "a" * 81),
        ("source", "https://example.org"),
        ("type", "nl.praktijkverklaringen.gestart"),
        ("time", "2026-11-02T09:30:00"),
        ("datacontenttype", "text/xml"),
        ("namens", "sbb's"),
        ("traceparent", "00-xyz"),
        ("tracestate", "Sam Voorbeeld"),
        ("referentie", "Sam Voorbeeld"),
        ("sequence", "0000000001"),
        ("data", "{}"),
    ],
)
def test_submission_envelope_refuses(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        SubmissionEnvelope.model_validate(MESSAGE | {name: value})


def test_error_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as caught:
        SubmissionEnvelope.model_validate(MESSAGE | {"subject": "Sam Voorbeeld"})

    assert "Sam" not in str(caught.value)
