"""A canary is seen in whatever form it is written, and in nothing else."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.persoon import Persoon
from deploy.local.canaries import Canaries
from deploy.local.persons import invented

SOMEBODY = invented(7)
CANARIES = Canaries({"iemand": SOMEBODY})


FIELDS = st.sampled_from(["naam", "e_mail", "telefoon"])


@given(before=st.binary(max_size=9), after=st.binary(max_size=9), field=FIELDS)
def test_seen_in_base64_and_hex_wherever_it_begins(before: bytes, after: bytes, field: str) -> None:
    content = before + str(getattr(SOMEBODY, field)).encode() + after
    for written in (base64.b64encode(content), content.hex().encode(), base64.urlsafe_b64encode(content)):
        if b"-" not in written and b"_" not in written:
            assert f"iemand {field}" in CANARIES.seen_in(written)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        (SOMEBODY.naam.upper(), "naam"),
        (quote(SOMEBODY.naam), "naam"),
        (f"{SOMEBODY.geboortedatum:%d-%m-%Y}", "geboortedatum"),
        (f"{SOMEBODY.geboortedatum}T00:00", "geboortedatum"),
        (f"{SOMEBODY.postcode[:4]} {SOMEBODY.postcode[4:]}".lower(), "postcode"),
        ("0655500007", "telefoon"),
        (json.dumps({"aan": SOMEBODY.e_mail}), "e_mail"),
    ],
)
def test_seen_however_it_is_written(written: str, field: str) -> None:
    assert CANARIES.seen_in(f"een regel met {written} erin".encode()) == {f"iemand {field}"}


def test_person_with_an_accent_is_seen_as_json_writes_it() -> None:
    zoe = SOMEBODY.model_copy(update={"naam": "Zoë Proefpersoon"})
    assert "z naam" in Canaries({"z": zoe}).seen_in(json.dumps({"naam": zoe.naam}).encode())


def test_another_person_is_not_seen() -> None:
    assert CANARIES.seen_in(invented(8).model_dump_json().encode()) == set()


def test_invented_people_differ_in_everything() -> None:
    people = [invented(number) for number in range(1, 90)]
    for field in set(Persoon.model_fields):
        assert len({getattr(one, field) for one in people}) == len(people)
