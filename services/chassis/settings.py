"""What a service must be told, as `PRAKTIJKBUS_*` variables or files of that name in the secrets folder."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_HEADER: Final = re.compile(r"([!#$&'*+.^_`|~\w-]+)[ \t]*=[ \t]*((?:[^%]|%[0-9A-Fa-f]{2})+)", re.ASCII)
_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
"""Of a header: ASCII that can be seen. A control character could end it and begin another."""


def _headers(written: Any) -> Any:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS writes them (OpenTelemetry specification, OTLP exporter)."""
    if not isinstance(written, str):
        return written
    found: dict[str, str] = {}
    for number, item in enumerate(written.split(","), start=1):
        parts = _HEADER.fullmatch(item.strip())
        value = unquote(parts[2]) if parts else ""
        if parts is None or not _VALUE.fullmatch(value):
            raise ValueError(  # and nothing of the item itself, which may be a secret
                f"item {number} is no name=value; between items stands a comma, and in a value every character but"
                " letters, digits and -._~ is written as in a URL: a space as %20"
            )
        found[parts[1]] = value
    return found


Headers = Annotated[Mapping[str, SecretStr], NoDecode, BeforeValidator(_headers)]


class Settings(BaseSettings):
    """Settings of one service process. Every address and password comes from outside."""

    model_config = SettingsConfigDict(
        env_prefix="PRAKTIJKBUS_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # an error must not repeat a password
    )

    amqp_url: SecretStr
    """The service's own account on the broker, with its virtual host."""
    database_url: SecretStr
    """The service's own database: `postgresql+asyncpg://…`."""
    partners: Path
    """The partner registry (TOML)."""
    kwalificaties: Path
    """The qualification table (TOML)."""
    extra_days: Path | None = None
    """Days that a royal decree equates with a public holiday (TOML); the built-in table if not given."""
    clock: Path | None = None
    """A file with the time to go by (ISO 8601), where months are played in minutes; the real time if not given."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    """Where health (and, in intake, person data) is served over HTTP."""
    public_url: str = "http://127.0.0.1:8080/personen"
    """What a `dataref` begins with: where others reach intake for person data."""
    prefetch: int = Field(default=500, ge=1)
    """Unacknowledged messages in hand, for each queue."""
    batch: int = Field(default=256, ge=1)
    """Messages in one transaction at most."""
    persons: Path | None = None
    """Intake: the folder with what opens, wraps and recognises person data, and who may fetch it."""
    keys_database_url: SecretStr | None = None
    """Intake: the database of the keys of persons, apart from its own and with a backup of its own."""
    persons_url: str = "http://127.0.0.1:8080/personen"
    """Notify: where intake answers for person data. The last part of a `dataref` goes behind it."""
    persons_token: SecretStr | None = None
    """Notify: the token with which it asks there."""
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    mail_from: str = "Praktijkbus <geen-antwoord@praktijkbus.example>"
    portal_url: str = "https://portaal.praktijkbus.example"
    """Where people log in; mails link there."""
    otlp_endpoint: str | None = None
    """Where traces, metrics and logs go over OTLP/HTTP, such as `http://collector:4318`. Nowhere if not given."""
    otlp_headers: Headers = {}
    """What goes along with each request there, to say who sends it: `Authorization=Basic%20…,X-Scope-OrgID=…`."""
    trace_file: Path | None = None
    """A file to which spans go as well, as JSON lines, see `tracefile`."""
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    """Which part of the traces that begin here is exported. What fails or is slow is exported all the same."""
    trace_slow: float = Field(default=5.0, gt=0)
    """Seconds from which something is slow: a handler, a transaction, an effect, a fact on its way here."""
    metrics_every: float = Field(default=15.0, gt=0)
    """Seconds between two rounds of metrics."""
    log_level: str = "INFO"


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        pydantic.ValidationError: naming each setting that is missing or wrong.
    """
    secrets = os.environ.get("PRAKTIJKBUS_SECRETS_DIR")
    return Settings(_secrets_dir=secrets) if secrets else Settings()
