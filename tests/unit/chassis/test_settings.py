"""What a service is told comes in by variables and files, and no error repeats a secret."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.chassis.settings import load_settings


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All that a service must be told."""
    told = {
        "AMQP_URL": "amqp://billing:geheim@rabbitmq/praktijkbus",
        "DATABASE_URL": "postgresql+asyncpg://billing:geheim@postgres/billing",
        "PARTNERS": "partners.toml",
        "KWALIFICATIES": "kwalificaties.toml",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"PRAKTIJKBUS_{name}", value)
    return monkeypatch


def test_error_names_what_is_missing_or_wrong_and_repeats_no_secret(told: pytest.MonkeyPatch) -> None:
    told.delenv("PRAKTIJKBUS_PARTNERS")
    told.setenv("PRAKTIJKBUS_PORT", "geheim")
    with pytest.raises(
        ValidationError, match=r"(?s)partners\n  Field required.*port\n  Input should be a valid integer"
    ) as wrong:
        load_settings()
    assert "geheim" not in str(wrong.value)


@pytest.mark.parametrize(
    ("written", "headers"),
    [
        ("Authorization=Basic%20Zzo%3D", {"Authorization": "Basic Zzo="}),
        (
            "Authorization=Bearer Zzo==, x-scope-orgid = a%2Cb",
            {"Authorization": "Bearer Zzo==", "x-scope-orgid": "a,b"},
        ),
        ("api-key=100%25+", {"api-key": "100%+"}),
        ("", {}),
    ],
)
def test_headers_are_written_as_opentelemetry_writes_them(
    told: pytest.MonkeyPatch, written: str, headers: dict[str, str]
) -> None:
    told.setenv("PRAKTIJKBUS_OTLP_HEADERS", written)
    settings = load_settings()
    assert {name: value.get_secret_value() for name, value in settings.otlp_headers.items()} == headers
    assert all(value not in repr(settings) for value in headers.values())


def test_headers_come_from_a_file_too(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "praktijkbus_otlp_headers").write_text("api-key=geheim\n", encoding="utf-8")
    told.setenv("PRAKTIJKBUS_SECRETS_DIR", str(tmp_path))
    assert load_settings().otlp_headers["api-key"].get_secret_value() == "geheim"


@pytest.mark.parametrize(
    "item",
    [
        "geheim",
        "=geheim",
        "api-key=",
        "api key=geheim",
        "api-key=100%geheim",
        "api-key=%20geheim",
        "api-key=geheim%0D%0AHost:%20x",
        "api-key=geheim%C3%A9",
        "",
    ],
)
def test_headers_that_are_wrong_are_told_by_their_place(told: pytest.MonkeyPatch, item: str) -> None:
    told.setenv("PRAKTIJKBUS_OTLP_HEADERS", f"a=geheim,{item}")
    with pytest.raises(ValidationError, match=r"otlp_headers\n.*item 2 is no name=value") as wrong:
        load_settings()
    assert "geheim" not in str(wrong.value)
