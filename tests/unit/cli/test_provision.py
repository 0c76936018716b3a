from pathlib import Path

import pytest

from cli.place import Trouble, partner_of, registry
from cli.provision import read_passwords
from tests.desk import DEPLOY


def test_password_is_the_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "sbb").write_text("geheim \n")

    assert read_passwords(tmp_path, ["sbb"]) == {"sbb": "geheim "}


def test_missing_and_empty_passwords_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "sbb").write_text("\n")
    (tmp_path / "wsp-venlo").write_text("geheim")

    with pytest.raises(Trouble, match="intake, sbb"):
        read_passwords(tmp_path, ["sbb", "intake", "wsp-venlo"])
    with pytest.raises(Trouble, match="does not exist"):
        read_passwords(tmp_path / "nowhere", ["sbb"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("regio = ", "no valid TOML"),
        ('regio = "x-y"\n[[partners]]\nid = "sbb"\n', r"partners\.sbb\.naam"),
    ],
)
def test_registry_that_is_not_right_is_told_with_the_partner(
    tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "partners.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(Trouble, match=said):
        registry(file)


def test_unknown_partner_is_told_who_there_is() -> None:
    with pytest.raises(Trouble, match="sbb, werkbedrijf, wsp-venlo"):
        partner_of(registry(DEPLOY / "partners.toml"), "roc-maan")
