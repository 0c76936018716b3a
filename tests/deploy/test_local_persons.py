"""The secrets around person data on this machine."""

import json
from pathlib import Path

import pytest

from deploy.local import persons
from services.intake.secrets import CALLERS, OPEN, RECOGNISE, WRAP, Secrets


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    tokens = persons.prepare(tmp_path, ["notify", "roc-maas"])
    first = Secrets.load(tmp_path)
    again = persons.prepare(tmp_path, ["notify", "roc-maas", "roc-peel"])
    second = Secrets.load(tmp_path)
    assert tokens.items() <= again.items()
    assert (first.wrapping, first.recognising) == (second.wrapping, second.recognising)
    assert [key.kid for key in first.opening] == [key.kid for key in second.opening]
    assert set(second.callers.values()) == {"notify", "roc-maas", "roc-peel"}
    public = json.loads((tmp_path / persons.PUBLIC).read_text())
    assert "d" not in public
    assert public["kid"] == first.opening[0].kid
    for file in (OPEN, WRAP, RECOGNISE, CALLERS, "tokens/notify"):
        assert (tmp_path / file).stat().st_mode & 0o077 == 0, file
    assert not [token for token in again.values() if token in (tmp_path / CALLERS).read_text()]


@pytest.mark.parametrize("file", [OPEN, WRAP, RECOGNISE, CALLERS])
def test_secrets_that_are_missing_stop_the_start(tmp_path: Path, file: str) -> None:
    persons.prepare(tmp_path, ["notify"])
    (tmp_path / file).unlink()
    with pytest.raises(OSError, match=file):
        Secrets.load(tmp_path)


@pytest.mark.parametrize("file", [OPEN, WRAP])
def test_no_keys_at_all_stop_the_start(tmp_path: Path, file: str) -> None:
    persons.prepare(tmp_path, ["notify"])
    (tmp_path / file).write_text('{"keys": []}')
    with pytest.raises(ValueError, match=OPEN):
        Secrets.load(tmp_path)
