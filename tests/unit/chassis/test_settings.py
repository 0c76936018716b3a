"""What a service is told comes in by variables and files, and no error repeats a secret."""

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
