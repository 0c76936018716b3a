from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.forget import forget, main
from deploy.local.processes import Claim, FolderInUse


def test_a_folder_that_is_in_use_stays_whole(tmp_path: Path) -> None:
    unused, used = tmp_path / ".run" / "mail", tmp_path / ".run" / "postgres"
    Claim(unused).release()
    claim = Claim(used)

    with pytest.raises(FolderInUse):
        forget(tmp_path / ".run")
    assert "is in use by process" in str(main([str(tmp_path / ".run")]))
    assert unused.exists()

    claim.release()
    assert main([str(tmp_path / ".run")]) is None
    assert not (tmp_path / ".run").exists()


def test_forgetting_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert main([str(tmp_path / ".run")]) is None
