import pytest

from cli.place import Trouble
from cli.tell import checked
from contracts.fields import number_from


@pytest.mark.parametrize("prefix", ["PV", "M", "VK", "OP", "BT", "TM"])
def test_number_may_be_written_in_small_letters(prefix: str) -> None:
    number = number_from(prefix, "7K3F9QX2M")

    assert checked(f" {number.lower()} ") == number


def test_invoice_number_is_one_of_a_traject_too() -> None:
    assert checked("RM-000001") == "RM-000001"


def test_wrong_check_character_is_told_apart_from_nonsense() -> None:
    with pytest.raises(Trouble, match="controleteken"):
        checked("PV-7K3F9-QX2MC")
    for nonsense in ("PV-7K3F9", "hallo", "", "ER-7K3F9-QX2ME"):
        with pytest.raises(Trouble, match="geen nummer"):
            checked(nonsense)
