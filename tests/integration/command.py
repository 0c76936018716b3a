"""The command line on the databases of a stand."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.place import DATABASE_VARIABLE
from tests.stand import Stand

Cli = Callable[..., "asyncio.Future[Result]"]


def command(stand: Stand, patch: pytest.MonkeyPatch, nowhere: Path) -> Cli:
    """Runs `praktijkbus` with these words, as an operator whose bus runs elsewhere."""
    url = stand.database.url(f"{stand.name}_SERVICE").replace("SERVICE", "{service}")
    patch.setenv(DATABASE_VARIABLE, url)
    patch.setenv("PRAKTIJKBUS_STATE", str(nowhere))

    def run(*arguments: str, answer: str | None = None) -> "asyncio.Future[Result]":
        return asyncio.ensure_future(
            asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments), input=answer))
        )

    return run
