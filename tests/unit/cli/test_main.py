"""What a person is told when something cannot be done: one line, what to do, exit code 2."""

import os
import sys
from pathlib import Path

import pytest

from cli.main import main

NINE = "deploy/local/examples/negen.ndjson"
NUMBER = "PV-7K3F9-QX2ME"


def run(*arguments: str) -> int:
    """The exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["praktijkbus", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
    return int(exited.value.code or 0)


@pytest.fixture(autouse=True)
def _without_a_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("PRAKTIJKBUS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PRAKTIJKBUS_STATE", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tell", NUMBER), "Start it with `make run`"),
        (("tell", "PV-7K3F9-QX2MC"), "Het controleteken van PV-7K3F9-QX2MC klopt niet."),
        (("tell", "Sam"), "Zo ziet een trajectnummer eruit: PV-7K3F9-QX2ME."),
        (("tell", NUMBER, "--database", "postgresql+asyncpg://a:b@127.0.0.1:9/c"), "Is the bus up?"),
        (("tell", NUMBER, "--database", "mijn database"), "postgresql+asyncpg://"),
        (("submit", NINE, "--partner", "sbb"), "Start it with `make run`"),
        (("submit", NINE, "--partner", "roc-maan"), "roc-maas, roc-peel"),
        (("submit", "nergens.ndjson", "--partner", "sbb"), "nergens.ndjson cannot be read"),
        (("submit", NINE), "--partner"),
        (("provision",), "--management-url"),
    ],
)
def test_trouble_is_told(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    assert run(*arguments) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err


@pytest.mark.parametrize("command", ["up", "pilot", "submit", "tell", "provision"])
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run("--help") == 0
    assert f"\n  {command} " in capsys.readouterr().out
    assert run(command, "--help") == 0
